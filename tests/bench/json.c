/*
 * Recursive descent; each function moves `*text` behind what it recognised and
 * returns false at the first wrong byte.
 */
#include "bench/json.h"

#include <stddef.h>
#include <string.h>

static bool skip_value(const char **text);

static void skip_space(const char **text)
{
    *text += strspn(*text, " \t\r\n");
}

static bool skip_char(const char **text, char wanted)
{
    skip_space(text);
    if (**text != wanted) {
        return false;
    }
    (*text)++;
    return true;
}

static bool skip_string(const char **text)
{
    if (!skip_char(text, '"')) {
        return false;
    }
    while (**text != '"') {
        if ((unsigned char)**text < ' ') {
            return false;
        }
        if (**text == '\\') {
            (*text)++;
            if (**text != '"' && **text != '\\') {
                return false;
            }
        }
        (*text)++;
    }
    (*text)++;
    return true;
}

static bool skip_digits(const char **text)
{
    size_t count = strspn(*text, "0123456789");
    *text += count;
    return count > 0;
}

static bool skip_number(const char **text)
{
    *text += **text == '-';
    if (!skip_digits(text)) {
        return false;
    }
    if (**text == '.') {
        (*text)++;
        if (!skip_digits(text)) {
            return false;
        }
    }
    if (**text == 'e' || **text == 'E') {
        (*text)++;
        *text += **text == '-' || **text == '+';
        return skip_digits(text);
    }
    return true;
}

static bool skip_word(const char **text)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i]);
        if (strncmp(*text, words[i], length) == 0) {
            *text += length;
            return true;
        }
    }
    return false;
}

/* Members up to `end`, each with a name if `named`. */
static bool skip_members(const char **text, char end, bool named)
{
    if (skip_char(text, end)) {
        return true;
    }
    do {
        if (named && (!skip_string(text) || !skip_char(text, ':'))) {
            return false;
        }
        if (!skip_value(text)) {
            return false;
        }
    } while (skip_char(text, ','));
    return skip_char(text, end);
}

static bool skip_value(const char **text)
{
    skip_space(text);
    switch (**text) {
    case '{':
        (*text)++;
        return skip_members(text, '}', true);
    case '[':
        (*text)++;
        return skip_members(text, ']', false);
    case '"':
        return skip_string(text);
    default:
        return skip_word(text) || skip_number(text);
    }
}

bool json_is_object(const char *text)
{
    skip_space(&text);
    if (*text != '{' || !skip_value(&text)) {
        return false;
    }
    skip_space(&text);
    return *text == '\0';
}
