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
#include "unit/tree/damaged.h"
#include "unit/tree/tree_handle.h"

static const cask_merge_options everything = {.all = true};

enum { KEYS = 300, MOST_RUNS = 64 };

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

/* The runs of the store, by rising ids. */
static names runs_of(handle *h)
{
    os_file *dir = handle_dir(h);
    names all = {.count = 0};

    assert_int_equal(h->kernel->ops->list(dir, note_run, &all), 0);
    h->kernel->ops->close(dir);
    qsort(all.name, all.count, sizeof(all.name[0]),
          (int (*)(const void *, const void *))strcmp);
    return all;
}

/* Where the index of a run begins. */
static int64_t index_of(handle *h, const char *name)
{
    os_file *dir = handle_dir(h);
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
    os_file *dir = handle_dir(h);

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

/* Runs without keys in common go down as they are; one was damaged since it
 * was opened. */
static void test_a_damaged_run_keeps_no_other_from_moving(void **state)
{
    enum { RUNS = 8 };
    handle *h = *state;
    const cask_merge_options due = {.all = false};
    cask_error err = {CASK_OK, 0, ""};
    cask_merge_report report;
    cask_tree_stats stats;
    names all;
    int64_t at;

    for (unsigned i = 0; i < RUNS; i++) {
        put_range(h, 1, 10 * i, 10 * i + 10);
        flush_all(h);
    }
    all = runs_of(h);
    assert_int_equal(all.count, RUNS);
    at = index_of(h, all.name[3]);
    flip(h, all.name[3], at);
    if (cask_merge(h->db, &due, &report, &err) != CASK_OK) {
        fail_msg("merge: %s", err.message);
    }
    assert_int_equal(report.inputs, RUNS);
    assert_int_equal(report.bytes_written, 0);
    assert_int_equal(cask_tree_stat(h->db, &stats, NULL), CASK_OK);
    assert_int_equal(stats.level[0].runs, 0);
    check_range(h, 1, 0, 30);
    check_range(h, 1, 40, 80);
    flip(h, all.name[3], at);
    handle_reopen(h);
    check_range(h, 1, 0, 80);
}

/* A walk tells once of key 100, and comes to all others. */
typedef struct walking {
    handle *h;
    const char *middle;
    cask_seek how;
    unsigned next; /* key */
    int step;      /* to the one behind it */
} walking;

static unsigned round_of(unsigned i)
{
    return i < 100 || i >= 200 ? 1 : i >= 150 && i < 160 ? 3 : 2;
}

static cask_status move(cask_iterator *it, int step, cask_entry *entry,
                        cask_error *err)
{
    return step > 0 ? cask_iterator_next(it, entry, err)
                    : cask_iterator_previous(it, entry, err);
}

static void check_key(const cask_entry *entry, unsigned i)
{
    assert_memory_equal(entry->key.data, name_of(i), entry->key.size);
    assert_memory_equal(entry->value.data, text_of(round_of(i), i),
                        entry->value.size);
}

/* key: as it reads in the damaged record; NULL: its header is damaged. */
static void check_walk(walking w, const char *key)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_iterator *it = NULL;
    cask_entry entry;
    cask_status status;
    unsigned told = 0;
    unsigned seen = 0;

    assert_int_equal(cask_iterator_create(w.h->db, NULL, &it, NULL), CASK_OK);
    status = cask_iterator_seek(it, w.how, (cask_slice){NULL, 0}, &entry, &err);
    while (status == CASK_OK || status == CASK_CORRUPT) {
        if (status == CASK_CORRUPT) {
            told++;
            assert_non_null(strstr(err.message, w.middle));
            assert_non_null(strstr(err.message, "offset 64"));
            assert_int_equal(key == NULL, entry.key.data == NULL);
            assert_true(key == NULL ||
                        memcmp(entry.key.data, key, strlen(key)) == 0);
        } else {
            w.next += w.next == 100 ? (unsigned)w.step : 0;
            check_key(&entry, w.next);
            w.next += (unsigned)w.step;
            seen++;
        }
        status = move(it, w.step, &entry, &err);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    assert_int_equal(told, 1);
    assert_int_equal(seen, KEYS - 1);
    cask_iterator_free(it);
}

/* The one before a key is looked at, too, going back. */
static void check_turns(handle *h)
{
    cask_iterator *it = NULL;
    cask_entry entry;

    assert_int_equal(cask_iterator_create(h->db, NULL, &it, NULL), CASK_OK);
    assert_int_equal(cask_iterator_seek(it, CASK_SEEK_AT_LEAST,
                                        cask_slice_of(name_of(102)), &entry,
                                        NULL),
                     CASK_OK);
    assert_int_equal(cask_iterator_previous(it, &entry, NULL), CASK_CORRUPT);
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_OK);
    check_key(&entry, 102);
    assert_int_equal(cask_iterator_previous(it, &entry, NULL), CASK_OK);
    check_key(&entry, 101);
    assert_int_equal(cask_iterator_previous(it, &entry, NULL), CASK_OK);
    check_key(&entry, 99);
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_OK);
    check_key(&entry, 101);
    cask_iterator_free(it);

    assert_int_equal(cask_iterator_create(h->db, NULL, &it, NULL), CASK_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cask_iterator_seek(it, CASK_SEEK_AT_LEAST,
                                            cask_slice_of(name_of(100)), &entry,
                                            NULL),
                         CASK_CORRUPT);
    }
    assert_int_equal(cask_iterator_previous(it, &entry, NULL), CASK_OK);
    check_key(&entry, 99);
    cask_iterator_free(it);
}

static void check_all_walks(handle *h, const char *middle, const char *key)
{
    unsigned count = 0;
    cask_error err = {CASK_OK, 0, ""};

    check_walk((walking){h, middle, CASK_SEEK_FIRST, 0, 1}, key);
    check_walk((walking){h, middle, CASK_SEEK_LAST, KEYS - 1, -1}, key);
    check_turns(h);
    assert_int_equal(cask_range(h->db, NULL, count_one, &count, &err),
                     CASK_CORRUPT);
    assert_int_equal(count, KEYS - 1);
    assert_non_null(strstr(err.message, "all else was read"));
    count = 0;
    assert_int_equal(cask_fold(h->db, NULL, count_one, &count, &err),
                     CASK_CORRUPT);
    assert_int_equal(count, KEYS - 1);
    assert_int_equal(count_from(h, 102, KEYS), CASK_OK);
    assert_int_equal(count_from(h, 0, KEYS), CASK_CORRUPT);
}

/* Its value, its key, its header; nobody sees what older runs have of it. */
static void test_walks_go_on_behind_a_damaged_record(void **state)
{
    handle *h = *state;
    const int64_t at[] = {64 + 24 + 9 + 2, 64 + 24 + 8, 64 + 4};
    const char *const reads[] = {"key 00100", "key 0010p", NULL};
    char middle[32];

    make_three(h, middle);
    for (int i = 0; i < 3; i++) {
        flip(h, middle, at[i]);
        handle_open(h);
        check_all_walks(h, middle, reads[i]);
        check_damaged(h, middle, 100, 101);
        handle_close(h);
        flip(h, middle, at[i]);
    }
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
        TEST(test_a_damaged_run_keeps_no_other_from_moving),
        TEST(test_walks_go_on_behind_a_damaged_record),
    };

    return cmocka_run_group_tests_name("tree_damage", tests, NULL, NULL);
}
