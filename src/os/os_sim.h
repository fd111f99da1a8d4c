/*
 * An os with a disk in memory, to be unplugged at will. For tests: whatever a
 * store did, ask what is left of it after a power failure.
 *
 *     os_sim *sim;
 *     os_sim_create(&(os_sim_options){.seed = seed}, &sim);
 *     os *os = os_sim_os(sim);
 *     os->ops->make_dir(os, "/store", 0700);
 *     os_sim_sync_all(sim);          // start from a disk at rest
 *     os_sim_cut_at(sim, k);         // the power fails before operation k
 *     ... work on /store, note what was acknowledged, close ...
 *     bool complete = !os_sim_is_cut(sim);
 *     os_sim_crash(sim, seed);       // what came back is on the disk now
 *     ... open /store again, compare with what was acknowledged ...
 *     os_sim_free(sim);
 *
 * Repeat for k = 0, 1, ... until `complete`. Many seeds for one k are cheaper
 * by os_sim_copy(): copy the cut disk, crash the copy.
 *
 * Two layers. The *cache* is what reads, maps and listings see. The *device*
 * is what survives for certain: what sync() and sync_dir() sent there. A crash
 * decides about everything in the cache that is not on the device, by the
 * seed, in one of several patterns (all, none, each by itself, the first or
 * the last part, runs):
 *   - each sector of 512 bytes is old or new; a sector that did not change
 *     since the last sync is never touched;
 *   - the size of a file is old, new or between; what was never written reads
 *     as zeros, so a file may come back long and empty;
 *   - of the changes to names since sync_dir, the first n, or any of them,
 *     took place; a rename takes place as a whole. Syncing a file does not
 *     make its name durable;
 *   - shortening a file that was not synced took place or did not.
 * The kernel also writes back by itself at any time: see writeback_percent.
 *
 * Locks, mutexes, futexes, threads and the monotonic clock are those of
 * os_posix(); so all "processes" are threads or handles of this one. Byte
 * locks belong to the os_file, as they do in the kernel. The wall clock stands
 * still until it is set; local time is UTC until a zone is set. Randomness
 * comes from the seed.
 *
 * "/" and "/dev/shm" exist from the start; all below "/dev/shm" is gone after
 * a crash. Paths start with "/". There are no permissions and no symbolic
 * links.
 *
 * Threads: any number may use the os; os_sim_* functions need that no other
 * call is running, unless they say otherwise.
 */
#ifndef CASKADE_OS_SIM_H
#define CASKADE_OS_SIM_H

#include "os/os.h"

typedef struct os_sim os_sim;

/* All zero is a good start. */
typedef struct os_sim_options {
    uint64_t seed;           /* of random() and of writing back */
    uint64_t capacity_bytes; /* of the disk; 0: 1 TiB */
    uint64_t shm_bytes;      /* capacity of /dev/shm; 0: 1 TiB */
    /* Largest file (addresses are reserved for it, so that maps stay in
     * place while it grows); EFBIG beyond. 0: 256 MiB. */
    size_t max_file_bytes;
    /* Chance, before each mutating operation, that the kernel has written
     * back some sectors and names by itself. 0 .. 100. */
    unsigned writeback_percent;
    /* A lost sector of which an older version was synced may come back as
     * the beginning of the new and the rest of the old one. */
    bool torn_sectors;
    /* A sector that was never synced may come back as what another file has
     * at the same offset, instead of zeros. */
    bool stale_sectors;
    /* The file system was cut off and mounted again, the machine went on:
     * boot id and /dev/shm survive. */
    bool boot_survives;
} os_sim_options;

/* Called before each mutating operation, by its thread; may use the os. */
typedef void (*os_sim_hook)(void *context, os_sim *sim);

/* A new, empty, synced disk. 0 or ENOMEM. */
int os_sim_create(const os_sim_options *options, os_sim **ret_sim);

/* Accepts NULL. Every os_file must have been closed, every map unmapped. */
void os_sim_free(os_sim *sim);

/* The os itself; valid until os_sim_free(). */
os *os_sim_os(os_sim *sim);

/*
 * Mutating operations so far: open() that creates, make_dir, remove_dir,
 * remove, rename, link, write_at, allocate, reserve, truncate, sync, sync_dir.
 * Stores through a map cannot be counted. A crash does not reset the number.
 * Any thread.
 */
uint64_t os_sim_operations(os_sim *sim);

/* Call `hook` before each mutating operation; NULL: no more. */
void os_sim_set_hook(os_sim *sim, os_sim_hook hook, void *context);

/*
 * The power fails just before mutating operation number `operation` (0-based,
 * counted from the creation of the disk): it and all later calls, reads too,
 * return EIO. What maps hold at that moment counts; later stores do not.
 * UINT64_MAX: never. Any thread.
 */
void os_sim_cut_at(os_sim *sim, uint64_t operation);

/* The power fails now. Any thread. */
void os_sim_cut(os_sim *sim);

/* Whether the power has failed and os_sim_crash() is to be called. */
bool os_sim_is_cut(os_sim *sim);

/*
 * Start again after a power failure (now, if it has not happened): the disk
 * holds what survived by `seed`, all of it durable. os_files from before
 * answer EIO for ever and have lost their locks; maps from before keep their
 * memory, which is no file any more. 0 or ENOMEM.
 */
int os_sim_crash(os_sim *sim, uint64_t seed);

/*
 * Make `to`, whose files are all closed, the disk that `from` would be if the
 * power failed now (or when it failed, if it did); `from` does not change. To
 * be followed by os_sim_crash(to, seed). Options of `to` stay, but for the
 * capacities. May be called by a hook of `from`. 0, ENOMEM, EBUSY if `to` is
 * in use, EINVAL if max_file_bytes differs.
 */
int os_sim_copy(os_sim *from, os_sim *to);

/* Everything, names included, reaches the device. 0 or ENOMEM. */
int os_sim_sync_all(os_sim *sim);

/*
 * Calls of sync and sync_dir number `from` to `from + count - 1` (0-based, from
 * now on) fail with EIO. As on Linux the pages are clean afterwards: reads
 * show the new bytes, a later sync returns 0 without writing them unless they
 * are written again, and after a crash only some of them are there.
 */
void os_sim_fail_syncs(os_sim *sim, uint64_t from, uint64_t count);

/* Set the wall clock, milliseconds since 1970: it jumps, no time passes. Any
 * thread. */
void os_sim_set_wall_ms(os_sim *sim, uint64_t wall_ms);

/* Let `ms` milliseconds pass, by the wall clock and since the boot. Any
 * thread. */
void os_sim_advance_ms(os_sim *sim, uint64_t ms);

/* A time zone with one summer. All zero: UTC. */
typedef struct os_sim_zone {
    int32_t offset_minutes;        /* local time - UTC */
    int32_t summer_offset_minutes; /* the same in summer */
    uint64_t summer_from_ms;       /* as the wall clock; it lasts ... */
    uint64_t summer_end_ms;        /* ... until before this */
} os_sim_zone;

/* The zone of local_time(). */
void os_sim_set_zone(os_sim *sim, const os_sim_zone *zone);

/* How much the disk can hold; ENOSPC if less than is on it. Any thread. */
void os_sim_set_capacity(os_sim *sim, uint64_t bytes);

#endif
