/*
 * CRC-32C of short inputs by the processor's own instruction, for functions
 * that check small things so often that a call each would be most of the cost.
 *
 * Only functions that are CRC32C_INSTRUCTION may call what is so here, and they
 * may be called only where crc32c_has_instruction() says so.
 */
#ifndef CASKADE_CRC32C_INLINE_H
#define CASKADE_CRC32C_INLINE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/crc32c.h"

/* From so many bytes on ISA-L is faster (100 bytes: 10 ns against 26; 4 KiB:
 * 373 ns against 64). */
enum { CRC32C_SHORT_BYTES = 256 };

#if defined(__x86_64__)

#include <nmmintrin.h>

#define CRC32C_INSTRUCTION __attribute__((target("sse4.2")))

static inline bool crc32c_has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2") != 0;
}

CRC32C_INSTRUCTION static inline uint32_t crc32c_state_u64(uint32_t state,
                                                           uint64_t word)
{
    return (uint32_t)_mm_crc32_u64(state, word);
}

CRC32C_INSTRUCTION static inline uint32_t crc32c_state_u32(uint32_t state,
                                                           uint32_t word)
{
    return _mm_crc32_u32(state, word);
}

CRC32C_INSTRUCTION static inline uint32_t crc32c_state_u16(uint32_t state,
                                                           uint16_t word)
{
    return _mm_crc32_u16(state, word);
}

CRC32C_INSTRUCTION static inline uint32_t crc32c_state_u8(uint32_t state,
                                                          uint8_t word)
{
    return _mm_crc32_u8(state, word);
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

#include <arm_acle.h>

#define CRC32C_INSTRUCTION

static inline bool crc32c_has_instruction(void)
{
    return true;
}

static inline uint32_t crc32c_state_u64(uint32_t state, uint64_t word)
{
    return __crc32cd(state, word);
}

static inline uint32_t crc32c_state_u32(uint32_t state, uint32_t word)
{
    return __crc32cw(state, word);
}

static inline uint32_t crc32c_state_u16(uint32_t state, uint16_t word)
{
    return __crc32ch(state, word);
}

static inline uint32_t crc32c_state_u8(uint32_t state, uint8_t word)
{
    return __crc32cb(state, word);
}

#else

#define CRC32C_INSTRUCTION

static inline bool crc32c_has_instruction(void)
{
    return false;
}

/* Never called; there is no instruction. */
static inline uint32_t crc32c_state_u64(uint32_t state, uint64_t word)
{
    return ~crc32c(~state, &word, sizeof(word));
}

static inline uint32_t crc32c_state_u32(uint32_t state, uint32_t word)
{
    return ~crc32c(~state, &word, sizeof(word));
}

static inline uint32_t crc32c_state_u16(uint32_t state, uint16_t word)
{
    return ~crc32c(~state, &word, sizeof(word));
}

static inline uint32_t crc32c_state_u8(uint32_t state, uint8_t word)
{
    return ~crc32c(~state, &word, sizeof(word));
}

#endif

/*
 * The state behind `size` more bytes. A state is a checksum with all bits
 * inverted: begin with ~crc, end with ~state.
 */
CRC32C_INSTRUCTION static inline uint32_t
crc32c_state_short(uint32_t state, const void *data, size_t size)
{
    const uint8_t *at = data;

    for (; size >= 32; size -= 32, at += 32) {
        state = crc32c_state_u64(state, load_u64(at));
        state = crc32c_state_u64(state, load_u64(at + 8));
        state = crc32c_state_u64(state, load_u64(at + 16));
        state = crc32c_state_u64(state, load_u64(at + 24));
    }
    for (; size >= 8; size -= 8, at += 8) {
        state = crc32c_state_u64(state, load_u64(at));
    }
    if (size == 0) {
        return state;
    }
    if ((size & 4) != 0) {
        state = crc32c_state_u32(state, load_u32(at));
        at += 4;
    }
    if ((size & 2) != 0) {
        state = crc32c_state_u16(state, load_u16(at));
        at += 2;
    }
    return (size & 1) != 0 ? crc32c_state_u8(state, *at) : state;
}

/*
 * The state behind `size` more bytes, which are copied meanwhile: what comes
 * out is the state of the copy, whatever becomes of the original. A checksum of
 * a copy that was just made waits until the stores have left the processor,
 * since it loads other pieces than were stored.
 */
CRC32C_INSTRUCTION static inline uint32_t
crc32c_state_copy(uint32_t state, void *to, const void *from, size_t size)
{
    const uint8_t *at = from;
    uint8_t *out = to;

    for (; size >= 32; size -= 32, at += 32, out += 32) {
        const uint64_t words[4] = {load_u64(at), load_u64(at + 8),
                                   load_u64(at + 16), load_u64(at + 24)};

        state = crc32c_state_u64(state, words[0]);
        state = crc32c_state_u64(state, words[1]);
        state = crc32c_state_u64(state, words[2]);
        state = crc32c_state_u64(state, words[3]);
        store_u64(out, words[0]);
        store_u64(out + 8, words[1]);
        store_u64(out + 16, words[2]);
        store_u64(out + 24, words[3]);
    }
    for (; size >= 8; size -= 8, at += 8, out += 8) {
        uint64_t word = load_u64(at);

        state = crc32c_state_u64(state, word);
        store_u64(out, word);
    }
    if ((size & 4) != 0) {
        uint32_t word = load_u32(at);

        state = crc32c_state_u32(state, word);
        store_u32(out, word);
        at += 4;
        out += 4;
    }
    for (size &= 3; size > 0; size--, at++, out++) {
        uint8_t byte = *at;

        state = crc32c_state_u8(state, byte);
        *out = byte;
    }
    return state;
}

/* The same, whatever the size. */
CRC32C_INSTRUCTION static inline uint32_t
crc32c_state(uint32_t state, const void *data, size_t size)
{
    return size < CRC32C_SHORT_BYTES ? crc32c_state_short(state, data, size)
                                     : ~crc32c(~state, data, size);
}

#endif
