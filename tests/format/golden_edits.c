/*
 * Golden edits, see golden_edits.h.
 */
#include "format/golden_edits.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/golden_store.h"
#include "format/sweep.h"

#include "cask_test.h"

manifest_seed golden_edits_seed(const golden_edits *golden, size_t index)
{
    return (manifest_seed){GOLDEN_MANIFEST_NONCE,
                           golden->at + index * MANIFEST_EDIT_SIZE};
}

static const uint8_t *bytes_of(const golden_edits *golden, size_t index)
{
    return golden->bytes + index * MANIFEST_EDIT_SIZE;
}

void assert_edit_equal(const manifest_edit *a, const manifest_edit *b)
{
    const manifest_seed seed = {1, 64};
    uint8_t left[MANIFEST_EDIT_SIZE];
    uint8_t right[MANIFEST_EDIT_SIZE];

    manifest_edit_encode(a, seed, left);
    manifest_edit_encode(b, seed, right);
    assert_memory_equal(left, right, sizeof(left));
}

void golden_edits_are_read(const golden_edits *golden)
{
    for (size_t i = 0; i < golden->count; i++) {
        const manifest_seed seed = golden_edits_seed(golden, i);
        manifest_edit expected = golden->edits[i];
        uint8_t bytes[MANIFEST_EDIT_SIZE];
        manifest_edit edit;

        if (expected.type == MANIFEST_RUNS) {
            size_t first = i - expected.runs.edits;

            expected.runs.crc =
                crc32c(0, bytes_of(golden, first),
                       expected.runs.edits * (size_t)MANIFEST_EDIT_SIZE);
        }
        memset(bytes, 0xee, sizeof(bytes));
        manifest_edit_encode(&expected, seed, bytes);
        assert_memory_equal(bytes, bytes_of(golden, i), sizeof(bytes));
        assert_int_equal(manifest_edit_decode(bytes_of(golden, i),
                                              MANIFEST_NAME, seed, &edit, NULL),
                         CASK_OK);
        assert_edit_equal(&edit, &expected);
    }
}

/* ---- Refused ------------------------------------------------------------ */

static manifest_seed decoded; /* of the edit that decode() is at */

static cask_status decode(const uint8_t *bytes, cask_error *err)
{
    manifest_edit edit;
    manifest_edit before;
    cask_status status;

    memset(&edit, 0xa5, sizeof(edit));
    memcpy(&before, &edit, sizeof(before));
    status = manifest_edit_decode(bytes, MANIFEST_NAME, decoded, &edit, err);
    if (status != CASK_OK) {
        assert_memory_equal(&edit, &before, sizeof(before));
    }
    return status;
}

static sweep_target target_of(const golden_edits *golden, size_t index)
{
    decoded = golden_edits_seed(golden, index);
    return (sweep_target){MANIFEST_NAME, bytes_of(golden, index),
                          MANIFEST_EDIT_SIZE, decode};
}

void golden_edits_are_swept(const golden_edits *golden)
{
    for (size_t i = 0; i < golden->count; i++) {
        const sweep_target target = target_of(golden, i);

        sweep_flips(&target);
        sweep_cuts(&target);
    }
}

void golden_edits_refuse(const golden_edits *golden, size_t index, int operand,
                         uint64_t value, cask_status status, const char *part)
{
    const sweep_target target = target_of(golden, index);
    uint8_t bytes[MANIFEST_EDIT_SIZE];
    uint8_t place[16];

    memcpy(bytes, target.golden, sizeof(bytes));
    store_u64(bytes + 16 + 8 * operand, value);
    store_u64(place, decoded.nonce);
    store_u64(place + 8, decoded.offset);
    store_u32(bytes, crc32c(crc32c(0, bytes + 4, 44), place, sizeof(place)));
    sweep_refused(&target, bytes, status, part);
}
