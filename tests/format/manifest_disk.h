/*
 * A directory on a simulated disk, for tests of the MANIFEST in it.
 */
#ifndef CASKADE_TEST_MANIFEST_DISK_H
#define CASKADE_TEST_MANIFEST_DISK_H

#include "format/golden_store.h"
#include "log/manifest.h"
#include "os/os_sim.h"

enum { FILE_MODE = 0600 };

static const uint8_t golden_uuid[FORMAT_UUID_SIZE] = GOLDEN_UUID;

typedef struct disk {
    os_sim *sim;
    os_file *dir;
} disk;

/* For cmocka: the state is a disk. */
int disk_set_up(void **state);
int disk_tear_down(void **state);

/* Replay `bytes` as MANIFEST; free `ret_state` in any case. */
cask_status disk_replay(const disk *on, const uint8_t *bytes, size_t size,
                        manifest_state *ret_state, cask_error *err);

#endif
