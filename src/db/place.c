/*
 * Messages say "<file>: offset <n>: <reason>", see base/error.h.
 */
#include "db/place.h"

#include <stdlib.h>
#include <string.h>

/* What follows `prefix` in `text`; NULL: something else. */
static const char *behind(const char *text, const char *prefix)
{
    size_t size = strlen(prefix);

    return strncmp(text, prefix, size) == 0 ? text + size : NULL;
}

static const char *without_names(const char *message, const char *path,
                                 const char *file)
{
    const char *rest = behind(message, path);

    if (rest != NULL && behind(rest, ": ") != NULL) {
        return behind(rest, ": ");
    }
    if (rest != NULL && *rest == '/') {
        message = rest + 1;
    }
    rest = behind(message, file);
    if (rest != NULL && behind(rest, ": ") != NULL) {
        return behind(rest, ": ");
    }
    return message;
}

message_place place_in_message(const char *message, const char *path,
                               const char *file)
{
    message_place place = {.reason = without_names(message, path, file)};
    const char *number = behind(place.reason, "offset ");
    char *end;

    if (number != NULL) {
        place.offset = strtoull(number, &end, 10);
        if (behind(end, ": ") != NULL) {
            place.reason = behind(end, ": ");
        }
    }
    return place;
}
