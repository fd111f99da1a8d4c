/*
 * Merging damaged segments: what can be read moves, what cannot stays and
 * answers CASK_CORRUPT, and the segment goes when nothing needs it any more.
 */
#include "unit/hash/damaged.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "hash/hash_merge.h"
#include "hash/hash_merger.h"
#include "log/segment_format.h"

static bool add_entry(void *context, const cask_entry *entry)
{
    unsigned *seen = context;
    unsigned number = 0;

    assert_int_equal(sscanf((const char *)entry->key.data, "key %u", &number),
                     1);
    assert_true(number < KEYS);
    seen[number]++;
    return true;
}

static void test_what_can_be_read_moves_and_the_rest_is_never_old(void **state)
{
    handle *h = *state;
    cask_segment_stats segment = {0};
    cask_merge_report report;
    uint64_t count = 0;
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    assert_true(report.inputs > 5);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(quarantined(h, &segment), 1);
        assert_true(segment.id == id);
        assert_int_equal(segment.live_records, 1);
        expect_all(h, 'b', key, DAMAGED);
        assert_int_equal(cask_count(h->db, &count, NULL), CASK_OK);
        assert_int_equal(count, KEYS);
        if (round == 1) {
            assert_int_equal(try_merge_all(h, &report), CASK_OK);
        } else {
            handle_reopen(h);
        }
    }
    assert_true(is_there(h, id));
}

static void test_a_fold_sees_what_moved_once(void **state)
{
    handle *h = *state;
    unsigned seen[KEYS] = {0};
    cask_merge_report report;
    unsigned key;

    (void)begin_damaged(h, &key);
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    for (unsigned round = 1; round < 3; round++) {
        assert_int_equal(cask_fold(h->db, NULL, add_entry, seen, NULL),
                         CASK_CORRUPT);
        for (unsigned i = 0; i < KEYS; i++) {
            assert_int_equal(seen[i], i == key ? 0 : round);
        }
        handle_reopen(h);
    }
}

static void test_it_goes_when_the_damaged_key_is_overwritten(void **state)
{
    handle *h = *state;
    cask_segment_stats segment;
    cask_merge_report report;
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    handle_reopen(h);
    put_key(h->db, key, 'c');
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_int_equal(quarantined(h, &segment), 0);
    assert_false(is_there(h, id));
    expect_all(h, 'b', key, 'c');
    handle_reopen(h);
    expect_all(h, 'b', key, 'c');
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
}

static void test_it_goes_when_the_damaged_key_is_deleted(void **state)
{
    handle *h = *state;
    cask_segment_stats segment;
    cask_merge_report report;
    char name[32];
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    (void)snprintf(name, sizeof(name), "key %u", key);
    assert_int_equal(cask_delete(h->db, cask_slice_of(name), NULL, NULL),
                     CASK_OK);
    handle_reopen(h);
    assert_int_equal(fill_of(h, key), 0);
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    handle_reopen(h);
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_int_equal(quarantined(h, &segment), 0);
    assert_false(is_there(h, id));
    expect_all(h, 'b', key, 0);
    handle_reopen(h);
    expect_all(h, 'b', key, 0);
}

/* Of a segment in which no damaged record counts nothing stays. */
static void test_damage_in_what_is_dead_keeps_nothing(void **state)
{
    handle *h = *state;
    cask_segment_stats segment;
    cask_merge_report report;
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    put_key(h->db, key, 'c');
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    assert_int_equal(quarantined(h, &segment), 0);
    assert_false(is_there(h, id));
    handle_reopen(h);
    expect_all(h, 'b', key, 'c');
}

/* What a merge of all says, which met damage. */
static void expect_text(handle *h, const char *text)
{
    cask_merge_options all = {.all = true};
    cask_error err;

    assert_int_equal(cask_merge(h->db, &all, NULL, &err), CASK_CORRUPT);
    if (strstr(err.message, text) == NULL) {
        fail_msg("%s", err.message);
    }
}

