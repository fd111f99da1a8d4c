/*
 * The life of segments: rotation, seals, hints, ids, marks; a tail that moves
 * because the leader of a sync died; files that are in the way.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/hint_format.h"
#include "log/scan.h"
#include "log/segment.h"
#include "os/os_fault.h"
#include "store/store.h"
#include "store/store_read.h"
#include "store/store_recover.h"
#include "store/store_write.h"

enum { SEGMENT_MAX = 64 << 10, VALUE = 4000, MANY = 200 };

/* ---- Events, files ------------------------------------------------------- */

typedef struct events {
    _Atomic int count[16];
} events;

static events seen;

static void note(void *context, const cask_event *event)
{
    (void)context;
    assert_true(event->message != NULL && event->message[0] != 0);
    atomic_fetch_add(&seen.count[event->kind], 1);
}

static int setup(void **state)
{
    handle *h;

    memset(&seen, 0, sizeof(seen));
    (void)handle_prepare(state);
    h = *state;
    h->options.segment_max_bytes = SEGMENT_MAX;
    h->options.on_event = note;
    handle_open(h);
    return 0;
}

typedef struct segments {
    cask_segment_stats *items;
    size_t count;
} segments;

static segments list(handle *h)
{
    segments all = {NULL, 0};

    assert_int_equal(cask_segments(h->db, &all.items, &all.count, NULL),
                     CASK_OK);
    return all;
}

/* The whole file; the caller frees it. NULL: it is missing. */
static uint8_t *read_file(handle *h, const char *name, size_t *ret_size)
{
    const os_ops *ops = h->kernel->ops;
    uint8_t *bytes = NULL;
    os_file *file;
    os_file *dir;
    os_stat stat;

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    if (ops->open(dir, name, OS_READ, 0, &file) == 0) {
        assert_int_equal(ops->stat(file, &stat), 0);
        bytes = malloc(stat.size + 1);
        assert_non_null(bytes);
        assert_int_equal(ops->read_at(file, bytes, stat.size, 0, ret_size), 0);
        ops->close(file);
    }
    ops->close(dir);
    return bytes;
}

static void fill(handle *h, int from, int count)
{
    uint8_t *value = make_bytes(VALUE, 1);

    for (int i = from; i < from + count; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", i);
        store_u64(value, (uint64_t)i);
        put_bytes(h, key, value, VALUE);
    }
    free(value);
}

static void check_filled(handle *h, int count)
{
    uint8_t *value = make_bytes(VALUE, 1);

    for (int i = 0; i < count; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", i);
        store_u64(value, (uint64_t)i);
        check_bytes(h, key, value, VALUE);
    }
    free(value);
}

/* ---- Rotation ------------------------------------------------------------ */

static void test_full_segments_are_sealed_in_order(void **state)
{
    handle *h = *state;
    segments all;

    fill(h, 0, MANY);
    check_filled(h, MANY);
    all = list(h);
    assert_true(all.count > MANY * VALUE / SEGMENT_MAX);
    assert_true(atomic_load(&seen.count[CASK_EVENT_ROTATED]) >=
                (int)all.count - 1);
    for (size_t i = 0; i < all.count; i++) {
        assert_int_equal(all.items[i].sealed, i + 1 < all.count);
        assert_true(all.items[i].total_bytes <= SEGMENT_MAX);
        if (i > 0) {
            assert_true(all.items[i].id > all.items[i - 1].id);
            assert_true(all.items[i].first_sequence >
                        all.items[i - 1].last_sequence);
        }
    }
    cask_free(all.items);
}

