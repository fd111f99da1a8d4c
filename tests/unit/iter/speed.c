/*
 * What one record costs in a merge of 2, 8, 64 and 512 inputs in memory: by the
 * tree of losers, by a plain heap over the same inputs, seen at one moment, and
 * survived; with keys whose heads differ and with keys that share them.
 *
 *     iter_speed [<records>]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "iter/iter_merge.h"
#include "iter/iter_survivors.h"
#include "iter/iter_visible.h"

enum { KEY_BYTES = 16, DEFAULT_RECORDS = 1000000, REPEATS = 3 };

typedef struct flat {
    cask_run_entry *entries;
    size_t count;
    size_t at;
} flat;

typedef struct flat_set {
    flat *inputs;
    iter_input *handles;
    size_t count;
    char (*keys)[KEY_BYTES];
    cask_run_entry *entries;
    size_t records;
} flat_set;

static void *need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "iter_speed: out of memory\n");
        exit(1);
    }
    return memory;
}

static cask_status flat_go(flat *f, size_t at, cask_run_entry *ret_entry)
{
    if (at >= f->count) {
        return CASK_NOT_FOUND;
    }
    f->at = at;
    *ret_entry = f->entries[at];
    return CASK_OK;
}

static cask_status flat_seek(void *self, cask_run_seek how, cask_slice key,
                             cask_run_entry *ret_entry, cask_error *err)
{
    flat *f = self;

    (void)key;
    (void)err;
    return flat_go(f, how == CASK_RUN_FIRST ? 0 : f->count - 1, ret_entry);
}

static cask_status flat_next(void *self, cask_run_entry *ret_entry,
                             cask_error *err)
{
    flat *f = self;

    (void)err;
    return flat_go(f, f->at + 1, ret_entry);
}

static cask_status flat_previous(void *self, cask_run_entry *ret_entry,
                                 cask_error *err)
{
    flat *f = self;

    (void)err;
    return flat_go(f, f->at - 1, ret_entry);
}

static const iter_input_ops flat_ops = {flat_seek, flat_next, flat_previous};

static int compare(const void *a, const void *b)
{
    const cask_run_entry *left = a;
    const cask_run_entry *right = b;

    return key_compare(left->key, right->key);
}

static uint64_t scramble(uint64_t value)
{
    value = (value ^ value >> 31) * UINT64_C(0x7fb5d329728ea185);
    value = (value ^ value >> 27) * UINT64_C(0x81dadef4bc2dd44d);
    return value ^ value >> 33;
}

/* The keys of an input lie in its order, as in a file. */
static void put_in_order(flat_set *set, size_t from, size_t count)
{
    cask_run_entry *entries = set->entries + from;
    char(*sorted)[KEY_BYTES] = need(calloc(count + 1, KEY_BYTES));

    qsort(entries, count, sizeof(*entries), compare);
    for (size_t i = 0; i < count; i++) {
        memcpy(sorted[i], entries[i].key.data, KEY_BYTES);
    }
    memcpy(set->keys[from], sorted, count * KEY_BYTES);
    for (size_t i = 0; i < count; i++) {
        entries[i].key.data = set->keys[from + i];
    }
    free(sorted);
}

static flat_set make(size_t records, size_t inputs, bool is_shared)
{
    flat_set set = {.count = inputs, .records = records};

    set.inputs = need(calloc(inputs, sizeof(*set.inputs)));
    set.handles = need(calloc(inputs, sizeof(*set.handles)));
    set.keys = need(calloc(records, KEY_BYTES));
    set.entries = need(calloc(records, sizeof(*set.entries)));
    for (size_t i = 0; i < records; i++) {
        const uint64_t words[] = {is_shared ? 7 : scramble(i + 1),
                                  scramble(i + 1)};

        memcpy(set.keys[i], words, KEY_BYTES);
        set.entries[i] = (cask_run_entry){.kind = CASK_RUN_PUT,
                                          .key = {set.keys[i], KEY_BYTES},
                                          .info = {.sequence = i + 1}};
    }
    for (size_t i = 0; i < inputs; i++) {
        size_t from = records * i / inputs;

        set.inputs[i].entries = set.entries + from;
        set.inputs[i].count = records * (i + 1) / inputs - from;
        put_in_order(&set, from, set.inputs[i].count);
        set.handles[i] = (iter_input){
            .ops = &flat_ops, .self = &set.inputs[i], .is_stable = true};
    }
    return set;
}

static void unmake(flat_set *set)
{
    free(set->inputs);
    free(set->handles);
    free(set->keys);
    free(set->entries);
}

static double now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- The ways ----------------------------------------------------------- */

static size_t by_tree(flat_set *set, size_t shared_bytes, bool is_backward)
{
    iter_merge *merge = NULL;
    size_t count = 0;
    cask_status status =
        iter_merge_create(set->handles, set->count, shared_bytes, &merge, NULL);

    if (status == CASK_OK) {
        status =
            iter_merge_seek(merge, is_backward ? CASK_RUN_LAST : CASK_RUN_FIRST,
                            (cask_slice){0}, NULL);
    }
    while (status == CASK_OK) {
        count++;
        status = is_backward ? iter_merge_previous(merge, NULL)
                             : iter_merge_next(merge, NULL);
    }
    iter_merge_free(merge);
    return count;
}

