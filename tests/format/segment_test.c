/*
 * Segments: golden bytes, damage and crafted fields of header and footer, and
 * file names.
 */
#include "base/bytes.h"
#include "format/golden_store.h"
#include "format/sweep.h"

#include "cask_test.h"

enum { ROUNDS = 1000, FOOTER_AT = GOLDEN_SEGMENT_LENGTH };

static const segment_header golden_header = {.kind = SEGMENT_LOG,
                                             .uuid = GOLDEN_UUID,
                                             .id = GOLDEN_SEGMENT_ID,
                                             .nonce = GOLDEN_SEGMENT_NONCE,
                                             .born = 0};

static const segment_footer golden_footer = {.records = GOLDEN_COUNTED,
                                             .first_sequence = 1000,
                                             .last_sequence = 1002,
                                             .length = FOOTER_AT,
                                             .tombstones = 1,
                                             .nonce = GOLDEN_SEGMENT_NONCE};

static cask_status decode_header(const uint8_t *bytes, cask_error *err)
{
    segment_header header;
    segment_header before;
    cask_status status;

    memset(&header, 0xa5, sizeof(header));
    memcpy(&before, &header, sizeof(before));
    status = segment_header_decode(bytes, GOLDEN_SEGMENT_NAME, &header, err);
    if (status != CASK_OK) {
        assert_memory_equal(&header, &before, sizeof(before));
    }
    return status;
}

static cask_status decode_footer(const uint8_t *bytes, cask_error *err)
{
    segment_footer footer;
    segment_footer before;
    cask_status status;

    memset(&footer, 0xa5, sizeof(footer));
    memcpy(&before, &footer, sizeof(before));
    status = segment_footer_decode(bytes, GOLDEN_SEGMENT_NAME, FOOTER_AT,
                                   &footer, err);
    if (status != CASK_OK) {
        assert_memory_equal(&footer, &before, sizeof(before));
    }
    return status;
}

static const sweep_target header_target = {.name = GOLDEN_SEGMENT_NAME,
                                           .golden = golden_segment,
                                           .size = SEGMENT_HEADER_SIZE,
                                           .decode = decode_header};

static const sweep_target footer_target = {.name = GOLDEN_SEGMENT_NAME,
                                           .golden = golden_segment + FOOTER_AT,
                                           .size = SEGMENT_FOOTER_SIZE,
                                           .decode = decode_footer};

static void assert_header_equal(const segment_header *a,
                                const segment_header *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_memory_equal(a->uuid, b->uuid, sizeof(a->uuid));
    assert_true(a->id == b->id);
    assert_true(a->nonce == b->nonce);
    assert_true(a->born == b->born);
}

static void assert_footer_equal(const segment_footer *a,
                                const segment_footer *b)
{
    assert_true(a->records == b->records);
    assert_true(a->first_sequence == b->first_sequence);
    assert_true(a->last_sequence == b->last_sequence);
    assert_true(a->length == b->length);
    assert_true(a->tombstones == b->tombstones);
    assert_true(a->nonce == b->nonce);
}

/* ---- Header ------------------------------------------------------------- */

static void test_golden_header_is_written_and_read(void **state)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    segment_header header;

    (void)state;
    memset(bytes, 0xee, sizeof(bytes));
    segment_header_encode(&golden_header, bytes);
    assert_memory_equal(bytes, golden_segment, sizeof(bytes));
    assert_int_equal(segment_header_decode(golden_segment, GOLDEN_SEGMENT_NAME,
                                           &header, NULL),
                     CASK_OK);
    assert_header_equal(&header, &golden_header);
}

static void test_any_header_survives_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        segment_header in = {.kind = (segment_kind)(1 + sweep_random() % 4),
                             .id = sweep_random(),
                             .nonce = sweep_random(),
                             .born = sweep_random()};
        segment_header out;
        uint8_t bytes[SEGMENT_HEADER_SIZE];

        sweep_random_bytes(in.uuid, sizeof(in.uuid));
        segment_header_encode(&in, bytes);
        assert_int_equal(segment_header_decode(bytes, "x", &out, NULL),
                         CASK_OK);
        assert_header_equal(&in, &out);
    }
}

static void test_every_flipped_byte_of_a_header_is_refused(void **state)
{
    (void)state;
    sweep_flips(&header_target);
}

static void test_every_cut_of_a_header_is_refused(void **state)
{
    (void)state;
    sweep_cuts(&header_target);
}

static void test_newer_header_is_unsupported_whatever_it_holds(void **state)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];

    (void)state;
    sweep_random_bytes(bytes, sizeof(bytes));
    memcpy(bytes, SEGMENT_MAGIC, FORMAT_MAGIC_SIZE);
    store_u32(bytes + 8, SEGMENT_VERSION + 1);
    sweep_reseal(bytes, sizeof(bytes));
    sweep_refused(&header_target, bytes, CASK_UNSUPPORTED,
                  "000000000000002a.log: offset 8: version of the Caskade "
                  "segment is 2, this program knows versions up to 1");
}

