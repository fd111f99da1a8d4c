/*
 * Death of a merger at any instruction and at any system call: a child merges
 * under ptrace and is killed. In some rounds a record of an input is damaged:
 * nothing else may suffer from it. Either another handle on the store stays
 * open, or nobody is left and the next open recovers. Every key is right at
 * once, and the next merge completes or drops what was begun: then every key is
 * right again, no deleted key is back, no file is left over, and the counters
 * of each segment are those of the keys whose slots name it.
 *
 *   CASK_TEST_POINTS  how many deaths per place in the code (default 25)
 *   CASK_TEST_STRIDE  system calls from one death to the next (default 5)
 */
#include "cask_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "hash/hash_merger.h"
#include "hash/hash_merge.h"
#include "hash/keydir.h"
#include "process/death.h"
#include "process/stray.h"
#include "region/place.h"
#include "store/store_merge.h"
#include "support/flip.h"
#include "support/random.h"
#include "support/require.h"
#include "support/scratch.h"

enum { KEYS = 240, CHANGES = 70, VALUE_BYTES = 400, PATIENCE = 1000 };

typedef struct scene {
    char path[SCRATCH_PATH];
    cask_options options;
    cask_db *db; /* NULL: no handle is open */
    test_random random;
    test_random media;      /* what goes wrong on them */
    test_random endings;    /* who is the last to close */
    uint64_t version[KEYS]; /* 0: absent */
    uint64_t next_version;
    bool opens_late; /* the child opens the store under ptrace */
    bool is_damaged; /* some segment, then or now */
    unsigned hurt;   /* key whose value may be what is damaged; KEYS: none */
    unsigned damages;
} scene;

/* ---- The store ---- */

static cask_slice name_of(char text[16], unsigned key)
{
    (void)snprintf(text, 16, "k%u", key);
    return cask_slice_of(text);
}

static cask_slice value_of(uint64_t version, char text[VALUE_BYTES])
{
    memset(text, 'v', VALUE_BYTES);
    (void)snprintf(text, VALUE_BYTES, "%" PRIu64, version);
    return (cask_slice){text, 24 + version % (VALUE_BYTES - 24)};
}

/* Folds and merges tell what they met; all else they do nevertheless. */
static cask_status unless_damaged(const scene *s, cask_status status)
{
    return s->is_damaged && status == CASK_CORRUPT ? CASK_OK : status;
}

static void open_store(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(cask_open(s->path, &s->options, &s->db, &err), &err);
}

static void close_store(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(cask_close(s->db, &err), &err);
    s->db = NULL;
}

/* Put, delete, or put what has expired long ago: for who reads the same. */
static void change_key(scene *s, unsigned key)
{
    static const cask_write_options expired = {.expires_at_ms = 1};
    uint64_t kind = test_random_next(&s->random, 100);
    cask_error err = {CASK_OK, 0, ""};
    cask_status status;
    char value[VALUE_BYTES];
    char name[16];

    s->hurt = s->hurt == key ? KEYS : s->hurt;
    s->next_version++;
    s->version[key] = kind < 70 ? s->next_version : 0;
    if (kind >= 85) {
        status = cask_delete(s->db, name_of(name, key), NULL, &err);
    } else {
        status = cask_put_with(s->db, name_of(name, key),
                               value_of(s->next_version, value),
                               kind < 70 ? NULL : &expired, NULL, &err);
    }
    require_ok(status, &err);
}

static void change_some(scene *s)
{
    for (unsigned i = 0; i < CHANGES; i++) {
        change_key(s, (unsigned)test_random_next(&s->random, KEYS));
    }
    if (test_random_chance(&s->random, 50)) {
        assert_int_equal(store_rotate(s->db->store, NULL), CASK_OK);
    }
}

/* The place that the index names for a key; 0: none. */
static uint64_t place_of(const scene *s, unsigned key)
{
    const store_handle *store = s->db->store;
    uint64_t place = 0;
    char name[16];
    cask_slice slice = name_of(name, key);
    siphash_value hash =
        siphash(store->identity.hash_key, slice.data, slice.size);

    return keydir_find(&store->region, keydir_hash_of(hash), &place) &&
                   place_is_live(place)
               ? place
               : 0;
}

