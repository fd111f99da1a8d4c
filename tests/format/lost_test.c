/*
 * Lost records in the MANIFEST. Golden bytes, the edits by themselves, and what
 * they do to a tree.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/golden_edits.h"
#include "format/golden_lost.h"
#include "format/manifest_disk.h"
#include "format/sweep.h"
#include "log/segment.h"

#include "cask_test.h"

enum {
    EDITS = 5, /* golden ones */
    LOST = 0,
    PIECE = 1, /* of its key */
    WHOLE = GOLDEN_LOST_AT + sizeof(golden_lost)
};

#define KEY "a key of 30 bytes, all known.."

static const manifest_edit golden_says[EDITS] = {
    {.type = MANIFEST_LOST, .number = 17, .lost = {0x2b, 64, 1005, 30, 31}},
    {.type = MANIFEST_LOST_KEY,
     .number = 18,
     .lost_key = {30, 0, "a key of 30 bytes, all k"}},
    {.type = MANIFEST_LOST_KEY, .number = 19, .lost_key = {30, 24, "nown.."}},
    {.type = MANIFEST_LOST, .number = 20, .lost = {0x2b, 128, 1007, 0, 0}},
    {.type = MANIFEST_RUNS, .number = 21, .runs = {1007, 4, EDITS - 1, 0}}};

static const golden_edits golden = {golden_lost, GOLDEN_LOST_AT, golden_says,
                                    EDITS};

/* ---- The edits ---------------------------------------------------------- */

static void test_golden_edits_are_written_and_read(void **state)
{
    (void)state;
    golden_edits_are_read(&golden);
}

static void test_every_flip_and_cut_is_refused(void **state)
{
    (void)state;
    golden_edits_are_swept(&golden);
}

static void refuse(size_t index, int operand, uint64_t value,
                   cask_status status, const char *part)
{
    golden_edits_refuse(&golden, index, operand, value, status, part);
}

static void test_operands_out_of_range_are_refused(void **state)
{
    (void)state;
    refuse(LOST, 2, 0, CASK_CORRUPT, "expected 1 to 2^56 - 1");
    refuse(LOST, 2, FORMAT_SEQUENCE_LIMIT, CASK_CORRUPT, "1 to 2^56 - 1");
    refuse(LOST, 3, 57, CASK_CORRUPT, "expected at most 65536 and 56");
    refuse(LOST, 3, UINT64_C(65537) << 32, CASK_CORRUPT, "at most 65536");
    refuse(PIECE, 0, 57, CASK_CORRUPT, "expected at most 56");
    refuse(PIECE, 0, UINT64_C(24) << 32 | 24, CASK_CORRUPT, "an offset below");
    refuse(PIECE, 0, UINT64_C(8) << 32 | 30, CASK_CORRUPT, "a multiple of 24");
    refuse(PIECE, 0, 23, CASK_UNSUPPORTED, "bytes behind what is known");
}

/* ---- The whole file ------------------------------------------------------ */

static void golden_file(uint8_t bytes[WHOLE])
{
    memcpy(bytes, golden_manifest, sizeof(golden_manifest));
    memcpy(bytes + GOLDEN_VERSIONS_AT, golden_versions,
           sizeof(golden_versions));
    memcpy(bytes + GOLDEN_TAKEN_IN_AT, golden_taken_in,
           sizeof(golden_taken_in));
    memcpy(bytes + GOLDEN_LOST_AT, golden_lost, sizeof(golden_lost));
}

static void assert_is_version_4(const manifest_state *manifest)
{
    assert_true(manifest->version == 4);
    assert_true(manifest->flushed == 1007);
    assert_int_equal(manifest->run_count, 2);
    assert_int_equal(manifest->lost_count, 2);
    assert_true(manifest->losts[0].segment_id == 0x2b);
    assert_true(manifest->losts[0].offset == 64);
    assert_true(manifest->losts[0].sequence == 1005);
    assert_int_equal(manifest->losts[0].key_size, 31);
    assert_int_equal(manifest->losts[0].known_bytes, 30);
    assert_memory_equal(manifest->losts[0].known, KEY, 30);
    assert_true(manifest->losts[1].offset == 128);
    assert_true(manifest->losts[1].sequence == 1007);
    assert_int_equal(manifest->losts[1].key_size, 0);
    assert_int_equal(manifest->losts[1].known_bytes, 0);
}

