/*
 * What is seen at one moment, see iter_visible.h.
 *
 * Going forward the first version of a key that is not too new decides, and the
 * merge stays on it. Going back the last one does, which is known when the
 * merge has left the key: then it is at a smaller key, or at the end.
 */
#include "iter/iter_visible.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "iter/iter_merge.h"

/* After so many keys that ranges hide, one after the other, their ends are
 * looked for: that costs about as much as to pass over so many. */
enum { HIDDEN_MOST = 32 };

typedef enum visible_state {
    VISIBLE_NOWHERE,
    VISIBLE_HERE,   /* the merge is at what was found */
    VISIBLE_BEFORE, /* at a smaller key */
    VISIBLE_AT_END  /* of the smallest key: the merge is nowhere */
} visible_state;

struct iter_visible {
    iter_merge *merge;
    iter_visible_options options;
    visible_state state;
    cask_slice key;      /* that was found last */
    cask_buffer kept;    /* its bytes, if those of the input do not last */
    cask_run_entry copy; /* going back: the newest version so far */
    cask_buffer value;   /* its bytes, likewise */
    unsigned hidden;     /* keys, one after the other, up to here */
};

/* ---- Rules -------------------------------------------------------------- */

static cask_status check_range(const iter_visible *it, cask_error *err)
{
    if (it->options.ranges != NULL) {
        return CASK_OK; /* its effect is in there */
    }
    return fail(err, CASK_INVALID, 0,
                "input %zu has deletions of ranges, but none were given",
                iter_merge_input(it->merge));
}

static bool is_candidate(const iter_visible *it, const cask_run_entry *entry)
{
    return entry->kind != CASK_RUN_DELETE_RANGE &&
           entry->info.sequence <= it->options.sequence;
}

/* What hides the newest version of a key; NULL: no range does. */
static const iter_range *hiding_range(const iter_visible *it,
                                      const cask_run_entry *entry)
{
    const iter_range *range =
        it->options.ranges == NULL
            ? NULL
            : iter_ranges_around(it->options.ranges, 0, entry->key);

    return range != NULL && range->sequence > entry->info.sequence ? range
                                                                   : NULL;
}

/* Whether the newest version of a key is to be seen. */
static bool is_live(iter_visible *it, const cask_run_entry *entry)
{
    const iter_visible_options *options = &it->options;

    if (hiding_range(it, entry) != NULL) {
        it->hidden++;
        return false;
    }
    it->hidden = 0;
    return entry->kind != CASK_RUN_DELETE &&
           (options->is_expired == NULL ||
            !options->is_expired(options->context, entry));
}

/* Whether so many keys were hidden that the rest is skipped; then the range
 * that hides this one. */
static const iter_range *range_to_skip(iter_visible *it,
                                       const cask_run_entry *entry)
{
    if (it->hidden < HIDDEN_MOST) {
        return NULL;
    }
    it->hidden = 0;
    return hiding_range(it, entry);
}

/* ---- Keeping ------------------------------------------------------------ */

static cask_status keep(cask_buffer *buffer, cask_slice *slice, cask_error *err)
{
    cask_status status;

    buffer->size = 0;
    status = buffer_append(buffer, slice->data, slice->size, err);
    if (status == CASK_OK) {
        slice->data = buffer->data;
    }
    return status;
}

/* The key where the merge is, is the one in hand; the merge will be moved. */
static cask_status take_key(iter_visible *it, cask_error *err)
{
    it->key = iter_merge_entry(it->merge)->key;
    return iter_merge_is_stable(it->merge) ? CASK_OK
                                           : keep(&it->kept, &it->key, err);
}

/* The same of all the record. */
static cask_status take_all(iter_visible *it, cask_error *err)
{
    cask_status status = take_key(it, err);

    it->copy = *iter_merge_entry(it->merge);
    it->copy.key = it->key;
    if (status == CASK_OK && !iter_merge_is_stable(it->merge)) {
        status = keep(&it->value, &it->copy.value, err);
    }
    return status;
}

/* ---- Forward ------------------------------------------------------------ */

