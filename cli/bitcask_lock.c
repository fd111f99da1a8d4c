/*
 * The lock files of Bitcask, see bitcask_lock.h. Bitcask itself takes the lock
 * of another user's process for left over, and one whose number was given again
 * for held.
 */
#include "bitcask_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    PID_MAX_DIGITS = 9,
    /* The start of a process is known to a tenth of a second, the time of a
     * file to a tick of the clock. */
    CLOCK_SLACK_S = 2
};

/* Read the beginning of a file as text; false if it cannot be read. */
static bool read_start(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got;

    if (fd < 0) {
        return false;
    }
    got = read(fd, text, size - 1);
    (void)close(fd);
    if (got < 0) {
        return false;
    }
    text[got] = '\0';
    return true;
}

/* "<pid> <path>\n". 0 if it names no process. */
static pid_t parse_pid(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > PID_MAX_DIGITS || text[digits] != ' ') {
        return 0;
    }
    return (pid_t)strtol(text, NULL, 10);
}

/* When the machine was started, seconds since 1970; 0 if unknown. */
static long long boot_time(void)
{
    char line[256];
    long long seconds = 0;
    FILE *file = fopen("/proc/stat", "re");

    if (file == NULL) {
        return 0;
    }
    while (seconds == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "btime ", 6) == 0) {
            seconds = strtoll(line + 6, NULL, 10);
        }
    }
    (void)fclose(file);
    return seconds;
}

/*
 * The name of a process and when it started, in seconds since 1970; false if
 * that cannot be known. The line of /proc/<pid>/stat: pid (name) state and
 * numbers, the start being field 22, in ticks since the machine started.
 */
static bool look_up(pid_t pid, char name[32], long long *ret_start_s)
{
    enum { FIELD_STATE = 3, FIELD_START = 22 };
    long long boot_s = boot_time();
    long ticks = sysconf(_SC_CLK_TCK);
    char path[64];
    char text[1024];
    char *open_paren;
    char *at;

    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    if (boot_s == 0 || ticks <= 0 || !read_start(path, text, sizeof(text))) {
        return false;
    }
    open_paren = strchr(text, '(');
    at = strrchr(text, ')');
    if (open_paren == NULL || at == NULL || at < open_paren) {
        return false;
    }
    *at = '\0';
    (void)snprintf(name, 32, "%s", open_paren + 1);
    at++;
    for (int field = FIELD_STATE; field <= FIELD_START; field++) {
        at = strchr(at, ' ');
        if (at == NULL) {
            return false;
        }
        at++;
    }
    *ret_start_s = boot_s + strtoll(at, NULL, 10) / ticks;
    return true;
}

/* Whether a lock there may belong to a process of another machine. */
static bool is_remote(const char *path)
{
    /* NFS, SMB 1 and later, FUSE, 9P, Ceph, AFS, Lustre, GFS2, OCFS2 */
    static const unsigned types[] = {
        0x6969,     0xff534d42, 0xfe534d42, 0x517b,     0x65735546, 0x01021997,
        0x00c36400, 0x5346414f, 0x0bd00bd0, 0x01161970, 0x7461636f};
    struct statfs where;

    if (statfs(path, &where) != 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if ((unsigned)where.f_type == types[i]) {
            return true;
        }
    }
    return false;
}

/* Why the lock may be held; NULL if it is left over. */
static const char *find_holder(const char *path, const struct stat *lock,
                               char *reason, size_t size)
{
    char text[256];
    char name[32] = "";
    long long start_s;
    pid_t pid;

    if (!read_start(path, text, sizeof(text))) {
        return "cannot be read";
    }
    pid = parse_pid(text);
    if (pid == 0) {
        return "does not say which process holds it";
    }
    if (is_remote(path)) {
        (void)snprintf(reason, size,
                       "may be held by process %ld of another machine",
                       (long)pid);
        return reason;
    }
    if (kill(pid, 0) != 0 && errno == ESRCH) {
        return NULL;
    }
    if (!look_up(pid, name, &start_s)) {
        (void)snprintf(reason, size, "is held by process %ld", (long)pid);
        return reason;
    }
    /* An Erlang system may be older than it looks, if the clock was set. */
    if (start_s > (long long)lock->st_mtime + CLOCK_SLACK_S &&
        strncmp(name, "beam", 4) != 0 && strncmp(name, "erl", 3) != 0) {
        return NULL;
    }
    (void)snprintf(reason, size, "is held by process %ld (%s)", (long)pid,
                   name);
    return reason;
}

static exit_status check_lock(const char *directory, const char *kind,
                              bool force)
{
    char path[4096];
    char buffer[128];
    struct stat lock;
    const char *holder;
    int size =
        snprintf(path, sizeof(path), "%s/bitcask.%s.lock", directory, kind);

    if (size < 0 || (size_t)size >= sizeof(path)) {
        return report_errno(ENAMETOOLONG, "%s", directory);
    }
    if (stat(path, &lock) != 0) {
        return errno == ENOENT || errno == ENOTDIR
                   ? EXIT_DONE
                   : report_errno(errno, "%s: cannot look at it", path);
    }
    holder = find_holder(path, &lock, buffer, sizeof(buffer));
    if (holder == NULL) {
        return EXIT_DONE;
    }
    if (force) {
        return report(EXIT_DONE, "note: %s: %s; read all the same (--force)",
                      path, holder);
    }
    return report(EXIT_BUSY,
                  "%s: %s; stop it, or read what is there now with --force",
                  path, holder);
}

exit_status bitcask_lock_check(const char *directory, bool force)
{
    static const char *const kinds[] = {"write", "merge", "create"};
    exit_status status = EXIT_DONE;

    for (size_t i = 0;
         i < sizeof(kinds) / sizeof(kinds[0]) && status == EXIT_DONE; i++) {
        status = check_lock(directory, kinds[i], force);
    }
    return status;
}
