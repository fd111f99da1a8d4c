/*
 * Growth of the keydir: a group that has no slot left near a key's home is
 * copied, live slots only, into a larger block or into two.
 *
 * If the writer dies: before the intent is armed nothing has been published and
 * the new blocks are lost; once it is armed the next owner stores the same
 * words again; after it is cleared the old block may be lost. Nothing is ever
 * freed twice, and readers find the old or the new group, both complete.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "hash/keydir_layout.h"
#include "region/heap.h"
#include "region/place.h"

/* Lines by class. Up to 36 a shard has one group; from there on groups double
 * in seven steps and split, for ever. */
const uint8_t keydir_class_lines[REGION_HEAP_CLASSES] = {
    1, 4, 12, 36, 40, 44, 48, 53, 59, 65, LAST_CLASS_LINES};

enum { LIVE_MOST = LAST_CLASS_LINES * LINE_SLOTS };

/* Memory reserved: so many splits, and then so much for each further key. */
enum { SURE_GROWTHS = 16, LINES_PER_KEY = 3 };

/* The live slots of a group, copied out before they are placed again. */
typedef struct live_slots {
    uint32_t count;
    uint32_t deleted; /* slots left behind */
    struct {
        uint64_t tag;
        uint64_t place;
    } slot[LIVE_MOST];
} live_slots;

/* A block filled and not yet published. */
typedef struct new_group {
    uint64_t line;
    unsigned class;
} new_group;

/*
 * What `count` new keys take. The first few may each make a group split. Of
 * many, one in 20 makes one grow, since growth makes room for 16 keys or more:
 * 2 or 3 lines for each key, of which most come back. The hash is
 * keyed, so nobody can choose keys that take more; and see make_room(). What is
 * reserved and not used stays, so this must not be much too high.
 */
static uint64_t lines_of_growth(uint64_t count)
{
    uint64_t split = 3 * LAST_CLASS_LINES;

    return count <= SURE_GROWTHS
               ? count * split
               : SURE_GROWTHS * split + (count - SURE_GROWTHS) * LINES_PER_KEY;
}

uint64_t keydir_reserve_lines(const region_handle *region, uint64_t count)
{
    const region_header *header = region->header;
    unsigned depth = root_depth(
        atomic_load_explicit(&header->keydir_root, memory_order_relaxed));
    uint64_t split = 2 * LAST_CLASS_LINES;
    uint64_t each = lines_of_growth(count);
    /* However many keys: every group copied once, and the keys themselves at
     * a load that no growth leaves behind. */
    uint64_t all =
        atomic_load_explicit(&header->heap.bump, memory_order_relaxed) -
        REGION_HEAP_OFFSET / REGION_LINE;

    all = 2 * all + count * 2 + split * KEYDIR_SHARDS;
    return (each < all ? each : all) + 2 * directory_lines(depth);
}

cask_status keydir_create(region_handle *region, cask_error *err)
{
    cask_status status = region_reserve(region, directory_lines(0), err);
    uint64_t line;

    if (status != CASK_OK) {
        return status;
    }
    line = heap_take_plain(region, directory_lines(0));
    atomic_store(&region->header->keydir_root, root_make(line, 0, 0));
    return CASK_OK;
}

/* ---- Filling a group ---- */

/* Where each live slot will go, found before memory is taken or touched. */
typedef struct layout {
    uint8_t line[LIVE_MOST];
    uint8_t fill[LAST_CLASS_LINES]; /* slots taken of each line */
} layout;

/* False if the probe run of some key is full. */
static bool lay_out(const live_slots *live, uint32_t lines, layout *ret_layout)
{
    uint32_t probes = lines < PROBE_LINES ? lines : PROBE_LINES;
    uint8_t *fill = ret_layout->fill;

    memset(fill, 0, lines);
    for (uint32_t i = 0; i < live->count; i++) {
        uint32_t at = home_line(live->slot[i].tag, lines);
        uint32_t left = probes;

        while (fill[at] == LINE_SLOTS) {
            if (--left == 0) {
                return false;
            }
            at = at + 1 == lines ? 0 : at + 1;
        }
        ret_layout->line[i] = (uint8_t)at;
        fill[at]++;
    }
    return true;
}

