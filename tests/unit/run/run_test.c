/*
 * Runs: what is written is what is looked up; what cannot be in a run is
 * refused; nothing is left behind.
 */
#include "unit/run/run_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cask_run *open_run(run_place *place)
{
    cask_error err = {0};
    cask_run *run = NULL;

    if (run_open(place->dir, RUN_NAME, NULL, &run, &err) != CASK_OK) {
        assert_string_equal(err.message, "");
    }
    return run;
}

/* The run says `expected` of the key, NULL: nothing. */
static void assert_get(const cask_run *run, const char *key, uint64_t sequence,
                       const cask_run_entry *expected)
{
    cask_buffer value = {0};
    cask_run_entry got;
    cask_status status =
        run_get(run, text_slice(key), sequence, &value, &got, NULL);

    assert_int_equal(status, expected != NULL ? CASK_OK : CASK_NOT_FOUND);
    if (expected != NULL) {
        assert_entry(&got, expected);
    }
    cask_buffer_free(&value);
}

static void test_every_kind_is_found_as_it_was_written(void **state)
{
    run_place *place = *state;
    cask_run_entry entries[] = {
        put_of("", "empty key", 9),
        put_of("a", "", 3),
        delete_of("b", 5),
        pointer_of("c", 42, 6),
        put_of("c\xff", "expiring", 7),
        put_of("d", "last", 1),
    };
    cask_run *run;

    entries[4].info.expires_at_ms = UINT64_C(1800000000000);
    entries[3].info.expires_at_ms = 1;
    run_place_write(place, NULL, entries, 6);
    run = open_run(place);
    for (size_t i = 0; i < 6; i++) {
        char key[8] = {0};

        memcpy(key, entries[i].key.data, entries[i].key.size);
        assert_get(run, key, 0, &entries[i]);
    }
    assert_get(run, "aa", 0, NULL);
    assert_get(run, "e", 0, NULL);
    run_close(run);
}

static void test_zero_sequence_and_time_are_filled_in(void **state)
{
    run_place *place = *state;
    cask_run_entry entry = put_of("k", "v", 0);
    cask_run *run;

    entry.info.time_s = 0;
    run_place_write(place, NULL, &entry, 1);
    run = open_run(place);
    entry.info.sequence = 1;
    entry.info.time_s = 1700000000;
    assert_get(run, "k", 0, &entry);
    run_close(run);
}

static void test_a_sequence_finds_the_version_of_then(void **state)
{
    run_place *place = *state;
    const cask_run_entry entries[] = {
        put_of("a", "a9", 9), delete_of("a", 7),    put_of("a", "a4", 4),
        put_of("b", "b8", 8), put_of("b", "b2", 2),
    };
    cask_run *run;

    run_place_write(place, NULL, entries, 5);
    run = open_run(place);
    assert_int_equal(run->footer.keys, 2);
    assert_get(run, "a", 0, &entries[0]);
    assert_get(run, "a", 9, &entries[0]);
    assert_get(run, "a", 8, &entries[1]);
    assert_get(run, "a", 6, &entries[2]);
    assert_get(run, "a", 3, NULL);
    assert_get(run, "b", 7, &entries[4]);
    assert_get(run, "b", 1, NULL);
    run_close(run);
}

static void test_a_range_hides_older_versions_only(void **state)
{
    run_place *place = *state;
    const cask_run_entry entries[] = {
        put_of("a", "old", 1), put_of("b", "new", 6), range_of("b", "d", 5),
        put_of("b", "old", 2), put_of("c", "old", 3), range_of("c", "cc", 2),
        put_of("d", "end", 1), range_of("x", "y", 9),
    };
    cask_run *run;

    run_place_write(place, NULL, entries, 8);
    run = open_run(place);
    assert_int_equal(run->footer.ranges, 3);
    assert_int_equal(run->footer.keys, 4);
    assert_slice(run->end, text_slice("y"));
    assert_get(run, "a", 0, &entries[0]);
    assert_get(run, "b", 0, &entries[1]);
    assert_get(run, "b", 5, &entries[2]);
    assert_get(run, "b", 4, &entries[3]);
    assert_get(run, "bb", 0, &entries[2]);
    assert_get(run, "bb", 4, NULL);
    assert_get(run, "c", 0, &entries[2]);
    assert_get(run, "c", 4, &entries[4]);
    assert_get(run, "c", 2, &entries[5]);
    assert_get(run, "d", 0, &entries[6]);
    assert_get(run, "xx", 0, &entries[7]);
    assert_get(run, "y", 0, NULL);
    run_close(run);
}