static void test_a_merge_says_what_becomes_of_the_damaged_segment(void **state)
{
    static const char *const stays = "the rest stays where it is";
    static const char *const gone = "nothing there was needed any more";
    handle *h = *state;
    cask_merge_report report;
    unsigned key;
    uint64_t id;

    /* A value of it is lost: it stays. */
    id = begin_damaged(h, &key);
    expect_text(h, stays);
    assert_true(is_there(h, id));
    /* What is damaged is dead, and other values of it live. */
    put_all(h, 'b');
    handle_reopen(h);
    id = damage_first_of(h, 'b', &key);
    put_key(h->db, key, 'b');
    expect_text(h, gone);
    assert_false(is_there(h, id));
    /* Nothing of it lives. */
    put_all(h, 'b');
    handle_reopen(h);
    id = damage_first_of(h, 'b', &key);
    put_all(h, 'b');
    expect_text(h, gone);
    assert_false(is_there(h, id));
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_int_equal(report.inputs, 0);
    expect_all(h, 'b', KEYS, 0);
}

static uint32_t row_of(handle *h, uint64_t id)
{
    const region_handle *region = &h->db->store->region;
    uint32_t row = 0;

    while (atomic_load(&region->rows[row].file_id) != id) {
        row++;
    }
    return row;
}

static uint64_t rotate(handle *h)
{
    const region_row *row = &h->db->store->region.rows[handle_seal(h)];

    return atomic_load(&row->file_id);
}

static cask_status merge_one(handle *h, uint64_t id, merge_report *ret_report)
{
    uint32_t row = row_of(h, id);

    store_expiry expiry;

    store_expiry_now(h->db->store, true, &expiry);
    return hash_merge(h->db->store, &row, 1, &expiry, ret_report, NULL);
}

/* All sealed segments in one merge, not a few at a time. */
static cask_status merge_together(handle *h, merge_report *ret_report)
{
    static uint32_t rows[REGION_SEGMENTS];
    store_handle *store = h->db->store;
    uint32_t count;
    size_t chosen = 0;
    store_expiry expiry;

    (void)rotate(h);
    count = atomic_load(&store->region.header->row_count);
    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load(&store->region.rows[i].state) == ROW_SEALED) {
            rows[chosen++] = i;
        }
    }
    store_expiry_now(store, true, &expiry);
    return hash_merge(store, rows, chosen, &expiry, ret_report, NULL);
}

/*
 * Key 1 is put in one segment and deleted in the next, where the delete is
 * damaged and key 2 is. Returns the first; ret_second: the other.
 */
static uint64_t begin_lost_delete(handle *h, uint64_t *ret_second)
{
    uint64_t first;

    put_key(h->db, 1, 'a');
    first = rotate(h);
    delete_key(h, 1);
    put_key(h->db, 2, 'a');
    *ret_second = rotate(h);
    handle_reopen(h);
    damage(h, *ret_second, SEGMENT_HEADER_SIZE + 24);
    return first;
}

static void test_a_needed_delete_that_cannot_be_read_keeps_it(void **state)
{
    handle *h = *state;
    cask_segment_stats segment = {0};
    cask_merge_report all;
    merge_report report;
    uint64_t second;
    uint64_t first = begin_lost_delete(h, &second);

    assert_int_equal(merge_one(h, second, &report), CASK_CORRUPT);
    assert_int_equal(report.quarantined, 1);
    assert_int_equal(report.records, 1); /* key 2 */
    for (int i = 0; i < 3; i++) {
        /* Nothing leads into it any more, yet the delete is needed. */
        assert_int_equal(merge_one(h, second, &report), CASK_OK);
        assert_int_equal(report.inputs, 0);
        assert_int_equal(quarantined(h, &segment), 1);
        assert_true(segment.id == second);
        assert_int_equal(segment.live_records, 0);
        assert_int_equal(fill_of(h, 1), 0);
        assert_int_equal(fill_of(h, 2), 'a');
        handle_reopen(h);
    }
    assert_int_equal(merge_one(h, first, &report), CASK_OK);
    assert_false(is_there(h, first));
    assert_int_equal(try_merge_all(h, &all), CASK_OK);
    assert_int_equal(quarantined(h, &segment), 0);
    assert_false(is_there(h, second));
    handle_reopen(h);
    assert_int_equal(fill_of(h, 1), 0);
    assert_int_equal(fill_of(h, 2), 'a');
}

