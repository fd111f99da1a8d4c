/*
 * Segment files: create, open and check; and how small files are written.
 */
#ifndef CASKADE_SEGMENT_H
#define CASKADE_SEGMENT_H

#include "log/segment_format.h"
#include "os/os.h"

/*
 * Create segment header->id with room for `capacity` bytes, its header written
 * and synced with its name, so that it may take records.
 *
 *   mode      permission bits of the file
 *   ret_file  open for reading and writing; the caller closes it
 *
 * Returns CASK_OK; CASK_NO_SPACE; CASK_IO; CASK_POISONED: a sync failed, and
 * must not be tried again. Nothing is left behind.
 */
cask_status segment_create(os_file *dir, const segment_header *header,
                           uint64_t capacity, uint32_t mode, os_file **ret_file,
                           cask_error *err);

/*
 * Open segment `expected->id` and check that its header has the expected uuid,
 * id and nonce (0: any).
 *
 *   flags       OS_READ, or OS_READ | OS_WRITE
 *   ret_header  NULL allowed
 *   ret_stat    of the file
 *
 * Returns CASK_OK; CASK_CORRUPT (missing, foreign, damaged); CASK_UNSUPPORTED;
 * CASK_IO.
 */
cask_status segment_open(os_file *dir, const segment_header *expected,
                         uint32_t flags, os_file **ret_file,
                         segment_header *ret_header, os_stat *ret_stat,
                         cask_error *err);

/* fail_os() for a file that could not be opened: names it, and says what to do
 * if it is no plain file. `directory` may be NULL. */
cask_status file_fail_open(cask_error *err, int os_errno, const char *directory,
                           const char *name) __attribute__((cold));

/* Open a file that must exist, with an error that names it. */
cask_status file_open(os_file *dir, const char *name, uint32_t flags,
                      os_file **ret_file, os_stat *ret_stat, cask_error *err);

/* Whether there is such a file, and no link, fifo or directory. */
bool file_is_regular(os_file *dir, const char *name);

/* Write `data` to "<name>.new" and sync it; it is removed if that fails. */
cask_status file_prepare(os_file *dir, const char *name, const void *data,
                         size_t size, uint32_t mode, cask_error *err);

/* Let what was prepared so take the place of `name`, durably. */
cask_status file_replace(os_file *dir, const char *name, cask_error *err);

/* Write `data` to a new file `name` in one go, so that after any crash it is
 * whole or absent: the two above. */
cask_status file_publish(os_file *dir, const char *name, const void *data,
                         size_t size, uint32_t mode, cask_error *err);

#endif
