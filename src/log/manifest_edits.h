/*
 * Edits of runs: from edits to a state, and back.
 */
#ifndef CASKADE_MANIFEST_EDITS_H
#define CASKADE_MANIFEST_EDITS_H

#include "base/buffer.h"
#include "log/manifest.h"

/*
 * Bring a state to the version that these edits and `runs`, which ends them,
 * make of it. Returns CASK_OK; CASK_CORRUPT: they contradict the state;
 * CASK_NO_MEMORY. The state is of use after CASK_OK only.
 */
cask_status manifest_apply_runs(manifest_state *manifest,
                                const manifest_edit *edits, size_t count,
                                const manifest_edit *runs, cask_error *err);

void manifest_free_runs(manifest_state *manifest);

/*
 * Append a change to `bytes` as edits.
 *
 *   seed    of what `bytes` begins with
 *   number  of the edit before them
 *
 * Returns CASK_OK or CASK_NO_MEMORY.
 */
cask_status manifest_encode_change(const manifest_change *change,
                                   manifest_seed seed, uint64_t number,
                                   cask_buffer *bytes, cask_error *err);

#endif
