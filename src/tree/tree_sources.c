/*
 * Finding what a tree is made of, see tree_sources.h. The memtables come before
 * the version: what leaves them is in the runs by then.
 */
#include "tree/tree_sources.h"

#include <stdlib.h>
#include <string.h>

#include "tree/tree.h"
#include "tree/tree_lost.h"
#include "tree/tree_record.h"

/* ---- Runs --------------------------------------------------------------- */

/* Whether the file may have keys that are wanted. */
static bool is_wanted(const version_run *run, const tree_wanted *wanted)
{
    const iter_bounds *bounds = &wanted->bounds;
    cask_slice smallest = run->file->smallest;

    if (key_compare(smallest, run->begin) < 0) {
        smallest = run->begin;
    }
    return run->file->footer.records > 0 && !iter_is_above(bounds, smallest) &&
           !iter_is_below(bounds, run->file->largest) &&
           (wanted->prefix.size == 0 ||
            run_may_have_prefix(run->file, wanted->prefix));
}

static uint64_t newer_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void add_runs(tree_sources *s, const tree_wanted *wanted)
{
    const version *newest = s->version;
    run_part *part = s->parts;
    run_input *run = s->runs;

    for (size_t i = 0; i < newest->group_count; i++) {
        const version_group *group = &newest->groups[i];

        uint64_t last = 0;

        *run = (run_input){.parts = part,
                           .iterator = {.passing = wanted->passing}};
        for (size_t j = 0; j < group->count; j++) {
            if (is_wanted(&group->parts[j], wanted)) {
                *part++ = (run_part){.file = group->parts[j].file,
                                     .begin = group->parts[j].begin};
                run->count++;
                last = newer_of(last, run_last_sequence(part[-1].file));
            }
        }
        if (run->count > 0) {
            iter_input *input = &s->inputs[s->input_count++];

            *input = run_input_of(run++);
            input->last_sequence = last;
        }
    }
}

/* ---- Deletions of ranges ------------------------------------------------ */

/* Of memtables. CASK_BUSY: one was freed. */
static cask_status pin_books(tree_sources *s, size_t *count, cask_error *err)
{
    tree_ranges *all = tree_state_of(s->store)->ranges;
    cask_status status = CASK_OK;

    for (unsigned i = 0; i < s->tables.count && status == CASK_OK; i++) {
        status =
            tree_ranges_pin(all, &s->tables.view[i], &s->books[i].book, err);
        if (status == CASK_OK && s->books[i].book != NULL) {
            s->books[i].count = range_book_count(s->books[i].book);
            *count += s->books[i].count;
        }
    }
    return status;
}

static size_t list_ranges(const tree_sources *s, iter_range *ret_ranges)
{
    size_t written = 0;

    for (unsigned i = 0; i < s->tables.count; i++) {
        if (s->books[i].book != NULL) {
            range_book_list(s->books[i].book, s->books[i].count,
                            ret_ranges + written);
            written += s->books[i].count;
        }
    }
    for (size_t i = 0; i < s->version->count; i++) {
        const run_part part = {.file = s->version->runs[i].file,
                               .begin = s->version->runs[i].begin};

        written += run_parts_ranges(&part, 1, ret_ranges + written);
    }
    return written;
}

/* Of all runs, too: a range reaches beyond the keys of its file. */
static cask_status add_ranges(tree_sources *s, const tree_wanted *wanted,
                              cask_error *err)
{
    const iter_moments moments = {&wanted->sequence, 1};
    size_t count = 0;
    cask_status status = pin_books(s, &count, err);
    iter_range *ranges;

    for (size_t i = 0; i < s->version->count; i++) {
        count += s->version->runs[i].file->ranges.count;
    }
    if (status != CASK_OK || count == 0) {
        return status;
    }
    ranges = malloc(count * sizeof(*ranges));
    if (ranges == NULL) {
        return fail_memory(err, count * sizeof(*ranges));
    }
    status = iter_ranges_create(ranges, list_ranges(s, ranges), moments,
                                &wanted->bounds, &s->ranges, err);
    free(ranges);
    return status;
}

/* Nobody knows which keys are in a broken run, and what of older ones it
 * hides. */
static cask_status check_broken(const version *newest,
                                const iter_bounds *bounds, cask_error *err)
{
    for (size_t i = 0; i < newest->broken_count; i++) {
        const version_broken *broken = &newest->broken[i];

        if (version_may_break_within(broken, bounds->lower, bounds->upper)) {
            return version_fail_broken(broken, err);
        }
    }
    return CASK_OK;
}

/* ---- The whole ---------------------------------------------------------- */

static cask_status try_open(store_handle *store, const tree_wanted *wanted,
                            tree_sources *s, cask_error *err)
{
    const tree_state *state = tree_state_of(store);
    cask_status status;
    size_t parts;
    size_t runs;

    memset(s, 0, sizeof(*s));
    s->store = store;
    s->records = tree_records(store);
    tree_tables_load(store, &state->log, &s->tables);
    status = version_pin(state->versions, &s->version, err);
    if (status == CASK_OK) {
        status = check_broken(s->version, &wanted->bounds, err);
    }
    if (status == CASK_OK) {
        status =
            tree_lost_check(s->version, &wanted->bounds, wanted->sequence, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    /* One more of each: no run is no reason for NULL. */
    parts = s->version->count + 1;
    runs = s->version->group_count + 1;
    s->parts = calloc(parts, sizeof(*s->parts));
    s->runs = calloc(runs, sizeof(*s->runs));
    s->inputs = calloc(runs + MEMTABLES, sizeof(*s->inputs));
    if (s->parts == NULL || s->runs == NULL || s->inputs == NULL) {
        return fail_memory(err, runs * sizeof(*s->runs));
    }
    for (unsigned i = 0; i < s->tables.count; i++) {
        s->table_inputs[i] = (memtable_input){.view = &s->tables.view[i],
                                              .records = &s->records};
        s->inputs[s->input_count++] = memtable_input_of(&s->table_inputs[i]);
    }
    add_runs(s, wanted);
    return add_ranges(s, wanted, err);
}

cask_status tree_sources_open(store_handle *store, const tree_wanted *wanted,
                              tree_sources *s, cask_error *err)
{
    cask_status status = try_open(store, wanted, s, err);

    while (status == CASK_BUSY) {
        tree_sources_close(s);
        status = try_open(store, wanted, s, err);
    }
    return status;
}

void tree_sources_close(tree_sources *s)
{
    if (s->store == NULL) {
        return;
    }
    if (s->version != NULL) {
        version_unpin(tree_state_of(s->store)->versions, s->version);
    }
    for (unsigned i = 0; i < s->tables.count; i++) {
        memtable_input_done(&s->table_inputs[i]);
        tree_ranges_unpin(tree_state_of(s->store)->ranges, s->books[i].book);
    }
    iter_ranges_free(s->ranges);
    free(s->parts);
    free(s->runs);
    free(s->inputs);
    memset(s, 0, sizeof(*s));
}

bool tree_sources_are_gone(const tree_sources *s)
{
    bool are_gone = false;

    for (unsigned i = 0; i < s->tables.count; i++) {
        are_gone = are_gone || s->table_inputs[i].is_gone;
    }
    return are_gone;
}
