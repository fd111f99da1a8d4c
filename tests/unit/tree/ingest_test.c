/*
 * Taking runs into a store that were built for none: what readers, writers and
 * snapshots see of them, where they come in the tree, and what is refused.
 */
#include "cask_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "os/os_sim.h"
#include "tree/tree.h"
#include "unit/tree/offline.h"
#include "unit/tree/tree_handle.h"

enum { MANY = 2000 };

static uint64_t newest(handle *h)
{
    cask_stats stats;

    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    return stats.sequence;
}

static void check_durable(handle *h, uint64_t sequence)
{
    cask_stats stats;

    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    assert_true(stats.sequence == sequence);
    assert_true(stats.durable_sequence == sequence);
}

static void build(handle *h, const char *name, const cask_run_entry *entries,
                  size_t count)
{
    offline_build(h->kernel, name, entries, count);
}

static void build_one(handle *h, const char *name, cask_run_entry entry)
{
    offline_build(h->kernel, name, &entry, 1);
}

/* ---- What is seen ------------------------------------------------------- */

/* In memtables, in runs, after a reopening and after compaction. */
static void check_everywhere(handle *h, void (*check)(handle *h))
{
    check(h);
    flush_all(h);
    check(h);
    handle_reopen(h);
    check(h);
    merge_runs(h, true, NULL);
    check(h);
    handle_reopen(h);
    check(h);
}

static void check_newer(handle *h)
{
    check_text(h, "a", "from the run");
    check_text(h, "b", NULL);
    check_text(h, "c", "put after it");
    check_text(h, "d", "only here");
    check_text(h, "e", "put before");
    check_text(h, "f", "put after it");
    assert_int_equal(count_keys(h), 5);
}

static void
test_it_is_newer_than_what_was_before_and_older_than_the_rest(void **state)
{
    handle *h = *state;
    const cask_run_entry entries[] = {
        offline_put("a", "from the run", 0), offline_delete("b", 0),
        offline_put("c", "from the run", 0), offline_put("d", "only here", 0)};
    cask_ingest_report report;

    put_text(h, "a", "old, in a run");
    put_text(h, "b", "old, in a run");
    flush_all(h);
    put_text(h, "a", "old, in a memtable");
    put_text(h, "c", "old, in a memtable");
    put_text(h, "e", "put before");
    build(h, "x", entries, 4);
    report = offline_take(h->db, "x");
    assert_int_equal(report.runs, 1);
    assert_int_equal(report.records, 4);
    assert_int_equal(report.keys, 4);
    assert_int_equal(report.unmoved, 0);
    assert_true(report.bytes > 0);
    check_text(h, "c", "from the run");
    put_text(h, "c", "put after it");
    put_text(h, "f", "put after it");
    check_everywhere(h, check_newer);
}

/* All records of a run that has but one sequence take one of the store's. */
static void test_sequences_follow_each_other(void **state)
{
    handle *h = *state;
    const cask_run_entry entries[] = {
        offline_put("a", "2", UINT64_C(1) << 55),
        offline_put("a", "1", (UINT64_C(1) << 55) - 2)};
    cask_buffer value = {0};
    cask_ingest_report report;
    cask_info info;
    uint64_t before;

    put_text(h, "z", "1");
    before = newest(h);
    build_one(h, "x", offline_put("k", "v", 0));
    report = offline_take(h->db, "x");
    check_durable(h, before + 1);
    assert_int_equal(report.sequence, before + 1);
    assert_int_equal(newest(h), before + 1);
    assert_int_equal(
        cask_get_with(h->db, cask_slice_of("k"), &value, &info, NULL), CASK_OK);
    assert_int_equal(info.sequence, before + 1);
    cask_buffer_free(&value);
    put_text(h, "y", "1");
    /* Three of large numbers: from the smallest to the largest. */
    before = newest(h);
    build(h, "y", entries, 2);
    report = offline_take(h->db, "y");
    assert_int_equal(report.sequence, before + 3);
    handle_reopen(h);
    assert_true(newest(h) >= before + 3);
    put_text(h, "a", "newer");
    check_text(h, "a", "newer");
    handle_reopen(h);
    check_text(h, "a", "newer");
}

