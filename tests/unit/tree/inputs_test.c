/*
 * Memtables and runs as inputs of a merge, against an oracle: what is seen at
 * any moment, in both directions, of runs that are split among files and partly
 * swept, and of memtables that grow or go.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "cask_test.h"
#include "iter/iter_visible.h"
#include "os/os_sim.h"
#include "run/run_writer.h"
#include "support/random.h"
#include "tree/memtable_input.h"
#include "tree/run_input.h"
#include "unit/tree/record_log.h"

enum {
    ROUNDS = 300,
    WALKS = 30,
    STEPS = 25,
    KEYS = 300, /* different ones, at most */
    RECORDS = 1500,
    RUNS = 4,
    PARTS = 4,
    TABLES = 3,
    KEY_SIZE = 8,
    LOG_BYTES = 16 << 20
};

typedef struct record {
    cask_run_kind kind;
    uint32_t key;
    uint32_t end; /* of a range */
    uint64_t sequence;
    unsigned input; /* a run, or RUNS + a memtable */
    bool is_swept;  /* in front of what counts of its run */
} record;

typedef struct scene {
    os_sim *sim;
    os_file *dir;
    region_handle region;
    record_log log;
    memtable_records reader;
    test_random random;
    record records[RECORDS];
    size_t count;
    uint32_t keys;
    unsigned files;

    run_part parts[RUNS][PARTS];
    char begins[RUNS][KEY_SIZE + 1];
    run_input runs[RUNS];
    memtable_view views[TABLES];
    memtable_input tables[TABLES];
    iter_input inputs[RUNS + TABLES];
    size_t input_count;
} scene;

static void write_key(uint32_t key, char text[KEY_SIZE + 1])
{
    (void)snprintf(text, KEY_SIZE + 1, "k%07u", key % 10000000);
}

/* Of any length, and told by the sequence. */
static void write_value(uint64_t sequence, char text[32])
{
    (void)snprintf(text, 32, "v%" PRIu64 "%.*s", sequence, (int)(sequence % 9),
                   "........");
}

static cask_status read_record(void *context, uint64_t place,
                               cask_buffer *bytes, cask_run_entry *ret_entry,
                               cask_error *err)
{
    const record_log *log = context;
    memtable_entry found;
    char value[32];

    if (!log->log.read(log->log.context, place, &found)) {
        return fail(err, CASK_CORRUPT, 0, "planted");
    }
    write_value(found.sequence, value);
    bytes->size = 0;
    assert_int_equal(buffer_append(bytes, found.key.data, found.key.size, err),
                     CASK_OK);
    assert_int_equal(buffer_append(bytes, value, strlen(value), err), CASK_OK);
    *ret_entry = (cask_run_entry){
        .kind = (place & 1) != 0 ? CASK_RUN_PUT : CASK_RUN_DELETE,
        .key = {bytes->data, found.key.size},
        .value = {(uint8_t *)bytes->data + found.key.size, strlen(value)},
        .info = {.sequence = found.sequence}};
    return CASK_OK;
}

static int set_up(void **state)
{
    static scene s;
    const os_sim_options options = {.seed = 5};
    os *kernel;

    memset(&s, 0, sizeof(s));
    assert_int_equal(os_sim_create(&options, &s.sim), 0);
    kernel = os_sim_os(s.sim);
    assert_int_equal(kernel->ops->make_dir(kernel, "/d", 0700), 0);
    assert_int_equal(kernel->ops->open_dir(kernel, "/d", &s.dir), 0);
    record_log_make(&s.log, LOG_BYTES);
    record_log_region(&s.region);
    s.reader = (memtable_records){read_record, &s.log};
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;

    region_detach(&s->region);
    record_log_free(&s->log);
    s->dir->os->ops->close(s->dir);
    os_sim_free(s->sim);
    return 0;
}

/* ---- Making ------------------------------------------------------------- */

