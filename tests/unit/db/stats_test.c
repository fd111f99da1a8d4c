/*
 * Statistics are exact: counters of operations, and bytes and records of each
 * segment against a recount of the files; now, after reopening from hints, and
 * after reopening from a scan.
 */
#include "unit/db/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/scan.h"
#include "log/segment_format.h"
#include "support/random.h"

enum { KEYS = 40, OPERATIONS = 3000 };

/* ---- Recount ------------------------------------------------------------- */

typedef struct recount {
    uint64_t id;
    segment_kind kind;
    uint64_t total_bytes; /* marks included */
    uint64_t live_bytes;
    uint64_t live_records;
    uint64_t tombstones;
    uint64_t first_sequence; /* of puts and deletes */
    uint64_t last_sequence;
} recount;

typedef struct recounts {
    recount segments[64];
    size_t count;
    uint64_t keys;
} recounts;

typedef struct newest {
    uint64_t sequence;
    uint64_t bytes;
    size_t segment;
    bool live;
} newest;

static int key_number(const scan_item *item)
{
    char text[16] = "";

    assert_true(item->header.key_size < sizeof(text));
    memcpy(text, item->key, item->header.key_size);
    return (int)strtol(text + 1, NULL, 10);
}

static void recount_file(const uint8_t *data, uint64_t size, uint64_t id,
                         recounts *all, newest *keys)
{
    recount *segment = &all->segments[all->count];
    segment_header header;
    segment_scan scan;
    scan_item item;

    assert_int_equal(segment_header_decode(data, "x", &header, NULL), CASK_OK);
    *segment = (recount){.id = id, .kind = header.kind};
    scan_begin(&scan, data, size, header.nonce, SEGMENT_HEADER_SIZE);
    while (scan_next(&scan, &item) == SCAN_RECORD) {
        bool live = record_kind(&item.header) == RECORD_PUT;
        newest *key;

        segment->total_bytes += item.size;
        if (record_kind(&item.header) == RECORD_MARK) {
            continue;
        }
        if (segment->first_sequence == 0) {
            segment->first_sequence = item.header.sequence;
        }
        segment->last_sequence = item.header.sequence;
        key = &keys[key_number(&item)];
        segment->tombstones += live ? 0 : 1;
        /* Outputs of merges are newer files with older records. */
        if (item.header.sequence >= key->sequence) {
            *key = (newest){item.header.sequence, item.size, all->count, live};
        }
    }
    all->count++;
}

static bool recount_name(void *context, const char *name)
{
    char(*names)[SEGMENT_NAME_SIZE] = context;
    uint64_t id;
    int i = 0;

    if (segment_name_parse(name, &id)) {
        while (names[i][0] != 0) {
            i++;
        }
        (void)snprintf(names[i], SEGMENT_NAME_SIZE, "%s", name);
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void recount_store(handle *h, recounts *ret_recounts)
{
    char names[64][SEGMENT_NAME_SIZE] = {""};
    newest keys[KEYS] = {{0}};
    const os_ops *ops = h->kernel->ops;
    size_t count = 0;
    os_file *dir;

    memset(ret_recounts, 0, sizeof(*ret_recounts));
    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->list(dir, recount_name, names), 0);
    while (names[count][0] != 0) {
        count++;
    }
    qsort(names, count, sizeof(names[0]), by_name);
    for (size_t i = 0; i < count; i++) {
        os_file *file;
        os_stat stat;
        uint8_t *data;
        size_t got;
        uint64_t id = 0;

        assert_true(segment_name_parse(names[i], &id));
        assert_int_equal(ops->open(dir, names[i], OS_READ, 0, &file), 0);
        assert_int_equal(ops->stat(file, &stat), 0);
        data = malloc(stat.size);
        assert_non_null(data);
        assert_int_equal(ops->read_at(file, data, stat.size, 0, &got), 0);
        recount_file(data, got, id, ret_recounts, keys);
        free(data);
        ops->close(file);
    }
    ops->close(dir);
    for (int k = 0; k < KEYS; k++) {
        if (keys[k].live) {
            recount *segment = &ret_recounts->segments[keys[k].segment];

            segment->live_bytes += keys[k].bytes;
            segment->live_records++;
            ret_recounts->keys++;
        }
    }
}

static const recount *find_recount(const recounts *all, uint64_t id)
{
    size_t i = 0;

    while (i < all->count && all->segments[i].id != id) {
        i++;
    }
    assert_true(i < all->count); /* else a segment has no file */
    return &all->segments[i];
}

static void check_segment(const cask_segment_stats *told,
                          const recount *counted)
{
    assert_int_equal(told->total_bytes, counted->total_bytes);
    assert_int_equal(told->live_bytes, counted->live_bytes);
    assert_int_equal(told->dead_bytes,
                     counted->total_bytes - counted->live_bytes);
    assert_int_equal(told->live_records, counted->live_records);
    assert_int_equal(told->tombstones, counted->tombstones);
    assert_int_equal(told->damaged_bytes, 0);
    if (counted->last_sequence != 0) {
        assert_int_equal(told->first_sequence, counted->first_sequence);
        assert_int_equal(told->last_sequence, counted->last_sequence);
    }
}

static void check_recount(handle *h)
{
    cask_segment_stats *segments = NULL;
    cask_stats stats;
    recounts counted;
    uint64_t live = 0;
    uint64_t total = 0;
    size_t count = 0;

    recount_store(h, &counted);
    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        check_segment(&segments[i], find_recount(&counted, segments[i].id));
        assert_true(i == 0 || segments[i].id > segments[i - 1].id);
        live += segments[i].live_bytes;
        total += segments[i].total_bytes;
    }
    assert_int_equal(stats.segment_count, count);
    assert_int_equal(stats.key_count, counted.keys);
    assert_int_equal(stats.live_bytes, live);
    assert_int_equal(stats.data_bytes, total);
    assert_int_equal(stats.dead_bytes, total - live);
    assert_int_equal(stats.damaged_bytes, 0);
    assert_int_equal(count_keys(h), counted.keys);
    cask_free(segments);
}

