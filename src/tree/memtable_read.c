/*
 * Finding entries, and walking over them.
 */
#include <string.h>

#include "tree/memtable_search.h"

/* Attempts of a reader. Writers that change its way each time would have to
 * replace nodes thousands of times while it looks at four: rather the memory is
 * damaged. */
enum { ATTEMPTS = 10000 };

/* Records of a walk that are fetched ahead. */
enum { AHEAD = 8 };

static bool is_alive(const memtable_view *view)
{
    return memtable_load(&view->memtable->life) == view->life;
}

/* ---- One entry ---- */

static bool is_key(const memtable_entry *entry, cask_slice key)
{
    return entry->key.size == key.size &&
           (key.size == 0 || memcmp(entry->key.data, key.data, key.size) == 0);
}

/* The key's entry at the position of a search, if it is there. */
static memtable_result match(memtable_search *s, memtable_entry *ret_entry)
{
    uint32_t stored;

    if (!s->is_tied) {
        return MEMTABLE_NONE;
    }
    stored = search_place(s, s->position);
    if (s->compared_place != stored &&
        !memtable_read(s->view, stored, &s->compared)) {
        return MEMTABLE_UNREADABLE;
    }
    if (!is_key(&s->compared, s->key)) {
        return memtable_verify(s->view, s->compared.place)
                   ? MEMTABLE_NONE
                   : MEMTABLE_UNREADABLE;
    }
    *ret_entry = s->compared;
    return MEMTABLE_FOUND;
}

static memtable_step_result try_find(memtable_search *s,
                                     memtable_result *ret_result,
                                     memtable_entry *ret_entry)
{
    memtable_step_result step = search_from_root(s, WAY_BY_KEY);

    while (step == STEP_OK && s->position == s->count && !s->unreadable) {
        step = search_sibling(s, false);
    }
    *ret_result = MEMTABLE_NONE;
    if (step != STEP_OK) {
        return step;
    }
    *ret_result = s->unreadable ? MEMTABLE_UNREADABLE : match(s, ret_entry);
    return search_is_current(s) ? STEP_OK : STEP_CHANGED;
}

memtable_result memtable_find(const memtable_view *view, cask_slice key,
                              uint64_t hash, uint64_t sequence,
                              memtable_entry *ret_entry)
{
    memtable_search s;
    memtable_result result = MEMTABLE_NONE;
    memtable_entry entry = {0, 0, {NULL, 0}};

    s.view = view;
    s.key = key;
    s.sequence = sequence;
    s.after = false;
    if (memtable_filter_has(view, hash)) {
        for (int i = 0; try_find(&s, &result, &entry) == STEP_CHANGED; i++) {
            if (!is_alive(view)) {
                return MEMTABLE_GONE;
            }
            if (i == ATTEMPTS) {
                return MEMTABLE_UNREADABLE;
            }
        }
    }
    if (!is_alive(view)) {
        return MEMTABLE_GONE;
    }
    if (result == MEMTABLE_FOUND) {
        *ret_entry = entry;
    }
    return result;
}

/* ---- Rank ---- */

/* The part of all entries that is before where a search has ended. */
static double part_before(const memtable_search *s)
{
    double part = s->count > 0 ? (double)s->position / s->count : 0;

    for (uint32_t i = s->depth; i > 0; i--) {
        const memtable_step *step = &s->path[i - 1];

        part = (step->index + part) / (step->count + 1);
    }
    return part;
}

memtable_result memtable_rank(const memtable_view *view, cask_slice key,
                              uint64_t *ret_rank)
{
    memtable_search s;
    memtable_step_result step;
    int i = 0;

    s.view = view;
    s.key = key;
    s.sequence = UINT64_MAX;
    s.after = false;
    do {
        step = search_from_root(&s, WAY_BY_KEY);
        if (!is_alive(view)) {
            return MEMTABLE_GONE;
        }
    } while (step == STEP_CHANGED && i++ < ATTEMPTS);
    if (step != STEP_OK || s.unreadable) {
        return MEMTABLE_UNREADABLE;
    }
    *ret_rank = (uint64_t)(part_before(&s) * (double)memtable_count(view));
    return MEMTABLE_FOUND;
}

/* ---- Walks ---- */

/* Read the record where the cursor is. */
static memtable_result arrive(memtable_cursor *cursor)
{
    const memtable_view *view = cursor->view;
    bool is_read =
        memtable_read(view, cursor->place[cursor->at], &cursor->entry);

    if (!is_alive(view)) {
        return MEMTABLE_GONE;
    }
    return is_read ? MEMTABLE_FOUND : MEMTABLE_UNREADABLE;
}

static void prefetch(const memtable_cursor *cursor, uint32_t index)
{
    const memtable_view *view = cursor->view;

    if (index < cursor->count) {
        view->log->prefetch(view->log->context,
                            short_place(view->memtable, cursor->place[index]));
    }
}

