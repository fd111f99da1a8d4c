/*
 * Append to and rewrite the MANIFEST; the segments of its state.
 */
#include "log/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "log/manifest_edits.h"
#include "log/segment.h"

void manifest_free(manifest_state *manifest)
{
    manifest_free_runs(manifest);
    free(manifest->segments);
    *manifest = (manifest_state){0};
}

cask_status manifest_add(manifest_state *manifest,
                         const manifest_segment *segment, cask_error *err)
{
    manifest_segment *segments =
        array_grow(manifest->segments, manifest->count, &manifest->capacity,
                   sizeof(*segments), err);

    if (segments == NULL) {
        return CASK_NO_MEMORY;
    }
    manifest->segments = segments;
    manifest->segments[manifest->count++] = *segment;
    return CASK_OK;
}

static uint64_t *past_of(manifest_state *manifest, segment_kind kind)
{
    return kind == SEGMENT_LOG ? &manifest->header.past_log_bytes
                               : &manifest->header.past_merge_bytes;
}

/* Of its records; of one that is not sealed none was ever used. */
static uint64_t bytes_of(const manifest_segment *segment)
{
    return segment->sealed && segment->length > SEGMENT_HEADER_SIZE
               ? segment->length - SEGMENT_HEADER_SIZE
               : 0;
}

manifest_segment *manifest_find(const manifest_state *manifest, uint64_t id)
{
    /* The latest is asked for most. */
    for (size_t i = manifest->count; i > 0; i--) {
        if (manifest->segments[i - 1].id == id) {
            return &manifest->segments[i - 1];
        }
    }
    return NULL;
}

void manifest_drop(manifest_state *manifest, uint64_t id)
{
    size_t kept = 0;

    for (size_t i = 0; i < manifest->count; i++) {
        const manifest_segment *segment = &manifest->segments[i];

        if (segment->id == id) {
            *past_of(manifest, segment->kind) += bytes_of(segment);
        } else {
            manifest->segments[kept++] = *segment;
        }
    }
    manifest->count = kept;
}

cask_status manifest_bring_back(manifest_state *manifest,
                                const manifest_segment *segment,
                                cask_error *err)
{
    uint64_t *past = past_of(manifest, segment->kind);
    cask_status status = manifest_add(manifest, segment, err);

    if (status == CASK_OK) {
        uint64_t bytes = bytes_of(segment);

        *past -= bytes < *past ? bytes : *past;
    }
    return status;
}

/* ---- Room behind the end ---- */

/*
 * Room for three things: the edits that double a MANIFEST before it is written
 * anew, the new one that is written beside it, and a segment with some records.
 */
enum {
    SPARE_TIMES = 3,
    SPARE_BYTES = 32 << 10,
    SPARE_STEP = 4096 /* not each time for less than that */
};

static void keep_spare(os_file *file, uint64_t tail, uint64_t allocated)
{
    uint64_t wanted = tail * SPARE_TIMES + SPARE_BYTES;
    uint64_t step = wanted - tail;
    int os_errno = ENOSPC;

    if (allocated + SPARE_STEP > wanted) {
        return;
    }
    /* All that a nearly full disk has. */
    for (uint64_t at = tail; at < wanted && step >= SPARE_STEP;) {
        os_errno = file->os->ops->reserve(file, at, step);
        if (os_errno == 0) {
            at += step;
            step = wanted - at < step ? wanted - at : step;
        } else if (os_errno == ENOSPC || os_errno == EDQUOT) {
            step /= 2;
        } else {
            return;
        }
    }
}

void manifest_keep_spare(os_file *dir)
{
    os_file *file;
    os_stat stat;

    if (file_open(dir, MANIFEST_NAME, OS_WRITE, &file, &stat, NULL) ==
        CASK_OK) {
        keep_spare(file, stat.size, stat.allocated);
        dir->os->ops->close(file);
    }
}

uint64_t manifest_lent_bytes(os_file *dir)
{
    os_stat stat;
    uint64_t kept;

    if (dir->os->ops->stat_name(dir, MANIFEST_NAME, &stat) != 0) {
        return 0;
    }
    kept = 2 * (stat.size + SPARE_STEP); /* it and the next one */
    return stat.allocated > kept ? stat.allocated - kept : 0;
}

bool manifest_give_up_spare(os_file *dir)
{
    bool is_given = false;
    os_file *file;
    os_stat stat;

    if (file_open(dir, MANIFEST_NAME, OS_WRITE, &file, &stat, NULL) ==
        CASK_OK) {
        is_given = stat.allocated >= stat.size + SPARE_STEP &&
                   dir->os->ops->truncate(file, stat.size) == 0;
        dir->os->ops->close(file);
    }
    return is_given;
}

