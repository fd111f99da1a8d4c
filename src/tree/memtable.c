/*
 * Life and memory of memtables. A memtable takes chunks from the heap and gives
 * nodes out of them; what it gave it knows only by its chunks, so that freeing
 * it is giving them back.
 *
 * `life` is odd while a memtable is in use. It becomes odd after everything
 * else is there, and even before anything goes; so a memtable that has chunks
 * and an even life is one whose writer died while it came or went. Every count
 * moves before the memory that it counts is given away, or after it was taken:
 * who dies in between has lost a node, or a chunk, and nothing is given twice.
 */
#include <string.h>

#include "base/bytes.h"
#include "region/heap.h"
#include "tree/memtable_layout.h"
#include "tree/memtable_ranges.h"

_Static_assert(sizeof(memtable) % REGION_LINE == 0, "memtables are lines");

static memtable *memtable_at(const region_handle *region, unsigned index)
{
    uint64_t line =
        atomic_load_explicit(&region->header->memtables, memory_order_acquire);

    return (memtable *)region_line(region, line) + index;
}

/* Whether the region has them, or who made it died before. */
static bool has_memtables(const region_handle *region)
{
    return atomic_load_explicit(&region->header->memtables,
                                memory_order_acquire) != 0;
}

/* ---- Chunks ---- */

static bool add_chunk(region_handle *region, memtable *m)
{
    uint32_t count = memtable_own(&m->chunk_count);
    uint64_t line;

    if (count == MEMTABLE_CHUNKS) {
        return false;
    }
    line = heap_take(region, MEMTABLE_CLASS, MEMTABLE_CHUNK_LINES);
    if (line == 0) {
        return false;
    }
    atomic_store_explicit(&m->chunk[count], (uint32_t)line,
                          memory_order_release);
    atomic_store_explicit(&m->chunk_count, count + 1, memory_order_release);
    return true;
}

static void give_chunks(region_handle *region, memtable *m)
{
    for (uint32_t i = memtable_own(&m->chunk_count); i > 0; i--) {
        uint32_t line = memtable_own(&m->chunk[i - 1]);

        atomic_store_explicit(&m->chunk_count, i - 1, memory_order_release);
        atomic_signal_fence(memory_order_seq_cst);
        heap_give(region, MEMTABLE_CLASS, line, MEMTABLE_CHUNK_LINES);
        atomic_signal_fence(memory_order_seq_cst);
    }
}

/* ---- Nodes ---- */

static uint64_t lines_of(uint32_t level)
{
    return level == 0 ? MEMTABLE_LEAF_LINES : MEMTABLE_INNER_LINES;
}

/* From the chunks; 0 if there is no memory. No node is in two chunks. */
static uint64_t take_lines(region_handle *region, memtable *m, uint64_t lines)
{
    uint64_t at = atomic_load_explicit(&m->bump, memory_order_relaxed);

    if (at % MEMTABLE_CHUNK_LINES + lines > MEMTABLE_CHUNK_LINES) {
        at = round_up(at, MEMTABLE_CHUNK_LINES);
    }
    if (at / MEMTABLE_CHUNK_LINES >= memtable_own(&m->chunk_count) &&
        !add_chunk(region, m)) {
        return 0;
    }
    memtable_set(&m->bump, at + lines);
    return memtable_line(m, at);
}

uint64_t memtable_take_lines(const memtable_view *view, uint64_t lines)
{
    return take_lines(view->region, view->memtable, lines);
}

uint64_t memtable_take_node(const memtable_view *view, uint32_t level)
{
    memtable *m = view->memtable;
    uint64_t *list = level == 0 ? &m->free_leaf : &m->free_inner;
    uint64_t line = *list;

    if (line != 0) {
        const memtable_node *node = region_line(view->region, line);

        *list = memtable_load(&node->skip);
    } else {
        line = take_lines(view->region, m, lines_of(level));
    }
    if (line == 0) {
        return 0;
    }
    /* Never 0, which a free node has. */
    m->generation = (m->generation & UINT32_MAX) % UINT32_MAX + 1;
    atomic_signal_fence(memory_order_seq_cst);
    return line | m->generation << 32;
}

void memtable_give_node(const memtable_view *view, uint64_t reference,
                        uint32_t level)
{
    memtable *m = view->memtable;
    uint64_t line = reference_line(reference);
    memtable_node *node = region_line(view->region, line);
    uint64_t *list = level == 0 ? &m->free_leaf : &m->free_inner;

    /* The word first: see Memory order. And all of this after the store that
     * replaced the node, or readers that begin again would find it still. */
    atomic_signal_fence(memory_order_seq_cst);
    memtable_set(&node->word, 0);
    memtable_set(&node->skip, *list);
    atomic_signal_fence(memory_order_seq_cst);
    *list = line;
}

