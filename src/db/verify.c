/*
 * Verify: read every file of a store and check all that can be checked, without
 * opening it. Of the segments only what MANIFEST calls sealed, or what lies
 * below the last mark, must be whole; the rest may be being written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "db/db.h"
#include "log/hint_format.h"
#include "log/manifest.h"
#include "log/segment.h"
#include "store/store_open.h"

typedef struct verification {
    os *kernel;
    os_file *dir;
    const char *path;
    const cask_verify_options *options;
    store_identity identity;
    manifest_state manifest;
    cask_verify_report report;
    uint64_t bytes_done;
    uint64_t bytes_total;
} verification;

static void problem(verification *v, const char *file, uint64_t offset,
                    uint64_t size, const char *reason)
{
    cask_problem found = {file, offset, size, reason};

    v->report.problems++;
    if (v->options->on_problem != NULL) {
        v->options->on_problem(v->options->context, &found);
    }
}

static void progress(verification *v, uint64_t bytes)
{
    v->bytes_done += bytes;
    if (v->options->on_progress != NULL) {
        v->options->on_progress(v->options->context, v->bytes_done,
                                v->bytes_total);
    }
}

/* A file mapped whole; size 0: nothing mapped. */
typedef struct mapped {
    os_file *file;
    void *memory;
    uint64_t size;
    char name[SEGMENT_NAME_SIZE];
} mapped;

static void unmap(verification *v, mapped *file)
{
    if (file->memory != NULL) {
        v->kernel->ops->unmap(v->kernel, file->memory, file->size);
    }
    v->kernel->ops->close(file->file);
}

/* CASK_NOT_FOUND if it is missing; CASK_UNSUPPORTED, told as a problem, if it
 * is no plain file. */
static cask_status map_file(verification *v, mapped *file, cask_error *err)
{
    const os_ops *ops = v->kernel->ops;
    os_stat stat;
    int os_errno = ops->open(v->dir, file->name, OS_READ, 0, &file->file);

    if (os_errno == ENOENT) {
        file->file = NULL;
        return CASK_NOT_FOUND;
    }
    if (os_errno == ELOOP || os_errno == EINVAL) {
        file->file = NULL;
        problem(v, file->name, 0, 0, "is a link or no plain file: ignored");
        return CASK_UNSUPPORTED;
    }
    if (os_errno == 0) {
        os_errno = ops->stat(file->file, &stat);
        if (os_errno == 0 && stat.size > 0) {
            file->size = stat.size;
            os_errno = ops->map(file->file, 0, stat.size, false, &file->memory);
        }
    } else {
        file->file = NULL;
    }
    if (os_errno != 0) {
        unmap(v, file);
        return fail_os(err, os_errno, "cannot read %s", file->name);
    }
    v->report.files++;
    return CASK_OK;
}

/* ---- A segment ---- */

static bool check_header(verification *v, const mapped *file,
                         const manifest_segment *segment)
{
    segment_header header;
    cask_error err;

    if (file->size < SEGMENT_HEADER_SIZE) {
        problem(v, file->name, 0, file->size, "shorter than its header");
        return false;
    }
    if (segment_header_decode(file->memory, file->name, &header, &err) !=
        CASK_OK) {
        problem(v, file->name, 0, SEGMENT_HEADER_SIZE, err.message);
        return false;
    }
    if (header.id != segment->id || header.nonce != segment->nonce ||
        memcmp(header.uuid, v->identity.uuid, 16) != 0) {
        problem(v, file->name, 0, SEGMENT_HEADER_SIZE,
                "belongs to another segment or store");
        return false;
    }
    return true;
}

static void check_footer(verification *v, const mapped *file,
                         const manifest_segment *segment)
{
    const uint8_t *bytes = file->memory;
    segment_footer footer;
    cask_error err;

    if (file->size < segment->length + SEGMENT_FOOTER_SIZE) {
        return; /* its writer died before it wrote one: it is information */
    }
    if (memcmp(bytes + segment->length, SEGMENT_FOOTER_MAGIC, 8) == 0 &&
        segment_footer_decode(bytes + segment->length, file->name,
                              segment->length, &footer, &err) != CASK_OK) {
        problem(v, file->name, segment->length, SEGMENT_FOOTER_SIZE,
                err.message);
    }
}

/* The first sequence in a segment's file; 0 if there is none. */
static uint64_t first_sequence(verification *v, const manifest_segment *segment)
{
    mapped file = {.size = 0};
    uint64_t sequence = 0;

    segment_name_format(segment->id, file.name);
    if (map_file(v, &file, NULL) == CASK_OK) {
        v->report.files--; /* it has its own turn */
        sequence = scan_first_sequence(file.memory, file.size, segment->nonce);
        unmap(v, &file);
    }
    return sequence;
}

