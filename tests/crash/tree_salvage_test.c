/*
 * Repair of a store of the tree engine: bytes flipped, files cut, lost,
 * exchanged and put in the place of others. What is whole is found, wherever it
 * is; of each key the newest of that is in the new store; what is lost is told;
 * the damaged store does not change.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crash/tree_place.h"
#include "db/db.h"
#include "log/segment_format.h"
#include "os/os_fault.h"

#define OUT "/out"

typedef struct told {
    uint64_t lost;
    uint64_t harmless;
    char file[64]; /* of the last that is not harmless */
    uint64_t offset;
    uint64_t size;
    char key[16]; /* "": not known */
    uint64_t keys;
} told;

static void on_lost(void *context, const cask_lost *lost)
{
    told *t = context;

    assert_true(strlen(lost->at.reason) > 0);
    t->lost++;
    t->harmless += lost->harmless ? 1 : 0;
    if (!lost->harmless) {
        (void)snprintf(t->file, sizeof(t->file), "%s", lost->at.file);
        t->offset = lost->at.offset;
        t->size = lost->at.size_bytes;
        (void)snprintf(t->key, sizeof(t->key), "%.*s", (int)lost->key.size,
                       lost->key.data != NULL ? (const char *)lost->key.data
                                              : "");
        t->keys += lost->key.data != NULL ? 1 : 0;
    }
}

static void check_unchanged(tree_place *p, const image *now)
{
    image expected = {.count = 0};
    image after;

    for (size_t i = 0; i < now->count; i++) {
        if (!now->files[i].missing) {
            expected.files[expected.count++] = now->files[i];
        }
    }
    image_capture(p->kernel, TREE_PATH, &after);
    assert_true(image_equal(&after, &expected));
    image_free(&after);
}

/* Repair the store, look at what came out, and remove that. */
static cask_status salvage(tree_place *p, const image *now, told *t,
                           tree_answers *ret_answers)
{
    const cask_repair_options repair = {.on_lost = on_lost, .context = t};
    cask_options options = tree_place_options();
    cask_repair_report report;
    cask_verify_report check;
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;
    cask_status status;
    image none = {.count = 0};

    *t = (told){.lost = 0};
    image_restore(p->kernel, TREE_PATH, now);
    status = db_repair_on(p->kernel, TREE_PATH, OUT, &repair, &report, &err);
    if (status != CASK_OK && status != CASK_CORRUPT) {
        fail_msg("repair: %s", err.message);
    }
    assert_int_equal(report.lost, t->lost);
    assert_int_equal(report.harmless, t->harmless);
    assert_int_equal(status == CASK_OK, t->lost == t->harmless);
    check_unchanged(p, now);

    assert_int_equal(db_verify_on(p->kernel, OUT, NULL, &check, NULL), CASK_OK);
    assert_int_equal(check.keys, report.keys);
    options.read_only = true;
    options.engine = CASK_ENGINE_TREE;
    assert_int_equal(db_open_on(p->kernel, OUT, &options, &db, NULL), CASK_OK);
    *ret_answers = tree_place_read(p, db);
    assert_int_equal(ret_answers->failed, 0);
    assert_int_equal(cask_close(db, NULL), CASK_OK);
    image_restore(p->kernel, OUT, &none);
    return status;
}

static void test_what_is_whole_is_saved_as_it_is(void **state)
{
    tree_place *p = *state;
    tree_answers answers;
    told t;

    assert_int_equal(salvage(p, &p->whole, &t, &answers), CASK_OK);
    assert_int_equal(t.lost, 0);
    assert_int_equal(answers.right, TREE_KEYS);
}

static bool is_named(const char *name, const char *suffix)
{
    return strstr(name, suffix) != NULL;
}

/* Without MANIFEST nobody knows when a run was taken in. */
static void check_without_manifest(const tree_place *p, const told *t,
                                   const tree_answers *answers)
{
    assert_string_equal(t->file, "MANIFEST");
    for (unsigned i = 0; i < TREE_KEYS; i++) {
        assert_true(answers->is_right[i] || p->is_taken_in[i]);
    }
}

/* A record was lost: it is of one key, or deletes a range. The key that is
 * named is that, or the range begins with it. */
static void check_loss(const tree_place *p, const told *t,
                       const tree_answers *answers)
{
    unsigned first = TREE_KEYS;

    for (unsigned i = 0; i < TREE_KEYS; i++) {
        if (!answers->is_right[i] && first == TREE_KEYS) {
            first = i;
            assert_true(t->keys == 0 || p->range[i] != 0 ||
                        strcmp(tree_key(i), t->key) == 0);
        } else if (!answers->is_right[i]) {
            assert_true(p->range[i] != 0 && p->range[i] == p->range[first]);
        }
    }
}

