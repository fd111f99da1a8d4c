/*
 * The public calls for runs: a file on a real disk from beginning to end, and
 * arguments that are refused.
 */
#include "cask_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caskade.h"

static char directory[128];
static char path[192];

static int setup(void **state)
{
    const char *parent = getenv("TMPDIR");

    (void)state;
    (void)snprintf(directory, sizeof(directory), "%.80s/caskade-runs-XXXXXX",
                   parent != NULL ? parent : "/tmp");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/x.run", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(directory);
}

static const cask_run_entry entries[] = {
    {.kind = CASK_RUN_PUT,
     .key = {"a", 1},
     .value = {"one", 3},
     .info = {.sequence = 5, .time_s = 1, .expires_at_ms = 9}},
    {.kind = CASK_RUN_DELETE,
     .key = {"b", 1},
     .info = {.sequence = 6, .time_s = 1}},
    {.kind = CASK_RUN_DELETE_RANGE,
     .key = {"c", 1},
     .value = {"d", 1},
     .info = {.sequence = 7, .time_s = 1}},
    {.kind = CASK_RUN_POINTER,
     .key = {"d", 1},
     .info = {.sequence = 8, .time_s = 1},
     .pointer = {42, 64, 40}},
};

enum { ENTRIES = sizeof(entries) / sizeof(entries[0]) };

static void write_all(const cask_run_options *options)
{
    cask_run_writer *writer = NULL;

    assert_int_equal(cask_run_writer_create(path, options, &writer, NULL),
                     CASK_OK);
    for (int i = 0; i < ENTRIES; i++) {
        assert_int_equal(cask_run_writer_add(writer, &entries[i], NULL),
                         CASK_OK);
    }
    assert_int_equal(cask_run_writer_finish(writer, NULL), CASK_OK);
}

static void assert_same(const cask_run_entry *got, int index)
{
    const cask_run_entry *expected = &entries[index];

    assert_int_equal(got->kind, expected->kind);
    assert_int_equal(got->key.size, expected->key.size);
    assert_memory_equal(got->key.data, expected->key.data, got->key.size);
    assert_int_equal(got->value.size, expected->value.size);
    if (got->value.size > 0) {
        assert_memory_equal(got->value.data, expected->value.data,
                            got->value.size);
    }
    assert_int_equal(got->info.sequence, expected->info.sequence);
    assert_int_equal(got->info.expires_at_ms, expected->info.expires_at_ms);
    assert_memory_equal(&got->pointer, &expected->pointer,
                        sizeof(got->pointer));
}

static void check_iterator(const cask_run *run)
{
    cask_run_iterator *it = NULL;
    cask_run_entry got;
    cask_error err = {0};

    assert_int_equal(cask_run_iterator_create(run, &it, NULL), CASK_OK);
    assert_int_equal(cask_run_iterator_next(it, &got, &err), CASK_INVALID);
    assert_non_null(strstr(err.message, "seek first"));
    assert_int_equal(cask_run_iterator_seek(it, CASK_RUN_AT_LEAST,
                                            cask_slice_of("aa"), &got, NULL),
                     CASK_OK);
    assert_same(&got, 1);
    assert_int_equal(cask_run_iterator_next(it, &got, NULL), CASK_OK);
    assert_same(&got, 2);
    assert_int_equal(cask_run_iterator_previous(it, &got, NULL), CASK_OK);
    assert_int_equal(cask_run_iterator_previous(it, &got, NULL), CASK_OK);
    assert_same(&got, 0);
    assert_int_equal(cask_run_iterator_previous(it, &got, NULL),
                     CASK_NOT_FOUND);
    assert_int_equal(cask_run_iterator_previous(it, &got, NULL), CASK_INVALID);
    assert_int_equal(cask_run_iterator_seek(it, (cask_run_seek)5,
                                            cask_slice_of("aa"), &got, NULL),
                     CASK_INVALID);
    cask_run_iterator_free(it);
    cask_run_iterator_free(NULL);
}

