/*
 * What replaying the MANIFEST gives: the golden one, cut and damaged anywhere,
 * and edits that repeat, contradict or go on. docs/format/manifest.md says
 * what must come out; the bytes of one edit are manifest_test.c's.
 */
#include "base/bytes.h"
#include "format/manifest_disk.h"
#include "log/segment.h"

#include "cask_test.h"

enum {
    EDITS_MOST = 8,
    OTHER_ID = GOLDEN_SEGMENT_ID + 1,
    SYNCED_AT = 304 /* of the last golden edit */
};

/* Replay the header and `count` edits, which get their numbers here. */
static cask_status replay_edits(const disk *on, const manifest_edit *edits,
                                size_t count, manifest_state *ret_state,
                                cask_error *err)
{
    uint8_t bytes[MANIFEST_HEADER_SIZE + EDITS_MOST * MANIFEST_EDIT_SIZE];
    size_t size = MANIFEST_HEADER_SIZE;

    assert_true(count <= EDITS_MOST);
    memcpy(bytes, golden_manifest, MANIFEST_HEADER_SIZE);
    for (size_t i = 0; i < count; i++) {
        manifest_seed seed = {GOLDEN_MANIFEST_NONCE, size};
        manifest_edit edit = edits[i];

        edit.number = i + 1;
        manifest_edit_encode(&edit, seed, bytes + size);
        size += MANIFEST_EDIT_SIZE;
    }
    return disk_replay(on, bytes, size, ret_state, err);
}

static void assert_refused(const disk *on, const manifest_edit *edits,
                           size_t count, const char *part)
{
    manifest_state manifest;
    cask_error err;

    assert_int_equal(replay_edits(on, edits, count, &manifest, &err),
                     CASK_CORRUPT);
    assert_int_equal(err.status, CASK_CORRUPT);
    assert_non_null(strstr(err.message, part));
    manifest_free(&manifest);
}

static manifest_edit open_edit(uint64_t id, uint64_t nonce)
{
    manifest_edit edit = {
        .type = MANIFEST_OPEN,
        .open = {.segment_id = id, .nonce = nonce, .kind = SEGMENT_LOG}};

    return edit;
}

static manifest_edit length_edit(manifest_edit_type type, uint64_t id,
                                 uint64_t length)
{
    manifest_edit edit = {
        .type = type,
        .seal = {.segment_id = id, .length = length, .last_sequence = 7}};

    return edit;
}

static manifest_edit drop_edit(uint64_t id)
{
    manifest_edit edit = {.type = MANIFEST_DROP, .drop = {.segment_id = id}};

    return edit;
}

/* ---- The golden one ----------------------------------------------------- */

static void test_golden_manifest_lists_one_segment_closed_cleanly(void **state)
{
    manifest_state manifest;

    assert_int_equal(disk_replay(*state, golden_manifest,
                                 sizeof(golden_manifest), &manifest, NULL),
                     CASK_OK);
    assert_int_equal(manifest.count, 1);
    assert_true(manifest.segments[0].id == OTHER_ID);
    assert_true(manifest.segments[0].nonce == GOLDEN_NEXT_NONCE);
    assert_int_equal(manifest.segments[0].kind, SEGMENT_LOG);
    assert_false(manifest.segments[0].sealed);
    assert_true(manifest.segments[0].synced == GOLDEN_NEXT_LENGTH);
    assert_true(manifest.next_id == OTHER_ID + 1);
    assert_true(manifest.next_sequence == 1004);
    assert_true(manifest.number == GOLDEN_EDITS);
    assert_true(manifest.tail == sizeof(golden_manifest));
    assert_false(manifest.torn);
    manifest_free(&manifest);
}

static void test_every_cut_ends_the_log_before_the_cut_edit(void **state)
{
    for (size_t size = 0; size < sizeof(golden_manifest); size++) {
        size_t whole = size < MANIFEST_HEADER_SIZE
                           ? 0
                           : (size - MANIFEST_HEADER_SIZE) / MANIFEST_EDIT_SIZE;
        size_t tail = MANIFEST_HEADER_SIZE + whole * MANIFEST_EDIT_SIZE;
        manifest_state manifest;
        cask_status status =
            disk_replay(*state, golden_manifest, size, &manifest, NULL);

        if (size < MANIFEST_HEADER_SIZE) {
            assert_int_equal(status, CASK_CORRUPT);
        } else {
            assert_int_equal(status, CASK_OK);
            assert_true(manifest.number == whole);
            assert_true(manifest.tail == tail);
            assert_int_equal(manifest.torn, size > tail);
        }
        manifest_free(&manifest);
    }
}

