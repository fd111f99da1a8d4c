/*
 * Snapshots: they answer what the store held at their moment, whatever is
 * written, deleted, merged or expires afterwards, and give everything back.
 */
#include "unit/hash/numbered.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "os/os_fault.h"
#include "region/undo.h"

static void put_all(cask_db *db, char fill)
{
    for (unsigned i = 0; i < KEYS; i++) {
        put_key(db, i, fill);
    }
}

static cask_snapshot *make(cask_db *db)
{
    cask_snapshot *snapshot = NULL;
    cask_error err = {CASK_OK, 0, ""};

    if (cask_snapshot_create(db, &snapshot, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    return snapshot;
}

/* fill 0: it has no value. */
static void expect_key(cask_snapshot *snapshot, unsigned number, char fill)
{
    cask_buffer value = {0};
    bool exists = fill == 0;
    char key[32];

    (void)snprintf(key, sizeof(key), "key %u", number);
    assert_int_equal(
        cask_snapshot_get(snapshot, cask_slice_of(key), &value, NULL, NULL),
        fill == 0 ? CASK_NOT_FOUND : CASK_OK);
    if (fill != 0) {
        assert_int_equal(value.size, VALUE_BYTES);
        assert_int_equal(((const char *)value.data)[VALUE_BYTES - 1], fill);
    }
    assert_int_equal(
        cask_snapshot_exists(snapshot, cask_slice_of(key), &exists, NULL),
        CASK_OK);
    assert_int_equal(exists, fill != 0);
    cask_buffer_free(&value);
}

typedef struct visits {
    char fill;           /* that all values have; 0: keys only */
    unsigned seen[KEYS]; /* how often */
    unsigned count;
    uint64_t sequence; /* of the last */
} visits;

static bool visit(void *context, const cask_entry *entry)
{
    visits *v = context;
    char text[32] = "";
    unsigned number;

    memcpy(text, entry->key.data, entry->key.size);
    assert_int_equal(sscanf(text, "key %u", &number), 1);
    assert_true(number < KEYS);
    v->seen[number]++;
    v->count++;
    assert_true(entry->info.sequence > v->sequence);
    v->sequence = entry->info.sequence;
    assert_int_equal(entry->info.value_bytes, VALUE_BYTES);
    if (v->fill == 0) {
        assert_int_equal(entry->value.size, 0);
    } else {
        assert_int_equal(((const char *)entry->value.data)[0], v->fill);
    }
    return true;
}

/* Keys `from` to `to` - 1 are there, once, with this value. */
static void expect_fold(cask_snapshot *snapshot, uint32_t parts, unsigned from,
                        unsigned to, char fill)
{
    visits v = {.fill = fill};

    for (uint32_t part = 0; part < parts; part++) {
        const cask_fold_options options = {
            .keys_only = fill == 0, .parts = parts, .part = part};

        v.sequence = 0;
        assert_int_equal(
            cask_snapshot_fold(snapshot, &options, visit, &v, NULL), CASK_OK);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(v.seen[i], i >= from && i < to);
    }
}

static void expect_all(cask_snapshot *snapshot, char fill)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < KEYS; i++) {
        expect_key(snapshot, i, fill);
    }
    assert_int_equal(cask_snapshot_count(snapshot, &count, NULL), CASK_OK);
    assert_int_equal(count, fill == 0 ? 0 : KEYS);
    expect_fold(snapshot, 1, 0, fill == 0 ? 0 : KEYS, fill);
    expect_fold(snapshot, 3, 0, fill == 0 ? 0 : KEYS, fill);
    expect_fold(snapshot, 1, 0, fill == 0 ? 0 : KEYS, 0);
}

static void
test_it_answers_what_was_whatever_is_written_and_merged(void **state)
{
    handle *h = *state;
    cask_snapshot *nothing = make(h->db);
    cask_snapshot *a;
    cask_snapshot *b;
    cask_snapshot *deleted;

    put_all(h->db, 'a');
    a = make(h->db);
    put_all(h->db, 'b');
    b = make(h->db);
    handle_merge_all(h);
    for (unsigned i = 0; i < KEYS; i++) {
        delete_key(h, i);
    }
    deleted = make(h->db);
    handle_merge_all(h);
    put_all(h->db, 'c');
    put_all(h->db, 'd');
    handle_merge_all(h);
    expect_all(nothing, 0);
    expect_all(a, 'a');
    expect_all(b, 'b');
    expect_all(deleted, 0);
    cask_snapshot_free(a);
    expect_all(b, 'b');
    cask_snapshot_free(b);
    expect_all(nothing, 0);
    cask_snapshot_free(nothing);
    expect_all(deleted, 0);
    cask_snapshot_free(deleted);
}

