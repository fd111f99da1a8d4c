/*
 * A directory for a MANIFEST.
 */
#include "format/manifest_disk.h"

#include "cask_test.h"
#include "log/segment.h"

int disk_set_up(void **state)
{
    static disk made;
    const os_sim_options options = {.seed = 1};
    os *kernel;

    assert_int_equal(os_sim_create(&options, &made.sim), 0);
    kernel = os_sim_os(made.sim);
    assert_int_equal(kernel->ops->make_dir(kernel, "/store", 0700), 0);
    assert_int_equal(kernel->ops->open_dir(kernel, "/store", &made.dir), 0);
    *state = &made;
    return 0;
}

int disk_tear_down(void **state)
{
    disk *made = *state;

    made->dir->os->ops->close(made->dir);
    os_sim_free(made->sim);
    return 0;
}

cask_status disk_replay(const disk *on, const uint8_t *bytes, size_t size,
                        manifest_state *ret_state, cask_error *err)
{
    assert_int_equal(
        file_publish(on->dir, MANIFEST_NAME, bytes, size, FILE_MODE, NULL),
        CASK_OK);
    return manifest_load(on->dir, golden_uuid, ret_state, err);
}
