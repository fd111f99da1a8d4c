/*
 * Choosing what to compact, see compaction.h: what the strategies share.
 */
#include "maintain/compaction.h"

#include <assert.h>

#include "maintain/compaction_work.h"

enum { PERCENT = 100 };

/* ---- Facts -------------------------------------------------------------- */

void compaction_count_levels(compaction_work *w)
{
    for (uint32_t l = 0; l < COMPACTION_LEVELS; l++) {
        w->levels[l] = (compaction_level){0};
    }
    for (size_t i = 0; i < w->count; i++) {
        const compaction_part *part = &w->parts[i];
        compaction_level *level;
        bool is_new_run;

        assert(part->level < COMPACTION_LEVELS);
        assert(part->first_key <= part->last_key);
        level = &w->levels[part->level];
        is_new_run = level->runs == 0 || part->run != w->parts[i - 1].run;
        level->first = level->runs == 0 ? i : level->first;
        level->end = i + 1;
        level->begun = part->is_begun ? level->begun : i + 1;
        level->bytes += part->bytes;
        level->debt_bytes += part->bytes + part->hidden_bytes;
        level->runs += is_new_run ? 1 : 0;
        level->whole_runs += is_new_run && !part->is_begun ? 1 : 0;
        if (is_new_run && level->runs == 1 && part->is_begun) {
            level->begun = i;
        }
    }
}

/* ---- Plans -------------------------------------------------------------- */

void compaction_take(compaction_work *w, size_t first, size_t end)
{
    compaction_plan *plan = w->plan;

    for (size_t i = first; i < end; i++) {
        w->choices[plan->count++] = (uint32_t)i;
        plan->read_bytes += w->parts[i].bytes;
    }
}

