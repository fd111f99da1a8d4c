/*
 * Deletions of ranges of a memtable that becomes a run, see ranges_rest.h.
 */
#include "tree/ranges_rest.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/key_order.h"
#include "region/region.h"

static cask_status add(ranges_rest *rest, tree_ranges *all,
                       const memtable_view *view, uint64_t index,
                       cask_error *err)
{
    cask_buffer *bytes = &rest->bytes[rest->count];
    memtable_range row = {.sequence = 0};
    cask_run_entry entry = {.key = {NULL, 0}};
    cask_status status = tree_ranges_read(all, view, index, bytes, &entry, err);

    if (status == CASK_OK) {
        rest->ranges[rest->count++] = (iter_range){
            entry.key, key_end_of(entry.value), entry.info.sequence};
    } else if (status == CASK_CORRUPT && region_is_covered(view->region) &&
               memtable_range_at(view, index, &row) == MEMTABLE_FOUND) {
        rest->gaps[rest->gap_count++] =
            (memtable_gap){.place = row.place, .sequence = row.sequence};
        status = CASK_OK;
    }
    return status;
}

cask_status ranges_rest_find(ranges_rest *rest, tree_ranges *all,
                             const memtable_view *view, cask_error *err)
{
    uint64_t count = memtable_range_count(view);
    cask_status status = CASK_OK;

    if (count == 0) {
        return CASK_OK;
    }
    rest->ranges = calloc(count, sizeof(*rest->ranges));
    rest->bytes = calloc(count, sizeof(*rest->bytes));
    rest->gaps = calloc(count, sizeof(*rest->gaps));
    if (rest->ranges == NULL || rest->bytes == NULL || rest->gaps == NULL) {
        return fail_memory(err, count * sizeof(*rest->gaps));
    }
    rest->rows = count;
    for (uint64_t i = 0; i < count && status == CASK_OK; i++) {
        status = add(rest, all, view, i, err);
    }
    return status;
}

void ranges_rest_free(ranges_rest *rest)
{
    for (size_t i = 0; i < rest->rows; i++) {
        cask_buffer_free(&rest->bytes[i]);
    }
    free(rest->ranges);
    free(rest->bytes);
    free(rest->gaps);
}