static void test_foreign_file_is_no_segment(void **state)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];

    (void)state;
    memcpy(bytes, golden_segment, sizeof(bytes));
    memcpy(bytes, HINT_MAGIC, FORMAT_MAGIC_SIZE);
    sweep_reseal(bytes, sizeof(bytes));
    sweep_refused(&header_target, bytes, CASK_CORRUPT,
                  "offset 0: is not a Caskade segment: magic is "
                  "4341534b48494e54, expected 4341534b5345470a");
}

static void test_unknown_kind_is_unsupported(void **state)
{
    static const uint32_t unknown[] = {0, 5, 256 + 1, UINT32_MAX};
    uint8_t bytes[SEGMENT_HEADER_SIZE];

    (void)state;
    memcpy(bytes, golden_segment, sizeof(bytes));
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        store_u32(bytes + 12, unknown[i]);
        sweep_reseal(bytes, sizeof(bytes));
        sweep_refused(&header_target, bytes, CASK_UNSUPPORTED,
                      "offset 12: kind of segment is ");
    }
}

static void test_reserved_bytes_are_ignored_when_sealed(void **state)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    segment_header header;
    segment_footer footer;

    (void)state;
    memcpy(bytes, golden_segment, sizeof(bytes));
    store_u32(bytes + 56, UINT32_MAX);
    sweep_reseal(bytes, sizeof(bytes));
    assert_int_equal(segment_header_decode(bytes, "x", &header, NULL), CASK_OK);
    assert_header_equal(&header, &golden_header);

    memcpy(bytes, golden_segment + FOOTER_AT, sizeof(bytes));
    store_u32(bytes + 56, UINT32_MAX);
    sweep_reseal(bytes, sizeof(bytes));
    assert_int_equal(
        segment_footer_decode(bytes, "x", FOOTER_AT, &footer, NULL), CASK_OK);
    assert_footer_equal(&footer, &golden_footer);
}

/* ---- Footer ------------------------------------------------------------- */

static void test_golden_footer_is_written_and_read(void **state)
{
    uint8_t bytes[SEGMENT_FOOTER_SIZE];
    segment_footer footer;

    (void)state;
    memset(bytes, 0xee, sizeof(bytes));
    segment_footer_encode(&golden_footer, bytes);
    assert_memory_equal(bytes, golden_segment + FOOTER_AT, sizeof(bytes));
    assert_int_equal(FOOTER_AT + sizeof(bytes), sizeof(golden_segment));
    assert_int_equal(segment_footer_decode(golden_segment + FOOTER_AT,
                                           GOLDEN_SEGMENT_NAME, FOOTER_AT,
                                           &footer, NULL),
                     CASK_OK);
    assert_footer_equal(&footer, &golden_footer);
}

static void test_any_footer_survives_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        segment_footer in = {.records = sweep_random(),
                             .first_sequence = sweep_random(),
                             .last_sequence = sweep_random() >> 8,
                             .length = sweep_random(),
                             .tombstones = sweep_random(),
                             .nonce = sweep_random()};
        segment_footer out;
        uint8_t bytes[SEGMENT_FOOTER_SIZE];

        segment_footer_encode(&in, bytes);
        assert_int_equal(
            segment_footer_decode(bytes, "x", in.length, &out, NULL), CASK_OK);
        assert_footer_equal(&in, &out);
    }
}

static void test_every_flipped_byte_of_a_footer_is_refused(void **state)
{
    (void)state;
    sweep_flips(&footer_target);
}

static void test_every_cut_of_a_footer_is_refused(void **state)
{
    (void)state;
    sweep_cuts(&footer_target);
}

static void test_footer_messages_give_the_offset_in_the_file(void **state)
{
    uint8_t bytes[SEGMENT_FOOTER_SIZE] = {0};

    (void)state;
    sweep_refused(&footer_target, bytes, CASK_CORRUPT,
                  "000000000000002a.log: offset 208: is not a Caskade segment "
                  "footer: magic is 0000000000000000");
    memcpy(bytes, golden_segment + FOOTER_AT, sizeof(bytes));
    bytes[8] ^= 1;
    sweep_refused(&footer_target, bytes, CASK_CORRUPT, "offset 268: crc32c");
}

static void test_footer_from_another_offset_is_corrupt(void **state)
{
    uint8_t bytes[SEGMENT_FOOTER_SIZE];
    segment_footer footer = golden_footer;

    (void)state;
    footer.length = FOOTER_AT + 8;
    segment_footer_encode(&footer, bytes);
    sweep_refused(&footer_target, bytes, CASK_CORRUPT,
                  "offset 208: the footer says that it is at offset 216");
}

static void test_sequence_beyond_the_limit_is_corrupt(void **state)
{
    uint8_t bytes[SEGMENT_FOOTER_SIZE];
    segment_footer footer = golden_footer;

    (void)state;
    footer.last_sequence = FORMAT_SEQUENCE_LIMIT - 1;
    segment_footer_encode(&footer, bytes);
    assert_int_equal(decode_footer(bytes, NULL), CASK_OK);
    footer.last_sequence = FORMAT_SEQUENCE_LIMIT;
    segment_footer_encode(&footer, bytes);
    sweep_refused(&footer_target, bytes, CASK_CORRUPT,
                  "offset 232: last sequence is 72057594037927936");
}

