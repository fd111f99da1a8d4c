/*
 * Memtables against an oracle: keys of many kinds, versions for snapshots,
 * look-ups and walks in both directions.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cask_test.h"
#include "region/heap.h"
#include "region/place.h"
#include "support/random.h"
#include "tree/memtable_append.h"
#include "unit/tree/record_log.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { FEWER = 10 };
#else
enum { FEWER = 1 };
#endif

enum { LONGEST = 65535, LOG_BYTES = 1 << 30 };

/* ---- The oracle ---- */

typedef struct version {
    uint64_t sequence;
    uint64_t place;
} version;

typedef struct key {
    uint8_t *bytes;
    size_t size;
    version *versions; /* the newest last */
    size_t count;
} key;

typedef struct scene {
    region_handle region;
    record_log log;
    memtable_view view;
    test_random random;
    key *keys; /* sorted, all different */
    size_t key_count;
    uint64_t entries;
    uint64_t sequence;
    uint64_t snapshot;
} scene;

static cask_slice slice_of(const key *k)
{
    return (cask_slice){k->bytes, k->size};
}

static int compare(const void *left, const void *right)
{
    const key *a = left;
    const key *b = right;
    int order =
        memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);

    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* Writes a key of some kind to `bytes`, of LONGEST at least; its size. */
typedef size_t make_key(test_random *random, uint64_t number, uint8_t *bytes);

static void begin(scene *s, make_key *make, size_t count)
{
    uint8_t *bytes = malloc(LONGEST + 1);
    size_t kept = 0;

    assert_non_null(bytes);
    s->keys = calloc(count, sizeof(*s->keys));
    assert_non_null(s->keys);
    for (size_t i = 0; i < count; i++) {
        size_t size = make(&s->random, i, bytes);

        s->keys[i].bytes = malloc(size + 1);
        assert_non_null(s->keys[i].bytes);
        memcpy(s->keys[i].bytes, bytes, size);
        s->keys[i].size = size;
    }
    free(bytes);
    qsort(s->keys, count, sizeof(*s->keys), compare);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare(&s->keys[kept - 1], &s->keys[i]) == 0) {
            free(s->keys[i].bytes);
        } else {
            s->keys[kept++] = s->keys[i];
        }
    }
    s->key_count = kept;
    assert_int_equal(
        region_reserve(&s->region, memtable_begin_lines(count), NULL), CASK_OK);
    assert_true(memtable_begin_locked(&s->region, 1, count));
    assert_true(memtable_open(&s->region, 1, &s->log.log, &s->view));
    s->entries = 0;
    s->snapshot = 0;
}

static void end(scene *s)
{
    memtable_free_locked(&s->region, 1);
    for (size_t i = 0; i < s->key_count; i++) {
        free(s->keys[i].bytes);
        free(s->keys[i].versions);
    }
    free(s->keys);
    record_log_reset(&s->log);
}

static int set_up(void **state)
{
    static scene s;

    memset(&s, 0, sizeof(s));
    record_log_make(&s.log, LOG_BYTES);
    record_log_region(&s.region);
    s.random = test_random_make(test_seed(), 0);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;

    region_detach(&s->region);
    record_log_free(&s->log);
    return 0;
}

static void note(scene *s, key *k, version new)
{
    if (k->count > 0 && k->versions[k->count - 1].sequence > s->snapshot) {
        k->versions[k->count - 1] = new;
        return;
    }
    k->versions = realloc(k->versions, (k->count + 1) * sizeof(version));
    assert_non_null(k->versions);
    k->versions[k->count++] = new;
    s->entries++;
}

static void put(scene *s, key *k)
{
    const memtable_put wanted = {
        .key = slice_of(k), .sequence = ++s->sequence, .snapshot = s->snapshot};
    version new = {s->sequence,
                   record_log_put(&s->log, &s->view, wanted,
                                  !test_random_chance(&s->random, 20))};

    assert_true(new.place != 0);
    note(s, k, new);
}

