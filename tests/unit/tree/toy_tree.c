/*
 * See toy_tree.h.
 */
#include "unit/tree/toy_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/version_work.h"

enum { VALUE_SIZE = 64, NAME_SIZE = 32, STEP_BYTES = 1000, FLUSH_STEPS = 3 };

static const run_hash_key HASH_KEY = {{3, 4}};

/* ---- Keys and values ---------------------------------------------------- */

/* Ascending with the number, of different sizes, with a beginning in common. */
static cask_slice key_of(uint32_t number, char text[TOY_KEY_SIZE])
{
    int size = snprintf(text, TOY_KEY_SIZE, "key/%04u%.*s", number % 10000,
                        (int)(number % 5), "-----");

    return (cask_slice){text, (size_t)size};
}

static cask_slice value_of(uint64_t sequence, char text[VALUE_SIZE])
{
    int size = snprintf(text, VALUE_SIZE, "%" PRIu64 "%.*s", sequence,
                        (int)(sequence % 40),
                        "........................................");

    return (cask_slice){text, (size_t)size};
}

/* ---- Files -------------------------------------------------------------- */

static void name_of(uint64_t id, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "%016" PRIx64 ".run", id);
}

static cask_status begin_run(void *context, uint64_t *ret_id,
                             cask_run_writer **ret_writer, cask_error *err)
{
    toy_tree *tree = context;
    const run_origin origin = {.id = tree->next_id, .hash_key = HASH_KEY};
    const run_writer_options options = {.run = {.memory_bytes = 4 << 20},
                                        .origin = &origin};
    char name[NAME_SIZE];
    os_file *dir;
    int os_errno =
        tree->fault.base.ops->open_dir(&tree->fault.base, "/d", &dir);

    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open /d");
    }
    *ret_id = tree->next_id++;
    name_of(*ret_id, name);
    return run_writer_create(dir, name, &options, ret_writer, err);
}

/* By a name that cannot fail: a settling would do it later. */
static void discard_run(void *context, uint64_t id)
{
    toy_tree *tree = context;
    os *kernel = os_sim_os(tree->sim);
    char name[NAME_SIZE];
    os_file *dir;

    name_of(id, name);
    assert_int_equal(kernel->ops->open_dir(kernel, "/d", &dir), 0);
    assert_int_equal(kernel->ops->remove(dir, name), 0);
    kernel->ops->close(dir);
}

static const cask_run *open_output(toy_tree *tree, uint64_t id)
{
    char name[NAME_SIZE];
    cask_run *run = NULL;
    cask_error err = {0};

    name_of(id, name);
    if (run_open(tree->dir, name, NULL, &run, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    return run;
}

static void forget(version_run *run)
{
    run_close((cask_run *)(uintptr_t)run->file);
    free((void *)(uintptr_t)run->begin.data);
}

/* ---- The list ----------------------------------------------------------- */

static void insert(toy_tree *tree, const version_run *run)
{
    assert_true(tree->count < TOY_RUNS);
    tree->runs[tree->count++] = *run;
    qsort(tree->runs, tree->count, sizeof(tree->runs[0]), version_run_compare);
    if (run->run >= tree->next_run) {
        tree->next_run = run->run + 1;
    }
}

static version_run *find(toy_tree *tree, uint64_t id)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->runs[i].id == id) {
            return &tree->runs[i];
        }
    }
    (void)fprintf(stderr, "there is no run %" PRIu64 "\n", id);
    abort();
}

version toy_version(const toy_tree *tree)
{
    return (version){
        .runs = tree->runs, .count = tree->count, .next_run = tree->next_run};
}

uint64_t toy_bytes(const toy_tree *tree)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < tree->count; i++) {
        bytes += tree->runs[i].file->size;
    }
    return bytes;
}

/* ---- Make, free --------------------------------------------------------- */

