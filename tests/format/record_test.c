/*
 * Records: golden bytes, damage, and the seed that binds a record to its
 * place.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/golden_store.h"
#include "format/sweep.h"

#include "cask_test.h"

enum { ROUNDS = 1000 };

/* A golden record: where it is, what it says. */
typedef struct golden_record {
    uint64_t offset;
    record_header header; /* without the checksum */
    uint64_t expiry_ms;   /* if the type says so */
    const char *key;
    const char *value;
} golden_record;

/* The last one is a mark; its value is the offset 176. */
static const golden_record golden[GOLDEN_RECORDS] = {
    {.offset = 64,
     .header = {.sequence = 1000,
                .time_s = 1700000001,
                .value_size = 5,
                .key_size = 5,
                .type = RECORD_PUT},
     .key = "fruit",
     .value = "apple"},
    {.offset = 104,
     .header = {.sequence = 1001,
                .time_s = 1700000001,
                .value_size = 0,
                .key_size = 1,
                .type = RECORD_PUT | RECORD_EXPIRES | RECORD_MEMBER},
     .expiry_ms = 1800000000000,
     .key = "k",
     .value = ""},
    {.offset = 144,
     .header = {.sequence = 1002,
                .time_s = 1700000001,
                .value_size = 0,
                .key_size = 5,
                .type = RECORD_DELETE},
     .key = "fruit",
     .value = ""},
    {.offset = 176,
     .header = {.sequence = 1003,
                .time_s = 1700000001,
                .value_size = RECORD_MARK_VALUE_SIZE,
                .key_size = 0,
                .type = RECORD_MARK},
     .key = "",
     .value = "\xb0\0\0\0\0\0\0\0"}};

static record_seed seed_of(const golden_record *record)
{
    record_seed seed = {.nonce = GOLDEN_SEGMENT_NONCE,
                        .offset = record->offset};

    return seed;
}

/* Write a whole record, padding included. */
static void encode(const golden_record *record, record_seed seed, uint8_t *out)
{
    size_t expiry_size = record_expiry_size(&record->header);
    uint8_t *body = out + RECORD_HEADER_SIZE;
    size_t body_size = record_body_size(&record->header);

    memset(out, 0, record_size(&record->header));
    if (expiry_size > 0) {
        store_u64(body, record->expiry_ms);
    }
    memcpy(body + expiry_size, record->key, record->header.key_size);
    memcpy(body + expiry_size + record->header.key_size, record->value,
           record->header.value_size);
    record_encode_header(&record->header, crc32c(0, body, body_size), seed,
                         out);
}

/* What every reader does: sizes only after their check, then the body. */
static bool verify(const uint8_t *bytes, size_t size, record_seed seed,
                   record_header *ret_header)
{
    if (size < RECORD_HEADER_SIZE ||
        !record_decode_header(bytes, seed, ret_header) ||
        record_body_size(ret_header) > size - RECORD_HEADER_SIZE) {
        return false;
    }
    return record_verify(
        bytes,
        crc32c(0, bytes + RECORD_HEADER_SIZE, record_body_size(ret_header)),
        seed);
}

static void assert_header_equal(const record_header *a, const record_header *b)
{
    assert_true(a->sequence == b->sequence);
    assert_int_equal(a->time_s, b->time_s);
    assert_int_equal(a->value_size, b->value_size);
    assert_int_equal(a->key_size, b->key_size);
    assert_int_equal(a->type, b->type);
}

static void test_golden_records_are_written(void **state)
{
    uint8_t bytes[64];

    (void)state;
    for (size_t i = 0; i < GOLDEN_RECORDS; i++) {
        size_t size = record_size(&golden[i].header);

        encode(&golden[i], seed_of(&golden[i]), bytes);
        assert_memory_equal(bytes, golden_segment + golden[i].offset, size);
    }
}

/* From the segment's header to its footer, record by record. */
static void test_golden_records_are_read(void **state)
{
    uint64_t offset = SEGMENT_HEADER_SIZE;

    (void)state;
    for (size_t i = 0; i < GOLDEN_RECORDS; i++) {
        record_header header = {0};

        assert_true(offset == golden[i].offset);
        assert_true(verify(golden_segment + offset,
                           GOLDEN_SEGMENT_LENGTH - offset, seed_of(&golden[i]),
                           &header));
        assert_header_equal(&header, &golden[i].header);
        assert_int_equal(header.crc, load_u32(golden_segment + offset));
        offset += record_size(&header);
    }
    assert_int_equal(offset, GOLDEN_SEGMENT_LENGTH);
}

/*
 * Any other value of any byte is found, except in the padding: no checksum
 * covers it and no reader looks at it.
 */
static void test_every_flipped_byte_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_RECORDS; i++) {
        size_t used = RECORD_HEADER_SIZE + record_body_size(&golden[i].header);
        size_t size = record_size(&golden[i].header);
        uint8_t bytes[64];
        record_header header;

        memcpy(bytes, golden_segment + golden[i].offset, size);
        for (size_t at = 0; at < size; at++) {
            for (unsigned flip = 1; flip <= 0xff; flip++) {
                bytes[at] ^= (uint8_t)flip;
                assert_int_equal(
                    verify(bytes, size, seed_of(&golden[i]), &header),
                    at >= used);
                bytes[at] ^= (uint8_t)flip;
            }
        }
    }
}

