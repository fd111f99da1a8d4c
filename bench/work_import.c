/*
 * Importing a directory of Bitcask that is on the disk and not in memory, by
 * the command line program, against reading it, by the page cache and past it;
 * and against copying it, which tells what the disk permits to whoever writes
 * as much as he reads. By turns, each with memory that was just used: disks of
 * virtual machines have rates that change within minutes, and memory that was
 * free for long is slow.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"
#include "schedule.h"
#include "work.h"

extern char **environ;

enum {
    PATH_BYTES = 4096,
    READ_BYTES = 4 << 20,
    READ_ALIGN = 4096, /* of what is read past the page cache */
    KEYS_LEAST = 64,
    ROUNDS = 3,
};

/* One size of values; as many keys as make some hundred megabytes of the
 * default number. */
typedef struct import_size {
    size_t value_bytes;
    uint64_t fewer; /* keys of the run / this */
    work_id disk;
    work_id direct;
    work_id copy;
    work_id import;
} import_size;

static const import_size sizes[] = {
    {100, 1, WORK_DISK_100, WORK_DIRECT_100, WORK_COPY_100, WORK_IMPORT_100},
    {200, 1, WORK_DISK_200, WORK_DIRECT_200, WORK_COPY_200, WORK_IMPORT_200},
    {400, 2, WORK_DISK_400, WORK_DIRECT_400, WORK_COPY_400, WORK_IMPORT_400},
    {1024, 3, WORK_DISK_1K, WORK_DIRECT_1K, WORK_COPY_1K, WORK_IMPORT_1K},
    {65536, 100, WORK_DISK_64K, WORK_DIRECT_64K, WORK_COPY_64K,
     WORK_IMPORT_64K},
};

/* Run the command line program; ends this one if it fails. */
static void run_caskade(const char *verb, const char *from, const char *to)
{
    char program[] = CASKADE_PROGRAM;
    char word[16];
    char format[] = "bitcask";
    char source[PATH_BYTES];
    char target[PATH_BYTES];
    char *arguments[] = {program, word, format, source, target, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int wait_status = 0;
    snprintf(word, sizeof(word), "%s", verb);
    snprintf(source, sizeof(source), "%s", from);
    snprintf(target, sizeof(target), "%s", to);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null",
                                     O_WRONLY, 0);
    int failed = posix_spawn(&pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        bench_die("cannot start %s: %s", program, strerror(failed));
    }
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) {
        bench_die("%s %s failed", program, verb);
    }
}

/* What is done with each file of the source, `copy` being where its copy goes;
 * returns bytes. */
typedef uint64_t (*file_fn)(int fd, const char *copy, void *buffer);

static uint64_t forget(int fd, const char *copy, void *buffer)
{
    (void)copy;
    (void)buffer;
    /* Pages that are to be written are not dropped. */
    if (fsync(fd) != 0) {
        bench_die("cannot sync: %s", strerror(errno));
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return 0;
}

static uint64_t read_whole(int fd, const char *copy, void *buffer)
{
    uint64_t bytes = 0;
    ssize_t got;
    (void)copy;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while ((got = read(fd, buffer, READ_BYTES)) > 0) {
        bytes += (uint64_t)got;
    }
    return bytes;
}

/* Drives that have no such reads say so; nothing is reported of them. */
static uint64_t read_direct(int fd, const char *copy, void *buffer)
{
    if (fcntl(fd, F_SETFL, O_DIRECT) != 0) {
        return 0;
    }
    return read_whole(fd, copy, buffer);
}

static uint64_t copy_whole(int fd, const char *copy, void *buffer)
{
    int to = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint64_t bytes = 0;
    ssize_t got;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while ((got = read(fd, buffer, READ_BYTES)) > 0) {
        if (write(to, buffer, (size_t)got) != got) {
            bench_die("cannot write %s: %s", copy, strerror(errno));
        }
        bytes += (uint64_t)got;
    }
    if (fsync(to) != 0) {
        bench_die("cannot sync %s: %s", copy, strerror(errno));
    }
    close(to);
    return bytes;
}

static uint64_t each_file(const char *path, const char *copies, file_fn visit)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    void *buffer = aligned_alloc(READ_ALIGN, READ_BYTES);
    uint64_t bytes = 0;
    if (directory == NULL || buffer == NULL) {
        bench_die("cannot list %s", path);
    }
    memset(buffer, 0, READ_BYTES);
    while ((entry = readdir(directory)) != NULL) {
        char copy[PATH_BYTES];
        int fd =
            strstr(entry->d_name, ".bitcask.") == NULL
                ? -1
                : openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
        snprintf(copy, sizeof(copy), "%s/%s", copies, entry->d_name);
        if (fd >= 0) {
            bytes += visit(fd, copy, buffer);
            close(fd);
        }
    }
    closedir(directory);
    free(buffer);
    return bytes;
}

