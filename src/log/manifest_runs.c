/*
 * The runs of a tree in the MANIFEST. A change is encoded as drops, adds and
 * begins, and an edit that says how many these were and has a checksum of all:
 * so what is left of one that was given up never makes part of another.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/key_order.h"
#include "log/manifest_edits.h"

/* ---- State ---- */

void manifest_free_runs(manifest_state *manifest)
{
    for (size_t i = 0; i < manifest->run_count; i++) {
        free(manifest->runs[i].owned);
    }
    free(manifest->runs);
}

manifest_run *manifest_find_run(const manifest_state *manifest, uint64_t id)
{
    if (id > manifest->highest_run) {
        return NULL; /* most that come are new */
    }
    for (size_t i = manifest->run_count; i > 0; i--) {
        if (manifest->runs[i - 1].id == id) {
            return &manifest->runs[i - 1];
        }
    }
    return NULL;
}

static cask_status add_run(manifest_state *manifest, const manifest_edit *edit,
                           cask_error *err)
{
    const uint64_t id = edit->run.id;

    if (manifest_find_run(manifest, id) != NULL) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": edit %" PRIu64 " adds run %016" PRIx64
                                  ", which is in it",
                    edit->number, id);
    }
    if (manifest->run_count == manifest->run_capacity) {
        size_t capacity =
            manifest->run_capacity == 0 ? 16 : manifest->run_capacity * 2;
        void *grown =
            realloc(manifest->runs, capacity * sizeof(*manifest->runs));

        if (grown == NULL) {
            return fail_memory(err, capacity * sizeof(*manifest->runs));
        }
        manifest->runs = grown;
        manifest->run_capacity = capacity;
    }
    manifest->runs[manifest->run_count++] =
        (manifest_run){.id = id,
                       .nonce = edit->run.nonce,
                       .bytes = edit->run.bytes,
                       .level = edit->run.level,
                       .run = edit->run.run};
    if (manifest->highest_run < id) {
        manifest->highest_run = id;
    }
    if (manifest->next_id <= id) {
        manifest->next_id = id + 1;
    }
    return CASK_OK;
}

static cask_status fail_unknown(const manifest_edit *edit, uint64_t id,
                                cask_error *err)
{
    return fail(err, CASK_CORRUPT, 0,
                MANIFEST_NAME ": edit %" PRIu64 " names run %016" PRIx64
                              ", which is not in it",
                edit->number, id);
}

static cask_status drop_run(manifest_state *manifest, const manifest_edit *edit,
                            cask_error *err)
{
    manifest_run *run = manifest_find_run(manifest, edit->run_drop.id);
    size_t behind;

    if (run == NULL) {
        return fail_unknown(edit, edit->run_drop.id, err);
    }
    free(run->owned);
    behind = (size_t)(manifest->runs + manifest->run_count - (run + 1));
    memmove(run, run + 1, behind * sizeof(*run));
    manifest->run_count--;
    return CASK_OK;
}

/* Whether `edits` has all pieces of the key that begins with the first of
 * them. */
static bool has_key(const manifest_edit *edits, size_t count, size_t pieces)
{
    if (count < pieces) {
        return false;
    }
    for (size_t i = 0; i < pieces; i++) {
        if (edits[i].type != MANIFEST_RUN_BEGIN ||
            edits[i].begin.id != edits[0].begin.id ||
            edits[i].begin.size != edits[0].begin.size ||
            edits[i].begin.offset != i * MANIFEST_PIECE) {
            return false;
        }
    }
    return true;
}

static void copy_key(const manifest_edit *edits, size_t size, uint8_t *out)
{
    for (size_t at = 0; at < size; at += MANIFEST_PIECE) {
        size_t left = size - at;

        memcpy(out + at, edits[at / MANIFEST_PIECE].begin.piece,
               left < MANIFEST_PIECE ? left : MANIFEST_PIECE);
    }
}

/* Of a run, by the pieces of a key; *ret_pieces: how many they are. */
static cask_status begin_run(manifest_state *manifest,
                             const manifest_edit *edits, size_t count,
                             size_t *ret_pieces, cask_error *err)
{
    manifest_run *run = manifest_find_run(manifest, edits->begin.id);
    size_t size = edits->begin.size;
    size_t pieces = (size + MANIFEST_PIECE - 1) / MANIFEST_PIECE;
    uint8_t *key;

    if (run == NULL) {
        return fail_unknown(edits, edits->begin.id, err);
    }
    if (!has_key(edits, count, pieces)) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": edit %" PRIu64 " begins a key of %zu "
                                  "bytes, whose pieces do not follow",
                    edits->number, size);
    }
    key = malloc(size);
    if (key == NULL) {
        return fail_memory(err, size);
    }
    copy_key(edits, size, key);
    /* What was taken from a run never comes back. */
    if (key_compare((cask_slice){key, size}, run->begin) <= 0) {
        free(key);
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": edit %" PRIu64 " takes the begin of run "
                                  "%016" PRIx64 " back",
                    edits->number, run->id);
    }
    free(run->owned);
    run->owned = key;
    run->begin = (cask_slice){key, size};
    *ret_pieces = pieces;
    return CASK_OK;
}

static cask_status apply_one(manifest_state *manifest,
                             const manifest_edit *edits, size_t count,
                             size_t *ret_taken, cask_error *err)
{
    *ret_taken = 1;
    if (edits->type == MANIFEST_RUN) {
        return add_run(manifest, edits, err);
    }
    if (edits->type == MANIFEST_RUN_DROP) {
        return drop_run(manifest, edits, err);
    }
    return begin_run(manifest, edits, count, ret_taken, err);
}

