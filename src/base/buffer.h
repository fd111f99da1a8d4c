/*
 * Owned bytes that grow: the inside of the public cask_buffer.
 */
#ifndef CASKADE_BUFFER_H
#define CASKADE_BUFFER_H

#include "caskade.h"

/*
 * Make room for `bytes` in all, keeping the content. Capacity at least
 * doubles, so that repeated growth is linear. CASK_OK or CASK_NO_MEMORY.
 */
cask_status buffer_reserve(cask_buffer *buffer, size_t bytes, cask_error *err);

/* Add bytes at the end. CASK_OK or CASK_NO_MEMORY (content unchanged). */
cask_status buffer_append(cask_buffer *buffer, const void *data, size_t size,
                          cask_error *err);

#endif
