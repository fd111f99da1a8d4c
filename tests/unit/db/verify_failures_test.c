/*
 * Verify tells damage of files only. What the system refuses, or another
 * process, is the status of the call, and nothing is told of the store; nor of
 * what others write while it reads.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/verification.h"
#include "log/manifest.h"
#include "log/segment_format.h"
#include "os/os_fault.h"
#include "store/store_open.h"

typedef struct told {
    char file[SEGMENT_NAME_SIZE];
    char reason[400];
    uint64_t count;
} told;

static void on_problem(void *context, const cask_problem *problem)
{
    told *t = context;

    (void)snprintf(t->file, sizeof(t->file), "%s", problem->file);
    (void)snprintf(t->reason, sizeof(t->reason), "%s", problem->reason);
    t->count++;
}

/* Segments, sealed but for the last, hints and CONFIG; open. */
static void fill_all(handle *h)
{
    const cask_config_change change = {"expiry_grace_seconds", "77"};
    uint8_t *bytes = make_bytes(10000, 1);

    h->options.segment_max_bytes = 64 << 10;
    handle_open(h);
    for (int i = 0; i < 40; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", i);
        put_bytes(h, key, bytes, 10000);
    }
    free(bytes);
    handle_reopen(h); /* seals */
    assert_int_equal(cask_config_set(h->db, &change, 1, NULL), CASK_OK);
    put_text(h, "one more", "value");
}

static void damage(handle *h, const char *name)
{
    const os_ops *ops = h->kernel->ops;
    const os_span span = {"x", 1};
    os_file *file;
    os_file *dir;

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->open(dir, name, OS_WRITE, 0, &file), 0);
    assert_int_equal(ops->write_at(file, &span, 1, 40), 0);
    ops->close(file);
    ops->close(dir);
}

/* Whichever call fails, what verify answers is no damage. */
static void fail_each_call(handle *h, int error)
{
    os_fault fault;

    os_fault_init(&fault, h->kernel);
    for (uint64_t n = 0;; n++) {
        const os_fault_plan plan = {.fail_at = n, .error = error};
        told t = {.count = 0};
        const cask_verify_options options = {.on_problem = on_problem,
                                             .context = &t};
        cask_verify_report report;
        cask_error err = {CASK_OK, 0, ""};
        cask_status status;

        os_fault_arm(&fault, &plan);
        status =
            db_verify_on(&fault.base, HANDLE_PATH, &options, &report, &err);
        if (t.count != 0 || status == CASK_CORRUPT) {
            fail_msg("call %d fails with %d: %s: %s; %s", (int)n, error, t.file,
                     t.reason, err.message);
        }
        assert_int_not_equal(status, CASK_NOT_FOUND);
        if (status != CASK_OK) {
            assert_int_equal(status, err.status);
        }
        if (os_fault_fired(&fault) == 0) {
            assert_int_equal(status, CASK_OK);
            return;
        }
    }
}

/* Too few descriptors, too little memory, no right, media that fail: the store
 * is as good as before. */
static void test_what_the_system_lacks_is_no_damage(void **state)
{
    static const int errors[] = {EMFILE, ENOMEM, EACCES, EIO};
    handle *h = *state;

    fill_all(h);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fail_each_call(h, errors[i]);
    }
    handle_close(h);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fail_each_call(h, errors[i]);
    }
}

/* An os that differs from the usual one in a call or two. */
static const os_ops *usual;
static os_ops unusual;

/* One thread does not wait for locks. */
static _Thread_local bool is_impatient;

static int lock_at_once(os *self, os_mutex *mutex, uint64_t timeout_ms)
{
    return usual->mutex_lock(self, mutex, is_impatient ? 0 : timeout_ms);
}

/* As others that wait for it: the call's own status, by which the command line
 * says 4. */
static void test_a_lock_that_is_held_is_waited_for_in_vain(void **state)
{
    handle *h = *state;
    cask_verify_report report;
    os_mutex *write_lock;
    cask_error err;

    usual = h->kernel->ops;
    unusual = *usual;
    unusual.mutex_lock = lock_at_once;
    h->kernel->ops = &unusual;
    fill_all(h);
    write_lock = &h->db->store->region.header->write_lock;
    assert_int_equal(usual->mutex_lock(h->kernel, write_lock, 1000), 0);
    is_impatient = true;
    assert_int_equal(db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, &err),
                     CASK_TIMEOUT);
    is_impatient = false;
    usual->mutex_unlock(h->kernel, write_lock);
    assert_int_equal(err.status, CASK_TIMEOUT);
    assert_int_equal(db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, &err),
                     CASK_OK);
    handle_close(h);
    h->kernel->ops = usual;
}

