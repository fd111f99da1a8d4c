/*
 * Files that a caller names by their path.
 */
#ifndef CASKADE_PARENT_H
#define CASKADE_PARENT_H

#include "caskade.h"
#include "os/os.h"

/*
 * Open the directory of `path`, and find the name in it, which is a part of
 * `path`. A failure leaves *ret_dir as it is.
 *
 * Returns CASK_OK; CASK_INVALID: it cannot be the path of a file, or there is
 * no such directory; CASK_IO.
 */
cask_status db_open_parent_on(os *kernel, const char *path, os_file **ret_dir,
                              const char **ret_name, cask_error *err);

/* The same of this machine. */
cask_status db_open_parent(const char *path, os_file **ret_dir,
                           const char **ret_name, cask_error *err);

#endif
