/*
 * Versions of a tree in the MANIFEST: golden bytes, each edit by itself, and
 * what a file gives that is cut, damaged or overwritten anywhere. A version
 * takes effect wholly or not at all.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/golden_edits.h"
#include "format/manifest_disk.h"
#include "format/sweep.h"
#include "log/segment.h"

#include "cask_test.h"

enum {
    EDITS = 7,       /* golden ones */
    SECOND_AT = 448, /* where the edits of version 2 begin */
    SECOND_EDITS = 5,
    WHOLE = GOLDEN_VERSIONS_AT + sizeof(golden_versions),
    ROUNDS = 1000
};

#define KEY "a key of 20 bytes..."

static const manifest_edit golden_says[EDITS] = {
    {.type = MANIFEST_RUN,
     .number = 7,
     .run = {0x2c, UINT64_C(0xd1d2d3d4d5d6d7d8), 4096, 0, 1}},
    {.type = MANIFEST_RUNS, .number = 8, .runs = {1003, 1, 1, 0}},
    {.type = MANIFEST_RUN_DROP, .number = 9, .run_drop = {0x2c}},
    {.type = MANIFEST_RUN,
     .number = 10,
     .run = {0x2d, UINT64_C(0xd1d2d3d4d5d6d7d9), 8192, 7, 2}},
    {.type = MANIFEST_RUN_BEGIN,
     .number = 11,
     .begin = {0x2d, 20, 0, "a key of 20 byte"}},
    {.type = MANIFEST_RUN_BEGIN, .number = 12, .begin = {0x2d, 20, 16, "s..."}},
    {.type = MANIFEST_RUNS, .number = 13, .runs = {1004, 2, 4, 0}}};

static const golden_edits golden = {golden_versions, GOLDEN_VERSIONS_AT,
                                    golden_says, EDITS};

/* ---- Each edit ---------------------------------------------------------- */

static void test_golden_edits_are_written_and_read(void **state)
{
    (void)state;
    golden_edits_are_read(&golden);
}

static void test_every_flip_and_cut_of_an_edit_is_refused(void **state)
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
    refuse(0, 2, 56, CASK_CORRUPT,
           "MANIFEST: offset 384: edit of type 7: bytes of run");
    refuse(0, 2, 4100, CASK_CORRUPT, "a multiple of 8");
    refuse(0, 3, MANIFEST_LEVELS, CASK_CORRUPT,
           "expected a level below 64, found 64");
    refuse(1, 0, FORMAT_SEQUENCE_LIMIT, CASK_CORRUPT,
           "flushed sequence, expected less than 2^56");
    refuse(1, 1, 0, CASK_CORRUPT, "version, expected 1 or more");
    refuse(1, 2, UINT64_C(1) << 32, CASK_UNSUPPORTED,
           "number of edits or their crc32c");
    refuse(1, 3, UINT64_C(1) << 32, CASK_UNSUPPORTED,
           "number of edits or their crc32c");
    refuse(2, 1, 7, CASK_UNSUPPORTED, "a field that this program");
    refuse(4, 1, 0, CASK_CORRUPT, "size of key");
    refuse(4, 1, 65536, CASK_CORRUPT, "size of key");
    refuse(4, 1, UINT64_C(8) << 32 | 20, CASK_CORRUPT, "of 16");
    refuse(4, 1, UINT64_C(32) << 32 | 20, CASK_CORRUPT, "an offset below it");
    refuse(5, 2, UINT64_C(1) << 32, CASK_UNSUPPORTED,
           "bytes behind the end of a key");
    refuse(5, 3, 1, CASK_UNSUPPORTED, "bytes behind the end of a key");
}

