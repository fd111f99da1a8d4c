/*
 * The dumps in docs/format/ are what the codecs write. Each file is decoded
 * from the golden bytes, encoded again from the values, and its dump looked up
 * in its document.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/golden_lost.h"
#include "format/golden_run.h"
#include "format/golden_store.h"
#include "run/run_format.h"

#include "cask_test.h"

enum {
    DUMP_LINE_BYTES = 16,
    DUMP_MAX = 4096,
    DOCUMENT_MAX = 1 << 16,
    FIRST_RECORD_AT = 64,
    FIRST_RECORD_SIZE = 40
};

/* The text of docs/format/`name`; free() it. */
static char *read_document(const char *name)
{
    char path[4096];
    char *text = malloc(DOCUMENT_MAX);
    FILE *file;
    size_t size;

    assert_non_null(text);
    assert_true(snprintf(path, sizeof(path), "%s/%s", FORMAT_DOCS, name) <
                (int)sizeof(path));
    file = fopen(path, "rb");
    assert_non_null(file);
    size = fread(text, 1, DOCUMENT_MAX - 1, file);
    assert_true(size > 0 && size < DOCUMENT_MAX - 1);
    (void)fclose(file);
    text[size] = '\0';
    return text;
}

/* Append `text` to the string in `out`. */
static void append(char out[DUMP_MAX], const char *text)
{
    size_t used = strlen(out);

    assert_true(strlen(text) < DUMP_MAX - used);
    memcpy(out + used, text, strlen(text) + 1);
}

/* "00000040  5f 3f ..." as the documents show it, indented by 4. */
static void dump(const uint8_t *bytes, size_t size, size_t base,
                 char out[DUMP_MAX])
{
    char part[32];

    out[0] = '\0';
    for (size_t i = 0; i < size; i++) {
        if (i % DUMP_LINE_BYTES == 0) {
            (void)snprintf(part, sizeof(part), "    %08zx ", base + i);
            append(out, part);
        }
        (void)snprintf(part, sizeof(part), " %02x", bytes[i]);
        append(out, part);
        if (i % DUMP_LINE_BYTES == DUMP_LINE_BYTES - 1 || i + 1 == size) {
            append(out, "\n");
        }
    }
}

/* The document shows `bytes`, which are at `base` of their file. */
static void assert_document_shows(const char *name, const uint8_t *bytes,
                                  size_t size, size_t base)
{
    char *document = read_document(name);
    char expected[DUMP_MAX];

    dump(bytes, size, base, expected);
    if (strstr(document, expected) == NULL) {
        print_error("%s should show:\n%s", name, expected);
        assert_non_null(strstr(document, expected));
    }
    free(document);
}

static void test_identity_example_is_real(void **state)
{
    uint8_t bytes[IDENTITY_SIZE];
    store_identity identity;

    (void)state;
    assert_int_equal(identity_decode(golden_identity, "x", &identity, NULL),
                     CASK_OK);
    identity_encode(&identity, bytes);
    assert_document_shows("identity.md", bytes, sizeof(bytes), 0);
}

/* Encode again the record at `offset`; returns the offset behind it. */
static uint64_t copy_record(uint64_t offset, uint8_t *segment)
{
    const record_seed seed = {GOLDEN_SEGMENT_NONCE, offset};
    const uint8_t *from = golden_segment + offset;
    const uint8_t *body = from + RECORD_HEADER_SIZE;
    record_header header;
    size_t body_size;

    assert_true(record_decode_header(from, seed, &header));
    body_size = record_body_size(&header);
    memset(segment + offset, 0, record_size(&header));
    memcpy(segment + offset + RECORD_HEADER_SIZE, body, body_size);
    record_encode_header(&header, crc32c(0, body, body_size), seed,
                         segment + offset);
    return offset + record_size(&header);
}

static void encode_segment(uint8_t bytes[sizeof(golden_segment)])
{
    uint64_t offset = SEGMENT_HEADER_SIZE;
    segment_header header;
    segment_footer footer;

    assert_int_equal(segment_header_decode(golden_segment, "x", &header, NULL),
                     CASK_OK);
    segment_header_encode(&header, bytes);
    while (offset < GOLDEN_SEGMENT_LENGTH) {
        offset = copy_record(offset, bytes);
    }
    assert_int_equal(segment_footer_decode(golden_segment + offset, "x", offset,
                                           &footer, NULL),
                     CASK_OK);
    segment_footer_encode(&footer, bytes + offset);
}

