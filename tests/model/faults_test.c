/*
 * System calls that fail: a session on a simulated disk in which call n fails,
 * once or from then on, for every n until the session makes no such call.
 * Each time: the failure is reported with a message or survived; what was
 * acknowledged is there, in the same handle, after reopening, and (if it was
 * synced) after a power failure; no file or map is left open.
 */
#include "cask_test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "os/os_fault.h"
#include "sim_store.h"
#include "store/store_open.h"

enum { STEPS = 60, STEPS_AFTER = 6, FIRST_STEPS = 12, MERGE_STEPS = 40 };

/* Each history makes much the same calls; sanitizers need fewer of them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { HISTORIES = 1 };
#else
enum { HISTORIES = 3 };
#endif

typedef enum phase {
    PHASE_CREATE,  /* open a store that is not there yet */
    PHASE_OPEN,    /* one that was closed */
    PHASE_RECOVER, /* one that nobody closed */
    PHASE_WORK,    /* put, delete, batches, sync, with rotations */
    PHASE_CLOSE,
    PHASE_MERGE /* of all segments, then once more */
} phase;

typedef struct session {
    phase phase;
    os_fault_plan plan;
    uint64_t seed;
    sim_machine *machine;
    sim_machine *spare;
    os_fault fault;
    sim_history history;
    cask_db *db;
    uint64_t failures; /* calls of the store that failed */
    bool poisoned;
    bool fired;      /* a call was failed */
    char calls[160]; /* the last ones up to the one that was failed */
} session;

static uint64_t faults_fired;

/* ---- Reporting ---- */

static void complain(const session *s, const char *what, const char *message)
{
    fail_msg("phase %d, errno %d, call %" PRIu64 "%s, seed %" PRIu64
             ": %s: %s; calls: ...%s",
             (int)s->phase, s->plan.error, s->plan.fail_at,
             s->plan.for_ever ? " for ever" : "", s->seed, what, message,
             s->calls);
}

/* The kinds of answers that a failed system call may lead to. */
static bool is_fair(cask_status status)
{
    return status == CASK_IO || status == CASK_NO_SPACE ||
           status == CASK_POISONED || status == CASK_TIMEOUT ||
           status == CASK_NO_MEMORY || status == CASK_BUSY;
}

static void note_failure(session *s, cask_status status, const char *what,
                         const cask_error *err)
{
    s->failures++;
    if (os_fault_fired(&s->fault) == 0) {
        complain(s, what, err->message);
    }
    if (!is_fair(status) || err->message[0] == 0 || err->status != status) {
        char text[300];

        (void)snprintf(text, sizeof(text), "%s: %.250s",
                       cask_status_name(status), err->message);
        complain(s, what, text);
    }
    s->poisoned = s->poisoned || status == CASK_POISONED;
}

/* ---- Steps ---- */

static cask_status open_store(session *s, cask_error *err)
{
    cask_options options = sim_options(&s->history);

    options.lock_timeout_ms = 200; /* for calls that fail for ever */
    return db_open_on(&s->fault.base, SIM_PATH, &options, &s->db, err);
}

static void open_surely(session *s, const char *what)
{
    cask_error err = {CASK_OK, 0, ""};

    if (open_store(s, &err) != CASK_OK) {
        complain(s, what, err.message);
    }
}

/* The names of the calls up to the one that was failed. */
static void note_calls(session *s)
{
    static char all[65536];
    const char *end = os_fault_describe(&s->fault, all, sizeof(all));
    size_t size;

    for (uint64_t i = 0; i <= s->plan.fail_at && *end != 0;) {
        size_t space = *end == ' ' ? 1 : 0;

        /* These two are in the trace and not in the count. */
        i += strncmp(end + space, "mutex_lock", 10) != 0 &&
             strncmp(end + space, "futex_wait", 10) != 0;
        end += space + strcspn(end + space, " ");
    }
    size = (size_t)(end - all);
    size = size < sizeof(s->calls) ? size : sizeof(s->calls) - 1;
    memcpy(s->calls, end - size, size);
    s->calls[size] = 0;
}

static void disarm(session *s)
{
    os_fault_plan nothing = OS_FAULT_NOTHING;

    if (s->calls[0] == 0) {
        note_calls(s);
    }
    os_fault_arm(&s->fault, &nothing);
}

/* The store is in an allowed state; the model follows it. */
static void look(session *s, const char *what)
{
    char message[256] = "";
    int64_t state = sim_state_of(&s->history, s->db, message);

    if (state < 0) {
        complain(s, what, message);
    }
    sim_roll_back(&s->history, state);
}

/* A unit failed: it is there or not; anything else is a loss. */
static void settle(session *s)
{
    uint64_t durable = s->history.durable;

    s->history.durable = s->history.acked;
    look(s, "after a failure");
    s->history.durable = durable;
}

