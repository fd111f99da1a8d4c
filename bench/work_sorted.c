/*
 * A sorted run in a file of its own, in memory: writing it, getting keys that
 * are there and that are not, walking over it, seeking.
 */
#include <stdio.h>

#include "measure.h"
#include "work.h"

enum { PATH_BYTES = 4096, SEEK_RECORDS = 10 };

static void check(cask_status status, const char *call, const cask_error *err)
{
    if (status != CASK_OK) {
        bench_die("%s: %s: %s", call, cask_status_name(status), err->message);
    }
}

static void write_sorted(const bench_run *run, const char *path)
{
    cask_run_writer *writer = NULL;
    cask_error err = {0};
    uint64_t start = now_ns();
    check(cask_run_writer_create(path, NULL, &writer, &err), "create", &err);
    for (uint64_t i = 0; i < run->keys; i++) {
        stream_key memory;
        cask_run_entry entry = {.kind = CASK_RUN_PUT,
                                .key = stream_key_at(&run->stream, i, &memory),
                                .value = stream_value_at(&run->stream, i, 0),
                                .info = {.sequence = 1, .time_s = 1}};
        check(cask_run_writer_add(writer, &entry, &err), "add", &err);
    }
    check(cask_run_writer_finish(writer, &err), "finish", &err);
    run_report_rate(run, WORK_RUN_WRITE, run->keys, now_ns() - start);
}

/* `offset`: 0, or STREAM_MISSING for keys that are not there. */
static void get_sorted(const bench_run *run, const cask_run *sorted,
                       uint64_t offset, work_id work)
{
    order random = order_of(run->keys, 90);
    cask_buffer value = {0};
    uint64_t good = 0;
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < run->keys; i++) {
        stream_key memory;
        cask_run_entry entry;
        uint64_t index = order_at(&random, i);
        cask_slice key = stream_key_at(&run->stream, index + offset, &memory);
        cask_status status = cask_run_get(sorted, key, 0, &value, &entry, NULL);
        good += offset != 0
                    ? status == CASK_NOT_FOUND
                    : status == CASK_OK &&
                          stream_value_is(&run->stream, index, 0, entry.value);
    }
    run_report_rate(run, work, run->keys, now_ns() - start);
    cask_buffer_free(&value);
    run_check(run, "get", good, run->keys);
}

/* From one end to the other. */
static void walk_sorted(const bench_run *run, cask_run_iterator *iterator,
                        bool forward, work_id work)
{
    const cask_slice none = {0};
    cask_run_entry entry;
    uint64_t count = 0;
    uint64_t start = now_ns();
    cask_status status = cask_run_iterator_seek(
        iterator, forward ? CASK_RUN_FIRST : CASK_RUN_LAST, none, &entry, NULL);
    while (status == CASK_OK) {
        count++;
        status = forward ? cask_run_iterator_next(iterator, &entry, NULL)
                         : cask_run_iterator_previous(iterator, &entry, NULL);
    }
    run_report_rate(run, work, run->keys, now_ns() - start);
    run_check(run, "walk", count, run->keys);
}

/* To a key, and on over ten records. */
static void seek_sorted(const bench_run *run, cask_run_iterator *iterator)
{
    order random = order_of(run->keys, 91);
    uint64_t good = 0;
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < run->keys; i++) {
        stream_key memory;
        cask_run_entry entry;
        uint64_t index = order_at(&random, i);
        cask_slice key = stream_key_at(&run->stream, index, &memory);
        cask_status status = cask_run_iterator_seek(iterator, CASK_RUN_AT_LEAST,
                                                    key, &entry, NULL);
        good += status == CASK_OK;
        for (int n = 1; n < SEEK_RECORDS && status == CASK_OK; n++) {
            status = cask_run_iterator_next(iterator, &entry, NULL);
        }
    }
    run_report_rate(run, WORK_RUN_SEEK, run->keys, now_ns() - start);
    run_check(run, "seek", good, run->keys);
}

void run_sorted(bench_run *run)
{
    char path[PATH_BYTES];
    cask_run *sorted = NULL;
    cask_run_iterator *iterator = NULL;
    cask_error err = {0};
    snprintf(path, sizeof(path), "%s/sorted.run", run->path);
    run->stream.ordered = true;
    run_warm(run);
    write_sorted(run, path);
    check(cask_run_open(path, &sorted, &err), "open", &err);
    check(cask_run_iterator_create(sorted, &iterator, &err), "iterator", &err);
    walk_sorted(run, iterator, true, WORK_RUN_SCAN_FIRST);
    walk_sorted(run, iterator, true, WORK_RUN_SCAN);
    walk_sorted(run, iterator, false, WORK_RUN_SCAN_BACK);
    get_sorted(run, sorted, 0, WORK_RUN_GET);
    get_sorted(run, sorted, STREAM_MISSING, WORK_RUN_GET_MISSING);
    seek_sorted(run, iterator);
    cask_run_iterator_free(iterator);
    cask_run_close(sorted);
}
