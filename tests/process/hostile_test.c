/*
 * What others may do to an open store: files of all kinds in place of its
 * region, a LOCK that vanishes, few descriptors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scene.h"

/* ---- The region ---- */

/* The name that the store's region has in /dev/shm, when it has one. */
static void region_path(scene *s, char ret_path[320])
{
    cask_db *db = open_store(s);
    cask_stats stats;

    require(s, cask_stat(db, &stats, &s->err));
    (void)snprintf(ret_path, 320, "%s", stats.region_path);
    close_store(s, db);
    assert_int_equal(access(ret_path, F_OK), -1);
}

static void check_planted(scene *s, const char *victim)
{
    struct stat before;
    struct stat after;
    cask_db *db;

    if (victim != NULL) {
        assert_int_equal(stat(victim, &before), 0);
    }
    db = open_store(s);
    put(s, db, "a", "1");
    expect(s, db, "a", "1");
    close_store(s, db);
    if (victim != NULL) {
        assert_int_equal(stat(victim, &after), 0);
        assert_int_equal(before.st_size, after.st_size);
        assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
        assert_int_equal(before.st_ino, after.st_ino);
    }
}

static void test_link_in_place_of_the_region_is_not_followed(void **state)
{
    scene *s = *state;
    char region[320];
    char victim[SCRATCH_PATH + 16];
    FILE *file;

    region_path(s, region);
    (void)snprintf(victim, sizeof(victim), "%s.victim", s->path);
    file = fopen(victim, "wb");
    assert_non_null(file);
    (void)fputs("somebody's file", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(symlink(victim, region), 0);
    check_planted(s, victim);
    (void)unlink(region);
    (void)unlink(victim);
}

static void test_directory_in_place_of_the_region_is_left_alone(void **state)
{
    scene *s = *state;
    char region[320];

    region_path(s, region);
    assert_int_equal(mkdir(region, 0700), 0);
    check_planted(s, NULL);
    assert_int_equal(rmdir(region), 0);
}

static void test_garbage_in_place_of_the_region_is_replaced(void **state)
{
    scene *s = *state;
    char region[320];
    FILE *file;

    region_path(s, region);
    file = fopen(region, "wb");
    assert_non_null(file);
    for (int i = 0; i < 5000; i++) {
        (void)fputs("garbage ", file);
    }
    assert_int_equal(fclose(file), 0);
    check_planted(s, NULL);
    (void)unlink(region);
}

/* Another user's file has the name: it is not used as a region. */
static void test_file_of_another_user_is_not_used(void **state)
{
    scene *s = *state;
    char region[320];
    struct stat info;
    cask_db *db;
    FILE *file;

    if (geteuid() != 0) {
        print_message("SKIPPED: needs root\n");
        skip();
    }
    region_path(s, region);
    file = fopen(region, "wb");
    assert_non_null(file);
    (void)fputs("of user 12345", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chown(region, 12345, 12345), 0);
    db = open_store(s);
    put(s, db, "a", "1");
    /* Replaced by one of our own, or left as it is. */
    if (stat(region, &info) == 0 && info.st_uid == 12345) {
        assert_int_equal(info.st_size, 13);
    }
    close_store(s, db);
    (void)unlink(region);
}

/* ---- LOCK ---- */

/* Somebody removes LOCK while the store is open: the others can no longer see
 * who lives. Nothing may be lost; a handle may be told to go. */
static void test_removed_lock_file_loses_nothing(void **state)
{
    scene *s = *state;
    char name[SCRATCH_PATH + 16];
    cask_verify_report report;
    cask_db *one = open_store(s);
    cask_db *two = NULL;
    cask_status status;

    put(s, one, "a", "1");
    (void)snprintf(name, sizeof(name), "%s/LOCK", s->path);
    assert_int_equal(unlink(name), 0);
    status = cask_open(s->path, &s->options, &two, &s->err);
    if (status == CASK_OK) {
        expect(s, two, "a", "1");
        put(s, two, "b", "2");
    } else {
        assert_true(s->err.message[0] != 0);
    }
    status = cask_put(one, cask_slice_of("c"), cask_slice_of("3"), &s->err);
    assert_true(status == CASK_OK || status == CASK_FENCED);
    if (status == CASK_OK && two != NULL) {
        expect(s, two, "c", "3");
    }
    (void)cask_close(one, NULL);
    if (two != NULL) {
        put(s, two, "d", "4");
        close_store(s, two);
    }
    one = open_store(s);
    expect(s, one, "a", "1");
    if (two != NULL) {
        expect(s, one, "b", "2");
        expect(s, one, "d", "4");
    }
    if (status == CASK_OK) {
        expect(s, one, "c", "3");
    }
    close_store(s, one);
    require(s, cask_verify(s->path, NULL, &report, &s->err));
}

static void test_garbage_in_the_lock_file_does_not_matter(void **state)
{
    scene *s = *state;
    char name[SCRATCH_PATH + 16];
    cask_db *db;
    FILE *file;

    close_store(s, open_store(s));
    (void)snprintf(name, sizeof(name), "%s/LOCK", s->path);
    file = fopen(name, "wb");
    assert_non_null(file);
    (void)fputs("4711\n", file);
    assert_int_equal(fclose(file), 0);
    db = open_store(s);
    put(s, db, "a", "1");
    close_store(s, db);
}

/* ---- Descriptors ---- */

enum { MANY_SEGMENTS = 40 };

static void fill_segments(scene *s)
{
    static char value[40000];
    cask_db *db = open_store(s);

    memset(value, 'v', sizeof(value) - 1);
    for (int i = 0; i < MANY_SEGMENTS; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "%d", i);
        put(s, db, key, value);
    }
    close_store(s, db);
}

