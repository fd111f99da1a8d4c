/*
 * Whether a message names a path already.
 */
#ifndef CASKADE_CLI_MENTION_H
#define CASKADE_CLI_MENTION_H

#include <stdbool.h>

/*
 * True if `message` names `path`, or a file below it: as a whole, not as a part
 * of a word or of another path.
 */
bool mention_of(const char *message, const char *path);

#endif