/* The first of these keys, which are new and rise, together; how many. */
static size_t put_together(scene *s, key *keys, size_t count)
{
    memtable_put puts[2 * MEMTABLE_LEAF_SLOTS];

    assert_true(count <= 2 * MEMTABLE_LEAF_SLOTS);
    for (size_t i = 0; i < count; i++) {
        const cask_slice bytes = slice_of(&keys[i]);
        uint64_t sequence = s->sequence + 1 + i;

        puts[i] = (memtable_put){
            .key = bytes,
            .hash = record_log_hash(bytes),
            .sequence = sequence,
            .place = record_log_append(&s->log, bytes, sequence, true)};
    }
    count = memtable_append_locked(&s->view, puts, count);
    for (size_t i = 0; i < count; i++) {
        note(s, &keys[i], (version){puts[i].sequence, puts[i].place});
    }
    s->sequence += count;
    return count;
}

/* ---- Putting again ---- */

/* What was put, in order. */
typedef struct history {
    struct {
        key *k;
        uint64_t sequence;
        uint64_t place;
    } * item;
    size_t count;
} history;

static void put_noted(scene *s, key *k, history *h)
{
    put(s, k);
    h->item[h->count].k = k;
    h->item[h->count].sequence = s->sequence;
    h->item[h->count].place = k->versions[k->count - 1].place;
    h->count++;
}

/* Whether an entry of that record is there. */
static bool has_version(const key *k, uint64_t sequence)
{
    for (size_t i = 0; i < k->count; i++) {
        if (k->versions[i].sequence == sequence) {
            return true;
        }
    }
    return false;
}

/* As who recovers does, to whom it is all the same what is there. */
static void put_again_from(scene *s, const history *h, size_t from)
{
    for (size_t i = from; i < h->count; i++) {
        const cask_slice bytes = slice_of(h->item[i].k);
        const memtable_put wanted = {.key = bytes,
                                     .hash = record_log_hash(bytes),
                                     .sequence = h->item[i].sequence,
                                     .place = h->item[i].place,
                                     .snapshot = s->snapshot};
        memtable_aim aim;

        assert_int_equal(region_reserve(&s->region,
                                        memtable_reserve_lines(&s->view, 1),
                                        NULL),
                         CASK_OK);
        assert_int_equal(memtable_aim_locked(&s->view, &wanted, &aim),
                         MEMTABLE_FOUND);
        assert_int_equal(aim.is_past,
                         !has_version(h->item[i].k, wanted.sequence));
        memtable_store_locked(&s->view, &aim);
    }
}

/* ---- Comparing ---- */

static void expect(const memtable_entry *entry, const key *k, const version *v)
{
    if (entry->sequence != v->sequence || entry->place != v->place ||
        entry->key.size != k->size ||
        memcmp(entry->key.data, k->bytes, k->size) != 0) {
        fail_msg("a key of %zu bytes: sequence %" PRIu64 " at %" PRIx64
                 ", expected %zu bytes, %" PRIu64 " at %" PRIx64,
                 entry->key.size, entry->sequence, entry->place, k->size,
                 v->sequence, v->place);
    }
}

/* All entries in both directions, exactly once. */
static void compare_walks(const scene *s)
{
    memtable_cursor cursor;
    memtable_result result = memtable_seek_first(&cursor, &s->view);

    for (size_t i = 0; i < s->key_count; i++) {
        for (size_t j = s->keys[i].count; j > 0; j--) {
            assert_int_equal(result, MEMTABLE_FOUND);
            expect(&cursor.entry, &s->keys[i], &s->keys[i].versions[j - 1]);
            result = memtable_next(&cursor);
        }
    }
    assert_int_equal(result, MEMTABLE_NONE);
    result = memtable_seek_last(&cursor, &s->view);
    for (size_t i = s->key_count; i > 0; i--) {
        for (size_t j = 0; j < s->keys[i - 1].count; j++) {
            assert_int_equal(result, MEMTABLE_FOUND);
            expect(&cursor.entry, &s->keys[i - 1], &s->keys[i - 1].versions[j]);
            result = memtable_previous(&cursor);
        }
    }
    assert_int_equal(result, MEMTABLE_NONE);
    assert_int_equal(memtable_count(&s->view), s->entries);
}

