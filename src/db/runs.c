/*
 * Runs: the functions of caskade/run.h. Arguments are checked here, the rest is
 * in src/run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/parent.h"
#include "db/run_sort.h"
#include "run/run_iterator.h"
#include "run/run_pointer.h"
#include "run/run_writer.h"

enum { WRITER_MIN = 4 << 20 };

/* ---- Writing ------------------------------------------------------------ */

static cask_status check_options(const cask_run_options *options,
                                 cask_error *err)
{
    if ((options->file_mode & ~0777u) != 0) {
        return fail(err, CASK_INVALID, 0, "file_mode is %o; at most 0777",
                    options->file_mode);
    }
    if (options->prefix_bytes > CASK_KEY_MAX_BYTES) {
        return fail(err, CASK_INVALID, 0, "prefix_bytes is %u; at most %u",
                    options->prefix_bytes, CASK_KEY_MAX_BYTES);
    }
    uint64_t memory_min = options->sort ? RUN_SORTER_MEMORY_MIN : WRITER_MIN;

    if (options->memory_bytes != 0 && options->memory_bytes < memory_min) {
        return fail(err, CASK_INVALID, 0,
                    "memory_bytes is %llu; 0 or at least %llu",
                    (unsigned long long)options->memory_bytes,
                    (unsigned long long)memory_min);
    }
    return CASK_OK;
}

cask_status cask_run_writer_create(const char *path,
                                   const cask_run_options *options,
                                   cask_run_writer **ret_writer,
                                   cask_error *err)
{
    run_writer_options chosen = {0};
    cask_run_writer *writer = NULL;
    const char *name = NULL;
    os_file *dir = NULL;
    cask_status status = db_check_output(ret_writer, "ret_writer", err);

    if (options != NULL) {
        chosen.run = *options;
    }
    if (status == CASK_OK) {
        status = check_options(&chosen.run, err);
    }
    if (status == CASK_OK) {
        status = db_open_parent(path, &dir, &name, err);
    }
    if (dir == NULL) {
        return status;
    }
    if (chosen.run.file_mode != 0) {
        chosen.run.file_mode |= 0600;
    }
    status = run_writer_create(dir, name, &chosen, &writer, err);
    if (status == CASK_OK && chosen.run.sort) {
        status = run_sorter_create(writer, &writer->sorter, err);
    }
    if (status != CASK_OK) {
        run_writer_abort(writer);
        return status;
    }
    *ret_writer = writer;
    return CASK_OK;
}

static cask_status check_pointer(const cask_run_pointer *pointer,
                                 cask_error *err)
{
    if (pointer->size_bytes < RECORD_HEADER_SIZE || pointer->offset % 8 != 0 ||
        pointer->offset < SEGMENT_HEADER_SIZE) {
        return fail(err, CASK_INVALID, 0,
                    "pointer: the offset of a record is a multiple of 8, from "
                    "%d on, and its size at least %d",
                    SEGMENT_HEADER_SIZE, RECORD_HEADER_SIZE);
    }
    return CASK_OK;
}

/* What belongs to one kind only. The sizes are right. */
static cask_status check_kind(const cask_run_entry *entry, cask_error *err)
{
    bool expires = entry->info.expires_at_ms != 0;

    switch (entry->kind) {
    case CASK_RUN_PUT:
        return CASK_OK;
    case CASK_RUN_DELETE:
        return entry->value.size == 0 && !expires
                   ? CASK_OK
                   : fail(err, CASK_INVALID, 0,
                          "a delete has no value, and does not expire");
    case CASK_RUN_DELETE_RANGE:
        return entry->value.size <= CASK_KEY_MAX_BYTES && !expires &&
                       key_compare(entry->key, key_end_of(entry->value)) < 0
                   ? CASK_OK
                   : fail(err, CASK_INVALID, 0,
                          "a range ends behind its start, at most %u bytes "
                          "long, and does not expire",
                          CASK_KEY_MAX_BYTES);
    case CASK_RUN_POINTER:
        return entry->value.size == 0
                   ? check_pointer(&entry->pointer, err)
                   : fail(err, CASK_INVALID, 0, "a pointer has no value");
    }
    return fail(err, CASK_INVALID, 0, "kind of the record is %d",
                (int)entry->kind);
}