/* ---- Tests --------------------------------------------------------------- */

static void work(handle *h, test_random *random)
{
    uint8_t *bytes = make_bytes(2000, 5);

    for (int i = 0; i < OPERATIONS; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "k%d",
                       (int)test_random_next(random, KEYS));
        if (test_random_chance(random, 25)) {
            assert_int_equal(cask_delete(h->db, cask_slice_of(key), NULL, NULL),
                             CASK_OK);
        } else {
            put_bytes(h, key, bytes, test_random_next(random, 2000));
        }
    }
    free(bytes);
}

static void remove_hints(handle *h, const cask_segment_stats *segments,
                         size_t count)
{
    os_file *dir;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    for (size_t i = 0; i < count; i++) {
        char name[SEGMENT_NAME_SIZE];

        hint_name_format(segments[i].id, name);
        (void)h->kernel->ops->remove(dir, name);
    }
    h->kernel->ops->close(dir);
}

static void test_bytes_of_segments_are_those_of_a_recount(void **state)
{
    handle *h = *state;
    test_random random = test_random_make(test_seed(), 1);
    cask_segment_stats *segments = NULL;
    size_t hints = 0;
    size_t count = 0;

    h->options.segment_max_bytes = 256 << 10;
    handle_reopen(h);
    work(h, &random);
    check_recount(h);
    handle_reopen(h);
    check_recount(h);
    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        hints += segments[i].has_hint ? 1 : 0;
        assert_true(segments[i].sealed || i + 1 == count);
    }
    assert_true(count > 5);
    assert_true(hints + 1 >= count); /* the reopening was from hints */
    handle_close(h);
    remove_hints(h, segments, count);
    handle_open(h);
    check_recount(h);
    work(h, &random);
    check_recount(h);
    cask_free(segments);
}

/* ---- The life of a store --------------------------------------------------
 */

enum { FILES = 8192 }; /* more than are made */

/* What was ever written: to each file of the log, as last seen, and by merges,
 * as they told. */
typedef struct ledger {
    uint64_t log[FILES];
    uint64_t merged;
} ledger;

static void check_ledger(handle *h, ledger *l)
{
    recounts counted;
    cask_stats stats;
    uint64_t log = 0;

    recount_store(h, &counted);
    for (size_t i = 0; i < counted.count; i++) {
        const recount *segment = &counted.segments[i];

        assert_true(segment->id < FILES);
        if (segment->kind == SEGMENT_LOG) {
            l->log[segment->id] = segment->total_bytes;
        }
    }
    for (int i = 0; i < FILES; i++) {
        log += l->log[i];
    }
    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    assert_int_equal(stats.log_bytes, log);
    assert_int_equal(stats.merge_bytes, l->merged);
    check_recount(h);
}

static void merge_some(handle *h, ledger *l, bool all)
{
    cask_merge_options options = {.all = all};
    cask_merge_report report;

    /* What a merge seals by itself it may take away at once. */
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_OK);
    check_ledger(h, l);
    assert_int_equal(cask_merge(h->db, &options, &report, NULL), CASK_OK);
    l->merged +=
        report.bytes_written - report.outputs * (uint64_t)SEGMENT_HEADER_SIZE;
    check_ledger(h, l);
}

/* The next handle is on what a power failure has left. The end of the log is
 * moved to another file then. */
