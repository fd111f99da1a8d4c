/*
 * The index of newest versions: every key is found while it grows, places keep
 * their order, and states do not disturb them.
 */
#include "cask_test.h"

#include "bitcask_index.h"

#include <stdio.h>

enum { KEYS = 100000 };

static key_hash hash_of(const bitcask_index *index, size_t i)
{
    char text[16];
    int size = snprintf(text, sizeof(text), "%zu", i);
    key_hash hash;

    assert_true(size > 0);
    hash = bitcask_index_hash(index, (cask_slice){text, (size_t)size});
    bitcask_index_prefetch(index, hash);
    return hash;
}

static void test_every_key_is_found_while_the_index_grows(void **state)
{
    bitcask_index index;

    (void)state;
    assert_true(bitcask_index_init(&index));
    assert_null(bitcask_index_find(&index, hash_of(&index, 0)));
    for (size_t i = 0; i < KEYS; i++) {
        bitcask_slot *slot = bitcask_index_add(&index, hash_of(&index, i));

        assert_non_null(slot);
        assert_int_equal(bitcask_slot_newest(slot), BITCASK_UNKNOWN);
        bitcask_slot_set(slot, bitcask_place(i % 7, i), BITCASK_VALUE);
        assert_int_equal(index.count, i + 1);
    }
    for (size_t i = 0; i < KEYS; i++) {
        bitcask_slot *slot = bitcask_index_find(&index, hash_of(&index, i));

        assert_non_null(slot);
        assert_ptr_equal(slot, bitcask_index_add(&index, hash_of(&index, i)));
        assert_int_equal(bitcask_slot_place(slot), bitcask_place(i % 7, i));
    }
    assert_null(bitcask_index_find(&index, hash_of(&index, KEYS)));
    assert_int_equal(index.count, KEYS);
    bitcask_index_free(&index);
}

static void test_later_places_are_larger(void **state)
{
    const size_t file = BITCASK_FILE_MAX_COUNT - 1;
    const uint64_t offset = BITCASK_FILE_MAX_BYTES - 1;
    bitcask_slot slot;

    (void)state;
    assert_true(bitcask_place(0, 0) < bitcask_place(0, 1));
    assert_true(bitcask_place(0, offset) < bitcask_place(1, 0));
    assert_true(bitcask_place(file - 1, offset) < bitcask_place(file, 0));
    for (int newest = BITCASK_VALUE; newest <= BITCASK_UNKNOWN; newest++) {
        bitcask_slot_set(&slot, bitcask_place(file, offset),
                         (bitcask_newest)newest);
        assert_int_equal(bitcask_slot_newest(&slot), newest);
        assert_true(bitcask_slot_place(&slot) == bitcask_place(file, offset));
        assert_int_equal(bitcask_place_file(bitcask_slot_place(&slot)), file);
        /* It is not the mark of a free slot. */
        assert_true(slot.place != UINT64_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_is_found_while_the_index_grows),
        cmocka_unit_test(test_later_places_are_larger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
