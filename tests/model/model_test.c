/*
 * Random operations against a model in memory: after each one the store must
 * answer what the model says. The store is on a simulated disk with a clock
 * that is set by hand; processes die by an os whose calls all fail from then
 * on. A sequence that fails is made shorter as long as it fails, and printed.
 *
 *   model_test [tree]    the stores are of the tree engine; what that cannot do
 *                        yet is left out, and a flush takes the place of a
 *                        merge
 *
 *   CASK_TEST_SEQUENCES  how many (10000; with a sanitizer 4000)
 *   CASK_TEST_SEED       of the first one; the next is one more
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/record_format.h"
#include "model.h"
#include "tree/tree_flush.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SEQUENCES = 2000 };
#else
enum { SEQUENCES = 10000 };
#endif

static uint64_t current_seed;
static bool is_tree; /* the engine of the stores */

/* ---- Failing ---- */

void wrong(run *r, const char *format, ...)
{
    va_list arguments;

    if (r->message[0] == 0) {
        va_start(arguments, format);
        (void)vsnprintf(r->message, sizeof(r->message), format, arguments);
        va_end(arguments);
    }
}

bool answers(run *r, const char *what, cask_status found, cask_status expected,
             const cask_error *err)
{
    if (found != expected) {
        wrong(r, "%s: %s, expected %s: %.200s", what, cask_status_name(found),
              cask_status_name(expected), found == CASK_OK ? "" : err->message);
    }
    return found == expected && found == CASK_OK;
}

/* ---- Comparing ---- */

bool is_live(const model *m, const entry *e)
{
    uint64_t seconds = m->expiry_seconds;

    return e->there &&
           (e->expires_at_ms == 0 || e->expires_at_ms > m->now_ms) &&
           (seconds == 0 || m->now_ms / 1000 <= e->time_s ||
            m->now_ms / 1000 - e->time_s <= seconds);
}

void compare_value(run *r, const entry *e, cask_slice found)
{
    static uint8_t memory[VALUE_BYTES];
    cask_slice right = value_of(e->number, memory);

    if (found.size != right.size ||
        (right.size > 0 && memcmp(found.data, right.data, right.size) != 0)) {
        wrong(r, "value of %zu bytes, expected %zu; or other bytes", found.size,
              right.size);
    }
}

void compare_info(run *r, entry *e, const cask_info *info)
{
    if (info->expires_at_ms != e->expires_at_ms || info->time_s != e->time_s ||
        (e->sequence != 0 && info->sequence != e->sequence)) {
        wrong(r,
              "info: sequence %" PRIu64 ", expires %" PRIu64 ", time %" PRIu32
              "; expected %" PRIu64 ", %" PRIu64 ", %" PRIu64,
              info->sequence, info->expires_at_ms, info->time_s, e->sequence,
              e->expires_at_ms, e->time_s);
    }
    e->sequence = info->sequence;
}

/* ---- Opening ---- */

static void set_options(run *r)
{
    test_random random = test_random_make(r->seed, 9);

    cask_options_init(&r->options);
    r->options.create_if_missing = true;
    r->options.segment_max_bytes = 65536;
    r->options.huge_pages = false;
    r->options.lock_timeout_ms = 2000;
    r->options.sync = (cask_sync_policy)test_random_next(&random, 3);
    r->options.append = (cask_append)test_random_next(&random, 3);
    r->options.io = (cask_io)test_random_next(&random, 2);
    r->options.max_descriptors = 8;
    r->options.verify_overwrite = test_random_chance(&random, 30);
    r->options.linger = test_random_chance(&random, 30);
    r->options.expiry_seconds = test_random_chance(&random, 30) ? 100 : 0;
    r->now.expiry_seconds = r->options.expiry_seconds;
    r->options.small_file_threshold_bytes =
        test_random_chance(&random, 50) ? 0 : 10 << 20;
    if (r->is_tree) {
        r->options.engine = CASK_ENGINE_TREE;
        r->options.io = CASK_IO_MAP;
        r->options.memtable_bytes = 65536;
    }
}

static void open_handle(run *r, unsigned handle)
{
    cask_error err = {CASK_OK, 0, ""};

    (void)answers(r, "open",
                  db_open_on(&r->os[handle].base, SIM_PATH, &r->options,
                             &r->db[handle], &err),
                  CASK_OK, &err);
}

