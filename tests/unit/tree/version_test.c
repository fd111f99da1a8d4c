/*
 * Versions of a tree's runs: what readers find, what files should be, and what
 * is removed. What deaths and failures leave is version_crash_test.c's.
 */
#include "cask_test.h"

#include <stdio.h>
#include <string.h>

#include "log/segment.h"
#include "store/store_recover.h"
#include "store/store_write.h"
#include "tree/version_work.h"
#include "unit/tree/version_place.h"

static void refuse_pin(place *p, const char *part)
{
    cask_error err = {CASK_OK, 0, ""};
    const version *v = NULL;

    assert_int_equal(version_pin(p->f.versions, &v, &err), CASK_CORRUPT);
    assert_int_equal(err.status, CASK_CORRUPT);
    assert_non_null(strstr(err.message, part));
}

/* The one run of the newest version cannot be opened: reads are told. */
static void expect_broken(place *p, const char *part)
{
    cask_error err = {CASK_OK, 0, ""};
    const version *v = pin(p);

    assert_int_equal(v->count, 0);
    assert_int_equal(v->broken_count, 1);
    assert_true(version_may_break(v, &v->broken[0], cask_slice_of("k001")));
    assert_int_equal(version_fail_broken(&v->broken[0], &err), CASK_CORRUPT);
    assert_int_equal(err.status, CASK_CORRUPT);
    assert_non_null(strstr(err.message, part));
    version_unpin(p->f.versions, v);
}

/* ---- Reading ---- */

static void test_new_tree_has_no_runs(void **state)
{
    const version *v = pin(*state);

    assert_true(v->number == 0);
    assert_true(v->flushed == 0);
    assert_int_equal(v->count, 0);
    assert_int_equal(v->group_count, 0);
    assert_int_equal(v->next_run, 1);
    version_unpin(((place *)*state)->f.versions, v);
}

static void test_newest_run_comes_first(void **state)
{
    place *p = *state;
    const version *v;

    (void)replace(p, (forest_run){0, 300, 1, 3, 1}, 0);
    (void)replace(p, (forest_run){0, 200, 2, 0, 4}, 0);
    (void)replace(p, (forest_run){0, 100, 3, 0, 5}, 0);
    (void)replace(p, (forest_run){300, 100, 1, 3, 1}, 0); /* another part */
    forest_expect(&p->f, (unsigned[]){3, 2, 1, 1, 0}, 5);
    v = pin(p);
    assert_int_equal(v->count, 4);
    assert_int_equal(v->group_count, 3);
    assert_int_equal(v->groups[0].parts->run, 5);
    assert_int_equal(v->groups[1].parts->run, 4);
    assert_int_equal(v->groups[2].parts->level, 3);
    assert_int_equal(v->groups[2].count, 2);
    assert_int_equal(v->next_run, 6);
    assert_true(v->number == 4);
    assert_true(v->number == atomic_load(&tree_of(p)->version));
    assert_true(v->flushed == atomic_load(&tree_of(p)->flushed));
    version_unpin(p->f.versions, v);
}

/* Each key of three parts, and those between and around them. */
static void test_one_part_is_found_for_a_key(void **state)
{
    place *p = *state;
    const version *v;

    for (unsigned i = 0; i < 3; i++) {
        (void)replace(p, (forest_run){10 + 20 * (2 - i), 10, 3 - i, 7, 1}, 0);
    }
    v = pin(p);
    assert_int_equal(v->group_count, 1);
    for (unsigned key = 0; key < 70; key++) {
        bool is_there = key >= 10 && key / 10 % 2 == 1 && key < 60;
        char text[8];
        const version_run *part;

        (void)snprintf(text, sizeof(text), "k%03u", key);
        part = version_find(v->groups, cask_slice_of(text));
        assert_int_equal(part != NULL, is_there);
        assert_int_equal(forest_get(v, key), is_there ? key / 20 + 1 : 0);
    }
    version_unpin(p->f.versions, v);
}

