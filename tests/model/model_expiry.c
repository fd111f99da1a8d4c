/*
 * Expiry in the model test: times of single keys, the age of the store, clocks
 * that are set, and what merges take away by them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "db/db.h"
#include "tree/tree.h"

/* Behind the others: it has short names. */
#include "model.h"

/* ---- Single keys ---- */

static void change(run *r, const operation *o, cask_status status,
                   uint64_t expires_at_ms, const cask_error *err)
{
    entry *e = &r->now.entries[o->key];

    if (answers(r, kind_names[o->kind], status,
                is_live(&r->now, e) ? CASK_OK : CASK_NOT_FOUND, err)) {
        e->expires_at_ms = expires_at_ms;
        e->sequence = 0;
    }
}

static void expire(run *r, const operation *o)
{
    const cask_expiry expiry = {.ttl_ms = 1 + o->number % 40000};
    cask_error err = {CASK_OK, 0, ""};
    char text[512];

    change(r, o,
           cask_expire(r->db[r->current], key_of(o->key, text), &expiry, &err),
           r->now.now_ms + expiry.ttl_ms, &err);
}

static void persist(run *r, const operation *o)
{
    const entry before = r->now.entries[o->key];
    cask_error err = {CASK_OK, 0, ""};
    bool had = before.expires_at_ms == 0;
    char text[512];
    cask_status status =
        cask_persist(r->db[r->current], key_of(o->key, text), &had, &err);

    change(r, o, status, 0, &err);
    if (status == CASK_OK && had != (before.expires_at_ms != 0)) {
        wrong(r, "PERSIST: had an expiry: %d", had);
    }
}

static void ttl(run *r, const operation *o)
{
    const entry *e = &r->now.entries[o->key];
    uint64_t right = e->expires_at_ms == 0 ? CASK_TTL_NEVER
                                           : e->expires_at_ms - r->now.now_ms;
    cask_error err = {CASK_OK, 0, ""};
    uint64_t found = 0;
    char text[512];
    cask_status status =
        cask_ttl(r->db[r->current], key_of(o->key, text), &found, &err);

    if (r->now.expiry_seconds != 0) {
        uint64_t age_ms =
            (e->time_s + r->now.expiry_seconds + 1) * 1000 - r->now.now_ms;

        right = age_ms < right ? age_ms : right;
    }
    if (answers(r, "TTL", status,
                is_live(&r->now, e) ? CASK_OK : CASK_NOT_FOUND, &err) &&
        found != right) {
        wrong(r, "TTL: %" PRIu64 ", expected %" PRIu64, found, right);
    }
}

/* ---- The store ---- */

static void set_age(run *r, const operation *o)
{
    char seconds[32];
    char grace[32];
    const cask_config_change changes[] = {{"expiry_seconds", seconds},
                                          {"expiry_grace_seconds", grace}};
    cask_error err = {CASK_OK, 0, ""};

    r->store_expiry_s = o->number % 3 == 0 ? 0 : 20 + o->number % 100;
    r->store_grace_s = o->number % 2 == 0 ? 0 : o->number % 30;
    (void)snprintf(seconds, sizeof(seconds), "%" PRIu64, r->store_expiry_s);
    (void)snprintf(grace, sizeof(grace), "%" PRIu64, r->store_grace_s);
    (void)answers(r, "AGE",
                  cask_config_set(r->db[r->current], changes, 2, &err), CASK_OK,
                  &err);
    r->now.expiry_seconds = r->options.expiry_seconds;
    if (r->store_expiry_s != 0 && (r->now.expiry_seconds == 0 ||
                                   r->store_expiry_s < r->now.expiry_seconds)) {
        r->now.expiry_seconds = r->store_expiry_s;
    }
}

/* Also back: order never comes from clocks. And by a day, once so and once so:
 * while the store is open such a clock is not believed. */
static void move_clock(run *r, const operation *o)
{
    const uint64_t day_ms = UINT64_C(24) * 3600 * 1000;

    os_sim_advance_ms(sim_disk(r->machine), o->number % 30000);
    r->now.now_ms += o->number % 30000;
    r->now.now_ms -= o->number % 5 == 0 ? 20000 : 0;
    if (o->number % 16 == 1) {
        r->now.now_ms += r->is_ahead ? -day_ms : day_ms;
        r->is_ahead = !r->is_ahead;
    }
    os_sim_set_wall_ms(sim_disk(r->machine), r->now.now_ms);
}