static void close_handle(run *r, unsigned handle)
{
    cask_error err = {CASK_OK, 0, ""};

    snapshot_free_all(r, handle);
    if (r->db[handle] != NULL) {
        (void)answers(r, "close", cask_close(r->db[handle], &err), CASK_OK,
                      &err);
        r->db[handle] = NULL;
    }
}

/* Every call of the process fails from now on, so that it changes nothing
 * any more; closing its handle only frees its memory and drops its locks. */
static void die(run *r, unsigned handle)
{
    const os_fault_plan dead = {.fail_at = 0, .error = EIO, .for_ever = true};
    const os_fault_plan nothing = OS_FAULT_NOTHING;

    if (r->db[handle] != NULL) {
        os_fault_arm(&r->os[handle], &dead);
        snapshot_free_all(r, handle);
        (void)cask_close(r->db[handle], NULL);
        os_fault_arm(&r->os[handle], &nothing);
        r->db[handle] = NULL;
    }
}

/* ---- Writing ---- */

static void note_put(run *r, unsigned key, uint64_t number,
                     uint64_t expires_at_ms, uint64_t sequence)
{
    if (sequence != 0 && sequence <= r->sequence) {
        wrong(r, "sequence %" PRIu64 " after %" PRIu64, sequence, r->sequence);
    }
    r->sequence = sequence > r->sequence ? sequence : r->sequence;
    r->now.entries[key] = (entry){.there = true,
                                  .number = number,
                                  .expires_at_ms = expires_at_ms,
                                  .time_s = r->now.now_ms / 1000,
                                  .sequence = sequence};
}

/* A put whose condition holds or not, as the model says. */
static void put_with(run *r, const operation *o, cask_write_options options,
                     bool holds)
{
    static uint8_t memory[VALUE_BYTES];
    cask_error err = {CASK_OK, 0, ""};
    char text[512];
    uint64_t sequence = 0;
    uint64_t expires_at_ms =
        options.ttl_ms != 0 ? r->now.now_ms + options.ttl_ms : 0;
    cask_status status =
        cask_put_with(r->db[r->current], key_of(o->key, text),
                      value_of(o->number, memory), &options, &sequence, &err);

    if (answers(r, "put", status, holds ? CASK_OK : CASK_CONDITION, &err)) {
        note_put(r, o->key, o->number, expires_at_ms, sequence);
    }
}

static void put(run *r, const operation *o)
{
    const entry *e = &r->now.entries[o->key];
    cask_write_options options = {.condition = CASK_ALWAYS};
    bool holds = true;

    if (o->kind == PUT_TTL) {
        options.ttl_ms = 1 + o->number % 20000;
    } else if (o->kind == PUT_IF_ABSENT) {
        options.condition = CASK_IF_ABSENT;
        holds = !is_live(&r->now, e);
    } else if (o->kind == PUT_IF_PRESENT) {
        options.condition = CASK_IF_PRESENT;
        holds = is_live(&r->now, e);
    } else if (o->kind == PUT_IF_SEQUENCE) {
        options.condition = CASK_IF_SEQUENCE;
        options.expected_sequence = e->sequence;
        holds = e->sequence != 0 && is_live(&r->now, e);
        if (e->sequence == 0 || o->number % 3 == 0) {
            options.expected_sequence = r->sequence + 1000000;
            holds = false;
        }
    }
    put_with(r, o, options, holds);
}

static void delete (run *r, const operation *o)
{
    entry *e = &r->now.entries[o->key];
    cask_write_options options = {.condition = CASK_ALWAYS};
    cask_error err = {CASK_OK, 0, ""};
    char text[512];
    bool existed = false;
    bool live = is_live(&r->now, e);
    bool holds = true;

    if (o->kind == DELETE_IF_SEQUENCE) {
        options.condition = CASK_IF_SEQUENCE;
        options.expected_sequence =
            e->sequence == 0 ? r->sequence + 1000000 : e->sequence;
        holds = live && e->sequence != 0;
    }
    if (answers(r, "delete",
                cask_delete_with(r->db[r->current], key_of(o->key, text),
                                 &options, &existed, &err),
                holds ? CASK_OK : CASK_CONDITION, &err)) {
        if (existed != live) {
            wrong(r, "delete: existed is %d", existed);
        }
        *e = (entry){.there = false};
    }
}

