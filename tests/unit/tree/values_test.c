/*
 * Values that are written apart from the runs, through the public API: they
 * read as all others do, compactions leave them where they are, what is dead of
 * them goes, and repair finds them in whichever file they are.
 */
#include "cask_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "store/store_merge.h"
#include "support/require.h"
#include "tree/compact_facts.h"
#include "tree/tree.h"
#include "tree/tree_compact.h"
#include "unit/tree/tree_handle.h"

enum { KEYS = 400, LEAST = 64, MOST = 400 };

static void set_least(handle *h, const char *bytes)
{
    const cask_config_change change = {"value_separation_bytes", bytes};
    cask_error err = {CASK_OK, 0, ""};

    require_ok(cask_config_set(h->db, &change, 1, &err), &err);
}

static int setup(void **state)
{
    (void)tree_handle_setup(state);
    set_least(*state, "64");
    return 0;
}

/* Every fourth is too short to be apart. */
static size_t size_of(unsigned i)
{
    return i % 4 == 0 ? 10 : LEAST + i % (MOST - LEAST);
}

static const char *value_of(unsigned round, unsigned i)
{
    static char value[MOST + 1];

    memset(value, 'a' + (int)(i % 26), size_of(i));
    value[size_of(i)] = '\0';
    value[0] = (char)('0' + round % 10);
    return value;
}

static void put_some(handle *h, unsigned round, unsigned step)
{
    for (unsigned i = 0; i < KEYS; i += step) {
        put_text(h, name_of(i), value_of(round, i));
    }
}

static cask_tree_stats stats_of(handle *h)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_tree_stats stats;

    require_ok(cask_tree_stat(h->db, &stats, &err), &err);
    return stats;
}

static uint64_t run_bytes(const cask_tree_stats *stats)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < CASK_TREE_LEVELS; i++) {
        bytes += stats->level[i].bytes;
    }
    return bytes;
}

static void check_all(handle *h, unsigned round)
{
    for (unsigned i = 0; i < KEYS; i++) {
        check_text(h, name_of(i), value_of(round, i));
    }
}

/* ---- Reading ------------------------------------------------------------ */

static void check_view(handle *h, unsigned i)
{
    cask_view view;

    assert_int_equal(
        cask_view_acquire(h->db, cask_slice_of(name_of(i)), &view, NULL),
        CASK_OK);
    assert_int_equal(view.value.size, size_of(i));
    assert_memory_equal(view.value.data, value_of(0, i), size_of(i));
    assert_int_equal(view.info.value_bytes, size_of(i));
    cask_view_release(h->db, &view);
}

static bool check_entry(void *context, const cask_entry *entry)
{
    unsigned *i = context;

    assert_memory_equal(entry->key.data, name_of(*i), entry->key.size);
    assert_int_equal(entry->value.size, size_of(*i));
    assert_memory_equal(entry->value.data, value_of(0, *i), size_of(*i));
    assert_int_equal(entry->info.value_bytes, size_of(*i));
    ++*i;
    return true;
}

static void test_they_read_as_all_others_do(void **state)
{
    handle *h = *state;
    cask_tree_stats stats;
    unsigned seen = 0;

    put_some(h, 0, 1);
    flush_all(h);
    stats = stats_of(h);
    assert_true(stats.values_files > 0);
    assert_true(run_bytes(&stats) < stats.values_bytes / 2);
    for (int i = 0; i < 2; i++) {
        check_all(h, 0);
        check_view(h, 5);
        seen = 0;
        assert_int_equal(cask_range(h->db, NULL, check_entry, &seen, NULL),
                         CASK_OK);
        assert_int_equal(seen, KEYS);
        handle_reopen(h);
    }
}

static bool count_key(void *context, const cask_entry *entry)
{
    assert_int_equal(entry->value.size, 0);
    ++*(unsigned *)context;
    return true;
}

/* ---- Damage ------------------------------------------------------------- */

