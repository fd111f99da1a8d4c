/*
 * The region file: created, joined, refused to strangers, grown; and what a
 * full file system or a planted file does.
 */
#define _XOPEN_SOURCE 700 /* symlink, mkfifo */

#include "region/region.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cask_test.h"
#include "os/os_fault.h"
#include "region/heap.h"
#include "support/random.h"
#include "support/scratch.h"

enum { HEAP_BYTES = 256 << 10 };

typedef struct place {
    char path[SCRATCH_PATH];
    os_fault fault;
    os_file *dir; /* through the fault injector */
    region_identity identity;
} place;

static int setup(void **state)
{
    static place p;
    os_stat stat;

    scratch_make(p.path);
    os_fault_init(&p.fault, os_posix());
    assert_int_equal(p.fault.base.ops->open_dir(&p.fault.base, p.path, &p.dir),
                     0);
    assert_int_equal(p.fault.base.ops->stat(p.dir, &stat), 0);
    p.identity = (region_identity){.uuid = {1, 2, 3},
                                   .directory_device = stat.device,
                                   .directory_inode = stat.inode,
                                   .engine = CASK_ENGINE_HASH};
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;

    p->dir->os->ops->close(p->dir);
    scratch_remove(p->path);
    return 0;
}

/* A handle that is aimed at the place, and holds nothing. */
static region_handle aim(place *p)
{
    region_handle region = {.os = &p->fault.base, .dir = p->dir};

    region_name(&p->identity, region.name);
    (void)snprintf(region.path, sizeof(region.path), "%.150s/%s", p->path,
                   region.name);
    return region;
}

static bool exists(place *p)
{
    region_handle region = aim(p);
    os_stat stat;

    return p->dir->os->ops->stat_name(p->dir, region.name, &stat) == 0;
}

static void make(place *p, region_handle *ret_region)
{
    *ret_region = aim(p);
    assert_int_equal(region_create(ret_region, &p->identity, HEAP_BYTES, NULL),
                     CASK_OK);
}

/* ---- Create, attach ------------------------------------------------------ */

static void test_what_one_handle_stores_the_other_sees(void **state)
{
    place *p = *state;
    region_handle first;
    region_handle second = aim(p);
    bool alive = false;
    uint64_t *word;

    make(p, &first);
    assert_int_equal(atomic_load(&first.header->state), REGION_CREATING);
    assert_int_equal(region_attach(&second, &p->identity, true, &alive, NULL),
                     CASK_OK);
    assert_true(alive);
    assert_int_equal(region_allocate_row(&first, 12345, NULL), CASK_OK);
    first.rows[12345].tail = 77;
    assert_int_equal(second.rows[12345].tail, 77);
    word = region_line(&second, REGION_HEAP_OFFSET / REGION_LINE);
    *word = 99;
    assert_int_equal(
        *(uint64_t *)region_line(&first, REGION_HEAP_OFFSET / REGION_LINE), 99);
    region_detach(&first);
    assert_int_equal(second.rows[12345].tail, 77);
    region_detach(&second);
    region_detach(&second); /* holds nothing: accepted */
}

static void test_nobody_alive_is_told(void **state)
{
    place *p = *state;
    region_handle region;
    bool alive = true;

    make(p, &region);
    region_detach(&region);
    assert_true(exists(p));
    region = aim(p);
    assert_int_equal(region_attach(&region, &p->identity, true, &alive, NULL),
                     CASK_OK);
    assert_false(alive);
    {
        region_handle look = aim(p);

        assert_false(region_remove_orphan(&look)); /* it is held */
    }
    assert_true(region_is_named(&region));
    region_detach(&region);
    region = aim(p);
    assert_true(region_remove_orphan(&region));
    assert_false(exists(p));
    region = aim(p);
    assert_int_equal(region_attach(&region, &p->identity, true, &alive, NULL),
                     CASK_NOT_FOUND);
}

static void test_a_region_that_was_left_clean_is_no_orphan(void **state)
{
    place *p = *state;
    region_handle region;

    make(p, &region);
    atomic_store(&region.header->state, REGION_CLEAN);
    region_detach(&region);
    region = aim(p);
    assert_false(region_remove_orphan(&region));
    assert_true(exists(p));
}

/* ---- Refused ------------------------------------------------------------- */

