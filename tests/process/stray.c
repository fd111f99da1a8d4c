/*
 * A directory compared with the MANIFEST in it.
 */
#include "process/stray.h"

#include "cask_test.h"

#include <stdio.h>
#include <string.h>

#include "log/config_format.h"
#include "log/manifest.h"
#include "log/segment_format.h"
#include "store/store_open.h"

typedef struct listing {
    const manifest_state *manifest;
    size_t segments;
    char *stray; /* of STRAY_NAME bytes */
} listing;

static bool is_fixed(const char *name)
{
    static const char *const fixed[] = {LOCK_NAME, MANIFEST_NAME, IDENTITY_NAME,
                                        CONFIG_NAME};

    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (strcmp(name, fixed[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool look_at(void *context, const char *name)
{
    listing *l = context;
    bool is_known = is_fixed(name);
    uint64_t id;

    if (segment_name_parse(name, &id)) {
        is_known = manifest_find(l->manifest, id) != NULL;
        l->segments++;
    } else if (hint_name_parse(name, &id)) {
        is_known = manifest_find(l->manifest, id) != NULL;
    }
    if (run_name_parse(name, &id)) {
        is_known = manifest_find_run(l->manifest, id) != NULL;
    }
    if (!is_known) {
        (void)snprintf(l->stray, STRAY_NAME, "%.63s", name);
    }
    return is_known;
}

static void compare(os_file *dir, const char *path, listing *l)
{
    store_identity identity;
    manifest_state manifest = {.count = 0};
    const char *step = "CASKADE";

    if (store_read_identity(dir, path, &identity, NULL) == CASK_OK) {
        step = MANIFEST_NAME;
        if (manifest_load(dir, identity.uuid, &manifest, NULL) == CASK_OK) {
            l->manifest = &manifest;
            step = dir->os->ops->list(dir, look_at, l) == 0 ? "" : path;
        }
    }
    if (l->stray[0] == 0 && step[0] != 0) {
        (void)snprintf(l->stray, STRAY_NAME, "%.63s", step);
    } else if (l->stray[0] == 0 && l->segments != manifest.count) {
        (void)snprintf(l->stray, STRAY_NAME, "%zu segments of %zu", l->segments,
                       manifest.count);
    }
    manifest_free(&manifest);
}

void stray_find(const char *path, char ret_name[STRAY_NAME])
{
    listing l = {.stray = ret_name};
    os_file *dir = NULL;

    ret_name[0] = 0;
    if (os_posix()->ops->open_dir(os_posix(), path, &dir) != 0) {
        (void)snprintf(ret_name, STRAY_NAME, "%.63s", path);
        return;
    }
    compare(dir, path, &l);
    dir->os->ops->close(dir);
}

void stray_check(const char *path)
{
    char stray[STRAY_NAME];

    stray_find(path, stray);
    if (stray[0] != 0) {
        fail_msg("left behind by the last close: %s", stray);
    }
}
