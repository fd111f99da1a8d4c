/*
 * Damaging the files of a tree, see damaged.h.
 */
#include "unit/tree/damaged.h"

#include <stdio.h>
#include <string.h>

#include "unit/tree/tree_handle.h"

/* ---- Keys ---- */

void put_range(handle *h, unsigned round, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        put_text(h, name_of(i), text_of(round, i));
    }
}

void check_range(handle *h, unsigned round, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        check_text(h, name_of(i), text_of(round, i));
    }
}

cask_status get_status(handle *h, const char *key, cask_error *err)
{
    cask_buffer value = {0};
    cask_status status = cask_get(h->db, cask_slice_of(key), &value, err);

    cask_buffer_free(&value);
    return status;
}

/* Reads of these keys say which file is damaged. */
void check_damaged(handle *h, const char *file, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        cask_error err = {CASK_OK, 0, ""};

        if (get_status(h, name_of(i), &err) != CASK_CORRUPT) {
            fail_msg("%s was read", name_of(i));
        }
        if (strstr(err.message, file) == NULL ||
            strstr(err.message, "caskade ") == NULL) {
            fail_msg("%s: %s", name_of(i), err.message);
        }
    }
}

bool count_one(void *context, const cask_entry *entry)
{
    (void)entry;
    ++*(unsigned *)context;
    return true;
}

void delete_keys(handle *h, unsigned from, unsigned to)
{
    char first[32];
    cask_error err = {CASK_OK, 0, ""};

    (void)snprintf(first, sizeof(first), "%s", name_of(from));
    if (cask_delete_range(h->db, cask_slice_of(first),
                          cask_slice_of(name_of(to)), &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
}

cask_status count_from(handle *h, unsigned from, unsigned to)
{
    cask_range_options options = {.limit = 0};
    unsigned count = 0;
    char first[32];

    (void)snprintf(first, sizeof(first), "%s", name_of(from));
    options.keys.lower = cask_slice_of(first);
    options.keys.upper = cask_slice_of(name_of(to));
    return cask_range(h->db, &options, count_one, &count, NULL);
}

/* ---- Files ---- */

/* Change a byte; counted from the end if `at` is negative. */
void flip(handle *h, const char *name, int64_t at)
{
    const os_ops *ops = h->kernel->ops;
    os_file *dir = handle_dir(h);
    os_file *file;
    os_stat stat;
    uint64_t offset;
    uint8_t byte;
    size_t got;

    assert_int_equal(ops->open(dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(ops->stat(file, &stat), 0);
    offset = at < 0 ? stat.size - (uint64_t)-at : (uint64_t)at;
    assert_int_equal(ops->read_at(file, &byte, 1, offset, &got), 0);
    assert_int_equal(got, 1);
    byte ^= 0x40;
    assert_int_equal(ops->write_at(file, &(os_span){&byte, 1}, 1, offset), 0);
    ops->close(file);
    ops->close(dir);
}
