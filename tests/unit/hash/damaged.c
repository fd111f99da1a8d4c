/*
 * Damage in one segment of a store of numbered keys.
 */
#include "unit/hash/damaged.h"

#include <stdio.h>
#include <string.h>

#include "log/segment_format.h"

void put_all(handle *h, char fill)
{
    for (unsigned i = 0; i < KEYS; i++) {
        put_key(h->db, i, fill);
    }
}

/* What a key's value is filled with; 0: absent. */
char fill_of(handle *h, unsigned number)
{
    cask_buffer value = {0};
    cask_status status;
    char fill = 0;
    char key[32];

    (void)snprintf(key, sizeof(key), "key %u", number);
    status = cask_get(h->db, cask_slice_of(key), &value, NULL);
    if (status == CASK_OK) {
        assert_int_equal(value.size, VALUE_BYTES);
        fill = ((const char *)value.data)[VALUE_BYTES - 1];
    } else if (status == CASK_CORRUPT) {
        fill = DAMAGED;
    } else {
        assert_int_equal(status, CASK_NOT_FOUND);
    }
    cask_buffer_free(&value);
    return fill;
}

/* All keys have this value, but for one. */
void expect_all(handle *h, char fill, unsigned other, char other_fill)
{
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(fill_of(h, i), i == other ? other_fill : fill);
    }
}

cask_status try_merge_all(handle *h, cask_merge_report *ret_report)
{
    cask_merge_options options = {.all = true};

    return cask_merge(h->db, &options, ret_report, NULL);
}

/* How many segments are quarantined; the row of the last. */
unsigned quarantined(handle *h, cask_segment_stats *ret_segment)
{
    cask_segment_stats *segments = NULL;
    unsigned found = 0;
    size_t count = 0;

    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        if (segments[i].quarantined) {
            *ret_segment = segments[i];
            found++;
        }
    }
    cask_free(segments);
    return found;
}

static void flip(os *kernel, const char *name, uint64_t offset)
{
    uint8_t byte = 0;
    const os_span span = {&byte, 1};
    os_file *dir;
    os_file *file;
    size_t got;

    assert_int_equal(kernel->ops->open_dir(kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(kernel->ops->open(dir, name, OS_READ | OS_WRITE, 0, &file),
                     0);
    assert_int_equal(kernel->ops->read_at(file, &byte, 1, offset, &got), 0);
    byte ^= 1;
    assert_int_equal(kernel->ops->write_at(file, &span, 1, offset), 0);
    kernel->ops->close(file);
    kernel->ops->close(dir);
}

void damage(handle *h, uint64_t id, uint64_t offset)
{
    char name[SEGMENT_NAME_SIZE];

    segment_name_format(id, name);
    flip(h->kernel, name, offset);
}

bool is_there(handle *h, uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];
    os_file *dir;
    os_stat stat;
    int os_errno;

    segment_name_format(id, name);
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    os_errno = h->kernel->ops->stat_name(dir, name, &stat);
    h->kernel->ops->close(dir);
    return os_errno == 0;
}

/* Damage the first record of the segment that `key` is in, and is first in;
 * returns its id. */
uint64_t damage_first_of(handle *h, char fill, unsigned *ret_key)
{
    cask_segment_stats *segments = NULL;
    size_t count = 0;
    uint64_t id = 0;

    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    for (size_t i = 0; i < count && id == 0; i++) {
        if (segments[i].sealed && segments[i].live_records > 5 &&
            segments[i].dead_bytes == 0) {
            id = segments[i].id;
        }
    }
    cask_free(segments);
    assert_true(id != 0);
    damage(h, id, DAMAGED_OFFSET);
    *ret_key = KEYS;
    for (unsigned i = 0; i < KEYS; i++) {
        char found = fill_of(h, i);

        assert_true(found == fill || (found == DAMAGED && *ret_key == KEYS));
        *ret_key = found == DAMAGED ? i : *ret_key;
    }
    assert_true(*ret_key < KEYS);
    return id;
}

/* A store of two values of each key, one of the newer damaged, with hints. */
uint64_t begin_damaged(handle *h, unsigned *ret_key)
{
    uint64_t id;

    put_all(h, 'a');
    put_all(h, 'b');
    handle_reopen(h);
    id = damage_first_of(h, 'b', ret_key);
    put_key(h->db, *ret_key + 1, 'b'); /* something is dead in it */
    return id;
}
