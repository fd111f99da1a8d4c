/*
 * Stores of another engine with the same content: in both directions, while
 * somebody writes; what is stopped or fails leaves none.
 */
#include "cask_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caskade.h"
#include "support/scratch.h"

enum { KEYS = 5000, PATH = SCRATCH_PATH + 32 };

typedef struct scene {
    char path[SCRATCH_PATH];
    char from[PATH];
    char to[PATH];
    char aside[PATH];
    cask_db *db;
} scene;

static cask_db *open_store(const char *path, cask_engine engine)
{
    cask_options options;
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;

    cask_options_init(&options);
    options.create_if_missing = true;
    options.engine = engine;
    options.memtable_bytes = 64 << 10;
    options.segment_max_bytes = 8 << 20;
    options.auto_merge = false;
    options.sync = CASK_SYNC_NONE;
    if (cask_open(path, &options, &db, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    return db;
}

static cask_slice name_of(char text[24], unsigned key)
{
    (void)snprintf(text, 24, "key %u", key * 7919u % KEYS);
    return cask_slice_of(text);
}

/* Values of all sizes; some expire, some are deleted or have a time of
 * theirs. */
static void fill(cask_db *db)
{
    static char value[3 << 20];

    memset(value, 'v', sizeof(value));
    for (unsigned i = 0; i < KEYS; i++) {
        cask_write_options options = {.condition = CASK_ALWAYS};
        size_t size = i == 17 ? sizeof(value) : i % 100;
        char text[24];

        options.ttl_ms = i % 5 == 0 ? 3600000 + i : 0;
        options.time_s = i % 7 == 0 ? 1000000 + i : 0;
        assert_int_equal(cask_put_with(db, name_of(text, i),
                                       (cask_slice){value, size}, &options,
                                       NULL, NULL),
                         CASK_OK);
        if (i % 11 == 0) {
            assert_int_equal(cask_delete(db, name_of(text, i), NULL, NULL),
                             CASK_OK);
        }
    }
    assert_int_equal(cask_put(db, (cask_slice){NULL, 0},
                              cask_slice_of("of the empty key"), NULL),
                     CASK_OK);
}

/* What the first store says of each key, the second says too. */
static void compare(cask_db *a, cask_db *b)
{
    cask_buffer left = {0};
    cask_buffer right = {0};
    uint64_t counts[2];

    for (unsigned i = 0; i < KEYS; i++) {
        cask_info of_left = {.sequence = 0};
        cask_info of_right = {.sequence = 0};
        char text[24];
        cask_slice key = name_of(text, i);
        cask_status status = cask_get_with(a, key, &left, &of_left, NULL);

        assert_int_equal(cask_get_with(b, key, &right, &of_right, NULL),
                         status);
        if (status == CASK_OK) {
            assert_int_equal(left.size, right.size);
            assert_memory_equal(left.data, right.data, left.size);
            assert_true(of_left.expires_at_ms == of_right.expires_at_ms);
            assert_int_equal(of_left.time_s, of_right.time_s);
        }
    }
    assert_int_equal(cask_count(a, &counts[0], NULL), CASK_OK);
    assert_int_equal(cask_count(b, &counts[1], NULL), CASK_OK);
    assert_int_equal(counts[0], counts[1]);
    cask_buffer_free(&left);
    cask_buffer_free(&right);
}

static bool exists(const char *path)
{
    struct stat what;

    return stat(path, &what) == 0;
}

static void convert_between(scene *s, cask_engine from, cask_engine to)
{
    cask_convert_report report = {.keys = 0};
    cask_error err = {CASK_OK, 0, ""};
    uint64_t count;
    cask_db *made;

    s->db = open_store(s->from, from);
    fill(s->db);
    assert_int_equal(cask_count(s->db, &count, NULL), CASK_OK);
    if (cask_convert(s->db, s->to, NULL, &report, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(report.engine, to);
    assert_int_equal(report.keys, count);
    assert_true(report.sequence > 0 && report.expiring > 0);
    assert_false(exists(s->aside));
    made = open_store(s->to, to);
    compare(s->db, made);
    assert_int_equal(cask_close(made, NULL), CASK_OK);
}

static void test_a_hash_store_becomes_a_tree(void **state)
{
    convert_between(*state, CASK_ENGINE_HASH, CASK_ENGINE_TREE);
}

static void test_a_tree_becomes_a_hash_store(void **state)
{
    convert_between(*state, CASK_ENGINE_TREE, CASK_ENGINE_HASH);
}

typedef struct writing {
    cask_db *db;
    uint64_t calls;
    uint64_t stop_at; /* 0: never */
} writing;

/* What is written during it is not in it. */
static bool write_meanwhile(void *context, uint64_t done, uint64_t total)
{
    writing *w = context;
    char text[24];

    assert_true(done <= total);
    w->calls++;
    (void)snprintf(text, sizeof(text), "new %u", (unsigned)w->calls % 100);
    assert_int_equal(
        cask_put(w->db, cask_slice_of(text), cask_slice_of("1"), NULL),
        CASK_OK);
    assert_int_equal(cask_put(w->db, name_of(text, (unsigned)(w->calls % KEYS)),
                              cask_slice_of("changed"), NULL),
                     CASK_OK);
    return w->stop_at == 0 || w->calls < w->stop_at;
}

static void test_it_is_as_of_one_moment(void **state)
{
    scene *s = *state;
    writing w = {.calls = 0};
    const cask_convert_options options = {.on_progress = write_meanwhile,
                                          .context = &w};
    cask_convert_report report;
    cask_buffer value = {0};
    uint64_t count;
    cask_db *made;
    char text[24];

    s->db = w.db = open_store(s->from, CASK_ENGINE_HASH);
    fill(s->db);
    assert_int_equal(cask_count(s->db, &count, NULL), CASK_OK);
    assert_int_equal(cask_convert(s->db, s->to, &options, &report, NULL),
                     CASK_OK);
    assert_int_equal(report.keys, count);
    assert_true(w.calls == 2 * count);
    made = open_store(s->to, CASK_ENGINE_TREE);
    assert_int_equal(cask_get(made, cask_slice_of("new 1"), &value, NULL),
                     CASK_NOT_FOUND);
    assert_int_equal(cask_get(made, name_of(text, 1), &value, NULL), CASK_OK);
    assert_int_equal(value.size, 1);
    cask_buffer_free(&value);
    assert_int_equal(cask_close(made, NULL), CASK_OK);
}

static void test_what_is_stopped_leaves_no_store(void **state)
{
    scene *s = *state;
    cask_error err = {CASK_OK, 0, ""};

    s->db = open_store(s->from, CASK_ENGINE_TREE);
    fill(s->db);
    /* While it is written, and while it is read back. */
    for (uint64_t at = 1; at < 8000; at += 2999) {
        writing w = {.db = s->db, .stop_at = at};
        const cask_convert_options options = {.on_progress = write_meanwhile,
                                              .context = &w};

        assert_int_equal(cask_convert(s->db, s->to, &options, NULL, &err),
                         CASK_TIMEOUT);
        assert_non_null(strstr(err.message, "stopped"));
        assert_false(exists(s->to));
        assert_false(exists(s->aside));
    }
}

/* With the settings of the store, and no options that come before them. */
static cask_db *open_plain(const char *path)
{
    cask_options options;
    cask_db *db = NULL;

    cask_options_init(&options);
    options.create_if_missing = true;
    options.auto_merge = false;
    options.sync = CASK_SYNC_NONE;
    assert_int_equal(cask_open(path, &options, &db, NULL), CASK_OK);
    return db;
}

static void test_segments_are_as_the_settings_say(void **state)
{
    const cask_config_change change = {"segment_max_bytes", "64KiB"};
    const cask_convert_options options = {.engine = CASK_ENGINE_HASH};
    scene *s = *state;
    cask_segment_stats *segments = NULL;
    size_t count;
    cask_db *made;

    s->db = open_plain(s->from);
    for (unsigned i = 0; i < KEYS; i++) {
        char text[24];

        assert_int_equal(cask_put(s->db, name_of(text, i),
                                  (cask_slice){"some twenty-four bytes.", 24},
                                  NULL),
                         CASK_OK);
    }
    assert_int_equal(cask_config_set(s->db, &change, 1, NULL), CASK_OK);
    assert_int_equal(cask_convert(s->db, s->to, &options, NULL, NULL), CASK_OK);
    made = open_plain(s->to);
    assert_int_equal(cask_segments(made, &segments, &count, NULL), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        assert_true(segments[i].total_bytes <= 64 << 10);
    }
    assert_true(count > 4);
    cask_free(segments);
    compare(s->db, made);
    assert_int_equal(cask_close(made, NULL), CASK_OK);
}

static void test_it_makes_a_new_store_only(void **state)
{
    scene *s = *state;
    const cask_convert_options wrong = {.engine = (cask_engine)7};
    char inside[PATH + 16];
    cask_error err = {CASK_OK, 0, ""};

    s->db = open_store(s->from, CASK_ENGINE_HASH);
    assert_int_equal(cask_convert(s->db, s->from, NULL, NULL, &err),
                     CASK_INVALID);
    assert_non_null(strstr(err.message, "is there already"));
    assert_int_equal(cask_convert(s->db, NULL, NULL, NULL, NULL), CASK_INVALID);
    assert_int_equal(cask_convert(s->db, s->to, &wrong, NULL, NULL),
                     CASK_INVALID);
    assert_false(exists(s->aside));
    (void)snprintf(inside, sizeof(inside), "%s/inside", s->from);
    assert_int_equal(cask_convert(s->db, inside, NULL, NULL, &err),
                     CASK_INVALID);
    assert_non_null(strstr(err.message, "in the store's own directory"));
    assert_false(exists(inside));
    assert_int_equal(mkdir(s->aside, 0700), 0);
    /* An empty one is taken; the store has nothing in it, either. */
    assert_int_equal(cask_convert(s->db, s->to, NULL, NULL, NULL), CASK_OK);
    assert_true(exists(s->to));
}

static int set_up(void **state)
{
    static scene s;

    memset(&s, 0, sizeof(s));
    scratch_make(s.path);
    (void)snprintf(s.from, sizeof(s.from), "%s/from", s.path);
    (void)snprintf(s.to, sizeof(s.to), "%s/to", s.path);
    (void)snprintf(s.aside, sizeof(s.aside), "%s/to.new", s.path);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;

    if (s->db != NULL) {
        assert_int_equal(cask_close(s->db, NULL), CASK_OK);
    }
    scratch_remove(s->path);
    return 0;
}

#define CONVERT_TEST(name)                                                     \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONVERT_TEST(test_a_hash_store_becomes_a_tree),
        CONVERT_TEST(test_a_tree_becomes_a_hash_store),
        CONVERT_TEST(test_it_is_as_of_one_moment),
        CONVERT_TEST(test_what_is_stopped_leaves_no_store),
        CONVERT_TEST(test_segments_are_as_the_settings_say),
        CONVERT_TEST(test_it_makes_a_new_store_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
