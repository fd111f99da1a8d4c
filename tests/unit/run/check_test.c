/*
 * Reading all of a run: what a writer never makes is found, each checksum being
 * right.
 */
#include "cask_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "run/run_check.h"
#include "unit/run/run_place.h"

/* A run in memory, and where its records are. */
typedef struct crafted {
    uint8_t *bytes;
    size_t size;
    uint64_t at[4];
    uint64_t nonce;
} crafted;

static crafted craft(run_place *place, const cask_run_entry *entries,
                     size_t count)
{
    crafted c = {.bytes = NULL};
    uint64_t offset = SEGMENT_HEADER_SIZE;

    (void)place->dir->os->ops->remove(place->dir, RUN_NAME);
    run_place_write(place, NULL, entries, count);
    c.bytes = run_place_read(place, &c.size);
    c.nonce = load_u64(c.bytes + c.size - RUN_FOOTER_SIZE + 16);
    for (size_t i = 0; i < count; i++) {
        record_header header;

        c.at[i] = offset;
        assert_true(record_decode_header(
            c.bytes + offset, (record_seed){c.nonce, offset}, &header));
        offset += record_size(&header);
    }
    return c;
}

/* The record at `to` as that at `from`, with another sequence. */
static void copy_record(const crafted *c, const uint8_t *original,
                        uint64_t from, uint64_t to, uint64_t sequence)
{
    const record_seed seed = {c->nonce, to};
    record_header header;
    size_t size;

    assert_true(record_decode_header(original + from,
                                     (record_seed){c->nonce, from}, &header));
    size = (size_t)record_size(&header) - RECORD_HEADER_SIZE;
    header.sequence = sequence;
    memmove(c->bytes + to + RECORD_HEADER_SIZE,
            original + from + RECORD_HEADER_SIZE, size);
    record_encode_header(&header,
                         crc32c(0, c->bytes + to + RECORD_HEADER_SIZE,
                                (size_t)header.key_size + header.value_size),
                         seed, c->bytes + to);
}

static cask_status check(crafted *c, cask_error *err)
{
    cask_run *run = NULL;
    cask_status status = run_open_bytes(c->bytes, c->size, "x", &run, err);

    if (status == CASK_OK) {
        status = run_check(run, NULL, NULL, err);
        run_close(run);
    }
    free(c->bytes);
    return status;
}

static void refuse(crafted *c, const char *part)
{
    cask_error err = {CASK_OK, 0, ""};

    assert_int_equal(check(c, &err), CASK_CORRUPT);
    if (strstr(err.message, part) == NULL) {
        fail_msg("%s, expected %s", err.message, part);
    }
}

static void test_what_a_writer_makes_is_right(void **state)
{
    const cask_run_entry entries[] = {put_of("a", "1", 5), put_of("a", "2", 3),
                                      range_of("b", "c", 9), delete_of("b", 7)};
    crafted c = craft(*state, entries, 4);

    assert_int_equal(check(&c, NULL), CASK_OK);
    c = craft(*state, NULL, 0);
    assert_int_equal(check(&c, NULL), CASK_OK);
}

static void test_keys_that_fall_are_found(void **state)
{
    const cask_run_entry entries[] = {put_of("a", "1", 5), put_of("b", "2", 3),
                                      put_of("c", "2", 3)};
    crafted c = craft(*state, entries, 3);
    uint8_t *original = malloc(c.size);

    assert_non_null(original);
    memcpy(original, c.bytes, c.size);
    copy_record(&c, original, c.at[0], c.at[1], 3);
    copy_record(&c, original, c.at[1], c.at[0], 5);
    refuse(&c, "x: offset 96: the key is smaller than the one before it");
    free(original);
}

static void test_sequences_that_do_not_fall_are_found(void **state)
{
    const cask_run_entry entries[] = {put_of("a", "1", 5), put_of("a", "2", 3),
                                      put_of("c", "2", 3)};

    for (uint64_t sequence = 5; sequence < 7; sequence++) {
        crafted c = craft(*state, entries, 3);

        copy_record(&c, c.bytes, c.at[1], c.at[1], sequence);
        refuse(&c, "x: offset 96: sequence");
    }
}

static void test_counts_and_bounds_that_differ_are_found(void **state)
{
    const cask_run_entry entries[] = {put_of("a", "1", 5), put_of("b", "2", 3),
                                      put_of("c", "2", 4)};
    crafted c = craft(*state, entries, 3);

    copy_record(&c, c.bytes, c.at[1], c.at[1], 2);
    refuse(&c, "the footer says first sequence 3, found 2");
    c = craft(*state, entries, 3);
    copy_record(&c, c.bytes, c.at[1], c.at[0], 5);
    copy_record(&c, c.bytes, c.at[2], c.at[1], 3);
    refuse(&c, "sequence 4 of the same key follows 3");
    c = craft(*state, entries, 3);
    copy_record(&c, c.bytes, c.at[0], c.at[1], 3);
    refuse(&c, "the footer says keys 3, found 2");
}

/* By them what is said to have expired is given up unread. */
static void test_times_that_differ_are_found(void **state)
{
    enum { AT_EXPIRY = 164, AT_WRITTEN = 176, AT_CRC = 188, LAST = 8 };
    static const struct {
        size_t at;
        uint32_t more;
        const char *part;
    } changes[] = {
        {AT_EXPIRY, UINT32_MAX, "the footer says first expiry 6, found 7"},
        {AT_EXPIRY + LAST, 1, "the footer says last expiry 8, found 7"},
        {AT_WRITTEN, UINT32_MAX, "the footer says first time 4, found 5"},
        {AT_WRITTEN + LAST, 1, "the footer says last time 6, found 5"}};
    cask_run_entry entry = put_of("a", "1", 5);

    entry.info.time_s = 5;
    entry.info.expires_at_ms = 6500;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        crafted c = craft(*state, &entry, 1);
        uint8_t *footer = c.bytes + c.size - RUN_FOOTER_SIZE;
        uint8_t *time = footer + changes[i].at;

        store_u32(time, load_u32(time) + changes[i].more);
        store_u32(footer + AT_CRC, crc32c(0, footer, AT_CRC));
        refuse(&c, changes[i].part);
    }
}

static cask_status stop(void *context, uint64_t bytes, cask_error *err)
{
    uint64_t *sum = context;

    *sum += bytes;
    return fail(err, CASK_TIMEOUT, 0, "stopped");
}

static void test_it_tells_how_far_it_is_and_can_be_stopped(void **state)
{
    const cask_run_entry entries[] = {put_of("a", "1", 5)};
    cask_run *run = NULL;
    uint64_t sum = 0;
    crafted c = craft(*state, entries, 1);

    assert_int_equal(run_open_bytes(c.bytes, c.size, "x", &run, NULL), CASK_OK);
    assert_int_equal(run_check(run, stop, &sum, NULL), CASK_TIMEOUT);
    assert_int_equal(sum, run->footer.length - SEGMENT_HEADER_SIZE);
    run_close(run);
    free(c.bytes);
}

#define PLACED(test)                                                           \
    cmocka_unit_test_setup_teardown(test, run_place_setup, run_place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(test_what_a_writer_makes_is_right),
        PLACED(test_keys_that_fall_are_found),
        PLACED(test_sequences_that_do_not_fall_are_found),
        PLACED(test_counts_and_bounds_that_differ_are_found),
        PLACED(test_times_that_differ_are_found),
        PLACED(test_it_tells_how_far_it_is_and_can_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