/* A byte is of one record, or of none. */
static void test_a_flipped_byte_costs_one_record_at_most(void **state)
{
    tree_place *p = *state;
    uint64_t losses = 0;
    uint64_t named = 0;
    uint64_t flushed = 0; /* of the log, what is in runs, too */
    image now;

    image_copy(&p->whole, &now);
    for (size_t f = 0; f < now.count; f++) {
        image_file *file = &now.files[f];
        unsigned stride = tree_place_stride(file);

        for (size_t at = stride - 1; at < file->size; at += stride) {
            tree_answers answers;
            told t;

            file->data[at] ^= (uint8_t)(1u << at % 8);
            if (salvage(p, &now, &t, &answers) == CASK_OK &&
                answers.right != TREE_KEYS) {
                fail_msg("%s, %zu: lost, and not told", file->name, at);
            }
            flushed += is_named(file->name, ".log") &&
                               at >= SEGMENT_HEADER_SIZE && t.harmless > 0
                           ? 1
                           : 0;
            if (strcmp(file->name, "MANIFEST") == 0) {
                if (answers.right < TREE_KEYS) {
                    check_without_manifest(p, &t, &answers);
                }
            } else if (answers.right < TREE_KEYS) {
                check_loss(p, &t, &answers);
                assert_string_equal(t.file, file->name);
                assert_true(t.offset <= at && at - t.offset < t.size);
                assert_true(t.size <= 80);
                losses++;
                named += t.keys;
            }
            file->data[at] ^= (uint8_t)(1u << at % 8);
        }
    }
    assert_true(losses > 0);
    assert_true(flushed > 0);
    assert_true(named > 0 && named < losses);
    image_free(&now);
}

static void test_what_stands_before_a_cut_is_saved(void **state)
{
    tree_place *p = *state;
    image now;

    image_copy(&p->whole, &now);
    for (size_t f = 0; f < now.count; f++) {
        image_file *file = &now.files[f];
        size_t size = file->size;
        unsigned before = 0;

        for (size_t cut = 0; cut < size; cut += 23) {
            tree_answers answers;
            told t;

            file->size = cut;
            if (salvage(p, &now, &t, &answers) == CASK_OK &&
                answers.right != TREE_KEYS) {
                fail_msg("%s, cut at %zu: lost, and not told", file->name, cut);
            }
            if (is_named(file->name, ".run")) {
                assert_true(answers.right + 2 >= before);
                before = answers.right;
            }
        }
        file->size = size;
    }
    image_free(&now);
}

static void test_a_lost_file_costs_what_was_in_it_alone(void **state)
{
    tree_place *p = *state;
    image now;

    image_copy(&p->whole, &now);
    for (size_t f = 0; f < now.count; f++) {
        image_file *file = &now.files[f];
        tree_answers answers;
        cask_status status;
        told t;

        file->missing = true;
        status = salvage(p, &now, &t, &answers);
        if (is_named(file->name, ".run") || is_named(file->name, ".log")) {
            assert_int_equal(status, CASK_CORRUPT);
            assert_string_equal(t.file, file->name);
            assert_true(answers.right > 0);
        } else if (strcmp(file->name, "MANIFEST") == 0) {
            assert_int_equal(status, CASK_CORRUPT);
            check_without_manifest(p, &t, &answers);
        } else {
            assert_int_equal(answers.right, TREE_KEYS);
        }
        file->missing = false;
    }
    image_free(&now);
}

/* A file is what its header says. */
static void test_exchanged_names_cost_nothing(void **state)
{
    tree_place *p = *state;
    image now;

    image_copy(&p->whole, &now);
    for (size_t a = 0; a < now.count; a++) {
        for (size_t b = a + 1; b < now.count; b++) {
            tree_answers answers;
            told t;
            bool are_data = strchr(now.files[a].name, '.') != NULL &&
                            strchr(now.files[b].name, '.') != NULL;

            if (!are_data) {
                continue;
            }
            image_swap(&now.files[a], &now.files[b]);
            (void)salvage(p, &now, &t, &answers);
            assert_int_equal(answers.right, TREE_KEYS);
            image_swap(&now.files[a], &now.files[b]);
        }
    }
    image_free(&now);
}

static void
test_a_file_in_the_place_of_another_is_as_if_that_was_lost(void **state)
{
    tree_place *p = *state;
    image now;

    image_copy(&p->whole, &now);
    for (size_t a = 0; a < now.count; a++) {
        for (size_t b = 0; b < now.count; b++) {
            tree_answers answers;
            told t;

            if (a == b) {
                continue;
            }
            image_set(&now.files[b], p->whole.files[a].data,
                      p->whole.files[a].size);
            if (salvage(p, &now, &t, &answers) == CASK_OK) {
                assert_int_equal(answers.right, TREE_KEYS);
            }
            image_set(&now.files[b], p->whole.files[b].data,
                      p->whole.files[b].size);
        }
    }
    image_free(&now);
}

