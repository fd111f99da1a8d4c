/*
 * Several threads or processes that do the same work at the same time.
 */
#ifndef BENCH_TEAM_H
#define BENCH_TEAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum team_kind { TEAM_THREADS, TEAM_PROCESSES } team_kind;

#define TEAM_MAX 64

/* What each member does. `context` is shared and not changed. */
typedef struct team_job {
    /* Not timed: open, allocate, warm up. Returns the member's state. */
    void *(*prepare)(const void *context, size_t member);
    /* Timed, begun by all members at once. Returns operations done. */
    uint64_t (*work)(void *state);
    /* Not timed, when all members have finished their work. */
    void (*finish)(void *state);
    const void *context;
} team_job;

typedef struct team_result {
    uint64_t operations; /* of all members */
    uint64_t elapsed_ns; /* from the first start to the last end */
} team_result;

/* Run `count` (1 .. TEAM_MAX) members. Ends the process if one fails. For
 * processes: the caller must have no store open. */
team_result team_run(team_kind kind, size_t count, const team_job *job);

/* Run `body` in a new process, which is killed if this one ends. */
pid_t process_start(void (*body)(void *context), void *context);

/* Wait for it; ends this process if it failed. */
void process_wait(pid_t pid);

/* Kill it, as nothing it does can prevent, and wait until it is gone. */
void process_kill(pid_t pid);

/* Memory that processes started later share, zeroed, never freed. */
void *shared_create(size_t bytes);

#endif
