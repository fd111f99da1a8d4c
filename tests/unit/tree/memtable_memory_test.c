/*
 * The memory of memtables: how much, from where, what happens without, that it
 * all comes back; and words that lead elsewhere.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cask_test.h"
#include "region/heap.h"
#include "region/place.h"
#include "support/random.h"
#include "support/scratch.h"
#include "tree/memtable_layout.h"
#include "unit/tree/record_log.h"

enum { LOG_BYTES = 256 << 20, KEY = 16 };

typedef struct scene {
    char path[SCRATCH_PATH];
    region_handle region;
    record_log log;
    test_random random;
    uint64_t sequence;
} scene;

static int set_up(void **state)
{
    static scene s;

    memset(&s, 0, sizeof(s));
    record_log_make(&s.log, LOG_BYTES);
    scratch_make(s.path);
    record_log_shared_region(&s.region, s.path);
    s.random = test_random_make(test_seed(), 0);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;

    record_log_close_region(&s->region);
    scratch_remove(s->path);
    record_log_free(&s->log);
    return 0;
}

static cask_slice name_of(uint64_t number, uint8_t bytes[KEY])
{
    for (int i = KEY - 1; i >= 0; i--, number /= 10) {
        bytes[i] = (uint8_t)('0' + number % 10);
    }
    return (cask_slice){bytes, KEY};
}

static memtable_view begin(scene *s, unsigned index, uint64_t expected)
{
    memtable_view view;

    assert_int_equal(
        region_reserve(&s->region, memtable_begin_lines(expected), NULL),
        CASK_OK);
    assert_true(memtable_begin_locked(&s->region, index, expected));
    assert_true(memtable_open(&s->region, index, &s->log.log, &view));
    return view;
}

static void put(scene *s, const memtable_view *view, uint64_t number)
{
    uint8_t bytes[KEY];
    const memtable_put wanted = {.key = name_of(number, bytes),
                                 .sequence = ++s->sequence};

    assert_true(record_log_put(&s->log, view, wanted, true) != 0);
}

static memtable_result find(const memtable_view *view, uint64_t number)
{
    uint8_t bytes[KEY];
    cask_slice key = name_of(number, bytes);
    memtable_entry entry;
    memtable_result result =
        memtable_find(view, key, record_log_hash(key), UINT64_MAX, &entry);

    if (result == MEMTABLE_FOUND) {
        assert_memory_equal(entry.key.data, bytes, KEY);
    }
    return result;
}

/* ---- How much ---- */

static void test_an_entry_takes_24_bytes_or_a_chunk_more_in_all(void **state)
{
    enum { ENTRIES = 500000 };
    scene *s = *state;
    memtable_view view = begin(s, 0, ENTRIES);

    for (uint64_t i = 0; i < ENTRIES; i++) {
        put(s, &view, test_random_next(&s->random, UINT64_C(1) << 50));
    }
    print_message("%.2f bytes for each\n",
                  (double)memtable_bytes(&view) / ENTRIES);
    /* How full leaves are depends on the keys. */
    assert_true(memtable_bytes(&view) <=
                (uint64_t)24 * ENTRIES +
                    (uint64_t)MEMTABLE_CHUNK_LINES * REGION_LINE);
}

static void test_freeing_gives_all_memory_back(void **state)
{
    scene *s = *state;
    uint64_t used = atomic_load(&s->region.header->heap.used);
    uint64_t bump = 0;

    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < MEMTABLES; i++) {
            memtable_view view = begin(s, i, 5000);

            for (uint64_t j = 0; j < 5000; j++) {
                put(s, &view, test_random_next(&s->random, 100000));
            }
            assert_false(memtable_begin_locked(&s->region, i, 10));
        }
        for (unsigned i = 0; i < MEMTABLES; i++) {
            memtable_free_locked(&s->region, i);
        }
        assert_int_equal(atomic_load(&s->region.header->heap.used), used);
        if (round == 0) {
            bump = atomic_load(&s->region.header->heap.bump);
        }
        /* A chunk more or less, by chance. */
        assert_true(atomic_load(&s->region.header->heap.bump) <=
                    bump + 8 * MEMTABLE_CHUNK_LINES);
        record_log_reset(&s->log);
    }
}

