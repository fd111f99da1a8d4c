/*
 * Making the store, and asking it.
 */
#include "crash/tree_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/segment_format.h"
#include "tree/tree_flush.h"
#include "unit/tree/offline.h"

#define NOW_MS UINT64_C(1700000000000)

const char *tree_key(unsigned i)
{
    static char key[16];

    (void)snprintf(key, sizeof(key), "key %02u", i % 100);
    return key;
}

cask_options tree_place_options(void)
{
    cask_options options;

    cask_options_init(&options);
    options.engine = CASK_ENGINE_TREE;
    options.memtable_bytes = 64 << 10;
    options.auto_merge = false;
    return options;
}

static void note(tree_place *p, unsigned i, const char *value)
{
    for (unsigned at = TREE_VERSIONS - 1; at > 0; at--) {
        memcpy(p->values[i][at], p->values[i][at - 1], TREE_VALUE);
    }
    (void)snprintf(p->values[i][0], TREE_VALUE, "%s", value);
    p->range[i] = 0;
    p->is_taken_in[i] = false;
    p->versions[i]++;
    assert_true(p->versions[i] <= TREE_VERSIONS);
}

/* In runs half of them are apart. */
static void put(tree_place *p, unsigned i, const char *what)
{
    char value[TREE_VALUE];

    (void)snprintf(value, sizeof(value), "%s of %u%s", what, i % 100,
                   i % 4 == 0 ? "" : ", which is long enough");
    note(p, i, value);
    assert_int_equal(
        cask_put(p->db, cask_slice_of(tree_key(i)), cask_slice_of(value), NULL),
        CASK_OK);
}

static void delete (tree_place *p, unsigned i)
{
    note(p, i, "");
    assert_int_equal(cask_delete(p->db, cask_slice_of(tree_key(i)), NULL, NULL),
                     CASK_OK);
}

/* Keys from .. to - 1. */
static void note_range(tree_place *p, unsigned from, unsigned to)
{
    p->ranges++;
    for (unsigned i = from; i < to; i++) {
        note(p, i, "");
        p->range[i] = p->ranges;
    }
}

static void delete_range(tree_place *p, unsigned from, unsigned to)
{
    char first[16];

    note_range(p, from, to);
    (void)snprintf(first, sizeof(first), "%s", tree_key(from));
    assert_int_equal(cask_delete_range(p->db, cask_slice_of(first),
                                       cask_slice_of(tree_key(to)), NULL),
                     CASK_OK);
}

static void flush(tree_place *p)
{
    cask_error err = {CASK_OK, 0, ""};

    if (tree_flush(p->db->store, true, &err) != CASK_OK) {
        fail_msg("flush: %s", err.message);
    }
}

/* Of a run that is taken in: two puts, a delete and a deleted range. */
static void ingest(tree_place *p)
{
    const cask_run_entry entries[] = {
        offline_put("key 06", "taken in of 6", 0),
        offline_put("key 11", "taken in of 11", 0), offline_delete("key 14", 0),
        offline_range("key 18", "key 20", 0)};

    offline_build(p->kernel, "x", entries, 4);
    (void)offline_take(p->db, "x");
    note(p, 6, "taken in of 6");
    note(p, 11, "taken in of 11");
    note(p, 14, "");
    note_range(p, 18, 20);
    p->is_taken_in[6] = p->is_taken_in[11] = p->is_taken_in[14] = true;
    p->is_taken_in[18] = p->is_taken_in[19] = true;
}

/* Key i is in the run below if i % 2 == 0, in the one above if i % 3 == 0, in
 * the log if i % 4 == 0; each has deleted some. In between a run is taken in.
 */