/* With few descriptors everything can be read, by both ways of reading. */
static int read_with_few_descriptors(scene *s)
{
    const struct rlimit limit = {32, 32};

    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1;
    }
    for (int way = 0; way < 2; way++) {
        cask_db *db;

        s->options.io = way == 0 ? CASK_IO_MAP : CASK_IO_PREAD;
        s->options.max_descriptors = 8;
        db = open_store(s);
        for (int i = 0; i < MANY_SEGMENTS; i++) {
            cask_buffer value = {NULL, 0, 0};
            char key[16];

            (void)snprintf(key, sizeof(key), "%d", i);
            require(s, cask_get(db, cask_slice_of(key), &value, &s->err));
            cask_buffer_free(&value);
        }
        put(s, db, "more", "can be written");
        close_store(s, db);
    }
    return 0;
}

/* Fewer than an open needs: an error each time, until there are enough. */
static int open_with_too_few(scene *s)
{
    rlim_t most;

    for (most = 3; most < 64; most++) {
        const struct rlimit limit = {most, 64};
        cask_db *db = NULL;
        cask_status status;

        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return 1;
        }
        status = cask_open(s->path, &s->options, &db, &s->err);
        if (status == CASK_OK) {
            const struct rlimit more = {most + 8, 64};

            /* A read takes one, and the handle's thread some, now and then. */
            if (setrlimit(RLIMIT_NOFILE, &more) != 0) {
                return 1;
            }
            expect(s, db, "more", "can be written");
            (void)cask_close(db, NULL);
            break;
        }
        if (status != CASK_IO || s->err.os_errno != EMFILE) {
            (void)fprintf(stderr, "%d descriptors: %s: %s\n", (int)most,
                          cask_status_name(status), s->err.message);
            return 2;
        }
    }
    return most > 4 && most < 32 ? 0 : 3;
}

static void test_few_descriptors_are_enough(void **state)
{
    scene *s = *state;

    fill_segments(s);
    assert_int_equal(wait_for(start(read_with_few_descriptors, s)), 0);
    assert_int_equal(wait_for(start(open_with_too_few, s)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_link_in_place_of_the_region_is_not_followed),
        TEST(test_directory_in_place_of_the_region_is_left_alone),
        TEST(test_garbage_in_place_of_the_region_is_replaced),
        TEST(test_file_of_another_user_is_not_used),
        TEST(test_removed_lock_file_loses_nothing),
        TEST(test_garbage_in_the_lock_file_does_not_matter),
        TEST(test_few_descriptors_are_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