static void test_a_sealed_segment_ends_with_a_footer(void **state)
{
    handle *h = *state;
    segments all;

    fill(h, 0, MANY);
    all = list(h);
    for (size_t i = 0; i + 1 < all.count; i++) {
        char name[SEGMENT_NAME_SIZE];
        segment_footer footer;
        segment_header header;
        uint8_t *bytes;
        size_t size = 0;

        segment_name_format(all.items[i].id, name);
        bytes = read_file(h, name, &size);
        assert_non_null(bytes);
        assert_int_equal(segment_header_decode(bytes, name, &header, NULL),
                         CASK_OK);
        assert_int_equal(size, SEGMENT_HEADER_SIZE + all.items[i].total_bytes +
                                   SEGMENT_FOOTER_SIZE);
        assert_int_equal(
            segment_footer_decode(bytes + size - SEGMENT_FOOTER_SIZE, name,
                                  size - SEGMENT_FOOTER_SIZE, &footer, NULL),
            CASK_OK);
        assert_int_equal(footer.nonce, header.nonce);
        assert_int_equal(footer.last_sequence, all.items[i].last_sequence);
        free(bytes);
    }
    cask_free(all.items);
}

static void test_close_leaves_a_hint_for_each_sealed_segment(void **state)
{
    handle *h = *state;
    segments all;

    fill(h, 0, MANY);
    handle_reopen(h);
    all = list(h);
    for (size_t i = 0; i < all.count; i++) {
        char name[SEGMENT_NAME_SIZE];
        hint_header header;
        uint8_t *bytes;
        size_t size = 0;

        hint_name_format(all.items[i].id, name);
        bytes = read_file(h, name, &size);
        assert_int_equal(bytes != NULL, all.items[i].sealed);
        assert_int_equal(all.items[i].has_hint, all.items[i].sealed);
        if (bytes != NULL) {
            assert_int_equal(hint_header_decode(bytes, name, &header, NULL),
                             CASK_OK);
            assert_int_equal(size, hint_file_bytes(&header));
            assert_int_equal(header.row_count, all.items[i].live_records);
        }
        free(bytes);
    }
    assert_int_equal(atomic_load(&seen.count[CASK_EVENT_HINT]), 0);
    check_filled(h, MANY);
    cask_free(all.items);
}

/* A damaged hint is told and replaced; meanwhile the data is read. */
static void test_a_hint_that_is_lost_is_written_again(void **state)
{
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];
    uint8_t *before;
    uint8_t *after;
    size_t size = 0;
    segments all;
    os_file *dir;

    fill(h, 0, MANY);
    all = list(h);
    hint_name_format(all.items[0].id, name);
    handle_close(h);
    before = read_file(h, name, &size);
    assert_non_null(before);
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(h->kernel->ops->remove(dir, name), 0);
    h->kernel->ops->close(dir);
    handle_open(h);
    check_filled(h, MANY);
    handle_close(h);
    after = read_file(h, name, &size);
    assert_non_null(after);
    assert_memory_equal(before, after, size);
    handle_open(h);
    free(before);
    free(after);
    cask_free(all.items);
}

static void test_a_value_larger_than_a_segment_has_its_own(void **state)
{
    handle *h = *state;
    uint8_t *value = make_bytes(5 * SEGMENT_MAX, 9);
    segments all;
    size_t larger = 0;

    fill(h, 0, 5);
    put_bytes(h, "large", value, 5 * SEGMENT_MAX);
    fill(h, 5, 5);
    handle_reopen(h);
    check_filled(h, 10);
    check_bytes(h, "large", value, 5 * SEGMENT_MAX);
    all = list(h);
    for (size_t i = 0; i < all.count; i++) {
        larger += all.items[i].total_bytes > SEGMENT_MAX ? 1 : 0;
    }
    assert_int_equal(larger, 1);
    cask_free(all.items);
    free(value);
}

/* ---- Ids, sequences, sessions -------------------------------------------- */

static void test_ids_and_sequences_grow_over_sessions(void **state)
{
    handle *h = *state;
    uint64_t last_sequence = 0;
    uint64_t last_id = 0;

    h->options.small_file_threshold_bytes = 0; /* each close seals */
    for (int session = 0; session < 12; session++) {
        segments all;
        cask_stats stats;

        handle_reopen(h);
        put_text(h, "k", "v");
        all = list(h);
        assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
        assert_true(stats.sequence > last_sequence);
        assert_true(all.items[all.count - 1].id > last_id);
        last_sequence = stats.sequence;
        last_id = all.items[all.count - 1].id;
        cask_free(all.items);
    }
}

