/*
 * One memtable becomes a run; see tree_flush.h for the steps.
 */
#include "tree/tree_flush.h"

#include <inttypes.h>

#include "iter/iter_survivors.h"
#include "run/run_writer.h"
#include "store/store_merge.h"
#include "store/store_write.h"
#include "tree/tree.h"
#include "tree/tree_output.h"
#include "tree/tree_record.h"
#include "tree/tree_segments.h"
#include "tree/tree_tables.h"

enum {
    PATIENCE_MS = 100, /* before a writer that waits flushes by itself */
    WAIT_MS = 1
};

static const uint64_t NS_PER_MS = 1000000;

static region_tree *tree_of(const store_handle *store)
{
    return &store->region.header->tree;
}

/* ---- The run ---- */

typedef struct flush {
    store_handle *store;
    memtable_view view;
    uint64_t last;           /* sequence of the memtable's last record */
    uint32_t run;            /* number of the run */
    bool is_lowest;          /* there are no runs */
    cask_run_writer *writer; /* NULL: no record so far */
    uint64_t id;             /* of the run */
} flush;

static cask_status create(flush *f, cask_error *err)
{
    return tree_run_create(f->store, f->last, &f->id, &f->writer, err);
}

static cask_status write_survivors(flush *f, iter_survivors *survivors,
                                   cask_error *err)
{
    const cask_run_entry *entry;
    cask_status status = iter_survivors_next(survivors, &entry, err);

    while (status == CASK_OK) {
        status = f->writer == NULL ? create(f, err) : CASK_OK;
        if (status == CASK_OK) {
            status = run_writer_add(f->writer, entry, err);
        }
        if (status == CASK_OK) {
            status = iter_survivors_next(survivors, &entry, err);
        } else if (status == CASK_NOT_FOUND) {
            status = CASK_IO; /* not the end of the records */
        }
    }
    return status == CASK_NOT_FOUND ? CASK_OK : status;
}

static cask_status write_run(flush *f, cask_error *err)
{
    const memtable_records records = tree_records(f->store);
    memtable_input source = {.view = &f->view, .records = &records};
    const iter_input input = memtable_input_of(&source);
    iter_survivors *survivors = NULL;
    iter_survivors_options options = {.drop_tombstones = f->is_lowest};
    cask_status status;
    tree_moments looks;

    tree_moments_find(f->store, &looks);
    options.moments = (iter_moments){looks.at, looks.count};
    status = iter_survivors_create(&input, 1, &options, &survivors, err);
    if (status == CASK_OK) {
        status = write_survivors(f, survivors, err);
    }
    iter_survivors_free(survivors);
    memtable_input_done(&source);
    if (f->writer != NULL && status == CASK_OK) {
        status = run_writer_finish(f->writer, err);
    } else if (f->writer != NULL) {
        run_writer_abort(f->writer);
    }
    return status;
}

static cask_status apply(const flush *f, cask_error *err)
{
    const version_add add = {.id = f->id, .level = 0, .run = f->run};
    const version_edit edit = {.adds = &add,
                               .add_count = f->writer != NULL ? 1 : 0,
                               .flushed = f->last};

    return version_apply(f->store, &edit, err);
}

static cask_status look_at_runs(flush *f, cask_error *err)
{
    versions *all = tree_state_of(f->store)->versions;
    const version *pinned;
    cask_status status = version_pin(all, &pinned, err);

    if (status == CASK_OK) {
        f->run = pinned->next_run;
        f->is_lowest = pinned->count == 0;
        version_unpin(all, pinned);
    }
    return status;
}

/* ---- Memtables ---- */

/* The oldest memtable, which takes nothing more. False: there is none. */
static bool find_oldest(store_handle *store, tree_tables *tables,
                        uint64_t *ret_last)
{
    unsigned index;

    tree_tables_load(store, &tree_state_of(store)->log, tables);
    if (tables->count < 2) {
        return false;
    }
    index = region_tables_at(tables->word, tables->count - 1);
    *ret_last = atomic_load(&tree_of(store)->table[index].last_sequence);
    return true;
}

static cask_status drop_oldest(store_handle *store, cask_error *err)
{
    cask_status status = store_lock(store, err);

    if (status == CASK_OK) {
        tree_tables_drop_locked(store);
        store_unlock(store);
        store_merge_wake(store);
    }
    return status;
}

static cask_status flush_oldest(store_handle *store, const tree_tables *tables,
                                uint64_t last, cask_error *err)
{
    flush f = {
        .store = store, .view = tables->view[tables->count - 1], .last = last};
    /* All of it: the memtable may have a record that its writer died over, and
     * which counts as the next one's, too. */
    cask_status status = store_sync_all(store, err);

    if (status == CASK_OK) {
        status = look_at_runs(&f, err);
    }
    if (status == CASK_OK) {
        status = write_run(&f, err);
    }
    return status == CASK_OK ? apply(&f, err) : status;
}

