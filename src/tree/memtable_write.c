/*
 * Putting an entry: aim, and store.
 *
 * Room is made before the entry is stored, by steps that change nothing for
 * readers and are each published by one store: a full inner node on the way is
 * split, then the leaf is, or is built anew with a shorter prefix. After each
 * step the way is searched again. So whoever dies leaves a tree that is whole.
 */
#include <string.h>

#include "base/bytes.h"
#include "tree/memtable_build.h"
#include "tree/memtable_ranges.h"

/* Nodes that one put may take before it gives any back. */
enum { SPARE_INNERS = 3 * MEMTABLE_LEVELS / 2 };

/* Lines for as many ranges as one operation may delete. */
enum {
    SPARE_BLOCKS = (MEMTABLE_RANGES_USUAL / MEMTABLE_BLOCK_RANGES + 1) *
                   MEMTABLE_BLOCK_LINES
};

/* Windows that one operation may need: those of the largest segment. */
enum { SPARE_WINDOWS = 64 };

/* ---- Room ---- */

/* Lines, at the very most. Each leaf that there is may be full, and of those
 * that are made each 16th put can fill one. */
static uint64_t lines_needed(const memtable *m, uint64_t count)
{
    uint64_t leaves = atomic_load_explicit(&m->bump, memory_order_relaxed) /
                      MEMTABLE_LEAF_LINES;
    uint64_t splits =
        count < leaves ? count : leaves + (count - leaves) / 16 + 1;

    return splits * (MEMTABLE_LEAF_LINES + 1) + SPARE_BLOCKS +
           SPARE_INNERS * MEMTABLE_INNER_LINES;
}

/* Chunks beyond those that it has. At the end of each an inner node may not
 * fit. */
static uint64_t chunks_needed(const memtable *m, uint64_t count)
{
    uint64_t lines = lines_needed(m, count);
    uint64_t used = atomic_load_explicit(&m->bump, memory_order_relaxed) %
                    MEMTABLE_CHUNK_LINES;
    uint64_t left = used == 0 ? 0 : MEMTABLE_CHUNK_LINES - used;
    const uint64_t each = MEMTABLE_CHUNK_LINES - MEMTABLE_INNER_LINES;

    return lines + MEMTABLE_INNER_LINES <= left ? 0 : (lines - 1) / each + 1;
}

uint64_t memtable_reserve_lines(const memtable_view *view, uint64_t count)
{
    return chunks_needed(view->memtable, count) * MEMTABLE_CHUNK_LINES;
}

bool memtable_has_room_locked(const memtable_view *view, uint64_t count)
{
    const memtable *m = view->memtable;

    return memtable_own(&m->window_count) + SPARE_WINDOWS <= MEMTABLE_WINDOWS &&
           memtable_own(&m->chunk_count) + chunks_needed(m, count) <=
               MEMTABLE_CHUNKS;
}

/* ---- Short places ---- */

bool memtable_find_window(memtable *m, uint64_t place, uint32_t *ret_window)
{
    uint32_t count = memtable_own(&m->window_count);
    uint32_t key = window_key(place);

    /* The last ones are the most likely. */
    for (uint32_t i = count; i > 0; i--) {
        if (memtable_own(&m->window[i - 1]) == key) {
            *ret_window = i - 1;
            return true;
        }
    }
    if (count == MEMTABLE_WINDOWS) {
        return false;
    }
    atomic_store_explicit(&m->window[count], key, memory_order_release);
    atomic_store_explicit(&m->window_count, count + 1, memory_order_release);
    *ret_window = count;
    return true;
}

/* ---- Replacing nodes ---- */

/* The word that leads to the node at a depth of the search. */
static _Atomic uint64_t *word_to(const memtable_search *s, uint32_t depth)
{
    const memtable_step *above;

    if (depth == 0) {
        return &s->view->memtable->root;
    }
    above = &s->path[depth - 1];
    return &above->inner->child[above->index];
}

static void replace_one(const memtable_search *s, uint64_t reference)
{
    memtable_set(word_to(s, s->depth), reference);
    memtable_give_node(s->view, s->reference, 0);
}

/* Two nodes, and the fence between them. */
typedef struct halves {
    uint64_t first;
    uint64_t second;
    uint32_t level;
    uint32_t fence; /* short place */
} halves;

/* Put a fence and its second child behind child `at`. The prefix may get
 * shorter. */
