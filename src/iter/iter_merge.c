/*
 * Merging, see iter_merge.h.
 *
 * tree[0] is the winner: the record where the merge is. tree[1] to
 * tree[count - 1] are matches, each keeps its loser; the inputs are the leaves
 * count to 2 count - 1, and the parent of n is n / 2. When the winner's input
 * has moved, only the matches on its way up are played again.
 *
 * Matches compare ranks, which lie in the tree itself: the head of the key, in
 * the order in which the merge goes. Only if they are equal the keys are read.
 *
 * While the merge is somewhere, each other input is at its first record behind
 * that, in the direction in which the merge goes, or at its end.
 */
#include "iter/iter_merge.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"

enum { HEAD_BYTES = 8 };

static const uint32_t NOBODY = UINT32_MAX;
static const uint64_t LAST_RANK = UINT64_MAX;

typedef struct merge_leaf {
    cask_run_entry entry; /* where the input is */
    iter_input input;
    bool is_there; /* false: the input is at its end */
} merge_leaf;

typedef struct merge_node {
    uint64_t rank; /* LAST_RANK if the input is at its end, but not only then */
    uint32_t input;
} merge_node;

struct iter_merge {
    merge_leaf *leaves;
    merge_node *tree;
    uint32_t count;
    bool is_somewhere;
    bool is_backward;
    size_t shared_bytes;
    cask_buffer turn_key; /* where it turned, if the bytes would not last */
};

/* ---- Order -------------------------------------------------------------- */

static uint64_t head_of(cask_slice key, size_t shared_bytes)
{
    const uint8_t *bytes = key.data;
    uint64_t head = 0;

    if (key.size >= shared_bytes + HEAD_BYTES) {
        memcpy(&head, bytes + shared_bytes, HEAD_BYTES);
    } else if (key.size > shared_bytes) {
        memcpy(&head, bytes + shared_bytes, key.size - shared_bytes);
    }
    return __builtin_bswap64(head);
}

static merge_node node_of(const iter_merge *m, uint32_t input)
{
    const merge_leaf *leaf = &m->leaves[input];
    merge_node node = {LAST_RANK, input};

    if (leaf->is_there) {
        uint64_t head = head_of(leaf->entry.key, m->shared_bytes);

        node.rank = m->is_backward ? ~head : head;
    }
    return node;
}

/* The order of entries going forward; the order of inputs decides between the
 * same version twice. */
static int compare_entries(const cask_run_entry *a, uint32_t input_a,
                           const cask_run_entry *b, uint32_t input_b)
{
    int order = key_compare(a->key, b->key);

    if (order != 0) {
        return order;
    }
    if (a->info.sequence != b->info.sequence) {
        return a->info.sequence > b->info.sequence ? -1 : 1;
    }
    return input_a < input_b ? -1 : input_a > input_b;
}

/* Between equal ranks. */
static bool wins_tie(const iter_merge *m, uint32_t a, uint32_t b)
{
    const merge_leaf *left = &m->leaves[a];
    const merge_leaf *right = &m->leaves[b];
    int order;

    if (!left->is_there || !right->is_there) {
        return left->is_there || (!right->is_there && a < b);
    }
    order = compare_entries(&left->entry, a, &right->entry, b);
    return m->is_backward ? order > 0 : order < 0;
}

static bool wins(const iter_merge *m, merge_node a, merge_node b)
{
    return a.rank != b.rank ? a.rank < b.rank : wins_tie(m, a.input, b.input);
}

/* Let an input that has moved play its matches. */
static void replay(iter_merge *m, merge_node node)
{
    for (uint32_t at = (m->count + node.input) / 2; at > 0; at /= 2) {
        merge_node other = m->tree[at];

        if (wins(m, other, node)) {
            m->tree[at] = node;
            node = other;
        }
    }
    m->tree[0] = node;
}

/* Let one input play in a tree that is not full: the first of two waits at
 * their match for the second. */
