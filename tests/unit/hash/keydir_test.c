/*
 * The keydir against an oracle: through growth and splits, deletions, readers
 * that take no lock, and writers that die while they grow a group.
 */
#include "hash/keydir.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cask_test.h"
#include "hash/keydir_layout.h"
#include "os/os.h"
#include "region/heap.h"
#include "region/place.h"
#include "support/random.h"
#include "support/scratch.h"

/* ThreadSanitizer is slow and needs few rounds to see a race. */
#if defined(__SANITIZE_THREAD__)
enum { FEWER = 20 };
#else
enum { FEWER = 1 };
#endif

/* ---- A region ------------------------------------------------------------ */

static const siphash_key secret = {{1, 2}};

static void make_private(region_handle *region)
{
    const region_identity identity = {.engine = CASK_ENGINE_HASH};

    memset(region, 0, sizeof(*region));
    region->os = os_posix();
    assert_int_equal(region_create_private(region, &identity, NULL), CASK_OK);
    assert_int_equal(keydir_create(region, NULL), CASK_OK);
}

static keydir_hash hash_of(uint64_t key)
{
    return keydir_hash_of(siphash(secret, &key, sizeof(key)));
}

static uint64_t place_of(uint64_t key, uint64_t version, bool live)
{
    return place_make((uint16_t)(version & 0xff), (key % (1 << 26)) * 8, 64,
                      live);
}

static void set(region_handle *region, keydir_hash hash, uint64_t place)
{
    keydir_slot *slot;
    uint64_t old;

    assert_int_equal(
        region_reserve(region, keydir_reserve_lines(region, 1), NULL), CASK_OK);
    slot = keydir_slot_locked(region, hash, &old);
    keydir_store_locked(slot, hash, place);
}

/* The live place of a key, or 0. */
static uint64_t get(const region_handle *region, keydir_hash hash)
{
    uint64_t place = 0;

    return keydir_find(region, hash, &place) && place_is_live(place) ? place
                                                                     : 0;
}

/* ---- Against an oracle --------------------------------------------------- */

static void check_all(const region_handle *region, const uint64_t *oracle,
                      uint64_t count)
{
    for (uint64_t key = 0; key < count; key++) {
        uint64_t place = get(region, hash_of(key));

        if (place != oracle[key]) {
            fail_msg("key %llu: place %llx, expected %llx",
                     (unsigned long long)key, (unsigned long long)place,
                     (unsigned long long)oracle[key]);
        }
    }
}

static void test_million_keys_are_what_was_last_set(void **state)
{
    enum { KEYS = 1000000 / FEWER, OPERATIONS = 3 * KEYS };
    test_random random = test_random_make(test_seed(), 1);
    uint64_t *oracle = calloc(KEYS, sizeof(*oracle));
    region_handle region;

    (void)state;
    assert_non_null(oracle);
    make_private(&region);
    for (uint64_t i = 0; i < OPERATIONS; i++) {
        uint64_t key = test_random_next(&random, KEYS);
        bool live = !test_random_chance(&random, 30);
        uint64_t place = place_of(key, i, live);

        /* As the engine does: what is not there is not deleted. */
        if (live || oracle[key] != 0) {
            set(&region, hash_of(key), place);
            oracle[key] = live ? place : 0;
        }
    }
    check_all(&region, oracle, KEYS);
    for (uint64_t key = KEYS; key < 2 * KEYS; key++) {
        assert_int_equal(get(&region, hash_of(key)), 0);
    }
    region_detach(&region);
    free(oracle);
}

/* ---- Memory -------------------------------------------------------------- */

