/*
 * What an edit of a tree's runs leaves behind: its writer dies between two
 * steps, any call fails, the power fails at any moment.
 */
#include "cask_test.h"

#include <errno.h>
#include <string.h>

#include "log/segment.h"
#include "store/store_write.h"
#include "tree/version_work.h"
#include "unit/tree/version_place.h"

/* ---- Deaths between two steps ---- */

/* Write a version and die before anybody was told. */
static void die_after_append(place *p, const manifest_change *change)
{
    region_header *header = p->f.store->region.header;
    uint64_t tail = header->manifest_tail;
    uint64_t number = 0;

    header->manifest_tail = 0;
    atomic_store(&tree_of(p)->settled, 0);
    assert_int_equal(
        manifest_append_runs(dir_of(p), &tail, &number, change, NULL), CASK_OK);
}

static manifest_change drop_of(const uint64_t *id, uint64_t number)
{
    return (manifest_change){
        .drops = id, .drop_count = 1, .version = number, .flushed = 1300};
}

static void test_version_of_a_dead_writer_is_brought_to_its_end(void **state)
{
    place *p = *state;
    uint64_t id = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    manifest_change change = drop_of(&id, 2);

    die_after_append(p, &change);
    assert_true(atomic_load(&tree_of(p)->version) == 1);
    assert_true(forest_has(&p->f, id));
    settle(p);
    assert_true(atomic_load(&tree_of(p)->version) == 2);
    assert_false(forest_has(&p->f, id));
    forest_expect(&p->f, (unsigned[]){0}, 1);
    (void)replace(p, (forest_run){0, 300, 2, 0, 2}, 0);
    forest_expect(&p->f, (unsigned[]){2}, 1);
}

/* A segment is opened by somebody else before the next merger comes. */
static void test_edits_after_a_dead_writers_version_keep_it(void **state)
{
    place *p = *state;
    uint64_t id = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    manifest_change change = drop_of(&id, 2);
    manifest_edit next = {.type = MANIFEST_NEXT,
                          .next = {UINT64_C(1) << 40, UINT64_C(1) << 40}};
    manifest_state manifest;

    die_after_append(p, &change);
    assert_int_equal(store_maintain_begin(p->f.store, NULL), CASK_OK);
    assert_int_equal(store_edit(p->f.store, &next, NULL), CASK_OK);
    store_maintain_end(p->f.store);
    assert_int_equal(
        manifest_load(dir_of(p), p->f.store->identity.uuid, &manifest, NULL),
        CASK_OK);
    assert_true(manifest.version == 2);
    assert_int_equal(manifest.run_count, 0);
    assert_true(manifest.next_id == UINT64_C(1) << 40);
    manifest_free(&manifest);
    settle(p);
    assert_true(atomic_load(&tree_of(p)->version) == 2);
}

/* Nor may an edit be applied to a version that was not settled. */
static void test_edit_of_an_unsettled_tree_is_refused(void **state)
{
    place *p = *state;
    uint64_t id = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
    manifest_change change = drop_of(&id, 2);
    cask_error err = {CASK_OK, 0, ""};

    die_after_append(p, &change);
    assert_int_equal(version_apply(p->f.versions,
                                   &(version_edit){.flushed = 2000}, NULL,
                                   &err),
                     CASK_INVALID);
    assert_non_null(strstr(err.message, "settle it first"));
}

/* Killed in the middle of the write: any number of its bytes is there. */
static void test_part_of_a_version_is_cleared_away(void **state)
{
    place *p = *state;

    for (uint64_t cut = 1; cut < 2 * MANIFEST_EDIT_SIZE; cut += 13) {
        uint64_t id = replace(p, (forest_run){0, 300, 1, 0, 1}, 0);
        uint64_t number = atomic_load(&tree_of(p)->version);
        manifest_change change = drop_of(&id, number + 1);
        uint64_t before = p->f.store->region.header->manifest_tail;
        os_file *file;

        die_after_append(p, &change);
        assert_int_equal(dir_of(p)->os->ops->open(dir_of(p), MANIFEST_NAME,
                                                  OS_READ | OS_WRITE, 0, &file),
                         0);
        assert_int_equal(dir_of(p)->os->ops->truncate(file, before + cut), 0);
        dir_of(p)->os->ops->close(file);
        settle(p);
        assert_true(atomic_load(&tree_of(p)->version) == number);
        assert_true(forest_has(&p->f, id));
        forest_expect(&p->f, (unsigned[]){1}, 1);
        apply(p, &(version_edit){.drops = &id, .drop_count = 1});
        assert_false(forest_has(&p->f, id));
    }
}

/* ---- Failing calls and failing power ---- */

/*
 * One run takes the place of another. Afterwards the tree is as before, or as
 * it was to be; `id`: of the one before, then of the one that is there.
 */
static cask_status step(place *p, uint64_t *id, unsigned tag)
{
    const forest_run what = {0, 200, tag, 0, tag};
    uint64_t fresh = 0;
    cask_status status = version_settle(p->f.store, NULL);

    if (status == CASK_OK) {
        status = forest_replace(&p->f, &what, *id, &fresh, NULL);
    }
    if (status == CASK_OK) {
        *id = fresh;
    }
    return status;
}