static void enter(iter_merge *m, merge_node node)
{
    for (uint32_t at = (m->count + node.input) / 2; at > 0; at /= 2) {
        merge_node other = m->tree[at];

        if (other.input == NOBODY) {
            m->tree[at] = node;
            return;
        }
        if (wins(m, other, node)) {
            m->tree[at] = node;
            node = other;
        }
    }
    m->tree[0] = node;
}

/* ---- Moving ------------------------------------------------------------- */

/* What an input's call returned: CASK_OK also if it is at its end. */
static cask_status settle(merge_leaf *leaf, cask_status status)
{
    leaf->is_there = status == CASK_OK;
    return status == CASK_NOT_FOUND ? CASK_OK : status;
}

static cask_status seek_input(merge_leaf *leaf, cask_run_seek how,
                              cask_slice key, cask_error *err)
{
    return settle(leaf, leaf->input.ops->seek(leaf->input.self, how, key,
                                              &leaf->entry, err));
}

static cask_status step_input(merge_leaf *leaf, bool is_backward,
                              cask_error *err)
{
    const iter_input_ops *ops = leaf->input.ops;

    return settle(leaf, is_backward
                            ? ops->previous(leaf->input.self, &leaf->entry, err)
                            : ops->next(leaf->input.self, &leaf->entry, err));
}

/* All inputs are where they belong: find the winner. */
static cask_status begin(iter_merge *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        m->tree[i] = (merge_node){LAST_RANK, NOBODY};
    }
    for (uint32_t i = 0; i < m->count; i++) {
        enter(m, node_of(m, i));
    }
    m->is_somewhere = m->count > 0 && m->leaves[m->tree[0].input].is_there;
    return m->is_somewhere ? CASK_OK : CASK_NOT_FOUND;
}

cask_status iter_merge_seek(iter_merge *m, cask_run_seek how, cask_slice key,
                            cask_error *err)
{
    m->is_somewhere = false;
    m->is_backward = how == CASK_RUN_LAST || how == CASK_RUN_AT_MOST;
    for (uint32_t i = 0; i < m->count; i++) {
        cask_status status = seek_input(&m->leaves[i], how, key, err);

        if (status != CASK_OK) {
            return status;
        }
    }
    return begin(m);
}

static cask_status go_on(iter_merge *m, cask_error *err)
{
    uint32_t input = m->tree[0].input;
    cask_status status;

    m->is_somewhere = false;
    status = step_input(&m->leaves[input], m->is_backward, err);
    if (status != CASK_OK) {
        return status;
    }
    replay(m, node_of(m, input));
    m->is_somewhere = m->leaves[m->tree[0].input].is_there;
    return m->is_somewhere ? CASK_OK : CASK_NOT_FOUND;
}

/*
 * Move an input to its first record behind `here` in the new direction. It is
 * one step away, unless records have come into being since.
 */
static cask_status turn_input(iter_merge *m, uint32_t input,
                              const cask_run_entry *here, uint32_t winner,
                              cask_error *err)
{
    merge_leaf *leaf = &m->leaves[input];
    bool is_backward = m->is_backward;
    cask_status status;

    if (leaf->is_there) {
        status = step_input(leaf, is_backward, err);
    } else {
        status =
            seek_input(leaf, is_backward ? CASK_RUN_AT_MOST : CASK_RUN_AT_LEAST,
                       here->key, err);
    }
    while (status == CASK_OK && leaf->is_there) {
        int order = compare_entries(&leaf->entry, input, here, winner);

        if (is_backward ? order < 0 : order > 0) {
            break;
        }
        status = step_input(leaf, is_backward, err);
    }
    return status;
}