static void test_another_handle_s_writes_are_not_seen(void **state)
{
    handle *h = *state;
    cask_db *other = NULL;
    cask_snapshot *snapshot;

    assert_int_equal(
        db_open_on(h->kernel, HANDLE_PATH, &h->options, &other, NULL), CASK_OK);
    put_all(h->db, 'a');
    snapshot = make(h->db);
    put_all(other, 'b');
    expect_all(snapshot, 'a');
    cask_snapshot_free(snapshot);
    assert_int_equal(cask_close(other, NULL), CASK_OK);
}

static void test_many_keys_at_once(void **state)
{
    handle *h = *state;
    static char text[KEYS][32];
    static cask_buffer values[KEYS];
    cask_status statuses[KEYS];
    cask_slice keys[KEYS];
    cask_snapshot *snapshot;

    for (unsigned i = 0; i < KEYS; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "key %u", i);
        keys[i] = cask_slice_of(text[i]);
        if (i % 2 == 0) {
            put_key(h->db, i, 'a');
        }
    }
    snapshot = make(h->db);
    put_all(h->db, 'b');
    assert_int_equal(
        cask_snapshot_get_many(snapshot, keys, KEYS, values, statuses, NULL),
        CASK_OK);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(statuses[i], i % 2 == 0 ? CASK_OK : CASK_NOT_FOUND);
        if (i % 2 == 0) {
            assert_int_equal(((const char *)values[i].data)[0], 'a');
        }
        cask_buffer_free(&values[i]);
    }
    cask_snapshot_free(snapshot);
}

static void test_a_batch_is_in_it_wholly_or_not_at_all(void **state)
{
    handle *h = *state;
    cask_batch *batch = NULL;
    cask_snapshot *before;
    cask_snapshot *after;
    uint64_t count = 0;

    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    for (unsigned i = 0; i < 20; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "key %u", i);
        assert_int_equal(cask_batch_put(batch, cask_slice_of(key),
                                        cask_slice_of("value"), 0, NULL),
                         CASK_OK);
    }
    before = make(h->db);
    assert_int_equal(cask_write(h->db, batch, NULL), CASK_OK);
    after = make(h->db);
    assert_int_equal(cask_snapshot_sequence(after),
                     cask_snapshot_sequence(before) + 20);
    assert_int_equal(cask_snapshot_count(before, &count, NULL), CASK_OK);
    assert_int_equal(count, 0);
    assert_int_equal(cask_snapshot_count(after, &count, NULL), CASK_OK);
    assert_int_equal(count, 20);
    cask_batch_free(batch);
    cask_snapshot_free(before);
    cask_snapshot_free(after);
}

static void test_nothing_expires_in_it(void **state)
{
    handle *h = *state;
    cask_write_options options = {.ttl_ms = 5000};
    cask_buffer value = {0};
    cask_snapshot *early;
    cask_snapshot *late;
    cask_info info;

    assert_int_equal(cask_put_with(h->db, cask_slice_of("key 1"),
                                   cask_slice_of("value"), &options, NULL,
                                   NULL),
                     CASK_OK);
    early = make(h->db);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 6000);
    late = make(h->db);
    check_text(h, "key 1", NULL);
    assert_int_equal(
        cask_snapshot_get(early, cask_slice_of("key 1"), &value, &info, NULL),
        CASK_OK);
    assert_int_equal(info.expires_at_ms, HANDLE_NOW_MS + 5000);
    assert_int_equal(
        cask_snapshot_get(late, cask_slice_of("key 1"), &value, &info, NULL),
        CASK_NOT_FOUND);
    cask_buffer_free(&value);
    cask_snapshot_free(early);
    cask_snapshot_free(late);
}

/* What a merge lets leave the index is behind the snapshots that are there,
 * and before one that is made next, though nothing was written in between. */
static void test_what_expired_before_it_is_not_looked_for(void **state)
{
    handle *h = *state;
    cask_write_options options = {.ttl_ms = 5000};
    cask_buffer value = {0};
    cask_snapshot *early;
    cask_snapshot *late;

    assert_int_equal(cask_put_with(h->db, cask_slice_of("key 1"),
                                   cask_slice_of("value"), &options, NULL,
                                   NULL),
                     CASK_OK);
    early = make(h->db);
    os_sim_advance_ms(h->sim, 600000);
    handle_merge_all(h);
    late = make(h->db);
    assert_int_equal(
        cask_snapshot_get(early, cask_slice_of("key 1"), &value, NULL, NULL),
        CASK_OK);
    cask_snapshot_free(early);
    handle_merge_all(h);
    expect_key(late, 1, 0);
    cask_snapshot_free(late);
    cask_buffer_free(&value);
}