void toy_make(toy_tree *tree, uint64_t seed, uint64_t number)
{
    const os_sim_options options = {.seed = seed};
    os *kernel;

    memset(tree, 0, sizeof(*tree));
    tree->random = test_random_make(seed, number);
    tree->next_id = 1;
    tree->next_run = 1;
    assert_int_equal(os_sim_create(&options, &tree->sim), 0);
    kernel = os_sim_os(tree->sim);
    os_fault_init(&tree->fault, kernel);
    assert_int_equal(kernel->ops->make_dir(kernel, "/d", 0700), 0);
    assert_int_equal(kernel->ops->open_dir(kernel, "/d", &tree->dir), 0);
    os_sim_set_wall_ms(tree->sim, UINT64_C(1700000000000));
    tree->mix = (toy_mix){.keys = TOY_KEYS, .delete_percent = 20};
    tree->settings =
        compaction_settings_default((compaction_strategy)(number % 3));
    tree->settings.flush_bytes = 5000;
    tree->settings.partition_bytes = 3000;
    tree->settings.run_limit = 3;
    tree->settings.ratio = 3;
    tree->settings.sweep_parts = 1;
}

void toy_free(toy_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        forget(&tree->runs[i]);
    }
    tree->dir->os->ops->close(tree->dir);
    os_sim_free(tree->sim);
}

/* ---- Writing ------------------------------------------------------------ */

typedef struct toy_record {
    cask_run_kind kind;
    uint32_t key;
    uint32_t end;
    uint64_t sequence;
    bool expires;
} toy_record;

static int compare_records(const void *left, const void *right)
{
    const toy_record *a = left;
    const toy_record *b = right;

    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    return a->sequence > b->sequence ? -1 : 1;
}

/* What is seen from now on. */
static void note(toy_tree *tree, const toy_record *r)
{
    for (uint32_t key = r->key;
         r->kind == CASK_RUN_DELETE_RANGE && key < r->end && key < TOY_KEYS;
         key++) {
        tree->now.put[key] = 0;
    }
    if (r->kind != CASK_RUN_DELETE_RANGE) {
        tree->now.put[r->key] = r->kind == CASK_RUN_PUT ? r->sequence : 0;
        tree->now.expires[r->key] = r->expires;
    }
    tree->now.sequence = r->sequence;
}

static void write_record(cask_run_writer *writer, const toy_record *r)
{
    char key[TOY_KEY_SIZE];
    char end[TOY_KEY_SIZE];
    char value[VALUE_SIZE];
    cask_run_entry entry = {.kind = r->kind,
                            .key = key_of(r->key, key),
                            .info = {.sequence = r->sequence,
                                     .time_s = 1,
                                     .expires_at_ms = r->expires ? 1 : 0}};

    if (r->kind == CASK_RUN_DELETE_RANGE) {
        entry.value = key_of(r->end, end);
    } else if (r->kind == CASK_RUN_PUT) {
        entry.value = value_of(r->sequence, value);
    }
    assert_int_equal(run_writer_add(writer, &entry, NULL), CASK_OK);
}

static void write_batch(toy_tree *tree, toy_record *records, size_t count)
{
    version_run run = {.run = tree->next_run};
    cask_run_writer *writer = NULL;

    qsort(records, count, sizeof(*records), compare_records);
    assert_int_equal(begin_run(tree, &run.id, &writer, NULL), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        write_record(writer, &records[i]);
    }
    assert_int_equal(run_writer_finish(writer, NULL), CASK_OK);
    run.file = open_output(tree, run.id);
    insert(tree, &run);
}

static toy_record random_record(toy_tree *tree)
{
    test_random *random = &tree->random;
    toy_record r = {.kind = CASK_RUN_PUT,
                    .key = (uint32_t)test_random_next(random, tree->mix.keys),
                    .sequence = ++tree->sequence};

    if (test_random_chance(random, tree->mix.range_percent)) {
        r.kind = CASK_RUN_DELETE_RANGE;
        r.end = r.key + 1 + (uint32_t)test_random_next(random, 60);
    } else if (test_random_chance(random, tree->mix.delete_percent)) {
        r.kind = CASK_RUN_DELETE;
    } else {
        r.expires = test_random_chance(random, tree->mix.expiring_percent);
    }
    return r;
}