static void refuse(place *p, const region_identity *identity,
                   cask_status expected)
{
    region_handle region = aim(p);
    cask_error err = {CASK_OK, 0, ""};
    bool alive = false;

    assert_int_equal(region_attach(&region, identity, true, &alive, &err),
                     expected);
    assert_int_equal(err.status, expected);
    assert_non_null(strstr(err.message, region.path));
    assert_null(region.base);
    assert_null(region.file);
}

static void test_the_region_of_another_store_is_none(void **state)
{
    place *p = *state;
    region_identity identity = p->identity;
    region_handle region;

    make(p, &region);
    identity.uuid[0]++;
    refuse(p, &identity, CASK_NOT_FOUND);
    identity = p->identity;
    identity.directory_inode++;
    refuse(p, &identity, CASK_NOT_FOUND);
    identity = p->identity;
    identity.directory_device++;
    refuse(p, &identity, CASK_NOT_FOUND);
    identity = p->identity;
    identity.engine++;
    refuse(p, &identity, CASK_NOT_FOUND);
    region_detach(&region);
}

static void test_a_region_of_other_times_and_places_is_none(void **state)
{
    place *p = *state;
    region_handle region;

    make(p, &region);
    region.header->boot_id[3] ^= 1;
    refuse(p, &p->identity, CASK_NOT_FOUND);
    region.header->boot_id[3] ^= 1;
    region.header->layout_version++;
    refuse(p, &p->identity, CASK_NOT_FOUND);
    region.header->layout_version--;
    region.header->magic[0] ^= 1;
    refuse(p, &p->identity, CASK_NOT_FOUND);
    region.header->magic[0] ^= 1;
    /* Held by somebody whose mutexes are not ours. */
    region.header->pid_namespace++;
    refuse(p, &p->identity, CASK_NAMESPACE);
    region.header->pid_namespace--;
    region.header->mutex_layout++;
    refuse(p, &p->identity, CASK_NAMESPACE);
    region_detach(&region);
    /* By nobody any more. */
    refuse(p, &p->identity, CASK_NOT_FOUND);
}

static void plant(place *p, const char *target)
{
    region_handle region = aim(p);

    (void)unlink(region.path);
    if (target == NULL) {
        assert_int_equal(mkfifo(region.path, 0600), 0);
    } else {
        assert_int_equal(symlink(target, region.path), 0);
    }
}

static void test_planted_files_are_not_followed(void **state)
{
    place *p = *state;
    region_handle region;
    char other[SCRATCH_PATH + 8];
    FILE *file;

    (void)snprintf(other, sizeof(other), "%s/other", p->path);
    file = fopen(other, "w");
    assert_non_null(file);
    assert_true(fputs("precious", file) >= 0);
    assert_int_equal(fclose(file), 0);
    plant(p, other);
    refuse(p, &p->identity, CASK_INVALID);
    make(p, &region); /* replaces the link, not what it names */
    region_remove(&region);
    region_detach(&region);
    plant(p, NULL);
    refuse(p, &p->identity, CASK_INVALID);
    make(p, &region);
    region_detach(&region);
    {
        os_stat stat;

        assert_int_equal(p->dir->os->ops->stat_name(p->dir, "other", &stat), 0);
        assert_int_equal(stat.size, strlen("precious"));
    }
}

static void test_what_cannot_be_replaced_is_named(void **state)
{
    place *p = *state;
    region_handle region = aim(p);
    cask_error err;

    assert_int_equal(mkdir(region.path, 0700), 0);
    refuse(p, &p->identity, CASK_INVALID);
    assert_int_equal(region_create(&region, &p->identity, HEAP_BYTES, &err),
                     CASK_INVALID);
    assert_non_null(strstr(err.message, region.path));
    assert_non_null(strstr(err.message, "; remove it or set region_dir"));
    assert_int_equal(rmdir(region.path), 0);
}

static void test_a_region_says_where_its_store_is(void **state)
{
    place *p = *state;
    region_identity identity = p->identity;
    region_handle region;

    (void)snprintf(identity.directory, sizeof(identity.directory), "/old");
    region = aim(p);
    assert_int_equal(region_create(&region, &identity, HEAP_BYTES, NULL),
                     CASK_OK);
    assert_string_equal(region.header->directory, "/old");
    atomic_store(&region.header->state, REGION_CLEAN);
    (void)snprintf(identity.directory, sizeof(identity.directory), "/new");
    region_revive(&region, &identity);
    assert_string_equal(region.header->directory, "/new");
    assert_int_equal(atomic_load(&region.header->state), REGION_LIVE);
    region_remove(&region);
    region_detach(&region);
}

