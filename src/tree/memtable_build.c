/*
 * Building nodes. All stores into a node have release order: see Memory order
 * in memtable_layout.h. Its word is stored last, and nothing leads to it
 * before.
 */
#include "tree/memtable_build.h"

#include <string.h>

#include "base/bytes.h"

/* Heads that begin with so many equal bytes are made of later ones. */
enum { DULL = 4 };

/* ---- Copying out ---- */

static void copy_prefix(memtable_draft *draft, const memtable_node *node)
{
    draft->skip = (uint32_t)memtable_load(&node->skip);
    for (unsigned i = 0; i < MEMTABLE_PREFIX / 8; i++) {
        store_u64(draft->prefix + (size_t)8 * i,
                  memtable_load(&node->prefix[i]));
    }
}

void draft_of_leaf(memtable_draft *draft, const memtable_search *s)
{
    draft->level = 0;
    draft->count = s->count;
    copy_prefix(draft, &s->leaf->node);
    for (uint32_t i = 0; i < s->count; i++) {
        draft->head[i] = memtable_load(&s->leaf->head[s->order[i]]);
        draft->place[i] = search_place(s, i);
    }
}

void draft_of_inner(memtable_draft *draft, const memtable_step *step)
{
    const memtable_inner *inner = step->inner;

    draft->level = node_level(memtable_load(&inner->node.word));
    draft->count = step->count;
    copy_prefix(draft, &inner->node);
    for (uint32_t i = 0; i < step->count; i++) {
        draft->head[i] = memtable_load(&inner->head[i]);
        draft->place[i] = memtable_own(&inner->fence[i]);
    }
    for (uint32_t i = 0; i <= step->count; i++) {
        draft->child[i] = memtable_load(&inner->child[i]);
    }
}

void draft_cut(memtable_draft *draft, uint32_t from, uint32_t count)
{
    memmove(draft->head, draft->head + from, count * sizeof(draft->head[0]));
    memmove(draft->place, draft->place + from, count * sizeof(draft->place[0]));
    if (draft->level > 0) {
        memmove(draft->child, draft->child + from,
                (count + 1) * sizeof(draft->child[0]));
    }
    draft->count = count;
}

/* ---- Heads ---- */

static uint32_t shared_bytes(const uint8_t *a, const uint8_t *b, size_t most)
{
    size_t i = 0;

    while (i < most && a[i] == b[i]) {
        i++;
    }
    return (uint32_t)i;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Take the prefix from what the first and the last key share. */
static bool share(memtable_draft *draft, const memtable_view *view)
{
    memtable_entry first;
    memtable_entry last;
    size_t most;

    if (!memtable_read(view, draft->place[0], &first) ||
        !memtable_read(view, draft->place[draft->count - 1], &last)) {
        return false;
    }
    most = smaller(first.key.size, last.key.size);
    most = smaller(most, MEMTABLE_PREFIX);
    draft->skip = shared_bytes(first.key.data, last.key.data, most);
    memset(draft->prefix, 0, sizeof(draft->prefix));
    if (draft->skip > 0) {
        memcpy(draft->prefix, first.key.data, draft->skip);
    }
    return true;
}

/* Whether two items have the same head. */
static bool has_ties(const memtable_draft *draft)
{
    bool has = false;

    for (uint32_t i = 1; i < draft->count; i++) {
        has |= draft->head[i] == draft->head[i - 1];
    }
    return has;
}

bool draft_sharpen(memtable_draft *draft, const memtable_view *view)
{
    uint64_t differ = draft->count < 2
                          ? UINT64_MAX
                          : draft->head[0] ^ draft->head[draft->count - 1];
    uint32_t skip = draft->skip;

    /* Reading their records costs more than all else that is done here. */
    if (differ >> (64 - 8 * DULL) != 0 || !has_ties(draft)) {
        return true;
    }
    if (!share(draft, view)) {
        return false;
    }
    for (uint32_t i = 0; draft->skip != skip && i < draft->count; i++) {
        memtable_entry entry;

        if (!memtable_read(view, draft->place[i], &entry)) {
            return false;
        }
        draft->head[i] = memtable_head(entry.key, draft->skip);
    }
    return true;
}

uint32_t draft_shared(const memtable_draft *draft, cask_slice key)
{
    return shared_bytes(draft->prefix, key.data,
                        smaller(draft->skip, key.size));
}

void draft_widen(memtable_draft *draft, cask_slice key)
{
    const cask_slice prefix = {draft->prefix, draft->skip};
    uint32_t shared = draft_shared(draft, key);
    uint32_t bytes = draft->skip - shared;
    /* What heads get in front; the rest of it is zeros. */
    uint64_t front = memtable_head(prefix, shared);

    for (uint32_t i = 0; bytes > 0 && i < draft->count; i++) {
        draft->head[i] =
            bytes < 8 ? front | draft->head[i] >> (8 * bytes) : front;
    }
    draft->skip = shared;
    memset(draft->prefix + shared, 0, MEMTABLE_PREFIX - shared);
}

/* ---- Writing ---- */

static void write_leaf(const memtable_draft *draft, memtable_leaf *leaf)
{
    uint8_t order[MEMTABLE_LEAF_SLOTS];

    for (uint32_t i = 0; i < MEMTABLE_LEAF_SLOTS; i++) {
        order[i] = (uint8_t)i;
    }
    for (uint32_t i = 0; i < MEMTABLE_LEAF_SLOTS / 8; i++) {
        memtable_set(&leaf->order[draft->count & 1][i],
                     load_u64(order + (size_t)8 * i));
    }
    for (uint32_t i = 0; i < draft->count; i++) {
        memtable_set(&leaf->head[i], draft->head[i]);
        atomic_store_explicit(&leaf->place[i], draft->place[i],
                              memory_order_release);
    }
}

static void write_inner(const memtable_draft *draft, memtable_inner *inner)
{
    for (uint32_t i = 0; i < draft->count; i++) {
        memtable_set(&inner->head[i], draft->head[i]);
        atomic_store_explicit(&inner->fence[i], draft->place[i],
                              memory_order_release);
    }
    for (uint32_t i = 0; i <= draft->count; i++) {
        memtable_set(&inner->child[i], draft->child[i]);
    }
}

uint64_t draft_write(const memtable_draft *draft, const memtable_view *view)
{
    uint64_t reference = memtable_take_node(view, draft->level);
    memtable_node *node;

    if (reference == 0) {
        return 0;
    }
    node = region_line(view->region, reference_line(reference));
    memtable_set(&node->skip, draft->skip);
    for (unsigned i = 0; i < MEMTABLE_PREFIX / 8; i++) {
        memtable_set(&node->prefix[i], load_u64(draft->prefix + (size_t)8 * i));
    }
    if (draft->level == 0) {
        write_leaf(draft, (memtable_leaf *)node);
    } else {
        write_inner(draft, (memtable_inner *)node);
    }
    memtable_set(&node->word, reference_generation(reference) << 32 |
                                  (uint64_t)draft->level << 16 | draft->count);
    return reference;
}

uint64_t memtable_build_empty(const memtable_view *view)
{
    memtable_draft draft;

    memset(&draft, 0, sizeof(draft));
    return draft_write(&draft, view);
}