static int by_order(const void *left, const void *right)
{
    const record *a = left;
    const record *b = right;

    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    return a->sequence > b->sequence ? -1 : a->sequence < b->sequence;
}

static void add_to_run(cask_run_writer *writer, const record *r)
{
    char key[KEY_SIZE + 1];
    char end[KEY_SIZE + 1];
    char value[32];
    cask_run_entry entry = {.kind = r->kind,
                            .key = {key, KEY_SIZE},
                            .info = {.sequence = r->sequence, .time_s = 1}};

    write_key(r->key, key);
    if (r->kind == CASK_RUN_DELETE_RANGE) {
        write_key(r->end, end);
        entry.value = (cask_slice){end, KEY_SIZE};
    } else if (r->kind == CASK_RUN_PUT) {
        write_value(r->sequence, value);
        entry.value = (cask_slice){value, strlen(value)};
    }
    assert_int_equal(run_writer_add(writer, &entry, NULL), CASK_OK);
}

static cask_run_writer *begin_part(scene *s, char name[32])
{
    os *kernel = os_sim_os(s->sim);
    const run_writer_options options = {.run = {.memory_bytes = 4 << 20}};
    cask_run_writer *writer;
    os_file *dir;

    (void)snprintf(name, 32, "%u.run", s->files++);
    assert_int_equal(kernel->ops->open_dir(kernel, "/d", &dir), 0);
    assert_int_equal(run_writer_create(dir, name, &options, &writer, NULL),
                     CASK_OK);
    return writer;
}

static void end_part(scene *s, cask_run_writer *writer, const char *name,
                     run_part *part)
{
    cask_run *file;

    assert_int_equal(run_writer_finish(writer, NULL), CASK_OK);
    assert_int_equal(run_open(s->dir, name, NULL, &file, NULL), CASK_OK);
    *part = (run_part){.file = file};
}

/* Write the records of one run, sorted, to one file or several. */
static void make_run(scene *s, unsigned run)
{
    run_input *input = &s->runs[run];
    cask_run_writer *writer = NULL;
    char name[32];
    size_t parts = 0;
    uint32_t last = 0;

    for (size_t i = 0; i < s->count; i++) {
        const record *r = &s->records[i];

        if (r->input != run) {
            continue;
        }
        if (writer != NULL && r->key != last && parts + 1 < PARTS &&
            test_random_chance(&s->random, 4)) {
            end_part(s, writer, name, &s->parts[run][parts++]);
            writer = NULL;
        }
        writer = writer == NULL ? begin_part(s, name) : writer;
        add_to_run(writer, r);
        last = r->key;
    }
    writer = writer == NULL && parts == 0 ? begin_part(s, name) : writer;
    if (writer != NULL) {
        end_part(s, writer, name, &s->parts[run][parts++]);
    }
    *input = (run_input){.parts = s->parts[run], .count = parts};
    s->inputs[s->input_count++] = run_input_of(input);
}

/* What stands before some key of a run does not count: only of its first part,
 * as a sweep drops those that are behind it. */
static void sweep_run(scene *s, unsigned run)
{
    run_part *part = &s->parts[run][0];
    uint32_t begin = (uint32_t)test_random_next(&s->random, s->keys);
    cask_slice key = {s->begins[run], KEY_SIZE};

    write_key(begin, s->begins[run]);
    if (test_random_chance(&s->random, 50) ||
        key_compare(key, part->file->largest) > 0) {
        return;
    }
    part->begin = key;
    for (size_t i = 0; i < s->count; i++) {
        record *r = &s->records[i];

        if (r->input != run || r->key >= begin) {
            continue;
        }
        if (r->kind == CASK_RUN_DELETE_RANGE && r->end > begin) {
            r->key = begin; /* the rest of it counts */
        } else {
            r->is_swept = true;
        }
    }
}

