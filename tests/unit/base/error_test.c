/*
 * Statuses are frozen; a failure fills the caller's error completely.
 */
#include "cask_test.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>

/* Programs store and compare these numbers: never change one, only add. */
static const struct {
    cask_status status;
    int number;
    const char *name;
} frozen[] = {
    {CASK_OK, 0, "CASK_OK"},
    {CASK_NOT_FOUND, 1, "CASK_NOT_FOUND"},
    {CASK_CONDITION, 2, "CASK_CONDITION"},
    {CASK_INVALID, 3, "CASK_INVALID"},
    {CASK_CORRUPT, 4, "CASK_CORRUPT"},
    {CASK_BUSY, 5, "CASK_BUSY"},
    {CASK_FENCED, 6, "CASK_FENCED"},
    {CASK_TIMEOUT, 7, "CASK_TIMEOUT"},
    {CASK_NO_SPACE, 8, "CASK_NO_SPACE"},
    {CASK_NO_MEMORY, 9, "CASK_NO_MEMORY"},
    {CASK_IO, 10, "CASK_IO"},
    {CASK_READ_ONLY, 11, "CASK_READ_ONLY"},
    {CASK_POISONED, 12, "CASK_POISONED"},
    {CASK_NAMESPACE, 13, "CASK_NAMESPACE"},
    {CASK_FORKED, 14, "CASK_FORKED"},
    {CASK_UNSUPPORTED, 15, "CASK_UNSUPPORTED"},
    {CASK_SNAPSHOT_LOST, 16, "CASK_SNAPSHOT_LOST"},
};

enum { FROZEN_COUNT = sizeof(frozen) / sizeof(frozen[0]) };

static void test_status_numbers_and_names_are_frozen(void **state)
{
    (void)state;
    for (size_t i = 0; i < FROZEN_COUNT; i++) {
        assert_int_equal(frozen[i].status, frozen[i].number);
        assert_string_equal(cask_status_name(frozen[i].status), frozen[i].name);
    }
}

/* A status that is added must be added above as well. */
static void test_every_status_of_the_header_is_frozen_here(void **state)
{
    size_t count = 0;

    (void)state;
#define COUNT_STATUS(name, value, text)                                        \
    assert_int_equal(frozen[count].number, value);                             \
    count++;
    CASK_STATUS_LIST(COUNT_STATUS)
#undef COUNT_STATUS
    assert_int_equal(count, FROZEN_COUNT);
}

static void test_texts_are_there_and_differ(void **state)
{
    (void)state;
    for (size_t i = 0; i < FROZEN_COUNT; i++) {
        const char *text = cask_status_text(frozen[i].status);

        assert_true(strlen(text) > 0);
        for (size_t other = 0; other < i; other++) {
            assert_string_not_equal(text,
                                    cask_status_text(frozen[other].status));
        }
    }
}

static void test_unknown_status_has_a_name_and_a_text(void **state)
{
    (void)state;
    assert_string_equal(cask_status_name((cask_status)17), "CASK_?");
    assert_string_equal(cask_status_text((cask_status)17), "unknown status");
    assert_string_equal(cask_status_name((cask_status)999), "CASK_?");
}

static void test_fail_fills_the_error_and_returns_the_status(void **state)
{
    cask_error err;

    (void)state;
    memset(&err, 0xff, sizeof(err));
    assert_int_equal(fail(&err, CASK_CORRUPT, 0, "%s: offset %d", "a.log", 7),
                     CASK_CORRUPT);
    assert_int_equal(err.status, CASK_CORRUPT);
    assert_int_equal(err.os_errno, 0);
    assert_string_equal(err.message, "a.log: offset 7");
}

static void test_fail_accepts_no_error(void **state)
{
    (void)state;
    assert_int_equal(fail(NULL, CASK_BUSY, 0, "%s", "x"), CASK_BUSY);
    assert_int_equal(fail_os(NULL, ENOSPC, "%s", "x"), CASK_NO_SPACE);
    assert_int_equal(fail_memory(NULL, 1), CASK_NO_MEMORY);
}

static void test_errno_is_kept_and_explained(void **state)
{
    cask_error err;

    (void)state;
    assert_int_equal(fail(&err, CASK_IO, EIO, "open %s", "LOCK"), CASK_IO);
    assert_int_equal(err.os_errno, EIO);
    assert_string_equal(err.message, "open LOCK: Input/output error");
}

static void test_too_many_files_says_what_to_raise(void **state)
{
    cask_error err;

    (void)state;
    (void)fail_os(&err, EMFILE, "cannot open LOCK");
    assert_string_equal(err.message, "cannot open LOCK: Too many open files; "
                                     "raise the limit with 'ulimit -n'");
    (void)fail_os(&err, ENFILE, "cannot open LOCK");
    assert_string_equal(err.message,
                        "cannot open LOCK: Too many open files in system; "
                        "raise fs.file-max");
    (void)fail_os(&err, EMFILE, "cannot open LOCK; close something");
    assert_string_equal(err.message, "cannot open LOCK; close something: "
                                     "Too many open files");
}