void manifest_take_back(os_file *dir, uint64_t tail)
{
    os_file *file;
    os_stat stat;

    if (file_open(dir, MANIFEST_NAME, OS_WRITE, &file, &stat, NULL) !=
        CASK_OK) {
        return;
    }
    if (stat.size > tail && dir->os->ops->truncate(file, tail) == 0) {
        (void)dir->os->ops->sync(file);
    }
    dir->os->ops->close(file);
    manifest_keep_spare(dir);
}

/* ---- Write ---- */

/* The file while it is appended to. */
typedef struct appending {
    os_file *file;
    uint64_t nonce;
    uint64_t allocated;
} appending;

static cask_status open_for_append(os_file *dir, appending *ret_to,
                                   cask_error *err)
{
    const os_ops *ops = dir->os->ops;
    uint8_t bytes[MANIFEST_HEADER_SIZE];
    manifest_header header;
    cask_status status;
    os_file *file;
    os_stat stat;
    size_t got = 0;
    int os_errno;

    status =
        file_open(dir, MANIFEST_NAME, OS_READ | OS_WRITE, &file, &stat, err);
    if (status != CASK_OK) {
        return status;
    }
    os_errno = ops->read_at(file, bytes, sizeof(bytes), 0, &got);
    if (os_errno != 0 || got < sizeof(bytes)) {
        status = fail_os(err, os_errno != 0 ? os_errno : EIO,
                         "cannot read " MANIFEST_NAME);
    } else {
        status = manifest_header_decode(bytes, MANIFEST_NAME, &header, err);
    }
    if (status != CASK_OK) {
        ops->close(file);
        return status;
    }
    *ret_to = (appending){file, header.nonce, stat.allocated};
    return CASK_OK;
}

/* Write edits at the tail and sync them. */
static cask_status append_bytes(const appending *to, const void *data,
                                size_t size, uint64_t tail, cask_error *err)
{
    const os_ops *ops = to->file->os->ops;
    const os_span span = {data, size};
    int os_errno;

    keep_spare(to->file, tail + size, to->allocated);
    os_errno = ops->write_at(to->file, &span, 1, tail);
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot append to " MANIFEST_NAME);
    }
    os_errno = ops->sync(to->file);
    if (os_errno != 0) {
        return fail(err, CASK_POISONED, os_errno,
                    "cannot sync " MANIFEST_NAME "; reopen the store");
    }
    return CASK_OK;
}

/* Not by the number kept: who advanced the tail may have died before it. */
static uint64_t number_at(uint64_t tail)
{
    return (tail - MANIFEST_HEADER_SIZE) / MANIFEST_EDIT_SIZE;
}

cask_status manifest_append(os_file *dir, uint64_t *tail, uint64_t *number,
                            manifest_edit *edit, cask_error *err)
{
    uint8_t bytes[MANIFEST_EDIT_SIZE];
    cask_status status;
    appending to;

    *number = number_at(*tail);
    status = open_for_append(dir, &to, err);
    if (status != CASK_OK) {
        return status;
    }
    edit->number = *number + 1;
    manifest_edit_encode(edit, (manifest_seed){to.nonce, *tail}, bytes);
    status = append_bytes(&to, bytes, sizeof(bytes), *tail, err);
    dir->os->ops->close(to.file);
    if (status == CASK_OK) {
        *tail += sizeof(bytes);
        (*number)++;
    }
    return status;
}

cask_status manifest_append_runs(os_file *dir, uint64_t *tail, uint64_t *number,
                                 const manifest_change *change, cask_error *err)
{
    cask_buffer bytes = {0};
    cask_status status;
    appending to;

    *number = number_at(*tail);
    status = open_for_append(dir, &to, err);
    if (status != CASK_OK) {
        return status;
    }
    status = manifest_encode_change(change, (manifest_seed){to.nonce, *tail},
                                    *number, &bytes, err);
    if (status == CASK_OK) {
        status = append_bytes(&to, bytes.data, bytes.size, *tail, err);
    }
    dir->os->ops->close(to.file);
    if (status == CASK_OK) {
        *tail += bytes.size;
        *number = number_at(*tail);
    }
    cask_buffer_free(&bytes);
    return status;
}

static cask_status add_edit(manifest_state *manifest, cask_buffer *bytes,
                            manifest_edit edit, cask_error *err)
{
    uint8_t encoded[MANIFEST_EDIT_SIZE];
    manifest_seed seed = {manifest->header.nonce, bytes->size};

    edit.number = ++manifest->number;
    manifest_edit_encode(&edit, seed, encoded);
    return buffer_append(bytes, encoded, sizeof(encoded), err);
}

