/*
 * The files of a directory of Bitcask, see bitcask_source.h.
 */
#include "bitcask_source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bitcask_index.h"

#define DATA_SUFFIX ".bitcask.data"
#define HINT_SUFFIX ".bitcask.hint"

enum { ID_MAX_DIGITS = 19, EXECUTE_ALL = S_IXUSR | S_IXGRP | S_IXOTH };

/* What a mode says of a data file. */
typedef enum mark {
    MARK_NONE,
    MARK_BITCASK, /* to be deleted */
    MARK_CHMOD    /* looks like it, and is not what Bitcask leaves */
} mark;

/* The id that the name of a data file begins with, as Bitcask writes it:
 * decimal, from 1, without zeros before it. 0 if it is none. */
static uint64_t parse_id(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    uint64_t id = 0;

    if (digits == 0 || digits > ID_MAX_DIGITS || name[0] == '0' ||
        strcmp(name + digits, DATA_SUFFIX) != 0) {
        return 0;
    }
    for (size_t i = 0; i < digits; i++) {
        id = id * 10 + (uint64_t)(name[i] - '0');
    }
    return id;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t tail = strlen(suffix);

    return size > tail && strcmp(name + size - tail, suffix) == 0;
}

static char *join(const char *directory, uint64_t id, const char *suffix)
{
    size_t size = strlen(directory) + sizeof("/" DATA_SUFFIX) + ID_MAX_DIGITS;
    char *path = malloc(size);

    if (path != NULL) {
        (void)snprintf(path, size, "%s/%llu%s", directory,
                       (unsigned long long)id, suffix);
    }
    return path;
}

static void free_member(bitcask_member *member)
{
    free(member->data_path);
    free(member->hint_path);
    *member = (bitcask_member){.data_path = NULL};
}

/* ---- Reading the directory --------------------------------------------- */

/* Bitcask adds one bit to the mode of a file that it has made, which nobody may
 * execute: that of others, before 1.7 setuid. chmod 777 and 755 set more. */
static mark mark_of(mode_t mode)
{
    if ((mode & S_ISUID) != 0 || (mode & EXECUTE_ALL) == S_IXOTH) {
        return MARK_BITCASK;
    }
    return (mode & S_IXOTH) != 0 ? MARK_CHMOD : MARK_NONE;
}

static exit_status add_member(bitcask_source *source, uint64_t id,
                              const struct stat *what)
{
    bitcask_member member = {
        .id = id,
        .data_path = join(source->path, id, DATA_SUFFIX),
        .hint_path = join(source->path, id, HINT_SUFFIX),
        .data_bytes = (uint64_t)what->st_size,
        .pending = mark_of(what->st_mode) == MARK_BITCASK,
    };
    bitcask_member *larger = source->members;

    if (source->count == source->capacity) {
        source->capacity = source->capacity * 2 + 16;
        larger = realloc(source->members, source->capacity * sizeof(*larger));
        if (larger != NULL) {
            source->members = larger;
        }
    }
    if (larger == NULL || member.data_path == NULL ||
        member.hint_path == NULL) {
        free_member(&member);
        return report_memory();
    }
    source->members[source->count++] = member;
    source->chmodded_count += mark_of(what->st_mode) == MARK_CHMOD ? 1 : 0;
    return EXIT_DONE;
}

static exit_status look_at(bitcask_source *source, int directory_fd,
                           const char *name)
{
    uint64_t id = parse_id(name);
    struct stat what;

    if (fstatat(directory_fd, name, &what, 0) != 0) {
        /* Others come and go; what is data must be readable. */
        return id == 0 ? EXIT_DONE
                       : report_errno(errno, "%s/%s: cannot read it",
                                      source->path, name);
    }
    if (S_ISREG(what.st_mode) && ends_with(name, HINT_SUFFIX) &&
        mark_of(what.st_mode) != MARK_NONE) {
        source->has_marked_hints = true;
    }
    if (id == 0) {
        if (ends_with(name, DATA_SUFFIX)) {
            (void)report(EXIT_DONE,
                         "note: %s/%s: left out, since Bitcask gives no file "
                         "such a name",
                         source->path, name);
        }
        return EXIT_DONE;
    }
    if (!S_ISREG(what.st_mode)) {
        return report(EXIT_USAGE,
                      "%s/%s: is no regular file; move it away to import the "
                      "rest",
                      source->path, name);
    }
    return add_member(source, id, &what);
}

static exit_status read_entries(bitcask_source *source, DIR *directory)
{
    exit_status status = EXIT_DONE;

    while (status == EXIT_DONE) {
        struct dirent *entry;

        errno = 0;
        entry = readdir(directory);
        if (entry == NULL) {
            return errno == 0 ? EXIT_DONE
                              : report_errno(errno, "%s: cannot list it",
                                             source->path);
        }
        status = look_at(source, dirfd(directory), entry->d_name);
    }
    return status;
}

