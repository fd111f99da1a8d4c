/*
 * Weeks of a store, minute by minute on a simulated clock: the one in which
 * summer begins in Central Europe, and the one in which it ends. Two handles
 * ("processes") write, look for a merge each minute as their threads would, and
 * are reopened at noon; the store's age limit is set on Wednesday while they
 * are open; some values have times of their own; at noon on Tuesday the disk is
 * almost full, with the window closed.
 *
 *   Merges begin in their window only, each handle by its jitter later, or for
 *   want of space. One whose window closes while it copies is given up. At the
 *   end of each window the store is within its bound. Every value is what it
 *   should be at each moment, and in the end nothing else takes space.
 *
 * What the time is, and whether a window is open, is computed here once more,
 * by other means.
 *
 *   CASK_TEST_SEED   to repeat the operations (not the background threads)
 */
#include "cask_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "hash/hash_merger.h"
#include "store/merge_log.h"
#include "os/os_sim.h"
#include "store/store_merge.h"
#include "support/random.h"

#define PATH "/store"
#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define DAY_MINUTES UINT64_C(1440)
#define WINDOW "mon-fri 22:00-06:00, sat-sun 01:00-05:00"

enum {
    HANDLES = 2,
    KEYS = 2000,
    PUTS_PER_MINUTE = 6,
    VALUE_MOST = 400,
    SEGMENT_BYTES = 64 << 10,
    OPERATION_MS = 400, /* that each operation of a merge takes */
    PATIENCE_MS = 60000 /* from the end of the copies to the new MANIFEST */
};

/* Central Europe, 2024. */
static const os_sim_zone europe = {.offset_minutes = 60,
                                   .summer_offset_minutes = 120,
                                   .summer_from_ms = UINT64_C(1711846800000),
                                   .summer_end_ms = UINT64_C(1729990800000)};

typedef struct truth {
    uint64_t version; /* 0: never written */
    uint64_t written_s;
    uint64_t expires_ms; /* 0: never */
} truth;

typedef struct week {
    os_sim *sim;
    os *kernel;
    cask_db *db[HANDLES];
    test_random random;
    truth keys[KEYS];
    uint64_t versions;
    uint64_t expiry_s; /* of the store; 0: none */

    /* Of the handle that looks for a merge. */
    store_handle *merging; /* NULL: none */
    bool is_urgent;        /* for want of space */
    uint32_t phase;        /* when last looked at */
    uint64_t last_open_ms; /* the window was still open then */

    uint64_t merges, stopped, urgent, checks;
} week;

/* Only its own thread is asked for; background threads work meanwhile. */
static _Thread_local bool is_merging;

static uint64_t now_of(const week *w)
{
    return w->kernel->ops->wall_ms(w->kernel);
}

/* ---- The clock on the wall ---- */

static uint64_t local_minutes(uint64_t wall_ms)
{
    bool is_summer =
        wall_ms >= europe.summer_from_ms && wall_ms < europe.summer_end_ms;

    return wall_ms / MINUTE_MS + (is_summer ? 120 : 60);
}

/* WINDOW in other words. */
static bool is_open(uint64_t wall_ms)
{
    uint64_t minutes = local_minutes(wall_ms);
    uint64_t minute = minutes % DAY_MINUTES;
    uint64_t day = (minutes / DAY_MINUTES + 3) % 7; /* 0: Monday */

    if (day <= 4 && minute >= 22 * 60) {
        return true;
    }
    if (day >= 1 && day <= 5 && minute < 6 * 60) {
        return true; /* began the evening before */
    }
    return day >= 5 && minute >= 60 && minute < 5 * 60;
}

static bool is_open_for(const store_handle *store, uint64_t wall_ms)
{
    return is_open(wall_ms) && is_open(wall_ms - store->jitter_ms);
}

/* ---- A merge, seen from the disk ---- */