/* Its hint is loaded at the next open: what it names must stay hidden. */
static void test_deletes_of_what_it_holds_stay_with_it(void **state)
{
    handle *h = *state;
    cask_merge_report all;
    merge_report report;
    unsigned key;
    unsigned other;

    (void)begin_damaged(h, &key);
    other = key + 1; /* in the same segment */
    delete_key(h, other);
    assert_int_equal(merge_together(h, &report), CASK_CORRUPT);
    for (int i = 0; i < 3; i++) {
        handle_reopen(h);
        assert_int_equal(fill_of(h, other), 0);
        assert_int_equal(fill_of(h, key), DAMAGED);
        (void)try_merge_all(h, &all);
    }
    assert_int_equal(all.tombstones_dropped, 0);
}

static void note_reason(void *context, const cask_problem *problem)
{
    (void)snprintf(context, 200, "%s", problem->reason);
}

/* The index agrees with the log. */
static void verify_open(handle *h)
{
    char reason[200] = "";
    const cask_verify_options options = {.on_problem = note_reason,
                                         .context = reason};
    cask_verify_report found;

    if (db_verify_on(h->kernel, HANDLE_PATH, &options, &found, NULL) !=
        CASK_OK) {
        fail_msg("%s", reason);
    }
}

/* Of what has moved and is given up then, it still holds a copy. */
static void test_what_expired_elsewhere_does_not_come_back_from_it(void **state)
{
    const cask_write_options soon = {.expires_at_ms = HANDLE_NOW_MS + 1000};
    handle *h = *state;
    cask_segment_stats segment = {0};
    merge_report report;
    uint64_t count = 0;
    uint64_t id;

    put_key(h->db, 1, 'a');
    assert_int_equal(cask_put_with(h->db, cask_slice_of("soon"),
                                   cask_slice_of("value"), &soon, NULL, NULL),
                     CASK_OK);
    id = rotate(h);
    handle_reopen(h);
    damage(h, id, SEGMENT_HEADER_SIZE + 200);
    assert_int_equal(merge_one(h, id, &report), CASK_CORRUPT);
    assert_int_equal(report.records, 1);
    os_sim_advance_ms(h->sim, 2000);
    put_key(h->db, 2, 'a');
    assert_int_equal(quarantined(h, &segment), 1);
    for (int round = 0; round < 3; round++) {
        /* What took it and then its delete, too; but not the copy. */
        (void)merge_together(h, &report);
        assert_int_equal(quarantined(h, &segment), 1);
        damage(h, id, SEGMENT_HEADER_SIZE + 200); /* the bit again */
        verify_open(h); /* where both the copy and its delete are read */
        damage(h, id, SEGMENT_HEADER_SIZE + 200);
        handle_reopen(h);
        assert_int_equal(cask_count(h->db, &count, NULL), CASK_OK);
        assert_int_equal(count, 2);
    }
    put_key(h->db, 1, 'b'); /* now nothing keeps the segment, nor the delete */
    for (int round = 0; round < 2; round++) {
        assert_int_equal(merge_together(h, &report), CASK_OK);
    }
    assert_int_equal(quarantined(h, &segment), 0);
    assert_false(is_there(h, id));
    handle_reopen(h);
    assert_int_equal(cask_count(h->db, &count, NULL), CASK_OK);
    assert_int_equal(count, 2);
}

/* The hint may not have been written yet. */
static void reopen_without_hint(handle *h, uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];
    os_file *dir;

    handle_close(h);
    hint_name_format(id, name);
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    (void)h->kernel->ops->remove(dir, name);
    h->kernel->ops->close(dir);
    h->options.damage = CASK_DAMAGE_SERVE;
    handle_open(h);
}

static void test_without_a_hint_it_stays(void **state)
{
    handle *h = *state;
    cask_segment_stats segment = {0};
    cask_merge_report report;
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    reopen_without_hint(h, id);
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    put_key(h->db, key, 'c');
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_int_equal(quarantined(h, &segment), 1);
    assert_true(segment.id == id);
    assert_true(is_there(h, id));
    handle_reopen(h);
    expect_all(h, 'b', key, 'c');
    assert_int_equal(quarantined(h, &segment), 1);
}

