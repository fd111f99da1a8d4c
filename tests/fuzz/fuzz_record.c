/*
 * Records from any bytes, walked as a scan walks a segment. The first 16
 * bytes of the input are the seed of the first record.
 */
#include "fuzz/fuzz.h"
#include "log/record_format.h"

enum {
    SEED_SIZE = 16,
    CHECKED_SIZE = 22 /* of the header, by its own check */
};

/* Make the header's own check right, so that the walk gets past it. */
static void reseal_header(uint8_t bytes[RECORD_HEADER_SIZE], record_seed seed)
{
    uint8_t place[SEED_SIZE];
    uint32_t crc;

    store_u64(place, seed.nonce);
    store_u64(place + 8, seed.offset);
    crc = crc32c(crc32c(0, bytes, CHECKED_SIZE), place, sizeof(place));
    store_u16(bytes + CHECKED_SIZE, (uint16_t)(crc ^ crc >> 16));
}

/* Bytes of the record at the start of `bytes`, or 0 if there is none. */
static uint64_t check(const uint8_t *bytes, size_t left, record_seed seed)
{
    record_header header;
    uint8_t again[RECORD_HEADER_SIZE];
    uint64_t body_size;
    uint32_t body_crc;

    if (!record_decode_header(bytes, seed, &header)) {
        return 0;
    }
    FUZZ_REQUIRE(header.sequence <= RECORD_SEQUENCE_MAX);
    body_size = record_body_size(&header);
    FUZZ_REQUIRE(record_size(&header) % 8 == 0);
    FUZZ_REQUIRE(record_size(&header) >= RECORD_HEADER_SIZE + body_size);
    FUZZ_REQUIRE(record_size(&header) - RECORD_HEADER_SIZE - body_size < 8);
    if (body_size > left - RECORD_HEADER_SIZE) {
        return 0;
    }
    body_crc = crc32c(0, bytes + RECORD_HEADER_SIZE, body_size);
    record_encode_header(&header, body_crc, seed, again);
    FUZZ_REQUIRE(record_verify(again, body_crc, seed));
    /* What verifies is exactly what would have been written. */
    FUZZ_REQUIRE(record_verify(bytes, body_crc, seed) ==
                 (memcmp(again, bytes, sizeof(again)) == 0));
    return record_size(&header);
}

static void walk(uint8_t *bytes, size_t size, record_seed seed, int reseal)
{
    while (size >= RECORD_HEADER_SIZE) {
        uint64_t step;

        if (reseal) {
            reseal_header(bytes, seed);
        }
        step = check(bytes, size, seed);
        if (step == 0) {
            step = 8; /* resynchronise */
        }
        if (step > size) {
            return;
        }
        bytes += step;
        size -= step;
        seed.offset += step;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    record_seed seed;
    uint8_t *bytes;

    if (size < SEED_SIZE) {
        return 0;
    }
    seed.nonce = load_u64(data);
    seed.offset = load_u64(data + 8);
    size -= SEED_SIZE;
    bytes = malloc(size > 0 ? size : 1);
    FUZZ_REQUIRE(bytes != NULL);
    memcpy(bytes, data + SEED_SIZE, size);
    walk(bytes, size, seed, 0);
    walk(bytes, size, seed, 1);
    free(bytes);
    return 0;
}
