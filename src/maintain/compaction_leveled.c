/*
 * Leveling, see compaction.h.
 *
 * How large a level may be follows from the last one: each is a part of the one
 * below by `ratio`. Level 0 goes to the shallowest level that may have more
 * than it, levels between the two are empty; so a small store has few.
 */
#include "maintain/compaction_work.h"

/* limits[l]: bytes that level l may have; 0: none. Returns where level 0 goes
 * to. */
static uint32_t limit_levels(const compaction_work *w,
                             uint64_t limits[COMPACTION_LEVELS])
{
    const compaction_settings *settings = w->settings;
    uint64_t least = settings->flush_bytes * settings->run_limit;
    uint64_t bytes = w->levels[COMPACTION_LAST].bytes;
    uint32_t base = COMPACTION_LAST;

    limits[COMPACTION_LAST] = UINT64_MAX;
    for (uint32_t l = COMPACTION_LAST; l > 1; l--) {
        bytes /= settings->ratio;
        limits[l - 1] = bytes >= least ? bytes : 0;
        base = bytes >= least ? l - 1 : base;
    }
    return base;
}

/* Take the parts of a level that have keys of the inputs. */
static void take_below(compaction_work *w, uint32_t target)
{
    const compaction_level *level = &w->levels[target];
    uint64_t from = UINT64_MAX;
    uint64_t to = 0;
    size_t first;
    size_t end;

    for (size_t i = 0; i < w->plan->count; i++) {
        const compaction_part *part = &w->parts[w->choices[i]];

        from = part->first_key < from ? part->first_key : from;
        to = part->last_key > to ? part->last_key : to;
    }
    first = compaction_reaches(w, level->first, level->end, from);
    end = first;
    while (end < level->end && w->parts[end].first_key <= to) {
        end++;
    }
    compaction_take(w, first, end);
    w->plan->joins_run = level->runs > 0;
}

/* ---- Which part --------------------------------------------------------- */

/* Bytes that must be written anew for each byte that goes down; less the more
 * it hides. The parts below are passed in step. */
static double cost_of(const compaction_work *w, const compaction_part *part,
                      const compaction_level *below, size_t *at)
{
    uint64_t bytes = 0;

    while (*at < below->end && w->parts[*at].last_key < part->first_key) {
        (*at)++;
    }
    /* The last one may overlap the next part as well, so `at` stays. */
    for (size_t i = *at;
         i < below->end && w->parts[i].first_key <= part->last_key; i++) {
        bytes += w->parts[i].bytes;
    }
    return (double)bytes / (double)(part->bytes + part->hidden_bytes + 1);
}

static size_t cheapest_part(const compaction_work *w, uint32_t level)
{
    const compaction_level *own = &w->levels[level];
    const compaction_level *below = &w->levels[level + 1];
    size_t at = below->first;
    size_t chosen = own->first;
    double least = 0;

    for (size_t i = own->first; i < own->end; i++) {
        double cost = cost_of(w, &w->parts[i], below, &at);

        if (i == own->first || cost < least) {
            least = cost;
            chosen = i;
        }
    }
    return chosen;
}

/* ---- The whole ---------------------------------------------------------- */

/* Level 0, and whatever a shrunken store has left between it and its base. */
static void take_top(compaction_work *w, uint32_t base)
{
    compaction_take(w, w->levels[0].first, w->levels[0].end);
    for (uint32_t l = 1; l <= base; l++) {
        take_below(w, l);
    }
}

/* The fullest level first, of equal ones the shallower: if level 0 always went
 * first, the next would grow, and be written anew as a whole each time. */
bool compaction_leveled(compaction_work *w)
{
    uint64_t limits[COMPACTION_LEVELS] = {0};
    uint32_t base = limit_levels(w, limits);
    double score = compaction_share(w->levels[0].runs, w->settings->run_limit);
    uint32_t level = 0;
    size_t part;

    for (uint32_t l = 1; l < COMPACTION_LAST; l++) {
        double own = (double)w->levels[l].debt_bytes / (double)(limits[l] + 1);

        if (own > score) {
            score = own;
            level = l;
        }
    }
    if (score < 1) {
        return false;
    }
    if (level == 0) {
        take_top(w, base);
        compaction_finish(w, COMPACTION_REASON_RUNS, score, base);
        return true;
    }
    part = cheapest_part(w, level);
    compaction_take(w, part, part + 1);
    take_below(w, level + 1);
    compaction_finish(w, COMPACTION_REASON_SIZE, score, level + 1);
    return true;
}
