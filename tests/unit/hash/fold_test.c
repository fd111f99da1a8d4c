/*
 * Folds of keys read no values, and still report damage of what they give;
 * parts of a fold divide segments, and visit each key once whatever is there.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "db/db.h"
#include "hash/hash_merge.h"
#include "log/segment.h"
#include "store/store_expiry.h"
#include "store/store_read.h"

enum { KEYS = 40, LARGE = 64 << 10, SMALL = 500, PARTS = 4 };

static int one_segment(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    h->options.segment_max_bytes = 64 << 20;
    h->options.auto_merge = false;
    h->options.sync = CASK_SYNC_NONE; /* a sync of the simulated disk reads */
    handle_open(h);
    return result;
}

static void put_key(handle *h, unsigned number, size_t size)
{
    char key[32];
    uint8_t *value = make_bytes(size, number);

    (void)snprintf(key, sizeof(key), "key %05u", number);
    put_bytes(h, key, value, size);
    free(value);
}

static void put_keys(handle *h, unsigned from, unsigned to, size_t size)
{
    for (unsigned i = from; i < to; i++) {
        put_key(h, i, size);
    }
}

/* No thread reads what is there any more, to write its hint. */
static void seal(handle *h)
{
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_OK);
    handle_reopen(h);
}

/* ---- What a fold visits ---- */

enum { MOST_KEYS = 4000 };

typedef struct visits {
    handle *h;
    unsigned seen[MOST_KEYS]; /* how often */
    unsigned count;
    uint64_t sequence; /* of the last */
    size_t value_bytes;
    void (*at_first)(handle *h); /* called at the first visit */
} visits;

static bool visit(void *context, const cask_entry *entry)
{
    visits *v = context;
    char text[32] = "";
    unsigned number;

    assert_true(entry->key.size < sizeof(text));
    memcpy(text, entry->key.data, entry->key.size);
    assert_int_equal(sscanf(text, "key %u", &number), 1);
    assert_true(number < MOST_KEYS);
    v->seen[number]++;
    if (v->count++ == 0 && v->at_first != NULL) {
        v->at_first(v->h);
    }
    assert_true(entry->info.sequence > v->sequence);
    v->sequence = entry->info.sequence;
    assert_int_equal(entry->info.value_bytes, v->value_bytes);
    return true;
}

static cask_status fold_keys(handle *h, visits *v, size_t value_bytes)
{
    const cask_fold_options options = {.keys_only = true};

    memset(v->seen, 0, sizeof(v->seen));
    v->h = h;
    v->count = 0;
    v->sequence = 0;
    v->value_bytes = value_bytes;
    return cask_fold(h->db, &options, visit, v, NULL);
}

/* Each once, but for `missing`. */
static void expect_all_but(const visits *v, unsigned keys, unsigned missing)
{
    for (unsigned i = 0; i < keys; i++) {
        assert_int_equal(v->seen[i], i == missing ? 0 : 1);
    }
    assert_int_equal(v->count, missing < keys ? keys - 1 : keys);
}

/* ---- Records, where they are in memory ---- */

/* The puts of the first segment, in log order. */
static struct {
    scan_item item[MOST_KEYS];
    unsigned first; /* the others are not locked */
    unsigned count;
    char name[SEGMENT_NAME_SIZE]; /* of the segment */
} found;

static void find_puts(handle *h)
{
    store_handle *store = h->db->store;
    const region_row *row = store->region.rows;
    uint32_t index = 0;
    store_map *map = NULL;
    segment_scan scan;
    scan_item item;

    while (atomic_load(&row[index].state) == ROW_FREE) {
        index++;
    }
    assert_int_equal(store_map_row(store, index, &map, NULL), CASK_OK);
    segment_name_format(map->file_id, found.name);
    scan_begin(&scan, map->data, atomic_load(&row[index].reserved_tail),
               map->nonce, SEGMENT_HEADER_SIZE);
    found.first = 0;
    found.count = 0;
    while (scan_next(&scan, &item) == SCAN_RECORD) {
        if (record_kind(&item.header) == RECORD_PUT) {
            assert_true(found.count < MOST_KEYS);
            found.item[found.count++] = item;
        }
    }
}

