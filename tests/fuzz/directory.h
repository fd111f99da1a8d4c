/*
 * A store's directory as the input of a fuzz target: one byte of flags, then
 * files one after the other.
 *
 *   flags:1 | { kind:1 | segment:1 | zeros:1 | size:2 | bytes:size }...
 *
 * zeros: KiB of zeros behind the bytes. Anything is an input: an unknown kind
 * is taken modulo, what is cut off ends there.
 */
#ifndef CASKADE_FUZZ_DIRECTORY_H
#define CASKADE_FUZZ_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DIRECTORY_RESEAL = 1, /* make all checksums right first */
    DIRECTORY_HEADER = 5, /* bytes in front of those of a file */
    DIRECTORY_FILES = 16, /* at most */
    DIRECTORY_SEGMENTS = 4
};

typedef enum directory_kind {
    DIRECTORY_IDENTITY,
    DIRECTORY_MANIFEST,
    DIRECTORY_LOG,
    DIRECTORY_HINT,
    DIRECTORY_KINDS
} directory_kind;

/* The segment ids that names are made of. */
extern const uint64_t directory_ids[DIRECTORY_SEGMENTS];

#endif
