/*
 * Verify of a store of the tree engine: bytes flipped, every prefix of every
 * file, files lost, exchanged and put in the place of others. What it
 * does not find changes nothing; and whatever it is, an open that does not fail
 * answers with what was there, or with an error.
 */
#include <stdio.h>
#include <string.h>

#include "crash/tree_place.h"
#include "db/db.h"

typedef struct told {
    uint64_t problems;
    char file[64]; /* of the last */
    uint64_t offset;
    char reason[256];
} told;

static void on_problem(void *context, const cask_problem *problem)
{
    told *t = context;

    t->problems++;
    assert_true(strlen(problem->reason) > 0);
    (void)snprintf(t->file, sizeof(t->file), "%s", problem->file);
    (void)snprintf(t->reason, sizeof(t->reason), "%s", problem->reason);
    t->offset = problem->offset;
}

static cask_status verify(tree_place *p, told *t,
                          cask_verify_report *ret_report)
{
    const cask_verify_options options = {.on_problem = on_problem,
                                         .context = t};
    cask_error err = {CASK_OK, 0, ""};
    cask_status status;

    *t = (told){.problems = 0};
    *ret_report = (cask_verify_report){.files = 0};
    status = db_verify_on(p->kernel, TREE_PATH, &options, ret_report, &err);
    assert_int_equal(ret_report->problems, t->problems);
    assert_true(status == CASK_OK || strlen(err.message) > 0);
    return status;
}

/* Open it to be read, and ask. */
static cask_status ask(tree_place *p, cask_damage damage,
                       tree_answers *ret_answers)
{
    cask_options options = tree_place_options();
    cask_db *db = NULL;
    cask_status status;

    options.read_only = true;
    options.damage = damage;
    status = db_open_on(p->kernel, TREE_PATH, &options, &db, NULL);
    if (status == CASK_OK) {
        *ret_answers = tree_place_read(p, db);
        assert_int_equal(cask_close(db, NULL), CASK_OK);
    }
    return status;
}

/* What is in TREE_PATH now was damaged: it is found, or it does not matter.
 * What was found is opened in each third case. */
static bool check_damaged(tree_place *p, const char *what, size_t at)
{
    tree_answers answers;
    cask_verify_report report;
    told t;
    cask_status found = verify(p, &t, &report);
    cask_status status;

    if (found != CASK_OK && at % 3 != 0) {
        return true;
    }
    status = ask(p, CASK_DAMAGE_FAIL, &answers);
    if (found == CASK_OK && (status != CASK_OK || answers.right != TREE_KEYS)) {
        fail_msg("%s, %zu: not found, and it matters", what, at);
    }
    if (status == CASK_OK && (answers.older > 0 || answers.gone > 0)) {
        fail_msg("%s, %zu: wrong answers", what, at);
    }
    if (found != CASK_OK && status != CASK_OK) {
        (void)ask(p, CASK_DAMAGE_SERVE, &answers);
    }
    return found != CASK_OK;
}

static void test_what_is_whole_is_found_to_be_so(void **state)
{
    tree_place *p = *state;
    tree_answers answers;
    cask_verify_report report;
    unsigned live = 0;
    told t;

    assert_int_equal(verify(p, &t, &report), CASK_OK);
    assert_int_equal(ask(p, CASK_DAMAGE_FAIL, &answers), CASK_OK);
    assert_int_equal(answers.right, TREE_KEYS);
    for (unsigned i = 0; i < TREE_KEYS; i++) {
        live += p->values[i][0][0] != 0 ? 1 : 0;
    }
    assert_int_equal(report.keys, live);
    assert_int_equal(report.leftovers, 0);
    assert_true(report.readable);
    /* CASKADE, MANIFEST, three runs, two of values, one segment. */
    assert_int_equal(report.files, 8);
}

/* Bytes of records' padding and of none else may be anything; there are some.
 */
static void test_every_flipped_byte_is_found_or_harmless(void **state)
{
    tree_place *p = *state;
    size_t harmless = 0;
    size_t bytes = 0;
    image now;

    image_copy(&p->whole, &now);
    for (size_t f = 0; f < now.count; f++) {
        image_file *file = &now.files[f];
        unsigned stride = tree_place_stride(file);

        for (size_t at = 0; at < file->size; at += stride) {
            file->data[at] ^= (uint8_t)(1u << at % 8);
            image_restore(p->kernel, TREE_PATH, &now);
            harmless += check_damaged(p, file->name, at) ? 0 : 1;
            bytes++;
            file->data[at] ^= (uint8_t)(1u << at % 8);
        }
    }
    assert_true(harmless > 0);
    assert_true(harmless < bytes / 8);
    image_free(&now);
}

