/*
 * Records are {sequence:64, key size:32, not used:32, key}, each at a multiple
 * of 8. A record does not span segments.
 */
#define _GNU_SOURCE
#include "unit/tree/record_log.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/siphash.h"
#include "cask_test.h"
#include "os/os.h"
#include "region/heap.h"
#include "region/place.h"

enum { HEADER = 16 };

static bool read_record(void *context, uint64_t place,
                        memtable_entry *ret_entry)
{
    const record_log *log = context;
    uint64_t at = (uint64_t)place_row(place) << RECORD_LOG_SEGMENT_BITS |
                  place_offset(place);
    const uint8_t *record = log->data + at;

    if ((log->hidden != 0 && place >> 21 == log->hidden >> 21) ||
        at > log->size - HEADER ||
        load_u32(record + 8) > log->size - HEADER - at) {
        return false;
    }
    ret_entry->sequence = load_u64(record);
    ret_entry->key = (cask_slice){record + HEADER, load_u32(record + 8)};
    return true;
}

static void prefetch(void *context, uint64_t place)
{
    const record_log *log = context;
    uint64_t at = (uint64_t)place_row(place) << RECORD_LOG_SEGMENT_BITS |
                  place_offset(place);

    __builtin_prefetch(log->data + at);
}

void record_log_make(record_log *log, size_t size)
{
    uint8_t *memory = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_true(memory != MAP_FAILED);
    *log = (record_log){
        .log = {.read = read_record, .prefetch = prefetch, .context = log},
        .data = memory + 4096,
        .size = size,
        .tail = (_Atomic uint64_t *)memory};
}

void record_log_free(record_log *log)
{
    (void)munmap(log->data - 4096, log->size + 4096);
}

void record_log_reset(record_log *log)
{
    atomic_store(log->tail, 0);
}

uint64_t record_log_append(record_log *log, cask_slice key, uint64_t sequence,
                           bool live)
{
    const uint64_t segment = UINT64_C(1) << RECORD_LOG_SEGMENT_BITS;
    uint64_t at = atomic_load(log->tail);
    uint64_t bytes = round_up_8(HEADER + key.size);

    if (at % segment + bytes > segment) {
        at = round_up(at, segment);
    }
    assert_true(at + bytes <= log->size);
    store_u64(log->data + at, sequence);
    store_u32(log->data + at + 8, (uint32_t)key.size);
    if (key.size > 0) {
        memcpy(log->data + at + HEADER, key.data, key.size);
    }
    atomic_store(log->tail, at + bytes);
    return place_make((uint16_t)(at / segment), at % segment,
                      PLACE_SIZE_MAX * 8, live);
}

uint64_t record_log_hash(cask_slice key)
{
    const siphash_key secret = {{1, 2}};

    return siphash(secret, key.data, key.size).word[0];
}

void record_log_region(region_handle *ret_region)
{
    const region_identity identity = {.engine = CASK_ENGINE_HASH};

    memset(ret_region, 0, sizeof(*ret_region));
    ret_region->os = os_posix();
    assert_int_equal(region_create_private(ret_region, &identity, NULL),
                     CASK_OK);
    assert_int_equal(memtables_create(ret_region, NULL), CASK_OK);
}

void record_log_shared_region(region_handle *ret_region, const char *path)
{
    const region_identity identity = {.engine = CASK_ENGINE_HASH};

    memset(ret_region, 0, sizeof(*ret_region));
    ret_region->os = os_posix();
    assert_int_equal(
        ret_region->os->ops->open_dir(ret_region->os, path, &ret_region->dir),
        0);
    (void)snprintf(ret_region->name, sizeof(ret_region->name), "REGION");
    assert_int_equal(region_create(ret_region, &identity, 256 << 10, NULL),
                     CASK_OK);
    assert_int_equal(memtables_create(ret_region, NULL), CASK_OK);
}

void record_log_close_region(region_handle *region)
{
    region_remove(region);
    region_detach(region);
    region->os->ops->close(region->dir);
}

uint64_t record_log_put(record_log *log, const memtable_view *view,
                        memtable_put put, bool live)
{
    memtable_aim aim;
    memtable_result result;

    if (!memtable_has_room_locked(view, 1)) {
        return 0;
    }
    assert_int_equal(
        region_reserve(view->region, memtable_reserve_lines(view, 1), NULL),
        CASK_OK);
    put.place = record_log_append(log, put.key, put.sequence, live);
    put.hash = record_log_hash(put.key);
    result = memtable_aim_locked(view, &put, &aim);
    assert_true(result == MEMTABLE_FOUND || result == MEMTABLE_NONE);
    assert_int_equal(result == MEMTABLE_FOUND, aim.old_place != 0);
    memtable_store_locked(view, &aim);
    return put.place;
}
