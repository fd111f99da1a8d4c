/*
 * Files whose makers were killed while others have the store open: they go
 * soon, or with the last close, and nothing else does. Hints that were being
 * written are written by others.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"
#include "log/segment_format.h"
#include "process/stray.h"
#include "scene.h"
#include "store/store_merge.h"
#include "store/store_recover.h"
#include "store/store_write.h"
#include "tree/tree_flush.h"

enum { KEYS = 60, VALUE = 4000, PATIENCE = 20000 };

static void wait_until(const scene *s, const char *name, bool there)
{
    for (int i = 0; i < PATIENCE && scene_has(s, name) != there; i++) {
        (void)usleep(1000);
    }
    if (scene_has(s, name) != there) {
        fail_msg("%s is %s", name, there ? "missing" : "left behind");
    }
}

typedef void (*large_fn)(scene *s, cask_db *db, const char *key,
                         const char *value);

static void for_each_large(scene *s, cask_db *db, large_fn visit)
{
    char value[VALUE + 1];
    char key[32];

    memset(value, 'v', VALUE);
    value[VALUE] = 0;
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof(key), "large %d", i);
        visit(s, db, key, value);
    }
}

/* Some segments, all but the last one sealed. */
static void put_large(scene *s, cask_db *db)
{
    for_each_large(s, db, put);
}

static void check_large(scene *s, cask_db *db)
{
    for_each_large(s, db, expect);
}

/* The name of the segment that is made next. */
static void next_name(cask_db *db, char ret_name[SEGMENT_NAME_SIZE])
{
    segment_name_format(atomic_load(&db->store->region.header->next_id),
                        ret_name);
}

/* ---- Files that nobody knows ---- */

static const char *const unknown[] = {"00000000000000ff.hint",
                                      "00000000000000ff.hint.new",
                                      "MANIFEST.new", "CONFIG.new"};
enum { UNKNOWN = sizeof(unknown) / sizeof(unknown[0]) };

static int leave_files_and_die(scene *s)
{
    char name[SEGMENT_NAME_SIZE];
    cask_db *db = open_store(s);

    put(s, db, "key", "value");
    next_name(db, name);
    scene_plant(s, name); /* made, and not noted yet */
    for (int i = 0; i < UNKNOWN; i++) {
        scene_plant(s, unknown[i]);
    }
    (void)raise(SIGKILL);
    return 1;
}

static void test_what_a_killed_writer_left_goes_while_others_work(void **state)
{
    scene *s = *state;
    char name[SEGMENT_NAME_SIZE];
    cask_db *db = open_store(s);

    put(s, db, "first", "1");
    next_name(db, name);
    scene_plant(s, "notes.txt");
    assert_int_equal(wait_for(start(leave_files_and_die, s)), 256 + SIGKILL);
    wait_until(s, name, false);
    for (int i = 0; i < UNKNOWN; i++) {
        wait_until(s, unknown[i], false);
    }
    assert_true(scene_has(s, "notes.txt"));
    expect(s, db, "first", "1");
    expect(s, db, "key", "value");
    close_store(s, db);
}

static void test_it_goes_with_the_last_close(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);

    put(s, db, "first", "1");
    assert_int_equal(wait_for(start(leave_files_and_die, s)), 256 + SIGKILL);
    close_store(s, db);
    stray_check(s->path);
}

/* Its slot is given to another before anybody looks. */
static void test_it_goes_if_another_took_the_slot(void **state)
{
    scene *s = *state;
    cask_options usual = s->options;
    cask_db *reader;
    cask_db *db = open_store(s);

    put(s, db, "first", "1");
    s->options.read_only = true;
    reader = open_store(s);
    s->options = usual;
    close_store(s, db);
    assert_int_equal(wait_for(start(leave_files_and_die, s)), 256 + SIGKILL);
    db = open_store(s);
    close_store(s, db);
    stray_check(s->path);
    close_store(s, reader);
}

/* ---- Hints ---- */

/* A sealed row with its hint; UINT32_MAX: there is none now. */
static uint32_t find_hinted(const cask_db *db)
{
    const region_handle *region = &db->store->region;

    for (uint32_t i = 0; i < atomic_load(&region->header->row_count); i++) {
        if (atomic_load(&region->rows[i].state) == ROW_SEALED &&
            atomic_load(&region->rows[i].has_hint) == HINT_WRITTEN) {
            return i;
        }
    }
    return UINT32_MAX;
}

