/*
 * A backup is the store as of one moment, a store of its own; neither ever
 * writes what they share. What a failed or cut-off backup leaves is no store.
 *
 *   backup_test [tree]  the stores are of the tree engine
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "db/db.h"
#include "log/identity_format.h"
#include "log/manifest.h"
#include "log/segment_format.h"
#include "os/os_fault.h"
#include "store/store_open.h"

#define OUT "/out"
#define NEXT "/next"
#define SHM "/dev/shm"

enum { VALUE_BYTES = 5000, KEYS = 60 };

static bool is_tree;

static int prepare(void **state)
{
    handle *h;

    (void)handle_prepare(state);
    h = *state;
    h->options.engine = is_tree ? CASK_ENGINE_TREE : CASK_ENGINE_HASH;
    h->options.memtable_bytes = 64 << 10;
    return 0;
}

/* ---- What is in a store -------------------------------------------------- */

typedef struct digest {
    uint64_t entries;
    uint32_t crc; /* of all entries, in the order of the log */
} digest;

static bool add_entry(void *context, const cask_entry *entry)
{
    digest *d = context;

    d->entries++;
    d->crc = crc32c(d->crc, entry->key.data, entry->key.size);
    d->crc = crc32c(d->crc, entry->value.data, entry->value.size);
    d->crc = crc32c(d->crc, &entry->info.sequence, 8);
    d->crc = crc32c(d->crc, &entry->info.expires_at_ms, 8);
    d->crc = crc32c(d->crc, &entry->info.time_s, 4);
    return true;
}

static digest digest_of(cask_db *db)
{
    digest d = {0, 0};

    assert_int_equal(cask_fold(db, NULL, add_entry, &d, NULL), CASK_OK);
    return d;
}

static void check_digest(digest found, digest expected)
{
    assert_int_equal(found.entries, expected.entries);
    assert_int_equal(found.crc, expected.crc);
}

static cask_db *open_at(os *kernel, const char *path, bool read_only)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_options options;
    cask_db *db = NULL;

    cask_options_init(&options);
    options.read_only = read_only;
    options.auto_merge = false;
    options.segment_max_bytes = 64 << 10;
    options.memtable_bytes = 64 << 10;
    if (db_open_on(kernel, path, &options, &db, &err) != CASK_OK) {
        fail_msg("open %s: %s", path, err.message);
    }
    return db;
}

static void check_whole(handle *h, const char *path, digest expected)
{
    cask_db *db = open_at(h->kernel, path, true);
    cask_verify_report report;
    cask_error err = {CASK_OK, 0, ""};

    check_digest(digest_of(db), expected);
    assert_int_equal(cask_close(db, NULL), CASK_OK);
    if (db_verify_on(h->kernel, path, NULL, &report, &err) != CASK_OK) {
        fail_msg("verify %s: %s", path, err.message);
    }
    assert_int_equal(report.problems, 0);
}

/* ---- Filling it ---------------------------------------------------------- */

static void put_all(handle *h, int from, int to, uint64_t seed)
{
    uint8_t *bytes = make_bytes(VALUE_BYTES, seed);

    for (int i = from; i < to; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", i);
        put_bytes(h, key, bytes, VALUE_BYTES);
    }
    free(bytes);
}

/* Several segments, outputs of a merge, deletes, expiry, an active segment. */
static void fill(handle *h)
{
    const cask_write_options late = {.expires_at_ms = HANDLE_NOW_MS + 1000};
    const cask_write_options past = {.expires_at_ms = 1000};

    h->options.segment_max_bytes = 64 << 10;
    handle_open(h);
    put_all(h, 0, KEYS, 1);
    put_all(h, 0, KEYS / 2, 2);
    delete_text(h, "key 3");
    assert_int_equal(
        cask_merge(h->db, &(cask_merge_options){.all = true}, NULL, NULL),
        CASK_OK);
    put_all(h, 10, 30, 3);
    delete_text(h, "key 50");
    assert_int_equal(cask_put_with(h->db, cask_slice_of("late"),
                                   cask_slice_of("value"), &late, NULL, NULL),
                     CASK_OK);
    assert_int_equal(cask_put_with(h->db, cask_slice_of("key 51"),
                                   cask_slice_of("value"), &past, NULL, NULL),
                     CASK_OK);
}

