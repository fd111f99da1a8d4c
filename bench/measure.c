/*
 * Linux: /proc/self for memory, CLOCK_MONOTONIC for time.
 */
#define _GNU_SOURCE
#include "measure.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "engine.h"

#define HUGE_PAGE (UINT64_C(2) << 20)

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t thread_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* The line "name: n kB" of a file under /proc, in bytes; 0 if missing. */
static uint64_t proc_bytes(const char *path, const char *name)
{
    char line[256];
    uint64_t kib = 0;
    size_t length = strlen(name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            sscanf(line + length + 1, "%" SCNu64, &kib);
            break;
        }
    }
    fclose(file);
    return kib * 1024;
}

void memory_warm(uint64_t bytes)
{
    uint64_t limit = proc_bytes("/proc/meminfo", "MemAvailable") / 2;
    bytes = (bytes < limit ? bytes : limit) & ~(HUGE_PAGE - 1);
    char *memory = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        bench_die("cannot map %" PRIu64 " bytes to warm up", bytes);
    }
    char *aligned = memory + (-(uintptr_t)memory & (HUGE_PAGE - 1));
    /* In whole huge pages: the kernel hands out large pieces that were freed
     * last first, but prefers small pieces of anywhere to breaking them up. */
    (void)madvise(aligned, bytes, MADV_HUGEPAGE);
    for (uint64_t at = 0; at < bytes; at += 4096) {
        *(volatile char *)(aligned + at) = 1;
    }
    munmap(memory, bytes + HUGE_PAGE);
}

void memory_peak_reset(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    if (file == NULL) {
        return;
    }
    fputs("5", file);
    fclose(file);
}

uint64_t memory_peak_bytes(void)
{
    return proc_bytes("/proc/self/status", "VmHWM");
}

uint64_t memory_held_bytes(void)
{
    return proc_bytes("/proc/self/status", "RssAnon") +
           proc_bytes("/proc/self/status", "RssShmem");
}
