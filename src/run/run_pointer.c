/*
 * Following pointers, see run_pointer.h.
 */
#include "run/run_pointer.h"

#include <inttypes.h>

/* The record is verified; so is the pointer. */
static bool is_meant(const run_record *record, const cask_run_entry *pointer)
{
    return record_kind(&record->header) == RECORD_PUT &&
           record->header.sequence == pointer->info.sequence &&
           RECORD_HEADER_SIZE + record_body_size(&record->header) ==
               pointer->pointer.size_bytes &&
           key_compare(run_record_key(record), pointer->key) == 0;
}

cask_status run_read_value(const cask_run *values,
                           const cask_run_entry *pointer, cask_slice *ret_value,
                           cask_error *err)
{
    uint64_t offset = pointer->pointer.offset;
    run_record record;
    cask_slice key;
    cask_status status = run_read_record(values, offset, &record, err);

    if (status != CASK_OK) {
        return status == CASK_UNSUPPORTED ? CASK_CORRUPT : status;
    }
    if (!is_meant(&record, pointer)) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": is another record than a pointer "
                    "names: sequence %" PRIu64 ", expected %" PRIu64,
                    values->name, offset, record.header.sequence,
                    pointer->info.sequence);
    }
    key = run_record_key(&record);
    *ret_value = (cask_slice){(const uint8_t *)key.data + key.size,
                              record.header.value_size};
    return CASK_OK;
}

uint64_t run_named_bytes(const cask_run *run)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < run->footer.segments; i++) {
        bytes += run_named_at(run, i).bytes;
    }
    return bytes;
}
