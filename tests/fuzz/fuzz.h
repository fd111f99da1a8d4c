/*
 * What the fuzz targets share. A target gets any bytes and must find its
 * decoder's promises kept: no byte outside the input is touched (sanitizers),
 * a failure says why, and what was accepted survives another round.
 */
#ifndef CASKADE_FUZZ_H
#define CASKADE_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "caskade.h"

/* Called by libFuzzer, or by replay.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* abort() with the place; also without assertions. */
#define FUZZ_REQUIRE(condition)                                                \
    ((condition) ? (void)0 : fuzz_die(__FILE__, __LINE__, #condition))

_Noreturn static inline void fuzz_die(const char *file, int line,
                                      const char *condition)
{
    (void)fprintf(stderr, "%s:%d: not true: %s\n", file, line, condition);
    abort();
}

/* Copy the input to `size` bytes, zeros behind it if it is shorter. */
static inline void fuzz_take(const uint8_t *data, size_t data_size, uint8_t *to,
                             size_t size)
{
    size_t taken = data_size < size ? data_size : size;

    memset(to, 0, size);
    if (taken > 0) {
        memcpy(to, data, taken);
    }
}

/*
 * Make the checksum in the last four bytes right: half of what a decoder does
 * comes after its checksum, which no mutation gets past.
 */
static inline void fuzz_reseal(uint8_t *bytes, size_t size)
{
    store_u32(bytes + size - 4, crc32c(0, bytes, size - 4));
}

/* The error agrees with the status and is one short line about the file. */
static inline void fuzz_check_error(const cask_error *err, cask_status status,
                                    const char *name)
{
    size_t name_size = strlen(name);

    FUZZ_REQUIRE(status == CASK_CORRUPT || status == CASK_UNSUPPORTED);
    FUZZ_REQUIRE(err->status == status);
    FUZZ_REQUIRE(memchr(err->message, 0, sizeof(err->message)) != NULL);
    FUZZ_REQUIRE(strlen(err->message) < sizeof(err->message) - 1);
    FUZZ_REQUIRE(strncmp(err->message, name, name_size) == 0);
    FUZZ_REQUIRE(strncmp(err->message + name_size, ": offset ", 9) == 0);
    FUZZ_REQUIRE(strchr(err->message, '\n') == NULL);
}

#endif
