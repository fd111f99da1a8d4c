/*
 * The wait of writers, see compaction_delay.h.
 */
#include "maintain/compaction_delay.h"

#include <assert.h>

static const double BEGIN = 0.5; /* of all, where waits begin */
static const double PRESSING = 0.75;

/* Where they begin, and where it is full: */
static const double MEMORY[] = {0.5, 1}; /* of the limit */
static const double RUNS[] = {2, 4};     /* times run_limit */
static const double LAZY[] = {1, 1.25};  /* times what is due: space is bound */
static const double LEVELED[] = {2, 4};

/* 0 nothing, BEGIN at range[0], 1 at range[1]; straight between. */
static double scale(double value, const double range[2])
{
    return value < range[0] ? BEGIN * value / range[0]
                            : BEGIN + (1 - BEGIN) * (value - range[0]) /
                                          (range[1] - range[0]);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Runs of level 0 that are no part of a sweep. */
static uint32_t flushed_runs(const compaction_part *parts, size_t count)
{
    uint32_t runs = 0;

    for (size_t i = 0; i < count && parts[i].level == 0; i++) {
        if (!parts[i].is_begun &&
            (i == 0 || parts[i].run != parts[i - 1].run)) {
            runs++;
        }
    }
    return runs;
}

double compaction_fullness(const compaction_settings *settings,
                           const compaction_memory *memory,
                           const compaction_part *parts, size_t count)
{
    double flush = (double)settings->flush_bytes;
    double in_memory = (double)memory->used_bytes;
    double fullness = scale(in_memory / (double)memory->limit_bytes, MEMORY);
    double runs = flushed_runs(parts, count) + in_memory / flush;
    double above = in_memory;
    double last = 0;
    bool is_lazy = settings->strategy == COMPACTION_LAZY;
    double due;

    assert(memory->limit_bytes > 0 && settings->flush_bytes > 0);
    fullness = larger(fullness, scale(runs / settings->run_limit, RUNS));
    if (settings->strategy == COMPACTION_TIERED) {
        return fullness; /* nothing waits: runs are where they belong */
    }
    for (size_t i = 0; i < count; i++) {
        if (parts[i].level == COMPACTION_LAST) {
            last += (double)parts[i].bytes;
        } else {
            above += (double)parts[i].bytes;
        }
    }
    /* Of leveled all levels above are a little less than a part by ratio - 1 of
     * the last. */
    due = larger(last / (is_lazy ? settings->ratio : settings->ratio - 1),
                 flush * settings->run_limit);
    return larger(fullness, scale(above / due, is_lazy ? LAZY : LEVELED));
}

uint64_t compaction_delay_us(double fullness)
{
    double above = (fullness - BEGIN) / (1 - BEGIN);

    if (above <= 0) {
        return 0;
    }
    if (above >= 1) {
        return COMPACTION_DELAY_MAX_US;
    }
    return (uint64_t)(above * above * COMPACTION_DELAY_MAX_US);
}

bool compaction_is_pressing(double fullness)
{
    return fullness >= PRESSING;
}
