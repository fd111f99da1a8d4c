/*
 * No space: in shared memory, in the store's directory; and shared memory that
 * is not the same for everybody. Each test runs in a child with mounts of its
 * own, which needs root; without, the tests are skipped and say so.
 */
#define _GNU_SOURCE
#include "cask_test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caskade.h"
#include "log/record_format.h"
#include "support/scratch.h"

enum {
    NOT_ROOT = 77,
    VALUE_BYTES = 8000,
    DELETES = 50,
    PUTS_MOST = 200000 /* more than fit anywhere here */
};

typedef struct scene {
    char path[SCRATCH_PATH]; /* holds the mounts and the store */
    char mount[SCRATCH_PATH + 16];
    char store[SCRATCH_PATH + 32];
    cask_options options;
    cask_error err;
    int region_events;
} scene;

/* ---- Common ---- */

/* In a child: say what is wrong, and end it. */
static void must(bool good, const scene *s, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "%s: %s: %s\n", what,
                      cask_status_name(s->err.status), s->err.message);
        _exit(1);
    }
}

static void count_event(void *context, const cask_event *event)
{
    scene *s = context;

    s->region_events += event->kind == CASK_EVENT_REGION;
}

static cask_db *open_store(scene *s)
{
    cask_db *db = NULL;

    must(cask_open(s->store, &s->options, &db, &s->err) == CASK_OK, s, "open");
    return db;
}

static void close_store(scene *s, cask_db *db)
{
    must(cask_close(db, &s->err) == CASK_OK, s, "close");
}

/* Mounts of its own for this process, or NOT_ROOT. */
static void leave_namespace(void)
{
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        _exit(NOT_ROOT);
    }
}

static void mount_small(const char *path, const char *size)
{
    char options[64];

    (void)snprintf(options, sizeof(options), "size=%s", size);
    if (mount("tmpfs", path, "tmpfs", 0, options) != 0) {
        _exit(NOT_ROOT);
    }
}

static void resize(const char *path, const char *size)
{
    char options[64];

    (void)snprintf(options, sizeof(options), "size=%s", size);
    if (mount("tmpfs", path, "tmpfs", MS_REMOUNT, options) != 0) {
        _exit(NOT_ROOT);
    }
}

static cask_slice key_of(char text[32], unsigned number)
{
    (void)snprintf(text, 32, "key-%u", number);
    return cask_slice_of(text);
}

/* Put until it fails; how many were acknowledged. */
static unsigned put_until_full(scene *s, cask_db *db, size_t value_bytes,
                               unsigned from)
{
    static char value[VALUE_BYTES];
    unsigned number = from;
    char text[32];

    memset(value, 'v', sizeof(value));
    while (cask_put(db, key_of(text, number), (cask_slice){value, value_bytes},
                    &s->err) == CASK_OK) {
        number++;
        must(number - from < PUTS_MOST, s, "it never became full");
    }
    must(s->err.status == CASK_NO_SPACE, s, "full, but");
    must(s->err.message[0] != 0, s, "no message");
    return number;
}

static void check_all(scene *s, cask_db *db, unsigned count)
{
    uint64_t found = 0;
    char text[32];

    for (unsigned i = 0; i < count; i++) {
        bool exists = false;

        must(cask_exists(db, key_of(text, i), &exists, &s->err) == CASK_OK &&
                 exists,
             s, text);
    }
    must(cask_count(db, &found, &s->err) == CASK_OK && found == count, s,
         "count");
}

static int run_in_child(void **state, void (*run)(scene *s))
{
    scene *s = *state;
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        leave_namespace();
        run(s);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_ROOT) {
        print_message("SKIPPED: needs root and the right to mount\n");
        skip();
    }
    return status;
}

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    scratch_make(s->path);
    (void)snprintf(s->store, sizeof(s->store), "%s/store", s->path);
    (void)snprintf(s->mount, sizeof(s->mount), "%s/mount", s->path);
    assert_int_equal(mkdir(s->mount, 0700), 0);
    cask_options_init(&s->options);
    s->options.create_if_missing = true;
    s->options.segment_max_bytes = 1 << 20;
    s->options.huge_pages = false;
    s->options.on_event = count_event;
    s->options.event_context = s;
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    unsigned regions = scratch_regions(s->store);

    scratch_remove(s->path);
    free(s);
    assert_int_equal(regions, 0);
    return 0;
}