cask_status cask_run_writer_add(cask_run_writer *writer,
                                const cask_run_entry *entry, cask_error *err)
{
    cask_status status;

    if (writer == NULL || entry == NULL) {
        return fail(err, CASK_INVALID, 0, "writer or entry is NULL");
    }
    status = db_check_sizes(entry->key, entry->value, err);
    if (status == CASK_OK) {
        status = check_kind(entry, err);
    }
    if (status == CASK_OK && entry->info.sequence > RECORD_SEQUENCE_MAX) {
        status = fail(err, CASK_INVALID, 0, "sequence is beyond 2^56 - 1");
    }
    if (status != CASK_OK) {
        return status;
    }
    return writer->sorter != NULL ? run_sorter_add(writer->sorter, entry, err)
                                  : run_writer_add(writer, entry, err);
}

cask_status cask_run_writer_finish(cask_run_writer *take_writer,
                                   cask_error *err)
{
    cask_status status = db_check_output(take_writer, "writer", err);

    if (status != CASK_OK) {
        return status;
    }
    if (take_writer->sorter != NULL) {
        /* What it returns, run_writer_finish() does. */
        (void)run_sorter_finish(take_writer->sorter, err);
        run_sorter_free(take_writer->sorter);
    }
    return run_writer_finish(take_writer, err);
}

void cask_run_writer_abort(cask_run_writer *take_writer)
{
    if (take_writer != NULL) {
        run_sorter_free(take_writer->sorter);
    }
    run_writer_abort(take_writer);
}

/* ---- Reading ------------------------------------------------------------ */

cask_status cask_run_open(const char *path, cask_run **ret_run, cask_error *err)
{
    const char *name = NULL;
    os_file *dir = NULL;
    cask_status status = db_check_output(ret_run, "ret_run", err);

    if (status == CASK_OK) {
        status = db_open_parent(path, &dir, &name, err);
    }
    if (dir != NULL) {
        status = run_open(dir, name, NULL, ret_run, err);
        dir->os->ops->close(dir);
    }
    return status;
}

void cask_run_close(cask_run *run)
{
    run_close(run);
}

void cask_run_get_info(const cask_run *run, cask_run_info *ret_info)
{
    const run_footer *footer = &run->footer;

    *ret_info = (cask_run_info){
        .file_bytes = run->size,
        .record_bytes = footer->length - SEGMENT_HEADER_SIZE,
        .records = footer->records,
        .keys = footer->keys,
        .tombstones = footer->tombstones,
        .ranges = footer->ranges,
        .pointers = footer->pointers,
        .first_sequence = footer->first_sequence,
        .last_sequence = footer->last_sequence,
        .smallest_key = run->smallest,
        .largest_key = run->largest,
        .largest_end = key_end_stored(run->end),
        .index_bytes = run_section_bytes(footer, RUN_INDEX),
        .filter_bytes = run_section_bytes(footer, RUN_FILTER),
        .prefix_filter_bytes = run_section_bytes(footer, RUN_PREFIXES),
        .fence_bytes = run_section_bytes(footer, RUN_FENCES),
        .prefix_bytes = footer->prefix_bytes,
        .segment_count = footer->segments,
        .expiring = footer->expiring,
        .first_expiry_s = footer->expiry.first,
        .last_expiry_s = footer->expiry.last,
        .first_time_s = footer->written.first,
        .last_time_s = footer->written.last,
        .is_values = run->is_values};
}