static manifest_edit random_edit(void)
{
    manifest_edit edit = {.type = (manifest_edit_type)(7 + sweep_random() % 4),
                          .number = 1 + (sweep_random() >> 1)};

    if (edit.type == MANIFEST_RUN) {
        edit.run.id = sweep_random();
        edit.run.nonce = sweep_random();
        edit.run.bytes = 64 + (sweep_random() >> 8) * 8;
        edit.run.level = (uint32_t)(sweep_random() % MANIFEST_LEVELS);
        edit.run.run = (uint32_t)sweep_random();
    } else if (edit.type == MANIFEST_RUN_BEGIN) {
        edit.begin.id = sweep_random();
        edit.begin.size = 1 + (uint32_t)(sweep_random() % UINT16_MAX);
        edit.begin.offset =
            (uint32_t)(sweep_random() % edit.begin.size) / 16 * 16;
        for (uint32_t i = 0; i < 16 && edit.begin.offset + i < edit.begin.size;
             i++) {
            edit.begin.piece[i] = (uint8_t)sweep_random();
        }
    } else if (edit.type == MANIFEST_RUN_DROP) {
        edit.run_drop.id = sweep_random();
    } else {
        edit.runs.flushed = sweep_random() >> 8;
        edit.runs.version = 1 + (sweep_random() >> 1);
        edit.runs.edits = (uint32_t)sweep_random();
        edit.runs.crc = (uint32_t)sweep_random();
    }
    return edit;
}

static void test_any_edit_survives_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        manifest_edit in = random_edit();
        uint8_t bytes[MANIFEST_EDIT_SIZE];
        manifest_edit out;

        manifest_edit_encode(&in, golden_edits_seed(&golden, 0), bytes);
        assert_int_equal(manifest_edit_decode(bytes, "x",
                                              golden_edits_seed(&golden, 0),
                                              &out, NULL),
                         CASK_OK);
        assert_int_equal(out.type, in.type);
        assert_true(out.number == in.number);
        assert_edit_equal(&in, &out);
    }
}

/* ---- The whole file ------------------------------------------------------ */

static void golden_file(uint8_t bytes[WHOLE])
{
    memcpy(bytes, golden_manifest, sizeof(golden_manifest));
    memcpy(bytes + GOLDEN_VERSIONS_AT, golden_versions,
           sizeof(golden_versions));
}

/* The state is that of a golden version, 0 to 2, and nothing between. */
static void assert_version(const manifest_state *manifest, uint64_t version)
{
    assert_true(manifest->version == version);
    assert_true(manifest->flushed == (version == 0 ? 0 : 1002 + version));
    assert_int_equal(manifest->run_count, version == 0 ? 0 : 1);
    if (version == 1) {
        assert_true(manifest->runs[0].id == 0x2c);
        assert_true(manifest->runs[0].nonce == UINT64_C(0xd1d2d3d4d5d6d7d8));
        assert_true(manifest->runs[0].bytes == 4096);
        assert_int_equal(manifest->runs[0].level, 0);
        assert_int_equal(manifest->runs[0].run, 1);
        assert_int_equal(manifest->runs[0].begin.size, 0);
    } else if (version == 2) {
        assert_true(manifest->runs[0].id == 0x2d);
        assert_true(manifest->runs[0].bytes == 8192);
        assert_int_equal(manifest->runs[0].level, 7);
        assert_int_equal(manifest->runs[0].run, 2);
        assert_int_equal(manifest->runs[0].begin.size, 20);
        assert_memory_equal(manifest->runs[0].begin.data, KEY, 20);
    }
    /* The segments are as the edits before them say. */
    assert_int_equal(manifest->count, 1);
    assert_true(manifest->segments[0].id == GOLDEN_SEGMENT_ID + 1);
}

static uint64_t version_of(size_t edits)
{
    return edits >= 13 ? 2 : edits >= 8 ? 1 : 0;
}

static void test_golden_versions_give_the_last(void **state)
{
    uint8_t bytes[WHOLE];
    manifest_state manifest;

    golden_file(bytes);
    assert_int_equal(disk_replay(*state, bytes, WHOLE, &manifest, NULL),
                     CASK_OK);
    assert_version(&manifest, 2);
    assert_true(manifest.number == 13);
    assert_true(manifest.tail == WHOLE);
    assert_true(manifest.next_id == 0x2e);
    assert_true(manifest.next_sequence == 1005);
    assert_false(manifest.torn);
    manifest_free(&manifest);
}

static void test_every_cut_gives_a_whole_version(void **state)
{
    uint8_t bytes[WHOLE];

    golden_file(bytes);
    for (size_t size = GOLDEN_VERSIONS_AT; size < WHOLE; size++) {
        size_t edits = (size - MANIFEST_HEADER_SIZE) / MANIFEST_EDIT_SIZE;
        uint64_t version = version_of(edits);
        uint64_t number = version == 0 ? 6 : 8;
        manifest_state manifest;

        assert_int_equal(disk_replay(*state, bytes, size, &manifest, NULL),
                         CASK_OK);
        assert_version(&manifest, version);
        assert_true(manifest.number == number);
        assert_true(manifest.tail ==
                    MANIFEST_HEADER_SIZE + number * MANIFEST_EDIT_SIZE);
        assert_int_equal(manifest.torn, size > manifest.tail);
        manifest_free(&manifest);
    }
}

