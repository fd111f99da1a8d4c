/*
 * The parent stays small and opens no store. It reads a child's samples from a
 * pipe until the last process that holds the other end is gone.
 */
#define _GNU_SOURCE
#include "schedule.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct schedule {
    const bench_settings *settings;
    bench_results *results;
    char base[4096]; /* directory of this invocation */
    size_t done;
    size_t total; /* runs; 0 while they are counted */
} schedule;

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        /* Without SA_RESTART: the read below must end. */
        sigaction(numbers[i], &action, NULL);
    }
    /* 'ulimit -f': an error of the store, which says so. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &action, NULL);
}

static int remove_entry(const char *path, const struct stat *status, int type,
                        struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void remove_tree(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 &&
        errno != ENOENT) {
        fprintf(stderr, "caskade-bench: cannot remove %s: %s\n", path,
                strerror(errno));
    }
}

/* Write back what earlier runs left, so that it does not hit the next one. */
static void settle(const char *path)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        syncfs(directory);
        close(directory);
    }
}

/* Longer than any sane run: 2 minutes and one per 2 million keys. Those for
 * the tree engine put up to 11 times as many. */
static unsigned most_seconds(const run_kind *kind, const bench_run *run)
{
    uint64_t keys = kind->group == GROUP_TREE ? run->keys * 11 : run->keys;
    return (unsigned)(120 + run->settings->load_seconds + keys / 30000);
}

/* The child: never returns. */
static void child_run(const run_kind *kind, bench_run *run)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    alarm(most_seconds(kind, run));
    stream_init(&run->stream, run->settings->key_bytes,
                run->settings->value_bytes);
    kind->body(run);
    stream_done(&run->stream);
    _exit(0);
}

/* Take samples until the pipe ends; false if a signal came first. */
static bool collect(schedule *self, const bench_engine *engine, int source)
{
    bench_sample one;
    for (;;) {
        ssize_t size = read(source, &one, sizeof(one));
        if (size == (ssize_t)sizeof(one)) {
            results_add(self->results, engine, &one);
            continue;
        }
        if (size == 0) {
            return true;
        }
        if (interrupted || size >= 0 || errno != EINTR) {
            return false;
        }
    }
}

/* Wait for the child; true if all went well. */
static bool reap(pid_t child)
{
    int wait_status = 0;
    while (waitpid(child, &wait_status, 0) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    if (WIFSIGNALED(wait_status) && !interrupted) {
        int number = WTERMSIG(wait_status);
        fprintf(stderr, "caskade-bench: the run was ended by signal %d%s\n",
                number, number == SIGALRM ? " (it took too long)" : "");
    }
    return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
}

/* Fork one run and collect what it reports. */
static void run_child(schedule *self, const run_kind *kind, bench_run *run)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        bench_die("cannot create a pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child < 0) {
        bench_die("cannot fork: %s", strerror(errno));
    }
    if (child == 0) {
        close(ends[0]);
        run->sink = ends[1];
        child_run(kind, run);
    }
    setpgid(child, child);
    close(ends[1]);
    bool complete = collect(self, run->engine, ends[0]);
    if (!complete) {
        kill(-child, SIGKILL);
    }
    close(ends[0]);
    bool good = reap(child);
    /* Members that outlived a child that failed. */
    kill(-child, SIGKILL);
    if (!good && !interrupted) {
        fprintf(stderr, "caskade-bench: run %s of %s failed\n", kind->name,
                run->engine->name);
        self->results->failed_runs++;
    }
}

static void show_progress(const schedule *self, const run_kind *kind,
                          const bench_run *run)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[K[%zu/%zu] %s, %s, %" PRIu64 " keys",
                self->done, self->total, kind->name, run->engine->name,
                run->keys);
        fflush(stderr);
    }
}

static void run_one(schedule *self, const run_kind *kind,
                    const bench_engine *engine, uint64_t keys)
{
    char path[sizeof(self->base) + 8];
    snprintf(path, sizeof(path), "%s/store", self->base);
    bench_run run = {
        .settings = self->settings,
        .engine = engine,
        .path = path,
        .keys = keys,
    };
    self->done++;
    show_progress(self, kind, &run);
    if (mkdir(path, 0700) != 0) {
        bench_die("cannot create %s: %s", path, strerror(errno));
    }
    settle(self->base);
    unsigned failed_before = self->results->failed_runs;
    run_child(self, kind, &run);
    remove_tree(path);
    bool failed = interrupted || self->results->failed_runs != failed_before;
    if (failed && engine->clean_up != NULL) {
        engine->clean_up();
    }
}

static bool kind_is_wanted(const bench_settings *settings, const run_kind *kind)
{
    for (size_t i = 0; i < kind->work_count; i++) {
        if (settings->works[kind->works[i]]) {
            return true;
        }
    }
    return false;
}

/* Whether `engine` has anything to do in this run. */
static bool engine_takes_part(const bench_settings *settings,
                              const run_kind *kind, const bench_engine *engine,
                              uint64_t keys)
{
    if (kind->group == GROUP_MERGING) {
        return engine == &engine_caskade;
    }
    if (!kind->scaled) {
        return true;
    }
    /* An empty engine has nothing to open; peers have no index to share, and
     * filling them with many keys takes minutes. */
    return (engine->abilities & ENGINE_EMPTY) == 0 &&
           (keys == settings->keys ||
            (engine->abilities & ENGINE_OPEN_FURTHER) != 0);
}

/* All repeats of one kind at one number of keys. Only counts the first time,
 * when `total` is not known. */
static void run_repeats(schedule *self, const run_kind *kind, uint64_t keys,
                        bool count_only)
{
    const bench_settings *settings = self->settings;
    for (unsigned repeat = 0; repeat < settings->repeats; repeat++) {
        for (size_t i = 0; settings->engines[i] != NULL; i++) {
            const bench_engine *engine = settings->engines[i];
            if (interrupted ||
                !engine_takes_part(settings, kind, engine, keys)) {
                continue;
            }
            if (count_only) {
                self->total++;
            } else {
                run_one(self, kind, engine, keys);
            }
        }
    }
}

static void run_kinds(schedule *self, bool count_only)
{
    const bench_settings *settings = self->settings;
    for (size_t i = 0; i < bench_run_count; i++) {
        const run_kind *kind = &bench_runs[i];
        if (!kind_is_wanted(settings, kind)) {
            continue;
        }
        if (!kind->scaled) {
            run_repeats(self, kind, settings->keys, count_only);
            continue;
        }
        for (size_t j = 0; j < settings->scale_count; j++) {
            run_repeats(self, kind, settings->scales[j], count_only);
        }
    }
}

bool schedule_all(const bench_settings *settings, bench_results *results)
{
    schedule self = {.settings = settings, .results = results};
    snprintf(self.base, sizeof(self.base), "%s/caskade-bench-XXXXXX",
             settings->directory);
    if (mkdtemp(self.base) == NULL) {
        bench_die("cannot create a directory in %s: %s", settings->directory,
                  strerror(errno));
    }
    catch_signals();
    run_kinds(&self, true);
    run_kinds(&self, false);
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
    remove_tree(self.base);
    return !interrupted;
}