static void test_after_a_reopening_sequences_go_on_behind_it(void **state)
{
    handle *h = *state;
    uint64_t before;

    build_one(h, "x", offline_put("k", "from the run", 0));
    (void)offline_take(h->db, "x");
    before = newest(h);
    handle_reopen(h);
    put_text(h, "k", "put after it");
    assert_true(newest(h) > before);
    check_text(h, "k", "put after it");
    flush_all(h);
    merge_runs(h, true, NULL);
    check_text(h, "k", "put after it");
}

static void check_snapshot(cask_snapshot *snapshot, const char *key,
                           const char *value)
{
    cask_buffer found = {0};
    cask_status status =
        cask_snapshot_get(snapshot, cask_slice_of(key), &found, NULL, NULL);

    assert_int_equal(status, value == NULL ? CASK_NOT_FOUND : CASK_OK);
    if (value != NULL) {
        assert_int_equal(found.size, strlen(value));
        assert_memory_equal(found.data, value, found.size);
    }
    cask_buffer_free(&found);
}

static void test_snapshots_from_before_do_not_see_it(void **state)
{
    handle *h = *state;
    const cask_run_entry entries[] = {offline_put("a", "2", 0),
                                      offline_range("b", "d", 0),
                                      offline_put("e", "2", 0)};
    cask_snapshot *before = NULL;
    cask_snapshot *after = NULL;

    put_text(h, "a", "1");
    put_text(h, "b", "1");
    put_text(h, "c", "1");
    assert_int_equal(cask_snapshot_create(h->db, &before, NULL), CASK_OK);
    build(h, "x", entries, 3);
    (void)offline_take(h->db, "x");
    assert_int_equal(cask_snapshot_create(h->db, &after, NULL), CASK_OK);
    put_text(h, "a", "3");
    for (int i = 0; i < 3; i++) {
        check_snapshot(before, "a", "1");
        check_snapshot(before, "b", "1");
        check_snapshot(before, "c", "1");
        check_snapshot(before, "e", NULL);
        check_snapshot(after, "a", "2");
        check_snapshot(after, "b", NULL);
        check_snapshot(after, "c", NULL);
        check_snapshot(after, "e", "2");
        check_text(h, "a", "3");
        if (i == 0) {
            flush_all(h);
        } else {
            merge_runs(h, true, NULL);
        }
    }
    cask_snapshot_free(before);
    cask_snapshot_free(after);
    merge_runs(h, true, NULL);
    check_text(h, "a", "3");
    check_text(h, "b", NULL);
}

static cask_status first(cask_iterator *it, cask_entry *ret_entry)
{
    return cask_iterator_seek(it, CASK_SEEK_FIRST, (cask_slice){0}, ret_entry,
                              NULL);
}

static void test_iterators_from_before_do_not_see_it(void **state)
{
    handle *h = *state;
    const cask_run_entry entries[] = {offline_put("b", "2", 0),
                                      offline_put("c", "2", 0)};
    cask_iterator *it = NULL;
    cask_entry entry;

    put_text(h, "a", "1");
    put_text(h, "b", "1");
    put_text(h, "d", "1");
    assert_int_equal(cask_iterator_create(h->db, NULL, &it, NULL), CASK_OK);
    assert_int_equal(first(it, &entry), CASK_OK);
    build(h, "x", entries, 2);
    (void)offline_take(h->db, "x");
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_OK);
    assert_memory_equal(entry.key.data, "b", 1);
    assert_memory_equal(entry.value.data, "1", 1);
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_OK);
    assert_memory_equal(entry.key.data, "d", 1);
    assert_int_equal(cask_iterator_refresh(it, NULL), CASK_OK);
    assert_int_equal(first(it, &entry), CASK_OK);
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_OK);
    assert_memory_equal(entry.value.data, "2", 1);
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_OK);
    assert_memory_equal(entry.key.data, "c", 1);
    cask_iterator_free(it);
}