/* ---- Shared memory ---- */

static void use_small_region_dir(scene *s)
{
    cask_db *db = NULL;

    mount_small(s->mount, "64k");
    s->options.region_dir = s->mount;
    must(cask_open(s->store, &s->options, &db, &s->err) == CASK_NO_SPACE, s,
         "opened");
    must(strstr(s->err.message, s->mount) != NULL, s, "the place is named");
    resize(s->mount, "16m");
    db = open_store(s);
    must(cask_put(db, cask_slice_of("a"), cask_slice_of("b"), &s->err) ==
             CASK_OK,
         s, "put");
    close_store(s, db);
}

static void test_region_dir_that_is_too_small_is_named(void **state)
{
    assert_int_equal(run_in_child(state, use_small_region_dir), 0);
}

/* There is room for one region, not for two. */
static void die_with_small_region_dir(scene *s)
{
    int status = 1;
    pid_t child;

    mount_small(s->mount, "1300k");
    s->options.region_dir = s->mount;
    child = fork();
    if (child == 0) {
        must(cask_put(open_store(s), cask_slice_of("a"), cask_slice_of("b"),
                      &s->err) == CASK_OK,
             s, "put");
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child && status == 0, s, "put");
    close_store(s, open_store(s));
}

static void test_region_of_a_dead_process_makes_room_for_the_next(void **state)
{
    assert_int_equal(run_in_child(state, die_with_small_region_dir), 0);
}

static void use_small_shm(scene *s)
{
    bool exists = false;
    cask_stats stats;
    cask_db *one;
    cask_db *two;

    mount_small("/dev/shm", "64k");
    one = open_store(s);
    must(s->region_events == 1, s, "an event tells of it");
    must(cask_stat(one, &stats, &s->err) == CASK_OK, s, "stat");
    must(strncmp(stats.region_path, s->store, strlen(s->store)) == 0, s,
         "the region is in the directory");
    two = open_store(s);
    must(cask_put(one, cask_slice_of("a"), cask_slice_of("b"), &s->err) ==
             CASK_OK,
         s, "put");
    must(cask_exists(two, cask_slice_of("a"), &exists, &s->err) == CASK_OK &&
             exists,
         s, "seen by the other");
    close_store(s, one);
    close_store(s, two);
    must(access(stats.region_path, F_OK) != 0, s, "it is removed");
}

static void test_small_shm_moves_the_region_to_the_directory(void **state)
{
    assert_int_equal(run_in_child(state, use_small_shm), 0);
}

static void fill_region(scene *s)
{
    unsigned count;
    cask_db *db;

    mount_small(s->mount, "2m");
    s->options.region_dir = s->mount;
    db = open_store(s);
    count = put_until_full(s, db, 8, 0);
    check_all(s, db, count);
    /* Overwriting needs no more memory, or fails as cleanly. */
    s->err.status =
        cask_put(db, cask_slice_of("key-0"), cask_slice_of("new"), &s->err);
    must(s->err.status == CASK_OK || s->err.status == CASK_NO_SPACE, s,
         "overwrite");
    resize(s->mount, "64m");
    must(cask_put(db, cask_slice_of("key-0"), cask_slice_of("again"),
                  &s->err) == CASK_OK,
         s, "put after growth");
    for (unsigned i = 0; i < 1000; i++) {
        char text[32];

        must(cask_put(db, key_of(text, count + i), cask_slice_of("more"),
                      &s->err) == CASK_OK,
             s, "put after growth");
    }
    check_all(s, db, count + 1000);
    close_store(s, db);
    db = open_store(s);
    check_all(s, db, count + 1000);
    close_store(s, db);
}

