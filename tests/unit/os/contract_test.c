/*
 * What os.h promises about directories, files, maps, locks and threads, shown
 * on the real os, on the simulated one, and on the real one seen through
 * os_fault: whoever uses an os need not know which it is.
 */
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

/* --- directories --------------------------------------------------------- */

static void test_open_dir_wants_a_directory(void **state)
{
    place *at = *state;
    char path[PLACE_PATH + 8];
    os_file *dir = NULL;

    (void)snprintf(path, sizeof(path), "%s/none", at->path);
    assert_int_equal(at->os->ops->open_dir(at->os, path, &dir), ENOENT);
    (void)snprintf(path, sizeof(path), "%s/file", at->path);
    at->os->ops->close(create_file(at->dir, "file"));
    assert_int_equal(at->os->ops->open_dir(at->os, path, &dir), ENOTDIR);
    assert_null(dir);
}

static void test_make_dir_once_and_remove_it_empty(void **state)
{
    place *at = *state;
    char path[PLACE_PATH + 8];
    os_file *dir = NULL;
    os_stat entry;

    (void)snprintf(path, sizeof(path), "%s/inner", at->path);
    assert_int_equal(at->os->ops->make_dir(at->os, path, 0700), 0);
    assert_int_equal(at->os->ops->make_dir(at->os, path, 0700), EEXIST);
    assert_int_equal(at->os->ops->open_dir(at->os, path, &dir), 0);
    assert_int_equal(at->os->ops->stat(dir, &entry), 0);
    assert_int_equal(entry.kind, OS_DIRECTORY);
    assert_int_equal(entry.mode, 0700);
    at->os->ops->close(create_file(dir, "file"));
    assert_int_equal(at->os->ops->remove_dir(at->os, path), ENOTEMPTY);
    assert_int_equal(at->os->ops->remove(dir, "file"), 0);
    at->os->ops->close(dir);
    assert_int_equal(at->os->ops->remove_dir(at->os, path), 0);
    assert_int_equal(at->os->ops->remove_dir(at->os, path), ENOENT);
    (void)snprintf(path, sizeof(path), "%s/no/dir", at->path);
    assert_int_equal(at->os->ops->make_dir(at->os, path, 0700), ENOENT);
}

typedef struct visits {
    unsigned seen; /* one bit per file */
    size_t calls;
    size_t stop_after;
} visits;

static bool note_visit(void *context, const char *name)
{
    visits *noted = context;

    assert_true(name[0] == 'f' && name[2] == '\0');
    noted->seen |= 1U << (name[1] - '0');
    noted->calls++;
    return noted->calls < noted->stop_after;
}

static void test_list_names_each_once_until_stopped(void **state)
{
    place *at = *state;
    visits all = {.stop_after = 100};
    visits again = {.stop_after = 100};
    visits some = {.stop_after = 2};

    for (int i = 0; i < 5; i++) {
        char name[3] = {'f', (char)('0' + i), '\0'};
        at->os->ops->close(create_file(at->dir, name));
    }
    assert_int_equal(at->os->ops->list(at->dir, note_visit, &all), 0);
    assert_int_equal(all.calls, 5);
    assert_int_equal(all.seen, 31);
    assert_int_equal(at->os->ops->list(at->dir, note_visit, &some), 0);
    assert_int_equal(some.calls, 2);
    /* The one that was stopped leaves no position behind. */
    assert_int_equal(at->os->ops->list(at->dir, note_visit, &again), 0);
    assert_int_equal(again.calls, 5);
}

static void test_remove_takes_files_only(void **state)
{
    place *at = *state;
    char path[PLACE_PATH + 8];

    (void)snprintf(path, sizeof(path), "%s/inner", at->path);
    assert_int_equal(at->os->ops->make_dir(at->os, path, 0700), 0);
    at->os->ops->close(create_file(at->dir, "file"));
    assert_int_equal(at->os->ops->remove(at->dir, "file"), 0);
    assert_int_equal(at->os->ops->remove(at->dir, "file"), ENOENT);
    assert_int_equal(at->os->ops->remove(at->dir, "inner"), EISDIR);
    assert_int_equal(count_names(at->dir), 1);
}

