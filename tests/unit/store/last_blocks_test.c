/*
 * The last blocks of a full disk: opens, closes and merges use up none, and an
 * open that fails leaves nothing. The end of a log that stays where it is when
 * its writer died is durable all the same.
 */
#include "unit/store/tight_disk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/hint_format.h"
#include "log/segment.h"
#include "store/store_shortage.h"
#include "store/store_write.h"

enum { KEYS = 1500, BLOCK = 4096 };

static int prepare(void **state)
{
    int result = tight_disk_prepare(state);
    handle *h = *state;

    h->options.segment_max_bytes = 64 << 10;
    h->options.small_file_threshold_bytes = 0;
    return result;
}

static cask_status delete_key(handle *h, unsigned number)
{
    char text[32];

    return cask_delete(h->db, key_of(number, text), NULL, NULL);
}

/* ---- The disk ---- */

typedef struct listing {
    handle *h;
    os_file *dir;
    unsigned files;
    uint64_t bytes;
    uint64_t hints;
} listing;

static bool add_file(void *context, const char *name)
{
    listing *l = context;
    os_stat stat;
    uint64_t id;

    assert_int_equal(l->h->kernel->ops->stat_name(l->dir, name, &stat), 0);
    l->files++;
    l->bytes += stat.size;
    l->hints += hint_name_parse(name, &id) ? 1 : 0;
    return true;
}

static listing list_files(handle *h)
{
    listing l = {.h = h, .dir = handle_dir(h)};

    assert_int_equal(h->kernel->ops->list(l.dir, add_file, &l), 0);
    h->kernel->ops->close(l.dir);
    return l;
}

static bool remove_hint(void *context, const char *name)
{
    listing *l = context;
    uint64_t id;

    if (!hint_name_parse(name, &id)) {
        return true;
    }
    assert_int_equal(l->h->kernel->ops->remove(l->dir, name), 0);
    return false; /* the listing is another one now */
}

/* As if other shortages had been there before. */
static void remove_hints(handle *h)
{
    listing l = list_files(h);

    l.dir = handle_dir(h);
    for (; l.hints > 0; l.hints--) {
        assert_int_equal(h->kernel->ops->list(l.dir, remove_hint, &l), 0);
    }
    h->kernel->ops->close(l.dir);
    assert_int_equal(list_files(h).hints, 0);
}

static void remove_spare(handle *h)
{
    os_file *dir = handle_dir(h);

    (void)manifest_give_up_spare(dir);
    h->kernel->ops->close(dir);
}

/* ---- Opens ---- */

/* Edits come with each of them; they, and the MANIFEST that is written anew
 * for them, are in room that it has behind its end. */
static void test_opens_and_closes_take_no_block(void **state)
{
    handle *h = *state;
    uint64_t used;

    handle_open(h);
    put_keys(h, 0, KEYS);
    leave_free(h, 1 << 20);
    handle_close(h);
    remove_hints(h);
    leave_free(h, 0);
    handle_open(h);
    handle_close(h);
    leave_free(h, 0);
    used = used_bytes(h);
    for (unsigned i = 0; i < 1000; i++) {
        handle_open(h);
        assert_int_equal(delete_key(h, i % 2), CASK_OK);
        handle_close(h);
        assert_true(used_bytes(h) <= used);
    }
    handle_open(h);
    assert_int_equal(count_keys(h), KEYS - 2);
    handle_close(h);
    handle_verify(h);
}

/* Its log was sealed, so it needs another segment, and nothing is there that
 * it could have instead. */
static void test_an_open_that_fails_leaves_nothing(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;
    listing before;
    listing after;
    uint64_t used;

    handle_open(h);
    put_keys(h, 0, KEYS);
    handle_close(h);
    remove_hints(h);
    remove_spare(h);
    used = used_bytes(h);
    before = list_files(h);
    /* Enough for a segment, but not for the MANIFEST. */
    for (uint64_t room = 0; room <= (uint64_t)2 * BLOCK; room += BLOCK) {
        os_sim_set_capacity(h->sim, used + room);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(
                db_open_on(h->kernel, HANDLE_PATH, &h->options, &db, &err),
                CASK_NO_SPACE);
            after = list_files(h);
            assert_int_equal(after.files, before.files);
            assert_int_equal(after.bytes, before.bytes);
        }
        remove_spare(h);
        assert_int_equal(used_bytes(h), used);
    }
    empty_disk(h);
    handle_open(h);
    assert_int_equal(count_keys(h), KEYS);
    handle_close(h);
    handle_verify(h);
}

