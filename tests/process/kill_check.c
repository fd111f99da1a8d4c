/*
 * Looking at the store while nobody writes: what was acknowledged is there, and
 * nothing else is.
 */
#define _GNU_SOURCE
#include "kill_share.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/record_format.h"

/* ---- Resolving ---- */

/* The version that the store has; 0: it has none. */
static uint64_t stored_version(kill_share *share, cask_db *db, cask_slice name,
                               uint8_t *memory)
{
    cask_buffer value = {NULL, 0, 0};
    cask_error err = {CASK_OK, 0, ""};
    cask_status status = cask_get(db, name, &value, &err);
    uint64_t version = 0;

    if (status == CASK_OK) {
        version = kill_version(share, name,
                               (cask_slice){value.data, value.size}, memory);
    } else if (status != CASK_NOT_FOUND) {
        kill_check(share, status, (const char *)name.data, &err);
    }
    cask_buffer_free(&value);
    return version;
}

typedef enum outcome {
    LOST,   /* the store has what was there before */
    DONE,   /* the store has what was about to be written */
    EITHER, /* both look the same */
} outcome;

static outcome look(kill_share *share, cask_db *db, unsigned writer,
                    unsigned number, uint8_t *memory)
{
    const kill_key *key = &share->writer[writer].key[number];
    uint64_t intent = atomic_load(&key->intent);
    uint64_t acked = atomic_load(&key->acked);
    uint64_t new = kill_is_put(share, writer, number, intent) ? intent : 0;
    uint64_t old = kill_is_put(share, writer, number, acked) ? acked : 0;
    char text[KEY_BYTES];
    uint64_t found =
        stored_version(share, db, kill_owned(text, writer, number), memory);

    if (found != new &&found != old) {
        kill_fail(share,
                  "%s: version %" PRIu64 " is stored; acknowledged is %" PRIu64
                  " (%s), begun %" PRIu64 " (%s)",
                  text, found, acked, old == 0 ? "none" : "put", intent,
                  new == 0 ? "none" : "put");
    }
    if (new == old) {
        return EITHER;
    }
    return found == new ? DONE : LOST;
}

static void settle(kill_share *share, kill_key *key, const char *name,
                   bool done)
{
    if (done) {
        atomic_store(&key->acked, atomic_load(&key->intent));
    } else if (atomic_load(&key->intent) > atomic_load(&key->acked)) {
        kill_raise(&key->aborted, atomic_load(&key->intent));
    }
    if (atomic_load(&key->seen) > atomic_load(&key->acked)) {
        kill_fail(share,
                  "%s: version %" PRIu64 " was read, then it was %" PRIu64,
                  name, atomic_load(&key->seen), atomic_load(&key->acked));
    }
}

static void resolve_batch(kill_share *share, cask_db *db, unsigned writer,
                          uint8_t *memory)
{
    kill_writer *dead = &share->writer[writer];
    uint32_t size = atomic_load(&dead->batch_size);
    unsigned done = 0;
    unsigned lost = 0;

    for (uint32_t i = 0; i < size; i++) {
        outcome found = look(share, db, writer, dead->batch_key[i], memory);

        done += found == DONE;
        lost += found == LOST;
        /* Acknowledged one by one: then the whole batch was. */
        done += atomic_load(&dead->key[dead->batch_key[i]].acked) ==
                dead->batch_version[i];
    }
    if (done > 0 && lost > 0) {
        kill_fail(share,
                  "a batch of %" PRIu32 " of writer %u: %u done, %u lost", size,
                  writer, done, lost);
    }
    for (uint32_t i = 0; i < size; i++) {
        char text[KEY_BYTES];

        (void)kill_owned(text, writer, dead->batch_key[i]);
        settle(share, &dead->key[dead->batch_key[i]], text, lost == 0);
    }
    atomic_store(&dead->batch_size, 0);
}

static void resolve_unique(kill_share *share, cask_db *db, unsigned writer,
                           uint8_t *memory)
{
    kill_writer *dead = &share->writer[writer];
    uint64_t intent = atomic_load(&dead->unique_intent);
    cask_error err = {CASK_OK, 0, ""};
    char text[KEY_BYTES];
    cask_slice name;
    bool exists = false;

    (void)memory;
    if (intent == atomic_load(&dead->unique_acked)) {
        return;
    }
    name = kill_unique(text, writer, intent - 1);
    kill_check(share, cask_exists(db, name, &exists, &err), text, &err);
    if (exists) {
        atomic_store(&dead->unique_acked, intent);
    } else {
        atomic_store(&dead->unique_intent, intent - 1);
    }
}

