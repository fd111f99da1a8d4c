/*
 * An empty keydir made ready for a known number of keys, as it would be had
 * they been entered one by one, but without the copies that growth makes.
 *
 * Readers find in the old directory nothing, and nothing is what there is, or
 * look again since the root has changed. A writer that dies before the root is
 * stored leaves memory that nobody uses, and a keydir as it was.
 */
#include "hash/keydir_layout.h"
#include "region/heap.h"

/* From one shard to the next the density rises by the 256th root of 2; see
 * keydir_hash_of(). */
#define SHARD_RATIO 1.0027112750502025

_Static_assert(KEYDIR_SHARDS == 256, "SHARD_RATIO is for 256 shards");

/* Keys that a group of the last class takes before it splits, and the part of
 * its slots that a group of any class fills. */
enum { GROUP_KEYS_MOST = LAST_CLASS_LINES * LINE_SLOTS * 7 / 8 };
#define GROUP_FILL 0.92

/* How the keys of one shard are to be held. */
typedef struct shard_plan {
    unsigned depth; /* 2^depth groups ... */
    unsigned class; /* ... of this class */
} shard_plan;

static shard_plan plan_shard(double keys)
{
    shard_plan plan = {0, 0};
    double slack = 1;

    while (keys > GROUP_KEYS_MOST && plan.depth < DEPTH_MOST) {
        keys /= 2;
        plan.depth++;
    }
    /* One standard deviation more: some groups still grow by a class. */
    while (slack * slack < keys) {
        slack++;
    }
    while (plan.class < LAST_CLASS &&
           (keys + slack) >
               GROUP_FILL * LINE_SLOTS * keydir_class_lines[plan.class]) {
        plan.class ++;
    }
    return plan;
}

/* The plan of every shard; returns the lines that it takes. */
static uint64_t plan_all(uint64_t count, shard_plan plans[KEYDIR_SHARDS],
                         unsigned *ret_depth)
{
    double keys = (double)count * (SHARD_RATIO - 1);
    uint64_t lines = 0;

    *ret_depth = 0;
    for (int i = 0; i < KEYDIR_SHARDS; i++) {
        plans[i] = plan_shard(keys);
        lines += (uint64_t)keydir_class_lines[plans[i].class] << plans[i].depth;
        keys *= SHARD_RATIO;
        if (plans[i].depth > *ret_depth) {
            *ret_depth = plans[i].depth;
        }
    }
    return lines;
}

/* Memory that was never used is zero: the groups are empty as they are. */
static void fill_shard(region_handle *region, shard_plan plan,
                       _Atomic uint64_t *words, unsigned depth)
{
    uint32_t lines = keydir_class_lines[plan.class];
    uint64_t each = UINT64_C(1) << (depth - plan.depth);

    for (uint64_t i = 0; i < UINT64_C(1) << plan.depth; i++) {
        uint64_t line = heap_take_plain(region, lines);
        uint64_t word = word_make(line, plan.class, plan.depth, 0);

        for (uint64_t j = 0; j < each; j++) {
            atomic_store_explicit(&words[i * each + j], word,
                                  memory_order_relaxed);
        }
    }
}

/* Whether no group was ever made: then the first directory is all that the heap
 * has given. */
static bool is_untouched(const region_handle *region)
{
    return atomic_load_explicit(&region->header->heap.bump,
                                memory_order_relaxed) ==
           REGION_HEAP_OFFSET / REGION_LINE + directory_lines(0);
}

static bool is_worth_it(const region_handle *region, uint64_t count)
{
    return count >= KEYDIR_PRESIZE_LEAST && is_untouched(region);
}

uint64_t keydir_presize_lines(const region_handle *region, uint64_t count)
{
    shard_plan plans[KEYDIR_SHARDS];
    unsigned depth = 0;
    uint64_t lines;

    if (!is_worth_it(region, count)) {
        return 0;
    }
    lines = plan_all(count, plans, &depth);
    return lines + directory_lines(depth);
}

void keydir_presize_locked(region_handle *region, uint64_t count)
{
    shard_plan plans[KEYDIR_SHARDS];
    unsigned depth = 0;
    uint64_t root = atomic_load_explicit(&region->header->keydir_root,
                                         memory_order_relaxed);
    uint64_t lines;
    uint64_t line;

    if (!is_worth_it(region, count)) {
        return;
    }
    lines = plan_all(count, plans, &depth) + directory_lines(depth);
    if (heap_available(region) < lines) {
        return;
    }
    line = heap_take_plain(region, directory_lines(depth));
    for (int i = 0; i < KEYDIR_SHARDS; i++) {
        _Atomic uint64_t *words = region_line(region, line);

        fill_shard(region, plans[i], words + ((uint64_t)i << depth), depth);
    }
    atomic_store_explicit(&region->header->keydir_root,
                          root_make(line, depth, root), memory_order_release);
}

cask_status keydir_presize(region_handle *region, uint64_t count,
                           cask_error *err)
{
    cask_status status =
        region_reserve(region, keydir_presize_lines(region, count), err);

    if (status == CASK_OK) {
        keydir_presize_locked(region, count);
    }
    return status;
}
