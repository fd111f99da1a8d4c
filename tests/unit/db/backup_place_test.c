/*
 * Backups: where they are not made, and what they do not take along.
 */
#include "unit/db/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/segment_format.h"

#define OUT "/out"

enum { KEYS = 40, VALUE_BYTES = 10000 };

/* Some segments, the last of which is not sealed. */
static void fill(handle *h)
{
    uint8_t *bytes = make_bytes(VALUE_BYTES, 1);
    char key[16];

    h->options.segment_max_bytes = 64 << 10;
    handle_open(h);
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof(key), "key %d", i);
        put_bytes(h, key, bytes, VALUE_BYTES);
    }
    free(bytes);
}

static cask_backup_report back_up(handle *h, const char *out)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_backup_report report;

    if (cask_backup(h->db, out, NULL, &report, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    return report;
}

static void test_no_directory_below_the_store_is_taken(void **state)
{
    static const char *const paths[] = {
        HANDLE_PATH "/below",    HANDLE_PATH "/below/out",
        HANDLE_PATH "/below/",   HANDLE_PATH "/below/none/out",
        HANDLE_PATH "/none/out",
    };
    handle *h = *state;
    cask_error err;

    fill(h);
    assert_int_equal(
        h->kernel->ops->make_dir(h->kernel, HANDLE_PATH "/below", 0700), 0);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(cask_backup(h->db, paths[i], NULL, NULL, &err),
                         CASK_INVALID);
        assert_non_null(strstr(err.message, "is in the store's own directory"));
    }
    /* Its name only begins like the store's. */
    (void)back_up(h, HANDLE_PATH "-backup");
}

/* Turn a bit of a segment's footer around, if it has one. */
static bool damage_footer(handle *h, const cask_segment_stats *segment)
{
    enum { AT_RECORDS = 8 };
    const os_ops *ops = h->kernel->ops;
    uint64_t at = SEGMENT_HEADER_SIZE + segment->total_bytes;
    char name[SEGMENT_NAME_SIZE];
    os_file *dir = NULL;
    os_file *file = NULL;
    uint8_t byte = 0;
    const os_span span = {&byte, 1};
    bool has_footer;
    size_t got = 0;
    os_stat stat;

    segment_name_format(segment->id, name);
    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->open(dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(ops->stat(file, &stat), 0);
    has_footer = segment->sealed && stat.size == at + SEGMENT_FOOTER_SIZE;
    if (has_footer) {
        at += AT_RECORDS;
        assert_int_equal(ops->read_at(file, &byte, 1, at, &got), 0);
        byte ^= 1;
        assert_int_equal(ops->write_at(file, &span, 1, at), 0);
    }
    ops->close(file);
    ops->close(dir);
    return has_footer;
}

static void test_a_damaged_footer_is_not_backed_up(void **state)
{
    handle *h = *state;
    cask_segment_stats *segments = NULL;
    cask_backup_report whole;
    cask_backup_report report;
    cask_verify_report verified;
    size_t count = 0;
    unsigned damaged = 0;

    fill(h);
    whole = back_up(h, "/whole");
    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    for (size_t i = 0; i < count && damaged == 0; i++) {
        damaged += damage_footer(h, &segments[i]) ? 1 : 0;
    }
    cask_free(segments);
    assert_int_equal(damaged, 1);
    report = back_up(h, OUT);
    assert_int_equal(report.segments, whole.segments);
    assert_int_equal(report.linked_segments, whole.linked_segments - 1);
    assert_int_equal(db_verify_on(h->kernel, OUT, NULL, &verified, NULL),
                     CASK_OK);
    assert_int_equal(verified.problems, 0);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, handle_prepare, handle_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_no_directory_below_the_store_is_taken),
        TEST(test_a_damaged_footer_is_not_backed_up),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
