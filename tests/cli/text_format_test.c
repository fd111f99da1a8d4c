/*
 * The formats of load and dump: golden lines, every kind of bad line, and any
 * bytes there and back.
 */
#include "cask_test.h"

#include "text_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE(literal) ((cask_slice){literal, sizeof(literal) - 1})

static const char *const names[] = {"tsv", "jsonl", "hex"};
enum { NAME_COUNT = sizeof(names) / sizeof(names[0]) };

static void test_formats_are_found_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAME_COUNT; i++) {
        assert_non_null(text_format_find(names[i]));
        assert_string_equal(text_format_find(names[i])->name, names[i]);
    }
    assert_null(text_format_find("csv"));
    assert_null(text_format_find(""));
}

/* ---- Golden lines ------------------------------------------------------ */

static void assert_line(const char *format, text_record record,
                        const char *want)
{
    text out = {0};

    text_format_find(format)->encode(&record, &out);
    text_add_char(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.data, want);
    text_free(&out);
}

static void test_lines_look_as_documented(void **state)
{
    text_record empty = {{NULL, 0}, {NULL, 0}, 0};
    text_record plain = {SLICE("key"), SLICE("value"), 0};
    text_record binary = {SLICE("a\tb"), SLICE("\0\xff\n\\"), 0};
    text_record expiring = {SLICE("k"), SLICE("v"), 1700000000123};

    (void)state;
    assert_line("tsv", empty, "\t\n");
    assert_line("tsv", plain, "key\tvalue\n");
    assert_line("tsv", binary, "a\\tb\t\\x00\\xff\\n\\\\\n");
    assert_line("tsv", expiring, "k\tv\n");
    assert_line("hex", empty, "\t\n");
    assert_line("hex", plain, "6b6579\t76616c7565\n");
    assert_line("hex", binary, "610962\t00ff0a5c\n");
    assert_line("jsonl", empty, "{\"key\":\"\",\"value\":\"\"}\n");
    assert_line("jsonl", plain, "{\"key\":\"key\",\"value\":\"value\"}\n");
    assert_line("jsonl", binary,
                "{\"key\":\"a\\tb\",\"value64\":\"AP8KXA==\"}\n");
    assert_line("jsonl", expiring,
                "{\"key\":\"k\",\"value\":\"v\","
                "\"expires_at_ms\":1700000000123}\n");
}

static void assert_key_line(const char *format, cask_slice key,
                            const char *want)
{
    text out = {0};

    text_format_find(format)->encode_key(key, &out);
    text_add_char(&out, '\0');
    assert_string_equal(out.data, want);
    text_free(&out);
}

static void test_keys_alone_look_as_documented(void **state)
{
    (void)state;
    assert_key_line("tsv", SLICE("a\n"), "a\\n\n");
    assert_key_line("hex", SLICE("a\n"), "610a\n");
    assert_key_line("jsonl", SLICE("a\n"), "{\"key\":\"a\\n\"}\n");
    assert_key_line("jsonl", SLICE("\xff"), "{\"key64\":\"/w==\"}\n");
}

/* ---- Bad lines --------------------------------------------------------- */

typedef struct bad_line {
    const char *format;
    const char *line;
    const char *reason; /* a part of what is reported */
} bad_line;

static const bad_line bad_lines[] = {
    {"tsv", "", "no TAB"},
    {"tsv", "key", "no TAB"},
    {"tsv", "key value", "no TAB"},
    {"tsv", "a\tb\tc", "more than one TAB"},
    {"tsv", "a\\\tb", "backslash"},
    {"tsv", "a\tb\\", "backslash"},
    {"tsv", "a\\x4\tb", "backslash"},
    {"hex", "", "no TAB"},
    {"hex", "61", "no TAB"},
    {"hex", "6\t61", "odd"},
    {"hex", "61\t6", "odd"},
    {"hex", "6g\t61", "hexadecimal"},
    {"hex", "61\t61\t61", "more than one TAB"},
    {"hex", "61 \t61 ", "odd"},
    {"jsonl", "", "JSON"},
    {"jsonl", "x", "JSON"},
    {"jsonl", "[]", "JSON object"},
    {"jsonl", "\"a\"", "JSON object"},
    {"jsonl", "{\"key\":\"a\"}", "value"},
    {"jsonl", "{\"value\":\"a\"}", "key"},
    {"jsonl", "{\"key\":\"a\",\"value\":\"b\"} x", "JSON"},
    {"jsonl", "{\"key\":\"a\",\"value\":\"b\"", "JSON"},
    {"jsonl", "{\"key\":1,\"value\":\"b\"}", "string"},
    {"jsonl", "{\"key\":\"a\",\"value\":null}", "string"},
    {"jsonl", "{\"key\":\"a\",\"key64\":\"YQ==\",\"value\":\"b\"}",
     "exactly one"},
    {"jsonl", "{\"key\":\"a\",\"key\":\"a\",\"value\":\"b\"}", "JSON"},
    {"jsonl", "{\"key64\":\"YQ\",\"value\":\"b\"}", "base64"},
    {"jsonl", "{\"key\":\"a\",\"value\":\"b\",\"expires\":1}", "member"},
    {"jsonl", "{\"key\":\"a\",\"value\":\"b\",\"expires_at_ms\":-1}",
     "expires_at_ms"},
    {"jsonl", "{\"key\":\"a\",\"value\":\"b\",\"expires_at_ms\":0}",
     "expires_at_ms"},
    {"jsonl", "{\"key\":\"a\",\"value\":\"b\",\"expires_at_ms\":\"1\"}",
     "expires_at_ms"},
    {"jsonl", "{\"key\":\"a\",\"value\":\"b\",\"expires_at_ms\":1.5}",
     "expires_at_ms"},
    {"jsonl", "{\"key\":\"\xff\",\"value\":\"b\"}", "JSON"},
};