/* What was found is told all the same, and is the status, though the system
 * does not let the store be opened to count the keys. */
static void test_damage_is_the_status_whatever_the_system_lacks(void **state)
{
    static const int errors[] = {EMFILE, ENOMEM, EACCES};
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];
    os_fault fault;

    fill_all(h);
    handle_close(h);
    hint_name_format(1, name);
    damage(h, name);
    os_fault_init(&fault, h->kernel);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        /* The first is verify's own. */
        const os_fault_plan plan = {
            .only = OS_CALL_OPEN_DIR, .fail_at = 1, .error = errors[i]};
        told t = {.count = 0};
        const cask_verify_options options = {.on_problem = on_problem,
                                             .context = &t};
        cask_verify_report report = {.problems = 0};
        cask_error err;

        os_fault_arm(&fault, &plan);
        assert_int_equal(
            db_verify_on(&fault.base, HANDLE_PATH, &options, &report, &err),
            CASK_CORRUPT);
        assert_int_equal(os_fault_fired(&fault), 1);
        assert_int_equal(err.status, CASK_CORRUPT);
        assert_int_equal(t.count, 1);
        assert_string_equal(t.file, name);
        assert_int_equal(report.problems, 1);
        assert_false(report.readable);
        assert_false(report.complete);
        assert_non_null(strstr(err.message, "not all could be checked: "));
    }
}

/* Whichever call fails, and with whatever: what was found is told, counted and
 * the status; that it is not all, too. */
static void sweep_with_damage(handle *h, int error)
{
    bool was_cut = false;
    os_fault fault;

    os_fault_init(&fault, h->kernel);
    for (uint64_t n = 0;; n++) {
        const os_fault_plan plan = {.fail_at = n, .error = error};
        told t = {.count = 0};
        const cask_verify_options options = {.on_problem = on_problem,
                                             .context = &t};
        cask_verify_report report = {.problems = 0};
        cask_error err = {CASK_OK, 0, ""};
        cask_status status;

        os_fault_arm(&fault, &plan);
        status =
            db_verify_on(&fault.base, HANDLE_PATH, &options, &report, &err);
        if (t.count != report.problems ||
            (status == CASK_CORRUPT) != (t.count > 0)) {
            fail_msg("call %d fails with %d: %d told, %d reported: %s", (int)n,
                     error, (int)t.count, (int)report.problems, err.message);
        }
        assert_int_equal(status, err.status);
        was_cut = was_cut || (t.count > 0 && !report.readable);
        if (t.count > 0 && !report.complete) {
            assert_non_null(strstr(err.message, "not all could be checked: "));
        }
        if (os_fault_fired(&fault) == 0) {
            assert_true(report.complete);
            assert_int_equal(t.count, 1);
            assert_true(was_cut);
            return;
        }
    }
}

static void test_what_fails_after_damage_does_not_hide_it(void **state)
{
    static const int errors[] = {EMFILE, ENOMEM, EACCES, EIO};
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];

    fill_all(h);
    handle_close(h);
    hint_name_format(1, name);
    damage(h, name);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        sweep_with_damage(h, errors[i]);
    }
}

/* Where media fail, file and offset are named. */
static void test_a_block_that_cannot_be_read_is_named(void **state)
{
    handle *h = *state;
    os_fault_plan plan = {
        .only = OS_CALL_READ_AT, .error = EIO, .for_ever = true};
    mapped file = {.may_shrink = true};
    verification v = {.kernel = NULL};
    cask_error err;
    os_fault fault;

    fill_all(h);
    os_fault_init(&fault, h->kernel);
    v.kernel = &fault.base;
    assert_int_equal(fault.base.ops->open_dir(&fault.base, HANDLE_PATH, &v.dir),
                     0);
    segment_name_format(1, file.name);
    os_fault_arm(&fault, &plan);
    assert_int_equal(verify_map(&v, &file, &err), CASK_IO);
    assert_int_equal(err.os_errno, EIO);
    assert_non_null(strstr(err.message, file.name));
    assert_non_null(strstr(err.message, ": offset 0: cannot read: "));
    plan.for_ever = false; /* nor is one where none fails any more */
    os_fault_arm(&fault, &plan);
    file = (mapped){.may_shrink = true};
    segment_name_format(1, file.name);
    assert_int_equal(verify_map(&v, &file, &err), CASK_IO);
    assert_non_null(strstr(err.message, ": cannot read: "));
    assert_null(strstr(err.message, "offset"));
    fault.base.ops->close(v.dir);
}

