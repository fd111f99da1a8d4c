/*
 * Integers in files: little-endian, at any alignment; rounding.
 */
#include "cask_test.h"

#include "base/bytes.h"

static void test_loads_are_little_endian_at_any_alignment(void **state)
{
    unsigned char bytes[16] = {0};

    (void)state;
    for (size_t at = 0; at < 8; at++) {
        for (size_t i = 0; i < 8; i++) {
            bytes[at + i] = (unsigned char)(i + 1);
        }
        assert_int_equal(load_u16(bytes + at), 0x0201);
        assert_int_equal(load_u32(bytes + at), 0x04030201);
        assert_true(load_u64(bytes + at) == 0x0807060504030201);
    }
}

static void test_stores_write_their_bytes_and_no_others(void **state)
{
    static const unsigned char want_16[] = {9, 2, 1, 9, 9, 9, 9, 9, 9, 9};
    static const unsigned char want_32[] = {9, 4, 3, 2, 1, 9, 9, 9, 9, 9};
    static const unsigned char want_64[] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 9};
    unsigned char bytes[10];

    (void)state;
    memset(bytes, 9, sizeof(bytes));
    store_u16(bytes + 1, 0x0102);
    assert_memory_equal(bytes, want_16, sizeof(bytes));

    memset(bytes, 9, sizeof(bytes));
    store_u32(bytes + 1, 0x01020304);
    assert_memory_equal(bytes, want_32, sizeof(bytes));

    memset(bytes, 9, sizeof(bytes));
    store_u64(bytes + 1, 0x0102030405060708);
    assert_memory_equal(bytes, want_64, sizeof(bytes));
}

static void test_rounding_up(void **state)
{
    (void)state;
    assert_int_equal(round_up_8(0), 0);
    assert_int_equal(round_up_8(1), 8);
    assert_int_equal(round_up_8(8), 8);
    assert_int_equal(round_up_8(9), 16);
    assert_true(round_up_8(UINT64_MAX - 7) == UINT64_MAX - 7);

    assert_int_equal(round_up(0, 4096), 0);
    assert_int_equal(round_up(1, 4096), 4096);
    assert_int_equal(round_up(4096, 4096), 4096);
    assert_int_equal(round_up(4097, 4096), 8192);
    assert_int_equal(round_up(5, 1), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads_are_little_endian_at_any_alignment),
        cmocka_unit_test(test_stores_write_their_bytes_and_no_others),
        cmocka_unit_test(test_rounding_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
