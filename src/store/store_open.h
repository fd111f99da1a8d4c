/*
 * Parts of opening and closing that others share.
 */
#ifndef CASKADE_STORE_OPEN_H
#define CASKADE_STORE_OPEN_H

#include "store/store.h"

#define LOCK_NAME "LOCK"
#define REGION_FILE_NAME "REGION" /* if the region is in the directory */

/* Read the file CASKADE. CASK_OK; CASK_NOT_FOUND; CASK_CORRUPT;
 * CASK_UNSUPPORTED; CASK_IO. */
cask_status store_read_identity(os_file *dir, const char *path,
                                store_identity *ret_identity, cask_error *err);

/* Whether this handle's options are such as the engine can do with: before
 * anything is made. CASK_OK or CASK_UNSUPPORTED. */
cask_status store_check_engine(const store_handle *store, cask_engine engine,
                               cask_error *err);

/* A new one, with a new uuid and key. CASK_OK or CASK_IO. */
cask_status store_new_identity(os *kernel, cask_engine engine,
                               store_identity *ret_identity, cask_error *err);

/* Read the file CASKADE; for this store, which is created if the options say
 * so; the open lock is held. Also CASK_INVALID: there is one, and was to be
 * none. */
cask_status store_settle_identity(store_handle *store, cask_error *err);

/*
 * Before anything is made in a directory: CASK_OK if it is a store's or may
 * become one; CASK_NOT_FOUND; CASK_INVALID: it holds something else;
 * CASK_CORRUPT: it lost its CASKADE.
 */
cask_status store_check_directory(store_handle *store, cask_error *err);

/* What the region of this store must agree with. CASK_OK or CASK_IO. */
cask_status store_identify(const store_handle *store,
                           region_identity *ret_identity, cask_error *err);

/* Give the handle an index of its own; statuses as of cask_open(). */
cask_status store_build_private(store_handle *store,
                                const region_identity *identity,
                                cask_error *err);

/* Whether the file is the one that is named LOCK now: another one's locks are
 * worth nothing. To be asked when the open lock is held; an errno value. */
int store_lock_is_named(os_file *dir, os_file *lock_file, bool *ret_named);

/* ---- Directories (store_directory.c) ---- */

/* The name of a new directory reaches the device; an errno value. */
int store_sync_parent(os *kernel, const char *path);

/* Whether `path`, of which the end need not exist, is `dir` or lies in it, at
 * whatever depth and through whatever links; false if that cannot be found
 * out. */
bool store_is_above(os *kernel, os_file *dir, const char *path);

/* The mode of a directory whose files have this one. */
uint32_t store_directory_mode(uint32_t file_mode);

/* ---- Stamp (store_stamp.c) ---- */

/* Mark the region, which is new, as the store's newest; open lock held.
 * CASK_OK; CASK_IO and the like. */
cask_status store_stamp(store_handle *store, cask_error *err);

/* Whether the region is the store's newest still. */
bool store_stamp_fits(store_handle *store);

#endif