/* 65,536 calls of the command line do not make 65,536 segments. */
static void test_small_sessions_share_a_segment(void **state)
{
    handle *h = *state;
    segments all;

    for (int session = 0; session < 50; session++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", session);
        put_text(h, key, key);
        handle_reopen(h);
    }
    all = list(h);
    assert_int_equal(all.count, 1);
    assert_int_equal(count_keys(h), 50);
    cask_free(all.items);
}

static void test_sessions_that_write_nothing_change_nothing(void **state)
{
    handle *h = *state;
    size_t first_size = 0;
    size_t last_size = 0;
    uint8_t *first;
    uint8_t *last;

    put_text(h, "k", "v");
    handle_reopen(h);
    first = read_file(h, "MANIFEST", &first_size);
    for (int session = 0; session < 20; session++) {
        check_text(h, "k", "v");
        handle_reopen(h);
    }
    last = read_file(h, "MANIFEST", &last_size);
    assert_int_equal(first_size, last_size);
    free(first);
    free(last);
}

/* ---- Marks --------------------------------------------------------------- */

static size_t count_marks(handle *h, uint64_t id, uint64_t *ret_trusted)
{
    char name[SEGMENT_NAME_SIZE];
    segment_header header;
    segment_scan scan;
    scan_item item;
    uint8_t *bytes;
    size_t marks = 0;
    size_t size = 0;

    segment_name_format(id, name);
    bytes = read_file(h, name, &size);
    assert_non_null(bytes);
    assert_int_equal(segment_header_decode(bytes, name, &header, NULL),
                     CASK_OK);
    scan_begin(&scan, bytes, size, header.nonce, SEGMENT_HEADER_SIZE);
    while (scan_next(&scan, &item) == SCAN_RECORD) {
        marks += record_kind(&item.header) == RECORD_MARK ? 1 : 0;
    }
    *ret_trusted = scan_trusted_end(bytes, size, header.nonce);
    free(bytes);
    return marks;
}

static void test_the_record_after_a_sync_is_preceded_by_a_mark(void **state)
{
    handle *h = *state;
    segments all;
    uint64_t trusted;

    h->options.sync = CASK_SYNC_NONE;
    handle_reopen(h);
    all = list(h);
    put_text(h, "a", "1");
    assert_int_equal(count_marks(h, all.items[0].id, &trusted), 0);
    assert_int_equal(trusted, SEGMENT_HEADER_SIZE);
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    assert_int_equal(count_marks(h, all.items[0].id, &trusted), 0);
    put_text(h, "b", "2");
    put_text(h, "c", "3");
    assert_int_equal(count_marks(h, all.items[0].id, &trusted), 1);
    assert_int_equal(trusted, SEGMENT_HEADER_SIZE + 32); /* `a`, no more */
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    handle_close(h);
    assert_int_equal(count_marks(h, all.items[0].id, &trusted), 2);
    handle_open(h);
    cask_free(all.items);
}

/* ---- A leader that died -------------------------------------------------- */

/* As if a process had died between begin and end of a sync, of which this
 * handle's descriptor would not have been told. */
static void kill_leader(cask_db *db)
{
    region_commit *commit = &db->store->region.header->commit;

    atomic_store(&commit->leader, (UINT64_C(999) << 16) | 400);
    atomic_store(&commit->sync_running, 1);
}

