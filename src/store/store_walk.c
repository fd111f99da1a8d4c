/*
 * A merge of scans. The number of parts open at once is small: those whose
 * sequences overlap, which only outputs of merges do.
 */
#include "store/store_walk.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "log/segment.h"

cask_status store_walk_add(store_walk *walk, const walk_part *part,
                           cask_error *err)
{
    walk_part *parts = array_grow(walk->parts, walk->count, &walk->capacity,
                                  sizeof(*parts), err);

    if (parts == NULL) {
        return CASK_NO_MEMORY;
    }
    walk->parts = parts;
    walk->parts[walk->count++] = (walk_part){
        .row = part->row,
        .end = part->end,
        .first_sequence = part->first_sequence,
        .sequence = UINT64_MAX,
    };
    return CASK_OK;
}

static int by_first_sequence(const void *left, const void *right)
{
    const walk_part *a = left;
    const walk_part *b = right;

    if (a->first_sequence != b->first_sequence) {
        return a->first_sequence < b->first_sequence ? -1 : 1;
    }
    return a->row < b->row ? -1 : a->row > b->row;
}

void store_walk_begin(store_walk *walk, store_handle *store)
{
    walk->store = store;
    walk->done = 0;
    walk->opened = 0;
    walk->current = NULL;
    if (walk->count > 1) {
        qsort(walk->parts, walk->count, sizeof(*walk->parts),
              by_first_sequence);
    }
}

cask_status store_row_bytes(store_handle *store, uint32_t row, uint64_t size,
                            const uint8_t **ret_data, store_bytes *ret_bytes,
                            cask_error *err)
{
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
    if (size == 0) {
        *ret_data = NULL;
        return CASK_OK; /* nothing of it can be read */
    }
    if (store->os->ops->map_private(store->os, size, &memory) != 0) {
        return fail_memory(err, size);
    }
    *ret_bytes = (store_bytes){memory, size, size};
    *ret_data = memory;
    return store_pread(store, row, memory, size, 0, err);
}

/* Step to the next record or damage of a part. */
static void step(walk_part *part)
{
    do {
        part->result = scan_next(&part->scan, &part->item);
    } while (part->result == SCAN_RECORD &&
             record_kind(&part->item.header) == RECORD_MARK);
    if (part->result == SCAN_RECORD) {
        part->sequence = part->item.header.sequence;
    } else if (part->result != SCAN_END) {
        part->sequence = part->scan.last_sequence; /* told at once */
    } else if (part->missing > 0) {
        part->result = SCAN_DAMAGE;
        part->item = (scan_item){.offset = part->end - part->missing,
                                 .size = part->missing};
        part->missing = 0;
    } else {
        part->sequence = UINT64_MAX;
    }
}

/* Views do the same, see hash_view(). */
static cask_status hold_map(store_walk *walk, walk_part *part,
                            const uint8_t **ret_data, cask_error *err)
{
    store_map *map = NULL;
    cask_status status = store_map_row(walk->store, part->row, &map, err);

    if (status != CASK_OK) {
        return status;
    }
    atomic_fetch_add(&map->pins, 1);
    if (atomic_load(&map->is_blank)) {
        atomic_fetch_sub(&map->pins, 1);
        return fail(err, CASK_CORRUPT, 0, "%016" PRIx64 ".log was removed",
                    map->file_id);
    }
    part->held = map;
    *ret_data = map->data;
    return CASK_OK;
}

/* Memory for a part of which little will be read: keys, and what no proof but
 * the checksum helps. */
static cask_status open_peek(store_walk *walk, walk_part *part, uint64_t size,
                             const uint8_t **ret_data, cask_error *err)
{
    store_handle *store = walk->store;
    void *memory = NULL;

    part->peek = calloc(1, sizeof(*part->peek));
    if (part->peek == NULL ||
        store->os->ops->map_private(store->os, size, &memory) != 0) {
        return fail_memory(err, size);
    }
    part->bytes = (store_bytes){memory, size, size};
    part->peek->store = store;
    part->peek->row = part->row;
    part->peek->data = memory;
    part->peek->size = size;
    *ret_data = memory;
    return CASK_OK;
}

/* A read that failed is no damage. */
static cask_status check_peek(const walk_part *part, cask_error *err)
{
    if (part->peek == NULL || part->peek->status == CASK_OK) {
        return CASK_OK;
    }
    if (err != NULL) {
        *err = part->peek->err;
    }
    return part->peek->status;
}

