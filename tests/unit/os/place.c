/*
 * Directories for tests.
 */
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t test_seed(void)
{
    static bool printed;
    const char *text = getenv("CASK_TEST_SEED");
    uint64_t seed = text == NULL ? 20240611 : strtoull(text, NULL, 0);

    if (!printed) {
        print_message("CASK_TEST_SEED=%llu\n", (unsigned long long)seed);
        printed = true;
    }
    return seed;
}

/* --- fixtures ----------------------------------------------------------- */

static place *new_place(void)
{
    place *made = aligned_alloc(_Alignof(place), sizeof(*made));

    assert_non_null(made);
    memset(made, 0, sizeof(*made));
    return made;
}

static void make_real_dir(place *made)
{
    const char *parent = getenv("TMPDIR");

    (void)snprintf(made->path, sizeof(made->path), "%s/caskade-os-XXXXXX",
                   parent == NULL ? "/tmp" : parent);
    assert_non_null(mkdtemp(made->path));
}

int place_setup_posix(void **state)
{
    place *made = new_place();

    make_real_dir(made);
    made->os = os_posix();
    assert_int_equal(made->os->ops->open_dir(made->os, made->path, &made->dir),
                     0);
    *state = made;
    return 0;
}

int place_setup_fault(void **state)
{
    place *made = new_place();

    make_real_dir(made);
    os_fault_init(&made->fault, os_posix());
    made->os = &made->fault.base;
    assert_int_equal(made->os->ops->open_dir(made->os, made->path, &made->dir),
                     0);
    *state = made;
    return 0;
}

int place_setup_sim(void **state)
{
    place *made = new_place();
    os_sim_options options = {.seed = test_seed()};

    assert_int_equal(os_sim_create(&options, &made->sim), 0);
    made->os = os_sim_os(made->sim);
    (void)snprintf(made->path, sizeof(made->path), "/store");
    assert_int_equal(made->os->ops->make_dir(made->os, made->path, 0700), 0);
    assert_int_equal(made->os->ops->open_dir(made->os, made->path, &made->dir),
                     0);
    assert_int_equal(os_sim_sync_all(made->sim), 0);
    *state = made;
    return 0;
}

void place_remove_tree(const char *path)
{
    DIR *stream = opendir(path);
    const struct dirent *entry;

    assert_non_null(stream);
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(dirfd(stream), entry->d_name, 0) != 0) {
            assert_int_equal(
                unlinkat(dirfd(stream), entry->d_name, AT_REMOVEDIR), 0);
        }
    }
    closedir(stream);
    assert_int_equal(rmdir(path), 0);
}

int place_teardown(void **state)
{
    place *made = *state;

    made->os->ops->close(made->dir);
    if (made->sim != NULL) {
        os_sim_free(made->sim);
    } else {
        place_remove_tree(made->path);
    }
    free(made);
    return 0;
}

/* --- files -------------------------------------------------------------- */

os_file *create_file(os_file *dir, const char *name)
{
    os_file *file = NULL;

    assert_int_equal(dir->os->ops->open(dir, name,
                                        OS_READ | OS_WRITE | OS_CREATE, 0600,
                                        &file),
                     0);
    return file;
}

os_file *open_file(os_file *dir, const char *name)
{
    os_file *file = NULL;

    assert_int_equal(
        dir->os->ops->open(dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    return file;
}

void put_bytes(os_file *file, const void *data, size_t size, uint64_t offset)
{
    os_span span = {.data = data, .size = size};

    assert_int_equal(file->os->ops->write_at(file, &span, 1, offset), 0);
}

void put_text(os_file *file, const char *text, uint64_t offset)
{
    put_bytes(file, text, strlen(text), offset);
}

bool has_text(os_file *file, const char *text)
{
    size_t size = strlen(text);
    char *bytes = malloc(size + 1);
    size_t got = 0;
    bool same;

    assert_non_null(bytes);
    /* One byte more, to see that the file ends here. */
    assert_int_equal(file->os->ops->read_at(file, bytes, size + 1, 0, &got), 0);
    same = got == size && memcmp(bytes, text, size) == 0;
    free(bytes);
    return same;
}

bool name_has_text(os_file *dir, const char *name, const char *text)
{
    os_file *file = NULL;
    int error = dir->os->ops->open(dir, name, OS_READ, 0, &file);
    bool same;

    if (error == ENOENT) {
        return false;
    }
    assert_int_equal(error, 0);
    same = has_text(file, text);
    dir->os->ops->close(file);
    return same;
}

bool name_exists(os_file *dir, const char *name)
{
    os_stat entry;
    int error = dir->os->ops->stat_name(dir, name, &entry);

    assert_true(error == 0 || error == ENOENT);
    return error == 0;
}

static bool count_one(void *context, const char *name)
{
    (void)name;
    ++*(size_t *)context;
    return true;
}

size_t count_names(os_file *dir)
{
    size_t count = 0;

    assert_int_equal(dir->os->ops->list(dir, count_one, &count), 0);
    return count;
}
