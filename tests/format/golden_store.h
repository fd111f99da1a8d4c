/*
 * The store of golden_bytes.h as values.
 */
#ifndef CASKADE_TEST_GOLDEN_STORE_H
#define CASKADE_TEST_GOLDEN_STORE_H

#include "log/hint_format.h"
#include "log/identity_format.h"
#include "log/manifest_format.h"
#include "log/record_format.h"
#include "log/segment_format.h"

#include "format/golden_bytes.h"

#define GOLDEN_UUID                                                            \
    {                                                                          \
        0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,      \
            0xbb, 0xcc, 0xdd, 0xee, 0xff                                       \
    }

#define GOLDEN_SEGMENT_NAME "000000000000002a.log"
#define GOLDEN_HINT_NAME "000000000000002a.hint"
#define GOLDEN_SEGMENT_ID 0x2au
#define GOLDEN_SEGMENT_NONCE UINT64_C(0xa1a2a3a4a5a6a7a8)
#define GOLDEN_MANIFEST_NONCE UINT64_C(0xb1b2b3b4b5b6b7b8)
#define GOLDEN_NEXT_NONCE UINT64_C(0xc1c2c3c4c5c6c7c8) /* of segment 2b */

enum {
    GOLDEN_SEGMENT_LENGTH = 208, /* without the footer */
    GOLDEN_NEXT_LENGTH = 128,    /* of segment 2b: two records of 32 bytes */
    GOLDEN_EDITS = 6,
    GOLDEN_VERSIONS_AT = 352,
    GOLDEN_TAKEN_IN_AT = 688,
    GOLDEN_LOST_AT = 832,
    GOLDEN_QUARANTINE_AT = 160, /* of golden_quarantine, edit 3 then */
    GOLDEN_RECORDS = 4,
    GOLDEN_COUNTED = 3 /* of them, without the mark: what a footer counts */
};

static const siphash_key golden_hash_key = {
    {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};

#endif
