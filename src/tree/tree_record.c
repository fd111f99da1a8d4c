/*
 * Reading records of the log through this handle's maps.
 */
#include "tree/tree_record.h"

#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "region/place.h"

/* A map of the place's segment that covers it, and where its records end. */
static cask_status find_map(store_handle *store, uint64_t place,
                            store_map **ret_map, uint64_t *ret_tail,
                            cask_error *err)
{
    const region_row *row = &store->region.rows[place_row(place)];
    /* The tail first: if the map is current after that, it is its tail. */
    uint64_t tail =
        atomic_load_explicit(&row->reserved_tail, memory_order_acquire);
    store_map *map = store_map_peek(store, place_row(place));
    cask_status status = CASK_OK;

    if (tail < RECORD_HEADER_SIZE ||
        place_offset(place) > tail - RECORD_HEADER_SIZE) {
        return store_fail_record(store, place, "behind the end of the file",
                                 err);
    }
    if (map == NULL || map->size < tail) {
        status = store_map_row(store, place_row(place), &map, err);
        tail = atomic_load_explicit(&row->reserved_tail, memory_order_acquire);
        if (status == CASK_OK &&
            (map == NULL || store_map_peek(store, place_row(place)) != map ||
             tail < RECORD_HEADER_SIZE || map->size < tail ||
             place_offset(place) > tail - RECORD_HEADER_SIZE)) {
            status = store_fail_record(store, place, "its segment was replaced",
                                       err);
        }
    }
    *ret_map = map;
    *ret_tail = tail;
    return status;
}

cask_status tree_record_at(store_handle *store, uint64_t place,
                           tree_record *ret_record, cask_error *err)
{
    uint64_t offset = place_offset(place);
    uint64_t tail = 0;
    uint64_t before;
    tree_record r = {.at = NULL};
    cask_status status;

    if (atomic_load_explicit(&store->region.header->row_count,
                             memory_order_acquire) <= place_row(place)) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: the index names segment row %u, which there is not; "
                    "close the store everywhere and open it again",
                    store->path, place_row(place));
    }
    status = find_map(store, place, &r.map, &tail, err);
    if (status != CASK_OK || r.map == NULL) {
        return status != CASK_OK ? status : CASK_CORRUPT;
    }
    r.at = r.map->data + offset;
    r.seed = (record_seed){r.map->nonce, offset};
    if (!record_decode_header(r.at, r.seed, &r.header) ||
        record_size(&r.header) > tail - offset) {
        return store_fail_record(store, place, "the header's check is wrong",
                                 err);
    }
    before = RECORD_HEADER_SIZE + record_expiry_size(&r.header);
    r.expires_at_ms = record_expiry_size(&r.header) != 0
                          ? load_u64(r.at + RECORD_HEADER_SIZE)
                          : 0;
    r.key = (cask_slice){r.at + before, r.header.key_size};
    r.value =
        (cask_slice){r.at + before + r.header.key_size, r.header.value_size};
    *ret_record = r;
    return CASK_OK;
}

bool tree_record_is_sound(const tree_record *record)
{
    record_header header;

    return record_read(record->at, record_size(&record->header), record->seed,
                       &header);
}

cask_status tree_record_take(const tree_record *record, cask_slice key,
                             cask_buffer *value, cask_error *err)
{
    cask_status status;
    bool is_sound = record->key.size == key.size;

    if (is_sound && value == NULL) {
        is_sound = (key.size == 0 ||
                    memcmp(record->key.data, key.data, key.size) == 0) &&
                   tree_record_is_sound(record);
    } else if (is_sound) {
        status = buffer_reserve(value, record->value.size, err);
        if (status != CASK_OK) {
            return status;
        }
        is_sound = record_copy_value(record->at, &record->header, key.data,
                                     record->seed, value->data);
        value->size = is_sound ? record->value.size : value->size;
    }
    return is_sound ? CASK_OK
                    : fail(err, CASK_CORRUPT, 0,
                           "%016" PRIx64 ".log: offset %" PRIu64
                           ": the checksum is wrong; the value is not "
                           "returned; 'caskade verify' lists the damage",
                           record->map->file_id, record->seed.offset);
}

cask_info tree_record_info(const tree_record *record)
{
    return (cask_info){.sequence = record->header.sequence,
                       .expires_at_ms = record->expires_at_ms,
                       .time_s = record->header.time_s,
                       .value_bytes = record->header.value_size};
}

/* ---- For memtables ---- */

static bool read_entry(void *context, uint64_t place, memtable_entry *ret_entry)
{
    tree_record record = {.at = NULL};

    if (tree_record_at(context, place, &record, NULL) != CASK_OK) {
        return false;
    }
    *ret_entry = (memtable_entry){place, record.header.sequence, record.key};
    return true;
}

static void prefetch(void *context, uint64_t place)
{
    const store_handle *store = context;
    const store_map *map;

    if (place_row(place) >=
        atomic_load_explicit(&store->region.header->row_count,
                             memory_order_relaxed)) {
        return;
    }
    map = store_map_peek(store, place_row(place));
    if (map != NULL && place_offset(place) < map->size) {
        __builtin_prefetch(map->data + place_offset(place));
    }
}

static bool verify_entry(void *context, uint64_t place)
{
    tree_record record = {.at = NULL};

    return tree_record_at(context, place, &record, NULL) == CASK_OK &&
           tree_record_is_sound(&record);
}

memtable_log tree_log(store_handle *store)
{
    return (memtable_log){.read = read_entry,
                          .prefetch = prefetch,
                          .verify = verify_entry,
                          .context = store};
}

/* No mark is in a memtable. */
static cask_run_kind kind_of(const record_header *header)
{
    switch (record_kind(header)) {
    case RECORD_PUT:
        return CASK_RUN_PUT;
    case RECORD_RANGE_DELETE:
        return CASK_RUN_DELETE_RANGE;
    default:
        return CASK_RUN_DELETE;
    }
}

/* The copy is what is verified: the map may turn into zeros. */
static cask_status copy_entry(void *context, uint64_t place, cask_buffer *bytes,
                              cask_run_entry *ret_entry, cask_error *err)
{
    tree_record record = {.at = NULL};
    cask_status status = tree_record_at(context, place, &record, err);
    uint64_t size;
    const uint8_t *copy;

    if (status != CASK_OK || record.at == NULL) {
        return status != CASK_OK ? status : CASK_CORRUPT;
    }
    size = record_size(&record.header);
    status = buffer_reserve(bytes, size, err);
    if (status != CASK_OK) {
        return status;
    }
    memcpy(bytes->data, record.at, size);
    bytes->size = size;
    copy = bytes->data;
    if (!record_read(copy, size, record.seed, &record.header) ||
        record_size(&record.header) != size) {
        return store_fail_record(context, place, "the checksum is wrong", err);
    }
    copy += RECORD_HEADER_SIZE;
    record.expires_at_ms =
        record_expiry_size(&record.header) != 0 ? load_u64(copy) : 0;
    copy += record_expiry_size(&record.header);
    *ret_entry = (cask_run_entry){
        .kind = kind_of(&record.header),
        .key = {copy, record.header.key_size},
        .value = {copy + record.header.key_size, record.header.value_size},
        .info = tree_record_info(&record)};
    return CASK_OK;
}

memtable_records tree_records(store_handle *store)
{
    return (memtable_records){.read = copy_entry, .context = store};
}
