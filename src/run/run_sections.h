/*
 * What a writer keeps in memory of the records it has written, and the sections
 * of the run that it makes of it.
 */
#ifndef CASKADE_RUN_SECTIONS_H
#define CASKADE_RUN_SECTIONS_H

#include "base/buffer.h"
#include "run/run_counts.h"
#include "run/run_hash.h"
#include "run/run_output.h"

typedef struct run_sections {
    run_footer footer; /* most of it when they are written */
    run_counts counts; /* so far */
    bool no_filter;
    cask_buffer hashes;   /* u64 for each key, of all kinds but ranges */
    cask_buffer places;   /* u32 for each of these: offset / 8 of its newest */
    cask_buffer prefixes; /* u64 for each prefix: its hash */
    cask_buffer fences;   /* fence_note each */
    cask_buffer segments; /* rows of RUN_SEGMENTS, by rising id */
    cask_buffer ranges;   /* rows of RUN_RANGES */
    cask_buffer smallest; /* the first key */
    cask_buffer last;     /* the last key */
    cask_buffer end;      /* the largest end of a range; key_end_bytes: none */
    uint64_t last_sequence;
    uint64_t fence_offset; /* of the last fence */
    size_t shared;         /* leading bytes that all keys so far share */
} run_sections;

void run_sections_free(run_sections *sections);

/* Bytes that the sections need at most if one more record is noted, until they
 * have been written: arrays may double, and each section is made of one. */
uint64_t run_sections_memory(const run_sections *sections);

/*
 * Note a record that is about to be written at `offset`. Returns CASK_OK, or
 * CASK_NO_MEMORY: nothing was noted.
 */
cask_status run_sections_note(run_sections *s, uint64_t offset,
                              const cask_run_entry *entry, cask_error *err);

/*
 * Write all sections and the footer behind the records, which have all been
 * written. Returns CASK_OK; CASK_NO_MEMORY; as run_output_write().
 *
 *   nonce  of the run
 */
cask_status run_sections_write(run_sections *s, run_output *output,
                               uint64_t nonce, cask_error *err);

#endif