/* One value at a time; of what is dead, as much as there is. */
static void damage_some(scene *s)
{
    uint64_t choice = test_random_next(&s->media, 0);
    flip f;

    if (s->hurt != KEYS || !flip_choose(s->db, choice, &f)) {
        return;
    }
    for (unsigned key = 0; key < KEYS; key++) {
        s->hurt = flip_hits(&f, place_of(s, key)) ? key : s->hurt;
    }
    flip_byte(s->db->store->os, s->path, &f);
    s->is_damaged = true;
    s->damages++;
}

/* ---- Comparing ---- */

static void compare_key(scene *s, unsigned key)
{
    cask_buffer value = {NULL, 0, 0};
    cask_error err = {CASK_OK, 0, ""};
    char text[VALUE_BYTES];
    char name[16];
    cask_status status = cask_get(s->db, name_of(name, key), &value, &err);
    bool is_hurt = key == s->hurt && status == CASK_CORRUPT;

    if (s->version[key] == 0 && !is_hurt) {
        assert_int_equal(status, CASK_NOT_FOUND);
    } else if (!is_hurt) {
        cask_slice right = value_of(s->version[key], text);

        require_ok(status, &err);
        assert_int_equal(value.size, right.size);
        assert_memory_equal(value.data, right.data, right.size);
    }
    cask_buffer_free(&value);
}

static void compare_keys(scene *s)
{
    for (unsigned key = 0; key < KEYS; key++) {
        compare_key(s, key);
    }
}

/* Rows by what the index says of the keys. */
static void compare_counters(scene *s)
{
    static uint64_t bytes[REGION_SEGMENTS];
    static uint32_t records[REGION_SEGMENTS];
    const store_handle *store = s->db->store;
    uint32_t rows = atomic_load(&store->region.header->row_count);
    uint64_t keys = 0;
    uint64_t count = 0;

    memset(bytes, 0, rows * sizeof(*bytes));
    memset(records, 0, rows * sizeof(*records));
    for (unsigned key = 0; key < KEYS; key++) {
        uint64_t place = place_of(s, key);

        if (place != 0) {
            assert_true(place_row(place) < rows);
            bytes[place_row(place)] += place_size(place);
            records[place_row(place)]++;
            keys++;
        }
    }
    for (uint32_t row = 0; row < rows; row++) {
        const region_row *at = &store->region.rows[row];

        if (atomic_load(&at->state) != ROW_FREE) {
            assert_int_equal(at->live_bytes, bytes[row]);
            assert_int_equal(at->live_records, records[row]);
            assert_int_equal(atomic_load(&at->is_input), 0);
        }
    }
    assert_int_equal(cask_count(s->db, &count, NULL), CASK_OK);
    assert_int_equal(count, keys);
}

static bool add_key(void *context, const cask_entry *entry)
{
    (void)entry;
    (*(uint64_t *)context)++;
    return true;
}

static void compare_fold(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};
    uint64_t keys = 0;
    uint64_t seen = 0;
    uint64_t hurt = s->hurt != KEYS && s->version[s->hurt] != 0 ? 1 : 0;

    for (unsigned key = 0; key < KEYS; key++) {
        keys += s->version[key] != 0 ? 1 : 0;
    }
    require_ok(unless_damaged(s, cask_fold(s->db, NULL, add_key, &seen, &err)),
               &err);
    assert_in_range(seen, keys - hurt, keys);
}

/* ---- Files ---- */

typedef struct listing {
    const scene *s;
    char stray[64];
} listing;

/* Every segment and hint is of a row in use; nothing was left aside. */
static bool look_at(void *context, const char *name)
{
    listing *l = context;
    const region_handle *region = &l->s->db->store->region;
    uint32_t rows = atomic_load(&region->header->row_count);
    const char *dot = strchr(name, '.');
    bool found = dot == NULL;

    if (dot != NULL &&
        (strcmp(dot, ".log") == 0 || strcmp(dot, ".hint") == 0)) {
        uint64_t id = strtoull(name, NULL, 16);

        for (uint32_t row = 0; row < rows; row++) {
            found = found || atomic_load(&region->rows[row].file_id) == id;
        }
    }
    if (!found) {
        (void)snprintf(l->stray, sizeof(l->stray), "%s", name);
    }
    return found;
}

