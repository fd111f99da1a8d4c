/*
 * Lazy leveling, see compaction.h.
 *
 * A sweep takes the deepest runs into the last level by rising keys, each step
 * some parts of the last level with what lies above them in these runs, which
 * begin behind it from then on. Its runs are the oldest above the last level,
 * and stay so: nothing newer may get below them, or readers would find the
 * older version first. So while a sweep goes on, runs that are newer become one
 * in its shallowest level at most.
 */
#include "maintain/compaction_work.h"

#include <assert.h>

static uint64_t bytes_above(const compaction_work *w)
{
    uint64_t bytes = 0;

    for (uint32_t l = 0; l < COMPACTION_LAST; l++) {
        bytes += w->levels[l].debt_bytes;
    }
    return bytes;
}

/* What all runs above may have before the deepest of them are swept. */
static uint64_t allowed_above(const compaction_work *w)
{
    const compaction_settings *settings = w->settings;
    uint64_t last = w->levels[COMPACTION_LAST].bytes;
    uint64_t allowed = last / settings->ratio;

    if (settings->max_space_amplification > 1) {
        double most = (double)last * (settings->max_space_amplification - 1);

        allowed = most < (double)allowed ? (uint64_t)most : allowed;
    }
    /* A store of a few flushes must not be written anew with each. */
    return allowed > 2 * settings->flush_bytes ? allowed
                                               : 2 * settings->flush_bytes;
}

/* The shallowest level of which runs are being swept; COMPACTION_LAST: none. */
static uint32_t begun_level(const compaction_work *w)
{
    for (uint32_t l = 0; l < COMPACTION_LAST; l++) {
        if (w->levels[l].begun < w->levels[l].end) {
            return l;
        }
    }
    return COMPACTION_LAST;
}

static bool is_deepest(const compaction_work *w, uint32_t level)
{
    for (uint32_t l = level + 1; l < COMPACTION_LAST; l++) {
        if (w->levels[l].runs > 0) {
            return false;
        }
    }
    return true;
}

/* ---- Many runs to one --------------------------------------------------- */

/*
 * How many parts, from the newest run of a level on, are of runs none of which
 * is larger than all newer ones together; their runs are counted. So what was
 * put together once is not put together with each few small ones again.
 */
static size_t similar_parts(const compaction_work *w,
                            const compaction_level *level, uint32_t *ret_runs)
{
    uint64_t newer = 0;
    size_t end = level->first;

    *ret_runs = 0;
    while (end < level->begun) {
        size_t next = end;
        uint64_t bytes = 0;

        while (next < level->begun && w->parts[next].run == w->parts[end].run) {
            bytes += w->parts[next++].bytes;
        }
        if (*ret_runs > 0 && bytes > newer) {
            break;
        }
        newer += bytes;
        end = next;
        (*ret_runs)++;
    }
    return end - level->first;
}

static bool join_runs(compaction_work *w)
{
    uint32_t limit = w->settings->run_limit;
    uint32_t begun = begun_level(w);
    uint64_t soon = allowed_above(w) / 2;

    for (uint32_t l = 0; l < COMPACTION_LAST; l++) {
        const compaction_level *level = &w->levels[l];
        size_t parts = level->begun - level->first;
        uint32_t runs = level->whole_runs;
        uint32_t target = l + 1;

        if (begun == COMPACTION_LAST && level->debt_bytes >= soon &&
            is_deepest(w, l)) {
            continue; /* soon swept as they are */
        }
        if (l == begun || target == COMPACTION_LAST) {
            target = l;
            parts = similar_parts(w, level, &runs);
        }
        if (runs >= limit) {
            compaction_take(w, level->first, level->first + parts);
            compaction_finish(w, COMPACTION_REASON_RUNS,
                              compaction_share(runs, limit), target);
            return true;
        }
    }
    return false;
}

/* ---- Sweep -------------------------------------------------------------- */

/* Where the runs of the sweep begin, in the order of parts: those that have
 * begun, or the deepest levels that have most of what is too much. Not all: the
 * fewer levels, the more new runs can still be joined above. */
