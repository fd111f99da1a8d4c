/*
 * The hash of runs: lengths tell keys apart that have the same words.
 */
#include "unit/run/run_place.h"

#include <string.h>

#include "base/bytes.h"
#include "run/run_hash.h"

enum { WORDS = 16, BLOCK = 16, HASH_KEYS = 1000 };

/* The two words that the end of a key is hashed as: docs/format/run.md. */
static void end_words(const uint8_t *end, size_t size, uint64_t words[2])
{
    words[0] = 0;
    words[1] = 0;
    if (size >= 8) {
        words[0] = load_u64(end);
        words[1] = load_u64(end + size - 8);
    } else if (size >= 4) {
        words[0] = load_u32(end);
        words[1] = load_u32(end + size - 4);
    } else if (size > 0) {
        words[0] = end[0];
        words[1] = (uint64_t)end[size / 2] << 8 | end[size - 1];
    }
}

static void random_bytes(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)run_random();
    }
}

/*
 * A key of `size` bytes behind `before` others, and one whose end has 16: its
 * two words are chosen so that they make up for the other length wherever that
 * is xored into a word, or are the same.
 */
static void assert_apart(run_hash_key key, size_t before, size_t size,
                         uint64_t difference)
{
    uint8_t one[BLOCK + WORDS];
    uint8_t other[BLOCK + WORDS];
    uint64_t words[2];

    random_bytes(one, before + size);
    memcpy(other, one, before);
    end_words(one + before, size, words);
    store_u64(other + before, words[0]);
    store_u64(other + before + 8, words[1] ^ difference);
    assert_int_not_equal(run_hash(key, one, before + size),
                         run_hash(key, other, before + WORDS));
}

static void test_lengths_cannot_be_made_up_for_by_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < HASH_KEYS; i++) {
        const run_hash_key key = {{run_random(), run_random()}};

        for (size_t size = 0; size < WORDS; size++) {
            assert_apart(key, 0, size, 0);
            assert_apart(key, 0, size, size ^ WORDS);
            assert_apart(key, 0, size, WORDS - size);
            if (size > 0) {
                assert_apart(key, BLOCK, size, 0);
                assert_apart(key, BLOCK, size,
                             (BLOCK + size) ^ (BLOCK + WORDS));
            }
        }
    }
}

/* Zeros alone: what differs is nothing but the length. */
static void test_zeros_of_every_length_have_hashes_of_their_own(void **state)
{
    const run_hash_key key = {{run_random(), run_random()}};
    const uint8_t zeros[4096] = {0};
    static uint64_t seen[4096];

    (void)state;
    for (size_t size = 0; size < sizeof(zeros); size++) {
        seen[size] = run_hash(key, zeros, size);
        for (size_t i = 0; i < size; i++) {
            assert_int_not_equal(seen[i], seen[size]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths_cannot_be_made_up_for_by_bytes),
        cmocka_unit_test(test_zeros_of_every_length_have_hashes_of_their_own),
    };

    return cmocka_run_group_tests_name("run hash", tests, NULL, NULL);
}
