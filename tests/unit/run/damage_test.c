/*
 * Damaged runs: every byte flipped, every prefix cut, and crafted ones whose
 * checksums are right. An answer is the right one or an error; nothing outside
 * of the bytes is read.
 */
#include "unit/run/run_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

enum { ENTRIES = 60, CRAFTED = 30000, FENCED_VALUE = 100 };

typedef struct sample {
    cask_run_entry entries[ENTRIES];
    char keys[ENTRIES][8];
    char value[FENCED_VALUE];
    uint8_t *bytes; /* of the run */
    size_t size;
} sample;

/* Of every kind, several fences, several versions. */
static void make_sample(run_place *place, sample *s)
{
    const cask_run_options options = {.prefix_bytes = 2};

    memset(s->value, 'v', sizeof(s->value));
    for (uint32_t i = 0; i < ENTRIES; i++) {
        cask_run_entry *entry = &s->entries[i];

        /* Two versions of every third key. */
        (void)snprintf(s->keys[i], sizeof(s->keys[i]), "k%03u",
                       i % 3 == 1 ? i - 1 : i);
        *entry = put_of(s->keys[i], "", 200 - i);
        entry->value = (cask_slice){s->value, i % 7 * 16};
    }
    s->entries[5] = delete_of(s->keys[5], 7);
    s->entries[8] = pointer_of(s->keys[8], 3, 9);
    s->entries[11] = pointer_of(s->keys[11], 2, 9);
    s->entries[20] = range_of(s->keys[20], "k024", 300);
    s->entries[30].info.expires_at_ms = 12345;
    run_place_write(place, &options, s->entries, ENTRIES);
    s->bytes = run_place_read(place, &s->size);
}

static void assert_is_refusal(cask_status status, const cask_error *err)
{
    assert_true(status == CASK_CORRUPT || status == CASK_UNSUPPORTED);
    assert_int_equal(err->status, status);
    assert_memory_equal(err->message, "x: offset ", 10);
}

/* Forward or backward: the entries in order, maybe ending in an error. Returns
 * whether all of them came. */
static bool check_walk(const sample *s, const cask_run *run, bool forward)
{
    cask_run_iterator it = {.run = run};
    cask_error err = {0};
    cask_run_entry got;
    cask_status status =
        run_iterator_seek(&it, forward ? CASK_RUN_FIRST : CASK_RUN_LAST,
                          (cask_slice){0}, &got, &err);
    uint32_t count = 0;

    while (status == CASK_OK) {
        assert_true(count < ENTRIES);
        assert_entry(&got, &s->entries[forward ? count : ENTRIES - 1 - count]);
        count++;
        status = forward ? run_iterator_next(&it, &got, &err)
                         : run_iterator_previous(&it, &got, &err);
    }
    if (status == CASK_NOT_FOUND) {
        assert_int_equal(count, ENTRIES);
        return true;
    }
    assert_is_refusal(status, &err);
    return false;
}

static void check_answer(cask_status status, const cask_error *err,
                         const cask_run_entry *got,
                         const cask_run_entry *expected)
{
    if (status != CASK_OK && status != CASK_NOT_FOUND) {
        assert_is_refusal(status, err);
        return;
    }
    assert_int_equal(status, expected != NULL ? CASK_OK : CASK_NOT_FOUND);
    if (expected != NULL) {
        assert_entry(got, expected);
    }
}

/* run_get(), which changes what it returns on success only. */
static cask_status get(const cask_run *run, cask_slice key, uint64_t sequence,
                       cask_buffer *value, cask_run_entry *got, cask_error *err)
{
    enum { UNTOUCHED = 77777 };
    cask_status status;

    value->size = UNTOUCHED;
    got->info.sequence = UNTOUCHED;
    status = run_get(run, key, sequence, value, got, err);
    assert_int_equal(got->info.sequence == UNTOUCHED, status != CASK_OK);
    assert_int_equal(value->size,
                     status == CASK_OK ? got->value.size : UNTOUCHED);
    return status;
}

/* Every key, an older version of it, and one that is not there. */
static void check_gets(const sample *s, const cask_run *run)
{
    cask_buffer value = {0};
    cask_run_entry got;

    for (uint32_t i = 0; i < ENTRIES; i++) {
        const cask_run_entry *expected = &s->entries[i];
        cask_error err = {0};
        cask_status status;

        /* The range hides what is in it, as of now. */
        if (i >= 21 && i <= 23) {
            expected = &s->entries[20];
        }
        status =
            get(run, s->entries[i].key,
                i % 3 == 1 ? expected->info.sequence : 0, &value, &got, &err);
        check_answer(status, &err, &got, expected);
    }
    for (uint32_t i = 0; i < 20; i++) {
        char key[] = {'k', '9', (char)('a' + i), '\0'};
        cask_error err = {0};
        cask_status status = get(run, text_slice(key), 0, &value, &got, &err);

        check_answer(status, &err, &got, NULL);
    }
    cask_buffer_free(&value);
}

