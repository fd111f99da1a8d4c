/*
 * Runs in the MANIFEST that were built elsewhere: what is added to their
 * sequences. Golden bytes, the edit by itself, and what it does to a tree.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/golden_edits.h"
#include "format/manifest_disk.h"
#include "format/sweep.h"
#include "log/segment.h"

#include "cask_test.h"

enum {
    EDITS = 3, /* golden ones */
    ADDED = 1, /* the one in question */
    WHOLE = GOLDEN_TAKEN_IN_AT + sizeof(golden_taken_in)
};

static const manifest_edit golden_says[EDITS] = {
    {.type = MANIFEST_RUN,
     .number = 14,
     .run = {0x2e, UINT64_C(0xd1d2d3d4d5d6d7da), 16384, 0, 3}},
    {.type = MANIFEST_RUN_ADDED, .number = 15, .run_added = {0x2e, 1003}},
    {.type = MANIFEST_RUNS, .number = 16, .runs = {1006, 3, 2, 0}}};

static const golden_edits golden = {golden_taken_in, GOLDEN_TAKEN_IN_AT,
                                    golden_says, EDITS};

/* ---- The edit ----------------------------------------------------------- */

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

static void refuse(int operand, uint64_t value, cask_status status,
                   const char *part)
{
    golden_edits_refuse(&golden, ADDED, operand, value, status, part);
}

static void test_operands_out_of_range_are_refused(void **state)
{
    const uint64_t limit = FORMAT_SEQUENCE_LIMIT;

    (void)state;
    refuse(1, 0, CASK_CORRUPT,
           "MANIFEST: offset 760: edit of type 11: added sequence");
    refuse(1, limit, CASK_CORRUPT, "between -2^56 and 2^56");
    refuse(1, 0 - limit, CASK_CORRUPT, "between -2^56 and 2^56");
    refuse(1, UINT64_C(1) << 63, CASK_CORRUPT, "between -2^56 and 2^56");
    refuse(2, 1, CASK_UNSUPPORTED, "a field that this program");
    refuse(3, 1, CASK_UNSUPPORTED, "a field that this program");
}

static void test_what_is_added_may_be_less_than_0(void **state)
{
    const int64_t most = (int64_t)FORMAT_SEQUENCE_LIMIT - 1;
    const int64_t values[] = {1, -1, most, -most, INT64_C(-7)};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const manifest_edit in = {.type = MANIFEST_RUN_ADDED,
                                  .number = 1,
                                  .run_added = {0x2e, values[i]}};
        uint8_t bytes[MANIFEST_EDIT_SIZE];
        manifest_edit out;

        manifest_edit_encode(&in, golden_edits_seed(&golden, ADDED), bytes);
        assert_int_equal(manifest_edit_decode(bytes, "x",
                                              golden_edits_seed(&golden, ADDED),
                                              &out, NULL),
                         CASK_OK);
        assert_true(out.run_added.id == 0x2e);
        assert_true(out.run_added.sequence == values[i]);
    }
}

/* ---- The whole file ------------------------------------------------------ */

static void golden_file(uint8_t bytes[WHOLE])
{
    memcpy(bytes, golden_manifest, sizeof(golden_manifest));
    memcpy(bytes + GOLDEN_VERSIONS_AT, golden_versions,
           sizeof(golden_versions));
    memcpy(bytes + GOLDEN_TAKEN_IN_AT, golden_taken_in,
           sizeof(golden_taken_in));
}

static void assert_is_version_3(const manifest_state *manifest)
{
    assert_true(manifest->version == 3);
    assert_true(manifest->flushed == 1006);
    assert_int_equal(manifest->run_count, 2);
    assert_true(manifest->runs[0].id == 0x2d);
    assert_true(manifest->runs[0].added == 0);
    assert_true(manifest->runs[1].id == 0x2e);
    assert_true(manifest->runs[1].added == 1003);
    assert_true(manifest->next_id == 0x2f);
    assert_true(manifest->next_sequence == 1007);
}

static void test_golden_version_takes_a_run_in(void **state)
{
    uint8_t bytes[WHOLE];
    manifest_state manifest;

    golden_file(bytes);
    assert_int_equal(disk_replay(*state, bytes, WHOLE, &manifest, NULL),
                     CASK_OK);
    assert_is_version_3(&manifest);
    assert_true(manifest.number == 16);
    assert_false(manifest.torn);
    manifest_free(&manifest);
}