/* Also the last key that there can be is in it. */
static void test_a_range_without_an_end_hides_all_behind_it(void **state)
{
    run_place *place = *state;
    const cask_run_entry entries[] = {
        range_of("b", "", 5),
        put_of("c", "new", 6),
        put_of("d", "old", 2),
    };
    uint8_t *last = malloc(CASK_KEY_MAX_BYTES);
    cask_run_entry entry;
    cask_buffer value = {0};
    cask_run *run;

    assert_non_null(last);
    memset(last, 0xff, CASK_KEY_MAX_BYTES);
    run_place_write(place, NULL, entries, 3);
    run = open_run(place);
    assert_true(key_is_end(run->end));
    assert_int_equal(run->footer.end_bytes, 0);
    assert_get(run, "a", 0, NULL);
    assert_get(run, "b", 0, &entries[0]);
    assert_get(run, "c", 0, &entries[1]);
    assert_get(run, "d", 0, &entries[0]);
    assert_get(run, "d", 4, &entries[2]);
    assert_int_equal(run_get(run, (cask_slice){last, CASK_KEY_MAX_BYTES}, 0,
                             &value, &entry, NULL),
                     CASK_OK);
    assert_int_equal(entry.kind, CASK_RUN_DELETE_RANGE);
    assert_slice(entry.key, text_slice("b"));
    assert_int_equal(entry.value.size, 0);
    cask_buffer_free(&value);
    run_close(run);
    free(last);
}

static void test_an_empty_run_is_a_run(void **state)
{
    run_place *place = *state;
    const cask_run_options options = {.prefix_bytes = 3};
    cask_run_iterator it = {0};
    cask_run_entry entry;
    cask_run *run;

    run_place_write(place, &options, NULL, 0);
    run = open_run(place);
    it.run = run;
    assert_get(run, "a", 0, NULL);
    for (int how = CASK_RUN_FIRST; how <= CASK_RUN_AT_MOST; how++) {
        assert_int_equal(run_iterator_seek(&it, (cask_run_seek)how,
                                           text_slice("a"), &entry, NULL),
                         CASK_NOT_FOUND);
    }
    assert_false(run_may_have_prefix(run, text_slice("abc")));
    run_close(run);
}

static void add_fails(cask_run_writer *writer, cask_run_entry entry,
                      const char *part)
{
    cask_error err = {0};

    assert_int_equal(run_writer_add(writer, &entry, &err), CASK_INVALID);
    if (strstr(err.message, part) == NULL) {
        assert_string_equal(err.message, part);
    }
}

static void test_out_of_order_is_refused_and_the_run_goes_on(void **state)
{
    run_place *place = *state;
    const cask_run_entry entries[] = {put_of("b", "1", 5), put_of("c", "2", 5)};
    cask_run_writer *writer;
    cask_run *run;

    assert_int_equal(run_place_begin(place, NULL, &writer, NULL), CASK_OK);
    assert_int_equal(run_writer_add(writer, &entries[0], NULL), CASK_OK);
    add_fails(writer, put_of("a", "", 9),
              RUN_NAME ": the key of record 2 sorts before that of record 1;");
    add_fails(writer, put_of("b", "", 5),
              "record 2 has the key of record 1, and sequence 5 after 5;");
    add_fails(writer, put_of("b", "", 6), "sequence 6 after 5");
    add_fails(writer, put_of("", "", 9), "sorts before");
    assert_int_equal(run_writer_add(writer, &entries[1], NULL), CASK_OK);
    assert_int_equal(run_writer_finish(writer, NULL), CASK_OK);
    run = open_run(place);
    assert_int_equal(run->footer.records, 2);
    assert_get(run, "a", 0, NULL);
    assert_get(run, "b", 0, &entries[0]);
    assert_get(run, "c", 0, &entries[1]);
    run_close(run);
}

