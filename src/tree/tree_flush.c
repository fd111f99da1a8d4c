/*
 * One memtable becomes a run; see tree_flush.h for the steps.
 */
#include "tree/tree_flush.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "iter/iter_survivors.h"
#include "maintain/compaction.h"
#include "run/run_writer.h"
#include "store/merge_log.h"
#include "store/store_merge.h"
#include "store/store_write.h"
#include "tree/ranges_rest.h"
#include "tree/tree.h"
#include "tree/tree_gate.h"
#include "tree/tree_lost.h"
#include "tree/tree_output.h"
#include "tree/tree_record.h"
#include "tree/tree_segments.h"
#include "tree/tree_tables.h"

enum {
    PATIENCE_MS = 100, /* before a writer that waits flushes by itself */
    WAIT_MS = 1,
    FREEZE_ATTEMPTS = 1000
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
    uint64_t records;        /* in it */
    bool has_lost;           /* the tree has, or will by this */
    tree_moments looks;      /* when it began */
    iter_ranges *ranges;     /* deleted in the memtable; NULL: there are none */
    values_output values;    /* that are written apart */
    manifest_lost *losts;    /* records that could not be read; owned */
    size_t lost_count;
} flush;

static cask_status create(flush *f, cask_error *err)
{
    return tree_run_create(f->store, f->last, &f->id, &f->writer, err);
}

static cask_status begin_values(void *context, uint64_t *ret_id,
                                cask_run_writer **ret_writer, cask_error *err)
{
    const flush *f = context;

    return tree_values_create(f->store, f->last, ret_id, ret_writer, err);
}

static void discard_values(void *context, uint64_t id)
{
    const flush *f = context;

    tree_run_discard(f->store, id);
}

static cask_status write_survivor(flush *f, const cask_run_entry *entry,
                                  cask_error *err)
{
    cask_run_entry written;
    cask_status status = f->writer == NULL ? create(f, err) : CASK_OK;

    if (status == CASK_OK) {
        status = values_output_put(&f->values, entry, &written, err);
    }
    if (status == CASK_OK) {
        status = run_writer_add(f->writer, &written, err);
        f->records++;
    }
    return status;
}

static cask_status write_survivors(flush *f, iter_survivors *survivors,
                                   cask_error *err)
{
    const cask_run_entry *entry;
    cask_status status = iter_survivors_next(survivors, &entry, err);

    while (status == CASK_OK) {
        status = write_survivor(f, entry, err);
        if (status == CASK_OK) {
            status = iter_survivors_next(survivors, &entry, err);
        } else if (status == CASK_NOT_FOUND) {
            status = CASK_IO; /* not the end of the records */
        }
    }
    return status == CASK_NOT_FOUND ? CASK_OK : status;
}

static cask_status write_from(flush *f, const iter_input *input,
                              cask_error *err)
{
    const iter_survivors_options options = {
        .moments = {f->looks.at, f->looks.count},
        .ranges = f->ranges,
        .drop_tombstones = f->is_lowest && !f->has_lost};
    iter_survivors *survivors = NULL;
    cask_status status =
        iter_survivors_create(input, 1, &options, &survivors, err);

    if (status == CASK_OK) {
        status = write_survivors(f, survivors, err);
    }
    if (status == CASK_OK) {
        status = values_output_end(&f->values, err);
    }
    iter_survivors_free(survivors);
    if (f->writer != NULL && status == CASK_OK) {
        status = run_writer_finish(f->writer, err);
    } else if (f->writer != NULL) {
        run_writer_abort(f->writer);
        f->writer = NULL;
    }
    if (status != CASK_OK) {
        values_output_give_up(&f->values);
    }
    return status;
}

/* Tell of records that cannot be read. */
static cask_status lose(flush *f, const memtable_gap *gaps, size_t count,
                        cask_error *err)
{
    f->has_lost = f->has_lost || count > 0;
    return count == 0 ? CASK_OK
                      : tree_lost_add(f->store, gaps, count, f->last, &f->losts,
                                      &f->lost_count, err);
}

