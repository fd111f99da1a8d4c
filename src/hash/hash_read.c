/*
 * Reading: copy, then verify the copy. The header is copied first and checked,
 * then the value goes straight into the caller's buffer; the checksum is
 * computed over the caller's key and that buffer, so that what it proves is
 * what the caller gets, and a record of another key fails it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/crc32c.h"
#include "hash/hash.h"
#include "hash/keydir.h"
#include "region/place.h"
#include "store/store_read.h"
#include "store/store_settings.h"

/* How often a place that does not verify is looked up again. A writer would
 * have to overwrite the key between two looks each time. */
enum { LOOKS = 100 };

/* Of a record, before it is read; the rest comes by the processor's own
 * prefetching of streams. */
enum { PREFETCH_BYTES = 512 };

/* ---- One record ---- */

/* Where a record is, with its header copied and checked. */
typedef struct located {
    const uint8_t *at; /* in the mapping; NULL in CASK_IO_PREAD */
    store_map *map;
    uint64_t offset;
    record_seed seed;
    uint8_t bytes[RECORD_HEADER_SIZE];
    record_header header;
} located;

/* Copy `size` bytes `from` bytes behind the start of the record. */
static cask_status fetch(store_handle *store, uint64_t place,
                         const located *record, uint64_t from, void *to,
                         size_t size, cask_error *err)
{
    if (record->at != NULL) {
        if (size > 0) {
            memcpy(to, record->at + from, size);
        }
        return CASK_OK;
    }
    return store_pread(store, place_row(place), to, size, record->offset + from,
                       err);
}

/*
 * The lines of a record are fetched together, not each when it is reached.
 * Always inline: gcc takes a function that only prefetches for one without
 * effects and drops the calls (measured: 2.7 M look-ups/s by cask_get_many()
 * without, 8.0 M with).
 *
 *   room  bytes that may be read
 */
__attribute__((always_inline)) static inline void
prefetch_lines(const uint8_t *at, uint64_t place, uint64_t room)
{
    uint64_t size = place_size(place);

    size = size < room ? size : room;
    for (uint64_t i = 0; i < size && i < PREFETCH_BYTES; i += REGION_LINE) {
        __builtin_prefetch(at + i);
    }
}

/* CASK_CORRUPT: there is no such record; perhaps the place is out of date. */
static cask_status locate(store_handle *store, uint64_t place,
                          located *ret_record, cask_error *err)
{
    const region_row *row = &store->region.rows[place_row(place)];
    /* The tail first: if the map is current after that, it is its tail. */
    uint64_t tail =
        atomic_load_explicit(&row->reserved_tail, memory_order_acquire);
    store_map *map = store_map_peek(store, place_row(place));
    uint64_t offset = place_offset(place);
    cask_status status;

    ret_record->offset = offset;
    ret_record->at = NULL;
    if (tail < RECORD_HEADER_SIZE || offset > tail - RECORD_HEADER_SIZE) {
        return store_fail_record(store, place, "behind the end of the file",
                                 err);
    }
    if (store->options.io == CASK_IO_MAP) {
        if (map == NULL || map->size < tail) {
            status = store_map_row(store, place_row(place), &map, err);
            if (status != CASK_OK) {
                return status;
            }
            tail =
                atomic_load_explicit(&row->reserved_tail, memory_order_acquire);
            if (map == NULL || store_map_peek(store, place_row(place)) != map ||
                tail < RECORD_HEADER_SIZE ||
                offset > tail - RECORD_HEADER_SIZE) {
                return store_fail_record(store, place,
                                         "its segment was replaced", err);
            }
        }
        ret_record->at = map->data + offset;
        prefetch_lines(ret_record->at, place, tail - offset);
    }
    ret_record->map = map;
    ret_record->seed = (record_seed){
        atomic_load_explicit(&row->nonce, memory_order_relaxed), offset};
    status = fetch(store, place, ret_record, 0, ret_record->bytes,
                   RECORD_HEADER_SIZE, err);
    if (status != CASK_OK) {
        return status;
    }
    if (!record_decode_header(ret_record->bytes, ret_record->seed,
                              &ret_record->header) ||
        record_size(&ret_record->header) > tail - offset) {
        return store_fail_record(store, place, "the header's check is wrong",
                                 err);
    }
    return CASK_OK;
}

