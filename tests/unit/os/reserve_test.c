/*
 * Room behind the end of a file, on every os; on a real disk if its file system
 * can have it.
 */
#include "place.h"

#include <errno.h>

static void test_reserved_room_is_behind_the_end_until_truncate(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    os_stat entry;
    int os_errno;

    put_text(file, "text", 0);
    os_errno = at->os->ops->reserve(file, 4, 100000);
    assert_true(os_errno == 0 || os_errno == EOPNOTSUPP);
    assert_true(has_text(file, "text"));
    assert_int_equal(at->os->ops->stat(file, &entry), 0);
    assert_int_equal(entry.size, 4);
    if (os_errno == 0) {
        assert_true(entry.allocated >= 100004);
    }
    assert_int_equal(at->os->ops->reserve(file, 50000, 0), 0);
    assert_int_equal(at->os->ops->truncate(file, 4), 0);
    assert_int_equal(at->os->ops->stat(file, &entry), 0);
    assert_true(entry.allocated <= 8192);
    assert_true(has_text(file, "text"));
    at->os->ops->close(file);
}

static void test_room_is_reserved_for_offsets_that_files_have(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");

    assert_int_equal(at->os->ops->reserve(file, UINT64_MAX, UINT64_MAX), EFBIG);
    assert_true(has_text(file, ""));
    at->os->ops->close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_reserved_room_is_behind_the_end_until_truncate),
        ON_ALL(test_room_is_reserved_for_offsets_that_files_have),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