static void test_a_run_has_its_name_only_when_complete(void **state)
{
    run_place *place = *state;
    cask_run_writer *writer;
    cask_run_writer *other;
    cask_error err = {0};

    assert_int_equal(run_place_begin(place, NULL, &writer, NULL), CASK_OK);
    assert_string_equal(run_place_name(place), RUN_NAME ".new");
    assert_int_equal(run_place_begin(place, NULL, &other, &err), CASK_BUSY);
    assert_string_equal(run_place_name(place), RUN_NAME ".new");
    run_writer_abort(writer);
    assert_string_equal(run_place_name(place), "");

    run_place_write(place, NULL, NULL, 0);
    assert_string_equal(run_place_name(place), RUN_NAME);
    assert_int_equal(run_place_begin(place, NULL, &other, &err), CASK_INVALID);
    assert_non_null(strstr(err.message, "exists already"));
    assert_string_equal(run_place_name(place), RUN_NAME);
}

static void test_what_a_killed_writer_left_is_made_anew(void **state)
{
    run_place *place = *state;
    const os_ops *ops = place->dir->os->ops;
    const os_span span = {"left behind", 11};
    const cask_run_entry entry = put_of("k", "v", 1);
    os_file *file;
    os_stat stat;
    cask_run *run;

    assert_int_equal(ops->open(place->dir, RUN_NAME ".new",
                               OS_READ | OS_WRITE | OS_CREATE, 0644, &file),
                     0);
    assert_int_equal(ops->write_at(file, &span, 1, 1 << 20), 0);
    run_place_write(place, NULL, &entry, 1);
    assert_string_equal(run_place_name(place), RUN_NAME);
    /* Not the file that somebody has open, nor its mode. */
    assert_int_equal(ops->stat(file, &stat), 0);
    assert_int_equal(stat.size, (1 << 20) + span.size);
    assert_int_equal(stat.links, 0);
    ops->close(file);
    assert_int_equal(ops->stat_name(place->dir, RUN_NAME, &stat), 0);
    assert_int_equal(stat.mode, 0600);
    run = open_run(place);
    assert_get(run, "k", 0, &entry);
    run_close(run);
}

static void test_a_name_that_appears_meanwhile_is_not_replaced(void **state)
{
    run_place *place = *state;
    const os_ops *ops = place->dir->os->ops;
    cask_run_writer *writer;
    cask_error err = {0};
    os_file *file;

    assert_int_equal(run_place_begin(place, NULL, &writer, NULL), CASK_OK);
    assert_int_equal(ops->open(place->dir, RUN_NAME,
                               OS_READ | OS_WRITE | OS_CREATE, 0600, &file),
                     0);
    ops->close(file);
    assert_int_equal(run_writer_finish(writer, &err), CASK_INVALID);
    assert_string_equal(run_place_name(place), RUN_NAME);
}

/* A key of five digits, in order. */
static cask_run_entry numbered(uint32_t number, char key[16])
{
    (void)snprintf(key, 16, "key-%05u", number);
    return put_of(key, key, number % 1000 + 1);
}

