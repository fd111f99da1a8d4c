/*
 * Going through data files with large records and damage: the checksums of
 * ranges, what is met, and that a search takes time in proportion to the file.
 */
#include "cask_test.h"

#include "bitcask_walk.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MIB = 1024 * 1024 };

typedef struct image {
    uint8_t *data;
    size_t size;
    size_t capacity;
} image;

static image make_image(size_t capacity)
{
    image made = {calloc(1, capacity), 0, capacity};

    assert_non_null(made.data);
    return made;
}

/* Append a record of `value_size` bytes of `fill`; returns its offset. */
static size_t add_record(image *to, const char *key, int fill,
                         size_t value_size)
{
    size_t offset = to->size;
    size_t key_size = strlen(key);
    uint8_t *value = to->data + offset + BITCASK_HEADER_SIZE + key_size;

    to->size += BITCASK_HEADER_SIZE + key_size + value_size;
    assert_true(to->size <= to->capacity);
    memcpy(value - key_size, key, key_size);
    memset(value, fill, value_size);
    bitcask_encode_header(7, (cask_slice){key, key_size},
                          (cask_slice){value, value_size}, to->data + offset);
    return offset;
}

/* The image as an open file that has no name any more. */
static void open_image(const image *from, bitcask_file *file)
{
    char path[] = "/tmp/caskade-walk-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    for (size_t done = 0; done < from->size;) {
        ssize_t got = write(fd, from->data + done, from->size - done);

        assert_true(got > 0);
        done += (size_t)got;
    }
    (void)close(fd);
    assert_int_equal(bitcask_file_open(file, path), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(file->size, from->size);
}

/* ---- Ranges ------------------------------------------------------------ */

static void test_any_range_has_the_bytes_and_checksum_of_the_file(void **state)
{
    image from = make_image(3 * MIB);
    uint64_t random = 1;
    bitcask_file file;

    (void)state;
    from.size = from.capacity - 77;
    for (size_t i = 0; i < from.size; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        from.data[i] = (uint8_t)(random >> 56);
    }
    open_image(&from, &file);
    for (int i = 0; i < 3000; i++) {
        size_t offset;
        size_t size;
        uint32_t crc;

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        offset = (size_t)(random >> 33) % from.size;
        size = (size_t)(random >> 17) % (from.size - offset + 1);
        size = i % 2 == 0 ? size : size % 600;
        assert_true(bitcask_file_crc(&file, offset, size, &crc));
        assert_int_equal(crc, bitcask_crc(0, from.data + offset, size));
        assert_memory_equal(bitcask_file_at(&file, offset, size),
                            from.data + offset, size);
    }
    bitcask_file_close(&file);
    free(from.data);
}

/* ---- Walks ------------------------------------------------------------- */

/* What a walk met, as text: "a5 b3 !10+20 " for records a and b with 5 and 3
 * bytes of value, and 20 damaged bytes from offset 10 on. */
typedef struct met {
    text text;
    bool whole_values;    /* as they were made: equal bytes */
    uint64_t searched;    /* where it was told last of a search */
    uint64_t search_most; /* it is to end there */
} met;

/* Any bytes of the file may be called a key. */
static void on_ahead(void *context, cask_slice key)
{
    const volatile uint8_t *bytes = key.data;

    (void)context;
    for (size_t i = 0; i < key.size; i++) {
        (void)bytes[i];
    }
}

static bool on_record(void *context, const bitcask_record *record)
{
    met *all = context;
    const char *value = record->value.data;

    text_add(&all->text, record->key.data, record->key.size);
    text_add_format(&all->text, "%zu ", record->value.size);
    all->whole_values = all->whole_values &&
                        (record->value.size < 2 ||
                         memcmp(value, value + 1, record->value.size - 1) == 0);
    return true;
}

static bool on_damage(void *context, const bitcask_damage *damage)
{
    met *all = context;

    text_add_format(&all->text, "!%llu+%llu ",
                    (unsigned long long)damage->offset,
                    (unsigned long long)damage->size);
    return true;
}

static bool on_search(void *context, uint64_t offset)
{
    met *all = context;

    all->searched = offset;
    return offset < all->search_most;
}

