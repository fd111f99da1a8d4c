/*
 * Where imported records go, see import_sink.h.
 */
#include "import_sink.h"

#include <string.h>
#include <time.h>

#include "units.h"

/* A batch must fit into a segment, of which it has a quarter at most. */
enum { BATCH_MAX_BYTES = 512 * 1024, SEGMENT_PARTS = 4 };

/* The option of a handle that is opened for an import is the setting. */
static uint64_t batch_max_bytes(cask_db *db)
{
    cask_buffer text = {NULL, 0, 0};
    char value[UNITS_TEXT_SIZE] = "";
    uint64_t bytes = BATCH_MAX_BYTES * SEGMENT_PARTS;

    if (cask_config_get(db, "segment_max_bytes", &text, NULL) == CASK_OK &&
        text.size < sizeof(value)) {
        memcpy(value, text.data, text.size);
        (void)units_parse_bytes(value, &bytes);
    }
    cask_buffer_free(&text);
    return bytes == 0 || bytes > BATCH_MAX_BYTES * SEGMENT_PARTS
               ? BATCH_MAX_BYTES /* 0: the default, which is larger */
               : bytes / SEGMENT_PARTS;
}

bool import_sink_open(import_sink *sink, cask_db *db, uint64_t expiry_s)
{
    *sink = (import_sink){.db = db,
                          .writer = batch_writer_create(db),
                          .batch_max_bytes = batch_max_bytes(db),
                          .expiry_s = expiry_s,
                          .now_s = (uint64_t)time(NULL)};
    return sink->writer != NULL;
}

void import_sink_close(import_sink *sink)
{
    batch_writer_free(sink->writer);
    sink->writer = NULL;
}

/* Put a value that is too large to be copied into a batch. */
static cask_status put_large(import_sink *sink, const bitcask_record *record,
                             const cask_write_options *options, cask_error *err)
{
    cask_status status = batch_writer_drain(sink->writer, err);

    return status != CASK_OK ? status
                             : cask_put_with(sink->db, record->key,
                                             record->value, options, NULL, err);
}

/* Have the batch written if it has grown large enough. */
static cask_status send_full(import_sink *sink, cask_error *err)
{
    return cask_batch_bytes(batch_writer_batch(sink->writer)) <
                   sink->batch_max_bytes
               ? CASK_OK
               : batch_writer_send(sink->writer, err);
}

cask_status import_sink_put(import_sink *sink, const bitcask_record *record,
                            cask_error *err)
{
    cask_batch *batch = batch_writer_batch(sink->writer);
    cask_write_options options = {
        /* 0 would be now, and is a second earlier. */
        .time_s = record->time_s != 0 ? record->time_s : 1,
    };
    cask_status status;

    if (sink->expiry_s != 0) {
        uint64_t expires_s = sink->expiry_s + record->time_s;

        if (expires_s <= sink->now_s) {
            sink->expired++;
            return CASK_OK;
        }
        options.expires_at_ms = expires_s * 1000;
    }
    sink->imported++;
    if (record->key.size + record->value.size > sink->batch_max_bytes) {
        return put_large(sink, record, &options, err);
    }
    status =
        cask_batch_put_with(batch, record->key, record->value, &options, err);
    return status == CASK_OK ? send_full(sink, err) : status;
}

cask_status import_sink_delete(import_sink *sink, cask_slice key,
                               cask_error *err)
{
    cask_status status =
        cask_batch_delete(batch_writer_batch(sink->writer), key, err);

    return status == CASK_OK ? send_full(sink, err) : status;
}

cask_status import_sink_take_back(import_sink *sink, cask_slice key,
                                  cask_error *err)
{
    cask_status status = batch_writer_drain(sink->writer, err);
    bool existed = false;

    if (status == CASK_OK) {
        status = cask_delete(sink->db, key, &existed, err);
    }
    sink->imported -= existed ? 1 : 0;
    return status;
}

cask_status import_sink_drain(import_sink *sink, cask_error *err)
{
    return batch_writer_drain(sink->writer, err);
}
