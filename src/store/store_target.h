/*
 * A directory that is to become a store as a whole: a backup's, or a repair's.
 * It is none before its CASKADE is there, which is written last. Until then
 * its LOCK is held, so that nobody makes another store there.
 */
#ifndef CASKADE_STORE_TARGET_H
#define CASKADE_STORE_TARGET_H

#include "store/config_file.h"
#include "store/store.h"

typedef struct store_target {
    os *os;
    const char *path; /* borrowed */
    os_file *dir;
    os_file *lock_file;
    uint32_t file_mode;
    bool had_lock; /* a file LOCK was there before: it stays in any case */
    bool made_dir; /* the directory was not there before: it goes if it fails */
} store_target;

/*
 * Make the directory `path`, or take it if it is empty, and hold its LOCK.
 *
 *   from        the directory of the store that it is made from
 *   ret_target  to be ended by store_target_end() if CASK_OK
 *
 * Returns CASK_OK; CASK_INVALID: it is no directory, not empty, or in `from`;
 * CASK_BUSY;
 * CASK_NO_SPACE; CASK_IO.
 */
cask_status store_target_begin(os *kernel, const char *path, os_file *from,
                               uint32_t file_mode, store_target *ret_target,
                               cask_error *err);

/* Give it the settings file that was read of another store, whatever it holds;
 * none if there was none. CASK_OK; CASK_NO_SPACE; CASK_IO. */
cask_status store_target_put_config(store_target *target,
                                    const config_file *file, cask_error *err);

/*
 * Make it a store: all its segments are there and synced, and `manifest` lists
 * them. Durable on return. CASK_OK; CASK_NO_SPACE; CASK_NO_MEMORY; CASK_IO.
 */
cask_status store_target_publish(store_target *target,
                                 const store_identity *identity,
                                 manifest_state *manifest, cask_error *err);

/* Let go of it. keep: it was published; else what is in it goes, and so does
 * the directory, if it was not there before. */
void store_target_end(store_target *target, bool keep);

#endif
