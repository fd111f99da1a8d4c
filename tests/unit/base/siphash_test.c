/*
 * The keyed hash of the index: against values that siphash_reference.py
 * computes from the paper's description, and its use of key and length.
 */
#include "cask_test.h"

#include "base/siphash.h"

/* Bytes 0, 1, 2, ... as in the vectors of the authors' reference code. */
static const siphash_key counting_key = {
    {0x0706050403020100, 0x0f0e0d0c0b0a0908}};

/* Printed by siphash_reference.py: message 0, 1, 2, ... of that size. */
static const struct {
    size_t size; /* bytes */
    siphash_value value;
} vectors[] = {
    {0, {{0xbea58827b2bc7ee7, 0x013030dd6adb62fd}}},
    {1, {{0xa8edd36004376ffc, 0x63f02f2bcc73055e}}},
    {2, {{0x9b836905097f7875, 0x95ea6a8c54c95b85}}},
    {3, {{0x9ff7dc1efaccc56b, 0x43d7eb1277182348}}},
    {4, {{0x5a282bac714e780c, 0x252cbf8fe7928e9f}}},
    {5, {{0x0c625b3489db28f3, 0x3e849526a4295279}}},
    {6, {{0x10e743f7293dd0dc, 0xf8a68539e8b05109}}},
    {7, {{0xc3e0aaf223b98410, 0x77ab4808c82e2fa6}}},
    {8, {{0xb4dae3d5e1fe12aa, 0x99c7f935ab164f72}}},
    {9, {{0x9439f32c04b8dd81, 0x427c1394000e72f4}}},
    {10, {{0x898e495d1d54aa4f, 0xb42fb287c3a40eba}}},
    {11, {{0xdb914455f39a3b72, 0x4e0c6efc3d63d6b1}}},
    {12, {{0xa819489e85923fe5, 0x658cea9f739506dc}}},
    {13, {{0x1d80eac9c758f8b2, 0x4478656d5903d653}}},
    {14, {{0x7222c9db6862e787, 0x78e3645f66cab026}}},
    {15, {{0x6c52bdb205557ec1, 0x09017e1eeccd2129}}},
    {16, {{0xeb8e511557d9a8d0, 0x93179e3df8b013b5}}},
    {63, {{0x6f42fe4ee300584c, 0xad6052a70a6b9f07}}},
    {64, {{0x36a54a4bf2de5312, 0xc2666aba59a7c84e}}},
    {255, {{0xa558210ac1a428f5, 0xe93ebbaed065a4f1}}},
    {256, {{0x5a020c3a248b6cf5, 0x7a709cb9a27a686a}}},
    {1000, {{0x48161d9dfffa82e7, 0xfaf3d320a6864225}}},
};

static void fill_counting(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)i;
    }
}

static bool is_equal(siphash_value a, siphash_value b)
{
    return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

static void test_reference_values(void **state)
{
    unsigned char message[1000];

    (void)state;
    fill_counting(message, sizeof(message));
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        siphash_value got = siphash(counting_key, message, vectors[i].size);

        assert_true(is_equal(got, vectors[i].value));
    }
}

static void test_alignment_does_not_matter(void **state)
{
    unsigned char memory[8 + 63];

    (void)state;
    for (size_t start = 0; start < 8; start++) {
        fill_counting(memory + start, 63);
        assert_int_equal(vectors[17].size, 63);
        assert_true(is_equal(siphash(counting_key, memory + start, 63),
                             vectors[17].value));
    }
}

static void test_every_bit_of_key_and_message_counts(void **state)
{
    unsigned char message[24];
    siphash_value plain;

    (void)state;
    fill_counting(message, sizeof(message));
    plain = siphash(counting_key, message, sizeof(message));
    for (unsigned bit = 0; bit < 128; bit++) {
        siphash_key key = counting_key;

        key.word[bit / 64] ^= (uint64_t)1 << (bit % 64);
        assert_false(is_equal(siphash(key, message, sizeof(message)), plain));
    }
    for (unsigned bit = 0; bit < 8 * sizeof(message); bit++) {
        message[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        assert_false(
            is_equal(siphash(counting_key, message, sizeof(message)), plain));
        message[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
}

/* A message and the same with zeros after it must not collide. */
static void test_length_counts(void **state)
{
    static const unsigned char zeros[300];

    (void)state;
    for (size_t size = 0; size + 1 < sizeof(zeros); size++) {
        assert_false(is_equal(siphash(counting_key, zeros, size),
                              siphash(counting_key, zeros, size + 1)));
    }
}

static void test_empty_message_may_be_null(void **state)
{
    (void)state;
    assert_true(is_equal(siphash(counting_key, NULL, 0), vectors[0].value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_values),
        cmocka_unit_test(test_alignment_does_not_matter),
        cmocka_unit_test(test_every_bit_of_key_and_message_counts),
        cmocka_unit_test(test_length_counts),
        cmocka_unit_test(test_empty_message_may_be_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