/*
 * What could not be read of the log may be newer than what a run would say of
 * its keys, and would not be looked at any more once `flushed` is behind it:
 * not even if the file was restored. (Opened with CASK_DAMAGE_SERVE.)
 */
static cask_status check_log(store_handle *store, cask_error *err)
{
    uint64_t flushed = atomic_load(&tree_of(store)->flushed);
    uint32_t rows = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < rows; i++) {
        const region_row *row = &store->region.rows[i];
        uint32_t state = atomic_load(&row->state);
        uint32_t bytes = atomic_load(&row->damaged_bytes);

        if ((state == ROW_SEALED || state == ROW_ACTIVE) && bytes > 0 &&
            row->last_sequence > flushed) {
            return fail(err, CASK_CORRUPT, 0,
                        "%016" PRIx64 ".log: %" PRIu32
                        " bytes are damaged; nothing more is flushed to runs, "
                        "or what they held would be lost for good: restore "
                        "the file, and open the store again",
                        atomic_load(&row->file_id), bytes);
        }
    }
    return CASK_OK;
}

static cask_status flush_all(store_handle *store, cask_error *err)
{
    cask_status status = check_log(store, err);
    tree_tables tables;
    uint64_t last;

    while (status == CASK_OK && find_oldest(store, &tables, &last)) {
        if (last > atomic_load(&tree_of(store)->flushed)) {
            status = flush_oldest(store, &tables, last, err);
        }
        if (status == CASK_OK) {
            status = drop_oldest(store, err);
        }
    }
    return status;
}

/* The newest takes nothing more from now on. */
static cask_status freeze(store_handle *store, cask_error *err)
{
    uint64_t lines = memtable_begin_lines(tree_tables_expected(store));
    cask_status status = region_reserve(&store->region, lines, err);
    memtable_view view;

    if (status == CASK_OK) {
        status = store_lock(store, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    tree_tables_newest_locked(store, &tree_state_of(store)->log, &view);
    if (memtable_count(&view) > 0 && !tree_tables_begin_locked(store)) {
        status =
            fail(err, CASK_BUSY, 0,
                 "%s: writers used the room made for a memtable; try again",
                 store->path);
    }
    store_unlock(store);
    return status;
}

/* ---- A turn ---- */

bool tree_flush_is_due(const store_handle *store)
{
    return region_tables_count(tree_tables_word(store)) > 1 ||
           atomic_load(&tree_of(store)->settled) == 0;
}

cask_status tree_flush_meanwhile(store_handle *store, cask_error *err)
{
    cask_status status = flush_all(store, err);

    return status == CASK_OK ? tree_segments_drop(store, err) : status;
}

cask_status tree_flush_held(store_handle *store, bool all, cask_error *err)
{
    cask_status status = version_settle(store, err);

    if (status == CASK_OK) {
        status = flush_all(store, err);
    }
    if (status == CASK_OK && all) {
        status = freeze(store, err);
        status = status == CASK_OK ? flush_all(store, err) : status;
    }
    return status == CASK_OK ? tree_segments_drop(store, err) : status;
}

cask_status tree_flush(store_handle *store, bool all, cask_error *err)
{
    cask_status status = store_merge_lock(store, err);

    if (status == CASK_OK) {
        status = tree_flush_held(store, all, err);
        store_merge_unlock(store);
        store_merge_tidy(store);
    }
    return status;
}

/* ---- Waiting ---- */

static cask_status fail_full(const store_handle *store, const cask_error *why,
                             cask_error *err)
{
    return fail(err, CASK_TIMEOUT, 0,
                "%s: all memtables are full, and none was flushed for %u ms%s%s"
                "; nothing was written",
                store->path, store->options.lock_timeout_ms,
                why->message[0] != 0 ? ": " : "", why->message);
}

cask_status tree_flush_wait(store_handle *store, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    const uint64_t begun = ops->now_ns(store->os);
    cask_error why = {CASK_OK, 0, ""};
    uint64_t waited_ms = 0;

    while (!tree_tables_has_free(store)) {
        cask_status status = CASK_OK;

        if (waited_ms > store->options.lock_timeout_ms) {
            return fail_full(store, &why, err);
        }
        if (waited_ms >= PATIENCE_MS) {
            status = tree_flush(store, false, &why);
        } else {
            store_merge_wake(store);
        }
        if (status != CASK_OK && status != CASK_BUSY &&
            status != CASK_TIMEOUT) {
            /* Tried again it would fail again, and use up ids. */
            return fail(err, status, why.os_errno, "%s", why.message);
        }
        ops->sleep_ms(store->os, WAIT_MS);
        waited_ms = (ops->now_ns(store->os) - begun) / NS_PER_MS;
    }
    return CASK_OK;
}
