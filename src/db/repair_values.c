/*
 * Reading single records of runs of values, whose other parts may be damaged;
 * see repair_values.h.
 */
#include "db/repair_values.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/key_order.h"
#include "log/segment.h"

void repair_values_end(repair *r, repair_values *values)
{
    r->kernel->ops->close(values->file);
    cask_buffer_free(&values->record);
    values->file = NULL;
    values->source = NULL;
}

/* CASK_CORRUPT: it is not there. */
static cask_status open_file(repair *r, repair_values *values,
                             const repair_source *source, cask_error *err)
{
    cask_error why = {CASK_OK, 0, ""};
    os_stat stat;

    if (values->source == source) {
        return CASK_OK;
    }
    r->kernel->ops->close(values->file);
    values->file = NULL;
    values->source = NULL;
    if (source->size == 0 || source->nonce == 0) {
        return CASK_CORRUPT;
    }
    if (file_open(r->dir, source->name, OS_READ, &values->file, &stat, &why) !=
        CASK_OK) {
        values->file = NULL;
        return repair_is_loss(&why) ? CASK_CORRUPT : fail_again(err, &why);
    }
    values->source = source;
    values->size = stat.size;
    return CASK_OK;
}

static cask_status read_bytes(repair *r, repair_values *values,
                              const cask_run_pointer *at, cask_error *err)
{
    uint64_t size = round_up_8(at->size_bytes);
    cask_status status;
    int os_errno;

    if (at->size_bytes < RECORD_HEADER_SIZE || at->size_bytes > values->size ||
        at->offset > values->size - at->size_bytes) {
        return CASK_CORRUPT;
    }
    values->record.size = 0;
    status = buffer_reserve(&values->record, size, err);
    if (status != CASK_OK) {
        return status;
    }
    os_errno = r->kernel->ops->read_at(values->file, values->record.data, size,
                                       at->offset, &values->record.size);
    if (os_errno != 0 && !repair_is_bad_block(os_errno)) {
        return fail_os(err, os_errno, "%s: offset %" PRIu64 ": cannot read",
                       values->source->name, at->offset);
    }
    return os_errno == 0 && values->record.size == size ? CASK_OK
                                                        : CASK_CORRUPT;
}

/* The record, if this file has it whole. */
static cask_status fetch_from(repair *r, repair_values *values,
                              const repair_source *source,
                              cask_run_entry *entry, cask_error *err)
{
    const cask_run_pointer at = entry->pointer;
    cask_status status = open_file(r, values, source, err);
    record_header header;
    const uint8_t *key;

    if (status == CASK_OK) {
        status = read_bytes(r, values, &at, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    if (!record_read(values->record.data, values->record.size,
                     (record_seed){source->nonce, at.offset}, &header) ||
        record_kind(&header) != RECORD_PUT ||
        header.sequence != entry->info.sequence ||
        RECORD_HEADER_SIZE + record_body_size(&header) != at.size_bytes) {
        return CASK_CORRUPT;
    }
    key = (const uint8_t *)values->record.data + RECORD_HEADER_SIZE +
          record_expiry_size(&header);
    if (key_compare((cask_slice){key, header.key_size}, entry->key) != 0) {
        return CASK_CORRUPT;
    }
    entry->kind = CASK_RUN_PUT;
    entry->value = (cask_slice){key + header.key_size, header.value_size};
    entry->info.value_bytes = header.value_size;
    return CASK_OK;
}

/* What gave the last value comes first: where one of several files of a run is
 * damaged, it is not opened again for each value. */
cask_status repair_values_fetch(repair *r, repair_values *values,
                                cask_run_entry *entry, cask_error *err)
{
    const uint64_t id = entry->pointer.segment_id;
    const repair_source *last = values->source;
    cask_status status = CASK_CORRUPT;

    if (last != NULL && last->id == id) {
        status = fetch_from(r, values, last, entry, err);
    }
    for (size_t i = 0; i < r->source_count && status == CASK_CORRUPT; i++) {
        const repair_source *source = &r->sources[i];

        if (source != last && source->id == id &&
            source->kind == SEGMENT_VALUES) {
            status = fetch_from(r, values, source, entry, err);
        }
    }
    return status;
}
