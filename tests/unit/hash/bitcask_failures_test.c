/*
 * Failures that were found in Riak's Bitcask, each as a claim about this store.
 * Those that need a real kernel are in tests/process/bitcask_failures_test.c;
 * docs/TESTING.md has the table of all 14.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "hash/hash_merger.h"
#include "hash/hash_merge.h"
#include "log/segment_format.h"
#include "maintain/merge_policy.h"
#include "os/os_fault.h"
#include "region/place.h"
#include "store/store_expiry.h"
#include "store/store_write.h"

enum {
    KEYS = 400,
    KEY_BYTES = 7, /* "key 012" */
    VALUE_BYTES = 1000,
    RECORD_BYTES = 1032,
    VALUE_SIZE_AT = 16 /* in a record */
};

static int small_segments(void **state)
{
    handle *h;

    (void)handle_prepare(state);
    h = *state;
    h->options.segment_max_bytes = 65536;
    h->options.sync = CASK_SYNC_NONE; /* no marks: records at even places */
    handle_open(h);
    return 0;
}

static void key_of(unsigned number, char ret_key[KEY_BYTES + 1])
{
    (void)snprintf(ret_key, KEY_BYTES + 1, "key %03u", number % 1000);
}

static cask_status try_put(handle *h, unsigned number, char fill)
{
    char value[VALUE_BYTES];
    char key[KEY_BYTES + 1];

    memset(value, fill, sizeof(value));
    key_of(number, key);
    return cask_put(h->db, cask_slice_of(key),
                    (cask_slice){value, sizeof(value)}, NULL);
}

static void put_keys(handle *h, unsigned count, char fill)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(try_put(h, i, fill), CASK_OK);
    }
}

/* What the store gives for a key; `ret_fill` on CASK_OK. */
static cask_status look(handle *h, unsigned number, char *ret_fill)
{
    cask_buffer value = {NULL, 0, 0};
    char key[KEY_BYTES + 1];
    cask_status status;

    key_of(number, key);
    status = cask_get(h->db, cask_slice_of(key), &value, NULL);
    if (status == CASK_OK) {
        assert_int_equal(value.size, VALUE_BYTES);
        *ret_fill = ((const char *)value.data)[VALUE_BYTES - 1];
    }
    cask_buffer_free(&value);
    return status;
}

/* `fill` 0: the key is not there. */
static void expect_key(handle *h, unsigned number, char fill)
{
    char found = 0;
    cask_status status = look(h, number, &found);

    assert_int_equal(status, fill == 0 ? CASK_NOT_FOUND : CASK_OK);
    assert_int_equal(found, fill);
}

static void delete_keys(handle *h, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char key[KEY_BYTES + 1];

        key_of(i, key);
        delete_text(h, key);
    }
}

static cask_status merge_all(handle *h)
{
    const cask_merge_options options = {.all = true};

    return cask_merge(h->db, &options, NULL, NULL);
}

/* ---- Files ---- */

typedef struct hints {
    os_file *dir;
    char name[256][32];
    size_t count;
} hints;

static bool note_hint(void *context, const char *name)
{
    hints *all = context;

    if (strstr(name, ".hint") != NULL) {
        assert_true(all->count < 256);
        (void)snprintf(all->name[all->count++], sizeof(all->name[0]), "%s",
                       name);
    }
    return true;
}

/* What may happen to hints: all of them go, or lose their end. */
typedef enum hint_loss { HINTS_KEPT, HINTS_REMOVED, HINTS_CUT } hint_loss;

static void lose_hints(handle *h, hint_loss loss)
{
    const os_ops *ops = h->kernel->ops;
    hints all = {.count = 0};

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &all.dir), 0);
    assert_int_equal(ops->list(all.dir, note_hint, &all), 0);
    for (size_t i = 0; i < all.count && loss != HINTS_KEPT; i++) {
        os_file *file;

        if (loss == HINTS_REMOVED) {
            assert_int_equal(ops->remove(all.dir, all.name[i]), 0);
            continue;
        }
        assert_int_equal(
            ops->open(all.dir, all.name[i], OS_READ | OS_WRITE, 0, &file), 0);
        assert_int_equal(ops->truncate(file, 20), 0);
        ops->close(file);
    }
    ops->close(all.dir);
}