/* The file of the first run of values. */
static void values_name(handle *h, char ret_name[SEGMENT_NAME_SIZE])
{
    versions *all = tree_state_of(h->db->store)->versions;
    const version *pinned;

    assert_int_equal(version_pin(all, &pinned, NULL), CASK_OK);
    assert_true(pinned->values_count > 0);
    run_name_format(pinned->values[0].id, ret_name);
    version_unpin(all, pinned);
}

/* Change a byte. */
static void flip(handle *h, const char *name, uint64_t at)
{
    const os_ops *ops = h->kernel->ops;
    os_file *file;
    uint8_t byte;
    size_t got;

    assert_int_equal(
        ops->open(h->db->store->dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(ops->read_at(file, &byte, 1, at, &got), 0);
    byte ^= 0x40;
    assert_int_equal(ops->write_at(file, &(os_span){&byte, 1}, 1, at), 0);
    ops->close(file);
}

static void check_damaged(handle *h, unsigned i, const char *name)
{
    cask_buffer value = {0};
    cask_error err = {CASK_OK, 0, ""};

    assert_int_equal(cask_get(h->db, cask_slice_of(name_of(i)), &value, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, name));
    assert_non_null(strstr(err.message, "offset 64"));
    cask_buffer_free(&value);
}

/* Key 1, which is damaged, is told, and all others come. */
static void check_walk_over(handle *h, const char *name)
{
    cask_iterator *it = NULL;
    cask_error err = {CASK_OK, 0, ""};
    cask_entry entry;
    cask_status status;
    unsigned i = 0;

    assert_int_equal(cask_iterator_create(h->db, NULL, &it, NULL), CASK_OK);
    status =
        cask_iterator_seek(it, CASK_SEEK_FIRST, (cask_slice){0}, &entry, &err);
    while (status == CASK_OK || status == CASK_CORRUPT) {
        assert_int_equal(status, i == 1 ? CASK_CORRUPT : CASK_OK);
        if (status == CASK_CORRUPT) {
            assert_non_null(strstr(err.message, name));
            assert_memory_equal(entry.key.data, name_of(i), entry.key.size);
            assert_null(entry.value.data);
            i++;
        } else {
            (void)check_entry(&i, &entry);
        }
        status = cask_iterator_next(it, &entry, &err);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    assert_int_equal(i, KEYS);
    cask_iterator_free(it);
}

/* Key 1 is the first that is apart. Who wants keys alone does not meet it. */
static void test_a_damaged_value_hides_itself_alone(void **state)
{
    handle *h = *state;
    const cask_range_options keys = {.keys = {.keys_only = true}};
    char name[SEGMENT_NAME_SIZE];
    unsigned seen = 0;

    put_some(h, 0, 1);
    flush_all(h);
    values_name(h, name);
    flip(h, name, 64 + 24 + 20);
    check_damaged(h, 1, name);
    check_walk_over(h, name);
    assert_int_equal(cask_range(h->db, &keys, count_key, &seen, NULL), CASK_OK);
    assert_int_equal(seen, KEYS);
    for (unsigned i = 2; i < KEYS; i++) {
        check_text(h, name_of(i), value_of(0, i));
    }
    put_text(h, name_of(1), value_of(1, 1));
    check_text(h, name_of(1), value_of(1, 1));
}

/* Nearly all of the file is dead, and its last live value cannot be read. */
static void test_what_cannot_be_read_is_not_collected(void **state)
{
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];

    put_some(h, 0, 1);
    flush_all(h);
    values_name(h, name);
    flip(h, name, 64 + 24 + 20);
    for (unsigned i = 2; i < KEYS; i++) {
        put_text(h, name_of(i), value_of(1, i));
    }
    for (int i = 0; i < 3; i++) {
        merge_runs(h, true, NULL);
        check_damaged(h, 1, name);
        for (unsigned k = 2; k < KEYS; k++) {
            check_text(h, name_of(k), value_of(1, k));
        }
    }
    flip(h, name, 64 + 24 + 20); /* restored */
    handle_reopen(h);
    check_text(h, name_of(1), value_of(0, 1));
    merge_runs(h, true, NULL);
    check_text(h, name_of(1), value_of(0, 1));
}

/* Where the oldest run says which runs of values it names. */
static uint64_t find_naming(handle *h, char ret_name[SEGMENT_NAME_SIZE])
{
    versions *all = tree_state_of(h->db->store)->versions;
    const version *pinned;
    const cask_run *run;
    uint64_t at;

    assert_int_equal(version_pin(all, &pinned, NULL), CASK_OK);
    assert_true(pinned->count > 0);
    run = pinned->runs[pinned->count - 1].file;
    assert_int_equal(run->footer.segments, 1);
    run_name_format(pinned->runs[pinned->count - 1].id, ret_name);
    at = run->at[RUN_SEGMENTS];
    version_unpin(all, pinned);
    return at;
}

/* The file of values is whole; the run that names it is damaged while it is
 * open, in memory and on disk. */
static void test_what_a_damaged_run_named_stays(void **state)
{
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];
    uint64_t files;
    uint64_t at;

    put_some(h, 0, 1);
    flush_all(h);
    files = stats_of(h).values_files;
    at = find_naming(h, name);
    flip(h, name, at);
    for (unsigned i = 0; i < 3; i++) {
        put_text(h, name_of(KEYS + i), value_of(0, 1));
        flush_all(h);
    }
    assert_int_equal(stats_of(h).values_files, files + 3);
    check_all(h, 0);
    merge_runs(h, true, NULL);
    check_all(h, 0);
    handle_reopen(h);
    check_all(h, 0);
}

/* A run of values leaves MANIFEST though it is named. */
static void lose_values(handle *h)
{
    versions *all = tree_state_of(h->db->store)->versions;
    const version *pinned;
    version_edit edit = {.drop_count = 1};
    cask_error err = {CASK_OK, 0, ""};
    uint64_t id;

    assert_int_equal(version_pin(all, &pinned, NULL), CASK_OK);
    assert_true(pinned->values_count > 0);
    id = pinned->values[0].id;
    version_unpin(all, pinned);
    edit.drops = &id;
    require_ok(tree_turn_lock(h->db->store, 0, &err), &err);
    require_ok(version_settle(h->db->store, &err), &err);
    require_ok(version_apply(all, &edit, NULL, &err), &err);
    store_merge_unlock(h->db->store);
}

/* What is lost is told by who reads it; all else is merged as ever. */
static void test_what_was_lost_does_not_end_compactions(void **state)
{
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];
    cask_error err = {CASK_OK, 0, ""};
    cask_buffer value = {0};

    put_text(h, name_of(1), value_of(0, 1));
    flush_all(h);
    values_name(h, name);
    lose_values(h);
    for (unsigned round = 0; round < 2; round++) {
        put_text(h, name_of(2), value_of(round, 2));
        merge_runs(h, true, NULL);
        check_text(h, name_of(2), value_of(round, 2));
        assert_int_equal(
            cask_get(h->db, cask_slice_of(name_of(1)), &value, &err),
            CASK_CORRUPT);
        assert_non_null(strstr(err.message, name));
    }
    cask_buffer_free(&value);
}