/* Several puts and deletes, perhaps of one key twice: the last one counts. */
static void write_batch(run *r, const operation *o)
{
    static uint8_t memory[VALUE_BYTES];
    entry after[KEYS];
    cask_error err = {CASK_OK, 0, ""};
    cask_batch *batch = NULL;
    cask_status status = cask_batch_create(&batch, &err);

    memcpy(after, r->now.entries, sizeof(after));
    for (uint64_t i = 0; i < 1 + o->number % 6; i++) {
        uint64_t number = test_mix(o->number + i);
        unsigned key = (unsigned)(number >> 8) % KEYS;
        cask_slice value = value_of(number, memory);
        uint64_t expires = number % 7 == 0 ? r->now.now_ms + number % 5000 : 0;
        char text[512];

        if (r->is_tree && number % 9 == 1) {
            status = range_add(batch, key, number >> 12, after, &err);
        } else if (number % 4 == 0 || value.size == VALUE_BYTES) {
            status = cask_batch_delete(batch, key_of(key, text), &err);
            after[key] = (entry){.there = false};
        } else {
            status =
                cask_batch_put(batch, key_of(key, text), value, expires, &err);
            after[key] = (entry){.there = true,
                                 .number = number,
                                 .expires_at_ms = expires,
                                 .time_s = r->now.now_ms / 1000};
        }
        (void)answers(r, "batch", status, CASK_OK, &err);
    }
    if (answers(r, "write", cask_write(r->db[r->current], batch, &err), CASK_OK,
                &err)) {
        memcpy(r->now.entries, after, sizeof(after));
    }
    cask_batch_free(batch);
}

/* ---- Reading ---- */

static void get(run *r, const operation *o)
{
    entry *e = &r->now.entries[o->key];
    cask_error err = {CASK_OK, 0, ""};
    char text[512];
    cask_info info;

    if (answers(r, "get",
                cask_get_with(r->db[r->current], key_of(o->key, text),
                              &r->buffer, &info, &err),
                is_live(&r->now, e) ? CASK_OK : CASK_NOT_FOUND, &err)) {
        compare_value(r, e, (cask_slice){r->buffer.data, r->buffer.size});
        compare_info(r, e, &info);
    }
}

static void get_many(run *r, const operation *o)
{
    static char text[MANY][512];
    static cask_buffer values[MANY];
    cask_status statuses[MANY];
    cask_slice keys[MANY];
    cask_error err = {CASK_OK, 0, ""};

    for (unsigned i = 0; i < MANY; i++) {
        keys[i] = key_of((o->key + i) % KEYS, text[i]);
    }
    (void)answers(
        r, "get_many",
        cask_get_many(r->db[r->current], keys, MANY, values, statuses, &err),
        CASK_OK, &err);
    for (unsigned i = 0; i < MANY && r->message[0] == 0; i++) {
        const entry *e = &r->now.entries[(o->key + i) % KEYS];

        if (answers(r, "get_many: one", statuses[i],
                    is_live(&r->now, e) ? CASK_OK : CASK_NOT_FOUND, &err)) {
            compare_value(r, e, (cask_slice){values[i].data, values[i].size});
        }
    }
}

static void view(run *r, const operation *o)
{
    entry *e = &r->now.entries[o->key];
    cask_error err = {CASK_OK, 0, ""};
    char text[512];
    cask_view found = {{NULL, 0}, {0}, NULL, NULL};

    if (answers(r, "view",
                cask_view_acquire(r->db[r->current], key_of(o->key, text),
                                  &found, &err),
                is_live(&r->now, e) ? CASK_OK : CASK_NOT_FOUND, &err)) {
        compare_value(r, e, found.value);
        compare_info(r, e, &found.info);
        cask_view_release(r->db[r->current], &found);
    }
}

static void exists(run *r, const operation *o)
{
    cask_error err = {CASK_OK, 0, ""};
    char text[512];
    bool found = false;

    if (answers(
            r, "exists",
            cask_exists(r->db[r->current], key_of(o->key, text), &found, &err),
            CASK_OK, &err) &&
        found != is_live(&r->now, &r->now.entries[o->key])) {
        wrong(r, "exists is %d", found);
    }
}