static void look_at_merge(week *w)
{
    uint32_t phase = atomic_load(&w->merging->region.header->merge.phase);
    uint64_t now = now_of(w);

    if (phase == MERGE_COPYING && w->phase != MERGE_COPYING) {
        w->merges++;
        w->urgent += w->is_urgent ? 1 : 0;
        assert_true(w->is_urgent || is_open_for(w->merging, now));
    }
    if (phase == MERGE_MOVING && w->phase == MERGE_COPYING) {
        assert_true(w->is_urgent || now - w->last_open_ms <= PATIENCE_MS);
    }
    w->phase = phase;
    if (is_open_for(w->merging, now)) {
        w->last_open_ms = now;
    }
}

static void on_operation(void *context, os_sim *sim)
{
    week *w = context;

    if (is_merging) {
        look_at_merge(w);
        os_sim_advance_ms(sim, OPERATION_MS);
        store_window_watch(w->merging); /* as its background thread */
    }
}

static merge_plan planned(const week *w, unsigned handle, bool is_asked)
{
    const merge_wish wish = {.is_asked = is_asked, .is_late = true};
    merger_plan plan;
    merge_plan found;

    assert_int_equal(hash_plan(w->db[handle]->store, wish, &plan, NULL),
                     CASK_OK);
    found = plan.plan;
    hash_plan_free(&plan);
    return found;
}

/* One that the window cuts short was stopped; nothing else goes wrong. */
static void check_log(const store_handle *store)
{
    merge_record records[REGION_MERGES];
    size_t count = merge_log_read(store, records);

    for (size_t i = 0; i < count; i++) {
        assert_true(records[i].result == CASK_OK ||
                    records[i].result == CASK_TIMEOUT);
    }
}

/* What the thread of a handle does each second. */
static uint64_t look_for_merge(week *w, unsigned handle)
{
    const merge_wish by_itself = {.is_late = true};
    merge_report report;
    cask_error err = {CASK_OK, 0, ""};
    uint64_t before = now_of(w);

    w->merging = w->db[handle]->store;
    w->is_urgent = planned(w, handle, false).reason == MERGE_REASON_DISK_SPACE;
    w->phase = MERGE_NONE;
    w->last_open_ms = before;
    assert_int_equal(store_window_is_open(w->merging),
                     is_open_for(w->merging, before));
    is_merging = true;
    if (hash_merge_wished(w->merging, by_itself, &report, &err) != CASK_OK) {
        fail_msg("merge: %s", err.message);
    }
    is_merging = false;
    assert_int_equal(atomic_load(&w->merging->region.header->merge.phase),
                     MERGE_NONE);
    if (!w->is_urgent && is_open_for(w->merging, before) &&
        !is_open_for(w->merging, now_of(w)) &&
        planned(w, handle, true).count > 0) {
        w->stopped++;
    }
    check_log(w->merging);
    w->merging = NULL;
    return report.inputs;
}

/* ---- Values ---- */

static size_t print_value(char text[VALUE_MOST], unsigned key, uint64_t version)
{
    size_t size = 100 + (size_t)(test_mix(version) % (VALUE_MOST - 100));
    int used;

    memset(text, 'a' + (int)(version % 26), VALUE_MOST);
    used = snprintf(text, VALUE_MOST, "%u %" PRIu64, key, version);
    text[used] = ' ';
    return size;
}

static void put(week *w, unsigned key)
{
    cask_write_options options = {.ttl_ms = 0};
    cask_error err = {CASK_OK, 0, ""};
    char text[VALUE_MOST];
    char name[16];
    truth *t = &w->keys[key];
    cask_db *db = w->db[test_random_next(&w->random, HANDLES)];

    if (test_random_chance(&w->random, 20)) {
        options.ttl_ms = MINUTE_MS * (1 + test_random_next(&w->random, 2880));
    }
    *t = (truth){.version = ++w->versions,
                 .written_s = now_of(w) / SECOND_MS,
                 .expires_ms =
                     options.ttl_ms == 0 ? 0 : now_of(w) + options.ttl_ms};
    (void)snprintf(name, sizeof(name), "key %u", key);
    if (cask_put_with(db, cask_slice_of(name),
                      (cask_slice){text, print_value(text, key, t->version)},
                      &options, NULL, &err) != CASK_OK) {
        fail_msg("put: %s", err.message);
    }
}

