/*
 * Scratch directories and what a store may leave outside of them.
 */
#define _GNU_SOURCE
#include "support/scratch.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void scratch_make(char ret_path[SCRATCH_PATH])
{
    const char *parent = getenv("TMPDIR");

    (void)snprintf(ret_path, SCRATCH_PATH, "%s/caskade-test-XXXXXX",
                   parent == NULL ? "/tmp" : parent);
    if (mkdtemp(ret_path) == NULL) {
        perror(ret_path);
        exit(1);
    }
}

static int remove_one(const char *path, const struct stat *info, int type,
                      struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

void scratch_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

unsigned scratch_regions(const char *path)
{
    char prefix[64];
    struct stat info;
    struct dirent *entry;
    unsigned count = 0;
    DIR *dir;

    if (stat(path, &info) != 0) {
        return 0;
    }
    /* As region_name() makes them: device and inode of the directory. */
    (void)snprintf(prefix, sizeof(prefix), "caskade-%llx-%llx-",
                   (unsigned long long)info.st_dev,
                   (unsigned long long)info.st_ino);
    dir = opendir("/dev/shm");
    if (dir == NULL) {
        return 0;
    }
    while ((entry = readdir(dir)) != NULL) {
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    }
    (void)closedir(dir);
    return count;
}
