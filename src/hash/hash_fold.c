/*
 * A fold: every key of a snapshot once, with its value, in log order.
 *
 * The log as it was is walked, from its oldest record to the end that it had. A
 * record is its key's value if the index named it at the snapshot, or a copy of
 * it in another segment, which bears the same sequence. No writer is stopped,
 * nothing is copied beforehand, and merges may replace segments meanwhile.
 *
 * Parts of a fold are ranges of sequences, see fold_range.h. A segment may be
 * walked by several parts, each of which looks for the beginning of its own. A
 * record may be in two segments, if one of them is damaged; both are then in
 * the same part, side by side.
 *
 * A fold of keys leaves values alone. A record's checksum cannot be had without
 * its value, but the index proves the key as well, see is_proven().
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "hash/fold_range.h"
#include "hash/hash_snapshot.h"
#include "store/store_settings.h"
#include "hash/keydir.h"
#include "region/place.h"

/* Records between two looks whether the snapshot is lost. */
enum { PATIENCE = 1024 };

/* How far ahead of the walk slots are fetched, and how fast. */
enum {
    AHEAD_BYTES = 2048,
    AHEAD_STEPS = 2,
    AHEAD_KEYS = 8, /* records, of a fold of keys */
    FETCHED_MOST_BYTES = 2048
};

typedef struct fold {
    const store_snapshot *snapshot;
    store_handle *store;
    cask_fold_fn visit;
    void *context;
    bool keys_only;
    bool stopped;
    uint64_t end;    /* of the part: the first sequence of the next one */
    uint64_t looked; /* records */
    uint32_t row;    /* where slots are fetched ahead ... */
    uint64_t ahead;  /* ... up to this offset */
    cask_status damage;
} fold;

static void emit(fold *f, const scan_item *item)
{
    cask_entry entry = {
        .key = {item->key, item->header.key_size},
        .value = {item->value, f->keys_only ? 0 : item->header.value_size},
        .info = {.sequence = item->header.sequence,
                 .expires_at_ms = item->expires_at_ms,
                 .time_s = item->header.time_s,
                 .value_bytes = item->header.value_size}};

    if (!store_is_past(f->snapshot->moment_ms, f->snapshot->expiry_seconds,
                       item->header.time_s, item->expires_at_ms)) {
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
    } else if (store_map_row(store, place_row(place), &map, NULL) == CASK_OK &&
               map->size >= offset + sizeof(bytes)) {
        memcpy(bytes, map->data + offset, sizeof(bytes));
    } else {
        return 0;
    }
    return record_decode_header(
               bytes, (record_seed){atomic_load(&row->nonce), offset}, &header)
               ? header.sequence
               : 0;
}

/* Whether the index named this record, or a copy of it. */
static bool is_value(const fold *f, uint32_t row, const scan_item *item)
{
    uint64_t here = place_make((uint16_t)row, item->offset, item->size, true);
    siphash_value hash = store_hash_of(f->store, item);
    uint64_t place = 0;
    uint64_t before;
    uint64_t sequence;

    do {
        before = place;
        if (!hash_snapshot_place(f->snapshot, hash, &place)) {
            return false;
        }
        if (place_row(place) == row) {
            return place == here;
        }
        sequence = sequence_at(f->store, place);
    } while (sequence == 0 && place != before);
    return sequence == item->header.sequence;
}

/*
 * Whether a record is what was written but for its value, which is not read.
 *
 * The index named this very record under the hash of its key, by place or by
 * sequence. Had the key been damaged, its hash would be another, under which
 * the index names nothing, or another record: so does one bit that turns a key
 * into another that exists. That the hashes agree by chance has the probability
 * of GUARANTEES.md, "The one probability". The header has its own check. A
 * record that the index does not name has nothing but its checksum: it may be
 * dead, or a damaged one that lives.
 *
 * Of a time of expiry only the checksum tells whether it is right, and a wrong
 * one would hide a key: such a record is read as a whole.
 */
static bool is_proven(void *context, uint32_t row, const scan_item *item)
{
    const fold *f = context;
    const record_header *header = &item->header;

    return (header->type & (uint8_t)~RECORD_MEMBER) == RECORD_PUT &&
           header->sequence <= f->snapshot->sequence && is_value(f, row, item);
}

static void note_damage(fold *f, uint32_t row, const scan_item *item,
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
}

static void consider(fold *f, const walk_part *part)
{
    const scan_item *item = &part->item;

    if (item->is_unread || (record_kind(&item->header) == RECORD_PUT &&
                            item->header.sequence <= f->snapshot->sequence &&
                            is_value(f, part->row, item))) {
        emit(f, item);
    }
}

