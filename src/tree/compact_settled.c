/*
 * Settled parts, see compact_settled.h.
 */
#include "tree/compact_settled.h"

#include "run/run_pointer.h"

/* Whether a record from `offset` to before `end` has a value that is to be
 * apart. What cannot be read is not settled: whoever compacts it tells. */
static bool has_large(const cask_run *file, uint64_t offset, uint64_t end,
                      uint64_t least)
{
    while (offset < end) {
        run_record record;

        if (run_read_header(file, offset, &record, NULL) != CASK_OK ||
            (record_kind(&record.header) == RECORD_PUT &&
             record.header.value_size >= least)) {
            return true;
        }
        offset = record.next;
    }
    return false;
}

/*
 * Fences are RUN_FENCE_BYTES from each other and what the last record has
 * beyond that: only where they are farther by such a value it is looked for. Of
 * few that are hidden among others nobody gains much.
 */
static bool may_be_apart(const cask_run *file, uint64_t least)
{
    const uint32_t count = least > 0 ? file->footer.fences : 0;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t from = run_fence_offset(file, i);
        uint64_t to =
            i + 1 < count ? run_fence_offset(file, i + 1) : file->footer.length;

        if (to > from && to - from > RUN_FENCE_BYTES + least &&
            has_large(file, from, to, least)) {
            return true;
        }
    }
    return false;
}

static bool has_movable(const compact_facts *facts, const version *all,
                        const version_run *run, const compact_values_wish *wish)
{
    compact_values_wish alone = *wish;
    const run_part part = {run->file, run->begin};

    alone.small_bytes = 0;
    for (uint32_t i = 0; i < run->file->footer.segments; i++) {
        const version_values *one =
            version_find_values(all, run_named_at(run->file, i).id);

        if (one != NULL &&
            compact_values_are_due(&facts->values, all, one, &alone)) {
            return true;
        }
    }
    return compact_values_are_several(&facts->values, all, &part, 1, wish);
}

static bool is_settled(const compact_facts *facts, const version *all,
                       const version_run *run, const compact_settling *how)
{
    const run_footer *footer = &run->file->footer;

    return run->level == COMPACTION_LAST && run->begin.size == 0 &&
           (how->keeps_tombstones ||
            footer->tombstones + footer->ranges == 0) &&
           footer->records == footer->keys + footer->ranges &&
           !has_movable(facts, all, run, &how->wish) &&
           !may_be_apart(run->file, how->value_bytes);
}

void compact_facts_settle(compact_facts *facts, const version *all,
                          const compact_settling *how)
{
    for (size_t i = 0; i < facts->count; i++) {
        facts->parts[i].is_settled = is_settled(facts, all, &all->runs[i], how);
    }
}
