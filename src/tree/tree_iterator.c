/*
 * Walking over a tree, see tree_iterator.h.
 *
 * What a walk reads from is found when it is first moved, and again when a
 * memtable went: all that it had is in a run then, and since the snapshot keeps
 * what it sees, the same keys are found there. The walk goes on from its key,
 * of which it keeps a copy.
 */
#include "tree/tree_iterator.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "store/store_settings.h"

struct tree_iterator {
    const store_snapshot *at;
    bool keys_only;
    tree_wanted wanted; /* its slices are in the buffers */
    cask_buffer lower;
    cask_buffer upper;
    cask_buffer prefix;
    tree_sources sources;
    iter_visible *visible; /* of the sources; NULL: they are not open */
    bool is_somewhere;
    cask_buffer key; /* where it is */
};

/* ---- Bounds ------------------------------------------------------------- */

static cask_status keep(cask_buffer *buffer, cask_slice bytes, cask_error *err)
{
    cask_status status;

    buffer->size = 0;
    /* One more: an empty one is a bound as well. */
    status = buffer_reserve(buffer, bytes.size + 1, err);
    return status == CASK_OK
               ? buffer_append(buffer, bytes.data, bytes.size, err)
               : status;
}

static cask_slice slice_of(const cask_buffer *buffer)
{
    return (cask_slice){buffer->data, buffer->size};
}

/* The first key behind all that begin with the prefix: its last byte that can
 * be greater is. False: there is none. */
static bool follow_prefix(cask_buffer *prefix)
{
    uint8_t *bytes = prefix->data;

    while (prefix->size > 0 && bytes[prefix->size - 1] == UINT8_MAX) {
        prefix->size--;
    }
    if (prefix->size > 0) {
        bytes[prefix->size - 1]++;
    }
    return prefix->size > 0;
}

/* Keys that begin with it are a range, too; of two bounds the narrower. */
static cask_status take_prefix(tree_iterator *it, const iter_bounds *bounds,
                               cask_slice prefix, cask_error *err)
{
    cask_buffer end = {0};
    cask_status status = keep(&it->prefix, prefix, err);

    if (status == CASK_OK && !iter_is_below(bounds, prefix)) {
        status = keep(&it->lower, prefix, err);
    }
    if (status == CASK_OK) {
        status = keep(&end, prefix, err);
    }
    if (status == CASK_OK && follow_prefix(&end) &&
        !iter_is_above(bounds, slice_of(&end))) {
        status = keep(&it->upper, slice_of(&end), err);
    }
    cask_buffer_free(&end);
    return status;
}

static cask_status take_bounds(tree_iterator *it,
                               const tree_iterator_options *options,
                               cask_error *err)
{
    const iter_bounds *bounds = &options->bounds;
    cask_status status = CASK_OK;

    if (bounds->lower.data != NULL) {
        status = keep(&it->lower, bounds->lower, err);
    }
    if (status == CASK_OK && bounds->upper.data != NULL) {
        status = keep(&it->upper, bounds->upper, err);
    }
    if (status == CASK_OK && options->prefix.size > 0) {
        status = take_prefix(it, bounds, options->prefix, err);
    }
    it->wanted.prefix = slice_of(&it->prefix);
    it->wanted.bounds.lower = slice_of(&it->lower);
    it->wanted.bounds.upper = slice_of(&it->upper);
    return status;
}

/* ---- Sources ------------------------------------------------------------ */

/* By the clock of the snapshot. */
static bool is_expired(void *context, const cask_run_entry *entry)
{
    const tree_iterator *it = context;

    return store_is_past(it->at->moment_ms, it->at->expiry_seconds,
                         entry->info.time_s, entry->info.expires_at_ms);
}

static void close_sources(tree_iterator *it)
{
    iter_visible_free(it->visible);
    it->visible = NULL;
    tree_sources_close(&it->sources);
}

static cask_status open_sources(tree_iterator *it, cask_error *err)
{
    cask_status status =
        tree_sources_open(it->at->store, &it->wanted, &it->sources, err);

    if (status == CASK_OK) {
        const iter_visible_options options = {.sequence = it->wanted.sequence,
                                              .bounds = it->wanted.bounds,
                                              .ranges = it->sources.ranges,
                                              .is_expired = is_expired,
                                              .context = it};

        status =
            iter_visible_create(it->sources.inputs, it->sources.input_count,
                                &options, &it->visible, err);
    }
    if (status != CASK_OK) {
        close_sources(it);
    }
    return status;
}

/* ---- Moving ------------------------------------------------------------- */

typedef enum walk_kind { WALK_SEEK, WALK_NEXT, WALK_PREVIOUS } walk_kind;

typedef struct walk_step {
    walk_kind kind;
    cask_run_seek how; /* of a seek */
    cask_slice key;
} walk_step;

static cask_status step_on(tree_iterator *it, walk_kind kind,
                           const cask_run_entry **ret_entry, cask_error *err)
{
    return kind == WALK_NEXT
               ? iter_visible_next(it->visible, ret_entry, err)
               : iter_visible_previous(it->visible, ret_entry, err);
}