static size_t tree_forward(flat_set *set, size_t shared_bytes)
{
    return by_tree(set, shared_bytes, false);
}

static size_t tree_backward(flat_set *set, size_t shared_bytes)
{
    return by_tree(set, shared_bytes, true);
}

static size_t seen(flat_set *set, size_t shared_bytes)
{
    const iter_visible_options options = {.sequence = UINT64_MAX,
                                          .shared_bytes = shared_bytes};
    iter_visible *it = NULL;
    const cask_run_entry *entry;
    size_t count = 0;
    cask_status status =
        iter_visible_create(set->handles, set->count, &options, &it, NULL);

    if (status == CASK_OK) {
        status = iter_visible_seek(it, CASK_RUN_FIRST, (cask_slice){0}, &entry,
                                   NULL);
    }
    while (status == CASK_OK) {
        count++;
        status = iter_visible_next(it, &entry, NULL);
    }
    iter_visible_free(it);
    return count;
}

static size_t survived(flat_set *set, size_t shared_bytes)
{
    const uint64_t now = UINT64_MAX;
    const iter_survivors_options options = {.moments = {&now, 1},
                                            .drop_tombstones = true,
                                            .shared_bytes = shared_bytes};
    iter_survivors *it = NULL;
    const cask_run_entry *entry;
    size_t count = 0;
    cask_status status =
        iter_survivors_create(set->handles, set->count, &options, &it, NULL);

    while (status == CASK_OK) {
        status = iter_survivors_next(it, &entry, NULL);
        count += status == CASK_OK ? 1 : 0;
    }
    iter_survivors_free(it);
    return count;
}

/* The plain way: a binary heap of inputs that compares keys. */
static bool heap_less(const cask_run_entry *entries, size_t a, size_t b)
{
    int order = key_compare(entries[a].key, entries[b].key);

    return order != 0 ? order < 0
                      : entries[a].info.sequence > entries[b].info.sequence;
}

static void heap_down(const cask_run_entry *entries, size_t *heap, size_t size,
                      size_t at)
{
    for (;;) {
        size_t least = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < size && heap_less(entries, heap[child], heap[least])) {
                least = child;
            }
        }
        if (least == at) {
            return;
        }
        size_t kept = heap[at];

        heap[at] = heap[least];
        heap[least] = kept;
        at = least;
    }
}

static size_t by_heap(flat_set *set, size_t shared_bytes)
{
    cask_run_entry *entries = need(calloc(set->count, sizeof(*entries)));
    size_t *heap = need(calloc(set->count, sizeof(*heap)));
    size_t size = 0;
    size_t count = 0;

    (void)shared_bytes;
    for (size_t i = 0; i < set->count; i++) {
        const iter_input *input = &set->handles[i];

        if (input->ops->seek(input->self, CASK_RUN_FIRST, (cask_slice){0},
                             &entries[i], NULL) == CASK_OK) {
            heap[size++] = i;
        }
    }
    for (size_t i = size; i > 0; i--) {
        heap_down(entries, heap, size, i - 1);
    }
    while (size > 0) {
        const iter_input *input = &set->handles[heap[0]];

        count++;
        if (input->ops->next(input->self, &entries[heap[0]], NULL) != CASK_OK) {
            heap[0] = heap[--size];
        }
        heap_down(entries, heap, size, 0);
    }
    free(entries);
    free(heap);
    return count;
}

/* ---- The whole ---------------------------------------------------------- */

typedef size_t (*way)(flat_set *set, size_t shared_bytes);

static double ns_of(way run, flat_set *set, size_t shared_bytes)
{
    double best = 0;

    for (int i = 0; i < REPEATS; i++) {
        double start = now_ns();
        size_t count = run(set, shared_bytes);
        double ns = (now_ns() - start) / (double)count;

        if (count != set->records) {
            fprintf(stderr, "iter_speed: %zu of %zu records\n", count,
                    set->records);
            exit(1);
        }
        best = i == 0 || ns < best ? ns : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    const size_t inputs[] = {1, 2, 8, 64, 512};
    size_t records =
        argc > 1 ? strtoul(argv[1], NULL, 10) : (size_t)DEFAULT_RECORDS;

    printf("ns per record, best of %d, %zu records of %d-byte keys\n", REPEATS,
           records, KEY_BYTES);
    printf("%-8s %6s %6s %6s %6s %6s %6s\n", "heads", "inputs", "heap", "tree",
           "back", "seen", "left");
    for (int kind = 0; kind < 3; kind++) {
        static const char *const names[] = {"differ", "equal", "skipped"};
        size_t shared_bytes = kind == 2 ? 8 : 0;

        for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
            flat_set set = make(records, inputs[i], kind > 0);

            printf("%-8s %6zu %6.1f %6.1f %6.1f %6.1f %6.1f\n", names[kind],
                   inputs[i], ns_of(by_heap, &set, shared_bytes),
                   ns_of(tree_forward, &set, shared_bytes),
                   ns_of(tree_backward, &set, shared_bytes),
                   ns_of(seen, &set, shared_bytes),
                   ns_of(survived, &set, shared_bytes));
            unmake(&set);
        }
    }
    return 0;
}
