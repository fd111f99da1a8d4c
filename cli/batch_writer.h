/*
 * Writing batches to a store by a thread of its own, so that the next one is
 * collected meanwhile.
 */
#ifndef CASKADE_CLI_BATCH_WRITER_H
#define CASKADE_CLI_BATCH_WRITER_H

#include "caskade.h"

typedef struct batch_writer batch_writer;

/* Start a thread that writes to `db`. Returns NULL if there is no memory or no
 * thread. Free it with batch_writer_free(), before the store is closed. */
batch_writer *batch_writer_create(cask_db *db);

/* Wait for the thread and end it; what was not sent is not written. Accepts
 * NULL. */
void batch_writer_free(batch_writer *writer);

/* The batch to fill; another one after each send. */
cask_batch *batch_writer_batch(batch_writer *writer);

/* Have the batch written, when those before it are. Returns CASK_OK, or what
 * went wrong with one before it; then nothing more is written. */
cask_status batch_writer_send(batch_writer *writer, cask_error *err);

/* Send the batch and wait until everything is written. As above. */
cask_status batch_writer_drain(batch_writer *writer, cask_error *err);

#endif
