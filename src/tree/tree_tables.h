/*
 * The memtables of a store: which are in use, newest first, and how one more is
 * begun and the oldest is given up. docs/format/region.md, "Tree".
 */
#ifndef CASKADE_TREE_TABLES_H
#define CASKADE_TREE_TABLES_H

#include "store/store.h"
#include "tree/memtable.h"

/* The memtables as one thread looks at them, newest first. */
typedef struct tree_tables {
    uint64_t word; /* region_tree.tables, when all of them were opened */
    unsigned count;
    memtable_view view[MEMTABLES];
} tree_tables;

/*
 * Look at all memtables that are in use. All of them were at one moment; each
 * may be gone since, which its reader is told.
 *
 *   log  borrowed by the views
 */
void tree_tables_load(store_handle *store, const memtable_log *log,
                      tree_tables *ret_tables);

/* The word that says which they are: it changes whenever one comes or goes. */
static inline uint64_t tree_tables_word(const store_handle *store)
{
    return atomic_load_explicit(&store->region.header->tree.tables,
                                memory_order_acquire);
}

/* The newest, which takes what is written. Write lock held, or nobody else uses
 * the region yet. */
void tree_tables_newest_locked(store_handle *store, const memtable_log *log,
                               memtable_view *ret_view);

/* Bring what a write of a key with this hash will need into the cache; no
 * lock. */
void tree_tables_prefetch(store_handle *store, uint64_t hash);

/* Make the first one, in a new region. Statuses of region_reserve(). */
cask_status tree_tables_create(store_handle *store, cask_error *err);

/* Entries for which a memtable's filter is made. */
uint64_t tree_tables_expected(const store_handle *store);

/* Whether the newest has taken as much of the log as it is to take. */
bool tree_tables_is_full(const store_handle *store);

/* Whether one more could be begun. */
bool tree_tables_has_free(const store_handle *store);

/* Begin another, which takes all further records. Write lock held. False: none
 * is free, or there is not that much memory. */
bool tree_tables_begin_locked(store_handle *store);

/* Give up the oldest, which is not the only one; its records are in runs. Write
 * lock held. */
void tree_tables_drop_locked(store_handle *store);

/* Change the word that says which memtables there are, so that whoever has
 * looked a key up looks again before it writes. Write lock held. */
void tree_tables_touch_locked(store_handle *store);

/* Finish what a writer that died had begun. Write lock held. */
void tree_tables_finish_locked(store_handle *store);

#endif
