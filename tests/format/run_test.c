/*
 * Runs: golden bytes in both directions, damage and crafted fields of the
 * footer. Whole files, damaged: tests/unit/run/damage_test.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/golden_run.h"
#include "format/golden_store.h"
#include "format/sweep.h"
#include "unit/run/run_place.h"

enum { FOOTER_AT = sizeof(golden_run) - RUN_FOOTER_SIZE, GOLDEN_ENTRIES = 5 };

#define EXPIRES_MS UINT64_C(1800000000000)
#define RUN_NONCE UINT64_C(0xd1d2d3d4d5d6d7d8)

static void golden_entries(cask_run_entry entries[GOLDEN_ENTRIES])
{
    entries[0] = put_of("apple", "red", 1003);
    entries[0].info.expires_at_ms = EXPIRES_MS;
    entries[1] = put_of("apple", "green", 1000);
    entries[2] = delete_of("banana", 1001);
    entries[3] = range_of("cherry", "date", 1004);
    entries[4] = pointer_of("fig", 0, 1002);
    entries[4].pointer = (cask_run_pointer){GOLDEN_SEGMENT_ID, 64, 40};
    for (int i = 0; i < GOLDEN_ENTRIES; i++) {
        entries[i].info.time_s = 1700000001;
    }
}

/* "Random" numbers: the golden run's nonce and hash key. */
static int golden_random(os *self, void *data, size_t size)
{
    const uint64_t numbers[] = {RUN_NONCE, golden_hash_key.word[0],
                                golden_hash_key.word[1]};

    (void)self;
    assert_int_equal(size, sizeof(numbers));
    memcpy(data, numbers, size);
    return 0;
}

static void test_golden_run_is_written(void **state)
{
    const cask_run_options options = {.prefix_bytes = 2};
    run_place *place = *state;
    static os_ops ops; /* the place has it until it is taken down */
    cask_run_entry entries[GOLDEN_ENTRIES];
    uint8_t *bytes;
    size_t size;

    ops = *place->fault.base.ops;
    ops.random = golden_random;
    place->fault.base.ops = &ops;
    golden_entries(entries);
    run_place_write(place, &options, entries, GOLDEN_ENTRIES);
    bytes = run_place_read(place, &size);
    assert_int_equal(size, sizeof(golden_run));
    assert_memory_equal(bytes, golden_run, size);
    free(bytes);
}

