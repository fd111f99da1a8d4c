/*
 * Quarantined segments whose files were restored.
 */
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "log/segment_format.h"
#include "store/store_merge.h"
#include "store/store_recover.h"
#include "unit/hash/damaged.h"

/* The operator has put the file of a quarantined segment back. */
static void restore(handle *h, uint64_t id, bool without_hint)
{
    char name[SEGMENT_NAME_SIZE];
    os_file *dir;

    handle_close(h);
    damage(h, id, DAMAGED_OFFSET); /* the bit is right again */
    if (without_hint) {
        hint_name_format(id, name);
        assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir),
                         0);
        assert_int_equal(h->kernel->ops->remove(dir, name), 0);
        h->kernel->ops->close(dir);
    }
    handle_open(h);
}

static void check_restored(handle *h, bool without_hint)
{
    cask_segment_stats segment;
    cask_merge_report report;
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    assert_int_equal(quarantined(h, &segment), 1);
    restore(h, id, without_hint);
    assert_int_equal(quarantined(h, &segment), 1);
    expect_all(h, 'b', KEYS, 0);
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_true(report.inputs > 0);
    assert_int_equal(quarantined(h, &segment), 0);
    assert_false(is_there(h, id));
    expect_all(h, 'b', KEYS, 0);
    handle_reopen(h);
    assert_int_equal(quarantined(h, &segment), 0);
    expect_all(h, 'b', KEYS, 0);
}

static void test_a_restored_file_is_merged_like_any_other(void **state)
{
    check_restored(*state, false);
}

static void test_one_without_a_hint_too(void **state)
{
    check_restored(*state, true);
}

/* Somebody writes the hint of a segment that he finds without one. */
static cask_status write_hint(store_handle *store, uint64_t id)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        region_row *row = &store->region.rows[i];

        if (atomic_load(&row->file_id) != id) {
            continue;
        }
        while (atomic_load(&row->has_hint) >= HINT_CLAIMED) {
            store->os->ops->sleep_ms(store->os, 1); /* the background does */
        }
        atomic_store(&row->has_hint, HINT_NONE);
        return store_claim_hint(store, i, &id)
                   ? store_write_hint(store, i, id, NULL)
                   : CASK_BUSY;
    }
    return CASK_NOT_FOUND;
}

/* Merges keep what the index does not know, and the next open knows it. */
static void check_unknown_is_kept(handle *h, uint64_t id)
{
    cask_segment_stats segment;
    cask_merge_report report;

    (void)try_merge_all(h, &report);
    assert_true(is_there(h, id));
    h->options.damage = CASK_DAMAGE_FAIL;
    handle_reopen(h);
    expect_all(h, 'b', KEYS, 0);
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_int_equal(quarantined(h, &segment), 0);
    expect_all(h, 'b', KEYS, 0);
}

/* The index is made while the segment is damaged, without a hint. */
static void check_restored_while_open(handle *h, uint64_t id)
{
    damage(h, id, DAMAGED_OFFSET);
    h->options.damage = CASK_DAMAGE_SERVE;
    restore(h, id, true); /* damages it */
    damage(h, id, DAMAGED_OFFSET);
    assert_int_equal(write_hint(h->db->store, id), CASK_CORRUPT);
    check_unknown_is_kept(h, id);
}

/* The index has been made without what could not be read; then the file came
 * back. */
static void test_what_the_index_does_not_know_is_not_merged_away(void **state)
{
    handle *h = *state;
    cask_merge_report report;
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    check_restored_while_open(h, id);
}

/* No merge has met the damage. */
static void test_nor_by_the_first_merge(void **state)
{
    handle *h = *state;
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    check_restored_while_open(h, id);
}

/* It is not said to be damaged: what is there is whole, and what to do about it
 * is something else. */
static void test_the_first_merge_tells_what_is_the_matter(void **state)
{
    const cask_merge_options all = {.all = true};
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];
    cask_error err = {CASK_OK, 0, ""};
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    damage(h, id, DAMAGED_OFFSET);
    h->options.damage = CASK_DAMAGE_SERVE;
    restore(h, id, true); /* damages it */
    damage(h, id, DAMAGED_OFFSET);
    assert_int_equal(write_hint(h->db->store, id), CASK_CORRUPT);
    assert_int_equal(cask_merge(h->db, &all, NULL, &err), CASK_CORRUPT);
    segment_name_format(id, name);
    assert_non_null(strstr(err.message, name));
    assert_null(strstr(err.message, "bytes are damaged"));
    assert_non_null(strstr(err.message, "can be read again"));
    assert_non_null(strstr(err.message, "let all processes close the store"));
    assert_true(is_there(h, id));
}

/* Neither is it said to be whole while it is damaged, though what a merge reads
 * first of it is sound. */
