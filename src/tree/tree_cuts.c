/*
 * Cutting a tree. Keys are taken evenly from runs and memtables, by bytes, and
 * sorted; some of them are where all numbers of parts are cut. They stay with
 * the snapshot, in one piece of memory: offsets of so many keys, then the keys.
 */
#include "tree/tree_cuts.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buffer.h"
#include "base/key_order.h"
#include "tree/tree.h"
#include "tree/tree_tables.h"

enum {
    SAMPLES = 4096,  /* keys that are looked at, about */
    CUTS = 1024,     /* of these, pieces that parts are put together of */
    CUT_BYTES = 1024 /* of a key, at most: any bytes may be a bound */
};

/* Keys that were taken; those of runs stay while they are pinned, others are
 * copied. */
typedef struct samples {
    cask_slice *keys;
    size_t count;
    size_t capacity;
    cask_buffer copies; /* of keys in memtables, with their sizes before them */
    uint64_t total_bytes;
} samples;

/* What a snapshot keeps. */
typedef struct cuts {
    size_t count;
    cask_slice keys[]; /* ascending; the bytes follow */
} cuts;

static cask_status add(samples *s, cask_slice key, cask_error *err)
{
    cask_slice *keys =
        array_grow(s->keys, s->count, &s->capacity, sizeof(*keys), err);

    if (keys == NULL) {
        return CASK_NO_MEMORY;
    }
    s->keys = keys;
    if (key.size > CUT_BYTES) {
        key.size = CUT_BYTES;
    }
    keys[s->count++] = key;
    return CASK_OK;
}

/* How many of the samples are of something with so many bytes. */
static uint64_t share_of(const samples *s, uint64_t bytes)
{
    return 1 + (uint64_t)((double)bytes / (double)s->total_bytes * SAMPLES);
}

/* ---- Runs ---- */

static cask_status add_run(samples *s, const version_run *run, cask_error *err)
{
    uint64_t fences = run->file->footer.fences;
    uint64_t count = share_of(s, run->file->size);
    cask_status status = CASK_OK;

    count = count < fences ? count : fences;
    for (uint64_t i = 0; i < count && status == CASK_OK; i++) {
        uint64_t fence = (2 * i + 1) * fences / (2 * count);
        run_record record;

        /* What cannot be read is told by the fold. */
        if (run_read_record(run->file,
                            run_fence_offset(run->file, (uint32_t)fence),
                            &record, NULL) == CASK_OK) {
            status = add(s, run_record_key(&record), err);
        }
    }
    return status;
}

/* ---- Memtables ---- */

/* Slices come when all are there: the buffer moves. */
static cask_status copy_key(samples *s, cask_slice key, cask_error *err)
{
    size_t size = key.size < CUT_BYTES ? key.size : CUT_BYTES;
    cask_status status = buffer_append(&s->copies, &size, sizeof(size), err);

    return status == CASK_OK && size > 0
               ? buffer_append(&s->copies, key.data, size, err)
               : status;
}

/* One that was flushed meanwhile gives what it has given so far. */
static cask_status copy_table(samples *s, const memtable_view *view,
                              uint64_t bytes, cask_error *err)
{
    uint64_t every = memtable_count(view) / share_of(s, bytes) + 1;
    cask_status status = CASK_OK;
    memtable_cursor cursor;
    memtable_result result = memtable_seek_first(&cursor, view);

    for (uint64_t i = 0; result == MEMTABLE_FOUND && status == CASK_OK; i++) {
        if (i % every == every / 2) {
            status = copy_key(s, cursor.entry.key, err);
        }
        result = memtable_next(&cursor);
    }
    return status;
}

static cask_status add_copies(samples *s, cask_error *err)
{
    const uint8_t *at = s->copies.data;
    const uint8_t *end = at == NULL ? NULL : at + s->copies.size;
    cask_status status = CASK_OK;

    while (at != end && status == CASK_OK) {
        size_t size;

        memcpy(&size, at, sizeof(size));
        at += sizeof(size);
        status = add(s, (cask_slice){at, size}, err);
        at += size;
    }
    return status;
}

/* ---- Cutting ---- */

static int by_key(const void *left, const void *right)
{
    const cask_slice *a = left;
    const cask_slice *b = right;

    return key_compare(*a, *b);
}