static void put(scene *s, unsigned table, const record *r)
{
    char key[KEY_SIZE + 1];
    const memtable_put wanted = {.key = {key, KEY_SIZE},
                                 .sequence = r->sequence,
                                 .snapshot = r->sequence - 1};

    write_key(r->key, key);
    assert_true(record_log_put(&s->log, &s->views[table], wanted,
                               r->kind == CASK_RUN_PUT) != 0);
}

static void begin_table(scene *s, unsigned table)
{
    assert_int_equal(
        region_reserve(&s->region, memtable_begin_lines(RECORDS), NULL),
        CASK_OK);
    assert_true(memtable_begin_locked(&s->region, table, RECORDS));
    assert_true(
        memtable_open(&s->region, table, &s->log.log, &s->views[table]));
    s->tables[table] =
        (memtable_input){.view = &s->views[table], .records = &s->reader};
    s->inputs[s->input_count++] = memtable_input_of(&s->tables[table]);
}

static record random_record(scene *s, uint64_t sequence, unsigned tables)
{
    record r = {.kind = CASK_RUN_PUT,
                .key = (uint32_t)test_random_next(&s->random, s->keys),
                .sequence = sequence,
                .input = (unsigned)test_random_next(&s->random, RUNS + tables)};

    if (test_random_chance(&s->random, 25)) {
        r.kind = CASK_RUN_DELETE;
    } else if (r.input < RUNS && test_random_chance(&s->random, 2)) {
        r.kind = CASK_RUN_DELETE_RANGE;
        r.end = r.key + 1 + (uint32_t)test_random_next(&s->random, s->keys / 4);
    }
    return r;
}

static void make(scene *s)
{
    unsigned tables = (unsigned)test_random_next(&s->random, TABLES + 1);

    s->input_count = 0;
    s->files = 0;
    s->keys = (uint32_t)test_random_next(&s->random, KEYS - 8) + 8;
    /* Some remain for what is put while iterators are at work. */
    s->count = test_random_next(&s->random, RECORDS / 2);
    for (size_t i = 0; i < s->count; i++) {
        s->records[i] = random_record(s, i + 1, tables);
    }
    for (unsigned table = 0; table < tables; table++) {
        begin_table(s, table);
    }
    for (size_t i = 0; i < s->count; i++) {
        if (s->records[i].input >= RUNS) {
            put(s, s->records[i].input - RUNS, &s->records[i]);
        }
    }
    qsort(s->records, s->count, sizeof(record), by_order);
    for (unsigned run = 0; run < RUNS; run++) {
        make_run(s, run);
        sweep_run(s, run);
    }
}

static void unmake(scene *s)
{
    for (unsigned run = 0; run < RUNS; run++) {
        for (size_t i = 0; i < s->runs[run].count; i++) {
            run_close((cask_run *)(uintptr_t)s->parts[run][i].file);
        }
    }
    for (unsigned file = 0; file < s->files; file++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "%u.run", file);
        assert_int_equal(s->dir->os->ops->remove(s->dir, name), 0);
    }
    for (unsigned table = 0; table < TABLES; table++) {
        memtable_free_locked(&s->region, table);
        memtable_input_done(&s->tables[table]);
    }
    record_log_reset(&s->log);
}

/* ---- The oracle --------------------------------------------------------- */

/* For each key the sequence of the put that is seen; 0: none. */
static void look(const scene *s, uint64_t moment, uint64_t seen[KEYS])
{
    for (uint32_t key = 0; key < s->keys; key++) {
        uint64_t newest = 0;

        seen[key] = 0;
        for (size_t i = 0; i < s->count; i++) {
            const record *r = &s->records[i];
            bool is_of = r->kind == CASK_RUN_DELETE_RANGE
                             ? r->key <= key && key < r->end
                             : r->key == key;

            if (is_of && !r->is_swept && r->sequence <= moment &&
                r->sequence > newest) {
                newest = r->sequence;
                seen[key] = r->kind == CASK_RUN_PUT ? newest : 0;
            }
        }
    }
}