/* Not to free space: there may be plenty. */
static void test_a_file_that_may_not_grow_says_what_to_raise(void **state)
{
    cask_error err;

    (void)state;
    (void)fail_os(&err, EFBIG, "cannot grow x");
    assert_non_null(strstr(err.message, "cannot grow x: File too large; raise "
                                        "the limit with 'ulimit -f'"));
    assert_null(strstr(err.message, "free"));
    (void)fail_os(&err, ENOSPC, "cannot grow x");
    assert_string_equal(err.message, "cannot grow x: No space left on device; "
                                     "free some space and try again");
}

static void test_an_errno_with_one_remedy_names_it(void **state)
{
    static const struct {
        int os_errno;
        const char *advice;
    } cases[] = {
        {EACCES, "Permission denied; check the permissions"},
        {EPERM, "Operation not permitted; check the owner"},
        {ELOOP, "Too many levels of symbolic links; move the symbolic link"},
        {EROFS, "Read-only file system; mount"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cask_error err;

        (void)fail_os(&err, cases[i].os_errno, "open x");
        assert_non_null(strstr(err.message, cases[i].advice));
        (void)fail_os(&err, cases[i].os_errno, "open x; do this");
        assert_non_null(strstr(err.message, "open x; do this: "));
        assert_null(strchr(strchr(err.message, ';') + 1, ';'));
    }
}

static void
test_what_is_in_the_place_of_a_new_file_is_for_its_maker(void **state)
{
    cask_error err;

    (void)state;
    (void)fail_os(&err, EEXIST, "link x");
    assert_string_equal(err.message, "link x: File exists");
    assert_int_equal(fail_new_file(&err, EEXIST, "x", "do this"), CASK_IO);
    assert_string_equal(err.message, "cannot create x: File exists; do this");
    assert_int_equal(err.os_errno, EEXIST);
    assert_int_equal(fail_new_file(&err, ENOSPC, "x", "do this"),
                     CASK_NO_SPACE);
    assert_string_equal(err.message, "cannot create x: No space left on "
                                     "device; free some space and try again");
    assert_int_equal(fail_new_file(NULL, EEXIST, "x", "do this"), CASK_IO);
}

static void test_errno_chooses_the_status(void **state)
{
    static const struct {
        int os_errno;
        cask_status status;
    } cases[] = {
        {ENOSPC, CASK_NO_SPACE}, {EDQUOT, CASK_NO_SPACE},
        {EFBIG, CASK_NO_SPACE},  {ENOMEM, CASK_NO_MEMORY},
        {EROFS, CASK_READ_ONLY}, {EIO, CASK_IO},
        {EACCES, CASK_IO},       {EMFILE, CASK_IO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cask_error err;

        assert_int_equal(fail_os(&err, cases[i].os_errno, "sync x"),
                         cases[i].status);
        assert_int_equal(err.status, cases[i].status);
        assert_int_equal(err.os_errno, cases[i].os_errno);
    }
}

/* The message of a long path is cut, with its NUL, whatever follows it. */
static void test_long_message_is_cut(void **state)
{
    char path[400];
    cask_error err;

    (void)state;
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    memset(&err, 0xff, sizeof(err));
    assert_int_equal(fail_os(&err, EIO, "%s", path), CASK_IO);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);

    /* One byte short of full: the text of the errno is cut as well. */
    path[sizeof(err.message) - 2] = '\0';
    assert_int_equal(fail_os(&err, EIO, "%s", path), CASK_IO);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    assert_int_equal(err.message[sizeof(err.message) - 2], ':');
}

static void test_memory_failure_tells_the_size(void **state)
{
    cask_error err;

    (void)state;
    assert_int_equal(fail_memory(&err, 12345), CASK_NO_MEMORY);
    assert_int_equal(err.status, CASK_NO_MEMORY);
    assert_non_null(strstr(err.message, "12345"));
}

static void test_version_is_the_header_s(void **state)
{
    (void)state;
    assert_string_equal(cask_version(), CASK_VERSION_STRING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_numbers_and_names_are_frozen),
        cmocka_unit_test(test_every_status_of_the_header_is_frozen_here),
        cmocka_unit_test(test_texts_are_there_and_differ),
        cmocka_unit_test(test_unknown_status_has_a_name_and_a_text),
        cmocka_unit_test(test_fail_fills_the_error_and_returns_the_status),
        cmocka_unit_test(test_fail_accepts_no_error),
        cmocka_unit_test(test_errno_is_kept_and_explained),
        cmocka_unit_test(test_too_many_files_says_what_to_raise),
        cmocka_unit_test(test_a_file_that_may_not_grow_says_what_to_raise),
        cmocka_unit_test(test_an_errno_with_one_remedy_names_it),
        cmocka_unit_test(
            test_what_is_in_the_place_of_a_new_file_is_for_its_maker),
        cmocka_unit_test(test_errno_chooses_the_status),
        cmocka_unit_test(test_long_message_is_cut),
        cmocka_unit_test(test_memory_failure_tells_the_size),
        cmocka_unit_test(test_version_is_the_header_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
