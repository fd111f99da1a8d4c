#define _GNU_SOURCE
#include "process/memtable_crew.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cask_test.h"
#include "region/place.h"
#include "support/random.h"
#include "tree/memtable_append.h"

enum { LOG_BYTES = 64 << 20, PER_SNAPSHOT = 50 };

/* ---- What is known beforehand ---- */

static uint64_t number_of(const crew *c, uint64_t operation)
{
    return c->is_rising ? operation % CREW_KEYS
                        : test_mix(c->seed ^ operation) % CREW_KEYS;
}

static cask_slice name_of(const crew *c, uint64_t number, char text[CREW_NAME])
{
    int size = c->is_rising
                   ? snprintf(text, CREW_NAME, "rising/%05" PRIu64, number)
                   : snprintf(text, CREW_NAME, "%s%" PRIu64 "/%05" PRIu64,
                              number % 2 == 0 ? "a-rather-long-prefix/" : "p",
                              number % 7, number);

    return (cask_slice){text, (size_t)size};
}

cask_slice crew_key(const crew *c, uint64_t operation, char text[CREW_NAME])
{
    return name_of(c, number_of(c, operation), text);
}

/* Of each three times fifty operations, fifty have a snapshot before them. */
static uint64_t snapshot_of(uint64_t operation)
{
    return operation / PER_SNAPSHOT % 3 == 0
               ? operation - operation % PER_SNAPSHOT
               : 0;
}

static uint64_t limit_of(const crew *c, uint64_t base)
{
    return 500 + test_mix(c->seed + base) % (c->limit - 500);
}

/* ---- Set up ---- */