static uint32_t wait_for_hint(const cask_db *db)
{
    uint32_t row = find_hinted(db);

    for (int i = 0; i < PATIENCE && row == UINT32_MAX; i++) {
        (void)usleep(1000);
        row = find_hinted(db);
    }
    assert_int_not_equal(row, UINT32_MAX);
    return row;
}

/* As it is when somebody is killed while he writes a hint. */
static int die_writing_a_hint(scene *s)
{
    cask_db *db = open_store(s);
    region_row *row = &db->store->region.rows[wait_for_hint(db)];
    char name[SEGMENT_NAME_SIZE];
    char text[SCENE_NAME];

    hint_name_format(atomic_load(&row->file_id), name);
    atomic_store(&row->has_hint, HINT_CLAIMED + db->store->process_slot);
    assert_int_equal(db->store->os->ops->remove(db->store->dir, name), 0);
    (void)snprintf(text, sizeof(text), "%s.new", name);
    scene_plant(s, text);
    put(s, db, "hint", name);
    (void)raise(SIGKILL);
    return 1;
}

static void check_hint_comes(scene *s, cask_db *db)
{
    cask_buffer value = {NULL, 0, 0};
    char name[SEGMENT_NAME_SIZE] = "";
    char aside[SCENE_NAME];

    require(s, cask_get(db, cask_slice_of("hint"), &value, &s->err));
    assert_true(value.size < sizeof(name));
    memcpy(name, value.data, value.size);
    cask_buffer_free(&value);
    (void)snprintf(aside, sizeof(aside), "%s.new", name);
    wait_until(s, name, true);
    wait_until(s, aside, false);
}

static void test_a_hint_is_written_when_its_writer_was_killed(void **state)
{
    scene *s = *state;
    cask_db *db;

    s->options.auto_merge = false;
    db = open_store(s);
    put_large(s, db);
    assert_int_equal(wait_for(start(die_writing_a_hint, s)), 256 + SIGKILL);
    check_hint_comes(s, db);
    close_store(s, db);
    stray_check(s->path);
}

static void test_it_is_written_by_who_gets_the_slot_too(void **state)
{
    scene *s = *state;
    cask_options usual;
    cask_db *reader;
    cask_db *db;

    s->options.auto_merge = false;
    usual = s->options;
    db = open_store(s);
    put_large(s, db);
    s->options.read_only = true;
    reader = open_store(s);
    s->options = usual;
    close_store(s, db);
    assert_int_equal(wait_for(start(die_writing_a_hint, s)), 256 + SIGKILL);
    db = open_store(s);
    check_hint_comes(s, db);
    close_store(s, db);
    close_store(s, reader);
    stray_check(s->path);
}

/* ---- Merges ---- */

static int die_merging(scene *s)
{
    cask_db *db = open_store(s);
    store_handle *store = db->store;
    uint32_t row = wait_for_hint(db);
    uint64_t inputs = 0;
    uint32_t output = 0;

    require(s, store_merge_lock(store, &s->err));
    require(s, store_merge_begin(store, &row, 1, &inputs, &s->err));
    require(s, store_merge_output(store, 1 << 20, &output, &s->err));
    (void)raise(SIGKILL);
    return 1;
}

static void test_the_last_close_removes_what_a_killed_merge_made(void **state)
{
    scene *s = *state;
    char name[SEGMENT_NAME_SIZE];
    cask_db *db;

    s->options.auto_merge = false;
    db = open_store(s);
    put_large(s, db);
    next_name(db, name);
    assert_int_equal(wait_for(start(die_merging, s)), 256 + SIGKILL);
    assert_true(scene_has(s, name));
    close_store(s, db);
    stray_check(s->path);
    db = open_store(s);
    check_large(s, db);
    close_store(s, db);
}

/* ---- Segments of a tree that are in runs ---- */

/* A sealed segment, by its name; UINT32_MAX: there is none. */
static uint32_t find_sealed(const cask_db *db, char ret_name[SEGMENT_NAME_SIZE])
{
    const region_handle *region = &db->store->region;

    for (uint32_t i = 0; i < atomic_load(&region->header->row_count); i++) {
        if (atomic_load(&region->rows[i].state) == ROW_SEALED) {
            segment_name_format(atomic_load(&region->rows[i].file_id),
                                ret_name);
            return i;
        }
    }
    return UINT32_MAX;
}