static void test_many_keys_are_found_and_no_others(void **state)
{
    enum { KEYS = 5000 };
    run_place *place = *state;
    cask_run_writer *writer;
    cask_run_entry entry;
    char key[16];
    uint64_t filtered = 0;
    cask_run *run;

    assert_int_equal(run_place_begin(place, NULL, &writer, NULL), CASK_OK);
    for (uint32_t i = 0; i < KEYS; i++) {
        entry = numbered(i * 2, key);
        assert_int_equal(run_writer_add(writer, &entry, NULL), CASK_OK);
    }
    assert_int_equal(run_writer_finish(writer, NULL), CASK_OK);
    run = open_run(place);
    assert_int_equal(run->skip, strlen("key-0"));
    for (uint32_t i = 0; i < KEYS * 2; i++) {
        uint64_t hash;

        entry = numbered(i, key);
        assert_get(run, key, 0, i % 2 == 0 ? &entry : NULL);
        hash = run_hash(run->footer.hash_key, key, strlen(key));
        filtered += !run_filter_has(run->bytes + run->at[RUN_FILTER],
                                    run->footer.filter_lines, hash);
    }
    /* 1.2 % of the others pass, by the theory of filters made of lines. */
    assert_in_range(filtered, KEYS * 97 / 100, KEYS);
    assert_int_equal(run->footer.index_lines, (KEYS * 5 + 63) / 64);
    run_close(run);
}

