/*
 * Damage in the model test: a byte of a sealed segment goes wrong. At most one
 * key cannot be read then, whatever merges, deaths and opens make of it, until
 * it is written again; every other one answers as before, and what was deleted
 * stays deleted, also if it is a delete that is damaged.
 */
#include <stdio.h>

#include "model.h"
#include "support/flip.h"

cask_status unless_damaged(const run *r, cask_status status)
{
    return r->is_damaged && status == CASK_CORRUPT ? CASK_OK : status;
}

/* The key whose value is in the damaged record; KEYS: none. */
static unsigned find_hurt(run *r, const flip *f)
{
    unsigned hurt = KEYS;
    char text[512];

    for (unsigned key = 0; key < KEYS; key++) {
        if (flip_hits(f, sim_place(r->db[r->current], key_of(key, text)))) {
            hurt = key;
        }
    }
    return hurt;
}

/* All keys answer as the model says, but for the one that is hurt: that can be
 * damaged, but never has another value than its own. If only the key is wrong
 * in the file, or the padding, it can be read: who asks knows the key. */
static void look_at_all(run *r, unsigned hurt)
{
    char text[512];

    for (unsigned key = 0; key < KEYS; key++) {
        entry *e = &r->now.entries[key];
        cask_error err = {CASK_OK, 0, ""};
        cask_info info;
        cask_status status = cask_get_with(r->db[r->current], key_of(key, text),
                                           &r->buffer, &info, &err);

        if (key == hurt && status == CASK_CORRUPT) {
            continue;
        }
        if (answers(r, "DAMAGE: get", status,
                    is_live(&r->now, e) ? CASK_OK : CASK_NOT_FOUND, &err)) {
            compare_value(r, e, (cask_slice){r->buffer.data, r->buffer.size});
            compare_info(r, e, &info);
        }
    }
}

/* Write the key again: its damaged record is dead from here on. */
static void heal(run *r, unsigned hurt, uint64_t number)
{
    static uint8_t memory[VALUE_BYTES];
    cask_db *db = r->db[r->current];
    entry *e = &r->now.entries[hurt];
    cask_error err = {CASK_OK, 0, ""};
    char text[512];

    if (number % 2 == 0) {
        (void)answers(r, "DAMAGE: delete",
                      cask_delete(db, key_of(hurt, text), NULL, &err), CASK_OK,
                      &err);
        *e = (entry){.there = false};
        return;
    }
    (void)answers(
        r, "DAMAGE: put",
        cask_put(db, key_of(hurt, text), value_of(number, memory), &err),
        CASK_OK, &err);
    *e = (entry){
        .there = true, .number = number, .time_s = r->now.now_ms / 1000};
}

void damage_perform(run *r, const operation *o)
{
    static const operation_kind kinds[] = {MERGE, REOPEN, DIE};
    unsigned hurt;
    flip f;

    if (!flip_choose(r->db[r->current], o->number, &f)) {
        return;
    }
    for (unsigned handle = 0; handle < HANDLES; handle++) {
        snapshot_free_all(r, handle); /* they may need what goes wrong */
    }
    hurt = find_hurt(r, &f);
    flip_byte(sim_os(r->machine), SIM_PATH, &f);
    r->is_damaged = true;
    look_at_all(r, hurt);
    for (unsigned i = 0; i < o->number / 7 % 4 && r->message[0] == 0; i++) {
        uint64_t number = test_mix(o->number + i);
        const operation next = {
            .kind = kinds[number % 3], .key = o->key, .number = number >> 20};

        perform(r, &next);
        if (r->message[0] == 0) {
            look_at_all(r, hurt);
        }
    }
    if (hurt != KEYS && r->message[0] == 0) {
        heal(r, hurt, o->number / 28);
    }
}