/* What can be read; and what cannot is told. */
static cask_status write_rest(flush *f, const memtable_records *records,
                              cask_error *err)
{
    memtable_rest rest = {.records = records};
    cask_status status = memtable_rest_find(&rest, &f->view, err);

    if (status == CASK_OK) {
        status = lose(f, rest.gaps, rest.gap_count, err);
    }
    if (status == CASK_OK) {
        const iter_input input = memtable_rest_input(&rest);

        f->records = 0;
        status = write_from(f, &input, err);
    }
    memtable_rest_free(&rest);
    return status;
}

static cask_status write_entries(flush *f, cask_error *err)
{
    const memtable_records records = tree_records(f->store);
    memtable_input source = {.view = &f->view, .records = &records};
    const iter_input input = memtable_input_of(&source);
    cask_status status = write_from(f, &input, err);

    memtable_input_done(&source);
    return status == CASK_CORRUPT && region_is_covered(&f->store->region)
               ? write_rest(f, &records, err)
               : status;
}

static cask_status write_run(flush *f, cask_error *err)
{
    ranges_rest deleted = {0};
    cask_status status = ranges_rest_find(
        &deleted, tree_state_of(f->store)->ranges, &f->view, err);

    tree_moments_find(f->store, &f->looks);
    if (status == CASK_OK) {
        status = lose(f, deleted.gaps, deleted.gap_count, err);
    }
    if (status == CASK_OK && deleted.count > 0) {
        const iter_moments moments = {f->looks.at, f->looks.count};

        status = iter_ranges_create(deleted.ranges, deleted.count, moments,
                                    NULL, &f->ranges, err);
    }
    if (status == CASK_OK) {
        status = write_entries(f, err);
    }
    iter_ranges_free(f->ranges);
    ranges_rest_free(&deleted);
    return status;
}

static cask_status apply(const flush *f, cask_error *err)
{
    const size_t count = f->values.count;
    version_add *adds = calloc(count + 1, sizeof(*adds));
    const version_edit edit = {.adds = adds,
                               .add_count = f->writer != NULL ? count + 1 : 0,
                               .losts = f->losts,
                               .lost_count = f->lost_count,
                               .flushed = f->last};
    cask_status status;

    if (adds == NULL) {
        return fail_memory(err, (count + 1) * sizeof(*adds));
    }
    for (size_t i = 0; i < count; i++) {
        adds[i] =
            (version_add){.id = f->values.ids[i], .level = MANIFEST_VALUES};
    }
    adds[count] = (version_add){.id = f->id, .level = 0, .run = f->run};
    status = version_apply(tree_state_of(f->store)->versions, &edit, NULL, err);
    free(adds);
    return status;
}

