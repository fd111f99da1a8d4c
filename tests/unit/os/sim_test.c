/*
 * os_sim without a crash: capacity, clock, counting, the cut, failed syncs and
 * copies. What survives a crash is in sim_crash_test.c; that it is an os like
 * any other is in contract_test.c.
 */
#include "place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- space and clock ------------------------------------------------------ */

static void test_a_full_disk_says_enospc_and_recovers(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_file *file = create_file(at->dir, "f");
    os_file *other = create_file(at->dir, "g");
    os_span span = {.data = "x", .size = 1};
    os_space space;

    os_sim_set_capacity(at->sim, 16 * 4096);
    assert_int_equal(ops->allocate(file, 0, 17 * 4096), ENOSPC);
    assert_int_equal(ops->allocate(file, 0, 15 * 4096), 0);
    assert_int_equal(ops->write_at(other, &span, 1, 0), 0);
    assert_int_equal(ops->write_at(other, &span, 1, 4096), ENOSPC);
    assert_int_equal(ops->write_at(other, &span, 1, 4095), 0);
    assert_int_equal(ops->write_at(file, &span, 1, 14 * 4096), 0);
    assert_int_equal(ops->space(at->dir, &space), 0);
    assert_int_equal(space.free, 0);
    assert_int_equal(space.total, 16 * 4096);
    assert_int_equal(ops->truncate(file, 4096), 0);
    assert_int_equal(ops->write_at(other, &span, 1, 4096), 0);
    ops->close(file);
    assert_int_equal(ops->remove(at->dir, "f"), 0);
    assert_int_equal(ops->sync_dir(at->dir), 0); /* or it may come back */
    assert_int_equal(ops->space(at->dir, &space), 0);
    assert_int_equal(space.free, 14 * 4096);
    ops->close(other);
}

static void test_a_file_has_a_largest_size(void **state)
{
    os_sim_options options = {.max_file_bytes = 8192};
    os_span span = {.data = "x", .size = 1};
    os_sim *sim = NULL;
    os_file *dir = NULL;
    os_file *file;
    void *memory = NULL;

    (void)state;
    assert_int_equal(os_sim_create(&options, &sim), 0);
    assert_int_equal(os_sim_os(sim)->ops->open_dir(os_sim_os(sim), "/", &dir),
                     0);
    file = create_file(dir, "f");
    assert_int_equal(dir->os->ops->write_at(file, &span, 1, 8191), 0);
    assert_int_equal(dir->os->ops->write_at(file, &span, 1, 8192), EFBIG);
    assert_int_equal(dir->os->ops->allocate(file, 1, 8192), EFBIG);
    assert_int_equal(dir->os->ops->map(file, 0, 8193, true, &memory), ENOMEM);
    dir->os->ops->close(file);
    dir->os->ops->close(dir);
    os_sim_free(sim);
}

static void test_the_wall_clock_stands_where_it_is_put(void **state)
{
    place *at = *state;
    uint64_t start = at->os->ops->wall_ms(at->os);

    at->os->ops->sleep_ms(at->os, 10);
    assert_true(at->os->ops->wall_ms(at->os) == start);
    os_sim_set_wall_ms(at->sim, 5);
    assert_true(at->os->ops->wall_ms(at->os) == 5);
}

static void test_time_passes_on_both_clocks_a_jump_is_on_one(void **state)
{
    place *at = *state;
    uint64_t wall = at->os->ops->wall_ms(at->os);
    uint64_t boot = at->os->ops->boot_ms(at->os);

    os_sim_advance_ms(at->sim, 7);
    assert_true(at->os->ops->wall_ms(at->os) == wall + 7);
    assert_true(at->os->ops->boot_ms(at->os) == boot + 7);
    os_sim_set_wall_ms(at->sim, 5);
    assert_true(at->os->ops->boot_ms(at->os) == boot + 7);
    assert_int_equal(os_sim_crash(at->sim, 1), 0);
    assert_true(at->os->ops->boot_ms(at->os) < 7); /* started anew */
}

static void check_local(place *at, uint64_t wall_s, unsigned weekday,
                        unsigned minute)
{
    os_local_time local = at->os->ops->local_time(at->os, wall_s * 1000 + 999);

    assert_int_equal(local.weekday, weekday);
    assert_int_equal(local.minute, minute);
}

