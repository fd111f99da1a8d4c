/*
 * What a segment says of each of its records: by its hint, else by its data.
 */
#ifndef CASKADE_HASH_NOTE_H
#define CASKADE_HASH_NOTE_H

#include "store/store_walk.h"

/* What is known of a record. */
typedef struct hash_note {
    siphash_value hash;
    uint64_t sequence;
    uint64_t place;         /* what the index has if it names the record */
    uint64_t expires_at_ms; /* 0: never; not known by hint */
    uint32_t time_s;        /* not known by hint */
    bool is_put;
    bool by_hint;
} hash_note;

/* Whom to tell. A status other than CASK_OK ends it, and is returned. */
typedef struct hash_notes {
    store_handle *store;
    bool by_data; /* not by hint: times are wanted */
    cask_status (*note)(void *context, const hash_note *note, cask_error *err);
    /* Before each record and each damage of the data; `part` is NULL before
     * each row of a hint. */
    cask_status (*check)(void *context, const walk_part *part, cask_error *err);
    void *context;
} hash_notes;

/* Tell of every record of a row, and of damage if it has no hint. CASK_OK;
 * CASK_IO; CASK_NO_MEMORY. */
cask_status hash_note_row(const hash_notes *notes, uint32_t index,
                          cask_error *err);

/* Add the data of a row to a walk, if there is any. */
cask_status hash_walk_row(store_walk *walk, const store_handle *store,
                          uint32_t row, cask_error *err);

#endif