/* The first key that is seen from `key` on, or back; s->keys: none. */
static uint32_t seek_seen(const scene *s, const uint64_t seen[KEYS],
                          int64_t key, bool is_back)
{
    while (key >= 0 && key < s->keys && seen[key] == 0) {
        key += is_back ? -1 : 1;
    }
    return key < 0 || key >= s->keys ? s->keys : (uint32_t)key;
}

static void check(const scene *s, const uint64_t seen[KEYS], uint32_t key,
                  cask_status status, const cask_run_entry *got)
{
    char text[KEY_SIZE + 1];
    char value[32];

    if (key == s->keys) {
        assert_int_equal(status, CASK_NOT_FOUND);
        return;
    }
    assert_int_equal(status, CASK_OK);
    write_key(key, text);
    write_value(seen[key], value);
    assert_int_equal(got->key.size, KEY_SIZE);
    assert_memory_equal(got->key.data, text, KEY_SIZE);
    assert_int_equal(got->info.sequence, seen[key]);
    assert_int_equal(got->value.size, strlen(value));
    assert_memory_equal(got->value.data, value, got->value.size);
}

/* ---- Reading ------------------------------------------------------------ */

static iter_ranges *ranges_of(scene *s, const uint64_t *moment)
{
    const iter_moments moments = {moment, 1};
    iter_range *all = calloc(RECORDS, sizeof(*all));
    iter_ranges *ranges;
    size_t count = 0;

    assert_non_null(all);
    for (unsigned run = 0; run < RUNS; run++) {
        const run_input *input = &s->runs[run];

        assert_true(count +
                        run_parts_count_ranges(input->parts, input->count) <=
                    RECORDS);
        count += run_parts_ranges(input->parts, input->count, all + count);
    }
    assert_int_equal(
        iter_ranges_create(all, count, moments, NULL, &ranges, NULL), CASK_OK);
    free(all);
    return ranges;
}

/* What is put now is newer than the moment. */
static void put_one(scene *s, uint64_t moment)
{
    uint64_t sequence = s->count + 1;
    unsigned table = (unsigned)test_random_next(&s->random, TABLES);
    record r = random_record(s, sequence, 0);

    if (r.kind == CASK_RUN_DELETE_RANGE || s->tables[table].view == NULL ||
        s->count == RECORDS || sequence <= moment ||
        memtable_count(s->tables[table].view) >= RECORDS) {
        return;
    }
    r.input = RUNS + table;
    put(s, table, &r);
    s->records[s->count++] = r;
}

static void walk(scene *s, iter_visible *it, uint64_t moment,
                 const uint64_t seen[KEYS])
{
    cask_run_seek how = (cask_run_seek)(test_random_next(&s->random, 4) + 1);
    uint32_t from = (uint32_t)test_random_next(&s->random, s->keys);
    bool is_back = how == CASK_RUN_LAST || how == CASK_RUN_AT_MOST;
    char text[KEY_SIZE + 1];
    const cask_run_entry *got = NULL;
    cask_status status;

    write_key(from, text);
    if (how == CASK_RUN_FIRST || how == CASK_RUN_LAST) {
        from = is_back ? s->keys - 1 : 0;
    }
    status =
        iter_visible_seek(it, how, (cask_slice){text, KEY_SIZE}, &got, NULL);
    from = seek_seen(s, seen, from, is_back);
    check(s, seen, from, status, got);
    for (int i = 0; i < STEPS && status == CASK_OK; i++) {
        if (test_random_chance(&s->random, 20)) {
            put_one(s, moment);
        }
        is_back = test_random_chance(&s->random, 50);
        status = is_back ? iter_visible_previous(it, &got, NULL)
                         : iter_visible_next(it, &got, NULL);
        from = seek_seen(s, seen, (int64_t)from + (is_back ? -1 : 1), is_back);
        check(s, seen, from, status, got);
    }
}