/* A run without what is added to it would be older than it is. */
static void test_every_cut_leaves_the_version_before(void **state)
{
    uint8_t bytes[WHOLE];

    golden_file(bytes);
    for (size_t size = GOLDEN_TAKEN_IN_AT; size < WHOLE; size++) {
        manifest_state manifest;

        assert_int_equal(disk_replay(*state, bytes, size, &manifest, NULL),
                         CASK_OK);
        assert_true(manifest.version == 2);
        assert_int_equal(manifest.run_count, 1);
        manifest_free(&manifest);
    }
}

static void test_file_written_anew_keeps_what_is_added(void **state)
{
    const disk *on = *state;
    uint8_t bytes[WHOLE];
    manifest_state manifest;

    golden_file(bytes);
    assert_int_equal(disk_replay(on, bytes, WHOLE, &manifest, NULL), CASK_OK);
    assert_int_equal(manifest_rewrite(on->dir, &manifest, FILE_MODE, NULL),
                     CASK_OK);
    manifest_free(&manifest);
    assert_int_equal(manifest_load(on->dir, golden_uuid, &manifest, NULL),
                     CASK_OK);
    assert_is_version_3(&manifest);
    manifest_free(&manifest);
}

/* One that went and comes again without it has its own sequences. */
static void test_run_comes_again_with_what_the_change_says(void **state)
{
    for (int64_t added = -5; added <= 5; added += 5) {
        const manifest_run again = {.id = 0x2e,
                                    .nonce = UINT64_C(0xd1d2d3d4d5d6d7da),
                                    .bytes = 16384,
                                    .level = 3,
                                    .added = added};
        const manifest_change change = {.drops = &again.id,
                                        .drop_count = 1,
                                        .adds = &again,
                                        .add_count = 1,
                                        .version = 4,
                                        .flushed = 1006};
        uint8_t bytes[WHOLE];
        manifest_state manifest;

        golden_file(bytes);
        assert_int_equal(disk_replay(*state, bytes, WHOLE, &manifest, NULL),
                         CASK_OK);
        assert_int_equal(manifest_change_runs(&manifest, &change, NULL),
                         CASK_OK);
        assert_int_equal(manifest.run_count, 2);
        assert_true(manifest.runs[1].added == added);
        manifest_free(&manifest);
    }
}

/* The version's edits in place of the golden ones, its last one made right. */
static void refuse_version(const disk *on, const manifest_edit edits[2],
                           const char *part)
{
    uint8_t bytes[WHOLE];
    manifest_edit last = golden_says[2];
    manifest_state manifest;
    cask_error err;

    golden_file(bytes);
    for (size_t i = 0; i < 2; i++) {
        manifest_edit_encode(&edits[i], golden_edits_seed(&golden, i),
                             bytes + GOLDEN_TAKEN_IN_AT +
                                 i * MANIFEST_EDIT_SIZE);
    }
    last.runs.crc =
        crc32c(0, bytes + GOLDEN_TAKEN_IN_AT, (size_t)2 * MANIFEST_EDIT_SIZE);
    manifest_edit_encode(&last, golden_edits_seed(&golden, 2),
                         bytes + GOLDEN_TAKEN_IN_AT +
                             (size_t)2 * MANIFEST_EDIT_SIZE);
    assert_int_equal(disk_replay(on, bytes, WHOLE, &manifest, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, part));
    manifest_free(&manifest);
}

static void test_edits_that_contradict_the_tree_are_corrupt(void **state)
{
    const manifest_edit first = {
        .type = MANIFEST_RUN_ADDED, .number = 14, .run_added = {0x2d, 7}};
    const manifest_edit second = {
        .type = MANIFEST_RUN_ADDED, .number = 15, .run_added = {0x2d, 7}};
    const manifest_edit unknown = {
        .type = MANIFEST_RUN_ADDED, .number = 15, .run_added = {0x2f, 7}};

    refuse_version(*state, (manifest_edit[]){first, second},
                   "edit 15 adds to sequences of run 000000000000002d, to "
                   "which 7 is added");
    refuse_version(*state, (manifest_edit[]){first, unknown},
                   "names run 000000000000002f, which is not in it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_edits_are_written_and_read),
        cmocka_unit_test(test_every_flip_and_cut_is_refused),
        cmocka_unit_test(test_operands_out_of_range_are_refused),
        cmocka_unit_test(test_what_is_added_may_be_less_than_0),
        cmocka_unit_test(test_golden_version_takes_a_run_in),
        cmocka_unit_test(test_every_cut_leaves_the_version_before),
        cmocka_unit_test(test_file_written_anew_keeps_what_is_added),
        cmocka_unit_test(test_run_comes_again_with_what_the_change_says),
        cmocka_unit_test(test_edits_that_contradict_the_tree_are_corrupt),
    };

    return cmocka_run_group_tests(tests, disk_set_up, disk_tear_down);
}
