/*
 * Writers of memtables that may die anywhere, the one after the other: what
 * they do is known beforehand, so whoever comes after them knows what must be
 * there.
 *
 * Operation i puts a key that follows from i, with sequence i + 1. It appends
 * the record to a log, says so, puts it into the current memtable, and counts
 * it as applied. After some operations another memtable takes over. Operations
 * whose keys rise may be put together, by leaves.
 */
#ifndef CASKADE_TESTS_PROCESS_MEMTABLE_CREW_H
#define CASKADE_TESTS_PROCESS_MEMTABLE_CREW_H

#include "support/scratch.h"
#include "tree/memtable.h"
#include "unit/tree/record_log.h"

enum {
    CREW_KEYS = 30000,
    CREW_LIMIT = 40000,
    CREW_NAME = 64,
    CREW_TOGETHER = 20 /* operations, at most */
};

/* In memory that all processes share. */
typedef struct crew_words {
    _Atomic uint64_t appended;     /* operations whose record is in the log */
    _Atomic uint64_t applied;      /* those that are done */
    _Atomic uint64_t current;      /* first operation << 1 | its memtable */
    uint64_t place[CREW_TOGETHER]; /* of the records appended last, by their
                                      operations */
    _Atomic uint64_t reads;
    _Atomic uint64_t wrong; /* what a reader found wrong; 0: nothing */
} crew_words;

typedef struct crew {
    char path[SCRATCH_PATH];
    region_handle region;
    record_log log;
    crew_words *words;
    uint64_t seed;
    uint64_t limit; /* operations of a memtable, at most */
    bool is_rising; /* keys come in order, and some are put together; to be set
                       at once */

    /* What must be there, by the process that compares. */
    uint64_t base;
    uint64_t modelled;          /* operations */
    uint64_t entries;           /* of the memtable */
    uint64_t newest[CREW_KEYS]; /* operation + 1; 0: none */
    bool is_there[CREW_LIMIT];  /* by operation, from `base` on */
} crew;

crew *crew_make(uint64_t limit);
void crew_free(crew *c);

/* The key of an operation. */
cask_slice crew_key(const crew *c, uint64_t operation, char text[CREW_NAME]);

/* Do one operation more, or some together; before it, change memtables if it is
 * time. */
void crew_work(crew *c);

/* After a death, or at any other time: finish what was begun. */
void crew_take_over(crew *c);

/* Fails the test unless everything that was applied is there, by look-up and by
 * walk in both directions, exactly once, and nothing else. */
void crew_compare(crew *c);

/* In a process of its own, until it is killed. */
_Noreturn void crew_read(crew *c, uint64_t seed);

#endif
