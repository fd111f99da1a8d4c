/*
 * Load, append to and rewrite the MANIFEST.
 */
#include "log/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "log/segment.h"

/* Far above 65,536 segments with all their edits. */
#define MANIFEST_BYTES_MOST (UINT64_C(64) << 20)

void manifest_free(manifest_state *manifest)
{
    free(manifest->segments);
    *manifest = (manifest_state){0};
}

cask_status manifest_add(manifest_state *manifest,
                         const manifest_segment *segment, cask_error *err)
{
    if (manifest->count == manifest->capacity) {
        size_t capacity = manifest->capacity == 0 ? 16 : manifest->capacity * 2;
        void *grown =
            realloc(manifest->segments, capacity * sizeof(manifest_segment));

        if (grown == NULL) {
            return fail_memory(err, capacity * sizeof(manifest_segment));
        }
        manifest->segments = grown;
        manifest->capacity = capacity;
    }
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

/* ---- Load ---- */

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

/*
 * Edits are appended and synced one by one, so only the last can be torn: a
 * valid one behind an invalid one means that the file is damaged.
 */
static cask_status check_torn(manifest_state *manifest, const uint8_t *bytes,
                              size_t size, size_t torn_at, cask_error *err)
{
    uint64_t number = manifest->number + 1;
    size_t at = torn_at + MANIFEST_EDIT_SIZE;

    manifest->torn = size > torn_at;
    for (; at < size && size - at >= MANIFEST_EDIT_SIZE;
         at += MANIFEST_EDIT_SIZE) {
        manifest_seed seed = {manifest->header.nonce, at};
        manifest_edit edit;
        cask_status status;

        status =
            manifest_edit_decode(bytes + at, MANIFEST_NAME, seed, &edit, NULL);
        number++;
        if (status == CASK_UNSUPPORTED ||
            (status == CASK_OK && edit.number == number)) {
            return fail(err, CASK_CORRUPT, 0,
                        MANIFEST_NAME ": offset %zu: edit %" PRIu64
                                      " is damaged, a valid one follows at "
                                      "offset %zu; restore it from a backup, "
                                      "or see 'caskade repair'",
                        torn_at, manifest->number + 1, at);
        }
    }
    return CASK_OK;
}

static cask_status apply_edits(manifest_state *manifest, const uint8_t *bytes,
                               size_t size, cask_error *err)
{
    size_t at = MANIFEST_HEADER_SIZE;

    for (; size - at >= MANIFEST_EDIT_SIZE; at += MANIFEST_EDIT_SIZE) {
        manifest_seed seed = {manifest->header.nonce, at};
        manifest_edit edit;
        cask_status status =
            manifest_edit_decode(bytes + at, MANIFEST_NAME, seed, &edit, err);

        if (status == CASK_CORRUPT ||
            (status == CASK_OK && edit.number != manifest->number + 1)) {
            break; /* torn, or of an earlier life of these bytes */
        }
        if (status == CASK_OK) {
            status = apply_edit(manifest, &edit, err);
        }
        if (status != CASK_OK) {
            return status;
        }
        manifest->number = edit.number;
    }
    manifest->tail = at;
    if (manifest->number < manifest->header.edits) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": offset %zu: edit %" PRIu64 " of %" PRIu32
                                  " is damaged or cut off; restore it from a "
                                  "backup, or see 'caskade repair'",
                    at, manifest->number + 1, manifest->header.edits);
    }
    return check_torn(manifest, bytes, size, at, err);
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

cask_status manifest_append(os_file *dir, uint64_t *tail, uint64_t *number,
                            manifest_edit *edit, cask_error *err)
{
    const os_ops *ops = dir->os->ops;
    uint8_t header_bytes[MANIFEST_HEADER_SIZE];
    uint8_t bytes[MANIFEST_EDIT_SIZE];
    const os_span span = {bytes, sizeof(bytes)};
    manifest_header header;
    cask_status status;
    os_file *file;
    os_stat stat;
    size_t got = 0;
    int os_errno;

    /* Not by the number kept: who advanced the tail may have died before it. */
    *number = (*tail - MANIFEST_HEADER_SIZE) / MANIFEST_EDIT_SIZE;
    status =
        file_open(dir, MANIFEST_NAME, OS_READ | OS_WRITE, &file, &stat, err);
    if (status != CASK_OK) {
        return status;
    }
    os_errno = ops->read_at(file, header_bytes, sizeof(header_bytes), 0, &got);
    if (os_errno != 0 || got < sizeof(header_bytes)) {
        status = fail_os(err, os_errno != 0 ? os_errno : EIO,
                         "cannot read " MANIFEST_NAME);
        goto done;
    }
    status = manifest_header_decode(header_bytes, MANIFEST_NAME, &header, err);
    if (status != CASK_OK) {
        goto done;
    }
    edit->number = *number + 1;
    manifest_edit_encode(edit, (manifest_seed){header.nonce, *tail}, bytes);
    keep_spare(file, *tail + sizeof(bytes), stat.allocated);
    os_errno = ops->write_at(file, &span, 1, *tail);
    if (os_errno != 0) {
        status = fail_os(err, os_errno, "cannot append to " MANIFEST_NAME);
        goto done;
    }
    os_errno = ops->sync(file);
    if (os_errno != 0) {
        status = fail(err, CASK_POISONED, os_errno,
                      "cannot sync " MANIFEST_NAME "; reopen the store");
        goto done;
    }
    *tail += MANIFEST_EDIT_SIZE;
    (*number)++;

done:
    ops->close(file);
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
