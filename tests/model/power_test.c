/*
 * Power loss: a history runs on a simulated disk; before each of its mutating
 * operations the power fails, in several ways, and each time the store is
 * opened again and must be in a state that the history allows. See sim_store.h.
 * Between its sessions the store is closed, or its processes die: while they
 * open it, after any operation of a session, or of its close.
 * Now and then a record that is dead, or a delete, is damaged: no crash may
 * bring anything back by that.
 * Also: the power fails again while the store recovers, and again after it
 * did; what recovery once showed stays.
 *
 *   CASK_TEST_SECONDS  how long at most (60)
 *   CASK_TEST_STATES   how many crashes at most (25000)
 *   CASK_TEST_SEED     the first history; the next is one more
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/db.h"
#include "os/os_fault.h"
#include "sim_store.h"

enum { STEPS = 40, SEEDS = 3, SESSIONS = 3 };

/* Operations among which that of a death is drawn, and deaths in a row. */
enum { DOOM_OPEN = 20, DOOM_STEPS = 80, DOOM_CLOSE = 8, DEATHS_MOST = 4 };

typedef struct power {
    sim_history history;
    sim_machine *disk;    /* on which the history runs */
    sim_machine *crashed; /* copies of it, unplugged */
    sim_machine *again;   /* unplugged once more */
    test_random random;
    uint64_t states;
    uint64_t deep;        /* of these, in or after a recovery */
    uint64_t during_sync; /* records written */
    uint64_t before_put;  /* of these, in the rotation of another's put */
    uint64_t deaths;      /* of processes, after an operation */
    uint64_t damages;     /* of bytes of records that were dead */
    uint64_t operation;
    uint64_t doom; /* operation after which process 0 is dead; 0: none */
    uint64_t start_ns;
    os_fault process[2]; /* of the history */
    cask_db *other;      /* another handle on the history's store */
    bool nested;         /* the hook itself is at work */
} power;

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

_Noreturn static void wrong(const power *p, uint64_t seed, const char *when,
                            const char *message)
{
    printf("FAILED: history %" PRIu64 ", operation %" PRIu64
           ", crash seed %" PRIu64 ", %s: %s\n",
           p->history.seed, p->operation, seed, when, message);
    exit(1);
}

/* Open what is left, find its state; the handle is left open. */
static int64_t open_and_look(const power *p, sim_machine *disk, uint64_t seed,
                             const char *when, cask_db **ret_db)
{
    cask_options options = sim_options(&p->history);
    cask_error err = {CASK_OK, 0, ""};
    char message[256] = "";
    cask_status status =
        db_open_on(sim_os(disk), SIM_PATH, &options, ret_db, &err);
    int64_t state;

    if (status != CASK_OK) {
        (void)snprintf(message, sizeof(message), "open: %.200s", err.message);
        wrong(p, seed, when, message);
    }
    state = sim_state_of(&p->history, *ret_db, message);
    if (state < 0) {
        wrong(p, seed, when, message);
    }
    return state;
}

/* Another history's hash tells the states apart; one more put after recovery
 * must work and be found again. */
static void write_and_reopen(power *p, cask_db *db, uint64_t seed)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_slice key = cask_slice_of("after");
    cask_buffer value = {NULL, 0, 0};
    cask_options options = sim_options(&p->history);
    cask_status status = cask_put(db, key, key, &err);

    if (status == CASK_OK) {
        status = cask_sync(db, &err);
    }
    if (status != CASK_OK) {
        wrong(p, seed, "put after recovery", err.message);
    }
    os_sim_cut(sim_disk(p->crashed));
    (void)cask_close(db, NULL);
    sim_machine_crash(p->crashed, seed);
    status = db_open_on(sim_os(p->crashed), SIM_PATH, &options, &db, &err);
    if (status == CASK_OK) {
        status = cask_get(db, key, &value, &err);
    }
    if (status != CASK_OK) {
        wrong(p, seed, "synced after recovery", err.message);
    }
    cask_buffer_free(&value);
    (void)cask_close(db, NULL);
}

/* The power fails at some operation of the recovery itself. */
static void crash_in_recovery(power *p, uint64_t seed)
{
    cask_options options = sim_options(&p->history);
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;
    uint64_t cut = test_random_next(&p->random, 24);

    sim_machine_copy(p->crashed, p->again);
    sim_machine_crash(p->again, seed);
    os_sim_cut_at(sim_disk(p->again),
                  os_sim_operations(sim_disk(p->again)) + cut);
    if (db_open_on(sim_os(p->again), SIM_PATH, &options, &db, &err) ==
        CASK_OK) {
        os_sim_cut(sim_disk(p->again));
        (void)cask_close(db, NULL);
    } else if (!os_sim_is_cut(sim_disk(p->again))) {
        wrong(p, seed, "open", err.message);
    }
    sim_machine_crash(p->again, seed + 1);
    (void)open_and_look(p, p->again, seed, "crash in recovery", &db);
    (void)cask_close(db, NULL);
    p->states++;
    p->deep++;
}