static void test_a_run_is_written_read_and_walked_over(void **state)
{
    const cask_run_options options = {.file_mode = 0644, .prefix_bytes = 1};
    cask_buffer value = {0};
    cask_run_info info;
    cask_run_entry got;
    cask_run *run = NULL;
    struct stat what;

    (void)state;
    write_all(&options);
    assert_int_equal(stat(path, &what), 0);
    assert_int_equal(what.st_mode & 0777, 0644);
    assert_int_equal(cask_run_open(path, &run, NULL), CASK_OK);
    cask_run_get_info(run, &info);
    assert_int_equal(info.file_bytes, what.st_size);
    assert_int_equal(info.records, ENTRIES);
    assert_int_equal(info.keys, 3);
    assert_int_equal(info.tombstones, 1);
    assert_int_equal(info.ranges, 1);
    assert_int_equal(info.pointers, 1);
    assert_int_equal(info.first_sequence, 5);
    assert_int_equal(info.last_sequence, 8);
    assert_memory_equal(info.smallest_key.data, "a", 1);
    assert_memory_equal(info.largest_key.data, "d", 1);
    assert_memory_equal(info.largest_end.data, "d", 1);
    assert_int_equal(info.prefix_bytes, 1);
    assert_int_equal(info.segment_count, 1);
    assert_int_equal(cask_run_get_segment(run, 0).id, 42);
    assert_int_equal(cask_run_get_segment(run, 0).bytes, 40);
    assert_int_equal(cask_run_get_segment(run, 1).id, 0);
    for (int i = 0; i < ENTRIES; i++) {
        assert_int_equal(
            cask_run_get(run, entries[i].key, 0, &value, &got, NULL), CASK_OK);
        assert_same(&got, i);
    }
    assert_int_equal(
        cask_run_get(run, cask_slice_of("aa"), 0, &value, &got, NULL),
        CASK_NOT_FOUND);
    assert_true(cask_run_may_have_prefix(run, cask_slice_of("a")));
    check_iterator(run);
    cask_buffer_free(&value);
    cask_run_close(run);
    cask_run_close(NULL);
}

static void create_fails(const char *where, const cask_run_options *options,
                         const char *part)
{
    cask_run_writer *writer = NULL;
    cask_error err = {0};

    assert_int_equal(cask_run_writer_create(where, options, &writer, &err),
                     CASK_INVALID);
    assert_null(writer);
    if (strstr(err.message, part) == NULL) {
        assert_string_equal(err.message, part);
    }
}

static void test_wrong_options_and_paths_are_refused(void **state)
{
    const cask_run_options mode = {.file_mode = 01000};
    const cask_run_options prefix = {.prefix_bytes = 65536};
    const cask_run_options memory = {.memory_bytes = 1};
    cask_run *run = NULL;

    (void)state;
    create_fails(path, &mode, "file_mode is 1000; at most 0777");
    create_fails(path, &prefix, "prefix_bytes is 65536; at most 65535");
    create_fails(path, &memory, "memory_bytes is 1; 0 or at least");
    create_fails(NULL, NULL, "give the path of a file");
    create_fails("", NULL, "give the path of a file");
    create_fails("/tmp/", NULL, "give the path of a file");
    create_fails("/nowhere/at/all", NULL, "cannot open the directory");
    assert_int_equal(cask_run_open(path, &run, NULL), CASK_NOT_FOUND);
    assert_int_equal(cask_run_open(path, NULL, NULL), CASK_INVALID);
    assert_int_equal(cask_run_writer_create(path, NULL, NULL, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_run_writer_finish(NULL, NULL), CASK_INVALID);
    cask_run_writer_abort(NULL);
}

static void test_wrong_entries_are_refused_and_the_others_stay(void **state)
{
    static const char large[65536];
    cask_run_entry wrong[] = {entries[0], entries[1], entries[1], entries[2],
                              entries[2], entries[3], entries[3], entries[0],
                              entries[0], entries[0], entries[0]};
    cask_run_writer *writer = NULL;
    cask_run_info info;
    cask_run *run = NULL;

    (void)state;
    wrong[0].kind = (cask_run_kind)3;
    wrong[1].value = cask_slice_of("value");
    wrong[2].info.expires_at_ms = 1;
    wrong[3].value = cask_slice_of("c");
    wrong[4].value = (cask_slice){large, sizeof(large)};
    wrong[5].value = cask_slice_of("value");
    wrong[6].pointer.offset = 65;
    wrong[7].key = (cask_slice){large, sizeof(large)};
    wrong[8].key = (cask_slice){NULL, 1};
    wrong[9].info.sequence = UINT64_C(1) << 56;
    wrong[10].value.size = (size_t)CASK_VALUE_MAX_BYTES + 1;
    assert_int_equal(cask_run_writer_create(path, NULL, &writer, NULL),
                     CASK_OK);
    assert_int_equal(cask_run_writer_add(writer, &entries[0], NULL), CASK_OK);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(cask_run_writer_add(writer, &wrong[i], NULL),
                         CASK_INVALID);
    }
    assert_int_equal(cask_run_writer_add(writer, NULL, NULL), CASK_INVALID);
    assert_int_equal(cask_run_writer_finish(writer, NULL), CASK_OK);
    assert_int_equal(cask_run_open(path, &run, NULL), CASK_OK);
    cask_run_get_info(run, &info);
    assert_int_equal(info.records, 1);
    cask_run_close(run);
}