static void check_walk(const image *from, bool wants_values, const char *want)
{
    met all = {.whole_values = true, .search_most = UINT64_MAX};
    bitcask_visitor visitor = {wants_values, on_ahead,  on_record,
                               on_damage,    on_search, &all};
    bitcask_file file;

    open_image(from, &file);
    assert_int_equal(bitcask_walk(&file, NULL, &visitor), BITCASK_WALK_DONE);
    text_add_char(&all.text, '\0');
    assert_string_equal(all.text.data, want);
    text_free(&all.text);
    assert_true(all.whole_values);
    bitcask_file_close(&file);
}

static void test_records_of_any_size_are_met(void **state)
{
    image from = make_image(64 * MIB);

    (void)state;
    (void)add_record(&from, "a", 'x', 0);
    (void)add_record(&from, "b", 'x', 300000);
    (void)add_record(&from, "c", 'y', 20 * MIB);
    (void)add_record(&from, "d", 'z', 17 * MIB);
    (void)add_record(&from, "e", 'x', 5);
    check_walk(&from, true, "a0 b300000 c20971520 d17825792 e5 ");
    check_walk(&from, false, "a0 b0 c0 d0 e0 ");
    free(from.data);
}

static void test_a_damaged_size_hides_no_other_record(void **state)
{
    (void)state;
    /* Whatever bit of the value's size it is: some reach 16 MiB ahead. */
    for (int bit = 0; bit < 32; bit++) {
        image from = make_image(48 * MIB);
        size_t at;

        (void)add_record(&from, "a", 'x', 100);
        at = add_record(&from, "b", 'x', 100);
        from.data[at + 10 + (size_t)bit / 8] ^= (uint8_t)(1 << bit % 8);
        (void)add_record(&from, "c", 'x', 100);
        (void)add_record(&from, "d", 'y', 17 * MIB);
        (void)add_record(&from, "e", 'x', 4000);
        check_walk(&from, true, "a100 !115+115 c100 d17825792 e4000 ");
        free(from.data);
    }
}

/* A megabyte in which a record of 16 MiB could begin at every byte: read anew
 * for each, that would be 16 TiB. */
static void test_a_search_is_linear(void **state)
{
    image from = make_image(40 * MIB);

    (void)state;
    (void)add_record(&from, "a", 'x', 100);
    memset(from.data + from.size, 1, MIB);
    from.size += MIB;
    (void)add_record(&from, "b", 1, 30 * MIB);
    (void)add_record(&from, "c", 'x', 1);
    check_walk(&from, true, "a100 !115+1048576 b31457280 c1 ");
    free(from.data);
}

static void test_holes_and_erased_blocks_are_no_records(void **state)
{
    image from = make_image(4 * MIB);

    (void)state;
    (void)add_record(&from, "a", 'x', 100);
    from.size += 100000;
    memset(from.data + from.size, 0xff, 100000);
    from.size += 200000;
    (void)add_record(&from, "b", 'x', 1);
    check_walk(&from, true, "a100 !115+300000 b1 ");
    free(from.data);
}

static void test_a_search_can_be_ended(void **state)
{
    image from = make_image(4 * MIB);
    met all = {.whole_values = true, .search_most = MIB};
    const bitcask_visitor visitor = {true,      on_ahead,  on_record,
                                     on_damage, on_search, &all};
    bitcask_file file;

    (void)state;
    (void)add_record(&from, "a", 'x', 100);
    from.size += 3 * MIB;
    open_image(&from, &file);
    assert_int_equal(bitcask_walk(&file, NULL, &visitor), BITCASK_WALK_ENDED);
    text_add_char(&all.text, '\0');
    assert_string_equal(all.text.data, "a100 ");
    assert_int_equal(all.searched, MIB);
    text_free(&all.text);
    bitcask_file_close(&file);
    free(from.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_range_has_the_bytes_and_checksum_of_the_file),
        cmocka_unit_test(test_records_of_any_size_are_met),
        cmocka_unit_test(test_a_damaged_size_hides_no_other_record),
        cmocka_unit_test(test_a_search_is_linear),
        cmocka_unit_test(test_holes_and_erased_blocks_are_no_records),
        cmocka_unit_test(test_a_search_can_be_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
