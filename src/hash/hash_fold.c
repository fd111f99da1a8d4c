/*
 * A fold: every key once, with its value as of the beginning, in log order.
 *
 * The log is walked from its oldest record to the one that was newest when the
 * fold began, S, by rising sequence. A record is its key's value at S if the
 * index still names it. If the index names a newer one up to S, that one will
 * come. If it names one behind S, or none, the key was written meanwhile: the
 * record is remembered until the walk has seen all of the log up to S, and
 * visited then if nothing newer came. No writer is stopped, nothing is copied
 * beforehand, and merges may replace segments meanwhile: those that counted
 * when the fold began are pinned.
 *
 * Sequences rise along the walk; so what is remembered last of a key is newest.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "hash/fold_table.h"
#include "hash/hash.h"
#include "hash/keydir.h"
#include "region/place.h"
#include "store/store_merge.h"
#include "store/store_walk.h"

typedef struct fold {
    store_handle *store;
    cask_fold_fn visit;
    void *context;
    bool keys_only;
    bool stopped;
    uint64_t last_sequence; /* S */
    fold_table open;        /* keys written meanwhile */
    cask_status damage;
} fold;

/* Where the walk of a row ends; 0: there is nothing in it. */
static uint64_t end_of_row(const store_handle *store, uint32_t index)
{
    const region_header *header = store->region.header;
    uint64_t tail = atomic_load(&header->applied_tail);

    if (!store_row_counts(store, index)) {
        return 0;
    }
    return index == region_tail_row(tail) ? region_tail_offset(tail)
                                          : store->region.rows[index].tail;
}

/* The rows that count, and S, of one moment. */
static cask_status collect(fold *f, store_walk *walk, cask_error *err)
{
    store_handle *store = f->store;
    region_header *header = store->region.header;
    uint32_t rows = atomic_load(&header->row_count);
    cask_status status = CASK_OK;

    f->last_sequence = atomic_load(&header->next_sequence) - 1;
    for (uint32_t row = 0; row < rows && status == CASK_OK; row++) {
        walk_part part = {.row = row, .end = end_of_row(store, row)};

        if (part.end > SEGMENT_HEADER_SIZE) {
            part.first_sequence = store->region.rows[row].first_sequence;
            status = store_walk_add(walk, &part, err);
        }
    }
    return status;
}

static cask_status begin(fold *f, store_walk *walk, cask_error *err)
{
    store_handle *store = f->store;
    cask_status status = CASK_OK;

    if (store->has_slot) {
        status = store_lock_always(store, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    store_pin_locked(store);
    status = collect(f, walk, err);
    if (store->has_slot) {
        store_unlock(store);
    }
    store_walk_begin(walk, store);
    return status;
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

/* What the index says of a record's key. */
typedef enum verdict {
    IS_CURRENT, /* this is its value */
    IS_OLDER,   /* it has a newer record, up to S */
    IS_OPEN     /* it was written, or deleted, after S or at a time unknown */
} verdict;

static verdict judge(fold *f, siphash_value hash, uint64_t here,
                     uint64_t sequence)
{
    store_handle *store = f->store;
    uint64_t place = 0;
    uint64_t before;
    uint64_t found;

    do {
        before = place;
        if (!keydir_find(&store->region, keydir_hash_of(hash), &place)) {
            return IS_OPEN;
        }
        if (place == here) {
            return IS_CURRENT;
        }
        found = sequence_at(store, place);
        /* Unreadable: a merge took it away, or it is damaged. */
    } while (found == 0 && place != before);
    if (found == sequence) {
        return IS_CURRENT; /* moved to another segment meanwhile */
    }
    return found > f->last_sequence ? IS_OPEN : IS_OLDER;
}

static cask_status consider(fold *f, uint32_t row, const scan_item *item,
                            cask_error *err)
{
    siphash_value hash =
        siphash(f->store->identity.hash_key, item->key, item->header.key_size);
    bool live = record_kind(&item->header) == RECORD_PUT;

    if (!live) {
        fold_table_drop(&f->open, hash);
        return CASK_OK;
    }
    switch (judge(f, hash,
                  place_make((uint16_t)row, item->offset, item->size, true),
                  item->header.sequence)) {
    case IS_CURRENT:
        emit(f, item);
        break;
    case IS_OPEN:
        return remember(f, hash, row, item, err);
    case IS_OLDER:
        break;
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

static cask_status walk_all(fold *f, store_walk *walk, cask_error *err)
{
    const walk_part *part;
    uint64_t last = 0; /* sequence */
    cask_status status = store_walk_next(walk, &part, err);

    while (status == CASK_OK && part != NULL && !f->stopped) {
        if (part->result != SCAN_RECORD) {
            status = note_damage(f, part->row, &part->item, err);
        } else if (part->sequence != last) {
            /* What was read of a quarantined segment is in it and elsewhere. */
            last = part->sequence;
            status = consider(f, part->row, &part->item, err);
        }
        if (status == CASK_OK) {
            status = store_walk_next(walk, &part, err);
        }
    }
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
            status = store_row_bytes(
                store, row, atomic_load(&store->region.rows[row].reserved_tail),
                &data, &bytes, err);
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

cask_status hash_fold(store_handle *store, bool keys_only, cask_fold_fn visit,
                      void *context, cask_error *err)
{
    fold f = {.store = store,
              .visit = visit,
              .context = context,
              .keys_only = keys_only};
    store_walk walk = {.count = 0};
    cask_status status = begin(&f, &walk, err);

    if (walk.store == NULL) {
        return status; /* nothing was begun */
    }
    if (status == CASK_OK) {
        status = walk_all(&f, &walk, err);
    }
    if (status == CASK_OK && !f.stopped) {
        status = visit_open(&f, err);
    }
    store_walk_free(&walk);
    store_unpin(store);
    fold_table_free(&f.open);
    return status == CASK_OK ? f.damage : status;
}
