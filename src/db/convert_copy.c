/*
 * Copying what is in one store to another, see convert_copy.h. Records are
 * gathered, with copies of their bytes, and written as one operation; a large
 * one by itself, from where it is.
 */
#include "db/convert_copy.h"

#include <stdlib.h>
#include <string.h>

#include "log/record_format.h"
#include "store/store_settings.h"
#include "tree/tree_flush.h"

enum {
    BATCH_RECORDS = 4096,
    BATCH_BYTES = 1 << 20, /* of keys and values */
    /* Of a segment, at most: one operation is all in one, and so much of it
     * may stay empty. */
    SEGMENT_SHARE = 8
};

typedef struct copying {
    cask_db *to; /* NULL: only read */
    convert_content *content;
    convert_fn go_on;
    void *context;
    store_record *records; /* BATCH_RECORDS of them */
    size_t count;
    uint8_t *bytes; /* BATCH_BYTES, which the records' slices are of */
    size_t used;
    uint64_t most; /* bytes of an operation in the log */
    uint64_t size; /* of the records so far there */
    cask_status status;
    cask_error *err;
} copying;

/* ---- Content ---- */

static void add_content(convert_content *content, const cask_entry *entry)
{
    struct {
        siphash_value key;
        siphash_value value;
        uint64_t expires_at_ms;
        uint64_t time_s;
    } parts = {siphash(content->key, entry->key.data, entry->key.size),
               siphash(content->key, entry->value.data, entry->value.size),
               entry->info.expires_at_ms, entry->info.time_s};
    siphash_value one = siphash(content->key, &parts, sizeof(parts));

    content->keys++;
    content->bytes += entry->key.size + entry->value.size;
    content->expiring += entry->info.expires_at_ms != 0 ? 1 : 0;
    content->sum[0] += one.word[0];
    content->sum[1] += one.word[1];
}

bool convert_is_same(const convert_content *a, const convert_content *b)
{
    return a->keys == b->keys && a->bytes == b->bytes &&
           a->expiring == b->expiring && a->sum[0] == b->sum[0] &&
           a->sum[1] == b->sum[1];
}

/* ---- Writing ---- */

/* No thread of that handle merges: what it begins would not be as it was
 * written, and what has expired meanwhile would go. */
static cask_status flush(cask_db *to, cask_error *err)
{
    store_handle *store = to->store;

    return store->identity.engine == CASK_ENGINE_TREE &&
                   tree_flush_is_due(store)
               ? tree_flush(store, false, err)
               : CASK_OK;
}

static cask_status write_records(copying *c)
{
    uint64_t sequence = 0;
    cask_status status = CASK_OK;

    if (c->count > 0) {
        status = c->to->engine->write(c->to->store, c->records, c->count,
                                      &sequence, c->err);
    }
    c->count = 0;
    c->used = 0;
    c->size = 0;
    return status == CASK_OK ? flush(c->to, c->err) : status;
}

static void add_record(copying *c, const cask_entry *entry, cask_slice key,
                       cask_slice value)
{
    store_record *record = &c->records[c->count++];

    c->to->engine->prepare(c->to->store, RECORD_PUT, key, value,
                           entry->info.expires_at_ms, record);
    db_set_time(record, entry->info.time_s);
    c->size += record_size(&record->header);
}

static cask_slice keep(copying *c, cask_slice bytes)
{
    uint8_t *to = c->bytes + c->used;

    if (bytes.size > 0) {
        memcpy(to, bytes.data, bytes.size);
    }
    c->used += bytes.size;
    return (cask_slice){to, bytes.size};
}

static cask_status write_entry(copying *c, const cask_entry *entry)
{
    size_t size = entry->key.size + entry->value.size;
    cask_status status = CASK_OK;

    if (c->count == BATCH_RECORDS || size > BATCH_BYTES - c->used ||
        c->size >= c->most) {
        status = write_records(c);
    }
    if (status != CASK_OK) {
        return status;
    }
    if (size > BATCH_BYTES) {
        add_record(c, entry, entry->key, entry->value);
        return write_records(c);
    }
    add_record(c, entry, keep(c, entry->key), keep(c, entry->value));
    return CASK_OK;
}

/* ---- Both ---- */

static bool visit(void *context, const cask_entry *entry)
{
    copying *c = context;

    add_content(c->content, entry);
    if (c->to != NULL) {
        c->status = write_entry(c, entry);
    }
    if (c->status == CASK_OK && !c->go_on(c->context)) {
        c->status = fail(c->err, CASK_TIMEOUT, 0, "the conversion was stopped");
    }
    return c->status == CASK_OK;
}

static cask_status fold(copying *c, store_snapshot *at)
{
    const db_engine *engine = db_engine_of(at->store);
    const siphash_key key = c->content->key;
    cask_status status;

    *c->content = (convert_content){.key = key};
    status = engine->snapshot_fold(at, NULL, visit, c, c->err);
    return c->status != CASK_OK ? c->status : status;
}

cask_status convert_copy(store_snapshot *from, cask_db *to, convert_fn go_on,
                         void *context, convert_content *content,
                         cask_error *err)
{
    copying c = {.to = to,
                 .content = content,
                 .go_on = go_on,
                 .context = context,
                 .records = malloc(BATCH_RECORDS * sizeof(store_record)),
                 .bytes = malloc(BATCH_BYTES),
                 .most = store_segment_max_bytes(to->store) / SEGMENT_SHARE,
                 .status = CASK_OK,
                 .err = err};
    cask_status status;

    if (c.records == NULL || c.bytes == NULL) {
        status = fail_memory(err, BATCH_BYTES);
    } else {
        status = fold(&c, from);
    }
    if (status == CASK_OK) {
        status = write_records(&c);
    }
    free(c.records);
    free(c.bytes);
    return status;
}

cask_status convert_read(store_snapshot *moment, cask_db *of, convert_fn go_on,
                         void *context, convert_content *content,
                         cask_error *err)
{
    copying c = {.content = content,
                 .go_on = go_on,
                 .context = context,
                 .status = CASK_OK,
                 .err = err};
    store_snapshot at = {.store = NULL};
    cask_status status = store_snapshot_take(of->store, true, &at, err);

    if (status == CASK_OK) {
        at.moment_ms = moment->moment_ms;
        at.expiry_seconds = moment->expiry_seconds;
        status = fold(&c, &at);
    }
    store_snapshot_drop(&at);
    return status;
}