static void test_a_removed_file_stays_with_its_handle(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "file");
    os_stat entry;

    assert_int_equal(at->os->ops->stat(file, &entry), 0);
    assert_int_equal(entry.links, 1);
    put_text(file, "still here", 0);
    assert_int_equal(at->os->ops->remove(at->dir, "file"), 0);
    assert_true(has_text(file, "still here"));
    assert_int_equal(at->os->ops->stat(file, &entry), 0);
    assert_int_equal(entry.links, 0);
    at->os->ops->close(file);
}

static void test_rename_replaces(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "new");

    put_text(file, "new", 0);
    at->os->ops->close(file);
    file = create_file(at->dir, "name");
    put_text(file, "old", 0);
    assert_int_equal(at->os->ops->rename(at->dir, "new", "name"), 0);
    assert_true(name_has_text(at->dir, "name", "new"));
    assert_true(has_text(file, "old"));
    assert_int_equal(count_names(at->dir), 1);
    assert_int_equal(at->os->ops->rename(at->dir, "new", "name"), ENOENT);
    assert_int_equal(at->os->ops->rename(at->dir, "name", "name"), 0);
    assert_int_equal(at->os->ops->sync_dir(at->dir), 0);
    at->os->ops->close(file);
}

/* One file with two names: neither is the first. */
static void test_a_link_is_a_second_name(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_file *file = create_file(at->dir, "one");
    os_file *inner = NULL;
    char path[PLACE_PATH + 8];
    os_stat entry;

    put_text(file, "shared", 0);
    (void)snprintf(path, sizeof(path), "%s/inner", at->path);
    assert_int_equal(ops->make_dir(at->os, path, 0700), 0);
    assert_int_equal(ops->open_dir(at->os, path, &inner), 0);
    assert_int_equal(ops->link(at->dir, "one", inner, "two"), 0);
    assert_int_equal(ops->link(at->dir, "one", inner, "two"), EEXIST);
    assert_int_equal(ops->link(at->dir, "none", inner, "three"), ENOENT);
    assert_int_equal(ops->link(at->dir, "inner", inner, "three"), EPERM);
    assert_int_equal(ops->stat(file, &entry), 0);
    assert_int_equal(entry.links, 2);
    put_text(file, "SHARED", 0);
    assert_true(name_has_text(inner, "two", "SHARED"));
    assert_int_equal(ops->remove(at->dir, "one"), 0);
    assert_true(name_has_text(inner, "two", "SHARED"));
    assert_int_equal(ops->remove(inner, "two"), 0);
    ops->close(inner);
    ops->close(file);
}

static void test_a_name_is_one_component(void **state)
{
    static const char *const bad[] = {"", "/", "a/b", "../file", "/etc"};
    place *at = *state;
    os_file *file = NULL;
    os_stat entry;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *name = bad[i];
        assert_int_equal(
            at->os->ops->open(at->dir, name, OS_READ | OS_CREATE, 0600, &file),
            EINVAL);
        assert_int_equal(at->os->ops->stat_name(at->dir, name, &entry), EINVAL);
        assert_int_equal(at->os->ops->remove(at->dir, name), EINVAL);
        assert_int_equal(at->os->ops->rename(at->dir, name, "x"), EINVAL);
        assert_int_equal(at->os->ops->rename(at->dir, "x", name), EINVAL);
        assert_int_equal(at->os->ops->link(at->dir, name, at->dir, "x"),
                         EINVAL);
        assert_int_equal(at->os->ops->link(at->dir, "x", at->dir, name),
                         EINVAL);
    }
}

static void test_space_is_known(void **state)
{
    place *at = *state;
    os_space space;

    assert_int_equal(at->os->ops->space(at->dir, &space), 0);
    assert_true(space.total > 0);
    assert_true(space.free <= space.total);
    assert_false(space.remote);
}

/* --- files ---------------------------------------------------------------- */