/* The whole pages of the values that find_puts() found. */
static void set_rights(int rights)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    for (unsigned i = found.first; i < found.count; i++) {
        uintptr_t value = (uintptr_t)found.item[i].value;
        uintptr_t begin = (value + page - 1) / page * page;
        uintptr_t end = (value + LARGE) / page * page;

        assert_int_equal(mprotect((void *)begin, end - begin, rights), 0);
    }
}

/* Whoever reads one from here on dies of it. */
static void lock_values(void)
{
    set_rights(PROT_NONE);
}

static void unlock_values(void)
{
    set_rights(PROT_READ | PROT_WRITE);
}

static void flip(handle *h, uint64_t offset, uint8_t bits)
{
    uint8_t byte = 0;
    const os_span span = {&byte, 1};
    os_file *dir;
    os_file *file;
    size_t got;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(
        h->kernel->ops->open(dir, found.name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(h->kernel->ops->read_at(file, &byte, 1, offset, &got), 0);
    byte ^= bits;
    assert_int_equal(h->kernel->ops->write_at(file, &span, 1, offset), 0);
    h->kernel->ops->close(file);
    h->kernel->ops->close(dir);
}

/* ---- Keys without values ---- */

static void test_keys_are_visited_without_touching_values(void **state)
{
    static visits v;
    handle *h = *state;

    put_keys(h, 0, KEYS, LARGE);
    handle_reopen(h);
    find_puts(h);
    assert_int_equal(found.count, KEYS);
    lock_values();
    assert_int_equal(fold_keys(h, &v, LARGE), CASK_OK);
    unlock_values();
    expect_all_but(&v, KEYS, KEYS);
}

static void test_so_are_those_of_a_private_index(void **state)
{
    static visits v;
    handle *h = *state;

    put_keys(h, 0, KEYS, LARGE);
    handle_close(h);
    h->options.read_only = true;
    handle_open(h);
    find_puts(h);
    lock_values();
    assert_int_equal(fold_keys(h, &v, LARGE), CASK_OK);
    unlock_values();
    expect_all_but(&v, KEYS, KEYS);
}

static void merge_and_lock(handle *h)
{
    assert_int_equal(handle_merge_all(h).records, KEYS);
    lock_values();
}

static void test_so_are_those_that_a_merge_moves_meanwhile(void **state)
{
    static visits v;
    handle *h = *state;

    for (unsigned i = 0; i < KEYS; i++) {
        put_key(h, 0, LARGE); /* dead, so that there is something to merge */
    }
    put_keys(h, 0, KEYS, LARGE);
    seal(h);
    find_puts(h);
    found.first = KEYS;
    v.at_first = merge_and_lock;
    assert_int_equal(fold_keys(h, &v, LARGE), CASK_OK);
    unlock_values();
    v.at_first = NULL;
    expect_all_but(&v, KEYS, KEYS);
}

static void overwrite_and_lock(handle *h)
{
    put_keys(h, 0, KEYS, 10);
    lock_values();
}

static void test_so_are_those_that_are_overwritten_meanwhile(void **state)
{
    static visits v;
    handle *h = *state;

    put_keys(h, 0, KEYS, LARGE);
    find_puts(h);
    v.at_first = overwrite_and_lock;
    assert_int_equal(fold_keys(h, &v, LARGE), CASK_OK);
    unlock_values();
    v.at_first = NULL;
    expect_all_but(&v, KEYS, KEYS);
}

static bool count_value(void *context, const cask_entry *entry)
{
    *(unsigned *)context += entry->value.size == LARGE ? 1 : 0;
    return true;
}

static void test_a_damaged_value_is_told_by_folds_of_values(void **state)
{
    static visits v;
    handle *h = *state;
    unsigned values = 0;

    put_keys(h, 0, KEYS, LARGE);
    handle_reopen(h);
    find_puts(h);
    flip(h, found.item[7].offset + LARGE / 2, 1);
    assert_int_equal(fold_keys(h, &v, LARGE), CASK_OK);
    expect_all_but(&v, KEYS, KEYS);
    assert_int_equal(cask_fold(h->db, NULL, count_value, &values, NULL),
                     CASK_CORRUPT);
    assert_int_equal(values, KEYS - 1);
}

/* Also one that makes another key of it, which exists. */
static void test_every_bit_of_a_header_and_a_key_counts(void **state)
{
    static visits v;
    handle *h = *state;
    const scan_item *item = &found.item[6];
    uint64_t end;

    put_keys(h, 0, KEYS, 100);
    handle_reopen(h);
    find_puts(h);
    end = item->offset + RECORD_HEADER_SIZE + item->header.key_size;
    for (uint64_t at = item->offset; at < end; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            flip(h, at, (uint8_t)(1U << bit));
            assert_int_equal(fold_keys(h, &v, 100), CASK_CORRUPT);
            expect_all_but(&v, KEYS, 6);
            flip(h, at, (uint8_t)(1U << bit));
        }
    }
    assert_int_equal(fold_keys(h, &v, 100), CASK_OK);
}

/* A wrong time of expiry would hide the key. */
static void test_a_damaged_time_of_expiry_is_told(void **state)
{
    static visits v;
    handle *h = *state;
    cask_write_options options = {.ttl_ms = 3600000};

    put_keys(h, 1, KEYS, 100);
    assert_int_equal(cask_put_with(h->db, cask_slice_of("key 00000"),
                                   cask_slice_of("v"), &options, NULL, NULL),
                     CASK_OK);
    handle_reopen(h);
    find_puts(h);
    flip(h, found.item[KEYS - 1].offset + RECORD_HEADER_SIZE + 5, 0xff);
    assert_int_equal(fold_keys(h, &v, 100), CASK_CORRUPT);
    expect_all_but(&v, KEYS, 0);
}

/* Nobody can say that it was not somebody's newest. */
static void test_damage_in_what_the_index_does_not_name_is_told(void **state)
{
    static visits v;
    handle *h = *state;

    put_keys(h, 0, KEYS, 100);
    put_keys(h, 0, KEYS, 100);
    handle_reopen(h);
    find_puts(h);
    flip(h, found.item[3].offset + RECORD_HEADER_SIZE + 50, 1);
    assert_int_equal(fold_keys(h, &v, 100), CASK_CORRUPT);
    expect_all_but(&v, KEYS, KEYS);
}

/* ---- Parts ---- */

/* All parts, one after the other; returns how many told of damage. The sizes of
 * parts are noted. */
static unsigned fold_parts(handle *h, visits *v, uint32_t parts,
                           unsigned *ret_sizes)
{
    cask_snapshot *snapshot = NULL;
    unsigned damaged = 0;

    memset(v->seen, 0, sizeof(v->seen));
    v->count = 0;
    v->sequence = 0; /* all of a part comes before all of the next */
    v->value_bytes = SMALL;
    assert_int_equal(cask_snapshot_create(h->db, &snapshot, NULL), CASK_OK);
    for (uint32_t part = 0; part < parts; part++) {
        const cask_fold_options options = {
            .keys_only = part % 2 == 0, .parts = parts, .part = part};
        unsigned before = v->count;
        cask_status status =
            cask_snapshot_fold(snapshot, &options, visit, v, NULL);

        assert_true(status == CASK_OK || status == CASK_CORRUPT);
        damaged += status == CASK_CORRUPT ? 1 : 0;
        if (ret_sizes != NULL) {
            ret_sizes[part] = v->count - before;
        }
    }
    cask_snapshot_free(snapshot);
    return damaged;
}

/* Each part has about as much as the others. */
static void expect_like_parts(handle *h, unsigned keys)
{
    static visits v;
    unsigned sizes[PARTS];

    assert_int_equal(fold_parts(h, &v, PARTS, sizes), 0);
    expect_all_but(&v, keys, keys);
    for (unsigned i = 0; i < PARTS; i++) {
        assert_in_range(sizes[i], keys / PARTS * 3 / 4, keys / PARTS * 5 / 4);
    }
}

static void test_parts_divide_one_segment(void **state)
{
    handle *h = *state;

    put_keys(h, 0, 2000, SMALL);
    expect_like_parts(h, 2000); /* the active one */
    handle_reopen(h);
    expect_like_parts(h, 2000);
    handle_close(h);
    h->options.read_only = true;
    handle_open(h);
    expect_like_parts(h, 2000);
}

/* A merge leaves gaps, and has outputs whose sequences overlap others'. */
static void test_gaps_in_the_sequences_do_not_matter(void **state)
{
    handle *h = *state;

    put_keys(h, 0, 1000, SMALL);
    for (unsigned i = 0; i < 20000; i++) {
        put_key(h, 0, SMALL);
    }
    put_keys(h, 1000, 2000, SMALL);
    put_keys(h, 0, 100, SMALL);
    seal(h);
    assert_int_equal(handle_merge_all(h).records, 2000);
    expect_like_parts(h, 2000);
}

static bool is_inside(const region_row *row, uint64_t sequence)
{
    uint32_t state = atomic_load(&row->state);

    return (state == ROW_SEALED || state == ROW_ACTIVE) && row->records > 0 &&
           row->first_sequence < sequence && sequence < row->last_sequence;
}

/* How many segments begin inside of others. */
static unsigned overlaps(handle *h)
{
    const store_handle *store = h->db->store;
    uint32_t count = atomic_load(&store->region.header->row_count);
    const region_row *rows = store->region.rows;
    unsigned within = 0;

    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < count; k++) {
            within += atomic_load(&rows[k].state) == ROW_SEALED &&
                              is_inside(&rows[i], rows[k].first_sequence)
                          ? 1
                          : 0;
        }
    }
    return within;
}

