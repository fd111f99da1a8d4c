/*
 * The checksum of every file: against published values, and against a second
 * computation that goes bit by bit.
 */
#include "cask_test.h"

#include "base/crc32c.h"

#include <string.h>

/* RFC 3720 (iSCSI), B.4, and the check value of the CRC catalogue. */
static void test_published_values(void **state)
{
    unsigned char bytes[32];

    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);

    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);

    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)i;
    }
    assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(31 - i);
    }
    assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x113fdb5c);
}

/* The definition: reflected polynomial 0x1edc6f41, inverted before and after.
 */
static uint32_t bit_by_bit(const unsigned char *data, size_t size)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

/* ISA-L has other code for each size and alignment. */
static void test_every_size_and_alignment_as_bit_by_bit(void **state)
{
    static unsigned char bytes[700];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(i * 37 + i / 256);
    }
    for (size_t start = 0; start < 16; start++) {
        for (size_t size = 0; size < 600; size++) {
            assert_int_equal(crc32c(0, bytes + start, size),
                             bit_by_bit(bytes + start, size));
        }
    }
}

static void test_continues_across_any_cut(void **state)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog";
    uint32_t whole = crc32c(0, text, sizeof(text));

    (void)state;
    for (size_t cut = 0; cut <= sizeof(text); cut++) {
        uint32_t first = crc32c(0, text, cut);

        assert_int_equal(crc32c(first, text + cut, sizeof(text) - cut), whole);
    }
}

static void test_nothing_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, NULL, 0), 0);
    assert_int_equal(crc32c(0x12345678, "", 0), 0x12345678);
}

static void test_every_flipped_bit_shows(void **state)
{
    unsigned char bytes[64] = {1, 2, 3};
    uint32_t whole = crc32c(0, bytes, sizeof(bytes));

    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        assert_int_not_equal(crc32c(0, bytes, sizeof(bytes)), whole);
        bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
    assert_int_equal(crc32c(0, bytes, sizeof(bytes)), whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_values),
        cmocka_unit_test(test_every_size_and_alignment_as_bit_by_bit),
        cmocka_unit_test(test_continues_across_any_cut),
        cmocka_unit_test(test_nothing_changes_nothing),
        cmocka_unit_test(test_every_flipped_bit_shows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
