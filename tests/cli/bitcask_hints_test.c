/*
 * Hint files of Bitcask: what is sound, who is told of the rows, and that a
 * file is not read twice for as long as it is the same.
 */
#define _XOPEN_SOURCE 700

#include "cask_test.h"

#include "bitcask_hints.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More rows than a window of bitcask_file.h holds. */
enum { ROWS = 40000, KEY_SIZE = 8, RECORD_SIZE = 60 };

typedef struct place {
    char path[32];
    uint8_t *bytes;
    size_t size;
} place;

static const uint64_t data_size = (uint64_t)ROWS * RECORD_SIZE;

static void key_of(size_t row, char ret_key[KEY_SIZE + 1])
{
    (void)snprintf(ret_key, KEY_SIZE + 1, "%08zu", row);
}

static void save(const place *p)
{
    int fd = open(p->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    size_t done = 0;

    assert_true(fd >= 0);
    while (done < p->size) {
        ssize_t got = write(fd, p->bytes + done, p->size - done);

        assert_true(got > 0);
        done += (size_t)got;
    }
    assert_int_equal(close(fd), 0);
}

/* A file of ROWS rows that cover `data_size` bytes. */
static int setup(void **state)
{
    static place p;
    size_t rows_size = (size_t)ROWS * (BITCASK_HINT_SIZE + KEY_SIZE);
    int fd;

    p = (place){.path = "/tmp/caskade-hints-XXXXXX",
                .bytes = malloc(rows_size + BITCASK_HINT_SIZE),
                .size = rows_size + BITCASK_HINT_SIZE};
    fd = mkstemp(p.path);
    if (p.bytes == NULL || fd < 0) {
        return -1;
    }
    (void)close(fd);
    for (size_t i = 0; i < ROWS; i++) {
        const bitcask_hint hint = {.time_s = 7,
                                   .key_size = KEY_SIZE,
                                   .record_size = RECORD_SIZE,
                                   .tombstone = i % 3 == 0,
                                   .offset = i * RECORD_SIZE};
        uint8_t *at = p.bytes + i * (BITCASK_HINT_SIZE + KEY_SIZE);
        char key[KEY_SIZE + 1];

        bitcask_encode_hint(&hint, at);
        key_of(i, key);
        memcpy(at + BITCASK_HINT_SIZE, key, KEY_SIZE);
    }
    bitcask_encode_trailer(bitcask_crc(0, p.bytes, rows_size),
                           p.bytes + rows_size);
    save(&p);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;

    (void)unlink(p->path);
    free(p->bytes);
    return 0;
}

/* ---- Rows -------------------------------------------------------------- */

typedef struct told {
    size_t rows;
    size_t most; /* then it stops */
} told;

static bool take_row(void *context, const bitcask_hint *hint, cask_slice key)
{
    told *t = context;
    char expected[KEY_SIZE + 1];

    key_of(t->rows, expected);
    assert_int_equal(key.size, KEY_SIZE);
    assert_memory_equal(key.data, expected, KEY_SIZE);
    assert_int_equal(hint->offset, t->rows * RECORD_SIZE);
    assert_int_equal(hint->tombstone, t->rows % 3 == 0);
    t->rows++;
    return t->rows < t->most;
}

static bitcask_hints_state check(const place *p, told *t, bitcask_stamp *stamp)
{
    return bitcask_hints_check(p->path, data_size, take_row, t, stamp);
}

static void check_rows_of(bitcask_hints *hints)
{
    told t = {.most = SIZE_MAX};
    bitcask_hint hint;
    cask_slice key;

    while (bitcask_hints_next(hints, &hint, &key)) {
        assert_true(take_row(&t, &hint, key));
    }
    assert_int_equal(t.rows, ROWS);
    bitcask_hints_close(hints);
}

static void test_the_check_tells_of_each_row_once_in_order(void **state)
{
    told t = {.most = SIZE_MAX};
    bitcask_stamp stamp;

    assert_int_equal(check(*state, &t, &stamp), BITCASK_HINTS_SOUND);
    assert_int_equal(t.rows, ROWS);
}

static void test_who_is_told_of_rows_can_stop_it(void **state)
{
    told t = {.most = 100};
    bitcask_stamp stamp;

    assert_int_not_equal(check(*state, &t, &stamp), BITCASK_HINTS_SOUND);
    assert_int_equal(t.rows, 100);
}

static void test_rows_that_end_before_the_data_do_not_fit(void **state)
{
    const place *p = *state;
    told t = {.most = SIZE_MAX};
    bitcask_stamp stamp;

    assert_int_equal(
        bitcask_hints_check(p->path, data_size + 1, take_row, &t, &stamp),
        BITCASK_HINTS_MISFIT);
    assert_int_equal(t.rows, ROWS);
}

static void test_rows_may_tell_of_more_than_is_left_of_the_data(void **state)
{
    const place *p = *state;
    told t = {.most = SIZE_MAX};
    bitcask_stamp stamp;

    assert_int_equal(bitcask_hints_check(p->path, 10 * RECORD_SIZE + 1,
                                         take_row, &t, &stamp),
                     BITCASK_HINTS_SOUND);
    assert_int_equal(t.rows, ROWS);
}

/* ---- Once -------------------------------------------------------------- */

static void test_a_file_found_sound_opens_with_all_rows(void **state)
{
    const place *p = *state;
    const bitcask_stamp none = {.size = 0};
    told t = {.most = SIZE_MAX};
    bitcask_stamp stamp;
    bitcask_hints hints;

    assert_int_equal(check(p, &t, &stamp), BITCASK_HINTS_SOUND);
    assert_int_equal(bitcask_hints_open(&hints, p->path, data_size, &stamp),
                     BITCASK_HINTS_SOUND);
    check_rows_of(&hints);
    assert_int_equal(bitcask_hints_open(&hints, p->path, data_size, &none),
                     BITCASK_HINTS_SOUND);
    check_rows_of(&hints);
}

/* Of a file that is the same nothing is checked: not even against which data.
 */
static void test_a_file_found_sound_is_not_read_again(void **state)
{
    const place *p = *state;
    told t = {.most = SIZE_MAX};
    bitcask_stamp stamp;
    bitcask_hints hints;

    assert_int_equal(check(p, &t, &stamp), BITCASK_HINTS_SOUND);
    assert_int_equal(bitcask_hints_open(&hints, p->path, 1, &stamp),
                     BITCASK_HINTS_SOUND);
    bitcask_hints_close(&hints);
}

static bool is_still(const place *p, const bitcask_stamp *stamp)
{
    bitcask_file file = {0};
    bool same;

    assert_int_equal(bitcask_file_open(&file, p->path), 0);
    same = bitcask_stamp_is(&file.stamp, stamp);
    bitcask_file_close(&file);
    return same;
}

/* Of the same size, and of the same name: the times, or the file, differ. */
static void test_a_file_that_changed_is_checked_again(void **state)
{
    place *p = *state;
    told t = {.most = SIZE_MAX};
    bitcask_stamp stamp;
    bitcask_hints hints;

    assert_int_equal(check(p, &t, &stamp), BITCASK_HINTS_SOUND);
    p->bytes[BITCASK_HINT_SIZE + 1] ^= 1;
    do {
        save(p);
    } while (is_still(p, &stamp)); /* the clock of files ticks slowly */
    assert_int_equal(bitcask_hints_open(&hints, p->path, data_size, &stamp),
                     BITCASK_HINTS_DAMAGED);
}

static void test_another_file_of_this_name_is_checked(void **state)
{
    place *p = *state;
    told t = {.most = SIZE_MAX};
    char other[] = "/tmp/caskade-hints-other-XXXXXX";
    place second = *p;
    bitcask_stamp stamp;
    bitcask_hints hints;
    int fd = mkstemp(other);

    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(check(p, &t, &stamp), BITCASK_HINTS_SOUND);
    assert_int_equal(rename(other, p->path), 0);
    second.bytes[BITCASK_HINT_SIZE + 1] ^= 1;
    save(&second);
    assert_int_equal(bitcask_hints_open(&hints, p->path, data_size, &stamp),
                     BITCASK_HINTS_DAMAGED);
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FILE(test_the_check_tells_of_each_row_once_in_order),
        WITH_FILE(test_who_is_told_of_rows_can_stop_it),
        WITH_FILE(test_rows_that_end_before_the_data_do_not_fit),
        WITH_FILE(test_rows_may_tell_of_more_than_is_left_of_the_data),
        WITH_FILE(test_a_file_found_sound_opens_with_all_rows),
        WITH_FILE(test_a_file_found_sound_is_not_read_again),
        WITH_FILE(test_a_file_that_changed_is_checked_again),
        WITH_FILE(test_another_file_of_this_name_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
