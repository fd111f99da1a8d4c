/*
 * The MANIFEST: golden bytes, damage and crafted fields of header and edits.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/golden_store.h"
#include "format/sweep.h"

#include "cask_test.h"

enum { ROUNDS = 1000 };

static const manifest_header golden_header = {.engine = CASK_ENGINE_HASH,
                                              .uuid = GOLDEN_UUID,
                                              .nonce = GOLDEN_MANIFEST_NONCE};

static const manifest_edit golden_edits[GOLDEN_EDITS] = {
    {.type = MANIFEST_OPEN,
     .number = 1,
     .open = {.segment_id = GOLDEN_SEGMENT_ID,
              .nonce = GOLDEN_SEGMENT_NONCE,
              .kind = SEGMENT_LOG}},
    {.type = MANIFEST_SEAL,
     .number = 2,
     .seal = {.segment_id = GOLDEN_SEGMENT_ID,
              .length = GOLDEN_SEGMENT_LENGTH,
              .last_sequence = 1003,
              .damaged_bytes = 0}},
    {.type = MANIFEST_NEXT,
     .number = 3,
     .next = {.segment_id = GOLDEN_SEGMENT_ID + 1, .sequence = 1004}},
    {.type = MANIFEST_DROP,
     .number = 4,
     .drop = {.segment_id = GOLDEN_SEGMENT_ID}},
    {.type = MANIFEST_OPEN,
     .number = 5,
     .open = {.segment_id = GOLDEN_SEGMENT_ID + 1,
              .nonce = GOLDEN_NEXT_NONCE,
              .kind = SEGMENT_LOG}},
    {.type = MANIFEST_SYNCED,
     .number = 6,
     .seal = {.segment_id = GOLDEN_SEGMENT_ID + 1,
              .length = GOLDEN_NEXT_LENGTH,
              .last_sequence = 1004,
              .damaged_bytes = 0}}};

static manifest_seed seed_of(size_t index)
{
    manifest_seed seed = {.nonce = GOLDEN_MANIFEST_NONCE,
                          .offset = MANIFEST_HEADER_SIZE +
                                    index * MANIFEST_EDIT_SIZE};

    return seed;
}

static cask_status decode_header(const uint8_t *bytes, cask_error *err)
{
    manifest_header header;
    manifest_header before;
    cask_status status;

    memset(&header, 0xa5, sizeof(header));
    memcpy(&before, &header, sizeof(before));
    status = manifest_header_decode(bytes, MANIFEST_NAME, &header, err);
    if (status != CASK_OK) {
        assert_memory_equal(&header, &before, sizeof(before));
    }
    return status;
}

static cask_status decode_edit_at(const uint8_t *bytes, size_t index,
                                  cask_error *err)
{
    manifest_edit edit;
    manifest_edit before;
    cask_status status;

    memset(&edit, 0xa5, sizeof(edit));
    memcpy(&before, &edit, sizeof(before));
    status =
        manifest_edit_decode(bytes, MANIFEST_NAME, seed_of(index), &edit, err);
    if (status != CASK_OK) {
        assert_memory_equal(&edit, &before, sizeof(before));
    }
    return status;
}

static cask_status decode_open(const uint8_t *bytes, cask_error *err)
{
    return decode_edit_at(bytes, 0, err);
}

static cask_status decode_seal(const uint8_t *bytes, cask_error *err)
{
    return decode_edit_at(bytes, 1, err);
}

static cask_status decode_next(const uint8_t *bytes, cask_error *err)
{
    return decode_edit_at(bytes, 2, err);
}

static cask_status decode_drop(const uint8_t *bytes, cask_error *err)
{
    return decode_edit_at(bytes, 3, err);
}

static cask_status decode_open_again(const uint8_t *bytes, cask_error *err)
{
    return decode_edit_at(bytes, 4, err);
}

static cask_status decode_synced(const uint8_t *bytes, cask_error *err)
{
    return decode_edit_at(bytes, 5, err);
}

static const sweep_target header_target = {.name = MANIFEST_NAME,
                                           .golden = golden_manifest,
                                           .size = MANIFEST_HEADER_SIZE,
                                           .decode = decode_header};

static const sweep_target edit_targets[GOLDEN_EDITS] = {
    {MANIFEST_NAME, golden_manifest + 64, 48, decode_open},
    {MANIFEST_NAME, golden_manifest + 112, 48, decode_seal},
    {MANIFEST_NAME, golden_manifest + 160, 48, decode_next},
    {MANIFEST_NAME, golden_manifest + 208, 48, decode_drop},
    {MANIFEST_NAME, golden_manifest + 256, 48, decode_open_again},
    {MANIFEST_NAME, golden_manifest + 304, 48, decode_synced}};

static void assert_header_equal(const manifest_header *a,
                                const manifest_header *b)
{
    assert_int_equal(a->engine, b->engine);
    assert_memory_equal(a->uuid, b->uuid, sizeof(a->uuid));
    assert_true(a->nonce == b->nonce);
    assert_true(a->past_log_bytes == b->past_log_bytes);
    assert_true(a->past_merge_bytes == b->past_merge_bytes);
}

static void assert_operands_equal(const manifest_edit *a,
                                  const manifest_edit *b)
{
    switch (a->type) {
    case MANIFEST_OPEN:
        assert_true(a->open.segment_id == b->open.segment_id);
        assert_true(a->open.nonce == b->open.nonce);
        assert_int_equal(a->open.kind, b->open.kind);
        break;
    case MANIFEST_SEAL:
    case MANIFEST_SYNCED:
        assert_true(a->seal.segment_id == b->seal.segment_id);
        assert_true(a->seal.length == b->seal.length);
        assert_true(a->seal.last_sequence == b->seal.last_sequence);
        assert_true(a->seal.damaged_bytes == b->seal.damaged_bytes);
        break;
    case MANIFEST_NEXT:
        assert_true(a->next.segment_id == b->next.segment_id);
        assert_true(a->next.sequence == b->next.sequence);
        break;
    case MANIFEST_DROP:
    case MANIFEST_QUARANTINE:
        assert_true(a->drop.segment_id == b->drop.segment_id);
        break;
    case MANIFEST_RUN:
    case MANIFEST_RUN_BEGIN:
    case MANIFEST_RUN_DROP:
    case MANIFEST_RUNS:
    case MANIFEST_RUN_ADDED:
    case MANIFEST_LOST:
    case MANIFEST_LOST_KEY:
        fail_msg("versions_test.c has these");
    }
}

static void assert_edit_equal(const manifest_edit *a, const manifest_edit *b)
{
    assert_int_equal(a->type, b->type);
    assert_true(a->number == b->number);
    assert_operands_equal(a, b);
}

/* ---- Header ------------------------------------------------------------- */

