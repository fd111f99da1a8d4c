/*
 * Inputs of merges that are arrays, made of text or at random; they can fail,
 * grow, and take back the bytes that they lent.
 */
#ifndef CASKADE_TEST_TABLE_H
#define CASKADE_TEST_TABLE_H

#include "cask_test.h"

#include "iter/iter_input.h"
#include "iter/iter_ranges.h"
#include "support/random.h"

enum { TABLE_KEY_MAX = 20, TABLE_TEXT = 1024 };

/* Calls of all tables that share one, and the one that fails. */
typedef struct table_faults {
    uint64_t fail_at; /* counted from 0; UINT64_MAX: none */
    uint64_t calls;
    bool has_fired;
} table_faults;

typedef struct table {
    cask_run_entry *entries; /* sorted */
    size_t count;
    size_t at;
    bool is_somewhere;
    bool is_stable;
    table_faults *faults; /* NULL: none */
    char *lent_key;       /* of one that is not stable */
    char *lent_value;
} table;

/* ---- Many of them ------------------------------------------------------- */

enum { TABLE_ENTRIES = 2000 };

/* Entries dealt out to tables, and all of them sorted. */
typedef struct table_set {
    table *tables;
    iter_input *inputs;
    size_t count; /* of tables */
    cask_run_entry all[TABLE_ENTRIES];
    size_t entries;
    char keys[TABLE_ENTRIES][TABLE_KEY_MAX];
    char ends[TABLE_ENTRIES][TABLE_KEY_MAX]; /* of ranges */
    iter_range ranges[TABLE_ENTRIES];        /* those among the entries */
    size_t range_count;
} table_set;

typedef struct table_mix {
    size_t tables;
    size_t entries;   /* up to TABLE_ENTRIES */
    unsigned letters; /* different bytes of keys; few: many versions */
    size_t front;     /* bytes that all keys share */
    unsigned delete_percent;
    unsigned range_percent;
    unsigned expired_percent; /* their expires_at_ms is 1 */
    unsigned stable_percent;  /* of tables */
} table_mix;

/* Sequences are 1, 2, ...; free it with table_set_free(). */
table_set *table_set_random(const table_mix *mix, test_random *random);

/*
 * Of text like "a9 a7- c5! | b3* a..c8": put, delete, a put that has expired, a
 * pointer, the range from a to before c, each with its sequence; keys are
 * letters; "|" ends a table.
 */
table_set *table_set_of(const char *text);

void table_set_free(table_set *set);

/* All of them can fail, and lend bytes for one step only if `is_stable` is
 * false. */
void table_set_share(table_set *set, table_faults *faults);

/* Put one more entry where it belongs; the table has room. */
void table_insert(table *t, const cask_run_entry *entry);

/* A key like those of the set. */
cask_slice table_random_key(const table_mix *mix, test_random *random,
                            char room[TABLE_KEY_MAX]);

/* Whether it expires at 1. */
bool table_is_expired(void *context, const cask_run_entry *entry);

/* ---- Comparing ---------------------------------------------------------- */

/* By key, then by falling sequence; for qsort(). */
int table_compare(const void *a, const void *b);

void assert_same_entry(const cask_run_entry *got,
                       const cask_run_entry *expected);

/* Add an entry to text as table_set_of() reads it; `text` has TABLE_TEXT. */
void table_describe(char *text, const cask_run_entry *entry);

/* Where a seek among sorted entries leads; `count`: nowhere. */
size_t table_sought(const cask_run_entry *entries, size_t count,
                    cask_run_seek how, cask_slice key);

#endif
