/*
 * Sweeps over damaged bytes, see sweep.h.
 */
#include "format/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "cask_test.h"
#include "support/random.h"

/* Decode a copy that ends where its memory ends, at an odd address. */
static cask_status decode_copy(const sweep_target *target, const uint8_t *bytes,
                               cask_error *err)
{
    uint8_t *memory = malloc(target->size + 1);
    cask_status status;

    assert_non_null(memory);
    memcpy(memory + 1, bytes, target->size);
    memset(err, 0, sizeof(*err));
    status = target->decode(memory + 1, err);
    free(memory);
    return status;
}

/* "<name>: offset <digit>...", one line, the status repeated. */
static void check_error(const sweep_target *target, cask_status status,
                        const cask_error *err)
{
    char start[64];
    size_t size;

    size = (size_t)snprintf(start, sizeof(start), "%s: offset ", target->name);
    assert_int_equal(err->status, status);
    assert_int_equal(err->os_errno, 0);
    assert_memory_equal(err->message, start, size);
    assert_in_range(err->message[size], '0', '9');
    assert_null(strchr(err->message, '\n'));
    assert_true(strlen(err->message) < sizeof(err->message) - 1);
}

void sweep_flips(const sweep_target *target)
{
    uint8_t *bytes = malloc(target->size);
    cask_error err;

    assert_non_null(bytes);
    memcpy(bytes, target->golden, target->size);
    assert_int_equal(decode_copy(target, bytes, &err), CASK_OK);
    for (size_t at = 0; at < target->size; at++) {
        for (unsigned flip = 1; flip <= 0xff; flip++) {
            cask_status status;

            bytes[at] = (uint8_t)(target->golden[at] ^ flip);
            status = decode_copy(target, bytes, &err);
            assert_int_equal(status, CASK_CORRUPT);
            check_error(target, status, &err);
        }
        bytes[at] = target->golden[at];
    }
    free(bytes);
}

static void fill(uint8_t *to, size_t size, int pattern)
{
    if (pattern > 0xff) {
        sweep_random_bytes(to, size);
    } else {
        memset(to, pattern, size);
    }
}

static void sweep_cuts_with(const sweep_target *target, int pattern)
{
    uint8_t *bytes = malloc(target->size);
    size_t refused = 0;
    cask_error err;

    assert_non_null(bytes);
    for (size_t cut = 0; cut < target->size; cut++) {
        cask_status status;

        memcpy(bytes, target->golden, cut);
        fill(bytes + cut, target->size - cut, pattern);
        status = decode_copy(target, bytes, &err);
        if (memcmp(bytes, target->golden, target->size) == 0) {
            assert_int_equal(status, CASK_OK);
            continue;
        }
        assert_int_not_equal(status, CASK_OK);
        check_error(target, status, &err);
        refused++;
    }
    /* At most the trailing zeros of an edit may look like a cut. */
    assert_true(refused >= 16);
    free(bytes);
}

void sweep_cuts(const sweep_target *target)
{
    sweep_cuts_with(target, 0x00);
    sweep_cuts_with(target, 0xff);
    sweep_cuts_with(target, 0x100);
}

void sweep_refused(const sweep_target *target, const uint8_t *bytes,
                   cask_status status, const char *part)
{
    cask_error err;

    assert_int_equal(decode_copy(target, bytes, &err), status);
    check_error(target, status, &err);
    if (strstr(err.message, part) == NULL) {
        /* Fails, and shows both. */
        assert_string_equal(err.message, part);
    }
    /* A caller that wants no message gets the same status. */
    assert_int_equal(target->decode(bytes, NULL), status);
}

void sweep_reseal(uint8_t *bytes, size_t size)
{
    store_u32(bytes + size - 4, crc32c(0, bytes, size - 4));
}

uint64_t sweep_random(void)
{
    return test_random_shared();
}

void sweep_random_bytes(void *to, size_t size)
{
    uint8_t *bytes = to;

    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)sweep_random();
    }
}