/* ---- Collecting --------------------------------------------------------- */

static void test_compactions_leave_them_where_they_are(void **state)
{
    handle *h = *state;
    cask_merge_report report;
    cask_tree_stats before;

    put_some(h, 0, 1);
    flush_all(h);
    for (unsigned i = 0; i < KEYS; i += 8) {
        put_text(h, name_of(i), "new"); /* short ones */
    }
    flush_all(h);
    before = stats_of(h);
    assert_true(before.values_bytes > 2 * run_bytes(&before));
    merge_runs(h, true, &report);
    assert_true(report.inputs >= 2);
    assert_true(report.bytes_written < before.values_bytes / 2);
    assert_int_equal(stats_of(h).values_bytes, before.values_bytes);
}

static void test_what_is_dead_of_them_goes(void **state)
{
    handle *h = *state;
    cask_tree_stats stats;
    uint64_t live = 0;

    for (unsigned round = 0; round < 8; round++) {
        put_some(h, round, 1);
        flush_all(h);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        live += size_of(i) >= LEAST ? size_of(i) : 0;
    }
    merge_runs(h, true, NULL);
    merge_runs(h, true, NULL);
    stats = stats_of(h);
    assert_true(stats.values_bytes < 2 * live);
    assert_true(stats.values_named_bytes <= stats.values_bytes);
    check_all(h, 7);

    /* Each fourth stays. */
    for (unsigned i = 0; i < KEYS; i++) {
        if (i % 16 != 1) {
            delete_text(h, name_of(i));
        }
    }
    for (int i = 0; i < 3; i++) {
        merge_runs(h, true, NULL);
    }
    stats = stats_of(h);
    assert_true(stats.values_bytes < live / 2);
    for (unsigned i = 0; i < KEYS; i++) {
        check_text(h, name_of(i), i % 16 == 1 ? value_of(7, i) : NULL);
        if (i % 16 == 1) {
            delete_text(h, name_of(i));
        }
    }
    merge_runs(h, true, NULL);
    assert_int_equal(stats_of(h).values_files, 0);
    assert_int_equal(find_runs(h).count, 0);
}