void toy_flush(toy_tree *tree)
{
    size_t count = 1 + (size_t)test_random_next(&tree->random, TOY_BATCH);
    toy_record records[TOY_BATCH];

    for (size_t i = 0; i < count; i++) {
        records[i] = random_record(tree);
        note(tree, &records[i]);
    }
    write_batch(tree, records, count);
}

void toy_put_in_order(toy_tree *tree, uint32_t from, uint32_t count)
{
    toy_record records[TOY_BATCH];

    for (uint32_t i = 0; i < count; i++) {
        records[i] = (toy_record){.kind = CASK_RUN_PUT,
                                  .key = from + i,
                                  .sequence = ++tree->sequence};
        note(tree, &records[i]);
    }
    write_batch(tree, records, count);
}

void toy_delete_all(toy_tree *tree)
{
    toy_record all = {.kind = CASK_RUN_DELETE_RANGE,
                      .end = TOY_KEYS,
                      .sequence = ++tree->sequence};

    note(tree, &all);
    write_batch(tree, &all, 1);
}

void toy_expire(toy_tree *tree)
{
    tree->now.expired_up_to = tree->sequence;
}

void toy_take_snapshot(toy_tree *tree)
{
    uint64_t newest =
        tree->snapshots > 0 ? tree->snapshot[tree->snapshots - 1].sequence : 0;

    if (tree->snapshots < TOY_SNAPSHOTS && tree->sequence > newest) {
        tree->snapshot[tree->snapshots++] = tree->now;
    }
}

void toy_drop_snapshot(toy_tree *tree, size_t index)
{
    if (index < tree->snapshots) {
        memmove(&tree->snapshot[index], &tree->snapshot[index + 1],
                (tree->snapshots - index - 1) * sizeof(tree->snapshot[0]));
        tree->snapshots--;
    }
}

/* ---- Compacting --------------------------------------------------------- */

/* What a snapshot sees does not expire for it. */
static bool is_expired(void *context, const cask_run_entry *entry)
{
    const toy_tree *tree = context;
    uint64_t newest =
        tree->snapshots > 0 ? tree->snapshot[tree->snapshots - 1].sequence : 0;

    return entry->info.expires_at_ms != 0 &&
           entry->info.sequence <= tree->now.expired_up_to &&
           entry->info.sequence > newest;
}

static uint64_t expired_count(const toy_tree *tree, const cask_run *file)
{
    uint64_t newest =
        tree->snapshots > 0 ? tree->snapshot[tree->snapshots - 1].sequence : 0;

    return run_last_sequence(file) <= tree->now.expired_up_to &&
                   run_first_sequence(file) > newest
               ? file->footer.expiring
               : 0;
}

static bool has_expired(void *context, const cask_run *file)
{
    return file->footer.ranges == 0 &&
           expired_count(context, file) == run_values(&file->footer);
}

static void meet_damage(void *context, const cask_run *file)
{
    (void)context;
    assert_non_null(file);
}

static cask_status go_on(void *context, uint64_t bytes, cask_error *err)
{
    toy_tree *tree = context;

    assert_true(bytes >= STEP_BYTES);
    tree->steps++;
    if (tree->flushes > 0 && tree->steps % FLUSH_STEPS == 0) {
        tree->flushes--;
        toy_flush(tree);
    }
    return tree->steps == tree->stop_at
               ? fail(err, CASK_TIMEOUT, 0, "stopped by the test")
               : CASK_OK;
}

