/*
 * Linux: /proc/self for memory, CLOCK_MONOTONIC for time.
 */
#define _GNU_SOURCE
#include "measure.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

#define HUGE_PAGE (UINT64_C(2) << 20)

/* At rest: at most so much processor time in a pause; waited for at most so
 * long. */
#define REST_PAUSE_NS 200000000u
#define REST_BUSY_NS UINT64_C(5000000)
#define REST_MOST_NS UINT64_C(60000000000)

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

uint64_t process_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void wait_for_rest(void)
{
    uint64_t end = now_ns() + REST_MOST_NS;
    uint64_t used = 0;
    do {
        uint64_t before = process_ns();
        usleep(REST_PAUSE_NS / 1000);
        used = process_ns() - before;
    } while (used > REST_BUSY_NS && now_ns() < end);
}

/* The number after "name:" in a file under /proc; 0 if missing. */
static uint64_t proc_number(const char *path, const char *name)
{
    char line[256];
    uint64_t value = 0;
    size_t length = strlen(name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            sscanf(line + length + 1, "%" SCNu64, &value);
            break;
        }
    }
    fclose(file);
    return value;
}

/* The same for "name: n kB", in bytes. */
static uint64_t proc_bytes(const char *path, const char *name)
{
    return proc_number(path, name) * 1024;
}

uint64_t io_called_bytes(void)
{
    return proc_number("/proc/self/io", "wchar");
}

uint64_t io_dirtied_bytes(void)
{
    return proc_number("/proc/self/io", "write_bytes");
}

static uint64_t directory_sum; /* of the walk below; one at a time */

static int add_file(const char *path, const struct stat *status, int type,
                    struct FTW *place)
{
    (void)path;
    (void)place;
    if (type == FTW_F) {
        uint64_t size = (uint64_t)status->st_size;
        uint64_t blocks = (uint64_t)status->st_blocks * 512;
        directory_sum += size < blocks ? size : blocks;
    }
    return 0;
}

uint64_t directory_bytes(const char *path)
{
    directory_sum = 0;
    /* A file that the engine removes meanwhile is left out by itself. */
    if (nftw(path, add_file, 16, FTW_PHYS) != 0) {
        bench_die("cannot walk through %s: %s", path, strerror(errno));
    }
    return directory_sum;
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