static void test_golden_header_is_written_and_read(void **state)
{
    uint8_t bytes[MANIFEST_HEADER_SIZE];
    manifest_header header;

    (void)state;
    memset(bytes, 0xee, sizeof(bytes));
    manifest_header_encode(&golden_header, bytes);
    assert_memory_equal(bytes, golden_manifest, sizeof(bytes));
    assert_int_equal(
        manifest_header_decode(golden_manifest, MANIFEST_NAME, &header, NULL),
        CASK_OK);
    assert_header_equal(&header, &golden_header);
}

static void test_past_bytes_are_written_and_read(void **state)
{
    uint8_t bytes[MANIFEST_HEADER_SIZE];
    manifest_header header = golden_header;
    manifest_header found;

    (void)state;
    header.past_log_bytes = UINT64_C(0xe1e2e3e4e5e6e7e8);
    header.past_merge_bytes = UINT64_C(0xf1f2f3f4f5f6f7f8);
    manifest_header_encode(&header, bytes);
    assert_int_equal(load_u64(bytes + 40), header.past_log_bytes);
    assert_int_equal(load_u64(bytes + 48), header.past_merge_bytes);
    assert_int_equal(manifest_header_decode(bytes, "x", &found, NULL), CASK_OK);
    assert_header_equal(&found, &header);
}

static void test_every_flipped_byte_of_the_header_is_refused(void **state)
{
    (void)state;
    sweep_flips(&header_target);
}

static void test_every_cut_of_the_header_is_refused(void **state)
{
    (void)state;
    sweep_cuts(&header_target);
}

static void test_newer_version_is_unsupported_whatever_it_holds(void **state)
{
    uint8_t bytes[MANIFEST_HEADER_SIZE];

    (void)state;
    sweep_random_bytes(bytes, sizeof(bytes));
    memcpy(bytes, MANIFEST_MAGIC, FORMAT_MAGIC_SIZE);
    store_u32(bytes + 8, MANIFEST_VERSION + 1);
    sweep_reseal(bytes, sizeof(bytes));
    sweep_refused(&header_target, bytes, CASK_UNSUPPORTED,
                  "MANIFEST: offset 8: version of the Caskade MANIFEST is 2, "
                  "this program knows versions up to 1");
}