/* ---- What it keeps ---- */

static void test_everything_is_given_back(void **state)
{
    handle *h = *state;
    cask_snapshot *snapshot;
    uint64_t index_bytes;
    uint64_t disk_bytes;

    put_all(h->db, 'a');
    handle_merge_all(h);
    snapshot = make(h->db);
    put_all(h->db, 'b');
    cask_snapshot_free(snapshot); /* the buckets are there from here on */
    handle_merge_all(h);
    index_bytes = handle_stats(h).index_bytes;
    disk_bytes = handle_stats(h).disk_bytes;
    assert_int_equal(handle_stats(h).undo_bytes, 0);
    snapshot = make(h->db);
    put_all(h->db, 'c');
    handle_merge_all(h);
    assert_true(handle_stats(h).undo_bytes >= KEYS * 32);
    assert_true(handle_stats(h).pinned_bytes >= KEYS * VALUE_BYTES);
    assert_true(handle_stats(h).disk_bytes > disk_bytes + KEYS * VALUE_BYTES);
    assert_int_equal(handle_stats(h).snapshot_count, 1);
    cask_snapshot_free(snapshot);
    assert_int_equal(handle_stats(h).undo_bytes, 0);
    assert_int_equal(handle_stats(h).pinned_bytes, 0);
    assert_int_equal(handle_stats(h).index_bytes, index_bytes);
    handle_merge_all(h);
    assert_true(handle_stats(h).disk_bytes < disk_bytes + KEYS * VALUE_BYTES);
    assert_int_equal(handle_stats(h).snapshot_count, 0);
}

static void test_what_came_after_it_is_not_kept_for_it(void **state)
{
    handle *h = *state;
    cask_snapshot *snapshot;
    uint64_t disk_bytes;

    put_all(h->db, 'a');
    handle_merge_all(h);
    snapshot = make(h->db);
    put_all(h->db, 'b');
    handle_merge_all(h);
    disk_bytes = handle_stats(h).disk_bytes;
    for (char fill = 'c'; fill < 'h'; fill++) {
        put_all(h->db, fill);
        handle_merge_all(h);
    }
    /* One more round, and what was written at any time, would be much more. */
    assert_true(handle_stats(h).disk_bytes <
                disk_bytes + 2 * KEYS * VALUE_BYTES);
    expect_all(snapshot, 'a');
    cask_snapshot_free(snapshot);
}

static void test_it_is_listed_with_what_it_keeps(void **state)
{
    handle *h = *state;
    cask_snapshot_info *list = NULL;
    cask_snapshot *first;
    cask_snapshot *second;
    size_t count = 0;

    put_all(h->db, 'a');
    first = make(h->db);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 3000);
    put_all(h->db, 'b');
    second = make(h->db);
    handle_merge_all(h);
    assert_int_equal(cask_snapshot_list(h->db, &list, &count, NULL), CASK_OK);
    assert_int_equal(count, 2);
    assert_int_equal(list[0].sequence, cask_snapshot_sequence(first));
    assert_int_equal(list[0].lag, KEYS);
    assert_int_equal(list[0].age_ms, 3000);
    assert_true(list[0].pinned_bytes > KEYS * VALUE_BYTES);
    assert_false(list[0].is_fold);
    assert_true(list[0].pid != 0);
    assert_int_equal(list[1].sequence, cask_snapshot_sequence(second));
    assert_int_equal(list[1].lag, 0);
    cask_free(list);
    cask_snapshot_free(first);
    cask_snapshot_free(second);
    assert_int_equal(cask_snapshot_list(h->db, &list, &count, NULL), CASK_OK);
    assert_int_equal(count, 0);
    cask_free(list);
}

typedef struct listing {
    handle *h;
    unsigned visits;
} listing;

static bool see_oneself(void *context, const cask_entry *entry)
{
    listing *l = context;
    cask_snapshot_info *list = NULL;
    size_t count = 0;

    (void)entry;
    assert_int_equal(cask_snapshot_list(l->h->db, &list, &count, NULL),
                     CASK_OK);
    assert_int_equal(count, 1);
    assert_true(list[0].is_fold);
    cask_free(list);
    put_key(l->h->db, l->visits++, 'z');
    return l->visits < KEYS;
}