/* Checksum of the copied body: expiry, the caller's key, the copied value. */
static bool proves(const located *record, uint64_t expires_at_ms,
                   cask_slice key, const void *value)
{
    uint32_t crc = 0;

    if (record_expiry_size(&record->header) != 0) {
        crc = crc32c(crc, &expires_at_ms, sizeof(expires_at_ms));
    }
    crc = crc32c(crc, key.data, key.size);
    crc = crc32c(crc, value, record->header.value_size);
    return record_verify(record->bytes, crc, record->seed);
}

/* Whether the record verifies with the key that it bears itself. */
static cask_status examine_other(store_handle *store, uint64_t place,
                                 const located *record, cask_slice key,
                                 cask_error *err)
{
    uint64_t size = record_body_size(&record->header);
    uint8_t *body = malloc(size + 1);
    cask_status status;

    if (body == NULL) {
        return fail_memory(err, size);
    }
    status = fetch(store, place, record, RECORD_HEADER_SIZE, body, size, err);
    if (status == CASK_OK) {
        uint32_t skip = record_expiry_size(&record->header);

        if (!record_verify(record->bytes, crc32c(0, body, size),
                           record->seed)) {
            status =
                store_fail_record(store, place, "the checksum is wrong", err);
        } else if (record->header.key_size != key.size ||
                   (key.size > 0 &&
                    memcmp(body + skip, key.data, key.size) != 0)) {
            status = CASK_NOT_FOUND;
        }
    }
    free(body);
    return status;
}

static void describe(const located *record, uint64_t expires_at_ms,
                     cask_info *ret_info)
{
    *ret_info = (cask_info){.sequence = record->header.sequence,
                            .expires_at_ms = expires_at_ms,
                            .time_s = record->header.time_s,
                            .value_bytes = record->header.value_size};
}