static cask_status turn(iter_merge *m, cask_error *err)
{
    uint32_t winner = m->tree[0].input;
    cask_run_entry here = m->leaves[winner].entry;

    m->is_somewhere = false;
    if (!m->leaves[winner].input.is_stable) {
        cask_status status;

        m->turn_key.size = 0;
        status = buffer_append(&m->turn_key, here.key.data, here.key.size, err);
        if (status != CASK_OK) {
            return status;
        }
        here.key.data = m->turn_key.data;
    }
    m->is_backward = !m->is_backward;
    for (uint32_t i = 0; i < m->count; i++) {
        cask_status status = turn_input(m, i, &here, winner, err);

        if (status != CASK_OK) {
            return status;
        }
    }
    return begin(m);
}

static cask_status step(iter_merge *m, bool is_backward, cask_error *err)
{
    if (!m->is_somewhere) {
        return fail(err, CASK_INVALID, 0,
                    "the iterator is nowhere: seek first");
    }
    return m->is_backward == is_backward ? go_on(m, err) : turn(m, err);
}

cask_status iter_merge_next(iter_merge *m, cask_error *err)
{
    return step(m, false, err);
}

cask_status iter_merge_previous(iter_merge *m, cask_error *err)
{
    return step(m, true, err);
}

/* ---- Leaving out ---- */

static bool is_to_be_moved(const iter_merge *m, const merge_leaf *leaf,
                           cask_slice key, uint64_t sequence)
{
    int order;

    if (!leaf->is_there || leaf->input.last_sequence == 0 ||
        leaf->input.last_sequence >= sequence) {
        return false;
    }
    order = key_compare(leaf->entry.key, key);
    return m->is_backward ? order > 0 : order < 0;
}

cask_status iter_merge_skip(iter_merge *m, cask_slice key, uint64_t sequence,
                            cask_error *err)
{
    cask_run_seek how = m->is_backward ? CASK_RUN_AT_MOST : CASK_RUN_AT_LEAST;

    m->is_somewhere = false;
    for (uint32_t i = 0; i < m->count; i++) {
        merge_leaf *leaf = &m->leaves[i];
        cask_status status = is_to_be_moved(m, leaf, key, sequence)
                                 ? seek_input(leaf, how, key, err)
                                 : CASK_OK;

        if (status != CASK_OK) {
            return status;
        }
    }
    return begin(m);
}

/* ---- The whole ---------------------------------------------------------- */

cask_status iter_merge_create(const iter_input *inputs, size_t count,
                              size_t shared_bytes, iter_merge **ret_merge,
                              cask_error *err)
{
    iter_merge *m;

    if (count > INT32_MAX) {
        return fail(err, CASK_INVALID, 0, "%zu inputs, at most %" PRId32, count,
                    INT32_MAX);
    }
    m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return fail_memory(err, sizeof(*m));
    }
    m->count = (uint32_t)count;
    m->shared_bytes = shared_bytes;
    /* One more: no input is no reason for NULL. */
    m->leaves = calloc(count + 1, sizeof(*m->leaves));
    m->tree = calloc(count + 1, sizeof(*m->tree));
    if (m->leaves == NULL || m->tree == NULL) {
        iter_merge_free(m);
        return fail_memory(err, (count + 1) * sizeof(*m->leaves));
    }
    for (size_t i = 0; i < count; i++) {
        m->leaves[i].input = inputs[i];
    }
    *ret_merge = m;
    return CASK_OK;
}

void iter_merge_free(iter_merge *merge)
{
    if (merge == NULL) {
        return;
    }
    cask_buffer_free(&merge->turn_key);
    free(merge->leaves);
    free(merge->tree);
    free(merge);
}

const cask_run_entry *iter_merge_entry(const iter_merge *m)
{
    assert(m->is_somewhere);
    return &m->leaves[m->tree[0].input].entry;
}

size_t iter_merge_input(const iter_merge *m)
{
    assert(m->is_somewhere);
    return m->tree[0].input;
}

bool iter_merge_is_stable(const iter_merge *m)
{
    assert(m->is_somewhere);
    return m->leaves[m->tree[0].input].input.is_stable;
}