/* ---- Life ---- */

cask_status memtables_create(region_handle *region, cask_error *err)
{
    uint64_t lines = MEMTABLES * sizeof(memtable) / REGION_LINE;
    cask_status status = region_reserve(region, lines, err);

    if (status == CASK_OK) {
        uint64_t line = heap_take_plain(region, lines);

        memset(region_line(region, line), 0, lines * REGION_LINE);
        atomic_store(&region->header->memtables, line);
    }
    return status;
}

static uint64_t filter_lines(uint64_t expected)
{
    const uint64_t most = (uint64_t)MEMTABLE_CHUNKS * MEMTABLE_CHUNK_LINES / 8;
    const uint64_t each = REGION_LINE * 8 / MEMTABLE_FILTER_BITS;

    return expected / each < most ? expected / each + 1 : most;
}

uint64_t memtable_begin_lines(uint64_t expected)
{
    return round_up(filter_lines(expected) + MEMTABLE_LEAF_LINES,
                    MEMTABLE_CHUNK_LINES);
}

static void clear(memtable *m)
{
    atomic_store_explicit(&m->entries, 0, memory_order_release);
    atomic_store_explicit(&m->window_count, 0, memory_order_release);
    memtable_set(&m->ranges, 0);
    for (unsigned i = 0; i < MEMTABLE_RANGE_BLOCKS; i++) {
        atomic_store_explicit(&m->range_block[i], 0, memory_order_release);
    }
    memtable_set(&m->bump, 0);
    m->free_leaf = 0;
    m->free_inner = 0;
    m->begun_sequence = 0;
    m->begun_entries = 0;
    m->begun_count = 0;
    m->last_leaf = 0;
}

static bool make_filter(region_handle *region, memtable *m, uint64_t lines)
{
    while ((uint64_t)memtable_own(&m->chunk_count) * MEMTABLE_CHUNK_LINES <
           lines) {
        if (!add_chunk(region, m)) {
            return false;
        }
    }
    for (uint64_t i = 0; i < lines; i++) {
        _Atomic uint64_t *words = region_line(region, memtable_line(m, i));

        for (unsigned j = 0; j < REGION_LINE / 8; j++) {
            memtable_set(&words[j], 0);
        }
    }
    memtable_set(&m->filter_lines, lines);
    memtable_set(&m->bump, lines);
    return true;
}

bool memtable_begin_locked(region_handle *region, unsigned index,
                           uint64_t expected)
{
    memtable *m = memtable_at(region, index);
    const memtable_view view = {.region = region, .memtable = m};
    uint64_t life = atomic_load_explicit(&m->life, memory_order_relaxed);
    uint64_t root;

    if ((life & 1) != 0) {
        return false;
    }
    give_chunks(region, m); /* of one that failed here */
    clear(m);
    if (!make_filter(region, m, filter_lines(expected))) {
        return false;
    }
    root = memtable_build_empty(&view);
    if (root == 0) {
        return false;
    }
    memtable_set(&m->root, root);
    memtable_set(&m->life, life + 1);
    return true;
}

void memtable_free_locked(region_handle *region, unsigned index)
{
    memtable *m = memtable_at(region, index);
    uint64_t life = atomic_load_explicit(&m->life, memory_order_relaxed);

    if ((life & 1) != 0) {
        memtable_set(&m->life, life + 1);
        atomic_signal_fence(memory_order_seq_cst);
        give_chunks(region, m);
    }
}

void memtables_finish_locked(region_handle *region)
{
    for (unsigned i = 0; has_memtables(region) && i < MEMTABLES; i++) {
        memtable *m = memtable_at(region, i);

        if ((atomic_load_explicit(&m->life, memory_order_relaxed) & 1) == 0) {
            give_chunks(region, m);
        }
    }
}

bool memtable_open(region_handle *region, unsigned index,
                   const memtable_log *log, memtable_view *ret_view)
{
    memtable *m = memtable_at(region, index);
    uint64_t life = has_memtables(region) ? memtable_load(&m->life) : 0;

    if ((life & 1) == 0) {
        return false;
    }
    *ret_view = (memtable_view){
        .region = region, .memtable = m, .life = life, .log = log};
    return true;
}

unsigned memtable_index(const memtable_view *view)
{
    return (unsigned)(view->memtable - memtable_at(view->region, 0));
}

bool memtable_is_empty(const memtable_view *view)
{
    return memtable_count(view) == 0 && memtable_range_count(view) == 0;
}

uint64_t memtable_count(const memtable_view *view)
{
    return memtable_load(&view->memtable->entries);
}

uint64_t memtable_bytes(const memtable_view *view)
{
    return sizeof(memtable) +
           (uint64_t)memtable_own(&view->memtable->chunk_count) *
               MEMTABLE_CHUNK_LINES * REGION_LINE;
}
