/*
 * Searching. In a node the heads are searched first; where several entries have
 * the head that is looked for, their records decide.
 *
 * Nothing that is read here is believed before the node's word has been loaded
 * again: until then it may be of a node that was used again, or of other
 * memory. So every line, count and slot is checked or masked before it is used.
 *
 * An entry that was replaced in place may be newer than the fence before it,
 * which is its predecessor. Then it lies one leaf further than its sequence
 * says. That is why who comes to the end of a leaf searches in the next one,
 * too.
 */
#include "tree/memtable_search.h"

#include <string.h>

#include "base/bytes.h"
#include "base/key_order.h"

bool memtable_read(const memtable_view *view, uint32_t stored,
                   memtable_entry *ret_entry)
{
    uint64_t place = short_place(view->memtable, stored);

    if (!view->log->read(view->log->context, place, ret_entry)) {
        return false;
    }
    ret_entry->place = place;
    return true;
}

/* ---- Comparing ---- */

/* Whether the entry at a place counts as before what is looked for. */
static bool is_before(memtable_search *s, uint32_t stored)
{
    const memtable_entry *entry = &s->compared;
    int order;

    if (!memtable_read(s->view, stored, &s->compared)) {
        s->unreadable = true;
        return false;
    }
    s->compared_place = stored;
    order = key_compare(entry->key, s->key);
    if (order != 0 && !memtable_verify(s->view, entry->place)) {
        s->unreadable = true; /* it may be of this key, or elsewhere */
        return false;
    }
    if (order == 0) {
        /* The newer ones first. */
        order =
            (entry->sequence < s->sequence) - (entry->sequence > s->sequence);
    }
    return order < 0 || (order == 0 && s->after);
}

/* ---- Positions ---- */

/* Items of a node in order: the slots of a leaf through its permutation
 * (`order`), or the fences of an inner node (NULL). */
typedef struct items {
    const _Atomic uint64_t *head;
    const _Atomic uint32_t *place;
    const uint8_t *order;
    uint32_t count;
} items;

static inline uint32_t slot_at(items in, uint32_t index)
{
    return in.order == NULL ? index : in.order[index];
}

/* Whether the head at an index is below `head`, or, `equal`, not above it. */
static inline bool is_below(items in, uint32_t index, uint64_t head, bool equal)
{
    uint64_t found = memtable_load(&in.head[slot_at(in, index)]);

    return equal ? found <= head : found < head;
}

/* The first index from `from` on whose head is not below. No branch depends on
 * what was read. */
static inline uint32_t heads_below(items in, uint32_t from, uint64_t head,
                                   bool equal)
{
    uint32_t at = from;
    uint32_t count = in.count - from;

    while (count > 1) {
        uint32_t half = count / 2;

        at = is_below(in, at + half - 1, head, equal) ? at + half : at;
        count -= half;
    }
    return count == 1 && is_below(in, at, head, equal) ? at + 1 : at;
}