static void test_golden_run_is_read(void **state)
{
    cask_run_entry entries[GOLDEN_ENTRIES];
    cask_run_iterator it = {0};
    cask_buffer value = {0};
    cask_run_entry got;
    cask_run *run = NULL;
    cask_status status;

    (void)state;
    golden_entries(entries);
    assert_int_equal(
        run_open_bytes(golden_run, sizeof(golden_run), "x", &run, NULL),
        CASK_OK);
    it.run = run;
    status =
        run_iterator_seek(&it, CASK_RUN_FIRST, (cask_slice){0}, &got, NULL);
    for (int i = 0; i < GOLDEN_ENTRIES; i++) {
        assert_int_equal(status, CASK_OK);
        assert_entry(&got, &entries[i]);
        status = run_iterator_next(&it, &got, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    for (int i = 0; i < GOLDEN_ENTRIES; i++) {
        assert_int_equal(run_get(run, entries[i].key, entries[i].info.sequence,
                                 &value, &got, NULL),
                         CASK_OK);
        assert_entry(&got, &entries[i]);
    }
    assert_true(run_may_have_prefix(run, text_slice("fi")));
    assert_false(run_may_have_prefix(run, text_slice("ch")));
    cask_buffer_free(&value);
    run_close(run);
}

static cask_status decode_footer(const uint8_t *bytes, cask_error *err)
{
    run_footer before;
    run_footer footer;
    cask_status status;

    memset(&footer, 0x5a, sizeof(footer));
    before = footer;
    status = run_footer_decode(bytes, "x", FOOTER_AT, &footer, err);
    if (status != CASK_OK) {
        assert_memory_equal(&footer, &before, sizeof(footer));
    }
    return status;
}

static const sweep_target footer_target = {
    .name = "x",
    .golden = golden_run + FOOTER_AT,
    .size = RUN_FOOTER_SIZE,
    .decode = decode_footer,
};

static void test_every_flipped_byte_is_refused(void **state)
{
    (void)state;
    sweep_flips(&footer_target);
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    sweep_cuts(&footer_target);
}

static void test_golden_footer_survives_a_round_trip(void **state)
{
    uint8_t bytes[RUN_FOOTER_SIZE];
    run_footer footer;

    (void)state;
    assert_int_equal(run_footer_decode(golden_run + FOOTER_AT, "x", FOOTER_AT,
                                       &footer, NULL),
                     CASK_OK);
    run_footer_encode(&footer, bytes);
    assert_memory_equal(bytes, golden_run + FOOTER_AT, sizeof(bytes));
}

/* The golden footer with one field changed is refused. */
static void refused(size_t at, uint64_t value, size_t size, cask_status status,
                    const char *part)
{
    uint8_t bytes[RUN_FOOTER_SIZE];

    memcpy(bytes, golden_run + FOOTER_AT, sizeof(bytes));
    memcpy(bytes + at, &value, size);
    sweep_reseal(bytes, sizeof(bytes));
    sweep_refused(&footer_target, bytes, status, part);
}

static void test_counts_that_disagree_are_corrupt(void **state)
{
    const uint64_t most = UINT64_MAX;

    (void)state;
    refused(12, 1, 4, CASK_UNSUPPORTED, "flags of the run are 00000001");
    refused(40, 271, 8, CASK_CORRUPT, "length of the records is 271");
    refused(40, 56, 8, CASK_CORRUPT, "length of the records is 56");
    refused(40, UINT64_C(1) << 34, 8, CASK_CORRUPT, "length of the records");
    refused(40, 272 + 64, 8, CASK_CORRUPT, "belongs to offset 832");
    refused(48, 10, 8, CASK_CORRUPT, "more records than there is room for");
    refused(48, most, 8, CASK_CORRUPT, "more records than there is room for");
    refused(48, 2, 8, CASK_CORRUPT, "more records of some kind");
    refused(56, 5, 8, CASK_CORRUPT, "more records of some kind");
    refused(56, most, 8, CASK_CORRUPT, "more records of some kind");
    refused(64, most, 8, CASK_CORRUPT, "more records of some kind");
    refused(72, most, 8, CASK_CORRUPT, "more records of some kind");
    refused(120, UINT32_MAX, 4, CASK_CORRUPT, "more records of some kind");
    refused(112, 0, 4, CASK_CORRUPT, "fences and records disagree");
    refused(112, 6, 4, CASK_CORRUPT, "fences and records disagree");
    refused(96, 2, 4, CASK_CORRUPT, "index or filter has another size");
    refused(96, 0, 4, CASK_CORRUPT, "index or filter has another size");
    refused(100, 2, 4, CASK_CORRUPT, "index or filter has another size");
    refused(100, 0, 4, CASK_CORRUPT, "belongs to offset 704");
    refused(104, UINT32_MAX, 4, CASK_CORRUPT, "belongs to offset");
    refused(108, 65536, 4, CASK_CORRUPT, "size of prefixes");
    refused(108, 0, 4, CASK_CORRUPT, "size of prefixes");
    refused(116, UINT32_MAX, 4, CASK_CORRUPT, "belongs to offset");
    refused(80, 0, 8, CASK_CORRUPT, "sequences are out of range");
    refused(80, 1005, 8, CASK_CORRUPT, "sequences are out of range");
    refused(88, UINT64_C(1) << 56, 8, CASK_CORRUPT, "sequences are out");
    refused(124, 65535, 2, CASK_CORRUPT, "belongs to offset");
    refused(160, 4, 4, CASK_CORRUPT, "more records of some kind");
    refused(160, 0, 4, CASK_CORRUPT, "times are out of range");
    refused(164, UINT32_MAX, 4, CASK_CORRUPT, "times are out of range");
    refused(172, 0, 4, CASK_CORRUPT, "times are out of range");
    refused(180, 0, 4, CASK_CORRUPT, "times are out of range");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_golden_run_is_written,
                                        run_place_setup, run_place_teardown),
        cmocka_unit_test(test_golden_run_is_read),
        cmocka_unit_test(test_golden_footer_survives_a_round_trip),
        cmocka_unit_test(test_every_flipped_byte_is_refused),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_counts_that_disagree_are_corrupt),
    };

    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