static double bytes_per_key(uint64_t count)
{
    region_identity identity = {.engine = CASK_ENGINE_HASH};
    char path[SCRATCH_PATH];
    region_handle region = {.os = os_posix()};
    double allocated;
    os_file *dir;

    scratch_make(path);
    assert_int_equal(region.os->ops->open_dir(region.os, path, &dir), 0);
    region.dir = dir;
    (void)snprintf(region.name, sizeof(region.name), "REGION");
    assert_int_equal(region_create(&region, &identity, 256 << 10, NULL),
                     CASK_OK);
    assert_int_equal(keydir_create(&region, NULL), CASK_OK);
    for (uint64_t key = 0; key < count; key++) {
        set(&region, hash_of(key), place_of(key, 0, true));
    }
    allocated = (double)region_allocated_bytes(&region);
    region_remove(&region);
    region_detach(&region);
    dir->os->ops->close(dir);
    scratch_remove(path);
    return allocated / (double)count;
}

static void test_a_key_takes_at_most_20_bytes_of_region(void **state)
{
    static const uint64_t counts[] = {1000000, 1700000, 3000000};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        double bytes = bytes_per_key(counts[i] / FEWER);

        print_message("%llu keys: %.2f bytes of region for each\n",
                      (unsigned long long)counts[i] / FEWER, bytes);
        /* The region's fixed parts count less the more keys there are. */
        assert_true(bytes <= 20.0 || FEWER > 1);
    }
}

/* ---- Deleted slots ------------------------------------------------------- */

/* Hashes of one shard, so that they share its first group, of one line. */
static keydir_hash in_shard(uint32_t shard, uint64_t number)
{
    return (keydir_hash){.tag = (number + 1) * UINT64_C(0x9e3779b97f4a7c15),
                         .shard = shard};
}

/* How many slots of the group of `hash` bear its tag. */
static unsigned slots_with_tag(const region_handle *region, keydir_hash hash)
{
    uint64_t root = atomic_load(&region->header->keydir_root);
    uint64_t word = atomic_load(
        directory_word(region, root, directory_index(hash, root_depth(root))));
    const keydir_line *group = region_line(region, word_line(word));
    unsigned count = 0;

    for (unsigned i = 0; i < keydir_class_lines[word_class(word)] * 4u; i++) {
        count += atomic_load(&group[i / 4].slot[i % 4].tag) == hash.tag;
    }
    return count;
}

static void test_a_key_behind_a_deleted_slot_keeps_its_own(void **state)
{
    region_handle region;

    (void)state;
    make_private(&region);
    for (uint64_t i = 0; i < 4; i++) {
        set(&region, in_shard(7, i), place_of(i, 0, true));
    }
    set(&region, in_shard(7, 0), place_of(0, 1, false));
    /* The first slot of the run is deleted; key 3 is behind it. */
    set(&region, in_shard(7, 3), place_of(3, 2, true));
    assert_int_equal(slots_with_tag(&region, in_shard(7, 3)), 1);
    assert_int_equal(get(&region, in_shard(7, 3)), place_of(3, 2, true));
    /* A new key takes the deleted slot; the deleted key is gone with it. */
    set(&region, in_shard(7, 4), place_of(4, 3, true));
    assert_int_equal(slots_with_tag(&region, in_shard(7, 0)), 0);
    for (uint64_t i = 1; i < 5; i++) {
        assert_int_equal(slots_with_tag(&region, in_shard(7, i)), 1);
        assert_true(get(&region, in_shard(7, i)) != 0);
    }
    region_detach(&region);
}

static void test_put_and_delete_for_ever_takes_no_memory(void **state)
{
    region_handle region;
    uint64_t used;

    (void)state;
    make_private(&region);
    for (uint64_t i = 0; i < 10000; i++) {
        set(&region, hash_of(i), place_of(i, 0, true));
    }
    used = region.header->heap.used;
    for (uint64_t i = 10000; i < 500000; i++) {
        set(&region, hash_of(i), place_of(i, 0, true));
        set(&region, hash_of(i - 10000), place_of(i, 0, false));
    }
    assert_true(region.header->heap.used <= 2 * used);
    assert_true(heap_available(&region) > 0);
    region_detach(&region);
}

