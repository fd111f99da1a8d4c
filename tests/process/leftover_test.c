/*
 * What killed processes leave behind goes with the next open, which says so:
 * regions of other stores that nobody holds, and files in the directory.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scene.h"

enum { NOTES = 16, MESSAGE = 256 };

/* ---- Events -------------------------------------------------------------- */

typedef struct notes {
    cask_event_kind kind; /* the one that is noted */
    int count;
    char message[NOTES][MESSAGE];
} notes;

static void note(void *context, const cask_event *event)
{
    notes *n = context;

    if (event->kind == n->kind) {
        assert_true(n->count < NOTES);
        (void)snprintf(n->message[n->count++], MESSAGE, "%s", event->message);
    }
}

static void listen_for(scene *s, notes *n, cask_event_kind kind)
{
    *n = (notes){.kind = kind};
    s->options.on_event = note;
    s->options.event_context = n;
}

/* How many of the messages have `text`. */
static int told(const notes *n, const char *text)
{
    int found = 0;

    for (int i = 0; i < n->count; i++) {
        found += strstr(n->message[i], text) != NULL;
    }
    return found;
}

/* ---- Regions of other stores --------------------------------------------- */

/* The region that store `path` has in `dir`; false: none. */
static bool find_region(const char *dir, const char *path,
                        char ret_name[SCENE_NAME])
{
    char prefix[SCENE_NAME];
    struct dirent *entry;
    struct stat info;
    bool found = false;
    DIR *stream = opendir(dir);

    assert_non_null(stream);
    assert_int_equal(stat(path, &info), 0);
    (void)snprintf(prefix, sizeof(prefix), "caskade-%llx-%llx-",
                   (unsigned long long)info.st_dev,
                   (unsigned long long)info.st_ino);
    while (!found && (entry = readdir(stream)) != NULL) {
        found = strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
        if (found) {
            (void)snprintf(ret_name, SCENE_NAME, "%.63s", entry->d_name);
        }
    }
    (void)closedir(stream);
    return found;
}

static int write_and_die(scene *s)
{
    put(s, open_store(s), "key", "value");
    (void)raise(SIGKILL);
    return 1;
}

/* Three other stores have regions in the same place: one that a process holds,
 * one that was kept on purpose, and one whose process was killed. */
static void test_an_open_removes_orphans_and_nothing_else(void **state)
{
    scene *s = *state;
    scene held = *s;
    scene kept = *s;
    scene killed = *s;
    char regions[SCRATCH_PATH];
    char orphan[SCENE_NAME] = "";
    char name[SCENE_NAME];
    cask_db *holder;
    cask_db *db;
    notes n;

    scratch_make(regions);
    scratch_make(held.path);
    scratch_make(kept.path);
    scratch_make(killed.path);
    s->options.region_dir = regions;
    held.options.region_dir = regions;
    kept.options.region_dir = regions;
    killed.options.region_dir = regions;
    kept.options.linger = true;
    holder = open_store(&held);
    put(&held, holder, "key", "value");
    db = open_store(&kept);
    put(&kept, db, "key", "value");
    close_store(&kept, db);
    assert_int_equal(wait_for(start(write_and_die, &killed)), 256 + SIGKILL);
    assert_true(find_region(regions, killed.path, orphan));

    listen_for(s, &n, CASK_EVENT_REGION);
    db = open_store(s);
    assert_false(find_region(regions, killed.path, name));
    assert_true(find_region(regions, held.path, name));
    assert_true(find_region(regions, kept.path, name));
    assert_true(find_region(regions, s->path, name));
    assert_int_equal(n.count, 1);
    assert_int_equal(told(&n, orphan), 1);
    assert_int_equal(told(&n, "no process holds"), 1);
    close_store(s, db);

    /* Nothing is lost with a region. */
    expect(&held, holder, "key", "value");
    close_store(&held, holder);
    db = open_store(&killed);
    expect(&killed, db, "key", "value");
    close_store(&killed, db);
    scratch_remove(killed.path);
    scratch_remove(kept.path);
    scratch_remove(held.path);
    scratch_remove(regions);
}

/* ---- Files --------------------------------------------------------------- */

static void test_an_open_tells_of_each_leftover_that_it_removes(void **state)
{
    static const char *const leftovers[] = {
        "MANIFEST.new",
        "CASKADE.new",
        "00000000000000ff.log",
        "00000000000000ff.hint",
        "0000000000000001.hint.new",
    };
    enum { COUNT = sizeof(leftovers) / sizeof(leftovers[0]) };
    scene *s = *state;
    cask_db *db = open_store(s);
    notes n;

    put(s, db, "key", "value");
    close_store(s, db);
    for (int i = 0; i < COUNT; i++) {
        scene_plant(s, leftovers[i]);
    }
    scene_plant(s, "notes.txt");
    listen_for(s, &n, CASK_EVENT_LEFTOVER);
    db = open_store(s);
    assert_int_equal(n.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        char words[MESSAGE];

        (void)snprintf(words, sizeof(words), "removed %s,", leftovers[i]);
        assert_int_equal(told(&n, words), 1);
        assert_false(scene_has(s, leftovers[i]));
    }
    assert_true(scene_has(s, "notes.txt"));
    expect(s, db, "key", "value");
    close_store(s, db);
}

