/*
 * Hint files: golden bytes, damage and crafted fields of the header, rows,
 * places.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/golden_store.h"
#include "format/sweep.h"
#include "region/place.h"

#include "cask_test.h"

enum { ROUNDS = 1000, GOLDEN_ROWS = 3 };

static const hint_header golden_header = {
    .uuid = GOLDEN_UUID,
    .segment_id = GOLDEN_SEGMENT_ID,
    .segment_nonce = GOLDEN_SEGMENT_NONCE,
    .segment_length = GOLDEN_SEGMENT_LENGTH,
    .row_count = GOLDEN_ROWS,
    .key_check = UINT64_C(0x65c7e61269a1b147),
    .records = GOLDEN_RECORDS,
    .tombstones = 1,
    .data_bytes = GOLDEN_SEGMENT_LENGTH - SEGMENT_HEADER_SIZE,
    .first_sequence = 1000,
    .last_sequence = 1003,
    .newest_s = 1700000001,
    .oldest_s = 1700000001,
    .last_expiry_ms = UINT64_C(1800000000000),
    .first_expiry_ms = UINT64_C(1800000000000),
    .lifetimes = {.lasting_bytes = 40, .of[11] = {1800000000, 5}},
    .rows_crc = 0x39ffde8b};

/* Each put and delete in the order of the log, twice for a key that occurs
 * twice; none for the mark. */
static const hint_row golden_rows[GOLDEN_ROWS] = {
    {.hash = {{UINT64_C(0x065bf1683d720381), UINT64_C(0xbc2509dd8f4b190e)}},
     .place = UINT64_C(0x100000b),
     .sequence = 1000,
     .type = RECORD_PUT},
    {.hash = {{UINT64_C(0x9e38e549f8edc686), UINT64_C(0x8e1c7cfb716ac0e9)}},
     .place = UINT64_C(0x1a0000b),
     .sequence = 1001,
     .type = RECORD_PUT | RECORD_EXPIRES | RECORD_MEMBER},
    {.hash = {{UINT64_C(0x065bf1683d720381), UINT64_C(0xbc2509dd8f4b190e)}},
     .place = UINT64_C(0x2400008),
     .sequence = 1002,
     .type = RECORD_DELETE}};

static cask_status decode(const uint8_t *bytes, cask_error *err)
{
    hint_header header;
    hint_header before;
    cask_status status;

    memset(&header, 0xa5, sizeof(header));
    memcpy(&before, &header, sizeof(before));
    status = hint_header_decode(bytes, GOLDEN_HINT_NAME, &header, err);
    if (status != CASK_OK) {
        assert_memory_equal(&header, &before, sizeof(before));
    }
    return status;
}

static const sweep_target target = {.name = GOLDEN_HINT_NAME,
                                    .golden = golden_hint,
                                    .size = HINT_HEADER_SIZE,
                                    .decode = decode};

static void assert_header_equal(const hint_header *a, const hint_header *b)
{
    assert_memory_equal(a->uuid, b->uuid, sizeof(a->uuid));
    assert_true(a->segment_id == b->segment_id);
    assert_true(a->segment_nonce == b->segment_nonce);
    assert_true(a->segment_length == b->segment_length);
    assert_true(a->row_count == b->row_count);
    assert_true(a->key_check == b->key_check);
    assert_true(a->records == b->records);
    assert_true(a->tombstones == b->tombstones);
    assert_true(a->data_bytes == b->data_bytes);
    assert_true(a->first_sequence == b->first_sequence);
    assert_true(a->last_sequence == b->last_sequence);
    assert_true(a->newest_s == b->newest_s);
    assert_true(a->oldest_s == b->oldest_s);
    assert_true(a->last_expiry_ms == b->last_expiry_ms);
    assert_true(a->first_expiry_ms == b->first_expiry_ms);
    assert_memory_equal(&a->lifetimes, &b->lifetimes, sizeof(a->lifetimes));
    assert_true(a->rows_crc == b->rows_crc);
}