static void test_bad_lines_are_refused_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
        const bad_line *bad = &bad_lines[i];
        size_t size = strlen(bad->line);
        /* Exactly as large as the line: the sanitizer sees a byte more. */
        char *line = malloc(size + 1);
        text scratch = {0};
        text_record record = {.expires_at_ms = 7};
        const char *wrong;

        assert_non_null(line);
        memcpy(line, bad->line, size + 1);
        wrong = text_format_find(bad->format)
                    ->decode(line, size, &scratch, &record);
        assert_non_null(wrong);
        assert_non_null(strstr(wrong, bad->reason));
        assert_int_equal(record.expires_at_ms, 7);
        text_free(&scratch);
        free(line);
    }
}

/* ---- There and back ---------------------------------------------------- */

static void assert_same_bytes(cask_slice got, cask_slice want)
{
    assert_int_equal(got.size, want.size);
    if (want.size > 0) {
        assert_memory_equal(got.data, want.data, want.size);
    }
}

static void assert_comes_back(const text_format *format, text_record record)
{
    bool has_expiry = strcmp(format->name, "jsonl") == 0;
    text line = {0};
    text scratch = {0};
    text_record got = {0};

    format->encode(&record, &line);
    assert_false(line.failed);
    assert_true(line.size > 0 && line.data[line.size - 1] == '\n');
    /* One line, whatever is in it. */
    assert_ptr_equal(memchr(line.data, '\n', line.size),
                     line.data + line.size - 1);
    assert_null(format->decode(line.data, line.size - 1, &scratch, &got));
    assert_same_bytes(got.key, record.key);
    assert_same_bytes(got.value, record.value);
    assert_int_equal(got.expires_at_ms, has_expiry ? record.expires_at_ms : 0);
    text_free(&line);
    text_free(&scratch);
}

static void test_every_byte_and_pair_comes_back(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 256 * 256; pair++) {
        unsigned char bytes[2] = {(unsigned char)(pair >> 8),
                                  (unsigned char)pair};
        text_record record = {{bytes, 2}, {bytes + 1, 1}, 0};

        for (size_t i = 0; i < NAME_COUNT; i++) {
            assert_comes_back(text_format_find(names[i]), record);
        }
    }
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Pieces that make valid and nearly valid UTF-8, escapes and quotes likely. */
static size_t random_bytes(uint64_t *seed, unsigned char *bytes, size_t max)
{
    static const char *const pieces[] = {
        "\\",           "\t",       "\n",       "\r", "\\x", "\xc3", "\xa9",
        "\xe2\x82\xac", "\xf0\x9f", "\x98\x80", "\"", "{",   "}",    ":",
        "\x7f",         "a",        "0",
    };
    size_t size = 0;
    size_t wanted = next_random(seed) % max;

    while (size + 4 < wanted) {
        uint64_t pick = next_random(seed) % 24;

        if (pick < sizeof(pieces) / sizeof(pieces[0])) {
            memcpy(bytes + size, pieces[pick], strlen(pieces[pick]));
            size += strlen(pieces[pick]);
        } else {
            bytes[size++] = (unsigned char)next_random(seed);
        }
    }
    return size;
}

static void test_random_records_come_back(void **state)
{
    const char *given = getenv("CASK_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : 20240501;
    unsigned char key[200];
    unsigned char value[600];

    (void)state;
    print_message("CASK_TEST_SEED=%" PRIu64 "\n", seed);
    seed = seed == 0 ? 1 : seed;
    for (int round = 0; round < 20000; round++) {
        size_t key_size = random_bytes(&seed, key, sizeof(key));
        size_t value_size = random_bytes(&seed, value, sizeof(value));
        text_record record = {
            {key, key_size}, {value, value_size}, next_random(&seed) >> 20};

        for (size_t i = 0; i < NAME_COUNT; i++) {
            assert_comes_back(text_format_find(names[i]), record);
        }
    }
}

static void test_a_value_of_many_megabytes_comes_back(void **state)
{
    size_t size = 8 << 20;
    unsigned char *bytes = malloc(size);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    }
    for (size_t i = 0; i < NAME_COUNT; i++) {
        text_record record = {SLICE("large"), {bytes, size}, 0};

        assert_comes_back(text_format_find(names[i]), record);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_are_found_by_name),
        cmocka_unit_test(test_lines_look_as_documented),
        cmocka_unit_test(test_keys_alone_look_as_documented),
        cmocka_unit_test(test_bad_lines_are_refused_with_a_reason),
        cmocka_unit_test(test_every_byte_and_pair_comes_back),
        cmocka_unit_test(test_random_records_come_back),
        cmocka_unit_test(test_a_value_of_many_megabytes_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
