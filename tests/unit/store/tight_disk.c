/*
 * Disks that get full, see tight_disk.h.
 */
#include "unit/store/tight_disk.h"

#include <stdio.h>
#include <string.h>

int tight_disk_prepare(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    h->options.sync = CASK_SYNC_NONE;
    h->options.io = CASK_IO_PREAD;
    h->options.append = CASK_APPEND_PWRITE;
    return result;
}

cask_slice key_of(unsigned number, char text[32])
{
    (void)snprintf(text, 32, "key %u", number);
    return cask_slice_of(text);
}

cask_status put_key(handle *h, unsigned number)
{
    static char value[VALUE_BYTES];
    char text[32];

    memset(value, 'a' + (int)(number % 26), sizeof(value));
    return cask_put(h->db, key_of(number, text),
                    (cask_slice){value, sizeof(value)}, NULL);
}

void put_keys(handle *h, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        assert_int_equal(put_key(h, i), CASK_OK);
    }
}

uint64_t used_bytes(handle *h)
{
    os_file *dir = handle_dir(h);
    os_space space;

    assert_int_equal(h->kernel->ops->sync_dir(dir), 0);
    assert_int_equal(h->kernel->ops->space(dir, &space), 0);
    h->kernel->ops->close(dir);
    return space.total - space.free;
}

void leave_free(handle *h, uint64_t bytes)
{
    os_sim_set_capacity(h->sim, used_bytes(h) + bytes);
}

void empty_disk(handle *h)
{
    os_sim_set_capacity(h->sim, UINT64_C(1) << 40);
}
