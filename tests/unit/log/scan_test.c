/*
 * The scanner of segments: what it returns, where it stops, how it goes on
 * behind damage.
 */
#include "log/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "cask_test.h"
#include "log/segment_format.h"
#include "support/random.h"

enum { SEGMENT_BYTES = 4096, RECORD_BYTES = 40, NONCE = 0x1234567 };

/* A segment under construction. Every put takes RECORD_BYTES. */
typedef struct builder {
    uint8_t data[SEGMENT_BYTES];
    uint64_t size; /* end of the last record */
    uint64_t sequence;
} builder;

static void begin(builder *b)
{
    memset(b, 0, sizeof(*b));
    b->size = SEGMENT_HEADER_SIZE;
}

/* Add a record; returns its offset. */
static uint64_t add(builder *b, uint8_t type, const char *key,
                    const char *value)
{
    record_seed seed = {NONCE, b->size};
    record_header header = {.sequence = ++b->sequence,
                            .time_s = 1,
                            .value_size = (uint32_t)strlen(value),
                            .key_size = (uint16_t)strlen(key),
                            .type = type};
    uint8_t *body = b->data + b->size + RECORD_HEADER_SIZE;
    uint64_t offset = b->size;

    if (record_expiry_size(&header) != 0) {
        store_u64(body, 77);
    }
    memcpy(body + record_expiry_size(&header), key, strlen(key));
    memcpy(body + record_expiry_size(&header) + strlen(key), value,
           strlen(value));
    record_encode_header(&header, crc32c(0, body, record_body_size(&header)),
                         seed, b->data + b->size);
    b->size += record_size(&header);
    assert_true(b->size <= SEGMENT_BYTES);
    return offset;
}

static uint64_t add_put(builder *b)
{
    return add(b, RECORD_PUT, "key", "and a value"); /* 14: 40 in all */
}

static uint64_t add_member(builder *b)
{
    return add(b, RECORD_PUT | RECORD_MEMBER, "key", "and a value");
}

/* A mark: all below `durable` was synced. */
static void encode_mark(builder *b, uint64_t sequence, uint64_t durable,
                        uint64_t offset)
{
    uint8_t *value = b->data + offset + RECORD_HEADER_SIZE;
    record_header header = {.sequence = sequence,
                            .time_s = 1,
                            .value_size = RECORD_MARK_VALUE_SIZE,
                            .type = RECORD_MARK};

    store_u64(value, durable);
    record_encode_header(&header, crc32c(0, value, RECORD_MARK_VALUE_SIZE),
                         (record_seed){NONCE, offset}, b->data + offset);
}

static uint64_t add_mark(builder *b, uint64_t durable)
{
    uint64_t offset = b->size;

    encode_mark(b, ++b->sequence, durable, offset);
    b->size += RECORD_MARK_SIZE;
    return offset;
}

static segment_scan scan_all(const builder *b, uint64_t trusted_end)
{
    segment_scan scan;

    scan_begin(&scan, b->data, SEGMENT_BYTES, NONCE, SEGMENT_HEADER_SIZE);
    scan.trusted_end = trusted_end;
    return scan;
}

/* The results to the end: 'r' record, 'd' damage, 'u' unsupported. */
static const char *results(segment_scan scan)
{
    static char text[SEGMENT_BYTES / 8 + 2];
    size_t count = 0;
    scan_item item;

    for (;;) {
        scan_result result = scan_next(&scan, &item);

        assert_true(count < sizeof(text) - 1);
        if (result == SCAN_END) {
            text[count] = 0;
            return text;
        }
        text[count++] = result == SCAN_RECORD   ? 'r'
                        : result == SCAN_DAMAGE ? 'd'
                                                : 'u';
        if (result == SCAN_UNSUPPORTED) {
            text[count] = 0;
            return text;
        }
    }
}

/* ---- Records ------------------------------------------------------------- */