static void test_the_tail_of_a_dead_leader_moves(void **state)
{
    handle *h = *state;
    handle other;
    segments before;
    segments after;
    cask_stats stats;

    h->options.sync = CASK_SYNC_NONE;
    handle_reopen(h);
    fill(h, 0, 3);
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    fill(h, 3, 3);
    put_text(h, "deleted", "soon");
    delete_text(h, "deleted");
    /* A second handle, whose descriptor is younger than that sync. */
    other = *h;
    handle_open(&other);
    put_text(&other, "opens", "the segment");
    before = list(h);
    kill_leader(h->db);
    assert_false(store_can_vouch_locked(other.db->store));
    assert_int_equal(cask_sync(other.db, NULL), CASK_OK);
    after = list(h);
    assert_int_equal(after.count, before.count + 1);
    assert_true(after.items[before.count - 1].sealed);
    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    assert_int_equal(stats.durable_sequence, stats.sequence);
    for (int round = 0; round < 2; round++) {
        check_filled(h, 6);
        check_text(h, "opens", "the segment");
        check_text(h, "deleted", NULL);
        assert_int_equal(count_keys(h), 7);
        put_text(h, "opens", "the segment");
        if (round == 0) {
            handle_close(&other);
            handle_reopen(h);
        }
    }
    cask_free(before.items);
    cask_free(after.items);
}

/* A handle whose descriptor is older hears of a failure itself: no move. */
static void test_an_older_descriptor_vouches_for_a_dead_leader(void **state)
{
    handle *h = *state;
    segments before;
    segments after;

    fill(h, 0, 3);
    before = list(h);
    kill_leader(h->db);
    assert_true(store_can_vouch_locked(h->db->store));
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    after = list(h);
    assert_int_equal(after.count, before.count);
    check_filled(h, 3);
    cask_free(before.items);
    cask_free(after.items);
}

/* ---- In the way ---------------------------------------------------------- */

/* Directories where the next segments should be: their ids are left out. */
static void test_things_in_the_way_of_new_segments_are_passed_by(void **state)
{
    handle *h = *state;
    segments all = list(h);
    uint64_t id = all.items[0].id;

    cask_free(all.items);
    for (uint64_t i = 1; i < 100; i += 1 + i / 3) {
        char path[64];
        char name[SEGMENT_NAME_SIZE];

        segment_name_format(id + i, name);
        (void)snprintf(path, sizeof(path), HANDLE_PATH "/%s", name);
        assert_int_equal(h->kernel->ops->make_dir(h->kernel, path, 0700), 0);
    }
    fill(h, 0, MANY);
    check_filled(h, MANY);
    handle_reopen(h);
    check_filled(h, MANY);
    all = list(h);
    assert_true(all.count > 10);
    cask_free(all.items);
}

/* Not which of them, the last that was tried, say: all are to go. */
static void test_that_all_names_are_taken_is_said(void **state)
{
    const os_fault_plan plan = {
        .only = OS_CALL_OPEN, .error = EEXIST, .for_ever = true};
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    uint8_t *bytes = make_bytes(VALUE, 1);
    cask_status status = CASK_OK;
    os_fault fault;

    handle_close(h);
    os_fault_init(&fault, h->kernel);
    h->kernel = &fault.base;
    handle_open(h);
    put_text(h, "k", "v"); /* opens the active one */
    os_fault_arm(&fault, &plan);
    for (int i = 0; i < MANY && status == CASK_OK; i++) {
        status = cask_put(h->db, cask_slice_of("k"), (cask_slice){bytes, VALUE},
                          &err);
    }
    os_fault_arm(&fault, &OS_FAULT_NOTHING);
    free(bytes);
    assert_int_equal(status, CASK_IO);
    assert_int_equal(err.os_errno, EEXIST);
    assert_non_null(strstr(err.message, "1000 names for a new segment are "
                                        "taken; move those files away: "));
    handle_close(h);
    h->kernel = fault.inner;
    handle_open(h);
}

/* More things in the way than one listing takes, and a file behind them. */
enum { LEFTOVERS = 200 };

static void leftover_name(int i, char ret_name[32])
{
    (void)snprintf(ret_name, 32, "%016x.hint.new", 0x1000 + (unsigned)i);
}

