/*
 * A pointer is followed to the record that was written with it, and to no other
 * one, however whole that is.
 */
#include "unit/run/run_place.h"

#include <string.h>

#include "base/bytes.h"
#include "run/run_pointer.h"

#define LONG_VALUE "a value that is somewhere else"

/* Two versions of a key, and another key. */
static cask_run *open_values(run_place *place)
{
    const cask_run_entry entries[] = {put_of("a", LONG_VALUE, 7),
                                      put_of("a", LONG_VALUE, 5),
                                      put_of("b", LONG_VALUE, 6)};
    cask_run *run = NULL;

    run_place_write(place, NULL, entries, 3);
    assert_int_equal(run_open(place->dir, RUN_NAME, NULL, &run, NULL), CASK_OK);
    return run;
}

/* To the record with this number. */
static cask_run_entry pointer_to(const char *key, uint64_t sequence,
                                 unsigned number)
{
    const uint64_t bytes = RECORD_HEADER_SIZE + 1 + strlen(LONG_VALUE);
    cask_run_entry entry = pointer_of(key, 1, sequence);

    entry.pointer = (cask_run_pointer){
        1, SEGMENT_HEADER_SIZE + number * round_up_8(bytes), (uint32_t)bytes};
    return entry;
}

static void check_refused(const cask_run *run, cask_run_entry pointer)
{
    cask_slice value = {NULL, 0};
    cask_error err = {CASK_OK, 0, ""};

    assert_int_equal(run_read_value(run, &pointer, &value, &err), CASK_CORRUPT);
    assert_null(value.data);
    assert_non_null(strstr(err.message, RUN_NAME ": offset "));
}

static void test_a_pointer_leads_to_its_own_record_alone(void **state)
{
    cask_run *run = open_values(*state);
    cask_run_entry pointer = pointer_to("a", 5, 1);
    cask_slice value;

    assert_int_equal(run_read_value(run, &pointer, &value, NULL), CASK_OK);
    assert_slice(value, text_slice(LONG_VALUE));
    check_refused(run, pointer_to("a", 5, 0)); /* another sequence, */
    check_refused(run, pointer_to("b", 5, 1)); /* another key, */
    pointer.pointer.size_bytes++;              /* another size, */
    check_refused(run, pointer);
    pointer = pointer_to("b", 6, 2);
    pointer.pointer.offset += 8; /* and no record */
    check_refused(run, pointer);
    run_close(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_pointer_leads_to_its_own_record_alone, run_place_setup,
            run_place_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
