/*
 * Runs that are made for a store, or taken in by one: its name and hash key are
 * in them, and sequences are told as the store's.
 */
#include "unit/run/run_place.h"

#include <string.h>

static const run_origin origin = {
    .uuid = {1, 2, 3}, .id = 42, .born = 7, .hash_key = {{11, 22}}};

static cask_run *write_and_open(run_place *place,
                                const run_writer_options *options,
                                const cask_run_entry *entries, size_t count,
                                const run_open_options *how)
{
    cask_run_writer *writer = NULL;
    cask_error err = {0};
    cask_run *run = NULL;
    os_file *dir;

    assert_int_equal(
        place->fault.base.ops->open_dir(&place->fault.base, "/d", &dir), 0);
    assert_int_equal(run_writer_create(dir, RUN_NAME, options, &writer, &err),
                     CASK_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(run_writer_add(writer, &entries[i], &err), CASK_OK);
    }
    assert_int_equal(run_writer_finish(writer, &err), CASK_OK);
    assert_int_equal(run_open(place->dir, RUN_NAME, how, &run, &err), CASK_OK);
    return run;
}

static void test_the_stores_hash_key_serves_all_its_runs(void **state)
{
    const run_writer_options options = {.origin = &origin};
    const cask_run_entry entries[] = {put_of("a", "1", 5), put_of("a", "0", 4),
                                      put_of("b", "2", 6),
                                      range_of("c", "d", 3)};
    run_wanted wanted = {.key = text_slice("a")};
    run_place *place = *state;
    cask_buffer value = {0};
    cask_run_entry got;
    cask_run *run = write_and_open(place, &options, entries, 4, NULL);

    assert_true(run_is_hashed_by(run, origin.hash_key));
    assert_false(run_is_hashed_by(run, (run_hash_key){{11, 23}}));
    wanted.hash = run_hash(origin.hash_key, "a", 1);
    assert_int_equal(run_get_hashed(run, &wanted, &value, &got, NULL), CASK_OK);
    assert_entry(&got, &entries[0]);
    wanted.max_sequence = 4;
    assert_int_equal(run_get_hashed(run, &wanted, &value, &got, NULL), CASK_OK);
    assert_entry(&got, &entries[1]);
    wanted.max_sequence = 3;
    assert_int_equal(run_get_hashed(run, &wanted, &value, &got, NULL),
                     CASK_NOT_FOUND);
    cask_buffer_free(&value);
    run_close(run);
}

/* As a directory in which files were exchanged. */
static void test_another_file_than_the_expected_is_corrupt(void **state)
{
    const run_writer_options options = {.origin = &origin};
    const cask_run_entry entry = put_of("a", "1", 5);
    run_place *place = *state;
    segment_header expected = {.kind = SEGMENT_RUN, .id = 42};
    const run_open_options how = {.expected = &expected};
    cask_error err = {0};
    cask_run *run;

    memcpy(expected.uuid, origin.uuid, sizeof(expected.uuid));
    run = write_and_open(place, &options, &entry, 1, &how);
    expected.nonce = run->footer.nonce;
    run_close(run);
    assert_int_equal(run_open(place->dir, RUN_NAME, &how, &run, &err), CASK_OK);
    run_close(run);
    expected.nonce ^= 1;
    assert_int_equal(run_open(place->dir, RUN_NAME, &how, &run, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, "x.run: offset 40: nonce is "));
    expected.nonce = 0;
    expected.id = 43;
    assert_int_equal(run_open(place->dir, RUN_NAME, &how, &run, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, "expected 000000000000002b"));
    expected.id = 42;
    expected.uuid[0] ^= 1;
    assert_int_equal(run_open(place->dir, RUN_NAME, &how, &run, &err),
                     CASK_CORRUPT);
}

/* What the run says of the key up to a sequence of the store: an entry, whose
 * sequence is that of the file, or NULL. */
static void assert_told(const cask_run *run, const char *key,
                        uint64_t max_sequence, const cask_run_entry *expected)
{
    cask_buffer value = {0};
    cask_run_entry got;
    cask_status status =
        run_get(run, text_slice(key), max_sequence, &value, &got, NULL);

    assert_int_equal(status, expected != NULL ? CASK_OK : CASK_NOT_FOUND);
    if (expected != NULL) {
        cask_run_entry moved = *expected;

        moved.info.sequence += run->added_sequence;
        assert_entry(&got, &moved);
    }
    cask_buffer_free(&value);
}