static void test_damage_behind_sound_records_is_told_where_it_is(void **state)
{
    const cask_merge_options all = {.all = true};
    const uint64_t offset = DAMAGED_OFFSET + 2 * VALUE_BYTES;
    handle *h = *state;
    cask_segment_stats segment = {0};
    cask_merge_report report;
    char name[SEGMENT_NAME_SIZE];
    cask_error err = {CASK_OK, 0, ""};
    unsigned long long told = 0;
    const char *said;
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    h->options.damage = CASK_DAMAGE_SERVE;
    damage(h, id, offset);
    restore(h, id, true); /* the other bit */
    assert_int_equal(cask_merge(h->db, &all, NULL, &err), CASK_CORRUPT);
    segment_name_format(id, name);
    assert_non_null(strstr(err.message, name));
    assert_null(strstr(err.message, "can be read again"));
    assert_non_null(strstr(err.message, "bytes are damaged"));
    assert_non_null(strstr(err.message, "'caskade verify' lists the damage"));
    said = strstr(err.message, "offset ");
    assert_non_null(said);
    assert_int_equal(sscanf(said, "offset %llu", &told), 1);
    assert_in_range(told, offset - VALUE_BYTES - 64, offset);
    assert_int_equal(quarantined(h, &segment), 1);
    assert_true(segment.id == id);
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_true(is_there(h, id));
}

/* The whole file was away when the index was made. */
static void test_nor_if_the_file_was_missing(void **state)
{
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];
    char hint[SEGMENT_NAME_SIZE];
    os_file *dir;
    unsigned key;
    uint64_t id = begin_damaged(h, &key);

    damage(h, id, DAMAGED_OFFSET);
    handle_close(h);
    segment_name_format(id, name);
    hint_name_format(id, hint);
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(h->kernel->ops->remove(dir, hint), 0);
    assert_int_equal(h->kernel->ops->rename(dir, name, "away"), 0);
    h->options.damage = CASK_DAMAGE_SERVE;
    handle_open(h);
    assert_int_equal(h->kernel->ops->rename(dir, "away", name), 0);
    h->kernel->ops->close(dir);
    assert_int_equal(write_hint(h->db->store, id), CASK_CORRUPT);
    check_unknown_is_kept(h, id);
}

/* Another merge, which ends while this thread waits for it. */
static _Thread_local store_handle *merging;
static os_ops waiting;

static void end_of_the_other(os *self, uint64_t ms)
{
    (void)self;
    (void)ms;
    if (merging != NULL) {
        store_merge_unlock(merging);
        merging = NULL;
    }
}

static void test_a_restored_file_waits_for_another_merge(void **state)
{
    handle *h = *state;
    cask_segment_stats segment;
    cask_merge_report report;
    unsigned key;
    uint64_t id;

    handle_close(h); /* no thread looks at the kernel */
    waiting = *h->kernel->ops;
    waiting.sleep_ms = end_of_the_other;
    h->kernel->ops = &waiting;
    handle_open(h);
    id = begin_damaged(h, &key);
    assert_int_equal(try_merge_all(h, &report), CASK_CORRUPT);
    restore(h, id, false);
    assert_int_equal(quarantined(h, &segment), 1);
    merging = h->db->store;
    assert_int_equal(store_merge_lock(merging, NULL), CASK_OK);
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_null(merging);
    assert_int_equal(quarantined(h, &segment), 0);
    expect_all(h, 'b', KEYS, 0);
}

static uint64_t rotate(handle *h)
{
    const region_row *row = &h->db->store->region.rows[handle_seal(h)];

    return atomic_load(&row->file_id);
}

/* A segment is missing, with its hint, while all else is merged: what it holds
 * and others have deleted since does not come back with it. */
static void test_a_missing_segment_brings_nothing_back(void **state)
{
    handle *h = *state;
    cask_merge_report report;
    char name[SEGMENT_NAME_SIZE];
    char hint[SEGMENT_NAME_SIZE];
    os_file *dir;
    uint64_t id;

    put_key(h->db, 1, 'a');
    put_key(h->db, 2, 'a');
    id = rotate(h);
    put_key(h->db, 3, 'a');
    (void)rotate(h);
    delete_key(h, 1);
    put_key(h->db, 4, 'a');
    (void)rotate(h);
    handle_close(h);
    segment_name_format(id, name);
    hint_name_format(id, hint);
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    (void)h->kernel->ops->remove(dir, hint);
    assert_int_equal(h->kernel->ops->rename(dir, name, "away"), 0);
    h->options.damage = CASK_DAMAGE_SERVE;
    handle_open(h);
    for (int i = 0; i < 2; i++) {
        (void)try_merge_all(h, &report);
        handle_reopen(h);
    }
    handle_close(h);
    assert_int_equal(h->kernel->ops->rename(dir, "away", name), 0);
    h->kernel->ops->close(dir);
    h->options.damage = CASK_DAMAGE_FAIL;
    handle_open(h);
    assert_int_equal(fill_of(h, 1), 0);
    assert_int_equal(fill_of(h, 2), 'a');
    assert_int_equal(fill_of(h, 3), 'a');
    assert_int_equal(fill_of(h, 4), 'a');
    assert_int_equal(try_merge_all(h, &report), CASK_OK);
    assert_int_equal(fill_of(h, 1), 0);
    assert_int_equal(fill_of(h, 2), 'a');
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, small_segments, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_restored_file_is_merged_like_any_other),
        TEST(test_one_without_a_hint_too),
        TEST(test_a_restored_file_waits_for_another_merge),
        TEST(test_a_missing_segment_brings_nothing_back),
        TEST(test_what_the_index_does_not_know_is_not_merged_away),
        TEST(test_nor_by_the_first_merge),
        TEST(test_the_first_merge_tells_what_is_the_matter),
        TEST(test_damage_behind_sound_records_is_told_where_it_is),
        TEST(test_nor_if_the_file_was_missing),
    };

    return cmocka_run_group_tests_name("restored", tests, NULL, NULL);
}
