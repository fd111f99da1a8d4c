/*
 * The shared region: every mutable byte of an open store, laid out for all of
 * its processes. Addressed by offsets from its start, because each process maps
 * it elsewhere. The document is docs/format/region.md.
 *
 *   0         header, 16 KiB
 *   64 KiB    process table
 *   128 KiB   snapshots and undo table
 *   1 MiB     segment table (sparse: rows are allocated when first used)
 *   18 MiB    heap: index memory in units of 64-byte lines
 *
 * Unless a comment says otherwise a field is written under the write lock and
 * read by anybody; fields that are read without it are atomic.
 */
#ifndef CASKADE_REGION_LAYOUT_H
#define CASKADE_REGION_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/lifetimes.h"
#include "os/os.h"
#include "region/commit_layout.h"
#include "region/intent_layout.h"
#include "region/merge_layout.h"
#include "region/settings_layout.h"
#include "region/snapshot_layout.h"
#include "region/tree_layout.h"

enum {
    REGION_LAYOUT_VERSION = 8,
    REGION_LINE = 64,         /* bytes: one cache line, one heap unit */
    REGION_PROCESSES = 512,   /* handles open at once */
    REGION_SEGMENTS = 65536,  /* rows of the segment table */
    REGION_HEAP_CLASSES = 16, /* sizes of recycled heap blocks */
    REGION_HISTOGRAM = 40,    /* as CASK_HISTOGRAM_BUCKETS */
    REGION_DIRECTORY = 1024,  /* bytes of a path, NUL included */
    REGION_PROCESS_OFFSET = 64 << 10,
    REGION_SEGMENT_OFFSET = 1 << 20,
    REGION_HEAP_OFFSET = 18 << 20
};

#define REGION_MAGIC "CASKREGN"

typedef enum region_state {
    REGION_CREATING = 0, /* nobody may use it */
    REGION_LIVE = 1,
    REGION_CLEAN = 2, /* left behind by `linger` after a final sync */
    REGION_DEAD = 3   /* about to be removed */
} region_state;

typedef enum region_row_state {
    ROW_FREE = 0,
    ROW_PREPARED = 1, /* exists, takes no record yet */
    ROW_ACTIVE = 2,   /* takes records */
    ROW_SEALED = 3,   /* never written again */
    ROW_OUTPUT = 4,   /* written by the merge under way */
    ROW_RETIRED = 5   /* replaced by a merge; goes when nobody can read it */
} region_row_state;

/* What merges know of damage in a segment; see store/store_merge.h. */
typedef enum region_damage {
    ROW_SOUND = 0,
    ROW_DAMAGED = 1,     /* a merge met damage in it */
    ROW_QUARANTINED = 2, /* and has moved what could be read; in MANIFEST */
    ROW_RELEASED = 3     /* goes with the merge under way */
} region_damage;

/* Of a sealed segment. */
typedef enum region_hint {
    HINT_NONE = 0,
    HINT_WRITTEN = 1,
    HINT_NEVER = 2,   /* it could not be written, or must not be */
    HINT_CLAIMED = 16 /* + process slot of who writes it */
} region_hint;

/* One segment. The first line is what readers need. */
typedef struct region_row {
    alignas(REGION_LINE) _Atomic uint64_t file_id; /* 0: no segment */
    _Atomic uint64_t nonce;
    _Atomic uint64_t reserved_tail; /* records end at or below it */
    _Atomic uint32_t state;         /* region_row_state */
    uint32_t kind;                  /* as in its header */
    uint64_t inode;
    _Atomic uint32_t is_input;   /* of the merge under way */
    _Atomic uint32_t damage;     /* region_damage */
    _Atomic uint64_t retired_in; /* merge that replaced it; see region_merge */
    /* Quarantined, and could not be released when so many merges had replaced
     * inputs, + 1: to be tried again after another. Merge lock. */
    uint64_t kept_after;

    /* The second line is for writers and statistics. */
    alignas(REGION_LINE) _Atomic uint64_t capacity; /* bytes allocated */
    _Atomic uint64_t tail; /* end of the last record; sealed: the length */
    uint64_t records;      /* marks not counted */
    uint64_t live_bytes;
    uint32_t live_records;
    uint32_t tombstones;
    _Atomic uint64_t first_sequence;
    uint64_t last_sequence;
    _Atomic uint32_t damaged_bytes; /* the index was made without; at most
                                       UINT32_MAX are counted */
    _Atomic uint32_t has_hint;      /* region_hint */

    /* Of its puts. They only grow, so a put may be noted twice. */
    alignas(REGION_LINE) uint64_t last_expiry_ms; /* 0: none has one */
    uint64_t first_expiry_ms;                     /* likewise */
    uint32_t newest_s;                            /* 0: there is no put */
    uint32_t oldest_s;                            /* likewise */
    lifetimes lifetimes;
} region_row;

/* One open handle. Its byte in LOCK says whether it is alive. */
typedef struct region_process {
    alignas(REGION_LINE) _Atomic uint64_t generation; /* grows at each claim */
    _Atomic uint32_t in_use;   /* claimed and not yet released */
    _Atomic uint32_t pid;      /* information only */
    _Atomic uint32_t writer;   /* may write */
    _Atomic uint32_t merges;   /* 0, or a thread of it merges: 1 + its jitter,
                                  milliseconds */
    _Atomic uint64_t start_ms; /* wall clock of the claim */
    /* Written by the owner without a lock, once a second. */
    _Atomic uint64_t gets, get_misses;
    /* Merges from this one on take no segment away from it; 0: any may. */
    _Atomic uint64_t pinned;
    _Atomic uint64_t opened_ns; /* monotonic: its first minute began */
} region_process;