/* ---- Names, lengths ------------------------------------------------------ */

static void test_names_are_as_documented(void **state)
{
    char name[SEGMENT_NAME_SIZE];

    (void)state;
    segment_name_format(GOLDEN_SEGMENT_ID, name);
    assert_string_equal(name, "000000000000002a.log");
    hint_name_format(UINT64_MAX, name);
    assert_string_equal(name, "ffffffffffffffff.hint");
}

static void test_any_id_survives_its_name(void **state)
{
    char name[SEGMENT_NAME_SIZE];

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t id = sweep_random() >> sweep_random() % 64;
        uint64_t found = 0;

        segment_name_format(id, name);
        assert_true(segment_name_parse(name, &found));
        assert_true(found == id);
        assert_false(hint_name_parse(name, &found));
        hint_name_format(id, name);
        found = 0;
        assert_true(hint_name_parse(name, &found));
        assert_true(found == id);
        assert_false(segment_name_parse(name, &found));
    }
}

/* Among them every prefix, and what a user or an editor leaves behind. */
static void test_other_names_are_nobodys(void **state)
{
    static const char *const others[] = {
        "",
        ".",
        "..",
        "CASKADE",
        "000000000000002A.log",
        "00000000000000002a.log",
        "00000000000002a.log",
        " 00000000000002a.log",
        "+00000000000002a.log",
        "0x0000000000002a.log",
        "000000000000002a",
        "000000000000002a.",
        "000000000000002a.LOG",
        "000000000000002a.log~",
        "000000000000002a.log.new",
        "000000000000002a.hint.new",
        "000000000000002a.hints",
        "./000000000000002a.log",
        "00000000000000\xc3\xa4.log",
    };
    uint64_t id = 77;
    char name[SEGMENT_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(segment_name_parse(others[i], &id));
        assert_false(hint_name_parse(others[i], &id));
    }
    for (size_t cut = 0; cut < strlen(GOLDEN_SEGMENT_NAME); cut++) {
        segment_name_format(GOLDEN_SEGMENT_ID, name);
        name[cut] = '\0';
        assert_false(segment_name_parse(name, &id));
    }
    assert_true(id == 77);
}

static void test_lengths_that_no_segment_has(void **state)
{
    (void)state;
    assert_false(segment_length_is_sound(0));
    assert_false(segment_length_is_sound(56));
    assert_true(segment_length_is_sound(64));
    assert_false(segment_length_is_sound(65));
    assert_false(segment_length_is_sound(68));
    assert_true(segment_length_is_sound(72));
    assert_true(segment_length_is_sound((UINT64_C(1) << 36) - 8));
    assert_false(segment_length_is_sound(UINT64_C(1) << 36));
    assert_false(segment_length_is_sound(UINT64_MAX - 7));
}

/* The largest record that the limits allow fits into a segment of its own. */
static void test_largest_record_fits_into_a_segment(void **state)
{
    const record_header largest = {.value_size = CASK_VALUE_MAX_BYTES,
                                   .key_size = CASK_KEY_MAX_BYTES,
                                   .type = RECORD_PUT | RECORD_EXPIRES};

    (void)state;
    assert_true(
        segment_length_is_sound(SEGMENT_HEADER_SIZE + record_size(&largest)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_header_is_written_and_read),
        cmocka_unit_test(test_any_header_survives_a_round_trip),
        cmocka_unit_test(test_every_flipped_byte_of_a_header_is_refused),
        cmocka_unit_test(test_every_cut_of_a_header_is_refused),
        cmocka_unit_test(test_newer_header_is_unsupported_whatever_it_holds),
        cmocka_unit_test(test_foreign_file_is_no_segment),
        cmocka_unit_test(test_unknown_kind_is_unsupported),
        cmocka_unit_test(test_reserved_bytes_are_ignored_when_sealed),
        cmocka_unit_test(test_golden_footer_is_written_and_read),
        cmocka_unit_test(test_any_footer_survives_a_round_trip),
        cmocka_unit_test(test_every_flipped_byte_of_a_footer_is_refused),
        cmocka_unit_test(test_every_cut_of_a_footer_is_refused),
        cmocka_unit_test(test_footer_messages_give_the_offset_in_the_file),
        cmocka_unit_test(test_footer_from_another_offset_is_corrupt),
        cmocka_unit_test(test_sequence_beyond_the_limit_is_corrupt),
        cmocka_unit_test(test_names_are_as_documented),
        cmocka_unit_test(test_any_id_survives_its_name),
        cmocka_unit_test(test_other_names_are_nobodys),
        cmocka_unit_test(test_lengths_that_no_segment_has),
        cmocka_unit_test(test_largest_record_fits_into_a_segment),
    };

    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
