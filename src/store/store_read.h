/*
 * Reading the segments of an open store: mapped, or by system call.
 */
#ifndef CASKADE_STORE_READ_H
#define CASKADE_STORE_READ_H

#include "store/store.h"

/* ---- Reading maps (store_map.c) ---- */

/* What the header of a segment of this store must say, for segment_open(): of
 * a row, as it is now; of one that a MANIFEST lists. */
segment_header store_row_header(const store_handle *store,
                                const region_row *row);
segment_header store_listed_header(const store_handle *store,
                                   const manifest_segment *segment);

/* The mapping of a row, made if necessary, that covers its reserved_tail.
 * CASK_OK; CASK_CORRUPT; CASK_IO; CASK_NO_MEMORY. */
cask_status store_map_row(store_handle *store, uint32_t row,
                          store_map **ret_map, cask_error *err);

/* The mapping of a row if it is there and current, else NULL. */
static inline store_map *store_map_peek(const store_handle *store, uint32_t row)
{
    store_map *map =
        atomic_load_explicit(&store->maps[row], memory_order_acquire);

    if (map == NULL ||
        map->file_id != atomic_load_explicit(&store->region.rows[row].file_id,
                                             memory_order_acquire)) {
        return NULL;
    }
    return map;
}

/*
 * Let go of files that a merge has taken away, so that their space comes back;
 * not of those lent out by views, which come next time. A reader that is in
 * such a map now finds zeros, no record, and looks up again.
 *
 *   waits  for the lock on maps; else nothing is done while another has it
 */
void store_release_removed(store_handle *store, bool waits);

/* Whether there are such files; cheap. */
static inline bool store_has_removed(const store_handle *store)
{
    return atomic_load_explicit(&store->region.header->removed,
                                memory_order_relaxed) !=
           atomic_load_explicit(&store->removed, memory_order_relaxed);
}

void store_unmap_all(store_handle *store);

/* CASK_CORRUPT: `what` is wrong with the record at a place. */
cask_status store_fail_record(const store_handle *store, uint64_t place,
                              const char *what, cask_error *err);

/* Views lent out by this handle. */
uint32_t store_pins(const store_handle *store);

/* Give a view back that holds a pin, or memory of its own. */
void store_unview(cask_view *view);

/* ---- Reading by system call (store_pread.c), CASK_IO_PREAD ---- */

/* Copy `size` bytes at `offset` of a row. CASK_OK; CASK_IO; CASK_CORRUPT if
 * the file is shorter. */
cask_status store_pread(store_handle *store, uint32_t row, void *data,
                        size_t size, uint64_t offset, cask_error *err);
/* Close what a merge has taken away; map_mutex held. False: some is in use. */
bool store_pread_close_removed(store_handle *store);
void store_pread_close_all(store_handle *store);

/*
 * Bytes of a segment or hint for a scan: mapped, or read into memory: in
 * CASK_IO_PREAD, where failing media must give an error and not a signal; and
 * with an index of one's own, if the file is of an unsealed segment, which its
 * writer cuts when it closes.
 */
typedef struct store_bytes {
    const uint8_t *data;
    size_t size; /* of the file */
    size_t map_size;
} store_bytes;

cask_status store_bytes_load(store_handle *store, os_file *file, uint64_t size,
                             const char *name, bool may_shrink,
                             store_bytes *ret_bytes, cask_error *err);
void store_bytes_free(store_handle *store, store_bytes *bytes);

#endif