/* Killed when MANIFEST no longer lists what was flushed, and no row says so. */
static int die_dropping(scene *s)
{
    cask_db *db = open_store(s);
    store_handle *store = db->store;
    manifest_edit drop = {.type = MANIFEST_DROP};
    char name[SEGMENT_NAME_SIZE];
    uint32_t row = find_sealed(db, name);

    require(s, store_merge_lock(store, &s->err));
    require(s, tree_flush_newest(store, &s->err));
    require(s, store_maintain_begin(store, &s->err));
    drop.drop.segment_id = atomic_load(&store->region.rows[row].file_id);
    require(s, store_edit(store, &drop, &s->err));
    (void)raise(SIGKILL);
    return 1;
}

static void test_the_last_close_removes_what_a_dead_flush_dropped(void **state)
{
    scene *s = *state;
    char name[SEGMENT_NAME_SIZE];
    cask_db *db;

    s->options.engine = CASK_ENGINE_TREE;
    s->options.auto_merge = false;
    db = open_store(s);
    put_large(s, db);
    assert_int_not_equal(find_sealed(db, name), UINT32_MAX);
    assert_int_equal(wait_for(start(die_dropping, s)), 256 + SIGKILL);
    assert_true(scene_has(s, name));
    close_store(s, db);
    stray_check(s->path);
    db = open_store(s);
    check_large(s, db);
    close_store(s, db);
}

/* ---- A segment that was prepared ---- */

static int count_prepared(const cask_db *db)
{
    const region_handle *region = &db->store->region;
    int count = 0;

    for (uint32_t i = 0; i < atomic_load(&region->header->row_count); i++) {
        count += atomic_load(&region->rows[i].state) == ROW_PREPARED;
    }
    return count;
}

/* Killed when it is made and its row is filled. */
static int die_making(scene *s)
{
    const row_plan plan = {
        .kind = SEGMENT_LOG, .state = ROW_PREPARED, .capacity = 65536};
    cask_db *db = open_store(s);
    uint32_t row;

    require(s, store_maintain_begin(db->store, &s->err));
    require(s, store_create_row(db->store, &plan, &row, &s->err));
    (void)raise(SIGKILL);
    return 1;
}

static void test_one_that_was_made_is_used(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);

    put(s, db, "first", "1");
    assert_int_equal(wait_for(start(die_making, s)), 256 + SIGKILL);
    assert_int_equal(count_prepared(db), 1);
    require(s, store_rotate(db->store, &s->err));
    assert_int_equal(count_prepared(db), 0);
    put(s, db, "second", "2");
    expect(s, db, "first", "1");
    close_store(s, db);
    stray_check(s->path);
}

/* Killed between the word that makes it the next one and the word that says
 * that its entry in the MANIFEST is missing. */
static int die_preparing(scene *s)
{
    cask_db *db = open_store(s);
    store_handle *store = db->store;
    region_header *header = store->region.header;

    require(s, store_maintain_begin(store, &s->err));
    require(s, store_ensure_next(store, 0, false, &s->err));
    atomic_store(&header->unlisted_row, atomic_load(&header->next_row));
    (void)raise(SIGKILL);
    return 1;
}

static void test_a_segment_never_follows_itself(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);
    uint32_t active;

    put(s, db, "first", "1");
    assert_int_equal(wait_for(start(die_preparing, s)), 256 + SIGKILL);
    put(s, db, "second", "2");
    require(s, store_rotate(db->store, &s->err));
    active = atomic_load(&db->store->region.header->active_row);
    put(s, db, "third", "3");
    require(s, store_rotate(db->store, &s->err));
    assert_int_not_equal(atomic_load(&db->store->region.header->active_row),
                         active);
    put(s, db, "fourth", "4");
    expect(s, db, "third", "3");
    close_store(s, db);
    stray_check(s->path);
    db = open_store(s);
    expect(s, db, "first", "1");
    expect(s, db, "second", "2");
    expect(s, db, "third", "3");
    expect(s, db, "fourth", "4");
    close_store(s, db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_a_killed_writer_left_goes_while_others_work),
        TEST(test_it_goes_with_the_last_close),
        TEST(test_it_goes_if_another_took_the_slot),
        TEST(test_a_hint_is_written_when_its_writer_was_killed),
        TEST(test_it_is_written_by_who_gets_the_slot_too),
        TEST(test_the_last_close_removes_what_a_killed_merge_made),
        TEST(test_the_last_close_removes_what_a_dead_flush_dropped),
        TEST(test_one_that_was_made_is_used),
        TEST(test_a_segment_never_follows_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