static void test_a_file_with_two_names_is_refused(void **state)
{
    place *p = *state;
    char other[SCRATCH_PATH + 8];
    region_handle region;

    make(p, &region);
    (void)snprintf(other, sizeof(other), "%s/other", p->path);
    assert_int_equal(link(region.path, other), 0);
    refuse(p, &p->identity, CASK_INVALID);
    region_detach(&region);
}

static void test_a_region_that_is_too_short_is_none(void **state)
{
    static const off_t sizes[] = {0, 1, 4096, REGION_HEAP_OFFSET - 1};
    place *p = *state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        region_handle region;

        make(p, &region);
        region_detach(&region);
        assert_int_equal(truncate(region.path, sizes[i]), 0);
        refuse(p, &p->identity, CASK_NOT_FOUND);
    }
}

/* ---- Heap ---------------------------------------------------------------- */

static void test_blocks_are_recycled_by_class(void **state)
{
    place *p = *state;
    region_handle region;
    uint64_t line[3];
    uint64_t used;

    make(p, &region);
    used = region.header->heap.used;
    for (int i = 0; i < 3; i++) {
        line[i] = heap_take(&region, 2, 12);
        assert_true(line[i] >= REGION_HEAP_OFFSET / REGION_LINE);
        assert_true(i == 0 || line[i] >= line[i - 1] + 12);
    }
    assert_int_equal(region.header->heap.used, used + 36);
    heap_give(&region, 2, line[0], 12);
    heap_give(&region, 2, line[2], 12);
    assert_int_equal(region.header->heap.used, used + 12);
    /* Not for another class; the last one given comes first. */
    assert_true(heap_take(&region, 3, 36) > line[2]);
    assert_int_equal(heap_take(&region, 2, 12), line[2]);
    assert_int_equal(heap_take(&region, 2, 12), line[0]);
    assert_true(heap_take(&region, 2, 12) > line[2]);
    region_detach(&region);
}

/* Never outside, never twice; against a map of who has which line. */
static void test_blocks_never_overlap(void **state)
{
    enum { BLOCKS = 300, ROUNDS = 20000, MAP_LINES = HEAP_BYTES / 64 };
    static const uint32_t lines_of[] = {1, 4, 12, 36, 72};
    place *p = *state;
    test_random random = test_random_make(test_seed(), 1);
    static bool taken[MAP_LINES];
    static uint64_t block[BLOCKS];
    static unsigned class_of[BLOCKS];
    region_handle region;

    make(p, &region);
    memset(taken, 0, sizeof(taken));
    memset(block, 0, sizeof(block));
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t i = test_random_next(&random, BLOCKS);
        uint64_t first;
        bool gives = block[i] != 0;

        if (!gives) {
            class_of[i] = (unsigned)test_random_next(&random, 5);
            block[i] = heap_take(&region, class_of[i], lines_of[class_of[i]]);
        }
        if (block[i] == 0) {
            continue; /* full */
        }
        first = block[i] - REGION_HEAP_OFFSET / REGION_LINE;
        assert_true(first + lines_of[class_of[i]] <= MAP_LINES);
        for (uint32_t j = 0; j < lines_of[class_of[i]]; j++) {
            assert_int_equal(taken[first + j], gives);
            taken[first + j] = !gives;
        }
        if (gives) {
            heap_give(&region, class_of[i], block[i], lines_of[class_of[i]]);
            block[i] = 0;
        }
    }
    region_detach(&region);
}

static void test_a_damaged_free_list_loses_blocks_not_the_heap(void **state)
{
    static const uint64_t heads[] = {1, REGION_HEAP_OFFSET / REGION_LINE - 1,
                                     UINT64_MAX, UINT64_C(1) << 40};
    place *p = *state;
    region_handle region;

    make(p, &region);
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        uint64_t line;

        region.header->heap.free[1] = heads[i];
        line = heap_take(&region, 1, 4);
        assert_true(line >= REGION_HEAP_OFFSET / REGION_LINE);
        assert_true(line + 4 <= atomic_load(&region.header->heap.bump));
        assert_int_equal(region.header->heap.free[1], 0);
    }
    region_detach(&region);
}

static void test_what_is_not_there_is_not_taken(void **state)
{
    place *p = *state;
    region_handle region;
    uint64_t all;

    make(p, &region);
    all = heap_available(&region);
    assert_int_equal(all, HEAP_BYTES / REGION_LINE);
    assert_int_equal(heap_take_plain(&region, all + 1), 0);
    assert_true(heap_take_plain(&region, all) != 0);
    assert_int_equal(heap_available(&region), 0);
    assert_int_equal(heap_take(&region, 0, 1), 0);
    region_detach(&region);
}