static void check_ranges(handle *h)
{
    check_text(h, "a", "1");
    check_text(h, "b", NULL);
    check_text(h, "c", "newer");
    check_text(h, "d", "after it");
    check_text(h, "e", "1");
    assert_int_equal(count_keys(h), 4);
}

static void test_deleted_ranges_hide_what_was_there(void **state)
{
    handle *h = *state;
    /* c is newer than the range in the file. */
    const cask_run_entry entries[] = {offline_range("b", "e", 5),
                                      offline_put("c", "newer", 6),
                                      offline_put("d", "hidden", 4)};

    put_text(h, "a", "1");
    put_text(h, "b", "1");
    put_text(h, "c", "1");
    flush_all(h);
    put_text(h, "d", "1");
    put_text(h, "e", "1");
    build(h, "x", entries, 3);
    (void)offline_take(h->db, "x");
    check_text(h, "d", NULL);
    put_text(h, "d", "after it");
    check_everywhere(h, check_ranges);
}

static void test_times_of_expiry_stay(void **state)
{
    handle *h = *state;
    cask_run_entry entries[] = {offline_put("gone", "1", 0),
                                offline_put("later", "1", 0)};
    cask_info info;
    cask_buffer value = {0};

    entries[0].info.expires_at_ms = HANDLE_NOW_MS - 1;
    entries[1].info.expires_at_ms = HANDLE_NOW_MS + 5000;
    entries[1].info.time_s = 12345;
    put_text(h, "gone", "was there");
    build(h, "x", entries, 2);
    (void)offline_take(h->db, "x");
    check_text(h, "gone", NULL);
    assert_int_equal(
        cask_get_with(h->db, cask_slice_of("later"), &value, &info, NULL),
        CASK_OK);
    assert_true(info.expires_at_ms == HANDLE_NOW_MS + 5000);
    assert_int_equal(info.time_s, 12345);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 5001);
    check_text(h, "later", NULL);
    merge_runs(h, true, NULL);
    check_text(h, "gone", NULL);
    cask_buffer_free(&value);
}

/* What was seen before it does not count any more. */
static void test_a_condition_is_looked_at_again(void **state)
{
    handle *h = *state;
    const region_tree *tree = &h->db->store->region.header->tree;
    const cask_write_options absent = {.condition = CASK_IF_ABSENT};
    uint64_t tables = atomic_load(&tree->tables);

    /* No memtable changes: all are empty. */
    build_one(h, "x", offline_put("k", "v", 0));
    (void)offline_take(h->db, "x");
    assert_true(atomic_load(&tree->tables) != tables);
    assert_int_equal(atomic_load(&tree->closed), 0);
    assert_int_equal(cask_put_with(h->db, cask_slice_of("k"),
                                   (cask_slice){"1", 1}, &absent, NULL, NULL),
                     CASK_CONDITION);
}

/* ---- Several ------------------------------------------------------------ */

/* Runs of level 0, and how many different ones these are parts of. */
static void count_runs(handle *h, size_t *ret_parts, size_t *ret_runs)
{
    versions *all = tree_state_of(h->db->store)->versions;
    const version *pinned;

    assert_int_equal(version_pin(all, &pinned, NULL), CASK_OK);
    *ret_parts = pinned->count;
    *ret_runs = pinned->group_count;
    version_unpin(all, pinned);
}

