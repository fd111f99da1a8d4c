/*
 * Taking runs in, see tree_ingest.h.
 */
#include "tree/tree_ingest.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/key_order.h"
#include "store/store_merge.h"
#include "tree/tree.h"
#include "tree/tree_compact.h"
#include "tree/tree_flush.h"
#include "tree/tree_gate.h"
#include "tree/tree_segments.h"

enum {
    ROUNDS = 4,            /* of flushes before the gate is closed */
    LITTLE_BYTES = 1 << 20 /* of the log, to be flushed behind it */
};

/* Sequences that one run may take, so that a few cannot use up all. */
static const uint64_t SEQUENCES_MOST = UINT64_C(1) << 48;

typedef struct ingesting {
    store_handle *store;
    const tree_ingest_job *job;
    uint64_t bytes_done;
    uint64_t bytes_total;
    ingest_copy *copies; /* job->count of them */
    ingest_copy **order; /* those that have records, by their smallest keys */
    version_add *adds;   /* of each that has records, in the order of the job */
    size_t add_count;
} ingesting;

/* ---- Copies ---- */

/* Memtables go on being flushed meanwhile. */
static cask_status go_on(void *context, uint64_t bytes, cask_error *err)
{
    ingesting *g = context;
    const tree_ingest_job *job = g->job;
    const region_tree *tree = &g->store->region.header->tree;

    g->bytes_done += bytes;
    if (g->bytes_done > g->bytes_total) {
        g->bytes_done = g->bytes_total; /* a file grows meanwhile */
    }
    if (job->on_progress != NULL &&
        !job->on_progress(job->context, g->bytes_done, g->bytes_total)) {
        return fail(err, CASK_TIMEOUT, 0,
                    "%s: the taking in of runs was stopped; nothing was "
                    "changed",
                    g->store->path);
    }
    return region_tables_count(atomic_load(&tree->tables)) > 1
               ? tree_flush_meanwhile(g->store, err)
               : CASK_OK;
}

/* Each is read twice: to be copied, and to be verified. */
static cask_status look_at_all(ingesting *g, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < g->job->count && status == CASK_OK; i++) {
        uint64_t bytes = 0;

        status = ingest_look(&g->job->sources[i], &bytes, err);
        g->bytes_total += 2 * bytes;
    }
    return status;
}

static uint64_t span_of(const cask_run *run)
{
    return run->footer.last_sequence - run->footer.first_sequence + 1;
}

static cask_status check_span(const cask_run *run, const ingest_source *source,
                              cask_error *err)
{
    if (run->footer.records > 0 && span_of(run) > SEQUENCES_MOST) {
        return fail(err, CASK_INVALID, 0,
                    "%s: its sequences are from %" PRIu64 " to %" PRIu64
                    ", expected at most 2^48 of them; build it with others",
                    source->path, run->footer.first_sequence,
                    run->footer.last_sequence);
    }
    return CASK_OK;
}

static cask_status copy_all(ingesting *g, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < g->job->count && status == CASK_OK; i++) {
        const ingest_source *source = &g->job->sources[i];

        status =
            ingest_take_copy(g->store, source, go_on, g, &g->copies[i], err);
        if (status == CASK_OK) {
            status = check_span(g->copies[i].run, source, err);
        }
    }
    return status;
}

/* ---- Where they come ---- */

static int by_smallest(const void *left, const void *right)
{
    const ingest_copy *a = *(ingest_copy *const *)left;
    const ingest_copy *b = *(ingest_copy *const *)right;

    return key_compare(a->run->smallest, b->run->smallest);
}

/* Whether they may be parts of one run, of which a look-up goes to one. */
static bool are_apart(const ingesting *g)
{
    for (size_t i = 1; i < g->add_count; i++) {
        const cask_run *a = g->order[i - 1]->run;
        const cask_run *b = g->order[i]->run;

        if (key_compare(a->largest, b->smallest) >= 0 ||
            key_compare(a->end, b->smallest) > 0) {
            return false;
        }
    }
    return true;
}

/* All but what is added to sequences. */
static void place(ingesting *g, uint32_t next_run)
{
    bool are_parts;
    size_t count = 0;

    g->add_count = 0;
    for (size_t i = 0; i < g->job->count; i++) {
        if (g->copies[i].run->footer.records > 0) {
            g->order[g->add_count++] = &g->copies[i];
        }
    }
    qsort(g->order, g->add_count, sizeof(ingest_copy *), by_smallest);
    are_parts = are_apart(g);
    for (size_t i = 0; i < g->job->count; i++) {
        if (g->copies[i].run->footer.records > 0) {
            g->adds[count] = (version_add){
                .id = g->copies[i].id,
                .run = next_run + (are_parts ? 0 : (uint32_t)count)};
            count++;
        }
    }
}

static uint64_t sum_spans(const ingesting *g)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < g->add_count; i++) {
        sum += span_of(g->order[i]->run);
    }
    return sum;
}

