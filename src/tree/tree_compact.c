/*
 * Compactions, see tree_compact.h: plans carried out on the files of a store.
 */
#include "tree/tree_compact.h"

#include <inttypes.h>

#include "maintain/merge_policy.h"
#include "store/merge_log.h"
#include "store/merge_turn.h"
#include "store/store_expiry.h"
#include "store/store_merge.h"
#include "store/store_pace.h"
#include "store/store_write.h"
#include "tree/compact_job.h"
#include "tree/run_expiry.h"
#include "tree/tree.h"
#include "tree/tree_flush.h"
#include "tree/tree_output.h"
#include "tree/tree_plan.h"

enum {
    STEP_BYTES = 64 << 10, /* between two looks at what is more urgent */
    BUSY_MS = 10
};

/* One compaction. */
typedef struct compacting {
    store_handle *store;
    store_pace pace;
    store_expiry expiry;
    tree_moments moments;
    uint64_t flushed; /* when it began */
    const version *pinned;
    uint64_t damaged; /* id of an input that is; 0: none */
} compacting;

static region_merge *merge_of(const store_handle *store)
{
    return &store->region.header->merge;
}

/* ---- What a job asks ---- */

static cask_status begin_run(void *context, uint64_t *ret_id,
                             cask_run_writer **ret_writer, cask_error *err)
{
    const compacting *c = context;

    return tree_run_create(c->store, c->flushed, ret_id, ret_writer, err);
}

static cask_status begin_values(void *context, uint64_t *ret_id,
                                cask_run_writer **ret_writer, cask_error *err)
{
    const compacting *c = context;

    return tree_values_create(c->store, c->flushed, ret_id, ret_writer, err);
}

static void discard_run(void *context, uint64_t id)
{
    const compacting *c = context;

    tree_run_discard(c->store, id);
}

static cask_status check_cancelled(store_handle *store, cask_error *err)
{
    store_window_watch(store);
    return store_merge_is_cancelled(store)
               ? fail(err, CASK_TIMEOUT, 0,
                      "%s: the merge was cancelled; what was completed stays",
                      store->path)
               : CASK_OK;
}

static cask_status go_on(void *context, uint64_t bytes, cask_error *err)
{
    compacting *c = context;
    store_handle *store = c->store;
    cask_status status = check_cancelled(store, err);

    if (status != CASK_OK) {
        return status;
    }
    /* Of what it reads it writes about as much. */
    atomic_fetch_add(&merge_of(store)->bytes_done, bytes / 2);
    store_pace_add(&c->pace, bytes);
    if (region_tables_count(atomic_load(&store->region.header->tree.tables)) >
        1) {
        status = tree_flush_meanwhile(store, err);
        store_pace_resume(&c->pace);
    }
    return status;
}

static void meet_damage(void *context, const cask_run *file)
{
    compacting *c = context;

    for (size_t i = 0; i < c->pinned->count; i++) {
        if (c->pinned->runs[i].file == file) {
            c->damaged = c->pinned->runs[i].id;
        }
    }
}

/* Its run of values stays as it is from now on. */
static void meet_damaged_value(void *context, uint64_t id,
                               const cask_error *what)
{
    const compacting *c = context;

    if (versions_hold(tree_state_of(c->store)->versions, id)) {
        store_event(c->store, CASK_EVENT_DAMAGE, CASK_CORRUPT,
                    "%016" PRIx64 ".run stays as it is: %s", id, what->message);
    }
}

/* 0: there is none. */
static uint64_t newest_snapshot(const compacting *c)
{
    size_t count = c->moments.count;

    return count > 1 ? c->moments.at[count - 2] : 0;
}

/* What a snapshot may look at does not expire before that is gone: it sees what
 * had not expired when it was taken. */
static bool is_expired(void *context, const cask_run_entry *entry)
{
    const compacting *c = context;

    return entry->info.sequence > newest_snapshot(c) &&
           store_has_expired(&c->expiry, entry->info.time_s,
                             entry->info.expires_at_ms);
}

static bool has_expired(void *context, const cask_run *file)
{
    const compacting *c = context;

    return run_first_sequence(file) > newest_snapshot(c) &&
           run_has_expired(file, &c->expiry);
}

/* ---- One compaction ---- */

static void begin_one(compacting *c, const tree_plan *p)
{
    region_merge *merge = merge_of(c->store);

    merge_log_begin(c->store);
    atomic_store(&merge->bytes_done, 0);
    atomic_store(&merge->bytes_total, p->plan.read_bytes);
    atomic_store(&merge->phase, MERGE_COPYING);
    c->flushed = atomic_load(&c->store->region.header->tree.flushed);
    store_pace_begin(&c->pace, c->store);
}

