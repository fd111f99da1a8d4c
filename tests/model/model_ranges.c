/*
 * What needs an order of keys in the model test: deleting ranges, and walking
 * over keys in both directions. The keys of the model are in order.
 */
#include <inttypes.h>
#include <string.h>

#include "model.h"
#include "support/random.h"

/* Keys from one of the model to before another; KEYS: to the end. */
typedef struct key_span {
    unsigned from;
    unsigned to;
    bool has_lower; /* a bound; else `from` is 0 */
    bool has_upper;
    char text[2][512];
    cask_slice lower;
    cask_slice upper;
} key_span;

/* Of any size, also empty or the wrong way round; sometimes without bounds. */
static void make_span(unsigned key, uint64_t number, key_span *span)
{
    unsigned size = (unsigned)(number >> 4) % (number % 3 == 0 ? KEYS : 4);

    *span = (key_span){.from = key, .to = key + size};
    span->has_lower = number % 16 != 1;
    span->has_upper = number % 16 != 2 && span->to < KEYS;
    if (number % 16 == 3 && key > 0) {
        span->to = key - 1;
        span->has_upper = true;
    }
    span->from = span->has_lower ? span->from : 0;
    span->to = span->has_upper ? span->to : KEYS;
    if (span->has_lower) {
        span->lower = key_of(span->from, span->text[0]);
        span->lower.data = span->text[0]; /* a bound, also if it is empty */
    }
    if (span->has_upper) {
        span->upper = key_of(span->to, span->text[1]);
        span->upper.data = span->text[1];
    }
}

static void forget(entry *entries, const key_span *span)
{
    for (unsigned key = span->from; key < span->to; key++) {
        entries[key] = (entry){.there = false};
    }
}

/* ---- Deleting ---- */

void range_delete(run *r, const operation *o)
{
    cask_error err = {CASK_OK, 0, ""};
    key_span span;

    make_span(o->key, o->number, &span);
    if (answers(
            r, "delete_range",
            cask_delete_range(r->db[r->current], span.lower, span.upper, &err),
            r->is_tree ? CASK_OK : CASK_UNSUPPORTED, &err)) {
        forget(r->now.entries, &span);
    }
}

cask_status range_add(cask_batch *batch, unsigned key, uint64_t number,
                      entry *after, cask_error *err)
{
    key_span span;

    make_span(key, number, &span);
    forget(after, &span);
    return cask_batch_delete_range(batch, span.lower, span.upper, err);
}

/* ---- Walking ---- */

/* A place in a walk, and what the model says. */
typedef struct walking {
    run *r;
    model *m;
    key_span span;
    cask_iterator *it;
    unsigned at; /* KEYS: nowhere */
} walking;

/* The live key of the span that is next from `key` on, that one included. */
static unsigned next_live(const walking *w, unsigned key, bool is_back)
{
    for (; key < KEYS; key += is_back ? UINT32_MAX : 1) {
        if (key >= w->span.from && key < w->span.to &&
            is_live(w->m, &w->m->entries[key])) {
            return key;
        }
    }
    return KEYS;
}

static void compare_place(walking *w, cask_status status, unsigned expected,
                          const cask_entry *found, const cask_error *err)
{
    char text[512];
    cask_slice key = key_of(expected, text);

    w->at = expected;
    if (!answers(w->r, "walk", status,
                 expected < KEYS ? CASK_OK : CASK_NOT_FOUND, err)) {
        return;
    }
    if (found->key.size != key.size ||
        (key.size > 0 && memcmp(found->key.data, key.data, key.size) != 0)) {
        wrong(w->r, "walk: another key than number %u", expected);
        return;
    }
    compare_value(w->r, &w->m->entries[expected], found->value);
    compare_info(w->r, &w->m->entries[expected], &found->info);
}

static void seek(walking *w, uint64_t number)
{
    cask_seek how = (cask_seek)(1 + number % 4);
    bool is_back = how == CASK_SEEK_LAST || how == CASK_SEEK_AT_MOST;
    unsigned key = (unsigned)(number >> 2) % KEYS;
    cask_error err = {CASK_OK, 0, ""};
    cask_entry found;
    char text[512];
    cask_status status;

    if (how == CASK_SEEK_FIRST || how == CASK_SEEK_LAST) {
        key = is_back ? KEYS - 1 : 0;
    }
    status = cask_iterator_seek(w->it, how, key_of(key, text), &found, &err);
    compare_place(w, status, next_live(w, key, is_back), &found, &err);
}

static void step(walking *w, bool is_back)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_entry found;
    cask_status status = is_back ? cask_iterator_previous(w->it, &found, &err)
                                 : cask_iterator_next(w->it, &found, &err);

    compare_place(w, status, next_live(w, w->at + (is_back ? -1U : 1), is_back),
                  &found, &err);
}

static void walk_on(walking *w, uint64_t number)
{
    seek(w, number);
    for (unsigned i = 0; i < KEYS && w->r->message[0] == 0; i++) {
        number = test_mix(number);
        if (w->at == KEYS || number % 8 == 0) {
            seek(w, number >> 8);
        } else {
            step(w, number >> 3 & 1);
        }
    }
}

static void count_span(walking *w)
{
    cask_error err = {CASK_OK, 0, ""};
    uint64_t expected = 0;
    uint64_t found = 0;

    for (unsigned key = w->span.from; key < w->span.to; key++) {
        expected += is_live(w->m, &w->m->entries[key]) ? 1 : 0;
    }
    if (answers(w->r, "count_range",
                cask_count_range(w->r->db[w->r->current], w->span.lower,
                                 w->span.upper, &found, &err),
                CASK_OK, &err) &&
        found != expected) {
        wrong(w->r, "count_range: %" PRIu64 ", expected %" PRIu64, found,
              expected);
    }
}

void range_walk(run *r, const operation *o)
{
    model_snapshot *s = &r->snapshots[o->number % SNAPSHOTS];
    bool is_past = s->snapshot != NULL && s->handle == r->current;
    walking w = {.r = r, .m = is_past ? &s->then : &r->now};
    cask_iterator_options options = {.snapshot = is_past ? s->snapshot : NULL};
    cask_error err = {CASK_OK, 0, ""};

    make_span(o->key, test_mix(o->number), &w.span);
    options.lower = w.span.lower;
    options.upper = w.span.upper;
    if (!answers(r, "iterator",
                 cask_iterator_create(r->db[r->current], &options, &w.it, &err),
                 r->is_tree ? CASK_OK : CASK_UNSUPPORTED, &err)) {
        return;
    }
    walk_on(&w, o->number);
    cask_iterator_free(w.it);
    if (!is_past && r->message[0] == 0) {
        count_span(&w);
    }
}