void kill_resolve(kill_share *share, cask_db *db, unsigned writer,
                  uint8_t *memory)
{
    kill_writer *dead = &share->writer[writer];
    uint32_t counter = atomic_load(&dead->counter_intent);

    resolve_batch(share, db, writer, memory);
    for (unsigned i = 0; i < OWNED_KEYS; i++) {
        kill_key *key = &dead->key[i];
        char text[KEY_BYTES];

        if (atomic_load(&key->intent) != atomic_load(&key->acked)) {
            outcome found = look(share, db, writer, i, memory);

            (void)kill_owned(text, writer, i);
            settle(share, key, text, found != LOST);
        }
    }
    resolve_unique(share, db, writer, memory);
    if (counter != 0) {
        atomic_fetch_add(&share->counter_unsure[counter - 1], 1);
        atomic_store(&dead->counter_intent, 0);
    }
}

/* ---- The whole store ---- */

typedef struct examination {
    kill_share *share;
    uint8_t *memory;
    cask_segment_stats *segments;
    uint64_t *bytes; /* found in each segment */
    size_t segment_count;
    bool overlap; /* sequences do not tell the segment */
    uint64_t records;
    uint64_t total_bytes;
    bool owned[WRITERS][OWNED_KEYS];
    uint64_t unique[WRITERS];
    uint64_t unique_sum[WRITERS];
} examination;

static void count_bytes(examination *e, const cask_entry *entry)
{
    record_header header = {.key_size = (uint16_t)entry->key.size,
                            .value_size = entry->info.value_bytes};
    uint64_t size = record_size(&header);

    e->records++;
    e->total_bytes += size;
    for (size_t i = 0; i < e->segment_count; i++) {
        if (entry->info.sequence >= e->segments[i].first_sequence &&
            entry->info.sequence <= e->segments[i].last_sequence) {
            e->bytes[i] += size;
            return;
        }
    }
    kill_fail(e->share, "sequence %" PRIu64 " is in no segment",
              entry->info.sequence);
}

static void visit_owned(examination *e, unsigned writer, unsigned number,
                        uint64_t version)
{
    const kill_key *key = &e->share->writer[writer].key[number];

    if (writer >= WRITERS || number >= OWNED_KEYS || e->owned[writer][number]) {
        kill_fail(e->share, "fold: owned-%u-%u a second time", writer, number);
    }
    e->owned[writer][number] = true;
    if (version != atomic_load(&key->acked)) {
        kill_fail(e->share,
                  "fold: owned-%u-%u has version %" PRIu64
                  ", acknowledged is %" PRIu64,
                  writer, number, version, atomic_load(&key->acked));
    }
}

static bool visit(void *context, const cask_entry *entry)
{
    examination *e = context;
    char text[KEY_BYTES] = "";
    unsigned writer = 0;
    unsigned number = 0;
    uint64_t unique = 0;
    uint64_t version;

    count_bytes(e, entry);
    if (entry->key.size >= sizeof(text)) {
        kill_fail(e->share, "fold: a key of %zu bytes", entry->key.size);
    }
    memcpy(text, entry->key.data, entry->key.size);
    if (strncmp(text, "hello-", 6) == 0) {
        return true;
    }
    version = kill_version(e->share, entry->key, entry->value, e->memory);
    if (sscanf(text, "owned-%u-%u", &writer, &number) == 2) {
        visit_owned(e, writer, number, version);
    } else if (sscanf(text, "unique-%u-%" SCNu64, &writer, &unique) == 2 &&
               writer < WRITERS) {
        e->unique[writer]++;
        e->unique_sum[writer] += unique;
    }
    return true;
}

static void check_found(examination *e)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        const kill_writer *writer = &e->share->writer[i];
        uint64_t unique = atomic_load(&writer->unique_acked);

        /* Count and sum: these are 0, 1, ... each once. */
        if (e->unique[i] != unique ||
            (unique > 0 && e->unique_sum[i] != unique * (unique - 1) / 2)) {
            kill_fail(e->share,
                      "fold: %" PRIu64 " unique keys of writer %u, %" PRIu64
                      " were acknowledged",
                      e->unique[i], i, unique);
        }
        for (unsigned j = 0; j < OWNED_KEYS; j++) {
            uint64_t acked = atomic_load(&writer->key[j].acked);

            if (e->owned[i][j] != kill_is_put(e->share, i, j, acked)) {
                kill_fail(e->share, "fold: owned-%u-%u is %s", i, j,
                          e->owned[i][j] ? "there, and was deleted"
                                         : "missing");
            }
        }
    }
}

static void check_segments(const examination *e)
{
    uint64_t live = 0;
    uint64_t records = 0;

    for (size_t i = 0; i < e->segment_count; i++) {
        const cask_segment_stats *segment = &e->segments[i];

        live += segment->live_bytes;
        records += segment->live_records;
        if (!e->overlap && segment->live_bytes != e->bytes[i]) {
            kill_fail(e->share,
                      "segment %" PRIx64 ": live_bytes is %" PRIu64
                      ", the fold found %" PRIu64,
                      segment->id, segment->live_bytes, e->bytes[i]);
        }
    }
    if (live != e->total_bytes || records != e->records) {
        kill_fail(e->share,
                  "live: %" PRIu64 " bytes in %" PRIu64
                  " records; the fold found %" PRIu64 " in %" PRIu64,
                  live, records, e->total_bytes, e->records);
    }
}