/* The newest version up to a sequence; NULL: none. */
static const version *version_at(const key *k, uint64_t sequence)
{
    for (size_t j = k->count; j > 0; j--) {
        if (k->versions[j - 1].sequence <= sequence) {
            return &k->versions[j - 1];
        }
    }
    return NULL;
}

static void compare_find(const scene *s, const key *k, uint64_t sequence)
{
    const version *v = version_at(k, sequence);
    memtable_entry entry;
    memtable_result result = memtable_find(
        &s->view, slice_of(k), record_log_hash(slice_of(k)), sequence, &entry);

    assert_int_equal(result, v == NULL ? MEMTABLE_NONE : MEMTABLE_FOUND);
    if (v != NULL) {
        expect(&entry, k, v);
    }
}

static void compare_seek(const scene *s, size_t from, uint64_t sequence)
{
    memtable_cursor cursor;
    memtable_result result =
        memtable_seek(&cursor, &s->view, slice_of(&s->keys[from]), sequence);
    const version *v = version_at(&s->keys[from], sequence);
    size_t i = from;

    while (v == NULL && ++i < s->key_count) {
        v = version_at(&s->keys[i], UINT64_MAX);
    }
    assert_int_equal(result, v == NULL ? MEMTABLE_NONE : MEMTABLE_FOUND);
    if (v != NULL) {
        expect(&cursor.entry, &s->keys[i], v);
    }
}

/* The oldest version from a sequence on; NULL: none. */
static const version *version_since(const key *k, uint64_t sequence)
{
    for (size_t j = 0; j < k->count; j++) {
        if (k->versions[j].sequence >= sequence) {
            return &k->versions[j];
        }
    }
    return NULL;
}

static void compare_seek_back(const scene *s, size_t from, uint64_t sequence)
{
    memtable_cursor cursor;
    memtable_result result = memtable_seek_back(
        &cursor, &s->view, slice_of(&s->keys[from]), sequence);
    const version *v = version_since(&s->keys[from], sequence);
    size_t i = from;

    while (v == NULL && i-- > 0) {
        v = version_since(&s->keys[i], 0);
    }
    assert_int_equal(result, v == NULL ? MEMTABLE_NONE : MEMTABLE_FOUND);
    if (v != NULL) {
        expect(&cursor.entry, &s->keys[i], v);
    }
}

static void compare_all(scene *s)
{
    compare_walks(s);
    for (size_t i = 0; i < s->key_count; i++) {
        uint64_t sequence = test_random_next(&s->random, s->sequence + 2);

        compare_find(s, &s->keys[i], UINT64_MAX);
        compare_find(s, &s->keys[i], sequence);
        compare_seek(s, i, UINT64_MAX);
        compare_seek(s, i, sequence);
        compare_seek_back(s, i, 0);
        compare_seek_back(s, i, sequence);
    }
}

/* ---- Kinds of keys ---- */

static size_t decimal(test_random *random, uint64_t number, uint8_t *bytes)
{
    (void)random;
    for (int i = 15; i >= 0; i--, number /= 10) {
        bytes[i] = (uint8_t)('0' + number % 10);
    }
    return 16;
}

static size_t binary(test_random *random, uint64_t number, uint8_t *bytes)
{
    (void)number;
    for (int i = 0; i < 16; i++) {
        bytes[i] = (uint8_t)test_random_next(random, 256);
    }
    return 16;
}

/* Behind 100 equal bytes, more than nodes can skip. */
static size_t behind_prefix(test_random *random, uint64_t number,
                            uint8_t *bytes)
{
    memset(bytes, 'p', 100);
    return 100 + decimal(random, number, bytes + 100);
}

/* Of two letters, one of them a zero byte: many are prefixes of others, the
 * empty key of all. */
static size_t prefixes(test_random *random, uint64_t number, uint8_t *bytes)
{
    size_t size = test_random_next(random, 14);

    (void)number;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = test_random_chance(random, 50) ? 0 : 'x';
    }
    return size;
}