bool fold_one(void *context, const cask_entry *found)
{
    folding *f = context;

    for (unsigned key = 0; key < KEYS; key++) {
        entry *e = &f->m->entries[key];
        char text[512];
        cask_slice name = key_of(key, text);

        if (name.size != found->key.size ||
            (name.size > 0 &&
             memcmp(name.data, found->key.data, name.size) != 0)) {
            continue;
        }
        if (f->seen[key] || !is_live(f->m, e)) {
            wrong(f->r, "fold: key %u %s", key,
                  f->seen[key] ? "twice" : "is not live");
        }
        f->seen[key] = true;
        if (!f->keys_only) {
            compare_value(f->r, e, found->value);
        }
        compare_info(f->r, e, &found->info);
        return true;
    }
    wrong(f->r, "fold: a key that was never written");
    return false;
}

void fold_end(folding *f)
{
    for (unsigned key = 0; key < KEYS; key++) {
        if (f->seen[key] != is_live(f->m, &f->m->entries[key])) {
            wrong(f->r, "fold: key %u is missing", key);
        }
    }
}

static void fold(run *r)
{
    cask_error err = {CASK_OK, 0, ""};
    folding f = {.r = r, .m = &r->now};

    (void)answers(r, "fold",
                  unless_damaged(r, cask_fold(r->db[r->current], NULL, fold_one,
                                              &f, &err)),
                  CASK_OK, &err);
    fold_end(&f);
}

uint64_t count_of(const model *m)
{
    uint64_t count = 0;

    for (unsigned key = 0; key < KEYS; key++) {
        count += m->entries[key].there;
    }
    return count;
}

uint64_t counted(const run *r, const model *m)
{
    uint64_t count = 0;

    if (!r->is_tree) {
        return count_of(m);
    }
    for (unsigned key = 0; key < KEYS; key++) {
        count += is_live(m, &m->entries[key]) ? 1 : 0;
    }
    return count;
}

static void count(run *r)
{
    cask_error err = {CASK_OK, 0, ""};
    uint64_t found = 0;

    if (answers(r, "count", cask_count(r->db[r->current], &found, &err),
                CASK_OK, &err) &&
        found != counted(r, &r->now)) {
        wrong(r, "count is %" PRIu64 ", expected %" PRIu64, found,
              counted(r, &r->now));
    }
}

/* Live bytes and records of all segments are those of the keys. */
static void segments(run *r)
{
    static uint8_t memory[VALUE_BYTES];
    cask_error err = {CASK_OK, 0, ""};
    cask_segment_stats *found = NULL;
    size_t segment_count = 0;
    uint64_t bytes = 0;
    uint64_t live_bytes = 0;
    uint64_t live_records = 0;

    for (unsigned key = 0; key < KEYS; key++) {
        const entry *e = &r->now.entries[key];
        char text[512];

        if (e->there) {
            record_header header = {
                .type = e->expires_at_ms != 0 ? RECORD_EXPIRES : 0,
                .key_size = (uint16_t)key_of(key, text).size,
                .value_size = (uint32_t)value_of(e->number, memory).size};

            bytes += record_size(&header);
        }
    }
    if (!answers(r, "segments",
                 cask_segments(r->db[r->current], &found, &segment_count, &err),
                 CASK_OK, &err)) {
        return;
    }
    for (size_t i = 0; i < segment_count; i++) {
        live_bytes += found[i].live_bytes;
        live_records += found[i].live_records;
    }
    cask_free(found);
    if (live_bytes != bytes || live_records != count_of(&r->now)) {
        wrong(r,
              "segments: %" PRIu64 " live bytes in %" PRIu64
              " records, expected %" PRIu64 " in %" PRIu64,
              live_bytes, live_records, bytes, count_of(&r->now));
    }
}

/* ---- Running a sequence ---- */

static void sync_store(run *r)
{
    cask_error err = {CASK_OK, 0, ""};

    (void)answers(r, "SYNC", cask_sync(r->db[r->current], &err), CASK_OK, &err);
}

static void other_handle(run *r)
{
    r->current = 1 - r->current;
    if (r->db[r->current] == NULL) {
        open_handle(r, r->current);
    }
}

