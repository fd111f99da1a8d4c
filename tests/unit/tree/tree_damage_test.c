/*
 * A store of the tree engine whose files are damaged, through the public API:
 * what is damaged is told, and all else is there.
 */
#include "cask_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "run/run_read.h"
#include "tree/tree.h"
#include "tree/tree_flush.h"
#include "unit/tree/tree_handle.h"

static const cask_merge_options everything = {.all = true};

enum { KEYS = 300, MOST_RUNS = 64 };

static void put_range(handle *h, unsigned round, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        put_text(h, name_of(i), text_of(round, i));
    }
}

static void check_range(handle *h, unsigned round, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        check_text(h, name_of(i), text_of(round, i));
    }
}

static cask_status get(handle *h, const char *key, cask_error *err)
{
    cask_buffer value = {0};
    cask_status status = cask_get(h->db, cask_slice_of(key), &value, err);

    cask_buffer_free(&value);
    return status;
}

/* Reads of these keys say which file is damaged. */
static void check_damaged(handle *h, const char *file, unsigned from,
                          unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        cask_error err = {CASK_OK, 0, ""};

        if (get(h, name_of(i), &err) != CASK_CORRUPT) {
            fail_msg("%s was read", name_of(i));
        }
        if (strstr(err.message, file) == NULL ||
            strstr(err.message, "caskade ") == NULL) {
            fail_msg("%s: %s", name_of(i), err.message);
        }
    }
}

/* ---- Files ---- */

typedef struct names {
    char name[MOST_RUNS][32];
    unsigned count;
} names;

static bool note_run(void *context, const char *name)
{
    names *all = context;
    uint64_t id;

    if (run_name_parse(name, &id) && all->count < MOST_RUNS) {
        (void)snprintf(all->name[all->count++], sizeof(all->name[0]), "%s",
                       name);
    }
    return true;
}

static os_file *dir_of(handle *h)
{
    os_file *dir = NULL;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    return dir;
}

/* The runs of the store, by rising ids. */
static names runs_of(handle *h)
{
    os_file *dir = dir_of(h);
    names all = {.count = 0};

    assert_int_equal(h->kernel->ops->list(dir, note_run, &all), 0);
    h->kernel->ops->close(dir);
    qsort(all.name, all.count, sizeof(all.name[0]),
          (int (*)(const void *, const void *))strcmp);
    return all;
}