/* Some of the largest keys, which differ at the end. */
static size_t large(test_random *random, uint64_t number, uint8_t *bytes)
{
    size_t size = number % 50 == 0 ? LONGEST : 8 + number % 200;

    memset(bytes, (int)('a' + number % 3), size);
    bytes[size - 1] = (uint8_t)test_random_next(random, 256);
    bytes[size - 2] = (uint8_t)test_random_next(random, 256);
    return size;
}

/* Tables, rows and columns. */
static size_t paths(test_random *random, uint64_t number, uint8_t *bytes)
{
    memset(bytes, 't', 8);
    bytes[7] = (uint8_t)('0' + test_random_next(random, 4));
    memset(bytes + 8, '/', 30);
    bytes[30] = (uint8_t)('0' + test_random_next(random, 10));
    return 38 + decimal(random, number, bytes + 38);
}

/* ---- Against the oracle ---- */

/* Snapshots come and go while random keys are put. */
static void put_at_random(scene *s, uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++) {
        if (test_random_chance(&s->random, 1)) {
            s->snapshot = test_random_chance(&s->random, 40) ? s->sequence : 0;
        }
        put(s, &s->keys[test_random_next(&s->random, s->key_count)]);
    }
}

static void check_kind(scene *s, make_key *make, size_t keys,
                       uint64_t operations)
{
    begin(s, make, keys);
    compare_all(s);
    for (int part = 0; part < 4; part++) {
        put_at_random(s, operations / 4);
        compare_all(s);
    }
    end(s);
}

static void test_decimal_keys_are_what_was_put(void **state)
{
    check_kind(*state, decimal, 20000 / FEWER, 60000 / FEWER);
}

static void test_binary_keys_are_what_was_put(void **state)
{
    check_kind(*state, binary, 20000 / FEWER, 60000 / FEWER);
}

static void test_keys_behind_a_long_prefix_are_what_was_put(void **state)
{
    check_kind(*state, behind_prefix, 5000 / FEWER, 15000 / FEWER);
}

static void test_keys_that_are_prefixes_are_what_was_put(void **state)
{
    check_kind(*state, prefixes, 20000 / FEWER, 40000 / FEWER);
}

static void test_large_and_small_keys_are_what_was_put(void **state)
{
    check_kind(*state, large, 4000 / FEWER, 9000 / FEWER);
}

static void test_paths_are_what_was_put(void **state)
{
    check_kind(*state, paths, 20000 / FEWER, 40000 / FEWER);
}

/* Keys that rise, one by one or some together, the last one again now and then,
 * and others between: where the next one goes is guessed, and the guess is
 * wrong. */
static void put_rising(scene *s, make_key *make, size_t keys)
{
    begin(s, make, keys);
    for (size_t i = 0; i < s->key_count; i++) {
        size_t left = s->key_count - i;
        size_t some = test_random_next(&s->random, 2 * MEMTABLE_LEAF_SLOTS + 1);

        if (test_random_chance(&s->random, 1)) {
            s->snapshot = test_random_chance(&s->random, 40) ? s->sequence : 0;
        }
        if (test_random_chance(&s->random, 10)) {
            i += put_together(s, &s->keys[i], some < left ? some : left);
        }
        if (i == s->key_count) {
            break;
        }
        put(s, &s->keys[i]);
        if (test_random_chance(&s->random, 5)) {
            put(s, &s->keys[i]);
        }
        if (test_random_chance(&s->random, 5)) {
            put(s, &s->keys[test_random_next(&s->random, i + 1)]);
        }
    }
    compare_all(s);
    end(s);
}

static void test_keys_that_rise_are_what_was_put(void **state)
{
    put_rising(*state, decimal, 20000 / FEWER);
    put_rising(*state, binary, 20000 / FEWER);
    put_rising(*state, behind_prefix, 5000 / FEWER);
    put_rising(*state, prefixes, 10000 / FEWER);
    put_rising(*state, large, 4000 / FEWER);
    put_rising(*state, paths, 20000 / FEWER);
}

