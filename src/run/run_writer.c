/*
 * Writing a run, see run_writer.h. A record is either written as a whole or the
 * writer has failed for good: what is refused is refused before.
 */
#include "run/run_writer.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/crc32c.h"

enum { DEFAULT_MODE = 0600 };

static const uint64_t default_memory = (uint64_t)1 << 30;
/* Of the records; the sections may end beyond it. */
static const uint64_t length_limit = ((uint64_t)1 << RUN_LENGTH_BITS) - 8;

/* ---- Create ------------------------------------------------------------- */

static cask_status take_random(cask_run_writer *writer,
                               const run_origin *origin, cask_error *err)
{
    run_hash_key *hash_key = &writer->sections.footer.hash_key;
    uint64_t random[3];
    int os_errno =
        writer->kernel->ops->random(writer->kernel, random, sizeof(random));

    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot get random numbers");
    }
    writer->nonce = random[0];
    *hash_key = origin != NULL ? origin->hash_key
                               : (run_hash_key){{random[1], random[2]}};
    return CASK_OK;
}

static cask_status write_header(cask_run_writer *writer,
                                const run_origin *origin, cask_error *err)
{
    segment_header header = {.kind = SEGMENT_RUN, .nonce = writer->nonce};
    uint8_t bytes[SEGMENT_HEADER_SIZE];

    if (origin != NULL) {
        memcpy(header.uuid, origin->uuid, sizeof(header.uuid));
        header.id = origin->id;
        header.born = origin->born;
        header.kind = origin->is_values ? SEGMENT_VALUES : SEGMENT_RUN;
    }
    segment_header_encode(&header, bytes);
    return run_output_write(&writer->output, bytes, sizeof(bytes), err);
}

static void free_writer(cask_run_writer *writer)
{
    run_output_discard(&writer->output);
    run_sections_free(&writer->sections);
    if (!writer->borrows_dir) {
        writer->kernel->ops->close(writer->dir);
    }
    free(writer);
}

cask_status run_writer_create(os_file *take_dir, const char *name,
                              const run_writer_options *options,
                              cask_run_writer **ret_writer, cask_error *err)
{
    const cask_run_options *run = &options->run;
    uint32_t mode = run->file_mode != 0 ? run->file_mode : DEFAULT_MODE;
    cask_run_writer *writer = calloc(1, sizeof(*writer));
    cask_status status;

    if (writer == NULL) {
        if (!options->borrows_dir) {
            take_dir->os->ops->close(take_dir);
        }
        return fail_memory(err, sizeof(*writer));
    }
    writer->kernel = take_dir->os;
    writer->dir = take_dir;
    writer->borrows_dir = options->borrows_dir;
    writer->memory_limit =
        run->memory_bytes != 0 ? run->memory_bytes : default_memory;
    writer->sections.no_filter = run->no_filter;
    writer->sections.footer.prefix_bytes = run->prefix_bytes;
    status = take_random(writer, options->origin, err);
    if (status == CASK_OK) {
        status = run_output_open(&writer->output, take_dir, name, mode, err);
    }
    if (status == CASK_OK) {
        status = write_header(writer, options->origin, err);
    }
    if (status != CASK_OK) {
        free_writer(writer);
        return status;
    }
    *ret_writer = writer;
    return CASK_OK;
}

/* ---- Add ---------------------------------------------------------------- */

static cask_status check_order(const cask_run_writer *writer,
                               const cask_run_entry *entry, cask_error *err)
{
    const run_sections *sections = &writer->sections;
    const cask_slice last = {sections->last.data, sections->last.size};
    uint64_t number = sections->counts.records + 1;
    int order = number == 1 ? 1 : key_compare(entry->key, last);

    if (order < 0) {
        return fail(err, CASK_INVALID, 0,
                    "%s: the key of record %" PRIu64 " sorts before that of "
                    "record %" PRIu64 "; add keys in ascending order",
                    writer->output.name, number, number - 1);
    }
    if (order == 0 && entry->info.sequence >= sections->last_sequence) {
        return fail(err, CASK_INVALID, 0,
                    "%s: record %" PRIu64 " has the key of record %" PRIu64
                    ", and sequence %" PRIu64 " after %" PRIu64
                    "; add versions of a key by descending sequence",
                    writer->output.name, number, number - 1,
                    entry->info.sequence, sections->last_sequence);
    }
    return CASK_OK;
}

static cask_status check_room(const cask_run_writer *writer, uint64_t size,
                              cask_error *err)
{
    uint64_t offset = run_output_size(&writer->output);

    if (size > length_limit - offset) {
        return fail(err, CASK_NO_SPACE, 0,
                    "%s: offset %" PRIu64 ": a record of %" PRIu64
                    " bytes, a run ends before 2^%d; finish it and go on in "
                    "another",
                    writer->output.name, offset, size, RUN_LENGTH_BITS);
    }
    if (run_sections_memory(&writer->sections) > writer->memory_limit) {
        return fail(err, CASK_NO_MEMORY, 0,
                    "%s: %" PRIu64 " records need more memory than the %" PRIu64
                    " bytes allowed; finish it and go on in another",
                    writer->output.name, writer->sections.counts.records + 1,
                    writer->memory_limit);
    }
    return CASK_OK;
}

