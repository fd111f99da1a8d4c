/*
 * The runs of a tree in the MANIFEST. A change is encoded as drops, adds and
 * begins, and an edit that says how many these were and has a checksum of all:
 * so what is left of one that was given up never makes part of another.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
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
    free(manifest->losts);
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
    manifest_run *runs;

    if (manifest_find_run(manifest, id) != NULL) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": edit %" PRIu64 " adds run %016" PRIx64
                                  ", which is in it",
                    edit->number, id);
    }
    runs = array_grow(manifest->runs, manifest->run_count,
                      &manifest->run_capacity, sizeof(*runs), err);
    if (runs == NULL) {
        return CASK_NO_MEMORY;
    }
    manifest->runs = runs;
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
    manifest->header.past_merge_bytes += run->bytes;
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

static cask_status add_to_run(manifest_state *manifest,
                              const manifest_edit *edit, cask_error *err)
{
    manifest_run *run = manifest_find_run(manifest, edit->run_added.id);

    if (run == NULL) {
        return fail_unknown(edit, edit->run_added.id, err);
    }
    if (run->added != 0) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": edit %" PRIu64 " adds to sequences of run "
                                  "%016" PRIx64 ", to which %" PRId64
                                  " is added",
                    edit->number, run->id, run->added);
    }
    run->added = edit->run_added.sequence;
    return CASK_OK;
}

/* With the pieces of its key behind it; *ret_taken: all these. */
static cask_status add_lost(manifest_state *manifest,
                            const manifest_edit *edits, size_t count,
                            size_t *ret_taken, cask_error *err)
{
    manifest_lost lost = {.segment_id = edits->lost.segment_id,
                          .offset = edits->lost.offset,
                          .sequence = edits->lost.sequence,
                          .key_size = edits->lost.key_size,
                          .known_bytes = edits->lost.known};
    manifest_lost *losts;
    size_t taken = 1;

    for (uint32_t at = 0; at < lost.known_bytes; at += MANIFEST_LOST_PIECE) {
        const manifest_edit *piece = &edits[taken];
        uint32_t left = lost.known_bytes - at;

        if (taken == count || piece->type != MANIFEST_LOST_KEY ||
            piece->lost_key.size != lost.known_bytes ||
            piece->lost_key.offset != at) {
            return fail(err, CASK_CORRUPT, 0,
                        MANIFEST_NAME ": edit %" PRIu64 " tells of a lost "
                                      "record, the pieces of whose key do not "
                                      "follow",
                        edits->number);
        }
        memcpy(lost.known + at, piece->lost_key.piece,
               left < MANIFEST_LOST_PIECE ? left : MANIFEST_LOST_PIECE);
        taken++;
    }
    losts = array_grow(manifest->losts, manifest->lost_count,
                       &manifest->lost_capacity, sizeof(*losts), err);
    if (losts == NULL) {
        return CASK_NO_MEMORY;
    }
    manifest->losts = losts;
    losts[manifest->lost_count++] = lost;
    *ret_taken = taken;
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
    if (edits->type == MANIFEST_RUN_ADDED) {
        return add_to_run(manifest, edits, err);
    }
    if (edits->type == MANIFEST_LOST) {
        return add_lost(manifest, edits, count, ret_taken, err);
    }
    if (edits->type == MANIFEST_LOST_KEY) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": edit %" PRIu64 " is a piece of a key "
                                  "without the lost record",
                    edits->number);
    }
    return begin_run(manifest, edits, count, ret_taken, err);
}

/* Whether a run that is added was dropped by the same change: it has another
 * place, and was not written again. Drops come first. */
static bool comes_again(const manifest_edit *edits, const manifest_edit *add)
{
    for (const manifest_edit *at = edits; at->type == MANIFEST_RUN_DROP; at++) {
        if (at->run_drop.id == add->run.id) {
            return true;
        }
    }
    return false;
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
        if (edits[i].type == MANIFEST_RUN && comes_again(edits, &edits[i])) {
            manifest->header.past_merge_bytes -= edits[i].run.bytes;
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
    if (status == CASK_OK && run->added != 0) {
        edit = (manifest_edit){.type = MANIFEST_RUN_ADDED};
        edit.run_added.id = run->id;
        edit.run_added.sequence = run->added;
        status = put(e, edit, err);
    }
    return status == CASK_OK ? put_begin(e, run->id, run->begin, err) : status;
}

static cask_status put_lost(encoding *e, const manifest_lost *lost,
                            cask_error *err)
{
    manifest_edit edit = {.type = MANIFEST_LOST};
    cask_status status;

    edit.lost.segment_id = lost->segment_id;
    edit.lost.offset = lost->offset;
    edit.lost.sequence = lost->sequence;
    edit.lost.known = lost->known_bytes;
    edit.lost.key_size = lost->key_size;
    status = put(e, edit, err);
    for (uint32_t at = 0; at < lost->known_bytes && status == CASK_OK;
         at += MANIFEST_LOST_PIECE) {
        uint32_t left = lost->known_bytes - at;

        edit = (manifest_edit){.type = MANIFEST_LOST_KEY};
        edit.lost_key.size = lost->known_bytes;
        edit.lost_key.offset = at;
        memcpy(edit.lost_key.piece, lost->known + at,
               left < MANIFEST_LOST_PIECE ? left : MANIFEST_LOST_PIECE);
        status = put(e, edit, err);
    }
    return status;
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
    for (size_t i = 0; i < change->lost_count && status == CASK_OK; i++) {
        status = put_lost(&e, &change->losts[i], err);
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
