/*
 * The filter: a Bloom filter of which each key uses one line, so that an absent
 * key costs one cache miss. Its bits are set before the entry is published: who
 * does not see them began before the entry was there.
 */
#include "tree/memtable_layout.h"

enum { PROBES = 6 };

/* The words of the key's line. NULL: not what a filter has. */
static _Atomic uint64_t *line_of(const memtable_view *view, uint64_t hash)
{
    const memtable *m = view->memtable;
    uint64_t number = ((hash >> 32) * memtable_load(&m->filter_lines)) >> 32;
    uint64_t line = memtable_line(m, number);

    if (!region_has_lines(view->region, line, 1)) {
        return NULL;
    }
    return region_line(view->region, line);
}

/* The bits in the line, nine of these for each probe. Those that chose the line
 * are the same for all of its keys: mix. */
static uint64_t bits_of(uint64_t hash)
{
    return (hash * UINT64_C(0x9e3779b97f4a7c15)) >> 10;
}

void memtable_filter_add(const memtable_view *view, uint64_t hash)
{
    _Atomic uint64_t *words = line_of(view, hash);
    uint64_t bits = bits_of(hash);

    for (int i = 0; words != NULL && i < PROBES; i++, bits >>= 9) {
        _Atomic uint64_t *word = &words[bits >> 6 & 7];
        uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

        memtable_set(word, old | UINT64_C(1) << (bits & 63));
    }
}

void memtable_filter_prefetch(const memtable_view *view, uint64_t hash)
{
    const void *line = line_of(view, hash);

    if (line != NULL) {
        __builtin_prefetch(line, 1);
    }
}

bool memtable_filter_has(const memtable_view *view, uint64_t hash)
{
    const _Atomic uint64_t *words = line_of(view, hash);
    uint64_t bits = bits_of(hash);

    for (int i = 0; words != NULL && i < PROBES; i++, bits >>= 9) {
        if ((memtable_load(&words[bits >> 6 & 7]) >> (bits & 63) & 1) == 0) {
            return false;
        }
    }
    return true;
}