static bool is_live(const week *w, const truth *t)
{
    uint64_t now = now_of(w);
    uint64_t age_s = now / SECOND_MS - t->written_s;

    return t->version != 0 && (t->expires_ms == 0 || t->expires_ms > now) &&
           (w->expiry_s == 0 || age_s <= w->expiry_s);
}

static void check(week *w, unsigned key)
{
    cask_buffer found = {0};
    cask_error err = {CASK_OK, 0, ""};
    const truth *t = &w->keys[key];
    char text[VALUE_MOST];
    char name[16];
    cask_status status;

    (void)snprintf(name, sizeof(name), "key %u", key);
    status = cask_get(w->db[test_random_next(&w->random, HANDLES)],
                      cask_slice_of(name), &found, &err);
    w->checks++;
    if (!is_live(w, t)) {
        assert_int_equal(status, CASK_NOT_FOUND);
    } else if (status != CASK_OK) {
        fail_msg("get %s: %s", name, err.message);
    } else {
        assert_int_equal(found.size, print_value(text, key, t->version));
        assert_memory_equal(found.data, text, found.size);
    }
    cask_buffer_free(&found);
}

static uint64_t check_all(week *w)
{
    uint64_t live = 0;

    for (unsigned key = 0; key < KEYS; key++) {
        check(w, key);
        live += is_live(w, &w->keys[key]) ? 1 : 0;
    }
    return live;
}

/* ---- The store ---- */

static void open_all(week *w)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_options options;

    cask_options_init(&options);
    options.create_if_missing = true;
    options.segment_max_bytes = SEGMENT_BYTES;
    options.auto_merge = false; /* look_for_merge() does it */
    for (unsigned i = 0; i < HANDLES; i++) {
        if (db_open_on(w->kernel, PATH, &options, &w->db[i], &err) != CASK_OK) {
            fail_msg("open: %s", err.message);
        }
    }
}

static void close_all(week *w)
{
    for (unsigned i = 0; i < HANDLES; i++) {
        assert_int_equal(cask_close(w->db[i], NULL), CASK_OK);
    }
}

static void set(week *w, const char *name, const char *value)
{
    cask_config_change change = {name, value};

    assert_int_equal(cask_config_set(w->db[0], &change, 1, NULL), CASK_OK);
}

static cask_stats stats_of(week *w)
{
    cask_stats stats;

    assert_int_equal(cask_stat(w->db[0], &stats, NULL), CASK_OK);
    return stats;
}

/* As after a window that was long enough. The active segment of each moment is
 * not merged, and segments of little gain stay. */
static void check_space(week *w)
{
    cask_stats stats = stats_of(w);
    uint64_t most = stats.live_bytes * 3 / 2 + 2 * SEGMENT_BYTES;

    if (stats.data_bytes > most) {
        fail_msg("%" PRIu64 " bytes in the store, %" PRIu64 " live",
                 stats.data_bytes, stats.live_bytes);
    }
}

/* ---- Events of the week ---- */

/* Fewer bytes are free than four segments take: the window opens. */
static void fill_disk(week *w)
{
    os_space space;
    uint64_t before = w->urgent;

    /* Work for a merge, for which the window is closed. */
    for (unsigned i = 0; i < 3 * KEYS; i++) {
        put(w, (unsigned)test_random_next(&w->random, KEYS / 4));
    }
    assert_false(is_open(now_of(w)));
    assert_int_equal(look_for_merge(w, 0), 0);
    assert_int_equal(w->kernel->ops->space(w->db[0]->store->dir, &space), 0);
    os_sim_set_capacity(w->sim,
                        space.total - space.free + 7 * SEGMENT_BYTES / 2);
    assert_true(look_for_merge(w, 0) > 0);
    assert_true(w->urgent > before);
    os_sim_set_capacity(w->sim, space.total);
    (void)check_all(w);
}

/* So late that the window closes while the merge copies, if there is one. */
static void end_window(week *w)
{
    for (unsigned i = 0; i < KEYS; i++) {
        put(w, (unsigned)test_random_next(&w->random, KEYS));
    }
    os_sim_advance_ms(w->sim, 57 * SECOND_MS);
    (void)look_for_merge(w, (unsigned)test_random_next(&w->random, HANDLES));
    (void)check_all(w);
}