static void test_an_item_tells_all_of_its_record(void **state)
{
    builder b;
    segment_scan scan;
    scan_item item;

    (void)state;
    begin(&b);
    (void)add(&b, RECORD_PUT | RECORD_EXPIRES, "k", "value");
    (void)add(&b, RECORD_DELETE, "gone", "");
    (void)add_mark(&b, SEGMENT_HEADER_SIZE);
    scan = scan_all(&b, SEGMENT_HEADER_SIZE);
    assert_int_equal(scan_next(&scan, &item), SCAN_RECORD);
    assert_int_equal(item.offset, SEGMENT_HEADER_SIZE);
    assert_int_equal(item.size, RECORD_BYTES);
    assert_int_equal(item.expires_at_ms, 77);
    assert_int_equal(item.header.sequence, 1);
    assert_memory_equal(item.key, "k", 1);
    assert_memory_equal(item.value, "value", 5);
    assert_int_equal(scan_next(&scan, &item), SCAN_RECORD);
    assert_int_equal(record_kind(&item.header), RECORD_DELETE);
    assert_memory_equal(item.key, "gone", 4);
    assert_int_equal(item.expires_at_ms, 0);
    assert_int_equal(scan_next(&scan, &item), SCAN_RECORD);
    assert_int_equal(record_kind(&item.header), RECORD_MARK);
    assert_int_equal(scan_next(&scan, &item), SCAN_END);
    assert_int_equal(scan.offset, b.size);
    assert_int_equal(scan.last_sequence, 3);
    assert_int_equal(scan_next(&scan, &item), SCAN_END); /* and stays there */
}

static void test_an_empty_segment_has_no_records(void **state)
{
    builder b;

    (void)state;
    begin(&b);
    assert_string_equal(results(scan_all(&b, SEGMENT_HEADER_SIZE)), "");
    assert_int_equal(scan_trusted_end(b.data, SEGMENT_BYTES, NONCE),
                     SEGMENT_HEADER_SIZE);
    assert_int_equal(scan_first_sequence(b.data, SEGMENT_BYTES, NONCE), 0);
}

/* Records that end exactly where the file does, and files that end in the
 * middle of one: nothing behind the end is touched (sanitizers). */
static void test_every_size_of_file_gives_the_whole_records(void **state)
{
    builder b;

    (void)state;
    begin(&b);
    for (int i = 0; i < 5; i++) {
        (void)add_put(&b);
    }
    for (uint64_t size = SEGMENT_HEADER_SIZE; size <= b.size; size++) {
        uint8_t *exact = malloc(size);
        segment_scan scan;

        assert_non_null(exact);
        memcpy(exact, b.data, size);
        scan_begin(&scan, exact, size, NONCE, SEGMENT_HEADER_SIZE);
        assert_int_equal(strlen(results(scan)),
                         (size - SEGMENT_HEADER_SIZE) / RECORD_BYTES);
        scan.trusted_end = b.size; /* the rest is missed */
        assert_int_equal(strlen(results(scan)),
                         (size - SEGMENT_HEADER_SIZE) / RECORD_BYTES +
                             (size < b.size));
        assert_true(scan_trusted_end(exact, size, NONCE) <= size);
        (void)scan_end_before(exact, size, NONCE, 3);
        free(exact);
    }
}

/* ---- The torn end -------------------------------------------------------- */

static void test_behind_the_trusted_end_damage_cuts(void **state)
{
    builder b;
    segment_scan scan;
    uint64_t second;
    scan_item item;

    (void)state;
    begin(&b);
    (void)add_put(&b);
    second = add_put(&b);
    (void)add_put(&b);
    b.data[second + 30] ^= 1;
    scan = scan_all(&b, SEGMENT_HEADER_SIZE);
    assert_string_equal(results(scan), "r");
    assert_int_equal(scan_next(&scan, &item), SCAN_RECORD);
    assert_int_equal(scan_next(&scan, &item), SCAN_END);
    assert_int_equal(scan.offset, second);
}

static void test_a_sequence_that_does_not_rise_ends_the_log(void **state)
{
    builder b;

    (void)state;
    begin(&b);
    b.sequence = 10;
    (void)add_put(&b);
    b.sequence = 10;
    (void)add_put(&b);
    (void)add_put(&b);
    assert_string_equal(results(scan_all(&b, SEGMENT_HEADER_SIZE)), "r");
    /* What was synced once is taken as it is. */
    assert_string_equal(results(scan_all(&b, b.size)), "rrr");
}

