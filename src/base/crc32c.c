/*
 * ISA-L computes the bare remainder; the standard's inversion before and after
 * is ours. Its length is an int, so long inputs go in pieces.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>

enum { PIECE_BYTES = 1 << 30 };

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    /* ISA-L does not write, but its prototype lacks the const. */
    union {
        const void *in;
        unsigned char *out;
    } at = {.in = data};

    crc = ~crc;
    while (size > PIECE_BYTES) {
        crc = crc32_iscsi(at.out, PIECE_BYTES, crc);
        at.out += PIECE_BYTES;
        size -= PIECE_BYTES;
    }
    if (size > 0) {
        crc = crc32_iscsi(at.out, (int)size, crc);
    }
    return ~crc;
}