static cask_status try_backup(handle *h, const char *out, const char *earlier,
                              cask_backup_report *ret_report, cask_error *err)
{
    const cask_backup_options options = {.earlier = earlier};

    return cask_backup(h->db, out, &options, ret_report, err);
}

static cask_backup_report back_up(handle *h, const char *out,
                                  const char *earlier)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_backup_report report;

    if (try_backup(h, out, earlier, &report, &err) != CASK_OK) {
        fail_msg("backup: %s", err.message);
    }
    return report;
}

/* ---- The copy ------------------------------------------------------------ */

static void test_a_backup_is_the_store_of_one_moment(void **state)
{
    handle *h = *state;
    cask_backup_report report;
    digest before;

    fill(h);
    before = digest_of(h->db);
    report = back_up(h, OUT, NULL);
    assert_true(report.segments + report.runs >= 3);
    assert_true(report.linked_segments == report.segments - 1);
    assert_true(report.linked_runs == report.runs);
    assert_int_equal(report.runs > 0, is_tree);
    assert_true(report.copied_bytes > 0);
    put_text(h, "key 0", "later");
    put_text(h, "new", "later");
    delete_text(h, "key 1");
    check_whole(h, OUT, before);
    check_text(h, "new", "later");
}

static void test_settings_come_along(void **state)
{
    const cask_config_change change = {"expiry_grace_seconds", "77"};
    handle *h = *state;
    cask_buffer text = {NULL, 0, 0};
    handle other;

    fill(h);
    assert_int_equal(cask_config_set(h->db, &change, 1, NULL), CASK_OK);
    (void)back_up(h, OUT, NULL);
    other = *h;
    other.db = open_at(h->kernel, OUT, true);
    assert_int_equal(cask_config_get(other.db, change.name, &text, NULL),
                     CASK_OK);
    assert_int_equal(text.size, 2);
    assert_memory_equal(text.data, change.value, 2);
    cask_buffer_free(&text);
    handle_close(&other);
}

static void test_an_empty_store_has_a_backup_too(void **state)
{
    handle *h = *state;

    handle_open(h);
    assert_int_equal(back_up(h, OUT, NULL).segments, 0);
    check_whole(h, OUT, (digest){0, 0});
}

/* Both are open at once, in one process, and both are written to and merged. */
static void test_store_and_backup_go_their_own_ways(void **state)
{
    handle *h = *state;
    uint8_t *mine = make_bytes(VALUE_BYTES, 9);
    handle other;
    digest here;
    digest there;

    fill(h);
    (void)back_up(h, OUT, NULL);
    here = digest_of(h->db);
    other = *h;
    other.db = open_at(h->kernel, OUT, false);
    check_digest(digest_of(other.db), here);

    put_all(&other, 0, KEYS, 9);
    delete_text(&other, "key 7");
    assert_int_equal(
        cask_merge(other.db, &(cask_merge_options){.all = true}, NULL, NULL),
        CASK_OK);
    check_digest(digest_of(h->db), here);

    put_all(h, 0, KEYS, 10);
    there = digest_of(other.db);
    assert_int_equal(
        cask_merge(h->db, &(cask_merge_options){.all = true}, NULL, NULL),
        CASK_OK);
    check_digest(digest_of(other.db), there);
    check_bytes(&other, "key 8", mine, VALUE_BYTES);
    here = digest_of(h->db);
    handle_close(&other);
    handle_close(h);
    check_whole(h, HANDLE_PATH, here);
    check_whole(h, OUT, there);
    free(mine);
}

static void test_a_reader_may_make_it(void **state)
{
    handle *h = *state;
    handle reader;
    digest before;

    fill(h);
    before = digest_of(h->db);
    reader = *h;
    reader.db = open_at(h->kernel, HANDLE_PATH, true);
    (void)back_up(&reader, OUT, NULL);
    handle_close(&reader);
    handle_close(h);
    check_whole(h, OUT, before);

    /* With an index of its own: nobody else has it open. */
    reader.db = open_at(h->kernel, HANDLE_PATH, true);
    (void)back_up(&reader, NEXT, NULL);
    handle_close(&reader);
    check_whole(h, NEXT, before);
}

/* It copies from its mapping what others have merged away since. */
static void test_a_private_index_backs_up_what_it_sees(void **state)
{
    handle *h = *state;
    handle reader;
    digest before;

    fill(h);
    handle_close(h);
    reader = *h;
    reader.db = open_at(h->kernel, HANDLE_PATH, true);
    before = digest_of(reader.db);
    handle_open(h);
    put_all(h, 0, KEYS, 4);
    assert_int_equal(
        cask_merge(h->db, &(cask_merge_options){.all = true}, NULL, NULL),
        CASK_OK);
    (void)back_up(&reader, OUT, NULL);
    handle_close(&reader);
    check_whole(h, OUT, before);
}

