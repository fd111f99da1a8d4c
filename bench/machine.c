/*
 * uname, /proc, /sys and statfs.
 */
#define _GNU_SOURCE
#include "machine.h"

#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* What stands after the first ':' of the line that begins with `name`. */
static void find_line(const char *path, const char *name, char *ret_text,
                      size_t size)
{
    char line[512];
    FILE *file = fopen(path, "re");
    snprintf(ret_text, size, "unknown");
    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        char *colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, name, strlen(name)) != 0) {
            continue;
        }
        char *text = colon + 1 + strspn(colon + 1, " \t");
        text[strcspn(text, "\n")] = '\0';
        snprintf(ret_text, size, "%s", text);
        break;
    }
    fclose(file);
}

/* The choice that the kernel shows in brackets, like "madvise". */
static void find_choice(const char *path, char *ret_text, size_t size)
{
    char line[256] = "";
    FILE *file = fopen(path, "re");
    snprintf(ret_text, size, "unknown");
    if (file == NULL) {
        return;
    }
    char *open =
        fgets(line, sizeof(line), file) != NULL ? strchr(line, '[') : NULL;
    fclose(file);
    if (open != NULL) {
        open[strcspn(open, "]")] = '\0';
        snprintf(ret_text, size, "%s", open + 1);
    }
}

static void find_filesystem(const char *directory, char *ret_text, size_t size)
{
    static const struct {
        long magic;
        const char *name;
    } known[] = {
        {EXT4_SUPER_MAGIC, "ext4"},         {XFS_SUPER_MAGIC, "xfs"},
        {BTRFS_SUPER_MAGIC, "btrfs"},       {TMPFS_MAGIC, "tmpfs"},
        {OVERLAYFS_SUPER_MAGIC, "overlay"}, {NFS_SUPER_MAGIC, "nfs"},
        {F2FS_SUPER_MAGIC, "f2fs"},
    };
    struct statfs status;
    snprintf(ret_text, size, "unknown");
    if (statfs(directory, &status) != 0) {
        return;
    }
    snprintf(ret_text, size, "0x%lx", (unsigned long)status.f_type);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if ((long)status.f_type == known[i].magic) {
            snprintf(ret_text, size, "%s", known[i].name);
        }
    }
}

void machine_describe(bench_machine *self, const char *directory)
{
    static const char sys[] = "/sys/kernel/mm/transparent_hugepage";
    char path[128];
    char private_pages[24];
    char shared_pages[24];
    struct utsname name;
    time_t now = time(NULL);
    struct tm utc;
    memset(self, 0, sizeof(*self));
    gmtime_r(&now, &utc);
    strftime(self->date, sizeof(self->date), "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (uname(&name) == 0) {
        snprintf(self->kernel, sizeof(self->kernel), "%s %s", name.sysname,
                 name.release);
        snprintf(self->architecture, sizeof(self->architecture), "%s",
                 name.machine);
    }
    find_line("/proc/cpuinfo", "model name", self->cpu, sizeof(self->cpu));
    find_filesystem(directory, self->filesystem, sizeof(self->filesystem));
    snprintf(path, sizeof(path), "%s/enabled", sys);
    find_choice(path, private_pages, sizeof(private_pages));
    snprintf(path, sizeof(path), "%s/shmem_enabled", sys);
    find_choice(path, shared_pages, sizeof(shared_pages));
    snprintf(self->huge_pages, sizeof(self->huge_pages), "%s, shared memory %s",
             private_pages, shared_pages);
    self->cores = sysconf(_SC_NPROCESSORS_ONLN);
    self->memory_bytes =
        (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (getloadavg(&self->load, 1) != 1) {
        self->load = 0;
    }
}
