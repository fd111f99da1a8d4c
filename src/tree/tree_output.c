/*
 * Moments, and new files; see tree_output.h.
 */
#include "tree/tree_output.h"

#include <stdlib.h>
#include <string.h>

#include "store/store_settings.h"
#include "tree/tree.h"
#include "tree/tree_plan.h"

static int by_sequence(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

void tree_moments_find(const store_handle *store, tree_moments *ret_moments)
{
    size_t count = 0;

    for (uint32_t i = 0; i < REGION_SNAPSHOTS; i++) {
        const region_snapshot *entry = &store->region.snapshots->entry[i];

        if (atomic_load(&entry->ticket) != 0) {
            ret_moments->at[count++] = atomic_load(&entry->sequence);
        }
    }
    ret_moments->at[count++] = UINT64_MAX;
    qsort(ret_moments->at, count, sizeof(uint64_t), by_sequence);
    ret_moments->count = 1;
    for (size_t i = 1; i < count; i++) {
        if (ret_moments->at[i] != ret_moments->at[ret_moments->count - 1]) {
            ret_moments->at[ret_moments->count++] = ret_moments->at[i];
        }
    }
}

/* `run`: of the options without the mode of the file. */
static cask_status create(store_handle *store, run_origin origin,
                          cask_run_options run, uint64_t *ret_id,
                          cask_run_writer **ret_writer, cask_error *err)
{
    char name[SEGMENT_NAME_SIZE];
    run_writer_options options = {
        .run = run, .origin = &origin, .borrows_dir = true};
    cask_status status = version_new_run(store, &origin.id, name, err);

    options.run.file_mode = store->options.file_mode;
    memcpy(origin.uuid, store->identity.uuid, sizeof(origin.uuid));
    if (status == CASK_OK) {
        status = run_writer_create(store->dir, name, &options, ret_writer, err);
    }
    if (status == CASK_OK) {
        *ret_id = origin.id;
    }
    return status;
}

cask_status tree_run_create(store_handle *store, uint64_t born,
                            uint64_t *ret_id, cask_run_writer **ret_writer,
                            cask_error *err)
{
    const run_origin origin = {.born = born,
                               .hash_key = tree_state_of(store)->hash_key};
    const cask_run_options run = {.prefix_bytes =
                                      store_filter_prefix_bytes(store)};

    return create(store, origin, run, ret_id, ret_writer, err);
}

/* Nobody looks a key up in it. */
cask_status tree_values_create(store_handle *store, uint64_t born,
                               uint64_t *ret_id, cask_run_writer **ret_writer,
                               cask_error *err)
{
    const run_origin origin = {.born = born,
                               .is_values = true,
                               .hash_key = tree_state_of(store)->hash_key};
    const cask_run_options run = {.no_filter = true};

    return create(store, origin, run, ret_id, ret_writer, err);
}

void tree_run_discard(store_handle *store, uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];

    run_name_format(id, name);
    (void)store->os->ops->remove(store->dir, name);
}

values_output tree_values_output(const store_handle *store, values_files files)
{
    return (values_output){.files = files,
                           .least_bytes = store_value_separation_bytes(store),
                           .cut_bytes =
                               tree_compaction_settings(store).partition_bytes};
}
