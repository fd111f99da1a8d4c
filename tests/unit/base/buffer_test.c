/*
 * Owned bytes: growth keeps the content, and failure changes nothing.
 */
#include "cask_test.h"

#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

static void test_growth_keeps_content(void **state)
{
    cask_buffer buffer = {0};
    cask_error err = {0};

    (void)state;
    for (size_t i = 0; i < 10000; i++) {
        unsigned char byte = (unsigned char)(i % 251);

        assert_int_equal(buffer_append(&buffer, &byte, 1, &err), CASK_OK);
        assert_int_equal(buffer.size, i + 1);
        assert_true(buffer.capacity >= buffer.size);
    }
    for (size_t i = 0; i < 10000; i++) {
        assert_int_equal(((unsigned char *)buffer.data)[i], i % 251);
    }
    cask_buffer_free(&buffer);
}

/* Else n appends would copy n * n bytes. */
static void test_capacity_at_least_doubles(void **state)
{
    cask_buffer buffer = {0};
    size_t before;

    (void)state;
    assert_int_equal(buffer_reserve(&buffer, 1000, NULL), CASK_OK);
    before = buffer.capacity;
    assert_int_equal(buffer_reserve(&buffer, before + 1, NULL), CASK_OK);
    assert_true(buffer.capacity >= 2 * before);
    cask_buffer_free(&buffer);
}

static void test_reserve_within_capacity_moves_nothing(void **state)
{
    cask_buffer buffer = {0};
    const void *data;
    size_t capacity;

    (void)state;
    assert_int_equal(buffer_append(&buffer, "abc", 3, NULL), CASK_OK);
    data = buffer.data;
    capacity = buffer.capacity;
    assert_int_equal(buffer_reserve(&buffer, capacity, NULL), CASK_OK);
    assert_ptr_equal(buffer.data, data);
    assert_int_equal(buffer.capacity, capacity);
    cask_buffer_free(&buffer);
}

/* A successful read of an empty value must not leave data == NULL. */
static void test_reserve_of_nothing_gives_memory(void **state)
{
    cask_buffer buffer = {0};

    (void)state;
    assert_int_equal(buffer_reserve(&buffer, 0, NULL), CASK_OK);
    assert_non_null(buffer.data);
    assert_int_equal(buffer.size, 0);
    cask_buffer_free(&buffer);
}

static void test_append_of_nothing_accepts_null(void **state)
{
    cask_buffer buffer = {0};

    (void)state;
    assert_int_equal(buffer_append(&buffer, "abc", 3, NULL), CASK_OK);
    assert_int_equal(buffer_append(&buffer, NULL, 0, NULL), CASK_OK);
    assert_int_equal(buffer.size, 3);
    assert_memory_equal(buffer.data, "abc", 3);
    cask_buffer_free(&buffer);
}

static void test_impossible_sizes_fail_and_change_nothing(void **state)
{
    cask_buffer buffer = {0};
    cask_error err = {0};
    cask_buffer before;

    (void)state;
    assert_int_equal(buffer_append(&buffer, "abc", 3, NULL), CASK_OK);
    before = buffer;
    /* The sum overflows; the sum does not, but nobody has that much. */
    assert_int_equal(buffer_append(&buffer, "x", SIZE_MAX, &err),
                     CASK_NO_MEMORY);
    assert_int_equal(err.status, CASK_NO_MEMORY);
    assert_string_not_equal(err.message, "");
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX - 1, &err),
                     CASK_NO_MEMORY);
    assert_ptr_equal(buffer.data, before.data);
    assert_int_equal(buffer.size, before.size);
    assert_int_equal(buffer.capacity, before.capacity);
    assert_memory_equal(buffer.data, "abc", 3);
    cask_buffer_free(&buffer);
}

static void test_free_empties_and_accepts_empty(void **state)
{
    cask_buffer buffer = {0};

    (void)state;
    cask_buffer_free(NULL);
    cask_buffer_free(&buffer);
    assert_int_equal(buffer_append(&buffer, "abc", 3, NULL), CASK_OK);
    cask_buffer_free(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.size, 0);
    assert_int_equal(buffer.capacity, 0);
    cask_buffer_free(&buffer);
}

static void test_slice_of_text_is_without_its_nul(void **state)
{
    static const char text[] = "key";
    cask_slice slice = cask_slice_of(text);

    (void)state;
    assert_ptr_equal(slice.data, text);
    assert_int_equal(slice.size, 3);
    assert_int_equal(cask_slice_of("").size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_keeps_content),
        cmocka_unit_test(test_capacity_at_least_doubles),
        cmocka_unit_test(test_reserve_within_capacity_moves_nothing),
        cmocka_unit_test(test_reserve_of_nothing_gives_memory),
        cmocka_unit_test(test_append_of_nothing_accepts_null),
        cmocka_unit_test(test_impossible_sizes_fail_and_change_nothing),
        cmocka_unit_test(test_free_empties_and_accepts_empty),
        cmocka_unit_test(test_slice_of_text_is_without_its_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
