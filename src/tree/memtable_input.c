/*
 * Walking over a memtable, see memtable_input.h.
 *
 * A record is copied before it is verified: the segment may be let go between
 * the two, if the memtable was freed. It is the one that the entry stands for
 * if it verifies and has the entry's sequence, which no other record has.
 *
 * The end of the log may be moved to another segment, and the index be led
 * there, while places are in hand. So what cannot be read is looked for again,
 * from the record that was there before, which stays in memory.
 */
#include "tree/memtable_input.h"

#include <inttypes.h>

#include "base/error.h"
#include "tree/memtable_layout.h"

/* How often an entry that cannot be read is looked for. The end of the log
 * would have to be moved between two looks each time. */
enum { LOOKS = 100 };

static bool is_alive(const memtable_input *input)
{
    return memtable_load(&input->view->memtable->life) == input->view->life;
}

static cask_status fail_gone(memtable_input *input, cask_error *err)
{
    input->is_gone = true;
    return fail(err, CASK_BUSY, 0, "the memtable was flushed meanwhile");
}

/* The cursor met an entry whose record it could not read. */
static cask_status fail_unreadable(memtable_input *input, cask_error *err)
{
    const region_handle *region = input->view->region;

    return region_is_covered(region)
               ? fail(err, CASK_CORRUPT, 0,
                      "an entry of a memtable leads to no record of the log; "
                      "close the store in all processes, then 'caskade "
                      "verify' tells what is damaged")
               : region_fail_uncovered(region, err);
}

static cask_status settle(memtable_input *input, memtable_result result,
                          cask_run_entry *ret_entry, cask_error *err)
{
    const memtable_records *records = input->records;
    memtable_entry *entry = &input->cursor.entry;
    cask_status status = CASK_CORRUPT;
    cask_buffer before = input->bytes;

    if (result == MEMTABLE_NONE) {
        return CASK_NOT_FOUND;
    }
    if (result == MEMTABLE_GONE) {
        return fail_gone(input, err);
    }
    if (result != MEMTABLE_FOUND) {
        return fail_unreadable(input, err);
    }
    status = records->read(records->context, entry->place, &input->spare,
                           ret_entry, err);
    if (status == CASK_OK && ret_entry->info.sequence == entry->sequence) {
        input->bytes = input->spare;
        input->spare = before;
        entry->key = ret_entry->key; /* the walk goes on by it */
        return CASK_OK;
    }
    if (!is_alive(input)) {
        return fail_gone(input, err);
    }
    return status != CASK_OK ? status : fail_unreadable(input, err);
}

/* Whether it may be there at another look. */
static bool is_worth(const memtable_input *input, cask_status status)
{
    return status == CASK_CORRUPT && !input->is_gone &&
           region_is_covered(input->view->region);
}

/* ---- Seek --------------------------------------------------------------- */

static memtable_result seek_once(memtable_input *input, cask_run_seek how,
                                 cask_slice key)
{
    memtable_cursor *cursor = &input->cursor;

    switch (how) {
    case CASK_RUN_FIRST:
        return memtable_seek_first(cursor, input->view);
    case CASK_RUN_LAST:
        return memtable_seek_last(cursor, input->view);
    case CASK_RUN_AT_LEAST:
        return memtable_seek(cursor, input->view, key, UINT64_MAX);
    case CASK_RUN_AT_MOST:
        break;
    }
    return memtable_seek_back(cursor, input->view, key, 0);
}

static cask_status seek(void *self, cask_run_seek how, cask_slice key,
                        cask_run_entry *ret_entry, cask_error *err)
{
    memtable_input *input = self;
    cask_status status;
    int i = 0;

    do {
        status = settle(input, seek_once(input, how, key), ret_entry, err);
    } while (is_worth(input, status) && ++i < LOOKS);
    return status;
}

/* ---- Step --------------------------------------------------------------- */

/* From the record (key, sequence), which may not be there any more: newer ones
 * than any snapshot are replaced. */
static memtable_result step_from(memtable_input *input, cask_slice key,
                                 uint64_t sequence, bool is_back)
{
    memtable_cursor *cursor = &input->cursor;
    memtable_result result =
        is_back ? memtable_seek_back(cursor, input->view, key, sequence)
                : memtable_seek(cursor, input->view, key, sequence);

    if (result != MEMTABLE_FOUND || cursor->entry.sequence != sequence) {
        return result;
    }
    return is_back ? memtable_previous(cursor) : memtable_next(cursor);
}

static cask_status step(memtable_input *input, bool is_back,
                        cask_run_entry *ret_entry, cask_error *err)
{
    const memtable_entry here = input->cursor.entry;
    memtable_result result = is_back ? memtable_previous(&input->cursor)
                                     : memtable_next(&input->cursor);
    cask_status status = settle(input, result, ret_entry, err);

    for (int i = 0; i < LOOKS && is_worth(input, status); i++) {
        result = step_from(input, here.key, here.sequence, is_back);
        status = settle(input, result, ret_entry, err);
    }
    return status;
}

static cask_status next(void *self, cask_run_entry *ret_entry, cask_error *err)
{
    return step(self, false, ret_entry, err);
}

static cask_status previous(void *self, cask_run_entry *ret_entry,
                            cask_error *err)
{
    return step(self, true, ret_entry, err);
}

const iter_input_ops memtable_input_ops = {seek, next, previous};

void memtable_input_done(memtable_input *input)
{
    cask_buffer_free(&input->bytes);
    cask_buffer_free(&input->spare);
}