static void test_a_batch_without_its_end_is_cut_wholly(void **state)
{
    builder b;
    segment_scan scan;
    scan_item item;
    uint64_t start;

    (void)state;
    begin(&b);
    (void)add_put(&b);
    start = add_member(&b);
    (void)add_member(&b);
    scan = scan_all(&b, SEGMENT_HEADER_SIZE);
    assert_string_equal(results(scan), "r");
    assert_int_equal(scan_next(&scan, &item), SCAN_RECORD);
    assert_int_equal(scan_next(&scan, &item), SCAN_END);
    assert_int_equal(scan.offset, start);
    (void)add_put(&b); /* its end */
    (void)add_put(&b);
    assert_string_equal(results(scan_all(&b, SEGMENT_HEADER_SIZE)), "rrrrr");
}

static void test_a_batch_with_a_damaged_member_is_cut_wholly(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 3 * RECORD_BYTES - 2; at++) {
        builder b;
        uint64_t start;

        begin(&b);
        (void)add_put(&b);
        start = add_member(&b);
        (void)add_member(&b);
        (void)add_put(&b);
        if (at % RECORD_BYTES >= 38) {
            continue; /* padding */
        }
        b.data[start + at] ^= 0x10;
        assert_string_equal(results(scan_all(&b, SEGMENT_HEADER_SIZE)), "r");
    }
}

/* ---- Below the trusted end ----------------------------------------------- */

static void test_damage_is_told_and_stepped_over(void **state)
{
    builder b;
    segment_scan scan;
    scan_item item;
    uint64_t second;
    uint64_t third;

    (void)state;
    begin(&b);
    (void)add_put(&b);
    second = add_put(&b);
    third = add_put(&b);
    (void)add_put(&b);
    b.data[second] ^= 1;
    scan = scan_all(&b, b.size);
    assert_string_equal(results(scan), "rdrr");
    assert_int_equal(scan_next(&scan, &item), SCAN_RECORD);
    assert_int_equal(scan_next(&scan, &item), SCAN_DAMAGE);
    assert_int_equal(item.offset, second);
    assert_int_equal(item.size, third - second);
    assert_int_equal(scan_next(&scan, &item), SCAN_RECORD);
    assert_int_equal(item.offset, third);
    /* At the very end as well. */
    b.data[third + RECORD_BYTES + 1] ^= 1;
    assert_string_equal(results(scan_all(&b, b.size)), "rdrd");
    /* Everything. */
    memset(b.data + SEGMENT_HEADER_SIZE, 0, SEGMENT_BYTES - 64);
    assert_string_equal(results(scan_all(&b, b.size)), "d");
}

/* Any byte of any record: it alone is lost. */
static void test_a_flipped_byte_costs_one_record(void **state)
{
    enum { RECORDS = 6 };
    builder b;

    (void)state;
    begin(&b);
    for (int i = 0; i < RECORDS; i++) {
        (void)add_put(&b);
    }
    for (uint64_t at = SEGMENT_HEADER_SIZE; at < b.size; at++) {
        uint64_t within = (at - SEGMENT_HEADER_SIZE) % RECORD_BYTES;
        char expected[] = "rrrrrr";

        if (within < 38) { /* not the padding */
            expected[(at - SEGMENT_HEADER_SIZE) / RECORD_BYTES] = 'd';
        }
        b.data[at] ^= 0x80;
        assert_string_equal(results(scan_all(&b, b.size)), expected);
        b.data[at] ^= 0x80;
    }
}

/* A whole segment as a value; records of another place: none verifies. */
static void test_what_looks_like_a_record_is_none(void **state)
{
    builder b;
    builder other;
    uint64_t first;
    uint64_t second;

    (void)state;
    begin(&b);
    first = add_put(&b);
    second = add_put(&b);
    memcpy(b.data + second, b.data + first, RECORD_BYTES);
    assert_string_equal(results(scan_all(&b, b.size)), "rd");
    assert_string_equal(results(scan_all(&b, SEGMENT_HEADER_SIZE)), "r");
    /* Of this place in another segment. */
    begin(&other);
    (void)add_put(&other);
    (void)add_put(&other);
    memcpy(b.data, other.data, SEGMENT_BYTES);
    assert_string_equal(results(scan_all(&b, b.size)), "rr");
    {
        segment_scan scan = scan_all(&b, b.size);

        scan.nonce = NONCE + 1;
        assert_string_equal(results(scan), "d");
    }
}

