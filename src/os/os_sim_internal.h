/*
 * What the parts of the simulator call in each other.
 *
 *     os_sim.c          life of a disk, options, how operations begin
 *     os_sim_host.c     the table; clocks, mutexes, threads
 *     os_sim_node.c     memory, nodes, space
 *     os_sim_content.c  bytes of a file: dirty sectors, sync, write back
 *     os_sim_names.c    names of a directory: pending changes, paths
 *     os_sim_dir.c      operations on directories
 *     os_sim_file.c     operations on files
 *     os_sim_map.c      maps of files
 *     os_sim_lock.c     byte locks
 *     os_sim_crash.c    what survives
 *     os_sim_copy.c     copies of a cut disk
 *
 * Functions are called with os_sim.guard held unless they say otherwise.
 */
#ifndef CASKADE_OS_SIM_INTERNAL_H
#define CASKADE_OS_SIM_INTERNAL_H

#include "os/os_sim_state.h"

/* --- os_sim.c ---------------------------------------------------------- */

void sim_lock_guard(os_sim *sim); /* guard not held */
void sim_unlock_guard(os_sim *sim);

const os_ops *sim_table(void); /* os_sim_host.c */

/* The simulator of an os_file, and the file's insides. Need no guard. */
os_sim *sim_of(os_file *file);
sim_handle *sim_handle_of(os_file *file);

/*
 * Begin an operation: takes the guard and returns 0, or returns EIO without
 * it. sim_begin_change() also counts a mutating one, runs the hook, and cuts
 * the power when it is time. `file` may be NULL. Guard not held.
 */
int sim_begin(os_sim *sim, os_file *file);
int sim_begin_change(os_sim *sim, os_file *file);

uint64_t sim_random_next(sim_random *random);
uint64_t sim_random_below(sim_random *random, uint64_t limit); /* limit > 0 */
bool sim_random_chance(sim_random *random, unsigned percent);

/* --- os_sim_node.c ----------------------------------------------------- */

int sim_memory_new(os_sim *sim, sim_memory **ret_memory);
void sim_memory_release(os_sim *sim, sim_memory *memory); /* accepts NULL */
void sim_memory_free_spare(os_sim *sim);

/* With one reference. 0 or ENOMEM. */
int sim_node_new(os_sim *sim, sim_volume *volume, os_kind kind,
                 sim_node **ret_node);
void sim_node_acquire(sim_node *node);
void sim_node_release(os_sim *sim, sim_node *node); /* accepts NULL */

/* Have room for bytes [offset, offset+size). 0, ENOSPC, ENOMEM. */
int sim_node_reserve(sim_node *node, uint64_t offset, uint64_t size);
/* Give back the room beyond `size`. */
void sim_node_shrink(sim_node *node, uint64_t size);

/* --- os_sim_content.c -------------------------------------------------- */

/*
 * Copy or compare bytes that a map may show to other threads at the same
 * moment, as the kernel would: unseen by ThreadSanitizer, whose shadow of a
 * large file would besides cost far more than the file.
 */
void sim_copy(void *to, const void *from, size_t size);
void sim_zero(void *to, size_t size);
/* SIM_SECTOR bytes, of maps: aligned. */
bool sim_sector_equal(const unsigned char *a, const unsigned char *b);

/* The sectors whose bytes a sync would send to the device. 0 or ENOMEM. */
int sim_content_dirty(const sim_content *content, sim_sectors *ret_dirty);
int sim_content_sync(sim_content *content);
/* Sectors in [low, high) were written: whatever they hold, they are dirty. */
void sim_content_forget_lies(sim_content *content, uint64_t low, uint64_t high);
/* The sync fails; by `random` some of it reached the device all the same. */
int sim_content_fail_sync(sim_content *content, sim_random *random);
/* The kernel writes some of it back by itself. */
int sim_content_write_back(sim_content *content, sim_random *random);
void sim_content_put(sim_content *content, const sim_sector *sector);
void sim_content_resize(sim_content *content, uint64_t size);
int sim_sectors_add(sim_sectors *sectors, uint64_t index,
                    const unsigned char bytes[SIM_SECTOR]);
void sim_sectors_done(sim_sectors *sectors);

