/*
 * A sync that fails makes the store read-only for every handle, until all have
 * closed it: nobody can know any more what has reached the device.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "os/os_fault.h"
#include "support/threadless.h"

enum { SEGMENT_MAX = 64 << 10, VALUE = SEGMENT_MAX / 3, PUTS = 6 };

/* ---- A store with two handles, on a disk that fails on command ----------- */

typedef struct scene {
    handle *one; /* both on the same store */
    handle two;
    os_fault fault;
    os_ops quiet;
    uint8_t *value;
    int acknowledged; /* puts: "key 0", "key 1", ... */
    int poisoned;     /* events */
    char message[256];
} scene;

static scene here;

static void note(void *context, const cask_event *event)
{
    (void)context;
    if (event->kind == CASK_EVENT_POISONED) {
        assert_int_equal(event->status, CASK_POISONED);
        here.poisoned++;
        (void)snprintf(here.message, sizeof(here.message), "%s",
                       event->message);
    }
}

static int set_up(void **state)
{
    memset(&here, 0, sizeof(here));
    (void)handle_prepare(state);
    here.one = *state;
    os_fault_init(&here.fault, here.one->kernel);
    here.quiet = *here.fault.base.ops;
    threadless(&here.quiet);
    here.fault.base.ops = &here.quiet;
    here.one->kernel = &here.fault.base;
    here.one->options.segment_max_bytes = SEGMENT_MAX;
    here.one->options.sync = CASK_SYNC_NONE;
    here.one->options.on_event = note;
    here.value = make_bytes(VALUE, 1);
    return 0;
}

static int tear_down(void **state)
{
    free(here.value);
    return handle_teardown(state);
}

static void open_both(void)
{
    handle_open(here.one);
    here.two = *here.one;
    handle_open(&here.two);
}

/* From now on call n of that kind fails, once: a sync is not tried again. */
static void arm(os_call only, uint64_t n)
{
    const os_fault_plan plan = {.only = only, .fail_at = n, .error = EIO};

    here.poisoned = 0;
    os_fault_arm(&here.fault, &plan);
}

static const char *key_of(int number)
{
    static char text[16];

    (void)snprintf(text, sizeof(text), "key %d", number);
    return text;
}

static cask_status put_next(handle *h, cask_error *err)
{
    cask_status status =
        cask_put(h->db, cask_slice_of(key_of(here.acknowledged)),
                 (cask_slice){here.value, VALUE}, err);

    here.acknowledged += status == CASK_OK;
    return status;
}

/* ---- What holds then ----------------------------------------------------- */

static void check_refused(cask_status status, const cask_error *err)
{
    assert_int_equal(status, CASK_POISONED);
    assert_int_equal(err->status, CASK_POISONED);
    assert_non_null(strstr(err->message, HANDLE_PATH));
    assert_non_null(strstr(err->message, "reopen"));
}

/* Nothing can be written, all can be read. */
static void check_read_only(handle *h)
{
    cask_slice key = cask_slice_of("key 0");
    cask_batch *batch = NULL;
    cask_error err = {CASK_OK, 0, ""};
    cask_stats stats;

    check_refused(cask_put(h->db, key, key, &err), &err);
    check_refused(cask_delete(h->db, key, NULL, &err), &err);
    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    assert_int_equal(cask_batch_put(batch, key, key, 0, NULL), CASK_OK);
    check_refused(cask_write(h->db, batch, &err), &err);
    cask_batch_free(batch);
    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    assert_true(stats.poisoned);
    if (stats.durable_sequence < stats.sequence) {
        check_refused(cask_sync(h->db, &err), &err);
    } else {
        assert_int_equal(cask_sync(h->db, &err), CASK_OK); /* as promised */
    }
    for (int i = 0; i < here.acknowledged; i++) {
        check_bytes(h, key_of(i), here.value, VALUE);
    }
    assert_int_equal(count_keys(h), here.acknowledged);
}

/* Whoever comes while one of them is there finds the same. */
static void check_third(bool read_only)
{
    handle third = *here.one;
    cask_error err;

    third.options.read_only = read_only;
    handle_open(&third);
    if (read_only) {
        check_bytes(&third, "key 0", here.value, VALUE);
    } else {
        check_read_only(&third);
    }
    assert_int_equal(cask_close(third.db, &err), CASK_OK);
}

static void check_mended(void)
{
    cask_stats stats;

    for (int round = 0; round < 2; round++) {
        handle_open(here.one);
        for (int i = 0; i < here.acknowledged; i++) {
            check_bytes(here.one, key_of(i), here.value, VALUE);
        }
        assert_int_equal(cask_stat(here.one->db, &stats, NULL), CASK_OK);
        assert_false(stats.poisoned);
        assert_int_equal(put_next(here.one, NULL), CASK_OK);
        assert_int_equal(cask_sync(here.one->db, NULL), CASK_OK);
        handle_close(here.one);
    }
    assert_int_equal(here.poisoned, 1);
}

