/*
 * Walking over a memtable without the log: for when records of it cannot be
 * read.
 */
#include <string.h>

#include "base/bytes.h"
#include "tree/memtable_layout.h"
#include "tree/memtable_rest.h"

typedef struct walk {
    const memtable_view *view;
    memtable_visit visit;
    void *context;
    bool is_over;
} walk;

/* False: the memtable is gone, or its memory is damaged. */
static bool visit_leaf(walk *w, const memtable_leaf *leaf, uint32_t count)
{
    uint8_t order[MEMTABLE_LEAF_SLOTS];
    uint8_t known[MEMTABLE_KNOWN];
    uint64_t skip = memtable_load(&leaf->node.skip);

    if (skip > MEMTABLE_PREFIX || count > MEMTABLE_LEAF_SLOTS) {
        return false;
    }
    for (size_t i = 0; i < MEMTABLE_PREFIX / 8; i++) {
        store_u64(known + 8 * i, memtable_load(&leaf->node.prefix[i]));
    }
    for (size_t i = 0; i < MEMTABLE_LEAF_SLOTS / 8; i++) {
        store_u64(order + 8 * i, memtable_load(&leaf->order[count & 1][i]));
    }
    for (uint32_t i = 0; i < count && !w->is_over; i++) {
        uint32_t slot = order[i] % MEMTABLE_LEAF_SLOTS;
        uint32_t stored =
            atomic_load_explicit(&leaf->place[slot], memory_order_acquire);

        store_u64(known + skip,
                  __builtin_bswap64(memtable_load(&leaf->head[slot])));
        w->is_over =
            !w->visit(w->context, short_place(w->view->memtable, stored),
                      (cask_slice){known, skip + 8});
    }
    return true;
}

static bool visit_node(walk *w, uint64_t reference, unsigned depth)
{
    const region_handle *region = w->view->region;
    uint64_t line = reference_line(reference);
    const memtable_inner *inner = region_line(region, line);
    uint64_t word;
    bool is_whole = true;

    if (!region_has_lines(region, line, MEMTABLE_LEAF_LINES)) {
        return false;
    }
    word = memtable_load(&inner->node.word);
    if (node_generation(word) != reference_generation(reference)) {
        return false;
    }
    if (node_level(word) == 0) {
        return visit_leaf(w, (const memtable_leaf *)inner, node_count(word));
    }
    if (depth == MEMTABLE_LEVELS || node_count(word) > MEMTABLE_FENCES ||
        !region_has_lines(region, line, MEMTABLE_INNER_LINES)) {
        return false;
    }
    for (uint32_t i = 0; i <= node_count(word) && is_whole && !w->is_over;
         i++) {
        is_whole = visit_node(w, memtable_load(&inner->child[i]), depth + 1);
    }
    return is_whole;
}

memtable_result memtable_walk(const memtable_view *view, memtable_visit visit,
                              void *context)
{
    walk w = {.view = view, .visit = visit, .context = context};
    bool is_whole = visit_node(&w, memtable_load(&view->memtable->root), 0);

    return is_whole && memtable_load(&view->memtable->life) == view->life
               ? MEMTABLE_FOUND
               : MEMTABLE_GONE;
}