static void test_full_region_fails_puts_until_there_is_room(void **state)
{
    assert_int_equal(run_in_child(state, fill_region), 0);
}

/* ---- Namespaces ---- */

static void open_elsewhere(scene *s)
{
    cask_db *db = NULL;

    mount_small("/dev/shm", "64m");
    must(cask_open(s->store, &s->options, &db, &s->err) == CASK_NAMESPACE, s,
         "opened from elsewhere");
    must(s->err.message[0] != 0, s, "no message");
}

static void test_store_in_use_elsewhere_is_refused(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);
    bool exists = false;
    int status;

    assert_int_equal(
        cask_put(db, cask_slice_of("a"), cask_slice_of("1"), &s->err), CASK_OK);
    status = run_in_child(state, open_elsewhere);
    assert_int_equal(cask_exists(db, cask_slice_of("a"), &exists, &s->err),
                     CASK_OK);
    assert_true(exists);
    assert_int_equal(
        cask_put(db, cask_slice_of("a"), cask_slice_of("2"), &s->err), CASK_OK);
    assert_int_equal(cask_close(db, &s->err), CASK_OK);
    assert_int_equal(status, 0);
}

/* ---- The disk ---- */

/* Deletes have a reserve that not even small puts use up. */
static void delete_some(scene *s, cask_db *db)
{
    for (unsigned i = 0; i < DELETES; i++) {
        bool existed = false;
        char text[32];

        must(cask_delete(db, key_of(text, i), &existed, &s->err) == CASK_OK &&
                 existed,
             s, "a delete on a full disk");
    }
}

static void put_back(scene *s, cask_db *db)
{
    char text[32];

    for (unsigned i = 0; i < DELETES; i++) {
        must(cask_put(db, key_of(text, i), cask_slice_of("back"), &s->err) ==
                 CASK_OK,
             s, "a put when there is room again");
    }
}

static void fill_disk(scene *s, cask_append append, cask_sync_policy sync)
{
    char filler[SCRATCH_PATH + 32];
    unsigned count;
    unsigned more;
    cask_db *db;
    FILE *file;

    mount_small(s->mount, "12m");
    (void)snprintf(s->store, sizeof(s->store), "%s/store", s->mount);
    (void)snprintf(filler, sizeof(filler), "%s/filler", s->mount);
    file = fopen(filler, "wb");
    must(file != NULL, s, "filler");
    for (int i = 0; i < 4096; i++) {
        (void)fwrite(filler, 1, 256, file);
        (void)fseek(file, 768, SEEK_CUR);
    }
    (void)fclose(file);
    s->options.append = append;
    s->options.sync = sync;
    db = open_store(s);
    count = put_until_full(s, db, VALUE_BYTES, 0);
    check_all(s, db, count);
    must(count > 100, s, "it was full too soon");
    count = put_until_full(s, db, 8, count);
    delete_some(s, db);
    must(unlink(filler) == 0, s, "unlink");
    put_back(s, db);
    more = put_until_full(s, db, VALUE_BYTES, count);
    must(more > count, s, "it works on when there is space");
    check_all(s, db, more);
    resize(s->mount, "24m");
    close_store(s, db);
    db = open_store(s);
    check_all(s, db, more);
    must(put_until_full(s, db, VALUE_BYTES, more) > more, s, "more");
    (void)cask_close(db, NULL); /* its last mark may find no room */
    resize(s->mount, "64m");
    db = open_store(s);
    for (unsigned i = 0; i < more; i++) {
        bool exists = false;
        char text[32];

        must(cask_exists(db, key_of(text, i), &exists, &s->err) == CASK_OK &&
                 exists,
             s, text);
    }
    close_store(s, db);
}

static void fill_disk_mapped(scene *s)
{
    fill_disk(s, CASK_APPEND_MAP, CASK_SYNC_INTERVAL);
}

