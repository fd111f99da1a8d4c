/*
 * Loading the MANIFEST: replay its edits.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buffer.h"
#include "base/crc32c.h"
#include "log/manifest.h"
#include "log/manifest_edits.h"
#include "log/segment.h"

/* Far above 65,536 segments with all their edits. */
#define MANIFEST_BYTES_MOST (UINT64_C(64) << 20)

/* ---- Segments ---- */

/* Of the log; outputs of merges may have been entered out of turn. */
static uint64_t last_log_id(const manifest_state *manifest)
{
    for (size_t i = manifest->count; i > 0; i--) {
        if (manifest->segments[i - 1].kind == SEGMENT_LOG) {
            return manifest->segments[i - 1].id;
        }
    }
    return 0;
}

static cask_status apply_open(manifest_state *manifest,
                              const manifest_edit *edit, cask_error *err)
{
    manifest_segment segment = {.id = edit->open.segment_id,
                                .nonce = edit->open.nonce,
                                .kind = edit->open.kind};
    const manifest_segment *listed = manifest_find(manifest, segment.id);

    if (listed != NULL && listed->nonce == segment.nonce &&
        listed->id == last_log_id(manifest)) {
        return CASK_OK; /* its writer died before it knew, another repeated it
                         */
    }
    if (listed != NULL ||
        (segment.kind == SEGMENT_LOG && last_log_id(manifest) > segment.id)) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": edit %" PRIu64 " opens segment %016" PRIx64
                                  " after a later one",
                    edit->number, segment.id);
    }
    if (manifest->next_id <= segment.id) {
        manifest->next_id = segment.id + 1;
    }
    return manifest_add(manifest, &segment, err);
}

static void apply_to_segment(manifest_state *manifest,
                             manifest_segment *segment,
                             const manifest_edit *edit)
{
    if (edit->type == MANIFEST_DROP) {
        manifest_drop(manifest, segment->id);
    } else if (edit->type == MANIFEST_SYNCED) {
        segment->synced = edit->seal.length;
    } else if (edit->type == MANIFEST_QUARANTINE) {
        segment->quarantined = true;
    } else {
        segment->sealed = true;
        segment->length = edit->seal.length;
        segment->last_sequence = edit->seal.last_sequence;
        segment->damaged_bytes = edit->seal.damaged_bytes;
    }
}

static cask_status apply_edit(manifest_state *manifest,
                              const manifest_edit *edit, cask_error *err)
{
    manifest_segment *segment;
    uint64_t id = 0;

    switch (edit->type) {
    case MANIFEST_OPEN:
        return apply_open(manifest, edit, err);
    case MANIFEST_NEXT:
        if (edit->next.segment_id < manifest->next_id ||
            edit->next.sequence < manifest->next_sequence) {
            return fail(err, CASK_CORRUPT, 0,
                        MANIFEST_NAME ": edit %" PRIu64
                                      " takes ids or sequences back, to "
                                      "%016" PRIx64 " and %" PRIu64,
                        edit->number, edit->next.segment_id,
                        edit->next.sequence);
        }
        manifest->next_id = edit->next.segment_id;
        manifest->next_sequence = edit->next.sequence;
        return CASK_OK;
    case MANIFEST_SEAL:
    case MANIFEST_SYNCED:
        id = edit->seal.segment_id;
        break;
    case MANIFEST_DROP:
    case MANIFEST_QUARANTINE:
        id = edit->drop.segment_id;
        break;
    case MANIFEST_RUN:
    case MANIFEST_RUN_BEGIN:
    case MANIFEST_RUN_DROP:
    case MANIFEST_RUN_ADDED:
    case MANIFEST_LOST:
    case MANIFEST_LOST_KEY:
    case MANIFEST_RUNS:
        return CASK_OK; /* take_edit() has them */
    }
    segment = manifest_find(manifest, id);
    if (segment == NULL && edit->type == MANIFEST_DROP) {
        return CASK_OK; /* repeated likewise */
    }
    if (segment == NULL) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": edit %" PRIu64 " names segment %016" PRIx64
                                  ", which is not in it",
                    edit->number, id);
    }
    apply_to_segment(manifest, segment, edit);
    return CASK_OK;
}

/* ---- Versions of a tree ---- */

/* Edits of runs whose version has not been met yet. */
typedef struct pending {
    manifest_edit *edits;
    size_t count;
    size_t capacity;
    uint32_t crc; /* of their bytes */
} pending;

