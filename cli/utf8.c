/*
 * Whether bytes are UTF-8, by the table of RFC 3629, section 4.
 */
#include "utf8.h"

/* One line of the table: a range of first bytes, and what may follow. */
typedef struct utf8_form {
    unsigned char first_min, first_max;
    unsigned char second_min, second_max;
    size_t size;
} utf8_form;

static const utf8_form forms[] = {
    {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
    {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
    {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static const utf8_form *form_of(unsigned char first)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (first >= forms[i].first_min && first <= forms[i].first_max) {
            return &forms[i];
        }
    }
    return NULL;
}

size_t utf8_character(const unsigned char *bytes, size_t size)
{
    const utf8_form *form = size == 0 ? NULL : form_of(bytes[0]);

    if (form == NULL || form->size > size) {
        return 0;
    }
    if (form->size > 1 &&
        (bytes[1] < form->second_min || bytes[1] > form->second_max)) {
        return 0;
    }
    for (size_t i = 2; i < form->size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return form->size;
}

bool utf8_is_valid(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;

    while (size > 0) {
        size_t step = utf8_character(at, size);

        if (step == 0) {
            return false;
        }
        at += step;
        size -= step;
    }
    return true;
}
