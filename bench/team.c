/*
 * Members meet at a barrier in shared memory before and after the work, and
 * leave their times there. A process that dies never reaches the barrier: its
 * parent notices and ends, which kills the others.
 */
#define _GNU_SOURCE
#include "team.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "measure.h"

typedef struct member_times {
    uint64_t start_ns;
    uint64_t end_ns;
    uint64_t operations;
} member_times;

typedef struct team {
    pthread_barrier_t barrier;
    member_times times[TEAM_MAX];
} team;

typedef struct member {
    team *team;
    const team_job *job;
    size_t index;
} member;

void *shared_create(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        bench_die("cannot map %zu shared bytes: %s", bytes, strerror(errno));
    }
    return memory;
}

pid_t process_start(void (*body)(void *context), void *context)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        bench_die("cannot fork: %s", strerror(errno));
    }
    if (pid != 0) {
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1); /* it died before the line above */
    }
    body(context);
    _exit(0);
}

static void check_exit(int wait_status)
{
    if (WIFSIGNALED(wait_status)) {
        bench_die("a process was killed by signal %d", WTERMSIG(wait_status));
    }
    if (WEXITSTATUS(wait_status) != 0) {
        _exit(1); /* it has said why */
    }
}

static int wait_for(pid_t pid)
{
    int wait_status = 0;
    while (waitpid(pid, &wait_status, 0) < 0) {
        if (errno != EINTR) {
            bench_die("cannot wait for a process: %s", strerror(errno));
        }
    }
    return wait_status;
}

void process_wait(pid_t pid)
{
    check_exit(wait_for(pid));
}

void process_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    int wait_status = wait_for(pid);
    if (WIFEXITED(wait_status)) {
        check_exit(wait_status);
        bench_die("a process ended before it was killed");
    }
}

static void member_run(void *context)
{
    member *self = context;
    member_times *times = &self->team->times[self->index];
    void *state = self->job->prepare(self->job->context, self->index);
    pthread_barrier_wait(&self->team->barrier);
    times->start_ns = now_ns();
    times->operations = self->job->work(state);
    times->end_ns = now_ns();
    /* Nobody closes while another is still measured. */
    pthread_barrier_wait(&self->team->barrier);
    self->job->finish(state);
}

static void *member_thread(void *context)
{
    member_run(context);
    return NULL;
}

static void run_threads(member *members, size_t count)
{
    pthread_t threads[TEAM_MAX];
    for (size_t i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, member_thread, &members[i]) !=
            0) {
            bench_die("cannot start a thread");
        }
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void run_processes(member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        process_start(member_run, &members[i]);
    }
    /* In the order in which they end, so that a failure is seen at once. */
    for (size_t i = 0; i < count; i++) {
        process_wait(-1);
    }
}

team_result team_run(team_kind kind, size_t count, const team_job *job)
{
    member members[TEAM_MAX];
    team *shared = shared_create(sizeof(*shared));
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&shared->barrier, &attributes, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        members[i] = (member){shared, job, i};
    }
    if (kind == TEAM_THREADS) {
        run_threads(members, count);
    } else {
        run_processes(members, count);
    }
    uint64_t start_ns = UINT64_MAX;
    uint64_t end_ns = 0;
    team_result result = {0};
    for (size_t i = 0; i < count; i++) {
        const member_times *times = &shared->times[i];
        start_ns = times->start_ns < start_ns ? times->start_ns : start_ns;
        end_ns = times->end_ns > end_ns ? times->end_ns : end_ns;
        result.operations += times->operations;
    }
    result.elapsed_ns = end_ns - start_ns;
    return result;
}