/* The handle's own thread may be writing a hint at this moment. */
static void compare_files(scene *s)
{
    listing l = {.s = s};

    for (unsigned tries = 0; tries < PATIENCE; tries++) {
        l.stray[0] = 0;
        (void)s->db->store->os->ops->list(s->db->store->dir, look_at, &l);
        if (l.stray[0] == 0) {
            return;
        }
        s->db->store->os->ops->sleep_ms(s->db->store->os, 10);
    }
    fail_msg("%s was left behind", l.stray);
}

/* A last close leaves what MANIFEST lists, whatever was under way. */
static void close_and_compare_files(scene *s)
{
    close_store(s);
    stray_check(s->path);
    open_store(s);
    compare_keys(s);
    compare_counters(s);
}

/* ---- The child ---- */

static cask_status merge_all(cask_db *db, cask_error *err)
{
    cask_merge_options options = {.all = true};

    return cask_merge(db, &options, NULL, err);
}

static void *prepare_child(void *context)
{
    scene *s = context;
    cask_error err;

    s->db = NULL;
    if (!s->opens_late &&
        cask_open(s->path, &s->options, &s->db, &err) != CASK_OK) {
        return NULL;
    }
    return s;
}

static int merge_in_child(void *prepared, void *context)
{
    scene *s = context;
    cask_error err;

    (void)prepared;
    if (s->db == NULL &&
        cask_open(s->path, &s->options, &s->db, &err) != CASK_OK) {
        return 1;
    }
    return unless_damaged(s, merge_all(s->db, &err)) == CASK_OK ? 0 : 1;
}

/* ---- Rounds ---- */

static void begin_round(void *context)
{
    scene *s = context;

    change_some(s);
    if (test_random_chance(&s->media, 30)) {
        damage_some(s);
    }
    if (test_random_chance(&s->random, 40)) {
        close_store(s);
    }
}

/* The merger is dead. */
static void end_round(void *context)
{
    scene *s = context;
    cask_error err = {CASK_OK, 0, ""};

    if (s->db == NULL) {
        open_store(s);
    }
    compare_keys(s);
    if (test_random_chance(&s->endings, 25)) {
        close_and_compare_files(s);
    }
    if (test_random_chance(&s->random, 50)) {
        /* By itself first: a merge of all would hide wrong counters. */
        require_ok(unless_damaged(s, hash_merge_complete(s->db->store, &err)),
                   &err);
        compare_keys(s);
        compare_counters(s);
    }
    for (unsigned i = 0; i < 5; i++) {
        change_key(s, (unsigned)test_random_next(&s->random, KEYS));
    }
    compare_fold(s);
    require_ok(unless_damaged(s, merge_all(s->db, &err)), &err);
    compare_keys(s);
    compare_counters(s);
    compare_files(s);
    if (test_random_chance(&s->random, 20)) {
        close_store(s);
        open_store(s);
        compare_keys(s);
        compare_counters(s);
        compare_fold(s);
    }
}

static death_round round_of(scene *s)
{
    return (death_round){
        {prepare_child, merge_in_child, s}, &s->random, begin_round, end_round};
}

static void sweep(scene *s, const death_place *where)
{
    const death_round round = round_of(s);

    death_sweep(&round, where);
}

/* ---- Tests ---- */

static void test_death_at_each_system_call(void **state)
{
    const death_round round = round_of(*state);

    death_sweep_calls(&round, test_number("CASK_TEST_STRIDE", 5));
}

static void test_death_while_it_begins(void **state)
{
    const death_place where = {STEPPER_FUNCTION(store_merge_begin), 1, 900};

    sweep(*state, &where);
}

static void test_death_while_an_output_is_made(void **state)
{
    const death_place where = {STEPPER_FUNCTION(store_merge_output), 1, 3000};

    sweep(*state, &where);
}