static mode_t mode_of_run(void)
{
    struct stat what;

    assert_int_equal(stat(path, &what), 0);
    return what.st_mode & 0777;
}

static void test_the_mode_is_the_one_asked_for_whatever_was_left(void **state)
{
    const cask_run_options options = {.file_mode = 0444};
    char aside[200];
    int file;

    (void)state;
    (void)snprintf(aside, sizeof(aside), "%s.new", path);
    file = open(aside, O_WRONLY | O_CREAT, 0600);
    assert_true(file >= 0);
    assert_int_equal(fchmod(file, 0666), 0);
    (void)close(file);
    write_all(NULL);
    assert_int_equal(mode_of_run(), 0600);
    assert_int_equal(unlink(path), 0);
    write_all(&options);
    assert_int_equal(mode_of_run(), 0644);
}

/* What open and create say of `where`. */
static void both_fail(const char *where, cask_status expected, int os_errno)
{
    cask_run_writer *writer = NULL;
    cask_run *run = NULL;
    cask_error err = {0};

    assert_int_equal(cask_run_open(where, &run, &err), expected);
    assert_int_equal(err.os_errno, os_errno);
    assert_non_null(strstr(err.message, "cannot open the directory"));
    assert_int_equal(cask_run_writer_create(where, NULL, &writer, &err),
                     expected);
    assert_int_equal(err.os_errno, os_errno);
    assert_null(writer);
    assert_null(run);
}

static void test_a_wrong_directory_is_told_from_a_failing_system(void **state)
{
    struct rlimit before;
    struct rlimit none;
    char below[200];

    (void)state;
    write_all(NULL);
    (void)snprintf(below, sizeof(below), "%s/y.run", path);
    both_fail(below, CASK_INVALID, ENOTDIR);
    (void)snprintf(below, sizeof(below), "%s/none/y.run", directory);
    both_fail(below, CASK_INVALID, ENOENT);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    both_fail(path, CASK_IO, EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_a_path_that_is_no_file_is_told_as_such(void **state)
{
    char link[200];
    cask_run *run = NULL;
    cask_error err = {0};

    (void)state;
    write_all(NULL);
    assert_int_equal(cask_run_open(directory, &run, &err), CASK_INVALID);
    assert_non_null(strstr(err.message, "is no plain file; give the path of"));
    (void)snprintf(link, sizeof(link), "%s/link", directory);
    assert_int_equal(symlink("x.run", link), 0);
    assert_int_equal(cask_run_open(link, &run, &err), CASK_INVALID);
    assert_string_equal(err.message, "link: is a symbolic link; give the path "
                                     "of the run itself");
    assert_int_equal(unlink(link), 0);
}

static void test_an_aborted_run_leaves_no_file(void **state)
{
    cask_run_writer *writer = NULL;

    (void)state;
    assert_int_equal(cask_run_writer_create(path, NULL, &writer, NULL),
                     CASK_OK);
    assert_int_equal(cask_run_writer_add(writer, &entries[0], NULL), CASK_OK);
    cask_run_writer_abort(writer);
    /* The directory is empty: teardown() removes it. */
}

#define WITH_DIRECTORY(test)                                                   \
    cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(test_a_run_is_written_read_and_walked_over),
        WITH_DIRECTORY(test_wrong_options_and_paths_are_refused),
        WITH_DIRECTORY(test_wrong_entries_are_refused_and_the_others_stay),
        WITH_DIRECTORY(test_the_mode_is_the_one_asked_for_whatever_was_left),
        WITH_DIRECTORY(test_a_wrong_directory_is_told_from_a_failing_system),
        WITH_DIRECTORY(test_a_path_that_is_no_file_is_told_as_such),
        WITH_DIRECTORY(test_an_aborted_run_leaves_no_file),
    };

    return cmocka_run_group_tests_name("runs", tests, NULL, NULL);
}