static void test_what_lies_before_the_begin_does_not_count(void **state)
{
    place *p = *state;
    uint64_t id = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    const version_begin begin = {id, cask_slice_of("k100")};
    const version_begin later = {id, cask_slice_of("k2000")};
    version_add again = {id, 3, 9, cask_slice_of("k2000"), 0};

    apply(p, &(version_edit){.begins = &begin, .begin_count = 1});
    forest_expect(&p->f, (unsigned[]){0, 1, 1, 0}, 4);
    apply(p, &(version_edit){.begins = &later, .begin_count = 1});
    forest_expect(&p->f, (unsigned[]){0, 0, 0, 0}, 4);
    again.begin = cask_slice_of("k150");
    apply(p,
          &(version_edit){
              .drops = &id, .drop_count = 1, .adds = &again, .add_count = 1});
    forest_expect(&p->f, (unsigned[]){0, 0, 1, 0}, 4);
    assert_true(forest_has(&p->f, id));
}

static void test_pinned_version_stays_as_it_is(void **state)
{
    place *p = *state;
    uint64_t first = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    const version *before = pin(p);
    const version *again = pin(p);
    uint64_t second = replace(p, (forest_run){0, 100, 2, 0, 2}, first);

    assert_false(forest_has(&p->f, first));
    assert_true(forest_has(&p->f, second));
    forest_expect(&p->f, (unsigned[]){2, 0, 0}, 3);
    assert_ptr_equal(before, again);
    assert_int_equal(forest_get(before, 0), 1);
    assert_int_equal(forest_get(before, 200), 1);
    assert_int_equal(p->f.versions->opened_count, 2);
    version_unpin(p->f.versions, before);
    assert_int_equal(forest_get(again, 200), 1);
    assert_int_equal(p->f.versions->opened_count, 2);
    version_unpin(p->f.versions, again);
    assert_int_equal(p->f.versions->opened_count, 1);
    forest_expect(&p->f, (unsigned[]){2, 0, 0}, 3);
}

static void test_runs_are_opened_once(void **state)
{
    place *p = *state;
    const version *made[20];
    const cask_run *file = NULL;

    (void)replace(p, (forest_run){0, 100, 1, 5, 1}, 0);
    for (unsigned i = 0; i < 20; i++) {
        (void)replace(p, (forest_run){0, 10, i + 2, 0, i + 2}, 0);
        made[i] = pin(p);
        if (i == 0) {
            file = made[i]->runs[1].file;
        }
        assert_ptr_equal(made[i]->runs[i + 1].file, file);
    }
    assert_int_equal(p->f.versions->opened_count, 21);
    for (unsigned i = 0; i < 20; i++) {
        version_unpin(p->f.versions, made[i]);
    }
    assert_int_equal(p->f.versions->opened_count, 21);
}

/* Of a handle that does not read any more: the space of files that went comes
 * back. */
static void test_who_does_not_read_lets_go(void **state)
{
    place *p = *state;
    uint64_t first = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);

    forest_expect(&p->f, (unsigned[]){1}, 1);
    versions_let_go(p->f.versions);
    assert_int_equal(p->f.versions->opened_count, 1); /* it is the newest */
    (void)replace(p, (forest_run){0, 300, 2, 0, 2}, first);
    assert_int_equal(p->f.versions->opened_count, 1);
    versions_let_go(p->f.versions);
    assert_int_equal(p->f.versions->opened_count, 0);
    forest_expect(&p->f, (unsigned[]){2}, 1);
}

static void test_two_handles_see_the_same(void **state)
{
    place *p = *state;
    cask_error err = {CASK_OK, 0, ""};
    uint64_t first = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    forest other;

    require(forest_open(&other, &p->fault.base, PATH, false, &err), &err);
    forest_expect(&other, (unsigned[]){1, 1}, 2);
    (void)replace(p, (forest_run){0, 100, 2, 0, 2}, first);
    forest_expect(&other, (unsigned[]){2, 0}, 2);
    forest_close(&other);
}