/* ---- Readers ------------------------------------------------------------- */

typedef struct reading {
    const region_handle *region;
    _Atomic uint64_t *published; /* keys below it are there */
    _Atomic bool *stop;
    uint64_t seed;
    uint64_t reads;
    uint64_t wrong;
} reading;

static void *read_keys(void *argument)
{
    reading *r = argument;
    test_random random = test_random_make(r->seed, 3);

    while (!atomic_load(r->stop)) {
        uint64_t count =
            atomic_load_explicit(r->published, memory_order_acquire);
        uint64_t key = test_random_next(&random, count);
        uint64_t place = get(r->region, hash_of(key));

        /* Present since before the look-up; any version of it. */
        if (place == 0 || place_offset(place) != key * 8) {
            r->wrong++;
        }
        r->reads++;
    }
    return NULL;
}

static void test_readers_never_miss_a_key_while_groups_grow(void **state)
{
    enum { READERS = 2, KEYS = 150000 / FEWER };
    _Atomic uint64_t published = 1;
    _Atomic bool stop = false;
    region_handle region;
    pthread_t threads[READERS];
    reading readers[READERS];

    (void)state;
    make_private(&region);
    set(&region, hash_of(0), place_of(0, 0, true));
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reading){.region = &region,
                               .published = &published,
                               .stop = &stop,
                               .seed = test_seed() + (uint64_t)i};
        assert_int_equal(
            pthread_create(&threads[i], NULL, read_keys, &readers[i]), 0);
    }
    for (uint64_t key = 1; key < KEYS; key++) {
        set(&region, hash_of(key), place_of(key, 0, true));
        atomic_store_explicit(&published, key + 1, memory_order_release);
        /* Keys that come and go recycle slots and groups. */
        set(&region, hash_of(KEYS + key), place_of(key, 0, true));
        set(&region, hash_of(KEYS + key), place_of(key, 0, false));
        set(&region, hash_of(key / 2), place_of(key / 2, key, true));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
        assert_true(readers[i].reads > 0);
    }
    region_detach(&region);
}

/* ---- Death while a group grows ------------------------------------------- */

enum { DEATH_KEYS = 100000, COPY_BYTES = 8 << 20 };

/* Header and heap as they were. */
typedef struct snapshot {
    region_header header;
    uint8_t *heap;
    uint64_t lines; /* of the heap in use */
} snapshot;

static void take(const region_handle *region, snapshot *ret_snapshot)
{
    uint64_t first = REGION_HEAP_OFFSET / REGION_LINE;

    memcpy(&ret_snapshot->header, region->header, sizeof(region_header));
    ret_snapshot->lines = atomic_load(&region->header->heap.bump) - first;
    assert_true(ret_snapshot->lines * REGION_LINE <= COPY_BYTES);
    memcpy(ret_snapshot->heap, region_line(region, first),
           ret_snapshot->lines * REGION_LINE);
}

static void give_back(region_handle *region, const snapshot *from)
{
    memcpy(region->header, &from->header, sizeof(region_header));
    memcpy(region_line(region, REGION_HEAP_OFFSET / REGION_LINE), from->heap,
           from->lines * REGION_LINE);
}

static uint64_t word_in(const snapshot *from, uint64_t index)
{
    uint64_t line = root_line(atomic_load(&from->header.keydir_root)) -
                    REGION_HEAP_OFFSET / REGION_LINE;

    return load_u64(from->heap + line * REGION_LINE + index * 8);
}

/* The region as a writer leaves it that dies when `stored` directory words of
 * its growth are stored and the old group is not yet given back. */