/* Some files may not be opened. */
static char refused[3][SEGMENT_NAME_SIZE];

static int open_some(os_file *dir, const char *name, uint32_t flags,
                     uint32_t mode, os_file **ret_file)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (strcmp(name, refused[i]) == 0) {
            return EACCES;
        }
    }
    return usual->open(dir, name, flags, mode, ret_file);
}

static void check_refused_are_named(const cask_error *err)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (strstr(err->message, refused[i]) == NULL) {
            fail_msg("%s is not in: %s", refused[i], err->message);
        }
    }
    assert_non_null(strstr(err->message, "; nor 2 other files: "));
}

/* What may not be read is named, and keeps nothing else from being read. */
static void test_files_that_are_refused_hide_no_damage_of_others(void **state)
{
    handle *h = *state;
    told t = {.count = 0};
    const cask_verify_options options = {.on_problem = on_problem,
                                         .context = &t};
    cask_verify_report report = {.problems = 0};
    char name[SEGMENT_NAME_SIZE];
    cask_error err = {CASK_OK, 0, ""};

    fill_all(h);
    handle_close(h);
    segment_name_format(1, refused[0]);
    hint_name_format(2, refused[1]);
    segment_name_format(3, refused[2]);
    usual = h->kernel->ops;
    unusual = *usual;
    unusual.open = open_some;
    h->kernel->ops = &unusual;
    assert_int_equal(
        db_verify_on(h->kernel, HANDLE_PATH, &options, &report, &err), CASK_IO);
    assert_int_equal(err.status, CASK_IO);
    assert_int_equal(err.os_errno, EACCES);
    assert_int_equal(t.count, 0);
    check_refused_are_named(&err);
    segment_name_format(4, name);
    damage(h, name);
    assert_int_equal(
        db_verify_on(h->kernel, HANDLE_PATH, &options, &report, &err),
        CASK_CORRUPT);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.file, name);
    assert_int_equal(report.problems, 1);
    assert_false(report.complete);
    assert_true(report.records > 0);
    assert_non_null(strstr(err.message, "not all could be checked: "));
    check_refused_are_named(&err);
    h->kernel->ops = usual;
}

/* A directory, say, in the place of a hint. */
static void test_what_is_in_the_place_of_a_hint_is_harmless(void **state)
{
    handle *h = *state;
    const os_ops *ops = h->kernel->ops;
    told t = {.count = 0};
    const cask_verify_options options = {.on_problem = on_problem,
                                         .context = &t};
    cask_verify_report report;
    cask_error err;
    char path[sizeof(HANDLE_PATH) + SEGMENT_NAME_SIZE];
    char name[SEGMENT_NAME_SIZE];
    os_file *dir;

    fill_all(h);
    handle_close(h);
    hint_name_format(1, name);
    (void)snprintf(path, sizeof(path), "%s/%s", HANDLE_PATH, name);
    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->remove(dir, name), 0);
    assert_int_equal(ops->make_dir(h->kernel, path, 0700), 0);
    assert_int_equal(
        db_verify_on(h->kernel, HANDLE_PATH, &options, &report, &err),
        CASK_CORRUPT);
    assert_int_equal(report.problems, 1);
    assert_int_equal(report.harmless, 1);
    assert_true(report.readable);
    assert_string_equal(t.file, name);
    assert_non_null(strstr(t.reason, "nothing is lost: move it away"));
    ops->close(dir);
}

static cask_status load_manifest(os_file *dir, manifest_state *ret_manifest)
{
    store_identity identity;

    assert_int_equal(store_read_identity(dir, HANDLE_PATH, &identity, NULL),
                     CASK_OK);
    return manifest_load(dir, identity.uuid, ret_manifest, NULL);
}

/* Whether what can be read of MANIFEST lists a segment that has no file. */
static bool lists_what_is_gone(os_file *dir)
{
    manifest_state manifest;
    bool found = false;

    assert_int_equal(load_manifest(dir, &manifest), CASK_CORRUPT);
    for (size_t i = 0; i < manifest.count; i++) {
        char name[SEGMENT_NAME_SIZE];
        os_stat stat;

        segment_name_format(manifest.segments[i].id, name);
        found = found || dir->os->ops->stat_name(dir, name, &stat) == ENOENT;
    }
    manifest_free(&manifest);
    return found;
}

static void flip(os_file *file, uint64_t offset)
{
    const os_ops *ops = file->os->ops;
    uint8_t byte;
    const os_span span = {&byte, 1};
    size_t got;

    assert_int_equal(ops->read_at(file, &byte, 1, offset, &got), 0);
    byte ^= 0xff;
    assert_int_equal(ops->write_at(file, &span, 1, offset), 0);
}

