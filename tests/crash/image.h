/*
 * A store's directory as bytes: take it from a disk, damage it, put it back.
 * Every function fails the test if a call fails.
 */
#ifndef CASKADE_TESTS_CRASH_IMAGE_H
#define CASKADE_TESTS_CRASH_IMAGE_H

#include "cask_test.h"

#include "os/os.h"

enum { IMAGE_FILES = 32, IMAGE_NAME = 64 };

typedef struct image_file {
    char name[IMAGE_NAME];
    uint8_t *data; /* owned */
    size_t size;   /* bytes */
    bool missing;  /* image_restore() leaves it out */
} image_file;

/* Files by name, LOCK and REGION left out: they hold nothing. */
typedef struct image {
    image_file files[IMAGE_FILES];
    size_t count;
} image;

/* What directory `path` holds now. Free with image_free(). */
void image_capture(os *kernel, const char *path, image *ret_image);

/* Make `path` exactly this; it is created if it is missing. */
void image_restore(os *kernel, const char *path, const image *from);

/* A copy of its own; image_free() both. */
void image_copy(const image *from, image *ret_image);

void image_free(image *all);

/* NULL if there is none of that name. */
image_file *image_find(image *all, const char *name);

/* Give the file other content. */
void image_set(image_file *file, const uint8_t *data, size_t size);

/* Whether both hold the same files with the same bytes. */
bool image_equal(const image *a, const image *b);

/* CASK_TEST_SEED, or a fixed number; printed once. */
uint64_t crash_seed(void);

/* SplitMix64. */
uint64_t crash_random(uint64_t *state);

/* Exchange what two files hold. */
void image_swap(image_file *a, image_file *b);

#endif