/* ---- Files that vanish, or are not what they should be ---- */

/* A disk on which, when the run `name` is opened, an edit comes first. */
typedef struct hurry {
    const os_ops *usual;
    os_ops ops;
    place *p;
    uint64_t drop;
} hurry;

static hurry hurried;

static int open_too_late(os_file *dir, const char *name, uint32_t flags,
                         uint32_t mode, os_file **ret_file)
{
    uint64_t id;

    if (hurried.drop != 0 && run_name_parse(name, &id) && id == hurried.drop) {
        hurried.drop = 0;
        (void)replace(hurried.p, (forest_run){0, 100, 7, 0, 7}, id);
    }
    return hurried.usual->open(dir, name, flags, mode, ret_file);
}

static void
test_who_comes_too_late_for_a_run_finds_the_next_version(void **state)
{
    place *p = *state;
    cask_error err = {CASK_OK, 0, ""};
    forest other;

    hurried = (hurry){.usual = p->fault.base.ops, .p = p};
    hurried.ops = *hurried.usual;
    hurried.ops.open = open_too_late;
    require(forest_open(&other, &p->fault.base, PATH, false, &err), &err);
    hurried.drop = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    p->fault.base.ops = &hurried.ops;
    forest_expect(&other, (unsigned[]){7, 0}, 2);
    p->fault.base.ops = hurried.usual;
    assert_true(hurried.drop == 0);
    forest_close(&other);
}

static void remove_run(place *p, uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];

    run_name_format(id, name);
    assert_int_equal(dir_of(p)->os->ops->remove(dir_of(p), name), 0);
}

static void test_missing_run_is_damage(void **state)
{
    place *p = *state;
    uint64_t id = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    cask_error err = {CASK_OK, 0, ""};
    char message[96];

    remove_run(p, id);
    (void)snprintf(message, sizeof(message),
                   "%016llx.run: there is no such file, but MANIFEST lists it",
                   (unsigned long long)id);
    expect_broken(p, message);
    expect_broken(p, message);
    /* Nor does an open go by it. */
    forest_close(&p->f);
    assert_int_equal(forest_open(&p->f, &p->fault.base, PATH, true, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, "is missing, but MANIFEST lists it"));
    p->f.db = NULL;
}

static void test_run_that_was_exchanged_is_damage(void **state)
{
    place *p = *state;
    uint64_t first = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    version_add second = write_run(p, (forest_run){0, 300, 2, 0, 2});
    char from[SEGMENT_NAME_SIZE];
    char to[SEGMENT_NAME_SIZE];

    run_name_format(first, to);
    run_name_format(second.id, from);
    assert_int_equal(dir_of(p)->os->ops->rename(dir_of(p), from, to), 0);
    expect_broken(p, "belongs to another");
}

static void test_cut_run_is_damage_at_the_next_open(void **state)
{
    place *p = *state;
    uint64_t id = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    char name[SEGMENT_NAME_SIZE];
    cask_error err = {CASK_OK, 0, ""};
    os_file *file;

    run_name_format(id, name);
    assert_int_equal(
        dir_of(p)->os->ops->open(dir_of(p), name, OS_READ | OS_WRITE, 0, &file),
        0);
    assert_int_equal(dir_of(p)->os->ops->truncate(file, 4096), 0);
    dir_of(p)->os->ops->close(file);
    forest_close(&p->f);
    assert_int_equal(forest_open(&p->f, &p->fault.base, PATH, true, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, "has 4096 bytes, MANIFEST says "));
    p->f.db = NULL;
}

static void test_parts_of_a_run_that_overlap_are_damage(void **state)
{
    place *p = *state;

    (void)replace(p, (forest_run){0, 300, 1, 4, 1}, 0);
    (void)replace(p, (forest_run){299, 300, 1, 4, 1}, 0);
    refuse_pin(p, "are parts of one, and overlap");
}