static void test_foreign_file_is_no_manifest(void **state)
{
    uint8_t bytes[MANIFEST_HEADER_SIZE] = "MANIFEST-000001\n";

    (void)state;
    sweep_refused(&header_target, bytes, CASK_CORRUPT,
                  "MANIFEST: offset 0: is not a Caskade MANIFEST: magic is "
                  "4d414e4946455354, expected 4341534b4d414e49");
}

static void test_unknown_engine_is_unsupported(void **state)
{
    uint8_t bytes[MANIFEST_HEADER_SIZE];

    (void)state;
    memcpy(bytes, golden_manifest, sizeof(bytes));
    store_u32(bytes + 12, 3);
    sweep_reseal(bytes, sizeof(bytes));
    sweep_refused(&header_target, bytes, CASK_UNSUPPORTED,
                  "MANIFEST: offset 12: engine is 3");
}

static void
test_the_number_of_edits_is_read_and_changes_nothing_else(void **state)
{
    uint8_t bytes[MANIFEST_HEADER_SIZE];
    manifest_header header;

    (void)state;
    memcpy(bytes, golden_manifest, sizeof(bytes));
    memset(bytes + 56, 0xff, 4);
    sweep_reseal(bytes, sizeof(bytes));
    assert_int_equal(manifest_header_decode(bytes, "x", &header, NULL),
                     CASK_OK);
    assert_int_equal(header.edits, UINT32_MAX);
    header.edits = golden_header.edits;
    assert_header_equal(&header, &golden_header);
}

/* ---- Edits -------------------------------------------------------------- */

static void test_golden_edits_are_written_and_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_EDITS; i++) {
        const uint8_t *golden = edit_targets[i].golden;
        uint8_t bytes[MANIFEST_EDIT_SIZE];
        manifest_edit edit;

        memset(bytes, 0xee, sizeof(bytes));
        manifest_edit_encode(&golden_edits[i], seed_of(i), bytes);
        assert_memory_equal(bytes, golden, sizeof(bytes));
        assert_int_equal(manifest_edit_decode(golden, MANIFEST_NAME, seed_of(i),
                                              &edit, NULL),
                         CASK_OK);
        assert_edit_equal(&edit, &golden_edits[i]);
    }
}

static cask_status decode_quarantine(const uint8_t *bytes, cask_error *err)
{
    return decode_edit_at(bytes, 2, err);
}

/* Its place is that of the third golden edit, which it could follow. */
static void test_golden_quarantine_is_written_and_read(void **state)
{
    const sweep_target target = {MANIFEST_NAME, golden_quarantine,
                                 sizeof(golden_quarantine), decode_quarantine};
    const manifest_edit golden = {.type = MANIFEST_QUARANTINE,
                                  .number = 3,
                                  .drop = {.segment_id = GOLDEN_SEGMENT_ID}};
    const manifest_seed seed = {GOLDEN_MANIFEST_NONCE, GOLDEN_QUARANTINE_AT};
    uint8_t bytes[MANIFEST_EDIT_SIZE];
    manifest_edit edit;

    (void)state;
    memset(bytes, 0xee, sizeof(bytes));
    manifest_edit_encode(&golden, seed, bytes);
    assert_memory_equal(bytes, golden_quarantine, sizeof(bytes));
    assert_int_equal(manifest_edit_decode(golden_quarantine, MANIFEST_NAME,
                                          seed, &edit, NULL),
                     CASK_OK);
    assert_edit_equal(&edit, &golden);
    sweep_flips(&target);
    sweep_cuts(&target);
}

static manifest_edit random_edit(void)
{
    manifest_edit edit = {.type = (manifest_edit_type)(1 + sweep_random() % 6),
                          .number = 1 + (sweep_random() >> 1)};

    switch (edit.type) {
    case MANIFEST_OPEN:
        edit.open.segment_id = sweep_random();
        edit.open.nonce = sweep_random();
        edit.open.kind = (segment_kind)(1 + sweep_random() % 3);
        break;
    case MANIFEST_SEAL:
        edit.seal.segment_id = sweep_random();
        edit.seal.length = 64 + (sweep_random() >> 32) * 8;
        edit.seal.last_sequence = sweep_random() >> 8;
        edit.seal.damaged_bytes = sweep_random();
        break;
    case MANIFEST_SYNCED: /* closed cleanly: no damage to speak of */
        edit.seal.segment_id = sweep_random();
        edit.seal.length = 64 + (sweep_random() >> 32) * 8;
        edit.seal.last_sequence = sweep_random() >> 8;
        break;
    case MANIFEST_NEXT:
        edit.next.segment_id = sweep_random();
        edit.next.sequence = sweep_random() >> 8;
        break;
    case MANIFEST_DROP:
    case MANIFEST_QUARANTINE:
        edit.drop.segment_id = sweep_random();
        break;
    case MANIFEST_RUN:
    case MANIFEST_RUN_BEGIN:
    case MANIFEST_RUN_DROP:
    case MANIFEST_RUNS:
    case MANIFEST_RUN_ADDED:
    case MANIFEST_LOST:
    case MANIFEST_LOST_KEY:
        fail_msg("versions_test.c has these");
    }
    return edit;
}