/* Free memory of the heap, in lines counted from the region's start. */
typedef struct region_heap {
    alignas(REGION_LINE) _Atomic uint64_t end; /* first line not allocated */
    _Atomic uint64_t bump;                     /* first line never used */
    _Atomic uint64_t used;                     /* lines in use */
    uint64_t unused[5];
    uint64_t free[REGION_HEAP_CLASSES]; /* first free block of each class */
} region_heap;

/* A sync failed; or the index cannot take a record that the log has. */
enum { POISONED_BY_SYNC = 1, POISONED_BY_INDEX = 2 };

typedef struct region_header {
    /* Constant once the state has left CREATING. */
    alignas(REGION_LINE) uint8_t magic[8];
    uint32_t layout_version;
    uint32_t engine;
    uint8_t uuid[16];
    uint8_t boot_id[16];
    uint64_t pid_namespace;
    uint64_t mutex_layout;
    uint64_t directory_device;
    uint64_t directory_inode;
    uint64_t created_ms;
    uint64_t stamp;           /* as in LOCK while this is the newest; 0: none */
    uint64_t created_boot_ms; /* since the boot, when created_ms was read */
    uint64_t recovered_s; /* newest write in the log that it was made from */

    /* What readers look at on every call. */
    alignas(REGION_LINE) _Atomic uint64_t keydir_root;
    _Atomic uint32_t state;    /* region_state */
    _Atomic uint32_t poisoned; /* 0, or why nobody writes any more */
    _Atomic uint64_t key_count;
    _Atomic uint64_t removed;   /* segments taken away: maps of them may go */
    _Atomic uint64_t memtables; /* line of theirs; 0: the engine has none */

    alignas(REGION_LINE) os_mutex write_lock;

    /* The end of the log. */
    alignas(REGION_LINE) _Atomic uint64_t applied_tail; /* row:16|offset:48 */
    _Atomic uint64_t next_sequence;
    _Atomic uint32_t active_row;
    _Atomic uint32_t next_row;     /* prepared row + 1; 0: none */
    _Atomic uint32_t unlisted_row; /* row + 1 of a segment that was made: its
                                      OPEN edit failed, or its maker died, or
                                      comes to it; maintenance lock */
    _Atomic uint32_t redo_needed;  /* an owner died; redo before any write */
    _Atomic uint32_t moving;    /* the unsynced tail is copied to the next row,
                                   and the index is following */
    _Atomic uint32_t snapshots; /* 0: none, nothing need be saved */
    uint64_t move_offset;       /* where that tail begins */
    _Atomic uint32_t row_count; /* rows ever used */
    _Atomic uint32_t lock_holder;   /* process slot + 1 of the last owner */
    _Atomic uint64_t next_id;       /* of the next segment file */
    uint64_t reserved_id;           /* ids below it are promised by MANIFEST */
    uint64_t manifest_tail;         /* bytes; maintenance lock */
    uint64_t manifest_number;       /* of the last edit; maintenance lock */
    _Atomic uint64_t segment_bytes; /* of one that a merge makes, at most; 0:
                                       not known */
    _Atomic uint32_t is_merged;     /* 1: of one that is written, too */

    region_apply_intent apply;
    region_keydir_intent keydir;
    region_move_intent move;
    region_heap heap;
    region_commit commit;

    /* Statistics. */
    alignas(REGION_LINE) _Atomic uint64_t puts;
    _Atomic uint64_t deletes, batches, bytes_written, takeovers, syncs;
    _Atomic uint64_t past_gets, past_get_misses; /* of closed handles */
    uint64_t damaged_bytes;
    _Atomic uint64_t sync_ns[REGION_HISTOGRAM];
    _Atomic uint64_t lock_wait_ns[REGION_HISTOGRAM];

    region_merge merge;

    /* Where the store was when the region was made, or found clean and used
     * again: an absolute path with NUL, or empty. Information: nothing finds
     * the store by it. Written under the open lock by the only handle. */
    char directory[REGION_DIRECTORY];

    region_settings settings; /* maintenance lock */
    region_merger merger;
    region_tree tree;
} region_header;

_Static_assert(sizeof(region_header) <= 16 << 10, "header fits its place");
_Static_assert(sizeof(region_row) == 256, "a row is four lines");
_Static_assert(sizeof(region_process) == REGION_LINE * 2 ||
                   sizeof(region_process) == REGION_LINE,
               "a process slot is whole lines");
_Static_assert(REGION_PROCESS_OFFSET +
                       REGION_PROCESSES * sizeof(region_process) <=
                   REGION_SNAPSHOT_OFFSET,
               "the process table fits its place");
_Static_assert(REGION_SNAPSHOT_OFFSET + sizeof(region_snapshots) <=
                   REGION_SEGMENT_OFFSET,
               "the undo table fits its place");
_Static_assert(REGION_SEGMENT_OFFSET + REGION_SEGMENTS * sizeof(region_row) <=
                   REGION_HEAP_OFFSET,
               "the segment table fits its place");

/* applied_tail: one word, so that it is always whole. */
static inline uint64_t region_tail_make(uint32_t row, uint64_t offset)
{
    return (uint64_t)row << 48 | offset;
}

static inline uint16_t region_tail_row(uint64_t tail)
{
    return (uint16_t)(tail >> 48);
}

static inline uint64_t region_tail_offset(uint64_t tail)
{
    return tail & ((UINT64_C(1) << 48) - 1);
}

#endif