/* Leave the key in hand, and all before it; and what `range` hides, if it is
 * not NULL. */
static cask_status pass_forward(iter_visible *it, const iter_range *range,
                                cask_error *err)
{
    cask_status status = CASK_OK;

    if (range != NULL) {
        status = iter_merge_skip(it->merge, range->to, range->sequence, err);
    }
    if (status != CASK_OK ||
        key_compare(iter_merge_entry(it->merge)->key, it->key) > 0) {
        return status;
    }
    do {
        status = iter_merge_next(it->merge, err);
    } while (status == CASK_OK &&
             key_compare(iter_merge_entry(it->merge)->key, it->key) <= 0);
    return status;
}

/* From where the merge is, to the first key that is to be seen. */
static cask_status find_forward(iter_visible *it, cask_status status,
                                const cask_run_entry **ret_entry,
                                cask_error *err)
{
    while (status == CASK_OK) {
        const cask_run_entry *entry = iter_merge_entry(it->merge);

        if (iter_is_above(&it->options.bounds, entry->key)) {
            return CASK_NOT_FOUND;
        }
        if (!is_candidate(it, entry)) {
            status = entry->kind == CASK_RUN_DELETE_RANGE ? check_range(it, err)
                                                          : CASK_OK;
            if (status == CASK_OK) {
                status = iter_merge_next(it->merge, err);
            }
            continue;
        }
        status = take_key(it, err);
        if (status == CASK_OK && is_live(it, entry)) {
            it->state = VISIBLE_HERE;
            *ret_entry = entry;
            return CASK_OK;
        }
        if (status == CASK_OK) {
            status = pass_forward(it, range_to_skip(it, entry), err);
        }
    }
    return status;
}

/* ---- Backward ----------------------------------------------------------- */

static cask_status pass_back(iter_visible *it, cask_slice key, cask_error *err)
{
    cask_status status = CASK_OK;

    while (status == CASK_OK &&
           key_compare(iter_merge_entry(it->merge)->key, key) >= 0) {
        status = iter_merge_previous(it->merge, err);
    }
    return status;
}

/*
 * The merge is at the oldest version of a key: look at all. The newest that
 * counts is copied; *ret_any false: none does.
 */
static cask_status take_newest(iter_visible *it, bool *ret_any, cask_error *err)
{
    cask_status status;

    *ret_any = false;
    /* The key is needed to see where it ends, whether a version counts or
     * not. */
    status = take_key(it, err);
    while (status == CASK_OK) {
        const cask_run_entry *entry = iter_merge_entry(it->merge);

        if (entry->kind == CASK_RUN_DELETE_RANGE) {
            status = check_range(it, err);
        } else if (is_candidate(it, entry)) {
            *ret_any = true;
            status = take_all(it, err);
        }
        if (status == CASK_OK) {
            status = iter_merge_previous(it->merge, err);
        }
        if (status == CASK_OK &&
            key_compare(iter_merge_entry(it->merge)->key, it->key) != 0) {
            return CASK_OK;
        }
    }
    return status;
}

/* From where the merge is, at the last version of a key, back to the first key
 * that is to be seen. */
static cask_status find_back(iter_visible *it, cask_status status,
                             const cask_run_entry **ret_entry, cask_error *err)
{
    while (status == CASK_OK) {
        const iter_range *range;
        bool is_any;

        if (iter_is_below(&it->options.bounds,
                          iter_merge_entry(it->merge)->key)) {
            return CASK_NOT_FOUND;
        }
        status = take_newest(it, &is_any, err);
        if ((status == CASK_OK || status == CASK_NOT_FOUND) && is_any &&
            is_live(it, &it->copy)) {
            *ret_entry = &it->copy;
            it->state = status == CASK_OK ? VISIBLE_BEFORE : VISIBLE_AT_END;
            return CASK_OK;
        }
        range =
            status == CASK_OK && is_any ? range_to_skip(it, &it->copy) : NULL;
        if (range != NULL) {
            status =
                iter_merge_skip(it->merge, range->from, range->sequence, err);
        }
    }
    return status;
}