/* 24 bytes each: as many as can be between two fences are. */
static void test_the_smallest_records_are_walked_over_backward(void **state)
{
    enum { VERSIONS = 2000 };
    run_place *place = *state;
    cask_run_iterator it = {0};
    cask_run_writer *writer;
    cask_run_entry got;
    cask_status status;
    cask_run *run;

    assert_int_equal(run_place_begin(place, NULL, &writer, NULL), CASK_OK);
    for (uint64_t i = VERSIONS; i > 0; i--) {
        const cask_run_entry entry = delete_of("", i);

        assert_int_equal(run_writer_add(writer, &entry, NULL), CASK_OK);
    }
    assert_int_equal(run_writer_finish(writer, NULL), CASK_OK);
    run = open_run(place);
    it.run = run;
    assert_int_equal(run->footer.fences,
                     (VERSIONS + RUN_FENCE_RECORDS - 1) / RUN_FENCE_RECORDS);
    status = run_iterator_seek(&it, CASK_RUN_LAST, (cask_slice){0}, &got, NULL);
    for (uint64_t i = 1; i <= VERSIONS; i++) {
        assert_int_equal(status, CASK_OK);
        assert_int_equal(got.info.sequence, i);
        status = run_iterator_previous(&it, &got, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    run_close(run);
}

static void test_filters_are_optional_and_prefixes_are_known(void **state)
{
    run_place *place = *state;
    const cask_run_options options = {.no_filter = true, .prefix_bytes = 4};
    const cask_run_entry entries[] = {
        put_of("abc", "", 1),       range_of("none", "nonf", 2),
        put_of("some-1", "", 1),    put_of("some-2", "", 1),
        put_of("sometimes", "", 1),
    };
    cask_run *run;
    uint32_t maybe = 0;

    run_place_write(place, &options, entries, 5);
    run = open_run(place);
    assert_int_equal(run->footer.filter_lines, 0);
    assert_int_equal(run->footer.prefix_lines, 1);
    assert_get(run, "some-2", 0, &entries[3]);
    assert_get(run, "some-3", 0, NULL);
    assert_true(run_may_have_prefix(run, text_slice("some")));
    assert_true(run_may_have_prefix(run, text_slice("some-")));
    assert_true(run_may_have_prefix(run, text_slice("xyz")));
    for (uint32_t i = 0; i < 1000; i++) {
        char prefix[16];

        (void)snprintf(prefix, sizeof(prefix), "%04u", i);
        maybe += run_may_have_prefix(run, text_slice(prefix));
    }
    assert_in_range(maybe, 0, 10);
    run_close(run);
}

static void test_segments_that_are_pointed_into_are_listed(void **state)
{
    run_place *place = *state;
    const cask_run_entry entries[] = {
        pointer_of("a", 7, 1), pointer_of("b", 3, 2), pointer_of("c", 9, 3),
        pointer_of("d", 3, 4), pointer_of("e", 7, 5),
    };
    const uint64_t expected[] = {3, 2 * 4096 + 6, 7, 2 * 4096 + 6, 9, 4096 + 3};
    cask_run *run;

    run_place_write(place, NULL, entries, 5);
    run = open_run(place);
    assert_int_equal(run->footer.segments, 3);
    assert_memory_equal(run->bytes + run->at[RUN_SEGMENTS], expected,
                        sizeof(expected));
    run_close(run);
}

static void test_values_larger_than_a_piece_are_whole(void **state)
{
    enum { LARGE = 3 * RUN_OUTPUT_PIECE + 17 };
    run_place *place = *state;
    uint8_t *large = malloc(LARGE);
    cask_run_entry entry = put_of("large", "", 1);
    cask_run *run;

    assert_non_null(large);
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = (uint8_t)(i * 7 + (i >> 16));
    }
    entry.value = (cask_slice){large, LARGE};
    run_place_write(place, NULL, &entry, 1);
    run = open_run(place);
    assert_get(run, "large", 0, &entry);
    run_close(run);
    free(large);
}

static void test_the_longest_keys_are_kept_apart(void **state)
{
    enum { LONGEST = CASK_KEY_MAX_BYTES };
    run_place *place = *state;
    char *keys[3];
    cask_run_entry entries[3];
    cask_run *run;

    for (int i = 0; i < 3; i++) {
        keys[i] = malloc(LONGEST + 1);
        assert_non_null(keys[i]);
        memset(keys[i], 'k', LONGEST);
        keys[i][LONGEST - 1] = (char)('a' + i);
        keys[i][LONGEST] = '\0';
        entries[i] = put_of(keys[i], "value", 1);
    }
    run_place_write(place, NULL, entries, 3);
    run = open_run(place);
    assert_int_equal(run->skip, LONGEST - 1);
    for (int i = 0; i < 3; i++) {
        assert_get(run, keys[i], 0, &entries[i]);
        free(keys[i]);
    }
    run_close(run);
}

static void test_memory_is_bounded_and_the_run_can_be_finished(void **state)
{
    run_place *place = *state;
    const cask_run_options options = {.memory_bytes = 3 << 20};
    cask_run_writer *writer;
    cask_run_entry entry;
    cask_error err = {0};
    char key[16];
    uint32_t count = 0;
    cask_status status = CASK_OK;
    cask_run *run;

    assert_int_equal(run_place_begin(place, &options, &writer, NULL), CASK_OK);
    while (status == CASK_OK && count < 100000) {
        entry = numbered(count, key);
        status = run_writer_add(writer, &entry, &err);
        count += status == CASK_OK;
    }
    assert_int_equal(status, CASK_NO_MEMORY);
    assert_non_null(strstr(err.message, "finish it and go on in another"));
    assert_in_range(count, 10000, 30000);
    assert_int_equal(run_writer_finish(writer, NULL), CASK_OK);
    run = open_run(place);
    assert_int_equal(run->footer.records, count);
    entry = numbered(count - 1, key);
    assert_get(run, key, 0, &entry);
    run_close(run);
}

#define WITH_PLACE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, run_place_setup, run_place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(test_every_kind_is_found_as_it_was_written),
        WITH_PLACE(test_zero_sequence_and_time_are_filled_in),
        WITH_PLACE(test_a_sequence_finds_the_version_of_then),
        WITH_PLACE(test_a_range_hides_older_versions_only),
        WITH_PLACE(test_a_range_without_an_end_hides_all_behind_it),
        WITH_PLACE(test_an_empty_run_is_a_run),
        WITH_PLACE(test_out_of_order_is_refused_and_the_run_goes_on),
        WITH_PLACE(test_a_run_has_its_name_only_when_complete),
        WITH_PLACE(test_what_a_killed_writer_left_is_made_anew),
        WITH_PLACE(test_a_name_that_appears_meanwhile_is_not_replaced),
        WITH_PLACE(test_many_keys_are_found_and_no_others),
        WITH_PLACE(test_the_smallest_records_are_walked_over_backward),
        WITH_PLACE(test_filters_are_optional_and_prefixes_are_known),
        WITH_PLACE(test_segments_that_are_pointed_into_are_listed),
        WITH_PLACE(test_values_larger_than_a_piece_are_whole),
        WITH_PLACE(test_the_longest_keys_are_kept_apart),
        WITH_PLACE(test_memory_is_bounded_and_the_run_can_be_finished),
    };

    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