static void fail_power(handle *h, ledger *l)
{
    os_sim_options options = {.seed = 2, .max_file_bytes = (size_t)1 << 30};
    recounts before;
    os_sim *after;

    recount_store(h, &before);
    for (size_t i = 0; i < before.count; i++) {
        l->log[before.segments[i].id] = 0;
    }

    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    assert_int_equal(os_sim_create(&options, &after), 0);
    assert_int_equal(os_sim_copy(h->sim, after), 0);
    assert_int_equal(os_sim_crash(after, test_seed()), 0);
    handle_close(h);
    os_sim_free(h->sim);
    h->sim = after;
    h->kernel = os_sim_os(after);
    os_sim_set_wall_ms(after, HANDLE_NOW_MS);
    handle_open(h);
}

static void test_totals_are_exact_over_merges_and_every_reopening(void **state)
{
    handle *h = *state;
    test_random random = test_random_make(test_seed(), 3);
    static ledger l;

    memset(&l, 0, sizeof(l));
    h->options.segment_max_bytes = 128 << 10;
    handle_reopen(h);
    for (int round = 0; round < 12; round++) {
        work(h, &random);
        check_ledger(h, &l);
        merge_some(h, &l, round % 2 == 1);
        work(h, &random);
        check_ledger(h, &l);
        h->options.linger = round % 3 == 1;
        if (round % 3 == 2) {
            fail_power(h, &l);
        } else {
            handle_reopen(h);
        }
        check_ledger(h, &l);
        h->options.linger = false;
        h->options.read_only = true; /* an index of its own */
        handle_reopen(h);
        check_ledger(h, &l);
        h->options.read_only = false;
        handle_reopen(h);
        check_ledger(h, &l);
    }
    assert_true(l.merged > 0);
}

static void test_operations_are_counted_once(void **state)
{
    handle *h = *state;
    cask_buffer value = {0};
    cask_batch *batch;
    cask_stats before;
    cask_stats after;
    bool flag;

    /* A sync between two writes puts a mark between them. */
    h->options.sync = CASK_SYNC_NONE;
    handle_reopen(h);
    assert_int_equal(cask_stat(h->db, &before, NULL), CASK_OK);
    put_text(h, "a", "1");
    put_text(h, "b", "2");
    put_text(h, "b", "3");
    delete_text(h, "a");
    assert_int_equal(cask_delete(h->db, cask_slice_of("a"), &flag, NULL),
                     CASK_OK); /* was deleted: not counted, not written */
    assert_false(flag);
    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    assert_int_equal(
        cask_batch_put(batch, cask_slice_of("c"), cask_slice_of("4"), 0, NULL),
        CASK_OK);
    assert_int_equal(cask_batch_delete(batch, cask_slice_of("b"), NULL),
                     CASK_OK);
    assert_int_equal(cask_write(h->db, batch, NULL), CASK_OK);
    cask_batch_free(batch);
    check_text(h, "c", "4");
    check_text(h, "b", NULL);
    check_text(h, "never", NULL);
    assert_int_equal(cask_exists(h->db, cask_slice_of("c"), &flag, NULL),
                     CASK_OK);
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    assert_int_equal(cask_stat(h->db, &after, NULL), CASK_OK);
    assert_int_equal(after.puts - before.puts, 4);
    assert_int_equal(after.deletes - before.deletes, 2);
    assert_int_equal(after.batches - before.batches, 1);
    assert_int_equal(after.gets - before.gets, 4);
    assert_int_equal(after.get_misses - before.get_misses, 2);
    assert_int_equal(after.sequence - before.sequence, 6);
    assert_int_equal(after.durable_sequence, after.sequence);
    assert_true(after.syncs > before.syncs);
    /* Header, key of one byte, value of none or one: always 32 bytes. */
    assert_int_equal(after.bytes_written - before.bytes_written, 6 * 32);
    assert_int_equal(after.key_count, 1);
    assert_int_equal(after.handle_count, 1);
    assert_false(after.poisoned);
    assert_false(after.private_index);
    assert_true(strncmp(after.region_path, "/dev/shm/", 9) == 0);
    assert_int_equal(strlen(after.uuid), 36);
    cask_buffer_free(&value);
}

static void test_a_store_without_keys_has_no_bytes(void **state)
{
    handle *h = *state;
    cask_segment_stats *segments;
    cask_stats stats;
    size_t count;

    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    assert_int_equal(stats.key_count, 0);
    assert_int_equal(stats.data_bytes, 0);
    assert_int_equal(stats.live_bytes, 0);
    assert_int_equal(stats.dead_bytes, 0);
    assert_int_equal(stats.sequence, 0);
    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    assert_int_equal(count, 1);
    assert_false(segments[0].sealed);
    cask_free(segments);
}

int main(void)
{
#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, handle_setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_bytes_of_segments_are_those_of_a_recount),
        WITH_STORE(test_totals_are_exact_over_merges_and_every_reopening),
        WITH_STORE(test_operations_are_counted_once),
        WITH_STORE(test_a_store_without_keys_has_no_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