static void assert_row_equal(const hint_row *a, const hint_row *b)
{
    assert_true(a->hash.word[0] == b->hash.word[0]);
    assert_true(a->hash.word[1] == b->hash.word[1]);
    assert_true(a->place == b->place);
    assert_true(a->sequence == b->sequence);
    assert_int_equal(a->type, b->type);
}

/* ---- Header ------------------------------------------------------------- */

static void test_golden_header_is_written_and_read(void **state)
{
    uint8_t bytes[HINT_HEADER_SIZE];
    hint_header header;

    (void)state;
    memset(bytes, 0xee, sizeof(bytes));
    hint_header_encode(&golden_header, bytes);
    assert_memory_equal(bytes, golden_hint, sizeof(bytes));
    assert_int_equal(
        hint_header_decode(golden_hint, GOLDEN_HINT_NAME, &header, NULL),
        CASK_OK);
    assert_header_equal(&header, &golden_header);
    assert_int_equal(hint_file_bytes(&header), sizeof(golden_hint));
}

static void test_key_check_belongs_to_the_hash_key(void **state)
{
    siphash_key other = golden_hash_key;

    (void)state;
    assert_true(hint_key_check(golden_hash_key) == golden_header.key_check);
    other.word[1] ^= 1;
    assert_true(hint_key_check(other) != golden_header.key_check);
}

static void test_any_header_survives_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        hint_header in = {.segment_id = sweep_random(),
                          .segment_nonce = sweep_random(),
                          .segment_length =
                              64 + (sweep_random() >> 29) * 8 % (1u << 30),
                          .key_check = sweep_random(),
                          .records = sweep_random(),
                          .tombstones = sweep_random(),
                          .data_bytes = sweep_random(),
                          .first_sequence = sweep_random(),
                          .last_sequence = sweep_random() >> 8,
                          .newest_s = (uint32_t)sweep_random(),
                          .oldest_s = (uint32_t)sweep_random(),
                          .last_expiry_ms = sweep_random(),
                          .first_expiry_ms = sweep_random(),
                          .rows_crc = (uint32_t)sweep_random()};
        hint_header out;
        uint8_t bytes[HINT_HEADER_SIZE];

        sweep_random_bytes((uint8_t *)&in.lifetimes, sizeof(in.lifetimes));
        in.row_count = sweep_random() % ((in.segment_length - 64) / 24 + 1);
        sweep_random_bytes(in.uuid, sizeof(in.uuid));
        hint_header_encode(&in, bytes);
        assert_int_equal(hint_header_decode(bytes, "x", &out, NULL), CASK_OK);
        assert_header_equal(&in, &out);
    }
}

static void test_every_flipped_byte_is_refused(void **state)
{
    (void)state;
    sweep_flips(&target);
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    sweep_cuts(&target);
}

static void test_newer_version_is_unsupported_whatever_it_holds(void **state)
{
    uint8_t bytes[HINT_HEADER_SIZE];

    (void)state;
    sweep_random_bytes(bytes, sizeof(bytes));
    memcpy(bytes, HINT_MAGIC, FORMAT_MAGIC_SIZE);
    store_u32(bytes + 8, HINT_VERSION + 1);
    sweep_reseal(bytes, sizeof(bytes));
    sweep_refused(&target, bytes, CASK_UNSUPPORTED,
                  "000000000000002a.hint: offset 8: version of the Caskade "
                  "hint file is 2, this program knows versions up to 1");
}

static void test_foreign_file_is_no_hint_file(void **state)
{
    uint8_t bytes[HINT_HEADER_SIZE] = {0};

    (void)state;
    sweep_refused(&target, bytes, CASK_CORRUPT,
                  "offset 0: is not a Caskade hint file: magic is "
                  "0000000000000000, expected 4341534b48494e54");
}

static void test_times_of_expiry_may_be_any(void **state)
{
    uint8_t bytes[HINT_HEADER_SIZE];
    hint_header expected = golden_header;
    hint_header header;

    expected.newest_s = UINT32_MAX;
    expected.last_expiry_ms = UINT64_MAX;
    (void)state;
    memcpy(bytes, golden_hint, sizeof(bytes));
    store_u32(bytes + 12, UINT32_MAX);
    store_u64(bytes + 112, UINT64_MAX);
    sweep_reseal(bytes, sizeof(bytes));
    assert_int_equal(hint_header_decode(bytes, "x", &header, NULL), CASK_OK);
    assert_header_equal(&header, &expected);
}