static void test_segment_example_is_real(void **state)
{
    uint8_t bytes[sizeof(golden_segment)];

    (void)state;
    encode_segment(bytes);
    assert_document_shows("segment.md", bytes, sizeof(bytes), 0);
}

static void test_record_example_is_real(void **state)
{
    uint8_t bytes[sizeof(golden_segment)];

    (void)state;
    encode_segment(bytes);
    assert_document_shows("record.md", bytes + FIRST_RECORD_AT,
                          FIRST_RECORD_SIZE, FIRST_RECORD_AT);
}

static void test_hint_example_is_real(void **state)
{
    uint8_t bytes[sizeof(golden_hint)];
    hint_header header;

    (void)state;
    assert_int_equal(hint_header_decode(golden_hint, "x", &header, NULL),
                     CASK_OK);
    hint_header_encode(&header, bytes);
    for (size_t at = HINT_HEADER_SIZE; at < sizeof(bytes);
         at += HINT_ROW_SIZE) {
        hint_row row;

        hint_row_decode(golden_hint + at, &row);
        hint_row_encode(&row, bytes + at);
    }
    assert_document_shows("hint.md", bytes, sizeof(bytes), 0);
}

static void test_manifest_example_is_real(void **state)
{
    uint8_t bytes[sizeof(golden_manifest)];
    manifest_header header;

    (void)state;
    assert_int_equal(
        manifest_header_decode(golden_manifest, "x", &header, NULL), CASK_OK);
    manifest_header_encode(&header, bytes);
    for (size_t at = MANIFEST_HEADER_SIZE; at < sizeof(bytes);
         at += MANIFEST_EDIT_SIZE) {
        const manifest_seed seed = {GOLDEN_MANIFEST_NONCE, at};
        manifest_edit edit;

        assert_int_equal(
            manifest_edit_decode(golden_manifest + at, "x", seed, &edit, NULL),
            CASK_OK);
        manifest_edit_encode(&edit, seed, bytes + at);
    }
    assert_document_shows("manifest.md", bytes, sizeof(bytes), 0);
    assert_document_shows("manifest.md", golden_versions,
                          sizeof(golden_versions), GOLDEN_VERSIONS_AT);
    assert_document_shows("manifest.md", golden_taken_in,
                          sizeof(golden_taken_in), GOLDEN_TAKEN_IN_AT);
    assert_document_shows("manifest.md", golden_lost, sizeof(golden_lost),
                          GOLDEN_LOST_AT);
    assert_document_shows("manifest.md", golden_quarantine,
                          sizeof(golden_quarantine), GOLDEN_QUARANTINE_AT);
}

/* Records, and what follows them, of a run that run_test.c compares with what
 * is written. */
static void test_run_example_is_real(void **state)
{
    const size_t foot = sizeof(golden_run) - RUN_FOOTER_SIZE;
    const size_t length = 0x110;
    uint8_t bytes[RUN_FOOTER_SIZE];
    run_footer footer;

    (void)state;
    assert_document_shows("run.md", golden_run, length, 0);
    for (size_t at = 0x140; at < foot; at += RUN_LINE_SIZE) {
        assert_document_shows("run.md", golden_run + at, DUMP_LINE_BYTES, at);
    }
    assert_int_equal(
        run_footer_decode(golden_run + foot, "x", foot, &footer, NULL),
        CASK_OK);
    run_footer_encode(&footer, bytes);
    assert_document_shows("run.md", bytes, sizeof(bytes), foot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity_example_is_real),
        cmocka_unit_test(test_segment_example_is_real),
        cmocka_unit_test(test_record_example_is_real),
        cmocka_unit_test(test_hint_example_is_real),
        cmocka_unit_test(test_manifest_example_is_real),
        cmocka_unit_test(test_run_example_is_real),
    };

    return cmocka_run_group_tests_name("docs", tests, NULL, NULL);
}
