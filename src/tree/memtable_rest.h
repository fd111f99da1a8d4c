/*
 * What can be read of a memtable some of whose records are damaged in the log,
 * and what is known of those.
 */
#ifndef CASKADE_TREE_MEMTABLE_REST_H
#define CASKADE_TREE_MEMTABLE_REST_H

#include "tree/memtable_input.h"

enum { MEMTABLE_KNOWN = 56 /* bytes of a key that an index may know */ };

/*
 * Call `visit` for each entry, in order, with what the index itself says of it:
 * no record is read. Only of a memtable into which nobody puts any more.
 *
 *   visit  `known`: the key begins with these bytes, up to MEMTABLE_KNOWN;
 *          behind the end of the key they are zeros. False ends the walk
 *
 * Returns MEMTABLE_FOUND: all were visited, or visit() ended it;
 * MEMTABLE_GONE.
 */
typedef bool (*memtable_visit)(void *context, uint64_t place, cask_slice known);
memtable_result memtable_walk(const memtable_view *view, memtable_visit visit,
                              void *context);

/* An entry whose record cannot be read. */
typedef struct memtable_gap {
    uint64_t place;
    uint64_t sequence;  /* 0: not known */
    size_t known_bytes; /* that its key begins with, zeros behind its end */
    uint8_t known[MEMTABLE_KNOWN];
} memtable_gap;

/* For one thread at a time. Start with {0} and the first. */
typedef struct memtable_rest {
    const memtable_records *records; /* borrowed */
    uint64_t *places;                /* of what can be read; owned, ... */
    size_t count, capacity;
    memtable_gap *gaps; /* ... as are these */
    size_t gap_count, gap_capacity;
    size_t at;         /* of `places` */
    cask_buffer bytes; /* of the record there, ... */
    cask_buffer spare; /* ... and of the next */
} memtable_rest;

/*
 * Read all records of a memtable into which nobody puts any more. Returns
 * CASK_OK; CASK_BUSY: it is gone; CASK_IO; CASK_NO_MEMORY. Free it in any case.
 */
cask_status memtable_rest_find(memtable_rest *rest, const memtable_view *view,
                               cask_error *err);
void memtable_rest_free(memtable_rest *rest);

/* Self: a memtable_rest. Forward only; a seek is a walk from the first. */
extern const iter_input_ops memtable_rest_ops;

static inline iter_input memtable_rest_input(memtable_rest *rest)
{
    return (iter_input){.ops = &memtable_rest_ops, .self = rest};
}

#endif