/* ---- Edits that are refused ---- */

static void refuse(place *p, const version_edit *edit, cask_status status,
                   const char *part)
{
    uint64_t number = atomic_load(&tree_of(p)->version);
    cask_error err = {CASK_OK, 0, ""};

    assert_int_equal(version_apply(p->f.versions, edit, NULL, &err), status);
    assert_non_null(strstr(err.message, part));
    assert_true(atomic_load(&tree_of(p)->version) == number);
    forest_expect(&p->f, (unsigned[]){1}, 1);
}

static void test_contradicting_edit_changes_nothing(void **state)
{
    place *p = *state;
    uint64_t id = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    const uint64_t unknown = 4711;
    const version_add same = {.id = id};
    const version_add nowhere = {.id = 4711};
    const version_begin begin = {4711, cask_slice_of("k")};

    refuse(p, &(version_edit){.drops = &unknown, .drop_count = 1}, CASK_INVALID,
           "names run 0000000000001267, which is not in it");
    refuse(p, &(version_edit){.adds = &same, .add_count = 1}, CASK_INVALID,
           "which is in it");
    refuse(p, &(version_edit){.adds = &nowhere, .add_count = 1}, CASK_NOT_FOUND,
           "0000000000001267.run");
    refuse(p, &(version_edit){.begins = &begin, .begin_count = 1}, CASK_INVALID,
           "names run 0000000000001267, which is not in it");
    refuse(p, &(version_edit){.flushed = 5}, CASK_INVALID,
           "takes the tree back");
    refuse(p, &(version_edit){.flushed = UINT64_C(1) << 33}, CASK_INVALID,
           "the log ends before 4294967296");
    forest_close(&p->f);
    open_forest(p);
    forest_expect(&p->f, (unsigned[]){1}, 1);
}

/* ---- What was left ---- */

static void test_files_that_manifest_does_not_name_are_removed(void **state)
{
    place *p = *state;
    uint64_t id = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    version_add left = write_run(p, (forest_run){0, 300, 2, 0, 2});
    os_file *file;

    assert_int_equal(
        dir_of(p)->os->ops->open(dir_of(p), "0000000000000003.run.new",
                                 OS_WRITE | OS_CREATE | OS_EXCL, 0600, &file),
        0);
    dir_of(p)->os->ops->close(file);
    assert_true(forest_has(&p->f, left.id));
    settle(p);
    assert_false(forest_has(&p->f, left.id));
    assert_true(forest_has(&p->f, id));
    assert_int_equal(forest_names(&p->f, ".new"), 0);
    assert_int_equal(atomic_load(&tree_of(p)->settled), 1);
    forest_expect(&p->f, (unsigned[]){1}, 1);
}

/* Of another store, of no store, of no form, a directory: not ours. */
static void test_other_files_stay(void **state)
{
    static const char *const names[] = {"0000000000000004.run",
                                        "000000000000000g.run", "1.run",
                                        "0000000000000005.RUN", "x.run.new"};
    place *p = *state;
    const os_ops *ops = p->fault.base.ops;
    version_add add = write_run(p, (forest_run){0, 10, 2, 0, 2});
    char from[SEGMENT_NAME_SIZE];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        os_file *file;

        assert_int_equal(ops->open(dir_of(p), names[i],
                                   OS_WRITE | OS_CREATE | OS_EXCL, 0600, &file),
                         0);
        ops->close(file);
    }
    /* A run of this store under another id's name was put there by somebody. */
    run_name_format(add.id, from);
    assert_int_equal(ops->rename(dir_of(p), from, "0000000000000007.run"), 0);
    assert_int_equal(
        ops->make_dir(&p->fault.base, PATH "/0000000000000006.run", 0700), 0);
    settle(p);
    assert_int_equal(forest_names(&p->f, ".run"), 5);
    assert_int_equal(forest_names(&p->f, ".RUN"), 1);
    assert_int_equal(forest_names(&p->f, ".new"), 1);
}