static void change_handle(run *r, const operation *o)
{
    if (o->kind == OTHER_HANDLE) {
        other_handle(r);
        return;
    }
    if (o->kind == DIE) {
        die(r, r->current);
    } else {
        close_handle(r, r->current);
    }
    open_handle(r, r->current);
}

/* What concerns no key. */
static void ask_store(run *r, operation_kind kind)
{
    if (kind == FOLD) {
        fold(r);
    } else if (kind == COUNT) {
        count(r);
    } else if (kind == SEGMENTS) {
        segments(r);
    } else {
        sync_store(r);
    }
}

/* What a store of the tree engine does otherwise; false: as any store does. */
static bool perform_on_tree(run *r, const operation *o)
{
    const operation_kind refused[] = {SEGMENTS, DAMAGE};
    cask_error err = {CASK_OK, 0, ""};

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (o->kind == refused[i]) {
            return true;
        }
    }
    if (o->kind == MERGE && o->number % 2 == 0) {
        (void)answers(
            r, "flush",
            tree_flush(r->db[r->current]->store, o->number % 8 != 0, &err),
            CASK_OK, &err);
    } else if (o->kind == MERGE) {
        compact_tree(r, o->number);
    }
    return o->kind == MERGE;
}

static void read_keys(run *r, const operation *o)
{
    if (o->kind == GET) {
        get(r, o);
    } else if (o->kind == GET_MANY) {
        get_many(r, o);
    } else {
        (o->kind == VIEW ? view : exists)(r, o);
    }
}

void perform(run *r, const operation *o)
{
    if (r->is_tree && perform_on_tree(r, o)) {
        return;
    }
    switch (o->kind) {
    case PUT:
    case PUT_TTL:
    case PUT_IF_ABSENT:
    case PUT_IF_PRESENT:
    case PUT_IF_SEQUENCE:
        put(r, o);
        break;
    case DELETE:
    case DELETE_IF_SEQUENCE:
        delete (r, o);
        break;
    case BATCH:
        write_batch(r, o);
        break;
    case GET:
    case GET_MANY:
    case VIEW:
    case EXISTS:
        read_keys(r, o);
        break;
    case FOLD:
    case COUNT:
    case SEGMENTS:
    case SYNC:
        ask_store(r, o->kind);
        break;
    case SNAPSHOT:
    case SNAPSHOT_READ:
    case SNAPSHOT_FREE:
        snapshot_perform(r, o);
        break;
    case MERGE:
    case EXPIRE:
    case PERSIST:
    case TTL:
    case AGE:
    case CLOCK:
        expiry_perform(r, o);
        break;
    case DELETE_RANGE:
    case WALK:
    case INGEST:
        tree_perform(r, o);
        break;
    case DAMAGE:
        damage_perform(r, o);
        break;
    case REOPEN:
    case DIE:
    case OTHER_HANDLE:
        change_handle(r, o);
        break;
    case KINDS:
        break;
    }
}

static void tell_problem(void *context, const cask_problem *problem)
{
    run *r = context;

    if (r->is_damaged) {
        return;
    }
    wrong(r, "verify: %s: offset %" PRIu64 ": %s", problem->file,
          problem->offset, problem->reason);
}

static void verify(run *r)
{
    const cask_verify_options options = {.on_problem = tell_problem,
                                         .context = r};
    cask_error err = {CASK_OK, 0, ""};
    cask_verify_report report;

    if (answers(r, "verify",
                unless_damaged(r, db_verify_on(sim_os(r->machine), SIM_PATH,
                                               &options, &report, &err)),
                CASK_OK, &err) &&
        report.keys != count_of(&r->now)) {
        wrong(r, "verify: %" PRIu64 " keys", report.keys);
    }
}