static void test_a_fold_is_listed_while_it_runs(void **state)
{
    handle *h = *state;
    listing l = {.h = h};

    put_all(h->db, 'a');
    assert_int_equal(cask_fold(h->db, NULL, see_oneself, &l, NULL), CASK_OK);
    assert_int_equal(l.visits, KEYS);
    assert_int_equal(handle_stats(h).snapshot_count, 0);
}

/* ---- Limits ---- */

static void test_the_oldest_is_lost_when_it_is_expelled(void **state)
{
    handle *h = *state;
    cask_snapshot *old;
    cask_snapshot *young;
    cask_buffer values[1] = {{0}};
    cask_slice key = cask_slice_of("key 1");
    cask_status statuses[1];
    cask_error err;
    visits v = {.fill = 'a'};
    uint64_t count = 0;
    bool exists;

    put_all(h->db, 'a');
    old = make(h->db);
    young = make(h->db);
    put_all(h->db, 'b');
    /* As a writer does that finds no memory. */
    undo_note_starved(&h->db->store->region);
    assert_int_equal(store_lock(h->db->store, NULL), CASK_OK);
    assert_false(undo_prepare_locked(&h->db->store->region, 1 << 20, 0));
    store_unlock(h->db->store);
    assert_int_equal(cask_snapshot_get(old, key, values, NULL, &err),
                     CASK_SNAPSHOT_LOST);
    assert_non_null(strstr(err.message, "make a new one"));
    assert_int_equal(cask_snapshot_exists(old, key, &exists, NULL),
                     CASK_SNAPSHOT_LOST);
    assert_int_equal(
        cask_snapshot_get_many(old, &key, 1, values, statuses, NULL),
        CASK_SNAPSHOT_LOST);
    assert_int_equal(statuses[0], CASK_SNAPSHOT_LOST);
    assert_int_equal(cask_snapshot_fold(old, NULL, visit, &v, NULL),
                     CASK_SNAPSHOT_LOST);
    assert_int_equal(cask_snapshot_count(old, &count, NULL), CASK_OK);
    assert_int_equal(count, KEYS);
    assert_int_equal(handle_stats(h).snapshots_lost, 1);
    assert_int_equal(handle_stats(h).snapshot_count, 1);
    expect_all(young, 'a');
    cask_buffer_free(values);
    cask_snapshot_free(old);
    expect_all(young, 'a');
    cask_snapshot_free(young);
}

/* More than a chunk of undo. */
static void put_many(handle *h)
{
    for (unsigned i = 0; i < UNDO_CHUNK_ENTRIES + 100; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "%u", i);
        put_text(h, key, "");
    }
}

/* The disk has room for the log, the region cannot grow. */
static void test_a_full_region_costs_snapshots_not_writes(void **state)
{
    handle *h = *state;
    const os_fault_plan full = {
        .only = OS_CALL_ALLOCATE, .error = ENOSPC, .for_ever = true};
    const os_fault_plan nothing = OS_FAULT_NOTHING;
    cask_snapshot *snapshot;
    cask_buffer value = {0};
    os_fault fault;

    handle_close(h);
    os_fault_init(&fault, h->kernel);
    h->kernel = &fault.base;
    h->options.segment_max_bytes = 64 << 20;
    handle_open(h);
    put_text(h, "key", "old");
    put_many(h);
    snapshot = make(h->db);
    os_fault_arm(&fault, &full);
    put_text(h, "key", "new");
    put_many(h);
    assert_int_equal(
        cask_snapshot_get(snapshot, cask_slice_of("key"), &value, NULL, NULL),
        CASK_SNAPSHOT_LOST);
    assert_int_equal(handle_stats(h).undo_bytes, 0);
    cask_snapshot_free(snapshot);
    os_fault_arm(&fault, &nothing);
    snapshot = make(h->db);
    put_text(h, "key", "newer");
    assert_int_equal(
        cask_snapshot_get(snapshot, cask_slice_of("key"), &value, NULL, NULL),
        CASK_OK);
    assert_memory_equal(value.data, "new", 3);
    cask_snapshot_free(snapshot);
    cask_buffer_free(&value);
    handle_close(h);
}

static void test_as_many_as_the_table_holds(void **state)
{
    handle *h = *state;
    static cask_snapshot *snapshots[REGION_SNAPSHOTS];
    cask_snapshot *more = NULL;
    cask_error err;

    for (unsigned i = 0; i < REGION_SNAPSHOTS; i++) {
        put_key(h->db, i % KEYS, 'a');
        snapshots[i] = make(h->db);
    }
    assert_int_equal(cask_snapshot_create(h->db, &more, &err), CASK_BUSY);
    assert_non_null(strstr(err.message, "256 snapshots"));
    cask_snapshot_free(snapshots[7]);
    snapshots[7] = make(h->db);
    assert_int_equal(handle_stats(h).snapshot_count, REGION_SNAPSHOTS);
    for (unsigned i = 0; i < REGION_SNAPSHOTS; i++) {
        cask_snapshot_free(snapshots[i]);
    }
    assert_int_equal(handle_stats(h).undo_bytes, 0);
}