/* They are moved by runs that are not read otherwise: the oldest. */
static void test_what_is_dead_goes_without_being_asked(void **state)
{
    handle *h = *state;
    cask_merge_options due = {.all = false};
    uint64_t most = 0;

    put_some(h, 0, 1);
    flush_all(h);
    merge_runs(h, true, NULL);
    for (unsigned round = 1; round < 40; round++) {
        for (unsigned i = 0; i < KEYS; i++) {
            if (i % 32 != 1) {
                put_text(h, name_of(i), value_of(round, i));
            }
        }
        assert_int_equal(cask_merge(h->db, &due, NULL, NULL), CASK_OK);
        most =
            stats_of(h).values_bytes > most ? stats_of(h).values_bytes : most;
    }
    assert_true(most < 40 * (uint64_t)KEYS * MOST / 4);
    for (unsigned i = 0; i < KEYS; i++) {
        check_text(h, name_of(i), value_of(i % 32 == 1 ? 0 : 39, i));
    }
}

/* Small flushes do not leave ever more files. */
static void test_small_files_are_put_together(void **state)
{
    handle *h = *state;

    for (unsigned i = 0; i < 64; i++) {
        put_text(h, name_of(2 * i + 1), value_of(0, 2 * i + 1));
        flush_all(h);
    }
    assert_int_equal(stats_of(h).values_files, 64);
    merge_runs(h, true, NULL);
    assert_true(stats_of(h).values_files < 4);
    for (unsigned i = 0; i < 64; i++) {
        check_text(h, name_of(2 * i + 1), value_of(0, 2 * i + 1));
    }
}

/* What is small and alone stays, however often all is merged. */
static void test_a_small_file_alone_stays(void **state)
{
    handle *h = *state;
    char before[SEGMENT_NAME_SIZE];
    char after[SEGMENT_NAME_SIZE];

    for (unsigned i = 0; i < 2; i++) {
        put_text(h, name_of(i), value_of(0, 1));
        flush_all(h);
    }
    merge_runs(h, true, NULL);
    assert_int_equal(stats_of(h).values_files, 1);
    values_name(h, before);
    merge_runs(h, true, NULL);
    assert_int_equal(stats_of(h).values_files, 1);
    values_name(h, after);
    assert_string_equal(after, before);
    check_text(h, name_of(0), value_of(0, 1));
    check_text(h, name_of(1), value_of(0, 1));
}