static void add_result(const compact_result *result, tree_merged *merged)
{
    const version_edit *edit = &result->edit;

    merged->compactions++;
    merged->inputs += edit->drop_count;
    merged->outputs += edit->add_count;
    merged->bytes_read += result->bytes_read;
    merged->bytes_freed += result->bytes_freed;
    merged->records += result->counts.kept + result->counts.deletes;
    merged->tombstones_dropped += result->counts.tombstones_gone;
}

static void end_one(compacting *c, const tree_plan *p, const tree_merged *did,
                    cask_status result)
{
    region_merge *merge = merge_of(c->store);
    uint64_t began_ms = atomic_load(&c->store->region.header->merger.began_ms);
    uint64_t now_ms = c->store->os->ops->wall_ms(c->store->os);
    const merge_record record = {.began_ms = began_ms,
                                 .took_ms =
                                     now_ms > began_ms ? now_ms - began_ms : 0,
                                 .bytes_read = did->bytes_read,
                                 .bytes_written = did->bytes_written,
                                 .bytes_freed = did->bytes_freed,
                                 .records = did->records,
                                 .tombstones_dropped = did->tombstones_dropped,
                                 .inputs = (uint32_t)did->inputs,
                                 .outputs = (uint32_t)did->outputs,
                                 .reason = (merge_reason)p->plan.reason,
                                 .result = result};

    store_pace_end(&c->pace);
    atomic_store(&merge->phase, MERGE_NONE);
    if (result == CASK_OK) {
        atomic_fetch_add(&merge->number, 1);
        atomic_fetch_add(&merge->bytes_read, did->bytes_read);
        atomic_fetch_add(&merge->bytes_written, did->bytes_written);
        atomic_fetch_add(&merge->bytes_freed, did->bytes_freed);
        atomic_fetch_add(&c->store->region.header->tree.compact_ms,
                         record.took_ms);
    }
    merge_log_add(c->store, &record);
}

static cask_status carry_out(compacting *c, const tree_plan *p,
                             tree_merged *did, cask_error *err)
{
    /* As long as something is lost tombstones stay, and what becomes one. */
    bool is_whole = p->pinned->lost_count == 0;
    const compact_calls calls = {.context = c,
                                 .begin_run = begin_run,
                                 .begin_values = begin_values,
                                 .discard_run = discard_run,
                                 .go_on = go_on,
                                 .meet_damage = meet_damage,
                                 .meet_damaged_value = meet_damaged_value,
                                 .step_bytes = STEP_BYTES,
                                 .is_expired = is_whole ? is_expired : NULL,
                                 .has_expired = is_whole ? has_expired : NULL};
    const compact_job job = {
        .version = p->pinned,
        .facts = &p->facts,
        .plan = &p->plan,
        .choices = p->choices,
        .moments = {c->moments.at, c->moments.count},
        .separation_bytes = store_value_separation_bytes(c->store),
        .values_cut_bytes = tree_compaction_settings(c->store).partition_bytes,
        .calls = &calls};
    const _Atomic uint64_t *run_bytes =
        &c->store->region.header->tree.run_bytes;
    uint64_t values_bytes = 0;
    compact_result result;
    cask_status status = compact_job_run(&job, &result, err);
    uint64_t before = atomic_load(run_bytes); /* flushes came meanwhile */

    if (status != CASK_OK) {
        return status;
    }
    status = version_apply(tree_state_of(c->store)->versions, &result.edit,
                           &values_bytes, err);
    if (status == CASK_OK) {
        add_result(&result, did);
        did->bytes_freed += values_bytes;
        did->bytes_written = atomic_load(run_bytes) - before;
    }
    for (size_t i = 0;
         i < result.outputs && status != CASK_OK && status != CASK_POISONED;
         i++) {
        discard_run(c, result.adds[i].id);
    }
    compact_result_free(&result);
    return status;
}

static void add_merged(tree_merged *sum, const tree_merged *did)
{
    sum->compactions += did->compactions;
    sum->inputs += did->inputs;
    sum->outputs += did->outputs;
    sum->bytes_read += did->bytes_read;
    sum->bytes_written += did->bytes_written;
    sum->bytes_freed += did->bytes_freed;
    sum->records += did->records;
    sum->tombstones_dropped += did->tombstones_dropped;
}

/* A record of a run is damaged: it stays, with all that is older, and the
 * others go on. */
static cask_status leave_out(store_handle *store, uint64_t id,
                             cask_status status, const cask_error *err)
{
    if (!versions_hold(tree_state_of(store)->versions, id)) {
        return status;
    }
    store_event(store, CASK_EVENT_DAMAGE, CASK_CORRUPT,
                "%016" PRIx64 ".run is not compacted any more, nor is what is "
                "older: %s",
                id, err == NULL ? "a record is damaged" : err->message);
    return CASK_OK;
}