/* --- os_sim_names.c ---------------------------------------------------- */

sim_node *sim_entries_find(const sim_entries *entries, const char *name);
/* Put a name, in place of another node of that name. 0 or ENOMEM. */
int sim_entries_put(os_sim *sim, sim_entries *entries, const char *name,
                    sim_node *node);
void sim_entries_done(os_sim *sim, sim_entries *entries);
int sim_entries_copy(os_sim *sim, const sim_entries *from, sim_entries *to);

/* Change the cache and note it for sync_dir. 0 or ENOMEM. */
int sim_names_link(os_sim *sim, sim_node *dir, const char *name,
                   sim_node *node);
int sim_names_unlink(os_sim *sim, sim_node *dir, const char *name);
int sim_names_rename(os_sim *sim, sim_node *dir, const char *from,
                     const char *to);

int sim_names_note(sim_names *names, const sim_change *change);
/* Let one change, or the first `count`, reach the device. 0 or ENOMEM. */
int sim_names_apply(os_sim *sim, sim_names *names, const sim_change *change);
int sim_names_commit(os_sim *sim, sim_names *names, size_t count);
void sim_names_forget(os_sim *sim, sim_names *names); /* all changes */
void sim_names_done(os_sim *sim, sim_names *names);

/* --- os_sim_lock.c ----------------------------------------------------- */

void sim_locks_drop(os_sim *sim, const sim_handle *owner); /* NULL: all */
int sim_lock_range(os_file *file, uint64_t offset, uint64_t size, os_lock kind);
int sim_is_locked(os_file *file, uint64_t offset, uint64_t size,
                  bool *ret_locked);

/* --- os_sim_crash.c ---------------------------------------------------- */

/* Remember what is dirty, at the moment of the cut. */
void sim_freeze(os_sim *sim);

/* --- members of os_ops: guard not held; contracts in os.h -------------- */

int sim_open_dir(os *self, const char *path, os_file **ret_dir);
int sim_make_dir(os *self, const char *path, uint32_t mode);
int sim_remove_dir(os *self, const char *path);
int sim_list(os_file *dir, os_list_fn visit, void *context);
int sim_space(os_file *dir, os_space *ret_space);
void sim_dir_path(os_file *dir, char *ret_path, size_t size);
int sim_sync_dir(os_file *dir);
int sim_stat_name(os_file *dir, const char *name, os_stat *ret_stat);
int sim_remove(os_file *dir, const char *name);
int sim_rename(os_file *dir, const char *from, const char *to);
int sim_link(os_file *dir, const char *name, os_file *to_dir,
             const char *to_name);

int sim_open(os_file *dir, const char *name, uint32_t flags, uint32_t mode,
             os_file **ret_file);
void sim_close(os_file *file);
int sim_stat(os_file *file, os_stat *ret_stat);
int sim_read_at(os_file *file, void *data, size_t size, uint64_t offset,
                size_t *ret_read);
int sim_write_at(os_file *file, const os_span *spans, size_t count,
                 uint64_t offset);
int sim_allocate(os_file *file, uint64_t offset, uint64_t size);
int sim_reserve(os_file *file, uint64_t offset, uint64_t size);
int sim_truncate(os_file *file, uint64_t size);
int sim_sync(os_file *file);
void sim_flush_hint(os_file *file, uint64_t offset, uint64_t size);
int sim_map(os_file *file, uint64_t offset, size_t size, bool write,
            void **ret_memory);
void sim_unmap(os *self, void *memory, size_t size);

/* Shared by open() and open_dir(): an os_file for `node`. */
int sim_handle_new(os_sim *sim, sim_node *node, uint32_t flags,
                   os_file **ret_file);
/* 0, EINVAL, ENAMETOOLONG. Needs no guard. */
int sim_check_name(const char *name);
/* EBADF unless the file is open for `access`; EINVAL for a directory. */
int sim_check_access(const sim_handle *handle, uint32_t access);
/* Whether a file may have these bytes. */
bool sim_range_fits(const os_sim *sim, uint64_t offset, uint64_t size);
/* Whether this sync shall fail; counts it. */
bool sim_sync_fails(os_sim *sim);
void sim_fill_stat(const sim_node *node, os_stat *ret_stat);

#endif