/* Merge every other of the sealed segments: what comes of it reaches over those
 * that are left out. */
static void merge_every_other(handle *h)
{
    store_handle *store = h->db->store;
    uint32_t count = atomic_load(&store->region.header->row_count);
    uint32_t rows[16];
    size_t chosen = 0;
    bool is_next = true;
    store_expiry expiry;
    merge_report report;

    for (uint32_t i = 0; i < count && chosen < 16; i++) {
        if (atomic_load(&store->region.rows[i].state) == ROW_SEALED) {
            rows[chosen] = i;
            chosen += is_next ? 1 : 0;
            is_next = !is_next;
        }
    }
    store_expiry_now(store, true, &expiry);
    assert_int_equal(hash_merge(store, rows, chosen, &expiry, &report, NULL),
                     CASK_OK);
    assert_int_equal(report.inputs, chosen);
}

static void test_nor_do_segments_that_overlap(void **state)
{
    static visits v;
    handle *h = *state;

    h->options.segment_max_bytes = 256 << 10;
    handle_reopen(h);
    put_keys(h, 0, 3600, SMALL);
    for (unsigned i = 0; i < 3600; i++) {
        if (i % 3 != 0) {
            put_key(h, i, SMALL);
        }
    }
    seal(h);
    merge_every_other(h);
    assert_true(overlaps(h) > 3);
    for (uint32_t parts = 2; parts < 40; parts += 3) {
        assert_int_equal(fold_parts(h, &v, parts, NULL), 0);
        expect_all_but(&v, 3600, MOST_KEYS);
    }
}

