/*
 * Power fails before each operation of a history of puts, flushes and runs that
 * are taken in, and each call of the system fails: of a run all is there, or
 * nothing; if all is, what was written before it is there, too; and no file is
 * left for ever.
 *
 *   CASK_TEST_SEED  of what survives
 */
#include "cask_test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "os/os_fault.h"
#include "os/os_sim.h"
#include "support/random.h"
#include "tree/tree_flush.h"
#include "unit/tree/offline.h"

#define PATH "/store"

enum { KEYS = 12, STEPS = 5 };

/*
 * Each step puts a value of its number to all keys, and takes a run in that has
 * half of them, with the number and an r, and deletes one.
 */
typedef struct scene {
    os *kernel;
    cask_db *db;
    unsigned begun; /* steps */
    unsigned done;
    bool puts_done; /* of the step that has begun */
} scene;

static cask_status open_store(scene *s, cask_error *err)
{
    cask_options options;

    cask_options_init(&options);
    options.create_if_missing = true;
    options.engine = CASK_ENGINE_TREE;
    options.memtable_bytes = 64 << 10;
    options.segment_max_bytes = 64 << 10;
    options.small_file_threshold_bytes = 0;
    options.sync = CASK_SYNC_NONE;
    options.auto_merge = false;
    return db_open_on(s->kernel, PATH, &options, &s->db, err);
}

static cask_slice key_of(char text[16], unsigned key)
{
    (void)snprintf(text, 16, "key %02u", key);
    return cask_slice_of(text);
}

/* Runs are built before anything fails. */
static void build_all(os *kernel)
{
    for (unsigned step = 1; step <= STEPS; step++) {
        cask_run_entry entries[KEYS];
        char keys[KEYS][16];
        char value[16];
        char name[16];
        size_t count = 0;

        (void)snprintf(value, sizeof(value), "%ur", step);
        for (unsigned i = 0; i < KEYS; i += 2) {
            (void)key_of(keys[i], i);
            entries[count++] = i == 2 ? offline_delete(keys[i], 0)
                                      : offline_put(keys[i], value, 7 + i % 3);
        }
        (void)snprintf(name, sizeof(name), "run %u", step);
        offline_build(kernel, name, entries, count);
    }
}

static cask_status one_step(scene *s, unsigned step)
{
    char name[16];
    const char *names = name;
    char value[16];
    cask_status status = CASK_OK;

    s->begun = step;
    s->puts_done = false;
    (void)snprintf(value, sizeof(value), "%u", step);
    for (unsigned i = 0; i < KEYS && status == CASK_OK; i++) {
        char key[16];

        status = cask_put(s->db, key_of(key, i), cask_slice_of(value), NULL);
    }
    if (status == CASK_OK && step % 2 == 0) {
        status = tree_flush(s->db->store, true, NULL);
    }
    s->puts_done = status == CASK_OK;
    (void)snprintf(name, sizeof(name), "run %u", step);
    if (status == CASK_OK) {
        status = offline_ingest(s->db, &names, 1, NULL, NULL);
    }
    s->done = status == CASK_OK ? step : s->done;
    return status;
}

static bool run_history(scene *s)
{
    cask_status status = open_store(s, NULL);

    for (unsigned step = 1; step <= STEPS && status == CASK_OK; step++) {
        status = one_step(s, step);
    }
    if (s->db != NULL) {
        cask_status closed = cask_close(s->db, NULL);

        status = status == CASK_OK ? closed : status;
        s->db = NULL;
    }
    return status == CASK_OK;
}

/* ---- Afterwards ---- */

/* The value of a key: "" if there is none. */
static void value_of(scene *s, unsigned key, char ret_value[16])
{
    cask_buffer value = {0};
    cask_error err = {CASK_OK, 0, ""};
    char text[16];
    cask_status status = cask_get(s->db, key_of(text, key), &value, &err);

    if (status != CASK_OK && status != CASK_NOT_FOUND) {
        fail_msg("%s: %s", text, err.message);
    }
    (void)snprintf(ret_value, 16, "%.*s", (int)value.size,
                   status == CASK_OK ? (const char *)value.data : "");
    cask_buffer_free(&value);
}

/* As after the runs of `step`, and maybe of some puts of the next. */
static bool is_after(scene *s, unsigned step, bool is_run)
{
    for (unsigned i = 0; i < KEYS; i++) {
        char found[16];
        char right[16];
        char next[16];

        value_of(s, i, found);
        (void)snprintf(right, sizeof(right), "%u%s", step,
                       is_run && i % 2 == 0 ? "r" : "");
        if (is_run && i == 2) {
            right[0] = 0;
        }
        (void)snprintf(next, sizeof(next), "%u", step + 1);
        if (step == 0) {
            right[0] = 0;
        }
        if (strcmp(found, right) != 0 &&
            !(is_run && s->begun == step + 1 && strcmp(found, next) == 0)) {
            return false;
        }
    }
    return true;
}

static void compare(scene *s, uint64_t operation)
{
    bool is_right = is_after(s, s->done, true) ||
                    (s->puts_done && is_after(s, s->begun, true)) ||
                    is_after(s, s->begun, false);

    if (!is_right) {
        for (unsigned i = 0; i < KEYS; i++) {
            char found[16];

            value_of(s, i, found);
            print_message("key %u: '%s'\n", i, found);
        }
        fail_msg("operation %" PRIu64 ": %u steps were done, %u begun",
                 operation, s->done, s->begun);
    }
}

