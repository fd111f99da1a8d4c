/*
 * Snapshots among processes: a reader that is stopped is seen, one that is
 * killed gives back what was kept for it, and killed writers and mergers change
 * nothing in one.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"
#include "support/random.h"

enum { KEYS = 64, VALUE_BYTES = 2000, KILLS = 40 };

static cask_slice key_of(unsigned number, char text[16])
{
    (void)snprintf(text, 16, "key %u", number);
    return cask_slice_of(text);
}

/* All keys get the same version, in one batch. */
static void write_all(scene *s, cask_db *db, uint64_t version)
{
    char value[VALUE_BYTES];
    cask_batch *batch = NULL;

    memset(value, (int)(version % 251), sizeof(value));
    memcpy(value, &version, sizeof(version));
    require(s, cask_batch_create(&batch, &s->err));
    for (unsigned i = 0; i < KEYS; i++) {
        char text[16];
        /* Not a whole segment at once. */
        cask_slice bytes = {value, i % 8 == 0 ? sizeof(value) : 64};

        require(s, cask_batch_put(batch, key_of(i, text), bytes, 0, &s->err));
    }
    require(s, cask_write(db, batch, &s->err));
    cask_batch_free(batch);
}

typedef struct seen {
    uint64_t version;
    unsigned count;
} seen;

static bool see(void *context, const cask_entry *entry)
{
    seen *found = context;
    uint64_t version;

    if (entry->key.size < 4 || memcmp(entry->key.data, "key ", 4) != 0) {
        return true;
    }
    assert_true(entry->value.size >= 64);
    memcpy(&version, entry->value.data, sizeof(version));
    assert_int_equal(version, found->version);
    found->count++;
    return true;
}

/* Every key has the same version, by get and by fold; returns it. */
static uint64_t version_of(scene *s, cask_snapshot *snapshot, uint32_t parts)
{
    cask_buffer value = {NULL, 0, 0};
    seen found = {0, 0};

    for (unsigned i = 0; i < KEYS; i++) {
        uint64_t version;
        char text[16];

        require(s, cask_snapshot_get(snapshot, key_of(i, text), &value, NULL,
                                     &s->err));
        memcpy(&version, value.data, sizeof(version));
        if (i == 0) {
            found.version = version;
        }
        assert_int_equal(version, found.version);
    }
    cask_buffer_free(&value);
    for (uint32_t part = 0; part < parts; part++) {
        const cask_fold_options options = {.parts = parts, .part = part};

        require(s,
                cask_snapshot_fold(snapshot, &options, see, &found, &s->err));
    }
    assert_int_equal(found.count, KEYS);
    return found.version;
}

static cask_stats stats_of(scene *s, cask_db *db)
{
    cask_stats stats;

    require(s, cask_stat(db, &stats, &s->err));
    return stats;
}

static void merge_all(scene *s, cask_db *db)
{
    const cask_merge_options all = {.all = true};

    require(s, cask_merge(db, &all, NULL, &s->err));
}

/* ---- Readers that stop ---- */

/* Only to read: a writer could be stopped while it syncs for all others. */
static int hold_a_snapshot(scene *s)
{
    cask_snapshot *snapshot = NULL;
    cask_db *db;

    s->options.read_only = true;
    db = open_store(s);
    require(s, cask_snapshot_create(db, &snapshot, &s->err));
    (void)pause();
    return 1;
}

static void wait_for_snapshot(scene *s, cask_db *db)
{
    size_t count = 0;

    while (count == 0) {
        cask_snapshot_info *list = NULL;

        (void)usleep(1000);
        require(s, cask_snapshot_list(db, &list, &count, &s->err));
        cask_free(list);
    }
}

static void expect_listed(scene *s, cask_db *db, pid_t pid)
{
    cask_snapshot_info *list = NULL;
    uint64_t lag;
    size_t count = 0;

    require(s, cask_snapshot_list(db, &list, &count, &s->err));
    assert_int_equal(count, 1);
    assert_int_equal(list[0].pid, pid);
    assert_true(list[0].pinned_bytes > 0);
    lag = list[0].lag;
    cask_free(list);
    write_all(s, db, 4);
    require(s, cask_snapshot_list(db, &list, &count, &s->err));
    assert_int_equal(count, 1);
    assert_true(list[0].lag >= lag + KEYS);
    cask_free(list);
}

