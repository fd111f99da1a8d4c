/*
 * Failures that were found in Riak's Bitcask, each as a claim about this store:
 * those that need real processes, users and file modes. The others are in
 * tests/unit/hash/bitcask_failures_test.c; docs/TESTING.md has the table.
 */
#define _GNU_SOURCE
#include "scene.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEYS = 300 };

static void put_keys(scene *s, cask_db *db, const char *value)
{
    for (int i = 0; i < KEYS; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", i);
        put(s, db, key, value);
    }
}

static void expect_keys(scene *s, cask_db *db, const char *value)
{
    for (int i = 0; i < KEYS; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", i);
        expect(s, db, key, value);
    }
}

/* A value of 2000 bytes: 300 of them fill ten segments. */
static const char *large(char fill)
{
    static char value[2001];

    memset(value, fill, sizeof(value) - 1);
    return value;
}

static bool count_entry(void *context, const cask_entry *entry)
{
    (void)entry;
    ++*(unsigned *)context;
    return true;
}

static unsigned fold(scene *s, cask_db *db)
{
    unsigned count = 0;

    require(s, cask_fold(db, NULL, count_entry, &count, &s->err));
    return count;
}

/* ---- 6 ---- */

/* chmod -R; returns how many files there are. */
static unsigned change_modes(const scene *s, mode_t mode)
{
    DIR *directory = opendir(s->path);
    const struct dirent *entry;
    unsigned count = 0;

    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.') {
            assert_int_equal(fchmodat(dirfd(directory), entry->d_name, mode, 0),
                             0);
            count++;
        }
    }
    (void)closedir(directory);
    assert_int_equal(chmod(s->path, mode), 0);
    return count;
}

static void test_06_modes_of_files_mean_nothing(void **state)
{
    static const mode_t modes[] = {0777, 04777, 0700, 0755};
    scene *s = *state;
    cask_db *db = open_store(s);
    unsigned files;

    s->options.auto_merge = false;
    put_keys(s, db, large('a'));
    close_store(s, db);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        files = change_modes(s, modes[i]);
        s->options.read_only = true;
        db = open_store(s);
        expect_keys(s, db, large('a'));
        close_store(s, db);
        s->options.read_only = false;
        db = open_store(s);
        expect_keys(s, db, large('a'));
        assert_int_equal(fold(s, db), KEYS);
        close_store(s, db);
        assert_int_equal(change_modes(s, modes[i]), files);
    }
}

/* ---- 7 ---- */

enum { ROOT = 0, NOBODY = 65534 };

/* Who a child is to be. */
static uid_t child_user;