/* Recovery shows only what it has made durable. */
static void crash_after_recovery(power *p, cask_db *db, int64_t state,
                                 uint64_t seed)
{
    char message[64];
    int64_t found;

    os_sim_cut(sim_disk(p->crashed));
    (void)cask_close(db, NULL);
    sim_machine_crash(p->crashed, seed + 2);
    found = open_and_look(p, p->crashed, seed, "crash after recovery", &db);
    (void)cask_close(db, NULL);
    if (p->history.state[found] != p->history.state[state]) {
        (void)snprintf(message, sizeof(message),
                       "state %" PRId64 ", before it was %" PRId64, found,
                       state);
        wrong(p, seed, "crash after recovery", message);
    }
    p->states++;
    p->deep++;
}

/* What the disk would be if the power failed now. */
static void crash_now(power *p, uint64_t seed)
{
    uint64_t kind = test_random_next(&p->random, 8);
    cask_db *db = NULL;
    int64_t state;

    sim_machine_copy(p->disk, p->crashed);
    if (kind == 0) {
        crash_in_recovery(p, seed);
        return;
    }
    sim_machine_crash(p->crashed, seed);
    state = open_and_look(p, p->crashed, seed, "crash", &db);
    p->states++;
    if (kind == 1) {
        crash_after_recovery(p, db, state, seed);
    } else if (kind == 2) {
        write_and_reopen(p, db, seed);
    } else {
        (void)cask_close(db, NULL);
    }
}

/* Another process writes between the kernel's sync and what this one makes of
 * it: that record is not durable, though it is there. */
static void write_after_sync(void *context)
{
    power *p = context;
    uint64_t begun = p->history.begun;
    bool in_put = p->history.in_put;
    cask_error err = {CASK_OK, 0, ""};
    cask_status status;

    if (p->nested || (!p->history.in_sync && !in_put) ||
        sim_options(&p->history).sync == CASK_SYNC_COMMIT) {
        return;
    }
    p->nested = true;
    status = in_put ? sim_put_before(&p->history, p->other, &err)
                    : sim_put(&p->history, p->other, &err);
    p->nested = false;
    if (status == CASK_TIMEOUT && in_put) {
        return; /* the lock is taken, or there is no room */
    }
    if (status == CASK_TIMEOUT) {
        sim_roll_back(&p->history, (int64_t)begun);
    } else if (status != CASK_OK) {
        wrong(p, 0, "put during a sync", err.message);
    } else {
        p->during_sync++;
        p->before_put += in_put;
    }
}

/* Its process is dead: no call that it makes has an effect any more. */
static void die_now(power *p, unsigned process)
{
    const os_fault_plan dead = {.fail_at = 0, .error = EIO, .for_ever = true};

    os_fault_arm(&p->process[process], &dead);
}

static void before_operation(void *context, os_sim *disk)
{
    power *p = context;

    (void)disk;
    if (p->nested) {
        return;
    }
    p->operation++;
    for (unsigned i = 0; i < SEEDS; i++) {
        crash_now(p, test_random_next(&p->random, 0) >> 16);
    }
    if (p->operation == p->doom) {
        die_now(p, 0);
    }
}

/* ---- Histories ---- */

static cask_db *open_history(power *p, unsigned process,
                             uint32_t lock_timeout_ms)
{
    cask_options options = sim_options(&p->history);
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;

    options.lock_timeout_ms = lock_timeout_ms;
    if (db_open_on(&p->process[process].base, SIM_PATH, &options, &db, &err) !=
        CASK_OK) {
        wrong(p, 0, "open", err.message);
    }
    return db;
}

/* Process 0 dies after one of the next `count` operations. */
static void doom(power *p, uint64_t count)
{
    p->doom = p->operation + 1 + test_random_next(&p->random, count);
}

static bool is_dead(const power *p, unsigned process)
{
    return os_fault_fired(&p->process[process]) > 0;
}

/* Close the handle; or its process dies before the end of that. */
static void close_history(power *p, unsigned process, cask_db *db, bool dies)
{
    cask_error err = {CASK_OK, 0, ""};

    if (cask_close(db, &err) != CASK_OK && !dies) {
        wrong(p, 0, "close", err.message);
    }
    p->doom = 0;
    os_fault_arm(&p->process[process], &OS_FAULT_NOTHING);
}