static void test_of_files_that_overlap_the_later_one_is_newer(void **state)
{
    handle *h = *state;
    const cask_run_entry first[] = {offline_put("a", "first", 9),
                                    offline_put("c", "first", 9)};
    const cask_run_entry second[] = {offline_put("b", "second", 0),
                                     offline_delete("c", 0),
                                     offline_put("d", "second", 0)};
    const char *const names[] = {"x", "y"};
    const char *const back[] = {"y", "x"};
    cask_ingest_report report;
    size_t parts;
    size_t runs;

    build(h, "x", first, 2);
    build(h, "y", second, 3);
    assert_int_equal(offline_ingest(h->db, names, 2, &report, NULL), CASK_OK);
    assert_int_equal(report.runs, 2);
    count_runs(h, &parts, &runs);
    assert_int_equal(parts, 2);
    assert_int_equal(runs, 2);
    check_text(h, "a", "first");
    check_text(h, "b", "second");
    check_text(h, "c", NULL);
    assert_int_equal(offline_ingest(h->db, back, 2, &report, NULL), CASK_OK);
    check_text(h, "c", "first");
    handle_reopen(h);
    check_text(h, "c", "first");
    check_text(h, "d", "second");
    merge_runs(h, true, NULL);
    check_text(h, "c", "first");
    assert_int_equal(count_keys(h), 4);
}

/* So that a look-up goes to one of them only. In any order. */
static void test_files_that_do_not_overlap_are_parts_of_one_run(void **state)
{
    handle *h = *state;
    const char *const names[] = {"z", "empty", "x", "y"};
    const cask_run_entry last[] = {offline_range("q", "r", 0),
                                   offline_put("s", "z", 0)};
    cask_ingest_report report;
    size_t parts;
    size_t runs;

    put_text(h, "a", "1");
    flush_all(h);
    build_one(h, "x", offline_put("a", "x", 0));
    build_one(h, "y", offline_range("b", "c", 0));
    build(h, "z", last, 2);
    build(h, "empty", NULL, 0);
    assert_int_equal(offline_ingest(h->db, names, 4, &report, NULL), CASK_OK);
    assert_int_equal(report.runs, 3);
    count_runs(h, &parts, &runs);
    assert_int_equal(parts, 4);
    assert_int_equal(runs, 2);
    check_text(h, "a", "x");
    check_text(h, "s", "z");
    put_text(h, "a", "2");
    merge_runs(h, true, NULL);
    check_text(h, "a", "2");
    check_text(h, "s", "z");
}

static void test_no_file_or_an_empty_one_changes_nothing(void **state)
{
    handle *h = *state;
    uint64_t before;
    cask_ingest_report report;

    put_text(h, "a", "1");
    build(h, "empty", NULL, 0);
    before = newest(h);
    report = offline_take(h->db, "empty");
    assert_int_equal(report.runs, 0);
    assert_int_equal(report.sequence, 0);
    assert_int_equal(cask_ingest(h->db, NULL, 0, NULL, &report, NULL), CASK_OK);
    assert_int_equal(newest(h), before);
    put_text(h, "a", "2");
    check_text(h, "a", "2");
}

static void test_many_runs_and_writes_between(void **state)
{
    handle *h = *state;
    char keys[MANY][16];
    cask_run_entry *entries = calloc(MANY, sizeof(*entries));

    assert_non_null(entries);
    for (unsigned round = 0; round < 6; round++) {
        char value[16];
        unsigned count = 0;

        (void)snprintf(value, sizeof(value), "run %u", round);
        for (unsigned i = round; i < MANY; i += round + 1) {
            (void)snprintf(keys[i], sizeof(keys[i]), "key %05u", i);
            entries[count++] = offline_put(keys[i], value, 0);
        }
        build(h, "x", entries, count);
        (void)offline_take(h->db, "x");
        for (unsigned i = 0; i < MANY; i += 7) {
            (void)snprintf(keys[i], sizeof(keys[i]), "key %05u", i);
            put_text(h, keys[i], value);
        }
        if (round == 3) {
            merge_runs(h, true, NULL);
        }
    }
    for (unsigned i = 0; i < MANY; i++) {
        char key[16];
        char value[16];
        unsigned round = 5;

        while (i % 7 != 0 && (i < round || (i - round) % (round + 1) != 0)) {
            round--;
        }
        (void)snprintf(key, sizeof(key), "key %05u", i);
        (void)snprintf(value, sizeof(value), "run %u", round);
        check_text(h, key, value);
    }
    free(entries);
}

