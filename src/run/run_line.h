/*
 * The search in a line of a run's index: all of its entries at once. Where in
 * the line a key is cannot be foreseen; a loop that ends there would be guessed
 * wrong each time, while the record that is to be waited for is not even asked
 * for.
 */
#ifndef CASKADE_RUN_LINE_H
#define CASKADE_RUN_LINE_H

#include "run/run_hash.h"

#if defined(__SSE2__)

#include <emmintrin.h>

/*
 * The entries of a line that may be of a key with this hash: a bit for each,
 * the lowest for the first. Free entries may be among them.
 */
static inline uint32_t run_line_match(const uint8_t *line, uint64_t hash,
                                      uint32_t place_bits)
{
    const __m128i bits = _mm_cvtsi32_si128((int)place_bits);
    const __m128i wanted = _mm_srl_epi32(
        _mm_set1_epi32((int)((uint32_t)hash << place_bits)), bits);
    __m128i at[4];

    memcpy(at, line, sizeof(at));
    at[0] = _mm_cmpeq_epi32(_mm_srl_epi32(at[0], bits), wanted);
    at[1] = _mm_cmpeq_epi32(_mm_srl_epi32(at[1], bits), wanted);
    at[2] = _mm_cmpeq_epi32(_mm_srl_epi32(at[2], bits), wanted);
    at[3] = _mm_cmpeq_epi32(_mm_srl_epi32(at[3], bits), wanted);
    at[0] = _mm_packs_epi32(at[0], at[1]);
    at[2] = _mm_packs_epi32(at[2], at[3]);
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(at[0], at[2]));
}

#else

static inline uint32_t run_line_match(const uint8_t *line, uint64_t hash,
                                      uint32_t place_bits)
{
    const uint32_t wanted = (uint32_t)hash << place_bits;
    uint32_t same = 0;

    for (uint32_t i = 0; i < RUN_LINE_ENTRIES; i++) {
        uint32_t entry = load_u32(line + i * sizeof(uint32_t));

        same |= (uint32_t)((entry ^ wanted) >> place_bits == 0) << i;
    }
    return same;
}

#endif

/* Entry `index` of a line; 0: it is free. */
static inline uint32_t run_line_entry(const uint8_t *line, uint32_t index)
{
    return load_u32(line + index * sizeof(uint32_t));
}

/* Whether a key that is in none of the line's entries may be in the next line:
 * lines fill up from their beginnings. */
static inline bool run_line_is_full(const uint8_t *line)
{
    return run_line_entry(line, RUN_LINE_ENTRIES - 1) != 0;
}

#endif
