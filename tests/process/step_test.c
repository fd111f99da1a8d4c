/*
 * Death at any instruction: a child does one operation under single-step and
 * is killed after n instructions, for many n. The parent, whose handle on the
 * same store stays open, goes on at once, and finds the operation done or not
 * done, everything else as it was, and the index's counters exact.
 *
 *   CASK_TEST_POINTS  how many deaths per operation (default 40)
 */
#include "cask_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "hash/keydir.h"
#include "hash/keydir_layout.h"
#include "log/record_format.h"
#include "region/undo.h"
#include "process/stepper.h"
#include "store/store_write.h"
#include "support/random.h"
#include "support/require.h"
#include "support/scratch.h"

enum {
    KEYS = 3000,
    FIRST_KEYS = 100, /* there from the start */
    MORE_KEYS = 120000,
    BATCH_KEYS = 60,
    VALUE_BYTES = 64
};

/* An operation changes some keys; the model of the store is one version per
 * key, 0: absent. */
typedef struct change {
    unsigned count;
    unsigned key[BATCH_KEYS];
    uint64_t version[BATCH_KEYS]; /* 0: delete */
} change;

typedef struct scene {
    char path[SCRATCH_PATH];
    cask_options options;
    cask_db *db;
    test_random random;
    uint64_t version[KEYS];
    uint64_t next_version;
    uint64_t sequence;
    unsigned fresh;          /* keys from here on were never used */
    cask_snapshot *snapshot; /* NULL: none */
    uint64_t then[KEYS];     /* versions in the snapshot */
} scene;

/* ---- The store ---- */

static cask_slice name_of(char text[16], unsigned key)
{
    (void)snprintf(text, 16, "k%u", key);
    return cask_slice_of(text);
}

static cask_slice value_of(uint64_t version, char text[VALUE_BYTES])
{
    memset(text, 'v', VALUE_BYTES);
    (void)snprintf(text, VALUE_BYTES, "%" PRIu64, version);
    return (cask_slice){text, 24 + version % 40};
}

static cask_status make_and_free_snapshot(cask_db *db, cask_error *err)
{
    cask_snapshot *snapshot = NULL;
    cask_status status = cask_snapshot_create(db, &snapshot, err);

    cask_snapshot_free(snapshot);
    return status;
}

/* Do it as one operation: a put, a delete, a batch, or no change. */
static cask_status perform(cask_db *db, const change *wanted, cask_error *err)
{
    char name[16];
    char value[VALUE_BYTES];
    cask_batch *batch = NULL;
    cask_status status;

    if (wanted->count == 0) {
        return make_and_free_snapshot(db, err);
    }
    if (wanted->count == 1) {
        cask_slice key = name_of(name, wanted->key[0]);

        return wanted->version[0] == 0
                   ? cask_delete(db, key, NULL, err)
                   : cask_put(db, key, value_of(wanted->version[0], value),
                              err);
    }
    status = cask_batch_create(&batch, err);
    for (unsigned i = 0; i < wanted->count && status == CASK_OK; i++) {
        cask_slice key = name_of(name, wanted->key[i]);

        status =
            wanted->version[i] == 0
                ? cask_batch_delete(batch, key, err)
                : cask_batch_put(batch, key,
                                 value_of(wanted->version[i], value), 0, err);
    }
    if (status == CASK_OK) {
        status = cask_write(db, batch, err);
    }
    cask_batch_free(batch);
    return status;
}

static void note(scene *s, const change *done)
{
    for (unsigned i = 0; i < done->count; i++) {
        s->version[done->key[i]] = done->version[i];
    }
}

/* ---- Comparing ---- */

/* The version in the store; 0 if the key is absent. */
static uint64_t stored(scene *s, unsigned key)
{
    cask_buffer value = {NULL, 0, 0};
    cask_error err = {CASK_OK, 0, ""};
    char name[16];
    char text[VALUE_BYTES];
    cask_status status = cask_get(s->db, name_of(name, key), &value, &err);
    uint64_t version = 0;

    if (status == CASK_OK) {
        cask_slice right;

        assert_true(sscanf(value.data, "%" SCNu64, &version) == 1);
        right = value_of(version, text);
        assert_int_equal(value.size, right.size);
        assert_memory_equal(value.data, right.data, right.size);
    } else if (status != CASK_NOT_FOUND) {
        fail_msg("%s: %s", name, err.message);
    }
    cask_buffer_free(&value);
    return version;
}

typedef struct sums {
    uint64_t keys;
    uint64_t bytes;
} sums;