/* Flip a bit of segment `id`. */
static void flip(handle *h, uint64_t id, uint64_t offset)
{
    const os_ops *ops = h->kernel->ops;
    char name[SEGMENT_NAME_SIZE];
    uint8_t byte = 0;
    const os_span span = {&byte, 1};
    size_t got;
    os_file *dir;
    os_file *file;

    segment_name_format(id, name);
    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->open(dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(ops->read_at(file, &byte, 1, offset, &got), 0);
    byte ^= 4;
    assert_int_equal(ops->write_at(file, &span, 1, offset), 0);
    ops->close(file);
    ops->close(dir);
}

/* ---- 1 ---- */

/* Merge each sealed segment without a live record, alone. */
static void merge_dead_segments(handle *h, bool tombstones)
{
    store_handle *store = h->db->store;
    unsigned merged = 0;

    for (uint32_t i = 0; i < atomic_load(&store->region.header->row_count);
         i++) {
        const region_row *row = &store->region.rows[i];
        merge_report report;
        store_expiry expiry;

        if (atomic_load(&row->state) == ROW_SEALED && row->live_records == 0 &&
            (row->tombstones > 0) == tombstones) {
            store_expiry_now(store, true, &expiry);
            assert_int_equal(hash_merge(store, &i, 1, &expiry, &report, NULL),
                             CASK_OK);
            merged++;
        }
    }
    assert_true(merged > 0);
}

static void check_deleted_stay_deleted(handle *h, hint_loss loss)
{
    put_keys(h, KEYS, 'a');
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_OK);
    delete_keys(h, 0, KEYS / 2);
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_OK);
    handle_close(h);
    lose_hints(h, loss);
    handle_open(h);
    merge_dead_segments(h, true);
    for (int again = 0; again < 2; again++) {
        handle_close(h);
        lose_hints(h, loss);
        handle_open(h);
        for (unsigned i = 0; i < KEYS; i++) {
            expect_key(h, i, i < KEYS / 2 ? 0 : 'a');
        }
        assert_int_equal(count_keys(h), KEYS / 2);
    }
}

static void
test_01_deleted_keys_stay_away_when_their_tombstones_are_merged(void **state)
{
    handle *h = *state;

    check_deleted_stay_deleted(h, HINTS_KEPT);
    check_deleted_stay_deleted(h, HINTS_REMOVED);
    check_deleted_stay_deleted(h, HINTS_CUT);
}

/* ---- 2 ---- */

/* Lose power, open again. What was not synced may be torn anywhere. */
static void lose_power(handle *h, uint64_t seed)
{
    cask_status status;

    os_sim_cut(h->sim);
    status = cask_close(h->db, NULL);
    (void)status;
    h->db = NULL;
    assert_int_equal(os_sim_crash(h->sim, seed), 0);
    handle_open(h);
}

static void test_02_what_is_written_behind_a_torn_tail_is_found(void **state)
{
    handle *h = *state;

    for (uint64_t seed = 1; seed <= 8; seed++) {
        put_keys(h, KEYS, 'a');
        assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
        put_keys(h, KEYS, 'b');
        lose_power(h, seed);
        delete_keys(h, 0, KEYS / 2);
        assert_int_equal(try_put(h, KEYS, 'c'), CASK_OK);
        assert_int_equal(merge_all(h), CASK_OK);
        handle_close(h);
        lose_hints(h, HINTS_REMOVED);
        handle_open(h);
        for (unsigned i = 0; i < KEYS / 2; i++) {
            expect_key(h, i, 0);
        }
        assert_int_equal(count_keys(h), KEYS / 2 + 1);
        expect_key(h, KEYS, 'c');
    }
}

/* ---- 3 ---- */

