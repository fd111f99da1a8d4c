/*
 * Codec of the record header, see record_format.h. Runs under the write lock
 * and on every read: two checksums of 34 and 38 bytes, no branches.
 */
#include "log/record_format.h"

#include "base/crc32c.h"
#include "base/crc32c_inline.h"

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

/* ---- Writing ------------------------------------------------------------ */

/* Of the header as it lies there, from `from` to its check, then of the seed.
 */
static uint32_t seeded_crc(uint32_t crc, const uint8_t *bytes, uint32_t from,
                           record_seed seed)
{
    const uint64_t words[2] = {seed.nonce, seed.offset};

    crc = crc32c(crc, bytes + from, AT_CHECK - from);
    return crc32c(crc, words, sizeof(words));
}

/* The last two bytes, of the checksum of all before and of the seed. */
static inline uint16_t fold_check(uint32_t crc)
{
    return (uint16_t)(crc ^ (crc >> 16));
}

static inline void store_fields(const record_header *header,
                                uint8_t ret_bytes[RECORD_HEADER_SIZE])
{
    store_u32(ret_bytes + AT_TIME, header->time_s);
    store_u64(ret_bytes + AT_SEQUENCE,
              header->sequence | (uint64_t)header->type << 56);
    store_u32(ret_bytes + AT_VALUE_SIZE, header->value_size);
    store_u16(ret_bytes + AT_KEY_SIZE, header->key_size);
}

/* The state behind all fields but the first two, and the seed: by the
 * instruction, from the numbers. What was just stored is slow to load again in
 * other pieces. */
CRC32C_INSTRUCTION static inline uint32_t
fields_state(uint32_t state, const record_header *header, record_seed seed)
{
    state = crc32c_state_u64(state,
                             header->sequence | (uint64_t)header->type << 56);
    state = crc32c_state_u32(state, header->value_size);
    state = crc32c_state_u16(state, header->key_size);
    state = crc32c_state_u64(state, seed.nonce);
    return crc32c_state_u64(state, seed.offset);
}

CRC32C_INSTRUCTION static void fast_encode(const record_header *header,
                                           uint32_t body_crc, record_seed seed,
                                           uint8_t *ret_bytes)
{
    uint32_t state = crc32c_state_u32(~body_crc, header->time_s);
    uint32_t crc = ~fields_state(state, header, seed);

    state =
        crc32c_state_u64(~(uint32_t)0, crc | (uint64_t)header->time_s << 32);
    store_u32(ret_bytes + AT_CRC, crc);
    store_fields(header, ret_bytes);
    store_u16(ret_bytes + AT_CHECK,
              fold_check(~fields_state(state, header, seed)));
}

static void slow_encode(const record_header *header, uint32_t body_crc,
                        record_seed seed, uint8_t *ret_bytes)
{
    store_fields(header, ret_bytes);
    store_u32(ret_bytes + AT_CRC,
              seeded_crc(body_crc, ret_bytes, AT_TIME, seed));
    store_u16(ret_bytes + AT_CHECK,
              fold_check(seeded_crc(0, ret_bytes, AT_CRC, seed)));
}

void record_encode_header(const record_header *header, uint32_t body_crc,
                          record_seed seed,
                          uint8_t ret_bytes[RECORD_HEADER_SIZE])
{
    if (crc32c_has_instruction()) {
        fast_encode(header, body_crc, seed, ret_bytes);
    } else {
        slow_encode(header, body_crc, seed, ret_bytes);
    }
}

/* ---- Reading ------------------------------------------------------------ */

/*
 * The same checksums for reading: of the header as it lies there, from `from`
 * to its check, then of the seed. A copy of both would be loaded in other
 * pieces than it was just stored in, which takes longer than the checksum.
 *
 * Whoever walks over a million records should wait for memory only, so each
 * function is there twice: for processors with the instruction nothing in it is
 * a call, and several records are on their way at once.
 */
static inline bool is_check(const uint8_t *bytes, uint32_t crc)
{
    return fold_check(crc) == load_u16(bytes + AT_CHECK);
}

static inline void load_header(const uint8_t *bytes, record_header *ret_header)
{
    uint64_t sequence = load_u64(bytes + AT_SEQUENCE);

    ret_header->crc = load_u32(bytes + AT_CRC);
    ret_header->time_s = load_u32(bytes + AT_TIME);
    ret_header->sequence = sequence & RECORD_SEQUENCE_MAX;
    ret_header->type = (uint8_t)(sequence >> 56);
    ret_header->value_size = load_u32(bytes + AT_VALUE_SIZE);
    ret_header->key_size = load_u16(bytes + AT_KEY_SIZE);
}

/* ---- By the instruction */

CRC32C_INSTRUCTION static inline uint32_t seeded_state(uint32_t state,
                                                       const uint8_t *bytes,
                                                       uint32_t from,
                                                       record_seed seed)
{
    state = crc32c_state_short(state, bytes + from, AT_CHECK - from);
    state = crc32c_state_u64(state, seed.nonce);
    return crc32c_state_u64(state, seed.offset);
}

CRC32C_INSTRUCTION static inline bool
fast_decode(const uint8_t *bytes, record_seed seed, record_header *ret_header)
{
    if (!is_check(bytes, ~seeded_state(~(uint32_t)0, bytes, AT_CRC, seed))) {
        return false;
    }
    load_header(bytes, ret_header);
    return true;
}

/* The state of a copy, which is made. */
CRC32C_INSTRUCTION static inline uint32_t
copied_state(uint32_t state, void *to, const uint8_t *from, uint32_t size)
{
    if (size < CRC32C_SHORT_BYTES) {
        return crc32c_state_copy(state, to, from, size);
    }
    memcpy(to, from, size);
    return ~crc32c(~state, to, size);
}