static bool add_up(void *context, const cask_entry *entry)
{
    sums *found = context;
    record_header header = {.key_size = (uint16_t)entry->key.size,
                            .value_size = entry->info.value_bytes};

    found->keys++;
    found->bytes += record_size(&header);
    return true;
}

static void compare_counters(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_segment_stats *segments = NULL;
    size_t segment_count = 0;
    sums found = {0, 0};
    uint64_t count = 0;
    uint64_t live_bytes = 0;
    uint64_t live_records = 0;

    require_ok(cask_fold(s->db, NULL, add_up, &found, &err), &err);
    require_ok(cask_count(s->db, &count, &err), &err);
    require_ok(cask_segments(s->db, &segments, &segment_count, &err), &err);
    for (size_t i = 0; i < segment_count; i++) {
        live_bytes += segments[i].live_bytes;
        live_records += segments[i].live_records;
    }
    cask_free(segments);
    assert_int_equal(count, found.keys);
    assert_int_equal(live_records, found.keys);
    assert_int_equal(live_bytes, found.bytes);
}

/* The operation is done or not done; all else is as it was. */
static void compare(scene *s, const change *begun)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_slice pulse = cask_slice_of("pulse");
    uint64_t sequence = 0;
    unsigned done = 0;
    unsigned lost = 0;

    require_ok(cask_put_with(s->db, pulse, pulse, NULL, &sequence, &err), &err);
    assert_true(sequence > s->sequence);
    s->sequence = sequence;
    for (unsigned i = 0; i < begun->count; i++) {
        uint64_t found = stored(s, begun->key[i]);
        uint64_t old = s->version[begun->key[i]];

        if (found != begun->version[i] && found != old) {
            fail_msg("k%u has version %" PRIu64 ", neither %" PRIu64
                     " nor %" PRIu64,
                     begun->key[i], found, old, begun->version[i]);
        }
        if (old != begun->version[i]) {
            done += found == begun->version[i];
            lost += found == old;
        }
    }
    if (done > 0 && lost > 0) {
        fail_msg("a batch is half there: %u done, %u lost", done, lost);
    }
    if (lost == 0) {
        note(s, begun);
    }
    for (unsigned key = 0; key < KEYS; key++) {
        assert_int_equal(stored(s, key), s->version[key]);
    }
    compare_counters(s);
}

/* ---- A snapshot of the parent ---- */

static void take_snapshot(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(cask_snapshot_create(s->db, &s->snapshot, &err), &err);
    memcpy(s->then, s->version, sizeof(s->then));
}

/* It is as it was; and when it is gone, nothing is kept for one. */
static void compare_snapshot(scene *s)
{
    cask_buffer value = {NULL, 0, 0};
    cask_error err = {CASK_OK, 0, ""};
    cask_stats stats;

    for (unsigned key = 0; key < KEYS && s->snapshot != NULL; key++) {
        char name[16];
        uint64_t version = 0;
        cask_status status = cask_snapshot_get(s->snapshot, name_of(name, key),
                                               &value, NULL, &err);

        if (status == CASK_OK) {
            assert_true(sscanf(value.data, "%" SCNu64, &version) == 1);
        } else if (status != CASK_NOT_FOUND) {
            require_ok(status, &err);
        }
        assert_int_equal(version, s->then[key]);
    }
    cask_buffer_free(&value);
    cask_snapshot_free(s->snapshot);
    s->snapshot = NULL;
    require_ok(cask_stat(s->db, &stats, &err), &err);
    assert_int_equal(stats.snapshot_count, 0);
    assert_int_equal(stats.undo_bytes, 0);
}

/* ---- Stepping ---- */

/* What the child does: `wanted` on the scene's store. */
typedef struct errand {
    const scene *s;
    const change *wanted;
} errand;

static void *open_in_child(void *context)
{
    const errand *e = context;
    cask_db *db = NULL;

    return cask_open(e->s->path, &e->s->options, &db, NULL) == CASK_OK ? db
                                                                       : NULL;
}

static int perform_in_child(void *prepared, void *context)
{
    const errand *e = context;

    return perform(prepared, e->wanted, NULL) == CASK_OK ? 0 : 1;
}

/* What is swept: the instructions from the call of a function on. */
typedef struct plan {
    void (*prepare)(scene *s, change *ret_change);
    void (*function)(void);
    uint64_t hits;   /* one of the first so many calls */
    uint64_t window; /* instructions */
    bool crowded;    /* much is saved for a snapshot when it begins */
} plan;

