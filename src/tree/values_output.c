/*
 * Runs of values, see values_output.h.
 */
#include "tree/values_output.h"

#include <stdlib.h>

#include "base/array.h"
#include "run/run_pointer.h"

/* Room in the list first: a file that is complete must be in it. */
static cask_status begin(values_output *output, cask_error *err)
{
    uint64_t *ids = array_grow(output->ids, output->count, &output->capacity,
                               sizeof(*ids), err);

    if (ids == NULL) {
        return CASK_NO_MEMORY;
    }
    output->ids = ids;
    return output->files.begin(output->files.context, &output->id,
                               &output->writer, err);
}

static cask_status write_apart(values_output *output,
                               const cask_run_entry *entry,
                               cask_run_entry *ret_entry, cask_error *err)
{
    const uint64_t offset = run_output_size(&output->writer->output);
    cask_status status = run_writer_add(output->writer, entry, err);

    if (status == CASK_OK) {
        output->bytes += run_output_size(&output->writer->output) - offset;
        *ret_entry = *entry;
        ret_entry->kind = CASK_RUN_POINTER;
        ret_entry->value = (cask_slice){NULL, 0};
        ret_entry->pointer = (cask_run_pointer){output->id, offset,
                                                run_bytes_before_value(entry) +
                                                    entry->value.size};
    }
    return status;
}

cask_status values_output_put(values_output *output,
                              const cask_run_entry *entry,
                              cask_run_entry *ret_entry, cask_error *err)
{
    cask_status status = CASK_OK;

    if (entry->kind != CASK_RUN_PUT || output->least_bytes == 0 ||
        entry->value.size < output->least_bytes) {
        *ret_entry = *entry;
        return CASK_OK;
    }
    if (output->writer != NULL &&
        run_output_size(&output->writer->output) >= output->cut_bytes) {
        status = values_output_end(output, err);
    }
    if (status == CASK_OK && output->writer == NULL) {
        status = begin(output, err);
    }
    return status == CASK_OK ? write_apart(output, entry, ret_entry, err)
                             : status;
}

cask_status values_output_end(values_output *output, cask_error *err)
{
    cask_run_writer *writer = output->writer;
    cask_status status = CASK_OK;

    if (writer != NULL) {
        output->writer = NULL;
        status = run_writer_finish(writer, err);
    }
    if (writer != NULL && status == CASK_OK) {
        output->ids[output->count++] = output->id;
    }
    return status;
}

void values_output_free(values_output *output)
{
    run_writer_abort(output->writer);
    free(output->ids);
    output->writer = NULL;
    output->ids = NULL;
    output->count = 0;
    output->capacity = 0;
    output->bytes = 0;
}

void values_output_give_up(values_output *output)
{
    for (size_t i = 0; i < output->count; i++) {
        output->files.discard(output->files.context, output->ids[i]);
    }
    values_output_free(output);
}
