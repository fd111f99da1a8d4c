/*
 * Putting entries whose keys rise: they go to the end of the last leaf, and one
 * store of its word publishes them.
 *
 * Which of its permutations holds then may be the one that holds now. It is
 * changed behind its end only, where no reader looks before it sees the new
 * word; and who sees a word of the time before, and the change, sees another
 * word when it looks again.
 */
#include "tree/memtable_append.h"

#include "tree/memtable_search.h"

/* The last leaf, if the key goes there behind all entries. */
static bool find_end(const memtable_view *view, cask_slice key,
                     memtable_leaf **ret_leaf, uint32_t *ret_count)
{
    uint64_t last = view->memtable->last_leaf;

    return last != 0 && search_is_behind(view, key, last, ret_leaf, ret_count);
}

size_t memtable_append_room_locked(const memtable_view *view, cask_slice key)
{
    memtable_leaf *leaf;
    uint32_t count;

    return find_end(view, key, &leaf, &count) ? MEMTABLE_LEAF_SLOTS - count : 0;
}

/* Fill slots from `count` on. Returns how many keys rise, by their heads. */
static uint32_t fill_slots(const memtable_view *view, memtable_leaf *leaf,
                           uint32_t count, const memtable_put *puts,
                           uint32_t most)
{
    memtable *m = view->memtable;
    uint64_t last = 0;
    uint32_t done;

    for (done = 0; done < most; done++) {
        const memtable_put *put = &puts[done];
        uint32_t window;
        uint32_t skip;
        uint64_t head;

        if (memtable_compare_prefix(&leaf->node, put->key, &skip) != 0 ||
            !memtable_find_window(m, put->place, &window)) {
            break;
        }
        head = memtable_head(put->key, skip);
        if (done > 0 && head <= last) {
            break;
        }
        memtable_set(&leaf->head[count + done], head);
        atomic_store_explicit(&leaf->place[count + done],
                              short_make(window, put->place),
                              memory_order_release);
        last = head;
    }
    return done;
}

/* Each slot from `from` to `to` behind the one before. */
static void extend_order(memtable_leaf *leaf, uint32_t from, uint32_t to)
{
    uint8_t order[MEMTABLE_LEAF_SLOTS];

    for (unsigned i = 0; i < MEMTABLE_LEAF_SLOTS / 8; i++) {
        store_u64(order + (size_t)8 * i,
                  memtable_load(&leaf->order[from & 1][i]));
    }
    for (uint32_t slot = from; slot < to; slot++) {
        order[slot] = (uint8_t)slot;
    }
    for (unsigned i = 0; i < MEMTABLE_LEAF_SLOTS / 8; i++) {
        memtable_set(&leaf->order[to & 1][i], load_u64(order + (size_t)8 * i));
    }
}

size_t memtable_append_locked(const memtable_view *view,
                              const memtable_put *puts, size_t count)
{
    memtable *m = view->memtable;
    memtable_leaf *leaf;
    uint32_t from;
    uint32_t done;

    if (count == 0 || !find_end(view, puts[0].key, &leaf, &from)) {
        return 0;
    }
    if (count > MEMTABLE_LEAF_SLOTS - from) {
        count = MEMTABLE_LEAF_SLOTS - from;
    }
    done = fill_slots(view, leaf, from, puts, (uint32_t)count);
    if (done == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < done; i++) {
        memtable_filter_add(view, puts[i].hash);
    }
    extend_order(leaf, from, from + done);
    memtable_begin_count(m, puts[0].sequence, done);
    memtable_set(&leaf->node.word, memtable_load(&leaf->node.word) + done);
    memtable_end_count(m);
    return done;
}