/* What a range hides of them counts as what it hides of runs. */
static void test_what_a_range_hides_of_them_is_known(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    versions *all = tree_state_of(h->db->store)->versions;
    const version *pinned;
    compact_facts facts;
    uint64_t bytes;

    put_some(h, 0, 1);
    flush_all(h);
    bytes = stats_of(h).values_bytes;
    require_ok(cask_delete_range(h->db, cask_slice_of(name_of(KEYS / 4)),
                                 (cask_slice){NULL, 0}, &err),
               &err);
    flush_all(h);
    assert_int_equal(version_pin(all, &pinned, NULL), CASK_OK);
    assert_int_equal(compact_facts_make(pinned, &facts, NULL), CASK_OK);
    assert_true(facts.count > 1);
    assert_in_range(facts.parts[0].hidden_bytes, bytes / 2, 2 * bytes);
    compact_facts_free(&facts);
    version_unpin(all, pinned);
}

/* ---- Settings ----------------------------------------------------------- */

/* A small file alone goes, too, if nobody would write it today. */
static void test_a_small_file_goes_when_its_values_are_not_apart(void **state)
{
    handle *h = *state;

    put_text(h, name_of(1), value_of(0, 1));
    put_text(h, name_of(2), value_of(0, 2));
    merge_runs(h, true, NULL);
    assert_int_equal(stats_of(h).values_files, 1);
    set_least(h, "1KiB");
    merge_runs(h, true, NULL);
    assert_int_equal(stats_of(h).values_files, 0);
    check_text(h, name_of(1), value_of(0, 1));
    check_text(h, name_of(2), value_of(0, 2));
}

static void test_the_setting_counts_from_the_next_run_on(void **state)
{
    handle *h = *state;

    put_some(h, 0, 1);
    flush_all(h);
    set_least(h, "0");
    put_some(h, 1, 2);
    flush_all(h);
    for (unsigned i = 0; i < KEYS; i++) {
        check_text(h, name_of(i), value_of(i % 2 == 0 ? 1 : 0, i));
    }
    put_some(h, 2, 1);
    merge_runs(h, true, NULL);
    assert_int_equal(stats_of(h).values_files, 0);
    check_all(h, 2);
    set_least(h, "64");
    merge_runs(h, true, NULL);
    assert_true(stats_of(h).values_files > 0);
    check_all(h, 2);
}

/* ---- Older moments ------------------------------------------------------ */

