/*
 * Verify: the index of a store that is open, against its log. Under the write
 * lock the segments, their counters and the number of keys are noted, of one
 * moment; then the log up to there says what they must be. What is written
 * meanwhile has larger sequences and is passed by; what merges move keeps its
 * sequence.
 *
 * An index that is wrong loses nothing: it is made anew from the log when all
 * processes have closed the store.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/repair_table.h"
#include "db/verification.h"
#include "hash/keydir.h"
#include "region/place.h"
#include "store/store_cut.h"
#include "store/store_walk.h"

/* How often a moment without a merge is looked for, and how long it is waited
 * in between. */
enum { ATTEMPTS = 20, PAUSE_MS = 50 };

static const char advice[] =
    "nothing is lost: let all processes close the store, and the next open "
    "makes the index anew";

/* Records of keys that live and are in two segments: one is quarantined, or its
 * merge was not completed. The index leads to either. */
typedef struct twin_counters {
    uint64_t records;
    uint64_t bytes;
} twin_counters;

typedef struct inspection {
    verification *v;
    store_handle *store;
    store_cut cut;
    repair_table newest;  /* record of each key, of the moment; REPAIR_COPIED:
                             there is a second one of its sequence;
                             REPAIR_DELETED: one of its sequence deletes, which
                             a merge made of a put that had expired */
    store_counters *seen; /* of each part, without twins */
    twin_counters *twins; /* of each part */
    uint64_t keys;
    uint64_t ended;  /* puts that have such a delete: the index may still lead
                        to one, if the merge was not completed */
    bool is_damaged; /* nothing can be said */
    bool is_telling; /* else differences are only counted */
    uint64_t found;
} inspection;

static void tell(inspection *x, const char *file, const scan_item *item,
                 const char *reason)
{
    x->found++;
    if (x->is_telling) {
        verify_harmless(x->v, file, item->offset, item->size, reason);
    }
}

/* ---- Scanning ------------------------------------------------------------ */

typedef cask_status (*item_fn)(inspection *x, uint32_t part,
                               const scan_item *item, cask_error *err);

static cask_status scan_part(inspection *x, uint32_t index, item_fn visit,
                             cask_error *err)
{
    const store_cut_part *part = &x->cut.parts[index];
    uint64_t length = part->segment.length;
    store_bytes bytes;
    const uint8_t *data = NULL;
    scan_result result;
    segment_scan scan;
    scan_item item;
    cask_status status =
        store_row_bytes(x->store, part->row, length, &data, &bytes, err);

    if (status != CASK_OK) {
        store_bytes_free(x->store, &bytes);
        return status;
    }
    scan_begin(&scan, data, length, part->segment.nonce, SEGMENT_HEADER_SIZE);
    scan.trusted_end = length;
    while (status == CASK_OK &&
           (result = scan_next(&scan, &item)) != SCAN_END) {
        if (result != SCAN_RECORD) {
            x->is_damaged = true;
        } else if (record_kind(&item.header) != RECORD_MARK) {
            status = visit(x, index, &item, err);
        }
    }
    store_bytes_free(x->store, &bytes);
    return status;
}

static cask_status scan_all(inspection *x, item_fn visit, cask_error *err)
{
    cask_status status = CASK_OK;

    for (uint32_t i = 0; i < x->cut.count && status == CASK_OK; i++) {
        status = scan_part(x, i, visit, err);
    }
    return status;
}

static cask_status note(inspection *x, uint32_t part, const scan_item *item,
                        cask_error *err)
{
    bool is_put = record_kind(&item->header) == RECORD_PUT;
    repair_entry *known =
        repair_table_find(&x->newest, store_hash_of(x->store, item));
    const repair_entry entry = {.hash = store_hash_of(x->store, item),
                                .sequence = item->header.sequence,
                                .offset = item->offset,
                                .source = part,
                                .state = is_put ? REPAIR_LIVE : REPAIR_DELETED};

    x->seen[part].records++;
    x->seen[part].tombstones += is_put ? 0 : 1;
    if (known != NULL && known->sequence == entry.sequence) {
        known->state = is_put && known->state != REPAIR_DELETED
                           ? REPAIR_COPIED
                           : REPAIR_DELETED;
    }
    return repair_table_add(&x->newest, &entry, err);
}