/* In the last version: as if it had never been written; before it: damage. */
static void test_every_flipped_byte_gives_a_whole_version_or_none(void **state)
{
    uint8_t bytes[WHOLE];

    for (size_t at = MANIFEST_HEADER_SIZE; at < WHOLE; at++) {
        manifest_state manifest;
        cask_error err;
        cask_status status;

        golden_file(bytes);
        bytes[at] ^= 0x10;
        status = disk_replay(*state, bytes, WHOLE, &manifest, &err);
        if (at < SECOND_AT) {
            assert_int_equal(status, CASK_CORRUPT);
            assert_non_null(
                strstr(err.message, "is damaged, a valid one follows"));
        } else {
            assert_int_equal(status, CASK_OK);
            assert_version(&manifest, 1);
            assert_true(manifest.tail == SECOND_AT);
            assert_true(manifest.torn);
        }
        manifest_free(&manifest);
    }
}

/* Power fails while they are written: any of them may be there. */
static void
test_any_edits_missing_of_the_last_version_leave_the_one_before(void **state)
{
    for (unsigned there = 0; there < 1U << SECOND_EDITS; there++) {
        uint64_t version = there == (1U << SECOND_EDITS) - 1 ? 2 : 1;
        uint8_t bytes[WHOLE];
        manifest_state manifest;

        golden_file(bytes);
        for (unsigned i = 0; i < SECOND_EDITS; i++) {
            if ((there >> i & 1) == 0) {
                memset(bytes + SECOND_AT + i * MANIFEST_EDIT_SIZE, 0,
                       MANIFEST_EDIT_SIZE);
            }
        }
        assert_int_equal(disk_replay(*state, bytes, WHOLE, &manifest, NULL),
                         CASK_OK);
        assert_version(&manifest, version);
        manifest_free(&manifest);
    }
}

/* Encode `edit` as number 6 + 1 + index from the first golden version on. */
static void put_edit(uint8_t *bytes, size_t index, manifest_edit edit)
{
    edit.number = 7 + index;
    manifest_edit_encode(&edit, golden_edits_seed(&golden, index),
                         bytes + GOLDEN_VERSIONS_AT +
                             index * MANIFEST_EDIT_SIZE);
}

static const manifest_edit next_edit = {
    .type = MANIFEST_NEXT, .next = {.segment_id = 0x40, .sequence = 2000}};

static void test_a_valid_edit_behind_a_damaged_version_is_damage(void **state)
{
    uint8_t bytes[WHOLE + MANIFEST_EDIT_SIZE];

    for (size_t i = 2; i < EDITS; i++) {
        manifest_state manifest;
        cask_error err;

        golden_file(bytes);
        put_edit(bytes, EDITS, next_edit);
        bytes[GOLDEN_VERSIONS_AT + i * MANIFEST_EDIT_SIZE + 20] ^= 1;
        assert_int_equal(
            disk_replay(*state, bytes, sizeof(bytes), &manifest, &err),
            CASK_CORRUPT);
        assert_non_null(strstr(err.message, "is damaged, a valid one follows"));
        manifest_free(&manifest);
    }
}

/* Of a version whose writer was killed in the middle of the write: the next
 * edits are written over it, whatever they are, and it never counts. */
static void test_rest_of_a_version_never_counts_in_another(void **state)
{
    for (size_t over = 1; over < SECOND_EDITS; over++) {
        uint8_t bytes[WHOLE];
        manifest_state manifest;

        golden_file(bytes);
        /* `over` edits in place of as many of version 2, whose rest stays. */
        for (size_t i = 0; i < over; i++) {
            put_edit(bytes, 2 + i, next_edit);
        }
        assert_int_equal(disk_replay(*state, bytes, WHOLE, &manifest, NULL),
                         CASK_OK);
        assert_version(&manifest, 1);
        assert_true(manifest.torn);
        assert_true(manifest.number == 8 + over);
        assert_true(manifest.tail == SECOND_AT + over * MANIFEST_EDIT_SIZE);
        manifest_free(&manifest);
    }
}

