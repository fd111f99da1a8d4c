/*
 * A whole MANIFEST from any bytes: the header, then edits until the end.
 */
#include "fuzz/fuzz.h"
#include "log/manifest_format.h"

static void check_header(const uint8_t bytes[MANIFEST_HEADER_SIZE])
{
    manifest_header header;
    uint8_t again[MANIFEST_HEADER_SIZE];
    cask_error err;
    cask_status status = manifest_header_decode(bytes, "x", &header, &err);

    if (status != CASK_OK) {
        fuzz_check_error(&err, status, "x");
        return;
    }
    manifest_header_encode(&header, again);
    FUZZ_REQUIRE(manifest_header_decode(again, "x", &header, NULL) == CASK_OK);
}

/* An edit that was accepted is written the same, to the last bit. */
static void check_edit(const uint8_t bytes[MANIFEST_EDIT_SIZE],
                       manifest_seed seed)
{
    manifest_edit edit;
    uint8_t again[MANIFEST_EDIT_SIZE];
    cask_error err;
    cask_status status = manifest_edit_decode(bytes, "x", seed, &edit, &err);

    if (status != CASK_OK) {
        fuzz_check_error(&err, status, "x");
        return;
    }
    manifest_edit_encode(&edit, seed, again);
    FUZZ_REQUIRE(memcmp(again, bytes, sizeof(again)) == 0);
}

static void reseal_edit(uint8_t bytes[MANIFEST_EDIT_SIZE], manifest_seed seed)
{
    uint8_t place[16];

    store_u64(place, seed.nonce);
    store_u64(place + 8, seed.offset);
    store_u32(bytes, crc32c(crc32c(0, bytes + 4, MANIFEST_EDIT_SIZE - 4), place,
                            sizeof(place)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t head[MANIFEST_HEADER_SIZE];
    manifest_seed seed = {.offset = MANIFEST_HEADER_SIZE};

    fuzz_take(data, size, head, sizeof(head));
    check_header(head);
    fuzz_reseal(head, sizeof(head));
    check_header(head);
    seed.nonce = load_u64(head + 32);
    while (seed.offset < size) {
        uint8_t bytes[MANIFEST_EDIT_SIZE];

        fuzz_take(data + seed.offset, size - seed.offset, bytes, sizeof(bytes));
        check_edit(bytes, seed);
        reseal_edit(bytes, seed);
        check_edit(bytes, seed);
        seed.offset += MANIFEST_EDIT_SIZE;
    }
    return 0;
}