static void check_walk(cask_iterator *it)
{
    cask_entry entry;
    unsigned i = 0;
    cask_status status =
        cask_iterator_seek(it, CASK_SEEK_FIRST, (cask_slice){0}, &entry, NULL);

    while (status == CASK_OK) {
        (void)check_entry(&i, &entry);
        status = cask_iterator_next(it, &entry, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    assert_int_equal(i, KEYS);
}

/* By two handles, of which the other one does all that changes. */
static void test_who_reads_an_older_moment_keeps_its_values(void **state)
{
    handle *h = *state;
    cask_db *other = NULL;
    cask_snapshot *moment = NULL;
    cask_iterator_options options = {.lower = {NULL, 0}};
    cask_iterator *it = NULL;
    cask_db *own = h->db;

    put_some(h, 0, 1);
    flush_all(h);
    assert_int_equal(
        db_open_on(h->kernel, HANDLE_PATH, &h->options, &other, NULL), CASK_OK);
    assert_int_equal(cask_snapshot_create(other, &moment, NULL), CASK_OK);
    options.snapshot = moment;
    assert_int_equal(cask_iterator_create(other, &options, &it, NULL), CASK_OK);
    check_walk(it);
    for (unsigned round = 1; round < 4; round++) {
        put_some(h, round, 1);
        merge_runs(h, true, NULL);
        check_walk(it);
    }
    cask_iterator_free(it);
    assert_int_equal(cask_iterator_create(other, &options, &it, NULL), CASK_OK);
    check_walk(it);
    cask_iterator_free(it);
    cask_snapshot_free(moment);
    h->db = other;
    check_all(h, 3);
    h->db = own;
    merge_runs(h, true, NULL);
    check_all(h, 3);
    assert_int_equal(cask_close(other, NULL), CASK_OK);
}

/* ---- Repair -------------------------------------------------------------- */

static void copy_file(handle *h, const char *from, const char *to)
{
    enum { ROOM = 1 << 20 };
    const os_ops *ops = h->kernel->ops;
    os_file *dir = h->db->store->dir;
    uint8_t *bytes = calloc(1, ROOM);
    os_file *file;
    size_t size;

    assert_non_null(bytes);
    assert_int_equal(ops->open(dir, from, OS_READ, 0, &file), 0);
    assert_int_equal(ops->read_at(file, bytes, ROOM, 0, &size), 0);
    ops->close(file);
    assert_in_range(size, 1, ROOM - 1);
    assert_int_equal(ops->open(dir, to, OS_WRITE | OS_CREATE, 0600, &file), 0);
    assert_int_equal(ops->write_at(file, &(os_span){bytes, size}, 1, 0), 0);
    ops->close(file);
    free(bytes);
}

typedef struct told {
    unsigned lost;
    char key[32]; /* the last one's */
} told;

static void on_lost(void *context, const cask_lost *lost)
{
    told *t = context;

    t->lost++;
    (void)snprintf(t->key, sizeof(t->key), "%.*s", (int)lost->key.size,
                   (const char *)lost->key.data);
}

/* Repair to /out, and look there for all values but those of the keys before
 * `first` that are apart. */
static told repair_and_check(handle *h, unsigned first, cask_status expected)
{
    told t = {0};
    const cask_repair_options options = {.on_lost = on_lost, .context = &t};
    cask_error err = {CASK_OK, 0, ""};
    cask_repair_report report;
    handle out = {.kernel = h->kernel};

    handle_close(h);
    assert_int_equal(
        db_repair_on(h->kernel, HANDLE_PATH, "/out", &options, &report, &err),
        expected);
    cask_options_init(&out.options);
    require_ok(db_open_on(h->kernel, "/out", &out.options, &out.db, &err),
               &err);
    for (unsigned i = 0; i < KEYS; i++) {
        check_text(&out, name_of(i),
                   i == 0 || i >= first ? value_of(0, i) : NULL);
    }
    handle_close(&out);
    clear_directory(h->kernel, "/out");
    handle_open(h);
    return t;
}

/* Of two files of the same values neither is whole, whichever is met first:
 * what either of them has is there. */
static void test_repair_takes_each_value_from_any_file_that_has_it(void **state)
{
    handle *h = *state;
    const uint64_t at = SEGMENT_HEADER_SIZE + RECORD_HEADER_SIZE + 20;
    const uint64_t next =
        round_up_8(RECORD_HEADER_SIZE + strlen(name_of(1)) + size_of(1));
    char name[SEGMENT_NAME_SIZE];
    told t;

    put_some(h, 0, 1);
    flush_all(h);
    values_name(h, name);
    copy_file(h, name, "copy");
    flip(h, name, at);
    flip(h, "copy", at + next); /* of key 2 */
    t = repair_and_check(h, 0, CASK_OK);
    assert_int_equal(t.lost, 0);

    flip(h, "copy", at); /* in none of them now: told once */
    t = repair_and_check(h, 2, CASK_CORRUPT);
    assert_int_equal(t.lost, 1);
    assert_string_equal(t.key, name_of(1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_they_read_as_all_others_do),
        TEST(test_a_damaged_value_hides_itself_alone),
        TEST(test_what_cannot_be_read_is_not_collected),
        TEST(test_what_a_damaged_run_named_stays),
        TEST(test_what_was_lost_does_not_end_compactions),
        TEST(test_compactions_leave_them_where_they_are),
        TEST(test_what_is_dead_of_them_goes),
        TEST(test_what_is_dead_goes_without_being_asked),
        TEST(test_small_files_are_put_together),
        TEST(test_a_small_file_alone_stays),
        TEST(test_what_a_range_hides_of_them_is_known),
        TEST(test_a_small_file_goes_when_its_values_are_not_apart),
        TEST(test_the_setting_counts_from_the_next_run_on),
        TEST(test_who_reads_an_older_moment_keeps_its_values),
        TEST(test_repair_takes_each_value_from_any_file_that_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
