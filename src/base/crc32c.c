/*
 * Short inputs by the processor's own instruction, where they cost a few
 * nanoseconds; long ones by ISA-L. The standard's inversion before and after is
 * ours in both cases.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>

#include "base/crc32c_inline.h"

enum { PIECE_BYTES = 1 << 30 };

CRC32C_INSTRUCTION static uint32_t crc_short(uint32_t crc, const void *data,
                                             size_t size)
{
    return crc32c_state_short(crc, data, size);
}

static uint32_t crc_long(uint32_t crc, const void *data, size_t size)
{
    /* ISA-L does not write, but its prototype lacks the const. */
    union {
        const void *in;
        unsigned char *out;
    } at = {.in = data};

    while (size > PIECE_BYTES) {
        crc = crc32_iscsi(at.out, PIECE_BYTES, crc);
        at.out += PIECE_BYTES;
        size -= PIECE_BYTES;
    }
    return size > 0 ? crc32_iscsi(at.out, (int)size, crc) : crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    return size < CRC32C_SHORT_BYTES && crc32c_has_instruction()
               ? ~crc_short(~crc, data, size)
               : ~crc_long(~crc, data, size);
}
