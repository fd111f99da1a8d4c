/*
 * Merging here, with the progress on the terminal, for `caskade merge`.
 *
 * A thread merges; this one shows how far it is and looks for signals. A merge
 * is done in steps, and a cancellation holds for one of them, so that it is
 * repeated until the thread has ended.
 */
#include "merge_work.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"
#include "signals.h"

enum { POLL_MIN_MS = 1, POLL_MAX_MS = 100 };

/* What the merging thread is given and gives. */
typedef struct job {
    cask_db *db;
    cask_merge_options what;
    bool is_patient;       /* wait for merges of others, however long */
    uint64_t bytes_before; /* read by merges when it began */
    merge_work *work;
    atomic_bool is_stopped; /* by a signal */
    atomic_bool is_done;    /* *work is final */
} job;

/* Whether another process merges now. */
static bool others_merge(cask_db *db)
{
    cask_merge_state now;

    return cask_merge_status(db, &now, NULL) == CASK_OK &&
           now.phase != CASK_MERGE_NONE && now.pid != 0 &&
           now.pid != (uint32_t)getpid();
}

static void wait_for_others(const job *work)
{
    while (!atomic_load(&work->is_stopped) && others_merge(work->db)) {
        struct timespec wait = {.tv_nsec = POLL_MAX_MS * 1000000L};

        (void)nanosleep(&wait, NULL);
    }
}

static void *do_merge(void *argument)
{
    job *work = argument;
    merge_work *result = work->work;

    do {
        if (work->is_patient) {
            wait_for_others(work);
        }
        result->status =
            cask_merge(work->db, &work->what, &result->merged, &result->err);
    } while (result->status == CASK_BUSY && work->is_patient &&
             !atomic_load(&work->is_stopped));
    atomic_store(&work->is_done, true);
    return NULL;
}

/* Signals are for the thread that looks for them. */
static int start(job *work, pthread_t *ret_thread)
{
    sigset_t all;
    sigset_t before;
    int os_errno;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    os_errno = pthread_create(ret_thread, NULL, do_merge, work);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return os_errno;
}

/* What all steps together will read, supposing that those to come are like the
 * first; 0: not known. */
static uint64_t expected_bytes(cask_db *db, const cask_merge_options *what)
{
    cask_merge_summary summary;
    cask_merge_item *items = NULL;
    uint64_t bytes = 0;
    size_t count = 0;

    if (cask_merge_plan(db, what, &items, &count, &summary, NULL) == CASK_OK &&
        count > 0) {
        bytes = summary.read_bytes + summary.read_bytes / count * summary.left;
    }
    cask_free(items);
    return bytes;
}

/* What merges have read so far, of all processes; 0: not known. */
static uint64_t bytes_read(cask_db *db)
{
    cask_merge_state now;

    return cask_merge_status(db, &now, NULL) == CASK_OK ? now.bytes_read : 0;
}

static void show_progress(const job *work, progress *line)
{
    cask_merge_state now;
    uint64_t bytes;

    /* What does not answer now will at the next look. */
    if (cask_merge_status(work->db, &now, NULL) != CASK_OK) {
        return;
    }
    bytes = now.bytes_read - work->bytes_before;
    if (now.phase == CASK_MERGE_COPYING) {
        if (bytes + now.bytes_total > line->view.total) {
            line->view.total = bytes + now.bytes_total;
        }
        bytes += now.bytes_done;
    }
    progress_update(line, bytes, bytes);
}

/* Cancel our merge, not that of another process, for which we only wait. False
 * if it cannot be stopped. */
static bool stop(job *work)
{
    atomic_store(&work->is_stopped, true);
    return others_merge(work->db) ||
           cask_merge_cancel(work->db, NULL) == CASK_OK;
}

/* Until the thread has ended: show how far it is, pass on a signal. */
static void watch(job *work, progress *line)
{
    long poll_ms = POLL_MIN_MS;

    while (!atomic_load(&work->is_done)) {
        struct timespec wait = {.tv_nsec = poll_ms * 1000000};

        /* A signal ends it early. */
        (void)nanosleep(&wait, NULL);
        if (signals_arrived() != 0 && !stop(work)) {
            break; /* only waited for */
        }
        poll_ms = poll_ms < POLL_MAX_MS ? poll_ms * 2 : POLL_MAX_MS;
        show_progress(work, line);
    }
}

int merge_work_do(cask_db *db, const cask_merge_options *what, bool is_patient,
                  merge_work *ret_work)
{
    job work = {.db = db,
                .what = *what,
                .is_patient = is_patient,
                .bytes_before = bytes_read(db),
                .work = ret_work};
    progress line;
    pthread_t thread;
    int os_errno;

    *ret_work = (merge_work){.status = CASK_OK};
    signals_catch();
    progress_start(&line, "merging", "bytes", expected_bytes(db, what));
    os_errno = start(&work, &thread);
    if (os_errno == 0) {
        watch(&work, &line);
        (void)pthread_join(thread, NULL);
    }
    progress_stop(&line);
    return os_errno;
}
