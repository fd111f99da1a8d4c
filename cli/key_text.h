/*
 * A key in a message: printable, and not too long. Pure.
 */
#ifndef CASKADE_CLI_KEY_TEXT_H
#define CASKADE_CLI_KEY_TEXT_H

#include "text.h"

/* Append the key, escaped as escape_encode() does; "..." for the rest of a long
 * one. */
void key_text_add(text *out, cask_slice key);

#endif
