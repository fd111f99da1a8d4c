/*
 * What is live in runs of values, see compact_values.h.
 */
#include "tree/compact_values.h"

#include <stdlib.h>

#include "run/run_pointer.h"

/* Live shares below which values are moved, usually and if all is merged. */
enum { LIVE_PERCENT = 50, LIVE_PERCENT_ALL = 90, PERCENT = 100 };

/* A run of values that is smaller than this part of a full one is put together
 * with others, or small flushes would leave ever more files. */
enum { SMALL_SHARE = 16 };

static void add_named(const version *all, const cask_run *file, double left,
                      compact_values *values)
{
    for (uint32_t i = 0; i < file->footer.segments; i++) {
        run_named row = run_named_at(file, i);
        const version_values *one = version_find_values(all, row.id);

        if (one != NULL) {
            values->named_bytes[one - all->values] +=
                (uint64_t)((double)row.bytes * left);
        }
    }
}

cask_status compact_values_find(const version *all,
                                const compaction_part *parts, size_t count,
                                compact_values *ret_values, cask_error *err)
{
    compact_values values = {
        .named_bytes =
            calloc(all->values_count + 1, sizeof(*values.named_bytes))};

    if (values.named_bytes == NULL) {
        return fail_memory(err, (all->values_count + 1) * sizeof(uint64_t));
    }
    for (size_t i = 0; i < all->count; i++) {
        const cask_run *file = all->runs[i].file;
        double left =
            i < count ? (double)parts[i].bytes / (double)file->size : 1;

        add_named(all, file, left, &values);
    }
    *ret_values = values;
    return CASK_OK;
}

void compact_values_free(compact_values *values)
{
    free(values->named_bytes);
    values->named_bytes = NULL;
}

/* Bytes of all records, as pointers count them: without what fills them up, at
 * least. */
static uint64_t record_bytes(const cask_run *file)
{
    uint64_t bytes = file->footer.length - SEGMENT_HEADER_SIZE;
    uint64_t filling = file->footer.records * 7;

    return bytes > filling ? bytes - filling : 0;
}

static bool is_live(const compact_values *values, const version *all,
                    const version_values *one, unsigned percent)
{
    return (double)values->named_bytes[one - all->values] * PERCENT >=
           (double)record_bytes(one->file) * percent;
}

compact_values_wish compact_values_wish_of(uint64_t cut_bytes,
                                           uint64_t value_bytes, bool all)
{
    const uint64_t small = cut_bytes / SMALL_SHARE;

    return (compact_values_wish){.small_bytes = small,
                                 .lone_bytes = small,
                                 .least_bytes =
                                     value_bytes > 0 ? value_bytes : UINT64_MAX,
                                 .all = all};
}

/* Whether nobody would write it today: since a setting changed. */
static bool is_outgrown(const cask_run *file, const compact_values_wish *wish)
{
    const uint64_t records = file->footer.records;

    return file->size < wish->lone_bytes && records > 0 &&
           record_bytes(file) / records - RECORD_HEADER_SIZE <
               wish->least_bytes;
}

bool compact_values_are_due(const compact_values *values, const version *all,
                            const version_values *one,
                            const compact_values_wish *wish)
{
    return one->file != NULL && !one->is_held &&
           (one->file->size < wish->small_bytes ||
            is_outgrown(one->file, wish) ||
            !is_live(values, all, one,
                     wish->all ? LIVE_PERCENT_ALL : LIVE_PERCENT));
}

bool compact_values_are_several(const compact_values *values,
                                const version *all, const run_part *parts,
                                size_t count, const compact_values_wish *wish)
{
    const version_values *first = NULL;

    for (size_t i = 0; i < count; i++) {
        const cask_run *file = parts[i].file;

        for (uint32_t s = 0; s < file->footer.segments; s++) {
            const version_values *one =
                version_find_values(all, run_named_at(file, s).id);

            if (one == NULL || one == first ||
                !compact_values_are_due(values, all, one, wish)) {
                continue;
            }
            if (first != NULL) {
                return true;
            }
            first = one;
        }
    }
    return false;
}

uint64_t compact_values_stale(const compact_values *values, const version *all,
                              const cask_run *file)
{
    const compact_values_wish none = {.all = false};
    double stale = 0;

    for (uint32_t i = 0; i < file->footer.segments; i++) {
        run_named row = run_named_at(file, i);
        const version_values *one = version_find_values(all, row.id);

        if (one != NULL && compact_values_are_due(values, all, one, &none)) {
            uint64_t named = values->named_bytes[one - all->values];
            uint64_t dead = record_bytes(one->file) - named;

            stale += named > 0
                         ? (double)dead * (double)row.bytes / (double)named
                         : 0;
        }
    }
    return (uint64_t)stale;
}
