/*
 * Lookup and update of the keydir.
 *
 * Why a reader without a lock is right: slots never move inside a group, a used
 * slot never becomes unused, and a group that was replaced keeps its content
 * until it is recycled. So a reader that finds the tag has a place that was
 * current at some moment of its call, and the record proves whose it is. A
 * reader that finds nothing may have searched recycled memory: it looks at the
 * root and directory words again, whose generations grow with every change.
 */
#include "hash/keydir.h"

#include "base/bytes.h"
#include "hash/keydir_layout.h"
#include "region/place.h"

/*
 * log2(1 + x) for x in [0, 1), both in 32-bit fixed point, by the cubic that
 * has its values and slopes at both ends; 0.3 % off in between.
 */
static uint32_t log2_of_one_plus(uint32_t x)
{
    const uint64_t slope = 1901382033; /* 0.4427 */
    const uint64_t bend = 704374636;   /* 0.164 */
    uint64_t curve = ((uint64_t)x * (UINT32_MAX - x)) >> 32;
    uint64_t y = x + ((curve * (slope - (bend * x >> 32))) >> 32);

    return y > UINT32_MAX ? UINT32_MAX : (uint32_t)y;
}

/*
 * Shards are chosen unevenly: the density rises from one shard to the next by
 * the same factor, and doubles over all of them. So at any moment the groups of
 * the shards are at every stage between two splits, equally many at each, and
 * memory per key is the same at every size of the store; and blocks that
 * growing groups leave are what other groups need next.
 */
keydir_hash keydir_hash_of(siphash_value value)
{
    uint32_t skewed = log2_of_one_plus((uint32_t)value.word[1]);
    keydir_hash hash = {.tag = value.word[0],
                        .shard = skewed >> (32 - KEYDIR_SHARD_BITS)};

    if (hash.tag == 0) {
        hash.tag = 1;
    }
    return hash;
}

static _Atomic uint64_t *word_of(const region_handle *region, uint64_t root,
                                 keydir_hash hash)
{
    unsigned depth = root_depth(root);
    uint64_t lines = ((uint64_t)KEYDIR_SHARDS << depth) * 8 / REGION_LINE;

    if (depth > DEPTH_MOST ||
        !region_has_lines(region, root_line(root), lines)) {
        return NULL;
    }
    return directory_word(region, root, directory_index(hash, depth));
}

/* Search a group. *ret_free: the first slot that a writer may use. */
static keydir_slot *search(const region_handle *region, uint64_t word,
                           uint64_t tag, keydir_slot **ret_free)
{
    keydir_line *group = region_line(region, word_line(word));
    uint32_t lines = keydir_class_lines[word_class(word)];
    uint32_t at = home_line(tag, lines);
    uint32_t probes = lines < PROBE_LINES ? lines : PROBE_LINES;

    *ret_free = NULL;
    if (!region_has_lines(region, word_line(word), lines)) {
        return NULL;
    }
    for (uint32_t i = 0; i < probes; i++) {
        for (int j = 0; j < LINE_SLOTS; j++) {
            keydir_slot *slot = &group[at].slot[j];
            uint64_t found =
                atomic_load_explicit(&slot->tag, memory_order_acquire);

            if (found == tag) {
                return slot;
            }
            if (found == 0) {
                if (*ret_free == NULL) {
                    *ret_free = slot;
                }
                return NULL;
            }
        }
        at = at + 1 == lines ? 0 : at + 1;
    }
    return NULL;
}

/* Whether what was searched was no recycled memory. The words of a directory
 * that was replaced never change again: they prove nothing. */
static bool is_current(const region_handle *region, uint64_t root,
                       _Atomic uint64_t *word_at, uint64_t word)
{
    return atomic_load_explicit(word_at, memory_order_acquire) == word &&
           atomic_load_explicit(&region->header->keydir_root,
                                memory_order_acquire) == root;
}

