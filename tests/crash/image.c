/*
 * A store's directory as bytes.
 */
#include "crash/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Randomness ---------------------------------------------------------- */

uint64_t crash_seed(void)
{
    static uint64_t seed;
    const char *text = getenv("CASK_TEST_SEED");

    if (seed == 0) {
        seed = text != NULL ? strtoull(text, NULL, 0) : 20261121;
        print_message("CASK_TEST_SEED=%llu\n", (unsigned long long)seed);
    }
    return seed;
}

uint64_t crash_random(uint64_t *state)
{
    uint64_t value = *state += 0x9e3779b97f4a7c15;

    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

/* ---- Taking -------------------------------------------------------------- */

static bool holds_nothing(const char *name)
{
    return strcmp(name, "LOCK") == 0 || strcmp(name, "REGION") == 0;
}

static bool add_name(void *context, const char *name)
{
    image *to = context;

    if (!holds_nothing(name)) {
        assert_true(to->count < IMAGE_FILES);
        (void)snprintf(to->files[to->count].name, IMAGE_NAME, "%s", name);
        to->count++;
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const image_file *)a)->name, ((const image_file *)b)->name);
}

static void read_file(os_file *dir, image_file *file)
{
    const os_ops *ops = dir->os->ops;
    os_file *from;
    os_stat stat;

    assert_int_equal(ops->stat_name(dir, file->name, &stat), 0);
    assert_int_equal(stat.kind, OS_REGULAR);
    assert_int_equal(ops->open(dir, file->name, OS_READ, 0, &from), 0);
    file->data = malloc(stat.size + 1);
    assert_non_null(file->data);
    assert_int_equal(ops->read_at(from, file->data, stat.size, 0, &file->size),
                     0);
    ops->close(from);
}

void image_capture(os *kernel, const char *path, image *ret_image)
{
    os_file *dir;

    memset(ret_image, 0, sizeof(*ret_image));
    assert_int_equal(kernel->ops->open_dir(kernel, path, &dir), 0);
    assert_int_equal(kernel->ops->list(dir, add_name, ret_image), 0);
    qsort(ret_image->files, ret_image->count, sizeof(image_file), by_name);
    for (size_t i = 0; i < ret_image->count; i++) {
        read_file(dir, &ret_image->files[i]);
    }
    kernel->ops->close(dir);
}

/* ---- Putting back -------------------------------------------------------- */

typedef struct names {
    char name[IMAGE_FILES][IMAGE_NAME];
    size_t count;
} names;

static bool note_name(void *context, const char *name)
{
    names *all = context;

    assert_true(all->count < IMAGE_FILES);
    (void)snprintf(all->name[all->count++], IMAGE_NAME, "%s", name);
    return true;
}

static void write_file(os_file *dir, const image_file *file)
{
    const os_ops *ops = dir->os->ops;
    const os_span span = {file->data, file->size};
    os_file *to;

    assert_int_equal(ops->open(dir, file->name,
                               OS_READ | OS_WRITE | OS_CREATE | OS_EXCL, 0600,
                               &to),
                     0);
    assert_int_equal(ops->write_at(to, &span, 1, 0), 0);
    ops->close(to);
}

void image_restore(os *kernel, const char *path, const image *from)
{
    int error = kernel->ops->make_dir(kernel, path, 0700);
    names old = {.count = 0};
    os_file *dir;

    assert_true(error == 0 || error == EEXIST);
    assert_int_equal(kernel->ops->open_dir(kernel, path, &dir), 0);
    assert_int_equal(kernel->ops->list(dir, note_name, &old), 0);
    for (size_t i = 0; i < old.count; i++) {
        assert_int_equal(kernel->ops->remove(dir, old.name[i]), 0);
    }
    for (size_t i = 0; i < from->count; i++) {
        if (!from->files[i].missing) {
            write_file(dir, &from->files[i]);
        }
    }
    assert_int_equal(dir->os->ops->sync_dir(dir), 0);
    kernel->ops->close(dir);
}

/* ---- In memory ----------------------------------------------------------- */

void image_set(image_file *file, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);

    assert_non_null(copy);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    free(file->data);
    file->data = copy;
    file->size = size;
}

void image_copy(const image *from, image *ret_image)
{
    *ret_image = *from;
    for (size_t i = 0; i < from->count; i++) {
        ret_image->files[i].data = NULL;
        image_set(&ret_image->files[i], from->files[i].data,
                  from->files[i].size);
    }
}

void image_free(image *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->files[i].data);
    }
    all->count = 0;
}

image_file *image_find(image *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++) {
        if (strcmp(all->files[i].name, name) == 0) {
            return &all->files[i];
        }
    }
    return NULL;
}

bool image_equal(const image *a, const image *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        const image_file *x = &a->files[i];
        const image_file *y = &b->files[i];

        if (strcmp(x->name, y->name) != 0 || x->size != y->size ||
            (x->size > 0 && memcmp(x->data, y->data, x->size) != 0)) {
            return false;
        }
    }
    return true;
}

void image_swap(image_file *a, image_file *b)
{
    uint8_t *data = a->data;
    size_t size = a->size;

    a->data = b->data;
    a->size = b->size;
    b->data = data;
    b->size = size;
}
