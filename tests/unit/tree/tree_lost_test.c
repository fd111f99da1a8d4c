/*
 * Records of the log of a tree that are damaged before their memtable becomes a
 * run: what reads, verify, repair, backup and convert say of them.
 */
#include "cask_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/record_format.h"
#include "log/segment.h"
#include "tree/tree.h"
#include "unit/tree/damaged.h"
#include "unit/tree/tree_handle.h"

static const cask_merge_options everything = {.all = true};

enum { KEYS = 300 };

typedef enum record_part {
    PART_HEADER = 0,
    PART_KEY = 24,
    PART_VALUE = 34
} part;

/* Where the newest record with a key and a value begins, and in which file. */
static uint64_t find_record(handle *h, const char *key, const char *text,
                            char ret_file[32])
{
    const os_ops *ops = h->kernel->ops;
    os_file *dir = handle_dir(h);
    uint64_t found = 0;
    char wanted[96];

    (void)snprintf(wanted, sizeof(wanted), "%s%s", key, text);
    for (uint64_t id = 1; id < 64; id++) {
        char name[32];
        os_file *file;
        os_stat stat;
        uint8_t *bytes;
        size_t got;

        (void)snprintf(name, sizeof(name), "%016llx.log",
                       (unsigned long long)id);
        if (ops->open(dir, name, OS_READ, 0, &file) != 0) {
            continue;
        }
        assert_int_equal(ops->stat(file, &stat), 0);
        bytes = malloc(stat.size + 1);
        assert_non_null(bytes);
        assert_int_equal(ops->read_at(file, bytes, stat.size, 0, &got), 0);
        for (size_t i = 0; i + strlen(wanted) <= got; i++) {
            if (bytes[i] == wanted[0] &&
                memcmp(bytes + i, wanted, strlen(wanted)) == 0) {
                found = i - RECORD_HEADER_SIZE;
                (void)snprintf(ret_file, 32, "%s", name);
            }
        }
        free(bytes);
        ops->close(file);
    }
    ops->close(dir);
    assert_true(found > 0);
    return found;
}

static void flip_record(handle *h, unsigned round, unsigned i, part what)
{
    char file[32];
    uint64_t at = find_record(h, name_of(i), text_of(round, i), file);

    flip(h, file, (int64_t)at + (int)what);
}

static bool count_log(void *context, const char *name)
{
    uint64_t id;

    *(unsigned *)context += segment_name_parse(name, &id) ? 1 : 0;
    return true;
}

static unsigned count_logs(handle *h)
{
    os_file *dir = handle_dir(h);
    unsigned count = 0;

    assert_int_equal(h->kernel->ops->list(dir, count_log, &count), 0);
    h->kernel->ops->close(dir);
    return count;
}

/* Keys 0 to 299 in a run, 100 to 199 newer in the memtable. */
static void make_two(handle *h)
{
    put_range(h, 1, 0, KEYS);
    flush_all(h);
    put_range(h, 2, 100, 200);
}

static void check_lost(handle *h, unsigned lost)
{
    check_range(h, 1, 0, 100);
    check_range(h, 2, 100, lost);
    check_damaged(h, ".log: offset", lost, lost + 1);
    check_range(h, 2, lost + 1, 200);
    check_range(h, 1, 200, KEYS);
}

/* Neither an older value nor none, whatever is done but writing it again. */
static void lose_and_keep_losing(handle *h, part what)
{
    unsigned segments;

    make_two(h);
    flip_record(h, 2, 120, what);
    assert_int_equal(get_status(h, name_of(120), NULL), CASK_CORRUPT);
    flush_all(h);
    check_lost(h, 120);
    segments = count_logs(h);
    put_range(h, 4, 290, KEYS);
    flush_all(h);
    put_range(h, 1, 290, KEYS);
    assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
    check_lost(h, 120);
    handle_reopen(h);
    check_lost(h, 120);
    assert_true(count_logs(h) >= segments);
    assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
    check_lost(h, 120);
    /* Written again it counts no more, nor if that is deleted. */
    put_text(h, name_of(120), "again");
    check_text(h, name_of(120), "again");
    flush_all(h);
    check_text(h, name_of(120), "again");
    delete_text(h, name_of(120));
    assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
    check_text(h, name_of(120), NULL);
    handle_reopen(h);
    check_text(h, name_of(120), NULL);
}