/* Give all keys but those of the operation another version. */
static void change_others(scene *s, const change *wanted)
{
    for (unsigned key = 0; key < KEYS; key++) {
        change other = {.count = 1, .key = {key}};
        bool is_wanted = false;

        for (unsigned i = 0; i < wanted->count; i++) {
            is_wanted = is_wanted || wanted->key[i] == key;
        }
        if (!is_wanted) {
            cask_error err = {CASK_OK, 0, ""};

            other.version[0] = ++s->next_version;
            require_ok(perform(s->db, &other, &err), &err);
            note(s, &other);
        }
    }
}

/* Kill at many points of the operation that the plan prepares; every other time
 * the parent has a snapshot. */
static void sweep(scene *s, const plan *wanted)
{
    uint64_t points = test_number("CASK_TEST_POINTS", 40);
    uint64_t deaths = 0;
    uint64_t longest = 0;

    for (uint64_t i = 0; i < points; i++) {
        uint64_t hit = 1 + test_random_next(&s->random, wanted->hits);
        uint64_t limit = 1 + test_random_next(&s->random, wanted->window);
        change begun = {.count = 0};
        errand e = {s, &begun};
        const stepper_work work = {open_in_child, perform_in_child, &e};
        uint64_t steps = 0;
        pid_t pid;

        wanted->prepare(s, &begun);
        if (i % 2 == 1 || wanted->crowded) {
            take_snapshot(s);
            limit += limit / 2; /* to save takes longer */
        }
        if (wanted->crowded) {
            change_others(s, &begun);
        }
        pid = stepper_start(&work);
        if (stepper_run_to(pid, wanted->function, hit)) {
            steps = stepper_step(pid, limit);
            deaths += steps == limit;
            longest = steps > longest ? steps : longest;
        }
        stepper_kill(pid);
        compare(s, &begun);
        compare_snapshot(s);
    }
    print_message("%" PRIu64 " deaths before the end, up to %" PRIu64
                  " instructions\n",
                  deaths, longest);
    assert_true(deaths > points / 8);
}

/* ---- Changes ---- */

static void one(scene *s, change *ret_change, unsigned key, bool put)
{
    ret_change->count = 1;
    ret_change->key[0] = key;
    ret_change->version[0] = put ? ++s->next_version : 0;
}

static void by_parent(scene *s, const change *wanted)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(perform(s->db, wanted, &err), &err);
    note(s, wanted);
}

/* ---- A store ---- */

static void begin_store(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};

    scratch_make(s->path);
    cask_options_init(&s->options);
    s->options.create_if_missing = true;
    s->options.segment_max_bytes = 65536;
    s->options.sync = CASK_SYNC_NONE;
    s->options.auto_merge = false; /* it would seal what is being filled */
    s->options.huge_pages = false;
    require_ok(cask_open(s->path, &s->options, &s->db, &err), &err);
    memset(s->version, 0, sizeof(s->version));
    s->sequence = 0;
    s->fresh = FIRST_KEYS;
    for (unsigned key = 0; key < FIRST_KEYS; key++) {
        change first;

        one(s, &first, key, key % 3 != 0);
        by_parent(s, &first);
    }
}

static void end_store(scene *s)
{
    cask_verify_report report;
    cask_error err = {CASK_OK, 0, ""};

    require_ok(cask_close(s->db, &err), &err);
    require_ok(cask_verify(s->path, NULL, &report, &err), &err);
    assert_int_equal(scratch_regions(s->path), 0);
    scratch_remove(s->path);
}

/* ---- Operations ---- */

static void prepare_overwrite(scene *s, change *ret_change)
{
    one(s, ret_change, 3, true);
}

/* The key was deleted, and so were others near it: a slot is used again. */
static void prepare_new(scene *s, change *ret_change)
{
    unsigned key = 40 + (unsigned)test_random_next(&s->random, 60);
    change gone;

    one(s, &gone, key, false);
    by_parent(s, &gone);
    one(s, ret_change, key, true);
}

static void prepare_delete(scene *s, change *ret_change)
{
    change there;

    one(s, &there, 7, true);
    by_parent(s, &there);
    one(s, ret_change, 7, false);
}

static void prepare_batch(scene *s, change *ret_change)
{
    ret_change->count = 5;
    for (unsigned i = 0; i < 5; i++) {
        ret_change->key[i] = 10 + i;
        ret_change->version[i] = i == 2 ? 0 : ++s->next_version;
    }
}

/* Sixty keys that never were: groups are made, fill, are copied and split. */
static void prepare_growth(scene *s, change *ret_change)
{
    if (s->fresh + BATCH_KEYS > KEYS) {
        end_store(s);
        begin_store(s);
    }
    ret_change->count = BATCH_KEYS;
    for (unsigned i = 0; i < BATCH_KEYS; i++) {
        ret_change->key[i] = s->fresh++;
        ret_change->version[i] = ++s->next_version;
    }
}