static bool add_fence(memtable_draft *draft, const memtable_view *view,
                      uint32_t at, const halves *parts)
{
    uint32_t behind = draft->count - at;
    memtable_entry entry;

    if (!memtable_read(view, parts->fence, &entry)) {
        return false;
    }
    draft_widen(draft, entry.key);
    memmove(draft->head + at + 1, draft->head + at,
            behind * sizeof(draft->head[0]));
    memmove(draft->place + at + 1, draft->place + at,
            behind * sizeof(draft->place[0]));
    memmove(draft->child + at + 2, draft->child + at + 1,
            behind * sizeof(draft->child[0]));
    draft->head[at] = memtable_head(entry.key, draft->skip);
    draft->place[at] = parts->fence;
    draft->child[at] = parts->first;
    draft->child[at + 1] = parts->second;
    draft->count++;
    return true;
}

/* Replace the node at a depth by two: the node above is built anew, which has
 * room, or a new root. */
static memtable_result replace_by_two(const memtable_search *s, uint32_t depth,
                                      const halves *parts)
{
    const memtable_step *above = depth == 0 ? NULL : &s->path[depth - 1];
    uint64_t old = depth == s->depth ? s->reference : s->path[depth].reference;
    memtable_draft draft;
    uint64_t reference;

    if (above == NULL) {
        memset(&draft, 0, sizeof(draft));
        draft.level = parts->level + 1;
    } else {
        draft_of_inner(&draft, above);
    }
    if (!add_fence(&draft, s->view, above == NULL ? 0 : above->index, parts) ||
        !draft_sharpen(&draft, s->view)) {
        return MEMTABLE_UNREADABLE;
    }
    reference = draft_write(&draft, s->view);
    if (reference == 0) {
        return MEMTABLE_FULL;
    }
    memtable_set(word_to(s, depth == 0 ? 0 : depth - 1), reference);
    if (above != NULL) {
        memtable_give_node(s->view, above->reference, draft.level);
    }
    memtable_give_node(s->view, old, parts->level);
    return MEMTABLE_FOUND;
}

/* Write items `from` to `from + count` of a draft as a node of their own. */
static memtable_result write_part(const memtable_draft *whole,
                                  const memtable_view *view, uint32_t from,
                                  uint32_t count, uint64_t *ret_reference)
{
    memtable_draft part = *whole;

    draft_cut(&part, from, count);
    if (!draft_sharpen(&part, view)) {
        return MEMTABLE_UNREADABLE;
    }
    *ret_reference = draft_write(&part, view);
    return *ret_reference == 0 ? MEMTABLE_FULL : MEMTABLE_FOUND;
}

/* Split a node so that `at` items go to the first half. The item behind is the
 * fence; in a leaf it is also the first of the second half. */
static memtable_result split(const memtable_search *s, uint32_t depth,
                             const memtable_draft *draft, uint32_t at)
{
    uint32_t skipped = draft->level == 0 ? 0 : 1;
    halves parts = {0, 0, draft->level, draft->place[at]};
    memtable_result result = write_part(draft, s->view, 0, at, &parts.first);

    if (result == MEMTABLE_FOUND) {
        result = write_part(draft, s->view, at + skipped,
                            draft->count - at - skipped, &parts.second);
    }
    if (result == MEMTABLE_FOUND) {
        result = replace_by_two(s, depth, &parts);
    }
    if (result != MEMTABLE_FOUND) {
        if (parts.first != 0) {
            memtable_give_node(s->view, parts.first, draft->level);
        }
        if (parts.second != 0) {
            memtable_give_node(s->view, parts.second, draft->level);
        }
    }
    return result;
}

/* ---- Making room ---- */

static bool is_rightmost(const memtable_search *s)
{
    for (uint32_t i = 0; i < s->depth; i++) {
        if (s->path[i].index < s->path[i].count) {
            return false;
        }
    }
    return true;
}

/* Entries of a full leaf for its first half. Keys that come in order leave full
 * leaves behind; but no half has less than a quarter elsewhere than at the end
 * of all, or some keys could be chosen that leave nearly empty ones. */
static uint32_t split_point(const memtable_search *s)
{
    if (s->position == 0) {
        return s->count / 4;
    }
    if (s->position < s->count) {
        return s->count / 2;
    }
    return is_rightmost(s) ? s->count - 1 : s->count - s->count / 4;
}

static memtable_result split_leaf(const memtable_search *s)
{
    memtable_draft draft;

    for (uint32_t i = 0; i < s->depth; i++) {
        if (s->path[i].count == MEMTABLE_FENCES) {
            draft_of_inner(&draft, &s->path[i]);
            return split(s, i, &draft, MEMTABLE_FENCES / 2);
        }
    }
    draft_of_leaf(&draft, s);
    /* Or the next keys in order would not be told apart in their leaf, either:
     * of a single entry nothing is known. */
    return draft_sharpen(&draft, s->view)
               ? split(s, s->depth, &draft, split_point(s))
               : MEMTABLE_UNREADABLE;
}

