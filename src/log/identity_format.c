/*
 * Codec of the file CASKADE, see docs/format/identity.md.
 */
#include "log/identity_format.h"

#include "base/bytes.h"

enum {
    IDENTITY_AT_ENGINE = 12,     /* u32 */
    IDENTITY_AT_UUID = 16,       /* 16 bytes */
    IDENTITY_AT_HASH_KEY = 32,   /* 2 x u64 */
    IDENTITY_AT_CREATED_MS = 48, /* u64 */
    IDENTITY_AT_RESERVED = 56,   /* 68 zeros */
    IDENTITY_AT_CRC = 124        /* u32, of the 124 bytes before */
};

_Static_assert(IDENTITY_AT_CRC + FORMAT_CRC_SIZE == IDENTITY_SIZE,
               "the checksum is the end of the file");

static const format_kind identity_kind = {
    .what = "Caskade store identity file",
    .magic = IDENTITY_MAGIC,
    .version = IDENTITY_VERSION,
    .size = IDENTITY_SIZE,
};

void identity_encode(const store_identity *identity, uint8_t out[IDENTITY_SIZE])
{
    format_begin(&identity_kind, out);
    store_u32(out + IDENTITY_AT_ENGINE, (uint32_t)identity->engine);
    memcpy(out + IDENTITY_AT_UUID, identity->uuid, FORMAT_UUID_SIZE);
    store_u64(out + IDENTITY_AT_HASH_KEY, identity->hash_key.word[0]);
    store_u64(out + IDENTITY_AT_HASH_KEY + 8, identity->hash_key.word[1]);
    store_u64(out + IDENTITY_AT_CREATED_MS, identity->created_ms);
    format_finish(&identity_kind, out);
}

cask_status identity_decode(const uint8_t in[IDENTITY_SIZE], const char *name,
                            store_identity *ret_identity, cask_error *err)
{
    uint32_t engine = load_u32(in + IDENTITY_AT_ENGINE);
    cask_status status;

    status = format_check(&identity_kind, in, name, 0, err);
    if (status != CASK_OK) {
        return status;
    }
    status = format_check_engine(engine, name, IDENTITY_AT_ENGINE, err);
    if (status != CASK_OK) {
        return status;
    }
    ret_identity->engine = (cask_engine)engine;
    memcpy(ret_identity->uuid, in + IDENTITY_AT_UUID, FORMAT_UUID_SIZE);
    ret_identity->hash_key.word[0] = load_u64(in + IDENTITY_AT_HASH_KEY);
    ret_identity->hash_key.word[1] = load_u64(in + IDENTITY_AT_HASH_KEY + 8);
    ret_identity->created_ms = load_u64(in + IDENTITY_AT_CREATED_MS);
    return CASK_OK;
}