crew *crew_make(uint64_t limit)
{
    crew *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    assert_true(limit <= CREW_LIMIT);
    scratch_make(c->path);
    record_log_make(&c->log, LOG_BYTES);
    record_log_shared_region(&c->region, c->path);
    c->words = mmap(NULL, sizeof(*c->words), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(c->words != MAP_FAILED);
    c->seed = test_seed();
    c->limit = limit;
    assert_int_equal(
        region_reserve(&c->region, memtable_begin_lines(limit), NULL), CASK_OK);
    assert_true(memtable_begin_locked(&c->region, 0, limit));
    return c;
}

void crew_free(crew *c)
{
    (void)munmap(c->words, sizeof(*c->words));
    record_log_close_region(&c->region);
    record_log_free(&c->log);
    scratch_remove(c->path);
    free(c);
}

static memtable_view open_current(crew *c)
{
    memtable_view view;
    unsigned index = atomic_load(&c->words->current) & 1;

    assert_true(memtable_open(&c->region, index, &c->log.log, &view));
    return view;
}

/* ---- Writing ---- */

static memtable_put put_of(const crew *c, uint64_t operation,
                           char text[CREW_NAME])
{
    cask_slice key = crew_key(c, operation, text);

    return (memtable_put){.key = key,
                          .hash = record_log_hash(key),
                          .sequence = operation + 1,
                          .place = c->words->place[operation % CREW_TOGETHER],
                          .snapshot = snapshot_of(operation)};
}

static void reserve(crew *c, const memtable_view *view, uint64_t count)
{
    assert_int_equal(
        region_reserve(&c->region, memtable_reserve_lines(view, count), NULL),
        CASK_OK);
}

/* Put what was appended, perhaps once more, and count it. */
static void apply(crew *c)
{
    uint64_t operation = atomic_load(&c->words->applied);
    const memtable_view view = open_current(c);
    char text[CREW_NAME];
    const memtable_put put = put_of(c, operation, text);
    memtable_aim aim;

    reserve(c, &view, 1);
    assert_true(memtable_aim_locked(&view, &put, &aim) <= MEMTABLE_NONE);
    memtable_store_locked(&view, &aim);
    atomic_store(&c->words->applied, operation + 1);
}

/* Several, if they go into one leaf. */
static void apply_together(crew *c)
{
    uint64_t first = atomic_load(&c->words->applied);
    uint64_t count = atomic_load(&c->words->appended) - first;
    const memtable_view view = open_current(c);
    char text[CREW_TOGETHER][CREW_NAME];
    memtable_put puts[CREW_TOGETHER];

    assert_true(count <= CREW_TOGETHER);
    for (uint64_t i = 0; i < count; i++) {
        puts[i] = put_of(c, first + i, text[i]);
    }
    count = memtable_append_locked(&view, puts, count);
    if (count == 0) {
        apply(c);
    } else {
        atomic_store(&c->words->applied, first + count);
    }
}

static void change_memtables(crew *c)
{
    uint64_t applied = atomic_load(&c->words->applied);
    unsigned old = atomic_load(&c->words->current) & 1;

    assert_int_equal(
        region_reserve(&c->region, memtable_begin_lines(c->limit), NULL),
        CASK_OK);
    assert_true(memtable_begin_locked(&c->region, 1 - old, c->limit));
    atomic_store(&c->words->current, applied << 1 | (1 - old));
    memtable_free_locked(&c->region, old);
}

/* How many operations: one, or so many that leaves fill up in all ways. */
static uint64_t together(const crew *c, uint64_t operation)
{
    uint64_t random = test_mix(c->seed - operation);

    return c->is_rising && random % 2 == 0 ? 1 + random / 2 % CREW_TOGETHER : 1;
}

void crew_work(crew *c)
{
    uint64_t operation = atomic_load(&c->words->applied);
    uint64_t base = atomic_load(&c->words->current) >> 1;
    uint64_t end = operation + together(c, operation);
    char text[CREW_NAME];

    if (operation - base >= limit_of(c, base)) {
        change_memtables(c);
        base = operation;
    }
    /* Nothing is in the log that anybody needs. */
    if (operation == base && atomic_load(c->log.tail) > LOG_BYTES / 2) {
        record_log_reset(&c->log);
    }
    for (uint64_t i = operation; i < end; i++) {
        c->words->place[i % CREW_TOGETHER] =
            record_log_append(&c->log, crew_key(c, i, text), i + 1, true);
    }
    atomic_store(&c->words->appended, end);
    while (atomic_load(&c->words->applied) < end) {
        apply_together(c);
    }
}

void crew_take_over(crew *c)
{
    unsigned other = 1 - (atomic_load(&c->words->current) & 1);

    memtables_finish_locked(&c->region);
    memtable_free_locked(&c->region, other); /* not yet, or no more, in use */
    while (atomic_load(&c->words->appended) > atomic_load(&c->words->applied)) {
        apply(c);
    }
}

/* ---- Comparing ---- */

static void update_model(crew *c)
{
    uint64_t base = atomic_load(&c->words->current) >> 1;

    if (base != c->base) {
        memset(c->newest, 0, sizeof(c->newest));
        c->base = base;
        c->modelled = base;
        c->entries = 0;
    }
    for (; c->modelled < atomic_load(&c->words->applied); c->modelled++) {
        uint64_t *newest = &c->newest[number_of(c, c->modelled)];

        if (*newest > snapshot_of(c->modelled)) {
            c->is_there[*newest - 1 - base] = false;
            c->entries--;
        }
        c->is_there[c->modelled - base] = true;
        c->entries++;
        *newest = c->modelled + 1;
    }
}

static void compare_entry(const crew *c, const memtable_entry *entry)
{
    uint64_t operation = entry->sequence - 1;
    char text[CREW_NAME];
    cask_slice key;

    assert_true(operation >= c->base && operation < c->modelled);
    assert_true(c->is_there[operation - c->base]);
    key = crew_key(c, operation, text);
    assert_int_equal(key.size, entry->key.size);
    assert_memory_equal(key.data, entry->key.data, key.size);
}

static int compare_keys(cask_slice a, cask_slice b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static void compare_walk(const crew *c, const memtable_view *view, bool back)
{
    memtable_cursor cursor;
    memtable_entry last = {0, 0, {NULL, 0}};
    uint64_t count = 0;
    memtable_result result = back ? memtable_seek_last(&cursor, view)
                                  : memtable_seek_first(&cursor, view);

    while (result == MEMTABLE_FOUND) {
        const memtable_entry *first = back ? &cursor.entry : &last;
        const memtable_entry *second = back ? &last : &cursor.entry;

        compare_entry(c, &cursor.entry);
        if (count > 0) {
            int order = compare_keys(first->key, second->key);

            assert_true(order < 0 ||
                        (order == 0 && first->sequence > second->sequence));
        }
        last = cursor.entry;
        count++;
        result = back ? memtable_previous(&cursor) : memtable_next(&cursor);
    }
    assert_int_equal(result, MEMTABLE_NONE);
    assert_int_equal(count, c->entries);
}

void crew_compare(crew *c)
{
    const memtable_view view = open_current(c);

    update_model(c);
    assert_int_equal(memtable_count(&view), c->entries);
    compare_walk(c, &view, false);
    compare_walk(c, &view, true);
    for (uint64_t number = 0; number < CREW_KEYS; number++) {
        char text[CREW_NAME];
        cask_slice key = name_of(c, number, text);
        memtable_entry entry;
        memtable_result result =
            memtable_find(&view, key, record_log_hash(key), UINT64_MAX, &entry);

        if (c->newest[number] == 0) {
            assert_int_equal(result, MEMTABLE_NONE);
        } else {
            assert_int_equal(result, MEMTABLE_FOUND);
            assert_int_equal(entry.sequence, c->newest[number]);
        }
    }
}

/* ---- Reading beside them ---- */

enum { MISSED = 1, OLDER = 2, UNORDERED = 3, UNREADABLE = 4 };

static uint64_t find_applied(const crew *c, const memtable_view *view,
                             uint64_t operation)
{
    char text[CREW_NAME];
    cask_slice key = crew_key(c, operation, text);
    memtable_entry entry;
    memtable_result result =
        memtable_find(view, key, record_log_hash(key), UINT64_MAX, &entry);

    if (result == MEMTABLE_FOUND) {
        return entry.sequence > operation ? 0 : OLDER;
    }
    if (result == MEMTABLE_GONE) {
        return 0;
    }
    return result == MEMTABLE_NONE ? MISSED : UNREADABLE;
}

static uint64_t walk_some(const crew *c, const memtable_view *view,
                          uint64_t operation)
{
    char text[CREW_NAME];
    char last_text[CREW_NAME];
    memtable_cursor cursor;
    cask_slice last = crew_key(c, operation, text);
    memtable_result result = memtable_seek(&cursor, view, last, UINT64_MAX);

    for (int i = 0; i < 100 && result == MEMTABLE_FOUND; i++) {
        cask_slice key = crew_key(c, cursor.entry.sequence - 1,
                                  i % 2 == 0 ? last_text : text);

        if (compare_keys(last, key) > 0) {
            return UNORDERED;
        }
        last = key;
        result = memtable_next(&cursor);
    }
    return result == MEMTABLE_UNREADABLE ? UNREADABLE : 0;
}

void crew_read(crew *c, uint64_t seed)
{
    test_random random = test_random_make(seed, 5);

    for (;;) {
        uint64_t current = atomic_load(&c->words->current);
        uint64_t wrong = 0;
        uint64_t operation;
        uint64_t applied;
        memtable_view view;

        if (!memtable_open(&c->region, current & 1, &c->log.log, &view)) {
            continue;
        }
        applied = atomic_load(&c->words->applied);
        if (atomic_load(&c->words->current) != current ||
            applied == current >> 1) {
            continue;
        }
        operation = (current >> 1) +
                    test_random_next(&random, applied - (current >> 1));
        wrong = operation % 16 == 0 ? walk_some(c, &view, operation)
                                    : find_applied(c, &view, operation);
        if (wrong != 0) {
            atomic_store(&c->words->wrong, wrong);
        }
        atomic_fetch_add(&c->words->reads, 1);
    }
}