/* ---- Files of snapshots -------------------------------------------------- */

enum { FILE_KEYS = 60, FILE_VALUE = 4000 };

/* No handle here merges by itself: nothing but what is tested removes files. */
static void without_merger(scene *s)
{
    s->options.auto_merge = false;
}

static void put_large(scene *s, cask_db *db, char fill)
{
    char value[FILE_VALUE + 1];
    char key[32];

    memset(value, fill, FILE_VALUE);
    value[FILE_VALUE] = 0;
    for (int i = 0; i < FILE_KEYS; i++) {
        (void)snprintf(key, sizeof(key), "large %d", i);
        put(s, db, key, value);
    }
}

static void merge_all(scene *s, cask_db *db)
{
    const cask_merge_options all = {.all = true};

    require(s, cask_merge(db, &all, NULL, &s->err));
}

/* Segments in the directory that are older than any of the store. */
static unsigned replaced(scene *s, cask_db *db)
{
    cask_segment_stats *segments = NULL;
    struct dirent *entry;
    unsigned found = 0;
    size_t count = 0;
    DIR *stream = opendir(s->path);

    assert_non_null(stream);
    require(s, cask_segments(db, &segments, &count, &s->err));
    assert_true(count > 0);
    while ((entry = readdir(stream)) != NULL) {
        const char *end = strstr(entry->d_name, ".log");

        found +=
            end != NULL && strtoull(entry->d_name, NULL, 16) < segments[0].id;
    }
    (void)closedir(stream);
    cask_free(segments);
    return found;
}

/* Has a snapshot while the parent merges, and frees it. */
static int free_after_merge(scene *s)
{
    cask_snapshot *snapshot = NULL;
    cask_db *db = open_store(s);

    require(s, cask_snapshot_create(db, &snapshot, &s->err));
    put(s, db, "taken", "");
    wait_for_key(db, "merged");
    cask_snapshot_free(snapshot);
    put(s, db, "freed", "");
    (void)pause();
    return 1;
}

static void test_files_go_when_another_process_frees_its_snapshot(void **state)
{
    scene *s = *state;
    cask_db *db;
    pid_t pid;

    without_merger(s);
    db = open_store(s);
    put_large(s, db, 'a');
    pid = start(free_after_merge, s);
    wait_for_key(db, "taken");
    put_large(s, db, 'b');
    merge_all(s, db);
    assert_true(replaced(s, db) > 1);
    put(s, db, "merged", "");
    wait_for_key(db, "freed");
    assert_int_equal(replaced(s, db), 0);
    end(pid);
    close_store(s, db);
}

/* Only to read: what it frees others have to remove. */
static int read_for_ever(scene *s)
{
    cask_snapshot *snapshot = NULL;
    cask_db *db;

    s->options.read_only = true;
    db = open_store(s);
    require(s, cask_snapshot_create(db, &snapshot, &s->err));
    (void)pause();
    return 1;
}

static pid_t start_reader(scene *s, cask_db *db)
{
    pid_t pid = start(read_for_ever, s);
    size_t count = 0;

    while (count == 0) {
        cask_snapshot_info *list = NULL;

        (void)usleep(1000);
        require(s, cask_snapshot_list(db, &list, &count, &s->err));
        cask_free(list);
    }
    return pid;
}

static void test_files_of_a_killed_reader_go_without_a_merge(void **state)
{
    scene *s = *state;
    cask_db *db;
    pid_t pid;

    without_merger(s);
    db = open_store(s);
    put_large(s, db, 'a');
    pid = start_reader(s, db);
    put_large(s, db, 'b');
    merge_all(s, db);
    assert_true(replaced(s, db) > 1);
    end(pid);
    for (int i = 0; i < 20000 && replaced(s, db) > 0; i++) {
        (void)usleep(1000);
    }
    assert_int_equal(replaced(s, db), 0);
    close_store(s, db);
}

static void test_files_of_a_killed_reader_go_at_the_last_close(void **state)
{
    scene *s = *state;
    cask_db *db;
    pid_t pid;

    without_merger(s);
    db = open_store(s);
    put_large(s, db, 'a');
    pid = start_reader(s, db);
    put_large(s, db, 'b');
    merge_all(s, db);
    assert_true(replaced(s, db) > 1);
    end(pid);
    close_store(s, db);
    s->options.read_only = true;
    db = open_store(s);
    assert_int_equal(replaced(s, db), 0);
    close_store(s, db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_open_removes_orphans_and_nothing_else),
        TEST(test_an_open_tells_of_each_leftover_that_it_removes),
        TEST(test_files_go_when_another_process_frees_its_snapshot),
        TEST(test_files_of_a_killed_reader_go_without_a_merge),
        TEST(test_files_of_a_killed_reader_go_at_the_last_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