bool toy_choose(const toy_tree *tree, const compact_facts *facts, bool all,
                uint32_t *choices, compaction_plan *ret_plan)
{
    const compaction_moment moment = {
        .oldest_snapshot =
            tree->snapshots > 0 ? tree->snapshot[0].sequence : UINT64_MAX};

    if (all || !compact_facts_fit(facts, tree->settings.strategy)) {
        compaction_choose_all(&tree->settings, facts->parts, facts->count,
                              choices, ret_plan);
    } else {
        compaction_choose(&tree->settings, &moment, facts->parts, facts->count,
                          choices, ret_plan);
    }
    return ret_plan->reason != COMPACTION_REASON_NONE;
}

static void take_out(toy_tree *tree, uint64_t id, bool comes_again)
{
    version_run *run = find(tree, id);

    if (!comes_again) {
        discard_run(tree, id);
    }
    forget(run);
    memmove(run, run + 1,
            (size_t)(&tree->runs[tree->count] - (run + 1)) * sizeof(*run));
    tree->count--;
}

static cask_slice copy_of(cask_slice key)
{
    void *copy;

    if (key.size == 0) {
        return (cask_slice){NULL, 0};
    }
    copy = malloc(key.size);
    assert_non_null(copy);
    memcpy(copy, key.data, key.size);
    return (cask_slice){copy, key.size};
}

static void apply(toy_tree *tree, const version_edit *edit)
{
    version_run come[TOY_RUNS];

    /* Keys of the edit are those of files that are about to be closed. */
    for (size_t i = 0; i < edit->add_count; i++) {
        const version_add *add = &edit->adds[i];

        come[i] = (version_run){.id = add->id,
                                .level = add->level,
                                .run = add->run,
                                .begin = copy_of(add->begin),
                                .file = open_output(tree, add->id)};
    }
    for (size_t i = 0; i < edit->begin_count; i++) {
        version_run *run = find(tree, edit->begins[i].id);
        cask_slice begin = copy_of(edit->begins[i].key);

        assert_true(key_compare(begin, run->begin) > 0);
        free((void *)(uintptr_t)run->begin.data);
        run->begin = begin;
    }
    for (size_t i = 0; i < edit->drop_count; i++) {
        take_out(tree, edit->drops[i], version_edit_adds(edit, edit->drops[i]));
    }
    for (size_t i = 0; i < edit->add_count; i++) {
        insert(tree, &come[i]);
    }
}

cask_status toy_carry_out(toy_tree *tree, const compact_facts *facts,
                          const compaction_plan *plan, const uint32_t *choices,
                          cask_error *err)
{
    const compact_calls calls = {.context = tree,
                                 .begin_run = begin_run,
                                 .discard_run = discard_run,
                                 .go_on = go_on,
                                 .meet_damage = meet_damage,
                                 .step_bytes = STEP_BYTES,
                                 .is_expired = is_expired,
                                 .has_expired = has_expired};
    version_run runs[TOY_RUNS];
    version pinned = {
        .runs = runs, .count = tree->count, .next_run = tree->next_run};
    uint64_t at[TOY_SNAPSHOTS + 1];
    const compact_job job = {.version = &pinned,
                             .facts = facts,
                             .plan = plan,
                             .choices = choices,
                             .moments = {at, tree->snapshots + 1},
                             .calls = &calls};
    compact_result result;
    cask_status status;

    memcpy(runs, tree->runs, sizeof(runs));
    for (size_t i = 0; i < tree->snapshots; i++) {
        at[i] = tree->snapshot[i].sequence;
    }
    at[tree->snapshots] = UINT64_MAX;
    status = compact_job_run(&job, &result, err);
    if (status == CASK_OK) {
        apply(tree, &result.edit);
        compact_result_free(&result);
    }
    return status;
}