static void die_at(region_handle *region, const snapshot *before,
                   const snapshot *after, uint64_t stored)
{
    region_keydir_intent *intent = &region->header->keydir;
    uint64_t root = atomic_load(&after->header.keydir_root);
    unsigned grown =
        root_depth(root) - root_depth(atomic_load(&before->header.keydir_root));
    uint64_t old = word_in(before, after->header.keydir.first_index >> grown);

    give_back(region, after);
    if (old != 0) {
        uint64_t line = word_line(old) - REGION_HEAP_OFFSET / REGION_LINE;
        uint64_t bytes = keydir_class_lines[word_class(old)] * REGION_LINE;

        memcpy(region_line(region, word_line(old)),
               before->heap + line * REGION_LINE, bytes);
        region->header->heap.free[word_class(old)] =
            load_u64(after->heap + line * REGION_LINE);
    }
    for (uint64_t i = stored; i < intent->word_count; i++) {
        atomic_store(directory_word(region, root, intent->first_index + i),
                     old);
    }
    intent->armed = 1;
}

static void check_found(const region_handle *region, uint64_t count)
{
    for (uint64_t key = 0; key < count; key++) {
        if (get(region, hash_of(key)) != place_of(key, 0, true)) {
            fail_msg("key %llu is lost", (unsigned long long)key);
        }
    }
}

/* One growth, ended at each of its words; returns how many ends there are. */
static uint64_t sweep_growth(region_handle *region, const snapshot *before,
                             const snapshot *after, uint64_t count)
{
    uint64_t words = after->header.keydir.word_count;

    for (uint64_t stored = 0; stored <= words; stored++) {
        die_at(region, before, after, stored);
        check_found(region, count); /* readers before anybody repairs */
        keydir_finish_locked(region);
        assert_int_equal(region->header->keydir.armed, 0);
        for (uint64_t i = 0; i < words; i++) {
            uint64_t index = after->header.keydir.first_index + i;

            assert_int_equal(
                atomic_load(directory_word(
                    region, atomic_load(&region->header->keydir_root), index)),
                word_in(after, index));
        }
        check_found(region, count);
        keydir_finish_locked(region); /* nothing to do any more */
        check_found(region, count);
    }
    give_back(region, after);
    return words + 1;
}

static void test_a_writer_that_dies_growing_a_group_loses_nothing(void **state)
{
    snapshot before = {.heap = malloc(COPY_BYTES)};
    snapshot after = {.heap = malloc(COPY_BYTES)};
    uint64_t deaths = 0;
    uint64_t most_words = 0;
    region_handle region;

    (void)state;
    assert_true(before.heap != NULL && after.heap != NULL);
    make_private(&region);
    for (uint64_t key = 0; key < DEATH_KEYS; key++) {
        region_keydir_intent *intent = &region.header->keydir;
        /* All first groups, and some of the larger ones, which also split,
         * and double the directory. */
        bool watched = key < 400 || (key > 60000 && key % (64 * FEWER) == 0);
        keydir_slot *slot;
        uint64_t old;

        assert_int_equal(
            region_reserve(&region, keydir_reserve_lines(&region, 1), NULL),
            CASK_OK);
        if (watched) {
            take(&region, &before);
        }
        intent->word_count = 0;
        slot = keydir_slot_locked(&region, hash_of(key), &old);
        if (watched && intent->word_count > 0) {
            most_words = intent->word_count > most_words ? intent->word_count
                                                         : most_words;
            take(&region, &after);
            deaths += sweep_growth(&region, &before, &after, key);
        }
        keydir_store_locked(slot, hash_of(key), place_of(key, 0, true));
    }
    check_found(&region, DEATH_KEYS);
    assert_true(deaths > 100 / FEWER);
    print_message("%llu deaths, up to %llu words at once\n",
                  (unsigned long long)deaths, (unsigned long long)most_words);
    assert_true(most_words >= 2);
    region_detach(&region);
    free(before.heap);
    free(after.heap);
}

/* ---- Sizing -------------------------------------------------------------- */

