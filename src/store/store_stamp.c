/*
 * The stamp: 8 random bytes in LOCK and in the region that was made last. Who
 * makes a region elsewhere (another container, another region_dir, another
 * user) writes another stamp before anything else, so that a region that was
 * left clean is not taken for the state of a store that has been written since.
 */
#include "base/bytes.h"
#include "store/store_open.h"

enum { STAMP_BYTES = 8 };

static int write_stamp(store_handle *store, uint64_t stamp)
{
    uint8_t bytes[STAMP_BYTES];
    const os_span span = {bytes, sizeof(bytes)};

    store_u64(bytes, stamp);
    return store->os->ops->write_at(store->lock_file, &span, 1, 0);
}

cask_status store_stamp(store_handle *store, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    region_header *header = store->region.header;
    uint64_t stamp = 0;
    int os_errno = ops->random(store->os, &stamp, sizeof(stamp));

    header->stamp = stamp | 1;
    if (os_errno == 0) {
        os_errno = write_stamp(store, header->stamp);
    }
    if (os_errno != 0) {
        /* On a full disk: no stamp fits any region, and this one is not
         * kept. */
        header->stamp = 0;
        os_errno = ops->truncate(store->lock_file, 0);
    }
    return os_errno == 0
               ? CASK_OK
               : fail_os(err, os_errno, "cannot write %s/LOCK", store->path);
}

bool store_stamp_fits(store_handle *store)
{
    uint8_t bytes[STAMP_BYTES];
    size_t got = 0;

    return store->region.header->stamp != 0 &&
           store->os->ops->read_at(store->lock_file, bytes, sizeof(bytes), 0,
                                   &got) == 0 &&
           got == sizeof(bytes) &&
           load_u64(bytes) == store->region.header->stamp;
}
