/*
 * Short inputs by the processor's own instruction, where they cost a few
 * nanoseconds; long ones by ISA-L, which is faster from about 256 bytes on
 * (100 bytes: 10 ns against 26; 4 KiB: 373 ns against 64). The standard's
 * inversion before and after is ours in both cases.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>

#include "base/bytes.h"

enum { SHORT_BYTES = 256, PIECE_BYTES = 1 << 30 };

#if defined(__x86_64__)

#include <nmmintrin.h>

static inline int has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t
crc_short(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t wide = crc;

    for (; size >= 8; size -= 8, at += 8) {
        wide = _mm_crc32_u64(wide, load_u64(at));
    }
    crc = (uint32_t)wide;
    if ((size & 4) != 0) {
        crc = _mm_crc32_u32(crc, load_u32(at));
        at += 4;
    }
    if ((size & 2) != 0) {
        crc = _mm_crc32_u16(crc, load_u16(at));
        at += 2;
    }
    return (size & 1) != 0 ? _mm_crc32_u8(crc, *at) : crc;
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

#include <arm_acle.h>

static inline int has_instruction(void)
{
    return 1;
}

static uint32_t crc_short(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;

    for (; size >= 8; size -= 8, at += 8) {
        crc = __crc32cd(crc, load_u64(at));
    }
    for (; size > 0; size--, at++) {
        crc = __crc32cb(crc, *at);
    }
    return crc;
}

#else

static inline int has_instruction(void)
{
    return 0;
}

static uint32_t crc_short(uint32_t crc, const void *data, size_t size)
{
    (void)data;
    (void)size;
    return crc; /* never called */
}

#endif

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
    return size < SHORT_BYTES && has_instruction()
               ? ~crc_short(~crc, data, size)
               : ~crc_long(~crc, data, size);
}
