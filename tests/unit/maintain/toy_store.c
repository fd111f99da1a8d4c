/*
 * The toy store. Rules of the real one that matter here: survivors keep their
 * sequence and go to segments of their own, in the order of sequences; a
 * tombstone stays while an older put of its key is in a segment that is not
 * merged with it; inputs are there until all outputs are written.
 */
#include "unit/maintain/toy_store.h"

#include <stdlib.h>
#include <string.h>

#include "cask_test.h"
#include "log/segment_format.h"
#include "maintain/merge_pace.h"

static uint64_t record_bytes(const toy_record *record)
{
    return record->is_tombstone ? TOY_TOMBSTONE_BYTES : TOY_PUT_BYTES;
}

static uint32_t new_row(toy_store *store, bool is_output)
{
    uint32_t row = 0;

    while (row < TOY_SEGMENTS && store->rows[row].facts.id != 0) {
        row++;
    }
    assert_in_range(row, 0, TOY_SEGMENTS - 1);
    if (row == store->row_count) {
        store->row_count++;
    }
    memset(&store->rows[row], 0, sizeof(store->rows[row]));
    store->rows[row].facts = (merge_segment){.id = store->next_id++,
                                             .bytes = SEGMENT_HEADER_SIZE,
                                             .is_output = is_output};
    store->total_bytes += SEGMENT_HEADER_SIZE;
    return row;
}

static void free_row(toy_store *store, uint32_t row)
{
    store->total_bytes -= store->rows[row].facts.bytes;
    free(store->rows[row].records);
    memset(&store->rows[row], 0, sizeof(store->rows[row]));
}

static void append(toy_store *store, uint32_t row, const toy_record *record)
{
    toy_segment *segment = &store->rows[row];
    merge_segment *facts = &segment->facts;

    if (facts->records == segment->capacity) {
        segment->capacity = segment->capacity == 0 ? 64 : segment->capacity * 2;
        segment->records = realloc(
            segment->records, segment->capacity * sizeof(*segment->records));
        assert_non_null(segment->records);
    }
    segment->records[facts->records++] = *record;
    facts->bytes += record_bytes(record);
    facts->tombstones += record->is_tombstone ? 1 : 0;
    facts->first_sequence =
        facts->first_sequence == 0 ? record->sequence : facts->first_sequence;
    facts->last_sequence = record->sequence;
    store->total_bytes += record_bytes(record);
}

/* The record of `key` is now the last one of `row`. */
static void lead(toy_store *store, uint32_t key, uint64_t sequence,
                 uint32_t row)
{
    toy_place *place = &store->keydir[key];

    if (place->sequence != 0) {
        store->rows[place->row].facts.live_bytes -= TOY_PUT_BYTES;
        store->rows[place->row].facts.live_records--;
        store->live_bytes -= TOY_PUT_BYTES;
    }
    *place = (toy_place){.sequence = sequence, .row = row};
    if (sequence != 0) {
        store->rows[row].facts.live_bytes += TOY_PUT_BYTES;
        store->rows[row].facts.live_records++;
        store->live_bytes += TOY_PUT_BYTES;
    }
}

/* ---- Merging ---- */

static bool is_live(const toy_store *store, const toy_record *record)
{
    return store->keydir[record->key].sequence == record->sequence;
}

/* Note the oldest put of each key outside the inputs. */
static void note_hidden(toy_store *store)
{
    memset(store->oldest, 0xff, store->key_limit * sizeof(*store->oldest));
    for (uint32_t row = 0; row < store->row_count; row++) {
        const toy_segment *segment = &store->rows[row];

        for (size_t i = 0; !segment->is_input && i < segment->facts.records;
             i++) {
            const toy_record *record = &segment->records[i];
            uint64_t *oldest = &store->oldest[record->key];

            if (!record->is_tombstone && record->sequence < *oldest) {
                *oldest = record->sequence;
            }
        }
    }
}

/* Records are asked about newest first. */
static bool stays(toy_store *store, const toy_record *record)
{
    if (!record->is_tombstone) {
        return is_live(store, record);
    }
    if (store->keydir[record->key].sequence != 0 ||
        store->oldest[record->key] > record->sequence) {
        return false;
    }
    store->oldest[record->key] = UINT64_MAX; /* an older one hides no more */
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const toy_record *left = a;
    const toy_record *right = b;

    return left->sequence > right->sequence ? -1 : 1;
}