static void test_damaged_edit_before_a_valid_one_is_corrupt(void **state)
{
    uint8_t bytes[sizeof(golden_manifest)];

    for (size_t at = MANIFEST_HEADER_SIZE; at < SYNCED_AT; at++) {
        manifest_state manifest;
        cask_error err;

        memcpy(bytes, golden_manifest, sizeof(bytes));
        bytes[at] ^= 0x10;
        assert_int_equal(
            disk_replay(*state, bytes, sizeof(bytes), &manifest, &err),
            CASK_CORRUPT);
        assert_non_null(strstr(err.message, "is damaged, a valid one follows"));
        manifest_free(&manifest);
    }
}

/* Not the next but a later one tells: all between may be damaged as well. */
static void
test_hole_of_several_edits_before_a_valid_one_is_corrupt(void **state)
{
    uint8_t bytes[sizeof(golden_manifest)];
    manifest_state manifest;
    cask_error err;

    memcpy(bytes, golden_manifest, sizeof(bytes));
    memset(bytes + 112, 0, SYNCED_AT - 112);
    assert_int_equal(disk_replay(*state, bytes, sizeof(bytes), &manifest, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, "MANIFEST: offset 112: edit "));
    assert_non_null(strstr(err.message,
                           " is damaged, a valid one follows at offset 304; "));
    manifest_free(&manifest);
}

static void test_damaged_last_edit_is_as_if_never_written(void **state)
{
    uint8_t bytes[sizeof(golden_manifest)];

    for (size_t at = SYNCED_AT; at < sizeof(bytes); at++) {
        manifest_state manifest;

        memcpy(bytes, golden_manifest, sizeof(bytes));
        bytes[at] ^= 0x10;
        assert_int_equal(
            disk_replay(*state, bytes, sizeof(bytes), &manifest, NULL),
            CASK_OK);
        assert_true(manifest.torn);
        assert_true(manifest.tail == SYNCED_AT);
        assert_true(manifest.segments[0].synced == 0);
        manifest_free(&manifest);
    }
}

/* ---- Edits that repeat, contradict or go on ----------------------------- */

static void test_repeated_open_and_drop_are_accepted(void **state)
{
    const manifest_edit edits[] = {
        open_edit(1, 11), open_edit(1, 11), open_edit(2, 22), open_edit(2, 22),
        drop_edit(1),     drop_edit(1),     drop_edit(9)};
    manifest_state manifest;

    assert_int_equal(replay_edits(*state, edits, 7, &manifest, NULL), CASK_OK);
    assert_int_equal(manifest.count, 1);
    assert_true(manifest.segments[0].id == 2);
    assert_true(manifest.number == 7);
    assert_false(manifest.torn);
    manifest_free(&manifest);
}

static void test_edits_that_contradict_each_other_are_corrupt(void **state)
{
    const manifest_edit other_nonce[] = {open_edit(1, 11), open_edit(1, 12)};
    const manifest_edit descending[] = {open_edit(2, 22), open_edit(1, 11)};
    const manifest_edit not_last[] = {open_edit(1, 11), open_edit(2, 22),
                                      open_edit(1, 11)};
    const manifest_edit sealed[] = {length_edit(MANIFEST_SEAL, 1, 64)};
    const manifest_edit synced[] = {open_edit(1, 11), drop_edit(1),
                                    length_edit(MANIFEST_SYNCED, 1, 64)};

    assert_refused(*state, other_nonce, 2, "edit 2 opens segment");
    assert_refused(*state, descending, 2, "edit 2 opens segment");
    assert_refused(*state, not_last, 3, "edit 3 opens segment");
    assert_refused(*state, sealed, 1, "edit 1 names segment 0000000000000001");
    assert_refused(*state, synced, 3, "edit 3 names segment 0000000000000001");
}

static void
test_synced_segment_may_grow_be_synced_again_and_sealed(void **state)
{
    const manifest_edit edits[] = {open_edit(1, 11),
                                   length_edit(MANIFEST_SYNCED, 1, 128),
                                   length_edit(MANIFEST_SYNCED, 1, 256),
                                   length_edit(MANIFEST_SEAL, 1, 512)};
    manifest_state manifest;

    assert_int_equal(replay_edits(*state, edits, 3, &manifest, NULL), CASK_OK);
    assert_false(manifest.segments[0].sealed);
    assert_true(manifest.segments[0].synced == 256);
    manifest_free(&manifest);
    assert_int_equal(replay_edits(*state, edits, 4, &manifest, NULL), CASK_OK);
    assert_true(manifest.segments[0].sealed);
    assert_true(manifest.segments[0].length == 512);
    manifest_free(&manifest);
}

