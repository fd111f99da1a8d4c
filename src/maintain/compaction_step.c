/*
 * All runs to one, step by step, see compaction.h. A step is one of a sweep, so
 * that a tree is as whole between two of them as in the midst of a sweep.
 */
#include "maintain/compaction_work.h"

/* The runs that take part, in the order of parts: those that have begun, else
 * all above the last level. */
typedef struct upper {
    size_t first;
    size_t end;
    bool has_begun;
} upper;

static upper find_upper(const compaction_work *w)
{
    const compaction_level *last = &w->levels[COMPACTION_LAST];
    upper u = {.end = last->runs > 0 ? last->first : w->count};

    for (size_t i = 0; i < u.end && !u.has_begun; i++) {
        u.has_begun = w->parts[i].is_begun;
        u.first = u.has_begun ? i : 0;
    }
    return u;
}

static uint64_t first_key_of(const compaction_work *w, const upper *u)
{
    uint64_t first = UINT64_MAX;

    for (size_t i = u->first; i < u->end; i++) {
        first = w->parts[i].first_key < first ? w->parts[i].first_key : first;
    }
    return first;
}

static bool is_at_rest(const compaction_part *part)
{
    return part->is_settled && part->expired == 0;
}

/* Of the last level: before which key a step ends. */
static uint64_t cut_of_last(const compaction_work *w, const upper *u,
                            uint64_t from)
{
    const compaction_level *last = &w->levels[COMPACTION_LAST];
    uint64_t most = compaction_sweep_bytes(w);
    size_t at = compaction_reaches(w, last->first, last->end, from);
    uint64_t reach = 0; /* of the runs above */
    uint64_t bytes = 0;

    for (size_t i = u->first; i < u->end; i++) {
        reach = w->parts[i].last_key > reach ? w->parts[i].last_key : reach;
    }
    while (at < last->end && bytes < most &&
           (w->parts[at].first_key <= reach || !is_at_rest(&w->parts[at]))) {
        bytes += w->parts[at++].bytes;
    }
    return at < last->end ? w->parts[at].first_key : UINT64_MAX;
}

/* Of the parts from `first` to before `end`, of one run: before which key a
 * step ends. */
static uint64_t cut_at(const compaction_work *w, size_t first, size_t end,
                       uint64_t from)
{
    uint64_t most = compaction_sweep_bytes(w);
    size_t at = compaction_reaches(w, first, end, from);
    uint64_t bytes = 0;

    while (at < end && bytes < most) {
        bytes += w->parts[at++].bytes;
    }
    return at < end ? w->parts[at].first_key : UINT64_MAX;
}

/* By the last level, whose parts are not cut; behind it, or without one, by the
 * run above that has most parts there. */
static uint64_t find_cut(const compaction_work *w, const upper *u,
                         uint64_t from)
{
    const compaction_level *last = &w->levels[COMPACTION_LAST];
    uint64_t cut = UINT64_MAX;
    size_t most = 1;
    size_t end;

    if (compaction_reaches(w, last->first, last->end, from) < last->end) {
        return cut_of_last(w, u, from);
    }
    for (size_t i = u->first; i < u->end; i = end) {
        size_t reaching;

        end = i + 1;
        while (end < u->end && w->parts[end].level == w->parts[i].level &&
               w->parts[end].run == w->parts[i].run) {
            end++;
        }
        reaching = end - compaction_reaches(w, i, end, from);
        if (reaching > most) {
            most = reaching;
            cut = cut_at(w, i, end, from);
        }
    }
    return cut;
}

static void take(compaction_work *w, const upper *u, uint64_t from, uint64_t to)
{
    const compaction_level *last = &w->levels[COMPACTION_LAST];

    for (size_t i = u->first; i < u->end; i++) {
        if (w->parts[i].first_key < to) {
            compaction_take(w, i, i + 1);
        }
    }
    for (size_t i = last->first; i < last->end; i++) {
        if (w->parts[i].last_key >= from && w->parts[i].first_key < to) {
            compaction_take(w, i, i + 1);
        }
    }
}

