/*
 * Memtables: ordered indexes of records that are in the log, in shared memory.
 *
 * An entry is one record, a put or a delete. The memtable has its place and 8
 * bytes of its key; the key itself stays in the log and is read there, by a
 * function that the caller gives. So every place that was put must be readable
 * until the memtable is freed: also one that was replaced.
 *
 * Order: by key, as memcmp() has it, the shorter first if one begins with the
 * other; of one key's entries the newest first, by sequence. A key has several
 * entries only where a snapshot needs them: a put replaces the entry before it
 * unless that one is as old as the newest snapshot, or older.
 *
 * Structure: a tree of copy-on-write nodes. Leaves have 64 slots that are
 * filled in order of arrival and never move, and two permutations of them; an
 * entry is published by one store of the leaf's word, which counts it and so
 * selects the other permutation; entries behind all others are, several by one
 * store. Full leaves and inner nodes are built anew, as one or two, and
 * published by one store of a child word. Between any two stores the tree is
 * whole, for readers and for the next writer: who dies has put its entry or has
 * not, and has lost some nodes' memory at most, until the memtable is freed.
 *
 * Records are put in the order of their sequences. They may be put again in
 * that order, from any of them on, whatever snapshots there are by then: that
 * changes nothing.
 *
 * Readers take no lock and write nothing, in any process. Nodes that were
 * replaced are used again at once, under another generation, which each node
 * has and each word that leads to it. A reader that has read a node looks
 * whether it still has the generation, and else begins again. A memtable that
 * is freed takes its memory from under its readers in the same way: they get
 * MEMTABLE_GONE. All writers hold the region's write lock.
 *
 * A filter of ten bits for each expected entry tells most absent keys by one
 * cache line.
 *
 * Source: Masstree (Mao, Kohler, Morris, 2012) has the permutations; Putze,
 * Sanders, Singler, Cache-, Hash- and Space-Efficient Bloom Filters (2007). See
 * docs/decisions/0019-memtable.md and, for the layout, docs/format/region.md.
 */
#ifndef CASKADE_MEMTABLE_H
#define CASKADE_MEMTABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "caskade.h"
#include "region/region.h"

enum {
    MEMTABLES = 4,            /* in a region */
    MEMTABLE_LEAF_SLOTS = 64, /* entries that a cursor copies at once */
    MEMTABLE_CLASS = 14       /* of the heap's blocks: a chunk */
};

typedef enum memtable_result {
    MEMTABLE_FOUND = 0,
    MEMTABLE_NONE = 1,       /* there is no such entry */
    MEMTABLE_GONE = 2,       /* the memtable was freed */
    MEMTABLE_UNREADABLE = 3, /* a record that had to be compared with could not
                                be read, or this process has not mapped all of
                                the index: see region_is_covered() */
    MEMTABLE_FULL = 4        /* no memory: see memtable_has_room_locked() */
} memtable_result;

/* What is read at a place of the log. */
typedef struct memtable_entry {
    /* Row, offset and liveness as they were put; not the size, which is
     * PLACE_SIZE_MAX: look at the record. */
    uint64_t place;
    uint64_t sequence;
    cask_slice key; /* in the log; borrowed as long as that is mapped */
} memtable_entry;

/*
 * How this process reads the log.
 *
 *   read      set key and sequence of the record at a place; false if it cannot
 *             be read. Any place may come, from memory that is used anew: what
 *             stands there is checked against what is mapped
 *   prefetch  bring a record into the cache; any place
 *   verify    whether a record of another key is what was written; NULL: it is
 */
typedef struct memtable_log {
    bool (*read)(void *context, uint64_t place, memtable_entry *ret_entry);
    void (*prefetch)(void *context, uint64_t place);
    bool (*verify)(void *context, uint64_t place);
    void *context;
} memtable_log;

typedef struct memtable memtable;

/* A memtable as it is used by one thread. */
typedef struct memtable_view {
    region_handle *region;
    memtable *memtable; /* in the region */
    uint64_t life;      /* the memtable's while it lives */
    const memtable_log *log;
} memtable_view;

/* ---- Life ---- */

/* Set up a region's memtables, all free, and reserve memory for it. Statuses of
 * region_reserve(). */
cask_status memtables_create(region_handle *region, cask_error *err);

/* Lines that memtable_begin_locked() takes; pass it to region_reserve(). */
uint64_t memtable_begin_lines(uint64_t expected);

/*
 * Take the free memtable `index` into use, empty. The lock is held.
 *
 *   expected  entries for which the filter is to be good; more only cost time
 *
 * False if it is in use or there is not that much memory.
 */
bool memtable_begin_locked(region_handle *region, unsigned index,
                           uint64_t expected);

/* Free it: from now on readers of it get MEMTABLE_GONE. All of its memory goes
 * back to the heap, by blocks of 64 KiB. The lock is held. */
void memtable_free_locked(region_handle *region, unsigned index);

/* Finish what a dead writer began. The lock is held. */
void memtables_finish_locked(region_handle *region);

