/*
 * A whole run from any bytes: opened, looked up, walked over. The second time
 * with header, sections and footer sealed again, since half of what the reader
 * does comes after their checksums.
 */
#include "fuzz/fuzz.h"
#include "run/run_iterator.h"

static const cask_slice probes[] = {{"", 0},       {"apple", 5}, {"b", 1},
                                    {"cherry", 6}, {"fig", 3},   {"zz", 2}};

/* Records are in the file, and there are not more than have room. */
static void walk(const cask_run *run, bool forward)
{
    cask_run_iterator it = {.run = run};
    cask_error err;
    cask_run_entry got;
    uint64_t steps = 0;
    cask_status status = run_iterator_seek(
        &it, forward ? CASK_RUN_FIRST : CASK_RUN_LAST, probes[0], &got, &err);

    while (status == CASK_OK) {
        const uint8_t *key = got.key.data;

        FUZZ_REQUIRE(++steps <= run->footer.length / RECORD_HEADER_SIZE);
        FUZZ_REQUIRE(key >= run->bytes &&
                     key + got.key.size <= run->bytes + run->footer.length);
        FUZZ_REQUIRE(got.info.sequence > 0);
        status = forward ? run_iterator_next(&it, &got, &err)
                         : run_iterator_previous(&it, &got, &err);
    }
    if (status != CASK_NOT_FOUND) {
        fuzz_check_error(&err, status, "x");
    }
}

static void probe(const cask_run *run, cask_slice key)
{
    cask_run_iterator it = {.run = run};
    cask_buffer value = {0};
    cask_error err;
    cask_run_entry got;
    cask_status status = run_get(run, key, key.size, &value, &got, &err);

    if (status == CASK_OK) {
        FUZZ_REQUIRE(got.info.sequence > 0);
    } else if (status != CASK_NOT_FOUND) {
        fuzz_check_error(&err, status, "x");
    }
    for (int how = CASK_RUN_AT_LEAST; how <= CASK_RUN_AT_MOST; how++) {
        status = run_iterator_seek(&it, (cask_run_seek)how, key, &got, &err);
        if (status != CASK_OK && status != CASK_NOT_FOUND) {
            fuzz_check_error(&err, status, "x");
        }
    }
    (void)run_may_have_prefix(run, key);
    cask_buffer_free(&value);
}

static void check(const uint8_t *data, size_t size)
{
    cask_error err;
    cask_run *run = NULL;
    cask_status status = run_open_bytes(data, size, "x", &run, &err);

    if (status != CASK_OK) {
        fuzz_check_error(&err, status, "x");
        return;
    }
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        probe(run, probes[i]);
    }
    walk(run, true);
    walk(run, false);
    run_close(run);
}

/* Make all checksums right that can be, but those of the records. */
static void reseal(uint8_t *bytes, size_t size)
{
    uint8_t *foot = bytes + size - RUN_FOOTER_SIZE;
    uint64_t at[RUN_SECTIONS + 1];
    run_footer footer;

    fuzz_reseal(bytes, SEGMENT_HEADER_SIZE);
    fuzz_reseal(foot, RUN_FOOTER_SIZE);
    if (run_footer_decode(foot, "x", size - RUN_FOOTER_SIZE, &footer, NULL) !=
        CASK_OK) {
        return;
    }
    run_layout(&footer, at);
    for (int i = 0; i < RUN_SECTIONS; i++) {
        footer.crc[i] = crc32c(0, bytes + at[i], at[i + 1] - at[i]);
    }
    run_footer_encode(&footer, foot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy;

    check(data, size);
    if (size < SEGMENT_HEADER_SIZE + RUN_FOOTER_SIZE) {
        return 0;
    }
    copy = malloc(size);
    FUZZ_REQUIRE(copy != NULL);
    memcpy(copy, data, size);
    reseal(copy, size);
    check(copy, size);
    free(copy);
    return 0;
}
