/*
 * What Caskade must reach, as ratios of the same invocation or as limits.
 */
#ifndef BENCH_TARGETS_H
#define BENCH_TARGETS_H

#include "results.h"

typedef enum target_kind {
    TARGET_AGAINST_PEER, /* ratio of `work` to the same work of `peer` */
    TARGET_AGAINST_SELF, /* ratio of `work` to `other`, at least */
    TARGET_MOST_OF_SELF, /* the same, at most */
    TARGET_AT_LEAST,     /* Caskade's figure itself */
    TARGET_AT_MOST
} target_kind;

typedef struct bench_target {
    const char *text;
    target_kind kind;
    work_id work;
    work_id other;    /* TARGET_AGAINST_SELF, TARGET_MOST_OF_SELF */
    const char *peer; /* TARGET_AGAINST_PEER */
    uint64_t keys;    /* 0: those of the settings */
    double limit;
    bench_group group; /* which option asks for it */
} bench_target;

extern const bench_target bench_targets[];
extern const size_t bench_target_count;

/* What was reached; NAN if it was not measured. */
double target_value(const bench_target *self, const bench_settings *settings,
                    const bench_results *results);

/* Whether the limit is the most that is allowed, not the least. */
static inline bool target_is_bound(const bench_target *self)
{
    return self->kind == TARGET_AT_MOST || self->kind == TARGET_MOST_OF_SELF;
}

/* Whether the settings ask for it. */
bool target_is_wanted(const bench_target *self, const bench_settings *settings);

/* Whether `value` is good enough; NAN is not. */
bool target_is_met(const bench_target *self, double value);

/* Add the works and key counts that the targets need to the settings. */
void targets_require(bench_settings *settings, bool works);

#endif
