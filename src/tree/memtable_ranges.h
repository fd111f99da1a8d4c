/*
 * Records of a memtable that delete ranges: they are not in its tree of keys,
 * but in a list of their places, in the order of their sequences. What they say
 * is in the log.
 */
#ifndef CASKADE_MEMTABLE_RANGES_H
#define CASKADE_MEMTABLE_RANGES_H

#include "tree/memtable.h"

enum {
    /* With so many it is time for another memtable; also of one batch. */
    MEMTABLE_RANGES_USUAL = 1024
};

/* Which of the region's memtables it is. */
unsigned memtable_index(const memtable_view *view);

/* Whether nothing was put so far, neither an entry nor a range. */
bool memtable_is_empty(const memtable_view *view);

/* ---- Reading: any thread, any process, no lock ---- */

/* How many records delete ranges. Of a memtable that was freed it is any
 * number, so it is loaded before what tells that: memtable_find(). */
uint64_t memtable_range_count(const memtable_view *view);

typedef struct memtable_range {
    uint64_t sequence; /* of the record; ascending */
    uint64_t place;    /* as it was put: row, offset, size. The end of the log
                          may be moved, and the record be elsewhere then */
} memtable_range;

/* Range number `index`, below the count. MEMTABLE_FOUND; MEMTABLE_GONE;
 * MEMTABLE_UNREADABLE: this process has not mapped all of the index. */
memtable_result memtable_range_at(const memtable_view *view, uint64_t index,
                                  memtable_range *ret_range);

/* ---- Writing: the write lock is held ---- */

/*
 * Add a record that deletes a range; that it is there is published. Put again,
 * it gets the other place. As memtable_aim_locked(): MEMTABLE_FOUND;
 * MEMTABLE_FULL: of 65,536 none is left, or there is no memory.
 */
memtable_result memtable_put_range_locked(const memtable_view *view,
                                          memtable_range range);

/* Where the record of this sequence is; false: none such. */
bool memtable_find_range_locked(const memtable_view *view, uint64_t sequence,
                                uint64_t *ret_place);

/* Let it be elsewhere; false: there is none of this sequence. */
bool memtable_move_range_locked(const memtable_view *view,
                                memtable_range range);

#endif
