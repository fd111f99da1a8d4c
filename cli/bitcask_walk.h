/*
 * Going through the records of a Bitcask data file, damaged or not.
 *
 * Every undamaged record is met, in the order of the file. Behind damage, sound
 * hints say where the next record begins; without them it is searched, byte by
 * byte, until a whole record has the checksum that it begins with.
 */
#ifndef CASKADE_CLI_BITCASK_WALK_H
#define CASKADE_CLI_BITCASK_WALK_H

#include "bitcask_hints.h"

/* A record whose checksum is right. */
typedef struct bitcask_record {
    uint64_t offset;
    uint32_t time_s;
    bool tombstone;
    cask_slice key;   /* both valid during the callback only */
    cask_slice value; /* empty if values are not wanted */
} bitcask_record;

/* Bytes that are no such record. */
typedef struct bitcask_damage {
    uint64_t offset;
    uint64_t size;
    /* What a sound hint says was there, maybe behind the end of the data; NULL
     * if nothing says it. */
    const bitcask_hint *hint;
    cask_slice key; /* of the hint */
} bitcask_damage;

typedef struct bitcask_visitor {
    bool wants_values;
    /* Called with keys that will probably be met soon, some again, some wrong;
     * NULL: not wanted. */
    void (*on_ahead)(void *context, cask_slice key);
    /* Return false to end the walk: these three. */
    bool (*on_record)(void *context, const bitcask_record *record);
    bool (*on_damage)(void *context, const bitcask_damage *damage);
    /* Called now and then while a record is searched, some milliseconds apart;
     * `offset` is where. */
    bool (*on_search)(void *context, uint64_t offset);
    void *context;
} bitcask_visitor;

typedef enum bitcask_walk_result {
    BITCASK_WALK_DONE,
    BITCASK_WALK_ENDED, /* by the visitor */
    BITCASK_WALK_NO_MEMORY,
    /* The hints are not of this data after all; the walk went on to the end of
     * the data without them. */
    BITCASK_WALK_HINTS_WRONG
} bitcask_walk_result;

/*
 * Visit everything in `data`.
 *
 *   hints  sound ones of this file, just opened; NULL: do without
 *
 * Memory: the largest record, if values are wanted, else at most 16 MiB of it;
 * at damage 1/128 of the file besides.
 * Cost: reads the file once; at damage without hints once more, and a
 * microsecond for each byte of it.
 */
bitcask_walk_result bitcask_walk(bitcask_file *data, bitcask_hints *hints,
                                 const bitcask_visitor *visitor);

#endif
