/*
 * What a region knows of snapshots: who reads as of which sequence, and what
 * keys were before they were changed. docs/format/region.md
 */
#ifndef CASKADE_SNAPSHOT_LAYOUT_H
#define CASKADE_SNAPSHOT_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REGION_SNAPSHOTS = 256, /* open at once, over all handles */
    REGION_SNAPSHOT_OFFSET = 128 << 10,
    UNDO_CLASS = 15,         /* of the heap's blocks: a chunk */
    UNDO_CHUNK_LINES = 4096, /* 256 KiB */
    UNDO_CHUNK_ENTRIES = 8192,
    UNDO_CHUNKS = 4096,         /* in use at once, at most */
    UNDO_LEAST_BYTES = 64 << 20 /* what undo may always take */
};

/* One snapshot. */
typedef struct region_snapshot {
    alignas(64) _Atomic uint64_t ticket; /* 0: free; else never used again */
    _Atomic uint64_t sequence;           /* the last record that it sees */
    /* Merges from this one on take no segment away that it may look into. */
    _Atomic uint64_t pinned;
    _Atomic uint64_t created_ms; /* wall clock */
    _Atomic uint64_t generation; /* of the owner's process slot */
    _Atomic uint32_t slot;       /* the owner's process slot */
    _Atomic uint32_t is_fold;    /* made by a fold, for itself */
    uint64_t unused[2];
} region_snapshot;

/*
 * What a key's slot named before it was changed while there was a snapshot.
 * Entries are numbered without end; those from undo.first to undo.next are in
 * memory, entry i in chunk i / UNDO_CHUNK_ENTRIES.
 */
typedef struct region_undo_entry {
    _Atomic uint64_t tag;
    _Atomic uint64_t place; /* before the change; not live: no value */
    _Atomic uint64_t stamp; /* sequence of the change << 8 | shard */
    _Atomic uint64_t older; /* number + 1 of the next of the bucket; 0: none */
} region_undo_entry;

typedef struct region_undo {
    alignas(64) _Atomic uint64_t first;  /* older ones nobody needs */
    _Atomic uint64_t next;               /* number of the next entry */
    _Atomic uint64_t ready;              /* below it entries have memory */
    _Atomic uint64_t newest;             /* sequence of the newest snapshot */
    _Atomic uint64_t buckets;            /* line:56 | log2 of their number:8;
                                            each: number + 1 of an entry */
    uint64_t given;                      /* chunks before it were given back */
    uint64_t tickets;                    /* given out */
    _Atomic uint32_t lost;               /* snapshots expelled */
    _Atomic uint32_t starved;            /* the heap cannot grow */
    _Atomic uint32_t chunk[UNDO_CHUNKS]; /* lines, of chunk i at i modulo; 0:
                                            none */
} region_undo;

typedef struct region_snapshots {
    region_snapshot entry[REGION_SNAPSHOTS];
    region_undo undo;
} region_snapshots;

_Static_assert(sizeof(region_snapshot) == 64, "a snapshot is a line");
_Static_assert(sizeof(region_undo_entry) * UNDO_CHUNK_ENTRIES ==
                   (size_t)UNDO_CHUNK_LINES * 64,
               "a chunk is full of entries");

#endif