static void
test_03_damaged_sizes_cost_their_record_only_whatever_is_merged(void **state)
{
    enum { DAMAGED = 25 }; /* more than a count of errors would forgive */
    handle *h = *state;
    char fill = 0;

    put_keys(h, KEYS, 'a');
    put_keys(h, 10, 'b'); /* something to merge */
    for (uint64_t i = 0; i < DAMAGED; i++) {
        flip(h, 1,
             SEGMENT_HEADER_SIZE + (10 + i) * RECORD_BYTES + VALUE_SIZE_AT +
                 i % 4);
    }
    assert_int_equal(merge_all(h), CASK_CORRUPT);
    assert_int_equal(merge_all(h), CASK_OK); /* it is left alone from now on */
    for (unsigned i = 0; i < KEYS; i++) {
        if (i >= 10 && i < 10 + DAMAGED) {
            assert_int_equal(look(h, i, &fill), CASK_CORRUPT);
        } else {
            expect_key(h, i, i < 10 ? 'b' : 'a');
        }
    }
}

/* ---- 4 ---- */

static void test_04_a_put_with_sync_commit_survives_at_once(void **state)
{
    static const cask_append ways[] = {CASK_APPEND_AUTO, CASK_APPEND_MAP,
                                       CASK_APPEND_PWRITE};
    handle *h = *state;

    h->options.sync = CASK_SYNC_COMMIT;
    for (unsigned i = 0; i < 60; i++) {
        h->options.append = ways[i % 3];
        handle_reopen(h);
        assert_int_equal(try_put(h, i, 'a'), CASK_OK);
        lose_power(h, i);
        for (unsigned j = 0; j <= i; j++) {
            expect_key(h, j, 'a');
        }
    }
}

/* ---- 5 ---- */

/* Every put that returned CASK_OK is there, no other one. */
static void check_short_write(handle *h, uint64_t fail_at, bool *ret_fired)
{
    const os_fault_plan plan = {.only = OS_CALL_WRITE_AT,
                                .fail_at = fail_at,
                                .error = ENOSPC,
                                .short_write = true};
    bool written[40];
    os_fault fault;

    handle_close(h);
    os_fault_init(&fault, h->kernel);
    h->kernel = &fault.base;
    handle_open(h);
    os_fault_arm(&fault, &plan);
    for (unsigned i = 0; i < 40; i++) {
        cask_status status = try_put(h, i, (char)('a' + fail_at));

        assert_true(status == CASK_OK || status == CASK_NO_SPACE);
        written[i] = status == CASK_OK;
    }
    *ret_fired = os_fault_fired(&fault) > 0;
    /* A write that was not reached by the puts is not to fail in the close. */
    os_fault_arm(&fault, &OS_FAULT_NOTHING);
    for (int again = 0; again < 2; again++) {
        for (unsigned i = 0; i < 40; i++) {
            char found = 0;
            cask_status status = look(h, i, &found);

            assert_true(status == CASK_OK || status == CASK_NOT_FOUND);
            assert_int_equal(found == (char)('a' + fail_at), written[i]);
        }
        handle_reopen(h);
    }
    handle_close(h);
    h->kernel = fault.inner;
    handle_open(h);
}

static void test_05_puts_after_a_short_write_are_readable(void **state)
{
    handle *h = *state;
    bool fired = true;

    h->options.append = CASK_APPEND_PWRITE;
    for (uint64_t fail_at = 0; fired && fail_at < 50; fail_at += 7) {
        check_short_write(h, fail_at, &fired);
    }
    assert_false(fired);
}

/* ---- 9, 10, 11 ---- */

static void test_09_files_of_tombstones_alone_are_merged(void **state)
{
    const cask_merge_options by_policy = {.all = false};
    handle *h = *state;
    cask_segment_stats *segments = NULL;
    size_t count = 0;

    put_keys(h, KEYS, 'a');
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_OK);
    delete_keys(h, 0, KEYS);
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_OK);
    merge_dead_segments(h, false);
    handle_reopen(h);
    assert_int_equal(cask_merge(h->db, &by_policy, NULL, NULL), CASK_OK);
    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(segments[i].tombstones, 0);
    }
    cask_free(segments);
    assert_int_equal(count_keys(h), 0);
}