/* The checksum is right, so that only the limits can refuse. */
static void refuse_crafted(const hint_header *header, const char *part)
{
    uint8_t bytes[HINT_HEADER_SIZE];

    hint_header_encode(header, bytes);
    sweep_refused(&target, bytes, CASK_CORRUPT, part);
}

static void test_more_rows_than_records_fit_is_corrupt(void **state)
{
    hint_header header = golden_header;
    uint8_t bytes[HINT_HEADER_SIZE];

    (void)state;
    header.row_count = 6; /* 144 bytes of data are 6 records at most */
    hint_header_encode(&header, bytes);
    assert_int_equal(decode(bytes, NULL), CASK_OK);
    header.row_count = 7;
    refuse_crafted(&header, "offset 56: 7 rows, but the segment has room for 6 "
                            "records at most");
    /* 256 + 32 * this is 256: a sum that overflows would believe it. */
    header.row_count = UINT64_C(1) << 59;
    refuse_crafted(&header, "offset 56: 576460752303423488 rows");
    header.row_count = UINT64_MAX;
    refuse_crafted(&header, "offset 56: 18446744073709551615 rows");
}

static void test_impossible_segment_length_is_corrupt(void **state)
{
    static const uint64_t wrong[] = {0, 63, 209, UINT64_C(1) << 36,
                                     UINT64_MAX - 7};
    hint_header header = golden_header;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        header.segment_length = wrong[i];
        refuse_crafted(&header, "offset 48: length of the segment is ");
    }
}

static void test_sequence_beyond_the_limit_is_corrupt(void **state)
{
    hint_header header = golden_header;

    (void)state;
    header.last_sequence = FORMAT_SEQUENCE_LIMIT;
    refuse_crafted(&header, "offset 104: last sequence is 72057594037927936");
}

/* ---- Rows --------------------------------------------------------------- */

static void test_golden_rows_are_written_and_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_ROWS; i++) {
        const uint8_t *golden =
            golden_hint + HINT_HEADER_SIZE + i * HINT_ROW_SIZE;
        uint8_t bytes[HINT_ROW_SIZE];
        hint_row row;

        hint_row_encode(&golden_rows[i], bytes);
        assert_memory_equal(bytes, golden, sizeof(bytes));
        hint_row_decode(golden, &row);
        assert_row_equal(&row, &golden_rows[i]);
        assert_true(hint_row_is_sound(&row, GOLDEN_SEGMENT_LENGTH));
    }
}

static void test_golden_rows_name_the_golden_records(void **state)
{
    siphash_value k = siphash(golden_hash_key, "k", 1);
    siphash_value fruit = siphash(golden_hash_key, "fruit", 5);

    (void)state;
    assert_memory_equal(&fruit, &golden_rows[0].hash, sizeof(fruit));
    assert_memory_equal(&k, &golden_rows[1].hash, sizeof(k));
    assert_memory_equal(&fruit, &golden_rows[2].hash, sizeof(fruit));
    assert_true(golden_rows[0].place == hint_place(64, 40, true));
    assert_true(golden_rows[1].place == hint_place(104, 40, true));
    assert_true(golden_rows[2].place == hint_place(144, 32, false));
}

static void test_rows_checksum_finds_every_flipped_byte(void **state)
{
    uint8_t rows[GOLDEN_ROWS * HINT_ROW_SIZE];

    (void)state;
    memcpy(rows, golden_hint + HINT_HEADER_SIZE, sizeof(rows));
    assert_int_equal(crc32c(0, rows, sizeof(rows)), golden_header.rows_crc);
    for (size_t at = 0; at < sizeof(rows); at++) {
        for (unsigned flip = 1; flip <= 0xff; flip++) {
            rows[at] ^= (uint8_t)flip;
            assert_int_not_equal(crc32c(0, rows, sizeof(rows)),
                                 golden_header.rows_crc);
            rows[at] ^= (uint8_t)flip;
        }
    }
}