/* Keys that no test looks at one by one. */
static void fill_index(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};

    for (unsigned i = 0; i < MORE_KEYS; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "more-%u", i);
        require_ok(
            cask_put(s->db, cask_slice_of(name), (cask_slice){NULL, 0}, &err),
            &err);
    }
}

static void prepare_nothing(scene *s, change *ret_change)
{
    (void)s;
    ret_change->count = 0;
}

/* The active segment is nearly full: the put rotates. */
static void prepare_rotation(scene *s, change *ret_change)
{
    const region_header *header = s->db->store->region.header;
    uint64_t full = 65536 - store_delete_reserve(s->db->store);
    char filler[512];
    cask_error err = {CASK_OK, 0, ""};

    memset(filler, 'f', sizeof(filler));
    while (region_tail_offset(atomic_load(&header->applied_tail)) <
           full - 560) {
        require_ok(cask_put(s->db, cask_slice_of("filler"),
                            (cask_slice){filler, sizeof(filler)}, &err),
                   &err);
    }
    /* No room for the smallest value of a key, 56 bytes, and a mark of 32. */
    for (uint64_t left =
             full - region_tail_offset(atomic_load(&header->applied_tail));
         left >= 88; left -= 40) {
        require_ok(cask_put(s->db, cask_slice_of("filler"),
                            (cask_slice){filler, 8}, &err),
                   &err);
    }
    one(s, ret_change, 5, true);
}

/* ---- Tests ---- */

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->random = test_random_make(test_seed(), 0);
    begin_store(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    end_store(*state);
    free(*state);
    return 0;
}

static void test_overwrite_is_done_or_not(void **state)
{
    const plan p = {prepare_overwrite, STEPPER_FUNCTION(store_append_locked), 1,
                    1100, false};

    sweep(*state, &p);
}

static void test_new_key_is_there_or_not(void **state)
{
    const plan p = {prepare_new, STEPPER_FUNCTION(store_append_locked), 1, 1100,
                    false};

    sweep(*state, &p);
}

static void test_delete_is_done_or_not(void **state)
{
    const plan p = {prepare_delete, STEPPER_FUNCTION(store_append_locked), 1,
                    1100, false};

    sweep(*state, &p);
}

static void test_batch_is_whole_or_not_there(void **state)
{
    const plan p = {prepare_batch, STEPPER_FUNCTION(store_append_locked), 1,
                    4000, false};

    sweep(*state, &p);
}

static void test_growth_of_groups_loses_nothing(void **state)
{
    const plan p = {prepare_growth, STEPPER_FUNCTION(keydir_grow_locked), 8,
                    3000, false};

    sweep(*state, &p);
}

/* Many groups, of which some are split further than others: a split then
 * changes several words of the directory. */
static void test_growth_of_a_large_index_loses_nothing(void **state)
{
    const plan p = {prepare_growth, STEPPER_FUNCTION(keydir_finish_locked), 2,
                    160, false};

    fill_index(*state);
    sweep(*state, &p);
}

static void test_switch_to_the_next_segment_is_done_or_not(void **state)
{
    const plan p = {prepare_rotation, STEPPER_FUNCTION(store_switch_locked), 1,
                    60, false};

    sweep(*state, &p);
}

static void test_rotation_loses_nothing(void **state)
{
    const plan p = {prepare_rotation, STEPPER_FUNCTION(store_switch_locked), 1,
                    3000, false};

    sweep(*state, &p);
}

/* Chunks and buckets come, chains are published, memory is given back. */
static void test_making_and_freeing_a_snapshot_leaves_nothing(void **state)
{
    const plan p = {prepare_nothing, STEPPER_FUNCTION(snapshots_recount_locked),
                    2, 3000, false};

    sweep(*state, &p);
}

static void test_memory_for_what_is_saved_is_whole_or_not_there(void **state)
{
    const plan p = {prepare_batch, STEPPER_FUNCTION(undo_prepare_locked), 1,
                    1500, false};

    sweep(*state, &p);
}

static void test_what_is_saved_is_saved_before_the_change(void **state)
{
    const plan p = {prepare_batch, STEPPER_FUNCTION(undo_save_locked), 5, 100,
                    true};

    sweep(*state, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_making_and_freeing_a_snapshot_leaves_nothing, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_memory_for_what_is_saved_is_whole_or_not_there, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_what_is_saved_is_saved_before_the_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_overwrite_is_done_or_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_new_key_is_there_or_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_delete_is_done_or_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_batch_is_whole_or_not_there,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_growth_of_groups_loses_nothing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_growth_of_a_large_index_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_switch_to_the_next_segment_is_done_or_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation_loses_nothing, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
