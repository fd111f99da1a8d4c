/*
 * Where a message of the layers below says that something is wrong: reports of
 * cask_verify() and cask_repair() have file and offset beside the reason.
 */
#ifndef CASKADE_PLACE_H
#define CASKADE_PLACE_H

#include <stdint.h>

typedef struct message_place {
    uint64_t offset;    /* 0 if the message tells none */
    const char *reason; /* the rest of the message, in which it points */
} message_place;

/*
 * Split what a message about `file` of the store at `path` begins with, which
 * is "<path>: ", "<path>/<file>: " or "<file>: ", then "offset <n>: "; each may
 * be missing.
 */
message_place place_in_message(const char *message, const char *path,
                               const char *file);

#endif