size_t compaction_reaches(const compaction_work *w, size_t first, size_t end,
                          uint64_t key)
{
    while (first < end) {
        size_t middle = first + (end - first) / 2;

        if (w->parts[middle].last_key < key) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    return first;
}

static bool is_same_run(const compaction_part *a, const compaction_part *b)
{
    return a->level == b->level && a->run == b->run;
}

/* The end of the inputs that are of the same run as the one at `from`. */
static size_t end_of_run(const compaction_work *w, size_t from)
{
    size_t end = from + 1;

    while (end < w->plan->count && is_same_run(&w->parts[w->choices[from]],
                                               &w->parts[w->choices[end]])) {
        end++;
    }
    return end;
}

/* Whether no two runs among the inputs have keys in common, by their bounds. */
static bool is_disjoint(const compaction_work *w)
{
    size_t count = w->plan->count;
    size_t end;

    for (size_t a = 0; a < count; a = end) {
        size_t end_b;

        end = end_of_run(w, a);
        for (size_t b = end; b < count; b = end_b) {
            end_b = end_of_run(w, b);
            if (w->parts[w->choices[a]].first_key <=
                    w->parts[w->choices[end_b - 1]].last_key &&
                w->parts[w->choices[b]].first_key <=
                    w->parts[w->choices[end - 1]].last_key) {
                return false;
            }
        }
    }
    return true;
}

/* Whether no part that is no input, and older than they are, has keys that are
 * taken. */
static bool is_bottom(const compaction_work *w)
{
    const compaction_plan *plan = w->plan;
    size_t oldest = w->choices[plan->count - 1];

    for (size_t i = oldest + 1; i < w->count; i++) {
        if (!is_same_run(&w->parts[i], &w->parts[oldest]) &&
            w->parts[i].first_key < plan->to_key &&
            w->parts[i].last_key >= plan->from_key) {
            return false;
        }
    }
    return true;
}

/* How much of a part nobody needs if nothing lies below, 1: as much as may be.
 */
static double waste_of(const compaction_work *w, const compaction_part *part)
{
    double most = w->settings->waste_percent;
    double records =
        compaction_share(part->tombstones + part->expired, part->records);
    double values = compaction_share(part->stale_bytes, part->bytes);

    if (most == 0) {
        return 0;
    }
    return records * PERCENT / most > values ? records * PERCENT / most
                                             : values;
}

/* Whether moving the inputs would keep too many tombstones that could go. */
static bool has_waste(const compaction_work *w)
{
    for (size_t i = 0; i < w->plan->count; i++) {
        if (waste_of(w, &w->parts[w->choices[i]]) >= 1) {
            return true;
        }
    }
    return false;
}

/* Outputs of one size, so that none is a small rest. */
static uint64_t cut_bytes(uint64_t bytes, uint64_t most)
{
    uint64_t parts = (bytes + most - 1) / most;

    return parts > 0 ? (bytes + parts - 1) / parts : most;
}

void compaction_finish(compaction_work *w, compaction_reason reason,
                       double score, uint32_t target_level)
{
    compaction_plan *plan = w->plan;

    assert(plan->count > 0);
    plan->reason = reason;
    plan->score = score;
    plan->target_level = target_level;
    if (!plan->is_sweep) {
        plan->from_key = 0;
        plan->to_key = 0;
        for (size_t i = 0; i < plan->count; i++) {
            const compaction_part *part = &w->parts[w->choices[i]];

            plan->from_key = i == 0 || part->first_key < plan->from_key
                                 ? part->first_key
                                 : plan->from_key;
            plan->to_key = part->last_key >= plan->to_key ? part->last_key + 1
                                                          : plan->to_key;
        }
    }
    plan->cut_bytes = cut_bytes(plan->read_bytes, w->settings->partition_bytes);
    plan->drop_tombstones = is_bottom(w);
    plan->is_move = reason != COMPACTION_REASON_WASTE && is_disjoint(w) &&
                    !(plan->drop_tombstones && has_waste(w));
}

/* ---- Waste -------------------------------------------------------------- */

/* Of the oldest run, the part with most waste, if that is too much. */
static bool take_waste(compaction_work *w)
{
    double worst = 0;
    size_t chosen = w->count;

    for (size_t i = w->count; i > 0; i--) {
        const compaction_part *part = &w->parts[i - 1];
        double waste = waste_of(w, part);

        if (!is_same_run(part, &w->parts[w->count - 1])) {
            break;
        }
        /* A snapshot may need what they hide, or they themselves. */
        if (part->last_sequence <= w->moment->oldest_snapshot &&
            waste > worst) {
            worst = waste;
            chosen = i - 1;
        }
    }
    if (worst < 1) {
        return false;
    }
    compaction_take(w, chosen, chosen + 1);
    compaction_finish(w, COMPACTION_REASON_WASTE, worst,
                      w->parts[chosen].level);
    w->plan->joins_run = true;
    return true;
}

/* ---- The whole ---------------------------------------------------------- */

void compaction_choose(const compaction_settings *settings,
                       const compaction_moment *moment,
                       const compaction_part *parts, size_t count,
                       uint32_t *choices, compaction_plan *ret_plan)
{
    compaction_work w = {.settings = settings,
                         .moment = moment,
                         .parts = parts,
                         .count = count,
                         .choices = choices,
                         .plan = ret_plan};
    bool is_due = false;

    assert(settings->ratio >= 2 && settings->run_limit >= 2);
    assert(settings->partition_bytes > 0 && settings->sweep_parts > 0);
    *ret_plan = (compaction_plan){.reason = COMPACTION_REASON_NONE};
    if (moment->full_memtables > 0) {
        ret_plan->reason = COMPACTION_REASON_FLUSH;
        ret_plan->score = moment->full_memtables;
        return;
    }
    compaction_count_levels(&w);
    switch (settings->strategy) {
    case COMPACTION_LAZY:
        is_due = compaction_lazy(&w);
        break;
    case COMPACTION_LEVELED:
        is_due = compaction_leveled(&w);
        break;
    case COMPACTION_TIERED:
        is_due = compaction_tiered(&w);
        break;
    }
    if (!is_due) {
        (void)take_waste(&w);
    }
}

void compaction_choose_all(const compaction_settings *settings,
                           const compaction_part *parts, size_t count,
                           uint32_t *choices, compaction_plan *ret_plan)
{
    compaction_work w = {.settings = settings,
                         .parts = parts,
                         .count = count,
                         .choices = choices,
                         .plan = ret_plan};

    *ret_plan = (compaction_plan){.reason = COMPACTION_REASON_NONE};
    if (count == 0) {
        return;
    }
    compaction_take(&w, 0, count);
    compaction_finish(&w, COMPACTION_REASON_ALL, 1, COMPACTION_LAST);
    ret_plan->is_move = false;
}

compaction_settings compaction_settings_default(compaction_strategy strategy)
{
    compaction_settings settings = {.strategy = strategy,
                                    .ratio = 4,
                                    .run_limit = 8,
                                    .flush_bytes = 64U << 20,
                                    .partition_bytes = 64U << 20,
                                    .sweep_parts = 4,
                                    .waste_percent = 25};

    if (strategy == COMPACTION_LEVELED) {
        settings.ratio = 8;
        settings.run_limit = 4;
    }
    return settings;
}

const char *compaction_reason_text(compaction_reason reason)
{
    static const char *const texts[] = {
#define COMPACTION_REASON_TEXT(name, text) [COMPACTION_REASON_##name] = (text),
        COMPACTION_REASON_LIST(COMPACTION_REASON_TEXT)
#undef COMPACTION_REASON_TEXT
    };

    return (size_t)reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason]
                                                             : "unknown";
}

const char *compaction_strategy_name(compaction_strategy strategy)
{
    static const char *const names[] = {[COMPACTION_LAZY] = "lazy",
                                        [COMPACTION_LEVELED] = "leveled",
                                        [COMPACTION_TIERED] = "tiered"};

    return (size_t)strategy < sizeof(names) / sizeof(names[0]) ? names[strategy]
                                                               : "unknown";
}