/* Whoever asked is told that not all could be merged. */
static cask_status check_held(store_handle *store, cask_error *err)
{
    versions *all = tree_state_of(store)->versions;
    const version *pinned;
    cask_status status = version_pin(all, &pinned, err);
    bool is_held;

    if (status != CASK_OK) {
        return status;
    }
    is_held = pinned->held > 0 || pinned->broken_count > 0;
    version_unpin(all, pinned);
    return is_held ? fail(err, CASK_CORRUPT, 0,
                          "%s: a run is damaged: it was left as it is, and so "
                          "were those that are older; restore it from a "
                          "backup, or see 'caskade verify' and 'caskade "
                          "repair'",
                          store->path)
                   : CASK_OK;
}

/* Plan after plan, as is wished. */
typedef struct turn {
    tree_wish wish;
    tree_all all;
} turn;

/* ret_is_due: false: nothing was. */
static cask_status compact_once(store_handle *store, turn *t,
                                tree_merged *merged, bool *ret_is_due,
                                cask_error *err)
{
    tree_all *all = t->wish.all ? &t->all : NULL;
    compacting c = {.store = store};
    tree_merged did = {.inputs = 0};
    tree_plan p = {.pinned = NULL};
    cask_status status = tree_plan_make(store, t->wish.is_asked, all, &p, err);

    c.pinned = p.pinned;
    *ret_is_due = status == CASK_OK && p.plan.count > 0;
    if (*ret_is_due) {
        begin_one(&c, &p);
        /* The time first: what a snapshot that is taken between the two sees
         * is among the moments. */
        store_expiry_now(store, t->wish.is_asked, &c.expiry);
        tree_moments_find(store, &c.moments);
        status = carry_out(&c, &p, &did, err);
        end_one(&c, &p, &did, status);
        add_merged(merged, &did);
    }
    if (*ret_is_due && status == CASK_OK && all != NULL) {
        status = tree_plan_advance(&p, all, err);
    }
    if (status == CASK_CORRUPT && c.damaged != 0) {
        status = leave_out(store, c.damaged, status, err);
    }
    tree_plan_free(store, &p);
    return status;
}

/* ---- A turn ---- */

/* Before the memtables are flushed: then nothing of the log is left, but what
 * is written meanwhile. A disk that has no room for another segment does not
 * end what gives space back. */
static cask_status seal_log(store_handle *store, cask_error *err)
{
    cask_status status = store_rotate(store, err);

    return status == CASK_NO_SPACE ? CASK_OK : status;
}

static cask_status take_turn(store_handle *store, turn *t, tree_merged *merged,
                             cask_error *err)
{
    bool is_due = true;
    cask_status status = CASK_OK;

    /* Of one who died. */
    atomic_store(&merge_of(store)->phase, MERGE_NONE);
    if (t->wish.all) {
        status = seal_log(store, err);
    }
    if (status == CASK_OK) {
        status = tree_flush_held(store, t->wish.is_asked, err);
    }
    while (status == CASK_OK && is_due) {
        status = check_cancelled(store, err);
        if (status == CASK_OK && !t->wish.is_asked &&
            merge_wish_is_waiting(store)) {
            break;
        }
        if (status == CASK_OK && tree_flush_is_due(store)) {
            status = tree_flush_held(store, false, err);
        }
        if (status == CASK_OK) {
            status = compact_once(store, t, merged, &is_due, err);
        }
        is_due = is_due && !t->all.is_done;
    }
    return status == CASK_OK && t->wish.is_asked ? check_held(store, err)
                                                 : status;
}

cask_status tree_turn_lock(store_handle *store, uint64_t patience_ms,
                           cask_error *err)
{
    uint64_t waited_ms = 0;
    cask_status status = store_merge_lock(store, err);

    while (status == CASK_BUSY && waited_ms < patience_ms) {
        merge_wish_wait(store);
        store->os->ops->sleep_ms(store->os, BUSY_MS);
        waited_ms += BUSY_MS;
        status = store_merge_lock(store, err);
    }
    return status;
}

cask_status tree_compact(store_handle *store, tree_wish wish,
                         tree_merged *ret_merged, cask_error *err)
{
    uint32_t seen = atomic_load(&merge_of(store)->cancel);
    turn t = {.wish = wish};
    cask_status status = tree_turn_lock(store, wish.patience_ms, err);

    *ret_merged = (tree_merged){.inputs = 0};
    if (status != CASK_OK) {
        return status;
    }
    store->cancel_seen = seen;
    store_window_bind(store, !wish.is_asked);
    status = take_turn(store, &t, ret_merged, err);
    cask_buffer_free(&t.all.from);
    store_window_bind(store, false);
    store_merge_unlock(store);
    store_merge_tidy(store);
    return status;
}