static void test_the_path_of_a_directory_leads_to_it_or_is_empty(void **state)
{
    place *at = *state;
    char path[1024] = "?";
    os_file *dir = NULL;
    os_stat there;
    os_stat here;

    at->os->ops->dir_path(at->dir, path, sizeof(path));
    if (path[0] == '\0') {
        return; /* the simulator's */
    }
    assert_int_equal(path[0], '/');
    assert_int_equal(at->os->ops->open_dir(at->os, path, &dir), 0);
    assert_int_equal(at->os->ops->stat(dir, &there), 0);
    assert_int_equal(at->os->ops->stat(at->dir, &here), 0);
    assert_int_equal(there.inode, here.inode);
    at->os->ops->close(dir);
}

static void test_open_creates_only_if_told(void **state)
{
    place *at = *state;
    const uint32_t exclusive = OS_WRITE | OS_CREATE | OS_EXCL;
    os_file *file = NULL;
    os_stat by_name;
    os_stat by_file;

    assert_int_equal(at->os->ops->open(at->dir, "f", OS_READ, 0, &file),
                     ENOENT);
    assert_int_equal(at->os->ops->open(at->dir, "f", exclusive, 0640, &file),
                     0);
    assert_int_equal(at->os->ops->stat(file, &by_file), 0);
    assert_int_equal(at->os->ops->stat_name(at->dir, "f", &by_name), 0);
    assert_int_equal(by_file.kind, OS_REGULAR);
    assert_int_equal(by_file.mode, 0640);
    assert_int_equal(by_file.size, 0);
    assert_int_equal(by_file.owner, at->os->ops->user(at->os));
    assert_int_equal(by_file.inode, by_name.inode);
    assert_int_equal(by_file.device, by_name.device);
    at->os->ops->close(file);
    file = NULL;
    assert_int_equal(at->os->ops->open(at->dir, "f", exclusive, 0600, &file),
                     EEXIST);
    assert_null(file);
    at->os->ops->close(NULL);
}

static void test_reads_and_writes_need_their_flag(void **state)
{
    place *at = *state;
    os_span span = {.data = "x", .size = 1};
    os_file *file = NULL;
    char byte;
    size_t got;

    at->os->ops->close(create_file(at->dir, "f"));
    assert_int_equal(at->os->ops->open(at->dir, "f", OS_READ, 0, &file), 0);
    assert_int_equal(at->os->ops->write_at(file, &span, 1, 0), EBADF);
    at->os->ops->close(file);
    assert_int_equal(at->os->ops->open(at->dir, "f", OS_WRITE, 0, &file), 0);
    assert_int_equal(at->os->ops->write_at(file, &span, 1, 0), 0);
    assert_int_equal(at->os->ops->read_at(file, &byte, 1, 0, &got), EBADF);
    at->os->ops->close(file);
}

