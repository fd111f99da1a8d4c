/*
 * Batches: operations collected with copies of their bytes, written as one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/crc32c.h"
#include "db/db.h"
#include "store/store_operation.h"
#include "store/store_settings.h"

/* One operation; its bytes are in the arena, which may move as it grows. */
typedef struct batch_entry {
    size_t offset; /* of the key in the arena; the value follows */
    uint32_t key_size;
    uint32_t value_size;
    uint64_t expires_at_ms;
    uint32_t time_s;   /* 0: of the write */
    uint32_t body_crc; /* of expiry, key and value */
    uint8_t kind;
} batch_entry;

struct cask_batch {
    cask_buffer arena;
    cask_buffer entries; /* of batch_entry */
    uint64_t bytes;      /* in the log */
    size_t ranges;       /* that it deletes */
};

static size_t count_of(const cask_batch *batch)
{
    return batch->entries.size / sizeof(batch_entry);
}

cask_status cask_batch_create(cask_batch **ret_batch, cask_error *err)
{
    cask_batch *batch;

    if (ret_batch == NULL) {
        return fail(err, CASK_INVALID, 0, "ret_batch is NULL");
    }
    batch = calloc(1, sizeof(*batch));
    if (batch == NULL) {
        return fail_memory(err, sizeof(*batch));
    }
    *ret_batch = batch;
    return CASK_OK;
}

void cask_batch_free(cask_batch *batch)
{
    if (batch != NULL) {
        cask_buffer_free(&batch->arena);
        cask_buffer_free(&batch->entries);
        free(batch);
    }
}

void cask_batch_clear(cask_batch *batch)
{
    if (batch != NULL) {
        batch->arena.size = 0;
        batch->entries.size = 0;
        batch->bytes = 0;
        batch->ranges = 0;
    }
}

size_t cask_batch_count(const cask_batch *batch)
{
    return batch == NULL ? 0 : count_of(batch);
}

uint64_t cask_batch_bytes(const cask_batch *batch)
{
    return batch == NULL ? 0 : batch->bytes;
}

/* For one more entry, with so many bytes in the arena. */
static cask_status make_room(cask_batch *batch, size_t bytes, cask_error *err)
{
    cask_status status =
        bytes <= SIZE_MAX - batch->arena.size
            ? buffer_reserve(&batch->arena, batch->arena.size + bytes, err)
            : fail_memory(err, bytes);

    return status == CASK_OK
               ? buffer_reserve(&batch->entries,
                                batch->entries.size + sizeof(batch_entry), err)
               : status;
}