static void test_any_edit_survives_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        manifest_seed seed = {sweep_random(), sweep_random()};
        manifest_edit in = random_edit();
        manifest_edit out;
        uint8_t bytes[MANIFEST_EDIT_SIZE];

        manifest_edit_encode(&in, seed, bytes);
        assert_int_equal(manifest_edit_decode(bytes, "x", seed, &out, NULL),
                         CASK_OK);
        assert_edit_equal(&in, &out);
    }
}

static void test_every_flipped_byte_of_an_edit_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_EDITS; i++) {
        sweep_flips(&edit_targets[i]);
    }
}

static void test_every_cut_of_an_edit_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_EDITS; i++) {
        sweep_cuts(&edit_targets[i]);
    }
}

/* Stale edits of a file that was rewritten, and edits that were moved. */
static void test_edit_of_another_place_is_corrupt(void **state)
{
    manifest_edit edit;
    manifest_seed seed = seed_of(0);

    (void)state;
    seed.nonce ^= 1;
    assert_int_equal(
        manifest_edit_decode(golden_manifest + 64, "x", seed, &edit, NULL),
        CASK_CORRUPT);
    for (size_t from = 0; from < GOLDEN_EDITS; from++) {
        for (size_t to = 0; to < GOLDEN_EDITS; to++) {
            assert_int_equal(
                edit_targets[to].decode(edit_targets[from].golden, NULL),
                from == to ? CASK_OK : CASK_CORRUPT);
        }
    }
}

static void test_checksum_message_gives_the_offset_in_the_file(void **state)
{
    uint8_t bytes[MANIFEST_EDIT_SIZE];

    (void)state;
    memcpy(bytes, golden_manifest + 112, sizeof(bytes));
    store_u32(bytes, 0x01020304);
    sweep_refused(&edit_targets[1], bytes, CASK_CORRUPT,
                  "MANIFEST: offset 112: crc32c of the edit is bdb17b69, "
                  "stored 01020304");
}

/* One field of the golden edit `index` changed, the checksum made right. */
static void refuse_crafted(size_t index, size_t at, uint64_t value,
                           cask_status status, const char *part)
{
    const sweep_target *target = &edit_targets[index];
    uint8_t bytes[MANIFEST_EDIT_SIZE];
    uint8_t place[16];

    memcpy(bytes, target->golden, sizeof(bytes));
    if (at == 4) {
        store_u32(bytes + at, (uint32_t)value);
    } else {
        store_u64(bytes + at, value);
    }
    store_u64(place, seed_of(index).nonce);
    store_u64(place + 8, seed_of(index).offset);
    store_u32(bytes, crc32c(crc32c(0, bytes + 4, 44), place, sizeof(place)));
    sweep_refused(target, bytes, status, part);
}

static void test_unknown_type_is_unsupported(void **state)
{
    (void)state;
    refuse_crafted(0, 4, 14, CASK_UNSUPPORTED,
                   "MANIFEST: offset 68: type of edit is 14, this program "
                   "knows 1 to 13");
    refuse_crafted(3, 4, UINT32_MAX, CASK_UNSUPPORTED,
                   "offset 212: type of edit is 4294967295");
}

static void test_type_0_and_number_0_are_corrupt(void **state)
{
    (void)state;
    refuse_crafted(0, 4, 0, CASK_CORRUPT,
                   "offset 68: type of edit is 0, expected 1 to 13");
    refuse_crafted(1, 8, 0, CASK_CORRUPT, "offset 120: number of edit is 0");
}

static void test_anything_in_an_unused_field_is_unsupported(void **state)
{
    static const struct {
        size_t index;
        size_t at;
    } unused[] = {{0, 32}, {2, 24}, {2, 40}, {3, 24}, {3, 32}, {3, 40}};

    (void)state;
    for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
        refuse_crafted(unused[i].index, unused[i].at, 7, CASK_UNSUPPORTED,
                       "a field that this program does not know (use a newer "
                       "Caskade), expected 0, found 7");
    }
}