static void test_a_killed_reader_gives_back_what_was_kept(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);
    cask_stats stats;
    pid_t pid;

    write_all(s, db, 1);
    pid = start(hold_a_snapshot, s);
    wait_for_snapshot(s, db);
    (void)kill(pid, SIGSTOP);
    write_all(s, db, 2);
    merge_all(s, db);
    write_all(s, db, 3);
    merge_all(s, db);
    expect_listed(s, db, pid);
    stats = stats_of(s, db);
    assert_true(stats.undo_bytes > 0);
    assert_true(stats.pinned_bytes > 0);
    end(pid);
    /* The threads of this handle notice. */
    for (int i = 0;
         i < 10000 && (stats.undo_bytes > 0 || stats.pinned_bytes > 0 ||
                       stats.snapshot_count > 0);
         i++) {
        (void)usleep(1000);
        stats = stats_of(s, db);
    }
    assert_int_equal(stats.undo_bytes, 0);
    assert_int_equal(stats.pinned_bytes, 0);
    assert_int_equal(stats.snapshot_count, 0);
    close_store(s, db);
}

/* ---- fork() ---- */

static int use_in_child(cask_snapshot *snapshot)
{
    cask_buffer value = {NULL, 0, 0};
    seen found = {0, 0};
    uint64_t count = 0;
    char text[16];
    int result =
        cask_snapshot_get(snapshot, key_of(1, text), &value, NULL, NULL) ==
                    CASK_FORKED &&
                cask_snapshot_count(snapshot, &count, NULL) == CASK_FORKED &&
                cask_snapshot_fold(snapshot, NULL, see, &found, NULL) ==
                    CASK_FORKED
            ? 0
            : 1;

    cask_snapshot_free(snapshot);
    return result;
}

static void test_a_child_cannot_use_nor_end_its_parents_snapshot(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);
    cask_snapshot *snapshot = NULL;
    pid_t pid;

    write_all(s, db, 1);
    require(s, cask_snapshot_create(db, &snapshot, &s->err));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(use_in_child(snapshot));
    }
    assert_int_equal(wait_for(pid), 0);
    write_all(s, db, 2);
    assert_int_equal(version_of(s, snapshot, 2), 1);
    cask_snapshot_free(snapshot);
    close_store(s, db);
}

/* ---- Writers and mergers that die ---- */

static int write_and_merge(scene *s)
{
    cask_db *db = open_store(s);
    const cask_merge_options all = {.all = true};
    cask_snapshot *snapshot = NULL;

    for (uint64_t version = 1;; version++) {
        cask_snapshot_free(snapshot);
        require(s, cask_snapshot_create(db, &snapshot, &s->err));
        write_all(s, db, version);
        if (version % 8 == 0 &&
            cask_merge(db, &all, NULL, &s->err) == CASK_IO) {
            return 1; /* any other is because of the others */
        }
        (void)version_of(s, snapshot, 1);
    }
    return 1;
}

static void test_killed_writers_and_mergers_change_nothing_in_it(void **state)
{
    scene *s = *state;
    test_random random = test_random_make(test_seed(), 0);
    cask_db *db = open_store(s);
    cask_snapshot *first = NULL;
    cask_stats stats;

    write_all(s, db, 1);
    require(s, cask_snapshot_create(db, &first, &s->err));
    for (int i = 0; i < KILLS; i++) {
        pid_t one = start(write_and_merge, s);
        pid_t two = start(write_and_merge, s);
        cask_snapshot *snapshot = NULL;
        uint64_t version;

        (void)usleep((useconds_t)test_random_next(&random, 30000));
        require(s, cask_snapshot_create(db, &snapshot, &s->err));
        version = version_of(s, snapshot, 3);
        (void)usleep((useconds_t)test_random_next(&random, 10000));
        end(one);
        assert_int_equal(version_of(s, snapshot, 1), version);
        end(two);
        assert_int_equal(version_of(s, snapshot, 2), version);
        assert_int_equal(version_of(s, first, 1 + (uint32_t)i % 4), 1);
        cask_snapshot_free(snapshot);
    }
    cask_snapshot_free(first);
    /* What the dead ones had is given back when the next one is made. */
    require(s, cask_snapshot_create(db, &first, &s->err));
    stats = stats_of(s, db);
    assert_int_equal(stats.snapshot_count, 1);
    cask_snapshot_free(first);
    assert_int_equal(stats_of(s, db).undo_bytes, 0);
    close_store(s, db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_killed_reader_gives_back_what_was_kept),
        TEST(test_a_child_cannot_use_nor_end_its_parents_snapshot),
        TEST(test_killed_writers_and_mergers_change_nothing_in_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