/* Expiry, key and value, in the order of the file. */
typedef struct record_parts {
    uint8_t expiry[RECORD_EXPIRY_SIZE];
    uint8_t pointer[RUN_POINTER_SIZE];
    cask_slice part[3];
} record_parts;

static record_header take_apart(const cask_run_entry *entry,
                                record_parts *parts)
{
    record_header header = {.sequence = entry->info.sequence,
                            .time_s = entry->info.time_s,
                            .key_size = (uint16_t)entry->key.size,
                            .type = (uint8_t)entry->kind};
    const run_pointer pointer = {entry->pointer.segment_id,
                                 entry->pointer.offset,
                                 entry->pointer.size_bytes};

    parts->part[0] = (cask_slice){0};
    parts->part[1] = entry->key;
    parts->part[2] = entry->value;
    if (entry->info.expires_at_ms != 0) {
        header.type |= RECORD_EXPIRES;
        store_u64(parts->expiry, entry->info.expires_at_ms);
        parts->part[0] = (cask_slice){parts->expiry, RECORD_EXPIRY_SIZE};
    }
    if (entry->kind == CASK_RUN_POINTER) {
        run_pointer_encode(&pointer, parts->pointer);
        parts->part[2] = (cask_slice){parts->pointer, RUN_POINTER_SIZE};
    }
    header.value_size = (uint32_t)parts->part[2].size;
    return header;
}

/* One of few that do not fit into what is left of the buffer. */
static cask_status write_pieces(cask_run_writer *writer,
                                const uint8_t header[RECORD_HEADER_SIZE],
                                const record_parts *parts, cask_error *err)
{
    cask_status status =
        run_output_write(&writer->output, header, RECORD_HEADER_SIZE, err);

    for (int i = 0; i < 3 && status == CASK_OK; i++) {
        status = run_output_write(&writer->output, parts->part[i].data,
                                  parts->part[i].size, err);
    }
    return status != CASK_OK ? status
                             : run_output_align(&writer->output, 8, err);
}

static cask_status write_record(cask_run_writer *writer,
                                const record_header *header,
                                const record_parts *parts, cask_error *err)
{
    const record_seed seed = {writer->nonce, run_output_size(&writer->output)};
    const uint64_t size = record_size(header);
    uint8_t bytes[RECORD_HEADER_SIZE];
    uint32_t crc = 0;
    uint8_t *at;

    for (int i = 0; i < 3; i++) {
        crc = parts->part[i].size == 0
                  ? crc
                  : crc32c(crc, parts->part[i].data, parts->part[i].size);
    }
    at = run_output_take(&writer->output, size);
    if (at == NULL) {
        record_encode_header(header, crc, seed, bytes);
        return write_pieces(writer, bytes, parts, err);
    }
    store_u64(at + size - 8, 0); /* the padding is in there */
    record_encode_header(header, crc, seed, at);
    at += RECORD_HEADER_SIZE;
    for (int i = 0; i < 3; i++) {
        if (parts->part[i].size > 0) {
            memcpy(at, parts->part[i].data, parts->part[i].size);
            at += parts->part[i].size;
        }
    }
    return CASK_OK;
}

cask_status run_writer_fail(cask_run_writer *writer, cask_status status,
                            const cask_error *failure, cask_error *err)
{
    writer->failed = status;
    if (failure != &writer->failure) {
        writer->failure = *failure;
    }
    if (err != NULL) {
        *err = writer->failure;
    }
    return status;
}

cask_status run_writer_add(cask_run_writer *writer, const cask_run_entry *entry,
                           cask_error *err)
{
    cask_run_entry whole = *entry;
    cask_error failure = {0};
    record_parts parts;
    record_header header;
    cask_status status;

    if (writer->failed != CASK_OK) {
        return run_writer_fail(writer, writer->failed, &writer->failure, err);
    }
    if (whole.info.sequence == 0) {
        whole.info.sequence = 1;
    }
    if (whole.info.time_s == 0) {
        whole.info.time_s =
            (uint32_t)(writer->kernel->ops->wall_ms(writer->kernel) / 1000);
    }
    header = take_apart(&whole, &parts);
    status = check_order(writer, &whole, err);
    if (status == CASK_OK) {
        status = check_room(writer, record_size(&header), err);
    }
    if (status == CASK_OK) {
        status = run_sections_note(
            &writer->sections, run_output_size(&writer->output), &whole, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    status = write_record(writer, &header, &parts, &failure);
    return status == CASK_OK ? CASK_OK
                             : run_writer_fail(writer, status, &failure, err);
}

/* ---- Finish, abort ------------------------------------------------------ */

cask_status run_writer_finish(cask_run_writer *take_writer, cask_error *err)
{
    cask_run_writer *writer = take_writer;
    cask_status status = writer->failed;

    if (status != CASK_OK) {
        status = run_writer_fail(writer, status, &writer->failure, err);
    } else {
        status = run_sections_write(&writer->sections, &writer->output,
                                    writer->nonce, err);
    }
    if (status == CASK_OK) {
        status = run_output_publish(&writer->output, err);
    }
    free_writer(writer);
    return status;
}

void run_writer_abort(cask_run_writer *take_writer)
{
    if (take_writer != NULL) {
        free_writer(take_writer);
    }
}
