/*
 * The region of one handle: the shared file mapped, or private memory of the
 * same layout. Creation, attachment and removal happen under the store's open
 * lock, so that no two processes do any of them at once.
 */
#ifndef CASKADE_REGION_H
#define CASKADE_REGION_H

#include <stdbool.h>

#include "base/error.h"
#include "os/os.h"
#include "region/region_layout.h"

/* Names of region files begin with it. */
#define REGION_PREFIX "caskade-"

enum { REGION_NAME_SIZE = 96, REGION_PATH_SIZE = 256 };

/* Who the store is: what a region must agree with. */
typedef struct region_identity {
    uint8_t uuid[16];
    uint64_t directory_device;
    uint64_t directory_inode;
    uint32_t engine;
    char directory[REGION_DIRECTORY]; /* information; need not agree */
} region_identity;

typedef struct region_handle {
    os *os;
    os_file *dir;  /* borrowed; NULL for a private region */
    os_file *file; /* owned; holds the shared lock; NULL if private */
    uint8_t *base; /* the mapping */
    size_t map_size;
    region_header *header; /* == base */
    region_row *rows;      /* REGION_SEGMENTS */
    region_process *processes;
    region_snapshots *snapshots;
    bool huge_pages;
    bool is_full;                /* it could not grow, or not be made */
    char name[REGION_NAME_SIZE]; /* inside dir */
    char path[REGION_PATH_SIZE]; /* for messages */
} region_handle;

/* Whether this process has mapped all of the index. One with little address
 * space may have mapped less than it grew to: it must not look into it. */
static inline bool region_is_covered(const region_handle *region)
{
    return atomic_load_explicit(&region->header->heap.end,
                                memory_order_relaxed) <=
           region->map_size / REGION_LINE;
}

/* The error for one that is not. */
cask_status region_fail_uncovered(const region_handle *region, cask_error *err);

/* Whether `lines` lines from `line` are in the heap, and mapped. Words of
 * shared memory may be out of date, or written by a damaged process: they must
 * lead nobody elsewhere. */
static inline bool region_has_lines(const region_handle *region, uint64_t line,
                                    uint64_t lines)
{
    uint64_t end =
        atomic_load_explicit(&region->header->heap.end, memory_order_relaxed);

    if (end > region->map_size / REGION_LINE) {
        end = region->map_size / REGION_LINE; /* see region_is_covered() */
    }
    return line >= REGION_HEAP_OFFSET / REGION_LINE && line <= end &&
           lines <= end - line;
}

/* The newest sequence that is seen; runs that are being taken in have others
 * that were given out already. */
static inline uint64_t region_newest_sequence(const region_header *header)
{
    uint64_t next = atomic_load(&header->next_sequence);
    uint64_t hidden = region_tree_hidden_from(&header->tree);

    return (hidden < next ? hidden : next) - 1;
}

/* The name of the store's region file in a directory of regions. */
void region_name(const region_identity *identity,
                 char ret_name[REGION_NAME_SIZE]);

/*
 * Look for a living or clean region `name` in `dir`, take its shared lock and
 * map it.
 *
 *   region     os, dir, name, path, huge_pages are set; the rest is filled in
 *   ret_alive  another handle holds it; else it is a candidate for reuse whose
 *              state the caller must judge (REGION_CLEAN), or rubbish
 *
 * Returns CASK_OK; CASK_NOT_FOUND if there is none or it is not usable by
 * anybody; CASK_NAMESPACE if it lives in another PID namespace or C library;
 * CASK_INVALID if the file belongs to another user or is not a plain file;
 * CASK_IO.
 */
cask_status region_attach(region_handle *region,
                          const region_identity *identity, bool writable,
                          bool *ret_alive, cask_error *err);

/*
 * Create the region in state REGION_CREATING, replacing a dead one, with
 * `heap_bytes` of heap. Returns CASK_OK; CASK_NO_SPACE; CASK_IO.
 */
cask_status region_create(region_handle *region,
                          const region_identity *identity, uint64_t heap_bytes,
                          cask_error *err);

/* As region_create(), in memory of this process alone. */
cask_status region_create_private(region_handle *region,
                                  const region_identity *identity,
                                  cask_error *err);

/* Take a clean region into use: note where the store is now, make it live. The
 * caller holds the open lock and is the only one attached. */
void region_revive(region_handle *region, const region_identity *identity);

/* Whether the name still leads to the file that is mapped. */
bool region_is_named(const region_handle *region);

/* Remove the file if it is a region of this user that no process holds and that
 * was not left clean. Only os, dir and name of the handle are used. */
bool region_remove_orphan(region_handle *region);

/* Unmap, close, forget; accepts a region that holds nothing. */
void region_detach(region_handle *region);

/* Remove the file. The caller holds the open lock and knows that nobody else
 * is attached. */
void region_remove(region_handle *region);

/* Make row `index` usable: its memory is allocated. CASK_OK, CASK_NO_SPACE. */
cask_status region_allocate_row(region_handle *region, uint32_t index,
                                cask_error *err);

/*
 * Make sure that `lines` lines can be taken from the heap. Not under the write
 * lock: may call the kernel. Any number of processes at once.
 * Returns CASK_OK; CASK_NO_SPACE, naming the region's file; CASK_NO_MEMORY:
 * others let it grow beyond what this process has mapped.
 */
cask_status region_reserve(region_handle *region, uint64_t lines,
                           cask_error *err);

/* Bytes the region takes on its file system. */
uint64_t region_allocated_bytes(const region_handle *region);

static inline void *region_line(const region_handle *region, uint64_t line)
{
    return region->base + line * REGION_LINE;
}

#endif
