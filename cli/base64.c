/*
 * Base64, four characters for three bytes.
 */
#include "base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(cask_slice bytes, text *out)
{
    const unsigned char *from = bytes.data;

    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t count = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t bits = (uint32_t)from[i] << 16;
        char group[4];

        bits |= count > 1 ? (uint32_t)from[i + 1] << 8 : 0;
        bits |= count > 2 ? (uint32_t)from[i + 2] : 0;
        group[0] = alphabet[bits >> 18];
        group[1] = alphabet[(bits >> 12) & 63];
        group[2] = count > 1 ? alphabet[(bits >> 6) & 63] : '=';
        group[3] = count > 2 ? alphabet[bits & 63] : '=';
        text_add(out, group, sizeof(group));
    }
}

/* The six bits of a character; false if it is none of the alphabet's. */
static bool value_of(char c, uint32_t *ret_bits)
{
    const char *found = c == '\0' ? NULL : strchr(alphabet, c);

    if (found == NULL) {
        return false;
    }
    *ret_bits = (uint32_t)(found - alphabet);
    return true;
}

/* Bytes that a group stands for: 3, or less if it is padded. */
static size_t group_size(const char group[4])
{
    if (group[3] != '=') {
        return 3;
    }
    return group[2] != '=' ? 2 : 1;
}

static bool decode_group(const char group[4], size_t size, text *out)
{
    uint32_t bits = 0;
    char bytes[3];

    for (size_t i = 0; i < 4; i++) {
        uint32_t six = 0;

        if (i <= size && !value_of(group[i], &six)) {
            return false;
        }
        bits = bits << 6 | six;
    }
    for (size_t i = 0; i < 3; i++) {
        bytes[i] = (char)(bits >> (16 - 8 * i) & 0xff);
        /* Bits behind the last byte must be 0, or spellings differ. */
        if (i >= size && bytes[i] != 0) {
            return false;
        }
    }
    text_add(out, bytes, size);
    return true;
}

bool base64_decode(cask_slice encoded, text *out)
{
    const char *from = encoded.data;

    if (encoded.size % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < encoded.size; i += 4) {
        bool last = encoded.size - i == 4;
        size_t size = last ? group_size(from + i) : 3;

        if (!decode_group(from + i, size, out)) {
            return false;
        }
    }
    return true;
}
