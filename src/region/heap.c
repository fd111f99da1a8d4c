/*
 * Free lists and a bump pointer. A list is linked through the first word of
 * each free block. Order of stores: taking moves the head before the block is
 * used, giving links the block before it becomes the head; so wherever the
 * writer dies the lists stay valid and at most one block is lost.
 */
#include "region/heap.h"

/* One writer at a time: no need to add atomically, only to be read whole. */
static void count_used(region_heap *heap, uint64_t lines_more)
{
    uint64_t used = atomic_load_explicit(&heap->used, memory_order_relaxed);

    atomic_store_explicit(&heap->used, used + lines_more, memory_order_relaxed);
}

uint64_t heap_available(const region_handle *region)
{
    const region_heap *heap = &region->header->heap;
    uint64_t end = atomic_load_explicit(&heap->end, memory_order_relaxed);
    uint64_t bump = atomic_load_explicit(&heap->bump, memory_order_relaxed);

    if (end > region->map_size / REGION_LINE) {
        end = region->map_size / REGION_LINE; /* see region_is_covered() */
    }
    return bump < end ? end - bump : 0;
}

uint64_t heap_take_plain(region_handle *region, uint64_t lines)
{
    region_heap *heap = &region->header->heap;
    uint64_t line = atomic_load_explicit(&heap->bump, memory_order_relaxed);

    if (lines > heap_available(region)) {
        return 0;
    }
    atomic_store_explicit(&heap->bump, line + lines, memory_order_relaxed);
    count_used(heap, lines);
    return line;
}

/* A head read from shared memory is used only if it can be a block. */
static bool is_inside(const region_heap *heap, uint64_t line, uint32_t lines)
{
    uint64_t bump = atomic_load_explicit(&heap->bump, memory_order_relaxed);

    return line >= REGION_HEAP_OFFSET / REGION_LINE && line < bump &&
           lines <= bump - line;
}

uint64_t heap_take(region_handle *region, unsigned class, uint32_t lines)
{
    region_heap *heap = &region->header->heap;
    uint64_t line = heap->free[class];

    if (line == 0) {
        return heap_take_plain(region, lines);
    }
    if (!is_inside(heap, line, lines)) {
        heap->free[class] = 0; /* damaged: lose the list, not the store */
        return heap_take_plain(region, lines);
    }
    heap->free[class] = atomic_load_explicit(
        (_Atomic uint64_t *)region_line(region, line), memory_order_relaxed);
    count_used(heap, lines);
    return line;
}

void heap_give(region_handle *region, unsigned class, uint64_t line,
               uint32_t lines)
{
    region_heap *heap = &region->header->heap;

    /* Release: a reader that still looks at the block and sees this word must
     * also see, when it checks, the directory word that replaced the block. */
    atomic_store_explicit((_Atomic uint64_t *)region_line(region, line),
                          heap->free[class], memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    heap->free[class] = line;
    count_used(heap, -(uint64_t)lines);
}
