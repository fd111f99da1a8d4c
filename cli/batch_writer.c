/*
 * Writing batches by a thread of its own, see batch_writer.h. There are two:
 * one is filled by the caller, the other one is with the thread.
 */
#include "batch_writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct batch_writer {
    cask_db *db;
    pthread_t thread;
    cask_batch *filling; /* the caller's */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    cask_batch *other; /* the thread's while `is_sent` */
    bool is_sent;
    bool ends;
    cask_error err; /* of the first write that failed; none after it */
};

static void *write_batches(void *context)
{
    batch_writer *writer = context;

    (void)pthread_mutex_lock(&writer->mutex);
    for (;;) {
        cask_error err = {0};

        while (!writer->is_sent && !writer->ends) {
            (void)pthread_cond_wait(&writer->changed, &writer->mutex);
        }
        if (!writer->is_sent) {
            break;
        }
        (void)pthread_mutex_unlock(&writer->mutex);
        if (cask_write(writer->db, writer->other, &err) == CASK_OK) {
            err.status = CASK_OK;
        }
        cask_batch_clear(writer->other);
        (void)pthread_mutex_lock(&writer->mutex);
        writer->err = err;
        writer->is_sent = false;
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

batch_writer *batch_writer_create(cask_db *db)
{
    batch_writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL) {
        return NULL;
    }
    writer->db = db;
    (void)pthread_mutex_init(&writer->mutex, NULL);
    (void)pthread_cond_init(&writer->changed, NULL);
    if (cask_batch_create(&writer->filling, NULL) != CASK_OK ||
        cask_batch_create(&writer->other, NULL) != CASK_OK || !start(writer)) {
        cask_batch_free(writer->filling);
        cask_batch_free(writer->other);
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
    cask_batch_free(writer->filling);
    cask_batch_free(writer->other);
    free(writer);
}

cask_batch *batch_writer_batch(batch_writer *writer)
{
    return writer->filling;
}

/* Wait until the thread has nothing to do; what the last write gave. */
static cask_status wait_locked(batch_writer *writer, cask_error *err)
{
    while (writer->is_sent) {
        (void)pthread_cond_wait(&writer->changed, &writer->mutex);
    }
    *err = writer->err;
    return writer->err.status;
}

cask_status batch_writer_send(batch_writer *writer, cask_error *err)
{
    cask_status status;

    (void)pthread_mutex_lock(&writer->mutex);
    status = wait_locked(writer, err);
    if (status == CASK_OK && cask_batch_count(writer->filling) > 0) {
        cask_batch *empty = writer->other;

        writer->other = writer->filling;
        writer->filling = empty;
        writer->is_sent = true;
        (void)pthread_cond_broadcast(&writer->changed);
    }
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
    status = wait_locked(writer, err);
    (void)pthread_mutex_unlock(&writer->mutex);
    return status;
}
