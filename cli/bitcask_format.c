/*
 * The bytes of Bitcask's files, see bitcask_format.h.
 */
#include "bitcask_format.h"

#include <isa-l/crc.h>
#include <string.h>

enum { CRC_SIZE = 4 };

#define TOMBSTONE_BIT (UINT64_C(1) << 63)

static uint16_t load_16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t load_32(const uint8_t *at)
{
    return (uint32_t)load_16(at) << 16 | load_16(at + 2);
}

static void store_16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void store_32(uint8_t *at, uint32_t value)
{
    store_16(at, (uint16_t)(value >> 16));
    store_16(at + 2, (uint16_t)value);
}

uint32_t bitcask_crc(uint32_t crc, const void *bytes, size_t size)
{
    return crc32_gzip_refl(crc, bytes, size);
}

void bitcask_decode_header(const uint8_t bytes[BITCASK_HEADER_SIZE],
                           bitcask_header *ret_header)
{
    *ret_header = (bitcask_header){.crc = load_32(bytes),
                                   .time_s = load_32(bytes + 4),
                                   .key_size = load_16(bytes + 8),
                                   .value_size = load_32(bytes + 10)};
}

uint64_t bitcask_record_size(const bitcask_header *header)
{
    return (uint64_t)BITCASK_HEADER_SIZE + header->key_size +
           header->value_size;
}

bool bitcask_verify(const uint8_t *record, size_t size)
{
    return size >= BITCASK_HEADER_SIZE &&
           bitcask_crc(0, record + CRC_SIZE, size - CRC_SIZE) ==
               load_32(record);
}

void bitcask_encode_header(uint32_t time_s, cask_slice key, cask_slice value,
                           uint8_t ret_bytes[BITCASK_HEADER_SIZE])
{
    uint32_t crc;

    store_32(ret_bytes + 4, time_s);
    store_16(ret_bytes + 8, (uint16_t)key.size);
    store_32(ret_bytes + 10, (uint32_t)value.size);
    crc = bitcask_crc(0, ret_bytes + CRC_SIZE, BITCASK_HEADER_SIZE - CRC_SIZE);
    crc = bitcask_crc(crc, key.data, key.size);
    store_32(ret_bytes, bitcask_crc(crc, value.data, value.size));
}

bool bitcask_is_tombstone(const void *value, size_t size)
{
    return size >= BITCASK_MARK_SIZE &&
           memcmp(value, BITCASK_MARK, BITCASK_MARK_SIZE) == 0;
}

void bitcask_decode_hint(const uint8_t bytes[BITCASK_HINT_SIZE],
                         bitcask_hint *ret_hint)
{
    uint64_t place = (uint64_t)load_32(bytes + 10) << 32 | load_32(bytes + 14);

    *ret_hint = (bitcask_hint){.time_s = load_32(bytes),
                               .key_size = load_16(bytes + 4),
                               .record_size = load_32(bytes + 6),
                               .tombstone = (place & TOMBSTONE_BIT) != 0,
                               .offset = place & ~TOMBSTONE_BIT};
}

void bitcask_encode_hint(const bitcask_hint *hint,
                         uint8_t ret_bytes[BITCASK_HINT_SIZE])
{
    uint64_t place = hint->offset | (hint->tombstone ? TOMBSTONE_BIT : 0);

    store_32(ret_bytes, hint->time_s);
    store_16(ret_bytes + 4, hint->key_size);
    store_32(ret_bytes + 6, hint->record_size);
    store_32(ret_bytes + 10, (uint32_t)(place >> 32));
    store_32(ret_bytes + 14, (uint32_t)place);
}

void bitcask_encode_trailer(uint32_t crc, uint8_t ret_bytes[BITCASK_HINT_SIZE])
{
    const bitcask_hint trailer = {.record_size = crc,
                                  .offset = BITCASK_TRAILER_OFFSET};

    bitcask_encode_hint(&trailer, ret_bytes);
}

bool bitcask_decode_trailer(const uint8_t bytes[BITCASK_HINT_SIZE],
                            uint32_t *ret_crc)
{
    bitcask_hint hint;

    bitcask_decode_hint(bytes, &hint);
    *ret_crc = hint.record_size;
    return hint.time_s == 0 && hint.key_size == 0 && !hint.tombstone &&
           hint.offset == BITCASK_TRAILER_OFFSET;
}