/* Whether a merge that meets the value gives it up. */
static bool is_over(const run *r, const entry *e)
{
    uint64_t now_s = r->now.now_ms / 1000;

    return e->there &&
           ((e->expires_at_ms != 0 && e->expires_at_ms <= r->now.now_ms) ||
            (r->store_expiry_s != 0 && now_s > e->time_s &&
             now_s - e->time_s > r->store_expiry_s + r->store_grace_s));
}

/* A merge takes away the values whose time is over, if the clock is believed,
 * and no others; not those that only an option of the handle hides. One that it
 * did not meet stays where it was. */
static void merge(run *r, const operation *o)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = r->db[r->current];
    bool disagrees = sim_clock_disagrees(db);
    uint64_t before[KEYS];
    char text[512];

    for (unsigned key = 0; key < KEYS; key++) {
        before[key] = sim_place(db, key_of(key, text));
    }
    if (!answers(r, "MERGE", unless_damaged(r, sim_merge(db, o->number, &err)),
                 CASK_OK, &err)) {
        return;
    }
    for (unsigned key = 0; key < KEYS; key++) {
        entry *e = &r->now.entries[key];
        uint64_t after = sim_place(db, key_of(key, text));
        bool may_go = !disagrees && is_over(r, e);

        if (may_go && after == 0) {
            e->there = false;
        } else if ((before[key] != 0) != (after != 0) ||
                   (may_go && after != before[key] && !r->is_damaged)) {
            /* Of what is damaged nothing is given up: it moves. */
            wrong(r, "MERGE: key %u at %" PRIx64 " is at %" PRIx64, key,
                  before[key], after);
        }
    }
}

/* Whether a tree has the put of a key still, whatever the time is. */
static bool has_put(const run *r, cask_slice key)
{
    store_handle *store = r->db[r->current]->store;
    tree_found found = {.is_put = false};
    siphash_value hash = store_hash(store, key);

    return tree_find(store, key, hash, NULL, &found, NULL) == CASK_OK &&
           found.is_put;
}

static void note_gone(run *r)
{
    char text[512];

    for (unsigned key = 0; key < KEYS; key++) {
        entry *e = &r->now.entries[key];

        if (is_over(r, e) && !sim_clock_disagrees(r->db[r->current]) &&
            !has_put(r, key_of(key, text))) {
            e->there = false;
        }
    }
}

/* Now and then: any strategy takes over what another has made. */
static void change_strategy(run *r, uint64_t number)
{
    static const char *const names[] = {"lazy", "leveled", "tiered"};
    const cask_config_change change = {"compaction", names[number / 16 % 3]};
    cask_error err = {CASK_OK, 0, ""};

    if (number / 4 % 4 == 0) {
        (void)answers(r, "config",
                      cask_config_set(r->db[r->current], &change, 1, &err),
                      CASK_OK, &err);
    }
}

void compact_tree(run *r, uint64_t number)
{
    const cask_merge_options what = {.all = number % 8 == 1};
    cask_error err = {CASK_OK, 0, ""};

    change_strategy(r, number);
    (void)answers(r, "merge", cask_merge(r->db[r->current], &what, NULL, &err),
                  CASK_OK, &err);
    note_gone(r);
}

void expiry_perform(run *r, const operation *o)
{
    if (o->kind == EXPIRE) {
        expire(r, o);
    } else if (o->kind == PERSIST) {
        persist(r, o);
    } else if (o->kind == TTL) {
        ttl(r, o);
    } else if (o->kind == AGE) {
        set_age(r, o);
    } else if (o->kind == CLOCK) {
        move_clock(r, o);
    } else {
        merge(r, o);
    }
}

void tree_set_apart(run *r)
{
    const cask_config_change apart = {"value_separation_bytes", "64"};
    cask_error err = {CASK_OK, 0, ""};

    if (r->is_tree && r->seed % 2 == 0) {
        (void)answers(r, "config",
                      cask_config_set(r->db[r->current], &apart, 1, &err),
                      CASK_OK, &err);
    }
}
