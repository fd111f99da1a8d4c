/*
 * The file CONFIG from any bytes; also with the checksum made right, past which
 * no mutation gets.
 */
#include "fuzz/fuzz.h"
#include "log/config_format.h"

enum { LAST_SIZE = 16 /* "crc32c=", eight digits, a line feed */ };

static void write_again(const char *text, size_t size, config_reader reader)
{
    cask_buffer again = {NULL, 0, 0};
    config_line line;

    FUZZ_REQUIRE(config_begin(&again, NULL) == CASK_OK);
    while (config_next(&reader, &line)) {
        FUZZ_REQUIRE(config_add(&again, line.key, line.value, NULL) == CASK_OK);
    }
    FUZZ_REQUIRE(config_finish(&again, NULL) == CASK_OK);
    FUZZ_REQUIRE(again.size == size && memcmp(again.data, text, size) == 0);
    cask_buffer_free(&again);
}

static void check(const char *text, size_t size)
{
    config_reader reader;
    cask_error err;
    cask_status status = config_check(text, size, &reader, &err);

    if (status != CASK_OK) {
        fuzz_check_error(&err, status, "CONFIG");
        return;
    }
    write_again(text, size, reader);
}

/* `text` has room for LAST_SIZE more. */
static void check_resealed(char *text, size_t size)
{
    char last[LAST_SIZE + 1];

    (void)snprintf(last, sizeof(last), "crc32c=%08x\n",
                   (unsigned)crc32c(0, text, size));
    memcpy(text + size, last, LAST_SIZE);
    check(text, size + LAST_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + LAST_SIZE);

    FUZZ_REQUIRE(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    check(text, size);
    check_resealed(text, size);
    if (size >= LAST_SIZE) {
        check_resealed(text, size - LAST_SIZE);
    }
    free(text);
    return 0;
}