static void test_rest_of_a_version_does_not_end_another(void **state)
{
    uint8_t bytes[WHOLE];
    manifest_edit other = golden_says[2];
    manifest_state manifest;

    golden_file(bytes);
    other.run_drop.id = 0x77; /* as many edits, but not those */
    put_edit(bytes, 2, other);
    assert_int_equal(disk_replay(*state, bytes, WHOLE, &manifest, NULL),
                     CASK_OK);
    assert_version(&manifest, 1);
    assert_true(manifest.tail == SECOND_AT);
    assert_true(manifest.torn);
    manifest_free(&manifest);
}

static void test_another_edit_among_those_of_a_version_is_corrupt(void **state)
{
    uint8_t bytes[WHOLE];
    manifest_state manifest;
    cask_error err;

    golden_file(bytes);
    put_edit(bytes, 4, next_edit);
    assert_int_equal(disk_replay(*state, bytes, WHOLE, &manifest, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, "edit 11 of type 3 stands in a version "
                                        "of runs that has not ended"));
    manifest_free(&manifest);
}

/* ---- Changes ------------------------------------------------------------- */

/* Begin with the golden MANIFEST, without versions. */
static void begin(const disk *on, manifest_state *ret_state)
{
    assert_int_equal(disk_replay(on, golden_manifest, sizeof(golden_manifest),
                                 ret_state, NULL),
                     CASK_OK);
}

/* Append a change and load what comes of it, in place of `manifest`. */
static cask_status change(const disk *on, manifest_state *manifest,
                          const manifest_change *what, cask_error *err)
{
    uint64_t tail = manifest->tail;
    uint64_t number = manifest->number;

    assert_int_equal(manifest_append_runs(on->dir, &tail, &number, what, NULL),
                     CASK_OK);
    manifest_free(manifest);
    return manifest_load(on->dir, golden_uuid, manifest, err);
}

static void refuse_change(const disk *on, const manifest_change *what,
                          const char *part)
{
    const manifest_run first = {.id = 5, .nonce = 6, .bytes = 640, .run = 3};
    const manifest_begin at = {5, {"m", 1}};
    const manifest_change base = {.adds = &first,
                                  .add_count = 1,
                                  .begins = &at,
                                  .begin_count = 1,
                                  .version = 4,
                                  .flushed = 9};
    manifest_state manifest;
    cask_error err;

    begin(on, &manifest);
    assert_int_equal(change(on, &manifest, &base, NULL), CASK_OK);
    assert_int_equal(change(on, &manifest, what, &err), CASK_CORRUPT);
    assert_non_null(strstr(err.message, part));
    manifest_free(&manifest);
}

static void test_versions_that_contradict_each_other_are_corrupt(void **state)
{
    const manifest_run same = {.id = 5, .nonce = 7, .bytes = 640};
    const uint64_t unknown = 6;
    const manifest_begin unknown_begin = {6, {"m", 1}};
    const manifest_begin as_before = {5, {"m", 1}};
    const manifest_begin lower = {5, {"a", 1}};

    refuse_change(*state, &(manifest_change){.version = 4, .flushed = 9},
                  "takes the tree back, to version 4 and flushed 9");
    refuse_change(*state, &(manifest_change){.version = 5, .flushed = 8},
                  "takes the tree back, to version 5 and flushed 8");
    refuse_change(
        *state,
        &(manifest_change){
            .adds = &same, .add_count = 1, .version = 5, .flushed = 9},
        "adds run 0000000000000005, which is in it");
    refuse_change(
        *state,
        &(manifest_change){
            .drops = &unknown, .drop_count = 1, .version = 5, .flushed = 9},
        "names run 0000000000000006, which is not in it");
    refuse_change(*state,
                  &(manifest_change){.begins = &unknown_begin,
                                     .begin_count = 1,
                                     .version = 5,
                                     .flushed = 9},
                  "names run 0000000000000006, which is not in it");
    refuse_change(
        *state,
        &(manifest_change){
            .begins = &as_before, .begin_count = 1, .version = 5, .flushed = 9},
        "takes the begin of run 0000000000000005 back");
    refuse_change(
        *state,
        &(manifest_change){
            .begins = &lower, .begin_count = 1, .version = 5, .flushed = 9},
        "takes the begin of run 0000000000000005 back");
}

