/*
 * Memtables come and go under the write lock, by one store of the word that
 * lists them. One that is in use and not listed is one whose writer died while
 * it came or went, and goes with the next owner of the lock.
 */
#include "tree/tree_tables.h"

#include "region/heap.h"
#include "store/store_settings.h"
#include "tree/memtable_layout.h"

/* Bytes of the log for each entry that a filter expects. */
enum { ENTRY_BYTES = 128 };

static region_tree *tree_of(const store_handle *store)
{
    return &store->region.header->tree;
}

static uint64_t own_word(const store_handle *store)
{
    return atomic_load_explicit(&tree_of(store)->tables, memory_order_relaxed);
}

/* ---- Reading ---- */

static bool try_load(store_handle *store, const memtable_log *log,
                     tree_tables *tables)
{
    tables->word = tree_tables_word(store);
    tables->count = region_tables_count(tables->word);
    for (unsigned i = 0; i < tables->count; i++) {
        if (!memtable_open(&store->region, region_tables_at(tables->word, i),
                           log, &tables->view[i])) {
            return false;
        }
    }
    /* One may have gone and come again, as another, since the word was read. */
    return tree_tables_word(store) == tables->word;
}

void tree_tables_load(store_handle *store, const memtable_log *log,
                      tree_tables *ret_tables)
{
    while (!try_load(store, log, ret_tables)) {
    }
}

void tree_tables_newest_locked(store_handle *store, const memtable_log *log,
                               memtable_view *ret_view)
{
    (void)memtable_open(&store->region, region_tables_at(own_word(store), 0),
                        log, ret_view);
}

void tree_tables_prefetch(store_handle *store, uint64_t hash)
{
    memtable_view view;

    if (memtable_open(&store->region, region_tables_at(own_word(store), 0),
                      NULL, &view)) {
        memtable_filter_prefetch(&view, hash);
    }
}

/* ---- Full ---- */

uint64_t tree_tables_expected(const store_handle *store)
{
    return store_memtable_bytes(store) / ENTRY_BYTES;
}

bool tree_tables_is_full(const store_handle *store)
{
    return atomic_load_explicit(&tree_of(store)->taken_bytes,
                                memory_order_relaxed) >=
           store_memtable_bytes(store);
}

bool tree_tables_has_free(const store_handle *store)
{
    return region_tables_count(own_word(store)) < MEMTABLES;
}

/* ---- Coming ---- */

static bool is_listed(uint64_t tables, unsigned index)
{
    for (unsigned i = 0; i < region_tables_count(tables); i++) {
        if (region_tables_at(tables, i) == index) {
            return true;
        }
    }
    return false;
}

static unsigned free_index(uint64_t tables)
{
    unsigned index = 0;

    while (index < MEMTABLES && is_listed(tables, index)) {
        index++;
    }
    return index;
}

bool tree_tables_begin_locked(store_handle *store)
{
    region_tree *tree = tree_of(store);
    uint64_t tables = own_word(store);
    unsigned index = free_index(tables);
    region_table *table = &tree->table[index % MEMTABLES];
    uint64_t expected = tree_tables_expected(store);

    if (index == MEMTABLES ||
        heap_available(&store->region) < memtable_begin_lines(expected) ||
        !memtable_begin_locked(&store->region, index, expected)) {
        return false;
    }
    atomic_store(&table->first_sequence, tree->applied_sequence + 1);
    atomic_store(&table->last_sequence, 0);
    if (region_tables_count(tables) > 0) {
        region_table *full = &tree->table[region_tables_at(tables, 0)];

        /* They count only once it is not the newest: who dies here leaves
         * numbers that are written again. */
        atomic_store(&full->last_sequence, tree->applied_sequence);
        atomic_store(&full->log_bytes, atomic_load(&tree->taken_bytes));
    }
    atomic_store_explicit(&tree->taken_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&tree->tables, region_tables_push(tables, index),
                          memory_order_release);
    return true;
}

cask_status tree_tables_create(store_handle *store, cask_error *err)
{
    uint64_t lines;
    cask_status status = memtables_create(&store->region, err);

    /* For all processes: they use the same memtables. */
    tree_of(store)->memtable_bytes = store->options.memtable_bytes;
    lines = memtable_begin_lines(tree_tables_expected(store));

    if (status == CASK_OK) {
        status = region_reserve(&store->region, lines, err);
    }
    if (status == CASK_OK && !tree_tables_begin_locked(store)) {
        status = fail(err, CASK_NO_SPACE, 0, "%s: no room for a memtable",
                      store->region.path);
    }
    return status;
}

/* ---- Going ---- */

void tree_tables_drop_locked(store_handle *store)
{
    region_tree *tree = tree_of(store);
    uint64_t tables = own_word(store);
    unsigned index = region_tables_at(tables, region_tables_count(tables) - 1);

    atomic_store_explicit(&tree->tables, region_tables_drop_oldest(tables),
                          memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store(&tree->table[index].first_sequence, 0);
    memtable_free_locked(&store->region, index);
}

void tree_tables_touch_locked(store_handle *store)
{
    uint64_t tables = own_word(store);

    atomic_store_explicit(&tree_of(store)->tables,
                          region_tables_make(region_tables_count(tables),
                                             tables >> 8 & UINT32_MAX,
                                             (tables >> 40) + 1),
                          memory_order_release);
}

void tree_tables_finish_locked(store_handle *store)
{
    uint64_t tables = own_word(store);

    /* He may have published runs and not opened the gate. */
    tree_tables_touch_locked(store);
    memtables_finish_locked(&store->region);
    for (unsigned i = 0; i < MEMTABLES; i++) {
        if (!is_listed(tables, i)) {
            atomic_store(&tree_of(store)->table[i].first_sequence, 0);
            memtable_free_locked(&store->region, i);
        }
    }
}