/* Change a byte; counted from the end if `at` is negative. */
static void flip(handle *h, const char *name, int64_t at)
{
    const os_ops *ops = h->kernel->ops;
    os_file *dir = dir_of(h);
    os_file *file;
    os_stat stat;
    uint64_t offset;
    uint8_t byte;
    size_t got;

    assert_int_equal(ops->open(dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(ops->stat(file, &stat), 0);
    offset = at < 0 ? stat.size - (uint64_t)-at : (uint64_t)at;
    assert_int_equal(ops->read_at(file, &byte, 1, offset, &got), 0);
    assert_int_equal(got, 1);
    byte ^= 0x40;
    assert_int_equal(ops->write_at(file, &(os_span){&byte, 1}, 1, offset), 0);
    ops->close(file);
    ops->close(dir);
}

/* Where the index of a run begins. */
static int64_t index_of(handle *h, const char *name)
{
    os_file *dir = dir_of(h);
    cask_run *run = NULL;
    int64_t at;

    assert_int_equal(run_open(dir, name, NULL, &run, NULL), CASK_OK);
    at = (int64_t)run->at[RUN_INDEX];
    run_close(run);
    h->kernel->ops->close(dir);
    return at;
}

/* ---- A run that cannot be opened ---- */

/* Old run: keys 0 to 299; the run in the middle: 100 to 199; the newest: 150 to
 * 159. The one in the middle is damaged at `at`. */
static void make_three(handle *h, char *ret_middle)
{
    put_range(h, 1, 0, KEYS);
    flush_all(h);
    put_range(h, 2, 100, 200);
    flush_all(h);
    (void)snprintf(ret_middle, 32, "%s", runs_of(h).name[1]);
    put_range(h, 3, 150, 160);
    flush_all(h);
    handle_close(h);
}

static void check_around(handle *h, const char *middle)
{
    check_range(h, 3, 150, 160);
    check_damaged(h, middle, 100, 150);
    check_damaged(h, middle, 160, 200);
}

static bool count_one(void *context, const cask_entry *entry)
{
    (void)entry;
    ++*(unsigned *)context;
    return true;
}

/* Walks go as far as it is known which keys there are. */
static void check_walks(handle *h)
{
    cask_range_options options = {.limit = 0};
    unsigned count = 0;

    assert_int_equal(cask_range(h->db, NULL, count_one, &count, NULL),
                     CASK_CORRUPT);
    options.keys.lower = cask_slice_of("key 00200");
    count = 0;
    assert_int_equal(cask_range(h->db, &options, count_one, &count, NULL),
                     CASK_OK);
    assert_int_equal(count, 100);
    options.keys.lower = cask_slice_of("key 00199");
    assert_int_equal(cask_range(h->db, &options, count_one, &count, NULL),
                     CASK_CORRUPT);
    options.keys.lower = cask_slice_of("key 00010");
    options.keys.upper = cask_slice_of("key 00100");
    count = 0;
    assert_int_equal(cask_range(h->db, &options, count_one, &count, NULL),
                     CASK_OK);
    assert_int_equal(count, 90);
}

static void check_bad_middle(handle *h, const char *middle, bool has_bounds)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_stats stats;

    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    assert_int_equal(stats.quarantined_count, 1);

    check_around(h, middle);
    if (has_bounds) {
        check_range(h, 1, 0, 100);
        check_range(h, 1, 200, KEYS);
        check_walks(h);
    } else {
        check_damaged(h, middle, 0, 100);
    }
    /* Nothing that is older gets above it, and it stays. */
    put_range(h, 4, 190, 200);
    flush_all(h);
    assert_int_equal(cask_merge(h->db, &everything, NULL, &err), CASK_CORRUPT);
    assert_non_null(strstr(err.message, "caskade repair"));
    check_range(h, 3, 150, 160);
    check_range(h, 4, 190, 200);
    check_damaged(h, middle, 100, 150);
    put_text(h, name_of(120), "again");
    check_text(h, name_of(120), "again");
}

static void damage_middle(handle *h, int64_t at, bool is_seen, bool has_bounds)
{
    cask_error err = {CASK_OK, 0, ""};
    char middle[32];

    make_three(h, middle);
    at = at == 0 ? index_of(h, middle) : at;
    flip(h, middle, at);
    if (is_seen) {
        assert_int_equal(
            db_open_on(h->kernel, HANDLE_PATH, &h->options, &h->db, &err),
            CASK_CORRUPT);
        assert_non_null(strstr(err.message, middle));
        assert_non_null(strstr(err.message, "offset"));
        assert_non_null(strstr(err.message, "--damage serve"));
        h->db = NULL;
        h->options.damage = CASK_DAMAGE_SERVE;
    }
    handle_open(h);
    check_bad_middle(h, middle, has_bounds);
    handle_reopen(h);
    check_range(h, 4, 190, 200);
    check_damaged(h, middle, 160, 190);
    handle_close(h);
    /* Restored it is what it was. */
    flip(h, middle, at);
    h->options.damage = CASK_DAMAGE_FAIL;
    handle_open(h);
    check_range(h, 1, 0, 100);
    check_range(h, 2, 100, 120);
    check_text(h, name_of(120), "again");
    check_range(h, 3, 150, 160);
    check_range(h, 4, 190, 200);
    check_range(h, 1, 200, KEYS);
    assert_int_equal(cask_merge(h->db, &everything, NULL, &err), CASK_OK);
    check_range(h, 2, 121, 150);
    check_range(h, 1, 200, KEYS);
}

static void test_damaged_header_of_a_run_hides_only_its_keys(void **state)
{
    damage_middle(*state, 20, true, true);
}

static void test_damaged_footer_of_a_run_hides_what_is_not_newer(void **state)
{
    damage_middle(*state, -100, true, false);
}

/* It is no newer version: its checksum would be right. */
static void test_damaged_version_of_a_run_is_damage(void **state)
{
    damage_middle(*state, -RUN_FOOTER_SIZE + 8, true, false);
}

static void test_damaged_index_of_a_run_hides_only_its_keys(void **state)
{
    damage_middle(*state, 0, false, true);
}

static void test_missing_run_hides_what_is_not_newer(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    char middle[32];
    os_file *dir = dir_of(h);

    make_three(h, middle);
    assert_int_equal(h->kernel->ops->rename(dir, middle, "aside"), 0);
    assert_int_equal(
        db_open_on(h->kernel, HANDLE_PATH, &h->options, &h->db, &err),
        CASK_CORRUPT);
    assert_non_null(strstr(err.message, "missing"));
    h->options.damage = CASK_DAMAGE_SERVE;
    handle_open(h);
    check_bad_middle(h, middle, false);
    handle_close(h);
    assert_int_equal(h->kernel->ops->rename(dir, "aside", middle), 0);
    h->kernel->ops->close(dir);
    h->options.damage = CASK_DAMAGE_FAIL;
    handle_open(h);
    check_range(h, 1, 0, 100);
    check_range(h, 2, 100, 120);
    check_range(h, 4, 190, 200);
}

/* ---- A run that deletes a range ---- */

static void delete_keys(handle *h, unsigned from, unsigned to)
{
    char first[32];
    cask_error err = {CASK_OK, 0, ""};

    (void)snprintf(first, sizeof(first), "%s", name_of(from));
    if (cask_delete_range(h->db, cask_slice_of(first),
                          cask_slice_of(name_of(to)), &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
}

static cask_status count_from(handle *h, unsigned from, unsigned to)
{
    cask_range_options options = {.limit = 0};
    unsigned count = 0;
    char first[32];

    (void)snprintf(first, sizeof(first), "%s", name_of(from));
    options.keys.lower = cask_slice_of(first);
    options.keys.upper = cask_slice_of(name_of(to));
    return cask_range(h->db, &options, count_one, &count, NULL);
}

/* Old run: all keys. The one in the middle has key 100 and deletes 110 to 199,
 * which its largest key is before. The newest: 150 to 159. */
static void make_deleted(handle *h, char *ret_middle)
{
    put_range(h, 1, 0, KEYS);
    flush_all(h);
    put_range(h, 2, 100, 101);
    delete_keys(h, 110, 200);
    flush_all(h);
    (void)snprintf(ret_middle, 32, "%s", runs_of(h).name[1]);
    put_range(h, 3, 150, 160);
    flush_all(h);
    handle_close(h);
}

/* What it deleted does not come back, by whatever reader. */
static void test_damaged_run_hides_what_its_ranges_may_delete(void **state)
{
    handle *h = *state;
    char middle[32];
    int64_t at;

    make_deleted(h, middle);
    at = index_of(h, middle);
    flip(h, middle, at);
    h->options.damage = CASK_DAMAGE_SERVE;
    handle_open(h);
    check_range(h, 1, 0, 100);
    check_damaged(h, middle, 100, 150);
    check_range(h, 3, 150, 160);
    check_damaged(h, middle, 160, 200);
    check_range(h, 1, 200, KEYS);
    assert_int_equal(count_from(h, 0, 100), CASK_OK);
    assert_int_equal(count_from(h, 120, 130), CASK_CORRUPT);
    assert_int_equal(count_from(h, 199, 200), CASK_CORRUPT);
    assert_int_equal(count_from(h, 200, KEYS), CASK_OK);
    handle_close(h);
    flip(h, middle, at);
    handle_open(h);
    for (unsigned i = 110; i < 150; i++) {
        check_text(h, name_of(i), NULL);
    }
    assert_int_equal(count_from(h, 120, 200), CASK_OK);
}

/* ---- A record of a run ---- */

static void note_damage(void *context, const cask_event *event)
{
    *(unsigned *)context += event->kind == CASK_EVENT_DAMAGE ? 1 : 0;
}

static void test_damaged_record_is_never_compacted_away(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    unsigned events = 0;
    cask_stats stats;
    char middle[32];

    h->options.on_event = note_damage;
    h->options.event_context = &events;
    make_three(h, middle);
    flip(h, middle, 64 + 30); /* the key of its first record, 100 */
    handle_open(h);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(cask_merge(h->db, &everything, NULL, &err),
                         CASK_CORRUPT);
        assert_non_null(strstr(err.message, "caskade repair"));
        check_range(h, 1, 0, 100);
        check_damaged(h, middle, 100, 101);
        check_range(h, 2, 101, 150);
        check_range(h, 3, 150, 160);
        check_range(h, 2, 160, 200);
        check_range(h, 1, 200, KEYS);
    }
    assert_int_equal(events, 1);
    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    assert_int_equal(stats.quarantined_count, 1);
    assert_true(stats.quarantined_bytes > 0);
    /* What is newer is compacted on. */
    put_range(h, 5, 0, 10);
    flush_all(h);
    assert_int_equal(runs_of(h).count, 4);
    assert_int_equal(cask_merge(h->db, &everything, NULL, &err), CASK_CORRUPT);
    assert_int_equal(runs_of(h).count, 3);
    check_range(h, 5, 0, 10);
    check_damaged(h, middle, 100, 101);
    handle_close(h);
    flip(h, middle, 64 + 30);
    handle_open(h);
    assert_int_equal(cask_merge(h->db, &everything, NULL, &err), CASK_OK);
    check_range(h, 5, 0, 10);
    check_range(h, 1, 10, 100);
    check_range(h, 2, 100, 150);
    check_range(h, 3, 150, 160);
    check_range(h, 2, 160, 200);
    check_range(h, 1, 200, KEYS);
}

static cask_status seek_to(cask_iterator *it, unsigned i, cask_entry *entry)
{
    return cask_iterator_seek(it, CASK_SEEK_AT_LEAST, cask_slice_of(name_of(i)),
                              entry, NULL);
}

/* Behind the records of a KiB, of which it is one. */
static void test_walk_goes_on_behind_a_damaged_record(void **state)
{
    handle *h = *state;
    cask_iterator *it = NULL;
    cask_entry entry;
    cask_status status;
    unsigned count = 0;
    unsigned behind = 101;
    char middle[32];

    make_three(h, middle);
    flip(h, middle, 64 + 30); /* the key of its first record, 100 */
    handle_open(h);
    assert_int_equal(cask_iterator_create(h->db, NULL, &it, NULL), CASK_OK);
    assert_int_equal(seek_to(it, 100, &entry), CASK_CORRUPT);
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_INVALID);
    while (seek_to(it, behind, &entry) == CASK_CORRUPT) {
        check_text(h, name_of(behind), text_of(2, behind));
        behind++;
    }
    assert_in_range(behind, 101, 100 + RUN_FENCE_RECORDS);
    count = 1;
    while ((status = cask_iterator_next(it, &entry, NULL)) == CASK_OK) {
        count++;
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    assert_int_equal(count, KEYS - behind);
    cask_iterator_free(it);
}

/* ---- A record of the log ---- */

typedef enum record_part {
    PART_HEADER = 0,
    PART_KEY = 24,
    PART_VALUE = 34
} part;

/* Where the newest record with a key and a value begins, and in which file. */
static uint64_t find_record(handle *h, const char *key, const char *text,
                            char ret_file[32])
{
    const os_ops *ops = h->kernel->ops;
    os_file *dir = dir_of(h);
    uint64_t found = 0;
    char wanted[96];

    (void)snprintf(wanted, sizeof(wanted), "%s%s", key, text);
    for (uint64_t id = 1; id < 64; id++) {
        char name[32];
        os_file *file;
        os_stat stat;
        uint8_t *bytes;
        size_t got;

        (void)snprintf(name, sizeof(name), "%016llx.log",
                       (unsigned long long)id);
        if (ops->open(dir, name, OS_READ, 0, &file) != 0) {
            continue;
        }
        assert_int_equal(ops->stat(file, &stat), 0);
        bytes = malloc(stat.size + 1);
        assert_non_null(bytes);
        assert_int_equal(ops->read_at(file, bytes, stat.size, 0, &got), 0);
        for (size_t i = 0; i + strlen(wanted) <= got; i++) {
            if (bytes[i] == wanted[0] &&
                memcmp(bytes + i, wanted, strlen(wanted)) == 0) {
                found = i - RECORD_HEADER_SIZE;
                (void)snprintf(ret_file, 32, "%s", name);
            }
        }
        free(bytes);
        ops->close(file);
    }
    ops->close(dir);
    assert_true(found > 0);
    return found;
}

static void flip_record(handle *h, unsigned round, unsigned i, part what)
{
    char file[32];
    uint64_t at = find_record(h, name_of(i), text_of(round, i), file);

    flip(h, file, (int64_t)at + (int)what);
}

static bool count_log(void *context, const char *name)
{
    uint64_t id;

    *(unsigned *)context += segment_name_parse(name, &id) ? 1 : 0;
    return true;
}

static unsigned count_logs(handle *h)
{
    os_file *dir = dir_of(h);
    unsigned count = 0;

    assert_int_equal(h->kernel->ops->list(dir, count_log, &count), 0);
    h->kernel->ops->close(dir);
    return count;
}

/* Keys 0 to 299 in a run, 100 to 199 newer in the memtable. */
static void make_two(handle *h)
{
    put_range(h, 1, 0, KEYS);
    flush_all(h);
    put_range(h, 2, 100, 200);
}

static void check_lost(handle *h, unsigned lost)
{
    check_range(h, 1, 0, 100);
    check_range(h, 2, 100, lost);
    check_damaged(h, ".log: offset", lost, lost + 1);
    check_range(h, 2, lost + 1, 200);
    check_range(h, 1, 200, KEYS);
}

/* Neither an older value nor none, whatever is done but writing it again. */
static void lose_and_keep_losing(handle *h, part what)
{
    unsigned segments;

    make_two(h);
    flip_record(h, 2, 120, what);
    assert_int_equal(get(h, name_of(120), NULL), CASK_CORRUPT);
    flush_all(h);
    check_lost(h, 120);
    segments = count_logs(h);
    put_range(h, 4, 290, KEYS);
    flush_all(h);
    put_range(h, 1, 290, KEYS);
    assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
    check_lost(h, 120);
    handle_reopen(h);
    check_lost(h, 120);
    assert_true(count_logs(h) >= segments);
    assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
    check_lost(h, 120);
    /* Written again it counts no more, nor if that is deleted. */
    put_text(h, name_of(120), "again");
    check_text(h, name_of(120), "again");
    flush_all(h);
    check_text(h, name_of(120), "again");
    delete_text(h, name_of(120));
    assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
    check_text(h, name_of(120), NULL);
    handle_reopen(h);
    check_text(h, name_of(120), NULL);
}

static void test_lost_value_stays_lost(void **state)
{
    lose_and_keep_losing(*state, PART_VALUE);
}

static void test_lost_key_stays_lost(void **state)
{
    lose_and_keep_losing(*state, PART_KEY);
}

static void test_lost_header_stays_lost(void **state)
{
    lose_and_keep_losing(*state, PART_HEADER);
}

/* What the store does not know its backup does not know either. */
static void test_backup_has_lost_records(void **state)
{
    const cask_backup_options unverified = {.skip_verify = true};
    const char *backup = "/backup";
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    char file[32];
    uint64_t at;

    make_two(h);
    at = find_record(h, name_of(120), text_of(2, 120), file);
    flip(h, file, (int64_t)at + PART_VALUE);
    flush_all(h);
    handle_reopen(h);
    check_lost(h, 120);
    assert_int_equal(cask_backup(h->db, backup, NULL, NULL, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, file));
    if (cask_backup(h->db, backup, &unverified, NULL, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    handle_close(h);
    if (db_open_on(h->kernel, backup, &h->options, &h->db, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    check_lost(h, 120);
    assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
    check_lost(h, 120);
}

/* Any key that is not newer may be in the range. The first is that of the
 * record. */
static void lose_range(handle *h, part what)
{
    char end[32];
    char file[32];
    uint64_t at;

    put_range(h, 1, 0, KEYS);
    flush_all(h);
    delete_keys(h, 110, 200);
    put_range(h, 2, 120, 130);
    (void)snprintf(end, sizeof(end), "%s", name_of(200));
    at = find_record(h, name_of(110), end, file);
    flip(h, file, (int64_t)at + (int)what);
    for (unsigned round = 0; round < 2; round++) {
        put_range(h, 3, 290, KEYS);
        flush_all(h);
        check_damaged(h, ".log: offset", 0, 120);
        check_range(h, 2, 120, 130);
        check_damaged(h, ".log: offset", 130, 290);
        check_range(h, 3, 290, KEYS);
        assert_int_equal(count_from(h, 0, KEYS), CASK_CORRUPT);
        assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
        check_damaged(h, ".log: offset", 0, 120);
        handle_reopen(h);
    }
    check_damaged(h, ".log: offset", 130, 290);
    put_text(h, name_of(5), "again");
    check_text(h, name_of(5), "again");
    handle_close(h);
    flip(h, file, (int64_t)at + (int)what);
    handle_open(h);
    check_range(h, 1, 6, 110);
    for (unsigned i = 110; i < 120; i++) {
        check_text(h, name_of(i), NULL);
    }
    check_range(h, 2, 120, 130);
    check_text(h, name_of(199), NULL);
    check_range(h, 1, 200, 290);
}

static void test_lost_range_does_not_stop_flushes(void **state)
{
    lose_range(*state, PART_VALUE);
}

static void test_lost_header_of_a_range_does_not_stop_flushes(void **state)
{
    lose_range(*state, PART_HEADER);
}

static void test_restored_record_is_read_again(void **state)
{
    handle *h = *state;
    unsigned count = 0;
    char file[32];
    uint64_t at;

    make_two(h);
    at = find_record(h, name_of(150), text_of(2, 150), file);
    flip(h, file, (int64_t)at + PART_VALUE);
    flush_all(h);
    check_lost(h, 150);
    assert_int_equal(cask_range(h->db, NULL, count_one, &count, NULL),
                     CASK_CORRUPT);
    handle_close(h);
    flip(h, file, (int64_t)at + PART_VALUE);
    handle_open(h);
    check_range(h, 1, 0, 100);
    check_range(h, 2, 100, 200);
    check_range(h, 1, 200, KEYS);
}

static void
test_flush_stays_lost_when_killed_before_it_is_published(void **state)
{
    handle *h = *state;
    os_sim *copy;
    const os_sim_options options = {.seed = 2,
                                    .max_file_bytes = (size_t)1 << 30};
    os_sim *first = h->sim;

    make_two(h);
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    flip_record(h, 2, 120, PART_VALUE);
    flush_all(h);
    /* The power fails; what the flush said is durable. */
    assert_int_equal(os_sim_create(&options, &copy), 0);
    os_sim_cut(first);
    assert_int_equal(os_sim_copy(first, copy), 0);
    assert_int_equal(os_sim_crash(copy, 3), 0);
    (void)cask_close(h->db, NULL);
    os_sim_free(first);
    h->sim = copy;
    h->kernel = os_sim_os(copy);
    os_sim_set_wall_ms(copy, HANDLE_NOW_MS);
    handle_open(h);
    check_lost(h, 120);
}

/* ---- Many damaged headers ---- */

static void
test_damaged_memtable_takes_no_more_and_nothing_is_poisoned(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};

    put_range(h, 1, 0, KEYS);
    for (unsigned i = 50; i < 250; i++) {
        flip_record(h, 1, i, PART_HEADER);
    }
    for (unsigned round = 2; round < 5; round++) {
        put_range(h, round, 0, KEYS);
        for (unsigned i = 0; i < KEYS; i++) {
            char key[32];

            (void)snprintf(key, sizeof(key), "key %05u and more", i);
            if (cask_put(h->db, cask_slice_of(key), cask_slice_of("x"), &err) !=
                CASK_OK) {
                fail_msg("%s", err.message);
            }
            check_text(h, key, "x");
        }
    }
    check_range(h, 4, 0, KEYS);
    flush_all(h);
    check_range(h, 4, 0, KEYS);
    handle_reopen(h);
    check_range(h, 4, 0, KEYS);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, tree_handle_setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_damaged_header_of_a_run_hides_only_its_keys),
        TEST(test_damaged_footer_of_a_run_hides_what_is_not_newer),
        TEST(test_damaged_version_of_a_run_is_damage),
        TEST(test_damaged_index_of_a_run_hides_only_its_keys),
        TEST(test_missing_run_hides_what_is_not_newer),
        TEST(test_damaged_run_hides_what_its_ranges_may_delete),
        TEST(test_damaged_record_is_never_compacted_away),
        TEST(test_lost_value_stays_lost),
        TEST(test_lost_key_stays_lost),
        TEST(test_lost_header_stays_lost),
        TEST(test_walk_goes_on_behind_a_damaged_record),
        TEST(test_backup_has_lost_records),
        TEST(test_lost_range_does_not_stop_flushes),
        TEST(test_lost_header_of_a_range_does_not_stop_flushes),
        TEST(test_restored_record_is_read_again),
        TEST(test_flush_stays_lost_when_killed_before_it_is_published),
        TEST(test_damaged_memtable_takes_no_more_and_nothing_is_poisoned),
    };

    return cmocka_run_group_tests_name("tree_damage", tests, NULL, NULL);
}