static void test_10_values_may_begin_with_any_word(void **state)
{
    static const char *const values[] = {"bitcask_tombstone",
                                         "bitcask_tombstone1\1\2\3\4",
                                         "bitcask_tombstone2 and more"};
    handle *h = *state;

    for (int again = 0; again < 3; again++) {
        for (size_t i = 0; i < 3; i++) {
            put_text(h, values[i], values[i]);
        }
        assert_int_equal(merge_all(h), CASK_OK);
        handle_reopen(h);
        for (size_t i = 0; i < 3; i++) {
            check_text(h, values[i], values[i]);
        }
    }
}

static void test_11_a_key_that_is_too_long_is_refused(void **state)
{
    handle *h = *state;
    uint8_t *bytes = make_bytes(65537, 1);
    const cask_slice value = cask_slice_of("v");
    cask_buffer found = {NULL, 0, 0};

    for (size_t size = 65535; size <= 65537; size++) {
        const cask_slice key = {bytes, size};
        cask_status expected = size == 65535 ? CASK_OK : CASK_INVALID;

        assert_int_equal(cask_put(h->db, key, value, NULL), expected);
        assert_int_equal(cask_get(h->db, key, &found, NULL), expected);
        assert_int_equal(cask_delete(h->db, key, NULL, NULL), expected);
    }
    assert_int_equal(try_put(h, 1, 'a'), CASK_OK);
    expect_key(h, 1, 'a');
    cask_buffer_free(&found);
    free(bytes);
}

/* ---- 12 ---- */

static void test_12_damage_of_the_newest_version_is_told(void **state)
{
    handle *h = *state;
    const store_handle *store;
    store_indexed named = {.key = {NULL, 0}};
    cask_verify_report report;
    uint64_t place;
    char fill = 0;

    put_keys(h, 100, 'a');
    put_keys(h, 100, 'b');
    handle_reopen(h); /* now there are hints, which say whose place it is */
    store = h->db->store;
    named.hash = siphash(store->identity.hash_key, "key 000", KEY_BYTES);
    place = store->engine->place_locked(h->db->store, &named);
    flip(h, atomic_load(&store->region.rows[place_row(place)].file_id),
         place_offset(place) + RECORD_BYTES / 2);
    for (int again = 0; again < 3; again++) {
        cask_status status = look(h, 0, &fill);

        assert_int_equal(status, CASK_CORRUPT); /* not absent, not 'a' */
        expect_key(h, 1, 'b');
        if (again == 0) {
            assert_int_equal(merge_all(h), CASK_CORRUPT);
        } else if (again == 1) {
            handle_reopen(h);
        }
    }
    handle_close(h);
    assert_int_equal(db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, NULL),
                     CASK_CORRUPT);
    handle_open(h);
}

/* ---- 13 ---- */

static bool count_entry(void *context, const cask_entry *entry)
{
    (void)entry;
    ++*(unsigned *)context;
    return true;
}

/* Keys with numbers from KEYS on, whose time is over. */
static void put_expired_keys(handle *h, unsigned count)
{
    const cask_write_options soon = {.expires_at_ms = HANDLE_NOW_MS + 1000};
    char value[VALUE_BYTES];

    memset(value, 'e', sizeof(value));
    for (unsigned i = KEYS; i < KEYS + count; i++) {
        char key[KEY_BYTES + 1];

        key_of(i, key);
        assert_int_equal(cask_put_with(h->db, cask_slice_of(key),
                                       (cask_slice){value, sizeof(value)},
                                       &soon, NULL, NULL),
                         CASK_OK);
    }
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 5000);
}

/* No read gives an expired key; the count is that of the index, which may have
 * it, and says that; a merge leaves no trace of it. */