/* Remove two segments, as a merge does: edit, then file. */
static uint64_t remove_two(os_file *dir, manifest_state *manifest)
{
    uint64_t first_edit = manifest->tail;

    for (uint64_t id = 1; id <= 2; id++) {
        manifest_edit edit = {.type = MANIFEST_DROP, .drop = {id}};
        char name[SEGMENT_NAME_SIZE];

        assert_int_equal(manifest_append(dir, &manifest->tail,
                                         &manifest->number, &edit, NULL),
                         CASK_OK);
        segment_name_format(id, name);
        assert_int_equal(dir->os->ops->remove(dir, name), 0);
    }
    return first_edit;
}

/* Edits that stand before the damage list segments that later ones removed:
 * nobody misses these. */
static void test_of_a_damaged_manifest_no_segment_is_missing(void **state)
{
    handle *h = *state;
    const os_ops *ops = h->kernel->ops;
    told t = {.count = 0};
    const cask_verify_options options = {.on_problem = on_problem,
                                         .context = &t};
    cask_verify_report report;
    manifest_state manifest;
    os_file *file;
    os_file *dir;

    fill_all(h);
    handle_close(h);
    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(load_manifest(dir, &manifest), CASK_OK);
    assert_int_equal(
        ops->open(dir, MANIFEST_NAME, OS_READ | OS_WRITE, 0, &file), 0);
    flip(file, remove_two(dir, &manifest) + 10);
    assert_true(lists_what_is_gone(dir));
    assert_int_equal(
        db_verify_on(h->kernel, HANDLE_PATH, &options, &report, NULL),
        CASK_CORRUPT);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.file, MANIFEST_NAME);
    assert_int_equal(report.problems, 1);
    manifest_free(&manifest);
    ops->close(file);
    ops->close(dir);
}

/* ---- Writers --------------------------------------------------------------
 */

/* An os that is slow to read: when a read has passed the end of the log, others
 * write, sync and write again before it goes on. */
static struct {
    const os_ops *usual;
    os_ops ops;
    handle *h;
    uint64_t end; /* of the log, as the read begins */
} slow;

static _Thread_local bool is_armed;

static int read_slowly(os_file *file, void *data, size_t size, uint64_t offset,
                       size_t *ret_got)
{
    uint8_t *to = data;
    int os_errno = slow.usual->read_at(file, data, size, offset, ret_got);
    size_t got = 0;

    if (!is_armed || os_errno != 0 || *ret_got <= slow.end) {
        return os_errno;
    }
    is_armed = false;
    put_text(slow.h, "meanwhile", "this is not in what was read");
    put_text(slow.h, "and", "that is");
    assert_int_equal(cask_sync(slow.h->db, NULL), CASK_OK);
    put_text(slow.h, "last", "behind the mark of the sync");
    return slow.usual->read_at(file, to + slow.end + 16, size - slow.end - 16,
                               offset + slow.end + 16, &got);
}

static void test_what_is_written_while_a_file_is_read_is_no_damage(void **state)
{
    handle *h = *state;
    uint8_t *bytes = make_bytes(100000, 1);

    h->options.sync = CASK_SYNC_NONE;
    handle_open(h);
    put_bytes(h, "so that no other file is as long", bytes, 100000);
    free(bytes);
    slow.usual = h->kernel->ops;
    slow.ops = *slow.usual;
    slow.ops.read_at = read_slowly;
    slow.h = h;
    slow.end = SEGMENT_HEADER_SIZE + handle_stats(h).data_bytes;
    h->kernel->ops = &slow.ops;
    is_armed = true;
    handle_verify(h);
    assert_false(is_armed);
    handle_verify(h);
    handle_close(h);
    h->kernel->ops = slow.usual;
}

int main(void)
{
#define WITH_DISK(test)                                                        \
    cmocka_unit_test_setup_teardown(test, handle_prepare, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_DISK(test_what_the_system_lacks_is_no_damage),
        WITH_DISK(test_a_lock_that_is_held_is_waited_for_in_vain),
        WITH_DISK(test_damage_is_the_status_whatever_the_system_lacks),
        WITH_DISK(test_what_fails_after_damage_does_not_hide_it),
        WITH_DISK(test_a_block_that_cannot_be_read_is_named),
        WITH_DISK(test_files_that_are_refused_hide_no_damage_of_others),
        WITH_DISK(test_what_is_in_the_place_of_a_hint_is_harmless),
        WITH_DISK(test_of_a_damaged_manifest_no_segment_is_missing),
        WITH_DISK(test_what_is_written_while_a_file_is_read_is_no_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
