/*
 * Symbolic links, fifos and directories where files of a store should be, and
 * beside them. They are ignored or refused, never followed, never waited for,
 * never deleted.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */

#include "crash/history.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A hang is a failure. */
enum { ALARM_S = 60 };

typedef struct place {
    char root[64];
    char store[96];
    char outside[96]; /* a directory that is nobody's business */
    history past;
} place;

/* What stands where a file should be. */
typedef enum thing {
    LINK_TO_NOTHING,
    LINK_TO_FILE,
    LINK_TO_DIRECTORY,
    FIFO,
    DIRECTORY,
    THINGS
} thing;

static const char *const thing_names[THINGS] = {
    "link to nothing", "link to the file", "link to a directory", "fifo",
    "directory"};

/* ---- The place ----------------------------------------------------------- */

static int setup(void **state)
{
    static place here;

    (void)alarm(ALARM_S);
    history_make(&here.past, HISTORY_CLOSED, crash_seed());
    (void)snprintf(here.root, sizeof(here.root), "%s/caskade-test-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(here.root));
    (void)snprintf(here.store, sizeof(here.store), "%s/store", here.root);
    (void)snprintf(here.outside, sizeof(here.outside), "%s/outside", here.root);
    assert_int_equal(mkdir(here.store, 0700), 0);
    assert_int_equal(mkdir(here.outside, 0700), 0);
    *state = &here;
    return 0;
}

static int remove_one(const char *path, const struct stat *stat, int kind,
                      struct FTW *ftw)
{
    (void)stat;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int teardown(void **state)
{
    place *here = *state;

    (void)alarm(0);
    remove_tree(here->root);
    history_free(&here->past);
    return 0;
}

/* The store as it was, and nothing else. */
static void restore(const place *here)
{
    remove_tree(here->store);
    remove_tree(here->outside);
    assert_int_equal(mkdir(here->outside, 0700), 0);
    image_restore(os_posix(), here->store, &here->past.image);
}

static void make_thing(const place *here, const char *name, thing kind)
{
    char path[256];
    char target[256];
    char parent[256];

    (void)snprintf(path, sizeof(path), "%s/%s", here->store, name);
    (void)snprintf(target, sizeof(target), "%s/%s", here->outside, name);
    (void)snprintf(parent, sizeof(parent), "%s", here->outside);
    switch (kind) {
    case LINK_TO_FILE:
        if (rename(path, target) != 0) {
            FILE *file = fopen(target, "w");

            assert_non_null(file);
            assert_true(fputs("precious", file) >= 0);
            assert_int_equal(fclose(file), 0);
        }
        assert_int_equal(symlink(target, path), 0);
        return;
    case LINK_TO_NOTHING:
    case LINK_TO_DIRECTORY:
        (void)remove(path);
        assert_int_equal(
            symlink(kind == LINK_TO_NOTHING ? target : parent, path), 0);
        return;
    case FIFO:
        (void)remove(path);
        assert_int_equal(mkfifo(path, 0600), 0);
        return;
    case DIRECTORY:
        (void)remove(path);
        assert_int_equal(mkdir(path, 0700), 0);
        return;
    case THINGS:
        break;
    }
}

static mode_t mode_of(const char *directory, const char *name)
{
    char path[256];
    struct stat stat;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return lstat(path, &stat) == 0 ? stat.st_mode & S_IFMT : 0;
}

static bool is_thing(const place *here, const char *name, thing kind)
{
    mode_t mode = mode_of(here->store, name);

    return mode == (kind == FIFO        ? (mode_t)S_IFIFO
                    : kind == DIRECTORY ? (mode_t)S_IFDIR
                                        : (mode_t)S_IFLNK);
}

/* Nothing was made through a link, nothing lost behind one. */
static void check_outside(const place *here, const char *name, thing kind)
{
    image now;

    if (kind == LINK_TO_FILE) {
        assert_int_equal(mode_of(here->outside, name), S_IFREG);
    }
    image_capture(os_posix(), here->outside, &now);
    /* image_capture() leaves LOCK out. */
    if (now.count != (kind == LINK_TO_FILE && strcmp(name, "LOCK") != 0)) {
        fail_msg("%s as %s: %zu files outside", name, thing_names[kind],
                 now.count);
    }
    image_free(&now);
}

/* ---- The store ----------------------------------------------------------- */

static cask_status open_here(const place *here, cask_damage damage,
                             bool read_only, cask_db **ret_db, cask_error *err)
{
    cask_options options = history_options();

    options.damage = damage;
    options.read_only = read_only;
    options.lock_timeout_ms = 1000;
    options.region_dir = here->root;
    return cask_open(here->store, &options, ret_db, err);
}

/* Every value as it was; CASK_CORRUPT only if something was replaced. */
static void check_values(const place *here, cask_db *db, bool may_fail)
{
    const history *past = &here->past;

    for (int k = 0; k < HISTORY_KEYS; k++) {
        cask_buffer value = {0};
        cask_status status = cask_get(db, history_key(k), &value, NULL);
        int right = history_state(past, past->count, k);

        if (status == CASK_OK) {
            assert_int_equal(history_step_of(past, k, value.data, value.size),
                             right);
        } else if (!may_fail) {
            assert_int_equal(status, CASK_NOT_FOUND);
            assert_int_equal(right, HISTORY_NONE);
        }
        cask_buffer_free(&value);
    }
}

static void check_error(const char *name, thing kind, cask_status status,
                        const cask_error *err)
{
    bool expected =
        status == CASK_CORRUPT || status == CASK_IO || status == CASK_INVALID;

    if (!expected || strstr(err->message, name) == NULL) {
        fail_msg("%s as %s: %s: %s", name, thing_names[kind],
                 cask_status_name(status), err->message);
    }
}

static void try_open(const place *here, const char *name, thing kind,
                     cask_damage damage, bool read_only)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;
    cask_status status;

    restore(here);
    make_thing(here, name, kind);
    status = open_here(here, damage, read_only, &db, &err);
    if (status == CASK_OK) {
        check_values(here, db, damage == CASK_DAMAGE_SERVE);
        assert_int_equal(cask_close(db, NULL), CASK_OK);
    } else {
        check_error(name, kind, status, &err);
    }
    check_outside(here, name, kind);
}

static void test_no_file_is_followed_or_waited_for(void **state)
{
    const place *here = *state;

    for (size_t i = 0; i < here->past.image.count; i++) {
        const char *name = here->past.image.files[i].name;

        for (int kind = 0; kind < THINGS; kind++) {
            try_open(here, name, (thing)kind, CASK_DAMAGE_FAIL, false);
            try_open(here, name, (thing)kind, CASK_DAMAGE_FAIL, true);
            try_open(here, name, (thing)kind, CASK_DAMAGE_SERVE, false);
            if (strstr(name, ".hint") == NULL &&
                !is_thing(here, name, (thing)kind)) {
                fail_msg("%s as %s was replaced", name, thing_names[kind]);
            }
        }
    }
}

static void test_lock_is_not_followed(void **state)
{
    const place *here = *state;

    for (int kind = 0; kind < THINGS; kind++) {
        cask_error err = {CASK_OK, 0, ""};
        cask_db *db = NULL;
        cask_status status;

        restore(here);
        make_thing(here, "LOCK", (thing)kind);
        status = open_here(here, CASK_DAMAGE_FAIL, false, &db, &err);
        assert_int_not_equal(status, CASK_OK);
        check_error("LOCK", (thing)kind, status, &err);
        assert_true(is_thing(here, "LOCK", (thing)kind));
        check_outside(here, "LOCK", (thing)kind);
    }
}

/* Names like the store's own, of things that no store makes. */
static void test_what_lies_beside_the_files_stays(void **state)
{
    static const char *const names[] = {
        "00000000000000ff.log", "00000000000000ff.hint", "notes",
        "0000000000000001.log.old", "00000000000000FF.log"};
    const place *here = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (int kind = 0; kind < THINGS; kind++) {
            cask_error err = {CASK_OK, 0, ""};
            cask_db *db = NULL;

            restore(here);
            make_thing(here, names[i], (thing)kind);
            if (open_here(here, CASK_DAMAGE_FAIL, false, &db, &err) !=
                CASK_OK) {
                fail_msg("%s as %s: %s", names[i], thing_names[kind],
                         err.message);
            }
            check_values(here, db, false);
            assert_int_equal(cask_close(db, NULL), CASK_OK);
            if (!is_thing(here, names[i], (thing)kind)) {
                fail_msg("%s as %s was removed", names[i], thing_names[kind]);
            }
            check_outside(here, names[i], (thing)kind);
        }
    }
}

