/*
 * Sampling keys by their hash, see bitcask_survey.h: a sample of rows would
 * miss most pairs of versions.
 */
#include "bitcask_survey.h"

enum { SAMPLED_LEAST = 1000, TENTHS = 10 };

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
    key_hash hash = bitcask_index_hash(&survey->sample, key);

    survey->rows++;
    survey->tombstones += hint->tombstone ? 1 : 0;
    if (hash.word[1] % BITCASK_SURVEY_ONE_IN != 0) {
        return true;
    }
    survey->sampled++;
    return bitcask_index_add(&survey->sample, hash) != NULL;
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