/* The sizes are believed after a check of 16 bits: it finds all of these. */
static void test_header_check_finds_every_flipped_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_RECORDS; i++) {
        uint8_t bytes[RECORD_HEADER_SIZE];
        record_header header;

        memcpy(bytes, golden_segment + golden[i].offset, sizeof(bytes));
        for (size_t at = 0; at < sizeof(bytes); at++) {
            for (unsigned flip = 1; flip <= 0xff; flip++) {
                bytes[at] ^= (uint8_t)flip;
                assert_false(
                    record_decode_header(bytes, seed_of(&golden[i]), &header));
                bytes[at] ^= (uint8_t)flip;
            }
        }
    }
}

static void test_failed_header_leaves_the_output_alone(void **state)
{
    uint8_t bytes[RECORD_HEADER_SIZE] = {0};
    record_header header;
    record_header before;

    (void)state;
    memset(&header, 0xa5, sizeof(header));
    memcpy(&before, &header, sizeof(before));
    assert_false(record_decode_header(bytes, seed_of(&golden[0]), &header));
    assert_memory_equal(&header, &before, sizeof(before));
}

/* A record that ends early, and one whose end is a hole. */
static void test_every_cut_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_RECORDS; i++) {
        const uint8_t *whole = golden_segment + golden[i].offset;
        size_t used = RECORD_HEADER_SIZE + record_body_size(&golden[i].header);
        uint8_t bytes[64];
        record_header header;

        for (size_t cut = 0; cut < used; cut++) {
            memset(bytes, 0, sizeof(bytes));
            memcpy(bytes, whole, cut);
            assert_false(verify(bytes, cut, seed_of(&golden[i]), &header));
            assert_int_equal(
                verify(bytes, sizeof(bytes), seed_of(&golden[i]), &header),
                memcmp(bytes, whole, used) == 0);
        }
        assert_true(verify(whole, used, seed_of(&golden[i]), &header));
    }
}

static void test_record_elsewhere_never_verifies(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_RECORDS; i++) {
        const uint8_t *bytes = golden_segment + golden[i].offset;
        size_t left = GOLDEN_SEGMENT_LENGTH - golden[i].offset;
        record_header header;

        for (unsigned bit = 0; bit < 64; bit++) {
            record_seed seed = seed_of(&golden[i]);

            seed.offset ^= UINT64_C(1) << bit;
            assert_false(verify(bytes, left, seed, &header));
            seed = seed_of(&golden[i]);
            seed.nonce ^= UINT64_C(1) << bit;
            assert_false(verify(bytes, left, seed, &header));
        }
    }
}

/* Wherever a hole in the file is read, whatever the segment's nonce. */
static void test_zeros_are_no_record(void **state)
{
    static const uint8_t zeros[256];
    size_t believed = 0;

    (void)state;
    for (int i = 0; i < ROUNDS * 100; i++) {
        record_seed seed = {sweep_random(), sweep_random() % (1u << 27) * 8};
        record_header header;

        believed += record_decode_header(zeros, seed, &header);
        assert_false(verify(zeros, sizeof(zeros), seed, &header));
    }
    /* The check has 16 bits: 1.5 of 100,000 on average pass it alone. */
    assert_true(believed < 20);
}

static void test_any_header_survives_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        record_header in = {.sequence = sweep_random() >> 8,
                            .time_s = (uint32_t)sweep_random(),
                            .value_size = (uint32_t)sweep_random(),
                            .key_size = (uint16_t)sweep_random(),
                            .type = (uint8_t)sweep_random()};
        record_seed seed = {sweep_random(), sweep_random()};
        uint32_t body_crc = (uint32_t)sweep_random();
        uint8_t bytes[RECORD_HEADER_SIZE];
        record_header out = {0};

        record_encode_header(&in, body_crc, seed, bytes);
        assert_true(record_decode_header(bytes, seed, &out));
        assert_header_equal(&in, &out);
        assert_true(record_verify(bytes, body_crc, seed));
        assert_false(record_verify(bytes, body_crc ^ 1, seed));
    }
}

static void test_sizes_at_their_limits_do_not_overflow(void **state)
{
    record_header header = {.value_size = CASK_VALUE_MAX_BYTES,
                            .key_size = CASK_KEY_MAX_BYTES,
                            .type = RECORD_PUT | RECORD_EXPIRES};

    (void)state;
    assert_true(record_body_size(&header) == UINT64_C(4295032838));
    assert_true(record_size(&header) == UINT64_C(4295032864));
    header.value_size = 0;
    header.key_size = 0;
    header.type = RECORD_DELETE;
    assert_int_equal(record_size(&header), RECORD_HEADER_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_records_are_written),
        cmocka_unit_test(test_golden_records_are_read),
        cmocka_unit_test(test_every_flipped_byte_is_found),
        cmocka_unit_test(test_header_check_finds_every_flipped_byte),
        cmocka_unit_test(test_failed_header_leaves_the_output_alone),
        cmocka_unit_test(test_every_cut_is_found),
        cmocka_unit_test(test_record_elsewhere_never_verifies),
        cmocka_unit_test(test_zeros_are_no_record),
        cmocka_unit_test(test_any_header_survives_a_round_trip),
        cmocka_unit_test(test_sizes_at_their_limits_do_not_overflow),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