/* Up to where everything must verify. */
static uint64_t trusted_end(verification *v, const mapped *file,
                            const manifest_segment *segment)
{
    const manifest_segment *end = v->manifest.segments + v->manifest.count;
    uint64_t marked;

    if (segment->sealed) {
        return segment->length;
    }
    for (const manifest_segment *next = segment + 1; next < end; next++) {
        uint64_t sequence =
            next->kind == SEGMENT_LOG ? first_sequence(v, next) : 0;

        if (sequence != 0) {
            return scan_end_before(file->memory, file->size, segment->nonce,
                                   sequence);
        }
    }
    marked = scan_trusted_end(file->memory, file->size, segment->nonce);
    return marked > segment->synced ? marked : segment->synced;
}

static void check_records(verification *v, const mapped *file,
                          const manifest_segment *segment)
{
    uint64_t end = segment->sealed && segment->length < file->size
                       ? segment->length
                       : file->size;
    segment_scan scan;
    scan_result result;
    scan_item item;

    scan_begin(&scan, file->memory, end, segment->nonce, SEGMENT_HEADER_SIZE);
    scan.trusted_end = trusted_end(v, file, segment);
    while ((result = scan_next(&scan, &item)) != SCAN_END) {
        if (result == SCAN_UNSUPPORTED) {
            problem(v, file->name, item.offset, 0,
                    "a record type that this version does not know");
            return;
        }
        if (result == SCAN_DAMAGE) {
            problem(v, file->name, item.offset, item.size,
                    scan.offset > file->size ? "cut off"
                                             : "no record verifies here");
            continue;
        }
        v->report.records++;
        v->report.bytes += item.size;
    }
}

/* ---- A hint ---- */

static bool hint_is_sound(verification *v, const mapped *file,
                          const manifest_segment *segment,
                          hint_header *ret_header)
{
    const uint8_t *bytes = file->memory;
    cask_error err;

    if (file->size < HINT_HEADER_SIZE) {
        problem(v, file->name, 0, file->size, "shorter than its header");
        return false;
    }
    if (hint_header_decode(bytes, file->name, ret_header, &err) != CASK_OK) {
        problem(v, file->name, 0, HINT_HEADER_SIZE, err.message);
        return false;
    }
    if (ret_header->segment_id != segment->id ||
        ret_header->segment_nonce != segment->nonce ||
        ret_header->segment_length != segment->length ||
        ret_header->key_check != hint_key_check(v->identity.hash_key)) {
        problem(v, file->name, 0, HINT_HEADER_SIZE,
                "belongs to another segment; it will be ignored");
        return false;
    }
    if (file->size != hint_file_bytes(ret_header)) {
        problem(v, file->name, 0, file->size, "has the wrong size");
        return false;
    }
    if (crc32c(0, bytes + HINT_HEADER_SIZE, file->size - HINT_HEADER_SIZE) !=
        ret_header->rows_crc) {
        problem(v, file->name, HINT_HEADER_SIZE, file->size - HINT_HEADER_SIZE,
                "the rows' checksum is wrong");
        return false;
    }
    return true;
}

/* Every row must say what the data says, in the same order. */
static void compare_rows(verification *v, const mapped *hint,
                         const hint_header *header, const mapped *data)
{
    const uint8_t *rows = (const uint8_t *)hint->memory + HINT_HEADER_SIZE;

    for (uint64_t i = 0; i < header->row_count; i++) {
        scan_item item;
        hint_row row;
        siphash_value hash;

        hint_row_decode(rows + i * HINT_ROW_SIZE, &row);
        if (!scan_parse(data->memory, data->size, header->segment_nonce,
                        hint_place_offset(row.place), &item)) {
            continue; /* told by the scan of the data */
        }
        hash = siphash(v->identity.hash_key, item.key, item.header.key_size);
        if (item.header.sequence != row.sequence ||
            item.header.type != row.type || hash.word[0] != row.hash.word[0] ||
            hash.word[1] != row.hash.word[1]) {
            problem(v, hint->name, HINT_HEADER_SIZE + i * HINT_ROW_SIZE,
                    HINT_ROW_SIZE, "the row differs from its record");
        }
    }
}

static cask_status check_hint(verification *v, const mapped *data,
                              const manifest_segment *segment, cask_error *err)
{
    mapped hint = {.size = 0};
    hint_header header;
    cask_status status;

    hint_name_format(segment->id, hint.name);
    status = map_file(v, &hint, err);
    if (status == CASK_NOT_FOUND || status == CASK_UNSUPPORTED) {
        return CASK_OK; /* it will be written again */
    }
    if (status == CASK_OK) {
        if (hint_is_sound(v, &hint, segment, &header)) {
            compare_rows(v, &hint, &header, data);
            v->report.bytes += hint.size;
        }
        progress(v, hint.size);
        unmap(v, &hint);
    }
    return status;
}

