/*
 * Keys and values of the model test.
 */
#ifndef CASKADE_TESTS_CONTENT_H
#define CASKADE_TESTS_CONTENT_H

#include "caskade.h"

enum { VALUE_BYTES = 70 << 10 }; /* the largest */

/* The empty key, one with NUL bytes, a long one, and plain ones; in `text`. */
cask_slice key_of(unsigned key, char text[512]);

/* The value that is made of a number, in `memory`, of VALUE_BYTES. */
cask_slice value_of(uint64_t number, uint8_t *memory);

#endif