static bool count_stray(void *context, const char *name)
{
    unsigned *count = context;

    *count += strstr(name, ".run.new") != NULL ? 1 : 0;
    return true;
}

/* Writers write, runs come in, and the rest of the dead one goes. */
static void go_on(scene *s, uint64_t operation)
{
    cask_error err = {CASK_OK, 0, ""};
    unsigned strays = 0;
    os_file *dir = NULL;
    char name[16] = "run 5";
    const char *names = name;

    for (unsigned i = 0; i < KEYS; i += 3) {
        char key[16];

        if (cask_put(s->db, key_of(key, i), cask_slice_of("x"), &err) !=
            CASK_OK) {
            fail_msg("operation %" PRIu64 ": put: %s", operation, err.message);
        }
    }
    if (offline_ingest(s->db, &names, 1, NULL, &err) != CASK_OK) {
        fail_msg("operation %" PRIu64 ": ingest: %s", operation, err.message);
    }
    assert_int_equal(s->kernel->ops->open_dir(s->kernel, PATH, &dir), 0);
    assert_int_equal(s->kernel->ops->list(dir, count_stray, &strays), 0);
    s->kernel->ops->close(dir);
    assert_int_equal(strays, 0);
    assert_int_equal(cask_close(s->db, NULL), CASK_OK);
    s->db = NULL;
    if (open_store(s, &err) != CASK_OK) {
        fail_msg("operation %" PRIu64 ": open: %s", operation, err.message);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        char found[16];

        value_of(s, i, found);
        assert_string_equal(found, i == 2       ? ""
                                   : i % 2 == 0 ? "5r"
                                   : i % 3 == 0 ? "x"
                                                : found);
    }
    assert_int_equal(cask_close(s->db, NULL), CASK_OK);
    s->db = NULL;
}

/* ---- Power ---- */

/* False: the history was over before. */
static bool fail_before(uint64_t operation, uint64_t seed)
{
    const os_sim_options options = {.seed = seed + operation,
                                    .max_file_bytes = 1 << 30};
    scene s = {.db = NULL};
    os_sim *sim = NULL;
    bool is_over;

    assert_int_equal(os_sim_create(&options, &sim), 0);
    s.kernel = os_sim_os(sim);
    build_all(s.kernel);
    os_sim_cut_at(sim, operation);
    is_over = run_history(&s);
    if (!is_over) {
        cask_error err = {CASK_OK, 0, ""};

        assert_int_equal(os_sim_crash(sim, seed + operation), 0);
        os_sim_cut_at(sim, UINT64_MAX);
        build_all(s.kernel);
        if (open_store(&s, &err) != CASK_OK) {
            fail_msg("operation %" PRIu64 ": open: %s", operation, err.message);
        }
        if (s.done > 0) {
            compare(&s, operation);
        }
        go_on(&s, operation);
    }
    os_sim_free(sim);
    return !is_over;
}

static void test_power_failures_leave_all_of_a_run_or_nothing(void **state)
{
    uint64_t seed = test_seed();
    uint64_t operation = 0;

    (void)state;
    while (fail_before(operation, seed)) {
        operation++;
    }
    print_message("%" PRIu64 " crashes\n", operation);
    assert_true(operation > 100);
}

/* ---- Failing calls ---- */

/* The handle stays open, and goes on. False: no call failed. */
static bool fail_call(uint64_t call)
{
    const os_sim_options options = {.seed = 1, .max_file_bytes = 1 << 30};
    const os_fault_plan plan = {.fail_at = call, .error = EIO};
    const os_fault_plan nothing = OS_FAULT_NOTHING;
    const char *const name = "run 1";
    scene s = {.begun = 1, .done = 0, .puts_done = true};
    os_sim *sim = NULL;
    os_fault fault;
    bool is_poisoned;
    bool has_failed;
    cask_status status;

    assert_int_equal(os_sim_create(&options, &sim), 0);
    build_all(os_sim_os(sim));
    os_fault_init(&fault, os_sim_os(sim));
    s.kernel = &fault.base;
    assert_int_equal(open_store(&s, NULL), CASK_OK);
    for (unsigned i = 0; i < KEYS; i++) {
        char key[16];

        assert_int_equal(
            cask_put(s.db, key_of(key, i), cask_slice_of("1"), NULL), CASK_OK);
    }
    os_fault_arm(&fault, &plan);
    status = offline_ingest(s.db, &name, 1, NULL, NULL);
    has_failed = os_fault_fired(&fault) > 0;
    os_fault_arm(&fault, &nothing);
    is_poisoned = atomic_load(&s.db->store->region.header->poisoned) != 0;
    if (is_poisoned) { /* nobody knows */
        assert_true(is_after(&s, 1, true) || is_after(&s, 1, false));
        (void)cask_close(s.db, NULL);
        assert_int_equal(open_store(&s, NULL), CASK_OK);
        assert_true(is_after(&s, 1, true) || is_after(&s, 1, false));
    } else {
        assert_true(is_after(&s, 1, status == CASK_OK));
    }
    go_on(&s, call);
    os_sim_free(sim);
    return has_failed;
}

static void test_failing_calls_leave_all_of_a_run_or_nothing(void **state)
{
    uint64_t call = 0;

    (void)state;
    while (fail_call(call)) {
        call++;
    }
    print_message("%" PRIu64 " failing calls\n", call);
    assert_true(call > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_failures_leave_all_of_a_run_or_nothing),
        cmocka_unit_test(test_failing_calls_leave_all_of_a_run_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
