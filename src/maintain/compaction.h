/*
 * Which runs of a tree to compact next, to where, and why: pure functions of
 * what is known about the runs, the settings and the moment, one for each
 * strategy. No files, no clock, no memory of earlier calls: asked again after
 * each flush and each compaction, a plan being a small bite.
 *
 * A run is one sorted sequence of records in parts, files that do not overlap.
 * Levels go from 0, what was flushed, down to COMPACTION_LAST; of two records
 * of a key the one in the shallower level is newer, in one level the one in the
 * newer run. All strategies keep that; it is what a reader goes by.
 *
 *   lazy     any number of runs above, one run in the last level. A level with
 *            too many runs becomes one run of the next. When all above are a
 *            quarter of the last level (`ratio`), a sweep takes the deepest
 *            runs into it, a few parts at a time, by rising keys.
 *   leveled  one run in each level but 0, each `ratio` times the one above; a
 *            part of a level that is too large goes to the next
 *   tiered   any number of runs everywhere
 *
 * Source: Dayan & Idreos, Dostoevsky (2018), 4.1 (lazy leveling); O'Neil et
 * al., The Log-Structured Merge-Tree (1996); RocksDB (sizes of levels from the
 * last one up, the part with least overlap first).
 */
#ifndef CASKADE_COMPACTION_H
#define CASKADE_COMPACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COMPACTION_LEVELS = 8, COMPACTION_LAST = COMPACTION_LEVELS - 1 };

/*
 * Facts of one part. Keys are numbers below UINT64_MAX of which only the order
 * counts: the place of a key among all bounds of all parts, for example.
 */
typedef struct compaction_part {
    uint64_t id;             /* of its file */
    uint32_t level;          /* up to COMPACTION_LAST */
    uint32_t run;            /* parts of one run have the same; of one level the
                                larger is newer */
    uint64_t first_key;      /* the smallest, of what is left of it */
    uint64_t last_key;       /* the largest; ends of ranges count as well */
    uint64_t bytes;          /* of what is left of it */
    uint64_t hidden_bytes;   /* estimate: in deeper runs, and of values that
                                these name, hidden by it for good: what its
                                tombstones and ranges are worth */
    uint64_t records;        /* 0: not known */
    uint64_t tombstones;     /* of these, ranges included */
    uint64_t expired;        /* of these, estimate */
    uint64_t stale_bytes;    /* estimate: of values elsewhere that nobody needs,
                                and that could go if it were written anew */
    uint64_t first_sequence; /* of its records */
    uint64_t last_sequence;
    bool is_begun;   /* its run is being taken by a sweep: records in front of
                        first_key are in the last level. Begun runs are the
                        oldest above it. */
    bool is_settled; /* of the last level: written anew by itself it would be
                        what it is, but for what has expired */
} compaction_part;

typedef enum compaction_strategy {
    COMPACTION_LAZY,
    COMPACTION_LEVELED,
    COMPACTION_TIERED
} compaction_strategy;

typedef struct compaction_settings {
    compaction_strategy strategy;
    uint32_t ratio;           /* leveled: of the size of a level to the one
                                 above; lazy: of the last to all above; at
                                 least 2 */
    uint32_t run_limit;       /* runs of a level that become one; at least 2 */
    uint64_t flush_bytes;     /* of a run that is flushed, about; never 0 */
    uint64_t partition_bytes; /* of a part, at most; never 0 */
    uint32_t sweep_parts;     /* of the last level that a sweep rewrites at a
                                 time; at least 1 */
    double max_space_amplification; /* lazy, tiered: all bytes / bytes of the
                                       oldest run; 0: as the rest has it */
    uint32_t waste_percent; /* of the records of a part without anything below;
                               it is written anew then, and if that gives back
                               more bytes of values than it has; 0: never */
} compaction_settings;

/* Facts of the moment. */
typedef struct compaction_moment {
    uint32_t full_memtables;  /* that wait to be flushed */
    uint64_t oldest_snapshot; /* its sequence; UINT64_MAX: there is none */
} compaction_moment;

