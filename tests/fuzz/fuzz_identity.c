/*
 * The file CASKADE from any bytes.
 */
#include "fuzz/fuzz.h"
#include "log/identity_format.h"

enum { USED_SIZE = 56 /* bytes before the reserved ones */ };

static void check(const uint8_t bytes[IDENTITY_SIZE])
{
    store_identity identity;
    uint8_t again[IDENTITY_SIZE];
    cask_error err;
    cask_status status = identity_decode(bytes, "x", &identity, &err);

    if (status != CASK_OK) {
        fuzz_check_error(&err, status, "x");
        return;
    }
    identity_encode(&identity, again);
    FUZZ_REQUIRE(memcmp(again, bytes, USED_SIZE) == 0);
    FUZZ_REQUIRE(identity_decode(again, "x", &identity, NULL) == CASK_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[IDENTITY_SIZE];

    fuzz_take(data, size, bytes, sizeof(bytes));
    check(bytes);
    fuzz_reseal(bytes, sizeof(bytes));
    check(bytes);
    return 0;
}