/* A process that dies in its open, or soon after. */
static void die_in_open(power *p)
{
    cask_options options = sim_options(&p->history);
    cask_db *db = NULL;

    doom(p, DOOM_OPEN);
    if (db_open_on(&p->process[0].base, SIM_PATH, &options, &db, NULL) ==
        CASK_OK) {
        die_now(p, 0);
        (void)cask_close(db, NULL);
    }
    p->deaths++;
    p->doom = 0;
    os_fault_arm(&p->process[0], &OS_FAULT_NOTHING);
}

/* Media do not fail by the calls of a process: no crash comes in between. */
static void damage_something(power *p, cask_db *db)
{
    uint64_t choice = test_random_next(&p->random, 0);

    p->nested = true;
    p->damages += sim_damage(&p->history, db, p->disk, choice);
    p->nested = false;
}

static void take_steps(power *p, cask_db *db)
{
    cask_error err = {CASK_OK, 0, ""};

    for (unsigned i = 0; i < STEPS && !is_dead(p, 0); i++) {
        if (test_random_chance(&p->random, 3)) {
            damage_something(p, db);
        }
        if (sim_step(&p->history, db, &err) != CASK_OK && !is_dead(p, 0)) {
            wrong(p, 0, "step", err.message);
        }
    }
    p->deaths += is_dead(p, 0);
}

static void run_session(power *p)
{
    bool dies = test_random_chance(&p->random, 50);
    char message[256];
    int64_t state;
    cask_db *db;

    for (unsigned i = 0; i < DEATHS_MOST && test_random_chance(&p->random, 50);
         i++) {
        die_in_open(p);
    }
    db = open_history(p, 0, 10000);
    /* An open shows only what it has made durable itself; and what died was
     * a process, not the power. */
    p->history.durable = p->history.acked;
    state = sim_state_of(&p->history, db, message);
    if (state < 0) {
        wrong(p, 0, "open", message);
    }
    sim_roll_back(&p->history, state);
    p->history.durable = p->history.acked;
    p->other = open_history(p, 1, 1);
    if (dies && test_random_chance(&p->random, 60)) {
        doom(p, DOOM_STEPS);
    }
    take_steps(p, db);
    if (dies) {
        die_now(p, 1);
    }
    close_history(p, 1, p->other, dies);
    if (dies && !is_dead(p, 0)) {
        if (test_random_chance(&p->random, 50)) {
            die_now(p, 0);
        } else {
            doom(p, DOOM_CLOSE);
        }
    }
    close_history(p, 0, db, dies);
    if (!dies) {
        p->history.durable = p->history.acked;
    }
}

static void run_history(power *p, uint64_t seed)
{
    os_sim_options options = {.seed = seed,
                              .torn_sectors = seed % 2 == 0,
                              .stale_sectors = seed % 2 == 0};

    sim_begin_history(&p->history, seed);
    p->random = test_random_make(seed, 2);
    p->operation = 0;
    p->crashed = sim_machine_create(&options);
    p->again = sim_machine_create(&options);
    options.writeback_percent = seed % 3 == 0 ? 30 : 0;
    p->disk = sim_machine_create(&options);
    os_fault_init(&p->process[0], sim_os(p->disk));
    os_fault_init(&p->process[1], sim_os(p->disk));
    os_sim_set_hook(sim_disk(p->disk), before_operation, p);
    sim_on_sync(p->disk, write_after_sync, p);
    for (unsigned session = 0; session < SESSIONS; session++) {
        run_session(p);
    }
    os_sim_set_hook(sim_disk(p->disk), NULL, NULL);
    sim_machine_free(p->disk);
    sim_machine_free(p->crashed);
    sim_machine_free(p->again);
}

int main(void)
{
    uint64_t limit_ns = test_number("CASK_TEST_SECONDS", 60) * 1000000000;
    uint64_t most = test_number("CASK_TEST_STATES", 25000);
    uint64_t seed = test_seed();
    uint64_t histories = 0;
    static power p;
    double seconds;

    p.start_ns = now_ns();
    do {
        run_history(&p, seed + histories);
        histories++;
    } while (now_ns() - p.start_ns < limit_ns && p.states < most);
    seconds = (double)(now_ns() - p.start_ns) / 1e9;
    printf("%" PRIu64 " crashes (%" PRIu64
           " in or after a recovery) of %" PRIu64
           " histories in %.1f s, %.0f per second: each left an allowed "
           "state; %" PRIu64 " puts during a sync (%" PRIu64
           " of a rotation), %" PRIu64 " processes died, %" PRIu64
           " bytes were damaged\n",
           p.states, p.deep, histories, seconds, (double)p.states / seconds,
           p.during_sync, p.before_put, p.deaths, p.damages);
    sim_print_merged();
    return 0;
}
