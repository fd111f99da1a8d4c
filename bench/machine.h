/*
 * What a figure depends on besides the engines: the machine and its load.
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdint.h>

typedef struct bench_machine {
    char date[32]; /* UTC, when the benchmark began */
    char cpu[128];
    char kernel[200];
    char architecture[66];
    char filesystem[32]; /* of the stores' directory */
    char huge_pages[64]; /* policy for private and for shared memory */
    long cores;
    uint64_t memory_bytes;
    double load; /* one-minute load average before the first run */
} bench_machine;

/* Fill `self`; what cannot be found out is "unknown" or 0. */
void machine_describe(bench_machine *self, const char *directory);

#endif
