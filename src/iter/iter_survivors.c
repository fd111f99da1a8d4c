/*
 * What is left of merged inputs, see iter_survivors.h.
 *
 * Records come newest first, so whether a tombstone may go is known only when
 * an older version of its key stays, or the key is over. Until then it waits in
 * a queue, one for each moment at most, with the ranges that begin at the same
 * key. A put needs no queue: it is given out where the merge is.
 */
#include "iter/iter_survivors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "iter/iter_merge.h"

struct iter_survivors {
    iter_merge *merge;
    iter_survivors_options options;
    size_t own_input; /* the ranges', the last one */
    iter_ranges_cursor cursor;
    cask_status status; /* of the last call that was not CASK_OK */
    bool has_begun;
    bool is_weighed; /* what was to be done with where the merge is was done */

    cask_slice key;   /* the one in hand */
    cask_buffer kept; /* its bytes, if those of the input do not last */
    bool has_key;
    size_t moment; /* of the last version seen of it; moments.count: none */

    cask_run_entry *queue; /* of the key in hand: tombstones, ranges */
    size_t queued;
    size_t ready; /* of these, to be given out for certain */
    size_t given; /* of these, given out */
    bool has_put; /* where the merge is: to be given out after the queue */
    iter_survivors_counts counts;
};

/* ---- Queue -------------------------------------------------------------- */

static void enqueue(iter_survivors *it, const cask_run_entry *entry)
{
    it->queue[it->queued++] = *entry;
    if (!it->options.drop_tombstones) {
        it->ready = it->queued;
    }
}

/* An older version stays, so all that waits for it does. */
static void keep_queue(iter_survivors *it)
{
    it->ready = it->queued;
}

/* The key is over: tombstones that still wait hide nothing. */
static void prune_queue(iter_survivors *it)
{
    size_t kept = it->ready;

    for (size_t i = it->ready; i < it->queued; i++) {
        if (it->queue[i].kind == CASK_RUN_DELETE_RANGE) {
            it->queue[kept++] = it->queue[i];
        } else {
            it->counts.tombstones_gone++;
        }
    }
    it->queued = kept;
    it->ready = kept;
}

/* ---- One record --------------------------------------------------------- */

static bool is_hidden(const iter_survivors *it, const cask_run_entry *entry)
{
    iter_ranges *ranges = it->options.ranges;

    return ranges != NULL &&
           iter_ranges_newest(ranges, it->moment, entry->key) >
               entry->info.sequence;
}

static void queue_tombstone(iter_survivors *it, const cask_run_entry *entry)
{
    const cask_run_entry tombstone = {.kind = CASK_RUN_DELETE,
                                      .key = it->key,
                                      .info = {.sequence = entry->info.sequence,
                                               .time_s = entry->info.time_s}};

    it->counts.expired += entry->kind != CASK_RUN_DELETE ? 1 : 0;
    enqueue(it, &tombstone);
}

static cask_status weigh_range(iter_survivors *it, const cask_run_entry *entry,
                               cask_error *err)
{
    if (iter_merge_input(it->merge) == it->own_input) {
        enqueue(it, entry);
    } else if (it->options.ranges == NULL) {
        return fail(err, CASK_INVALID, 0,
                    "input %zu has deletions of ranges, but none were given",
                    iter_merge_input(it->merge));
    }
    return CASK_OK; /* those of the inputs are in the set */
}

/* Where the merge is, is a record of the key in hand. */
static cask_status weigh(iter_survivors *it, cask_error *err)
{
    const cask_run_entry *entry = iter_merge_entry(it->merge);
    const iter_survivors_options *options = &it->options;
    size_t moment;

    it->is_weighed = true;
    if (entry->kind == CASK_RUN_DELETE_RANGE) {
        return weigh_range(it, entry, err);
    }
    it->counts.read++;
    moment = iter_moment_of(options->moments, entry->info.sequence);
    if (moment == it->moment) {
        it->counts.replaced++;
        return CASK_OK;
    }
    if (moment > it->moment) { /* the queue has room for one of each */
        return fail(err, CASK_CORRUPT, 0,
                    "input %zu is not sorted: sequence %" PRIu64
                    " comes behind an older one of the same key",
                    iter_merge_input(it->merge), entry->info.sequence);
    }
    it->moment = moment;
    if (is_hidden(it, entry)) {
        it->counts.hidden++;
    } else if (entry->kind == CASK_RUN_DELETE ||
               (options->is_expired != NULL &&
                options->is_expired(options->context, entry))) {
        queue_tombstone(it, entry);
    } else {
        it->has_put = true;
        keep_queue(it);
    }
    return CASK_OK;
}

/* ---- Keys --------------------------------------------------------------- */

static cask_status begin_key(iter_survivors *it, cask_error *err)
{
    cask_status status = CASK_OK;

    it->queued = 0;
    it->ready = 0;
    it->given = 0;
    it->moment = it->options.moments.count;
    it->key = iter_merge_entry(it->merge)->key;
    it->has_key = true;
    if (!iter_merge_is_stable(it->merge)) {
        it->kept.size = 0;
        status = buffer_append(&it->kept, it->key.data, it->key.size, err);
        it->key.data = it->kept.data;
    }
    return status;
}