/* With what is kept behind MANIFEST the same is possible. */
static void test_an_open_has_what_is_kept_for_it(void **state)
{
    handle *h = *state;
    cask_merge_report report;

    handle_open(h);
    put_keys(h, 0, KEYS);
    handle_close(h);
    remove_hints(h);
    leave_free(h, 0);
    handle_open(h);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(delete_key(h, i), CASK_OK);
    }
    assert_int_equal(cask_merge(h->db, NULL, &report, NULL), CASK_OK);
    assert_true(report.inputs > 0);
    assert_int_equal(count_keys(h), KEYS - 60);
    handle_close(h);
    handle_verify(h);
}

/* ---- Closes ---- */

/* What is allocated of all files. */
static bool add_blocks(void *context, const char *name)
{
    listing *l = context;
    os_stat stat;

    assert_int_equal(l->h->kernel->ops->stat_name(l->dir, name, &stat), 0);
    l->bytes += strstr(name, ".log") != NULL ? stat.allocated : 0;
    return true;
}

static uint64_t log_blocks(handle *h)
{
    listing l = {.h = h, .dir = handle_dir(h)};

    assert_int_equal(h->kernel->ops->list(l.dir, add_blocks, &l), 0);
    h->kernel->ops->close(l.dir);
    return l.bytes;
}

static void test_a_close_keeps_nothing_for_an_empty_segment(void **state)
{
    const cask_merge_options all = {.all = true};
    handle *h = *state;

    h->options.segment_max_bytes = 64 << 20;
    handle_open(h);
    assert_int_equal(put_key(h, 0), CASK_OK);
    assert_int_equal(put_key(h, 0), CASK_OK);
    assert_int_equal(cask_merge(h->db, &all, NULL, NULL), CASK_OK);
    handle_close(h);
    assert_true(log_blocks(h) <= (uint64_t)2 * BLOCK);
    handle_open(h);
    assert_int_equal(put_key(h, 1), CASK_OK);
    handle_close(h);
    handle_verify(h);
    handle_open(h);
    assert_int_equal(count_keys(h), 2);
    handle_close(h);
    assert_true(log_blocks(h) <= (uint64_t)3 * BLOCK);
}

/* ---- Merges ---- */

/* There is no room to seal the active segment for it, at first. */
static void test_a_merge_of_all_begins_with_what_is_sealed(void **state)
{
    const cask_merge_options all = {.all = true};
    handle *h = *state;
    cask_merge_report report;
    cask_error err = {CASK_OK, 0, ""};
    cask_stats stats;

    handle_open(h);
    put_keys(h, 0, KEYS / 2);
    leave_free(h, 1 << 20);
    for (unsigned i = 0; i < 400; i++) {
        assert_int_equal(delete_key(h, i), CASK_OK);
    }
    leave_free(h, 8 << 10);
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_NO_SPACE);
    if (cask_merge(h->db, &all, &report, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    assert_true(report.inputs > 5);
    assert_true(report.bytes_freed > 400 * (uint64_t)VALUE_BYTES);
    assert_int_equal(count_keys(h), KEYS / 2 - 400);
    empty_disk(h);
    assert_int_equal(cask_merge(h->db, &all, &report, NULL), CASK_OK);
    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    assert_true(stats.dead_bytes < 1000);
    assert_int_equal(count_keys(h), KEYS / 2 - 400);
    handle_close(h);
    handle_verify(h);
}

/* ---- The end of a log that stays where it is ---- */

typedef struct scene {
    handle *h;
    bool there[KEYS];
    unsigned stayed;
    unsigned moved;
} scene;

/* On a small disk, so that it is low from the start. */
static void new_disk(handle *h, uint64_t seed)
{
    os_sim_options options = {.seed = seed,
                              .capacity_bytes = 3 << 20,
                              .max_file_bytes = (size_t)1 << 30,
                              .writeback_percent = 20,
                              .torn_sectors = seed % 3 == 0};

    os_sim_free(h->sim);
    assert_int_equal(os_sim_create(&options, &h->sim), 0);
    h->kernel = os_sim_os(h->sim);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS);
    assert_int_equal(h->kernel->ops->make_dir(h->kernel, HANDLE_PATH, 0700), 0);
}

static uint64_t last_id(handle *h)
{
    cask_segment_stats *segments = NULL;
    size_t count = 0;
    uint64_t id;

    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    assert_true(count > 0);
    id = segments[count - 1].id;
    cask_free(segments);
    return id;
}

/* The power fails, or a sync, which the kernel forgets. */
static void end_badly(handle *h, uint64_t seed)
{
    if (seed % 2 == 0) {
        os_sim_cut(h->sim);
        (void)cask_close(h->db, NULL);
        assert_int_equal(os_sim_crash(h->sim, seed), 0);
    } else {
        os_sim_fail_syncs(h->sim, 0, 1);
        assert_int_equal(cask_sync(h->db, NULL), CASK_POISONED);
        assert_int_equal(cask_close(h->db, NULL), CASK_POISONED);
    }
    h->db = NULL;
}