/* Survivors of the inputs, newest first; returns their number. */
static size_t survivors(toy_store *store, size_t records, toy_record *out)
{
    size_t count = 0;
    size_t kept = 0;

    for (uint32_t row = 0; row < store->row_count; row++) {
        const toy_segment *segment = &store->rows[row];

        for (size_t i = 0; segment->is_input && i < segment->facts.records;
             i++) {
            if (segment->records[i].is_tombstone ||
                is_live(store, &segment->records[i])) {
                out[count++] = segment->records[i];
            }
        }
    }
    assert_in_range(count, 0, records);
    qsort(out, count, sizeof(*out), newest_first);
    for (size_t i = 0; i < count; i++) {
        if (stays(store, &out[i])) {
            out[kept++] = out[i];
        }
    }
    return kept;
}

/* Write `out`, newest first, to segments as they age. */
static void write_outputs(toy_store *store, const toy_record *out, size_t count,
                          uint64_t newest_ms)
{
    uint32_t row = UINT32_MAX;

    for (size_t i = count; i-- > 0;) {
        if (row == UINT32_MAX ||
            store->rows[row].facts.bytes + record_bytes(&out[i]) >
                store->settings.segment_max_bytes) {
            row = new_row(store, true);
            store->rows[row].newest_ms = newest_ms;
        }
        append(store, row, &out[i]);
        store->merge_bytes += record_bytes(&out[i]);
        if (!out[i].is_tombstone) {
            lead(store, out[i].key, out[i].sequence, row);
        }
    }
}

static void merge(toy_store *store, const merge_choice *choices, size_t count)
{
    size_t records = 0;
    uint64_t tombstones = 0;
    size_t before = toy_segments(store);
    bool is_new = false;
    uint64_t newest_ms = 0;
    toy_record *out;
    size_t kept;

    for (size_t i = 0; i < count; i++) {
        toy_segment *input = &store->rows[choices[i].index];

        input->is_input = true;
        records += input->facts.records;
        tombstones += input->facts.tombstones;
        is_new |= !input->facts.is_output;
        newest_ms = input->newest_ms > newest_ms ? input->newest_ms : newest_ms;
    }
    out = malloc((records + 1) * sizeof(*out));
    assert_non_null(out);
    if (tombstones > 0) {
        note_hidden(store);
    }
    kept = survivors(store, records, out);
    write_outputs(store, out, kept, newest_ms);
    free(out);
    if (store->total_bytes > store->peak_bytes) {
        store->peak_bytes = store->total_bytes;
    }
    if (store->live_bytes > 0) {
        double peak = (double)store->total_bytes / (double)store->live_bytes;

        store->worst_peak = peak > store->worst_peak ? peak : store->worst_peak;
    }
    for (uint32_t row = 0; row < store->row_count; row++) {
        if (store->rows[row].is_input) {
            free_row(store, row);
        }
    }
    store->merges++;
    if (!is_new && kept == records && toy_segments(store) >= before) {
        store->idle_merges++;
    }
}

/* The facts of sealed segments, each at its row; free rows are left out by
 * moving, so `rows` says where each is. */
static size_t collect(toy_store *store, merge_segment *facts, uint32_t *rows)
{
    size_t count = 0;

    for (uint32_t row = 0; row < store->row_count; row++) {
        if (store->rows[row].facts.id != 0 && row != store->active) {
            facts[count] = store->rows[row].facts;
            facts[count].age_ms = store->now_ms - store->rows[row].newest_ms;
            rows[count++] = row;
        }
    }
    return count;
}

static bool work_once(toy_store *store)
{
    static merge_segment facts[TOY_SEGMENTS];
    static merge_choice choices[TOY_SEGMENTS];
    static uint32_t rows[TOY_SEGMENTS];
    size_t count = collect(store, facts, rows);
    merge_plan plan;

    store->moment.total_bytes = store->total_bytes;
    store->moment.live_bytes = store->live_bytes;
    merge_policy_choose(&store->settings, &store->moment, facts, count, choices,
                        &plan);
    for (size_t i = 0; i < plan.count; i++) {
        choices[i].index = rows[choices[i].index];
    }
    if (plan.count > 0) {
        store->reasons[plan.reason]++;
        merge(store, choices, plan.count);
    } else if (plan.seal_active) {
        toy_seal(store);
        return true;
    }
    return plan.count > 0;
}

