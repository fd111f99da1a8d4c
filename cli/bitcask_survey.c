/*
 * Sampling keys by their hash, see bitcask_survey.h: a sample of rows would
 * miss most pairs of versions.
 */
#include "bitcask_survey.h"

#include <string.h>

enum { SAMPLED_LEAST = 1000, TENTHS = 10 };

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

/* A few nanoseconds; keys made to deceive it cost space in the store, no more.
 */
static uint64_t quick_hash(uint64_t seed, cask_slice key)
{
    const unsigned char *at = key.data;
    size_t left = key.size;
    uint64_t hash = mix(seed, key.size);
    uint64_t word;

    for (; left >= sizeof(word); left -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        hash = mix(hash, word);
    }
    for (word = 0; left > 0; left--, at++) {
        word = word << 8 | *at;
    }
    return mix(mix(hash, word), seed);
}

bool bitcask_survey_init(bitcask_survey *survey)
{
    *survey = (bitcask_survey){.rows = 0};
    return bitcask_index_init(&survey->sample);
}

void bitcask_survey_free(bitcask_survey *survey)
{
    bitcask_index_free(&survey->sample);
}

bool bitcask_survey_add(bitcask_survey *survey, const bitcask_hint *hint,
                        cask_slice key)
{
    survey->rows++;
    survey->tombstones += hint->tombstone ? 1 : 0;
    if (quick_hash(survey->sample.seed[0], key) % BITCASK_SURVEY_ONE_IN != 0) {
        return true;
    }
    survey->sampled++;
    return bitcask_index_add(&survey->sample,
                             bitcask_index_hash(&survey->sample, key)) != NULL;
}

uint64_t bitcask_survey_keys(const bitcask_survey *survey)
{
    if (survey->sampled == 0) {
        return 0;
    }
    return (uint64_t)((double)survey->rows * (double)survey->sample.count /
                      (double)survey->sampled);
}

bool bitcask_survey_is_lean(const bitcask_survey *survey)
{
    uint64_t old = survey->sampled - survey->sample.count;

    return survey->sampled >= SAMPLED_LEAST &&
           old <= survey->sampled / TENTHS &&
           survey->tombstones <= survey->rows / TENTHS;
}