/* ---- Calls -------------------------------------------------------------- */

static cask_status finish(iter_visible *it, cask_status status)
{
    if (status != CASK_OK) {
        it->state = VISIBLE_NOWHERE;
    }
    return status;
}

static cask_status seek_forward(iter_visible *it, cask_run_seek how,
                                cask_slice key,
                                const cask_run_entry **ret_entry,
                                cask_error *err)
{
    cask_slice lower = it->options.bounds.lower;

    if (lower.data != NULL &&
        (how == CASK_RUN_FIRST || key_compare(key, lower) < 0)) {
        how = CASK_RUN_AT_LEAST;
        key = lower;
    }
    return find_forward(it, iter_merge_seek(it->merge, how, key, err),
                        ret_entry, err);
}

static cask_status seek_back(iter_visible *it, cask_run_seek how,
                             cask_slice key, const cask_run_entry **ret_entry,
                             cask_error *err)
{
    cask_slice upper = it->options.bounds.upper;
    bool is_bound = upper.data != NULL &&
                    (how == CASK_RUN_LAST || key_compare(key, upper) >= 0);
    cask_status status;

    if (is_bound) {
        how = CASK_RUN_AT_MOST;
        key = upper;
    }
    status = iter_merge_seek(it->merge, how, key, err);
    if (status == CASK_OK && is_bound) {
        status = pass_back(it, upper, err);
    }
    return find_back(it, status, ret_entry, err);
}

cask_status iter_visible_seek(iter_visible *it, cask_run_seek how,
                              cask_slice key, const cask_run_entry **ret_entry,
                              cask_error *err)
{
    bool is_forward = how == CASK_RUN_FIRST || how == CASK_RUN_AT_LEAST;

    return finish(it, is_forward ? seek_forward(it, how, key, ret_entry, err)
                                 : seek_back(it, how, key, ret_entry, err));
}

static cask_status nowhere(cask_error *err)
{
    return fail(err, CASK_INVALID, 0, "the iterator is nowhere: seek first");
}

cask_status iter_visible_next(iter_visible *it,
                              const cask_run_entry **ret_entry, cask_error *err)
{
    cask_status status = CASK_OK;

    if (it->state == VISIBLE_NOWHERE) {
        return nowhere(err);
    }
    if (it->state == VISIBLE_AT_END) {
        status = iter_merge_seek(it->merge, CASK_RUN_AT_LEAST, it->key, err);
    }
    if (status == CASK_OK) {
        status = pass_forward(it, NULL, err);
    }
    return finish(it, find_forward(it, status, ret_entry, err));
}

cask_status iter_visible_previous(iter_visible *it,
                                  const cask_run_entry **ret_entry,
                                  cask_error *err)
{
    cask_status status = CASK_OK;

    if (it->state == VISIBLE_NOWHERE) {
        return nowhere(err);
    }
    if (it->state == VISIBLE_AT_END) {
        status = CASK_NOT_FOUND;
    } else if (it->state == VISIBLE_HERE) {
        status = pass_back(it, it->key, err);
    }
    return finish(it, find_back(it, status, ret_entry, err));
}

/* ---- The whole ---------------------------------------------------------- */

cask_status iter_visible_create(const iter_input *inputs, size_t count,
                                const iter_visible_options *options,
                                iter_visible **ret_iterator, cask_error *err)
{
    iter_visible *it = calloc(1, sizeof(*it));
    cask_status status;

    if (it == NULL) {
        return fail_memory(err, sizeof(*it));
    }
    status = iter_merge_create(inputs, count, options->shared_bytes, &it->merge,
                               err);
    if (status != CASK_OK) {
        iter_visible_free(it);
        return status;
    }
    it->options = *options;
    *ret_iterator = it;
    return CASK_OK;
}

void iter_visible_free(iter_visible *iterator)
{
    if (iterator == NULL) {
        return;
    }
    iter_merge_free(iterator->merge);
    cask_buffer_free(&iterator->kept);
    cask_buffer_free(&iterator->value);
    free(iterator);
}
