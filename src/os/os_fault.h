/*
 * An os that fails on command: wraps any other os, counts the calls that can
 * fail, and makes chosen ones return an errno value. For tests.
 *
 *     os_fault fault;
 *     os_fault_init(&fault, os_posix());
 *     for (uint64_t n = 0;; n++) {
 *         os_fault_plan plan = OS_FAULT_NOTHING;
 *         plan.fail_at = n;
 *         plan.error = ENOSPC;
 *         os_fault_arm(&fault, &plan);
 *         status = operation(&fault.base);
 *         if (!os_fault_fired(&fault)) {
 *             break;          // fewer than n calls: the sweep is complete
 *         }
 *         check(status);
 *     }
 *
 * A call that fails does not reach the wrapped os (but see short_write), so
 * it has no effect. Any number of threads may use one os_fault.
 */
#ifndef CASKADE_OS_FAULT_H
#define CASKADE_OS_FAULT_H

#include "os/os.h"

#include <stdatomic.h>

/* The operations that can fail, by their names in os_ops. */
typedef enum os_call {
    /* In a plan: all below but MUTEX_LOCK and FUTEX_WAIT. These two are failed
     * only when asked for by name, because they cannot fail with EIO and the
     * like. */
    OS_CALL_ANY,
    OS_CALL_OPEN_DIR,
    OS_CALL_MAKE_DIR,
    OS_CALL_REMOVE_DIR,
    OS_CALL_LIST,
    OS_CALL_SPACE,
    OS_CALL_SYNC_DIR,
    OS_CALL_STAT_NAME,
    OS_CALL_REMOVE,
    OS_CALL_RENAME,
    OS_CALL_LINK,
    OS_CALL_OPEN,
    OS_CALL_STAT,
    OS_CALL_READ_AT,
    OS_CALL_WRITE_AT,
    OS_CALL_ALLOCATE,
    OS_CALL_RESERVE,
    OS_CALL_TRUNCATE,
    OS_CALL_SYNC,
    OS_CALL_MAP,
    OS_CALL_MAP_PRIVATE,
    OS_CALL_LOCK,
    OS_CALL_IS_LOCKED,
    OS_CALL_MUTEX_INIT,
    OS_CALL_THREAD_START,
    OS_CALL_RANDOM,
    OS_CALL_BOOT_ID,
    OS_CALL_FORK_WORD,
    OS_CALL_MUTEX_LOCK,
    OS_CALL_FUTEX_WAIT,
    OS_CALL_COUNT /* how many there are; not a call */
} os_call;

typedef struct os_fault_plan {
    os_call only;     /* count and fail this operation; OS_CALL_ANY: all */
    uint64_t fail_at; /* 0-based number of the call; UINT64_MAX: never */
    int error;        /* errno value that it returns */
    bool for_ever;    /* later calls that count fail as well */
    /* A write_at() that fails first writes half of its bytes. */
    bool short_write;
} os_fault_plan;

#define OS_FAULT_NOTHING ((os_fault_plan){.fail_at = UINT64_MAX})

enum { OS_FAULT_TRACE_SIZE = 4096 }; /* calls remembered by name */

/* Caller's memory; needs no done(). Members are private but for `base`. */
typedef struct os_fault {
    os base; /* pass &fault.base to what is tested */
    os *inner;
    os_fault_plan plan; /* guard */
    atomic_flag guard;
    _Atomic uint64_t counted; /* calls that the plan counts */
    _Atomic uint64_t total;   /* calls that can fail */
    _Atomic uint64_t fired;   /* calls that were failed */
    _Atomic uint64_t count_of[OS_CALL_COUNT];
    _Atomic uint8_t trace[OS_FAULT_TRACE_SIZE]; /* os_call of the first ones */
} os_fault;

/* Wrap `inner` (borrowed), failing nothing. */
void os_fault_init(os_fault *fault, os *inner);

/*
 * Follow `plan` from now on; all counters and the trace start again. Files
 * that are open stay open. A call that runs in another thread meanwhile counts
 * or not.
 */
void os_fault_arm(os_fault *fault, const os_fault_plan *plan);

/* How many calls were failed since os_fault_arm(). */
uint64_t os_fault_fired(const os_fault *fault);

/* How many calls the plan counted, those that failed included. */
uint64_t os_fault_counted(const os_fault *fault);

/* How many calls of one operation were made; OS_CALL_ANY: of all together. */
uint64_t os_fault_count_of(const os_fault *fault, os_call call);

/* "write_at" for OS_CALL_WRITE_AT. */
const char *os_call_name(os_call call);

/*
 * The names of all calls since os_fault_arm() that could fail, in order with a
 * space between: "open write_at sync rename sync_dir". Always ends in NUL;
 * what does not fit in `size` bytes (at least 1) is left out at a whole name.
 * Returns `text`.
 */
char *os_fault_describe(const os_fault *fault, char *text, size_t size);

#endif