static void test_readers_of_a_freed_memtable_are_told(void **state)
{
    scene *s = *state;
    memtable_view view = begin(s, 2, 100);
    memtable_view again;
    memtable_cursor cursor;

    for (uint64_t i = 0; i < 1000; i++) {
        put(s, &view, i);
    }
    assert_int_equal(memtable_seek_first(&cursor, &view), MEMTABLE_FOUND);
    memtable_free_locked(&s->region, 2);
    assert_false(memtable_open(&s->region, 2, &s->log.log, &again));
    assert_int_equal(find(&view, 7), MEMTABLE_GONE);
    assert_int_equal(find(&view, 7000), MEMTABLE_GONE);
    assert_int_equal(memtable_next(&cursor), MEMTABLE_GONE);
    again = begin(s, 2, 100);
    put(s, &again, 8);
    assert_int_equal(find(&view, 8), MEMTABLE_GONE);
    assert_int_equal(memtable_seek_last(&cursor, &view), MEMTABLE_GONE);
    assert_int_equal(find(&again, 8), MEMTABLE_FOUND);
    assert_int_equal(find(&again, 7), MEMTABLE_NONE);
}

/* ---- Without memory ---- */

static void use_up(scene *s)
{
    (void)heap_take_plain(&s->region, heap_available(&s->region));
}

static void test_without_memory_nothing_changes(void **state)
{
    scene *s = *state;
    memtable_view view = begin(s, 0, 100);
    uint64_t there = 0;
    memtable_result result;
    uint8_t bytes[KEY];

    use_up(s);
    do {
        memtable_put wanted = {.key = name_of(there * 7919 % 100000, bytes),
                               .sequence = ++s->sequence};
        memtable_aim aim;

        wanted.place =
            record_log_append(&s->log, wanted.key, wanted.sequence, true);
        wanted.hash = record_log_hash(wanted.key);
        result = memtable_aim_locked(&view, &wanted, &aim);
        if (result == MEMTABLE_NONE) {
            memtable_store_locked(&view, &aim);
            there++;
        }
    } while (result == MEMTABLE_NONE);
    assert_int_equal(result, MEMTABLE_FULL);
    assert_true(there > 1000);
    assert_int_equal(memtable_count(&view), there);
    for (uint64_t i = 0; i < 5000; i++) {
        if (i == there) {
            put(s, &view, i * 7919 % 100000); /* which reserves */
            there++;
        }
    }
    for (uint64_t i = 0; i < there; i++) {
        assert_int_equal(find(&view, i * 7919 % 100000), MEMTABLE_FOUND);
    }
}

static void test_a_memtable_begins_with_all_memory_or_takes_none(void **state)
{
    scene *s = *state;
    uint64_t used;

    use_up(s);
    used = atomic_load(&s->region.header->heap.used);
    assert_int_equal(region_reserve(&s->region, 3 * MEMTABLE_CHUNK_LINES, NULL),
                     CASK_OK);
    assert_false(memtable_begin_locked(&s->region, 0, 10 << 20));
    memtables_finish_locked(&s->region);
    assert_int_equal(atomic_load(&s->region.header->heap.used), used);
    (void)begin(s, 0, 1000);
}

/* Keys in the order in which they take most memory. */
static uint64_t hard_key(scene *s, unsigned kind, uint64_t i)
{
    switch (kind) {
    case 0:
        return i;
    case 1:
        return 1000000000 - i;
    case 2: /* pairs, each before the one before */
        return 1000000000 - i / 2 * 10 + i % 2;
    case 3: /* ends of many sorted parts */
        return i % 500 * 1000000 + i;
    default:
        return test_random_next(&s->random, 0);
    }
}

static void test_what_is_reserved_for_many_puts_is_enough(void **state)
{
    enum { PUTS = 30000, PARTS = 3 };
    scene *s = *state;

    for (unsigned kind = 0; kind < 5; kind++) {
        memtable_view view = begin(s, 0, PUTS);

        for (uint64_t i = 0; i < (uint64_t)PUTS * PARTS; i++) {
            uint8_t bytes[KEY];
            memtable_put wanted = {.key = name_of(hard_key(s, kind, i), bytes),
                                   .sequence = ++s->sequence};
            memtable_aim aim;

            if (i % PUTS == 0) {
                use_up(s);
                assert_int_equal(
                    region_reserve(&s->region,
                                   memtable_reserve_lines(&view, PUTS), NULL),
                    CASK_OK);
                assert_true(memtable_has_room_locked(&view, PUTS));
            }
            wanted.place =
                record_log_append(&s->log, wanted.key, wanted.sequence, true);
            wanted.hash = record_log_hash(wanted.key);
            assert_true(memtable_aim_locked(&view, &wanted, &aim) <=
                        MEMTABLE_NONE);
            memtable_store_locked(&view, &aim);
        }
        print_message("kind %u: %.1f bytes for each\n", kind,
                      (double)memtable_bytes(&view) / (PUTS * PARTS));
        memtable_free_locked(&s->region, 0);
        record_log_reset(&s->log);
    }
}

