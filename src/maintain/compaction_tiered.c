/*
 * Tiering, see compaction.h: a level with too many runs becomes one run of the
 * next; if all runs are too large beside the oldest, they become one.
 */
#include "maintain/compaction_work.h"

static bool join_level(compaction_work *w)
{
    uint32_t limit = w->settings->run_limit;

    for (uint32_t l = 0; l < COMPACTION_LEVELS; l++) {
        const compaction_level *level = &w->levels[l];

        if (level->runs >= limit) {
            compaction_take(w, level->first, level->end);
            compaction_finish(w, COMPACTION_REASON_RUNS,
                              compaction_share(level->runs, limit),
                              l < COMPACTION_LAST ? l + 1 : l);
            return true;
        }
    }
    return false;
}

static bool join_all(compaction_work *w)
{
    double most = w->settings->max_space_amplification;
    uint64_t total = 0;
    uint64_t oldest = 0;
    double score;

    for (size_t i = 0; i < w->count; i++) {
        const compaction_part *part = &w->parts[i];

        total += part->bytes + part->hidden_bytes;
        if (part->level == w->parts[w->count - 1].level &&
            part->run == w->parts[w->count - 1].run) {
            oldest += part->bytes;
        }
    }
    score = most > 1 ? compaction_share(total, oldest) / most : 0;
    if (score < 1 || total < 2 * w->settings->flush_bytes) {
        return false;
    }
    compaction_take(w, 0, w->count);
    compaction_finish(w, COMPACTION_REASON_SPACE, score,
                      w->parts[w->count - 1].level);
    return true;
}

bool compaction_tiered(compaction_work *w)
{
    return join_level(w) || (w->count > 0 && join_all(w));
}