static void check_seeks(const sample *s, const cask_run *run)
{
    cask_run_iterator it = {.run = run};
    cask_run_entry got;

    for (uint32_t i = 0; i < ENTRIES; i += 3) {
        cask_error err = {0};
        cask_status status = run_iterator_seek(&it, CASK_RUN_AT_LEAST,
                                               s->entries[i].key, &got, &err);

        check_answer(status, &err, &got, &s->entries[i]);
        status = run_iterator_seek(&it, CASK_RUN_AT_MOST, s->entries[i].key,
                                   &got, &err);
        check_answer(status, &err, &got, &s->entries[i + 1]);
        if (status == CASK_OK && i > 0) {
            status = run_iterator_previous(&it, &got, &err);
            check_answer(status, &err, &got, &s->entries[i]);
        }
    }
}

/* Returns whether nobody can have noticed. */
static bool check_all(const sample *s, const uint8_t *bytes, size_t size)
{
    cask_error err = {0};
    cask_run *run = NULL;
    cask_status status = run_open_bytes(bytes, size, "x", &run, &err);
    bool forward;
    bool backward;

    if (status != CASK_OK) {
        assert_is_refusal(status, &err);
        return false;
    }
    forward = check_walk(s, run, true);
    backward = check_walk(s, run, false);
    assert_int_equal(forward, backward);
    check_gets(s, run);
    check_seeks(s, run);
    assert_true(run_may_have_prefix(run, text_slice("k0")));
    run_close(run);
    return forward;
}

static void test_every_flipped_bit_gives_an_error_or_the_same(void **state)
{
    sample s;
    size_t unnoticed = 0;

    make_sample(*state, &s);
    assert_true(check_all(&s, s.bytes, s.size));
    for (size_t at = 0; at < s.size; at++) {
        /* One bit, its neighbour, all of them. */
        const uint8_t flips[] = {(uint8_t)(1u << at % 8),
                                 (uint8_t)(1u << (at + 1) % 8), 0xff};

        for (size_t i = 0; i < sizeof(flips); i++) {
            s.bytes[at] ^= flips[i];
            unnoticed += check_all(&s, s.bytes, s.size);
            s.bytes[at] ^= flips[i];
        }
    }
    /* What fills records up to a multiple of 8, and the last of them to 64. */
    assert_in_range(unnoticed, 1, (ENTRIES * 7 + 63) * 3);
    free(s.bytes);
}

static void test_every_cut_is_refused(void **state)
{
    sample s;

    make_sample(*state, &s);
    for (size_t cut = 0; cut < s.size; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1);

        assert_non_null(copy);
        memcpy(copy, s.bytes, cut);
        assert_false(check_all(&s, copy, cut));
        free(copy);
        /* The size kept, the rest zeros. */
        copy = calloc(1, s.size);
        assert_non_null(copy);
        memcpy(copy, s.bytes, cut);
        assert_false(check_all(&s, copy, s.size) &&
                     memcmp(copy, s.bytes, s.size) != 0);
        free(copy);
    }
    free(s.bytes);
}

static void test_what_is_behind_the_end_is_refused(void **state)
{
    sample s;
    uint8_t *longer;

    make_sample(*state, &s);
    for (size_t more = 1; more <= 256; more++) {
        longer = calloc(1, s.size + more);
        assert_non_null(longer);
        memcpy(longer, s.bytes, s.size);
        assert_false(check_all(&s, longer, s.size + more));
        free(longer);
    }
    free(s.bytes);
}

/* Make the checksums of the sections and the footer right; false if the footer
 * cannot be understood. */
static bool reseal(uint8_t *bytes, size_t size)
{
    uint8_t *foot = bytes + size - RUN_FOOTER_SIZE;
    uint64_t at[RUN_SECTIONS + 1];
    run_footer footer;

    store_u32(bytes + 60, crc32c(0, bytes, 60));
    store_u32(foot + 188, crc32c(0, foot, 188));
    if (run_footer_decode(foot, "x", size - RUN_FOOTER_SIZE, &footer, NULL) !=
        CASK_OK) {
        return false;
    }
    run_layout(&footer, at);
    for (int i = 0; i < RUN_SECTIONS; i++) {
        footer.crc[i] = crc32c(0, bytes + at[i], at[i + 1] - at[i]);
    }
    run_footer_encode(&footer, foot);
    return true;
}