bool toy_compact(toy_tree *tree, bool all)
{
    version pinned = toy_version(tree);
    uint32_t choices[TOY_RUNS];
    compaction_plan plan;
    compact_facts facts;
    cask_error err = {0};
    bool is_due;

    assert_int_equal(compact_facts_make(&pinned, &facts, &err), CASK_OK);
    for (size_t i = 0; i < facts.count; i++) {
        const uint64_t most = facts.parts[i].records;
        uint64_t expired = expired_count(tree, tree->runs[i].file);

        facts.parts[i].expired = expired < most ? expired : most;
    }
    is_due = toy_choose(tree, &facts, all, choices, &plan);
    if (is_due &&
        toy_carry_out(tree, &facts, &plan, choices, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    compact_facts_free(&facts);
    return is_due;
}

/* ---- Checking ----------------------------------------------------------- */

/* What the first run that has something to say says; false: none has. */
static bool look_up(const toy_tree *tree, cask_slice key, uint64_t sequence,
                    cask_buffer *value, cask_run_entry *ret_entry)
{
    for (size_t i = 0; i < tree->count; i++) {
        const version_run *run = &tree->runs[i];
        cask_status status;

        if (key_compare(key, run->begin) < 0) {
            continue;
        }
        status = run_get(run->file, key, sequence, value, ret_entry, NULL);
        assert_true(status == CASK_OK || status == CASK_NOT_FOUND);
        if (status == CASK_OK) {
            return true;
        }
    }
    return false;
}

static void check_key(const toy_tree *tree, uint32_t number,
                      const toy_view *view)
{
    char text[TOY_KEY_SIZE];
    char expected[VALUE_SIZE];
    cask_slice key = key_of(number, text);
    uint64_t put = view->put[number];
    cask_buffer value = {0};
    cask_run_entry entry;
    bool is_there = look_up(tree, key, view->sequence, &value, &entry) &&
                    entry.kind == CASK_RUN_PUT;

    if (view->expires[number] && put <= view->expired_up_to) {
        is_there = is_there && entry.info.expires_at_ms == 0;
        put = 0; /* the put may be there still, and is not seen */
    }
    if (is_there != (put != 0)) {
        fail_msg("key %u at %" PRIu64 ": put %" PRIu64 " expected, %s", number,
                 view->sequence, put, is_there ? "another" : "none");
    }
    if (is_there) {
        cask_slice wanted = value_of(put, expected);

        assert_int_equal(entry.info.sequence, put);
        assert_int_equal(value.size, wanted.size);
        assert_memory_equal(value.data, wanted.data, wanted.size);
    }
    cask_buffer_free(&value);
}

static void check_view(const toy_tree *tree, const toy_view *view)
{
    for (uint32_t key = 0; key < TOY_KEYS && view->sequence > 0; key++) {
        check_key(tree, key, view);
    }
}

/* Parts of one run do not overlap, ends of ranges included. */
static void check_parts(const toy_tree *tree)
{
    version pinned = toy_version(tree);
    compact_facts facts;

    assert_int_equal(compact_facts_make(&pinned, &facts, NULL), CASK_OK);
    for (size_t i = 1; i < facts.count; i++) {
        const compaction_part *a = &facts.parts[i - 1];
        const compaction_part *b = &facts.parts[i];

        if (a->level == b->level && a->run == b->run) {
            assert_true(a->last_key < b->first_key);
        }
    }
    compact_facts_free(&facts);
}

static bool visit_name(void *context, const char *name)
{
    size_t *files = context;

    *files += strcmp(name, ".") != 0 && strcmp(name, "..") != 0 ? 1 : 0;
    return true;
}

void toy_check(toy_tree *tree)
{
    size_t files = 0;

    assert_int_equal(tree->dir->os->ops->list(tree->dir, visit_name, &files),
                     0);
    assert_int_equal(files, tree->count);
    check_parts(tree);
    check_view(tree, &tree->now);
    for (size_t i = 0; i < tree->snapshots; i++) {
        check_view(tree, &tree->snapshot[i]);
    }
}