static void fill_disk_written(scene *s)
{
    fill_disk(s, CASK_APPEND_PWRITE, CASK_SYNC_COMMIT);
}

static void test_full_disk_fails_mapped_puts_until_there_is_room(void **state)
{
    assert_int_equal(run_in_child(state, fill_disk_mapped), 0);
}

static void
test_full_disk_fails_committed_puts_until_there_is_room(void **state)
{
    assert_int_equal(run_in_child(state, fill_disk_written), 0);
}

/* Not even a new store fits: an error, nothing left behind but names. */
static void create_on_full_disk(scene *s)
{
    cask_db *db = NULL;

    mount_small(s->mount, "16k");
    (void)snprintf(s->store, sizeof(s->store), "%s/store", s->mount);
    must(cask_open(s->store, &s->options, &db, &s->err) == CASK_NO_SPACE, s,
         "created");
    resize(s->mount, "16m");
    db = open_store(s);
    must(cask_put(db, cask_slice_of("a"), cask_slice_of("b"), &s->err) ==
             CASK_OK,
         s, "put");
    close_store(s, db);
}

static void test_store_is_created_when_there_is_room_again(void **state)
{
    assert_int_equal(run_in_child(state, create_on_full_disk), 0);
}

/* Every `step`th key below `count`. */
static void put_some(scene *s, cask_db *db, unsigned count, unsigned step)
{
    static char value[VALUE_BYTES];
    char text[32];

    memset(value, 'w', sizeof(value));
    for (unsigned i = 0; i < count; i += step) {
        must(cask_put(db, key_of(text, i), (cask_slice){value, sizeof(value)},
                      &s->err) == CASK_OK,
             s, "put");
    }
}

/* Leave so many bytes. */
static void leave_room(scene *s, const char *path, size_t room)
{
    static const char block[65536];
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    off_t size = 0;
    ssize_t wrote;

    while ((wrote = write(file, block, sizeof(block))) > 0) {
        size += wrote;
    }
    must(file >= 0 && size > (off_t)room &&
             ftruncate(file, size - (off_t)room) == 0 && close(file) == 0,
         s, "filler");
}

/* The disk becomes full while a merge writes: it changes nothing, gives back
 * what it took, and succeeds when there is room; so do puts. */
static void fill_disk_by_merge(scene *s)
{
    enum { KEYS = 700 };
    char filler[SCRATCH_PATH + 32];
    cask_merge_options all = {.all = true};
    cask_merge_report report;
    cask_stats before;
    cask_stats after;
    cask_db *db;

    mount_small(s->mount, "32m");
    (void)snprintf(s->store, sizeof(s->store), "%s/store", s->mount);
    s->options.auto_merge = false;
    db = open_store(s);
    (void)snprintf(filler, sizeof(filler), "%s/filler", s->mount);
    put_some(s, db, KEYS, 1);
    put_some(s, db, KEYS, 2); /* half of each segment is dead */
    must(cask_stat(db, &before, &s->err) == CASK_OK, s, "stat");
    leave_room(s, filler, 256 << 10);
    must(cask_merge(db, &all, &report, &s->err) == CASK_NO_SPACE, s,
         "a merge on a full disk");
    must(report.inputs == 0, s, "nothing was replaced");
    must(cask_stat(db, &after, &s->err) == CASK_OK, s, "stat");
    must(after.data_bytes == before.data_bytes &&
             after.disk_bytes <= before.disk_bytes + (2 << 20),
         s, "what was written is gone");
    check_all(s, db, KEYS);
    must(cask_merge(db, &all, &report, &s->err) == CASK_NO_SPACE, s,
         "a merge on a full disk, again");
    close_store(s, db);
    db = open_store(s);
    check_all(s, db, KEYS);
    must(unlink(filler) == 0, s, "unlink");
    must(cask_merge(db, &all, &report, &s->err) == CASK_OK, s,
         "a merge with room again");
    /* But for the mark of the close, for which nothing is copied. */
    must(cask_stat(db, &after, &s->err) == CASK_OK &&
             after.dead_bytes <= RECORD_MARK_SIZE,
         s, "nothing dead");
    check_all(s, db, KEYS);
    close_store(s, db);
}

