/*
 * Snapshots in the model test: copies of the model, compared with the store by
 * every call that reads one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

/* ---- Make, free ---- */

static void release(model_snapshot *s)
{
    cask_snapshot_free(s->snapshot);
    s->snapshot = NULL;
}

static void make(run *r, const operation *o)
{
    model_snapshot *s = &r->snapshots[o->number % SNAPSHOTS];
    cask_error err = {CASK_OK, 0, ""};

    release(s);
    if (answers(r, "snapshot",
                cask_snapshot_create(r->db[r->current], &s->snapshot, &err),
                CASK_OK, &err)) {
        s->handle = r->current;
        s->then = r->now;
    }
}

void snapshot_free_all(run *r, unsigned handle)
{
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        if (r->snapshots[i].handle == handle) {
            release(&r->snapshots[i]);
        }
    }
}

/* ---- Read ---- */

static void get(run *r, model_snapshot *s, unsigned key)
{
    entry *e = &s->then.entries[key];
    cask_error err = {CASK_OK, 0, ""};
    char what[64];
    char text[512];
    cask_info info;
    bool exists = false;

    (void)snprintf(what, sizeof(what), "snapshot: get of key %u", key);
    if (answers(r, what,
                cask_snapshot_get(s->snapshot, key_of(key, text), &r->buffer,
                                  &info, &err),
                is_live(&s->then, e) ? CASK_OK : CASK_NOT_FOUND, &err)) {
        compare_value(r, e, (cask_slice){r->buffer.data, r->buffer.size});
        compare_info(r, e, &info);
    }
    if (answers(
            r, "snapshot: exists",
            cask_snapshot_exists(s->snapshot, key_of(key, text), &exists, &err),
            CASK_OK, &err) &&
        exists != is_live(&s->then, e)) {
        wrong(r, "snapshot: exists is %d", exists);
    }
}

static void get_many(run *r, model_snapshot *s, unsigned first)
{
    static char text[MANY][512];
    static cask_buffer values[MANY];
    cask_status statuses[MANY];
    cask_slice keys[MANY];
    cask_error err = {CASK_OK, 0, ""};

    for (unsigned i = 0; i < MANY; i++) {
        keys[i] = key_of((first + i) % KEYS, text[i]);
    }
    (void)answers(
        r, "snapshot: get_many",
        cask_snapshot_get_many(s->snapshot, keys, MANY, values, statuses, &err),
        CASK_OK, &err);
    for (unsigned i = 0; i < MANY && r->message[0] == 0; i++) {
        const entry *e = &s->then.entries[(first + i) % KEYS];

        if (answers(r, "snapshot: get_many: one", statuses[i],
                    is_live(&s->then, e) ? CASK_OK : CASK_NOT_FOUND, &err)) {
            compare_value(r, e, (cask_slice){values[i].data, values[i].size});
        }
    }
}

/* In several parts, each key still once; in some of keys alone. */
static void fold(run *r, model_snapshot *s, uint32_t parts, uint32_t odd)
{
    folding f = {.r = r, .m = &s->then};
    cask_error err = {CASK_OK, 0, ""};

    for (uint32_t part = 0; part < parts; part++) {
        const cask_fold_options options = {.keys_only =
                                               (parts + part + odd) % 2 != 0,
                                           .parts = parts,
                                           .part = part};

        f.keys_only = options.keys_only;
        (void)answers(
            r, "snapshot: fold",
            unless_damaged(r, cask_snapshot_fold(s->snapshot, &options,
                                                 fold_one, &f, &err)),
            CASK_OK, &err);
    }
    fold_end(&f);
}

static void count(run *r, model_snapshot *s)
{
    cask_error err = {CASK_OK, 0, ""};
    uint64_t found = 0;

    if (answers(r, "snapshot: count",
                cask_snapshot_count(s->snapshot, &found, &err), CASK_OK,
                &err) &&
        found != counted(r, &s->then)) {
        wrong(r, "snapshot: count is %" PRIu64 ", expected %" PRIu64, found,
              counted(r, &s->then));
    }
}

static void compare(run *r, const operation *o)
{
    model_snapshot *s = &r->snapshots[o->number % SNAPSHOTS];

    if (s->snapshot == NULL) {
        return;
    }
    for (unsigned key = 0; key < KEYS; key++) {
        get(r, s, key);
    }
    get_many(r, s, o->key);
    count(r, s);
    fold(r, s, r->is_tree ? 1 : 1 + (uint32_t)(o->number >> 8) % 4,
         (uint32_t)(o->number >> 10));
}

void snapshot_perform(run *r, const operation *o)
{
    if (o->kind == SNAPSHOT) {
        make(r, o);
    } else if (o->kind == SNAPSHOT_READ) {
        compare(r, o);
    } else {
        release(&r->snapshots[o->number % SNAPSHOTS]);
    }
}