static void test_nothing_is_removed_while_files_are_kept(void **state)
{
    place *p = *state;
    const os_ops *ops = p->fault.base.ops;
    uint64_t first = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    version_add left = write_run(p, (forest_run){0, 300, 2, 0, 2});
    os_file *keeper;

    assert_int_equal(ops->open(dir_of(p), "LOCK", OS_READ, 0, &keeper), 0);
    assert_int_equal(ops->lock(keeper, LOCK_KEEP, 1, OS_SHARED), 0);
    settle(p);
    assert_true(forest_has(&p->f, left.id));
    assert_int_equal(atomic_load(&tree_of(p)->settled), 0);
    (void)replace(p, (forest_run){0, 300, 3, 0, 3}, first);
    assert_true(forest_has(&p->f, first));
    ops->close(keeper);
    settle(p);
    assert_false(forest_has(&p->f, left.id));
    assert_false(forest_has(&p->f, first));
    forest_expect(&p->f, (unsigned[]){3}, 1);
}

/* Recovery: only when all that MANIFEST lists is there. */
static void test_run_that_manifest_cannot_know_stops_recovery(void **state)
{
    place *p = *state;
    version_add left = write_run(p, (forest_run){0, 300, 1, 0, 1});
    manifest_state manifest;
    cask_error err = {CASK_OK, 0, ""};
    bool all = true;

    assert_int_equal(
        manifest_load(dir_of(p), p->f.store->identity.uuid, &manifest, NULL),
        CASK_OK);
    manifest.next_id = left.id; /* as an older one has it */
    assert_int_equal(store_sweep_runs(p->f.store, &manifest, false, &all, &err),
                     CASK_CORRUPT);
    assert_non_null(strstr(err.message, "restore MANIFEST"));
    assert_false(all);
    assert_true(forest_has(&p->f, left.id));
    manifest.next_id = left.id + 1;
    assert_int_equal(store_sweep_runs(p->f.store, &manifest, false, &all, &err),
                     CASK_OK);
    assert_true(all);
    assert_false(forest_has(&p->f, left.id));
    manifest_free(&manifest);
}

static void test_recovery_knows_the_version(void **state)
{
    place *p = *state;
    uint64_t flushed;

    (void)replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    (void)replace(p, (forest_run){0, 100, 2, 0, 2}, 0);
    flushed = atomic_load(&tree_of(p)->flushed);
    assert_true(flushed == 2100);
    forest_close(&p->f);
    open_forest(p);
    assert_true(atomic_load(&tree_of(p)->version) == 2);
    assert_true(atomic_load(&tree_of(p)->flushed) == flushed);
    assert_true(atomic_load(&p->f.store->region.header->next_sequence) >
                flushed);
    forest_expect(&p->f, (unsigned[]){2, 1}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_tree_has_no_runs),
        TEST(test_newest_run_comes_first),
        TEST(test_one_part_is_found_for_a_key),
        TEST(test_what_lies_before_the_begin_does_not_count),
        TEST(test_pinned_version_stays_as_it_is),
        TEST(test_runs_are_opened_once),
        TEST(test_who_does_not_read_lets_go),
        TEST(test_two_handles_see_the_same),
        TEST(test_who_comes_too_late_for_a_run_finds_the_next_version),
        TEST(test_missing_run_is_damage),
        TEST(test_run_that_was_exchanged_is_damage),
        TEST(test_cut_run_is_damage_at_the_next_open),
        TEST(test_parts_of_a_run_that_overlap_are_damage),
        TEST(test_contradicting_edit_changes_nothing),
        TEST(test_files_that_manifest_does_not_name_are_removed),
        TEST(test_other_files_stay),
        TEST(test_nothing_is_removed_while_files_are_kept),
        TEST(test_run_that_manifest_cannot_know_stops_recovery),
        TEST(test_recovery_knows_the_version),
    };

    return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}