static void test_any_row_survives_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t bytes[HINT_ROW_SIZE];
        uint8_t again[HINT_ROW_SIZE];
        hint_row row;

        sweep_random_bytes(bytes, sizeof(bytes));
        hint_row_decode(bytes, &row);
        assert_true(row.sequence < FORMAT_SEQUENCE_LIMIT);
        hint_row_encode(&row, again);
        assert_memory_equal(bytes, again, sizeof(bytes));
    }
}

/* ---- Places ------------------------------------------------------------- */

static void test_places_are_those_of_the_index(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t offset = sweep_random() % PLACE_OFFSET_LIMIT / 8 * 8;
        uint64_t size = (sweep_random() >> sweep_random() % 64) / 8 * 8;
        bool live = sweep_random() % 2 != 0;
        uint64_t place = hint_place(offset, size, live);

        assert_true(place == place_make(0, offset, size, live));
        assert_true(hint_place_offset(place) == offset);
        assert_true(hint_place_is_live(place) == live);
        if (size < 8 * PLACE_SIZE_MAX) {
            assert_true(hint_place_size(place) == size);
        } else {
            assert_true(hint_place_size(place) == 8 * PLACE_SIZE_MAX);
        }
    }
}

static bool place_is_sound(uint64_t place, uint64_t segment_length)
{
    hint_row row = {.place = place, .sequence = 1, .type = RECORD_PUT};

    return hint_row_is_sound(&row, segment_length);
}

static void test_place_outside_the_segment_is_not_sound(void **state)
{
    const uint64_t large = 8 * PLACE_SIZE_MAX; /* this size or more */

    (void)state;
    assert_true(place_is_sound(hint_place(64, 24, true), 88));
    assert_false(place_is_sound(hint_place(64, 24, true), 80));
    assert_false(place_is_sound(hint_place(64, 32, true), 88));
    assert_false(place_is_sound(hint_place(64, 16, true), 88));
    assert_false(place_is_sound(hint_place(64, 0, true), 88));
    assert_false(place_is_sound(hint_place(56, 24, true), 88));
    assert_false(place_is_sound(hint_place(0, 24, true), 88));
    assert_false(place_is_sound(hint_place(88, 24, true), 88));
    assert_false(place_is_sound(hint_place(1u << 29, 24, true), 88));
    assert_true(place_is_sound(hint_place(64, large, true), 64 + large));
    assert_false(place_is_sound(hint_place(64, large, true), 56 + large));
    assert_false(place_is_sound(0, 88));
}

static void test_place_with_a_segment_row_is_not_sound(void **state)
{
    (void)state;
    for (unsigned bit = 48; bit < 64; bit++) {
        uint64_t place = hint_place(64, 24, true) | UINT64_C(1) << bit;

        assert_false(place_is_sound(place, 1u << 20));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_header_is_written_and_read),
        cmocka_unit_test(test_key_check_belongs_to_the_hash_key),
        cmocka_unit_test(test_any_header_survives_a_round_trip),
        cmocka_unit_test(test_every_flipped_byte_is_refused),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_newer_version_is_unsupported_whatever_it_holds),
        cmocka_unit_test(test_foreign_file_is_no_hint_file),
        cmocka_unit_test(test_times_of_expiry_may_be_any),
        cmocka_unit_test(test_more_rows_than_records_fit_is_corrupt),
        cmocka_unit_test(test_impossible_segment_length_is_corrupt),
        cmocka_unit_test(test_sequence_beyond_the_limit_is_corrupt),
        cmocka_unit_test(test_golden_rows_are_written_and_read),
        cmocka_unit_test(test_golden_rows_name_the_golden_records),
        cmocka_unit_test(test_rows_checksum_finds_every_flipped_byte),
        cmocka_unit_test(test_any_row_survives_a_round_trip),
        cmocka_unit_test(test_places_are_those_of_the_index),
        cmocka_unit_test(test_place_outside_the_segment_is_not_sound),
        cmocka_unit_test(test_place_with_a_segment_row_is_not_sound),
    };

    return cmocka_run_group_tests_name("hint", tests, NULL, NULL);
}