static cask_status
check_segment(verification *v, const manifest_segment *segment, cask_error *err)
{
    mapped data = {.size = 0};
    cask_status status;

    segment_name_format(segment->id, data.name);
    status = map_file(v, &data, err);
    if (status == CASK_NOT_FOUND) {
        problem(v, data.name, 0, segment->length,
                "is missing, but MANIFEST lists it");
        return CASK_OK;
    }
    if (status == CASK_UNSUPPORTED) {
        return CASK_OK;
    }
    if (status != CASK_OK) {
        return status;
    }
    if (check_header(v, &data, segment)) {
        check_records(v, &data, segment);
        if (segment->sealed) {
            check_footer(v, &data, segment);
            status = check_hint(v, &data, segment, err);
        }
    }
    progress(v, data.size);
    unmap(v, &data);
    return status;
}

/* ---- The store ---- */

static bool add_size(void *context, const char *name)
{
    verification *v = context;
    os_stat stat;

    if (v->kernel->ops->stat_name(v->dir, name, &stat) == 0 &&
        stat.kind == OS_REGULAR) {
        v->bytes_total += stat.size;
    }
    return true;
}

/* The keys that an open finds, if it can be opened at all. */
static cask_status count_keys(verification *v, cask_error *err)
{
    cask_options options;
    cask_status status;
    cask_db *db;

    cask_options_init(&options);
    options.read_only = true;
    options.damage = CASK_DAMAGE_SERVE;
    status = db_open_on(v->kernel, v->path, &options, &db, err);
    if (status == CASK_OK) {
        v->report.readable = true;
        status = cask_count(db, &v->report.keys, err);
        (void)cask_close(db, NULL);
    }
    return status;
}

static cask_status check_files(verification *v, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status =
        store_read_identity(v->dir, v->path, &v->identity, &local);

    if (status == CASK_CORRUPT) {
        problem(v, IDENTITY_NAME, 0, IDENTITY_SIZE, local.message);
        return CASK_OK;
    }
    if (status == CASK_OK) {
        v->report.files++;
        (void)v->kernel->ops->list(v->dir, add_size, v);
        status = manifest_load(v->dir, v->identity.uuid, &v->manifest, &local);
    }
    if (status == CASK_CORRUPT ||
        (status == CASK_NOT_FOUND && v->report.files > 0)) {
        problem(v, MANIFEST_NAME, 0, 0, local.message);
        return CASK_OK;
    }
    if (status != CASK_OK) {
        if (err != NULL) {
            *err = local;
        }
        return status;
    }
    v->report.files++;
    for (size_t i = 0; i < v->manifest.count && status == CASK_OK; i++) {
        status = check_segment(v, &v->manifest.segments[i], err);
    }
    return status;
}

static cask_status check_store(verification *v, cask_error *err)
{
    cask_status status = check_files(v, err);
    cask_error local;

    /* An open that fails because of what has been told is no news. */
    if (status == CASK_OK && count_keys(v, &local) != CASK_OK &&
        v->report.problems == 0) {
        problem(v, ".", 0, 0, local.message);
    }
    return status;
}

cask_status db_verify_on(os *kernel, const char *path,
                         const cask_verify_options *options,
                         cask_verify_report *ret_report, cask_error *err)
{
    static const cask_verify_options none;
    verification v = {.kernel = kernel,
                      .path = path,
                      .options = options == NULL ? &none : options};
    cask_status status;
    int os_errno;

    if (path == NULL || ret_report == NULL) {
        return fail(err, CASK_INVALID, 0, "path or ret_report is missing");
    }
    os_errno = kernel->ops->open_dir(kernel, path, &v.dir);
    if (os_errno == ENOENT) {
        return fail(err, CASK_NOT_FOUND, 0, "%s: no such store", path);
    }
    if (os_errno == ENOTDIR) {
        return fail(err, CASK_INVALID, 0, "%s: is not a directory", path);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open %s", path);
    }
    status = check_store(&v, err);
    manifest_free(&v.manifest);
    kernel->ops->close(v.dir);
    if (status != CASK_OK) {
        return status;
    }
    *ret_report = v.report;
    if (v.report.problems > 0) {
        return fail(err, CASK_CORRUPT, 0, "%s: %" PRIu64 " problems; %s", path,
                    v.report.problems,
                    v.report.readable
                        ? "what is undamaged can be read"
                        : "restore the files concerned from a backup");
    }
    return CASK_OK;
}

cask_status cask_verify(const char *path, const cask_verify_options *options,
                        cask_verify_report *ret_report, cask_error *err)
{
    return db_verify_on(os_posix(), path, options, ret_report, err);
}