static void test_damage_is_told_by_one_part(void **state)
{
    static visits v;
    handle *h = *state;

    put_keys(h, 0, 1000, SMALL);
    handle_reopen(h);
    find_puts(h);
    flip(h, found.item[499].offset + RECORD_HEADER_SIZE, 1);
    for (uint32_t parts = 1; parts < 40; parts++) {
        assert_int_equal(fold_parts(h, &v, parts, NULL), 1);
        expect_all_but(&v, 1000, 499);
    }
}

static void test_there_may_be_more_parts_than_keys(void **state)
{
    static visits v;
    handle *h = *state;

    assert_int_equal(fold_parts(h, &v, 3, NULL), 0);
    assert_int_equal(v.count, 0);
    put_keys(h, 0, 10, SMALL);
    assert_int_equal(fold_parts(h, &v, 100, NULL), 0);
    expect_all_but(&v, 10, MOST_KEYS);
}

/* Where no segment can be looked into for nothing. */
static void test_read_by_calls_parts_begin_where_segments_do(void **state)
{
    static visits v;
    handle *h = *state;
    unsigned sizes[PARTS];

    put_keys(h, 0, 1000, SMALL);
    h->options.io = CASK_IO_PREAD;
    handle_reopen(h);
    assert_int_equal(fold_parts(h, &v, PARTS, sizes), 0);
    expect_all_but(&v, 1000, MOST_KEYS);
    for (unsigned i = 0; i < PARTS; i++) {
        assert_true(sizes[i] == 0 || sizes[i] == 1000);
    }
}

/* ---- Without maps: what is read is counted ---- */