/* The tree is whole: one run, and no file besides. Its tag. */
static unsigned check_whole(place *p, uint64_t *ret_id)
{
    const version *v;
    unsigned tag;

    settle(p);
    v = pin(p);
    assert_int_equal(v->count, 1);
    *ret_id = v->runs[0].id;
    tag = forest_get(v, 0);
    for (unsigned key = 0; key < 200; key++) {
        assert_int_equal(forest_get(v, key), tag);
    }
    version_unpin(p->f.versions, v);
    assert_true(forest_has(&p->f, *ret_id));
    assert_int_equal(forest_names(&p->f, ".run"), 1);
    assert_int_equal(forest_names(&p->f, ".new"), 0);
    assert_int_equal(p->f.versions->opened_count, 1);
    return tag;
}

static void sweep_faults(place *p, os_call only, int error)
{
    uint64_t id = replace(p, (forest_run){0, 200, 1, 0, 1}, 0);
    unsigned tag = 1;

    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = OS_FAULT_NOTHING;
        cask_status status;
        uint64_t fired;
        unsigned found;

        plan.only = only;
        plan.fail_at = n;
        plan.error = error;
        plan.short_write = n % 2 == 1;
        os_fault_arm(&p->fault, &plan);
        status = step(p, &id, tag + 1);
        fired = os_fault_fired(&p->fault);
        os_fault_arm(&p->fault, &OS_FAULT_NOTHING);
        if (atomic_load(&p->f.store->region.header->poisoned) != 0) {
            assert_true(status != CASK_OK);
            forest_close(&p->f);
            open_forest(p);
        }
        found = check_whole(p, &id);
        assert_true(found == tag || found == tag + 1);
        assert_true(status != CASK_OK || found == tag + 1);
        tag = found;
        if (fired == 0) {
            assert_int_equal(status, CASK_OK);
            assert_true(only != OS_CALL_ANY || n > 20);
            return;
        }
    }
}

static void test_any_call_that_fails_leaves_old_or_new(void **state)
{
    sweep_faults(*state, OS_CALL_ANY, EIO);
}

static void test_full_disk_leaves_old_or_new(void **state)
{
    sweep_faults(*state, OS_CALL_WRITE_AT, ENOSPC);
}

/* How long the work is that the power fails in, in operations of the disk. */
static bool cut_at(uint64_t operation, uint64_t seed)
{
    place p = {0};
    uint64_t id;
    uint64_t found;
    unsigned tag = 1;
    bool was_cut;
    cask_status status = CASK_OK;

    make_disk(&p, seed);
    open_forest(&p);
    id = replace(&p, (forest_run){0, 200, 1, 0, 1}, 0);
    os_sim_cut_at(p.sim, os_sim_operations(p.sim) + operation);
    while (tag < 4 && status == CASK_OK) {
        status = step(&p, &id, tag + 1);
        tag += status == CASK_OK;
    }
    was_cut = os_sim_is_cut(p.sim);
    assert_true(was_cut || tag == 4);
    forest_close(&p.f);
    assert_int_equal(os_sim_crash(p.sim, seed), 0);
    open_forest(&p);
    found = check_whole(&p, &id);
    assert_true(found == tag || (was_cut && found == tag + 1));
    forest_close(&p.f);
    os_sim_free(p.sim);
    return was_cut;
}

static void test_power_that_fails_leaves_old_or_new(void **state)
{
    uint64_t operation = 0;

    (void)state;
    for (bool was_cut = true; was_cut; operation++) {
        was_cut = false;
        for (uint64_t seed = 1; seed <= 4; seed++) {
            was_cut |= cut_at(operation, seed);
        }
    }
    assert_true(operation > 20);
}

/* It does not grow for ever while the store is open. */
static void test_manifest_is_written_anew_when_it_is_long(void **state)
{
    place *p = *state;
    uint64_t longest = 0;

    (void)replace(p, (forest_run){0, 200, 1, 0, 1}, 0);
    for (unsigned i = 0; i < 1500; i++) {
        uint64_t tail;

        apply(p, &(version_edit){.flushed = 2000 + i});
        tail = p->f.store->region.header->manifest_tail;
        longest = tail > longest ? tail : longest;
    }
    assert_true(longest < 1200 * MANIFEST_EDIT_SIZE);
    assert_true(atomic_load(&tree_of(p)->version) == 1501);
    forest_expect(&p->f, (unsigned[]){1}, 1);
    forest_close(&p->f);
    open_forest(p);
    assert_true(atomic_load(&tree_of(p)->version) == 1501);
    assert_true(atomic_load(&tree_of(p)->flushed) == 3499);
    forest_expect(&p->f, (unsigned[]){1}, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_version_of_a_dead_writer_is_brought_to_its_end),
        TEST(test_edits_after_a_dead_writers_version_keep_it),
        TEST(test_edit_of_an_unsettled_tree_is_refused),
        TEST(test_part_of_a_version_is_cleared_away),
        TEST(test_any_call_that_fails_leaves_old_or_new),
        TEST(test_full_disk_leaves_old_or_new),
        cmocka_unit_test(test_power_that_fails_leaves_old_or_new),
        TEST(test_manifest_is_written_anew_when_it_is_long),
    };

    return cmocka_run_group_tests_name("version_crash", tests, NULL, NULL);
}
