/*
 * A store on a simulated disk, and what its history says must be left of it.
 *
 * A history is a list of units: a put, a delete or a batch each. After unit n
 * the store is in state n, told by a hash over all keys and values. After any
 * crash it must be in one of the states from the last one known to be durable
 * to the last one begun: a prefix of the commit order, batches whole, nothing
 * acknowledged and synced lost, nothing deleted back.
 */
#ifndef CASKADE_TESTS_SIM_STORE_H
#define CASKADE_TESTS_SIM_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "caskade.h"
#include "os/os_sim.h"
#include "support/random.h"

enum {
    SIM_KEYS = 24,
    SIM_UNITS = 512,         /* most units of a history */
    SIM_VALUE_BYTES = 24000, /* the largest value */
    SIM_SHM_BYTES = 1 << 30,
    SIM_NAME = 16
};

#define SIM_PATH "/store"

typedef struct sim_machine sim_machine;

typedef struct sim_history {
    uint64_t seed;
    test_random random;
    uint64_t version[SIM_KEYS]; /* unit that wrote the value; 0: none */
    uint64_t versions[SIM_UNITS][SIM_KEYS]; /* after each unit */
    uint64_t state[SIM_UNITS]; /* hash after each unit; 0: the empty store */
    uint64_t now;              /* hash */
    uint64_t begun;            /* units that may be in the store */
    uint64_t acked;            /* units that were acknowledged */
    uint64_t durable;          /* units that must be in the store */
    bool in_sync;              /* the step under way is a sync */
    bool is_damaged;           /* records that were dead and durably so */
    bool in_put;               /* it is a put, of put_key */
    unsigned put_key;
} sim_history;

/* How a store of this history is opened. */
cask_options sim_options(const sim_history *history);

/* Start an empty history. */
void sim_begin_history(sim_history *history, uint64_t seed);

/*
 * Do one more thing to the store: write a unit, or sync, or look.
 * CASK_OK, or what the store said: then the unit may be there or not.
 */
cask_status sim_step(sim_history *history, cask_db *db, cask_error *err);

/*
 * Merge some of the sealed segments, which ones by the bits of `choice`.
 * CASK_OK, also if there are none.
 */
cask_status sim_merge(cask_db *db, uint64_t choice, cask_error *err);

/*
 * Let a byte of a dead record or of a delete go wrong, in a segment that has a
 * hint, after a sync: nobody may notice but who reads all, which folds and
 * merges do; they tell. False: there is none such, or `db` is of a dead
 * process.
 */
bool sim_damage(sim_history *history, cask_db *db, sim_machine *machine,
                uint64_t choice);

/* Print what all merges of this process did. */
void sim_print_merged(void);

/* The place of the live record that the index names for a key; 0: none. */
uint64_t sim_place(cask_db *db, cask_slice key);

/* Whether nothing counts as expired now, for the clock is not believed. */
bool sim_clock_disagrees(cask_db *db);

/* Write a unit of one key. */
cask_status sim_put(sim_history *history, cask_db *db, cask_error *err);

/*
 * The same while sim_step() is in a put that has appended nothing yet: the new
 * unit comes before the one under way. Unless CASK_OK, it is not there.
 */
cask_status sim_put_before(sim_history *history, cask_db *db, cask_error *err);

/* Forget the units behind `state`: the store does not have them. */
void sim_roll_back(sim_history *history, int64_t state);

/* The state that a store is in: its number in [durable, begun], or -1 with a
 * message that tells what is wrong. */
int64_t sim_state_of(const sim_history *history, cask_db *db,
                     char ret_message[256]);

/* A machine with a disk to unplug, and with shared memory that is lost then.
 * Stores on it have no background thread. At most 8 at once.
 * options.max_file_bytes 0: 2 MiB. */
sim_machine *sim_machine_create(const os_sim_options *options);
void sim_machine_free(sim_machine *machine);
os_sim *sim_disk(sim_machine *machine);
os *sim_os(sim_machine *machine);

/* Call `after` when a sync of a file has succeeded, before it returns; NULL: no
 * more. It may use the store, through another handle. */
void sim_on_sync(sim_machine *machine, void (*after)(void *context),
                 void *context);

/* The power fails, if it has not yet, and comes back. */
void sim_machine_crash(sim_machine *machine, uint64_t seed);

/* Make `to` what `from` would be if the power failed now; see os_sim_copy();
 * to be followed by sim_machine_crash(). */
void sim_machine_copy(sim_machine *from, sim_machine *to);

#endif
