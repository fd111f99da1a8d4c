/*
 * Records of a run, see run_read.h.
 */
#include "run/run_pointer.h"

#include <inttypes.h>

#include "base/crc32c.h"

/* ---- Records ------------------------------------------------------------ */

static cask_status fail_record(const cask_run *run, uint64_t offset,
                               const char *what, cask_error *err)
{
    (void)fail(err, CASK_CORRUPT, 0,
               "%s: offset %" PRIu64 ": the record does not verify: %s",
               run->name, offset, what);
    return CASK_CORRUPT;
}

/* Field by field: copied as a whole, a record that was just decoded is waited
 * for until its parts have left the processor. */
static inline void place_record(const uint8_t *bytes, uint64_t offset,
                                run_record *ret_record)
{
    ret_record->offset = offset;
    ret_record->next = offset + record_size(&ret_record->header);
    ret_record->body = bytes + RECORD_HEADER_SIZE;
}

cask_status run_read_header(const cask_run *run, uint64_t offset,
                            run_record *ret_record, cask_error *err)
{
    record_header *header = &ret_record->header;
    const uint8_t *bytes;

    if (!run_is_place(run, offset)) {
        return fail_record(run, offset, "it is not among the records", err);
    }
    bytes = run->bytes + offset;
    if (!record_decode_header(bytes, run_seed(run, offset), header)) {
        return fail_record(run, offset, "its header's check is wrong", err);
    }
    if (record_size(header) > run->footer.length - offset) {
        return fail_record(run, offset, "it ends behind the records", err);
    }
    if (!run_record_is_plain(header) && !run_record_is_known(header)) {
        (void)fail(err, CASK_UNSUPPORTED, 0,
                   "%s: offset %" PRIu64 ": type of the record is %02x, which "
                   "this program does not know; use a newer Caskade",
                   run->name, offset, header->type);
        return CASK_UNSUPPORTED;
    }
    place_record(bytes, offset, ret_record);
    return CASK_OK;
}

cask_status run_check_kind(const cask_run *run, const run_record *record,
                           cask_error *err)
{
    const char *problem = run_record_problem(&record->header, record->body);

    return problem == NULL ? CASK_OK
                           : fail_record(run, record->offset, problem, err);
}

cask_status run_fail_body(const cask_run *run, uint64_t offset, cask_error *err)
{
    return fail_record(run, offset, "its crc32c is wrong", err);
}

/* The same step by step, to say what is wrong. */
static cask_status read_slowly(const cask_run *run, uint64_t offset,
                               run_record *ret_record, cask_error *err)
{
    const record_header *header = &ret_record->header;
    cask_status status = run_read_header(run, offset, ret_record, err);

    if (status != CASK_OK) {
        return status;
    }
    if (!record_verify(run->bytes + offset,
                       crc32c(0, ret_record->body, record_body_size(header)),
                       run_seed(run, offset))) {
        return run_fail_body(run, offset, err);
    }
    return run_check_kind(run, ret_record, err);
}

cask_status run_read_record(const cask_run *run, uint64_t offset,
                            run_record *ret_record, cask_error *err)
{
    if (run_is_place(run, offset) &&
        record_read(run->bytes + offset, run->footer.length - offset,
                    run_seed(run, offset), &ret_record->header) &&
        run_record_is_plain(&ret_record->header)) {
        place_record(run->bytes + offset, offset, ret_record);
        return CASK_OK;
    }
    return read_slowly(run, offset, ret_record, err);
}

void run_describe_pointer(cask_run_entry *entry)
{
    run_pointer pointer = run_pointer_decode(entry->value.data);

    entry->pointer.segment_id = pointer.segment_id;
    entry->pointer.offset = pointer.offset;
    entry->pointer.size_bytes = pointer.size_bytes;
    entry->value = (cask_slice){0};
    entry->info.value_bytes = run_pointer_value_bytes(entry);
}