static void test_golden_version_tells_of_lost_records(void **state)
{
    const disk *on = *state;
    uint8_t bytes[WHOLE];
    manifest_state manifest;

    golden_file(bytes);
    assert_int_equal(disk_replay(on, bytes, WHOLE, &manifest, NULL), CASK_OK);
    assert_is_version_4(&manifest);
    assert_false(manifest.torn);
    /* Written anew it tells the same. */
    assert_int_equal(manifest_rewrite(on->dir, &manifest, FILE_MODE, NULL),
                     CASK_OK);
    manifest_free(&manifest);
    assert_int_equal(manifest_load(on->dir, golden_uuid, &manifest, NULL),
                     CASK_OK);
    assert_is_version_4(&manifest);
    manifest_free(&manifest);
}

/* With `flushed` alone the records would be forgotten. */
static void test_every_cut_leaves_the_version_before(void **state)
{
    uint8_t bytes[WHOLE];

    golden_file(bytes);
    for (size_t size = GOLDEN_LOST_AT; size < WHOLE; size++) {
        manifest_state manifest;

        assert_int_equal(disk_replay(*state, bytes, size, &manifest, NULL),
                         CASK_OK);
        assert_true(manifest.version == 3);
        assert_true(manifest.flushed == 1006);
        assert_int_equal(manifest.lost_count, 0);
        manifest_free(&manifest);
    }
}

/* The golden edits without number `left_out`, the last one made right. */
static void test_pieces_that_do_not_follow_are_corrupt(void **state)
{
    static const char *const parts[EDITS - 1] = {
        "is a piece of a key without the lost record", "do not follow",
        "do not follow", NULL};

    for (size_t left_out = 0; left_out < EDITS - 1; left_out++) {
        uint8_t bytes[WHOLE];
        uint8_t *at = bytes + GOLDEN_LOST_AT;
        manifest_edit edits[EDITS];
        manifest_state manifest;
        cask_error err = {CASK_OK, 0, ""};
        size_t count = 0;
        cask_status status;

        golden_file(bytes);
        memcpy(edits, golden_says, sizeof(edits));
        for (size_t i = 0; i < EDITS; i++) {
            if (i == left_out) {
                continue;
            }
            edits[i].number = 17 + count;
            if (i == EDITS - 1) {
                edits[i].runs.edits = EDITS - 2;
                edits[i].runs.crc =
                    crc32c(0, at, (size_t)(EDITS - 2) * MANIFEST_EDIT_SIZE);
            }
            manifest_edit_encode(&edits[i], golden_edits_seed(&golden, count),
                                 at + count * MANIFEST_EDIT_SIZE);
            count++;
        }
        status = disk_replay(*state, bytes, WHOLE - MANIFEST_EDIT_SIZE,
                             &manifest, &err);
        assert_int_equal(status,
                         parts[left_out] == NULL ? CASK_OK : CASK_CORRUPT);
        assert_true(parts[left_out] == NULL ||
                    strstr(err.message, parts[left_out]) != NULL);
        manifest_free(&manifest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_edits_are_written_and_read),
        cmocka_unit_test(test_every_flip_and_cut_is_refused),
        cmocka_unit_test(test_operands_out_of_range_are_refused),
        cmocka_unit_test(test_golden_version_tells_of_lost_records),
        cmocka_unit_test(test_every_cut_leaves_the_version_before),
        cmocka_unit_test(test_pieces_that_do_not_follow_are_corrupt),
    };

    return cmocka_run_group_tests(tests, disk_set_up, disk_tear_down);
}