static void fill(const bench_run *run, const char *path, size_t value_bytes,
                 uint64_t keys)
{
    engine_config config = {.path = path, .key_count = keys};
    stream values;
    stream_key memory;
    stream_init(&values, run->settings->key_bytes, value_bytes);
    engine_store *store = run->engine->open(&config);
    for (uint64_t i = 0; i < keys; i++) {
        cask_slice key = stream_key_at(&values, i, &memory);
        run->engine->put(store, key, stream_value_at(&values, i, 0));
    }
    run->engine->close(store);
    stream_done(&values);
}

/* What is measured: each reads all of `source`, or returns false. */
typedef bool (*source_fn)(const char *source, const char *target);

static bool read_source(const char *source, const char *target)
{
    return each_file(source, target, read_whole) != 0;
}

static bool read_source_directly(const char *source, const char *target)
{
    return each_file(source, target, read_direct) != 0;
}

static bool copy_source(const char *source, const char *target)
{
    if (mkdir(target, 0700) != 0) {
        bench_die("cannot make %s: %s", target, strerror(errno));
    }
    return each_file(source, target, copy_whole) != 0;
}

static bool import_source(const char *source, const char *target)
{
    run_caskade("import", source, target);
    return true;
}

/* Nanoseconds, when the source is not in memory, and so many bytes are warm;
 * the most there are if it was not read. */
static uint64_t time_cold(source_fn run, const char *source, const char *target,
                          uint64_t warm_bytes)
{
    each_file(source, target, forget);
    memory_warm(warm_bytes + (UINT64_C(64) << 20));
    uint64_t start = now_ns();
    bool done = run(source, target);
    uint64_t took_ns = now_ns() - start;
    remove_tree(target);
    return done ? took_ns : UINT64_MAX;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* By turns; the median of each counts. */
static void measure_source(const bench_run *run, const import_size *size,
                           const char *source)
{
    const struct {
        source_fn run;
        work_id work;
        uint64_t memory; /* x the bytes of the source */
    } ways[] = {
        {read_source, size->disk, 1},
        {read_source_directly, size->direct, 0},
        {copy_source, size->copy, 2},
        {import_source, size->import, 3},
    };
    enum { WAYS = sizeof(ways) / sizeof(ways[0]) };
    uint64_t took_ns[WAYS][ROUNDS];
    char target[PATH_BYTES];
    uint64_t bytes = each_file(source, "", read_whole);
    snprintf(target, sizeof(target), "%s/%zu.target", run->path,
             size->value_bytes);
    for (int round = 0; round < ROUNDS; round++) {
        for (int way = 0; way < WAYS; way++) {
            took_ns[way][round] = time_cold(ways[way].run, source, target,
                                            ways[way].memory * bytes);
        }
    }
    for (int way = 0; way < WAYS; way++) {
        qsort(took_ns[way], ROUNDS, sizeof(took_ns[way][0]), compare);
        uint64_t median_ns = took_ns[way][ROUNDS / 2];
        if (median_ns != UINT64_MAX) {
            run_report(run, ways[way].work,
                       (double)bytes * 1e3 / (double)median_ns);
        }
    }
}

static void measure(const bench_run *run, const import_size *size)
{
    char store[PATH_BYTES];
    char source[PATH_BYTES];
    uint64_t keys = run->keys / size->fewer;
    keys = keys < KEYS_LEAST ? KEYS_LEAST : keys;
    snprintf(store, sizeof(store), "%s/%zu", run->path, size->value_bytes);
    snprintf(source, sizeof(source), "%s/%zu.source", run->path,
             size->value_bytes);
    fill(run, store, size->value_bytes, keys);
    run_caskade("export", store, source);
    remove_tree(store);
    measure_source(run, size, source);
    remove_tree(source);
}

void run_import(bench_run *run)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (run_wants(run, sizes[i].import) || run_wants(run, sizes[i].disk) ||
            run_wants(run, sizes[i].direct) || run_wants(run, sizes[i].copy)) {
            measure(run, &sizes[i]);
        }
    }
}
