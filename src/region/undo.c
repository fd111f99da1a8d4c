/*
 * The undo table: entries in the order of their sequences, in chunks of which
 * the first are given back when no snapshot needs them any more; and buckets,
 * which lead to chains of entries, the newest first. An entry never changes
 * while it is in memory, so readers need no lock: they load the number of the
 * first entry again after they have read one, and believe it only if it was not
 * given back meanwhile. What a living snapshot needs is never given back.
 */
#include "region/undo.h"

#include "base/bytes.h"
#include "region/heap.h"

enum { BUCKETS_LEAST_LOG2 = 12, BUCKETS_MOST_LOG2 = 22, BUCKET_LOG2_BITS = 8 };

static region_undo *undo_of(const region_handle *region)
{
    return &region->snapshots->undo;
}

/* Words that only the holder of the lock changes. */
static uint64_t own(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

/* ---- Buckets ---- */

static uint64_t bucket_lines(unsigned log2)
{
    return (UINT64_C(8) << log2) / REGION_LINE;
}

/* NULL: there are none. */
static _Atomic uint64_t *bucket_of(const region_handle *region, undo_key key)
{
    uint64_t word =
        atomic_load_explicit(&undo_of(region)->buckets, memory_order_acquire);
    unsigned log2 = (unsigned)(word & ((1 << BUCKET_LOG2_BITS) - 1));
    uint64_t line = word >> BUCKET_LOG2_BITS;

    if (word == 0 || log2 > BUCKETS_MOST_LOG2 ||
        !region_has_lines(region, line, bucket_lines(log2))) {
        return NULL;
    }
    return (_Atomic uint64_t *)region_line(region, line) +
           ((key.tag ^ key.shard) & ((UINT64_C(1) << log2) - 1));
}

/* A bucket for every other key of the store. */
static unsigned wanted_log2(const region_handle *region)
{
    uint64_t keys =
        atomic_load_explicit(&region->header->key_count, memory_order_relaxed);
    unsigned log2 = BUCKETS_LEAST_LOG2;

    while (log2 < BUCKETS_MOST_LOG2 && UINT64_C(2) << log2 < keys) {
        log2++;
    }
    return log2;
}

/* Whether the table should get buckets, or more: only while it is empty. */
static bool wants_buckets(const region_handle *region)
{
    const region_undo *undo = undo_of(region);
    uint64_t word = own(&undo->buckets);

    return word == 0 ||
           (own(&undo->first) == own(&undo->next) &&
            wanted_log2(region) > (word & ((1 << BUCKET_LOG2_BITS) - 1)) + 2);
}

static bool add_buckets(region_handle *region, uint64_t spare_lines)
{
    unsigned log2 = wanted_log2(region);
    uint64_t line;

    if (heap_available(region) < spare_lines ||
        heap_available(region) - spare_lines < bucket_lines(log2)) {
        return false;
    }
    line = heap_take_plain(region, bucket_lines(log2)); /* zeros */
    set(&undo_of(region)->buckets, line << BUCKET_LOG2_BITS | log2);
    return true;
}

/* ---- Chunks ---- */

static _Atomic uint32_t *chunk_of(const region_handle *region, uint64_t chunk)
{
    return &undo_of(region)->chunk[chunk % UNDO_CHUNKS];
}

/* NULL: it has no memory, or none any more. */
static region_undo_entry *entry_of(const region_handle *region, uint64_t number)
{
    uint64_t line = atomic_load_explicit(
        chunk_of(region, number / UNDO_CHUNK_ENTRIES), memory_order_acquire);
    region_undo_entry *entries;

    if (!region_has_lines(region, line, UNDO_CHUNK_LINES)) {
        return NULL;
    }
    entries = region_line(region, line);
    return &entries[number % UNDO_CHUNK_ENTRIES];
}

static uint64_t chunks_in_use(const region_undo *undo)
{
    return own(&undo->ready) / UNDO_CHUNK_ENTRIES -
           own(&undo->first) / UNDO_CHUNK_ENTRIES;
}

uint64_t undo_bytes(const region_handle *region)
{
    return chunks_in_use(undo_of(region)) * UNDO_CHUNK_LINES * REGION_LINE;
}

uint64_t undo_limit_bytes(const region_handle *region)
{
    uint64_t used =
        own(&region->header->heap.used) * REGION_LINE - undo_bytes(region);
    const uint64_t most =
        (uint64_t)(UNDO_CHUNKS - 1) * UNDO_CHUNK_LINES * REGION_LINE;

    used = used < UNDO_LEAST_BYTES ? UNDO_LEAST_BYTES : used;
    return used < most ? used : most;
}

/* No more entries are allowed. */
static bool is_full(const region_handle *region)
{
    return undo_bytes(region) + (uint64_t)UNDO_CHUNK_LINES * REGION_LINE >
           undo_limit_bytes(region);
}

static bool add_chunk(region_handle *region, uint64_t spare_lines)
{
    region_undo *undo = undo_of(region);
    uint64_t chunk = own(&undo->ready) / UNDO_CHUNK_ENTRIES;
    uint64_t line;

    if (is_full(region) ||
        (region->header->heap.free[UNDO_CLASS] == 0 &&
         (heap_available(region) < spare_lines ||
          heap_available(region) - spare_lines < UNDO_CHUNK_LINES))) {
        return false;
    }
    line = heap_take(region, UNDO_CLASS, UNDO_CHUNK_LINES);
    if (line == 0) {
        return false;
    }
    atomic_store_explicit(chunk_of(region, chunk), (uint32_t)line,
                          memory_order_release);
    set(&undo->ready, (chunk + 1) * UNDO_CHUNK_ENTRIES);
    return true;
}

/* A chunk is no longer named before it is given back: who dies in between has
 * lost it, and nothing is given back twice. */
static void give_back(region_handle *region)
{
    region_undo *undo = undo_of(region);

    while (undo->given < own(&undo->first) / UNDO_CHUNK_ENTRIES) {
        _Atomic uint32_t *chunk = chunk_of(region, undo->given);
        uint32_t line = atomic_load_explicit(chunk, memory_order_relaxed);

        atomic_store_explicit(chunk, 0, memory_order_release);
        atomic_signal_fence(memory_order_seq_cst);
        if (line != 0) {
            heap_give(region, UNDO_CLASS, line, UNDO_CHUNK_LINES);
        }
        atomic_signal_fence(memory_order_seq_cst);
        undo->given++;
    }
}

/* ---- Snapshots ---- */

region_snapshot *snapshots_free_entry_locked(const region_handle *region)
{
    for (uint32_t i = 0; i < REGION_SNAPSHOTS; i++) {
        region_snapshot *entry = &region->snapshots->entry[i];

        if (own(&entry->ticket) == 0) {
            return entry;
        }
    }
    return NULL;
}

/* The first entry that a snapshot with `sequence`, the oldest, may need. */
static uint64_t first_needed(const region_handle *region, uint64_t sequence)
{
    const region_undo *undo = undo_of(region);
    uint64_t low = own(&undo->first);
    uint64_t high = own(&undo->next);

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const region_undo_entry *entry = entry_of(region, middle);

        if (entry == NULL || own(&entry->stamp) >> 8 <= sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void trim(region_handle *region, uint64_t count, uint64_t oldest)
{
    region_undo *undo = undo_of(region);
    uint64_t first =
        count == 0 ? own(&undo->ready) : first_needed(region, oldest);

    set(&undo->first, first);
    if (own(&undo->next) < first) {
        set(&undo->next, first);
    }
    give_back(region);
}

void snapshots_recount_locked(region_handle *region)
{
    uint32_t count = 0;
    uint64_t newest = 0;
    uint64_t oldest = UINT64_MAX;

    for (uint32_t i = 0; i < REGION_SNAPSHOTS; i++) {
        const region_snapshot *entry = &region->snapshots->entry[i];
        uint64_t sequence = own(&entry->sequence);

        if (own(&entry->ticket) != 0) {
            count++;
            newest = sequence > newest ? sequence : newest;
            oldest = sequence < oldest ? sequence : oldest;
        }
    }
    set(&undo_of(region)->newest, newest);
    atomic_store_explicit(&region->header->snapshots, count,
                          memory_order_release);
    trim(region, count, oldest);
}

static void expel_oldest(region_handle *region)
{
    region_snapshot *oldest = NULL;

    for (uint32_t i = 0; i < REGION_SNAPSHOTS; i++) {
        region_snapshot *entry = &region->snapshots->entry[i];

        if (own(&entry->ticket) != 0 &&
            (oldest == NULL || own(&entry->ticket) < own(&oldest->ticket))) {
            oldest = entry;
        }
    }
    if (oldest != NULL) {
        atomic_store(&oldest->ticket, 0);
        atomic_fetch_add(&undo_of(region)->lost, 1);
    }
    snapshots_recount_locked(region);
}

/* ---- Saving ---- */

uint64_t undo_reserve_lines(const region_handle *region, uint64_t count)
{
    const region_undo *undo = undo_of(region);
    uint64_t room;
    uint64_t lines = 0;

    if (!undo_is_needed(region)) {
        return 0;
    }
    room = own(&undo->ready) - own(&undo->next);
    if (count > room && count - room < UINT32_MAX) {
        lines =
            ((count - room - 1) / UNDO_CHUNK_ENTRIES + 1) * UNDO_CHUNK_LINES;
    }
    return wants_buckets(region) ? lines + bucket_lines(wanted_log2(region))
                                 : lines;
}

void undo_note_starved(const region_handle *region)
{
    atomic_store(&undo_of(region)->starved, 1);
}

static bool add_memory(region_handle *region, uint64_t count,
                       uint64_t spare_lines)
{
    const region_undo *undo = undo_of(region);

    if (wants_buckets(region) && !add_buckets(region, spare_lines) &&
        own(&undo->buckets) == 0) {
        return false;
    }
    return count <= own(&undo->ready) - own(&undo->next) ||
           add_chunk(region, spare_lines);
}

bool undo_prepare_locked(region_handle *region, uint64_t count,
                         uint64_t spare_lines)
{
    region_undo *undo = undo_of(region);

    while (undo_is_needed(region) &&
           (own(&undo->buckets) == 0 ||
            count > own(&undo->ready) - own(&undo->next))) {
        if (add_memory(region, count, spare_lines)) {
            continue;
        }
        if (!is_full(region) && atomic_load(&undo->starved) == 0) {
            return false;
        }
        atomic_store(&undo->starved, 0);
        expel_oldest(region);
    }
    return true;
}

/* Whether the key has an entry that is newer than all snapshots. */
static bool is_saved(const region_handle *region, undo_key key, uint64_t head)
{
    const region_undo *undo = undo_of(region);
    uint64_t newest = own(&undo->newest);

    while (head > own(&undo->first)) {
        const region_undo_entry *entry = entry_of(region, head - 1);
        uint64_t stamp = entry == NULL ? 0 : own(&entry->stamp);

        if (stamp >> 8 <= newest) {
            break;
        }
        if (own(&entry->tag) == key.tag && (stamp & 255) == key.shard) {
            return true;
        }
        head = own(&entry->older);
    }
    return false;
}

void undo_save_locked(region_handle *region, undo_key key, uint64_t place,
                      uint64_t sequence)
{
    region_undo *undo = undo_of(region);
    _Atomic uint64_t *bucket = bucket_of(region, key);
    region_undo_entry *entry;
    uint64_t number;

    if (bucket != NULL && is_saved(region, key, own(bucket))) {
        return;
    }
    number = own(&undo->next);
    entry = number < own(&undo->ready) ? entry_of(region, number) : NULL;
    if (bucket == NULL || entry == NULL) {
        while (undo_is_needed(region)) {
            expel_oldest(region);
        }
        return;
    }
    set(&entry->tag, key.tag);
    set(&entry->place, place);
    set(&entry->stamp, sequence << 8 | key.shard);
    set(&entry->older, own(bucket));
    /* Counted before it is published: a number is never given twice. */
    set(&undo->next, number + 1);
    set(bucket, number + 1);
}

/* ---- Finding ---- */

bool undo_find(const region_handle *region, undo_key key, uint64_t sequence,
               uint64_t *ret_place)
{
    const region_undo *undo = undo_of(region);
    _Atomic uint64_t *bucket = bucket_of(region, key);
    uint64_t head =
        bucket == NULL ? 0 : atomic_load_explicit(bucket, memory_order_acquire);
    bool found = false;

    while (head > atomic_load_explicit(&undo->first, memory_order_acquire)) {
        const region_undo_entry *entry = entry_of(region, head - 1);
        uint64_t stamp;
        uint64_t place;
        uint64_t older;
        uint64_t tag;

        if (entry == NULL) {
            break;
        }
        stamp = atomic_load_explicit(&entry->stamp, memory_order_acquire);
        place = atomic_load_explicit(&entry->place, memory_order_acquire);
        older = atomic_load_explicit(&entry->older, memory_order_acquire);
        tag = atomic_load_explicit(&entry->tag, memory_order_acquire);
        /* Given back, and perhaps used again: then of a change up to
         * `sequence`, as are all that are older. */
        if (head <= atomic_load_explicit(&undo->first, memory_order_acquire) ||
            stamp >> 8 <= sequence || older >= head) {
            break;
        }
        if (tag == key.tag && (stamp & 255) == key.shard) {
            *ret_place = place;
            found = true;
        }
        head = older;
    }
    return found;
}
