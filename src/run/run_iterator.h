/*
 * Walking over a run in both directions. As include/caskade/run.h says;
 * arguments have been checked there.
 *
 * Records lead to the next one only. Going backward, those of one fence are
 * noted, RUN_FENCE_RECORDS at most, and visited from the last.
 *
 * Behind a damaged record the next one is where its header says, or else where
 * the next checksum is right: it has the file's nonce and the offset in it.
 */
#ifndef CASKADE_RUN_ITERATOR_H
#define CASKADE_RUN_ITERATOR_H

#include "run/run_read.h"

/* Who walks on over records that cannot be read is told of each, maybe more
 * than once: what stands at `offset` may be anywhere between its neighbours. */
typedef struct run_passing {
    void *context;
    void (*pass)(void *context, const cask_run *run, uint64_t offset);
} run_passing;

struct cask_run_iterator {
    const cask_run *run;
    const run_passing *passing; /* NULL: damage ends a walk */
    uint64_t offset;            /* of the record where it is; 0: nowhere */
    uint64_t next;              /* of the record behind it */
    uint64_t starts[RUN_FENCE_RECORDS]; /* records noted going backward */
    uint32_t noted; /* of these, before the record where it is; 0: unknown */
};

cask_status run_iterator_seek(cask_run_iterator *iterator, cask_run_seek how,
                              cask_slice key, cask_run_entry *ret_entry,
                              cask_error *err);
cask_status run_iterator_next(cask_run_iterator *iterator,
                              cask_run_entry *ret_entry, cask_error *err);
cask_status run_iterator_previous(cask_run_iterator *iterator,
                                  cask_run_entry *ret_entry, cask_error *err);

#endif
