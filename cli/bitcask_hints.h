/*
 * Reading a hint file of Bitcask: whether it can be used, and its rows.
 */
#ifndef CASKADE_CLI_BITCASK_HINTS_H
#define CASKADE_CLI_BITCASK_HINTS_H

#include "bitcask_file.h"
#include "bitcask_format.h"

typedef enum bitcask_hints_state {
    BITCASK_HINTS_SOUND = 0,
    BITCASK_HINTS_MISSING,    /* there is no file */
    BITCASK_HINTS_UNREADABLE, /* there is, but it cannot be opened */
    BITCASK_HINTS_UNFINISHED, /* no trailer: its writer did not close it */
    BITCASK_HINTS_DAMAGED,    /* the trailer's checksum is another one */
    BITCASK_HINTS_MISFIT      /* not of this data: gaps, or an end before its */
} bitcask_hints_state;

/* Why it is not used, for a message. NULL if it is used or missing. */
const char *bitcask_hints_problem(bitcask_hints_state state);

/* Start with {0}. */
typedef struct bitcask_hints {
    bitcask_file file;
    uint64_t next; /* offset of the next row */
    uint64_t end;  /* offset of the trailer */
} bitcask_hints;

/* What is done with a row, its key valid during the call; false: read no
 * further. */
typedef bool (*bitcask_hint_fn)(void *context, const bitcask_hint *hint,
                                cask_slice key);

/*
 * Read all of a hint file. It is sound if its trailer is right and its rows
 * cover a data file of `data_size` bytes from its first byte to its last. They
 * may go on behind that: then the end of the data is lost.
 *
 *   on_row     told of each row, before it is known whether the file is sound
 *   ret_stamp  of the file, if it is sound
 */
bitcask_hints_state bitcask_hints_check(const char *path, uint64_t data_size,
                                        bitcask_hint_fn on_row, void *context,
                                        bitcask_stamp *ret_stamp);

/*
 * Open a hint file. If it is sound the rows can be read, and it is to be
 * closed. It is read and checked first, unless `stamp` tells that it is the one
 * that was found sound, unchanged.
 */
bitcask_hints_state bitcask_hints_open(bitcask_hints *hints, const char *path,
                                       uint64_t data_size,
                                       const bitcask_stamp *stamp);

/* The next row, its key valid until the call after; false: there is none. */
bool bitcask_hints_next(bitcask_hints *hints, bitcask_hint *ret_hint,
                        cask_slice *ret_key);

/* Accepts {0}. */
void bitcask_hints_close(bitcask_hints *hints);

#endif