/* Always inline: a call costs the look-up of newest values 2 %. */
__attribute__((always_inline)) static inline cask_status
read_place(store_handle *store, uint64_t place, cask_slice key,
           cask_buffer *value, hash_found *ret_found, cask_error *err)
{
    uint64_t expires_at_ms = 0;
    uint32_t skip;
    located record = {.at = NULL};
    cask_status status = locate(store, place, &record, err);

    if (status != CASK_OK) {
        return status;
    }
    if (record.header.key_size != key.size) {
        ret_found->other_key = true;
        return examine_other(store, place, &record, key, err);
    }
    skip = record_expiry_size(&record.header);
    status = buffer_reserve(value, record.header.value_size, err);
    if (status == CASK_OK && skip != 0) {
        status = fetch(store, place, &record, RECORD_HEADER_SIZE,
                       &expires_at_ms, sizeof(expires_at_ms), err);
    }
    if (status == CASK_OK) {
        status =
            fetch(store, place, &record, RECORD_HEADER_SIZE + skip + key.size,
                  value->data, record.header.value_size, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    if (!proves(&record, expires_at_ms, key, value->data)) {
        status = examine_other(store, place, &record, key, err);
        ret_found->other_key = status == CASK_NOT_FOUND;
        return status == CASK_OK
                   ? store_fail_record(store, place, "it changed while read",
                                       err)
                   : status;
    }
    value->size = record.header.value_size;
    describe(&record, expires_at_ms, &ret_found->info);
    return CASK_OK;
}

cask_status hash_read_place(store_handle *store, uint64_t place, cask_slice key,
                            cask_buffer *value, hash_found *ret_found,
                            cask_error *err)
{
    return read_place(store, place, key, value, ret_found, err);
}

/* ---- Look-up ---- */

void hash_count_get(store_handle *store, bool found)
{
    store_stripe *stripe = store_stripe_of(store);
    uint64_t gets = atomic_load_explicit(&stripe->gets, memory_order_relaxed);

    atomic_store_explicit(&stripe->gets, gets + 1, memory_order_relaxed);
    if (!found) {
        uint64_t misses =
            atomic_load_explicit(&stripe->get_misses, memory_order_relaxed);

        atomic_store_explicit(&stripe->get_misses, misses + 1,
                              memory_order_relaxed);
    }
}

/* Look up, and look again if the place went out of date meanwhile. */
static cask_status look(store_handle *store, cask_slice key, siphash_value hash,
                        cask_buffer *value, hash_found *ret_found,
                        cask_error *err)
{
    keydir_hash slot = keydir_hash_of(hash);
    cask_status status = CASK_NOT_FOUND;
    uint64_t nonce = 0;

    *ret_found = (hash_found){.place = 0};
    /* With a background thread, that one has the time for it. */
    if (store_has_removed(store) && store->worker == NULL) {
        store_release_removed(store, false);
    }
    for (int i = 0; i < LOOKS; i++) {
        uint64_t before = ret_found->place;
        uint64_t nonce_before = nonce;
        uint64_t place = 0;

        if (!keydir_find(&store->region, slot, &place) ||
            !place_is_live(place)) {
            ret_found->place = 0;
            ret_found->other_key = false;
            return region_is_covered(&store->region)
                       ? CASK_NOT_FOUND
                       : region_fail_uncovered(&store->region, err);
        }
        /* Two merges may lead a key to the same place of another segment. */
        nonce = hash_nonce_at(store, place);
        if (i > 0 && place == before && nonce == nonce_before) {
            return status; /* looked twice at one place: it is so */
        }
        ret_found->place = place;
        ret_found->other_key = false;
        status = read_place(store, place, key, value, ret_found, err);
        if (status == CASK_OK || status == CASK_NO_MEMORY) {
            break;
        }
    }
    return status;
}

cask_status hash_get_hashed(store_handle *store, cask_slice key,
                            siphash_value hash, cask_buffer *value,
                            hash_found *ret_found, cask_error *err)
{
    cask_buffer unwanted = {0};
    cask_status status = look(
        store, key, hash, value != NULL ? value : &unwanted, ret_found, err);

    cask_buffer_free(&unwanted);
    if (status == CASK_OK && store_is_expired(store, ret_found->info.time_s,
                                              ret_found->info.expires_at_ms)) {
        status = CASK_NOT_FOUND;
    }
    return status;
}

cask_status hash_get(store_handle *store, cask_slice key, cask_buffer *value,
                     hash_found *ret_found, cask_error *err)
{
    siphash_value hash = siphash(store->identity.hash_key, key.data, key.size);
    cask_status status =
        hash_get_hashed(store, key, hash, value, ret_found, err);

    hash_count_get(store, status == CASK_OK);
    return status;
}

void hash_prefetch_place(store_handle *store, uint64_t place)
{
    uint64_t offset;
    uint64_t tail;
    store_map *map;

    if (store->options.io != CASK_IO_MAP) {
        return;
    }
    tail = atomic_load_explicit(
        &store->region.rows[place_row(place)].reserved_tail,
        memory_order_acquire);
    map = store_map_peek(store, place_row(place));
    offset = place_offset(place);
    if (map != NULL && map->size >= tail && offset < tail) {
        prefetch_lines(map->data + offset, place, tail - offset);
    }
}

/* ---- Views ---- */

static cask_status view_copy(store_handle *store, cask_slice key,
                             cask_view *ret_view, cask_error *err)
{
    cask_buffer value = {0};
    hash_found found = {.place = 0};
    cask_status status = hash_get(store, key, &value, &found, err);

    if (status != CASK_OK) {
        cask_buffer_free(&value);
        return status;
    }
    *ret_view = (cask_view){.value = {value.data, value.size},
                            .info = found.info,
                            .owned = value.data};
    return CASK_OK;
}

cask_status hash_view(store_handle *store, cask_slice key, cask_view *ret_view,
                      cask_error *err)
{
    siphash_value hash = siphash(store->identity.hash_key, key.data, key.size);
    uint64_t expires_at_ms = 0;
    uint64_t place = 0;
    uint32_t skip;
    located record = {.at = NULL};
    const uint8_t *value;

    /* In place where that is right at once; by copy in every other case:
     * misses, damage, expiry are told there. */
    if (store->options.io != CASK_IO_MAP ||
        !keydir_find(&store->region, keydir_hash_of(hash), &place) ||
        !place_is_live(place) ||
        locate(store, place, &record, NULL) != CASK_OK ||
        record.header.key_size != key.size) {
        return view_copy(store, key, ret_view, err);
    }
    skip = record_expiry_size(&record.header);
    value = record.at + RECORD_HEADER_SIZE + skip + key.size;
    if (skip != 0) {
        expires_at_ms = load_u64(record.at + RECORD_HEADER_SIZE);
    }
    /* Pinned before it is verified: what is verified is then what stays. */
    atomic_fetch_add(&record.map->pins, 1);
    if (atomic_load(&record.map->is_blank) ||
        !proves(&record, expires_at_ms, key, value) ||
        store_is_expired(store, record.header.time_s, expires_at_ms)) {
        atomic_fetch_sub(&record.map->pins, 1);
        return view_copy(store, key, ret_view, err);
    }
    *ret_view = (cask_view){.value = {value, record.header.value_size},
                            .pin = &record.map->pins};
    describe(&record, expires_at_ms, &ret_view->info);
    hash_count_get(store, true);
    return CASK_OK;
}