static void step_once(session *s, bool surely)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_status status = sim_step(&s->history, s->db, &err);

    if (status == CASK_OK) {
        return;
    }
    if (surely && !s->poisoned) {
        complain(s, "works on", err.message);
    }
    if (!surely) {
        note_failure(s, status, "step", &err);
    }
    if (!s->plan.for_ever) {
        disarm(s);
        settle(s);
    }
}

static void work(session *s)
{
    for (unsigned i = 0; i < STEPS && s->failures < 3; i++) {
        step_once(s, s->failures > 0 && !s->plan.for_ever);
        if (s->failures > 0 && s->plan.for_ever) {
            /* Its unit may be there or not: no more of them. */
            break;
        }
    }
}

/* Whatever fails, no key is another one after it; then it succeeds. */
static void merge(session *s)
{
    cask_merge_options options = {.all = true};
    cask_error err = {CASK_OK, 0, ""};
    cask_status status = cask_merge(s->db, &options, NULL, &err);

    if (status != CASK_OK) {
        note_failure(s, status, "merge", &err);
    }
    if (s->plan.for_ever) {
        return;
    }
    s->fired = os_fault_fired(&s->fault) > 0;
    disarm(s);
    settle(s);
    if (!s->poisoned && cask_merge(s->db, &options, NULL, &err) != CASK_OK) {
        complain(s, "merge again", err.message);
    }
    settle(s);
}

/* ---- A session ---- */

/* The machines of all sessions: used again, empty, because to make and to free
 * them costs as much as a session. */
static struct {
    sim_machine *blank;
    sim_machine *machine;
    sim_machine *spare;
} machines;

static void make_machines(uint64_t seed)
{
    const os_sim_options options = {
        .seed = seed, .torn_sectors = true, .stale_sectors = true};

    machines.blank = sim_machine_create(&options);
    machines.machine = sim_machine_create(&options);
    machines.spare = sim_machine_create(&options);
}

static void free_machines(void)
{
    sim_machine_free(machines.blank);
    sim_machine_free(machines.machine);
    sim_machine_free(machines.spare);
}

static void prepare(session *s)
{
    unsigned first_steps = s->phase == PHASE_MERGE ? MERGE_STEPS : FIRST_STEPS;
    cask_error err = {CASK_OK, 0, ""};

    s->machine = machines.machine;
    s->spare = machines.spare;
    sim_machine_copy(machines.blank, s->machine);
    sim_machine_crash(s->machine, s->seed);
    os_fault_init(&s->fault, sim_os(s->machine));
    sim_begin_history(&s->history, s->seed);
    if (s->phase == PHASE_CREATE) {
        return;
    }
    open_surely(s, "first open");
    for (unsigned i = 0; i < first_steps; i++) {
        step_once(s, true);
    }
    if (s->phase == PHASE_OPEN) {
        assert_int_equal(cask_close(s->db, &err), CASK_OK);
        s->history.durable = s->history.acked;
        s->db = NULL;
    } else if (s->phase == PHASE_RECOVER) {
        os_sim_cut(sim_disk(s->machine));
        (void)cask_close(s->db, NULL);
        s->db = NULL;
        sim_machine_crash(s->machine, s->seed);
    }
}

static void run_phase(session *s)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_status status;

    os_fault_arm(&s->fault, &s->plan);
    if (s->db == NULL) {
        status = open_store(s, &err);
        if (status != CASK_OK) {
            s->db = NULL;
            note_failure(s, status, "open", &err);
        }
    }
    if (s->phase == PHASE_WORK) {
        work(s);
    } else if (s->phase == PHASE_MERGE) {
        merge(s);
    } else if (s->phase == PHASE_CLOSE) {
        status = cask_close(s->db, &err);
        s->db = NULL;
        if (status != CASK_OK) {
            note_failure(s, status, "close", &err);
        }
    }
}

/* What is on the disk now is right, also if the power fails. */
static void check_crash(session *s)
{
    sim_history history = s->history;
    cask_options options = sim_options(&history);
    cask_error err = {CASK_OK, 0, ""};
    char message[256] = "";
    cask_db *db = NULL;

    sim_machine_copy(s->machine, s->spare);
    sim_machine_crash(s->spare, s->seed + 5);
    if (db_open_on(sim_os(s->spare), SIM_PATH, &options, &db, &err) !=
        CASK_OK) {
        complain(s, "open after a crash", err.message);
    }
    if (sim_state_of(&history, db, message) < 0) {
        complain(s, "after a crash", message);
    }
    assert_int_equal(cask_close(db, NULL), CASK_OK);
}

static void reopen(session *s)
{
    cask_error err = {CASK_OK, 0, ""};
    uint64_t durable = s->history.durable;

    if (s->db != NULL && cask_close(s->db, &err) != CASK_OK && !s->poisoned &&
        !(s->fired && err.status == CASK_POISONED)) {
        complain(s, "close", err.message);
    }
    s->poisoned = false;
    open_surely(s, "reopen");
    /* Unless the power failed, all that was acknowledged is there, synced or
     * not. */
    if (s->phase != PHASE_RECOVER) {
        s->history.durable = s->history.acked;
    }
    look(s, "after reopening");
    s->history.durable = durable;
}

