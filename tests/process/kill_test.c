/*
 * kill -9: writers and readers on one store, killed at random moments, alone,
 * some together, or all at once. What was acknowledged is noted outside of the
 * store; readers compare all the time, and every few kills everything is
 * looked at while nobody writes. See kill_share.h.
 *
 *   kill_test [tree]  the stores are of the tree engine; then a flush takes
 *                     the place of a merge
 *
 *   CASK_TEST_KILLS   how many (1000; tree: 300)
 *   CASK_TEST_SEED    to repeat the schedule (not the interleaving)
 *   CASK_TEST_KEEP    keep the store if the test fails
 */
#define _GNU_SOURCE
#include "kill_share.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    KILLS_PER_STORE = 250, /* then a new one */
    KILLS_PER_CHECK = 12
};

typedef struct schedule {
    kill_share *share;
    test_random random;
    pid_t pid[WORKERS]; /* 0: not running */
    uint64_t lives;     /* processes started */
    uint64_t kills;
    uint64_t all_kills; /* times that everybody was killed */
    uint64_t longest_ns;
} schedule;

/* ---- Processes ---- */

static pid_t start_process(void)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        /* Nothing is left if the parent itself dies. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
    } else if (pid < 0) {
        perror("fork");
        exit(1);
    }
    return pid;
}

static void start_worker(schedule *s, unsigned worker)
{
    uint64_t life = ++s->lives;
    pid_t pid;

    atomic_store(&s->share->worker[worker].paused, false);
    pid = start_process();
    if (pid == 0) {
        if (worker < WRITERS) {
            kill_write(s->share, worker, life);
        }
        kill_read(s->share, worker, life);
    }
    s->pid[worker] = pid;
}

static void stop_worker(schedule *s, unsigned worker)
{
    if (s->pid[worker] != 0) {
        (void)kill(s->pid[worker], SIGKILL);
        (void)waitpid(s->pid[worker], NULL, 0);
        s->pid[worker] = 0;
    }
}

/* Print what is wrong, end all processes, tidy up. */
_Noreturn static void give_up(schedule *s, const char *text)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        stop_worker(s, i);
    }
    printf("FAILED after %" PRIu64 " kills: %s %s\n", s->kills, text,
           s->share->message);
    if (getenv("CASK_TEST_KEEP") != NULL) {
        printf("the store is kept: %s\n", s->share->path);
    } else {
        scratch_remove(s->share->path);
    }
    exit(1);
}

/* Somebody who ended and was not killed has found something. */
static void look_for_failures(schedule *s)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        int status = 0;

        if (s->pid[i] != 0 && waitpid(s->pid[i], &status, WNOHANG) > 0) {
            s->pid[i] = 0;
            if (WIFSIGNALED(status)) {
                (void)snprintf(s->share->message, sizeof(s->share->message),
                               "%s %u died of signal %d (%s)",
                               i < WRITERS ? "writer" : "reader", i,
                               WTERMSIG(status), strsignal(WTERMSIG(status)));
            }
            give_up(s, "a process failed:");
        }
    }
    if (atomic_load(&s->share->failed)) {
        (void)usleep(10000);
        give_up(s, "a process failed:");
    }
}

/* ---- Checks ---- */

typedef void (*check_fn)(kill_share *share, test_random *random);

static pid_t start_check(schedule *s, check_fn check)
{
    uint64_t number = ++s->lives;
    pid_t pid = start_process();

    if (pid == 0) {
        test_random random = test_random_make(s->share->seed, number);

        (void)alarm(3 * BOUND_SECONDS);
        check(s->share, &random);
        _exit(0);
    }
    return pid;
}

static void end_check(schedule *s, pid_t pid)
{
    int status = 0;

    (void)waitpid(pid, &status, 0);
    if (status != 0) {
        if (WIFSIGNALED(status)) {
            (void)snprintf(s->share->message, sizeof(s->share->message),
                           "died of signal %d", WTERMSIG(status));
        }
        give_up(s, "the check found:");
    }
}

static void run_check(schedule *s)
{
    end_check(s, start_check(s, kill_examine));
}