static bool has_key(handle *h, unsigned number)
{
    cask_buffer value = {0};
    char text[32];
    cask_status status = cask_get(h->db, key_of(number, text), &value, NULL);
    bool is_there = status == CASK_OK;

    assert_true(is_there || status == CASK_NOT_FOUND);
    if (is_there) {
        assert_int_equal(value.size, VALUE_BYTES);
        assert_int_equal(((const char *)value.data)[VALUE_BYTES - 1],
                         'a' + (int)(number % 26));
    }
    cask_buffer_free(&value);
    return is_there;
}

/* What was served is there after the power fails; with more put behind it. */
static void run_seed(scene *s, uint64_t seed)
{
    enum { FIRST = 20, SECOND = 30, THIRD = 40 };
    handle *h = s->h;
    unsigned known = 0;
    uint64_t id;

    handle_open(h);
    put_keys(h, 0, FIRST);
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    put_keys(h, FIRST, SECOND);
    id = last_id(h);
    end_badly(h, seed);
    handle_open(h);
    s->stayed += last_id(h) == id ? 1 : 0;
    s->moved += last_id(h) == id ? 0 : 1;
    for (unsigned i = 0; i < SECOND; i++) {
        s->there[i] = has_key(h, i);
        known += s->there[i] ? 1 : 0;
    }
    assert_true(known >= FIRST);
    put_keys(h, SECOND, THIRD);
    if (seed % 4 < 2) {
        assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    }
    os_sim_cut(h->sim);
    (void)cask_close(h->db, NULL);
    assert_int_equal(os_sim_crash(h->sim, seed + 1000), 0);
    handle_open(h);
    for (unsigned i = 0; i < SECOND; i++) {
        assert_int_equal(has_key(h, i), s->there[i]);
    }
    for (unsigned i = SECOND; i < THIRD && seed % 4 < 2; i++) {
        assert_true(has_key(h, i));
    }
    put_keys(h, THIRD, THIRD + 1);
    handle_close(h);
    handle_verify(h);
}

static void test_what_stays_where_it_is_has_become_durable(void **state)
{
    scene s = {.h = *state};

    for (uint64_t seed = 1; seed <= 400; seed++) {
        new_disk(s.h, seed);
        run_seed(&s, seed);
    }
    /* Both ways were gone. */
    assert_true(s.stayed > 100);
    assert_true(s.moved > 0);
}

/* Killed in the middle of that, at each step: the next one does it. */
static void test_an_open_that_is_cut_in_it_loses_nothing(void **state)
{
    handle *h = *state;
    bool is_complete = false;

    for (uint64_t step = 0; !is_complete; step++) {
        cask_db *db = NULL;
        cask_status status;

        assert_true(step < 200);
        new_disk(h, 2 * step + 1);
        handle_open(h);
        put_keys(h, 0, 20);
        assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
        put_keys(h, 20, 30);
        end_badly(h, 1);
        os_sim_cut_at(h->sim, os_sim_operations(h->sim) + step);
        status = db_open_on(h->kernel, HANDLE_PATH, &h->options, &db, NULL);
        is_complete = !os_sim_is_cut(h->sim);
        assert_true(is_complete || status != CASK_OK || db != NULL);
        os_sim_cut(h->sim);
        (void)cask_close(db, NULL);
        assert_int_equal(os_sim_crash(h->sim, step), 0);
        handle_open(h);
        for (unsigned i = 0; i < 20; i++) {
            assert_true(has_key(h, i));
        }
        put_keys(h, 40, 41);
        handle_close(h);
        handle_verify(h);
    }
}

int main(void)
{
#define BLOCKS(name)                                                           \
    cmocka_unit_test_setup_teardown(name, prepare, handle_teardown)
    const struct CMUnitTest tests[] = {
        BLOCKS(test_opens_and_closes_take_no_block),
        BLOCKS(test_an_open_that_fails_leaves_nothing),
        BLOCKS(test_an_open_has_what_is_kept_for_it),
        BLOCKS(test_a_close_keeps_nothing_for_an_empty_segment),
        BLOCKS(test_a_merge_of_all_begins_with_what_is_sealed),
        BLOCKS(test_what_stays_where_it_is_has_become_durable),
        BLOCKS(test_an_open_that_is_cut_in_it_loses_nothing),
    };
#undef BLOCKS

    return cmocka_run_group_tests(tests, NULL, NULL);
}