static void test_garbage_never_verifies(void **state)
{
    test_random random = test_random_make(test_seed(), 1);
    builder b;

    (void)state;
    for (int round = 0; round < 200; round++) {
        begin(&b);
        for (size_t i = SEGMENT_HEADER_SIZE; i < SEGMENT_BYTES; i += 8) {
            store_u64(b.data + i, test_random_next(&random, 0));
        }
        assert_string_equal(results(scan_all(&b, SEGMENT_HEADER_SIZE)), "");
        assert_string_equal(results(scan_all(&b, SEGMENT_BYTES)), "d");
        assert_int_equal(scan_trusted_end(b.data, SEGMENT_BYTES, NONCE),
                         SEGMENT_HEADER_SIZE);
    }
}

/* A trusted end far behind the file, as a crafted MANIFEST may claim. */
static void test_a_length_beyond_the_file_takes_no_time(void **state)
{
    builder b;

    (void)state;
    begin(&b);
    (void)add_put(&b);
    assert_string_equal(results(scan_all(&b, UINT64_C(1) << 60)), "rd");
}

/* ---- Unknown kinds ------------------------------------------------------- */

static void test_an_unknown_kind_is_not_taken_for_damage(void **state)
{
    static const uint8_t types[] = {0, 4, 15, RECORD_PUT | 0x20,
                                    RECORD_PUT | 0x10};

    (void)state;
    for (size_t i = 0; i < sizeof(types); i++) {
        builder b;

        begin(&b);
        (void)add_put(&b);
        (void)add(&b, types[i], "key", "and a value");
        (void)add_put(&b);
        assert_string_equal(results(scan_all(&b, SEGMENT_HEADER_SIZE)), "ru");
        assert_string_equal(results(scan_all(&b, b.size)), "ru");
        (void)scan_end_before(b.data, SEGMENT_BYTES, NONCE, 100);
    }
}

static segment_scan scan_tree(const builder *b, uint64_t trusted_end)
{
    segment_scan scan = scan_all(b, trusted_end);

    scan.knows_ranges = true;
    return scan;
}

static void test_a_tree_knows_ranges_that_are_deleted(void **state)
{
    segment_scan scan;
    scan_item item;
    builder b;

    (void)state;
    begin(&b);
    (void)add(&b, RECORD_RANGE_DELETE | RECORD_MEMBER, "from", "to");
    (void)add(&b, RECORD_RANGE_DELETE, "from", ""); /* to the end */
    (void)add(&b, RECORD_RANGE_DELETE, "", "to");
    assert_string_equal(results(scan_tree(&b, SEGMENT_HEADER_SIZE)), "rrr");
    assert_string_equal(results(scan_tree(&b, b.size)), "rrr");
    assert_string_equal(results(scan_all(&b, b.size)), "u");
    scan = scan_tree(&b, SEGMENT_HEADER_SIZE);
    assert_int_equal(scan_next(&scan, &item), SCAN_RECORD);
    assert_memory_equal(item.key, "fromto", 6);
    assert_int_equal(item.header.value_size, 2);
    /* Where the log ends does not depend on whose it is. */
    assert_int_equal(scan_first_sequence(b.data, SEGMENT_BYTES, NONCE), 1);
    assert_int_equal(scan_end_before(b.data, SEGMENT_BYTES, NONCE, 4), b.size);
}