static void fill(tree_place *p)
{
    const cask_config_change apart = {"value_separation_bytes", "32"};
    cask_snapshot *snapshot = NULL;

    assert_int_equal(cask_config_set(p->db, &apart, 1, NULL), CASK_OK);
    for (unsigned i = 0; i < TREE_KEYS; i += 2) {
        put(p, i, "below");
    }
    assert_int_equal(
        cask_merge(p->db, &(cask_merge_options){.all = true}, NULL, NULL),
        CASK_OK);
    for (unsigned i = 0; i < TREE_KEYS; i += 3) {
        put(p, i, "seen");
    }
    assert_int_equal(cask_snapshot_create(p->db, &snapshot, NULL), CASK_OK);
    for (unsigned i = 0; i < TREE_KEYS; i += 3) {
        if (i % 5 == 0) {
            delete (p, i);
        } else {
            put(p, i, "above");
        }
    }
    delete_range(p, 21, 23);
    flush(p);
    cask_snapshot_free(snapshot);
    ingest(p);
    for (unsigned i = 0; i < TREE_KEYS; i += 4) {
        if (i % 3 == 1) {
            delete (p, i);
        } else {
            put(p, i, "log");
        }
    }
    delete_range(p, 1, 4);
}

/* Nothing that is read depends on them. */
static void drop_settings(image *all)
{
    image_file *file = image_find(all, "CONFIG");

    assert_non_null(file);
    free(file->data);
    *file = all->files[--all->count];
}

int tree_place_set_up(void **state)
{
    static tree_place place;
    const os_sim_options sim = {.seed = 1, .max_file_bytes = (size_t)1 << 30};
    cask_options options = tree_place_options();
    tree_place *p = &place;
    cask_error err = {CASK_OK, 0, ""};

    memset(p, 0, sizeof(*p));
    assert_int_equal(os_sim_create(&sim, &p->sim), 0);
    p->kernel = os_sim_os(p->sim);
    os_sim_set_wall_ms(p->sim, NOW_MS);
    options.create_if_missing = true;
    if (db_open_on(p->kernel, TREE_PATH, &options, &p->db, &err) != CASK_OK) {
        fail_msg("open: %s", err.message);
    }
    fill(p);
    assert_int_equal(cask_close(p->db, NULL), CASK_OK);
    p->db = NULL;
    image_capture(p->kernel, TREE_PATH, &p->whole);
    drop_settings(&p->whole);
    image_restore(p->kernel, TREE_PATH, &p->whole);
    *state = p;
    return 0;
}

int tree_place_tear_down(void **state)
{
    tree_place *p = *state;

    image_free(&p->whole);
    os_sim_free(p->sim);
    return 0;
}

bool tree_place_is_values(const image_file *file)
{
    segment_header header;

    return strstr(file->name, ".run") != NULL &&
           segment_header_decode(file->data, file->name, &header, NULL) ==
               CASK_OK &&
           header.kind == SEGMENT_VALUES;
}

unsigned tree_place_stride(const image_file *file)
{
    return tree_place_is_values(file) ? 1 : 2;
}

/* ---- Reading ------------------------------------------------------------- */

/* Whether the key had that value once; "": none. */
static bool was_once(const tree_place *p, unsigned i, const char *value)
{
    for (unsigned at = 1; at < p->versions[i]; at++) {
        if (strcmp(p->values[i][at], value) == 0) {
            return true;
        }
    }
    return false;
}

static void judge(const tree_place *p, unsigned i, const char *value,
                  tree_answers *answers)
{
    if (strcmp(p->values[i][0], value) == 0) {
        answers->right++;
        answers->is_right[i] = true;
    } else if (value[0] == 0) {
        answers->gone++;
    } else {
        answers->older++;
        assert_true(was_once(p, i, value));
    }
}

tree_answers tree_place_read(const tree_place *p, cask_db *db)
{
    tree_answers answers = {.right = 0};
    cask_buffer found = {NULL, 0, 0};

    for (unsigned i = 0; i < TREE_KEYS; i++) {
        char value[TREE_VALUE] = "";
        cask_status status =
            cask_get(db, cask_slice_of(tree_key(i)), &found, NULL);

        if (status != CASK_OK && status != CASK_NOT_FOUND) {
            answers.failed++;
            continue;
        }
        if (status == CASK_OK) {
            assert_true(found.size > 0 && found.size < sizeof(value));
            memcpy(value, found.data, found.size);
        }
        judge(p, i, value, &answers);
    }
    cask_buffer_free(&found);
    return answers;
}
