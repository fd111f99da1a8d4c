/*
 * Paths in messages. The library writes a path at the start of a word, and
 * behind it a colon, the rest of a file's path or other punctuation, never a
 * space: so a store named `a` is not found in "a segment".
 */
#include "mention.h"

#include <string.h>

static bool begins(const char *message, const char *at)
{
    return at == message || strchr(" '\"(", at[-1]) != NULL;
}

static bool ends(char behind)
{
    /* The NUL is in the string, too. */
    return strchr("/:;,'\")", behind) != NULL;
}

bool mention_of(const char *message, const char *path)
{
    size_t size = strlen(path);
    bool is_open = size > 0 && path[size - 1] == '/';

    if (size == 0) {
        return true;
    }
    for (const char *at = strstr(message, path); at != NULL;
         at = strstr(at + 1, path)) {
        if (begins(message, at) && (is_open || ends(at[size]))) {
            return true;
        }
    }
    return false;
}