static void test_what_is_no_range_is_unknown_to_a_tree_too(void **state)
{
    static const struct {
        uint8_t type;
        const char *from;
        const char *to;
    } wrong[] = {
        {RECORD_RANGE_DELETE, "b", "a"},
        {RECORD_RANGE_DELETE, "b", "b"},
        {RECORD_RANGE_DELETE | RECORD_EXPIRES, "a", "b"},
        {RECORD_RANGE_DELETE | 0x20, "a", "b"},
        {RECORD_POINTER, "a", "b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        builder b;

        begin(&b);
        (void)add_put(&b);
        (void)add(&b, wrong[i].type, wrong[i].from, wrong[i].to);
        assert_string_equal(results(scan_tree(&b, SEGMENT_HEADER_SIZE)), "ru");
        assert_string_equal(results(scan_tree(&b, b.size)), "ru");
    }
}

/* ---- Marks --------------------------------------------------------------- */

static void test_the_last_mark_says_what_to_trust(void **state)
{
    builder b;
    uint64_t first_end;
    uint64_t second_end;
    uint64_t mark;

    (void)state;
    begin(&b);
    (void)add_put(&b);
    first_end = b.size;
    (void)add_mark(&b, first_end);
    (void)add_put(&b);
    second_end = b.size;
    mark = add_mark(&b, second_end);
    (void)add_put(&b);
    assert_int_equal(scan_trusted_end(b.data, SEGMENT_BYTES, NONCE),
                     second_end);
    /* A hole before it changes nothing: a mark behind damage counts. */
    memset(b.data + SEGMENT_HEADER_SIZE, 0, RECORD_BYTES);
    assert_int_equal(scan_trusted_end(b.data, SEGMENT_BYTES, NONCE),
                     second_end);
    b.data[mark + 5] ^= 1;
    assert_int_equal(scan_trusted_end(b.data, SEGMENT_BYTES, NONCE), first_end);
}

static void test_a_mark_cannot_vouch_for_what_follows_it(void **state)
{
    builder b;
    uint64_t mark;

    (void)state;
    begin(&b);
    (void)add_put(&b);
    mark = add_mark(&b, SEGMENT_BYTES);
    (void)add_put(&b);
    assert_int_equal(scan_trusted_end(b.data, SEGMENT_BYTES, NONCE),
                     SEGMENT_HEADER_SIZE);
    encode_mark(&b, 2, mark, mark);
    assert_int_equal(scan_trusted_end(b.data, SEGMENT_BYTES, NONCE), mark);
}

/* ---- Segments that others follow ----------------------------------------- */

static void test_a_followed_segment_ends_with_its_last_own_record(void **state)
{
    builder b;
    uint64_t second;
    uint64_t third;

    (void)state;
    begin(&b);
    (void)add_put(&b);
    second = add_put(&b);
    third = add_put(&b);
    assert_int_equal(scan_first_sequence(b.data, SEGMENT_BYTES, NONCE), 1);
    assert_int_equal(scan_end_before(b.data, SEGMENT_BYTES, NONCE, 4), b.size);
    /* The follower begins with copies of the last two, or of the last. */
    assert_int_equal(scan_end_before(b.data, SEGMENT_BYTES, NONCE, 3), third);
    assert_int_equal(scan_end_before(b.data, SEGMENT_BYTES, NONCE, 2), second);
}

/* The last record is damaged, but it was synced: it is not cut off. */
static void test_a_followed_segment_ends_behind_its_damage(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 38; at++) {
        builder b;
        uint64_t last;

        begin(&b);
        (void)add_put(&b);
        last = add_put(&b);
        b.data[last + at] ^= 0xff;
        assert_int_equal(scan_end_before(b.data, SEGMENT_BYTES, NONCE, 3),
                         b.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_item_tells_all_of_its_record),
        cmocka_unit_test(test_an_empty_segment_has_no_records),
        cmocka_unit_test(test_every_size_of_file_gives_the_whole_records),
        cmocka_unit_test(test_behind_the_trusted_end_damage_cuts),
        cmocka_unit_test(test_a_sequence_that_does_not_rise_ends_the_log),
        cmocka_unit_test(test_a_batch_without_its_end_is_cut_wholly),
        cmocka_unit_test(test_a_batch_with_a_damaged_member_is_cut_wholly),
        cmocka_unit_test(test_damage_is_told_and_stepped_over),
        cmocka_unit_test(test_a_flipped_byte_costs_one_record),
        cmocka_unit_test(test_what_looks_like_a_record_is_none),
        cmocka_unit_test(test_garbage_never_verifies),
        cmocka_unit_test(test_a_length_beyond_the_file_takes_no_time),
        cmocka_unit_test(test_an_unknown_kind_is_not_taken_for_damage),
        cmocka_unit_test(test_a_tree_knows_ranges_that_are_deleted),
        cmocka_unit_test(test_what_is_no_range_is_unknown_to_a_tree_too),
        cmocka_unit_test(test_the_last_mark_says_what_to_trust),
        cmocka_unit_test(test_a_mark_cannot_vouch_for_what_follows_it),
        cmocka_unit_test(test_a_followed_segment_ends_with_its_last_own_record),
        cmocka_unit_test(test_a_followed_segment_ends_behind_its_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