static void
test_13_expired_keys_are_gone_and_their_space_comes_back(void **state)
{
    enum { EXPIRED = 200 };
    handle *h = *state;
    unsigned folded = 0;
    cask_stats stats;
    uint64_t counted;

    put_keys(h, KEYS, 'a');
    put_expired_keys(h, EXPIRED);
    for (unsigned i = 0; i < KEYS + EXPIRED; i++) {
        expect_key(h, i, i < KEYS ? 'a' : 0);
    }
    assert_int_equal(cask_fold(h->db, NULL, count_entry, &folded, NULL),
                     CASK_OK);
    assert_int_equal(folded, KEYS);
    counted = count_keys(h);
    assert_in_range(counted, KEYS, KEYS + EXPIRED);
    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    assert_int_equal(stats.key_count, counted);
    assert_true(counted == KEYS || stats.may_expire);
    assert_true(stats.data_bytes >= (KEYS + EXPIRED) * RECORD_BYTES);
    assert_int_equal(merge_all(h), CASK_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(count_keys(h), KEYS);
        assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
        assert_int_equal(stats.key_count, KEYS);
        assert_false(stats.may_expire);
        assert_true(stats.data_bytes < (KEYS + EXPIRED / 4) * RECORD_BYTES);
        handle_reopen(h);
    }
}

static void test_13_the_options_of_an_open_reach_its_merges(void **state)
{
    cask_segment_stats *segments = NULL;
    handle *h = *state;
    size_t count = 0;

    put_keys(h, KEYS, 'a');
    put_keys(h, KEYS, 'b');
    assert_int_equal(merge_all(h), CASK_OK);
    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    assert_true(count >= KEYS * RECORD_BYTES / 65536);
    for (size_t i = 0; i < count; i++) {
        assert_true(segments[i].total_bytes <= h->options.segment_max_bytes);
    }
    cask_free(segments);
}

/* ---- 14 ---- */

static void test_14_figures_beyond_32_bits_do_not_wrap(void **state)
{
    enum { MANY = 100 };
    const uint64_t large = UINT64_C(1) << 30;
    merge_settings settings = merge_settings_default(large);
    const merge_moment moment = {.total_bytes = MANY * large,
                                 .free_disk_bytes = UINT64_MAX,
                                 .open_ms = UINT64_MAX,
                                 .all_below_id = MANY + 1,
                                 .is_in_window = true};
    merge_segment segments[MANY];
    merge_choice choices[MANY];
    merge_plan plan;
    cask_stats stats;
    handle *h = *state;
    _Atomic uint64_t *written = &h->db->store->region.header->bytes_written;

    atomic_store(written, UINT32_MAX - UINT64_C(10));
    assert_int_equal(try_put(h, 1, 'a'), CASK_OK);
    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    assert_int_equal(stats.bytes_written,
                     UINT32_MAX - UINT64_C(10) + RECORD_BYTES);
    for (unsigned i = 0; i < MANY; i++) {
        segments[i] = (merge_segment){.id = i + 1,
                                      .bytes = large,
                                      .records = 1000,
                                      .first_sequence = 1000 * i + 1,
                                      .last_sequence = 1000 * i + 1000};
    }
    merge_policy_choose(&settings, &moment, segments, MANY, choices, &plan);
    assert_true(plan.count > 4);
    assert_int_equal(plan.freed_bytes / plan.count,
                     large - SEGMENT_HEADER_SIZE);
}

int main(void)
{
#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, small_segments, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_STORE(
            test_01_deleted_keys_stay_away_when_their_tombstones_are_merged),
        WITH_STORE(test_02_what_is_written_behind_a_torn_tail_is_found),
        WITH_STORE(
            test_03_damaged_sizes_cost_their_record_only_whatever_is_merged),
        WITH_STORE(test_04_a_put_with_sync_commit_survives_at_once),
        WITH_STORE(test_05_puts_after_a_short_write_are_readable),
        WITH_STORE(test_09_files_of_tombstones_alone_are_merged),
        WITH_STORE(test_10_values_may_begin_with_any_word),
        WITH_STORE(test_11_a_key_that_is_too_long_is_refused),
        WITH_STORE(test_12_damage_of_the_newest_version_is_told),
        WITH_STORE(test_13_expired_keys_are_gone_and_their_space_comes_back),
        WITH_STORE(test_13_the_options_of_an_open_reach_its_merges),
        WITH_STORE(test_14_figures_beyond_32_bits_do_not_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