/* ---- Incremental --------------------------------------------------------- */

/* On another disk than the store nothing can be linked but from a backup. */
static void test_an_earlier_backup_gives_what_it_has(void **state)
{
    handle *h = *state;
    cask_backup_report first;
    cask_backup_report second;
    digest before;

    fill(h);
    first = back_up(h, SHM "/first", NULL);
    assert_int_equal(first.linked_segments, 0);
    put_all(h, 30, 45, 5);
    before = digest_of(h->db);
    second = back_up(h, SHM "/second", SHM "/first");
    assert_true(second.linked_segments >= first.segments - 1);
    assert_true(second.copied_bytes < first.copied_bytes);
    check_whole(h, SHM "/second", before);

    /* A chain: each is complete, and outlives the one before it. */
    put_all(h, 0, 5, 6);
    before = digest_of(h->db);
    second = back_up(h, SHM "/third", SHM "/second");
    assert_true(second.linked_segments >= first.segments);
    check_whole(h, SHM "/third", before);
}

/* What was not synced is in the backup, and is lost then: other records of the
 * same size take its place. */
static void test_what_a_power_cut_took_is_not_in_the_next(void **state)
{
    handle *h = *state;

    h->options.sync = CASK_SYNC_NONE;
    for (uint64_t seed = 0; seed < 8; seed++) {
        char first[32];
        char second[32];
        digest before;

        handle_open(h);
        put_text(h, "kept", "value");
        assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
        put_text(h, "lost", "value");
        (void)snprintf(first, sizeof(first), "/first%d", (int)seed);
        (void)back_up(h, first, NULL);
        os_sim_cut(h->sim);
        (void)cask_close(h->db, NULL);
        assert_int_equal(os_sim_crash(h->sim, seed), 0);
        handle_open(h);
        put_text(h, "LOST", "VALUE");
        before = digest_of(h->db);
        (void)snprintf(second, sizeof(second), "/second%d", (int)seed);
        (void)back_up(h, second, first);
        check_whole(h, second, before);
        handle_close(h);
    }
}

/* The first time that the backup tells of its progress. */
typedef struct meanwhile {
    handle *h;
    unsigned calls;
} meanwhile;

static bool merge_meanwhile(void *context, uint64_t done, uint64_t total)
{
    meanwhile *m = context;

    (void)done;
    (void)total;
    if (m->calls++ == 0) {
        put_all(m->h, 0, KEYS, 11);
        assert_int_equal(cask_merge(m->h->db,
                                    &(cask_merge_options){.all = true}, NULL,
                                    NULL),
                         CASK_OK);
        put_all(m->h, 0, KEYS, 12);
    }
    return true;
}

/* Linked or copied: what it has not come to yet must not go. */
static void test_merges_meanwhile_take_nothing_away(void **state)
{
    static const char *const outs[] = {OUT, SHM "/copy"};
    handle *h = *state;

    fill(h);
    for (size_t i = 0; i < 2; i++) {
        handle other = *h;
        meanwhile m = {.h = &other};
        const cask_backup_options options = {.on_progress = merge_meanwhile,
                                             .context = &m};
        digest before = digest_of(h->db);
        cask_error err = {CASK_OK, 0, ""};

        other.db = open_at(h->kernel, HANDLE_PATH, false);
        if (cask_backup(h->db, outs[i], &options, NULL, &err) != CASK_OK) {
            fail_msg("%s: %s", outs[i], err.message);
        }
        assert_true(m.calls > 1);
        check_whole(h, outs[i], before);
        handle_close(&other);
    }
}

static void test_another_store_is_no_earlier_backup(void **state)
{
    handle *h = *state;
    handle other;
    cask_error err;

    fill(h);
    other = *h;
    other.options.create_if_missing = true;
    assert_int_equal(
        db_open_on(h->kernel, "/other", &other.options, &other.db, NULL),
        CASK_OK);
    handle_close(&other);
    assert_int_equal(try_backup(h, OUT, "/other", NULL, &err), CASK_INVALID);
    assert_non_null(strstr(err.message, "is not of this store"));
    assert_int_equal(try_backup(h, OUT, "/none", NULL, &err), CASK_INVALID);
    assert_int_equal(try_backup(h, OUT, HANDLE_PATH, NULL, &err), CASK_OK);
}

