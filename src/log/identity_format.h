/*
 * The file CASKADE: what the store in this directory is. Written once, when
 * the store is created. docs/format/identity.md
 */
#ifndef CASKADE_IDENTITY_FORMAT_H
#define CASKADE_IDENTITY_FORMAT_H

#include "base/siphash.h"
#include "log/file_format.h"

#define IDENTITY_NAME "CASKADE"
#define IDENTITY_MAGIC "CASKADE\n"

enum {
    IDENTITY_VERSION = 1,
    IDENTITY_SIZE = 128 /* bytes, the whole file */
};

typedef struct store_identity {
    cask_engine engine;
    uint8_t uuid[FORMAT_UUID_SIZE]; /* in every other file of the store */
    siphash_key hash_key;           /* secret; keys the index */
    uint64_t created_ms;            /* since 1970 */
} store_identity;

void identity_encode(const store_identity *identity,
                     uint8_t out[IDENTITY_SIZE]);

/*
 * Decode the file. The reserved bytes are covered by the checksum and
 * otherwise ignored.
 *
 * Returns CASK_OK; CASK_CORRUPT (magic, version 0, checksum);
 * CASK_UNSUPPORTED (newer version, unknown engine).
 */
cask_status identity_decode(const uint8_t in[IDENTITY_SIZE], const char *name,
                            store_identity *ret_identity, cask_error *err);

#endif
