/*
 * A memtable as an input of a merge: entries of its index, each read from the
 * log as a whole, and verified.
 */
#ifndef CASKADE_TREE_MEMTABLE_INPUT_H
#define CASKADE_TREE_MEMTABLE_INPUT_H

#include "iter/iter_input.h"
#include "tree/memtable.h"

/*
 * How records are read.
 *
 *   read  copy the record at a place that a memtable has, and verify the copy.
 *         `ret_entry` is a put, a delete, or that of a range, its slices are in
 *         `bytes`. CASK_OK;
 *         CASK_CORRUPT: no record is there, or it does not verify; CASK_IO;
 *         CASK_NO_MEMORY
 */
typedef struct memtable_records {
    cask_status (*read)(void *context, uint64_t place, cask_buffer *bytes,
                        cask_run_entry *ret_entry, cask_error *err);
    void *context;
} memtable_records;

/* For one thread at a time. Start with {0} and the first two. */
typedef struct memtable_input {
    const memtable_view *view;       /* borrowed */
    const memtable_records *records; /* borrowed */
    bool is_gone; /* the memtable was freed: what it had is in a run by now.
                     Calls give CASK_BUSY then, and go on giving it */
    memtable_cursor cursor;
    cask_buffer bytes; /* of the record where it is, ... */
    cask_buffer spare; /* ... and room for the next; memtable_input_done() */
} memtable_input;

/* Free what it owns; accepts one that is {0}. */
void memtable_input_done(memtable_input *input);

/* Self: a memtable_input. As of cask_run_iterator_seek(); also CASK_BUSY, see
 * is_gone; CASK_IO; CASK_NO_MEMORY. */
extern const iter_input_ops memtable_input_ops;

/* Not a stable one: an entry is valid until the input is moved. */
static inline iter_input memtable_input_of(memtable_input *input)
{
    return (iter_input){.ops = &memtable_input_ops, .self = input};
}

#endif
