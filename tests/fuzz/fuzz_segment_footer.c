/*
 * A segment's footer from any bytes, at the offset it claims and at 0.
 */
#include "fuzz/fuzz.h"
#include "log/segment_format.h"

enum {
    LENGTH_AT = 32,
    USED_SIZE = 56 /* bytes before the reserved ones */
};

static void check(const uint8_t bytes[SEGMENT_FOOTER_SIZE], uint64_t offset)
{
    segment_footer footer;
    uint8_t again[SEGMENT_FOOTER_SIZE];
    cask_error err;
    cask_status status =
        segment_footer_decode(bytes, "x", offset, &footer, &err);

    if (status != CASK_OK) {
        fuzz_check_error(&err, status, "x");
        FUZZ_REQUIRE(status == CASK_CORRUPT);
        return;
    }
    FUZZ_REQUIRE(footer.length == offset);
    FUZZ_REQUIRE(footer.last_sequence < FORMAT_SEQUENCE_LIMIT);
    segment_footer_encode(&footer, again);
    FUZZ_REQUIRE(memcmp(again, bytes, USED_SIZE) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[SEGMENT_FOOTER_SIZE];

    fuzz_take(data, size, bytes, sizeof(bytes));
    check(bytes, load_u64(bytes + LENGTH_AT));
    fuzz_reseal(bytes, sizeof(bytes));
    check(bytes, load_u64(bytes + LENGTH_AT));
    check(bytes, 0);
    return 0;
}