static void test_local_time_is_that_of_the_zone(void **state)
{
    place *at = *state;
    os_sim_zone zone = {.offset_minutes = 60,
                        .summer_offset_minutes = 120,
                        .summer_from_ms = UINT64_C(1711846800000),
                        .summer_end_ms = UINT64_C(1729990800000)};

    check_local(at, 0, 4, 0);
    check_local(at, 86400 + 3599, 5, 59);
    os_sim_set_zone(at->sim, &zone);
    check_local(at, 1711846799, 0, 119);
    check_local(at, 1711846800, 0, 180);
    check_local(at, 1729990799, 0, 179);
    check_local(at, 1729990800, 0, 120);
    zone = (os_sim_zone){.offset_minutes = -300};
    os_sim_set_zone(at->sim, &zone);
    check_local(at, 86400, 4, 19 * 60);
}

static void test_randomness_follows_the_seed(void **state)
{
    unsigned char bytes[3][32];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        os_sim_options options = {.seed = i / 2};
        os_sim *sim = NULL;
        assert_int_equal(os_sim_create(&options, &sim), 0);
        assert_int_equal(
            os_sim_os(sim)->ops->random(os_sim_os(sim), bytes[i], 32), 0);
        os_sim_free(sim);
    }
    assert_memory_equal(bytes[0], bytes[1], 32);
    assert_memory_not_equal(bytes[0], bytes[2], 32);
}

/* --- counting and cutting
 * ----------------------------------------------------- */

static void count_hook(void *context, os_sim *sim)
{
    (void)os_sim_operations(sim); /* a hook may ask */
    ++*(uint64_t *)context;
}

static void test_only_changes_are_counted(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    uint64_t start = os_sim_operations(at->sim);
    uint64_t hooked = 0;
    os_file *file;
    os_stat entry;

    os_sim_set_hook(at->sim, count_hook, &hooked);
    file = create_file(at->dir, "f");
    put_text(file, "text", 0);
    assert_int_equal(ops->allocate(file, 0, 100), 0);
    assert_int_equal(ops->truncate(file, 4), 0);
    assert_int_equal(ops->sync(file), 0);
    assert_int_equal(ops->rename(at->dir, "f", "g"), 0);
    assert_int_equal(ops->remove(at->dir, "g"), 0);
    assert_int_equal(ops->sync_dir(at->dir), 0);
    assert_int_equal(ops->make_dir(at->os, "/other", 0700), 0);
    assert_int_equal(os_sim_operations(at->sim) - start, 9);
    assert_int_equal(hooked, 9);
    assert_true(has_text(file, "text"));
    assert_int_equal(ops->stat(file, &entry), 0);
    ops->close(create_file(at->dir, "h"));
    ops->close(open_file(at->dir, "h"));
    assert_int_equal(count_names(at->dir), 1);
    assert_int_equal(os_sim_operations(at->sim) - start, 10);
    os_sim_set_hook(at->sim, NULL, NULL);
    ops->close(create_file(at->dir, "i"));
    assert_int_equal(hooked, 10);
    ops->close(file);
}

static void test_after_the_cut_everything_fails(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_file *file = create_file(at->dir, "f");
    os_file *more = NULL;
    os_span span = {.data = "new", .size = 3};
    char byte;
    size_t got;
    os_stat entry;

    os_sim_cut_at(at->sim, os_sim_operations(at->sim) + 1);
    assert_int_equal(ops->write_at(file, &span, 1, 0), 0);
    assert_false(os_sim_is_cut(at->sim));
    assert_int_equal(ops->write_at(file, &span, 1, 3), EIO);
    assert_true(os_sim_is_cut(at->sim));
    assert_int_equal(ops->read_at(file, &byte, 1, 0, &got), EIO);
    assert_int_equal(ops->sync(file), EIO);
    assert_int_equal(ops->stat(file, &entry), EIO);
    assert_int_equal(ops->open(at->dir, "f", OS_READ, 0, &more), EIO);
    assert_int_equal(ops->open_dir(at->os, "/store", &more), EIO);
    assert_int_equal(ops->lock(file, 0, 1, OS_SHARED), EIO);
    assert_null(more);
    ops->close(file);
}

