/*
 * A fold: every key once, with its value as of the beginning, in log order.
 *
 * The log is walked from its first record to the one that was last when the
 * fold began, S. A record is its key's value at S if the index still names it.
 * If the index names a newer one up to S, that one will come. If it names one
 * behind S, or none, the key was written meanwhile: the record is remembered
 * until the walk has seen all of the log up to S, and visited then if nothing
 * newer came. No writer is stopped and nothing is copied beforehand.
 *
 * Sequences rise along the log; so what is remembered last of a key is newest.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "hash/fold_table.h"
#include "hash/hash.h"
#include "hash/keydir.h"
#include "region/place.h"
#include "store/store_read.h"

typedef struct fold {
    store_handle *store;
    cask_fold_fn visit;
    void *context;
    bool keys_only;
    bool stopped;
    uint64_t last_sequence; /* S */
    uint32_t last_row;
    uint64_t last_end; /* of the last row */
    fold_table open;   /* keys written meanwhile */
    cask_status damage;
} fold;

static cask_status begin(fold *f, cask_error *err)
{
    store_handle *store = f->store;
    region_header *header = store->region.header;
    cask_status status = CASK_OK;
    uint64_t tail;

    if (store->has_slot) {
        /* Sequence and tail of one moment. */
        status = store_lock_always(store, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    tail = atomic_load(&header->applied_tail);
    f->last_sequence = atomic_load(&header->next_sequence) - 1;
    f->last_row = region_tail_row(tail);
    f->last_end = region_tail_offset(tail);
    if (store->has_slot) {
        store_unlock(store);
    }
    return CASK_OK;
}

static void emit(fold *f, const scan_item *item)
{
    cask_entry entry = {
        .key = {item->key, item->header.key_size},
        .value = {item->value, f->keys_only ? 0 : item->header.value_size},
        .info = {.sequence = item->header.sequence,
                 .expires_at_ms = item->expires_at_ms,
                 .time_s = item->header.time_s,
                 .value_bytes = item->header.value_size}};

    if (!hash_is_expired(f->store, item->header.time_s, item->expires_at_ms)) {
        f->stopped = !f->visit(f->context, &entry);
    }
}

/* The sequence of the record at a place; 0 if it cannot be read. */
static uint64_t sequence_at(store_handle *store, uint64_t place)
{
    const region_row *row = &store->region.rows[place_row(place)];
    uint64_t offset = place_offset(place);
    uint8_t bytes[RECORD_HEADER_SIZE];
    record_header header;
    store_map *map;

    if (atomic_load(&row->reserved_tail) < offset + sizeof(bytes)) {
        return 0;
    }
    if (store->options.io == CASK_IO_PREAD) {
        if (store_pread(store, place_row(place), bytes, sizeof(bytes), offset,
                        NULL) != CASK_OK) {
            return 0;
        }
    } else if (store_map_row(store, place_row(place), &map, NULL) == CASK_OK) {
        memcpy(bytes, map->data + offset, sizeof(bytes));
    } else {
        return 0;
    }
    return record_decode_header(
               bytes, (record_seed){atomic_load(&row->nonce), offset}, &header)
               ? header.sequence
               : 0;
}

static cask_status remember(fold *f, siphash_value hash, uint32_t row,
                            const scan_item *item, cask_error *err)
{
    fold_entry entry = {
        .hash = hash, .offset = item->offset, .row = row, .live = true};

    return fold_table_put(&f->open, &entry, err);
}

static cask_status consider(fold *f, uint32_t row, const scan_item *item,
                            cask_error *err)
{
    store_handle *store = f->store;
    siphash_value hash =
        siphash(store->identity.hash_key, item->key, item->header.key_size);
    bool live = record_kind(&item->header) == RECORD_PUT;
    uint64_t here = place_make((uint16_t)row, item->offset, item->size, live);
    uint64_t place = 0;
    uint64_t sequence;

    if (!live) {
        fold_table_drop(&f->open, hash);
        return CASK_OK;
    }
    if (!keydir_find(&store->region, keydir_hash_of(hash), &place)) {
        return remember(f, hash, row, item, err);
    }
    if (place == here) {
        emit(f, item);
        return CASK_OK;
    }
    sequence = sequence_at(store, place);
    if (sequence == item->header.sequence) {
        emit(f, item); /* moved to another segment meanwhile */
    } else if (sequence > f->last_sequence) {
        return remember(f, hash, row, item, err);
    }
    return CASK_OK;
}

static cask_status note_damage(fold *f, uint32_t row, const scan_item *item,
                               cask_error *err)
{
    if (f->damage == CASK_OK) {
        f->damage = fail(err, CASK_CORRUPT, 0,
                         "%016" PRIx64 ".log: offset %" PRIu64 ": %" PRIu64
                         " bytes are damaged; all else was read; "
                         "'caskade verify' lists the damage",
                         atomic_load(&f->store->region.rows[row].file_id),
                         item->offset, item->size);
    }
    return CASK_OK;
}

/* The bytes of a row, mapped or read; `*ret_bytes` is to be freed. */
static cask_status row_bytes(store_handle *store, uint32_t row,
                             const uint8_t **ret_data, store_bytes *ret_bytes,
                             cask_error *err)
{
    uint64_t size = atomic_load(&store->region.rows[row].reserved_tail);
    store_map *map = NULL;
    void *memory = NULL;
    cask_status status;

    *ret_bytes = (store_bytes){NULL, 0, 0};
    if (store->options.io == CASK_IO_MAP) {
        status = store_map_row(store, row, &map, err);
        if (status == CASK_OK) {
            *ret_data = map->data;
        }
        return status;
    }
    if (store->os->ops->map_private(store->os, size, &memory) != 0) {
        return fail_memory(err, size);
    }
    *ret_bytes = (store_bytes){memory, size, size};
    *ret_data = memory;
    return store_pread(store, row, memory, size, 0, err);
}

static cask_status walk_row(fold *f, uint32_t row, uint64_t end,
                            cask_error *err)
{
    store_handle *store = f->store;
    store_bytes bytes = {NULL, 0, 0};
    const uint8_t *data = NULL;
    cask_status status = row_bytes(store, row, &data, &bytes, err);
    scan_result result;
    segment_scan scan;
    scan_item item;

    if (status == CASK_OK) {
        scan_begin(&scan, data, end,
                   atomic_load(&store->region.rows[row].nonce),
                   SEGMENT_HEADER_SIZE);
        scan.trusted_end = end;
    }
    while (status == CASK_OK && !f->stopped &&
           (result = scan_next(&scan, &item)) != SCAN_END) {
        if (result != SCAN_RECORD) {
            status = note_damage(f, row, &item, err);
        } else if (record_kind(&item.header) != RECORD_MARK) {
            status = consider(f, row, &item, err);
        }
    }
    store_bytes_free(store, &bytes);
    return status;
}

/* What was written meanwhile, as it was before. */
static cask_status visit_open(fold *f, cask_error *err)
{
    store_handle *store = f->store;
    size_t count = fold_table_sort(&f->open);
    store_bytes bytes = {NULL, 0, 0};
    const uint8_t *data = NULL;
    cask_status status = CASK_OK;
    uint32_t row = UINT32_MAX;

    for (size_t i = 0; i < count && !f->stopped && status == CASK_OK; i++) {
        const fold_entry *entry = &f->open.entries[i];
        scan_item item;

        if (entry->row != row) {
            store_bytes_free(store, &bytes);
            row = entry->row;
            status = row_bytes(store, row, &data, &bytes, err);
        }
        if (status == CASK_OK &&
            scan_parse(data,
                       atomic_load(&store->region.rows[row].reserved_tail),
                       atomic_load(&store->region.rows[row].nonce),
                       entry->offset, &item)) {
            emit(f, &item);
        }
    }
    store_bytes_free(store, &bytes);
    return status;
}

/* Where the walk of a row ends; 0: there is nothing in it. */
static uint64_t end_of_row(const fold *f, uint32_t row)
{
    const region_row *r = &f->store->region.rows[row];

    if (atomic_load(&r->state) == ROW_FREE || row > f->last_row) {
        return 0;
    }
    return row == f->last_row ? f->last_end : r->tail;
}

/* Walk what can be read of a row; what was cut off is damage. */
static cask_status fold_row(fold *f, uint32_t row, uint64_t end,
                            cask_error *err)
{
    uint64_t readable = atomic_load(&f->store->region.rows[row].reserved_tail);
    scan_item missing = {.offset = readable, .size = end - readable};
    cask_status status = CASK_OK;

    if (readable > SEGMENT_HEADER_SIZE) {
        status = walk_row(f, row, end < readable ? end : readable, err);
    }
    if (status == CASK_OK && end > readable) {
        status = note_damage(f, row, &missing, err);
    }
    return status;
}

cask_status hash_fold(store_handle *store, bool keys_only, cask_fold_fn visit,
                      void *context, cask_error *err)
{
    fold f = {.store = store,
              .visit = visit,
              .context = context,
              .keys_only = keys_only};
    uint32_t rows = atomic_load(&store->region.header->row_count);
    cask_status status = begin(&f, err);

    for (uint32_t row = 0; row < rows && status == CASK_OK && !f.stopped;
         row++) {
        uint64_t end = end_of_row(&f, row);

        if (end > SEGMENT_HEADER_SIZE) {
            status = fold_row(&f, row, end, err);
        }
    }
    if (status == CASK_OK && !f.stopped) {
        status = visit_open(&f, err);
    }
    fold_table_free(&f.open);
    return status == CASK_OK ? f.damage : status;
}