/* ---- What it refuses ----------------------------------------------------- */

static void test_a_directory_that_is_not_empty_is_refused(void **state)
{
    handle *h = *state;
    cask_error err;

    fill(h);
    assert_int_equal(try_backup(h, HANDLE_PATH, NULL, NULL, &err),
                     CASK_INVALID);
    assert_int_equal(h->kernel->ops->make_dir(h->kernel, OUT, 0700), 0);
    (void)back_up(h, OUT, NULL);
    assert_int_equal(try_backup(h, OUT, NULL, NULL, &err), CASK_INVALID);
    assert_non_null(strstr(err.message, "is not empty"));
    assert_int_equal(try_backup(h, HANDLE_PATH "/in/", NULL, NULL, &err),
                     CASK_INVALID);
    assert_non_null(strstr(err.message, "is in the store's own directory"));
    assert_int_equal(try_backup(h, "/no/out", NULL, NULL, &err), CASK_IO);
    assert_int_equal(cask_backup(h->db, NULL, NULL, NULL, &err), CASK_INVALID);
}

static bool is_empty_name(void *context, const char *name)
{
    (void)name;
    *(bool *)context = false;
    return false;
}

/* Nothing in it, or not even the directory. */
static bool is_empty(os *kernel, const char *path)
{
    bool empty = true;
    os_file *dir;

    if (kernel->ops->open_dir(kernel, path, &dir) != 0) {
        return true;
    }
    assert_int_equal(kernel->ops->list(dir, is_empty_name, &empty), 0);
    kernel->ops->close(dir);
    return empty;
}