cask_status manifest_apply_runs(manifest_state *manifest,
                                const manifest_edit *edits, size_t count,
                                const manifest_edit *runs, cask_error *err)
{
    size_t taken;

    if (runs->runs.version <= manifest->version ||
        runs->runs.flushed < manifest->flushed) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": edit %" PRIu64 " takes the tree back, to "
                                  "version %" PRIu64 " and flushed %" PRIu64,
                    runs->number, runs->runs.version, runs->runs.flushed);
    }
    for (size_t i = 0; i < count; i += taken) {
        cask_status status =
            apply_one(manifest, edits + i, count - i, &taken, err);

        if (status != CASK_OK) {
            return status;
        }
    }
    manifest->version = runs->runs.version;
    manifest->flushed = runs->runs.flushed;
    /* No segment may be left that has them. */
    if (manifest->next_sequence <= manifest->flushed) {
        manifest->next_sequence = manifest->flushed + 1;
    }
    return CASK_OK;
}

/* ---- Encoding ---- */

typedef struct encoding {
    cask_buffer *bytes;
    manifest_seed seed; /* of what `bytes` begins with */
    uint64_t number;    /* of the last edit */
    uint32_t edits;
    uint32_t crc;
} encoding;

static cask_status put(encoding *e, manifest_edit edit, cask_error *err)
{
    const manifest_seed seed = {e->seed.nonce, e->seed.offset + e->bytes->size};
    uint8_t encoded[MANIFEST_EDIT_SIZE];

    edit.number = ++e->number;
    manifest_edit_encode(&edit, seed, encoded);
    e->edits++;
    e->crc = crc32c(e->crc, encoded, sizeof(encoded));
    return buffer_append(e->bytes, encoded, sizeof(encoded), err);
}

static cask_status put_begin(encoding *e, uint64_t id, cask_slice key,
                             cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t at = 0; at < key.size && status == CASK_OK;
         at += MANIFEST_PIECE) {
        manifest_edit edit = {.type = MANIFEST_RUN_BEGIN};
        size_t left = key.size - at;

        edit.begin.id = id;
        edit.begin.size = (uint32_t)key.size;
        edit.begin.offset = (uint32_t)at;
        memcpy(edit.begin.piece, (const uint8_t *)key.data + at,
               left < MANIFEST_PIECE ? left : MANIFEST_PIECE);
        status = put(e, edit, err);
    }
    return status;
}

static cask_status put_run(encoding *e, const manifest_run *run,
                           cask_error *err)
{
    manifest_edit edit = {.type = MANIFEST_RUN};
    cask_status status;

    edit.run.id = run->id;
    edit.run.nonce = run->nonce;
    edit.run.bytes = run->bytes;
    edit.run.level = run->level;
    edit.run.run = run->run;
    status = put(e, edit, err);
    return status == CASK_OK ? put_begin(e, run->id, run->begin, err) : status;
}

cask_status manifest_encode_change(const manifest_change *change,
                                   manifest_seed seed, uint64_t number,
                                   cask_buffer *bytes, cask_error *err)
{
    encoding e = {.bytes = bytes, .seed = seed, .number = number};
    manifest_edit last = {.type = MANIFEST_RUNS};
    cask_status status = CASK_OK;

    for (size_t i = 0; i < change->drop_count && status == CASK_OK; i++) {
        manifest_edit edit = {.type = MANIFEST_RUN_DROP};

        edit.run_drop.id = change->drops[i];
        status = put(&e, edit, err);
    }
    for (size_t i = 0; i < change->add_count && status == CASK_OK; i++) {
        status = put_run(&e, &change->adds[i], err);
    }
    for (size_t i = 0; i < change->begin_count && status == CASK_OK; i++) {
        status =
            put_begin(&e, change->begins[i].id, change->begins[i].key, err);
    }
    if (status == CASK_OK) {
        last.runs.flushed = change->flushed;
        last.runs.version = change->version;
        last.runs.edits = e.edits;
        last.runs.crc = e.crc;
        status = put(&e, last, err);
    }
    return status;
}

/* Decode and apply, as a load does. */
static cask_status apply_encoded(manifest_state *manifest, const uint8_t *bytes,
                                 manifest_edit *edits, size_t count,
                                 cask_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const size_t at = i * MANIFEST_EDIT_SIZE;
        cask_status status = manifest_edit_decode(
            bytes + at, MANIFEST_NAME, (manifest_seed){0, at}, &edits[i], err);

        if (status != CASK_OK) {
            return status;
        }
    }
    return manifest_apply_runs(manifest, edits, count - 1, &edits[count - 1],
                               err);
}

/* By the edits that it is written as, so that what can be written can be read.
 */
cask_status manifest_change_runs(manifest_state *manifest,
                                 const manifest_change *change, cask_error *err)
{
    cask_buffer bytes = {0};
    cask_status status = manifest_encode_change(change, (manifest_seed){0, 0},
                                                manifest->number, &bytes, err);

    if (status == CASK_OK) {
        size_t count = bytes.size / MANIFEST_EDIT_SIZE;
        manifest_edit *edits = calloc(count, sizeof(*edits));

        if (edits == NULL) {
            status = fail_memory(err, count * sizeof(*edits));
        } else {
            status = apply_encoded(manifest, bytes.data, edits, count, err);
        }
        free(edits);
    }
    cask_buffer_free(&bytes);
    return status;
}