/* Leaves and inner nodes of nothing but versions of one key. */
static void test_thousands_of_versions_of_a_key_are_kept(void **state)
{
    scene *s = *state;

    begin(s, decimal, 3);
    for (int i = 0; i < 30000 / FEWER; i++) {
        s->snapshot = s->sequence;
        put(s, &s->keys[test_random_next(&s->random, 3)]);
    }
    assert_int_equal(s->entries, 30000 / FEWER);
    compare_walks(s);
    for (int i = 0; i < 3000; i++) {
        uint64_t sequence = test_random_next(&s->random, s->sequence + 2);
        size_t index = test_random_next(&s->random, 3);

        compare_find(s, &s->keys[index], sequence);
        compare_seek(s, index, sequence);
        compare_seek_back(s, index, sequence);
    }
    s->snapshot = 0;
    put_at_random(s, 1000);
    compare_all(s);
    end(s);
}

/* Snapshots come and go between putting and putting again, and more is put
 * afterwards. */
static void test_putting_again_from_any_record_on_changes_nothing(void **state)
{
    enum { ROUNDS = 60, PUTS = 200, KEYS = 40 };
    scene *s = *state;
    history h = {calloc((size_t)ROUNDS * PUTS, sizeof(*h.item)), 0};

    assert_non_null(h.item);
    begin(s, prefixes, KEYS);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PUTS; i++) {
            if (test_random_chance(&s->random, 5)) {
                s->snapshot =
                    test_random_chance(&s->random, 60) ? s->sequence : 0;
            }
            put_noted(s, &s->keys[test_random_next(&s->random, s->key_count)],
                      &h);
        }
        s->snapshot = test_random_chance(&s->random, 50) ? s->sequence : 0;
        put_again_from(s, &h, test_random_next(&s->random, h.count));
        compare_all(s);
    }
    put_again_from(s, &h, 0);
    compare_all(s);
    free(h.item);
    end(s);
}

static void test_million_entries_are_found_in_order(void **state)
{
    scene *s = *state;

    begin(s, binary, 1000000 / FEWER);
    put_at_random(s, 1500000 / FEWER);
    compare_walks(s);
    for (size_t i = 0; i < s->key_count; i++) {
        compare_find(s, &s->keys[i], UINT64_MAX);
    }
    end(s);
}

/* In order, and the other way round. */
static void test_sorted_keys_fill_their_leaves(void **state)
{
    enum { KEYS = 100000 };
    scene *s = *state;
    uint64_t bytes;

    begin(s, decimal, KEYS);
    for (size_t i = 0; i < s->key_count; i++) {
        put(s, &s->keys[i]);
    }
    compare_walks(s);
    bytes = memtable_bytes(&s->view);
    print_message("sorted: %.1f bytes for each\n", (double)bytes / KEYS);
    assert_true(bytes < (uint64_t)KEYS * 19);
    end(s);
    begin(s, decimal, KEYS);
    for (size_t i = s->key_count; i > 0; i--) {
        put(s, &s->keys[i - 1]);
    }
    compare_walks(s);
    bytes = memtable_bytes(&s->view);
    print_message("backward: %.1f bytes for each\n", (double)bytes / KEYS);
    assert_true(bytes < (uint64_t)KEYS * 25);
    end(s);
}

/* ---- Other properties ---- */

static void
test_seek_between_keys_finds_the_next_and_the_one_before(void **state)
{
    scene *s = *state;
    uint8_t bytes[17];

    begin(s, decimal, 5000);
    for (size_t i = 1; i < s->key_count; i += 2) {
        put(s, &s->keys[i]);
    }
    for (size_t i = 0; i + 1 < s->key_count; i += 2) {
        memtable_cursor cursor;

        compare_seek(s, i, UINT64_MAX);
        compare_seek_back(s, i, 0);
        memcpy(bytes, s->keys[i + 1].bytes, 16);
        bytes[16] = 0;
        assert_int_equal(
            memtable_seek_back(&cursor, &s->view, (cask_slice){bytes, 17}, 0),
            MEMTABLE_FOUND);
        expect(&cursor.entry, &s->keys[i + 1], s->keys[i + 1].versions);
    }
    end(s);
}