/* The first follows `before`, and each the one in front of it. */
static void number(ingesting *g, uint64_t before)
{
    size_t count = 0;

    for (size_t i = 0; i < g->job->count; i++) {
        const cask_run *run = g->copies[i].run;

        if (run->footer.records > 0) {
            g->adds[count++].added =
                (int64_t)before + 1 - (int64_t)run->footer.first_sequence;
            before += span_of(run);
        }
    }
}

/* ---- Coming ---- */

static cask_status next_run(store_handle *store, uint32_t *ret_run,
                            cask_error *err)
{
    versions *all = tree_state_of(store)->versions;
    const version *pinned;
    cask_status status = version_pin(all, &pinned, err);

    if (status == CASK_OK) {
        *ret_run = pinned->next_run;
        version_unpin(all, pinned);
    }
    return status;
}

/* Behind the gate. */
static cask_status add_all(ingesting *g, tree_ingested *did, cask_error *err)
{
    store_handle *store = g->store;
    version_edit edit = {.adds = g->adds, .takes_in = true};
    uint32_t run = 0;
    uint64_t before = 0;
    cask_status status = tree_flush_newest(store, err);

    if (status == CASK_OK) {
        status = next_run(store, &run, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    place(g, run);
    if (g->add_count == 0) {
        return CASK_OK;
    }
    status = tree_gate_take(store, sum_spans(g), &before, err);
    if (status == CASK_OK) {
        number(g, before);
        edit.add_count = g->add_count;
        edit.flushed = before + sum_spans(g);
        did->sequence = edit.flushed;
        status =
            version_apply(tree_state_of(store)->versions, &edit, NULL, err);
    }
    return status;
}

static cask_status take_in(ingesting *g, tree_ingested *did, cask_error *err)
{
    store_handle *store = g->store;
    const region_tree *tree = &store->region.header->tree;
    cask_status status = tree_flush_newest(store, err);

    for (int i = 1; i < ROUNDS && status == CASK_OK &&
                    atomic_load(&tree->taken_bytes) > LITTLE_BYTES;
         i++) {
        status = tree_flush_newest(store, err);
    }
    if (status == CASK_OK) {
        status = tree_gate_close(store, err);
    }
    if (status == CASK_OK) {
        status = add_all(g, did, err);
        /* If that fails the next turn opens it, and writers see to it. */
        (void)tree_gate_open(store, NULL);
    }
    if (status == CASK_OK) {
        (void)tree_segments_drop(store, NULL); /* there is another time */
    }
    return status;
}

/* ---- The whole ---- */

static void count(store_handle *store, const tree_ingested *did)
{
    region_tree *tree = &store->region.header->tree;

    atomic_fetch_add(&tree->ingested_runs, did->runs);
    atomic_fetch_add(&tree->ingested_bytes, did->bytes);
}

static cask_status turn(ingesting *g, tree_ingested *did, cask_error *err)
{
    cask_status status = tree_flush_held(g->store, false, err);

    if (status == CASK_OK) {
        status = copy_all(g, err);
    }
    if (status == CASK_OK) {
        status = take_in(g, did, err);
    }
    for (size_t i = 0; i < g->add_count && status == CASK_OK; i++) {
        const cask_run *run = g->order[i]->run;

        did->runs++;
        did->bytes += run->size;
        did->records += run->footer.records;
        did->keys += run->footer.keys;
    }
    count(g->store, did);
    for (size_t i = 0; i < g->job->count; i++) {
        ingest_copy *copy = &g->copies[i];
        bool is_part = status == CASK_OK && copy->run->footer.records > 0;

        ingest_end_copy(g->store, copy, is_part || status == CASK_POISONED);
    }
    return status;
}

static cask_status take_turn(ingesting *g, tree_ingested *did, cask_error *err)
{
    store_handle *store = g->store;
    cask_status status = look_at_all(g, err);

    if (status == CASK_OK) {
        status = tree_turn_lock(store, store->options.lock_timeout_ms, err);
    }
    if (status == CASK_OK) {
        status = turn(g, did, err);
        store_merge_unlock(store);
        store_merge_tidy(store);
        store_merge_wake(store);
    }
    return status;
}

cask_status tree_ingest(store_handle *store, const tree_ingest_job *job,
                        tree_ingested *ret_ingested, cask_error *err)
{
    ingesting g = {.store = store,
                   .job = job,
                   .copies = calloc(job->count + 1, sizeof(ingest_copy)),
                   .order = calloc(job->count + 1, sizeof(ingest_copy *)),
                   .adds = calloc(job->count + 1, sizeof(version_add))};
    cask_status status;

    *ret_ingested = (tree_ingested){.runs = 0};
    status = g.copies == NULL || g.order == NULL || g.adds == NULL
                 ? fail_memory(err, job->count * sizeof(ingest_copy))
                 : take_turn(&g, ret_ingested, err);
    if (status == CASK_OK && ret_ingested->runs > 0) {
        store_event(
            store, CASK_EVENT_INGESTED, CASK_OK,
            "took %" PRIu64 " runs in: %" PRIu64 " records, %" PRIu64 " bytes",
            ret_ingested->runs, ret_ingested->records, ret_ingested->bytes);
    }
    free(g.copies);
    free(g.order);
    free(g.adds);
    return status;
}
