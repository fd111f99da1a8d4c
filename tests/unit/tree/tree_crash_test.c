/*
 * Power fails before each mutating operation of a history of puts, deletes,
 * syncs and flushes: what was synced is there after it, nothing that was never
 * written is, and the store goes on.
 *
 *   CASK_TEST_SEED  of what survives
 */
#include "cask_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "os/os_sim.h"
#include "support/random.h"
#include "tree/tree_flush.h"

#define PATH "/store"

/* Histories. */
#if defined(__SANITIZE_ADDRESS__)
enum { SEEDS = 2 };
#else
enum { SEEDS = 5 };
#endif

enum { KEYS = 40, ROUNDS = 4, VALUE_BYTES = 3000 };

/* Versions of a key are rounds; 0: never written. A version that is a multiple
 * of 3 with the key is a delete. */
typedef struct scene {
    os_sim *sim;
    cask_db *db;
    unsigned begun[KEYS];  /* the newest that was about to be written */
    unsigned synced[KEYS]; /* the newest that must be there */
} scene;

static bool is_delete(unsigned key, unsigned round)
{
    return round > 1 && (key + round) % 3 == 0;
}

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
    return db_open_on(os_sim_os(s->sim), PATH, &options, &s->db, err);
}

static void open_again(scene *s, uint64_t operation)
{
    cask_error err = {CASK_OK, 0, ""};

    if (open_store(s, &err) != CASK_OK) {
        fail_msg("operation %" PRIu64 ": open: %s", operation, err.message);
    }
}

static cask_slice key_of(char text[16], unsigned key)
{
    (void)snprintf(text, 16, "key %u", key);
    return cask_slice_of(text);
}

static cask_status write_key(scene *s, unsigned key, unsigned round)
{
    static char value[VALUE_BYTES];
    char text[16];

    s->begun[key] = round;
    if (is_delete(key, round)) {
        return cask_delete(s->db, key_of(text, key), NULL, NULL);
    }
    memset(value, 'a' + (int)key % 26, sizeof(value));
    (void)snprintf(value, sizeof(value), "%u", round);
    return cask_put(s->db, key_of(text, key),
                    (cask_slice){value, sizeof(value)}, NULL);
}

static cask_status sync_store(scene *s)
{
    cask_status status = cask_sync(s->db, NULL);

    if (status == CASK_OK) {
        memcpy(s->synced, s->begun, sizeof(s->synced));
    }
    return status;
}

static cask_status one_round(scene *s, unsigned round)
{
    cask_status status = CASK_OK;

    for (unsigned key = 0; key < KEYS && status == CASK_OK; key++) {
        status = write_key(s, key, round);
        if (status == CASK_OK && key == KEYS / 2) {
            status = sync_store(s);
        }
    }
    if (status == CASK_OK && round % 2 == 0) {
        status = tree_flush(s->db->store, true, NULL);
        if (status == CASK_OK) {
            memcpy(s->synced, s->begun, sizeof(s->synced));
        }
    }
    return status;
}

/* False if the power failed on the way. */
static bool run_history(scene *s)
{
    cask_status status = open_store(s, NULL);

    for (unsigned round = 1; round <= ROUNDS && status == CASK_OK; round++) {
        status = one_round(s, round);
    }
    if (s->db != NULL) {
        cask_status closed = cask_close(s->db, NULL);

        status = status == CASK_OK ? closed : status;
        s->db = NULL;
    }
    return status == CASK_OK;
}

/* The version of a key: what is there, or 0. */
static unsigned version_of(scene *s, unsigned key)
{
    cask_buffer value = {0};
    cask_error err = {CASK_OK, 0, ""};
    char text[16];
    unsigned version = 0;
    cask_status status = cask_get(s->db, key_of(text, key), &value, &err);

    if (status == CASK_OK) {
        assert_int_equal(value.size, VALUE_BYTES);
        version = (unsigned)strtoul(value.data, NULL, 10);
    } else if (status != CASK_NOT_FOUND) {
        fail_msg("key %u: %s", key, err.message);
    }
    cask_buffer_free(&value);
    return version;
}

static bool may_be(const scene *s, unsigned key, unsigned version)
{
    for (unsigned i = s->synced[key]; i <= s->begun[key]; i++) {
        unsigned there = i == 0 || is_delete(key, i) ? 0 : i;

        if (there == version) {
            return true;
        }
    }
    return false;
}

static void compare(scene *s, uint64_t operation, const char *when)
{
    for (unsigned key = 0; key < KEYS; key++) {
        unsigned version = version_of(s, key);

        if (!may_be(s, key, version)) {
            fail_msg("operation %" PRIu64 ", %s: key %u has version %u, "
                     "synced is %u, begun %u",
                     operation, when, key, version, s->synced[key],
                     s->begun[key]);
        }
        s->begun[key] = s->synced[key] = version; /* it stays */
    }
}

/* What was read may be an older version than the one begun: from here on
 * versions are told by what is read. */
static void go_on(scene *s, uint64_t operation)
{
    for (unsigned key = 0; key < KEYS; key++) {
        unsigned version = version_of(s, key);

        if (key % 2 == 0) {
            assert_int_equal(write_key(s, key, 100), CASK_OK);
            version = is_delete(key, 100) ? 0 : 100;
        }
        s->begun[key] = s->synced[key] = version;
    }
    assert_int_equal(tree_flush(s->db->store, true, NULL), CASK_OK);
    assert_int_equal(cask_close(s->db, NULL), CASK_OK);
    s->db = NULL;
    open_again(s, operation);
    for (unsigned key = 0; key < KEYS; key++) {
        if (version_of(s, key) != s->synced[key]) {
            fail_msg("operation %" PRIu64 ": key %u changed after it",
                     operation, key);
        }
    }
}

/* False: the history was over before. */
static bool fail_before(uint64_t operation, uint64_t seed)
{
    const os_sim_options options = {.seed = seed + operation,
                                    .max_file_bytes = 1 << 30};
    scene s = {.db = NULL};
    bool is_over;

    assert_int_equal(os_sim_create(&options, &s.sim), 0);
    os_sim_cut_at(s.sim, operation);
    is_over = run_history(&s);
    if (!is_over) {
        assert_int_equal(os_sim_crash(s.sim, seed + operation), 0);
        os_sim_cut_at(s.sim, UINT64_MAX);
        open_again(&s, operation);
        compare(&s, operation, "after the crash");
        go_on(&s, operation);
        assert_int_equal(cask_close(s.db, NULL), CASK_OK);
    }
    os_sim_free(s.sim);
    return !is_over;
}

static void test_what_was_synced_survives_and_nothing_else_appears(void **state)
{
    uint64_t seed = test_seed();
    uint64_t crashes = 0;

    (void)state;
    for (uint64_t i = 0; i < SEEDS; i++) {
        uint64_t operation = 0;

        while (fail_before(operation, seed + i * 1000)) {
            operation++;
        }
        crashes += operation;
    }
    print_message("%" PRIu64 " crashes\n", crashes);
    assert_true(crashes > SEEDS * 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_what_was_synced_survives_and_nothing_else_appears),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