static void close_part(store_walk *walk, walk_part *part)
{
    free(part->peek);
    part->peek = NULL;
    store_bytes_free(walk->store, &part->bytes);
    if (part->held != NULL) {
        atomic_fetch_sub(&part->held->pins, 1);
        part->held = NULL;
    }
}

/* What was cut off the file is damage, told after the rest. */
static cask_status open_part(store_walk *walk, walk_part *part, cask_error *err)
{
    const region_row *row = &walk->store->region.rows[part->row];
    uint64_t readable = atomic_load(&row->reserved_tail);
    uint64_t end = part->end < readable ? part->end : readable;
    const uint8_t *data = NULL;
    cask_status status = CASK_OK;

    part->missing = part->end - end;
    if (end > SEGMENT_HEADER_SIZE && walk->holds_maps &&
        walk->store->options.io == CASK_IO_MAP) {
        status = hold_map(walk, part, &data, err);
    } else if (end > SEGMENT_HEADER_SIZE && walk->proof.proves != NULL &&
               part->first_sequence >= walk->from) {
        status = open_peek(walk, part, end, &data, err);
    } else if (end > SEGMENT_HEADER_SIZE) {
        status = store_row_bytes(walk->store, part->row, end, &data,
                                 &part->bytes, err);
    } else {
        end = SEGMENT_HEADER_SIZE;
    }
    if (status == CASK_OK) {
        scan_begin(&part->scan, data, end, atomic_load(&row->nonce),
                   SEGMENT_HEADER_SIZE);
        part->scan.trusted_end = end;
        part->scan.knows_ranges = walk->store->engine->has_ranges;
        part->scan.proof = walk->proof;
        part->scan.proof.row = part->row;
        if (part->peek != NULL) {
            part->scan.source = (scan_source){store_peek_read, part->peek};
        }
        part->sequence = part->first_sequence;
        if (part->first_sequence < walk->from) {
            scan_seek(&part->scan, walk->from);
        } else {
            part->scan.last_sequence = part->first_sequence;
        }
        do {
            step(part);
        } while (part->sequence < walk->from);
        status = check_peek(part, err);
    }
    return status;
}

/* A part that is done makes way: those that are open stay together. */
static void retire(store_walk *walk, walk_part *part)
{
    walk_part *first = &walk->parts[walk->done++];

    close_part(walk, part);
    if (part != first) {
        walk_part other = *first;

        *first = *part;
        *part = other;
    }
}

/* Find the open part whose record is oldest; how long it stays so is
 * walk->limit. */
static walk_part *choose(store_walk *walk)
{
    walk_part *found = NULL;

    walk->limit = walk->opened < walk->count
                      ? walk->parts[walk->opened].first_sequence
                      : UINT64_MAX;
    for (size_t i = walk->done; i < walk->opened; i++) {
        walk_part *part = &walk->parts[i];

        if (found == NULL || part->sequence < found->sequence) {
            if (found != NULL && found->sequence < walk->limit) {
                walk->limit = found->sequence;
            }
            found = part;
        } else if (part->sequence < walk->limit) {
            walk->limit = part->sequence;
        }
    }
    return found;
}

/* Open what may hold something older than what is open, and choose. */
static cask_status advance(store_walk *walk, cask_error *err)
{
    cask_status status = CASK_OK;
    walk_part *found = choose(walk);

    while (status == CASK_OK && walk->opened < walk->count &&
           (found == NULL ||
            walk->parts[walk->opened].first_sequence <= found->sequence)) {
        walk_part *part = &walk->parts[walk->opened++];

        status = open_part(walk, part, err);
        if (part->sequence == UINT64_MAX) {
            retire(walk, part);
        }
        found = choose(walk);
    }
    walk->current = found;
    return status;
}

cask_status store_walk_next(store_walk *walk, const walk_part **ret_part,
                            cask_error *err)
{
    walk_part *part = walk->current;
    cask_status status = CASK_OK;

    if (part != NULL) {
        step(part);
        status = check_peek(part, err);
        if (part->sequence == UINT64_MAX) {
            retire(walk, part);
            part = NULL;
        }
    }
    if (status == CASK_OK && (part == NULL || part->sequence >= walk->limit)) {
        status = advance(walk, err);
    }
    *ret_part = status == CASK_OK ? walk->current : NULL;
    return status;
}

void store_walk_free(store_walk *walk)
{
    for (size_t i = 0; i < walk->count; i++) {
        close_part(walk, &walk->parts[i]);
    }
    free(walk->parts);
    *walk = (store_walk){.store = NULL};
}
