/*
 * What is left of a store when all its processes were killed and one more has
 * used it as anybody would: the files that MANIFEST lists, and nothing else.
 */
#define _GNU_SOURCE
#include "kill_share.h"

#include <unistd.h>

#include "db/db.h"
#include "process/stray.h"

/* Merges remove much of what others left with their inputs; a store must do
 * without, too. */
static void use(kill_share *share, cask_db *db, bool merges)
{
    const cask_merge_options all = {.all = true};
    cask_error err = {CASK_OK, 0, ""};
    char text[KEY_BYTES];
    cask_slice name = kill_hello(text, WRITERS);

    kill_check(share, cask_put(db, name, name, &err), "put", &err);
    if (merges) {
        kill_check(share, cask_merge(db, &all, NULL, &err), "last merge", &err);
        kill_check(share, cask_put(db, name, name, &err), "put", &err);
    }
}

void kill_finish(kill_share *share, test_random *random)
{
    cask_options options;
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;
    char stray[STRAY_NAME];

    cask_options_init(&options);
    kill_check(share, cask_open(share->path, &options, &db, &err), "last open",
               &err);
    atomic_store(&share->is_last_open, true);
    while (!atomic_load(&share->is_alone)) {
        (void)usleep(1000);
    }
    use(share, db, test_random_chance(random, 60));
    kill_check(share, cask_close(db, &err), "last close", &err);
    stray_find(share->path, stray);
    if (stray[0] != 0) {
        kill_fail(share, "left behind: %s", stray);
    }
    if (scratch_regions(share->path) != 0) {
        kill_fail(share, "shared memory was left behind");
    }
}