static void remove_hint(const place *here)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/0000000000000001.hint", here->store);
    assert_int_equal(remove(path), 0);
}

/* Names that the store itself writes to and renames. */
static void test_new_files_are_not_written_through_links(void **state)
{
    static const char *const names[] = {"MANIFEST.new",
                                        "0000000000000001.hint.new"};
    const place *here = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (int kind = 0; kind < THINGS; kind++) {
            cask_error err = {CASK_OK, 0, ""};
            cask_db *db = NULL;
            cask_status status;

            restore(here);
            remove_hint(here);
            make_thing(here, names[i], (thing)kind);
            status = open_here(here, CASK_DAMAGE_FAIL, false, &db, &err);
            if (status == CASK_OK) {
                check_values(here, db, false);
                assert_int_equal(
                    cask_put(db, cask_slice_of("k"), cask_slice_of("v"), NULL),
                    CASK_OK);
                (void)cask_close(db, NULL);
            } else {
                check_error(names[i], (thing)kind, status, &err);
            }
            check_outside(here, names[i], (thing)kind);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_file_is_followed_or_waited_for),
        cmocka_unit_test(test_lock_is_not_followed),
        cmocka_unit_test(test_what_lies_beside_the_files_stays),
        cmocka_unit_test(test_new_files_are_not_written_through_links),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
