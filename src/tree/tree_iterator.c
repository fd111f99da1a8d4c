/*
 * Walking over a tree, see tree_iterator.h.
 *
 * What a walk reads from is found when it is first moved, and again when a
 * memtable went: all that it had is in a run then, and since the snapshot keeps
 * what it sees, the same keys are found there. The walk goes on from its key,
 * of which it keeps a copy.
 *
 * Records of runs that are damaged are passed over. Each may be the newest of
 * its key, and hide what other runs have of that: so from then on what is found
 * is shown only if a look-up, which fails if it meets the damage, finds the
 * same.
 */
#include "tree/tree_iterator.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buffer.h"
#include "store/store_settings.h"
#include "tree/tree_snapshot.h"

/* A damaged record that was told. */
typedef struct walk_damage {
    uint64_t nonce; /* of its file */
    uint64_t offset;
} walk_damage;

/* What a walk had found when it told of damage. */
typedef struct walk_held {
    bool is_there;
    bool is_back;                /* found going back */
    const cask_run_entry *entry; /* NULL: the end */
} walk_held;

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
    walk_held held;

    run_passing passing; /* for the runs */
    bool has_passed;
    walk_damage *damages; /* owned */
    size_t damage_count;
    size_t damage_capacity;
    cask_error untold;     /* status CASK_OK: nothing is */
    cask_slice untold_key; /* as it reads there; data NULL: not known */
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

/* ---- Damage ------------------------------------------------------------- */

static bool is_told(const tree_iterator *it, const walk_damage *place)
{
    for (size_t i = 0; i < it->damage_count; i++) {
        if (it->damages[i].nonce == place->nonce &&
            it->damages[i].offset == place->offset) {
            return true;
        }
    }
    return false;
}

/* As of run_passing. */
static void pass(void *context, const cask_run *run, uint64_t offset)
{
    tree_iterator *it = context;
    const walk_damage place = {run->footer.nonce, offset};
    walk_damage *damages;
    run_record record;

    it->has_passed = true;
    if (is_told(it, &place)) {
        return;
    }
    damages = array_grow(it->damages, it->damage_count, &it->damage_capacity,
                         sizeof(*damages), NULL);
    if (damages != NULL) { /* else it is told again */
        it->damages = damages;
        it->damages[it->damage_count++] = place;
    }
    if (it->untold.status == CASK_OK) {
        it->untold_key = run_read_header(run, offset, &record, NULL) == CASK_OK
                             ? run_record_key(&record)
                             : (cask_slice){NULL, 0};
        if (run_read_record(run, offset, &record, &it->untold) == CASK_OK) {
            (void)fail(&it->untold, CASK_CORRUPT, 0,
                       "%s: offset %" PRIu64 ": the records behind it do not "
                       "lead on",
                       run->name, offset);
        }
    }
}

/* Whether what was found is the newest of its key for all that can be read.
 * CASK_NOT_FOUND: a damaged record, which is told, may be newer. */
static cask_status check_newest(const tree_iterator *it,
                                const cask_run_entry *found, cask_error *err)
{
    uint64_t sequence = 0;
    cask_status status = tree_snapshot_find(it->at, found->key, &sequence, err);

    if (status == CASK_CORRUPT) {
        return CASK_NOT_FOUND;
    }
    return status == CASK_OK && sequence != found->info.sequence
               ? CASK_NOT_FOUND
               : status;
}

