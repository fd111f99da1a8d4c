/*
 * Writing batches by a thread of its own, see batch_writer.h. They go round in
 * a ring: one is filled by the caller, those before it wait for the thread, so
 * that neither waits for the other while it goes on in jerks: a store that
 * rotates writes nothing until its disk has caught up.
 */
#include "batch_writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

enum { BATCHES = 16 };

struct batch_writer {
    cask_db *db;
    pthread_t thread;
    cask_batch *batches[BATCHES];
    uint64_t filled; /* the caller's: it fills batches[filled % BATCHES] */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    uint64_t sent;    /* batches, of these ... */
    uint64_t written; /* ... so many; the thread's are those between */
    bool ends;
    cask_error err; /* of the first write that failed; none after it */
};

static cask_batch *batch_at(const batch_writer *writer, uint64_t index)
{
    return writer->batches[index % BATCHES];
}

static void *write_batches(void *context)
{
    batch_writer *writer = context;
    cask_error err = {0};

    (void)pthread_mutex_lock(&writer->mutex);
    for (;;) {
        cask_batch *batch = batch_at(writer, writer->written);

        while (writer->written == writer->sent && !writer->ends) {
            (void)pthread_cond_wait(&writer->changed, &writer->mutex);
        }
        if (writer->written == writer->sent) {
            break;
        }
        (void)pthread_mutex_unlock(&writer->mutex);
        if (err.status == CASK_OK) {
            err.status = cask_write(writer->db, batch, &err);
        }
        cask_batch_clear(batch);
        (void)pthread_mutex_lock(&writer->mutex);
        writer->err = err;
        writer->written++;
        (void)pthread_cond_broadcast(&writer->changed);
    }
    (void)pthread_mutex_unlock(&writer->mutex);
    return NULL;
}

/* Signals are for the thread that looks for them. */
static bool start(batch_writer *writer)
{
    sigset_t all;
    sigset_t before;
    bool started;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&writer->thread, NULL, write_batches, writer) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static bool create_batches(batch_writer *writer)
{
    for (size_t i = 0; i < BATCHES; i++) {
        if (cask_batch_create(&writer->batches[i], NULL) != CASK_OK) {
            return false;
        }
    }
    return true;
}

static void free_batches(batch_writer *writer)
{
    for (size_t i = 0; i < BATCHES; i++) {
        cask_batch_free(writer->batches[i]);
    }
}

batch_writer *batch_writer_create(cask_db *db)
{
    batch_writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL) {
        return NULL;
    }
    writer->db = db;
    (void)pthread_mutex_init(&writer->mutex, NULL);
    (void)pthread_cond_init(&writer->changed, NULL);
    if (!create_batches(writer) || !start(writer)) {
        free_batches(writer);
        free(writer);
        return NULL;
    }
    return writer;
}

void batch_writer_free(batch_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&writer->mutex);
    writer->ends = true;
    (void)pthread_cond_broadcast(&writer->changed);
    (void)pthread_mutex_unlock(&writer->mutex);
    (void)pthread_join(writer->thread, NULL);
    (void)pthread_cond_destroy(&writer->changed);
    (void)pthread_mutex_destroy(&writer->mutex);
    free_batches(writer);
    free(writer);
}

cask_batch *batch_writer_batch(batch_writer *writer)
{
    return batch_at(writer, writer->filled);
}

/* Wait until at most `most` batches are with the thread; what was wrong with
 * those that were written. */
static cask_status wait_locked(batch_writer *writer, uint64_t most,
                               cask_error *err)
{
    while (writer->sent - writer->written > most) {
        (void)pthread_cond_wait(&writer->changed, &writer->mutex);
    }
    *err = writer->err;
    return writer->err.status;
}

cask_status batch_writer_send(batch_writer *writer, cask_error *err)
{
    cask_status status;

    (void)pthread_mutex_lock(&writer->mutex);
    if (cask_batch_count(batch_writer_batch(writer)) > 0) {
        writer->filled++;
        writer->sent++;
        (void)pthread_cond_broadcast(&writer->changed);
    }
    status = wait_locked(writer, BATCHES - 1, err);
    (void)pthread_mutex_unlock(&writer->mutex);
    return status;
}

cask_status batch_writer_drain(batch_writer *writer, cask_error *err)
{
    cask_status status = batch_writer_send(writer, err);

    if (status != CASK_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&writer->mutex);
    status = wait_locked(writer, 0, err);
    (void)pthread_mutex_unlock(&writer->mutex);
    return status;
}
