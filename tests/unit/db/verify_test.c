/*
 * Verify tells a loss once, by the file's name, and whether the store can be
 * opened without it; an error that is not damage is told once too.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/identity_format.h"
#include "log/manifest.h"
#include "log/segment_format.h"
#include "os/os_fault.h"

enum { SEGMENTS_LEAST = 4 };

/* A store of several segments, closed; what the last put wrote is in the last
 * of them. */
static void fill(handle *h, cask_segment_stats **ret_segments,
                 size_t *ret_count)
{
    uint8_t *bytes = make_bytes(10000, 1);

    h->options.segment_max_bytes = 64 << 10;
    handle_open(h);
    for (int i = 0; i < 40; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", i);
        put_bytes(h, key, bytes, 10000);
    }
    free(bytes);
    assert_int_equal(cask_segments(h->db, ret_segments, ret_count, NULL),
                     CASK_OK);
    assert_true(*ret_count >= SEGMENTS_LEAST);
    handle_close(h);
}

/* ---- Losses -------------------------------------------------------------- */

typedef struct told {
    char file[SEGMENT_NAME_SIZE];
    uint64_t count;
} told;

static void on_problem(void *context, const cask_problem *problem)
{
    told *t = context;

    (void)snprintf(t->file, sizeof(t->file), "%s", problem->file);
    t->count++;
}

static bool opens(handle *h)
{
    cask_options options = h->options;
    cask_db *db = NULL;

    options.create_if_missing = false;
    options.read_only = true;
    options.damage = CASK_DAMAGE_SERVE;
    if (db_open_on(h->kernel, HANDLE_PATH, &options, &db, NULL) != CASK_OK) {
        return false;
    }
    assert_int_equal(cask_close(db, NULL), CASK_OK);
    return true;
}

/* Hide the file, verify, and put it back. */
static bool lose(handle *h, const char *name)
{
    const os_ops *ops = h->kernel->ops;
    told t = {"", 0};
    const cask_verify_options options = {.on_problem = on_problem,
                                         .context = &t};
    cask_verify_report report;
    cask_error err;
    os_file *dir;

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->rename(dir, name, "hidden"), 0);
    assert_int_equal(
        db_verify_on(h->kernel, HANDLE_PATH, &options, &report, &err),
        CASK_CORRUPT);
    assert_int_equal(report.problems, 1);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.file, name);
    assert_int_equal(report.readable, opens(h));
    assert_true((strstr(err.message, "; restore") == NULL) == report.readable);
    assert_int_equal(ops->rename(dir, "hidden", name), 0);
    ops->close(dir);
    return report.readable;
}

static void test_a_lost_file_is_one_problem(void **state)
{
    handle *h = *state;
    cask_segment_stats *segments = NULL;
    cask_verify_report report;
    size_t count = 0;

    fill(h, &segments, &count);
    for (size_t i = 0; i < count; i++) {
        char name[SEGMENT_NAME_SIZE];

        segment_name_format(segments[i].id, name);
        (void)lose(h, name);
    }
    assert_false(lose(h, MANIFEST_NAME));
    assert_false(lose(h, IDENTITY_NAME));
    cask_free(segments);
    /* All is back. */
    assert_int_equal(db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, NULL),
                     CASK_OK);
    assert_true(report.readable);
    assert_int_equal(report.keys, 40);
}

/* ---- Failures ------------------------------------------------------------ */

/* Whichever call fails, the message has the text of its errno at most once. */
static void test_a_failed_call_is_told_once(void **state)
{
    handle *h = *state;
    const char *text = "Input/output error";
    bool seen = false;
    os_fault fault;

    handle_open(h);
    put_text(h, "key", "value");
    handle_close(h);
    os_fault_init(&fault, h->kernel);
    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = {.fail_at = n, .error = EIO};
        cask_verify_report report;
        cask_error err = {CASK_OK, 0, ""};
        const char *first;

        os_fault_arm(&fault, &plan);
        (void)db_verify_on(&fault.base, HANDLE_PATH, NULL, &report, &err);
        first = strstr(err.message, text);
        seen = seen || first != NULL;
        assert_true(first == NULL || strstr(first + 1, text) == NULL);
        if (os_fault_fired(&fault) == 0) {
            break;
        }
    }
    assert_true(seen);
}

int main(void)
{
#define WITH_DISK(test)                                                        \
    cmocka_unit_test_setup_teardown(test, handle_prepare, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_DISK(test_a_lost_file_is_one_problem),
        WITH_DISK(test_a_failed_call_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