/* A sync has failed in `one`. The event names `what`. */
static void check_all(const char *what)
{
    cask_error err = {CASK_OK, 0, ""};
    uint64_t syncs = os_fault_count_of(&here.fault, OS_CALL_SYNC);

    assert_int_equal(os_fault_fired(&here.fault), 1);
    assert_int_equal(here.poisoned, 1);
    assert_non_null(strstr(here.message, HANDLE_PATH));
    assert_non_null(strstr(here.message, what));
    assert_non_null(strstr(here.message, "Input/output error"));
    check_read_only(here.one);
    check_read_only(&here.two);
    check_third(false);
    check_third(true);
    /* The next sync would succeed, and promise what nobody knows. */
    assert_int_equal(os_fault_count_of(&here.fault, OS_CALL_SYNC), syncs);
    assert_int_equal(cask_close(here.one->db, &err), CASK_OK);
    check_read_only(&here.two);
    check_third(false);
    /* Who closes last is told: its writes may be lost. */
    here.one->db = NULL;
    assert_int_equal(cask_close(here.two.db, &err), CASK_POISONED);
    assert_non_null(strstr(err.message, "may be lost"));
    check_mended();
}

/* ---- Syncs that fail ----------------------------------------------------- */

static void test_a_failed_sync_of_the_log_poisons_every_handle(void **state)
{
    cask_error err = {CASK_OK, 0, ""};

    (void)state;
    open_both();
    assert_int_equal(put_next(&here.two, NULL), CASK_OK);
    arm(OS_CALL_SYNC, 0);
    assert_int_equal(cask_sync(here.one->db, &err), CASK_POISONED);
    assert_int_equal(err.os_errno, EIO);
    check_all("the log");
}

/* The put is not acknowledged, and is visible all the same. */
static void test_a_commit_that_cannot_be_synced_poisons_too(void **state)
{
    cask_error err = {CASK_OK, 0, ""};

    (void)state;
    here.one->options.sync = CASK_SYNC_COMMIT;
    open_both();
    assert_int_equal(put_next(here.one, NULL), CASK_OK);
    arm(OS_CALL_SYNC, 0);
    assert_int_equal(put_next(here.one, &err), CASK_POISONED);
    assert_int_equal(err.os_errno, EIO);
    here.acknowledged++;
    check_all("the log");
}

/* Let call n of a rotation fail. False if there are less. */
static bool fail_in_rotation(os_call only, uint64_t n, const char **ret_what)
{
    static const char *const whats[] = {"MANIFEST", "the log", "a full segment",
                                        "a new segment or the directory"};
    cask_error err = {CASK_OK, 0, ""};
    cask_status status = CASK_OK;

    open_both();
    arm(only, n);
    for (int i = 0; i < PUTS && status == CASK_OK; i++) {
        status = put_next(here.one, &err);
    }
    if (os_fault_fired(&here.fault) == 0) {
        assert_int_equal(status, CASK_OK);
        os_fault_arm(&here.fault, &OS_FAULT_NOTHING);
        handle_close(&here.two);
        handle_close(here.one);
        return false;
    }
    assert_int_equal(status, CASK_POISONED);
    *ret_what = NULL;
    for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
        *ret_what =
            strstr(here.message, whats[i]) != NULL ? whats[i] : *ret_what;
    }
    assert_non_null(*ret_what);
    check_all(*ret_what);
    return true;
}

static void
test_any_failed_sync_of_a_rotation_poisons_every_handle(void **state)
{
    const char *what;
    bool manifest = false;
    bool segment = false;
    bool log = false;

    (void)state;
    for (uint64_t n = 0; fail_in_rotation(OS_CALL_SYNC, n, &what); n++) {
        manifest = manifest || strcmp(what, "MANIFEST") == 0;
        segment = segment || strstr(what, "new segment") != NULL;
        log = log || strcmp(what, "the log") == 0;
    }
    assert_true(manifest);
    assert_true(segment);
    assert_true(log);
}

static void
test_a_failed_sync_of_the_directory_poisons_every_handle(void **state)
{
    const char *what;
    uint64_t n = 0;

    (void)state;
    while (fail_in_rotation(OS_CALL_SYNC_DIR, n, &what)) {
        assert_non_null(strstr(what, "the directory"));
        n++;
    }
    assert_true(n > 0);
}

int main(void)
{
#define WITH_DISK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_DISK(test_a_failed_sync_of_the_log_poisons_every_handle),
        WITH_DISK(test_a_commit_that_cannot_be_synced_poisons_too),
        WITH_DISK(test_any_failed_sync_of_a_rotation_poisons_every_handle),
        WITH_DISK(test_a_failed_sync_of_the_directory_poisons_every_handle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