static void reopen(week *w)
{
    uint64_t live;

    close_all(w);
    open_all(w);
    live = check_all(w);
    assert_true(stats_of(w).key_count >= live);
}

static void run_minute(week *w, uint64_t start_ms, uint64_t minute)
{
    uint64_t day = minute / DAY_MINUTES;
    uint64_t of_day = minute % DAY_MINUTES;

    for (unsigned i = 0; i < PUTS_PER_MINUTE; i++) {
        put(w, (unsigned)test_random_next(&w->random, KEYS));
        check(w, (unsigned)test_random_next(&w->random, KEYS));
    }
    if (day == 1 && of_day == 720) {
        fill_disk(w);
    } else if (day == 2 && of_day == 600) {
        w->expiry_s = 36 * 3600;
        set(w, "expiry_seconds", "36h");
    } else if (of_day == 780) {
        reopen(w);
    }
    if (is_open(start_ms) && !is_open(start_ms + MINUTE_MS)) {
        check_space(w);
        end_window(w);
    }
    for (unsigned i = 0; i < HANDLES; i++) {
        (void)look_for_merge(w, i);
    }
}

/* Seven days from a Monday, 0:00 local time; returns the minutes of windows. */
static uint64_t run_week(week *w, uint64_t monday_ms)
{
    uint64_t open = 0;

    os_sim_set_wall_ms(w->sim, monday_ms);
    os_sim_set_zone(w->sim, &europe);
    os_sim_set_hook(w->sim, on_operation, w);
    open_all(w);
    set(w, "merge_window", WINDOW);
    for (uint64_t minute = 0; minute < 7 * DAY_MINUTES; minute++) {
        uint64_t start_ms = monday_ms + minute * MINUTE_MS;
        uint64_t now = now_of(w);

        /* A merge may have taken longer than what was left of the minute. */
        if (now < start_ms) {
            os_sim_advance_ms(w->sim, start_ms - now);
        }
        open += is_open(start_ms) ? 1 : 0;
        run_minute(w, start_ms, minute);
    }
    printf("%" PRIu64 " minutes in windows, %" PRIu64 " merges, %" PRIu64
           " for want of space, %" PRIu64 " stopped, %" PRIu64 " values "
           "looked at\n",
           open, w->merges, w->urgent, w->stopped, w->checks);
    return open;
}

static void check_end(week *w)
{
    cask_merge_options all = {.all = true};
    cask_stats stats;

    assert_true(w->merges > 20);
    assert_true(w->urgent > 0);
    assert_true(w->stopped > 0);
    assert_int_equal(cask_merge(w->db[1], &all, NULL, NULL), CASK_OK);
    stats = stats_of(w);
    assert_int_equal(stats.key_count, check_all(w));
    assert_int_equal(stats.dead_bytes, 0);
    close_all(w);
}

static void live_through(uint64_t monday_ms, uint64_t open_minutes)
{
    week w = {.random = test_random_make(test_seed(), monday_ms)};
    os_sim_options options = {.seed = test_random_next(&w.random, 0),
                              .max_file_bytes = (size_t)1 << 30};

    assert_int_equal(os_sim_create(&options, &w.sim), 0);
    w.kernel = os_sim_os(w.sim);
    assert_int_equal(w.kernel->ops->make_dir(w.kernel, PATH, 0700), 0);
    assert_int_equal(run_week(&w, monday_ms), open_minutes);
    check_end(&w);
    os_sim_free(w.sim);
}

static void test_the_week_in_which_summer_begins(void **state)
{
    (void)state;
    /* From March 25, 2024. On Sunday there is no hour from 2:00 to 3:00. */
    live_through(UINT64_C(1711321200000), 5 * 8 * 60 + 3 * 60);
}

static void test_the_week_in_which_summer_ends(void **state)
{
    (void)state;
    /* From October 21, 2024. On Sunday there are two of them. */
    live_through(UINT64_C(1729461600000), 5 * 8 * 60 + 5 * 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_week_in_which_summer_begins),
        cmocka_unit_test(test_the_week_in_which_summer_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