/* Of the memtable that is number `i` from the newest. */
static uint64_t log_bytes_of(const store_handle *store,
                             const tree_tables *tables, unsigned i)
{
    const region_tree *tree = &store->region.header->tree;
    unsigned index = region_tables_at(tables->word, i);

    return atomic_load(i == 0 ? &tree->taken_bytes
                              : &tree->table[index].log_bytes);
}

static cask_status take_samples(store_handle *store, const version *all,
                                samples *s, cask_error *err)
{
    cask_status status = CASK_OK;
    tree_tables tables;

    tree_tables_load(store, &tree_state_of(store)->log, &tables);
    s->total_bytes = 1;
    for (size_t i = 0; i < all->count; i++) {
        s->total_bytes += all->runs[i].file->size;
    }
    for (unsigned i = 0; i < tables.count; i++) {
        s->total_bytes += log_bytes_of(store, &tables, i);
    }
    for (unsigned i = 0; i < tables.count && status == CASK_OK; i++) {
        status = copy_table(s, &tables.view[i], log_bytes_of(store, &tables, i),
                            err);
    }
    for (size_t i = 0; i < all->count && status == CASK_OK; i++) {
        status = add_run(s, &all->runs[i], err);
    }
    return status == CASK_OK ? add_copies(s, err) : status;
}

/* Some of the samples, evenly. */
static cask_status keep(const samples *s, cuts **ret_cuts, cask_error *err)
{
    size_t count = s->count < CUTS ? s->count : CUTS;
    size_t size = sizeof(cuts) + count * sizeof(cask_slice);
    cuts *kept;
    uint8_t *to;

    for (size_t i = 0; i < count; i++) {
        size += s->keys[i * s->count / count].size;
    }
    kept = malloc(size);
    if (kept == NULL) {
        return fail_memory(err, size);
    }
    kept->count = count;
    to = (uint8_t *)&kept->keys[count];
    for (size_t i = 0; i < count; i++) {
        cask_slice key = s->keys[i * s->count / count];

        kept->keys[i] = (cask_slice){to, key.size};
        if (key.size > 0) {
            memcpy(to, key.data, key.size);
        }
        to += key.size;
    }
    *ret_cuts = kept;
    return CASK_OK;
}

static cask_status make(store_handle *store, cuts **ret_cuts, cask_error *err)
{
    versions *all = tree_state_of(store)->versions;
    samples s = {.keys = NULL};
    const version *pinned;
    cask_status status = version_pin(all, &pinned, err);

    if (status != CASK_OK) {
        return status;
    }
    status = take_samples(store, pinned, &s, err);
    if (status == CASK_OK && s.count > 0) {
        qsort(s.keys, s.count, sizeof(*s.keys), by_key);
    }
    if (status == CASK_OK) {
        status = keep(&s, ret_cuts, err);
    }
    version_unpin(all, pinned);
    free(s.keys);
    cask_buffer_free(&s.copies);
    return status;
}

/* Those of the snapshot, which the first thread makes that needs them. */
static cask_status cuts_of(store_snapshot *snapshot, const cuts **ret_cuts,
                           cask_error *err)
{
    void *there = atomic_load(&snapshot->cuts);

    while (there == NULL) {
        cuts *made = NULL;
        cask_status status = make(snapshot->store, &made, err);

        if (status != CASK_OK) {
            return status;
        }
        if (atomic_compare_exchange_strong(&snapshot->cuts, &there, made)) {
            there = made;
        } else {
            free(made);
        }
    }
    *ret_cuts = there;
    return CASK_OK;
}

cask_status tree_cuts_of(store_snapshot *snapshot, uint32_t part,
                         uint32_t parts, iter_bounds *ret_bounds,
                         bool *ret_empty, cask_error *err)
{
    const cuts *all = NULL;
    cask_status status = cuts_of(snapshot, &all, err);
    uint64_t pieces;
    uint64_t first;
    uint64_t end;

    if (status != CASK_OK) {
        return status;
    }
    /* Cut i is where piece i + 1 begins. */
    pieces = all->count + 1;
    first = pieces * part / parts;
    end = pieces * (part + 1) / parts;
    *ret_empty = first == end;
    *ret_bounds = (iter_bounds){.lower = {NULL, 0}};
    if (!*ret_empty && first > 0) {
        ret_bounds->lower = all->keys[first - 1];
    }
    if (!*ret_empty && end < pieces) {
        ret_bounds->upper = all->keys[end - 1];
    }
    return CASK_OK;
}