static size_t first_of_sweep(const compaction_work *w)
{
    uint32_t begun = begun_level(w);
    uint64_t bytes = 0;
    size_t first = w->levels[COMPACTION_LAST].runs > 0
                       ? w->levels[COMPACTION_LAST].first
                       : w->count;

    if (begun < COMPACTION_LAST) {
        return w->levels[begun].begun;
    }
    for (uint32_t l = COMPACTION_LAST; l > 0; l--) {
        const compaction_level *level = &w->levels[l - 1];

        if (level->runs > 0) {
            first = level->first;
            bytes += level->debt_bytes;
        }
        if (bytes >= allowed_above(w) / 4 * 3) {
            break;
        }
    }
    return first;
}

/* What a sweep takes: parts of the runs above with keys before `to`, and parts
 * of the last level. */
typedef struct sweep {
    size_t first; /* of the runs above */
    size_t end;
    size_t last; /* of the last level */
    size_t last_end;
    uint64_t from;
    uint64_t to;
} sweep;

/* The largest key above among parts that begin before `to`. */
static uint64_t reach_of(const compaction_work *w, const sweep *s, uint64_t to)
{
    uint64_t reach = 0;

    for (size_t i = s->first; i < s->end; i++) {
        const compaction_part *part = &w->parts[i];

        if (part->first_key < to && part->last_key > reach) {
            reach = part->last_key;
        }
    }
    return reach;
}

static bool overlaps_above(const compaction_work *w, const sweep *s,
                           const compaction_part *below)
{
    for (size_t i = s->first; i < s->end; i++) {
        if (w->parts[i].first_key <= below->last_key &&
            w->parts[i].last_key >= below->first_key) {
            return true;
        }
    }
    return false;
}

/*
 * Choose parts of the last level, from the smallest key above on: as many as a
 * step may have, and no further than where nothing lies above.
 */
static void choose_last(const compaction_work *w, sweep *s)
{
    const compaction_level *last = &w->levels[COMPACTION_LAST];
    uint64_t most = compaction_sweep_bytes(w);
    uint64_t bytes = 0;

    s->to = UINT64_MAX;
    s->last = compaction_reaches(w, last->first, last->end, s->from);
    s->last_end = s->last;
    if (s->last == last->end) {
        return;
    }
    if (s->from < w->parts[s->last].first_key &&
        reach_of(w, s, w->parts[s->last].first_key) <
            w->parts[s->last].first_key) {
        s->to = w->parts[s->last].first_key; /* all of it is in a gap */
        return;
    }
    while (s->last_end < last->end && bytes < most &&
           (s->last_end == s->last ||
            overlaps_above(w, s, &w->parts[s->last_end]))) {
        bytes += w->parts[s->last_end].bytes;
        s->last_end++;
    }
    if (s->last_end < last->end) {
        s->to = w->parts[s->last_end].first_key;
    }
}

static bool go_on_sweeping(compaction_work *w)
{
    uint32_t begun = begun_level(w);
    double score = compaction_share(bytes_above(w), allowed_above(w));
    sweep s = {.end = w->levels[COMPACTION_LAST].runs > 0
                          ? w->levels[COMPACTION_LAST].first
                          : w->count};

    if (begun == COMPACTION_LAST && score < 1) {
        return false;
    }
    s.first = first_of_sweep(w);
    assert(s.first < s.end);
    s.from = UINT64_MAX;
    for (size_t i = s.first; i < s.end; i++) {
        s.from =
            w->parts[i].first_key < s.from ? w->parts[i].first_key : s.from;
    }
    choose_last(w, &s);
    for (size_t i = s.first; i < s.end; i++) {
        if (w->parts[i].first_key < s.to) {
            compaction_take(w, i, i + 1);
        }
    }
    compaction_take(w, s.last, s.last_end);
    w->plan->is_sweep = true;
    w->plan->from_key = s.from;
    w->plan->to_key = s.to;
    w->plan->first_sweep_level = w->parts[s.first].level;
    w->plan->first_sweep_run = w->parts[s.first].run;
    w->plan->joins_run = w->levels[COMPACTION_LAST].runs > 0;
    compaction_finish(w,
                      begun < COMPACTION_LAST ? COMPACTION_REASON_SWEEP
                                              : COMPACTION_REASON_SPACE,
                      score, COMPACTION_LAST);
    return true;
}

bool compaction_lazy(compaction_work *w)
{
    return join_runs(w) || go_on_sweeping(w);
}
