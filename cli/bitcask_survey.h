/*
 * What the hints of a source tell before anything is imported: for how many
 * keys there are versions, and whether many of these are old.
 */
#ifndef CASKADE_CLI_BITCASK_SURVEY_H
#define CASKADE_CLI_BITCASK_SURVEY_H

#include "bitcask_hints.h"
#include "bitcask_index.h"

/* Start with {0}; the keys of one hash in BITCASK_SURVEY_ONE_IN are looked at,
 * with all of their versions. */
typedef struct bitcask_survey {
    bitcask_index sample;
    uint64_t sampled;    /* versions of these keys */
    uint64_t rows;       /* versions of all keys */
    uint64_t tombstones; /* of these */
} bitcask_survey;

enum { BITCASK_SURVEY_ONE_IN = 32 };

bool bitcask_survey_init(bitcask_survey *survey);
void bitcask_survey_free(bitcask_survey *survey);

/* Take one row of hints into account. False: there is no memory. */
bool bitcask_survey_add(bitcask_survey *survey, const bitcask_hint *hint,
                        cask_slice key);

/* About how many keys there are, deleted ones too. */
uint64_t bitcask_survey_keys(const bitcask_survey *survey);

/* Whether at most one version in ten is old, and one in ten a tombstone; false
 * also if there are too few rows to tell. */
bool bitcask_survey_is_lean(const bitcask_survey *survey);

#endif
