/*
 * Walking over the files of a sorted run, see run_input.h.
 */
#include "tree/run_input.h"

static const run_part *part_of(const run_input *input)
{
    return &input->parts[input->at];
}

/* Whether the record where the iterator is counts. */
static bool counts(const run_input *input, cask_slice key)
{
    return key_compare(key, part_of(input)->begin) >= 0;
}

static cask_status seek_here(run_input *input, cask_run_seek how,
                             cask_slice key, cask_run_entry *ret_entry,
                             cask_error *err)
{
    input->iterator.run = part_of(input)->file;
    return run_iterator_seek(&input->iterator, how, key, ret_entry, err);
}

/* ---- Forward ------------------------------------------------------------ */

/* The first record of this part that counts, of `key` or behind it. */
static cask_status enter(run_input *input, cask_slice key,
                         cask_run_entry *ret_entry, cask_error *err)
{
    return seek_here(input, CASK_RUN_AT_LEAST,
                     counts(input, key) ? key : part_of(input)->begin,
                     ret_entry, err);
}

/* If this part has no more, go on to the next ones. An empty key is less than
 * all others. */
static cask_status go_on(run_input *input, cask_status status,
                         cask_run_entry *ret_entry, cask_error *err)
{
    while (status == CASK_NOT_FOUND && input->at + 1 < input->count) {
        input->at++;
        status = enter(input, (cask_slice){NULL, 0}, ret_entry, err);
    }
    return status;
}

/* The first part that has records of `key` or behind it; or the last one. */
static size_t part_from(const run_input *input, cask_slice key)
{
    size_t low = 0;
    size_t high = input->count - 1;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (key_compare(input->parts[middle].file->largest, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- Backward ----------------------------------------------------------- */

/* If this part has no more that counts, go back to the ones before. */
static cask_status go_back(run_input *input, cask_status status,
                           cask_run_entry *ret_entry, cask_error *err)
{
    for (;;) {
        if (status == CASK_OK && !counts(input, ret_entry->key)) {
            status = CASK_NOT_FOUND;
        }
        if (status != CASK_NOT_FOUND || input->at == 0) {
            return status;
        }
        input->at--;
        status = seek_here(input, CASK_RUN_LAST, (cask_slice){NULL, 0},
                           ret_entry, err);
    }
}

/* ---- Calls -------------------------------------------------------------- */

static cask_status seek(void *self, cask_run_seek how, cask_slice key,
                        cask_run_entry *ret_entry, cask_error *err)
{
    run_input *input = self;
    bool is_end = how == CASK_RUN_FIRST || how == CASK_RUN_LAST;

    if (how == CASK_RUN_FIRST || how == CASK_RUN_AT_LEAST) {
        key = is_end ? (cask_slice){NULL, 0} : key;
        input->at = is_end ? 0 : part_from(input, key);
        return go_on(input, enter(input, key, ret_entry, err), ret_entry, err);
    }
    /* The part that has records behind the key may have none before it. */
    input->at = is_end ? input->count - 1 : part_from(input, key);
    return go_back(input, seek_here(input, how, key, ret_entry, err), ret_entry,
                   err);
}

static cask_status next(void *self, cask_run_entry *ret_entry, cask_error *err)
{
    run_input *input = self;
    cask_status status = run_iterator_next(&input->iterator, ret_entry, err);

    return status == CASK_OK ? CASK_OK : go_on(input, status, ret_entry, err);
}

static cask_status previous(void *self, cask_run_entry *ret_entry,
                            cask_error *err)
{
    run_input *input = self;
    cask_status status =
        run_iterator_previous(&input->iterator, ret_entry, err);

    return go_back(input, status, ret_entry, err);
}

const iter_input_ops run_input_ops = {seek, next, previous};

/* ---- Deletions of ranges ------------------------------------------------ */

size_t run_parts_count_ranges(const run_part *parts, size_t count)
{
    size_t ranges = 0;

    for (size_t i = 0; i < count; i++) {
        ranges += parts[i].file->ranges.count;
    }
    return ranges;
}

size_t run_parts_ranges(const run_part *parts, size_t count,
                        iter_range *ret_ranges)
{
    size_t written = 0;

    for (size_t i = 0; i < count; i++) {
        const run_ranges *ranges = &parts[i].file->ranges;
        cask_slice begin = parts[i].begin;

        for (uint32_t j = 0; j < ranges->count; j++) {
            iter_range range = {ranges->range[j].start, ranges->range[j].end,
                                ranges->range[j].sequence};

            if (key_compare(range.from, begin) < 0) {
                range.from = begin;
            }
            if (key_compare(range.from, range.to) < 0) {
                ret_ranges[written++] = range;
            }
        }
    }
    return written;
}