static memtable_result widen_leaf(const memtable_search *s)
{
    memtable_draft draft;
    uint64_t reference;

    draft_of_leaf(&draft, s);
    draft_widen(&draft, s->key);
    reference = draft_write(&draft, s->view);
    if (reference == 0) {
        return MEMTABLE_FULL;
    }
    replace_one(s, reference);
    return MEMTABLE_FOUND;
}

/* One step towards room for an entry in the leaf. MEMTABLE_NONE: there is
 * room. */
static memtable_result make_room(const memtable_search *s)
{
    uint32_t skip;

    if (s->count == MEMTABLE_LEAF_SLOTS) {
        return split_leaf(s);
    }
    if (memtable_compare_prefix(&s->leaf->node, s->key, &skip) != 0) {
        return widen_leaf(s);
    }
    return MEMTABLE_NONE;
}

/* ---- Aiming ---- */

/* Whether a search has found an entry of the key; where it is, and whose. What
 * the aim says of it holds if the entry is not newer than the record. */
static memtable_result find_old(memtable_search *s, memtable_aim *aim)
{
    memtable_step_result step = STEP_OK;
    const memtable_entry *old = &s->compared;
    uint32_t stored;

    while (step == STEP_OK && s->position == s->count && !s->unreadable) {
        step = search_sibling(s, false);
    }
    if (step == STEP_CHANGED || s->unreadable) {
        return MEMTABLE_UNREADABLE; /* nobody else changes anything */
    }
    if (step == STEP_END || !s->is_tied) {
        return MEMTABLE_NONE;
    }
    stored = search_place(s, s->position);
    if (s->compared_place != stored &&
        !memtable_read(s->view, stored, &s->compared)) {
        return MEMTABLE_UNREADABLE;
    }
    if (old->key.size != s->key.size ||
        (old->key.size > 0 &&
         memcmp(old->key.data, s->key.data, old->key.size) != 0)) {
        return MEMTABLE_NONE;
    }
    aim->old_place = old->place;
    aim->is_again = old->sequence == aim->put.sequence;
    aim->replaces = aim->is_again || old->sequence > aim->put.snapshot;
    aim->leaf = s->leaf;
    aim->slot = s->order[s->position];
    return MEMTABLE_FOUND;
}

/*
 * The key has an entry that is newer than the record: so that was put before.
 * Its entry is among the older ones, which snapshots need, or was replaced;
 * then there is nothing to do. `newest` has found the newer one.
 */
static memtable_result aim_at_past(const memtable_search *newest,
                                   memtable_aim *aim)
{
    memtable_search s = *newest;
    uint64_t newest_place = aim->old_place;
    memtable_result found;

    s.sequence = aim->put.sequence;
    if (search_from_root(&s, WAY_BY_KEY) != STEP_OK || s.unreadable) {
        return MEMTABLE_UNREADABLE;
    }
    found = find_old(&s, aim);
    if (found == MEMTABLE_UNREADABLE) {
        return found;
    }
    if (found == MEMTABLE_NONE || !aim->is_again) {
        aim->old_place = newest_place;
        aim->is_again = false;
        aim->replaces = false;
        aim->is_past = true;
    }
    return MEMTABLE_FOUND;
}

/* Whether the key belongs behind all entries; then the search is there. Keys
 * that come in order need no search, as long as their heads tell. */
static bool is_behind_all(memtable_search *s)
{
    uint64_t last;
    uint32_t skip;
    int order;

    if (search_from_root(s, WAY_LAST) != STEP_OK || s->count == 0) {
        return false;
    }
    order = memtable_compare_prefix(&s->leaf->node, s->key, &skip);
    last = memtable_load(&s->leaf->head[s->order[s->count - 1]]);
    return order > 0 || (order == 0 && memtable_head(s->key, skip) > last);
}

static void aim_at_new(const memtable_search *s, memtable_aim *aim)
{
    aim->leaf = s->leaf;
    aim->slot = s->count;
    aim->position = s->position;
}

/* Most keys that come in order go into the leaf where the last one went. */
static bool aim_at_last(const memtable_view *view, memtable_aim *aim)
{
    memtable_leaf *leaf;
    uint32_t count;

    if (!search_is_behind(view, aim->put.key, view->memtable->last_leaf, &leaf,
                          &count)) {
        return false;
    }
    aim->leaf = leaf;
    aim->slot = count;
    aim->position = count;
    return true;
}

