/*
 * Runs that are built for no store, on any os, and taken into one. Every helper
 * fails the test if a call fails.
 */
#ifndef CASKADE_TESTS_UNIT_TREE_OFFLINE_H
#define CASKADE_TESTS_UNIT_TREE_OFFLINE_H

#include "cask_test.h"

#include "caskade.h"
#include "os/os.h"

enum { OFFLINE_PATH = 64 };
#define OFFLINE_DIR "/offline"

/* A record; sequence 0 is 1. */
cask_run_entry offline_put(const char *key, const char *value,
                           uint64_t sequence);
cask_run_entry offline_delete(const char *key, uint64_t sequence);
cask_run_entry offline_range(const char *from, const char *to,
                             uint64_t sequence);

/* Build the run OFFLINE_DIR/`name` anew. */
void offline_build(os *kernel, const char *name, const cask_run_entry *entries,
                   size_t count);

/* Take in the runs of these names, which are in OFFLINE_DIR. */
cask_status offline_ingest(cask_db *db, const char *const *names, size_t count,
                           cask_ingest_report *ret_report, cask_error *err);

/* One that can be. */
cask_ingest_report offline_take(cask_db *db, const char *name);

#endif