/* In sources that were just opened: from the key where the walk is. */
static cask_status go_on(tree_iterator *it, walk_kind kind,
                         const cask_run_entry **ret_entry, cask_error *err)
{
    cask_slice key = slice_of(&it->key);
    cask_status status = iter_visible_seek(
        it->visible, kind == WALK_NEXT ? CASK_RUN_AT_LEAST : CASK_RUN_AT_MOST,
        key, ret_entry, err);

    return status == CASK_OK && key_compare((*ret_entry)->key, key) == 0
               ? step_on(it, kind, ret_entry, err)
               : status;
}

static cask_status try_move(tree_iterator *it, const walk_step *step,
                            const cask_run_entry **ret_entry, cask_error *err)
{
    bool is_new = it->visible == NULL;
    cask_status status = is_new ? open_sources(it, err) : CASK_OK;

    if (status != CASK_OK) {
        return status;
    }
    if (step->kind == WALK_SEEK) {
        return iter_visible_seek(it->visible, step->how, step->key, ret_entry,
                                 err);
    }
    return is_new ? go_on(it, step->kind, ret_entry, err)
                  : step_on(it, step->kind, ret_entry, err);
}

/* Lend what is seen. A walk over runs alone needs no copy of the key: they stay
 * until the iterator is freed. */
static cask_status arrive(tree_iterator *it, const cask_run_entry *found,
                          cask_entry *ret_entry, cask_error *err)
{
    cask_slice value = found->value;
    cask_status status = CASK_OK;

    if (found->kind == CASK_RUN_POINTER && !it->keys_only) {
        status = version_read_value(it->sources.version, found, &value, err);
    }
    if (status == CASK_OK && it->sources.tables.count > 0) {
        status = keep(&it->key, found->key, err);
    }
    if (status == CASK_OK) {
        *ret_entry = (cask_entry){.key = found->key, .info = found->info};
        if (!it->keys_only) {
            ret_entry->value = value;
        }
        it->is_somewhere = true;
    }
    return status;
}

static cask_status move(tree_iterator *it, const walk_step *step,
                        cask_entry *ret_entry, cask_error *err)
{
    const cask_run_entry *found = NULL;
    cask_status status;

    it->is_somewhere = false;
    for (;;) {
        status = try_move(it, step, &found, err);
        if (it->visible == NULL || !tree_sources_are_gone(&it->sources)) {
            break;
        }
        close_sources(it);
    }
    if (store_snapshot_is_lost(it->at)) {
        return store_snapshot_fail_lost(it->at, err);
    }
    return status == CASK_OK ? arrive(it, found, ret_entry, err) : status;
}

cask_status tree_iterator_seek(tree_iterator *it, cask_run_seek how,
                               cask_slice key, cask_entry *ret_entry,
                               cask_error *err)
{
    const walk_step step = {WALK_SEEK, how, key};

    return move(it, &step, ret_entry, err);
}

static cask_status move_on(tree_iterator *it, walk_kind kind,
                           cask_entry *ret_entry, cask_error *err)
{
    const walk_step step = {.kind = kind};

    return it->is_somewhere ? move(it, &step, ret_entry, err)
                            : fail(err, CASK_INVALID, 0,
                                   "the iterator is nowhere: seek first");
}

cask_status tree_iterator_next(tree_iterator *it, cask_entry *ret_entry,
                               cask_error *err)
{
    return move_on(it, WALK_NEXT, ret_entry, err);
}

cask_status tree_iterator_previous(tree_iterator *it, cask_entry *ret_entry,
                                   cask_error *err)
{
    return move_on(it, WALK_PREVIOUS, ret_entry, err);
}

/* ---- The whole ---------------------------------------------------------- */

cask_status tree_iterator_create(const store_snapshot *at,
                                 const tree_iterator_options *options,
                                 tree_iterator **ret_iterator, cask_error *err)
{
    tree_iterator *it = calloc(1, sizeof(*it));
    cask_status status;

    if (it == NULL) {
        return fail_memory(err, sizeof(*it));
    }
    it->keys_only = options->keys_only;
    tree_iterator_look_at(it, at);
    status = take_bounds(it, options, err);
    if (status != CASK_OK) {
        tree_iterator_free(it);
        return status;
    }
    *ret_iterator = it;
    return CASK_OK;
}

void tree_iterator_free(tree_iterator *iterator)
{
    if (iterator == NULL) {
        return;
    }
    close_sources(iterator);
    cask_buffer_free(&iterator->lower);
    cask_buffer_free(&iterator->upper);
    cask_buffer_free(&iterator->prefix);
    cask_buffer_free(&iterator->key);
    free(iterator);
}

void tree_iterator_look_at(tree_iterator *it, const store_snapshot *at)
{
    close_sources(it);
    it->at = at;
    it->wanted.sequence = at->sequence;
    it->is_somewhere = false;
}