static bool is_no_name(void *context, const char *name)
{
    /* Whoever could not lock it leaves it to others. */
    if (strcmp(name, "LOCK") != 0) {
        *(bool *)context = false;
    }
    return true;
}

/* Whichever call fails: all that there is, or nothing, and no file of it. */
static void test_every_fault_leaves_a_repair_or_nothing(void **state)
{
    static os_fault fault;
    tree_place *p = *state;
    const image none = {.count = 0};
    unsigned failures = 0;
    bool fired = true;

    os_fault_init(&fault, p->kernel);
    for (uint64_t n = 0; fired; n++) {
        const os_fault_plan plan = {.fail_at = n, .error = ENOSPC};
        cask_repair_report report;
        cask_status status;
        bool is_empty = true;
        os_file *dir;

        image_restore(p->kernel, OUT, &none);
        os_fault_arm(&fault, &plan);
        status = db_repair_on(&fault.base, TREE_PATH, OUT, NULL, &report, NULL);
        fired = os_fault_fired(&fault) > 0;
        os_fault_arm(&fault, &OS_FAULT_NOTHING);
        if (status == CASK_OK) {
            assert_int_equal(db_verify_on(p->kernel, OUT, NULL,
                                          &(cask_verify_report){0}, NULL),
                             CASK_OK);
            continue;
        }
        assert_true(fired);
        failures++;
        if (plan.fail_at % 2 == 0 && status != CASK_CORRUPT) {
            assert_int_equal(p->kernel->ops->open_dir(p->kernel, OUT, &dir), 0);
            assert_int_equal(p->kernel->ops->list(dir, is_no_name, &is_empty),
                             0);
            p->kernel->ops->close(dir);
            assert_true(is_empty);
        }
    }
    assert_true(failures > 20);
    image_restore(p->kernel, OUT, &none);
}

static void test_an_empty_store_becomes_one(void **state)
{
    tree_place *p = *state;
    cask_options options = tree_place_options();
    cask_repair_report report;
    cask_db *db = NULL;

    options.create_if_missing = true;
    assert_int_equal(db_open_on(p->kernel, "/empty", &options, &db, NULL),
                     CASK_OK);
    assert_int_equal(cask_close(db, NULL), CASK_OK);
    assert_int_equal(
        db_repair_on(p->kernel, "/empty", OUT, NULL, &report, NULL), CASK_OK);
    assert_int_equal(report.keys, 0);
    options.create_if_missing = false;
    assert_int_equal(db_open_on(p->kernel, OUT, &options, &db, NULL), CASK_OK);
    assert_int_equal(cask_put(db, cask_slice_of("a"), cask_slice_of("b"), NULL),
                     CASK_OK);
    assert_int_equal(cask_close(db, NULL), CASK_OK);
}

/* The new store goes on where the old one was. */
static void test_what_was_saved_is_a_store_like_any_other(void **state)
{
    tree_place *p = *state;
    cask_options options = tree_place_options();
    cask_repair_report report;
    tree_answers answers;
    cask_db *db = NULL;

    assert_int_equal(
        db_repair_on(p->kernel, TREE_PATH, OUT, NULL, &report, NULL), CASK_OK);
    assert_int_equal(db_open_on(p->kernel, OUT, &options, &db, NULL), CASK_OK);
    assert_int_equal(
        cask_put(db, cask_slice_of("new"), cask_slice_of("value"), NULL),
        CASK_OK);
    assert_int_equal(
        cask_merge(db, &(cask_merge_options){.all = true}, NULL, NULL),
        CASK_OK);
    assert_int_equal(cask_close(db, NULL), CASK_OK);
    assert_int_equal(db_open_on(p->kernel, OUT, &options, &db, NULL), CASK_OK);
    answers = tree_place_read(p, db);
    assert_int_equal(answers.right, TREE_KEYS);
    assert_int_equal(cask_close(db, NULL), CASK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, tree_place_set_up,                   \
                                    tree_place_tear_down)
        TEST(test_what_is_whole_is_saved_as_it_is),
        TEST(test_a_flipped_byte_costs_one_record_at_most),
        TEST(test_what_stands_before_a_cut_is_saved),
        TEST(test_a_lost_file_costs_what_was_in_it_alone),
        TEST(test_exchanged_names_cost_nothing),
        TEST(test_a_file_in_the_place_of_another_is_as_if_that_was_lost),
        TEST(test_every_fault_leaves_a_repair_or_nothing),
        TEST(test_an_empty_store_becomes_one),
        TEST(test_what_was_saved_is_a_store_like_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