static cask_status pending_add(pending *p, const manifest_edit *edit,
                               const uint8_t *bytes, cask_error *err)
{
    manifest_edit *edits =
        array_grow(p->edits, p->count, &p->capacity, sizeof(*edits), err);

    if (edits == NULL) {
        return CASK_NO_MEMORY;
    }
    p->edits = edits;
    p->edits[p->count++] = *edit;
    p->crc = crc32c(p->crc, bytes, MANIFEST_EDIT_SIZE);
    return CASK_OK;
}

static bool is_of_run(manifest_edit_type type)
{
    return type == MANIFEST_RUN || type == MANIFEST_RUN_BEGIN ||
           type == MANIFEST_RUN_DROP || type == MANIFEST_RUN_ADDED ||
           type == MANIFEST_LOST || type == MANIFEST_LOST_KEY;
}

/* Whether they are all that the version consists of, and nothing else. */
static bool is_whole(const pending *p, const manifest_edit *runs)
{
    return runs->runs.edits == p->count && runs->runs.crc == p->crc;
}

static cask_status apply_version(manifest_state *manifest, pending *p,
                                 const manifest_edit *runs, cask_error *err)
{
    cask_status status =
        manifest_apply_runs(manifest, p->edits, p->count, runs, err);

    p->count = 0;
    p->crc = 0;
    return status;
}

/* ---- Load ---- */

/* A bad edit, and what is behind it. */
typedef struct tear {
    uint64_t number; /* that the bad edit should have */
    size_t offset;   /* of it */
    bool is_whole;   /* a version that it was part of ends here */
} tear;

/*
 * Whether an edit that verifies, behind the bad one, may be there all the same:
 * the edits of a version are written in one go and synced together, so of the
 * last of all any may be missing.
 */
static bool may_follow(tear *t, const manifest_edit *edit)
{
    if (t->is_whole) {
        return false;
    }
    if (edit->type == MANIFEST_RUNS) {
        t->is_whole = true;
        return edit->number - edit->runs.edits <= t->number;
    }
    return is_of_run(edit->type);
}

/*
 * Edits, and whole versions, are appended and synced one by one, so only the
 * last can be torn: a valid one behind an invalid one means that the file is
 * damaged.
 */
static cask_status check_torn(manifest_state *manifest, const uint8_t *bytes,
                              size_t size, tear t, cask_error *err)
{
    uint64_t number = t.number;
    size_t at = t.offset + MANIFEST_EDIT_SIZE;

    for (; at < size && size - at >= MANIFEST_EDIT_SIZE;
         at += MANIFEST_EDIT_SIZE) {
        manifest_seed seed = {manifest->header.nonce, at};
        manifest_edit edit;
        cask_status status;

        status =
            manifest_edit_decode(bytes + at, MANIFEST_NAME, seed, &edit, NULL);
        number++;
        if (status == CASK_UNSUPPORTED ||
            (status == CASK_OK && edit.number == number &&
             !may_follow(&t, &edit))) {
            return fail(err, CASK_CORRUPT, 0,
                        MANIFEST_NAME ": offset %zu: edit %" PRIu64
                                      " is damaged, a valid one follows at "
                                      "offset %zu; restore it from a backup, "
                                      "or see 'caskade repair'",
                        t.offset, t.number, at);
        }
    }
    return CASK_OK;
}

/*
 * Take one edit that verifies and has the right number; `*ret_is_end`: it is of
 * a version that was not written wholly, and what is there is the rest of it.
 */
static cask_status take_edit(manifest_state *manifest, pending *p,
                             const manifest_edit *edit, const uint8_t *bytes,
                             bool *ret_is_end, cask_error *err)
{
    if (is_of_run(edit->type)) {
        return pending_add(p, edit, bytes, err);
    }
    if (edit->type == MANIFEST_RUNS) {
        *ret_is_end = !is_whole(p, edit);
        return *ret_is_end ? CASK_OK : apply_version(manifest, p, edit, err);
    }
    if (p->count > 0) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": edit %" PRIu64 " of type %d stands in a "
                                  "version of runs that has not ended",
                    edit->number, (int)edit->type);
    }
    return apply_edit(manifest, edit, err);
}

/* Apply what is whole. manifest->tail and number are behind it; ret_tear says
 * where that which cannot be read begins. */
