/*
 * Stepping by ptrace; only the child's first thread is traced.
 */
#define _GNU_SOURCE
#include "stepper.h"

#include "cask_test.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Every step is a switch to the child and back, which costs twice as much
 * between two processors: both stay on one while they step. Freed in between,
 * so that the kernel may choose another one for the next child.
 */
static cpu_set_t all_processors;

static void stay_on_one_processor(pid_t child)
{
    int processor = sched_getcpu();
    cpu_set_t one;

    if (processor < 0 ||
        sched_getaffinity(0, sizeof(all_processors), &all_processors) != 0) {
        return;
    }
    CPU_ZERO(&one);
    CPU_SET((size_t)processor, &one);
    (void)sched_setaffinity(0, sizeof(one), &one);
    (void)sched_setaffinity(child, sizeof(one), &one);
}

static void take_any_processor(void)
{
    if (CPU_COUNT(&all_processors) > 0) {
        (void)sched_setaffinity(0, sizeof(all_processors), &all_processors);
    }
}

_Noreturn static void child(const stepper_work *work)
{
    void *prepared = work->prepare(work->context);

    if (prepared == NULL) {
        _exit(2);
    }
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        _exit(77);
    }
    (void)raise(SIGSTOP);
    if (work->perform(prepared, work->context) != 0) {
        _exit(3);
    }
    (void)raise(SIGSTOP);
    _exit(0);
}

pid_t stepper_start(const stepper_work *work)
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        child(work);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("SKIPPED: ptrace is not allowed here\n");
        skip();
    }
    if (!WIFSTOPPED(status)) {
        fail_msg("the child ended with %x", (unsigned)status);
    }
    stay_on_one_processor(pid);
    return pid;
}

void stepper_kill(pid_t pid)
{
    take_any_processor();
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* Wait for the next stop: true if it is the child's own, at the end. */
static bool next_stop(pid_t pid)
{
    int status = 0;

    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        fail_msg("the child ended with %x", (unsigned)status);
    }
    if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
        fail_msg("the child got signal %d", WSTOPSIG(status));
    }
    return WSTOPSIG(status) == SIGSTOP;
}

bool stepper_run_to(pid_t pid, void (*function)(void), uint64_t hit)
{
#if defined(__x86_64__)
    const size_t address = offsetof(struct user, u_debugreg[0]);
    const size_t control = offsetof(struct user, u_debugreg[7]);

    if (ptrace(PTRACE_POKEUSER, pid, address, function) != 0) {
        return true;
    }
    for (uint64_t i = 0; i < hit; i++) {
        if (ptrace(PTRACE_POKEUSER, pid, control, 1) != 0 ||
            ptrace(PTRACE_CONT, pid, NULL, NULL) != 0 || next_stop(pid)) {
            return false;
        }
        /* Off, or the same instruction traps again. */
        if (ptrace(PTRACE_POKEUSER, pid, control, 0) != 0 ||
            ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0 || next_stop(pid)) {
            return false;
        }
    }
#else
    (void)pid;
    (void)function;
    (void)hit;
#endif
    return true;
}

uint64_t stepper_step(pid_t pid, uint64_t limit)
{
    for (uint64_t n = 0; n < limit; n++) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0 || next_stop(pid)) {
            return n;
        }
    }
    return limit;
}

uint64_t stepper_run_calls(pid_t pid, uint64_t limit)
{
    for (uint64_t n = 0; n < limit; n++) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) != 0 || next_stop(pid)) {
            return n;
        }
    }
    return limit;
}