static void test_handles_from_before_a_crash_are_dead(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_file *old = create_file(at->dir, "f");
    os_file *dir = NULL;
    os_file *new;
    char *memory = NULL;
    bool locked = true;
    char byte;
    size_t got;

    put_text(old, "text", 0);
    assert_int_equal(ops->map(old, 0, 4096, true, (void **)&memory), 0);
    assert_int_equal(ops->lock(old, 0, 1, OS_EXCLUSIVE), 0);
    assert_int_equal(os_sim_sync_all(at->sim), 0);
    assert_int_equal(os_sim_crash(at->sim, 1), 0);
    assert_false(os_sim_is_cut(at->sim));
    assert_int_equal(ops->read_at(old, &byte, 1, 0, &got), EIO);
    assert_int_equal(ops->sync_dir(at->dir), EIO);

    assert_int_equal(ops->open_dir(at->os, "/store", &dir), 0);
    new = open_file(dir, "f");
    assert_int_equal(ops->is_locked(new, 0, 1, &locked), 0);
    assert_false(locked);
    /* The old map is memory still, but no longer the file. */
    assert_memory_equal(memory, "text", 4);
    memory[0] = 'n';
    assert_true(has_text(new, "text"));
    assert_int_equal(ops->lock(new, 0, 1, OS_EXCLUSIVE), 0);
    ops->close(old); /* drops no lock of others */
    assert_int_equal(ops->is_locked(new, 0, 1, &locked), 0);
    ops->unmap(at->os, memory, 4096);
    ops->close(new);
    ops->close(at->dir);
    at->dir = dir;
}

/* --- failed syncs
 * -------------------------------------------------------------- */

static void test_a_failed_sync_lies_afterwards(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    uint64_t lost = 0;
    uint64_t kept = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        os_file *file = create_file(at->dir, "f");
        char first[4];
        size_t got;
        assert_int_equal(ops->truncate(file, 2048), 0);
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        put_text(file, "new", 0);
        put_text(file, "new", 1024);
        os_sim_fail_syncs(at->sim, 0, 1);
        assert_int_equal(ops->sync(file), EIO);
        assert_int_equal(ops->sync(file), 0); /* and it wrote nothing */
        assert_int_equal(ops->read_at(file, first, 3, 0, &got), 0);
        assert_memory_equal(first, "new", 3); /* though it looks like that */
        put_text(file, "changed again", 1024);
        assert_int_equal(ops->sync(file), 0); /* this sector is written */
        ops->close(file);
        ops->close(at->dir);
        assert_int_equal(os_sim_crash(at->sim, seed), 0);

        assert_int_equal(ops->open_dir(at->os, "/store", &at->dir), 0);
        file = open_file(at->dir, "f");
        assert_int_equal(ops->read_at(file, first, 3, 0, &got), 0);
        kept += memcmp(first, "new", 3) == 0 ? 1 : 0;
        lost += memcmp(first, "\0\0\0", 3) == 0 ? 1 : 0;
        assert_int_equal(ops->read_at(file, first, 4, 1024, &got), 0);
        assert_memory_equal(first, "chan", 4);
        ops->close(file);
        assert_int_equal(ops->remove(at->dir, "f"), 0);
    }
    assert_int_equal(lost + kept, 40);
    assert_true(lost > 5);
    assert_true(kept > 5);
}

static void test_syncs_fail_by_number(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_file *file = create_file(at->dir, "f");

    os_sim_fail_syncs(at->sim, 1, 2);
    assert_int_equal(ops->sync(file), 0);
    assert_int_equal(ops->sync_dir(at->dir), EIO);
    assert_int_equal(ops->sync(file), EIO);
    assert_int_equal(ops->sync(file), 0);
    ops->close(file);
}

/* A failed sync_dir: the new name is there to see, and may never be saved. */
static void test_a_failed_sync_dir_lies_as_well(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    uint64_t lost = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        ops->close(create_file(at->dir, "f"));
        os_sim_fail_syncs(at->sim, 0, 1);
        assert_int_equal(ops->sync_dir(at->dir), EIO);
        assert_int_equal(ops->sync_dir(at->dir), 0);
        assert_true(name_exists(at->dir, "f"));
        ops->close(at->dir);
        assert_int_equal(os_sim_crash(at->sim, seed), 0);
        assert_int_equal(ops->open_dir(at->os, "/store", &at->dir), 0);
        if (name_exists(at->dir, "f")) {
            assert_int_equal(ops->remove(at->dir, "f"), 0);
            assert_int_equal(ops->sync_dir(at->dir), 0);
        } else {
            lost++;
        }
    }
    assert_true(lost > 5 && lost < 35);
}