/* Release order: see heap_give(). */
static void fill_slot(keydir_slot *slot, uint64_t tag, uint64_t place)
{
    atomic_store_explicit(&slot->place, place, memory_order_release);
    atomic_store_explicit(&slot->tag, tag, memory_order_release);
}

static void fill_group(keydir_line *group, uint32_t lines,
                       const live_slots *live, layout *plan)
{
    for (uint32_t line = 0; line < lines; line++) {
        for (uint32_t j = plan->fill[line]; j < LINE_SLOTS; j++) {
            fill_slot(&group[line].slot[j], 0, 0);
        }
    }
    for (uint32_t i = live->count; i > 0; i--) {
        uint8_t line = plan->line[i - 1];

        fill_slot(&group[line].slot[--plan->fill[line]], live->slot[i - 1].tag,
                  live->slot[i - 1].place);
    }
}

/* The smallest class that leaves some room, not below `least`. */
static unsigned class_for(uint32_t count, unsigned least)
{
    unsigned class = least;

    while (class < LAST_CLASS &&
           (uint32_t)keydir_class_lines[class] * LINE_SLOTS * 15 / 16 <=
               count) {
        class ++;
    }
    return class;
}

/* Build a group of some class from `least` up; line 0 if none holds them. */
static new_group build_group(region_handle *region, const live_slots *live,
                             unsigned least)
{
    for (unsigned class = class_for(live->count, least); class <= LAST_CLASS;
         class ++) {
        uint32_t lines = keydir_class_lines[class];
        layout plan;

        if (lay_out(live, lines, &plan)) {
            new_group group = {heap_take(region, class, lines), class};

            if (group.line != 0) { /* always: the caller reserved enough */
                fill_group(region_line(region, group.line), lines, live, &plan);
            }
            return group;
        }
    }
    return (new_group){0, 0};
}

/* ---- Publishing ---- */

static void store_words(region_handle *region,
                        const region_keydir_intent *intent)
{
    uint64_t root = atomic_load_explicit(&region->header->keydir_root,
                                         memory_order_relaxed);
    _Atomic uint64_t *words = directory_word(region, root, intent->first_index);
    uint64_t half = intent->word_count / 2;

    for (uint64_t i = 0; i < intent->word_count; i++) {
        uint64_t word = intent->second_word != 0 && i >= half
                            ? intent->second_word
                            : intent->first_word;

        atomic_store_explicit(&words[i], word, memory_order_release);
    }
}

void keydir_finish_locked(region_handle *region)
{
    region_keydir_intent *intent = &region->header->keydir;

    if (intent->armed != 0) {
        store_words(region, intent);
        atomic_signal_fence(memory_order_seq_cst);
        intent->armed = 0;
    }
}

/* Replace the group of `word`, found at `index`, by one or two. */
static void publish(region_handle *region, uint64_t index, uint64_t word,
                    new_group first, new_group second)
{
    region_keydir_intent *intent = &region->header->keydir;
    uint64_t root = atomic_load_explicit(&region->header->keydir_root,
                                         memory_order_relaxed);
    unsigned depth = word_depth(word);
    uint64_t count = UINT64_C(1) << (root_depth(root) - depth);
    bool splits = second.line != 0;
    unsigned new_depth = splits ? depth + 1 : depth;

    intent->first_index = index & ~(count - 1);
    intent->word_count = count;
    intent->first_word = word_make(first.line, first.class, new_depth, word);
    intent->second_word =
        splits ? word_make(second.line, second.class, new_depth, word) : 0;
    atomic_signal_fence(memory_order_seq_cst);
    intent->armed = 1;
    atomic_signal_fence(memory_order_seq_cst);
    keydir_finish_locked(region);
    atomic_signal_fence(memory_order_seq_cst);
    if (word_line(word) != 0) {
        heap_give(region, word_class(word), word_line(word),
                  keydir_class_lines[word_class(word)]);
    }
}

