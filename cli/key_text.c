/*
 * A key in a message, see key_text.h.
 */
#include "key_text.h"

#include "escape.h"

enum { SHOWN_BYTES = 40 };

void key_text_add(text *out, cask_slice key)
{
    cask_slice shown = key;

    shown.size = key.size < SHOWN_BYTES ? key.size : SHOWN_BYTES;
    escape_encode(shown, out);
    text_add_string(out, shown.size < key.size ? "..." : "");
}
