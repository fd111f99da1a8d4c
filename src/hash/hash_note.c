/*
 * Notes of records. A hint that is not usable is no error: the data says the
 * same and more.
 */
#include "hash/hash_note.h"

#include "log/hint_format.h"
#include "log/segment.h"
#include "region/place.h"
#include "store/store_merge.h"
#include "store/store_recover.h"

cask_status hash_walk_row(store_walk *walk, const store_handle *store,
                          uint32_t row, cask_error *err)
{
    walk_part part = {.row = row,
                      .end = store_row_end(store, row),
                      .first_sequence = store->region.rows[row].first_sequence};

    return part.end > SEGMENT_HEADER_SIZE ? store_walk_add(walk, &part, err)
                                          : CASK_OK;
}

/* ---- By data ---- */

static cask_status note_part(const hash_notes *notes, const walk_part *part,
                             cask_error *err)
{
    const scan_item *item = &part->item;
    bool is_put = record_kind(&item->header) == RECORD_PUT;
    hash_note note = {.hash = store_hash_of(notes->store, item),
                      .sequence = item->header.sequence,
                      .place = place_make((uint16_t)part->row, item->offset,
                                          item->size, is_put),
                      .expires_at_ms = item->expires_at_ms,
                      .time_s = item->header.time_s,
                      .is_put = is_put};

    return notes->note(notes->context, &note, err);
}

static cask_status note_data(const hash_notes *notes, uint32_t row,
                             cask_error *err)
{
    store_walk walk = {.count = 0};
    const walk_part *part = NULL;
    cask_status status = hash_walk_row(&walk, notes->store, row, err);

    store_walk_begin(&walk, notes->store);
    if (status == CASK_OK) {
        status = store_walk_next(&walk, &part, err);
    }
    while (status == CASK_OK && part != NULL) {
        status = notes->check(notes->context, part, err);
        if (status == CASK_OK && part->result == SCAN_RECORD) {
            status = note_part(notes, part, err);
        }
        if (status == CASK_OK) {
            status = store_walk_next(&walk, &part, err);
        }
    }
    store_walk_free(&walk);
    return status;
}

/* ---- By hint ---- */

static cask_status note_hint(const hash_notes *notes, uint32_t index,
                             const store_bytes *bytes,
                             const hint_header *header, cask_error *err)
{
    const uint8_t *rows = bytes->data + HINT_HEADER_SIZE;
    cask_status status = CASK_OK;

    for (uint64_t i = 0; i < header->row_count && status == CASK_OK; i++) {
        hash_note note;
        hint_row row;

        hint_row_decode(rows + i * HINT_ROW_SIZE, &row);
        note = (hash_note){.hash = row.hash,
                           .sequence = row.sequence,
                           .place = row.place | (uint64_t)index << 48,
                           .is_put = hint_place_is_live(row.place),
                           .by_hint = true};
        status = notes->check(notes->context, NULL, err);
        if (status == CASK_OK) {
            status = notes->note(notes->context, &note, err);
        }
    }
    return status;
}

cask_status hash_note_row(const hash_notes *notes, uint32_t index,
                          cask_error *err)
{
    store_handle *store = notes->store;
    const region_row *row = &store->region.rows[index];
    manifest_segment segment = {.id = atomic_load(&row->file_id),
                                .nonce = atomic_load(&row->nonce),
                                .length = row->tail};
    store_bytes bytes = {NULL, 0, 0};
    cask_status status = CASK_NOT_FOUND;
    hint_header header;

    if (!notes->by_data && atomic_load(&row->has_hint) == HINT_WRITTEN) {
        status = store_hint_load(store, &segment, &bytes, &header, err);
    }
    if (status == CASK_OK) {
        status = note_hint(notes, index, &bytes, &header, err);
        store_bytes_free(store, &bytes);
    } else if (status == CASK_NOT_FOUND) {
        status = note_data(notes, index, err);
    }
    return status;
}
