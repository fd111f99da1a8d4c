/*
 * Where imported records go: into a store, with their times and expiry.
 */
#ifndef CASKADE_CLI_IMPORT_SINK_H
#define CASKADE_CLI_IMPORT_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "batch_writer.h"
#include "bitcask_walk.h"

typedef struct import_sink {
    cask_db *db;
    batch_writer *writer;
    uint64_t batch_max_bytes;
    uint64_t expiry_s; /* after the time of a record; 0: never */
    uint64_t now_s;    /* since 1970 */

    uint64_t imported; /* keys */
    uint64_t expired;  /* keys that were past their time, and not put */
} import_sink;

/* False: no memory or no thread. Close it in any case. */
bool import_sink_open(import_sink *sink, cask_db *db, uint64_t expiry_s);
void import_sink_close(import_sink *sink);

/* Each returns what the store says, maybe of a record before. */

cask_status import_sink_put(import_sink *sink, const bitcask_record *record,
                            cask_error *err);

/* Delete a key, after what was put before. */
cask_status import_sink_delete(import_sink *sink, cask_slice key,
                               cask_error *err);

/* Undo the put of a key: it is known by now that there is a newer version. */
cask_status import_sink_take_back(import_sink *sink, cask_slice key,
                                  cask_error *err);

/* Wait until everything is written. */
cask_status import_sink_drain(import_sink *sink, cask_error *err);

#endif