static void test_lost_value_stays_lost(void **state)
{
    lose_and_keep_losing(*state, PART_VALUE);
}

static void test_lost_key_stays_lost(void **state)
{
    lose_and_keep_losing(*state, PART_KEY);
}

static void test_lost_header_stays_lost(void **state)
{
    lose_and_keep_losing(*state, PART_HEADER);
}

/* What the store does not know its backup does not know either. */
static void test_backup_has_lost_records(void **state)
{
    const cask_backup_options unverified = {.skip_verify = true};
    const char *backup = "/backup";
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    char file[32];
    uint64_t at;

    make_two(h);
    at = find_record(h, name_of(120), text_of(2, 120), file);
    flip(h, file, (int64_t)at + PART_VALUE);
    flush_all(h);
    handle_reopen(h);
    check_lost(h, 120);
    assert_int_equal(cask_backup(h->db, backup, NULL, NULL, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, file));
    if (cask_backup(h->db, backup, &unverified, NULL, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    handle_close(h);
    if (db_open_on(h->kernel, backup, &h->options, &h->db, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    check_lost(h, 120);
    assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
    check_lost(h, 120);
}

/* Any key that is not newer may be in the range. The first is that of the
 * record. */
static void lose_range(handle *h, part what)
{
    char end[32];
    char file[32];
    uint64_t at;

    put_range(h, 1, 0, KEYS);
    flush_all(h);
    delete_keys(h, 110, 200);
    put_range(h, 2, 120, 130);
    (void)snprintf(end, sizeof(end), "%s", name_of(200));
    at = find_record(h, name_of(110), end, file);
    flip(h, file, (int64_t)at + (int)what);
    for (unsigned round = 0; round < 2; round++) {
        put_range(h, 3, 290, KEYS);
        flush_all(h);
        check_damaged(h, ".log: offset", 0, 120);
        check_range(h, 2, 120, 130);
        check_damaged(h, ".log: offset", 130, 290);
        check_range(h, 3, 290, KEYS);
        assert_int_equal(count_from(h, 0, KEYS), CASK_CORRUPT);
        assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
        check_damaged(h, ".log: offset", 0, 120);
        handle_reopen(h);
    }
    check_damaged(h, ".log: offset", 130, 290);
    put_text(h, name_of(5), "again");
    check_text(h, name_of(5), "again");
    handle_close(h);
    flip(h, file, (int64_t)at + (int)what);
    handle_open(h);
    check_range(h, 1, 6, 110);
    for (unsigned i = 110; i < 120; i++) {
        check_text(h, name_of(i), NULL);
    }
    check_range(h, 2, 120, 130);
    check_text(h, name_of(199), NULL);
    check_range(h, 1, 200, 290);
}

static void test_lost_range_does_not_stop_flushes(void **state)
{
    lose_range(*state, PART_VALUE);
}

static void test_lost_header_of_a_range_does_not_stop_flushes(void **state)
{
    lose_range(*state, PART_HEADER);
}

static void test_restored_record_is_read_again(void **state)
{
    handle *h = *state;
    char file[32];
    uint64_t at;

    make_two(h);
    at = find_record(h, name_of(150), text_of(2, 150), file);
    flip(h, file, (int64_t)at + PART_VALUE);
    flush_all(h);
    check_lost(h, 150);
    assert_int_equal(count_from(h, 0, KEYS), CASK_CORRUPT);
    handle_close(h);
    flip(h, file, (int64_t)at + PART_VALUE);
    handle_open(h);
    check_range(h, 1, 0, 100);
    check_range(h, 2, 100, 200);
    check_range(h, 1, 200, KEYS);
}

static void
test_flush_stays_lost_when_killed_before_it_is_published(void **state)
{
    handle *h = *state;
    os_sim *copy;
    const os_sim_options options = {.seed = 2,
                                    .max_file_bytes = (size_t)1 << 30};
    os_sim *first = h->sim;

    make_two(h);
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    flip_record(h, 2, 120, PART_VALUE);
    flush_all(h);
    /* The power fails; what the flush said is durable. */
    assert_int_equal(os_sim_create(&options, &copy), 0);
    os_sim_cut(first);
    assert_int_equal(os_sim_copy(first, copy), 0);
    assert_int_equal(os_sim_crash(copy, 3), 0);
    (void)cask_close(h->db, NULL);
    os_sim_free(first);
    h->sim = copy;
    h->kernel = os_sim_os(copy);
    os_sim_set_wall_ms(copy, HANDLE_NOW_MS);
    handle_open(h);
    check_lost(h, 120);
}

/* ---- Verify, repair and conversion ---- */

typedef struct told {
    unsigned count;
    unsigned at;   /* of these, of the record */
    unsigned lost; /* of these, as lost, not as damaged */
    const char *file;
    uint64_t offset;
} told;

static void note_told(told *t, const cask_problem *problem)
{
    t->count++;
    if (strcmp(problem->file, t->file) == 0 && problem->offset == t->offset) {
        t->at++;
        t->lost += strstr(problem->reason, "before it was in a run") != NULL;
    }
}

static void on_problem(void *context, const cask_problem *problem)
{
    note_told(context, problem);
}

static void on_lost(void *context, const cask_lost *lost)
{
    assert_false(lost->harmless);
    note_told(context, &lost->at);
}

/* Its value is damaged in a store that is closed then; it may be restored. */
static told lose_one(handle *h, char file[32], bool is_restored)
{
    uint64_t at;

    make_two(h);
    at = find_record(h, name_of(120), text_of(2, 120), file);
    flip(h, file, (int64_t)at + PART_VALUE);
    flush_all(h);
    /* So that its segment has nothing else that is not in a run. */
    assert_int_equal(cask_merge(h->db, &everything, NULL, NULL), CASK_OK);
    handle_reopen(h);
    put_range(h, 3, 290, KEYS);
    handle_close(h);
    if (is_restored) {
        flip(h, file, (int64_t)at + PART_VALUE);
    }
    return (told){.file = file, .offset = at};
}

static void verify_tells(handle *h, told t, unsigned count)
{
    const cask_verify_options options = {.on_problem = on_problem,
                                         .context = &t};
    cask_verify_report report;
    cask_error err = {CASK_OK, 0, ""};

    assert_int_equal(
        db_verify_on(h->kernel, HANDLE_PATH, &options, &report, &err),
        CASK_CORRUPT);
    assert_true(report.readable);
    assert_int_equal(report.problems, count);
    assert_int_equal(report.harmless, 0);
    assert_int_equal(t.count, count);
    assert_int_equal(t.at, count);
    assert_int_equal(t.lost, 1);
}

static void test_verify_tells_a_lost_record(void **state)
{
    handle *h = *state;
    char file[32];
    told t = lose_one(h, file, false);

    verify_tells(h, t, 2); /* and what is wrong with the file */
}

/* Walks fail still. */
static void test_verify_tells_a_lost_record_that_is_restored(void **state)
{
    handle *h = *state;
    char file[32];
    told t = lose_one(h, file, true);

    verify_tells(h, t, 1);
}

/* Open what was saved. */
static cask_status repair(handle *h, told *t)
{
    const cask_repair_options options = {.on_lost = on_lost, .context = t};
    cask_repair_report report;
    cask_verify_report whole;
    cask_status status;

    status =
        db_repair_on(h->kernel, HANDLE_PATH, "/out", &options, &report, NULL);
    assert_int_equal(report.lost, t->count);
    assert_int_equal(db_verify_on(h->kernel, "/out", NULL, &whole, NULL),
                     CASK_OK);
    assert_int_equal(db_open_on(h->kernel, "/out", &h->options, &h->db, NULL),
                     CASK_OK);
    assert_int_equal(count_from(h, 0, KEYS), CASK_OK);
    check_range(h, 1, 0, 100);
    check_range(h, 2, 100, 120);
    check_range(h, 2, 121, 200);
    check_range(h, 1, 200, 290);
    check_range(h, 3, 290, KEYS);
    return status;
}

static void test_repair_tells_a_lost_record(void **state)
{
    handle *h = *state;
    char file[32];
    told t = lose_one(h, file, false);

    assert_int_equal(repair(h, &t), CASK_CORRUPT);
    assert_int_equal(t.count, 1);
    assert_int_equal(t.at, 1);
    check_range(h, 1, 120, 121); /* as it says */
}

static void test_repair_has_a_lost_record_that_is_restored(void **state)
{
    handle *h = *state;
    char file[32];
    told t = lose_one(h, file, true);

    assert_int_equal(repair(h, &t), CASK_OK);
    check_range(h, 2, 120, 121);
}

static void test_repair_tells_a_lost_record_whose_file_is_gone(void **state)
{
    handle *h = *state;
    os_file *dir = handle_dir(h);
    char file[32];
    told t = lose_one(h, file, false);

    assert_int_equal(h->kernel->ops->remove(dir, file), 0);
    h->kernel->ops->close(dir);
    assert_int_equal(repair(h, &t), CASK_CORRUPT);
    assert_int_equal(t.count, 1);
    check_range(h, 1, 120, 121);
}

static void test_lost_record_is_not_converted(void **state)
{
    handle *h = *state;
    cask_convert_report report;
    cask_error err = {CASK_OK, 0, ""};
    os_file *dir = NULL;
    char file[32];

    (void)lose_one(h, file, false);
    handle_open(h);
    assert_int_equal(cask_convert(h->db, "/new", NULL, &report, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, file));
    assert_non_null(strstr(err.message, "caskade repair"));
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, "/new", &dir), ENOENT);
}

/* ---- Many damaged headers ---- */

static void
test_damaged_memtable_takes_no_more_and_nothing_is_poisoned(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};

    put_range(h, 1, 0, KEYS);
    for (unsigned i = 50; i < 250; i++) {
        flip_record(h, 1, i, PART_HEADER);
    }
    for (unsigned round = 2; round < 5; round++) {
        put_range(h, round, 0, KEYS);
        for (unsigned i = 0; i < KEYS; i++) {
            char key[32];

            (void)snprintf(key, sizeof(key), "key %05u and more", i);
            if (cask_put(h->db, cask_slice_of(key), cask_slice_of("x"), &err) !=
                CASK_OK) {
                fail_msg("%s", err.message);
            }
            check_text(h, key, "x");
        }
    }
    check_range(h, 4, 0, KEYS);
    flush_all(h);
    check_range(h, 4, 0, KEYS);
    handle_reopen(h);
    check_range(h, 4, 0, KEYS);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, tree_handle_setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_lost_value_stays_lost),
        TEST(test_lost_key_stays_lost),
        TEST(test_lost_header_stays_lost),
        TEST(test_backup_has_lost_records),
        TEST(test_lost_range_does_not_stop_flushes),
        TEST(test_lost_header_of_a_range_does_not_stop_flushes),
        TEST(test_restored_record_is_read_again),
        TEST(test_flush_stays_lost_when_killed_before_it_is_published),
        TEST(test_verify_tells_a_lost_record),
        TEST(test_verify_tells_a_lost_record_that_is_restored),
        TEST(test_repair_tells_a_lost_record),
        TEST(test_repair_has_a_lost_record_that_is_restored),
        TEST(test_repair_tells_a_lost_record_whose_file_is_gone),
        TEST(test_lost_record_is_not_converted),
        TEST(test_damaged_memtable_takes_no_more_and_nothing_is_poisoned),
    };

    return cmocka_run_group_tests_name("tree_lost", tests, NULL, NULL);
}
