/*
 * What is behind all keys, see key_order.h.
 */
#include "base/key_order.h"

#define FF_16                                                                  \
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, \
        255
#define FF_128 FF_16, FF_16, FF_16, FF_16, FF_16, FF_16, FF_16, FF_16
#define FF_1K FF_128, FF_128, FF_128, FF_128, FF_128, FF_128, FF_128, FF_128
#define FF_8K FF_1K, FF_1K, FF_1K, FF_1K, FF_1K, FF_1K, FF_1K, FF_1K
#define FF_64K FF_8K, FF_8K, FF_8K, FF_8K, FF_8K, FF_8K, FF_8K, FF_8K

const uint8_t key_end_bytes[CASK_KEY_MAX_BYTES + 1] = {FF_64K};

_Static_assert(sizeof(key_end_bytes) == (size_t)8 * 8 * 8 * 128,
               "each byte is set");
