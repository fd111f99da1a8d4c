/*
 * The clock, the memory of this process, and warming up memory.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Monotonic nanoseconds. */
uint64_t now_ns(void);

/* Nanoseconds of processor time that this thread has used. */
uint64_t thread_ns(void);

/* The same of all threads of this process, ended ones included. */
uint64_t process_ns(void);

/*
 * Wait until the process does nothing: what an engine does in the background
 * after a fill would otherwise count for the gets. A minute at most.
 */
void wait_for_rest(void);

/* Bytes that this process has given to calls like write(); 0: not known. */
uint64_t io_called_bytes(void);

/*
 * Bytes of pages that this process has made dirty in files, through maps as
 * well as by calls: a page counts once until it is written back. 0: not known.
 */
uint64_t io_dirtied_bytes(void);

/* Bytes of all files in a directory and below, without holes and without what
 * is only reserved. */
uint64_t directory_bytes(const char *path);

/*
 * Touch `bytes` of fresh memory (at most half of what is available) and give
 * it back. A virtual machine hands memory that it has not used for two seconds
 * back to its host, and touching it again costs several times what is measured
 * here. After this call the pages that the work will get are backed, for about
 * two seconds.
 */
void memory_warm(uint64_t bytes);

/* Forget the highest resident size so far, so that the next one counts. */
void memory_peak_reset(void);

/* Highest resident size since then, bytes; mapped files count. */
uint64_t memory_peak_bytes(void);

/* Resident memory that is not a file: private and shared, bytes. */
uint64_t memory_held_bytes(void);

#ifdef __cplusplus
}
#endif

#endif
