/*
 * Parts of opening and closing that others share.
 */
#ifndef CASKADE_STORE_OPEN_H
#define CASKADE_STORE_OPEN_H

#include "store/store.h"

/* Read the file CASKADE. CASK_OK; CASK_NOT_FOUND; CASK_CORRUPT;
 * CASK_UNSUPPORTED; CASK_IO. */
cask_status store_read_identity(os_file *dir, const char *path,
                                store_identity *ret_identity, cask_error *err);

/* What the region of this store must agree with. CASK_OK or CASK_IO. */
cask_status store_identify(const store_handle *store,
                           region_identity *ret_identity, cask_error *err);

/* Give the handle an index of its own; statuses as of cask_open(). */
cask_status store_build_private(store_handle *store,
                                const region_identity *identity,
                                cask_error *err);

#endif
