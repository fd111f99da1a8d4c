/*
 * Importing a directory of Bitcask that is on the disk and not in memory, by
 * the command line program, against reading it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"
#include "work.h"

extern char **environ;

enum { PATH_BYTES = 4096, READ_BYTES = 1 << 20, KEYS_LEAST = 64 };

/* One size of values; as many keys as make some hundred megabytes of the
 * default number. */
typedef struct import_size {
    size_t value_bytes;
    uint64_t fewer; /* keys of the run / this */
    work_id import;
    work_id disk;
} import_size;

static const import_size sizes[] = {
    {100, 1, WORK_IMPORT_100, WORK_DISK_100},
    {200, 1, WORK_IMPORT_200, WORK_DISK_200},
    {400, 2, WORK_IMPORT_400, WORK_DISK_400},
    {1024, 3, WORK_IMPORT_1K, WORK_DISK_1K},
    {65536, 100, WORK_IMPORT_64K, WORK_DISK_64K},
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

/* What is done with each file of the source; returns bytes. */
typedef uint64_t (*file_fn)(int fd, void *buffer);

static uint64_t forget(int fd, void *buffer)
{
    (void)buffer;
    /* Pages that are to be written are not dropped. */
    if (fsync(fd) != 0) {
        bench_die("cannot sync: %s", strerror(errno));
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return 0;
}

static uint64_t read_whole(int fd, void *buffer)
{
    uint64_t bytes = 0;
    ssize_t got;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while ((got = read(fd, buffer, READ_BYTES)) > 0) {
        bytes += (uint64_t)got;
    }
    return bytes;
}

static uint64_t each_file(const char *path, file_fn visit)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    void *buffer = malloc(READ_BYTES);
    uint64_t bytes = 0;
    if (directory == NULL || buffer == NULL) {
        bench_die("cannot list %s", path);
    }
    while ((entry = readdir(directory)) != NULL) {
        int fd =
            strstr(entry->d_name, ".bitcask.") == NULL
                ? -1
                : openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            bytes += visit(fd, buffer);
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

static void measure(const bench_run *run, const import_size *size)
{
    char store[PATH_BYTES];
    char source[PATH_BYTES];
    char target[PATH_BYTES];
    uint64_t keys = run->keys / size->fewer;
    keys = keys < KEYS_LEAST ? KEYS_LEAST : keys;
    snprintf(store, sizeof(store), "%s/%zu", run->path, size->value_bytes);
    snprintf(source, sizeof(source), "%s/%zu.source", run->path,
             size->value_bytes);
    snprintf(target, sizeof(target), "%s/%zu.target", run->path,
             size->value_bytes);
    fill(run, store, size->value_bytes, keys);
    run_caskade("export", store, source);
    each_file(source, forget);
    uint64_t start = now_ns();
    uint64_t bytes = each_file(source, read_whole);
    uint64_t disk_ns = now_ns() - start;
    each_file(source, forget);
    memory_warm(bytes * 3 + (UINT64_C(64) << 20));
    start = now_ns();
    run_caskade("import", source, target);
    uint64_t import_ns = now_ns() - start;
    run_report(run, size->disk, (double)bytes * 1e3 / (double)disk_ns);
    run_report(run, size->import, (double)bytes * 1e3 / (double)import_ns);
}

void run_import(bench_run *run)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (run_wants(run, sizes[i].import) || run_wants(run, sizes[i].disk)) {
            measure(run, &sizes[i]);
        }
    }
}