/* ---- Files -------------------------------------------------------------- */

typedef struct listing {
    size_t runs; /* and what runs are before they have their names */
    char last[64];
} listing;

static bool count_name(void *context, const char *name)
{
    listing *l = context;

    if (strstr(name, ".run") != NULL) {
        l->runs++;
        (void)snprintf(l->last, sizeof(l->last), "%s", name);
    }
    return true;
}

static listing list(handle *h, const char *path)
{
    listing l = {.runs = 0};
    os_file *dir = NULL;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, path, &dir), 0);
    assert_int_equal(h->kernel->ops->list(dir, count_name, &l), 0);
    h->kernel->ops->close(dir);
    return l;
}

static size_t files_of(handle *h, const char *path)
{
    return list(h, path).runs;
}

static void test_files_stay_or_go_if_they_are_to_be_moved(void **state)
{
    handle *h = *state;
    const char *const paths[] = {OFFLINE_DIR "/x.run", OFFLINE_DIR "/y.run"};
    const cask_ingest_options move = {.move = true};
    cask_ingest_report report;

    build_one(h, "x.run", offline_put("a", "x", 0));
    build_one(h, "y.run", offline_put("b", "y", 0));
    assert_int_equal(cask_ingest(h->db, paths, 2, NULL, &report, NULL),
                     CASK_OK);
    assert_int_equal(files_of(h, OFFLINE_DIR), 2);
    assert_int_equal(cask_ingest(h->db, paths, 2, &move, &report, NULL),
                     CASK_OK);
    assert_int_equal(report.unmoved, 0);
    assert_int_equal(files_of(h, OFFLINE_DIR), 0);
    check_text(h, "a", "x");
    handle_reopen(h);
    check_text(h, "b", "y");
}

/* Whoever writes the file afterwards writes another one than the store's. */
static void test_the_store_has_a_file_of_its_own(void **state)
{
    handle *h = *state;
    os_file *dir = NULL;
    os_file *file = NULL;
    const os_span span = {"garbage!", 8};

    build_one(h, "x", offline_put("a", "x", 0));
    (void)offline_take(h->db, "x");
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, OFFLINE_DIR, &dir), 0);
    assert_int_equal(
        h->kernel->ops->open(dir, "x", OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(h->kernel->ops->write_at(file, &span, 1, 72), 0);
    h->kernel->ops->close(file);
    h->kernel->ops->close(dir);
    check_text(h, "a", "x");
    handle_reopen(h);
    check_text(h, "a", "x");
}

/* ---- Refused ------------------------------------------------------------ */

/* Nothing changes, nothing is left, and the message says what is wrong. */
static void refuse(handle *h, const char *const *names, size_t count,
                   cask_status expected, const char *part)
{
    size_t before = files_of(h, HANDLE_PATH);
    uint64_t sequence = newest(h);
    cask_error err = {CASK_OK, 0, ""};
    cask_status status = offline_ingest(h->db, names, count, NULL, &err);

    if (status != expected || strstr(err.message, part) == NULL) {
        fail_msg("%s: %s, expected %s with '%s'", cask_status_name(status),
                 err.message, cask_status_name(expected), part);
    }
    assert_int_equal(files_of(h, HANDLE_PATH), before);
    assert_int_equal(newest(h), sequence);
    assert_int_equal(atomic_load(&h->db->store->region.header->tree.closed), 0);
}

static void refuse_one(handle *h, const char *name, cask_status expected,
                       const char *part)
{
    refuse(h, &name, 1, expected, part);
}

/* Change bytes of the run `name`; size 0: cut it at `offset`. */
static void damage(handle *h, const char *name, uint64_t offset,
                   const void *bytes, size_t size)
{
    const os_span span = {bytes, size};
    os_file *dir = NULL;
    os_file *file = NULL;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, OFFLINE_DIR, &dir), 0);
    assert_int_equal(
        h->kernel->ops->open(dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(size == 0
                         ? h->kernel->ops->truncate(file, offset)
                         : h->kernel->ops->write_at(file, &span, 1, offset),
                     0);
    h->kernel->ops->close(file);
    h->kernel->ops->close(dir);
}

static uint8_t byte_at(handle *h, const char *name, uint64_t offset)
{
    os_file *dir = NULL;
    os_file *file = NULL;
    uint8_t byte = 0;
    size_t got = 0;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, OFFLINE_DIR, &dir), 0);
    assert_int_equal(h->kernel->ops->open(dir, name, OS_READ, 0, &file), 0);
    assert_int_equal(h->kernel->ops->read_at(file, &byte, 1, offset, &got), 0);
    h->kernel->ops->close(file);
    h->kernel->ops->close(dir);
    return byte;
}