static void plant_file(handle *h, const char *name)
{
    const os_ops *ops = h->kernel->ops;
    os_file *file;
    os_file *dir;

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->open(dir, name, OS_WRITE | OS_CREATE, 0600, &file),
                     0);
    ops->close(file);
    ops->close(dir);
}

static bool is_there(handle *h, const char *name)
{
    os_file *dir;
    os_stat stat;
    int os_errno;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    os_errno = h->kernel->ops->stat_name(dir, name, &stat);
    h->kernel->ops->close(dir);
    return os_errno == 0;
}

static void
test_directories_named_like_leftovers_do_not_hold_up_an_open(void **state)
{
    handle *h = *state;
    char name[32];

    put_text(h, "k", "v");
    handle_close(h);
    plant_file(h, "0000000000000100.hint.new");
    for (int i = 0; i < LEFTOVERS; i++) {
        char path[64];

        leftover_name(i, name);
        (void)snprintf(path, sizeof(path), HANDLE_PATH "/%s", name);
        assert_int_equal(h->kernel->ops->make_dir(h->kernel, path, 0700), 0);
    }
    plant_file(h, "fffffffffffff000.hint.new");
    handle_open(h);
    check_text(h, "k", "v");
    assert_false(is_there(h, "0000000000000100.hint.new"));
    assert_false(is_there(h, "fffffffffffff000.hint.new"));
    for (int i = 0; i < LEFTOVERS; i++) {
        leftover_name(i, name);
        assert_true(is_there(h, name));
    }
    assert_int_equal(atomic_load(&seen.count[CASK_EVENT_LEFTOVER]), 2);
}

static void
test_leftovers_that_cannot_be_removed_do_not_hold_up_an_open(void **state)
{
    const os_fault_plan plan = {
        .only = OS_CALL_REMOVE, .error = EPERM, .for_ever = true};
    handle *h = *state;
    os_fault fault;
    char name[32];

    put_text(h, "k", "v");
    handle_close(h);
    for (int i = 0; i < LEFTOVERS; i++) {
        leftover_name(i, name);
        plant_file(h, name);
    }
    os_fault_init(&fault, h->kernel);
    os_fault_arm(&fault, &plan);
    h->kernel = &fault.base;
    handle_open(h);
    check_text(h, "k", "v");
    handle_close(h);
    assert_true(os_fault_fired(&fault) > 0);
    h->kernel = fault.inner;
    /* Then they can be: all of them go, however many. */
    handle_open(h);
    for (int i = 0; i < LEFTOVERS; i++) {
        leftover_name(i, name);
        assert_false(is_there(h, name));
    }
    assert_int_equal(atomic_load(&seen.count[CASK_EVENT_LEFTOVER]), LEFTOVERS);
}

int main(void)
{
#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_full_segments_are_sealed_in_order),
        WITH_STORE(test_a_sealed_segment_ends_with_a_footer),
        WITH_STORE(test_close_leaves_a_hint_for_each_sealed_segment),
        WITH_STORE(test_a_hint_that_is_lost_is_written_again),
        WITH_STORE(test_a_value_larger_than_a_segment_has_its_own),
        WITH_STORE(test_ids_and_sequences_grow_over_sessions),
        WITH_STORE(test_small_sessions_share_a_segment),
        WITH_STORE(test_sessions_that_write_nothing_change_nothing),
        WITH_STORE(test_the_record_after_a_sync_is_preceded_by_a_mark),
        WITH_STORE(test_the_tail_of_a_dead_leader_moves),
        WITH_STORE(test_an_older_descriptor_vouches_for_a_dead_leader),
        WITH_STORE(test_things_in_the_way_of_new_segments_are_passed_by),
        WITH_STORE(test_that_all_names_are_taken_is_said),
        WITH_STORE(
            test_directories_named_like_leftovers_do_not_hold_up_an_open),
        WITH_STORE(
            test_leftovers_that_cannot_be_removed_do_not_hold_up_an_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