static void damage(handle *h, uint64_t id)
{
    const os_ops *ops = h->kernel->ops;
    const os_span span = {"damaged!", 8};
    char name[SEGMENT_NAME_SIZE];
    os_file *dir;
    os_file *file;

    segment_name_format(id, name);
    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->open(dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(ops->write_at(file, &span, 1, 1000), 0);
    ops->close(file);
    ops->close(dir);
}

static void test_damage_is_no_backup_unless_asked_for(void **state)
{
    handle *h = *state;
    const cask_backup_options as_it_is = {.skip_verify = true};
    cask_segment_stats *segments;
    cask_verify_report report;
    cask_error err;
    size_t count;

    fill(h);
    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    damage(h, segments[0].id);
    cask_free(segments);
    assert_int_equal(try_backup(h, OUT, NULL, NULL, &err), CASK_CORRUPT);
    assert_non_null(strstr(err.message, "no record verifies"));
    assert_true(is_empty(h->kernel, OUT));
    assert_int_equal(cask_backup(h->db, OUT, &as_it_is, NULL, &err), CASK_OK);
    assert_int_equal(db_verify_on(h->kernel, OUT, NULL, &report, NULL),
                     CASK_CORRUPT);
    assert_true(report.readable);
}

static void test_it_stops_when_told_and_leaves_nothing(void **state)
{
    handle *h = *state;
    cask_status status = CASK_TIMEOUT;

    fill(h);
    for (uint64_t calls = 0; status == CASK_TIMEOUT; calls++) {
        uint64_t left = calls;
        const cask_backup_options options = {.on_progress = stop_at,
                                             .context = &left};

        status = cask_backup(h->db, OUT, &options, NULL, NULL);
        assert_true(directory_exists(h->kernel, OUT) == (status == CASK_OK));
    }
    assert_int_equal(status, CASK_OK);
    check_whole(h, OUT, digest_of(h->db));
}

/* Somebody who comes while a backup is made and fails. */
typedef struct visitor {
    os *kernel;
    os_file *dir;
    os_file *lock;
} visitor;

static bool visit_and_stop(void *context, uint64_t done, uint64_t total)
{
    visitor *v = context;
    const os_ops *ops = v->kernel->ops;

    (void)done;
    (void)total;
    assert_int_equal(ops->open_dir(v->kernel, OUT, &v->dir), 0);
    assert_int_equal(
        ops->open(v->dir, LOCK_NAME, OS_READ | OS_WRITE, 0, &v->lock), 0);
    return false;
}

static void test_who_waits_for_its_lock_learns_that_it_is_gone(void **state)
{
    handle *h = *state;
    const os_ops *ops = h->kernel->ops;
    visitor v = {.kernel = h->kernel};
    const cask_backup_options options = {.on_progress = visit_and_stop,
                                         .context = &v};
    bool is_named = true;

    fill(h);
    assert_int_equal(cask_backup(h->db, OUT, &options, NULL, NULL),
                     CASK_TIMEOUT);
    assert_true(is_empty(h->kernel, OUT));
    assert_int_equal(ops->lock(v.lock, LOCK_OPEN, 1, OS_EXCLUSIVE), 0);
    assert_int_equal(store_lock_is_named(v.dir, v.lock, &is_named), 0);
    assert_false(is_named);
    (void)back_up(h, OUT, NULL);
    assert_int_equal(store_lock_is_named(v.dir, v.lock, &is_named), 0);
    assert_false(is_named);
    ops->close(v.lock);
    ops->close(v.dir);
}

static void test_a_lock_that_was_there_stays(void **state)
{
    handle *h = *state;
    const os_ops *ops = h->kernel->ops;
    uint64_t left = 0;
    const cask_backup_options options = {.on_progress = stop_at,
                                         .context = &left};
    os_file *dir;
    os_file *lock;
    bool is_named = false;

    fill(h);
    assert_int_equal(ops->make_dir(h->kernel, OUT, 0700), 0);
    assert_int_equal(ops->open_dir(h->kernel, OUT, &dir), 0);
    assert_int_equal(
        ops->open(dir, LOCK_NAME, OS_READ | OS_WRITE | OS_CREATE, 0600, &lock),
        0);
    assert_int_equal(cask_backup(h->db, OUT, &options, NULL, NULL),
                     CASK_TIMEOUT);
    assert_int_equal(store_lock_is_named(dir, lock, &is_named), 0);
    assert_true(is_named);
    ops->close(lock);
    ops->close(dir);
}

/* ---- Failures ------------------------------------------------------------ */

static bool is_store(os *kernel, const char *path)
{
    cask_options options;
    cask_db *db = NULL;
    cask_status status;

    cask_options_init(&options);
    options.read_only = true;
    status = db_open_on(kernel, path, &options, &db, NULL);
    if (status == CASK_OK) {
        assert_int_equal(cask_close(db, NULL), CASK_OK);
    }
    return status == CASK_OK;
}

/* A backup with the faults of a plan. */
static cask_status backup_failing(handle *h, os_fault *fault,
                                  const os_fault_plan *plan, bool *ret_fired,
                                  cask_error *err)
{
    cask_status status;

    os_fault_arm(fault, plan);
    status = cask_backup(h->db, OUT, NULL, NULL, err);
    *ret_fired = os_fault_fired(fault) > 0;
    os_fault_arm(fault, &OS_FAULT_NOTHING);
    return status;
}

/*
 * Whichever call fails, there is a backup that is right, or none; the store is
 * what it was. Fails call 0, then call 1, ... until none is left to fail.
 */
static void test_every_fault_leaves_a_backup_or_none(void **state)
{
    static os_fault fault;
    handle *h = *state;
    os *kernel = h->kernel;
    uint64_t failures = 0;
    digest before;

    fill(h);
    handle_close(h);
    os_fault_init(&fault, kernel);
    h->kernel = &fault.base;
    handle_open(h);
    before = digest_of(h->db);
    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = {.fail_at = n, .error = ENOSPC};
        bool fired;
        cask_status status =
            backup_failing(h, &fault, &plan, &fired, &(cask_error){0});

        if (!fired) {
            assert_int_equal(status, CASK_OK);
            break;
        }
        if (status == CASK_OK) {
            check_whole(h, OUT, before);
        } else {
            assert_false(is_store(h->kernel, OUT));
            failures++;
        }
        clear_directory(h->kernel, OUT);
    }
    assert_true(failures >= 20);
    check_digest(digest_of(h->db), before);
    handle_close(h);
    h->kernel = kernel;
}

