/*
 * A tree without data: runs are numbers of records by range of keys, and a
 * compaction is arithmetic. It drives the choice of compactions over a
 * terabyte in seconds.
 *
 * Records of a part lie evenly over its keys. How many different keys w writes
 * reach follows from how often each is written: of a class of k keys that get a
 * share p of all writes, k (1 - exp(-w p / k)).
 */
#ifndef CASKADE_TESTS_TREE_MODEL_H
#define CASKADE_TESTS_TREE_MODEL_H

#include "maintain/compaction.h"
#include "maintain/compaction_delay.h"

enum {
    TREE_RECORD_BYTES = 144, /* 16 of key, 100 of value, header, padding */
    TREE_CLASSES = 40
};

#define TREE_KEYS ((uint64_t)1 << 60) /* the range of keys */

typedef enum tree_load {
    TREE_UNIFORM, /* overwrites of keys that are all there, each as often */
    TREE_SKEWED,  /* the same, by Zipf's law with exponent 0.99 */
    TREE_INSERT,  /* new keys in random order, from nothing */
    TREE_IN_ORDER /* new keys, each behind all others */
} tree_load;

typedef struct tree_options {
    compaction_settings settings;
    tree_load load;
    double live_bytes;    /* of overwrites: of the keys that are there */
    double written_bytes; /* in all; the second half is measured */
    /* 0: compactions take no time. Else MB/s that writers would write if they
     * never waited, and that compactions write. */
    double user_rate;
    double compaction_rate;
} tree_options;

/* What is in a part, besides what the policy knows. */
typedef struct tree_content {
    double writes;     /* that went into what is left of it */
    double file_bytes; /* what it takes on the disk, until it is gone */
    bool is_full;      /* has all keys of its range: loaded in the beginning */
} tree_content;

typedef struct tree_result {
    double write_amplification; /* flushes and compactions / written by users */
    double read_amplification;  /* read by compactions / written by users */
    double space;               /* bytes on the disk / live bytes, on average */
    double peak_space;          /* with inputs and outputs side by side */
    double runs;                /* that a seek must look at, on average */
    uint32_t peak_runs;
    double largest_bytes; /* written by one compaction */
    double files;         /* at the end */
    double peak_delay_us; /* after 256 KiB */
    double user_rate; /* MB/s, waits included; 0 if time was not asked for */
} tree_result;

typedef struct tree_model {
    tree_options options;
    compaction_part *parts; /* in the order of the policy */
    tree_content *contents; /* of each */
    size_t count;
    size_t capacity;
    compaction_part *spare_parts; /* the next state, while it is made */
    tree_content *spare_contents;
    uint32_t *choices;
    double class_keys[TREE_CLASSES];
    double class_share[TREE_CLASSES];
    uint32_t classes;
    double keys; /* of overwrites */
    uint64_t next_id;
    uint32_t next_run;
    uint64_t next_sequence;
    uint64_t next_key; /* of loads in order */

    double user_bytes; /* totals */
    double flush_bytes;
    double compaction_bytes;
    double read_bytes;
    double peak_bytes; /* since it was set to 0 */
    double largest_bytes;
    double budget_bytes; /* that compactions may write by now */
    uint64_t compactions;
    uint64_t moves;
} tree_model;

/* Make one, full if the load overwrites. Ends the program if there is no
 * memory. */
tree_model *tree_model_create(const tree_options *options);

void tree_model_free(tree_model *model);

/* One memtable more. */
void tree_model_flush(tree_model *model);

/* Ask the policy; false: nothing is due. */
bool tree_model_choose(tree_model *model, compaction_plan *ret_plan);

/* Carry a plan out that was made of the present state. */
void tree_model_carry_out(tree_model *model, const compaction_plan *plan);

/* Sums over all parts. */
double tree_model_file_bytes(const tree_model *model);
double tree_model_live_bytes(const tree_model *model);
uint32_t tree_model_runs(const tree_model *model);

/* Write all that the options say, with all compactions that become due. */
tree_result tree_model_run(tree_model *model);

#endif