static void test_presize_changes_no_answer(void **state)
{
    region_handle region;

    (void)state;
    make_private(&region);
    assert_int_equal(keydir_presize(&region, 300000, NULL), CASK_OK);
    for (uint64_t key = 0; key < 300000; key++) {
        set(&region, hash_of(key), place_of(key, 0, true));
    }
    check_found(&region, 300000);
    assert_int_equal(get(&region, hash_of(300000)), 0);
    region_detach(&region);
}

static uint64_t heap_used(const region_handle *region)
{
    return atomic_load(&region->header->heap.bump);
}

static void test_presize_leaves_keys_where_they_are(void **state)
{
    region_handle region;
    uint64_t used;

    (void)state;
    make_private(&region);
    set(&region, hash_of(0), place_of(0, 0, true));
    used = heap_used(&region);
    assert_int_equal(keydir_presize_lines(&region, 300000), 0);
    assert_int_equal(keydir_presize(&region, 300000, NULL), CASK_OK);
    assert_int_equal(
        region_reserve(&region, 300000 * 20 / REGION_LINE * 2, NULL), CASK_OK);
    keydir_presize_locked(&region, 300000); /* the first key came in between */
    assert_int_equal(heap_used(&region), used);
    check_found(&region, 1);
    region_detach(&region);
}

/* Memory that it took before it died is lost, but not once more. */
static void test_a_writer_that_dies_presizing_leaves_a_good_keydir(void **state)
{
    region_handle region;
    uint64_t lines;
    uint64_t taken;

    (void)state;
    make_private(&region);
    lines = keydir_presize_lines(&region, 300000);
    assert_true(lines > 300000 * 16 / REGION_LINE);
    assert_int_equal(region_reserve(&region, lines, NULL), CASK_OK);
    taken = heap_take_plain(&region, lines / 2);
    assert_true(taken > 0);
    memset(region_line(&region, taken), 0xff, lines / 2 * REGION_LINE);
    assert_int_equal(keydir_presize_lines(&region, 300000), 0);
    for (uint64_t key = 0; key < 50000; key++) {
        set(&region, hash_of(key), place_of(key, 0, true));
    }
    check_found(&region, 50000);
    region_detach(&region);
}

/* A damaged directory must lead nobody outside the heap. */
static void test_words_that_lead_outside_find_nothing(void **state)
{
    test_random random = test_random_make(test_seed(), 9);
    region_handle region;

    (void)state;
    make_private(&region);
    for (uint64_t key = 0; key < 1000; key++) {
        set(&region, hash_of(key), place_of(key, 0, true));
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t root = atomic_load(&region.header->keydir_root);
        uint64_t index = test_random_next(&random, KEYDIR_SHARDS);
        _Atomic uint64_t *word = directory_word(&region, root, index);
        uint64_t saved = atomic_load(word);
        uint64_t place;

        if (i % 4 == 0) {
            atomic_store(&region.header->keydir_root,
                         test_random_next(&random, 0));
        } else {
            atomic_store(word, test_random_next(&random, 0));
        }
        for (uint64_t key = 0; key < 8; key++) {
            (void)keydir_find(&region, hash_of(key), &place);
        }
        atomic_store(&region.header->keydir_root, root);
        atomic_store(word, saved);
    }
    check_found(&region, 1000);
    region_detach(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_million_keys_are_what_was_last_set),
        cmocka_unit_test(test_a_key_takes_at_most_20_bytes_of_region),
        cmocka_unit_test(test_a_key_behind_a_deleted_slot_keeps_its_own),
        cmocka_unit_test(test_put_and_delete_for_ever_takes_no_memory),
        cmocka_unit_test(test_readers_never_miss_a_key_while_groups_grow),
        cmocka_unit_test(test_a_writer_that_dies_growing_a_group_loses_nothing),
        cmocka_unit_test(test_presize_changes_no_answer),
        cmocka_unit_test(test_presize_leaves_keys_where_they_are),
        cmocka_unit_test(
            test_a_writer_that_dies_presizing_leaves_a_good_keydir),
        cmocka_unit_test(test_words_that_lead_outside_find_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
