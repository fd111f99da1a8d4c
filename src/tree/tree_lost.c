/*
 * Lost records, see tree_lost.h.
 */
#include "tree/tree_lost.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/key_order.h"
#include "region/place.h"
#include "tree/tree_record.h"

/* ---- Making -------------------------------------------------------------- */

static uint64_t segment_of(const store_handle *store, uint64_t place)
{
    return atomic_load(&store->region.rows[place_row(place)].file_id);
}

static manifest_lost describe(store_handle *store, const memtable_gap *gap,
                              uint64_t last)
{
    manifest_lost lost = {.segment_id = segment_of(store, gap->place),
                          .offset = place_offset(gap->place),
                          .sequence = gap->sequence != 0 ? gap->sequence : last,
                          .known_bytes = (uint32_t)gap->known_bytes};
    tree_record record = {.at = NULL};

    memcpy(lost.known, gap->known, sizeof(lost.known));
    if (tree_record_at(store, gap->place, &record, NULL) == CASK_OK) {
        /* The header has a checksum of its own. */
        lost.sequence = record.header.sequence;
        lost.key_size = record.header.key_size + 1U;
        if (lost.known_bytes > record.header.key_size) {
            lost.known_bytes = record.header.key_size;
        }
    }
    if (lost.key_size > 0 &&
        record_kind(&record.header) == RECORD_RANGE_DELETE) {
        lost.key_size = 0; /* any key may be in the range */
        lost.known_bytes = 0;
    }
    /* Zeros, as in MANIFEST. */
    memset(lost.known + lost.known_bytes, 0,
           sizeof(lost.known) - lost.known_bytes);
    return lost;
}

/* One for each segment. */
static size_t gather(manifest_lost *losts, size_t count, uint64_t last)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        size_t j = 0;

        while (j < kept && losts[j].segment_id != losts[i].segment_id) {
            j++;
        }
        if (j == kept) {
            losts[kept++] = (manifest_lost){.segment_id = losts[i].segment_id,
                                            .offset = losts[i].offset,
                                            .sequence = last};
        }
    }
    return kept;
}

static void tell(const store_handle *store, const manifest_lost *lost)
{
    store_event(store, CASK_EVENT_DAMAGE, CASK_CORRUPT,
                "%016" PRIx64 ".log: offset %" PRIu64
                ": a record is damaged, and is in no run: its key answers "
                "'corrupt', and the file stays",
                lost->segment_id, lost->offset);
}

cask_status tree_lost_add(store_handle *store, const memtable_gap *gaps,
                          size_t gap_count, uint64_t last,
                          manifest_lost **losts, size_t *count, cask_error *err)
{
    manifest_lost *grown =
        realloc(*losts, (*count + gap_count + 1) * sizeof(*grown));
    manifest_lost *added;

    if (grown == NULL) {
        return fail_memory(err, (*count + gap_count + 1) * sizeof(*grown));
    }
    *losts = grown;
    added = grown + *count;
    for (size_t i = 0; i < gap_count; i++) {
        added[i] = describe(store, &gaps[i], last);
        atomic_store(&store->region.rows[place_row(gaps[i].place)].damage,
                     ROW_QUARANTINED);
    }
    if (gap_count > TREE_LOST_MOST) {
        gap_count = gather(added, gap_count, last);
    }
    for (size_t i = 0; i < gap_count; i++) {
        tell(store, &added[i]);
    }
    *count += gap_count;
    return CASK_OK;
}

/* ---- Keys ---------------------------------------------------------------- */

/* Order of the key's beginning, zeros behind its end, and what is known. */
static int compare_known(cask_slice key, const manifest_lost *lost)
{
    size_t known = lost->known_bytes;
    size_t shared = key.size < known ? key.size : known;
    int order = shared == 0 ? 0 : memcmp(key.data, lost->known, shared);

    for (size_t i = shared; i < known && order == 0; i++) {
        order = lost->known[i] != 0 ? -1 : 0;
    }
    return order;
}