/* After a moved tail two segments may name the same sequences. One without
 * records may be between them. */
static bool overlaps(const cask_segment_stats *segments, size_t count)
{
    uint64_t last = 0;

    for (size_t i = 0; i < count; i++) {
        if (segments[i].first_sequence != 0 &&
            segments[i].first_sequence <= last) {
            return true;
        }
        if (segments[i].last_sequence > last) {
            last = segments[i].last_sequence;
        }
    }
    return false;
}

static void check_all(kill_share *share, cask_db *db, uint8_t *memory)
{
    examination *e = calloc(1, sizeof(*e));
    cask_error err = {CASK_OK, 0, ""};
    uint64_t count = 0;

    if (e == NULL) {
        kill_fail(share, "no memory");
    }
    e->share = share;
    e->memory = memory;
    kill_check(share, cask_segments(db, &e->segments, &e->segment_count, &err),
               "segments", &err);
    e->bytes = calloc(e->segment_count + 1, sizeof(*e->bytes));
    if (e->bytes == NULL) {
        kill_fail(share, "no memory");
    }
    e->overlap = overlaps(e->segments, e->segment_count);
    kill_check(share, cask_fold(db, NULL, visit, e, &err), "fold", &err);
    kill_check(share, cask_count(db, &count, &err), "count", &err);
    if (count != e->records) {
        kill_fail(share,
                  "count is %" PRIu64 ", the fold found %" PRIu64 " keys",
                  count, e->records);
    }
    check_found(e);
    check_segments(e);
    free(e->bytes);
    cask_free(e->segments);
    free(e);
}

static void check_counters(kill_share *share, cask_db *db, uint8_t *memory)
{
    for (unsigned i = 0; i < COUNTERS; i++) {
        char text[KEY_BYTES];
        uint64_t found =
            stored_version(share, db, kill_counter(text, i), memory);
        uint64_t acked = atomic_load(&share->counter_acked[i]);
        uint64_t unsure = atomic_load(&share->counter_unsure[i]);

        if (found < acked || found > acked + unsure ||
            found < atomic_load(&share->counter_seen[i])) {
            kill_fail(share,
                      "%s is %" PRIu64 "; raised %" PRIu64
                      " times, perhaps %" PRIu64 " more; %" PRIu64 " was read",
                      text, found, acked, unsure,
                      atomic_load(&share->counter_seen[i]));
        }
    }
}

/* Without a fold: what was written once is there. */
static void check_unique(kill_share *share, cask_db *db, uint8_t *memory)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        uint64_t acked = atomic_load(&share->writer[i].unique_acked);

        for (uint64_t number = 0; number < acked; number++) {
            char text[KEY_BYTES];

            if (stored_version(share, db, kill_unique(text, i, number),
                               memory) != number) {
                kill_fail(share, "%s is not what it was", text);
            }
        }
    }
}

/* Each key by cask_get(), which takes another way than the fold. */
static void check_owned(kill_share *share, cask_db *db, uint8_t *memory)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        for (unsigned j = 0; j < OWNED_KEYS; j++) {
            if (look(share, db, i, j, memory) == LOST &&
                atomic_load(&share->writer[i].key[j].aborted) !=
                    atomic_load(&share->writer[i].key[j].intent)) {
                kill_fail(share, "owned-%u-%u: its last version is lost", i, j);
            }
        }
    }
}

void kill_examine(kill_share *share, test_random *random)
{
    cask_options options = kill_options(random);
    uint8_t *memory = malloc(VALUE_BYTES);
    cask_error err = {CASK_OK, 0, ""};
    cask_verify_report report;
    cask_db *db = NULL;
    char text[KEY_BYTES];
    cask_slice name = kill_hello(text, WRITERS);
    uint64_t before = atomic_load(&share->sequence);
    uint64_t sequence = 0;

    if (memory == NULL) {
        kill_fail(share, "no memory");
    }
    kill_check(share, cask_open(share->path, &options, &db, &err),
               "open to check", &err);
    kill_check(share, cask_put_with(db, name, name, NULL, &sequence, &err),
               "put", &err);
    if (sequence <= before) {
        kill_fail(share, "sequence %" PRIu64 " after %" PRIu64, sequence,
                  before);
    }
    kill_raise(&share->sequence, sequence);
    for (unsigned i = 0; i < WRITERS; i++) {
        kill_resolve(share, db, i, memory);
    }
    check_owned(share, db, memory);
    check_counters(share, db, memory);
    if (kill_is_tree()) {
        check_unique(share, db, memory);
    } else {
        check_all(share, db, memory);
    }
    kill_check(share, cask_close(db, &err), "close", &err);
    if (kill_is_tree()) {
        atomic_fetch_add(&share->checks, 1);
        free(memory);
        return;
    }
    kill_check(share, cask_verify(share->path, NULL, &report, &err), "verify",
               &err);
    atomic_fetch_add(&share->checks, 1);
    free(memory);
}