/* ---- What is settled ----------------------------------------------------- */

/* From `at` on, the end of parts that make a step, and whether they are more
 * than twice as many as what they have needs. */
static size_t end_of_small(const compaction_work *w, size_t at, size_t end,
                           bool *ret_are_many)
{
    uint64_t part_bytes = w->settings->partition_bytes;
    uint64_t most = compaction_sweep_bytes(w);
    size_t to = at;
    uint64_t bytes = 0;

    while (to < end && bytes + w->parts[to].bytes <= most) {
        bytes += w->parts[to++].bytes;
    }
    *ret_are_many = to - at > 2 * ((bytes + part_bytes - 1) / part_bytes);
    return to;
}

/* Nothing is above the last level: take the next parts of it that gain
 * something. */
static void take_unsettled(compaction_work *w, uint64_t from)
{
    const compaction_level *last = &w->levels[COMPACTION_LAST];
    uint64_t most = compaction_sweep_bytes(w);
    uint64_t bytes = 0;

    for (size_t at = compaction_reaches(w, last->first, last->end, from);
         at < last->end; at++) {
        bool are_many = false;
        size_t end = end_of_small(w, at, last->end, &are_many);

        if (are_many) {
            compaction_take(w, at, end);
            return;
        }
        if (is_at_rest(&w->parts[at])) {
            continue;
        }
        for (end = at;
             end < last->end && bytes < most && !is_at_rest(&w->parts[end]);
             end++) {
            bytes += w->parts[end].bytes;
        }
        compaction_take(w, at, end);
        return;
    }
}

/* Where there is something to be done, from `from` on. */
static uint64_t skip_settled(const compaction_work *w, const upper *u,
                             uint64_t from)
{
    const compaction_level *last = &w->levels[COMPACTION_LAST];
    uint64_t first = first_key_of(w, u);
    size_t at = compaction_reaches(w, last->first, last->end, from);

    while (at < last->end && w->parts[at].last_key < first &&
           is_at_rest(&w->parts[at])) {
        at++;
    }
    if (at < last->end && w->parts[at].first_key < first) {
        first = w->parts[at].first_key;
    }
    return first > from ? first : from;
}

/* ---- A step -------------------------------------------------------------- */

static void finish(compaction_work *w)
{
    w->plan->joins_run = w->levels[COMPACTION_LAST].runs > 0;
    compaction_finish(w, COMPACTION_REASON_ALL, 1, COMPACTION_LAST);
    w->plan->is_move = false;
}

void compaction_choose_step(const compaction_settings *settings,
                            const compaction_part *parts, size_t count,
                            uint64_t from, uint32_t *choices,
                            compaction_plan *ret_plan)
{
    compaction_work w = {.settings = settings,
                         .parts = parts,
                         .count = count,
                         .choices = choices,
                         .plan = ret_plan};
    uint64_t to;
    upper u;

    compaction_count_levels(&w);
    if (w.levels[COMPACTION_LAST].runs > 1) {
        compaction_choose_all(settings, parts, count, choices, ret_plan);
        return;
    }
    *ret_plan = (compaction_plan){.reason = COMPACTION_REASON_NONE};
    u = find_upper(&w);
    if (u.first == u.end) {
        take_unsettled(&w, from);
        if (ret_plan->count > 0) {
            finish(&w);
        }
        return;
    }
    from =
        from == UINT64_MAX ? first_key_of(&w, &u) : skip_settled(&w, &u, from);
    to = find_cut(&w, &u, from);
    take(&w, &u, from, to);
    if (ret_plan->count > 0) {
        ret_plan->is_sweep = true;
        ret_plan->from_key = from;
        ret_plan->to_key = to;
        ret_plan->first_sweep_level = parts[u.first].level;
        ret_plan->first_sweep_run = parts[u.first].run;
        finish(&w);
    }
}