/* Before nodes are replaced: whoever dies while a leaf is no part of the tree
 * any more, and not free yet, must leave nothing that leads to it. */
static void forget_last(memtable *m)
{
    m->last_leaf = 0;
    atomic_signal_fence(memory_order_seq_cst);
}

/* Search for the key, and for the entry that it has. */
static memtable_result aim_by_key(memtable_search *s, memtable_aim *aim)
{
    memtable_search old;
    memtable_result found;

    if (search_from_root(s, WAY_BY_KEY) != STEP_OK || s->unreadable) {
        return MEMTABLE_UNREADABLE;
    }
    old = *s;
    found = find_old(&old, aim);
    return found == MEMTABLE_FOUND && old.compared.sequence > aim->put.sequence
               ? aim_at_past(s, aim)
               : found;
}

memtable_result memtable_aim_locked(const memtable_view *view,
                                    const memtable_put *put,
                                    memtable_aim *ret_aim)
{
    memtable *m = view->memtable;
    bool is_ascending = m->last_leaf != 0;
    uint32_t window;
    memtable_result room;

    if (!memtable_find_window(m, put->place, &window)) {
        return MEMTABLE_FULL;
    }
    do {
        memtable_aim aim = {.put = *put,
                            .short_place = short_make(window, put->place)};
        memtable_search s;
        memtable_result found;

        if (is_ascending && aim_at_last(view, &aim)) {
            *ret_aim = aim;
            return MEMTABLE_NONE;
        }
        s.view = view;
        s.key = put->key;
        s.sequence = UINT64_MAX; /* before all entries of the key */
        s.after = false;
        found = is_ascending && is_behind_all(&s) ? MEMTABLE_NONE
                                                  : aim_by_key(&s, &aim);
        room = MEMTABLE_NONE;
        if (found != MEMTABLE_UNREADABLE && !aim.is_past && !aim.replaces) {
            forget_last(m);
            room = make_room(&s);
            aim_at_new(&s, &aim);
            if (room == MEMTABLE_NONE && s.position == s.count &&
                is_rightmost(&s)) {
                m->last_leaf = s.reference;
            }
        }
        if (room == MEMTABLE_NONE) {
            *ret_aim = aim;
            return found;
        }
    } while (room == MEMTABLE_FOUND);
    return room;
}

/* ---- Storing ---- */

static void replace(memtable *m, const memtable_aim *aim)
{
    memtable_leaf *leaf = aim->leaf;

    atomic_store_explicit(&leaf->place[aim->slot], aim->short_place,
                          memory_order_release);
    /* It was added, with others perhaps, by a writer that died before it
     * counted them. */
    if (aim->is_again && m->begun_sequence != 0 &&
        aim->put.sequence - m->begun_sequence < m->begun_count) {
        memtable_end_count(m);
    }
}

/* The permutation that does not hold yet: the other one, with the new slot. */
static void write_order(memtable_leaf *leaf, uint32_t count, uint32_t position)
{
    uint8_t order[MEMTABLE_LEAF_SLOTS];

    for (unsigned i = 0; i < MEMTABLE_LEAF_SLOTS / 8; i++) {
        store_u64(order + (size_t)8 * i,
                  memtable_load(&leaf->order[count & 1][i]));
    }
    memmove(order + position + 1, order + position,
            MEMTABLE_LEAF_SLOTS - 1 - position);
    order[position] = (uint8_t)count;
    for (unsigned i = 0; i < MEMTABLE_LEAF_SLOTS / 8; i++) {
        memtable_set(&leaf->order[(count + 1) & 1][i],
                     load_u64(order + (size_t)8 * i));
    }
}

static void add(memtable *m, const memtable_aim *aim)
{
    memtable_leaf *leaf = aim->leaf;
    uint32_t skip = (uint32_t)memtable_load(&leaf->node.skip);

    memtable_begin_count(m, aim->put.sequence, 1);
    memtable_set(&leaf->head[aim->slot], memtable_head(aim->put.key, skip));
    atomic_store_explicit(&leaf->place[aim->slot], aim->short_place,
                          memory_order_release);
    write_order(leaf, aim->slot, aim->position);
    memtable_set(&leaf->node.word, memtable_load(&leaf->node.word) + 1);
    memtable_end_count(m);
}

void memtable_store_locked(const memtable_view *view, const memtable_aim *aim)
{
    if (aim->is_past) {
        return;
    }
    if (aim->replaces) {
        replace(view->memtable, aim);
    } else {
        memtable_filter_add(view, aim->put.hash);
        add(view->memtable, aim);
    }
}