static void read_whole(scene *s, iter_visible *it, const uint64_t seen[KEYS])
{
    const cask_run_entry *got = NULL;
    uint32_t key = seek_seen(s, seen, 0, false);
    cask_status status =
        iter_visible_seek(it, CASK_RUN_FIRST, (cask_slice){0}, &got, NULL);

    while (key < s->keys) {
        check(s, seen, key, status, got);
        key = seek_seen(s, seen, (int64_t)key + 1, false);
        status = iter_visible_next(it, &got, NULL);
    }
    check(s, seen, key, status, got);
    key = seek_seen(s, seen, (int64_t)s->keys - 1, true);
    status = iter_visible_seek(it, CASK_RUN_LAST, (cask_slice){0}, &got, NULL);
    while (key < s->keys) {
        check(s, seen, key, status, got);
        key = seek_seen(s, seen, (int64_t)key - 1, true);
        status = iter_visible_previous(it, &got, NULL);
    }
    check(s, seen, key, status, got);
}

static iter_visible *look_at(scene *s, uint64_t *moment, iter_ranges **ranges)
{
    iter_visible_options options = {.sequence = *moment};
    iter_visible *it;

    *ranges = ranges_of(s, moment);
    options.ranges = *ranges;
    assert_int_equal(
        iter_visible_create(s->inputs, s->input_count, &options, &it, NULL),
        CASK_OK);
    return it;
}

static void test_inputs_look_as_to_the_oracle(void **state)
{
    scene *s = *state;
    uint64_t seed = test_seed();
    uint64_t seen[KEYS];

    for (uint64_t round = 0; round < ROUNDS; round++) {
        iter_ranges *ranges;
        iter_visible *it;
        uint64_t moment;

        s->random = test_random_make(seed, round);
        memset(s->tables, 0, sizeof(s->tables));
        make(s);
        moment = test_random_next(&s->random, s->count + 2);
        it = look_at(s, &moment, &ranges);
        look(s, moment, seen);
        read_whole(s, it, seen);
        for (int i = 0; i < WALKS; i++) {
            walk(s, it, moment, seen);
        }
        read_whole(s, it, seen);
        iter_visible_free(it);
        iter_ranges_free(ranges);
        unmake(s);
    }
}

static void make_small(scene *s)
{
    memset(s->tables, 0, sizeof(s->tables));
    s->input_count = 0;
    s->keys = 8;
    s->count = 0;
    begin_table(s, 0);
    for (uint32_t key = 0; key < s->keys; key++) {
        const record r = {
            .kind = CASK_RUN_PUT, .key = key, .sequence = key + 1};

        put(s, 0, &r);
    }
}

static void unmake_small(scene *s)
{
    memtable_free_locked(&s->region, 0);
    memtable_input_done(&s->tables[0]);
    record_log_reset(&s->log);
}

static void test_a_memtable_that_goes_is_told(void **state)
{
    const cask_run_seek seeks[] = {CASK_RUN_FIRST, CASK_RUN_LAST,
                                   CASK_RUN_AT_LEAST, CASK_RUN_AT_MOST};
    scene *s = *state;
    const iter_input_ops *ops = &memtable_input_ops;
    memtable_input *input = &s->tables[0];
    cask_run_entry entry;
    cask_slice key = {"k0000003", KEY_SIZE};

    make_small(s);
    assert_int_equal(ops->seek(input, CASK_RUN_AT_MOST, key, &entry, NULL),
                     CASK_OK);
    assert_int_equal(entry.info.sequence, 4);
    memtable_free_locked(&s->region, 0);
    assert_int_equal(ops->next(input, &entry, NULL), CASK_BUSY);
    assert_true(input->is_gone);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ops->seek(input, seeks[i], key, &entry, NULL),
                         CASK_BUSY);
    }
    unmake_small(s);
}