/* Of items with the same head; their records decide. */
static uint32_t among_tied(memtable_search *s, items in, uint32_t from,
                           uint32_t to)
{
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        uint32_t stored = atomic_load_explicit(&in.place[slot_at(in, middle)],
                                               memory_order_acquire);

        if (is_before(s, stored)) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* How many items are before what is looked for. Inlined, so that there is one
 * of it for leaves and one for inner nodes. */
__attribute__((always_inline)) static inline uint32_t
position_in(memtable_search *s, items in, uint64_t head)
{
    uint32_t from = heads_below(in, 0, head, false);
    uint32_t to = from + 1;
    uint32_t position;

    s->is_tied = false;
    if (from == in.count ||
        memtable_load(&in.head[slot_at(in, from)]) != head) {
        return from;
    }
    if (to < in.count && memtable_load(&in.head[slot_at(in, to)]) == head) {
        to = heads_below(in, to, head, true);
    }
    position = among_tied(s, in, from, to);
    s->is_tied = position < to;
    return position;
}

static uint32_t position_of_child(memtable_search *s, const memtable_inner *n,
                                  uint32_t count)
{
    const items in = {n->head, n->fence, NULL, count};
    bool after = s->after;
    uint32_t skip;
    int order = memtable_compare_prefix(&n->node, s->key, &skip);
    uint32_t position;

    if (order != 0) {
        return order < 0 ? 0 : count;
    }
    s->after = true; /* what equals a fence is behind it */
    position = position_in(s, in, memtable_head(s->key, skip));
    s->after = after;
    return position;
}

static void position_in_leaf(memtable_search *s)
{
    const memtable_leaf *leaf = s->leaf;
    const items in = {leaf->head, leaf->place, s->order, s->count};
    uint32_t skip;
    int order = memtable_compare_prefix(&leaf->node, s->key, &skip);

    s->is_tied = false;
    if (order != 0) {
        s->position = order < 0 ? 0 : s->count;
        return;
    }
    s->position = position_in(s, in, memtable_head(s->key, skip));
}

/* ---- Nodes ---- */

/* The node's word, if it has the generation and fits; else 0. */
static uint64_t open_node(const memtable_view *view, uint64_t reference,
                          memtable_node **ret_node)
{
    uint64_t line = reference_line(reference);
    memtable_node *node = region_line(view->region, line);
    uint64_t word;

    if (!region_has_lines(view->region, line, MEMTABLE_LEAF_LINES)) {
        return 0;
    }
    word = memtable_load(&node->word);
    if (node_generation(word) != reference_generation(reference) ||
        (node_level(word) == 0 ? node_count(word) > MEMTABLE_LEAF_SLOTS
                               : node_count(word) > MEMTABLE_FENCES ||
                                     !region_has_lines(view->region, line,
                                                       MEMTABLE_INNER_LINES))) {
        return 0;
    }
    *ret_node = node;
    return word;
}

bool search_is_behind(const memtable_view *view, cask_slice key,
                      uint64_t reference, memtable_leaf **ret_leaf,
                      uint32_t *ret_count)
{
    memtable_node *node;
    uint64_t word = open_node(view, reference, &node);
    uint32_t count = node_count(word);
    memtable_leaf *leaf;
    uint64_t slots;
    uint32_t last;
    uint32_t skip;

    if (word == 0 || node_level(word) != 0 || count == 0 ||
        count == MEMTABLE_LEAF_SLOTS) {
        return false;
    }
    leaf = (memtable_leaf *)node;
    slots = memtable_load(&leaf->order[count & 1][(count - 1) / 8]);
    last =
        (uint32_t)(slots >> 8 * ((count - 1) % 8)) & (MEMTABLE_LEAF_SLOTS - 1);
    *ret_leaf = leaf;
    *ret_count = count;
    return memtable_compare_prefix(node, key, &skip) == 0 &&
           memtable_head(key, skip) > memtable_load(&leaf->head[last]);
}

/* The permutation is written anew by the entry after the next: it holds if
 * nothing was added while it was copied. */
static bool copy_order(memtable_search *s, uint64_t word)
{
    for (;;) {
        const _Atomic uint64_t *from = s->leaf->order[node_count(word) & 1];
        uint64_t again;

        for (unsigned i = 0; i < MEMTABLE_LEAF_SLOTS / 8; i++) {
            /* Slots below 64, whatever is there. */
            store_u64(&s->order[8 * i],
                      memtable_load(&from[i]) & UINT64_C(0x3f3f3f3f3f3f3f3f));
        }
        again = memtable_load(&s->leaf->node.word);
        if (again == word) {
            s->count = node_count(word);
            return true;
        }
        if (node_generation(again) != node_generation(word) ||
            node_count(again) > MEMTABLE_LEAF_SLOTS) {
            return false;
        }
        word = again;
    }
}

static memtable_step_result enter_leaf(memtable_search *s, uint64_t word,
                                       memtable_way way)
{
    if (!copy_order(s, word)) {
        return STEP_CHANGED;
    }
    if (way == WAY_BY_KEY) {
        position_in_leaf(s);
    } else {
        s->position = way == WAY_FIRST ? 0 : s->count;
        s->is_tied = false;
    }
    return search_is_current(s) ? STEP_OK : STEP_CHANGED;
}

static void prefetch_leaf(const memtable_view *view, uint64_t reference)
{
    uint64_t line = reference_line(reference);

    if (region_has_lines(view->region, line, MEMTABLE_LEAF_LINES)) {
        const uint8_t *bytes = region_line(view->region, line);

        for (unsigned i = 0; i < MEMTABLE_LEAF_LINES; i++) {
            __builtin_prefetch(bytes + (size_t)i * REGION_LINE);
        }
    }
}

/* Down to a leaf. `leaf_way` is how its position is found. */
static memtable_step_result descend(memtable_search *s, uint64_t reference,
                                    memtable_way way, memtable_way leaf_way)
{
    for (;;) {
        memtable_node *node;
        uint64_t word = open_node(s->view, reference, &node);
        memtable_step *step = &s->path[s->depth];
        uint64_t child;

        if (word == 0) {
            return STEP_CHANGED;
        }
        if (node_level(word) == 0) {
            s->leaf = (memtable_leaf *)node;
            s->reference = reference;
            return enter_leaf(s, word, leaf_way);
        }
        if (s->depth == MEMTABLE_LEVELS) {
            return STEP_CHANGED;
        }
        step->inner = (memtable_inner *)node;
        step->reference = reference;
        step->count = node_count(word);
        step->index = way == WAY_FIRST ? 0
                      : way == WAY_LAST
                          ? step->count
                          : position_of_child(s, step->inner, step->count);
        child = memtable_load(&step->inner->child[step->index]);
        if (memtable_load(&node->word) != word) {
            return STEP_CHANGED;
        }
        if (node_level(word) == 1) {
            prefetch_leaf(s->view, child);
        }
        s->depth++;
        reference = child;
    }
}

memtable_step_result search_from_root(memtable_search *s, memtable_way way)
{
    s->depth = 0;
    s->unreadable = false;
    return descend(s, memtable_load(&s->view->memtable->root), way, way);
}

memtable_step_result search_sibling(memtable_search *s, bool before)
{
    while (s->depth > 0) {
        memtable_step *step = &s->path[s->depth - 1];

        if (before ? step->index > 0 : step->index < step->count) {
            uint64_t child;

            step->index = before ? step->index - 1 : step->index + 1;
            child = memtable_load(&step->inner->child[step->index]);
            if (node_generation(memtable_load(&step->inner->node.word)) !=
                reference_generation(step->reference)) {
                return STEP_CHANGED;
            }
            return descend(s, child, before ? WAY_LAST : WAY_FIRST, WAY_BY_KEY);
        }
        s->depth--;
    }
    return STEP_END;
}