/* Look at memtable `index` through a log. False if it is not in use. */
bool memtable_open(region_handle *region, unsigned index,
                   const memtable_log *log, memtable_view *ret_view);

/* Entries: keys, and further versions that snapshots need. */
uint64_t memtable_count(const memtable_view *view);

/* Memory that it has taken. */
uint64_t memtable_bytes(const memtable_view *view);

/* ---- Reading: any thread, any process, no lock ---- */

/*
 * Find the newest entry of `key` that is not newer than `sequence`.
 *
 *   hash      of the key, 64 good bits, as it was put
 *   sequence  UINT64_MAX, or that of a snapshot of which all newer puts knew
 *             (memtable_put.snapshot not below it). As of other moments, which
 *             cannot be told apart here, what is found may be older, or none
 *
 * Returns MEMTABLE_FOUND, also for a tombstone; MEMTABLE_NONE; MEMTABLE_GONE;
 * MEMTABLE_UNREADABLE. What was there when the call began is found.
 */
memtable_result memtable_find(const memtable_view *view, cask_slice key,
                              uint64_t hash, uint64_t sequence,
                              memtable_entry *ret_entry);

/*
 * A walk over entries. It copies the places of one leaf at a time: of what is
 * put meanwhile it may find some and miss some. What was there when the walk
 * began, and was not replaced, it finds exactly once and in order. With a
 * snapshot nothing is replaced that it sees, so a walk that passes over entries
 * that are newer sees the snapshot.
 */
typedef struct memtable_cursor {
    const memtable_view *view;
    memtable_entry entry; /* where it is; valid after MEMTABLE_FOUND */
    uint32_t count;       /* entries copied */
    uint32_t at;
    uint32_t place[MEMTABLE_LEAF_SLOTS];
} memtable_cursor;

/*
 * Go to the first entry of a key not less than `key`, of this key to the newest
 * that is not newer than `sequence`. An empty key is less than all others.
 * Results as of memtable_find().
 */
memtable_result memtable_seek(memtable_cursor *cursor,
                              const memtable_view *view, cask_slice key,
                              uint64_t sequence);

/*
 * Go to the last entry of a key not greater than `key`, of this key to the
 * oldest that is not older than `sequence` (0: the oldest of all).
 */
memtable_result memtable_seek_back(memtable_cursor *cursor,
                                   const memtable_view *view, cask_slice key,
                                   uint64_t sequence);

/* Go to the first entry of all, or to the last. */
memtable_result memtable_seek_first(memtable_cursor *cursor,
                                    const memtable_view *view);
memtable_result memtable_seek_last(memtable_cursor *cursor,
                                   const memtable_view *view);

/* Go on to the next entry, or back to the one before; only after
 * MEMTABLE_FOUND. After another result the cursor is nowhere. */
memtable_result memtable_next(memtable_cursor *cursor);
memtable_result memtable_previous(memtable_cursor *cursor);

/* ---- Writing: the write lock is held ---- */

/* Lines that `count` puts may take; pass it to region_reserve(). Needs no
 * lock. */
uint64_t memtable_reserve_lines(const memtable_view *view, uint64_t count);

/* Whether the memtable itself can take `count` entries more, however much
 * memory the heap has. If not, it is time for another memtable. */
bool memtable_has_room_locked(const memtable_view *view, uint64_t count);

typedef struct memtable_put {
    cask_slice key;    /* borrowed until the entry is stored */
    uint64_t hash;     /* of the key */
    uint64_t sequence; /* of the record */
    uint64_t place;    /* of the record; the log can read it */
    uint64_t snapshot; /* sequence of the newest snapshot; 0: none */
} memtable_put;

/* Where an entry will go. */
typedef struct memtable_aim {
    uint64_t old_place; /* of the newest entry that the key has; 0: none. It may
                           be that of the same record, put before */
    bool replaces;      /* that entry goes; else it stays, for a snapshot */
    bool is_past;       /* put before, and replaced: nothing will be stored */

    /* For memtable_store_locked(). */
    memtable_put put;
    bool is_again; /* the entry is of the same record */
    uint32_t slot;
    uint32_t position;
    uint32_t short_place;
    void *leaf;
} memtable_aim;

/*
 * Find where an entry goes, and make room for it. What readers find does not
 * change yet. The lock is held, and heap_available() was at least
 * memtable_reserve_lines().
 *
 * Returns MEMTABLE_FOUND or MEMTABLE_NONE: ret_aim is set, with or without an
 * old place; MEMTABLE_UNREADABLE; MEMTABLE_FULL.
 */
memtable_result memtable_aim_locked(const memtable_view *view,
                                    const memtable_put *put,
                                    memtable_aim *ret_aim);

/*
 * Publish the entry, under the same lock, with no change to the memtable since.
 * Who died here, or after it, aims again for this record, or for some before
 * and this: each is there and counted once. So one gets another place, too.
 */
void memtable_store_locked(const memtable_view *view, const memtable_aim *aim);

#endif