static bool may_be_of(const manifest_lost *lost, cask_slice key)
{
    return (lost->key_size == 0 || lost->key_size - 1U == key.size) &&
           compare_known(key, lost) == 0;
}

/* Whether one that is seen as of `sequence` may be newer than `found`. */
static bool may_count(const manifest_lost *lost, uint64_t sequence,
                      uint64_t found)
{
    return lost->sequence > found &&
           (lost->key_size == 0 || lost->sequence <= sequence);
}

/* ---- Reading ------------------------------------------------------------- */

/* Its record, if that can be read again. */
static cask_status read_again(store_handle *store, const manifest_lost *lost,
                              tree_record *ret_record, cask_error *err)
{
    uint32_t rows = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < rows; i++) {
        uint64_t place = place_make((uint16_t)i, lost->offset, 0, true);

        if (atomic_load(&store->region.rows[i].file_id) == lost->segment_id) {
            cask_status status = tree_record_at(store, place, ret_record, err);

            return status == CASK_OK && !tree_record_is_sound(ret_record)
                       ? store_fail_record(store, place,
                                           "the checksum is wrong", err)
                       : status;
        }
    }
    return fail(err, CASK_CORRUPT, 0,
                "%016" PRIx64 ".log: offset %" PRIu64
                ": was damaged, and the file is not part of the store any "
                "more; see 'caskade repair'",
                lost->segment_id, lost->offset);
}

/* Whether a record that can be read again says anything of the key. */
static bool is_about(const tree_record *record, cask_slice key)
{
    return record_kind(&record->header) == RECORD_RANGE_DELETE
               ? key_compare(record->key, key) <= 0 &&
                     key_compare(key, key_end_of(record->value)) < 0
               : key_compare(record->key, key) == 0;
}

cask_status tree_lost_look(store_handle *store, const version *pinned,
                           const tree_lost_wanted *wanted,
                           tree_found *ret_found, cask_error *err)
{
    cask_status result = CASK_NOT_FOUND;
    uint64_t found = wanted->found;

    for (size_t i = 0; i < pinned->lost_count; i++) {
        const manifest_lost *lost = &pinned->losts[i];
        tree_record record = {.at = NULL};
        cask_status status;

        if (!may_count(lost, wanted->sequence, found) ||
            !may_be_of(lost, wanted->key)) {
            continue;
        }
        status = read_again(store, lost, &record, err);
        if (status != CASK_OK) {
            return status;
        }
        if (is_about(&record, wanted->key) && record.header.sequence > found &&
            record.header.sequence <= wanted->sequence) {
            bool is_put = record_kind(&record.header) == RECORD_PUT;

            status = is_put ? tree_record_take(&record, wanted->key,
                                               wanted->value, err)
                            : CASK_OK;
            if (status != CASK_OK) {
                return status;
            }
            found = record.header.sequence;
            ret_found->info = tree_record_info(&record);
            ret_found->is_put = is_put;
            result = CASK_OK;
        }
    }
    return result;
}

cask_status tree_lost_check(const version *pinned, const iter_bounds *bounds,
                            uint64_t sequence, cask_error *err)
{
    for (size_t i = 0; i < pinned->lost_count; i++) {
        const manifest_lost *lost = &pinned->losts[i];
        /* Keys that end where zeros are known are before that. */
        bool is_above = bounds->lower.data != NULL &&
                        compare_known(bounds->lower, lost) > 0;
        bool is_below = bounds->upper.data != NULL &&
                        compare_known(bounds->upper, lost) < 0;

        if (may_count(lost, sequence, 0) && !is_above && !is_below) {
            return fail(err, CASK_CORRUPT, 0,
                        "%016" PRIx64 ".log: offset %" PRIu64
                        ": a record is damaged, or was when it was to become "
                        "part of a run, and nobody knows its key; gets of "
                        "other keys go on; see 'caskade repair'",
                        lost->segment_id, lost->offset);
        }
    }
    return CASK_OK;
}
