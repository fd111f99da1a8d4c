/*
 * Codec of the record header, see record_format.h. Runs under the write lock
 * and on every read: two checksums of 34 and 38 bytes, no branches.
 */
#include "log/record_format.h"

#include "base/crc32c.h"

/* Offsets in the header. */
enum {
    AT_CRC = 0,
    AT_TIME = 4,
    AT_SEQUENCE = 8,
    AT_TYPE = 15,
    AT_VALUE_SIZE = 16,
    AT_KEY_SIZE = 20,
    AT_CHECK = 22
};

/* The checked bytes: the header without its check, then the seed. */
enum { CHECKED_SIZE = AT_CHECK + 16 };

static void append_seed(uint8_t checked[CHECKED_SIZE], record_seed seed)
{
    store_u64(checked + AT_CHECK, seed.nonce);
    store_u64(checked + AT_CHECK + 8, seed.offset);
}

/* crc of body, then header behind the crc field, then seed. */
static uint32_t whole_crc(const uint8_t checked[CHECKED_SIZE],
                          uint32_t body_crc)
{
    return crc32c(body_crc, checked + AT_TIME, CHECKED_SIZE - AT_TIME);
}

static uint16_t header_check(const uint8_t checked[CHECKED_SIZE])
{
    uint32_t crc = crc32c(0, checked, CHECKED_SIZE);

    return (uint16_t)(crc ^ (crc >> 16));
}

void record_encode_header(const record_header *header, uint32_t body_crc,
                          record_seed seed,
                          uint8_t ret_bytes[RECORD_HEADER_SIZE])
{
    uint8_t checked[CHECKED_SIZE];

    store_u32(checked + AT_TIME, header->time_s);
    store_u64(checked + AT_SEQUENCE,
              header->sequence | (uint64_t)header->type << 56);
    store_u32(checked + AT_VALUE_SIZE, header->value_size);
    store_u16(checked + AT_KEY_SIZE, header->key_size);
    append_seed(checked, seed);
    store_u32(checked + AT_CRC, whole_crc(checked, body_crc));
    memcpy(ret_bytes, checked, AT_CHECK);
    store_u16(ret_bytes + AT_CHECK, header_check(checked));
}

/*
 * The same checksums for reading: of the header as it lies there, from `from`
 * to its check, then of the seed. A copy of both would be loaded in other
 * pieces than it was just stored in, which takes longer than the checksum.
 */
static uint32_t seeded_crc(uint32_t crc, const uint8_t *bytes, uint32_t from,
                           record_seed seed)
{
    const uint64_t words[2] = {seed.nonce, seed.offset};

    crc = crc32c(crc, bytes + from, AT_CHECK - from);
    return crc32c(crc, words, sizeof(words));
}

bool record_decode_header(const uint8_t bytes[RECORD_HEADER_SIZE],
                          record_seed seed, record_header *ret_header)
{
    uint64_t sequence = load_u64(bytes + AT_SEQUENCE);
    uint32_t crc = seeded_crc(0, bytes, AT_CRC, seed);

    if ((uint16_t)(crc ^ (crc >> 16)) != load_u16(bytes + AT_CHECK)) {
        return false;
    }
    ret_header->crc = load_u32(bytes + AT_CRC);
    ret_header->time_s = load_u32(bytes + AT_TIME);
    ret_header->sequence = sequence & RECORD_SEQUENCE_MAX;
    ret_header->type = bytes[AT_TYPE];
    ret_header->value_size = load_u32(bytes + AT_VALUE_SIZE);
    ret_header->key_size = load_u16(bytes + AT_KEY_SIZE);
    return true;
}

bool record_verify(const uint8_t bytes[RECORD_HEADER_SIZE], uint32_t body_crc,
                   record_seed seed)
{
    return seeded_crc(body_crc, bytes, AT_TIME, seed) ==
           load_u32(bytes + AT_CRC);
}
