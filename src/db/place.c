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
    const char *reason = rest == NULL ? NULL : behind(rest, ": ");

    if (reason != NULL) {
        return reason;
    }
    if (rest != NULL && *rest == '/') {
        message = rest + 1;
    }
    rest = behind(message, file);
    reason = rest == NULL ? NULL : behind(rest, ": ");
    return reason == NULL ? message : reason;
}

message_place place_in_message(const char *message, const char *path,
                               const char *file)
{
    message_place place = {.reason = without_names(message, path, file)};
    const char *number = behind(place.reason, "offset ");
    const char *reason;
    char *end;

    if (number != NULL) {
        place.offset = strtoull(number, &end, 10);
        reason = behind(end, ": ");
        place.reason = reason == NULL ? place.reason : reason;
    }
    return place;
}