/* Whether records of this size come fast enough, without their values, for one
 * to be fetched before the look ahead gets to it. Of larger ones each is in a
 * page of its own, and to look at them twice costs more than it saves. */
static bool is_fetched(const fold *f, uint64_t size)
{
    return f->keys_only && size <= FETCHED_MOST_BYTES;
}

static uint64_t reach(const fold *f, uint64_t size)
{
    uint64_t bytes = is_fetched(f, size) ? size * AHEAD_KEYS : 0;

    return bytes > AHEAD_BYTES ? bytes : AHEAD_BYTES;
}

/*
 * The slots of the records that come next are fetched while this one is
 * verified: most of a fold's time would be waiting for them. Without values the
 * records themselves are far from each other, and one header leads to the next;
 * so one is fetched that is where it should be if all have the same size.
 */
static void look_ahead(fold *f, const walk_part *part)
{
    const segment_scan *scan = &part->scan;
    uint64_t end = scan->offset + reach(f, part->item.size);

    if (f->row != part->row || f->ahead < scan->offset) {
        f->row = part->row;
        f->ahead = scan->offset;
    }
    for (int i = 0; i < AHEAD_STEPS && f->ahead < end &&
                    f->ahead + RECORD_HEADER_SIZE <= scan->size;
         i++) {
        const uint8_t *at = scan->data + f->ahead;
        record_header header;
        uint64_t before;
        uint64_t size;

        if (!record_decode_header(at, (record_seed){scan->nonce, f->ahead},
                                  &header)) {
            return;
        }
        size = record_size(&header);
        if (size > scan->size - f->ahead) {
            return;
        }
        if (is_fetched(f, size) && size * AHEAD_KEYS < scan->size - f->ahead) {
            __builtin_prefetch(at + size * AHEAD_KEYS);
        }
        before = RECORD_HEADER_SIZE + record_expiry_size(&header);
        keydir_prefetch(&f->store->region,
                        keydir_hash_of(siphash(f->store->identity.hash_key,
                                               at + before, header.key_size)));
        f->ahead += size;
    }
}

static cask_status add_rows(fold *f, store_walk *walk, cask_error *err)
{
    const store_walk *log = &f->snapshot->log;
    cask_status status = CASK_OK;

    for (size_t i = 0; i < log->count && status == CASK_OK; i++) {
        if (log->parts[i].first_sequence < f->end) {
            status = store_walk_add(walk, &log->parts[i], err);
        }
    }
    store_walk_begin(walk, f->store);
    walk->holds_maps = true;
    if (f->keys_only) {
        walk->proof = (scan_proof){.proves = is_proven, .context = f};
    }
    return status;
}

static cask_status walk_all(fold *f, store_walk *walk, cask_error *err)
{
    const walk_part *part;
    uint64_t last = 0; /* sequence */
    cask_status status = store_walk_next(walk, &part, err);

    while (status == CASK_OK && part != NULL && !f->stopped &&
           part->sequence < f->end) {
        if (f->looked++ % PATIENCE == 0 &&
            store_snapshot_is_lost(f->snapshot)) {
            break;
        }
        look_ahead(f, part);
        if (part->result != SCAN_RECORD) {
            note_damage(f, part->row, &part->item, err);
        } else if (part->sequence != last) {
            /* What was read of a quarantined segment is in it and elsewhere. */
            last = part->sequence;
            consider(f, part);
        }
        status = store_walk_next(walk, &part, err);
    }
    return status;
}

cask_status hash_snapshot_fold(const store_snapshot *snapshot,
                               hash_fold_wish wish, cask_fold_fn visit,
                               void *context, cask_error *err)
{
    fold f = {.snapshot = snapshot,
              .store = snapshot->store,
              .visit = visit,
              .context = context,
              .keys_only = wish.keys_only};
    fold_range range = {0, 0};
    store_walk walk = {.count = 0};
    cask_status status =
        fold_range_of(snapshot, wish.part, wish.parts, &range, err);

    if (status == CASK_OK) {
        f.end = range.end;
        walk.from = range.begin;
        status = add_rows(&f, &walk, err);
    }
    if (status == CASK_OK && range.begin < range.end) {
        status = walk_all(&f, &walk, err);
    }
    store_walk_free(&walk);
    if (!f.stopped && store_snapshot_is_lost(snapshot)) {
        return store_snapshot_fail_lost(snapshot, err);
    }
    if (!region_is_covered(&f.store->region)) {
        return region_fail_uncovered(&f.store->region, err);
    }
    return status == CASK_OK ? f.damage : status;
}