static void test_full_disk_in_a_merge_changes_nothing(void **state)
{
    assert_int_equal(run_in_child(state, fill_disk_by_merge), 0);
}

/* Another process writes the store, and ends; then others take all that is
 * free. Not a block is left: keys are deleted all the same, and a merge gives
 * their space back. */
static void use_full_disk(scene *s, bool is_killed)
{
    enum { KEYS = 1000, DELETED = 300 };
    char filler[SCRATCH_PATH + 32];
    cask_verify_report verified;
    cask_merge_report report;
    int status = 1;
    uint64_t found = 0;
    cask_db *db;
    pid_t child;

    mount_small(s->mount, "16m");
    (void)snprintf(s->store, sizeof(s->store), "%s/store", s->mount);
    (void)snprintf(filler, sizeof(filler), "%s/filler", s->mount);
    s->options.auto_merge = false;
    child = fork();
    if (child == 0) {
        db = open_store(s);
        put_some(s, db, KEYS, 1);
        if (is_killed) {
            /* What is not known to be synced needs as much room again. */
            must(cask_sync(db, &s->err) == CASK_OK, s, "sync");
            put_some(s, db, KEYS, KEYS / 2);
            (void)raise(SIGKILL);
        }
        close_store(s, db);
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child &&
             (is_killed ? WIFSIGNALED(status) : status == 0),
         s, "write");
    leave_room(s, filler, 0);
    db = open_store(s);
    check_all(s, db, KEYS);
    for (unsigned i = 0; i < DELETED; i++) {
        char text[32];

        must(cask_delete(db, key_of(text, i), NULL, &s->err) == CASK_OK, s,
             "a delete on a full disk");
    }
    must(cask_merge(db, NULL, &report, &s->err) == CASK_OK &&
             report.inputs >= 2,
         s, "a merge on a full disk");
    put_some(s, db, DELETED, DELETED / 10);
    close_store(s, db);
    must(cask_verify(s->store, NULL, &verified, &s->err) == CASK_OK, s,
         "verify");
    db = open_store(s);
    must(cask_count(db, &found, &s->err) == CASK_OK &&
             found == KEYS - DELETED + 10,
         s, "count");
    close_store(s, db);
}

static void use_full_disk_closed(scene *s)
{
    use_full_disk(s, false);
}

static void use_full_disk_killed(scene *s)
{
    use_full_disk(s, true);
}

static void test_closed_store_on_a_full_disk_can_be_merged(void **state)
{
    assert_int_equal(run_in_child(state, use_full_disk_closed), 0);
}

static void
test_store_that_was_killed_on_a_full_disk_can_be_merged(void **state)
{
    assert_int_equal(run_in_child(state, use_full_disk_killed), 0);
}

/* A process that opens the store, deletes a key and is killed; whether the
 * delete was acknowledged. */
static bool delete_and_die(scene *s, unsigned number)
{
    int status = 1;
    int answer[2];
    char is_deleted = 0;
    pid_t child;

    must(pipe(answer) == 0, s, "pipe");
    child = fork();
    if (child == 0) {
        cask_db *db = open_store(s);
        char text[32];

        is_deleted =
            cask_delete(db, key_of(text, number), NULL, &s->err) == CASK_OK;
        must(is_deleted || s->err.status == CASK_NO_SPACE, s, "delete");
        must(write(answer[1], &is_deleted, 1) == 1, s, "write");
        (void)raise(SIGKILL);
    }
    must(close(answer[1]) == 0 && waitpid(child, &status, 0) == child &&
             WIFSIGNALED(status) && read(answer[0], &is_deleted, 1) == 1 &&
             close(answer[0]) == 0,
         s, "an open after deaths");
    return is_deleted != 0;
}

/* Writers die again and again while nothing is free: deletes end, opens do
 * not, and then merges give space back. */