bool keydir_find(const region_handle *region, keydir_hash hash,
                 uint64_t *ret_place)
{
    for (;;) {
        uint64_t root = atomic_load_explicit(&region->header->keydir_root,
                                             memory_order_acquire);
        _Atomic uint64_t *word_at = word_of(region, root, hash);
        uint64_t word;
        keydir_slot *unused;
        keydir_slot *slot;

        if (word_at == NULL) {
            return false;
        }
        word = atomic_load_explicit(word_at, memory_order_acquire);
        slot = word == 0 ? NULL : search(region, word, hash.tag, &unused);
        if (slot != NULL) {
            *ret_place =
                atomic_load_explicit(&slot->place, memory_order_acquire);
            /* Recycled in between: the place is another key's. */
            if (atomic_load_explicit(&slot->tag, memory_order_acquire) ==
                    hash.tag &&
                is_current(region, root, word_at, word)) {
                return true;
            }
        } else if (is_current(region, root, word_at, word)) {
            return false;
        }
    }
}

void keydir_prefetch(const region_handle *region, keydir_hash hash)
{
    uint64_t root = atomic_load_explicit(&region->header->keydir_root,
                                         memory_order_acquire);
    _Atomic uint64_t *word_at = word_of(region, root, hash);
    uint64_t word;

    if (word_at == NULL) {
        return;
    }
    word = atomic_load_explicit(word_at, memory_order_relaxed);
    if (word != 0) {
        keydir_line *group = region_line(region, word_line(word));
        uint32_t lines = keydir_class_lines[word_class(word)];

        __builtin_prefetch(&group[home_line(hash.tag, lines)]);
    }
}

/* ---- Writers ---- */

/* A deleted slot on the probe run may be reused, but only after the whole run
 * was searched: the tag may follow. */
static keydir_slot *deleted_slot(const region_handle *region, uint64_t word,
                                 uint64_t tag)
{
    keydir_line *group = region_line(region, word_line(word));
    uint32_t lines = keydir_class_lines[word_class(word)];
    uint32_t at = home_line(tag, lines);
    uint32_t probes = lines < PROBE_LINES ? lines : PROBE_LINES;

    for (uint32_t i = 0; i < probes; i++) {
        for (int j = 0; j < LINE_SLOTS; j++) {
            keydir_slot *slot = &group[at].slot[j];
            uint64_t place =
                atomic_load_explicit(&slot->place, memory_order_relaxed);

            if (atomic_load_explicit(&slot->tag, memory_order_relaxed) == 0) {
                return NULL;
            }
            if (!place_is_live(place)) {
                return slot;
            }
        }
        at = at + 1 == lines ? 0 : at + 1;
    }
    return NULL;
}

keydir_slot *keydir_slot_locked(region_handle *region, keydir_hash hash,
                                uint64_t *ret_place)
{
    for (;;) {
        uint64_t root = atomic_load_explicit(&region->header->keydir_root,
                                             memory_order_relaxed);
        uint64_t index = directory_index(hash, root_depth(root));
        uint64_t word = atomic_load_explicit(
            directory_word(region, root, index), memory_order_relaxed);
        keydir_slot *unused = NULL;
        keydir_slot *slot = NULL;

        if (word != 0) {
            slot = search(region, word, hash.tag, &unused);
        }
        if (slot != NULL) {
            *ret_place =
                atomic_load_explicit(&slot->place, memory_order_relaxed);
            return slot;
        }
        if (word != 0 && unused == NULL) {
            unused = deleted_slot(region, word, hash.tag);
        }
        if (unused != NULL) {
            *ret_place = 0;
            return unused;
        }
        keydir_grow_locked(region, index);
    }
}

void keydir_store_locked(keydir_slot *slot, keydir_hash hash, uint64_t place)
{
    /*
     * Tag first. The place beside it is then of no live record, 0 or of a
     * tombstone, so that a reader of this key finds nothing yet, and one of the
     * key that had the slot finds nothing any more. Who dies between the two
     * stores leaves a slot that redo finds by its tag.
     */
    if (atomic_load_explicit(&slot->tag, memory_order_relaxed) != hash.tag) {
        atomic_store_explicit(&slot->tag, hash.tag, memory_order_release);
    }
    atomic_store_explicit(&slot->place, place, memory_order_release);
}
