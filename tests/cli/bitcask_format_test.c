/*
 * The bytes of Bitcask's files: golden records, hints and trailers, and what
 * is a tombstone.
 */
#include "cask_test.h"

#include "bitcask_format.h"

#include <string.h>

#define SLICE(literal) ((cask_slice){literal, sizeof(literal) - 1})

/* As Bitcask wrote it: k1 = v1 at 6b00d891. */
static const uint8_t golden_record[] = {0xe5, 0x74, 0xfa, 0x8c, 0x6b, 0x00,
                                        0xd8, 0x91, 0x00, 0x02, 0x00, 0x00,
                                        0x00, 0x02, 'k',  '1',  'v',  '1'};

/* A tombstone of style 2 of key k1, 38 bytes at offset 18, in a hint. */
static const uint8_t golden_hint[] = {0x6b, 0x00, 0xd8, 0x91, 0x00, 0x02,
                                      0x00, 0x00, 0x00, 0x26, 0x80, 0x00,
                                      0x00, 0x00, 0x00, 0x00, 0x00, 0x12};

static const uint8_t golden_trailer[] = {0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                         0x12, 0x34, 0x56, 0x78, 0x7f, 0xff,
                                         0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void test_a_record_has_the_bytes_of_bitcask(void **state)
{
    uint8_t bytes[BITCASK_HEADER_SIZE];
    bitcask_header header;

    (void)state;
    bitcask_encode_header(0x6b00d891, SLICE("k1"), SLICE("v1"), bytes);
    assert_memory_equal(bytes, golden_record, sizeof(bytes));
    bitcask_decode_header(golden_record, &header);
    assert_int_equal(header.crc, 0xe574fa8c);
    assert_int_equal(header.time_s, 0x6b00d891);
    assert_int_equal(header.key_size, 2);
    assert_int_equal(header.value_size, 2);
    assert_int_equal(bitcask_record_size(&header), sizeof(golden_record));
}

static void test_the_largest_header_does_not_overflow(void **state)
{
    uint8_t bytes[BITCASK_HEADER_SIZE];
    bitcask_header header;

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    bitcask_decode_header(bytes, &header);
    assert_int_equal(header.key_size, 65535);
    assert_int_equal(header.value_size, UINT32_MAX);
    assert_true(bitcask_record_size(&header) ==
                UINT64_C(14) + 65535 + UINT32_MAX);
}

static void test_every_flipped_bit_of_a_record_is_noticed(void **state)
{
    uint8_t bytes[sizeof(golden_record)];

    (void)state;
    memcpy(bytes, golden_record, sizeof(bytes));
    assert_true(bitcask_verify(bytes, sizeof(bytes)));
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(bitcask_verify(bytes, sizeof(bytes)));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < sizeof(bytes); size++) {
        assert_false(bitcask_verify(bytes, size));
    }
}

static void test_empty_keys_and_values_are_records(void **state)
{
    uint8_t bytes[BITCASK_HEADER_SIZE];

    (void)state;
    bitcask_encode_header(0, (cask_slice){NULL, 0}, (cask_slice){NULL, 0},
                          bytes);
    assert_true(bitcask_verify(bytes, sizeof(bytes)));
    /* Zeros are none: a hole in a file is damage. */
    memset(bytes, 0, sizeof(bytes));
    assert_false(bitcask_verify(bytes, sizeof(bytes)));
}

static void test_a_hint_has_the_bytes_of_bitcask(void **state)
{
    const bitcask_hint hint = {.time_s = 0x6b00d891,
                               .key_size = 2,
                               .record_size = 38,
                               .tombstone = true,
                               .offset = 18};
    uint8_t bytes[BITCASK_HINT_SIZE];
    bitcask_hint found;
    uint32_t crc;

    (void)state;
    bitcask_encode_hint(&hint, bytes);
    assert_memory_equal(bytes, golden_hint, sizeof(bytes));
    bitcask_decode_hint(golden_hint, &found);
    assert_int_equal(found.time_s, hint.time_s);
    assert_int_equal(found.key_size, hint.key_size);
    assert_int_equal(found.record_size, hint.record_size);
    assert_true(found.tombstone);
    assert_int_equal(found.offset, hint.offset);
    assert_false(bitcask_decode_trailer(golden_hint, &crc));
}

static void test_the_trailer_has_the_bytes_of_bitcask(void **state)
{
    uint8_t bytes[BITCASK_HINT_SIZE];
    uint32_t crc = 0;

    (void)state;
    bitcask_encode_trailer(0x12345678, bytes);
    assert_memory_equal(bytes, golden_trailer, sizeof(bytes));
    assert_true(bitcask_decode_trailer(bytes, &crc));
    assert_int_equal(crc, 0x12345678);
    for (size_t at = 0; at < sizeof(bytes); at++) {
        bytes[at] ^= 1;
        /* Only the checksum itself may be anything. */
        assert_int_equal(bitcask_decode_trailer(bytes, &crc),
                         at >= 6 && at < 10);
        bytes[at] ^= 1;
    }
}

static void test_tombstones_of_all_styles_are_known(void **state)
{
    const cask_slice dead[] = {SLICE("bitcask_tombstone"),
                               SLICE("bitcask_tombstone1\0\0\0\1"),
                               SLICE("bitcask_tombstone2\0\0\0\1"),
                               SLICE("bitcask_tombstone of a user")};
    const cask_slice live[] = {SLICE(""), SLICE("bitcask_tombston"),
                               SLICE("Bitcask_tombstone"),
                               SLICE(" bitcask_tombstone")};

    (void)state;
    for (size_t i = 0; i < sizeof(dead) / sizeof(dead[0]); i++) {
        assert_true(bitcask_is_tombstone(dead[i].data, dead[i].size));
        assert_false(bitcask_is_tombstone(live[i].data, live[i].size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_has_the_bytes_of_bitcask),
        cmocka_unit_test(test_the_largest_header_does_not_overflow),
        cmocka_unit_test(test_every_flipped_bit_of_a_record_is_noticed),
        cmocka_unit_test(test_empty_keys_and_values_are_records),
        cmocka_unit_test(test_a_hint_has_the_bytes_of_bitcask),
        cmocka_unit_test(test_the_trailer_has_the_bytes_of_bitcask),
        cmocka_unit_test(test_tombstones_of_all_styles_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