static void test_death_while_the_manifest_is_replaced(void **state)
{
    const death_place where = {STEPPER_FUNCTION(store_merge_replace), 1, 6000};

    sweep(*state, &where);
}

/* A lookup, the intent, the slot, the counters of two rows. */
static void test_death_while_a_key_is_moved(void **state)
{
    const death_place where = {STEPPER_FUNCTION(keydir_slot_locked), 30, 160};

    sweep(*state, &where);
}

/* From the store of the slot on: the counters. */
static void test_death_while_a_slot_is_led_elsewhere(void **state)
{
    const death_place where = {STEPPER_FUNCTION(keydir_store_locked), 30, 50};

    sweep(*state, &where);
}

static void test_death_while_keys_are_moved(void **state)
{
    const death_place where = {STEPPER_FUNCTION(hash_move_all), 1, 12000};

    sweep(*state, &where);
}

static void test_death_while_expired_keys_leave_the_index(void **state)
{
    const death_place where = {STEPPER_FUNCTION(hash_move_ended), 1, 6000};

    sweep(*state, &where);
}

static void test_death_while_it_ends(void **state)
{
    const death_place where = {STEPPER_FUNCTION(store_merge_finish), 1, 600};

    sweep(*state, &where);
}

static void test_death_while_inputs_are_removed(void **state)
{
    const death_place where = {STEPPER_FUNCTION(store_merge_clean), 2, 900};

    sweep(*state, &where);
}

/* One dies while it moves a key, the next while it finishes that. */
static void test_death_while_a_death_is_repaired(void **state)
{
    const death_place first = {STEPPER_FUNCTION(keydir_store_locked), 20, 50};
    const death_place second = {STEPPER_FUNCTION(hash_move_finish_locked), 1,
                                110};
    uint64_t points = test_number("CASK_TEST_POINTS", 25);
    uint64_t deaths = 0;
    scene *s = *state;
    const death_round round = round_of(s);

    for (uint64_t i = 0; i < points; i++) {
        change_some(s);
        if (death_at(&round, &first)) {
            s->opens_late = true;
            deaths += death_at(&round, &second) ? 1 : 0;
            s->opens_late = false;
        }
        end_round(s);
    }
    print_message("%" PRIu64 " second deaths\n", deaths);
    assert_true(deaths > points / 8);
}

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->random = test_random_make(test_seed(), 0);
    s->media = test_random_make(test_seed(), 1);
    s->endings = test_random_make(test_seed(), 2);
    s->hurt = KEYS;
    scratch_make(s->path);
    cask_options_init(&s->options);
    s->options.create_if_missing = true;
    s->options.segment_max_bytes = 65536;
    s->options.small_file_threshold_bytes = 0;
    s->options.sync = CASK_SYNC_NONE;
    s->options.auto_merge = false; /* merges are the children's */
    s->options.huge_pages = false;
    open_store(s);
    for (unsigned key = 0; key < KEYS; key++) {
        change_key(s, key);
    }
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    cask_verify_report report;
    cask_error err = {CASK_OK, 0, ""};

    close_store(s);
    require_ok(unless_damaged(s, cask_verify(s->path, NULL, &report, &err)),
               &err);
    print_message("%u bytes were damaged\n", s->damages);
    assert_int_equal(scratch_regions(s->path), 0);
    scratch_remove(s->path);
    free(s);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_death_at_each_system_call),
        TEST(test_death_while_it_begins),
        TEST(test_death_while_an_output_is_made),
        TEST(test_death_while_the_manifest_is_replaced),
        TEST(test_death_while_a_key_is_moved),
        TEST(test_death_while_a_slot_is_led_elsewhere),
        TEST(test_death_while_keys_are_moved),
        TEST(test_death_while_expired_keys_leave_the_index),
        TEST(test_death_while_it_ends),
        TEST(test_death_while_inputs_are_removed),
        TEST(test_death_while_a_death_is_repaired),
    };

    return cmocka_run_group_tests_name("merge steps", tests, NULL, NULL);
}