static void test_every_cut_is_found_or_harmless(void **state)
{
    tree_place *p = *state;
    size_t found = 0;
    image now;

    image_copy(&p->whole, &now);
    for (size_t f = 0; f < now.count; f++) {
        image_file *file = &now.files[f];
        unsigned stride = tree_place_stride(file);
        size_t size = file->size;

        /* A run is as long as its footer says: any other length is found. */
        for (size_t cut = 0; cut<size; cut += size> 1024 ? 7 : stride) {
            file->size = cut;
            image_restore(p->kernel, TREE_PATH, &now);
            found += check_damaged(p, file->name, cut) ? 1 : 0;
        }
        file->size = size;
    }
    assert_true(found > 0);
    image_free(&now);
}

static void test_every_lost_file_is_found(void **state)
{
    tree_place *p = *state;
    cask_verify_report report;
    image now;
    told t;

    image_copy(&p->whole, &now);
    for (size_t f = 0; f < now.count; f++) {
        now.files[f].missing = true;
        image_restore(p->kernel, TREE_PATH, &now);
        assert_true(check_damaged(p, now.files[f].name, 0));
        if (strstr(now.files[f].name, ".run") != NULL) {
            assert_int_equal(verify(p, &t, &report), CASK_CORRUPT);
            assert_string_equal(t.file, now.files[f].name);
            assert_non_null(strstr(t.reason, "is missing"));
        }
        now.files[f].missing = false;
    }
    image_free(&now);
}

static void test_every_exchange_is_found(void **state)
{
    tree_place *p = *state;
    image now;

    image_copy(&p->whole, &now);
    for (size_t a = 0; a < now.count; a++) {
        for (size_t b = a + 1; b < now.count; b++) {
            image_swap(&now.files[a], &now.files[b]);
            image_restore(p->kernel, TREE_PATH, &now);
            assert_true(check_damaged(p, now.files[a].name, b));
            image_swap(&now.files[a], &now.files[b]);
        }
    }
    image_free(&now);
}

static void test_every_file_in_the_place_of_another_is_found(void **state)
{
    tree_place *p = *state;
    image now;

    image_copy(&p->whole, &now);
    for (size_t a = 0; a < now.count; a++) {
        for (size_t b = 0; b < now.count; b++) {
            if (a != b) {
                image_set(&now.files[b], p->whole.files[a].data,
                          p->whole.files[a].size);
                image_restore(p->kernel, TREE_PATH, &now);
                assert_true(check_damaged(p, now.files[b].name, a));
                image_set(&now.files[b], p->whole.files[b].data,
                          p->whole.files[b].size);
            }
        }
    }
    image_free(&now);
}

/* A run that MANIFEST does not name any more is no damage. */
static void test_a_leftover_is_told_and_is_no_problem(void **state)
{
    tree_place *p = *state;
    cask_options options = tree_place_options();
    cask_verify_report report;
    tree_answers answers;
    cask_db *db = NULL;
    image now;
    told t;

    assert_int_equal(db_open_on(p->kernel, TREE_PATH, &options, &db, NULL),
                     CASK_OK);
    assert_int_equal(
        cask_merge(db, &(cask_merge_options){.all = true}, NULL, NULL),
        CASK_OK);
    assert_int_equal(cask_close(db, NULL), CASK_OK);
    image_capture(p->kernel, TREE_PATH, &now);
    for (size_t f = 0; f < p->whole.count; f++) {
        const image_file *file = &p->whole.files[f];

        if (strstr(file->name, ".run") != NULL) {
            image_file *more = &now.files[now.count++];

            assert_null(image_find(&now, file->name));
            *more = (image_file){.data = NULL};
            (void)snprintf(more->name, sizeof(more->name), "%s", file->name);
            image_set(more, file->data, file->size);
        }
    }
    image_restore(p->kernel, TREE_PATH, &now);
    assert_int_equal(verify(p, &t, &report), CASK_OK);
    assert_int_equal(report.leftovers, 5);
    assert_int_equal(ask(p, CASK_DAMAGE_FAIL, &answers), CASK_OK);
    assert_int_equal(answers.right, TREE_KEYS);
    image_free(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, tree_place_set_up,                   \
                                    tree_place_tear_down)
        TEST(test_what_is_whole_is_found_to_be_so),
        TEST(test_every_flipped_byte_is_found_or_harmless),
        TEST(test_every_cut_is_found_or_harmless),
        TEST(test_every_lost_file_is_found),
        TEST(test_every_exchange_is_found),
        TEST(test_every_file_in_the_place_of_another_is_found),
        TEST(test_a_leftover_is_told_and_is_no_problem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