static void test_unknown_kind_is_unsupported(void **state)
{
    (void)state;
    refuse_crafted(0, 40, 0, CASK_UNSUPPORTED, "offset 104: edit of type 1: ");
    refuse_crafted(0, 40, 4, CASK_UNSUPPORTED, "expected 1 to 3, found 4");
    refuse_crafted(0, 40, (UINT64_C(1) << 32) + 1, CASK_UNSUPPORTED,
                   "found 4294967297");
}

static void test_numbers_out_of_range_are_corrupt(void **state)
{
    (void)state;
    refuse_crafted(1, 24, 63, CASK_CORRUPT,
                   "offset 136: edit of type 2: length of segment");
    refuse_crafted(1, 24, UINT64_MAX, CASK_CORRUPT, "length of segment");
    refuse_crafted(1, 32, FORMAT_SEQUENCE_LIMIT, CASK_CORRUPT,
                   "offset 144: edit of type 2: last sequence");
    refuse_crafted(2, 32, FORMAT_SEQUENCE_LIMIT + 1, CASK_CORRUPT,
                   "offset 192: edit of type 3: next sequence");
    refuse_crafted(5, 24, 63, CASK_CORRUPT,
                   "offset 328: edit of type 5: length of segment");
    refuse_crafted(5, 24, GOLDEN_NEXT_LENGTH + 4, CASK_CORRUPT,
                   "expected a multiple of 8, from 64 to 2^36, found 132");
    refuse_crafted(5, 32, FORMAT_SEQUENCE_LIMIT, CASK_CORRUPT,
                   "offset 336: edit of type 5: last sequence");
}

/* The bytes of one say nothing of the other but for the type: a segment that
 * may grow again must never be taken for one that is sealed. */
static void test_synced_and_sealed_differ_by_their_type_alone(void **state)
{
    manifest_edit edit = golden_edits[5];
    manifest_edit decoded;
    uint8_t bytes[MANIFEST_EDIT_SIZE];

    (void)state;
    edit.type = MANIFEST_SEAL;
    manifest_edit_encode(&edit, seed_of(5), bytes);
    assert_int_equal(load_u32(bytes + 4), 2);
    assert_int_equal(load_u32(golden_manifest + 304 + 4), 5);
    assert_memory_equal(bytes + 8, golden_manifest + 304 + 8,
                        MANIFEST_EDIT_SIZE - 8);
    assert_memory_not_equal(bytes, golden_manifest + 304, 4);
    assert_int_equal(
        manifest_edit_decode(bytes, "x", seed_of(5), &decoded, NULL), CASK_OK);
    assert_int_equal(decoded.type, MANIFEST_SEAL);
}

/* "All sequences have been given out" is a state that must survive. */
static void test_last_sequence_of_all_can_be_stored(void **state)
{
    manifest_edit edit = golden_edits[2];
    uint8_t bytes[MANIFEST_EDIT_SIZE];

    (void)state;
    edit.next.sequence = FORMAT_SEQUENCE_LIMIT;
    manifest_edit_encode(&edit, seed_of(2), bytes);
    assert_int_equal(decode_next(bytes, NULL), CASK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_header_is_written_and_read),
        cmocka_unit_test(test_past_bytes_are_written_and_read),
        cmocka_unit_test(test_every_flipped_byte_of_the_header_is_refused),
        cmocka_unit_test(test_every_cut_of_the_header_is_refused),
        cmocka_unit_test(test_newer_version_is_unsupported_whatever_it_holds),
        cmocka_unit_test(test_foreign_file_is_no_manifest),
        cmocka_unit_test(test_unknown_engine_is_unsupported),
        cmocka_unit_test(
            test_the_number_of_edits_is_read_and_changes_nothing_else),
        cmocka_unit_test(test_golden_edits_are_written_and_read),
        cmocka_unit_test(test_golden_quarantine_is_written_and_read),
        cmocka_unit_test(test_any_edit_survives_a_round_trip),
        cmocka_unit_test(test_every_flipped_byte_of_an_edit_is_refused),
        cmocka_unit_test(test_every_cut_of_an_edit_is_refused),
        cmocka_unit_test(test_edit_of_another_place_is_corrupt),
        cmocka_unit_test(test_checksum_message_gives_the_offset_in_the_file),
        cmocka_unit_test(test_unknown_type_is_unsupported),
        cmocka_unit_test(test_type_0_and_number_0_are_corrupt),
        cmocka_unit_test(test_anything_in_an_unused_field_is_unsupported),
        cmocka_unit_test(test_unknown_kind_is_unsupported),
        cmocka_unit_test(test_numbers_out_of_range_are_corrupt),
        cmocka_unit_test(test_synced_and_sealed_differ_by_their_type_alone),
        cmocka_unit_test(test_last_sequence_of_all_can_be_stored),
    };

    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