/* --- copies
 * ----------------------------------------------------------------------- */

static bool survived(os_sim *sim, const char *text)
{
    os *self = os_sim_os(sim);
    os_file *dir = NULL;
    bool same;

    assert_int_equal(self->ops->open_dir(self, "/store", &dir), 0);
    same = name_has_text(dir, "f", text);
    self->ops->close(dir);
    return same;
}

static void test_copies_crash_while_the_original_lives(void **state)
{
    place *at = *state;
    os_sim_options options = {0};
    os_file *file = create_file(at->dir, "f");
    os_sim *copy = NULL;
    uint64_t old = 0;
    uint64_t new = 0;

    put_text(file, "old", 0);
    assert_int_equal(os_sim_sync_all(at->sim), 0);
    put_text(file, "new", 0);
    assert_int_equal(os_sim_create(&options, &copy), 0);
    for (uint64_t seed = 0; seed < 50; seed++) {
        assert_int_equal(os_sim_copy(at->sim, copy), 0);
        assert_true(os_sim_is_cut(copy));
        assert_int_equal(os_sim_crash(copy, seed), 0);
        old += survived(copy, "old") ? 1 : 0;
        new += survived(copy, "new") ? 1 : 0;
    }
    assert_int_equal(old + new, 50);
    assert_true(old > 5);
    assert_true(new > 5);
    assert_true(has_text(file, "new"));
    assert_int_equal(at->os->ops->sync(file), 0);
    at->os->ops->close(file);
    os_sim_free(copy);
}

/* Whatever one disk shows of /store/f, the other shows as well. */
static void assert_equal_files(os_file *one_dir, os_file *two_dir)
{
    static unsigned char one_bytes[8192];
    static unsigned char two_bytes[8192];
    os_file *one = open_file(one_dir, "f");
    os_file *two = open_file(two_dir, "f");
    os_stat one_stat;
    os_stat two_stat;
    size_t one_size = 0;
    size_t two_size = 0;

    assert_int_equal(one->os->ops->stat(one, &one_stat), 0);
    assert_int_equal(two->os->ops->stat(two, &two_stat), 0);
    assert_int_equal(one_stat.inode, two_stat.inode);
    assert_int_equal(one_stat.links, two_stat.links);
    assert_int_equal(one_stat.allocated, two_stat.allocated);
    assert_int_equal(one->os->ops->read_at(one, one_bytes, 8192, 0, &one_size),
                     0);
    assert_int_equal(two->os->ops->read_at(two, two_bytes, 8192, 0, &two_size),
                     0);
    assert_int_equal(one_size, two_size);
    assert_memory_equal(one_bytes, two_bytes, one_size);
    one->os->ops->close(one);
    two->os->ops->close(two);
}

static void test_a_copy_equals_the_original_after_the_same_crash(void **state)
{
    place *at = *state;
    os_sim_options options = {0};
    os_sim *copy = NULL;
    os *copy_os;

    assert_int_equal(os_sim_create(&options, &copy), 0);
    copy_os = os_sim_os(copy);
    at->os->ops->close(create_file(at->dir, "f"));
    assert_int_equal(os_sim_sync_all(at->sim), 0);
    for (uint64_t seed = 0; seed < 30; seed++) {
        os_file *file = open_file(at->dir, "f");
        os_file *dir = NULL;
        put_text(file, seed % 2 == 0 ? "even" : "odd", 5 * seed);
        put_text(file, "and more of it", 5000);
        at->os->ops->close(file);
        at->os->ops->close(create_file(at->dir, "g"));
        if (seed % 3 == 0) { /* before or after the power failed */
            os_sim_cut(at->sim);
        }
        assert_int_equal(os_sim_copy(at->sim, copy), 0);
        assert_int_equal(os_sim_crash(copy, seed), 0);
        at->os->ops->close(at->dir);
        assert_int_equal(os_sim_crash(at->sim, seed), 0);
        assert_int_equal(at->os->ops->open_dir(at->os, "/store", &at->dir), 0);
        assert_int_equal(copy_os->ops->open_dir(copy_os, "/store", &dir), 0);
        assert_equal_files(at->dir, dir);
        assert_int_equal(name_exists(at->dir, "g"), name_exists(dir, "g"));
        copy_os->ops->close(dir);
    }
    os_sim_free(copy);
}