/* ---- It keeps nothing busy ---- */

/* How many merges the background thread would do in one go. */
static uint64_t merge_by_policy(handle *h)
{
    const region_merge *merge = &h->db->store->region.header->merge;
    uint64_t before = atomic_load(&merge->number);
    merge_report report;

    assert_int_equal(hash_merge_wished(h->db->store,
                                       (merge_wish){.is_late = true}, &report,
                                       NULL),
                     CASK_OK);
    return atomic_load(&merge->number) - before;
}

/* A delete with the sequence of a put that the quarantined segment has. */
static void test_what_expired_out_of_it_is_not_merged_for_ever(void **state)
{
    const cask_write_options soon = {.expires_at_ms = HANDLE_NOW_MS + 1000};
    handle *h = *state;
    cask_segment_stats segment = {0};
    cask_merge_report report;
    unsigned key;

    assert_int_equal(cask_put_with(h->db, cask_slice_of("soon"),
                                   cask_slice_of("value"), &soon, NULL, NULL),
                     CASK_OK);
    put_all(h, 'a');
    handle_reopen(h);
    (void)damage_first_of(h, 'a', &key);
    put_key(h->db, key + 1, 'b');
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    for (unsigned i = 0; i < KEYS; i++) {
        if (i != key) {
            put_key(h->db, i, 'c');
        }
    }
    os_sim_advance_ms(h->sim, 2000);
    assert_true(merge_by_policy(h) > 0);
    assert_int_equal(merge_by_policy(h), 0);
    assert_int_equal(quarantined(h, &segment), 1);
}

/* Whatever it may hold, deletes are kept for its sake. */
static void test_deletes_beside_one_without_hint_are_left_alone(void **state)
{
    handle *h = *state;
    cask_segment_stats segment = {0};
    cask_merge_report report;
    unsigned key;

    put_all(h, 'a');
    reopen_without_hint(h, damage_first_of(h, 'a', &key));
    for (unsigned i = 0; i < KEYS; i++) {
        if (i < key || i >= key + 5) { /* more than that live beside it */
            delete_key(h, i);
        }
    }
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    assert_int_equal(quarantined(h, &segment), 1);
    (void)merge_by_policy(h);
    assert_int_equal(merge_by_policy(h), 0);
}

/* An os that damages a merge's output when MANIFEST is renamed. */
static struct {
    os *kernel;
    const os_ops *usual;
    os_ops ops;
    handle *h;
    uint64_t id; /* of the output */
    _Atomic bool is_armed;
} treacherous;

static int rename_and_damage(os_file *dir, const char *from, const char *to)
{
    int os_errno = treacherous.usual->rename(dir, from, to);

    if (treacherous.is_armed && strcmp(to, "MANIFEST") == 0) {
        const region_handle *region = &treacherous.h->db->store->region;
        uint32_t row = 0;

        treacherous.is_armed = false;
        while (atomic_load(&region->rows[row].state) != ROW_OUTPUT) {
            row++;
        }
        treacherous.id = atomic_load(&region->rows[row].file_id);
        damage(treacherous.h, treacherous.id, 200);
    }
    return os_errno;
}

static void test_a_damaged_output_leaves_the_inputs_in_place(void **state)
{
    handle *h = *state;
    const os_ops *usual = h->kernel->ops;
    cask_segment_stats segment;
    cask_merge_report report;

    handle_close(h);
    treacherous.h = h;
    treacherous.usual = usual;
    treacherous.ops = *usual;
    treacherous.ops.rename = rename_and_damage;
    h->kernel->ops = &treacherous.ops;
    handle_open(h);
    put_all(h, 'a');
    put_all(h, 'b');
    treacherous.is_armed = true;
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    assert_false(treacherous.is_armed);
    expect_all(h, 'b', KEYS, 0);
    handle_close(h);
    h->kernel->ops = usual;
    handle_open(h);
    expect_all(h, 'b', KEYS, 0);
    (void)try_merge_all(h, &report);
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    expect_all(h, 'b', KEYS, 0);
    put_all(h, 'c');
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_int_equal(quarantined(h, &segment), 0);
    handle_reopen(h);
    expect_all(h, 'c', KEYS, 0);
}