/* ---- Windows ---- */

static uint8_t window_keys[65536][8];

/* The key at a place is its row. */
static bool read_row(void *context, uint64_t place, memtable_entry *ret_entry)
{
    uint8_t *key = window_keys[place_row(place)];

    (void)context;
    store_u64(key, __builtin_bswap64(place_row(place)));
    ret_entry->key = (cask_slice){key, 8};
    ret_entry->sequence = place_row(place) + UINT64_C(1);
    return true;
}

static void
test_a_memtable_is_full_when_it_has_seen_a_thousand_windows(void **state)
{
    const memtable_log rows = {.read = read_row};
    scene *s = *state;
    memtable_view view = begin(s, 0, 2000);
    uint16_t count = 0;

    view.log = &rows;
    while (memtable_has_room_locked(&view, 1)) {
        uint64_t place = place_make(count, 8, 64, true);
        memtable_entry entry;
        memtable_put wanted;
        memtable_aim aim;

        assert_true(read_row(NULL, place, &entry));
        wanted = (memtable_put){.key = entry.key,
                                .sequence = entry.sequence,
                                .hash = record_log_hash(entry.key),
                                .place = place};
        assert_int_equal(memtable_aim_locked(&view, &wanted, &aim),
                         MEMTABLE_NONE);
        memtable_store_locked(&view, &aim);
        count++;
    }
    assert_true(count >= 900 && count < MEMTABLE_WINDOWS);
    for (uint16_t i = 0; i < count; i++) {
        memtable_entry entry;
        memtable_entry found;

        assert_true(read_row(NULL, place_make(i, 8, 64, true), &entry));
        assert_int_equal(memtable_find(&view, entry.key,
                                       record_log_hash(entry.key), UINT64_MAX,
                                       &found),
                         MEMTABLE_FOUND);
        assert_int_equal(place_row(found.place), i);
        assert_int_equal(place_offset(found.place), 8);
    }
}

/* ---- Damage ---- */

/* Readers stay in the heap and come back, whatever is in the nodes. */
static void test_damaged_nodes_lead_nobody_astray(void **state)
{
    scene *s = *state;
    memtable_view view = begin(s, 0, 100);
    memtable *m = view.memtable;

    for (uint64_t i = 0; i < 20000; i++) {
        put(s, &view, i);
    }
    for (int i = 0; i < 3000; i++) {
        uint32_t chunk = (uint32_t)test_random_next(
            &s->random, atomic_load(&m->chunk_count));
        _Atomic uint64_t *words =
            region_line(&s->region, atomic_load(&m->chunk[chunk]));
        _Atomic uint64_t *word =
            i % 50 == 0 ? &m->root
                        : &words[test_random_next(&s->random,
                                                  MEMTABLE_CHUNK_LINES * 8)];
        uint64_t saved = atomic_load(word);
        memtable_cursor cursor;
        memtable_result result;

        atomic_store(word, i % 3 == 0 ? test_random_next(&s->random, 0)
                                      : saved ^ UINT64_C(1) << test_random_next(
                                                    &s->random, 64));
        for (int j = 0; j < 3; j++) {
            (void)find(&view, test_random_next(&s->random, 20000));
        }
        result = memtable_seek_first(&cursor, &view);
        for (int j = 0; j < 200 && result == MEMTABLE_FOUND; j++) {
            result = memtable_next(&cursor);
        }
        atomic_store(word, saved);
    }
    for (uint64_t i = 0; i < 20000; i++) {
        assert_int_equal(find(&view, i), MEMTABLE_FOUND);
    }
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_an_entry_takes_24_bytes_or_a_chunk_more_in_all),
        CLAIM(test_freeing_gives_all_memory_back),
        CLAIM(test_readers_of_a_freed_memtable_are_told),
        CLAIM(test_without_memory_nothing_changes),
        CLAIM(test_a_memtable_begins_with_all_memory_or_takes_none),
        CLAIM(test_what_is_reserved_for_many_puts_is_enough),
        CLAIM(test_a_memtable_is_full_when_it_has_seen_a_thousand_windows),
        CLAIM(test_damaged_nodes_lead_nobody_astray),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