uint64_t toy_work(toy_store *store)
{
    uint64_t rounds = 0;
    double rest;

    while (work_once(store)) {
        rounds++;
        assert_in_range(rounds, 0, 10000);
    }
    rest = store->live_bytes == 0
               ? 0
               : (double)store->total_bytes / (double)store->live_bytes;
    store->worst_at_rest =
        rest > store->worst_at_rest ? rest : store->worst_at_rest;
    return rounds;
}

/* ---- Writing ---- */

toy_store *toy_open(uint32_t key_limit, uint64_t segment_max_bytes)
{
    toy_store *store = calloc(1, sizeof(*store));

    assert_non_null(store);
    store->settings = merge_settings_default(segment_max_bytes);
    store->settings.step_bytes = merge_pace_step_bytes(0);
    store->moment = (merge_moment){.free_disk_bytes = UINT64_MAX,
                                   .open_ms = UINT64_MAX,
                                   .is_in_window = true};
    store->keydir = calloc(key_limit, sizeof(*store->keydir));
    store->oldest = calloc(key_limit, sizeof(*store->oldest));
    assert_non_null(store->keydir);
    assert_non_null(store->oldest);
    store->key_limit = key_limit;
    store->next_id = 1;
    store->next_sequence = 1;
    store->ms_per_write_q10 = 1024;
    store->writes_per_tick = 1000;
    store->active = new_row(store, false);
    return store;
}

void toy_close(toy_store *store)
{
    for (uint32_t row = 0; row < store->row_count; row++) {
        free(store->rows[row].records);
    }
    free(store->keydir);
    free(store->oldest);
    free(store);
}

void toy_seal(toy_store *store)
{
    if (store->rows[store->active].facts.records > 0) {
        store->active = new_row(store, false);
    }
}

static void write_record(toy_store *store, const toy_record *record)
{
    append(store, store->active, record);
    store->clock_q10 += store->ms_per_write_q10;
    store->now_ms = store->clock_q10 / 1024;
    store->rows[store->active].newest_ms = store->now_ms;
    store->user_bytes += record_bytes(record);
    lead(store, record->key, record->is_tombstone ? 0 : record->sequence,
         store->active);
    if (store->rows[store->active].facts.bytes + TOY_PUT_BYTES >
        store->settings.segment_max_bytes) {
        toy_seal(store);
        (void)toy_work(store);
    } else if (store->next_sequence % store->writes_per_tick == 0) {
        (void)toy_work(store);
    }
}

void toy_put(toy_store *store, uint32_t key)
{
    const toy_record record = {.sequence = store->next_sequence++, .key = key};

    write_record(store, &record);
}

void toy_delete(toy_store *store, uint32_t key)
{
    const toy_record record = {
        .sequence = store->next_sequence++, .key = key, .is_tombstone = true};

    write_record(store, &record);
}

void toy_restart_totals(toy_store *store)
{
    store->user_bytes = 0;
    store->merge_bytes = 0;
    store->merges = 0;
    store->idle_merges = 0;
    store->worst_at_rest = 0;
    store->worst_peak = 0;
    memset(store->reasons, 0, sizeof(store->reasons));
}

double toy_write_amplification(const toy_store *store)
{
    return (double)(store->user_bytes + store->merge_bytes) /
           (double)store->user_bytes;
}

uint64_t toy_tombstones(const toy_store *store)
{
    uint64_t sum = 0;

    for (uint32_t row = 0; row < store->row_count; row++) {
        sum += store->rows[row].facts.tombstones;
    }
    return sum;
}

uint64_t toy_segments(const toy_store *store)
{
    uint64_t count = 0;

    for (uint32_t row = 0; row < store->row_count; row++) {
        count += store->rows[row].facts.id != 0 ? 1 : 0;
    }
    return count;
}
