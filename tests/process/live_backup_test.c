/*
 * Backups of a store that processes write batches to, delete from and merge
 * all the while; backups that are killed. Each one that is made is the store
 * of one moment: batches whole, nothing that was acknowledged before it began
 * missing, nothing of later in it.
 *
 *   live_backup_test [tree]  the store is of the tree engine; then writers
 *                            flush and compact all the while
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scene.h"
#include "support/random.h"

enum {
    WRITERS = 3,
    GROUP = 12,    /* keys of a batch, all with the same value */
    PADDING = 400, /* bytes of a value behind its number */
    BACKUPS = 80,  /* made, one after another; of a tree TREE_BACKUPS */
    TREE_BACKUPS = 25,
    ATTEMPTS = 2000, /* most rounds, killed ones included */
    PATH = SCRATCH_PATH + 32
};

/* What writers have begun and what was acknowledged: outside the store. */
typedef struct share {
    _Atomic uint64_t begun[WRITERS];
    _Atomic uint64_t acked[WRITERS];
    _Atomic int ready; /* writers */
} share;

static share *shared;
static bool is_tree;
static char store_path[PATH];

typedef struct value {
    uint64_t number;
    char padding[PADDING];
} value;

static void key_of(int writer, int key, char text[16])
{
    (void)snprintf(text, 16, "%u-%u", (unsigned)writer % 100,
                   (unsigned)key % 100);
}

/* ---- Writers ------------------------------------------------------------- */

static void fill_batch(cask_batch *batch, int writer, uint64_t number)
{
    value v = {.number = number};
    char key[16];

    memset(v.padding, (int)(number & 0x7f), sizeof(v.padding));
    for (int i = 0; i < GROUP; i++) {
        key_of(writer, i, key);
        if (cask_batch_put(batch, cask_slice_of(key),
                           (cask_slice){&v, sizeof(v)}, 0, NULL) != CASK_OK) {
            _exit(2);
        }
    }
    /* Even numbers delete what odd ones put. */
    key_of(writer, GROUP, key);
    if ((number % 2 == 0 ? cask_batch_delete(batch, cask_slice_of(key), NULL)
                         : cask_batch_put(batch, cask_slice_of(key),
                                          (cask_slice){&v, sizeof(v)}, 0,
                                          NULL)) != CASK_OK) {
        _exit(2);
    }
}

static int write_batches(scene *s, int writer)
{
    cask_batch *batch = NULL;
    cask_db *db = NULL;

    if (cask_open(store_path, &s->options, &db, NULL) != CASK_OK ||
        cask_batch_create(&batch, NULL) != CASK_OK) {
        return 1;
    }
    for (uint64_t number = 1;; number++) {
        cask_batch_clear(batch);
        fill_batch(batch, writer, number);
        atomic_store(&shared->begun[writer], number);
        if (cask_write(db, batch, NULL) != CASK_OK) {
            return 3;
        }
        atomic_store(&shared->acked[writer], number);
        if (number == 1) {
            atomic_fetch_add(&shared->ready, 1);
        }
        if (number % 64 == 0 && writer == 0 &&
            cask_merge(db, &(cask_merge_options){.all = true}, NULL, NULL) !=
                CASK_OK) {
            return 4;
        }
    }
}

static int writer_0(scene *s)
{
    return write_batches(s, 0);
}

static int writer_1(scene *s)
{
    return write_batches(s, 1);
}

static int writer_2(scene *s)
{
    return write_batches(s, 2);
}

/* ---- A backup ------------------------------------------------------------ */

static char out_path[PATH];
static char earlier_path[PATH];

static int make_backup(scene *s)
{
    const cask_backup_options what = {
        .earlier = earlier_path[0] == 0 ? NULL : earlier_path};
    cask_options options = s->options;
    cask_error err;
    cask_db *db = NULL;

    options.create_if_missing = false;
    options.read_only = true;
    if (cask_open(store_path, &options, &db, &err) != CASK_OK ||
        cask_backup(db, out_path, &what, NULL, &err) != CASK_OK) {
        (void)fprintf(stderr, "backup: %s\n", err.message);
        return 1;
    }
    return cask_close(db, NULL) == CASK_OK ? 0 : 2;
}

static uint64_t number_at(scene *s, cask_db *db, int writer, int key)
{
    cask_buffer found = {NULL, 0, 0};
    uint64_t number = 0;
    cask_status status;
    char text[16];

    key_of(writer, key, text);
    status = cask_get(db, cask_slice_of(text), &found, &s->err);
    if (status != CASK_NOT_FOUND) {
        require(s, status);
        assert_int_equal(found.size, sizeof(value));
        memcpy(&number, found.data, sizeof(number));
    }
    cask_buffer_free(&found);
    return number;
}