static void forget_damage(tree_iterator *it)
{
    it->has_passed = false;
    it->damage_count = 0;
    it->untold.status = CASK_OK;
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

/* A walk over runs alone needs no copy of the key: they stay until the iterator
 * is freed. */
static cask_status note_key(tree_iterator *it, const cask_run_entry *found,
                            cask_error *err)
{
    return it->sources.tables.count > 0 ? keep(&it->key, found->key, err)
                                        : CASK_OK;
}

/* Lend what is seen. If its value cannot be read the walk is there all the
 * same. */
static cask_status arrive(tree_iterator *it, const cask_run_entry *found,
                          cask_entry *ret_entry, cask_error *err)
{
    cask_slice value = found->value;
    cask_status status = note_key(it, found, err);

    if (status != CASK_OK) {
        return status;
    }
    it->is_somewhere = true;
    if (found->kind == CASK_RUN_POINTER && !it->keys_only) {
        status = version_read_value(it->sources.version, found, &value, err);
    }
    *ret_entry = (cask_entry){.key = found->key, .info = found->info};
    if (status == CASK_OK && !it->keys_only) {
        ret_entry->value = value;
    }
    return status;
}

/* The walk stops between what it has seen and what it has found. */
static cask_status stop_at_damage(tree_iterator *it, walk_held held,
                                  cask_entry *ret_entry, cask_error *err)
{
    cask_status status =
        held.entry != NULL ? note_key(it, held.entry, err) : CASK_OK;

    if (status != CASK_OK) {
        return status;
    }
    it->is_somewhere = true;
    it->held = held;
    *ret_entry = (cask_entry){.key = it->untold_key};
    status = fail_again(err, &it->untold);
    it->untold.status = CASK_OK;
    return status;
}

static cask_status find_once(tree_iterator *it, const walk_step *step,
                             const cask_run_entry **ret_entry, cask_error *err)
{
    for (;;) {
        cask_status status = try_move(it, step, ret_entry, err);

        if (it->visible == NULL || !tree_sources_are_gone(&it->sources)) {
            return status;
        }
        close_sources(it);
    }
}

static bool goes_back(const walk_step *step)
{
    return step->kind == WALK_PREVIOUS ||
           (step->kind == WALK_SEEK &&
            (step->how == CASK_RUN_LAST || step->how == CASK_RUN_AT_MOST));
}

static cask_status find(tree_iterator *it, const walk_step *step,
                        const cask_run_entry **ret_entry, cask_error *err)
{
    const walk_step on = {.kind = goes_back(step) ? WALK_PREVIOUS : WALK_NEXT};
    cask_status status = find_once(it, step, ret_entry, err);

    while (status == CASK_OK && it->has_passed) {
        status = check_newest(it, *ret_entry, err);
        if (status != CASK_NOT_FOUND) {
            return status;
        }
        status = note_key(it, *ret_entry, err);
        if (status == CASK_OK) {
            status = find_once(it, &on, ret_entry, err);
        }
    }
    return status;
}

static cask_status move(tree_iterator *it, const walk_step *step,
                        cask_entry *ret_entry, cask_error *err)
{
    const cask_run_entry *found = NULL;
    cask_status status;

    it->is_somewhere = false;
    it->held.is_there = false;
    status = find(it, step, &found, err);
    if (store_snapshot_is_lost(it->at)) {
        return store_snapshot_fail_lost(it->at, err);
    }
    if (it->untold.status != CASK_OK &&
        (status == CASK_OK || status == CASK_NOT_FOUND)) {
        const walk_held held = {.is_there = true,
                                .is_back = goes_back(step),
                                .entry = status == CASK_OK ? found : NULL};

        return stop_at_damage(it, held, ret_entry, err);
    }
    return status == CASK_OK ? arrive(it, found, ret_entry, err) : status;
}

/* On from damage that was told. */
static cask_status leave_damage(tree_iterator *it, walk_kind kind,
                                cask_entry *ret_entry, cask_error *err)
{
    const walk_held held = it->held;
    walk_step step = {.kind = kind};

    it->held.is_there = false;
    if (held.is_back != (kind == WALK_PREVIOUS)) {
        if (held.entry == NULL) {
            step.kind = WALK_SEEK;
            step.how = held.is_back ? CASK_RUN_FIRST : CASK_RUN_LAST;
        }
        return move(it, &step, ret_entry, err);
    }
    it->is_somewhere = false;
    return held.entry != NULL ? arrive(it, held.entry, ret_entry, err)
                              : CASK_NOT_FOUND;
}

cask_status tree_iterator_seek(tree_iterator *it, cask_run_seek how,
                               cask_slice key, cask_entry *ret_entry,
                               cask_error *err)
{
    const walk_step step = {WALK_SEEK, how, key};

    /* What it may hide behind there is met again. */
    forget_damage(it);
    return move(it, &step, ret_entry, err);
}

static cask_status move_on(tree_iterator *it, walk_kind kind,
                           cask_entry *ret_entry, cask_error *err)
{
    const walk_step step = {.kind = kind};

    if (!it->is_somewhere) {
        return fail(err, CASK_INVALID, 0,
                    "the iterator is nowhere: seek first");
    }
    return it->held.is_there ? leave_damage(it, kind, ret_entry, err)
                             : move(it, &step, ret_entry, err);
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

cask_status tree_iterator_walk(tree_iterator *it, const tree_walk *walk,
                               cask_error *err)
{
    const walk_kind kind = walk->reverse ? WALK_PREVIOUS : WALK_NEXT;
    cask_error damage = {CASK_OK, 0, ""};
    cask_error why = {CASK_OK, 0, ""};
    uint64_t count = 0;
    cask_entry entry;
    cask_status status =
        tree_iterator_seek(it, walk->reverse ? CASK_RUN_LAST : CASK_RUN_FIRST,
                           (cask_slice){NULL, 0}, &entry, &why);

    while (status == CASK_OK || (status == CASK_CORRUPT && it->is_somewhere)) {
        if (status == CASK_CORRUPT && damage.status == CASK_OK) {
            damage = why;
        }
        if (status == CASK_OK &&
            (!walk->visit(walk->context, &entry) || ++count == walk->limit)) {
            break;
        }
        status = move_on(it, kind, &entry, &why);
    }
    if (status != CASK_OK && status != CASK_NOT_FOUND) {
        return fail_again(err, &why);
    }
    return damage.status == CASK_OK
               ? CASK_OK
               : fail(err, CASK_CORRUPT, 0,
                      "%s; all else was read; 'caskade verify' lists the "
                      "damage",
                      damage.message);
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
    it->passing = (run_passing){it, pass};
    it->wanted.passing = &it->passing;
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
    free(iterator->damages);
    free(iterator);
}

void tree_iterator_look_at(tree_iterator *it, const store_snapshot *at)
{
    close_sources(it);
    forget_damage(it);
    it->at = at;
    it->wanted.sequence = at->sequence;
    it->is_somewhere = false;
}