static cask_status apply_whole(manifest_state *manifest, pending *p,
                               const uint8_t *bytes, size_t size,
                               tear *ret_tear, cask_error *err)
{
    cask_status status = CASK_OK;
    size_t at = MANIFEST_HEADER_SIZE;
    bool is_end = false;

    manifest->tail = at;
    for (; size - at >= MANIFEST_EDIT_SIZE; at += MANIFEST_EDIT_SIZE) {
        manifest_seed seed = {manifest->header.nonce, at};
        uint64_t number = manifest->number + p->count + 1;
        manifest_edit edit;

        status =
            manifest_edit_decode(bytes + at, MANIFEST_NAME, seed, &edit, err);
        if (status == CASK_CORRUPT ||
            (status == CASK_OK && edit.number != number)) {
            break; /* torn, or of an earlier life of these bytes */
        }
        if (status == CASK_OK) {
            status = take_edit(manifest, p, &edit, bytes + at, &is_end, err);
        }
        if (status != CASK_OK) {
            return status;
        }
        if (is_end) {
            break;
        }
        if (p->count == 0) {
            manifest->number = number;
            manifest->tail = at + MANIFEST_EDIT_SIZE;
        }
    }
    ret_tear->offset = at;
    ret_tear->number = manifest->number + p->count + 1;
    return CASK_OK;
}

static cask_status apply_edits(manifest_state *manifest, const uint8_t *bytes,
                               size_t size, cask_error *err)
{
    pending p = {0};
    tear t = {0};
    cask_status status = apply_whole(manifest, &p, bytes, size, &t, err);

    free(p.edits);
    if (status != CASK_OK) {
        return status;
    }
    manifest->torn = size > manifest->tail;
    if (manifest->number < manifest->header.edits) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": offset %zu: edit %" PRIu64 " of %" PRIu32
                                  " is damaged or cut off; restore it from a "
                                  "backup, or see 'caskade repair'",
                    t.offset, t.number, manifest->header.edits);
    }
    return check_torn(manifest, bytes, size, t, err);
}

static cask_status read_all(os_file *dir, cask_buffer *bytes, cask_error *err)
{
    const os_ops *ops = dir->os->ops;
    os_file *file;
    os_stat stat;
    cask_status status =
        file_open(dir, MANIFEST_NAME, OS_READ, &file, &stat, err);
    int os_errno;

    if (status != CASK_OK) {
        return status;
    }
    if (stat.size > MANIFEST_BYTES_MOST) {
        ops->close(file);
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": %" PRIu64 " bytes, at most %" PRIu64
                                  " expected",
                    stat.size, MANIFEST_BYTES_MOST);
    }
    status = buffer_reserve(bytes, (size_t)stat.size, err);
    if (status == CASK_OK) {
        os_errno =
            ops->read_at(file, bytes->data, (size_t)stat.size, 0, &bytes->size);
        if (os_errno != 0) {
            status = fail_os(err, os_errno, "cannot read " MANIFEST_NAME);
        }
    }
    ops->close(file);
    return status;
}

cask_status manifest_load(os_file *dir, const uint8_t uuid[16],
                          manifest_state *ret_manifest, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_buffer bytes = {0};
    cask_status status;

    *ret_manifest = (manifest_state){.next_id = 1, .next_sequence = 1};
    if (err == NULL) {
        err = &local;
    }
    status = read_all(dir, &bytes, err);
    if (status != CASK_OK) {
        if (err->os_errno == ENOENT) {
            status = fail(err, CASK_NOT_FOUND, 0, MANIFEST_NAME ": missing");
        }
        goto done;
    }
    if (bytes.size < MANIFEST_HEADER_SIZE) {
        status = fail(err, CASK_CORRUPT, 0,
                      MANIFEST_NAME ": offset 0: header of %d bytes expected, "
                                    "found %zu",
                      MANIFEST_HEADER_SIZE, bytes.size);
        goto done;
    }
    status = manifest_header_decode(bytes.data, MANIFEST_NAME,
                                    &ret_manifest->header, err);
    if (status != CASK_OK) {
        goto done;
    }
    if (memcmp(ret_manifest->header.uuid, uuid, 16) != 0) {
        status = fail(err, CASK_CORRUPT, 0,
                      MANIFEST_NAME ": offset 16: belongs to another store");
        goto done;
    }
    status = apply_edits(ret_manifest, bytes.data, bytes.size, err);

done:
    cask_buffer_free(&bytes);
    return status;
}