/* ---- Growth -------------------------------------------------------------- */

static void test_reserve_grows_for_every_handle(void **state)
{
    place *p = *state;
    region_handle first;
    region_handle second = aim(p);
    uint64_t before;
    uint64_t line;
    bool alive;

    make(p, &first);
    assert_int_equal(region_attach(&second, &p->identity, true, &alive, NULL),
                     CASK_OK);
    before = region_allocated_bytes(&first);
    assert_int_equal(region_reserve(&first, 100000, NULL), CASK_OK);
    assert_true(heap_available(&second) >= 100000);
    assert_true(region_allocated_bytes(&second) > before);
    line = heap_take_plain(&second, 100000);
    memset(region_line(&second, line), 0xa5, 100000 * REGION_LINE);
    assert_int_equal(*((uint8_t *)region_line(&first, line) + 6399999), 0xa5);
    /* It is there already: nothing more is allocated. */
    before = region_allocated_bytes(&first);
    assert_int_equal(region_reserve(&second, heap_available(&second), NULL),
                     CASK_OK);
    assert_int_equal(region_allocated_bytes(&first), before);
    region_detach(&first);
    region_detach(&second);
}

static void test_more_than_the_address_space_is_refused(void **state)
{
    place *p = *state;
    cask_error err = {CASK_OK, 0, ""};
    region_handle region;

    make(p, &region);
    assert_int_equal(
        region_reserve(&region, region.map_size / REGION_LINE, &err),
        CASK_NO_SPACE);
    assert_non_null(strstr(err.message, region.path));
    assert_int_equal(heap_available(&region), HEAP_BYTES / REGION_LINE);
    region_detach(&region);
}

/* As it is for a process of little address space when others let the heap
 * grow, perhaps while it has the write lock. */
static void test_what_is_not_mapped_is_neither_reserved_nor_taken(void **state)
{
    place *p = *state;
    cask_error err = {CASK_OK, 0, ""};
    region_handle region;
    uint64_t room;
    size_t whole;

    make(p, &region);
    whole = region.map_size;
    room = heap_available(&region);
    region.map_size = REGION_HEAP_OFFSET + HEAP_BYTES;
    assert_int_equal(heap_available(&region), room);
    assert_int_equal(region_reserve(&region, room, NULL), CASK_OK);
    assert_int_equal(region_reserve(&region, room + 1, &err), CASK_NO_SPACE);

    region.map_size -= 10 * REGION_LINE;
    assert_int_equal(heap_available(&region), room - 10);
    assert_int_equal(heap_take_plain(&region, room - 9), 0);
    assert_int_equal(heap_take(&region, 0, (uint32_t)room - 9), 0);
    /* Neither to be had nor to be made: never "there is room". */
    assert_int_equal(region_reserve(&region, room, &err), CASK_NO_MEMORY);
    assert_non_null(strstr(err.message, "ulimit -v"));
    assert_int_equal(region_reserve(&region, room * 100, &err), CASK_NO_MEMORY);
    assert_int_not_equal(heap_take_plain(&region, room - 10), 0);
    assert_int_equal(heap_available(&region), 0);
    region.map_size -= REGION_LINE;
    assert_int_equal(heap_available(&region), 0);
    region.map_size = whole;
    assert_int_equal(heap_available(&region), 10);
    region_detach(&region);
}

static void test_a_full_file_system_is_an_error_not_a_signal(void **state)
{
    place *p = *state;
    cask_error err = {CASK_OK, 0, ""};
    os_fault_plan plan = {
        .only = OS_CALL_ALLOCATE, .error = ENOSPC, .for_ever = true};
    region_handle region;

    make(p, &region);
    os_fault_arm(&p->fault, &plan);
    assert_int_equal(region_reserve(&region, 100000, &err), CASK_NO_SPACE);
    assert_non_null(strstr(err.message, region.path));
    assert_int_equal(heap_available(&region), HEAP_BYTES / REGION_LINE);
    assert_int_equal(region_allocate_row(&region, 60000, &err), CASK_NO_SPACE);
    os_fault_arm(&p->fault, &OS_FAULT_NOTHING);
    assert_int_equal(region_reserve(&region, 100000, NULL), CASK_OK);
    assert_int_equal(region_allocate_row(&region, 60000, NULL), CASK_OK);
    region_detach(&region);
}

