/*
 * What the two ways of importing share: the walk through a member, guided by
 * its hints, what is said of damage, and how a failure ends it. See
 * bitcask_import.c for which way is taken.
 */
#ifndef CASKADE_CLI_BITCASK_IMPORTER_H
#define CASKADE_CLI_BITCASK_IMPORTER_H

#include "bitcask_import.h"
#include "bitcask_index.h"
#include "bitcask_survey.h"
#include "bitcask_walk.h"
#include "import_sink.h"
#include "progress.h"

typedef struct importer {
    bitcask_source *source;
    import_sink sink;
    bitcask_survey survey;
    uint64_t unhinted_bytes; /* data of which no sound hints tell */
    bitcask_index index; /* of all keys, or of those with damaged versions */
    bitcask_import_counts counts;
    exit_status status;

    size_t member;         /* the file that is read */
    bool again;            /* the second time, for keys that are UNKNOWN */
    bool has_unknown;      /* there are some */
    uint64_t file_notes;   /* printed about this file */
    uint64_t bytes_before; /* read of the files before this one */
    progress progress;
} importer;

typedef bool (*importer_record_fn)(void *importer,
                                   const bitcask_record *record);
typedef bool (*importer_damage_fn)(void *importer,
                                   const bitcask_damage *damage);

/* The member that is read. */
bitcask_member *importer_member(const importer *import);

/* Call `visit` for each member, in order of age, until it returns false. */
bool importer_each_member(importer *import, bool (*visit)(importer *import));

/* Walk through the data of the current member, guided by its hints if they are
 * used; false to give up. */
bool importer_walk(importer *import, importer_record_fn on_record,
                   importer_damage_fn on_damage, bool wants_values);

/* Say where we are; false if a signal arrived. */
bool importer_advance(importer *import, uint64_t offset);

/* Count damage in the current member, and report it. */
void importer_note_damage(importer *import, const bitcask_damage *damage);

/* Report what the store said; false if it is an error. */
bool importer_check(importer *import, cask_status status,
                    const cask_error *err);

/* Report that there is no memory; returns false. */
bool importer_fail_memory(importer *import);

/* ---- In order (bitcask_stream.c) ---- */

/*
 * Put every record and delete what tombstones delete, in the order of their
 * age, so that of each key the newest undamaged version stays. The store is
 * empty at the start. False: it failed, or a signal arrived.
 *
 * Cost: reads everything once.
 */
bool bitcask_stream(importer *import);

#endif
