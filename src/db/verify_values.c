/*
 * Verify: the runs of values that a run names.
 */
#include <stdlib.h>
#include <string.h>

#include "db/verification.h"
#include "run/run_pointer.h"

static cask_status open_one(verification *v, const manifest_run *listed,
                            cask_run **ret_run, cask_error *err)
{
    segment_header expected = {
        .kind = SEGMENT_VALUES, .id = listed->id, .nonce = listed->nonce};
    const run_open_options options = {.extent = RUN_ENDS,
                                      .expected = &expected};
    cask_error local = {CASK_OK, 0, ""};
    char name[SEGMENT_NAME_SIZE];
    cask_status status;

    memcpy(expected.uuid, v->identity.uuid, sizeof(expected.uuid));
    run_name_format(listed->id, name);
    status = run_open(v->dir, name, &options, ret_run, &local);
    /* What the system refuses is told where the file is looked at for itself.
     */
    if (status == CASK_NO_MEMORY ||
        (status == CASK_IO && error_is_shortage(&local))) {
        return fail(err, status, local.os_errno, "%s", local.message);
    }
    return CASK_OK;
}

cask_status verify_values_open(verification *v, const manifest_state *manifest,
                               const cask_run *run, verify_values *ret_values,
                               cask_error *err)
{
    uint32_t count = run->footer.segments;
    cask_status status = CASK_OK;

    ret_values->of = calloc(count + (size_t)1, sizeof(cask_run *));
    if (ret_values->of == NULL) {
        return fail_memory(err, count * sizeof(cask_run *));
    }
    ret_values->count = count;
    for (uint32_t i = 0; i < count && status == CASK_OK; i++) {
        const manifest_run *listed =
            manifest_find_run(manifest, run_named_at(run, i).id);

        if (listed != NULL && listed->level == MANIFEST_VALUES) {
            status = open_one(v, listed, &ret_values->of[i], err);
        } else {
            verify_problem(v, run->name,
                           run->at[RUN_SEGMENTS] +
                               (uint64_t)i * RUN_SEGMENT_SIZE,
                           RUN_SEGMENT_SIZE,
                           "names a run of values that MANIFEST does not list");
        }
    }
    return status;
}

void verify_values_close(verify_values *values)
{
    for (uint32_t i = 0; i < values->count; i++) {
        run_close(values->of[i]);
    }
    free(values->of);
    *values = (verify_values){.of = NULL};
}