/* A good one before it in the list does not come either. */
static void test_every_damaged_byte_is_refused(void **state)
{
    handle *h = *state;
    const char *const names[] = {"good", "bad"};
    const cask_run_entry entries[] = {
        offline_put("a", "x", 7), offline_put("a", "y", 5),
        offline_delete("b", 6), offline_range("c", "d", 8)};
    uint64_t size;

    build_one(h, "good", offline_put("a", "good", 0));
    build(h, "bad", entries, 4);
    size = offline_take(h->db, "bad").bytes;
    /* A bit each; what fills up between the records is not covered. */
    for (uint64_t offset = 0; offset < size; offset += offset < 512 ? 3 : 7) {
        uint8_t good = byte_at(h, "bad", offset);
        uint8_t bad = good ^ 0x04;
        cask_status status;
        cask_error err = {CASK_OK, 0, ""};

        damage(h, "bad", offset, &bad, 1);
        status = offline_ingest(h->db, names, 2, NULL, &err);
        if (status == CASK_OK) {
            assert_true(offset >= 64 && offset < 256); /* between records */
        } else {
            assert_true(status == CASK_CORRUPT || status == CASK_UNSUPPORTED ||
                        status == CASK_INVALID);
            assert_non_null(strstr(err.message, OFFLINE_DIR "/bad"));
        }
        damage(h, "bad", offset, &good, 1);
    }
    for (uint64_t cut = 1; cut < size; cut += 37) {
        build(h, "bad", entries, 4);
        damage(h, "bad", cut, NULL, 0);
        refuse(h, names, 2, CASK_CORRUPT, OFFLINE_DIR "/bad: offset");
    }
}

static void test_what_is_no_run_for_a_store_is_refused(void **state)
{
    handle *h = *state;
    const char *const names[] = {"good", "missing"};
    const cask_run_entry pointer = {
        .kind = CASK_RUN_POINTER,
        .key = {"p", 1},
        .info = {.sequence = 1},
        .pointer = {.segment_id = 1, .offset = 64, .size_bytes = 40}};
    cask_error err = {CASK_OK, 0, ""};
    char path[128];
    const char *own = path;

    build_one(h, "good", offline_put("a", "good", 0));
    refuse(h, names, 2, CASK_NOT_FOUND, OFFLINE_DIR "/missing: there is no");
    build_one(h, "pointer", pointer);
    refuse_one(h, "pointer", CASK_INVALID, "in runs of values");
    refuse_one(h, "..", CASK_INVALID, "give the path of a file");
    build(h, "far",
          (cask_run_entry[]){offline_put("a", "2", UINT64_C(1) << 50),
                             offline_put("a", "1", 1)},
          2);
    refuse_one(h, "far", CASK_INVALID, "at most 2^48");
    put_text(h, "a", "1");
    flush_all(h);
    (void)snprintf(path, sizeof(path), HANDLE_PATH "/%s",
                   list(h, HANDLE_PATH).last);
    assert_int_equal(cask_ingest(h->db, &own, 1, NULL, NULL, &err),
                     CASK_INVALID);
    assert_non_null(strstr(err.message, "a store made it for itself"));
    check_text(h, "a", "1");
}