/* Let everybody who lives stop between two operations. */
static void pause_all(schedule *s)
{
    uint64_t start = kill_now_ns();

    for (unsigned i = 0; i < WORKERS; i++) {
        atomic_store(&s->share->worker[i].paused, false);
    }
    atomic_store(&s->share->pause, true);
    for (unsigned i = 0; i < WORKERS; i++) {
        while (s->pid[i] != 0 && !atomic_load(&s->share->worker[i].paused)) {
            look_for_failures(s);
            if (kill_now_ns() - start > BOUND_SECONDS * UINT64_C(1000000000)) {
                (void)snprintf(s->share->message, sizeof(s->share->message),
                               "worker %u is stuck", i);
                give_up(s, "not live:");
            }
            (void)usleep(100);
        }
    }
}

static void check_while_paused(schedule *s)
{
    pause_all(s);
    run_check(s);
    atomic_store(&s->share->pause, false);
}

/* ---- Stores ---- */

static void new_store(schedule *s)
{
    kill_share *share = s->share;
    cask_error err = {CASK_OK, 0, ""};
    int status = 0;
    pid_t pid;

    atomic_store(&share->sequence, 0);
    for (unsigned i = 0; i < COUNTERS; i++) {
        atomic_store(&share->counter_acked[i], 0);
        atomic_store(&share->counter_unsure[i], 0);
        atomic_store(&share->counter_seen[i], 0);
    }
    memset(share->writer, 0, sizeof(share->writer));
    scratch_make(share->path);
    /* By a child: a handle of the parent's would be inherited by all. */
    pid = start_process();
    if (pid == 0) {
        cask_options options;
        cask_db *db = NULL;

        kill_begin_options(&options);
        options.create_if_missing = true;
        kill_check(share, cask_open(share->path, &options, &db, &err), "create",
                   &err);
        if (kill_is_tree() && test_random_chance(&s->random, 50)) {
            /* Nearly all values are apart from the runs. */
            const cask_config_change apart = {"value_separation_bytes", "64"};

            kill_check(share, cask_config_set(db, &apart, 1, &err), "config",
                       &err);
        }
        kill_check(share, cask_close(db, &err), "close", &err);
        _exit(0);
    }
    (void)waitpid(pid, &status, 0);
    if (status != 0) {
        give_up(s, "no store:");
    }
}

static void wait_for_open(schedule *s)
{
    while (!atomic_load(&s->share->is_last_open)) {
        look_for_failures(s);
        (void)usleep(100);
    }
}

/* Everybody is killed, and one more process uses the store. It has opened it
 * before and finds what the others left as they die, or it recovers the store,
 * or finds a region that lingers. Its close leaves no file and no shared memory
 * behind, and what is in the store is right. */
static void end_store(schedule *s)
{
    bool opens_first = test_random_chance(&s->random, 50);
    pid_t last = 0;

    atomic_store(&s->share->is_last_open, false);
    atomic_store(&s->share->is_alone, false);
    if (opens_first) {
        last = start_check(s, kill_finish);
        wait_for_open(s);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        stop_worker(s, i);
    }
    atomic_store(&s->share->is_alone, true);
    if (!opens_first) {
        if (test_random_chance(&s->random, 50)) {
            run_check(s);
        }
        last = start_check(s, kill_finish);
    }
    end_check(s, last);
    run_check(s);
    for (unsigned tries = 0; scratch_regions(s->share->path) != 0; tries++) {
        if (tries == 50) {
            give_up(s, "shared memory is left behind");
        }
        run_check(s); /* one that lingers; the next options will differ */
    }
    scratch_remove(s->share->path);
}

/* ---- Killing ---- */