/* An edit counts for its own segment alone, wherever that is in the list. */
static void test_synced_says_nothing_of_other_segments(void **state)
{
    const manifest_edit edits[] = {
        open_edit(1, 11), length_edit(MANIFEST_SEAL, 1, 64), open_edit(2, 22),
        open_edit(3, 33), length_edit(MANIFEST_SYNCED, 2, 128)};
    manifest_state manifest;

    assert_int_equal(replay_edits(*state, edits, 5, &manifest, NULL), CASK_OK);
    assert_int_equal(manifest.count, 3);
    assert_true(manifest.segments[0].sealed);
    assert_true(manifest.segments[0].synced == 0);
    assert_false(manifest.segments[1].sealed);
    assert_true(manifest.segments[1].synced == 128);
    assert_false(manifest.segments[2].sealed);
    assert_true(manifest.segments[2].synced == 0);
    manifest_free(&manifest);
}

/* It stays sealed, and what is quarantined; others are not. */
static void test_quarantined_segment_stays_so(void **state)
{
    const disk *on = *state;
    manifest_edit edits[] = {
        open_edit(1, 11), length_edit(MANIFEST_SEAL, 1, 64),
        open_edit(2, 22), length_edit(MANIFEST_SEAL, 2, 64),
        drop_edit(1),     drop_edit(1)};
    const manifest_edit unknown[] = {
        {.type = MANIFEST_QUARANTINE, .drop = {.segment_id = 1}}};
    manifest_state manifest;

    edits[4].type = MANIFEST_QUARANTINE;
    edits[5].type = MANIFEST_QUARANTINE; /* a repeated one says no more */
    assert_int_equal(replay_edits(on, edits, 6, &manifest, NULL), CASK_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(manifest.count, 2);
        assert_true(manifest.segments[0].quarantined);
        assert_true(manifest.segments[0].sealed);
        assert_true(manifest.segments[0].length == 64);
        assert_false(manifest.segments[1].quarantined);
        if (round == 0) {
            assert_int_equal(
                manifest_rewrite(on->dir, &manifest, FILE_MODE, NULL), CASK_OK);
            manifest_free(&manifest);
            assert_int_equal(
                manifest_load(on->dir, golden_uuid, &manifest, NULL), CASK_OK);
        }
    }
    manifest_free(&manifest);
    assert_refused(on, unknown, 1,
                   "edit 1 names segment 0000000000000001, which is not in it");
}

static void test_file_written_anew_says_the_same(void **state)
{
    const disk *on = *state;
    const manifest_edit edits[] = {
        open_edit(1, 11), length_edit(MANIFEST_SEAL, 1, 64), open_edit(2, 22),
        length_edit(MANIFEST_SYNCED, 2, 128), open_edit(3, 33)};
    manifest_state before;
    manifest_state after;

    assert_int_equal(replay_edits(on, edits, 5, &before, NULL), CASK_OK);
    assert_int_equal(manifest_rewrite(on->dir, &before, FILE_MODE, NULL),
                     CASK_OK);
    assert_true(before.header.nonce != GOLDEN_MANIFEST_NONCE);
    assert_int_equal(manifest_load(on->dir, golden_uuid, &after, NULL),
                     CASK_OK);
    assert_true(after.header.nonce == before.header.nonce);
    assert_true(after.tail == before.tail);
    assert_true(after.number == before.number);
    assert_true(after.next_id == 4);
    assert_int_equal(after.count, 3);
    assert_true(after.segments[0].sealed);
    assert_true(after.segments[0].length == 64);
    assert_true(after.segments[0].last_sequence == 7);
    assert_false(after.segments[1].sealed);
    assert_true(after.segments[1].synced == 128);
    assert_false(after.segments[2].sealed);
    assert_true(after.segments[2].synced == 0);
    manifest_free(&before);
    manifest_free(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_manifest_lists_one_segment_closed_cleanly),
        cmocka_unit_test(test_every_cut_ends_the_log_before_the_cut_edit),
        cmocka_unit_test(test_damaged_edit_before_a_valid_one_is_corrupt),
        cmocka_unit_test(
            test_hole_of_several_edits_before_a_valid_one_is_corrupt),
        cmocka_unit_test(test_damaged_last_edit_is_as_if_never_written),
        cmocka_unit_test(test_repeated_open_and_drop_are_accepted),
        cmocka_unit_test(test_edits_that_contradict_each_other_are_corrupt),
        cmocka_unit_test(
            test_synced_segment_may_grow_be_synced_again_and_sealed),
        cmocka_unit_test(test_synced_says_nothing_of_other_segments),
        cmocka_unit_test(test_quarantined_segment_stays_so),
        cmocka_unit_test(test_file_written_anew_says_the_same),
    };

    return cmocka_run_group_tests_name("replay", tests, disk_set_up,
                                       disk_tear_down);
}