static bool become_user(void)
{
    if (geteuid() != child_user && setuid(child_user) != 0) {
        return false;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* which setuid() has cleared */
    return true;
}

/* Hold the only write role, and make it known by a file. */
static int hold(scene *s)
{
    char path[SCRATCH_PATH + 8];
    cask_db *db;

    if (!become_user()) {
        return 1;
    }
    s->options.exclusive = true;
    db = open_store(s);
    put(s, db, "held", "yes");
    (void)snprintf(path, sizeof(path), "%s.held", s->path);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    (void)pause();
    return 0;
}

static pid_t start_holder(scene *s, uid_t user)
{
    char path[SCRATCH_PATH + 8];
    pid_t pid;

    child_user = user;
    pid = start(hold, s);
    (void)snprintf(path, sizeof(path), "%s.held", s->path);
    for (int i = 0; i < 10000 && access(path, F_OK) != 0; i++) {
        (void)usleep(1000);
    }
    assert_int_equal(unlink(path), 0);
    return pid;
}

/* Its exit status is that of the open. */
static int open_and_look(scene *s)
{
    cask_db *db = NULL;
    cask_status status;

    if (!become_user()) {
        return 255;
    }
    status = cask_open(s->path, &s->options, &db, &s->err);
    if (status == CASK_OK) {
        expect(s, db, "held", "yes");
        close_store(s, db);
    }
    return (int)status;
}

static cask_status open_as(scene *s, uid_t user)
{
    child_user = user;
    return (cask_status)wait_for(start(open_and_look, s));
}

/* A store that any user may write to. */
static void make_common_store(scene *s)
{
    s->options.file_mode = 0666;
    close_store(s, open_store(s));
    assert_int_equal(chmod(s->path, 0777), 0);
}

/*
 * What one user's process holds another user's does not get while it lives, and
 * gets as soon as it is dead.
 *
 *   region_dir  where the second one looks for the region; NULL: where the
 *               first one has it
 *   refused     what it gets
 */
static void check_users(scene *s, uid_t holder, uid_t other,
                        const char *region_dir, cask_status refused)
{
    pid_t pid;

    make_common_store(s);
    pid = start_holder(s, holder);
    for (int i = 0; i < 3; i++) {
        s->options.region_dir = region_dir;
        assert_int_equal(open_as(s, other), refused);
        s->options.region_dir = NULL;
        assert_int_equal(open_as(s, holder), CASK_BUSY); /* it still holds it */
    }
    end(pid);
    s->options.region_dir = region_dir;
    assert_int_equal(open_as(s, other), CASK_OK);
    s->options.region_dir = NULL;
    assert_int_equal(open_as(s, holder), CASK_OK); /* the region it left goes */
}

static void skip_unless_root(void)
{
    if (geteuid() != ROOT) {
        print_message("skipped: only root can be two users\n");
        skip();
    }
}

/* The region is another user's, and not trusted; but that alone refuses nobody:
 * without the lock it would be left aside, and another one made. */
static void test_07_a_live_lock_of_another_user_is_respected(void **state)
{
    skip_unless_root();
    check_users(*state, NOBODY, ROOT, NULL, CASK_INVALID);
}

static void test_07_nor_is_it_stolen_by_one_with_fewer_rights(void **state)
{
    skip_unless_root();
    check_users(*state, ROOT, NOBODY, NULL, CASK_NAMESPACE);
}

/* Nothing but the lock tells of it. */
static void test_07_nor_if_the_region_is_not_to_be_seen(void **state)
{
    scene *s = *state;
    char regions[SCRATCH_PATH + 16];

    skip_unless_root();
    (void)snprintf(regions, sizeof(regions), "%s.regions", s->path);
    assert_int_equal(mkdir(regions, 0777), 0);
    assert_int_equal(chmod(regions, 0777), 0);
    check_users(s, NOBODY, ROOT, regions, CASK_NAMESPACE);
    assert_int_equal(rmdir(regions), 0);
}

static void test_07_a_live_lock_of_the_same_user_is_respected(void **state)
{
    scene *s = *state;
    cask_db *db = NULL;
    pid_t pid = start_holder(s, geteuid());

    for (int i = 0; i < 3; i++) {
        assert_int_equal(cask_open(s->path, &s->options, &db, &s->err),
                         CASK_BUSY);
    }
    end(pid);
    db = open_store(s);
    expect(s, db, "held", "yes");
    close_store(s, db);
}

static void write_lock_file(const scene *s, const char *text)
{
    char path[SCRATCH_PATH + 8];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/LOCK", s->path);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

static void test_07_what_is_in_a_lock_file_blocks_nobody(void **state)
{
    scene *s = *state;
    char living[SCRATCH_PATH + 16];
    cask_db *db = open_store(s);

    put(s, db, "a", "1");
    close_store(s, db);
    (void)snprintf(living, sizeof(living), "%d %s\n", (int)getppid(), s->path);
    for (int i = 0; i < 3; i++) {
        write_lock_file(s, i == 0 ? "" : i == 1 ? living : "999999999 x\n");
        s->options.exclusive = i == 2;
        db = open_store(s);
        expect(s, db, "a", "1");
        put(s, db, "a", "1");
        close_store(s, db);
    }
}

/* ---- 8 ---- */

static int merge_everything(scene *s)
{
    const cask_merge_options options = {.all = true};
    cask_db *db = open_store(s);
    cask_merge_report report;

    put_keys(s, db, large('b'));
    require(s, cask_merge(db, &options, &report, &s->err));
    close_store(s, db);
    return report.inputs > 0 ? 0 : 1;
}

static void test_08_readers_see_all_while_another_process_merges(void **state)
{
    scene *s = *state;
    cask_db *writer;
    cask_db *reader;

    s->options.auto_merge = false;
    writer = open_store(s);
    put_keys(s, writer, large('a'));
    s->options.read_only = true;
    reader = open_store(s);
    s->options.read_only = false;
    expect_keys(s, reader, large('a'));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wait_for(start(merge_everything, s)), 0);
        assert_int_equal(fold(s, reader), KEYS);
        assert_int_equal(fold(s, writer), KEYS);
        expect_keys(s, reader, large('b'));
        expect_keys(s, writer, large('b'));
        put_keys(s, writer, large('c'));
        expect_keys(s, reader, large('c'));
    }
    close_store(s, reader);
    close_store(s, writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_06_modes_of_files_mean_nothing),
        TEST(test_07_a_live_lock_of_another_user_is_respected),
        TEST(test_07_nor_is_it_stolen_by_one_with_fewer_rights),
        TEST(test_07_nor_if_the_region_is_not_to_be_seen),
        TEST(test_07_a_live_lock_of_the_same_user_is_respected),
        TEST(test_07_what_is_in_a_lock_file_blocks_nobody),
        TEST(test_08_readers_see_all_while_another_process_merges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