CRC32C_INSTRUCTION static bool fast_copy_value(const uint8_t *bytes,
                                               const record_header *header,
                                               const void *key,
                                               record_seed seed, void *to)
{
    const uint8_t *body = bytes + RECORD_HEADER_SIZE;
    uint32_t state = ~(uint32_t)0;

    if ((header->type & RECORD_EXPIRES) != 0) {
        state = crc32c_state_u64(state, load_u64(body));
        body += RECORD_EXPIRY_SIZE;
    }
    state = crc32c_state(state, key, header->key_size);
    state =
        copied_state(state, to, body + header->key_size, header->value_size);
    return ~seeded_state(state, bytes, AT_TIME, seed) ==
           load_u32(bytes + AT_CRC);
}

/* Short enough that the processor sees the end of it, and the next one begin,
 * while it waits for the first byte. */
CRC32C_INSTRUCTION static bool fast_take(const uint8_t *bytes, record_seed seed,
                                         const record_wanted *wanted,
                                         record_header *ret_header)
{
    size_t key_size = wanted->key_size;
    const uint8_t *key = bytes + RECORD_HEADER_SIZE;
    uint32_t state;
    uint32_t size;

    if (!fast_decode(bytes, seed, ret_header)) {
        return false;
    }
    size = ret_header->value_size;
    if (ret_header->type != RECORD_PUT || ret_header->sequence == 0 ||
        ret_header->key_size != key_size || size > wanted->room ||
        record_size(ret_header) > wanted->left ||
        memcmp(key, wanted->key, key_size) != 0) {
        return false;
    }
    state = crc32c_state(~(uint32_t)0, wanted->key, key_size);
    state = copied_state(state, wanted->to, key + key_size, size);
    return ~seeded_state(state, bytes, AT_TIME, seed) ==
           load_u32(bytes + AT_CRC);
}

CRC32C_INSTRUCTION static bool fast_read(const uint8_t *bytes, uint64_t left,
                                         record_seed seed,
                                         record_header *ret_header)
{
    uint32_t state;

    if (!fast_decode(bytes, seed, ret_header) ||
        record_size(ret_header) > left) {
        return false;
    }
    state = crc32c_state(~(uint32_t)0, bytes + RECORD_HEADER_SIZE,
                         record_body_size(ret_header));
    return ~seeded_state(state, bytes, AT_TIME, seed) ==
           load_u32(bytes + AT_CRC);
}

CRC32C_INSTRUCTION static bool fast_decode_header(const uint8_t *bytes,
                                                  record_seed seed,
                                                  record_header *ret_header)
{
    return fast_decode(bytes, seed, ret_header);
}

/* ---- By any processor: apart, so that the way to the others is a jump */

#define NOT_INLINED __attribute__((noinline))

NOT_INLINED static bool slow_decode(const uint8_t *bytes, record_seed seed,
                                    record_header *ret_header)
{
    if (!is_check(bytes, seeded_crc(0, bytes, AT_CRC, seed))) {
        return false;
    }
    load_header(bytes, ret_header);
    return true;
}

NOT_INLINED static bool slow_copy_value(const uint8_t *bytes,
                                        const record_header *header,
                                        const void *key, record_seed seed,
                                        void *to)
{
    const uint8_t *body = bytes + RECORD_HEADER_SIZE;
    uint32_t expiry_size = record_expiry_size(header);
    uint32_t crc = crc32c(0, body, expiry_size);

    crc = crc32c(crc, key, header->key_size);
    if (header->value_size > 0) {
        memcpy(to, body + expiry_size + header->key_size, header->value_size);
    }
    crc = crc32c(crc, to, header->value_size);
    return record_verify(bytes, crc, seed);
}

NOT_INLINED static bool slow_read(const uint8_t *bytes, uint64_t left,
                                  record_seed seed, record_header *ret_header)
{
    return slow_decode(bytes, seed, ret_header) &&
           record_size(ret_header) <= left &&
           record_verify(bytes,
                         crc32c(0, bytes + RECORD_HEADER_SIZE,
                                record_body_size(ret_header)),
                         seed);
}

/* ---- By whichever it is */

bool record_decode_header(const uint8_t bytes[RECORD_HEADER_SIZE],
                          record_seed seed, record_header *ret_header)
{
    return crc32c_has_instruction()
               ? fast_decode_header(bytes, seed, ret_header)
               : slow_decode(bytes, seed, ret_header);
}

bool record_verify(const uint8_t bytes[RECORD_HEADER_SIZE], uint32_t body_crc,
                   record_seed seed)
{
    return seeded_crc(body_crc, bytes, AT_TIME, seed) ==
           load_u32(bytes + AT_CRC);
}

bool record_copy_value(const uint8_t *bytes, const record_header *header,
                       const void *key, record_seed seed, void *to)
{
    return crc32c_has_instruction()
               ? fast_copy_value(bytes, header, key, seed, to)
               : slow_copy_value(bytes, header, key, seed, to);
}

bool record_take(const uint8_t *bytes, record_seed seed,
                 const record_wanted *wanted, record_header *ret_header)
{
    return crc32c_has_instruction() &&
           fast_take(bytes, seed, wanted, ret_header);
}

bool record_read(const uint8_t *bytes, uint64_t left, record_seed seed,
                 record_header *ret_header)
{
    return crc32c_has_instruction() ? fast_read(bytes, left, seed, ret_header)
                                    : slow_read(bytes, left, seed, ret_header);
}