/* Why something is done; in the order of urgency. */
#define COMPACTION_REASON_LIST(X)                                              \
    X(NONE, "nothing is due")                                                  \
    X(FLUSH, "a memtable takes nothing more")                                  \
    X(RUNS, "a level has too many runs")                                       \
    X(SIZE, "a level is too large")                                            \
    X(SPACE, "the runs above the last are too large")                          \
    X(SWEEP, "a sweep goes on")                                                \
    X(WASTE, "a part holds tombstones, or values, that nobody needs")          \
    X(ALL, "all runs are to become one")

typedef enum compaction_reason {
#define COMPACTION_REASON_ENUM(name, text) COMPACTION_REASON_##name,
    COMPACTION_REASON_LIST(COMPACTION_REASON_ENUM)
#undef COMPACTION_REASON_ENUM
} compaction_reason;

typedef struct compaction_plan {
    compaction_reason reason;
    double score; /* 1: due; more: the more urgent. 0: nothing is */
    size_t count; /* of inputs; 0 of a flush */
    uint32_t target_level;
    bool joins_run;       /* the outputs are of the run that the target level
                             has; else of a new one, its newest */
    bool is_move;         /* the inputs do not overlap: as they are, they become
                             the target's */
    bool is_sweep;        /* inputs that reach beyond to_key stay, with what is
                             left of them, and all parts of their runs above
                             the last level have begun */
    bool drop_tombstones; /* nothing older lies below */
    uint64_t from_key;    /* of the inputs these keys are taken, */
    uint64_t to_key;      /* before this one; UINT64_MAX: to the end */
    uint64_t cut_bytes;   /* of each output, about */
    uint64_t read_bytes;  /* estimate; of inputs that are cut all */
    uint32_t first_sweep_run;   /* is_sweep: the newest run that takes part, */
    uint32_t first_sweep_level; /* and its level */
} compaction_plan;

/* Defaults of a strategy (docs/decisions/0020-compaction.md). */
compaction_settings compaction_settings_default(compaction_strategy strategy);

/*
 * Choose what to do next.
 *
 *   parts    all, by rising level, in a level by falling run, in a run by
 *            rising key
 *   choices  room for `count`; the first ret_plan->count are the indexes of
 *            the inputs, ascending
 *
 * Cost: O(n) for n parts, twice that for leveled; O(r * p) besides, for r runs
 * with p parts among the inputs, if no two of these runs have keys in common,
 * else less. r is about run_limit, unless compactions fall behind. No memory
 * but the caller's.
 */
void compaction_choose(const compaction_settings *settings,
                       const compaction_moment *moment,
                       const compaction_part *parts, size_t count,
                       uint32_t *choices, compaction_plan *ret_plan);

/*
 * Choose all, to become one run of the last level: because it is asked for, or
 * the runs are such as the strategy does not have, since another one made them.
 * Nothing is moved as it is; otherwise as compaction_choose(), but without
 * parts nothing is due. Takes as much room as all parts have.
 */
void compaction_choose_all(const compaction_settings *settings,
                           const compaction_part *parts, size_t count,
                           uint32_t *choices, compaction_plan *ret_plan);

/*
 * One step of making all runs one of the last level: of keys from `from` on as
 * many as some parts of the last level have, or of the run with most parts.
 * Like a sweep: runs that one has begun are completed, those that are newer
 * stay above. So whoever is stopped loses a step, and a step takes as much room
 * as it has. Of more than one run in the last level all is taken at once.
 *
 * What is settled in the last level is left out in front of the first key of
 * the runs above, and behind their last one; but not where many small parts lie
 * side by side, which become few.
 *
 *   from  a number of a key, at which the step before has ended; 0: all is
 *         taken, also what is in the last level alone. UINT64_MAX: from the
 *         first key that a run above it has, if there is one
 */
void compaction_choose_step(const compaction_settings *settings,
                            const compaction_part *parts, size_t count,
                            uint64_t from, uint32_t *choices,
                            compaction_plan *ret_plan);

/* Text for messages. Never NULL. */
const char *compaction_reason_text(compaction_reason reason);
const char *compaction_strategy_name(compaction_strategy strategy);

#endif