/* Copy the leaf at which a search has ended. */
static memtable_step_result copy(memtable_cursor *cursor, memtable_search *s,
                                 bool back)
{
    cursor->count = s->count;
    cursor->at = back ? s->position - 1 : s->position;
    for (uint32_t i = 0; i < s->count; i++) {
        cursor->place[i] = search_place(s, i);
    }
    return search_is_current(s) ? STEP_OK : STEP_CHANGED;
}

/* Back from the end of a leaf: the first entry of the next one may be before
 * what is looked for, too; see memtable_search.c. */
static memtable_step_result look_ahead(memtable_search *s)
{
    memtable_search next = *s;
    memtable_step_result step = search_sibling(&next, false);

    if (step == STEP_OK && next.position > 0) {
        *s = next;
    }
    s->unreadable = next.unreadable;
    return step == STEP_CHANGED ? STEP_CHANGED : STEP_OK;
}

static memtable_step_result try_seek(memtable_cursor *cursor,
                                     memtable_search *s, memtable_way way,
                                     bool back)
{
    memtable_step_result step = search_from_root(s, way);

    if (step == STEP_OK && back && way == WAY_BY_KEY &&
        s->position == s->count) {
        step = look_ahead(s);
    }
    while (step == STEP_OK && !s->unreadable &&
           s->position == (back ? 0 : s->count)) {
        step = search_sibling(s, back);
    }
    return step == STEP_OK && !s->unreadable ? copy(cursor, s, back) : step;
}

static memtable_result seek(memtable_cursor *cursor, memtable_search *s,
                            memtable_way way, bool back)
{
    memtable_step_result step;
    int i = 0;

    cursor->view = s->view;
    do {
        step = try_seek(cursor, s, way, back);
        if (!is_alive(s->view)) {
            return MEMTABLE_GONE;
        }
    } while (step == STEP_CHANGED && i++ < ATTEMPTS);
    if (step == STEP_END) {
        return MEMTABLE_NONE;
    }
    if (step == STEP_CHANGED || s->unreadable) {
        return MEMTABLE_UNREADABLE;
    }
    for (uint32_t j = 0; j < AHEAD; j++) {
        prefetch(cursor, back ? cursor->at - j : cursor->at + j);
    }
    return arrive(cursor);
}

/* To the first entry from (key, sequence) on, or the last one before it. */
static memtable_result seek_key(memtable_cursor *cursor,
                                const memtable_view *view, cask_slice key,
                                uint64_t sequence, bool after, bool back)
{
    memtable_search s;

    s.view = view;
    s.key = key;
    s.sequence = sequence;
    s.after = after;
    return seek(cursor, &s, WAY_BY_KEY, back);
}

static memtable_result seek_end(memtable_cursor *cursor,
                                const memtable_view *view, memtable_way way)
{
    bool is_last = way == WAY_LAST;
    memtable_search s;

    s.view = view;
    s.key = (cask_slice){NULL, 0};
    s.sequence = is_last ? 0 : UINT64_MAX;
    s.after = is_last;
    return seek(cursor, &s, way, is_last);
}

memtable_result memtable_seek(memtable_cursor *cursor,
                              const memtable_view *view, cask_slice key,
                              uint64_t sequence)
{
    return seek_key(cursor, view, key, sequence, false, false);
}

memtable_result memtable_seek_back(memtable_cursor *cursor,
                                   const memtable_view *view, cask_slice key,
                                   uint64_t sequence)
{
    return seek_key(cursor, view, key, sequence, true, true);
}

memtable_result memtable_seek_first(memtable_cursor *cursor,
                                    const memtable_view *view)
{
    return seek_end(cursor, view, WAY_FIRST);
}

memtable_result memtable_seek_last(memtable_cursor *cursor,
                                   const memtable_view *view)
{
    return seek_end(cursor, view, WAY_LAST);
}

/* The leaf that was copied is at its end: on from its last entry, or back from
 * its first, by key and sequence. */
static memtable_result leave(memtable_cursor *cursor, bool back)
{
    return seek_key(cursor, cursor->view, cursor->entry.key,
                    cursor->entry.sequence, !back, back);
}

memtable_result memtable_next(memtable_cursor *cursor)
{
    if (cursor->at + 1 == cursor->count) {
        return leave(cursor, false);
    }
    cursor->at++;
    prefetch(cursor, cursor->at + AHEAD);
    return arrive(cursor);
}

memtable_result memtable_previous(memtable_cursor *cursor)
{
    if (cursor->at == 0) {
        return leave(cursor, true);
    }
    cursor->at--;
    prefetch(cursor, cursor->at - AHEAD);
    return arrive(cursor);
}
