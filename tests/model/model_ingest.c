/*
 * Runs that are built for no store and taken in: puts and deletes of some keys,
 * at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Before model.h, whose types have names of its parameters. */
#include "run/run_writer.h"

#include "model.h"

#define OFFLINE "/offline"

/* Whether the run of this number has a key, and deletes it. */
static bool has_key(uint64_t number, unsigned key)
{
    return test_mix(number + key) % 4 == 0;
}

static bool is_delete(uint64_t number, unsigned key)
{
    return test_mix(number + key) >> 8 & 1;
}

static cask_status add_key(run *r, cask_run_writer *writer, uint64_t number,
                           unsigned key, entry *after)
{
    static uint8_t memory[VALUE_BYTES];
    uint64_t mixed = test_mix(number + key);
    char text[512];
    cask_run_entry added = {
        .kind = CASK_RUN_DELETE,
        .key = key_of(key, text),
        .info = {.sequence = 1 + mixed % 3,
                 .time_s = (uint32_t)(r->now.now_ms / 1000)}};

    after[key] = (entry){.there = false};
    if (!is_delete(number, key)) {
        added.kind = CASK_RUN_PUT;
        added.value = value_of(mixed, memory);
        added.info.expires_at_ms =
            mixed % 7 == 0 ? r->now.now_ms + mixed % 5000 : 0;
        after[key] = (entry){.there = true,
                             .number = mixed,
                             .expires_at_ms = added.info.expires_at_ms,
                             .time_s = r->now.now_ms / 1000};
    }
    return run_writer_add(writer, &added, NULL);
}

static cask_status build(run *r, os *kernel, uint64_t number, entry *after)
{
    const run_writer_options options = {.run.file_mode = 0600};
    cask_run_writer *writer = NULL;
    os_file *dir = NULL;
    cask_status status = CASK_IO;

    (void)kernel->ops->make_dir(kernel, OFFLINE, 0700);
    if (kernel->ops->open_dir(kernel, OFFLINE, &dir) == 0) {
        (void)kernel->ops->remove(dir, "run");
        status = run_writer_create(dir, "run", &options, &writer, NULL);
    }
    if (status != CASK_OK) {
        return status;
    }
    for (unsigned key = 0; key < KEYS && status == CASK_OK; key++) {
        if (has_key(number, key)) {
            status = add_key(r, writer, number, key, after);
        }
    }
    if (status != CASK_OK) {
        run_writer_abort(writer);
        return status;
    }
    return run_writer_finish(writer, NULL);
}

static void ingest(run *r, const operation *o)
{
    const char *const path = OFFLINE "/run";
    cask_ingest_report report = {.sequence = 0};
    cask_error err = {CASK_OK, 0, "building a run"};
    entry after[KEYS];

    memcpy(after, r->now.entries, sizeof(after));
    if (!answers(r, "build",
                 build(r, &r->os[r->current].base, o->number, after), CASK_OK,
                 &err)) {
        return;
    }
    if (answers(r, "ingest",
                cask_ingest(r->db[r->current], &path, 1, NULL, &report, &err),
                r->is_tree ? CASK_OK : CASK_UNSUPPORTED, &err)) {
        memcpy(r->now.entries, after, sizeof(after));
        if (report.sequence != 0 && report.sequence <= r->sequence) {
            wrong(r, "a run has sequences that were given out");
        }
        r->sequence =
            report.sequence > r->sequence ? report.sequence : r->sequence;
    }
}

void tree_perform(run *r, const operation *o)
{
    if (o->kind == DELETE_RANGE) {
        range_delete(r, o);
    } else if (o->kind == WALK) {
        range_walk(r, o);
    } else {
        ingest(r, o);
    }
}