typedef struct listing {
    const manifest_state *manifest;
    char stray[64];
} listing;

static bool is_listed(void *context, const char *name)
{
    listing *l = context;
    const char *dot = strchr(name, '.');
    bool found = dot == NULL;

    if (dot != NULL && strcmp(dot, ".log") == 0) {
        for (size_t i = 0; i < l->manifest->count; i++) {
            found = found ||
                    l->manifest->segments[i].id == strtoull(name, NULL, 16);
        }
    } else if (dot != NULL && strcmp(dot, ".hint") == 0) {
        found = true; /* judged by their segment */
    }
    if (!found) {
        (void)snprintf(l->stray, sizeof(l->stray), "%s", name);
    }
    return found;
}

/* Since the last open nothing has failed: all that was left behind is gone. */
static void check_files(session *s)
{
    os *kernel = sim_os(s->machine);
    manifest_state manifest;
    listing l = {.manifest = &manifest};
    store_identity identity;
    os_file *dir = NULL;

    assert_int_equal(kernel->ops->open_dir(kernel, SIM_PATH, &dir), 0);
    assert_int_equal(store_read_identity(dir, SIM_PATH, &identity, NULL),
                     CASK_OK);
    assert_int_equal(manifest_load(dir, identity.uuid, &manifest, NULL),
                     CASK_OK);
    assert_int_equal(kernel->ops->list(dir, is_listed, &l), 0);
    if (l.stray[0] != 0) {
        complain(s, "left behind", l.stray);
    }
    manifest_free(&manifest);
    kernel->ops->close(dir);
}

static void finish(session *s)
{
    cask_error err = {CASK_OK, 0, ""};

    for (unsigned i = 0; i < STEPS_AFTER; i++) {
        step_once(s, true);
    }
    if (cask_close(s->db, &err) != CASK_OK) {
        complain(s, "last close", err.message);
    }
    s->history.durable = s->history.acked;
    check_files(s);
    check_crash(s);
    /* A disk on which something is open cannot be overwritten. */
    if (os_sim_copy(sim_disk(s->spare), sim_disk(s->machine)) != 0) {
        complain(s, "end", "a file or a map is left open");
    }
}

/* True if the fault happened. */
static bool run_session(phase which, const os_fault_plan *plan, uint64_t seed)
{
    static session s;

    memset(&s, 0, sizeof(s));
    s.phase = which;
    s.plan = *plan;
    s.seed = seed;
    prepare(&s);
    run_phase(&s);
    s.fired = s.fired || os_fault_fired(&s.fault) > 0 || s.failures > 0;
    faults_fired += s.fired;
    disarm(&s);
    check_crash(&s);
    reopen(&s);
    finish(&s);
    return s.fired;
}

/* For each four sessions two errors: once or for ever. */
static void sweep_errors(phase which, const int errors[2])
{
    uint64_t histories = test_number("CASK_TEST_HISTORIES", HISTORIES);
    uint64_t seed = test_seed();

    faults_fired = 0;
    for (uint64_t i = 0; i < 4 * histories; i++) {
        os_fault_plan plan = {.only = OS_CALL_ANY,
                              .error = errors[i & 1],
                              .for_ever = (i & 2) != 0,
                              .short_write = (i & 4) != 0};

        make_machines(seed + i / 4);
        while (run_session(which, &plan, seed + i / 4)) {
            plan.fail_at++;
        }
        free_machines();
    }
    print_message("%" PRIu64 " faults\n", faults_fired);
    assert_true(faults_fired > 0);
}

static void sweep(phase which)
{
    static const int errors[] = {EIO, ENOSPC};

    sweep_errors(which, errors);
}

/* ---- Tests ---- */

static void test_create_fails_cleanly(void **state)
{
    (void)state;
    sweep(PHASE_CREATE);
}

static void test_open_fails_cleanly(void **state)
{
    (void)state;
    sweep(PHASE_OPEN);
}

static void test_recovery_fails_cleanly(void **state)
{
    (void)state;
    sweep(PHASE_RECOVER);
}

static void test_writes_fail_cleanly(void **state)
{
    (void)state;
    sweep(PHASE_WORK);
}

static void test_close_fails_cleanly(void **state)
{
    (void)state;
    sweep(PHASE_CLOSE);
}

static void test_merges_fail_cleanly(void **state)
{
    static const int others[] = {EDQUOT, ENOMEM};

    (void)state;
    sweep(PHASE_MERGE);
    sweep_errors(PHASE_MERGE, others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_fails_cleanly),
        cmocka_unit_test(test_open_fails_cleanly),
        cmocka_unit_test(test_recovery_fails_cleanly),
        cmocka_unit_test(test_writes_fail_cleanly),
        cmocka_unit_test(test_close_fails_cleanly),
        cmocka_unit_test(test_merges_fail_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