static os_ops counting;
static const os_ops *uncounted;
static _Thread_local bool is_counted;
static uint64_t bytes_read;
static uint64_t reads_left; /* before one fails */

static int counted_read(os_file *file, void *data, size_t size, uint64_t offset,
                        size_t *ret_got)
{
    if (is_counted) {
        bytes_read += size;
        if (reads_left-- == 0) {
            return EIO;
        }
    }
    return uncounted->read_at(file, data, size, offset, ret_got);
}

static int read_by_calls(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    uncounted = h->kernel->ops;
    counting = *uncounted;
    counting.read_at = counted_read;
    h->kernel->ops = &counting;
    reads_left = UINT64_MAX;
    h->options.segment_max_bytes = 64 << 20;
    h->options.auto_merge = false;
    h->options.sync = CASK_SYNC_NONE;
    h->options.io = CASK_IO_PREAD;
    handle_open(h);
    return result;
}

static uint64_t bytes_of_fold(handle *h, visits *v, size_t value_bytes)
{
    bytes_read = 0;
    is_counted = true;
    assert_int_equal(fold_keys(h, v, value_bytes), CASK_OK);
    is_counted = false;
    return bytes_read;
}

static void test_read_by_calls_large_values_stay_unread(void **state)
{
    static visits v;
    handle *h = *state;

    put_keys(h, 0, KEYS, LARGE);
    handle_reopen(h);
    assert_true(bytes_of_fold(h, &v, LARGE) < KEYS * LARGE / 4);
    expect_all_but(&v, KEYS, KEYS);
}

static void test_read_by_calls_small_ones_are_read_once(void **state)
{
    static visits v;
    handle *h = *state;

    put_keys(h, 0, MOST_KEYS, SMALL);
    handle_reopen(h);
    assert_true(bytes_of_fold(h, &v, SMALL) < MOST_KEYS * (SMALL + 100));
    expect_all_but(&v, MOST_KEYS, MOST_KEYS);
}

/* It is no damage, and no end. */
static void test_a_read_that_fails_ends_a_fold(void **state)
{
    static visits v;
    handle *h = *state;
    cask_status status = CASK_IO;

    put_keys(h, 0, KEYS, LARGE);
    handle_reopen(h);
    for (uint64_t n = 0; status != CASK_OK; n++) {
        is_counted = true;
        reads_left = n;
        status = fold_keys(h, &v, LARGE);
        is_counted = false;
        assert_int_equal(status, reads_left > n ? CASK_IO : CASK_OK);
    }
    expect_all_but(&v, KEYS, KEYS);
}

int main(void)
{
#define BY_CALLS(test)                                                         \
    cmocka_unit_test_setup_teardown(test, read_by_calls, handle_teardown)
#define FOLD(test)                                                             \
    cmocka_unit_test_setup_teardown(test, one_segment, handle_teardown)
    const struct CMUnitTest tests[] = {
        FOLD(test_keys_are_visited_without_touching_values),
        FOLD(test_so_are_those_of_a_private_index),
        FOLD(test_so_are_those_that_a_merge_moves_meanwhile),
        FOLD(test_so_are_those_that_are_overwritten_meanwhile),
        FOLD(test_a_damaged_value_is_told_by_folds_of_values),
        FOLD(test_every_bit_of_a_header_and_a_key_counts),
        FOLD(test_a_damaged_time_of_expiry_is_told),
        FOLD(test_damage_in_what_the_index_does_not_name_is_told),
        FOLD(test_parts_divide_one_segment),
        FOLD(test_gaps_in_the_sequences_do_not_matter),
        FOLD(test_nor_do_segments_that_overlap),
        FOLD(test_damage_is_told_by_one_part),
        FOLD(test_there_may_be_more_parts_than_keys),
        FOLD(test_read_by_calls_parts_begin_where_segments_do),
        BY_CALLS(test_read_by_calls_large_values_stay_unread),
        BY_CALLS(test_read_by_calls_small_ones_are_read_once),
        BY_CALLS(test_a_read_that_fails_ends_a_fold),
        BY_CALLS(test_a_damaged_value_is_told_by_folds_of_values),
        BY_CALLS(test_every_bit_of_a_header_and_a_key_counts),
        BY_CALLS(test_a_damaged_time_of_expiry_is_told),
        BY_CALLS(test_damage_in_what_the_index_does_not_name_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