static void test_putting_the_same_record_again_changes_nothing(void **state)
{
    scene *s = *state;

    begin(s, decimal, 3000);
    for (int i = 0; i < 20000; i++) {
        key *k = &s->keys[test_random_next(&s->random, s->key_count)];
        memtable_aim aim;
        memtable_put again;

        s->snapshot = test_random_chance(&s->random, 20) ? s->sequence : 0;
        put(s, k);
        again = (memtable_put){.key = slice_of(k),
                               .hash = record_log_hash(slice_of(k)),
                               .sequence = s->sequence,
                               .place = k->versions[k->count - 1].place,
                               .snapshot = s->snapshot};
        assert_int_equal(memtable_aim_locked(&s->view, &again, &aim),
                         MEMTABLE_FOUND);
        assert_int_equal(aim.old_place, again.place);
        memtable_store_locked(&s->view, &aim);
        assert_int_equal(memtable_count(&s->view), s->entries);
    }
    compare_all(s);
    end(s);
}

static void test_a_record_is_led_to_another_place(void **state)
{
    scene *s = *state;

    begin(s, paths, 3000);
    put_at_random(s, 9000);
    for (size_t i = 0; i < s->key_count; i++) {
        for (size_t j = 0; j < s->keys[i].count; j++) {
            version *v = &s->keys[i].versions[j];
            const memtable_put moved = {.key = slice_of(&s->keys[i]),
                                        .sequence = v->sequence,
                                        .snapshot = s->sequence};

            v->place = record_log_put(&s->log, &s->view, moved, true);
        }
    }
    compare_all(s);
    end(s);
}

static void test_a_record_that_cannot_be_read_is_told(void **state)
{
    scene *s = *state;
    memtable_cursor cursor;
    memtable_entry entry;
    memtable_aim aim;
    memtable_put again;
    key *k;

    begin(s, decimal, 300);
    for (size_t i = 0; i < s->key_count; i++) {
        put(s, &s->keys[i]);
    }
    k = &s->keys[150];
    again = (memtable_put){.key = slice_of(k),
                           .hash = record_log_hash(slice_of(k)),
                           .sequence = s->sequence + 1,
                           .place = k->versions[0].place};
    s->log.hidden = k->versions[0].place;
    assert_int_equal(
        memtable_find(&s->view, slice_of(k), again.hash, UINT64_MAX, &entry),
        MEMTABLE_UNREADABLE);
    assert_int_equal(memtable_seek(&cursor, &s->view, slice_of(k), UINT64_MAX),
                     MEMTABLE_UNREADABLE);
    assert_int_equal(memtable_aim_locked(&s->view, &again, &aim),
                     MEMTABLE_UNREADABLE);
    compare_find(s, &s->keys[151], UINT64_MAX);
    s->log.hidden = 0;
    compare_all(s);
    end(s);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_decimal_keys_are_what_was_put),
        CLAIM(test_binary_keys_are_what_was_put),
        CLAIM(test_keys_behind_a_long_prefix_are_what_was_put),
        CLAIM(test_keys_that_are_prefixes_are_what_was_put),
        CLAIM(test_large_and_small_keys_are_what_was_put),
        CLAIM(test_paths_are_what_was_put),
        CLAIM(test_thousands_of_versions_of_a_key_are_kept),
        CLAIM(test_putting_again_from_any_record_on_changes_nothing),
        CLAIM(test_million_entries_are_found_in_order),
        CLAIM(test_keys_that_rise_are_what_was_put),
        CLAIM(test_sorted_keys_fill_their_leaves),
        CLAIM(test_seek_between_keys_finds_the_next_and_the_one_before),
        CLAIM(test_putting_the_same_record_again_changes_nothing),
        CLAIM(test_a_record_is_led_to_another_place),
        CLAIM(test_a_record_that_cannot_be_read_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