static void test_verify_tells_what_is_quarantined(void **state)
{
    handle *h = *state;
    char reason[200] = "";
    cask_verify_options options = {.on_problem = note_reason,
                                   .context = reason};
    cask_verify_report found;
    cask_merge_report report;
    unsigned key;

    (void)begin_damaged(h, &key);
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    handle_close(h);
    assert_int_equal(
        db_verify_on(h->kernel, HANDLE_PATH, &options, &found, NULL),
        CASK_CORRUPT);
    assert_int_equal(found.problems, 1);
    assert_int_equal(found.keys, KEYS);
    assert_non_null(strstr(reason, "quarantined"));
}

static void test_verify_tells_nothing_of_one_that_is_restored(void **state)
{
    handle *h = *state;
    cask_segment_stats segment;
    cask_merge_report report;
    uint64_t id;
    unsigned key;

    id = begin_damaged(h, &key);
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    damage(h, id, 200); /* the bit again */
    assert_int_equal(quarantined(h, &segment), 1);
    verify_open(h);
    expect_all(h, 'b', KEYS, 0);
    handle_reopen(h);
    assert_int_equal(quarantined(h, &segment), 1);
    verify_open(h);
    put_key(h->db, key, 'c');
    verify_open(h);
    put_all(h, 'd');
    verify_open(h);
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_int_equal(quarantined(h, &segment), 0);
    verify_open(h);
}

/* The index leads to it for some keys, to inputs for others. */
static void
test_verify_tells_nothing_of_an_output_that_is_restored(void **state)
{
    handle *h = *state;
    const os_ops *usual = h->kernel->ops;
    cask_merge_report report;

    handle_close(h);
    treacherous.h = h;
    treacherous.usual = usual;
    treacherous.ops = *usual;
    treacherous.ops.rename = rename_and_damage;
    h->kernel->ops = &treacherous.ops;
    handle_open(h);
    put_all(h, 'a');
    put_all(h, 'b');
    treacherous.is_armed = true;
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    damage(h, treacherous.id, 200);
    verify_open(h);
    handle_close(h);
    h->kernel->ops = usual;
    handle_open(h);
    verify_open(h);
    expect_all(h, 'b', KEYS, 0);
}

static void test_a_plan_says_that_the_gain_is_quarantined(void **state)
{
    handle *h = *state;
    cask_merge_options options = {.all = true};
    cask_merge_item *items = NULL;
    cask_merge_summary summary;
    cask_merge_report report;
    size_t count = 1;
    unsigned key;

    (void)begin_damaged(h, &key);
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    assert_int_equal(
        cask_merge_plan(h->db, &options, &items, &count, &summary, NULL),
        CASK_OK);
    cask_free(items);
    assert_int_equal(count, 0);
    assert_string_equal(summary.reason,
                        "what could be freed is in damaged segments");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, small_segments, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_can_be_read_moves_and_the_rest_is_never_old),
        TEST(test_a_fold_sees_what_moved_once),
        TEST(test_it_goes_when_the_damaged_key_is_overwritten),
        TEST(test_it_goes_when_the_damaged_key_is_deleted),
        TEST(test_damage_in_what_is_dead_keeps_nothing),
        TEST(test_a_merge_says_what_becomes_of_the_damaged_segment),
        TEST(test_a_needed_delete_that_cannot_be_read_keeps_it),
        TEST(test_deletes_of_what_it_holds_stay_with_it),
        TEST(test_what_expired_elsewhere_does_not_come_back_from_it),
        TEST(test_without_a_hint_it_stays),
        TEST(test_what_expired_out_of_it_is_not_merged_for_ever),
        TEST(test_deletes_beside_one_without_hint_are_left_alone),
        TEST(test_a_damaged_output_leaves_the_inputs_in_place),
        TEST(test_verify_tells_what_is_quarantined),
        TEST(test_verify_tells_nothing_of_one_that_is_restored),
        TEST(test_verify_tells_nothing_of_an_output_that_is_restored),
        TEST(test_a_plan_says_that_the_gain_is_quarantined),
    };

    return cmocka_run_group_tests_name("quarantine", tests, NULL, NULL);
}
