/*
 * The runs of a tree in a backup: those of the version that the store is at
 * when the cut of its log has been taken. What they lack is in the cut.
 */
#ifndef CASKADE_BACKUP_RUNS_H
#define CASKADE_BACKUP_RUNS_H

#include "caskade.h"
#include "store/store_cut.h"
#include "tree/version.h"

/*
 * Take the runs, after the cut. They can be read until they are given back,
 * whatever compactions do; nobody waits for that. `*ret_runs` is NULL for a
 * store of another engine.
 *
 * Returns CASK_OK; CASK_CORRUPT: a run is damaged or missing; CASK_TIMEOUT;
 * CASK_NO_MEMORY; CASK_IO.
 */
cask_status backup_runs_begin(store_handle *store, const version **ret_runs,
                              cask_error *err);

/* Accepts NULL. */
void backup_runs_end(store_handle *store, const version *runs);

/* Bytes of their files; runs: NULL allowed, here and below. */
uint64_t backup_runs_bytes(const version *runs);

/* Whether all records of a part of the cut are in the runs. */
bool backup_runs_have(const version *runs, const store_cut_part *part);

/* Enter them into the backup's MANIFEST. CASK_OK; CASK_NO_MEMORY. */
cask_status backup_runs_list(const version *runs, manifest_state *manifest,
                             cask_error *err);

/*
 * Put their files into the backup: by a link to the store's or to an earlier
 * backup's, else as copies. To be done at once: what has no name any more can
 * be copied only. `report` is told. Statuses of store_place().
 */
cask_status backup_runs_place(const store_placing *placing, const version *runs,
                              cask_backup_report *report, cask_error *err);

#endif