static void test_read_is_short_only_at_the_end(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    char bytes[8] = "";
    size_t got = 99;

    put_text(file, "0123456789", 0);
    assert_int_equal(at->os->ops->read_at(file, bytes, 8, 1, &got), 0);
    assert_int_equal(got, 8);
    assert_memory_equal(bytes, "12345678", 8);
    assert_int_equal(at->os->ops->read_at(file, bytes, 8, 7, &got), 0);
    assert_int_equal(got, 3);
    assert_memory_equal(bytes, "789", 3);
    assert_int_equal(at->os->ops->read_at(file, bytes, 8, 10, &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(at->os->ops->read_at(file, bytes, 8, 1000, &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(at->os->ops->read_at(file, bytes, 0, 0, &got), 0);
    assert_int_equal(got, 0);
    at->os->ops->close(file);
}

static void test_write_joins_up_to_eight_spans(void **state)
{
    static const os_span spans[9] = {
        {"ab", 2}, {NULL, 0}, {"c", 1}, {"", 0},  {"def", 3},
        {"g", 1},  {"h", 1},  {"i", 1}, {"j", 1},
    };
    place *at = *state;
    os_file *file = create_file(at->dir, "f");

    assert_int_equal(at->os->ops->write_at(file, spans, 9, 0), EINVAL);
    assert_true(has_text(file, ""));
    assert_int_equal(at->os->ops->write_at(file, spans, 8, 0), 0);
    assert_true(has_text(file, "abcdefghi"));
    assert_int_equal(at->os->ops->write_at(file, spans, 1, 4), 0);
    assert_true(has_text(file, "abcdabghi"));
    /* Nothing written does not make a file longer. */
    assert_int_equal(at->os->ops->write_at(file, spans + 1, 1, 100), 0);
    assert_int_equal(at->os->ops->write_at(file, spans, 0, 100), 0);
    assert_true(has_text(file, "abcdabghi"));
    at->os->ops->close(file);
}

static void test_large_writes_arrive_whole(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    unsigned char *out = malloc(5 * MIB);
    unsigned char *in = malloc(5 * MIB);
    size_t got = 0;
    os_span spans[2];

    assert_non_null(out);
    assert_non_null(in);
    for (size_t i = 0; i < 5 * MIB; i++) {
        out[i] = (unsigned char)(i * 7 + i / 4096);
    }
    spans[0] = (os_span){.data = out, .size = 3 * MIB + 17};
    spans[1] = (os_span){.data = out + 3 * MIB + 17, .size = 2 * MIB - 17};
    assert_int_equal(at->os->ops->write_at(file, spans, 2, 333), 0);
    assert_int_equal(at->os->ops->read_at(file, in, 5 * MIB, 333, &got), 0);
    assert_int_equal(got, 5 * MIB);
    assert_memory_equal(in, out, 5 * MIB);
    at->os->ops->close(file);
    free(out);
    free(in);
}

static void test_allocate_grows_with_zeros_and_never_shrinks(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    static const unsigned char zeros[4096];
    unsigned char bytes[4096];
    size_t got = 0;
    os_stat entry;

    put_text(file, "text", 0);
    assert_int_equal(at->os->ops->allocate(file, 4, 10000), 0);
    assert_int_equal(at->os->ops->stat(file, &entry), 0);
    assert_int_equal(entry.size, 10004);
    assert_true(entry.allocated >= 10004);
    assert_int_equal(at->os->ops->allocate(file, 0, 100), 0);
    assert_int_equal(at->os->ops->allocate(file, 50000, 0), 0);
    assert_int_equal(at->os->ops->stat(file, &entry), 0);
    assert_int_equal(entry.size, 10004);
    assert_int_equal(at->os->ops->read_at(file, bytes, 4, 0, &got), 0);
    assert_memory_equal(bytes, "text", 4);
    assert_int_equal(at->os->ops->read_at(file, bytes, 4096, 4, &got), 0);
    assert_int_equal(got, 4096);
    assert_memory_equal(bytes, zeros, 4096);
    at->os->ops->close(file);
}

static void test_truncate_cuts_and_extends_with_zeros(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    char bytes[8];
    size_t got = 0;

    put_text(file, "0123456789", 0);
    assert_int_equal(at->os->ops->truncate(file, 4), 0);
    assert_true(has_text(file, "0123"));
    assert_int_equal(at->os->ops->truncate(file, 8), 0);
    assert_int_equal(at->os->ops->read_at(file, bytes, 8, 0, &got), 0);
    assert_int_equal(got, 8);
    assert_memory_equal(bytes, "0123\0\0\0\0", 8);
    assert_int_equal(at->os->ops->sync(file), 0);
    at->os->ops->flush_hint(file, 0, 8);
    at->os->ops->close(file);
}

static void test_offsets_that_no_file_has_are_refused(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    const os_span span = {.data = "x", .size = 1};

    assert_int_equal(at->os->ops->write_at(file, &span, 1, UINT64_MAX), EFBIG);
    assert_int_equal(at->os->ops->write_at(file, &span, 1, INT64_MAX), EFBIG);
    assert_int_equal(at->os->ops->allocate(file, UINT64_MAX, UINT64_MAX),
                     EFBIG);
    assert_int_equal(at->os->ops->truncate(file, UINT64_MAX), EFBIG);
    assert_true(has_text(file, ""));
    at->os->ops->close(file);
}

/* --- maps ----------------------------------------------------------------- */

static void test_a_map_and_the_file_are_one(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    void *written = NULL;
    void *read = NULL;

    assert_int_equal(at->os->ops->allocate(file, 0, 8), 0);
    assert_int_equal(at->os->ops->map(file, 0, 4096, true, &written), 0);
    assert_int_equal(at->os->ops->map(file, 0, 4096, false, &read), 0);
    memcpy(written, "by a map", 8);
    assert_true(has_text(file, "by a map"));
    assert_memory_equal(read, "by a map", 8);
    put_text(file, "by write", 0);
    assert_memory_equal(written, "by write", 8);
    at->os->ops->prefault(at->os, written, 4096);
    at->os->ops->unmap(at->os, written, 4096);
    assert_memory_equal(read, "by write", 8);
    at->os->ops->unmap(at->os, read, 4096);
    at->os->ops->unmap(at->os, NULL, 4096);
    at->os->ops->close(file);
}

static void test_a_map_outlives_growth_and_handle(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    unsigned char *memory = NULL;

    assert_int_equal(at->os->ops->map(file, 0, 8 * MIB, true, (void **)&memory),
                     0);
    assert_int_equal((uintptr_t)memory % (2 * MIB), 0);
    assert_int_equal(at->os->ops->allocate(file, 0, 4096), 0);
    memory[0] = 1;
    assert_int_equal(at->os->ops->allocate(file, 4096, 3 * MIB), 0);
    memory[3 * MIB] = 2;
    at->os->ops->close(file);
    assert_int_equal(memory[0], 1);
    assert_int_equal(memory[3 * MIB], 2);
    at->os->ops->unmap(at->os, memory, 8 * MIB);
}

static void test_a_map_starts_at_its_offset(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    unsigned char *memory = NULL;

    put_text(file, "two MiB from the start", 2 * MIB);
    assert_int_equal(
        at->os->ops->map(file, 2 * MIB, 2 * MIB, false, (void **)&memory), 0);
    assert_memory_equal(memory, "two MiB from the start", 22);
    at->os->ops->unmap(at->os, memory, 2 * MIB);
    assert_int_equal(
        at->os->ops->map(file, 4096, 4096, false, (void **)&memory), EINVAL);
    assert_int_equal(at->os->ops->map(file, 0, 0, false, (void **)&memory),
                     EINVAL);
    at->os->ops->close(file);
}

static void test_a_map_needs_the_rights_of_its_file(void **state)
{
    place *at = *state;
    os_file *file = NULL;
    void *memory = NULL;

    at->os->ops->close(create_file(at->dir, "f"));
    assert_int_equal(at->os->ops->open(at->dir, "f", OS_READ, 0, &file), 0);
    assert_int_equal(at->os->ops->map(file, 0, 4096, true, &memory), EACCES);
    assert_int_equal(at->os->ops->map(file, 0, 4096, false, &memory), 0);
    at->os->ops->unmap(at->os, memory, 4096);
    at->os->ops->close(file);
}

static void test_private_memory_is_zero_and_aligned(void **state)
{
    static const unsigned char zeros[4096];
    place *at = *state;
    unsigned char *memory = NULL;
    size_t size = 6 * MIB + 4096;

    assert_int_equal(at->os->ops->map_private(at->os, size, (void **)&memory),
                     0);
    assert_int_equal((uintptr_t)memory % (2 * MIB), 0);
    assert_memory_equal(memory, zeros, 4096);
    assert_memory_equal(memory + size - 4096, zeros, 4096);
    memory[5] = 55;
    memory[size - 1] = 66;
    at->os->ops->prefault(at->os, memory + 5, size - 5);
    at->os->ops->collapse(at->os, memory, size);
    assert_int_equal(memory[5], 55);
    assert_int_equal(memory[size - 1], 66);
    at->os->ops->unmap(at->os, memory, size);
    assert_int_equal(at->os->ops->map_private(at->os, 0, (void **)&memory),
                     EINVAL);
}

/* --- byte locks
 * --------------------------------------------------------------- */

static bool is_locked(os_file *file, uint64_t offset, uint64_t size)
{
    bool locked = false;

    assert_int_equal(file->os->ops->is_locked(file, offset, size, &locked), 0);
    return locked;
}

static void test_locks_belong_to_the_handle(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_file *one = create_file(at->dir, "f");
    os_file *two = open_file(at->dir, "f");
    os_file *other = create_file(at->dir, "g");

    assert_int_equal(ops->lock(one, 5, 1, OS_EXCLUSIVE), 0);
    assert_int_equal(ops->lock(two, 5, 1, OS_EXCLUSIVE), EAGAIN);
    assert_int_equal(ops->lock(two, 5, 1, OS_SHARED), EAGAIN);
    assert_int_equal(ops->lock(two, 0, 10, OS_EXCLUSIVE), EAGAIN);
    assert_int_equal(ops->lock(two, 4, 1, OS_EXCLUSIVE), 0);
    assert_int_equal(ops->lock(two, 6, 1, OS_EXCLUSIVE), 0);
    assert_int_equal(ops->lock(other, 5, 1, OS_EXCLUSIVE), 0);
    assert_true(is_locked(two, 0, 100));
    assert_true(is_locked(two, 5, 1));
    assert_false(is_locked(two, 7, 100));
    assert_false(is_locked(one, 5, 1)); /* its own */
    ops->close(one);
    assert_false(is_locked(two, 0, 100));
    assert_int_equal(ops->lock(two, 5, 1, OS_EXCLUSIVE), 0);
    ops->close(two);
    ops->close(other);
}

static void test_shared_locks_live_together(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_file *one = create_file(at->dir, "f");
    os_file *two = open_file(at->dir, "f");

    assert_int_equal(ops->lock(one, 0, 1, OS_SHARED), 0);
    assert_int_equal(ops->lock(two, 0, 1, OS_SHARED), 0);
    assert_true(is_locked(one, 0, 1));
    assert_int_equal(ops->lock(one, 0, 1, OS_EXCLUSIVE), EAGAIN);
    assert_int_equal(ops->lock(two, 0, 1, OS_UNLOCK), 0);
    assert_false(is_locked(one, 0, 1));
    assert_int_equal(ops->lock(one, 0, 1, OS_EXCLUSIVE), 0);
    assert_int_equal(ops->lock(one, 0, 1, OS_SHARED), 0);
    assert_int_equal(ops->lock(two, 0, 1, OS_SHARED), 0);
    ops->close(one);
    ops->close(two);
}

static void test_unlocking_a_part_keeps_the_rest(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_file *one = create_file(at->dir, "f");
    os_file *two = open_file(at->dir, "f");

    assert_int_equal(ops->lock(one, 10, 30, OS_EXCLUSIVE), 0);
    assert_int_equal(ops->lock(one, 20, 10, OS_UNLOCK), 0);
    assert_false(is_locked(two, 0, 10));
    assert_true(is_locked(two, 19, 1));
    assert_false(is_locked(two, 20, 10));
    assert_true(is_locked(two, 30, 1));
    assert_false(is_locked(two, 40, 10));
    assert_int_equal(ops->lock(one, 0, 100, OS_UNLOCK), 0);
    assert_false(is_locked(two, 0, 100));
    ops->close(one);
    ops->close(two);
}

static void test_lock_refuses_what_it_cannot_hold(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_file *file = NULL;
    bool locked = false;

    ops->close(create_file(at->dir, "f"));
    assert_int_equal(ops->open(at->dir, "f", OS_READ, 0, &file), 0);
    assert_int_equal(ops->lock(file, 0, 1, OS_SHARED), 0);
    assert_int_equal(ops->lock(file, 0, 1, OS_EXCLUSIVE), EBADF);
    assert_int_equal(ops->lock(file, 0, 0, OS_SHARED), EINVAL);
    assert_int_equal(ops->lock(file, UINT64_MAX, 2, OS_SHARED), EINVAL);
    assert_int_equal(ops->is_locked(file, 0, 0, &locked), EINVAL);
    ops->close(file);
}

/* --- mutexes, futexes, threads
 * -------------------------------------------------- */

typedef struct shared {
    os *os;
    os_mutex mutex;
    uint64_t count; /* guarded by mutex */
    uint32_t word;  /* atomic */
} shared;

enum { THREADS = 4, ROUNDS = 5000 };

static void count_under_lock(void *argument)
{
    shared *common = argument;

    for (int i = 0; i < ROUNDS; i++) {
        if (common->os->ops->mutex_lock(common->os, &common->mutex, 60000) !=
            0) {
            return;
        }
        common->count++;
        common->os->ops->mutex_unlock(common->os, &common->mutex);
    }
}

static void test_a_mutex_excludes(void **state)
{
    place *at = *state;
    shared common = {.os = at->os};
    os_thread *threads[THREADS];

    assert_int_equal(at->os->ops->mutex_init(at->os, &common.mutex), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(at->os->ops->thread_start(at->os, count_under_lock,
                                                   &common, &threads[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++) {
        at->os->ops->thread_join(at->os, threads[i]);
    }
    assert_int_equal(common.count, THREADS * ROUNDS);
}

static void lock_and_die(void *argument)
{
    shared *common = argument;

    (void)common->os->ops->mutex_lock(common->os, &common->mutex, 0);
}

static void run_thread(os *os_to_use, os_thread_fn run, void *argument)
{
    os_thread *thread = NULL;

    assert_int_equal(
        os_to_use->ops->thread_start(os_to_use, run, argument, &thread), 0);
    os_to_use->ops->thread_join(os_to_use, thread);
}

static void test_a_dead_owner_is_told_once(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    shared common = {.os = at->os};

    assert_int_equal(ops->mutex_init(at->os, &common.mutex), 0);
    run_thread(at->os, lock_and_die, &common);
    assert_int_equal(ops->mutex_lock(at->os, &common.mutex, 0), EOWNERDEAD);
    ops->mutex_consistent(at->os, &common.mutex);
    ops->mutex_unlock(at->os, &common.mutex);
    assert_int_equal(ops->mutex_lock(at->os, &common.mutex, 0), 0);
    ops->mutex_unlock(at->os, &common.mutex);

    run_thread(at->os, lock_and_die, &common);
    assert_int_equal(ops->mutex_lock(at->os, &common.mutex, 100), EOWNERDEAD);
    ops->mutex_unlock(at->os, &common.mutex); /* not repaired */
    assert_int_equal(ops->mutex_lock(at->os, &common.mutex, 0),
                     ENOTRECOVERABLE);
}

static void test_lock_waits_as_long_as_told(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_mutex mutex;
    uint64_t start;

    assert_int_equal(ops->mutex_init(at->os, &mutex), 0);
    assert_int_equal(ops->mutex_lock(at->os, &mutex, 0), 0);
    assert_int_equal(ops->mutex_lock(at->os, &mutex, 0), ETIMEDOUT);
    start = ops->now_ns(at->os);
    assert_int_equal(ops->mutex_lock(at->os, &mutex, 30), ETIMEDOUT);
    assert_true(ops->now_ns(at->os) - start >= 30 * 1000000ULL);
    ops->mutex_unlock(at->os, &mutex);
    assert_int_equal(ops->mutex_lock(at->os, &mutex, UINT64_MAX), 0);
    ops->mutex_unlock(at->os, &mutex);
}

static void set_and_wake(void *argument)
{
    shared *common = argument;

    common->os->ops->sleep_ms(common->os, 20);
    __atomic_store_n(&common->word, 1, __ATOMIC_RELEASE);
    common->os->ops->futex_wake(common->os, &common->word);
}

static void test_a_futex_wakes_or_times_out(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    shared common = {.os = at->os};
    os_thread *thread = NULL;
    uint64_t start = ops->now_ns(at->os);

    assert_int_equal(ops->futex_wait(at->os, &common.word, 7, 60000), 0);
    assert_int_equal(ops->futex_wait(at->os, &common.word, 0, 0), ETIMEDOUT);
    assert_int_equal(ops->futex_wait(at->os, &common.word, 0, 30), ETIMEDOUT);
    assert_true(ops->now_ns(at->os) - start >= 30 * 1000000ULL);
    assert_int_equal(ops->thread_start(at->os, set_and_wake, &common, &thread),
                     0);
    while (__atomic_load_n(&common.word, __ATOMIC_ACQUIRE) == 0) {
        assert_int_equal(ops->futex_wait(at->os, &common.word, 0, 60000), 0);
    }
    assert_true(ops->now_ns(at->os) - start < 30 * 1000000000ULL);
    ops->thread_join(at->os, thread);
}

/* --- the rest
 * -------------------------------------------------------------------- */

static void test_clocks_and_randomness(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    uint64_t start = ops->now_ns(at->os);
    unsigned char one[64] = {0};
    unsigned char two[64] = {0};
    uint8_t boot[16];
    uint8_t again[16];

    ops->sleep_ms(at->os, 5);
    assert_true(ops->now_ns(at->os) - start >= 5 * 1000000ULL);
    assert_true(ops->wall_ms(at->os) > 1500000000000ULL); /* 2017 */
    assert_int_equal(ops->random(at->os, one, sizeof(one)), 0);
    assert_int_equal(ops->random(at->os, two, sizeof(two)), 0);
    assert_memory_not_equal(one, two, sizeof(one));
    assert_int_equal(ops->random(at->os, one, 0), 0);
    assert_int_equal(ops->boot_id(at->os, boot), 0);
    assert_int_equal(ops->boot_id(at->os, again), 0);
    assert_memory_equal(boot, again, sizeof(boot));
    assert_true(ops->mutex_layout(at->os) != 0);
    assert_true(ops->mutex_layout(at->os) == ops->mutex_layout(at->os));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_open_dir_wants_a_directory),
        ON_ALL(test_make_dir_once_and_remove_it_empty),
        ON_ALL(test_list_names_each_once_until_stopped),
        ON_ALL(test_remove_takes_files_only),
        ON_ALL(test_a_removed_file_stays_with_its_handle),
        ON_ALL(test_rename_replaces),
        ON_ALL(test_a_link_is_a_second_name),
        ON_ALL(test_a_name_is_one_component),
        ON_ALL(test_space_is_known),
        ON_ALL(test_the_path_of_a_directory_leads_to_it_or_is_empty),
        ON_ALL(test_open_creates_only_if_told),
        ON_ALL(test_reads_and_writes_need_their_flag),
        ON_ALL(test_read_is_short_only_at_the_end),
        ON_ALL(test_write_joins_up_to_eight_spans),
        ON_ALL(test_large_writes_arrive_whole),
        ON_ALL(test_allocate_grows_with_zeros_and_never_shrinks),
        ON_ALL(test_truncate_cuts_and_extends_with_zeros),
        ON_ALL(test_offsets_that_no_file_has_are_refused),
        ON_ALL(test_a_map_and_the_file_are_one),
        ON_ALL(test_a_map_outlives_growth_and_handle),
        ON_ALL(test_a_map_starts_at_its_offset),
        ON_ALL(test_a_map_needs_the_rights_of_its_file),
        ON_ALL(test_private_memory_is_zero_and_aligned),
        ON_ALL(test_locks_belong_to_the_handle),
        ON_ALL(test_shared_locks_live_together),
        ON_ALL(test_unlocking_a_part_keeps_the_rest),
        ON_ALL(test_lock_refuses_what_it_cannot_hold),
        ON_ALL(test_a_mutex_excludes),
        ON_ALL(test_a_dead_owner_is_told_once),
        ON_ALL(test_lock_waits_as_long_as_told),
        ON_ALL(test_a_futex_wakes_or_times_out),
        ON_ALL(test_clocks_and_randomness),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