static void check_lost(const manifest_lost *a, const manifest_lost *b)
{
    assert_true(a->segment_id == b->segment_id);
    assert_true(a->offset == b->offset);
    assert_true(a->sequence == b->sequence);
    assert_int_equal(a->key_size, b->key_size);
    assert_int_equal(a->known_bytes, b->known_bytes);
    assert_memory_equal(a->known, b->known, sizeof(a->known));
}

static void test_lost_records_are_kept_with_all_that_is_known(void **state)
{
    static const uint32_t known[] = {0, 1, 23, 24, 25, 48, 55, 56};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        manifest_lost losts[2] = {
            {.segment_id = 7, .offset = 64, .sequence = 5, .key_size = 57},
            {.segment_id = 8, .offset = 4096, .sequence = 9}};
        const manifest_change both = {
            .losts = losts, .lost_count = 2, .version = 4, .flushed = 9};
        const disk *on = *state;
        manifest_state manifest;

        losts[1].known_bytes = known[i];
        sweep_random_bytes(losts[1].known, known[i]);
        begin(on, &manifest);
        assert_int_equal(manifest_change_runs(&manifest, &both, NULL), CASK_OK);
        assert_int_equal(manifest.lost_count, 2);
        manifest_free(&manifest);
        begin(on, &manifest);
        assert_int_equal(change(on, &manifest, &both, NULL), CASK_OK);
        assert_int_equal(manifest_rewrite(on->dir, &manifest, 0600, NULL),
                         CASK_OK);
        manifest_free(&manifest);
        assert_int_equal(manifest_load(on->dir, golden_uuid, &manifest, NULL),
                         CASK_OK);
        assert_int_equal(manifest.lost_count, 2);
        check_lost(&manifest.losts[0], &losts[0]);
        check_lost(&manifest.losts[1], &losts[1]);
        manifest_free(&manifest);
    }
}

/* Keys of all sizes about those of pieces, and the longest. */
static void test_begins_of_any_size_are_kept(void **state)
{
    static const size_t sizes[] = {1, 2, 15, 16, 17, 31, 32, 33, 1000, 65535};
    uint8_t key[65535];

    sweep_random_bytes(key, sizeof(key));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const manifest_run runs[] = {
            {.id = 50, .nonce = 1, .bytes = 640, .run = 1},
            {.id = 51, .nonce = 2, .bytes = 648, .begin = {key, sizes[i]}}};
        const manifest_begin later = {50, {key, sizes[i]}};
        manifest_state manifest;

        begin(*state, &manifest);
        assert_int_equal(change(*state, &manifest,
                                &(manifest_change){
                                    .adds = runs, .add_count = 2, .version = 1},
                                NULL),
                         CASK_OK);
        assert_int_equal(manifest.runs[0].begin.size, 0);
        assert_int_equal(change(*state, &manifest,
                                &(manifest_change){.begins = &later,
                                                   .begin_count = 1,
                                                   .version = 2},
                                NULL),
                         CASK_OK);
        for (size_t run = 0; run < 2; run++) {
            assert_int_equal(manifest.runs[run].begin.size, sizes[i]);
            assert_memory_equal(manifest.runs[run].begin.data, key, sizes[i]);
        }
        manifest_free(&manifest);
    }
}

static void test_run_may_go_and_come_in_one_version(void **state)
{
    const manifest_run before = {.id = 5, .nonce = 6, .bytes = 640, .run = 3};
    const manifest_run after = {
        .id = 5, .nonce = 6, .bytes = 640, .level = 4, .run = 1};
    const uint64_t id = 5;
    manifest_state manifest;

    begin(*state, &manifest);
    assert_int_equal(change(*state, &manifest,
                            &(manifest_change){
                                .adds = &before, .add_count = 1, .version = 1},
                            NULL),
                     CASK_OK);
    assert_int_equal(change(*state, &manifest,
                            &(manifest_change){.drops = &id,
                                               .drop_count = 1,
                                               .adds = &after,
                                               .add_count = 1,
                                               .version = 2},
                            NULL),
                     CASK_OK);
    assert_int_equal(manifest.run_count, 1);
    assert_int_equal(manifest.runs[0].level, 4);
    assert_int_equal(manifest.runs[0].run, 1);
    manifest_free(&manifest);
}

