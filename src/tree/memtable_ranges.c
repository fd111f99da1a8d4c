/*
 * Deletions of ranges in a memtable: where their records are, in the order of
 * their sequences, in blocks that do not move. A row is published by the store
 * of their count; one that is stored again gets another place, and that may be
 * seen at any time, for both places have the same record.
 *
 * A block is taken before the row that needs it. Who dies in between leaves it
 * to the next one, and who died over a row has not counted it.
 */
#include "tree/memtable_ranges.h"

#include "tree/memtable_layout.h"

static _Atomic uint32_t *block_of(memtable *m, uint64_t index)
{
    return &m->range_block[index / MEMTABLE_BLOCK_RANGES];
}

static memtable_range_row *row_at(const memtable_view *view, uint64_t line,
                                  uint64_t index)
{
    memtable_range_row *rows = region_line(view->region, line);

    return &rows[index % MEMTABLE_BLOCK_RANGES];
}

/* ---- Reading ---- */

uint64_t memtable_range_count(const memtable_view *view)
{
    return memtable_load(&view->memtable->ranges);
}

memtable_result memtable_range_at(const memtable_view *view, uint64_t index,
                                  memtable_range *ret_range)
{
    memtable *m = view->memtable;
    const memtable_range_row *row;
    uint64_t line;

    if (index >= MEMTABLE_RANGES) {
        return MEMTABLE_NONE;
    }
    line = atomic_load_explicit(block_of(m, index), memory_order_acquire);
    /* Any line, if the memtable was freed. */
    if (line != 0 &&
        region_has_lines(view->region, line, MEMTABLE_BLOCK_LINES)) {
        row = row_at(view, line, index);
        *ret_range = (memtable_range){.sequence = memtable_load(&row->sequence),
                                      .place = memtable_load(&row->place)};
    } else {
        line = 0;
    }
    if (memtable_load(&m->life) != view->life) {
        return MEMTABLE_GONE;
    }
    return line != 0 ? MEMTABLE_FOUND : MEMTABLE_UNREADABLE;
}

/* ---- Writing ---- */

/* The row of a sequence; NULL: there is none. What is put again is the last. */
static memtable_range_row *find_row(const memtable_view *view,
                                    uint64_t sequence)
{
    memtable *m = view->memtable;

    for (uint64_t i = memtable_load(&m->ranges); i > 0; i--) {
        uint32_t line = memtable_own(block_of(m, i - 1));
        memtable_range_row *row = row_at(view, line, i - 1);
        uint64_t found = memtable_load(&row->sequence);

        if (found <= sequence) {
            return found == sequence ? row : NULL;
        }
    }
    return NULL;
}

static bool take_block(const memtable_view *view, uint64_t index)
{
    _Atomic uint32_t *block = block_of(view->memtable, index);
    uint64_t line;

    if (memtable_own(block) != 0) {
        return true;
    }
    line = memtable_take_lines(view, MEMTABLE_BLOCK_LINES);
    if (line == 0) {
        return false;
    }
    atomic_store_explicit(block, (uint32_t)line, memory_order_release);
    return true;
}

memtable_result memtable_put_range_locked(const memtable_view *view,
                                          memtable_range range)
{
    memtable *m = view->memtable;
    uint64_t count = memtable_load(&m->ranges);

    if (memtable_move_range_locked(view, range)) {
        return MEMTABLE_FOUND;
    }
    if (count == MEMTABLE_RANGES || !take_block(view, count)) {
        return MEMTABLE_FULL;
    }
    memtable_range_row *row =
        row_at(view, memtable_own(block_of(m, count)), count);

    memtable_set(&row->sequence, range.sequence);
    memtable_set(&row->place, range.place);
    memtable_set(&m->ranges, count + 1);
    return MEMTABLE_FOUND;
}

bool memtable_find_range_locked(const memtable_view *view, uint64_t sequence,
                                uint64_t *ret_place)
{
    const memtable_range_row *row = find_row(view, sequence);

    if (row != NULL) {
        *ret_place = memtable_load(&row->place);
    }
    return row != NULL;
}

bool memtable_move_range_locked(const memtable_view *view, memtable_range range)
{
    memtable_range_row *row = find_row(view, range.sequence);

    if (row != NULL) {
        memtable_set(&row->place, range.place);
    }
    return row != NULL;
}
