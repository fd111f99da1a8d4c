/*
 * What a store tells when something fails: the kind of the event, and a text
 * that says what failed and why.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "os/os_fault.h"

enum { SEGMENT_MAX = 64 << 10, WAIT_MS = 10, WAITS_MOST = 1000 };

/* Events come from the background thread too. */
static struct events {
    _Atomic int count[16];
    char poisoned[256]; /* message of the last; one thread at a time */
    char leftover[256]; /* likewise; told by the open alone */
} seen;

static os_fault fault;

static void note(void *context, const cask_event *event)
{
    (void)context;
    if (event->kind == CASK_EVENT_POISONED) {
        (void)snprintf(seen.poisoned, sizeof(seen.poisoned), "%s",
                       event->message);
    }
    if (event->kind == CASK_EVENT_LEFTOVER) {
        (void)snprintf(seen.leftover, sizeof(seen.leftover), "%s",
                       event->message);
    }
    atomic_fetch_add(&seen.count[event->kind], 1);
}

/* A disk that fails nothing yet, no store. */
static int setup(void **state)
{
    handle *h;

    (void)handle_prepare(state);
    h = *state;
    memset(&seen, 0, sizeof(seen));
    os_fault_init(&fault, h->kernel);
    h->kernel = &fault.base;
    h->options.segment_max_bytes = SEGMENT_MAX;
    h->options.on_event = note;
    return 0;
}

static void arm(os_call only, uint64_t fail_at, int error, bool for_ever)
{
    const os_fault_plan plan = {
        .only = only, .fail_at = fail_at, .error = error, .for_ever = for_ever};

    os_fault_arm(&fault, &plan);
}

/* ---- The background thread ----------------------------------------------- */

/* It is no hint that could not be written. */
static void
test_a_next_segment_that_cannot_be_made_is_background_work(void **state)
{
    handle *h = *state;
    uint8_t *value = make_bytes(SEGMENT_MAX * 3 / 4, 1);

    handle_open(h);
    arm(OS_CALL_ALLOCATE, 0, ENOSPC, true);
    put_bytes(h, "k", value, SEGMENT_MAX * 3 / 4);
    for (int i = 0;
         i < WAITS_MOST && atomic_load(&seen.count[CASK_EVENT_BACKGROUND]) == 0;
         i++) {
        h->kernel->ops->sleep_ms(h->kernel, WAIT_MS);
    }
    assert_true(atomic_load(&seen.count[CASK_EVENT_BACKGROUND]) > 0);
    assert_int_equal(atomic_load(&seen.count[CASK_EVENT_HINT]), 0);
    os_fault_arm(&fault, &OS_FAULT_NOTHING);
    free(value);
}

/* ---- A sync that fails --------------------------------------------------- */

/* Fail sync n of a rotation and a close. True if there was one. */
static bool fail_sync(handle *h, uint64_t n)
{
    uint8_t *value = make_bytes(SEGMENT_MAX / 2, 1);
    bool fired;

    handle_open(h);
    put_text(h, "k", "v");
    seen.poisoned[0] = '\0';
    arm(OS_CALL_SYNC, n, EIO, false);
    for (int i = 0; i < 4; i++) {
        if (cask_put(h->db, cask_slice_of("k"),
                     (cask_slice){value, SEGMENT_MAX / 2}, NULL) != CASK_OK) {
            break;
        }
    }
    (void)cask_close(h->db, NULL);
    h->db = NULL;
    fired = os_fault_fired(&fault) > 0;
    os_fault_arm(&fault, &OS_FAULT_NOTHING);
    free(value);
    return fired;
}

static void test_whoever_is_told_of_a_failed_sync_learns_why(void **state)
{
    handle *h = *state;
    bool manifest = false;
    bool log = false;

    h->options.sync = CASK_SYNC_NONE;
    for (uint64_t n = 0; fail_sync(h, n); n++) {
        if (seen.poisoned[0] == '\0') {
            continue; /* of a file that nothing depends on yet */
        }
        assert_non_null(strstr(seen.poisoned, HANDLE_PATH));
        assert_non_null(strstr(seen.poisoned, "Input/output error"));
        assert_null(strstr(seen.poisoned, "errno"));
        manifest = manifest || strstr(seen.poisoned, "MANIFEST") != NULL;
        log = log || strstr(seen.poisoned, "the log") != NULL;
    }
    assert_true(manifest);
    assert_true(log);
}

/* ---- A region that cannot be made ---------------------------------------- */

static void test_an_index_without_any_place_names_both(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};

    handle_open(h);
    handle_close(h);
    arm(OS_CALL_ALLOCATE, 0, EFBIG, true);
    assert_int_equal(
        db_open_on(h->kernel, HANDLE_PATH, &h->options, &h->db, &err),
        CASK_NO_SPACE);
    os_fault_arm(&fault, &OS_FAULT_NOTHING);
    assert_non_null(strstr(err.message, "/dev/shm"));
    assert_non_null(strstr(err.message, HANDLE_PATH "/REGION"));
    /* What to do is said once, at the end. */
    assert_non_null(strchr(err.message, ';'));
    assert_ptr_equal(strchr(err.message, ';'), strrchr(err.message, ';'));
    assert_non_null(strstr(err.message, "; raise the limit"));
}

/* ---- What nobody needs --------------------------------------------------- */

/* A merge of everything leaves an active segment without records. */
static void test_no_death_is_told_of_that_there_was_not(void **state)
{
    handle *h = *state;

    handle_open(h);
    put_text(h, "key", "value");
    put_text(h, "key", "other");
    assert_int_equal(
        cask_merge(h->db, &(cask_merge_options){.all = true}, NULL, NULL),
        CASK_OK);
    handle_reopen(h);
    assert_int_equal(atomic_load(&seen.count[CASK_EVENT_LEFTOVER]), 1);
    assert_non_null(
        strstr(seen.leftover, ".log, which MANIFEST does not list"));
    assert_null(strstr(seen.leftover, "died"));
    check_text(h, "key", "other");
}

int main(void)
{
#define WITH_DISK(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_DISK(test_a_next_segment_that_cannot_be_made_is_background_work),
        WITH_DISK(test_whoever_is_told_of_a_failed_sync_learns_why),
        WITH_DISK(test_an_index_without_any_place_names_both),
        WITH_DISK(test_no_death_is_told_of_that_there_was_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
