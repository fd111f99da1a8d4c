/*
 * Base64 (RFC 4648, section 4: with padding, no line breaks). Pure functions.
 */
#ifndef CASKADE_CLI_BASE64_H
#define CASKADE_CLI_BASE64_H

#include <stdbool.h>

#include "text.h"

/* Append the base64 of `bytes`. */
void base64_encode(cask_slice bytes, text *out);

/*
 * Append the bytes that `encoded` stands for. False (with something appended)
 * if it is not what base64_encode() writes: each content has one spelling.
 */
bool base64_decode(cask_slice encoded, text *out);

#endif