static void test_what_was_taken_in_has_sequences_of_the_store(void **state)
{
    const run_writer_options none = {0};
    const run_open_options how = {.added_sequence = 1000};
    const cask_run_entry entries[] = {put_of("a", "1", 5), put_of("a", "0", 2),
                                      range_of("b", "d", 3),
                                      put_of("b", "2", 1), put_of("c", "4", 4)};
    run_place *place = *state;
    cask_run_iterator it = {0};
    cask_run_entry got;
    cask_status status;
    cask_run *run = write_and_open(place, &none, entries, 5, &how);

    assert_int_equal(run_first_sequence(run), 1001);
    assert_int_equal(run_last_sequence(run), 1005);
    assert_told(run, "a", 0, &entries[0]);
    assert_told(run, "a", 1005, &entries[0]);
    assert_told(run, "a", 1004, &entries[1]);
    assert_told(run, "a", 1001, NULL);
    assert_told(run, "a", 1000, NULL);
    assert_told(run, "a", 5, NULL);
    assert_told(run, "b", 0, &entries[2]);
    assert_told(run, "b", 1002, &entries[3]);
    assert_told(run, "c", 1003, &entries[2]);
    assert_told(run, "c", 1004, &entries[4]);
    it.run = run;
    status =
        run_iterator_seek(&it, CASK_RUN_FIRST, (cask_slice){0}, &got, NULL);
    for (int i = 0; i < 5; i++) {
        cask_run_entry moved = entries[i];

        moved.info.sequence += run->added_sequence;
        assert_int_equal(status, CASK_OK);
        assert_entry(&got, &moved);
        status = run_iterator_next(&it, &got, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    run_close(run);
}

static void test_sequences_that_do_not_fit_are_refused(void **state)
{
    const run_writer_options none = {0};
    const cask_run_entry entry = put_of("a", "1", 5);
    run_open_options how = {.added_sequence = (int64_t)RECORD_SEQUENCE_MAX - 5};
    run_place *place = *state;
    cask_error err = {0};
    cask_run *run = write_and_open(place, &none, &entry, 1, &how);

    assert_told(run, "a", 0, &entry);
    assert_told(run, "a", RECORD_SEQUENCE_MAX - 1, NULL);
    run_close(run);
    how.added_sequence++;
    assert_int_equal(run_open(place->dir, RUN_NAME, &how, &run, &err),
                     CASK_INVALID);
    assert_non_null(strstr(err.message, "more than 2^56"));
    how.added_sequence = -5;
    assert_int_equal(run_open(place->dir, RUN_NAME, &how, &run, &err),
                     CASK_INVALID);
    assert_non_null(strstr(err.message, "less than 1"));
}

/* Of a run that was built with large ones. */
static void test_sequences_may_become_smaller(void **state)
{
    const run_writer_options none = {0};
    const cask_run_entry entries[] = {
        put_of("a", "1", 1003), put_of("a", "0", 1001),
        range_of("b", "d", 1002), put_of("c", "4", 1001)};
    const run_open_options how = {.added_sequence = -1000};
    run_place *place = *state;
    cask_run *run = write_and_open(place, &none, entries, 4, &how);

    assert_int_equal(run_first_sequence(run), 1);
    assert_int_equal(run_last_sequence(run), 3);
    assert_told(run, "a", 0, &entries[0]);
    assert_told(run, "a", UINT64_MAX, &entries[0]);
    assert_told(run, "a", 3, &entries[0]);
    assert_told(run, "a", 2, &entries[1]);
    assert_told(run, "a", 1, &entries[1]);
    assert_told(run, "b", 2, &entries[2]);
    assert_told(run, "b", 1, NULL);
    assert_told(run, "c", 1, &entries[3]);
    assert_told(run, "c", 2, &entries[2]);
    run_close(run);
}

#define PLACED(test)                                                           \
    cmocka_unit_test_setup_teardown(test, run_place_setup, run_place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(test_the_stores_hash_key_serves_all_its_runs),
        PLACED(test_another_file_than_the_expected_is_corrupt),
        PLACED(test_what_was_taken_in_has_sequences_of_the_store),
        PLACED(test_sequences_that_do_not_fit_are_refused),
        PLACED(test_sequences_may_become_smaller),
    };

    return cmocka_run_group_tests_name("runs of stores", tests, NULL, NULL);
}
