/*
 * What the strategies share: the levels in numbers, and ways to put a plan
 * together. For compaction*.c only.
 */
#ifndef CASKADE_COMPACTION_WORK_H
#define CASKADE_COMPACTION_WORK_H

#include "maintain/compaction.h"

typedef struct compaction_level {
    size_t first; /* of its parts */
    size_t end;
    size_t begun; /* the first part of runs that have begun; else `end` */
    uint64_t bytes;
    uint64_t debt_bytes; /* of these, and hidden ones */
    uint32_t runs;
    uint32_t whole_runs; /* those that have not begun */
} compaction_level;

typedef struct compaction_work {
    const compaction_settings *settings;
    const compaction_moment *moment;
    const compaction_part *parts;
    size_t count;
    uint32_t *choices;
    compaction_plan *plan;
    compaction_level levels[COMPACTION_LEVELS];
} compaction_work;

/* What the levels have. */
void compaction_count_levels(compaction_work *w);

/* One for each strategy; true: there is a plan. */
bool compaction_lazy(compaction_work *w);
bool compaction_leveled(compaction_work *w);
bool compaction_tiered(compaction_work *w);

/* Take the parts from `first` to before `end`, all keys of them. */
void compaction_take(compaction_work *w, size_t first, size_t end);

/*
 * Complete a plan whose inputs have been taken in ascending order: keys, cuts,
 * whether it is a move, and whether tombstones go.
 */
void compaction_finish(compaction_work *w, compaction_reason reason,
                       double score, uint32_t target_level);

/* The first part from `first` to before `end`, of one run, that reaches `key`
 * or is behind it; `end`: none. Cost: O(log n). */
size_t compaction_reaches(const compaction_work *w, size_t first, size_t end,
                          uint64_t key);

/* What a step of a sweep takes of the last level at most. */
static inline uint64_t compaction_sweep_bytes(const compaction_work *w)
{
    return (uint64_t)w->settings->sweep_parts * w->settings->partition_bytes;
}

/* How many times `whole` goes into `part`. */
static inline double compaction_share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

#endif