static cask_status add(cask_batch *batch, batch_entry entry, cask_slice key,
                       cask_slice value, cask_error *err)
{
    record_header header = {.type =
                                entry.expires_at_ms != 0 ? RECORD_EXPIRES : 0,
                            .key_size = (uint16_t)key.size,
                            .value_size = (uint32_t)value.size};
    cask_status status;
    char *to;

    if (batch == NULL) {
        return fail(err, CASK_INVALID, 0, "batch is NULL");
    }
    status = db_check_sizes(key, value, err);
    if (status == CASK_OK) {
        status = make_room(batch, key.size + value.size, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    /* Of the caller's bytes: those just copied are slow to load again. */
    entry.body_crc =
        crc32c(store_crc_before_key(entry.expires_at_ms), key.data, key.size);
    entry.body_crc = crc32c(entry.body_crc, value.data, value.size);
    entry.offset = batch->arena.size;
    entry.key_size = (uint32_t)key.size;
    entry.value_size = (uint32_t)value.size;
    to = (char *)batch->arena.data + entry.offset;
    if (key.size > 0) {
        memcpy(to, key.data, key.size);
    }
    if (value.size > 0) {
        memcpy(to + key.size, value.data, value.size);
    }
    batch->arena.size += key.size + value.size;
    memcpy((char *)batch->entries.data + batch->entries.size, &entry,
           sizeof(entry));
    batch->entries.size += sizeof(entry);
    batch->bytes += record_size(&header);
    return CASK_OK;
}

cask_status cask_batch_put(cask_batch *batch, cask_slice key, cask_slice value,
                           uint64_t expires_at_ms, cask_error *err)
{
    batch_entry entry = {.expires_at_ms = expires_at_ms, .kind = RECORD_PUT};

    return add(batch, entry, key, value, err);
}

cask_status cask_batch_put_with(cask_batch *batch, cask_slice key,
                                cask_slice value,
                                const cask_write_options *options,
                                cask_error *err)
{
    batch_entry entry = {.kind = RECORD_PUT};

    if (options != NULL && options->condition != CASK_ALWAYS) {
        return fail(err, CASK_INVALID, 0,
                    "a batch takes no condition; use cask_put_with()");
    }
    if (options != NULL && options->ttl_ms != 0) {
        return fail(err, CASK_INVALID, 0,
                    "a batch takes no ttl_ms; give expires_at_ms");
    }
    if (options != NULL) {
        entry.expires_at_ms = options->expires_at_ms;
        entry.time_s = options->time_s;
    }
    return add(batch, entry, key, value, err);
}

cask_status cask_batch_delete(cask_batch *batch, cask_slice key,
                              cask_error *err)
{
    batch_entry entry = {.kind = RECORD_DELETE};

    return add(batch, entry, key, (cask_slice){NULL, 0}, err);
}

cask_status cask_batch_delete_range(cask_batch *batch, cask_slice from,
                                    cask_slice to, cask_error *err)
{
    batch_entry entry = {.kind = RECORD_RANGE_DELETE};
    cask_status status = db_check_key(from, err);

    if (status == CASK_OK) {
        status = db_check_key(to, err);
    }
    if (status == CASK_OK && batch != NULL && db_is_no_range(from, to)) {
        return CASK_OK;
    }
    if (status == CASK_OK) {
        status = add(batch, entry, from, to, err);
    }
    if (status == CASK_OK && batch != NULL) {
        batch->ranges++;
    }
    return status;
}

static void prepare(const cask_db *db, const cask_batch *batch,
                    store_record *records)
{
    const batch_entry *entries = batch->entries.data;
    const char *arena = batch->arena.data;
    size_t count = count_of(batch);
    os *kernel = db->store->os;
    uint32_t now_s = (uint32_t)(kernel->ops->wall_ms(kernel) / 1000);

    for (size_t i = 0; i < count; i++) {
        const batch_entry *entry = &entries[i];
        const char *key = arena + entry->offset;

        records[i] = (store_record){
            .header = {.time_s = entry->time_s != 0 ? entry->time_s : now_s,
                       .value_size = entry->value_size,
                       .key_size = (uint16_t)entry->key_size,
                       .type = entry->kind},
            .key = {key, entry->key_size},
            .value = {key + entry->key_size, entry->value_size},
            .expires_at_ms = entry->expires_at_ms,
            .body_crc = entry->body_crc};
        if (entry->expires_at_ms != 0) {
            records[i].header.type |= RECORD_EXPIRES;
        }
        if (i + 1 < count) {
            records[i].header.type |= RECORD_MEMBER;
        }
    }
    db->engine->prepare_many(db->store, records, count);
}

cask_status cask_reserve(cask_db *db, uint64_t count, cask_error *err)
{
    cask_status status = db_check_writable(db, err);

    return status == CASK_OK ? db->engine->reserve(db->store, count, err)
                             : status;
}

cask_status cask_write(cask_db *db, const cask_batch *batch, cask_error *err)
{
    cask_status status = db_check_writable(db, err);
    store_record *records;
    uint64_t sequence;
    size_t count;

    if (status != CASK_OK) {
        return status;
    }
    if (batch == NULL) {
        return fail(err, CASK_INVALID, 0, "batch is NULL");
    }
    if (count_of(batch) == 0) {
        return status;
    }
    if (batch->ranges > 0) {
        status = db_check_order(db, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    if (count_of(batch) > 1 &&
        batch->bytes + SEGMENT_HEADER_SIZE + RECORD_MARK_SIZE >
            store_segment_max_bytes(db->store)) {
        return fail(err, CASK_INVALID, 0,
                    "batch of %zu operations does not fit into a segment; "
                    "write it in parts, or raise segment_max_bytes",
                    count_of(batch));
    }
    count = count_of(batch);
    records = malloc(count * sizeof(*records));
    if (records == NULL) {
        return fail_memory(err, count * sizeof(*records));
    }
    prepare(db, batch, records);
    status = db->engine->write(db->store, records, count, &sequence, err);
    free(records);
    return status;
}