static void test_a_disk_in_use_is_not_overwritten(void **state)
{
    place *at = *state;
    os_sim_options small = {.max_file_bytes = 4096};
    os_sim_options options = {0};
    os_sim *other = NULL;

    assert_int_equal(os_sim_create(&options, &other), 0);
    assert_int_equal(os_sim_copy(other, at->sim), EBUSY); /* its at->dir */
    os_sim_free(other);
    assert_int_equal(os_sim_create(&small, &other), 0);
    assert_int_equal(os_sim_copy(at->sim, other), EINVAL);
    os_sim_free(other);
}

/* --- threads
 * ----------------------------------------------------------------------- */

typedef struct crowd {
    place *at;
    os_file *file;
    unsigned char *memory; /* a map that all store to, each at its place */
    uint32_t next;         /* atomic: number of the next thread */
    uint32_t errors;       /* atomic */
} crowd;

/* One round of a thread; the sum of all errno values. */
static int work_once(crowd *all, uint32_t number)
{
    const os_ops *ops = all->at->os->ops;
    char name[2] = {(char)('a' + number), '\0'};
    os_span span = {.data = "write", .size = 5};
    os_file *file = NULL;
    int errors = ops->sync(all->file);

    errors += ops->write_at(all->file, &span, 1, 1000 + number * 8);
    errors += ops->open(all->at->dir, name, OS_WRITE | OS_CREATE | OS_EXCL,
                        0600, &file);
    ops->close(file);
    return errors + ops->remove(all->at->dir, name);
}

static void work(void *argument)
{
    crowd *all = argument;
    uint32_t number = __atomic_fetch_add(&all->next, 1, __ATOMIC_RELAXED);

    for (uint32_t i = 0; i < 300; i++) {
        all->memory[number * 64] = (unsigned char)i;
        if (work_once(all, number) != 0) {
            __atomic_fetch_add(&all->errors, 1, __ATOMIC_RELAXED);
        }
    }
}

static void test_threads_share_the_disk(void **state)
{
    place *at = *state;
    crowd all = {.at = at};
    os_thread *threads[4];
    os_file *file = create_file(at->dir, "f");

    all.file = file;
    assert_int_equal(at->os->ops->allocate(file, 0, 4096), 0);
    assert_int_equal(
        at->os->ops->map(file, 0, 4096, true, (void **)&all.memory), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(
            at->os->ops->thread_start(at->os, work, &all, &threads[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        at->os->ops->thread_join(at->os, threads[i]);
    }
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(all.memory[i * 64], 299 % 256);
    }
    assert_int_equal(all.errors, 0);
    assert_int_equal(count_names(at->dir), 1);
    at->os->ops->unmap(at->os, all.memory, 4096);
    at->os->ops->close(file);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, place_setup_sim, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_full_disk_says_enospc_and_recovers),
        cmocka_unit_test(test_a_file_has_a_largest_size),
        TEST(test_the_wall_clock_stands_where_it_is_put),
        TEST(test_time_passes_on_both_clocks_a_jump_is_on_one),
        TEST(test_local_time_is_that_of_the_zone),
        cmocka_unit_test(test_randomness_follows_the_seed),
        TEST(test_only_changes_are_counted),
        TEST(test_after_the_cut_everything_fails),
        TEST(test_handles_from_before_a_crash_are_dead),
        TEST(test_a_failed_sync_lies_afterwards),
        TEST(test_syncs_fail_by_number),
        TEST(test_a_failed_sync_dir_lies_as_well),
        TEST(test_copies_crash_while_the_original_lives),
        TEST(test_a_copy_equals_the_original_after_the_same_crash),
        TEST(test_a_disk_in_use_is_not_overwritten),
        TEST(test_threads_share_the_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
