/*
 * The real os: memory maps.
 *
 * Maps of 2 MiB and more start on a 2 MiB border, or no huge page fits them:
 * a larger range is reserved, trimmed to the border and mapped over.
 */
#define _GNU_SOURCE

#include "os/os_posix_internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* Newer than the headers we build with. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

typedef struct map_request {
    size_t size; /* bytes */
    int protection;
    int flags;
    int descriptor; /* or -1 */
    off_t offset;
} map_request;

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Reserve `size` bytes (whole pages) of addresses on a 2 MiB border. */
static int reserve(size_t size, char **ret_start)
{
    size_t whole = size + POSIX_HUGE_PAGE_SIZE;
    char *memory = mmap(NULL, whole, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t before;

    if (memory == MAP_FAILED) {
        return errno;
    }
    before = (size_t)(-(uintptr_t)memory & (POSIX_HUGE_PAGE_SIZE - 1));
    if (before > 0) {
        (void)munmap(memory, before);
    }
    (void)munmap(memory + before + size, POSIX_HUGE_PAGE_SIZE - before);
    *ret_start = memory + before;
    return 0;
}

static int map_aligned(const map_request *request, void **ret_memory)
{
    size_t mask = page_size() - 1;
    size_t whole;
    char *start = NULL;
    void *memory;
    int error;

    if (request->size > SIZE_MAX - mask - POSIX_HUGE_PAGE_SIZE) {
        return ENOMEM;
    }
    whole = (request->size + mask) & ~mask;
    error = reserve(whole, &start);
    if (error != 0) {
        return error;
    }
    memory =
        mmap(start, request->size, request->protection,
             request->flags | MAP_FIXED, request->descriptor, request->offset);
    if (memory == MAP_FAILED) {
        error = errno;
        (void)munmap(start, whole);
        return error;
    }
    *ret_memory = memory;
    return 0;
}

static int map_request_run(const map_request *request, void **ret_memory)
{
    void *memory;

    if (request->size >= POSIX_HUGE_PAGE_SIZE) {
        return map_aligned(request, ret_memory);
    }
    memory = mmap(NULL, request->size, request->protection, request->flags,
                  request->descriptor, request->offset);
    if (memory == MAP_FAILED) {
        return errno;
    }
    *ret_memory = memory;
    return 0;
}

int posix_map(os_file *file, uint64_t offset, size_t size, bool write,
              void **ret_memory)
{
    map_request request = {
        .size = size,
        .protection = write ? PROT_READ | PROT_WRITE : PROT_READ,
        .flags = MAP_SHARED,
        .descriptor = posix_descriptor(file),
        .offset = (off_t)offset,
    };

    if (size == 0 || offset > INT64_MAX || offset % POSIX_HUGE_PAGE_SIZE != 0) {
        return EINVAL;
    }
    return map_request_run(&request, ret_memory);
}

int posix_map_private(os *self, size_t size, void **ret_memory)
{
    map_request request = {
        .size = size,
        .protection = PROT_READ | PROT_WRITE,
        .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        .descriptor = -1,
    };

    (void)self;
    return size == 0 ? EINVAL : map_request_run(&request, ret_memory);
}

void posix_unmap(os *self, void *memory, size_t size)
{
    (void)self;
    if (memory != NULL) {
        (void)munmap(memory, size);
    }
}

/* Advice about all pages that [memory, memory+size) touches. */
static void advise(void *memory, size_t size, int advice)
{
    size_t before = (uintptr_t)memory & (page_size() - 1);

    (void)madvise((char *)memory - before, size + before, advice);
}

void posix_prefault(os *self, void *memory, size_t size)
{
    (void)self;
    advise(memory, size, MADV_POPULATE_WRITE);
}

void posix_unfault(os *self, void *memory, size_t size)
{
    (void)self;
    advise(memory, size, MADV_DONTNEED);
}

void posix_blank(os *self, void *memory, size_t size)
{
    (void)self;
    /* In one step for every thread that reads there. If there are too many
     * maps for it, the file stays until unmap(). */
    (void)mmap(memory, size, PROT_READ,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void posix_collapse(os *self, void *memory, size_t size)
{
    (void)self;
    advise(memory, size, MADV_HUGEPAGE);
    advise(memory, size, MADV_COLLAPSE);
}

int posix_fork_word(os *self, uint32_t **ret_word)
{
    uint32_t *word;

    (void)self;
    word = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED) {
        return errno;
    }
    if (madvise(word, page_size(), MADV_WIPEONFORK) != 0) {
        int error = errno;
        (void)munmap(word, page_size());
        return error;
    }
    *word = 1;
    *ret_word = word;
    return 0;
}

void posix_fork_word_free(os *self, uint32_t *word)
{
    (void)self;
    if (word != NULL) {
        (void)munmap(word, page_size());
    }
}
