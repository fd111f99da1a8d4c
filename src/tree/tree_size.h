/*
 * How much there is of a range of keys.
 */
#ifndef CASKADE_TREE_SIZE_H
#define CASKADE_TREE_SIZE_H

#include "iter/iter_input.h"
#include "store/store.h"

/* As cask_size_range(). */
cask_status tree_size_range(store_handle *store, const iter_bounds *bounds,
                            uint64_t *ret_bytes, cask_error *err);

#endif
