/*
 * The size of a range: of runs by where it begins and ends in their files; of a
 * memtable by its rank there, and the size of some of its records. A range of
 * few entries is walked through.
 */
#include "tree/tree_size.h"

#include "run/run_iterator.h"
#include "run/run_pointer.h"
#include "tree/memtable_search.h"
#include "tree/tree.h"
#include "tree/tree_record.h"
#include "tree/tree_tables.h"

/* Entries of a memtable that are looked at. */
enum { SAMPLE = 64 };

/* ---- Memtables ---- */

/* What was looked at, from the lower bound on. */
typedef struct sample {
    uint64_t bytes;
    uint64_t count;
    bool is_all; /* there is no more up to the upper bound */
} sample;

static memtable_result take_sample(store_handle *store,
                                   const memtable_view *view,
                                   const iter_bounds *bounds,
                                   sample *ret_sample)
{
    sample s = {.count = 0};
    memtable_cursor cursor;
    memtable_result result =
        memtable_seek(&cursor, view, bounds->lower, UINT64_MAX);

    while (result == MEMTABLE_FOUND && s.count < SAMPLE &&
           !iter_is_above(bounds, cursor.entry.key)) {
        tree_record record;

        if (tree_record_at(store, cursor.entry.place, &record, NULL) !=
            CASK_OK) {
            return MEMTABLE_UNREADABLE;
        }
        s.bytes += record_size(&record.header);
        s.count++;
        result = memtable_next(&cursor);
    }
    s.is_all = result == MEMTABLE_NONE || s.count < SAMPLE;
    *ret_sample = s;
    return result == MEMTABLE_NONE ? MEMTABLE_FOUND : result;
}

/* An unbounded end is that of all entries. */
static memtable_result rank_of(const memtable_view *view, cask_slice key,
                               uint64_t unbounded, uint64_t *ret_rank)
{
    *ret_rank = unbounded;
    return key.data == NULL ? MEMTABLE_FOUND
                            : memtable_rank(view, key, ret_rank);
}

static memtable_result add_table(store_handle *store, const memtable_view *view,
                                 const iter_bounds *bounds, uint64_t *bytes)
{
    uint64_t from = 0;
    uint64_t to = 0;
    sample s;
    memtable_result result = take_sample(store, view, bounds, &s);

    if (result != MEMTABLE_FOUND || s.is_all) {
        *bytes += result == MEMTABLE_FOUND ? s.bytes : 0;
        return result;
    }
    result = rank_of(view, bounds->lower, 0, &from);
    if (result == MEMTABLE_FOUND) {
        result = rank_of(view, bounds->upper, memtable_count(view), &to);
    }
    if (result == MEMTABLE_FOUND) {
        /* At least what was looked at. */
        *bytes +=
            to > from + s.count ? s.bytes * (to - from) / s.count : s.bytes;
    }
    return result;
}

/* ---- Runs ---- */

/* Where the records of `key` begin in the file, or would. */
static cask_status offset_of(const cask_run *file, cask_slice key,
                             uint64_t *ret_offset, cask_error *err)
{
    cask_run_iterator it = {.run = file};
    cask_run_entry entry;
    cask_status status =
        run_iterator_seek(&it, CASK_RUN_AT_LEAST, key, &entry, err);

    *ret_offset = status == CASK_OK ? it.offset : file->footer.length;
    return status == CASK_NOT_FOUND ? CASK_OK : status;
}

static cask_status add_run(const version_run *run, const iter_bounds *bounds,
                           uint64_t *bytes, cask_error *err)
{
    cask_slice lower = bounds->lower;
    uint64_t from = 0;
    uint64_t to = run->file->footer.length;
    cask_status status;

    if (key_compare(lower, run->begin) < 0) {
        lower = run->begin;
    }
    status = offset_of(run->file, lower, &from, err);
    if (status == CASK_OK && bounds->upper.data != NULL) {
        status = offset_of(run->file, bounds->upper, &to, err);
    }
    if (status == CASK_OK && to > from) {
        double share = (double)(to - from) / (double)run->file->footer.length;

        /* Values that are elsewhere belong to keys that are alike. */
        *bytes +=
            to - from + (uint64_t)((double)run_named_bytes(run->file) * share);
    }
    return status;
}

static cask_status add_runs(store_handle *store, const iter_bounds *bounds,
                            uint64_t *bytes, cask_error *err)
{
    versions *all = tree_state_of(store)->versions;
    const version *pinned;
    cask_status status = version_pin(all, &pinned, err);

    if (status != CASK_OK) {
        return status;
    }
    for (size_t i = 0; i < pinned->count && status == CASK_OK; i++) {
        status = add_run(&pinned->runs[i], bounds, bytes, err);
    }
    version_unpin(all, pinned);
    return status;
}

/* ---- Both ---- */

/* MEMTABLE_GONE: one was flushed meanwhile. */
static memtable_result add_tables(store_handle *store,
                                  const iter_bounds *bounds, uint64_t *bytes)
{
    memtable_result result = MEMTABLE_FOUND;
    tree_tables tables;

    *bytes = 0;
    tree_tables_load(store, &tree_state_of(store)->log, &tables);
    for (unsigned i = 0; i < tables.count && result == MEMTABLE_FOUND; i++) {
        result = add_table(store, &tables.view[i], bounds, bytes);
    }
    return result;
}

cask_status tree_size_range(store_handle *store, const iter_bounds *bounds,
                            uint64_t *ret_bytes, cask_error *err)
{
    uint64_t bytes = 0;
    memtable_result result;
    cask_status status;

    do {
        result = add_tables(store, bounds, &bytes);
    } while (result == MEMTABLE_GONE);
    if (result != MEMTABLE_FOUND) {
        return region_is_covered(&store->region)
                   ? fail(err, CASK_CORRUPT, 0,
                          "%s: a record of a memtable cannot be read; try "
                          "again, and if it stays so, 'caskade verify' lists "
                          "the damage",
                          store->path)
                   : region_fail_uncovered(&store->region, err);
    }
    status = add_runs(store, bounds, &bytes, err);
    if (status == CASK_OK) {
        *ret_bytes = bytes;
    }
    return status;
}