/* Random changes beside a list; now and then the file is written anew. */
static void test_any_changes_give_the_runs_that_are_left(void **state)
{
    const disk *on = *state;
    uint64_t ids[64];
    size_t count = 0;
    uint64_t next = 100;
    manifest_state manifest;

    begin(on, &manifest);
    for (uint64_t version = 1; version <= 200; version++) {
        manifest_run adds[3];
        manifest_change what = {
            .adds = adds, .version = version, .flushed = version / 2};
        uint64_t dropped = 0;

        if (count > 8 || (count > 0 && sweep_random() % 4 == 0)) {
            size_t at = (size_t)(sweep_random() % count);

            dropped = ids[at];
            ids[at] = ids[--count];
            what.drops = &dropped;
            what.drop_count = 1;
        }
        for (uint64_t n = sweep_random() % 3; n > 0; n--) {
            adds[what.add_count++] = (manifest_run){
                .id = next, .nonce = next + 1, .bytes = 640, .run = 7};
            ids[count++] = next++;
        }
        assert_int_equal(change(on, &manifest, &what, NULL), CASK_OK);
        if (sweep_random() % 5 == 0) {
            assert_int_equal(
                manifest_rewrite(on->dir, &manifest, FILE_MODE, NULL), CASK_OK);
            manifest_free(&manifest);
            assert_int_equal(
                manifest_load(on->dir, golden_uuid, &manifest, NULL), CASK_OK);
        }
        assert_true(manifest.version == version);
        assert_true(manifest.flushed == version / 2);
        assert_int_equal(manifest.run_count, count);
        for (size_t i = 0; i < count; i++) {
            const manifest_run *run = manifest_find_run(&manifest, ids[i]);

            assert_non_null(run);
            assert_true(run->nonce == ids[i] + 1);
        }
        assert_null(manifest_find_run(&manifest, dropped));
    }
    manifest_free(&manifest);
}

/* Also: a cut anywhere is damage then, for all of it was durable. */
static void test_file_written_anew_keeps_runs(void **state)
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
    assert_version(&manifest, 2);
    assert_true(manifest.header.edits == manifest.number);
    assert_false(manifest.torn);
    for (uint64_t size = MANIFEST_HEADER_SIZE; size < manifest.tail; size++) {
        manifest_state cut;
        os_file *file;

        assert_int_equal(on->dir->os->ops->open(on->dir, MANIFEST_NAME,
                                                OS_READ | OS_WRITE, 0, &file),
                         0);
        assert_int_equal(
            on->dir->os->ops->truncate(file, manifest.tail - 1 -
                                                 (size - MANIFEST_HEADER_SIZE)),
            0);
        on->dir->os->ops->close(file);
        assert_int_equal(manifest_load(on->dir, golden_uuid, &cut, NULL),
                         CASK_CORRUPT);
        manifest_free(&cut);
    }
    manifest_free(&manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_edits_are_written_and_read),
        cmocka_unit_test(test_every_flip_and_cut_of_an_edit_is_refused),
        cmocka_unit_test(test_operands_out_of_range_are_refused),
        cmocka_unit_test(test_any_edit_survives_a_round_trip),
        cmocka_unit_test(test_golden_versions_give_the_last),
        cmocka_unit_test(test_every_cut_gives_a_whole_version),
        cmocka_unit_test(test_every_flipped_byte_gives_a_whole_version_or_none),
        cmocka_unit_test(
            test_any_edits_missing_of_the_last_version_leave_the_one_before),
        cmocka_unit_test(test_a_valid_edit_behind_a_damaged_version_is_damage),
        cmocka_unit_test(test_rest_of_a_version_never_counts_in_another),
        cmocka_unit_test(test_rest_of_a_version_does_not_end_another),
        cmocka_unit_test(test_another_edit_among_those_of_a_version_is_corrupt),
        cmocka_unit_test(test_versions_that_contradict_each_other_are_corrupt),
        cmocka_unit_test(test_lost_records_are_kept_with_all_that_is_known),
        cmocka_unit_test(test_begins_of_any_size_are_kept),
        cmocka_unit_test(test_run_may_go_and_come_in_one_version),
        cmocka_unit_test(test_any_changes_give_the_runs_that_are_left),
        cmocka_unit_test(test_file_written_anew_keeps_runs),
    };

    return cmocka_run_group_tests_name("versions", tests, disk_set_up,
                                       disk_tear_down);
}