static void test_a_record_that_cannot_be_read_is_damage(void **state)
{
    scene *s = *state;
    const iter_input_ops *ops = &memtable_input_ops;
    memtable_input *input = &s->tables[0];
    cask_run_entry entry;
    cask_slice key = {"k0000003", KEY_SIZE};

    make_small(s);
    assert_int_equal(ops->seek(input, CASK_RUN_AT_LEAST, key, &entry, NULL),
                     CASK_OK);
    s->log.hidden = input->cursor.entry.place;
    assert_int_equal(ops->previous(input, &entry, NULL), CASK_OK);
    assert_int_equal(ops->next(input, &entry, NULL), CASK_CORRUPT);
    assert_false(input->is_gone);
    s->log.hidden = 0;
    unmake_small(s);
}

/* The end of the log goes elsewhere while the input has its places. */
static void move_record(scene *s, uint64_t sequence)
{
    const record r = {.kind = CASK_RUN_PUT,
                      .key = (uint32_t)sequence - 1,
                      .sequence = sequence};
    memtable_cursor cursor;
    memtable_result result;

    for (result = memtable_seek_first(&cursor, &s->views[0]);
         result == MEMTABLE_FOUND && cursor.entry.sequence != sequence;
         result = memtable_next(&cursor)) {
    }
    assert_int_equal(result, MEMTABLE_FOUND);
    s->log.hidden = 0;
    put(s, 0, &r);
    s->log.hidden = cursor.entry.place;
}

static void test_a_record_that_was_moved_is_found(void **state)
{
    scene *s = *state;
    const iter_input_ops *ops = &memtable_input_ops;
    memtable_input *input = &s->tables[0];
    cask_run_entry entry;
    cask_slice key = {"k0000003", KEY_SIZE};

    for (int is_back = 0; is_back < 2; is_back++) {
        uint64_t to = is_back != 0 ? 3 : 5;

        make_small(s);
        assert_int_equal(ops->seek(input, CASK_RUN_AT_LEAST, key, &entry, NULL),
                         CASK_OK);
        assert_int_equal(entry.info.sequence, 4);
        move_record(s, to);
        assert_int_equal(is_back != 0 ? ops->previous(input, &entry, NULL)
                                      : ops->next(input, &entry, NULL),
                         CASK_OK);
        assert_int_equal(entry.info.sequence, to);
        /* Where it is goes, too: it is known by its copy. */
        move_record(s, to);
        assert_int_equal(is_back != 0 ? ops->next(input, &entry, NULL)
                                      : ops->previous(input, &entry, NULL),
                         CASK_OK);
        assert_int_equal(entry.info.sequence, 4);
        s->log.hidden = 0;
        unmake_small(s);
    }
}

/* The log has another record where the entry's was: a segment let go, and its
 * row used again. */
static void test_another_record_at_the_place_is_not_taken(void **state)
{
    scene *s = *state;
    const iter_input_ops *ops = &memtable_input_ops;
    memtable_input *input = &s->tables[0];
    record_log other = s->log;
    memtable_records reader = {read_record, &other};
    cask_run_entry entry;

    make_small(s);
    /* The same places, other records. */
    record_log_make(&other, LOG_BYTES);
    for (uint32_t key = 0; key < s->keys; key++) {
        char text[KEY_SIZE + 1];

        write_key(key, text);
        (void)record_log_append(&other, (cask_slice){text, KEY_SIZE}, key + 100,
                                true);
    }
    input->records = &reader;
    assert_int_equal(
        ops->seek(input, CASK_RUN_FIRST, (cask_slice){0}, &entry, NULL),
        CASK_CORRUPT);
    assert_false(input->is_gone);
    record_log_free(&other);
    unmake_small(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs_look_as_to_the_oracle),
        cmocka_unit_test(test_a_memtable_that_goes_is_told),
        cmocka_unit_test(test_a_record_that_cannot_be_read_is_damage),
        cmocka_unit_test(test_a_record_that_was_moved_is_found),
        cmocka_unit_test(test_another_record_at_the_place_is_not_taken),
    };

    return cmocka_run_group_tests_name("tree_inputs", tests, set_up, tear_down);
}