static cask_status add_segment(manifest_state *manifest, cask_buffer *bytes,
                               const manifest_segment *segment, cask_error *err)
{
    manifest_edit open = {.type = MANIFEST_OPEN};
    manifest_edit seal = {.type = MANIFEST_SEAL};
    manifest_edit quarantine = {.type = MANIFEST_QUARANTINE};
    cask_status status;

    open.open.segment_id = segment->id;
    open.open.nonce = segment->nonce;
    open.open.kind = segment->kind;
    status = add_edit(manifest, bytes, open, err);
    if (status == CASK_OK && !segment->sealed && segment->synced > 0) {
        seal.type = MANIFEST_SYNCED;
        seal.seal.segment_id = segment->id;
        seal.seal.length = segment->synced;
        return add_edit(manifest, bytes, seal, err);
    }
    if (status == CASK_OK && segment->sealed) {
        seal.seal.segment_id = segment->id;
        seal.seal.length = segment->length;
        seal.seal.last_sequence = segment->last_sequence;
        seal.seal.damaged_bytes = segment->damaged_bytes;
        status = add_edit(manifest, bytes, seal, err);
    }
    if (status == CASK_OK && segment->quarantined) {
        quarantine.drop.segment_id = segment->id;
        status = add_edit(manifest, bytes, quarantine, err);
    }
    return status;
}

/* All runs, as a version that begins with none. */
static cask_status add_runs(manifest_state *manifest, cask_buffer *bytes,
                            cask_error *err)
{
    const manifest_change change = {.adds = manifest->runs,
                                    .add_count = manifest->run_count,
                                    .losts = manifest->losts,
                                    .lost_count = manifest->lost_count,
                                    .version = manifest->version,
                                    .flushed = manifest->flushed};
    cask_status status;

    if (manifest->version == 0) {
        return CASK_OK; /* there never was one */
    }
    status = manifest_encode_change(&change,
                                    (manifest_seed){manifest->header.nonce, 0},
                                    manifest->number, bytes, err);
    if (status == CASK_OK) {
        manifest->number = number_at(bytes->size);
    }
    return status;
}

static cask_status encode_all(manifest_state *manifest, cask_buffer *bytes,
                              cask_error *err)
{
    uint8_t header[MANIFEST_HEADER_SIZE];
    manifest_edit next = {.type = MANIFEST_NEXT};
    cask_status status;

    memset(header, 0, sizeof(header)); /* it counts what follows */
    status = buffer_append(bytes, header, sizeof(header), err);
    for (size_t i = 0; i < manifest->count && status == CASK_OK; i++) {
        status = add_segment(manifest, bytes, &manifest->segments[i], err);
    }
    if (status == CASK_OK) {
        status = add_runs(manifest, bytes, err);
    }
    if (status == CASK_OK) {
        next.next.segment_id = manifest->next_id;
        next.next.sequence = manifest->next_sequence;
        status = add_edit(manifest, bytes, next, err);
    }
    if (status == CASK_OK) {
        manifest->header.edits = (uint32_t)manifest->number;
        manifest_header_encode(&manifest->header, bytes->data);
    }
    return status;
}

static cask_status prepare(os_file *dir, const cask_buffer *bytes,
                           uint32_t mode, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    err = err == NULL ? &local : err;
    status =
        file_prepare(dir, MANIFEST_NAME, bytes->data, bytes->size, mode, err);
    if (status == CASK_NO_SPACE && err->os_errno != EFBIG &&
        manifest_give_up_spare(dir)) {
        status = file_prepare(dir, MANIFEST_NAME, bytes->data, bytes->size,
                              mode, err);
    }
    return status;
}

cask_status manifest_rewrite(os_file *dir, manifest_state *manifest,
                             uint32_t mode, cask_error *err)
{
    cask_buffer bytes = {0};
    cask_status status;
    int os_errno = dir->os->ops->random(dir->os, &manifest->header.nonce,
                                        sizeof(manifest->header.nonce));

    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot get random bytes");
    }
    manifest->number = 0;
    status = encode_all(manifest, &bytes, err);
    if (status == CASK_OK) {
        status = prepare(dir, &bytes, mode, err);
    }
    if (status == CASK_OK) {
        status = file_replace(dir, MANIFEST_NAME, err);
    }
    manifest->tail = bytes.size;
    cask_buffer_free(&bytes);
    manifest_keep_spare(dir);
    return status;
}