/* All calls, whatever they answer; an iterator must come to an end. */
static void use_all(const sample *s, const cask_run *run)
{
    cask_run_iterator it = {.run = run};
    cask_buffer value = {0};
    cask_run_entry got;
    cask_status status;
    uint64_t steps = 0;

    for (uint32_t i = 0; i < ENTRIES; i += 7) {
        (void)run_get(run, s->entries[i].key, i, &value, &got, NULL);
        status = run_iterator_seek(&it, (cask_run_seek)(i % 2 + 3),
                                   s->entries[i].key, &got, NULL);
        while (status == CASK_OK) {
            status = run_iterator_next(&it, &got, NULL);
        }
        (void)run_may_have_prefix(run, s->entries[i].key);
    }
    status = run_iterator_seek(&it, CASK_RUN_LAST, (cask_slice){0}, &got, NULL);
    while (status == CASK_OK) {
        assert_true(++steps < 1000);
        status = run_iterator_previous(&it, &got, NULL);
    }
    cask_buffer_free(&value);
}

static void test_crafted_sections_are_survived(void **state)
{
    uint32_t opened = 0;
    uint8_t *copy;
    sample s;

    make_sample(*state, &s);
    copy = malloc(s.size);
    assert_non_null(copy);
    for (uint32_t round = 0; round < CRAFTED; round++) {
        /* Mostly behind the records, whose checksums stay as they are. */
        size_t from = round % 4 == 0 ? 0 : s.size - 1500;
        uint64_t changes = run_random() % 4 + 1;
        cask_run *run = NULL;

        memcpy(copy, s.bytes, s.size);
        for (uint64_t i = 0; i < changes; i++) {
            size_t at = from + run_random() % (s.size - from);

            copy[at] = run_random() % 2 == 0
                           ? (uint8_t)run_random()
                           : (uint8_t)(copy[at] + run_random() % 3 - 1);
        }
        if (reseal(copy, s.size) &&
            run_open_bytes(copy, s.size, "x", &run, NULL) == CASK_OK) {
            use_all(&s, run);
            run_close(run);
            opened++;
        }
    }
    assert_true(opened > CRAFTED / 20);
    free(copy);
    free(s.bytes);
}

static void test_another_segment_is_no_run(void **state)
{
    segment_header header = {.kind = SEGMENT_LOG, .nonce = 1};
    cask_error err = {0};
    cask_run *run = NULL;
    sample s;

    make_sample(*state, &s);
    segment_header_encode(&header, s.bytes);
    assert_int_equal(run_open_bytes(s.bytes, s.size, "x", &run, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, "kind of segment is 1, expected 3"));
    header.kind = SEGMENT_RUN;
    segment_header_encode(&header, s.bytes);
    assert_int_equal(run_open_bytes(s.bytes, s.size, "x", &run, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, "nonce of the footer"));
    free(s.bytes);
}

static void test_unknown_flags_and_versions_are_refused(void **state)
{
    uint8_t *foot;
    cask_error err = {0};
    cask_run *run = NULL;
    sample s;

    make_sample(*state, &s);
    foot = s.bytes + s.size - RUN_FOOTER_SIZE;
    store_u32(foot + 12, 0x80);
    store_u32(foot + 188, crc32c(0, foot, 188));
    assert_int_equal(run_open_bytes(s.bytes, s.size, "x", &run, &err),
                     CASK_UNSUPPORTED);
    assert_non_null(strstr(err.message, "flags of the run are 00000080"));
    store_u32(foot + 12, 0);
    store_u32(foot + 8, 2);
    assert_int_equal(run_open_bytes(s.bytes, s.size, "x", &run, &err),
                     CASK_CORRUPT);
    store_u32(foot + 188, crc32c(0, foot, 188));
    assert_int_equal(run_open_bytes(s.bytes, s.size, "x", &run, &err),
                     CASK_UNSUPPORTED);
    assert_non_null(strstr(err.message, "version of the footer"));
    free(s.bytes);
}

#define WITH_PLACE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, run_place_setup, run_place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(test_every_flipped_bit_gives_an_error_or_the_same),
        WITH_PLACE(test_every_cut_is_refused),
        WITH_PLACE(test_what_is_behind_the_end_is_refused),
        WITH_PLACE(test_crafted_sections_are_survived),
        WITH_PLACE(test_another_segment_is_no_run),
        WITH_PLACE(test_unknown_flags_and_versions_are_refused),
    };

    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