static void test_wrong_arguments_are_refused(void **state)
{
    handle *h = *state;
    const cask_fold_options beyond = {.parts = 3, .part = 3};
    const cask_fold_options many = {.parts = CASK_FOLD_PARTS + 1};
    const cask_fold_options two = {.parts = 2};
    const cask_fold_options alone = {.part = 1};
    cask_snapshot *snapshot = make(h->db);
    visits v = {.fill = 'a'};

    assert_int_equal(cask_snapshot_create(NULL, &snapshot, NULL), CASK_INVALID);
    assert_int_equal(cask_snapshot_create(h->db, NULL, NULL), CASK_INVALID);
    assert_int_equal(cask_snapshot_fold(snapshot, &beyond, visit, &v, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_snapshot_fold(snapshot, &many, visit, &v, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_snapshot_fold(snapshot, &alone, visit, &v, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_snapshot_fold(snapshot, NULL, NULL, &v, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_snapshot_fold(NULL, NULL, visit, &v, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_fold(h->db, &two, visit, &v, NULL), CASK_INVALID);
    assert_int_equal(
        cask_snapshot_get(snapshot, cask_slice_of("a"), NULL, NULL, NULL),
        CASK_INVALID);
    assert_int_equal(cask_snapshot_count(snapshot, NULL, NULL), CASK_INVALID);
    assert_int_equal(
        cask_snapshot_get_many(snapshot, NULL, 1, NULL, NULL, NULL),
        CASK_INVALID);
    assert_int_equal(cask_snapshot_list(h->db, NULL, NULL, NULL), CASK_INVALID);
    assert_int_equal(cask_snapshot_sequence(NULL), 0);
    cask_snapshot_free(NULL);
    cask_snapshot_free(snapshot);
}

static void test_a_handle_with_snapshots_stays_open(void **state)
{
    handle *h = *state;
    cask_snapshot *snapshot;
    cask_error err;

    put_all(h->db, 'a');
    snapshot = make(h->db);
    assert_int_equal(cask_close(h->db, &err), CASK_BUSY);
    assert_non_null(strstr(err.message, "snapshots still held: 1"));
    expect_all(snapshot, 'a');
    cask_snapshot_free(snapshot);
    handle_reopen(h);
}

static void test_a_private_index_has_snapshots_too(void **state)
{
    handle *h = *state;
    cask_snapshot *snapshot;
    cask_snapshot_info *list = NULL;
    size_t count = 1;

    put_all(h->db, 'a');
    handle_close(h);
    h->options.read_only = true;
    handle_open(h);
    assert_true(handle_stats(h).private_index);
    snapshot = make(h->db);
    expect_all(snapshot, 'a');
    assert_int_equal(cask_snapshot_list(h->db, &list, &count, NULL), CASK_OK);
    assert_int_equal(count, 0);
    cask_free(list);
    assert_int_equal(cask_refresh(h->db, NULL), CASK_BUSY);
    cask_snapshot_free(snapshot);
    assert_int_equal(cask_refresh(h->db, NULL), CASK_OK);
}

int main(void)
{
#define SMALL(test)                                                            \
    cmocka_unit_test_setup_teardown(test, small_segments, handle_teardown)
    const struct CMUnitTest tests[] = {
        SMALL(test_it_answers_what_was_whatever_is_written_and_merged),
        SMALL(test_another_handle_s_writes_are_not_seen),
        SMALL(test_many_keys_at_once),
        SMALL(test_a_batch_is_in_it_wholly_or_not_at_all),
        SMALL(test_nothing_expires_in_it),
        SMALL(test_what_expired_before_it_is_not_looked_for),
        SMALL(test_everything_is_given_back),
        SMALL(test_what_came_after_it_is_not_kept_for_it),
        SMALL(test_it_is_listed_with_what_it_keeps),
        SMALL(test_a_fold_is_listed_while_it_runs),
        SMALL(test_the_oldest_is_lost_when_it_is_expelled),
        SMALL(test_a_full_region_costs_snapshots_not_writes),
        SMALL(test_as_many_as_the_table_holds),
        SMALL(test_wrong_arguments_are_refused),
        SMALL(test_a_handle_with_snapshots_stays_open),
        SMALL(test_a_private_index_has_snapshots_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