static void kill_some(schedule *s)
{
    uint64_t kind = test_random_next(&s->random, 100);
    unsigned first = (unsigned)test_random_next(&s->random, WORKERS);
    unsigned count = 1;

    if (kind >= 95) {
        count = WORKERS;
        s->all_kills++;
    } else if (kind >= 70) {
        count = 2 + (unsigned)test_random_next(&s->random, WORKERS - 3);
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned worker = (first + i) % WORKERS;

        if (s->pid[worker] != 0) {
            (void)kill(s->pid[worker], SIGKILL);
            s->kills++;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned worker = (first + i) % WORKERS;

        if (s->pid[worker] != 0) {
            (void)waitpid(s->pid[worker], NULL, 0);
            s->pid[worker] = 0;
        }
    }
    if (count == WORKERS && test_random_chance(&s->random, 50)) {
        run_check(s); /* recovers; else those that start now do */
    }
}

/* Those that are alive go on: somebody does something soon. */
static void check_progress(schedule *s, const uint64_t *before)
{
    uint64_t start = kill_now_ns();
    bool alive = false;

    do {
        look_for_failures(s);
        alive = false;
        for (unsigned i = 0; i < WRITERS; i++) {
            if (s->pid[i] == 0) {
                continue;
            }
            alive = true;
            if (atomic_load(&s->share->worker[i].operations) > before[i]) {
                return;
            }
        }
        (void)usleep(100);
    } while (alive &&
             kill_now_ns() - start < BOUND_SECONDS * UINT64_C(1000000000));
    if (alive) {
        give_up(s, "not live: no writer finished an operation");
    }
}

static void one_store(schedule *s, uint64_t kills)
{
    uint64_t next_check = s->kills + KILLS_PER_CHECK;

    new_store(s);
    while (s->kills < kills) {
        uint64_t before[WRITERS];

        for (unsigned i = 0; i < WORKERS; i++) {
            if (s->pid[i] == 0) {
                start_worker(s, i);
            }
        }
        (void)usleep((useconds_t)test_random_next(&s->random, 12000));
        look_for_failures(s);
        for (unsigned i = 0; i < WRITERS; i++) {
            before[i] = atomic_load(&s->share->worker[i].operations);
        }
        kill_some(s);
        if (test_random_chance(&s->random, 20)) {
            check_progress(s, before);
        }
        if (s->kills >= next_check) {
            check_while_paused(s);
            next_check = s->kills + KILLS_PER_CHECK;
        }
    }
    end_store(s);
}

static void print_summary(const schedule *s, uint64_t start_ns)
{
    uint64_t operations = 0;
    uint64_t opens = 0;
    uint64_t longest = 0;
    double seconds = (double)(kill_now_ns() - start_ns) / 1e9;

    for (unsigned i = 0; i < WORKERS; i++) {
        const kill_worker *worker = &s->share->worker[i];

        operations += atomic_load(&worker->operations);
        opens += atomic_load(&worker->opens);
        if (atomic_load(&worker->longest_ns) > longest) {
            longest = atomic_load(&worker->longest_ns);
        }
    }
    printf("%" PRIu64 " kills (%" PRIu64 " times all) in %.1f s: %" PRIu64
           " operations, %" PRIu64 " opens (%" PRIu64 " private), %" PRIu64
           " batches, %" PRIu64 " deletes, %" PRIu64
           " conditions not met, %" PRIu64 " merges begun, %" PRIu64
           " whole ones of %" PRIu64 " segments, %" PRIu64
           " checks of everything; longest operation %" PRIu64 " ms\n",
           s->kills, s->all_kills, seconds, operations, opens,
           atomic_load(&s->share->private_opens),
           atomic_load(&s->share->batches), atomic_load(&s->share->deletes),
           atomic_load(&s->share->conditions),
           atomic_load(&s->share->merges_begun), atomic_load(&s->share->merges),
           atomic_load(&s->share->merged), atomic_load(&s->share->checks),
           longest / 1000000);
}

int main(int count, char **arguments)
{
    uint64_t kills;
    uint64_t start_ns = kill_now_ns();
    schedule s = {.lives = 0};

    kill_choose(count, arguments);
    kills = test_number("CASK_TEST_KILLS", kill_is_tree() ? 300 : 1000);

    s.share = mmap(NULL, sizeof(*s.share), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.share == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    s.share->seed = test_seed();
    s.random = test_random_make(s.share->seed, 0);
    while (s.kills < kills) {
        uint64_t until = s.kills + KILLS_PER_STORE;

        one_store(&s, until < kills ? until : kills);
    }
    print_summary(&s, start_ns);
    return 0;
}