/* Twice as many directory words, each old one twice; one store publishes. */
static void double_directory(region_handle *region)
{
    region_header *header = region->header;
    uint64_t root =
        atomic_load_explicit(&header->keydir_root, memory_order_relaxed);
    unsigned depth = root_depth(root);
    uint64_t line = heap_take_plain(region, directory_lines(depth + 1));
    _Atomic uint64_t *from = directory_word(region, root, 0);
    _Atomic uint64_t *to = region_line(region, line);

    for (uint64_t i = 0; i < (uint64_t)KEYDIR_SHARDS << depth; i++) {
        uint64_t word = atomic_load_explicit(&from[i], memory_order_relaxed);

        atomic_store_explicit(&to[2 * i], word, memory_order_relaxed);
        atomic_store_explicit(&to[2 * i + 1], word, memory_order_relaxed);
    }
    atomic_store_explicit(&header->keydir_root,
                          root_make(line, depth + 1, root),
                          memory_order_release);
}

/* ---- Growing ---- */

static void collect(const region_handle *region, uint64_t word,
                    live_slots *ret_live)
{
    keydir_line *group = region_line(region, word_line(word));
    uint32_t lines = keydir_class_lines[word_class(word)];

    ret_live->count = 0;
    ret_live->deleted = 0;
    for (uint32_t i = 0; i < lines * LINE_SLOTS; i++) {
        keydir_slot *slot = &group[i / LINE_SLOTS].slot[i % LINE_SLOTS];
        uint64_t tag = atomic_load_explicit(&slot->tag, memory_order_relaxed);
        uint64_t place =
            atomic_load_explicit(&slot->place, memory_order_relaxed);

        if (tag != 0 && place_is_live(place)) {
            ret_live->slot[ret_live->count].tag = tag;
            ret_live->slot[ret_live->count].place = place;
            ret_live->count++;
        } else if (tag != 0) {
            ret_live->deleted++;
        }
    }
}

/* Move the slots whose bit behind the group's prefix is set to `ret_ones`. */
static void part(live_slots *live, unsigned depth, live_slots *ret_ones)
{
    uint32_t kept = 0;

    ret_ones->count = 0;
    for (uint32_t i = 0; i < live->count; i++) {
        if ((live->slot[i].tag >> (63 - depth) & 1) != 0) {
            ret_ones->slot[ret_ones->count++] = live->slot[i];
        } else {
            live->slot[kept++] = live->slot[i];
        }
    }
    live->count = kept;
}

static void split(region_handle *region, uint64_t index, uint64_t word,
                  live_slots *live)
{
    uint64_t root = atomic_load_explicit(&region->header->keydir_root,
                                         memory_order_relaxed);
    new_group zeros;
    new_group ones;
    live_slots others;

    if (word_depth(word) == root_depth(root)) {
        double_directory(region);
        index *= 2;
    }
    part(live, word_depth(word), &others);
    zeros = build_group(region, live, 0);
    ones = build_group(region, &others, 0);
    /* A keyed hash halves 400 slots; none of the halves fills a last class. */
    assert(zeros.line != 0 && ones.line != 0);
    publish(region, index, word, zeros, ones);
}

/* The caller has reserved enough, but for an accident of the hash: then memory
 * is asked for here, under the lock. */
static void make_room(region_handle *region)
{
    uint64_t lines = 3 * LAST_CLASS_LINES;

    lines += directory_lines(
        root_depth(atomic_load_explicit(&region->header->keydir_root,
                                        memory_order_relaxed)) +
        1);
    if (heap_available(region) < lines) {
        (void)region_reserve(region, lines, NULL);
    }
}

void keydir_grow_locked(region_handle *region, uint64_t index)
{
    uint64_t root = atomic_load_explicit(&region->header->keydir_root,
                                         memory_order_relaxed);
    uint64_t word = atomic_load_explicit(directory_word(region, root, index),
                                         memory_order_relaxed);
    new_group none = {0, 0};
    new_group group;
    live_slots live;
    unsigned least = 0;

    make_room(region);
    if (word == 0) {
        live.count = 0;
        group = build_group(region, &live, 0);
        publish(region, index, word_make(0, 0, root_depth(root), 0), group,
                none);
        return;
    }
    collect(region, word, &live);
    /* A group with many deleted slots may stay as large as it is, or shrink.
     * One with none must grow, or the same key would not fit again. */
    if (live.deleted <= live.count / 8) {
        least = word_class(word) + 1;
    }
    group = least > LAST_CLASS ? none : build_group(region, &live, least);
    if (group.line != 0) {
        publish(region, index, word, group, none);
    } else {
        split(region, index, word, &live);
    }
}