/* ---- Places -------------------------------------------------------------- */

/* The sequence of the record that a place names; 0: none. */
static uint64_t sequence_at(inspection *x, uint64_t place)
{
    const region_row *row = &x->store->region.rows[place_row(place)];
    uint64_t offset = place_offset(place);
    uint64_t end = offset + RECORD_HEADER_SIZE;
    const uint8_t *data = NULL;
    record_header header;
    store_bytes bytes = {NULL, 0, 0};
    uint64_t sequence = 0;

    if (atomic_load(&row->reserved_tail) >= end &&
        store_row_bytes(x->store, place_row(place), end, &data, &bytes, NULL) ==
            CASK_OK) {
        record_seed seed = {atomic_load(&row->nonce), offset};

        sequence = record_decode_header(data + offset, seed, &header)
                       ? header.sequence
                       : 0;
    }
    store_bytes_free(x->store, &bytes);
    return sequence;
}

/* Whether the index may say something else than it did at the moment, or says
 * the same: the record was moved with the log's end, or by a merge, or is in
 * two segments. */
static bool has_changed(inspection *x, const scan_item *item, bool is_found,
                        uint64_t found)
{
    const region_header *header = x->store->region.header;
    uint64_t sequence = is_found ? sequence_at(x, found) : 0;

    if (sequence == 0) {
        return atomic_load(&header->next_sequence) != x->cut.next_sequence ||
               atomic_load(&header->merge.number) != x->cut.merges;
    }
    return sequence >= x->cut.next_sequence ||
           sequence == item->header.sequence;
}

static cask_status check_place(inspection *x, const store_cut_part *part,
                               const scan_item *item, siphash_value hash,
                               cask_error *err)
{
    uint64_t place =
        place_make((uint16_t)part->row, item->offset, item->size, true);
    uint64_t found = 0;
    bool is_found =
        keydir_find(&x->store->region, keydir_hash_of(hash), &found);
    char name[SEGMENT_NAME_SIZE];
    char text[300];

    if (!is_found && !region_is_covered(&x->store->region)) {
        return region_fail_uncovered(&x->store->region, err);
    }
    if ((is_found && found == place) || has_changed(x, item, is_found, found)) {
        return CASK_OK;
    }
    segment_name_format(part->segment.id, name);
    (void)snprintf(text, sizeof(text),
                   "the index does not lead to this record, which is its "
                   "key's newest; %s",
                   advice);
    tell(x, name, item, text);
    return CASK_OK;
}

/* The index may count it or not. */
static void count_twin(inspection *x, uint32_t part, const scan_item *item)
{
    x->twins[part].records++;
    x->twins[part].bytes += item->size;
}

static cask_status compare(inspection *x, uint32_t part, const scan_item *item,
                           cask_error *err)
{
    siphash_value hash = store_hash_of(x->store, item);
    const repair_entry *entry = repair_table_find(&x->newest, hash);

    if (entry == NULL || entry->sequence != item->header.sequence) {
        return CASK_OK;
    }
    if (entry->state == REPAIR_DELETED) {
        if (record_kind(&item->header) == RECORD_PUT) {
            count_twin(x, part, item);
            x->ended++;
        }
        return CASK_OK;
    }
    if (entry->state == REPAIR_COPIED) {
        count_twin(x, part, item);
    } else {
        x->seen[part].live_records++;
        x->seen[part].live_bytes += item->size;
    }
    if (entry->source == part && entry->offset == item->offset) {
        x->keys++;
        return check_place(x, &x->cut.parts[part], item, hash, err);
    }
    return CASK_OK;
}

/* ---- Counters ------------------------------------------------------------ */