static cask_status look_at_runs(flush *f, cask_error *err)
{
    versions *all = tree_state_of(f->store)->versions;
    const version *pinned;
    cask_status status = version_pin(all, &pinned, err);

    if (status == CASK_OK) {
        f->run = pinned->next_run;
        f->is_lowest = pinned->count == 0 && pinned->broken_count == 0;
        f->has_lost = pinned->lost_count > 0;
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

static cask_status carry_out(flush *f, cask_error *err)
{
    /* All of it: the memtable may have a record that its writer died over, and
     * which counts as the next one's, too. */
    cask_status status = store_sync_all(f->store, err);

    if (status == CASK_OK) {
        status = look_at_runs(f, err);
    }
    if (status == CASK_OK) {
        status = write_run(f, err);
    }
    return status == CASK_OK ? apply(f, err) : status;
}

static cask_status flush_oldest(store_handle *store, const tree_tables *tables,
                                uint64_t last, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    const region_tree *tree = tree_of(store);
    unsigned index = region_tables_at(tables->word, tables->count - 1);
    flush f = {
        .store = store, .view = tables->view[tables->count - 1], .last = last};
    uint64_t began_ns = ops->now_ns(store->os);
    uint64_t run_bytes = atomic_load(&tree->run_bytes);
    merge_record record = {.began_ms = ops->wall_ms(store->os),
                           .bytes_read =
                               atomic_load(&tree->table[index].log_bytes),
                           .inputs = 1,
                           .reason = (merge_reason)COMPACTION_REASON_FLUSH};

    f.values = tree_values_output(
        store, (values_files){&f, begin_values, discard_values});
    record.result = carry_out(&f, err);
    record.took_ms = (ops->now_ns(store->os) - began_ns) / NS_PER_MS;
    if (record.result == CASK_OK) {
        record.records = f.records;
        record.outputs = f.writer != NULL ? (uint32_t)f.values.count + 1 : 0;
        record.bytes_written = atomic_load(&tree->run_bytes) - run_bytes;
    }
    values_output_free(&f.values);
    free(f.losts);
    merge_log_add_flush(store, &record);
    return record.result;
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

/* Those that are full now: what fills up meanwhile waits for the next time, or
 * nothing else would ever have a turn while somebody writes as fast as this
 * flushes. */
static cask_status flush_all(store_handle *store, cask_error *err)
{
    unsigned left = region_tables_count(tree_tables_word(store));
    cask_status status = check_log(store, err);
    tree_tables tables;
    uint64_t last;

    for (; left > 1 && status == CASK_OK && find_oldest(store, &tables, &last);
         left--) {
        if (last > atomic_load(&tree_of(store)->flushed)) {
            status = flush_oldest(store, &tables, last, err);
        }
        if (status == CASK_OK) {
            status = drop_oldest(store, err);
        }
    }
    return status;
}

/* The newest takes nothing more from now on. CASK_BUSY: writers have used all
 * memtables meanwhile, or the room for one. */
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
    if (!memtable_is_empty(&view) && !tree_tables_begin_locked(store)) {
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

/* Writers that are fast may fill memtables between two looks. */
cask_status tree_flush_newest(store_handle *store, cask_error *err)
{
    cask_status status = CASK_BUSY;

    for (int i = 0; i < FREEZE_ATTEMPTS && status == CASK_BUSY; i++) {
        status = flush_all(store, err);
        if (status == CASK_OK) {
            status = freeze(store, err);
        }
    }
    if (status == CASK_BUSY) {
        return fail(err, CASK_TIMEOUT, 0,
                    "%s: writers used up the memtables made %d times; try "
                    "again when they are slower",
                    store->path, FREEZE_ATTEMPTS);
    }
    return status == CASK_OK ? flush_all(store, err) : status;
}

cask_status tree_flush_held(store_handle *store, bool all, cask_error *err)
{
    cask_status status = version_settle(store, err);

    if (status == CASK_OK) {
        status = all ? tree_flush_newest(store, err) : flush_all(store, err);
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

static cask_status fail_full(store_handle *store, const cask_error *why,
                             cask_error *err)
{
    uint32_t pid = store_merge_holder(store);
    bool is_held = why->status == CASK_BUSY && pid != 0;
    char who[128];

    (void)snprintf(who, sizeof(who),
                   is_held ? "process %" PRIu32 " has the turn to flush and to "
                             "merge: let it go on, or end it"
                           : "the last to flush or merge was process %" PRIu32
                             ": let a process with auto_merge open the store, "
                             "or run 'caskade merge'",
                   pid);
    return fail(err, CASK_TIMEOUT, 0,
                "%s: %s for %u ms: %s; nothing was written", store->path,
                tree_gate_is_closed(store)
                    ? "runs are being taken in, and were not"
                    : "all memtables are full, and none was flushed",
                store->options.lock_timeout_ms, who);
}

static bool must_wait(const store_handle *store)
{
    return !tree_tables_has_free(store) || tree_gate_is_closed(store);
}

cask_status tree_flush_wait(store_handle *store, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    const uint64_t begun = ops->now_ns(store->os);
    cask_error why = {CASK_OK, 0, ""};
    uint64_t waited_ms = 0;

    while (must_wait(store)) {
        bool is_late = waited_ms > store->options.lock_timeout_ms;
        cask_status status = CASK_OK;

        /* Once at least, however late it is. */
        if (waited_ms >= PATIENCE_MS || is_late) {
            status = tree_flush(store, false, &why);
        } else {
            store_merge_wake(store);
        }
        if (status != CASK_OK && status != CASK_BUSY &&
            status != CASK_TIMEOUT) {
            /* Tried again it would fail again, and use up ids. */
            return fail(err, status, why.os_errno, "%s", why.message);
        }
        if (is_late && must_wait(store)) {
            return fail_full(store, &why, err);
        }
        ops->sleep_ms(store->os, WAIT_MS);
        waited_ms = (ops->now_ns(store->os) - begun) / NS_PER_MS;
    }
    return CASK_OK;
}