/* ---- Which files count ------------------------------------------------- */

/* Hints, which Bitcask does not mark, are marked: chmod has been at work, and
 * what it did to the data means nothing. */
static void forgive_chmod(bitcask_source *source)
{
    for (size_t i = 0; source->has_marked_hints && i < source->count; i++) {
        source->chmodded_count += source->members[i].pending ? 1 : 0;
        source->members[i].pending = false;
    }
    if (source->chmodded_count > 0) {
        bool is_one = source->chmodded_count == 1;

        (void)report(EXIT_DONE,
                     "note: %s: %zu data %s as chmod leaves %s: %s may "
                     "execute %s; that is not taken for Bitcask's mark of "
                     "files to be deleted",
                     source->path, source->chmodded_count,
                     is_one ? "file is" : "files are", is_one ? "it" : "them",
                     source->has_marked_hints ? "others" : "owner or group",
                     source->has_marked_hints ? "hint files, too"
                     : is_one                 ? "it"
                                              : "them");
    }
}

/* A merge of Bitcask leaves a file that is not marked, unless nothing was left
 * to keep. */
static exit_status check_any_counts(const bitcask_source *source)
{
    for (size_t i = 0; i < source->count; i++) {
        if (!source->members[i].pending) {
            return EXIT_DONE;
        }
    }
    return report(EXIT_USAGE,
                  "%s: all of its data files bear Bitcask's mark of files to "
                  "be deleted (executable by others, or setuid), so there is "
                  "nothing to import; if they got it by chmod, take it away: "
                  "chmod o-x,u-s *" DATA_SUFFIX,
                  source->path);
}

/* Those that count first, by their ids. */
static int compare(const void *a, const void *b)
{
    const bitcask_member *left = a;
    const bitcask_member *right = b;

    if (left->pending != right->pending) {
        return left->pending ? 1 : -1;
    }
    return left->id < right->id ? -1 : left->id > right->id ? 1 : 0;
}

static void sort_and_drop_pending(bitcask_source *source)
{
    qsort(source->members, source->count, sizeof(*source->members), compare);
    while (source->count > 0 && source->members[source->count - 1].pending) {
        bitcask_member *member = &source->members[source->count - 1];

        (void)report(EXIT_DONE,
                     "note: %s: left out: it bears Bitcask's mark of files to "
                     "be deleted (executable by others, or setuid)",
                     member->data_path);
        free_member(member);
        source->count--;
        source->left_out++;
    }
}

static exit_status check_members(bitcask_source *source)
{
    if (source->count >= BITCASK_FILE_MAX_COUNT) {
        return report(EXIT_USAGE, "%s: too many files to import at once",
                      source->path);
    }
    for (size_t i = 0; i < source->count; i++) {
        const bitcask_member *member = &source->members[i];
        int fd = open(member->data_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0) {
            return report_errno(errno, "%s: cannot read it", member->data_path);
        }
        (void)close(fd);
        if (member->data_bytes >= BITCASK_FILE_MAX_BYTES) {
            return report(EXIT_USAGE, "%s: too large to be Bitcask's",
                          member->data_path);
        }
        source->data_bytes += member->data_bytes;
    }
    return EXIT_DONE;
}

/* Leave out what does not count; there are members. */
static exit_status choose_members(bitcask_source *source)
{
    exit_status status;

    forgive_chmod(source);
    status = check_any_counts(source);
    if (status != EXIT_DONE) {
        return status;
    }
    sort_and_drop_pending(source);
    return check_members(source);
}

exit_status bitcask_source_read(const char *path, bitcask_source *ret_source)
{
    bitcask_source source = {.path = path};
    exit_status status;
    DIR *directory = opendir(path);

    if (directory == NULL && (errno == ENOENT || errno == ENOTDIR)) {
        return report(EXIT_USAGE,
                      "%s: is no directory; name the one that holds the "
                      "*" DATA_SUFFIX " files",
                      path);
    }
    if (directory == NULL) {
        return report_errno(errno, "%s: cannot list it", path);
    }
    status = read_entries(&source, directory);
    (void)closedir(directory);
    if (status == EXIT_DONE && source.count == 0) {
        status = report(EXIT_USAGE,
                        "%s: is no directory of Bitcask: it holds no "
                        "*" DATA_SUFFIX " file",
                        path);
    }
    if (status == EXIT_DONE && source.members != NULL) {
        status = choose_members(&source);
    }
    if (status != EXIT_DONE) {
        bitcask_source_free(&source);
        return status;
    }
    *ret_source = source;
    return EXIT_DONE;
}

void bitcask_source_free(bitcask_source *source)
{
    for (size_t i = 0; i < source->count; i++) {
        free_member(&source->members[i]);
    }
    free(source->members);
    *source = (bitcask_source){.path = NULL};
}