static void test_stores_that_take_none_say_so(void **state)
{
    handle *h = *state;
    const char *const path = OFFLINE_DIR "/x";
    cask_error err = {CASK_OK, 0, ""};
    cask_options options = h->options;

    build_one(h, "x", offline_put("a", "1", 0));
    assert_int_equal(cask_ingest(h->db, NULL, 1, NULL, NULL, NULL),
                     CASK_INVALID);
    handle_close(h);
    h->options.read_only = true;
    handle_open(h);
    assert_int_equal(cask_ingest(h->db, &path, 1, NULL, NULL, NULL),
                     CASK_READ_ONLY);
    handle_close(h);
    clear_directory(h->kernel, HANDLE_PATH);
    h->options = options;
    h->options.engine = CASK_ENGINE_HASH;
    handle_open(h);
    assert_int_equal(cask_ingest(h->db, &path, 1, NULL, NULL, &err),
                     CASK_UNSUPPORTED);
    assert_non_null(strstr(err.message, "engine tree"));
}

static void test_it_can_be_stopped_at_each_step(void **state)
{
    handle *h = *state;
    const char *const path = OFFLINE_DIR "/x";

    put_text(h, "a", "1");
    build_one(h, "x", offline_put("a", "2", 0));
    for (uint64_t steps = 0;; steps++) {
        uint64_t left = steps;
        const cask_ingest_options options = {.on_progress = stop_at,
                                             .context = &left};
        cask_error err = {CASK_OK, 0, ""};
        cask_status status = cask_ingest(h->db, &path, 1, &options, NULL, &err);

        if (status == CASK_OK) {
            assert_true(steps >= 2);
            break;
        }
        assert_int_equal(status, CASK_TIMEOUT);
        assert_non_null(strstr(err.message, "nothing was changed"));
        check_text(h, "a", "1");
        assert_int_equal(files_of(h, HANDLE_PATH), 0);
    }
    check_text(h, "a", "2");
}

static void test_a_full_disk_changes_nothing(void **state)
{
    handle *h = *state;
    uint8_t *value = make_bytes(300 << 10, 1);
    cask_run_entry entry = offline_put("a", "", 0);
    uint64_t bytes;

    put_text(h, "a", "1");
    flush_all(h);
    entry.value = (cask_slice){value, 300 << 10};
    build_one(h, "x", entry);
    bytes = limit_disk(h, 200 << 10);
    refuse_one(h, "x", CASK_NO_SPACE, "");
    check_text(h, "a", "1");
    (void)limit_disk(h, bytes);
    (void)offline_take(h->db, "x");
    check_bytes(h, "a", value, 300 << 10);
    free(value);
}

#define INGEST_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, tree_handle_setup, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        INGEST_TEST(
            test_it_is_newer_than_what_was_before_and_older_than_the_rest),
        INGEST_TEST(test_sequences_follow_each_other),
        INGEST_TEST(test_after_a_reopening_sequences_go_on_behind_it),
        INGEST_TEST(test_snapshots_from_before_do_not_see_it),
        INGEST_TEST(test_iterators_from_before_do_not_see_it),
        INGEST_TEST(test_deleted_ranges_hide_what_was_there),
        INGEST_TEST(test_times_of_expiry_stay),
        INGEST_TEST(test_a_condition_is_looked_at_again),
        INGEST_TEST(test_of_files_that_overlap_the_later_one_is_newer),
        INGEST_TEST(test_files_that_do_not_overlap_are_parts_of_one_run),
        INGEST_TEST(test_no_file_or_an_empty_one_changes_nothing),
        INGEST_TEST(test_many_runs_and_writes_between),
        INGEST_TEST(test_files_stay_or_go_if_they_are_to_be_moved),
        INGEST_TEST(test_the_store_has_a_file_of_its_own),
        INGEST_TEST(test_every_damaged_byte_is_refused),
        INGEST_TEST(test_what_is_no_run_for_a_store_is_refused),
        INGEST_TEST(test_stores_that_take_none_say_so),
        INGEST_TEST(test_it_can_be_stopped_at_each_step),
        INGEST_TEST(test_a_full_disk_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