/* False, with the message and where it was, if the store is wrong. */
static bool run_sequence(uint64_t seed, const operation *operations,
                         size_t size, char ret_message[512])
{
    /* Room for the map of a segment with the default size (verify). */
    const os_sim_options options = {.seed = seed, .max_file_bytes = 256 << 20};
    static run r;
    size_t at = 0;

    free(r.buffer.data);
    memset(&r, 0, sizeof(r));
    r.seed = seed;
    r.is_tree = is_tree;
    r.now.now_ms = START_S * UINT64_C(1000);
    r.machine = sim_machine_create(&options);
    os_sim_set_wall_ms(sim_disk(r.machine), r.now.now_ms);
    for (unsigned i = 0; i < HANDLES; i++) {
        os_fault_init(&r.os[i], sim_os(r.machine));
    }
    set_options(&r);
    open_handle(&r, 0);
    tree_set_apart(&r);
    for (at = 0; at < size && r.message[0] == 0; at++) {
        perform(&r, &operations[at]);
    }
    for (unsigned i = 0; i < HANDLES; i++) {
        if (r.message[0] == 0) {
            close_handle(&r, i);
        } else {
            die(&r, i);
        }
    }
    if (r.message[0] == 0 && !r.is_tree) {
        verify(&r);
    }
    sim_machine_free(r.machine);
    (void)snprintf(ret_message, 512, "operation %zu: %s", at, r.message);
    return r.message[0] == 0;
}

static void make_sequence(uint64_t seed, operation *ret_operations)
{
    static const unsigned weights[] = {
#define OPERATION_WEIGHT(name, weight) weight,
        OPERATION_LIST(OPERATION_WEIGHT)
#undef OPERATION_WEIGHT
    };
    test_random random = test_random_make(seed, 3);
    unsigned total = 0;

    for (int i = 0; i < KINDS; i++) {
        total += weights[i];
    }
    for (unsigned i = 0; i < OPERATIONS; i++) {
        unsigned pick = (unsigned)test_random_next(&random, total);
        int kind = 0;

        while (pick >= weights[kind]) {
            pick -= weights[kind++];
        }
        ret_operations[i] =
            (operation){.kind = (operation_kind)kind,
                        .key = (unsigned)test_random_next(&random, KEYS),
                        .number = test_random_next(&random, 0) >> 20};
    }
}

/* Leave out operations, in pieces of half the size each time, as long as what
 * is left fails; print that. */
static void shrink_and_print(uint64_t seed, operation *operations)
{
    size_t size = OPERATIONS;
    char message[512];

    for (size_t piece = size / 2; piece > 0; piece /= 2) {
        for (size_t from = 0; from + piece <= size;) {
            operation shorter[OPERATIONS];

            memcpy(shorter, operations, from * sizeof(operation));
            memcpy(shorter + from, operations + from + piece,
                   (size - from - piece) * sizeof(operation));
            if (run_sequence(seed, shorter, size - piece, message)) {
                from += piece;
            } else {
                size -= piece;
                memcpy(operations, shorter, size * sizeof(operation));
            }
        }
    }
    (void)run_sequence(seed, operations, size, message);
    printf("FAILED: sequence %" PRIu64 ", %s\n", seed, message);
    for (size_t i = 0; i < size; i++) {
        printf("  %2zu %s key %u number %" PRIu64 "\n", i + 1,
               kind_names[operations[i].kind], operations[i].key,
               operations[i].number);
    }
}

static void tell_sequence(int number)
{
    char text[64] = "signal in sequence ";
    size_t size = strlen(text);
    char digits[24];
    size_t count_digits = 0;

    for (uint64_t n = current_seed; n > 0; n /= 10) {
        digits[count_digits++] = (char)('0' + n % 10);
    }
    while (count_digits > 0) {
        text[size++] = digits[--count_digits];
    }
    text[size++] = '\n';
    (void)!write(STDERR_FILENO, text, size);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

int main(int count_arguments, char **arguments)
{
    uint64_t sequences = test_number("CASK_TEST_SEQUENCES", SEQUENCES);
    uint64_t seed = test_seed();
    operation operations[OPERATIONS];
    char message[512];

    is_tree = count_arguments > 1 && strcmp(arguments[1], "tree") == 0;
    (void)signal(SIGSEGV, tell_sequence);
    (void)signal(SIGBUS, tell_sequence);
    (void)signal(SIGABRT, tell_sequence);
    for (uint64_t i = 0; i < sequences; i++) {
        current_seed = seed + i;
        make_sequence(seed + i, operations);
        if (!run_sequence(seed + i, operations, OPERATIONS, message)) {
            shrink_and_print(seed + i, operations);
            return 1;
        }
    }
    printf("%" PRIu64 " sequences of %d operations\n", sequences, OPERATIONS);
    sim_print_merged();
    return 0;
}