static cask_status move(iter_survivors *it, cask_error *err)
{
    cask_slice lower = it->options.bounds.lower;
    cask_run_seek how = lower.data != NULL ? CASK_RUN_AT_LEAST : CASK_RUN_FIRST;
    cask_status status = it->has_begun
                             ? iter_merge_next(it->merge, err)
                             : iter_merge_seek(it->merge, how, lower, err);

    it->has_begun = true;
    it->is_weighed = false;
    if (status == CASK_OK &&
        iter_is_above(&it->options.bounds, iter_merge_entry(it->merge)->key)) {
        status = CASK_NOT_FOUND;
    }
    return status;
}

/*
 * Look at one more record. If it is of another key, what waits of the last one
 * goes out first, and the record is looked at by the next call.
 */
static cask_status look(iter_survivors *it, cask_error *err)
{
    cask_status status = CASK_OK;

    if (it->is_weighed || !it->has_begun) {
        status = move(it, err);
    }
    if (status == CASK_NOT_FOUND) {
        prune_queue(it);
    }
    if (status != CASK_OK) {
        return status;
    }
    if (!it->has_key ||
        key_compare(iter_merge_entry(it->merge)->key, it->key) != 0) {
        prune_queue(it);
        if (it->given < it->ready) {
            return CASK_OK;
        }
        status = begin_key(it, err);
    }
    return status == CASK_OK ? weigh(it, err) : status;
}

/* ---- Calls -------------------------------------------------------------- */

/* Give out what is certain; false: nothing is. */
static bool give(iter_survivors *it, const cask_run_entry **ret_entry)
{
    if (it->given < it->ready) {
        *ret_entry = &it->queue[it->given++];
        if ((*ret_entry)->kind == CASK_RUN_DELETE_RANGE) {
            it->counts.ranges_kept++;
        } else {
            it->counts.deletes++;
        }
        return true;
    }
    if (it->has_put) {
        *ret_entry = iter_merge_entry(it->merge);
        it->has_put = false;
        it->counts.kept++;
        return true;
    }
    return false;
}

cask_status iter_survivors_next(iter_survivors *it,
                                const cask_run_entry **ret_entry,
                                cask_error *err)
{
    while (!give(it, ret_entry)) {
        if (it->status == CASK_OK) {
            it->status = look(it, err);
        } else {
            if (it->status != CASK_NOT_FOUND) {
                return fail(err, it->status, 0, "the merge has failed before");
            }
            return CASK_NOT_FOUND;
        }
        if (it->status != CASK_OK && it->status != CASK_NOT_FOUND) {
            return it->status;
        }
    }
    return CASK_OK;
}

iter_survivors_counts iter_survivors_count(const iter_survivors *it)
{
    return it->counts;
}

/* ---- The whole ---------------------------------------------------------- */

/* The merge is of the inputs and of the ranges, the last one. */
static cask_status make_merge(iter_survivors *it, const iter_input *inputs,
                              size_t count, cask_error *err)
{
    const iter_survivors_options *options = &it->options;
    bool has_ranges = options->ranges != NULL;
    iter_input *all = calloc(count + 1, sizeof(*all));
    cask_status status;

    if (all == NULL) {
        return fail_memory(err, (count + 1) * sizeof(*all));
    }
    if (count > 0) {
        memcpy(all, inputs, count * sizeof(*all));
    }
    it->own_input = count;
    /* Ranges older than all snapshots have done all they can if nothing lies
     * below. */
    it->cursor =
        (iter_ranges_cursor){.set = options->ranges,
                             .first_moment = options->drop_tombstones ? 1 : 0};
    all[count] = (iter_input){
        .ops = &iter_ranges_ops, .self = &it->cursor, .is_stable = true};
    status = iter_merge_create(all, count + (has_ranges ? 1 : 0),
                               has_ranges ? 0 : options->shared_bytes,
                               &it->merge, err);
    free(all);
    return status;
}

cask_status iter_survivors_create(const iter_input *inputs, size_t count,
                                  const iter_survivors_options *options,
                                  iter_survivors **ret_iterator,
                                  cask_error *err)
{
    iter_survivors *it = calloc(1, sizeof(*it));
    size_t moments = options->moments.count;
    cask_status status;

    assert(moments > 0 && options->moments.at[moments - 1] == UINT64_MAX);
    if (it == NULL) {
        return fail_memory(err, sizeof(*it));
    }
    it->options = *options;
    /* Of each moment a tombstone and a piece of a range. */
    it->queue = calloc(moments, 2 * sizeof(*it->queue));
    status = it->queue != NULL
                 ? make_merge(it, inputs, count, err)
                 : fail_memory(err, moments * 2 * sizeof(*it->queue));
    if (status != CASK_OK) {
        iter_survivors_free(it);
        return status;
    }
    *ret_iterator = it;
    return CASK_OK;
}

void iter_survivors_free(iter_survivors *iterator)
{
    if (iterator == NULL) {
        return;
    }
    iter_merge_free(iterator->merge);
    cask_buffer_free(&iterator->kept);
    free(iterator->queue);
    free(iterator);
}