/* Whichever read fails, the error is what was returned; CONFIG is no damage. */
static void test_reads_that_fail_are_told_as_such(void **state)
{
    static const cask_config_change change = {"expiry_grace_seconds", "17"};
    static os_fault fault;
    handle *h = *state;
    os *kernel = h->kernel;
    unsigned of_config = 0;
    bool fired = true;

    fill(h);
    assert_int_equal(cask_config_set(h->db, &change, 1, NULL), CASK_OK);
    handle_close(h);
    os_fault_init(&fault, kernel);
    h->kernel = &fault.base;
    handle_open(h);
    for (uint64_t n = 0; fired; n++) {
        os_fault_plan plan = {
            .only = OS_CALL_READ_AT, .fail_at = n, .error = EIO};
        cask_error err = {CASK_OK, 0, ""};
        cask_status status = backup_failing(h, &fault, &plan, &fired, &err);

        assert_true(fired || status == CASK_OK);
        if (status != CASK_OK) {
            assert_int_equal(err.status, status);
            assert_true(is_empty(kernel, OUT));
        }
        if (strstr(err.message, "CONFIG") != NULL) {
            assert_int_equal(status, CASK_IO);
            of_config++;
        }
        clear_directory(kernel, OUT);
    }
    assert_int_equal(of_config, 1);
    handle_close(h);
    h->kernel = kernel;
}

static void test_a_full_disk_leaves_nothing(void **state)
{
    handle *h = *state;
    cask_error err;
    uint64_t total;
    digest before;

    fill(h);
    before = digest_of(h->db);
    total = limit_disk(h, 8192);
    assert_int_equal(try_backup(h, OUT, NULL, NULL, &err), CASK_NO_SPACE);
    assert_false(directory_exists(h->kernel, OUT));
    /* One that was there is not taken away. */
    assert_int_equal(h->kernel->ops->make_dir(h->kernel, OUT, 0700), 0);
    assert_int_equal(try_backup(h, OUT, NULL, NULL, &err), CASK_NO_SPACE);
    assert_true(directory_exists(h->kernel, OUT));
    assert_true(is_empty(h->kernel, OUT));
    os_sim_set_capacity(h->sim, total);
    (void)back_up(h, OUT, NULL);
    check_whole(h, OUT, before);
}

/*
 * The power fails before each of its writes: what is left in the directory is
 * no store, or all of the backup; and once it has returned, the latter.
 */
static void test_a_power_cut_leaves_a_backup_or_none(void **state)
{
    handle *h = *state;
    unsigned wholes = 0;
    digest before;
    bool done = false;

    fill(h);
    before = digest_of(h->db);
    handle_close(h);
    for (uint64_t n = 0; !done; n++) {
        cask_status status;
        handle reader = *h;

        assert_int_equal(os_sim_sync_all(h->sim), 0);
        reader.db = open_at(h->kernel, HANDLE_PATH, true);
        os_sim_cut_at(h->sim, os_sim_operations(h->sim) + n);
        status = try_backup(&reader, OUT, NULL, NULL, NULL);
        done = status == CASK_OK;
        os_sim_cut_at(h->sim, UINT64_MAX);
        os_sim_cut(h->sim);
        (void)cask_close(reader.db, NULL);
        assert_int_equal(os_sim_crash(h->sim, n), 0);
        if (is_store(h->kernel, OUT)) {
            check_whole(h, OUT, before);
            wholes++;
        } else {
            assert_false(done);
        }
        check_whole(h, HANDLE_PATH, before);
        clear_directory(h->kernel, OUT);
    }
    assert_true(wholes >= 1);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, prepare, handle_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_backup_is_the_store_of_one_moment),
        TEST(test_settings_come_along),
        TEST(test_an_empty_store_has_a_backup_too),
        TEST(test_store_and_backup_go_their_own_ways),
        TEST(test_a_reader_may_make_it),
        TEST(test_a_private_index_backs_up_what_it_sees),
        TEST(test_an_earlier_backup_gives_what_it_has),
        TEST(test_what_a_power_cut_took_is_not_in_the_next),
        TEST(test_merges_meanwhile_take_nothing_away),
        TEST(test_another_store_is_no_earlier_backup),
        TEST(test_a_directory_that_is_not_empty_is_refused),
        TEST(test_damage_is_no_backup_unless_asked_for),
        TEST(test_it_stops_when_told_and_leaves_nothing),
        TEST(test_who_waits_for_its_lock_learns_that_it_is_gone),
        TEST(test_a_lock_that_was_there_stays),
        TEST(test_reads_that_fail_are_told_as_such),
        TEST(test_every_fault_leaves_a_backup_or_none),
        TEST(test_a_full_disk_leaves_nothing),
        TEST(test_a_power_cut_leaves_a_backup_or_none),
    };

    is_tree = argc > 1 && strcmp(argv[1], "tree") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