/* Between what was acknowledged before and what was begun until it ended. */
static void check_backup(scene *s, const uint64_t *least)
{
    cask_options options = s->options;
    cask_verify_report report;
    cask_db *db = NULL;

    require(s, cask_verify(out_path, NULL, &report, &s->err));
    options.create_if_missing = false;
    options.read_only = true;
    require(s, cask_open(out_path, &options, &db, &s->err));
    for (int writer = 0; writer < WRITERS; writer++) {
        uint64_t number = number_at(s, db, writer, 0);

        assert_true(number >= least[writer]);
        assert_true(number <= atomic_load(&shared->begun[writer]));
        for (int i = 1; i < GROUP; i++) {
            assert_int_equal(number_at(s, db, writer, i), number);
        }
        assert_int_equal(number_at(s, db, writer, GROUP),
                         number % 2 == 0 ? 0 : number);
    }
    require(s, cask_close(db, &s->err));
}

/* Nothing that could be taken for a store. */
static void check_remains(scene *s)
{
    struct stat unused;
    char name[PATH + 16];
    cask_options options = s->options;
    cask_db *db = NULL;

    (void)snprintf(name, sizeof(name), "%s/CASKADE", out_path);
    if (stat(name, &unused) == 0) {
        return; /* killed after it was done */
    }
    options.create_if_missing = false;
    assert_int_not_equal(cask_open(out_path, &options, &db, NULL), CASK_OK);
}

static void begin(scene *s)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    (void)snprintf(store_path, sizeof(store_path), "%s/store", s->path);
    earlier_path[0] = 0;
    if (is_tree) {
        s->options.engine = CASK_ENGINE_TREE;
        s->options.memtable_bytes = 64 << 10;
    }
}

/* The next path for a backup, while another is the earlier one. */
static void turn(const scene *s, int made)
{
    (void)snprintf(earlier_path, sizeof(earlier_path), "%s", out_path);
    (void)snprintf(out_path, sizeof(out_path), "%s/out-%d", s->path, made % 2);
    scratch_remove(out_path);
}

/* One backup, killed after some time; true: it was not. */
static bool attempt(scene *s, test_random *random, uint64_t *least)
{
    bool is_killed = test_random_chance(random, 60);
    pid_t pid;
    int result;

    for (int i = 0; i < WRITERS; i++) {
        least[i] = atomic_load(&shared->acked[i]);
    }
    pid = start(make_backup, s);
    if (is_killed) {
        (void)usleep((useconds_t)test_random_next(random, 12000));
        (void)kill(pid, SIGKILL);
    }
    result = wait_for(pid);
    if (is_killed && result == 256 + SIGKILL) {
        check_remains(s);
        return false;
    }
    assert_int_equal(result, 0);
    return true;
}

static void test_backups_under_load_are_of_one_moment(void **state)
{
    static int (*const run[WRITERS])(scene * s) = {writer_0, writer_1,
                                                   writer_2};
    scene *s = *state;
    test_random random = test_random_make(test_seed(), 1);
    uint64_t least[WRITERS];
    cask_verify_report report;
    pid_t writers[WRITERS];
    cask_db *db = NULL;
    const int wanted = is_tree ? TREE_BACKUPS : BACKUPS;
    int killed = 0;
    int made = 0;

    begin(s);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = start(run[i], s);
    }
    while (atomic_load(&shared->ready) < WRITERS) {
        (void)usleep(1000);
    }
    (void)snprintf(out_path, sizeof(out_path), "%s/out-0", s->path);
    for (int i = 0; i < ATTEMPTS && made < wanted; i++) {
        if (attempt(s, &random, least)) {
            check_backup(s, least);
            /* Its index agrees with its log, whatever happens meanwhile. */
            require(s, cask_verify(store_path, NULL, &report, &s->err));
            turn(s, ++made);
        } else {
            killed++;
            scratch_remove(out_path);
        }
    }
    assert_int_equal(made, wanted);
    assert_true(killed > 0);
    for (int i = 0; i < WRITERS; i++) {
        end(writers[i]);
    }
    require(s, cask_open(store_path, &s->options, &db, &s->err));
    close_store(s, db);
    require(s, cask_verify(store_path, NULL, &report, &s->err));
    assert_int_equal(munmap(shared, sizeof(*shared)), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_backups_under_load_are_of_one_moment),
    };

    is_tree = argc > 1 && strcmp(argv[1], "tree") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
