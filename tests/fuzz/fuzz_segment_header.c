/*
 * A segment's header from any bytes.
 */
#include "fuzz/fuzz.h"
#include "log/segment_format.h"

enum { USED_SIZE = 56 /* bytes before the reserved ones */ };

static void check(const uint8_t bytes[SEGMENT_HEADER_SIZE])
{
    segment_header header;
    uint8_t again[SEGMENT_HEADER_SIZE];
    cask_error err;
    cask_status status = segment_header_decode(bytes, "x", &header, &err);

    if (status != CASK_OK) {
        fuzz_check_error(&err, status, "x");
        return;
    }
    FUZZ_REQUIRE(header.kind >= SEGMENT_LOG && header.kind <= SEGMENT_VALUES);
    segment_header_encode(&header, again);
    FUZZ_REQUIRE(memcmp(again, bytes, USED_SIZE) == 0);
    FUZZ_REQUIRE(segment_header_decode(again, "x", &header, NULL) == CASK_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];

    fuzz_take(data, size, bytes, sizeof(bytes));
    check(bytes);
    fuzz_reseal(bytes, sizeof(bytes));
    check(bytes);
    return 0;
}