cask_run_segment cask_run_get_segment(const cask_run *run, uint32_t index)
{
    run_named row;

    if (index >= run->footer.segments) {
        return (cask_run_segment){0};
    }
    row = run_named_at(run, index);
    return (cask_run_segment){row.id, row.bytes};
}

static cask_status refuse_get(cask_slice key, cask_error *err)
{
    cask_status status = db_check_key(key, err);

    return status != CASK_OK ? status
                             : fail(err, CASK_INVALID, 0,
                                    "run, ret_value or ret_entry is NULL");
}

cask_status cask_run_get(const cask_run *run, cask_slice key,
                         uint64_t max_sequence, cask_buffer *ret_value,
                         cask_run_entry *ret_entry, cask_error *err)
{
    if (run == NULL || ret_value == NULL || ret_entry == NULL ||
        key.size > CASK_KEY_MAX_BYTES || (key.data == NULL && key.size > 0)) {
        return refuse_get(key, err);
    }
    return run_get(run, key, max_sequence, ret_value, ret_entry, err);
}

bool cask_run_may_have_prefix(const cask_run *run, cask_slice prefix)
{
    return run_may_have_prefix(run, prefix);
}

/* ---- Iterating ---------------------------------------------------------- */

cask_status cask_run_iterator_create(const cask_run *run,
                                     cask_run_iterator **ret_iterator,
                                     cask_error *err)
{
    cask_run_iterator *iterator;

    if (run == NULL || ret_iterator == NULL) {
        return fail(err, CASK_INVALID, 0, "run or ret_iterator is NULL");
    }
    iterator = calloc(1, sizeof(*iterator));
    if (iterator == NULL) {
        return fail_memory(err, sizeof(*iterator));
    }
    iterator->run = run;
    *ret_iterator = iterator;
    return CASK_OK;
}

void cask_run_iterator_free(cask_run_iterator *iterator)
{
    free(iterator);
}

static cask_status check_iterator(const cask_run_iterator *iterator,
                                  const cask_run_entry *ret_entry,
                                  cask_error *err)
{
    return iterator != NULL && ret_entry != NULL
               ? CASK_OK
               : fail(err, CASK_INVALID, 0, "iterator or ret_entry is NULL");
}

cask_status cask_run_iterator_seek(cask_run_iterator *iterator,
                                   cask_run_seek how, cask_slice key,
                                   cask_run_entry *ret_entry, cask_error *err)
{
    cask_status status = check_iterator(iterator, ret_entry, err);

    if (status == CASK_OK && (how < CASK_RUN_FIRST || how > CASK_RUN_AT_MOST)) {
        status = fail(err, CASK_INVALID, 0, "cask_run_seek is %d", (int)how);
    }
    if (status == CASK_OK) {
        status = db_check_key(key, err);
    }
    return status == CASK_OK
               ? run_iterator_seek(iterator, how, key, ret_entry, err)
               : status;
}

/* The iterator is at a record. */
static cask_status check_position(const cask_run_iterator *iterator,
                                  const cask_run_entry *ret_entry,
                                  cask_error *err)
{
    cask_status status = check_iterator(iterator, ret_entry, err);

    return status == CASK_OK && iterator->offset == 0
               ? fail(err, CASK_INVALID, 0,
                      "the iterator is at no record; "
                      "seek first")
               : status;
}

cask_status cask_run_iterator_next(cask_run_iterator *iterator,
                                   cask_run_entry *ret_entry, cask_error *err)
{
    cask_status status = check_position(iterator, ret_entry, err);

    return status == CASK_OK ? run_iterator_next(iterator, ret_entry, err)
                             : status;
}

cask_status cask_run_iterator_previous(cask_run_iterator *iterator,
                                       cask_run_entry *ret_entry,
                                       cask_error *err)
{
    cask_status status = check_position(iterator, ret_entry, err);

    return status == CASK_OK ? run_iterator_previous(iterator, ret_entry, err)
                             : status;
}