static void die_on_full_disk(scene *s)
{
    enum { DEATHS = 200, DELETED = 100 };
    char filler[SCRATCH_PATH + 32];
    cask_verify_report verified;
    cask_merge_report report;
    uint64_t found = 0;
    unsigned count;
    unsigned deleted = 0;
    cask_db *db;

    mount_small(s->mount, "3m");
    (void)snprintf(s->store, sizeof(s->store), "%s/store", s->mount);
    (void)snprintf(filler, sizeof(filler), "%s/filler", s->mount);
    s->options.segment_max_bytes = 64 << 10;
    s->options.sync = CASK_SYNC_COMMIT;
    s->options.auto_merge = false;
    db = open_store(s);
    count = put_until_full(s, db, 1000, 0);
    close_store(s, db);
    leave_room(s, filler, 0);
    for (unsigned i = 0; i < DEATHS; i++) {
        deleted += delete_and_die(s, deleted) ? 1 : 0;
    }
    db = open_store(s);
    for (unsigned i = deleted; i < DELETED; i++) {
        char text[32];

        must(cask_delete(db, key_of(text, i), NULL, &s->err) == CASK_OK, s,
             "a delete after deaths");
    }
    deleted = deleted < DELETED ? DELETED : deleted;
    must(cask_merge(db, NULL, &report, &s->err) == CASK_OK && report.inputs > 0,
         s, "a merge after deaths");
    must(cask_count(db, &found, &s->err) == CASK_OK && found == count - deleted,
         s, "count");
    close_store(s, db);
    must(cask_verify(s->store, NULL, &verified, &s->err) == CASK_OK, s,
         "verify");
}

static void test_deaths_on_a_full_disk_end_no_opens(void **state)
{
    assert_int_equal(run_in_child(state, die_on_full_disk), 0);
}

/* What a dead writer had allocated goes when its segment is sealed. */
static void die_with_room(scene *s)
{
    enum { DEATHS = 12 };
    struct statvfs disk;
    cask_db *db;

    mount_small(s->mount, "64m");
    (void)snprintf(s->store, sizeof(s->store), "%s/store", s->mount);
    s->options.segment_max_bytes = 256 << 20;
    for (unsigned i = 0; i < DEATHS; i++) {
        pid_t child = fork();
        int status = 1;

        if (child == 0) {
            db = open_store(s);
            put_some(s, db, i + 1, i + 1);
            must(cask_sync(db, &s->err) == CASK_OK, s, "sync");
            (void)raise(SIGKILL);
        }
        must(waitpid(child, &status, 0) == child && WIFSIGNALED(status), s,
             "write");
    }
    db = open_store(s);
    close_store(s, db);
    must(statvfs(s->mount, &disk) == 0 &&
             (disk.f_blocks - disk.f_bfree) * disk.f_frsize <
                 DEATHS * (VALUE_BYTES + (16 << 10)) + (128 << 10),
         s, "space that dead writers had allocated");
}

static void test_dead_writers_leave_no_room_allocated(void **state)
{
    assert_int_equal(run_in_child(state, die_with_room), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_region_of_a_dead_process_makes_room_for_the_next),
        TEST(test_region_dir_that_is_too_small_is_named),
        TEST(test_small_shm_moves_the_region_to_the_directory),
        TEST(test_full_region_fails_puts_until_there_is_room),
        TEST(test_store_in_use_elsewhere_is_refused),
        TEST(test_full_disk_fails_mapped_puts_until_there_is_room),
        TEST(test_full_disk_fails_committed_puts_until_there_is_room),
        TEST(test_full_disk_in_a_merge_changes_nothing),
        TEST(test_closed_store_on_a_full_disk_can_be_merged),
        TEST(test_deaths_on_a_full_disk_end_no_opens),
        TEST(test_dead_writers_leave_no_room_allocated),
        TEST(test_store_that_was_killed_on_a_full_disk_can_be_merged),
        TEST(test_store_is_created_when_there_is_room_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