/* Every call of a creation fails once: nothing is left behind. */
static void test_a_region_that_cannot_be_created_leaves_nothing(void **state)
{
    static const int errors[] = {ENOSPC, EIO, EMFILE};
    place *p = *state;

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        for (uint64_t n = 0;; n++) {
            os_fault_plan plan = OS_FAULT_NOTHING;
            region_handle region = aim(p);
            cask_error err = {CASK_OK, 0, ""};
            cask_status status;
            uint64_t fired;

            plan.fail_at = n;
            plan.error = errors[i];
            os_fault_arm(&p->fault, &plan);
            status = region_create(&region, &p->identity, HEAP_BYTES, &err);
            fired = os_fault_fired(&p->fault);
            os_fault_arm(&p->fault, &OS_FAULT_NOTHING);
            if (status == CASK_OK) {
                /* No failure, or one of a call whose failure is borne. */
                region_remove(&region);
                region_detach(&region);
            } else {
                assert_true(err.message[0] != 0);
                assert_null(region.base);
                assert_null(region.file);
            }
            assert_false(exists(p));
            if (fired == 0) {
                assert_int_equal(status, CASK_OK);
                assert_true(n >= 6);
                break;
            }
        }
    }
}

static void test_every_failed_call_of_an_attachment_is_an_error(void **state)
{
    place *p = *state;
    region_handle region;

    make(p, &region);
    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = OS_FAULT_NOTHING;
        region_handle second = aim(p);
        bool alive = false;
        cask_status status;

        plan.fail_at = n;
        plan.error = EIO;
        os_fault_arm(&p->fault, &plan);
        status = region_attach(&second, &p->identity, true, &alive, NULL);
        if (status == CASK_OK) {
            region_detach(&second);
        } else {
            assert_null(second.base);
            assert_null(second.file);
        }
        if (os_fault_fired(&p->fault) == 0) {
            assert_int_equal(status, CASK_OK);
            assert_true(n >= 5);
            break;
        }
    }
    region_detach(&region);
}

/* ---- Private ------------------------------------------------------------- */

static void test_a_private_region_has_no_file(void **state)
{
    place *p = *state;
    region_handle region = {.os = &p->fault.base};
    uint64_t line;

    assert_int_equal(region_create_private(&region, &p->identity, NULL),
                     CASK_OK);
    assert_false(exists(p));
    assert_null(region.file);
    assert_int_equal(region_reserve(&region, 1000000, NULL), CASK_OK);
    line = heap_take_plain(&region, 1000000);
    assert_true(line != 0);
    *(uint64_t *)region_line(&region, line + 999999) = 1;
    assert_int_equal(region_allocate_row(&region, REGION_SEGMENTS - 1, NULL),
                     CASK_OK);
    region.rows[REGION_SEGMENTS - 1].tail = 1;
    region_remove(&region);
    region_detach(&region);
}

int main(void)
{
#define AT_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        AT_PLACE(test_what_one_handle_stores_the_other_sees),
        AT_PLACE(test_nobody_alive_is_told),
        AT_PLACE(test_a_region_that_was_left_clean_is_no_orphan),
        AT_PLACE(test_the_region_of_another_store_is_none),
        AT_PLACE(test_a_region_of_other_times_and_places_is_none),
        AT_PLACE(test_planted_files_are_not_followed),
        AT_PLACE(test_what_cannot_be_replaced_is_named),
        AT_PLACE(test_a_region_says_where_its_store_is),
        AT_PLACE(test_a_file_with_two_names_is_refused),
        AT_PLACE(test_a_region_that_is_too_short_is_none),
        AT_PLACE(test_blocks_are_recycled_by_class),
        AT_PLACE(test_blocks_never_overlap),
        AT_PLACE(test_a_damaged_free_list_loses_blocks_not_the_heap),
        AT_PLACE(test_what_is_not_there_is_not_taken),
        AT_PLACE(test_reserve_grows_for_every_handle),
        AT_PLACE(test_more_than_the_address_space_is_refused),
        AT_PLACE(test_what_is_not_mapped_is_neither_reserved_nor_taken),
        AT_PLACE(test_a_full_file_system_is_an_error_not_a_signal),
        AT_PLACE(test_a_region_that_cannot_be_created_leaves_nothing),
        AT_PLACE(test_every_failed_call_of_an_attachment_is_an_error),
        AT_PLACE(test_a_private_region_has_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