static void check_counter(inspection *x, const char *file, const char *what,
                          uint64_t counted, uint64_t is)
{
    const scan_item nowhere = {.offset = 0};
    char text[300];

    if (counted != is) {
        (void)snprintf(text, sizeof(text),
                       "the index counts %" PRIu64 " %s, the log has %" PRIu64
                       "; %s",
                       counted, what, is, advice);
        tell(x, file, &nowhere, text);
    }
}

/* What a counter must be, if it may be anything from `least` on to `more`
 * above. */
static uint64_t nearest(uint64_t counted, uint64_t least, uint64_t more)
{
    if (counted < least) {
        return least;
    }
    return counted - least > more ? least + more : counted;
}

static void check_counters(inspection *x)
{
    uint64_t live_records = 0;
    uint64_t in_two = 0;

    for (size_t i = 0; i < x->cut.count; i++) {
        const store_counters *is = &x->seen[i];
        const store_counters *counted = &x->cut.parts[i].counters;
        const twin_counters *twins = &x->twins[i];
        char name[SEGMENT_NAME_SIZE];

        segment_name_format(x->cut.parts[i].segment.id, name);
        check_counter(x, name, "records", counted->records, is->records);
        check_counter(x, name, "deletes", counted->tombstones, is->tombstones);
        check_counter(
            x, name, "live records", counted->live_records,
            nearest(counted->live_records, is->live_records, twins->records));
        check_counter(
            x, name, "live bytes", counted->live_bytes,
            nearest(counted->live_bytes, is->live_bytes, twins->bytes));
        live_records += counted->live_records;
        in_two += twins->records;
    }
    if (in_two > 0) {
        check_counter(x, ".", "live records in all", live_records,
                      nearest(live_records, x->keys, x->ended));
    }
    check_counter(x, ".", "keys", x->cut.key_count,
                  nearest(x->cut.key_count, x->keys, x->ended));
}

/* ---- The whole ----------------------------------------------------------- */

/* A moment without a merge: one that is under way has moved some counters and
 * not others. CASK_BUSY: there was none. */
static cask_status begin(inspection *x, cask_error *err)
{
    const os_ops *ops = x->store->os->ops;

    for (int i = 0; i < ATTEMPTS; i++) {
        cask_status status = store_cut_begin(x->store, &x->cut, err);

        if (status != CASK_OK || !x->cut.is_merging) {
            return status;
        }
        store_cut_unpin(x->store);
        store_cut_free(&x->cut);
        ops->sleep_ms(x->store->os, PAUSE_MS);
    }
    return CASK_BUSY;
}

static cask_status inspect(inspection *x, cask_error *err)
{
    cask_status status;

    x->seen = calloc(x->cut.count + 1, sizeof(*x->seen));
    x->twins = calloc(x->cut.count + 1, sizeof(*x->twins));
    if (x->seen == NULL || x->twins == NULL) {
        return fail_memory(err, x->cut.count * sizeof(*x->seen));
    }
    status = scan_all(x, note, err);
    if (status == CASK_OK && !x->is_damaged) {
        status = scan_all(x, compare, err);
    }
    if (status == CASK_OK && !x->is_damaged) {
        check_counters(x);
    }
    return status;
}

static cask_status inspect_once(verification *v, store_handle *store,
                                bool is_telling, uint64_t *ret_found,
                                cask_error *err)
{
    inspection x = {.v = v, .store = store, .is_telling = is_telling};
    cask_status status = begin(&x, err);

    *ret_found = 0;
    if (status != CASK_OK) {
        return status == CASK_BUSY ? CASK_OK : status;
    }
    status = inspect(&x, err);
    *ret_found = x.found;
    store_cut_unpin(store);
    store_cut_free(&x.cut);
    repair_table_free(&x.newest);
    free(x.seen);
    free(x.twins);
    return status;
}

/* What is wrong stays so: it is told if it is found in two moments. */
cask_status verify_index(verification *v, store_handle *store, cask_error *err)
{
    uint64_t found = 0;
    cask_status status = inspect_once(v, store, false, &found, err);

    return status == CASK_OK && found > 0
               ? inspect_once(v, store, true, &found, err)
               : status;
}
