/*
 * Verify tells a loss once, by the file's name, and whether the store can be
 * opened without it; an error that is not damage is told once too. It finds
 * hints that say something else than their segments, and damaged footers, and
 * says that nothing is lost by them.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "db/db.h"
#include "log/hint_format.h"
#include "log/identity_format.h"
#include "log/manifest.h"
#include "log/segment_format.h"
#include "os/os_fault.h"
#include "store/store_recover.h"

enum { SEGMENTS_LEAST = 4 };

/* A store of several segments, closed; what the last put wrote is in the last
 * of them. */
static void fill(handle *h, cask_segment_stats **ret_segments,
                 size_t *ret_count)
{
    uint8_t *bytes = make_bytes(10000, 1);

    h->options.segment_max_bytes = 64 << 10;
    handle_open(h);
    for (int i = 0; i < 40; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", i);
        put_bytes(h, key, bytes, 10000);
    }
    free(bytes);
    assert_int_equal(cask_segments(h->db, ret_segments, ret_count, NULL),
                     CASK_OK);
    assert_true(*ret_count >= SEGMENTS_LEAST);
    handle_close(h);
}

/* ---- Losses -------------------------------------------------------------- */

typedef struct told {
    char file[SEGMENT_NAME_SIZE];
    char reason[400];
    uint64_t offset;
    uint64_t count;
    bool names_record; /* one without a row */
} told;

static void on_problem(void *context, const cask_problem *problem)
{
    told *t = context;

    (void)snprintf(t->file, sizeof(t->file), "%s", problem->file);
    (void)snprintf(t->reason, sizeof(t->reason), "%s", problem->reason);
    t->offset = problem->offset;
    t->count++;
    t->names_record = t->names_record ||
                      strstr(problem->reason, "no row for the record") != NULL;
    /* Printed behind both: they are not said again. */
    assert_null(strstr(problem->reason, problem->file));
    assert_int_not_equal(strncmp(problem->reason, "offset ", 7), 0);
}

static bool opens(handle *h)
{
    cask_options options = h->options;
    cask_db *db = NULL;

    options.create_if_missing = false;
    options.read_only = true;
    options.damage = CASK_DAMAGE_SERVE;
    if (db_open_on(h->kernel, HANDLE_PATH, &options, &db, NULL) != CASK_OK) {
        return false;
    }
    assert_int_equal(cask_close(db, NULL), CASK_OK);
    return true;
}

/* Hide the file, verify, and put it back. */
static bool lose(handle *h, const char *name)
{
    const os_ops *ops = h->kernel->ops;
    told t = {.count = 0};
    const cask_verify_options options = {.on_problem = on_problem,
                                         .context = &t};
    cask_verify_report report;
    cask_error err;
    os_file *dir;

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->rename(dir, name, "hidden"), 0);
    assert_int_equal(
        db_verify_on(h->kernel, HANDLE_PATH, &options, &report, &err),
        CASK_CORRUPT);
    assert_int_equal(report.problems, 1);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.file, name);
    assert_int_equal(report.readable, opens(h));
    assert_true((strstr(err.message, "; restore") == NULL) == report.readable);
    assert_int_equal(ops->rename(dir, "hidden", name), 0);
    ops->close(dir);
    return report.readable;
}

static void test_a_lost_file_is_one_problem(void **state)
{
    handle *h = *state;
    cask_segment_stats *segments = NULL;
    cask_verify_report report;
    size_t count = 0;

    fill(h, &segments, &count);
    for (size_t i = 0; i < count; i++) {
        char name[SEGMENT_NAME_SIZE];

        segment_name_format(segments[i].id, name);
        (void)lose(h, name);
    }
    assert_false(lose(h, MANIFEST_NAME));
    assert_false(lose(h, IDENTITY_NAME));
    cask_free(segments);
    /* All is back. */
    assert_int_equal(db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, NULL),
                     CASK_OK);
    assert_true(report.readable);
    assert_int_equal(report.keys, 40);
}

/* ---- Changed files ------------------------------------------------------- */

/* A file of the store, to be changed and put back. */
typedef struct content {
    char name[SEGMENT_NAME_SIZE];
    uint8_t *bytes; /* owned */
    size_t size;
} content;

static void load(handle *h, content *file)
{
    const os_ops *ops = h->kernel->ops;
    os_file *opened;
    os_file *dir;
    os_stat stat;

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->open(dir, file->name, OS_READ, 0, &opened), 0);
    assert_int_equal(ops->stat(opened, &stat), 0);
    file->bytes = malloc(stat.size + 1);
    assert_non_null(file->bytes);
    assert_int_equal(
        ops->read_at(opened, file->bytes, stat.size, 0, &file->size), 0);
    ops->close(opened);
    ops->close(dir);
}

static void save(handle *h, const char *name, const uint8_t *bytes, size_t size)
{
    const os_ops *ops = h->kernel->ops;
    const os_span span = {bytes, size};
    os_file *opened;
    os_file *dir;

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->open(dir, name, OS_WRITE, 0, &opened), 0);
    assert_int_equal(ops->truncate(opened, 0), 0);
    assert_int_equal(ops->write_at(opened, &span, 1, 0), 0);
    ops->close(opened);
    ops->close(dir);
}

/* Problems of the store as it is, all of them of `name` and harmless. */
static uint64_t harmless_problems(handle *h, const char *name, told *ret_told)
{
    const cask_verify_options options = {.on_problem = on_problem,
                                         .context = ret_told};
    cask_verify_report report;
    cask_error err = {CASK_OK, 0, ""};
    cask_status status;

    *ret_told = (told){.count = 0};
    status = db_verify_on(h->kernel, HANDLE_PATH, &options, &report, &err);
    assert_int_equal(status, report.problems == 0 ? CASK_OK : CASK_CORRUPT);
    assert_int_equal(report.problems, report.harmless);
    assert_int_equal(report.problems, ret_told->count);
    assert_true(report.readable);
    if (report.problems > 0) {
        assert_string_equal(ret_told->file, name);
        assert_non_null(strstr(ret_told->reason, "nothing is lost"));
        assert_non_null(strstr(err.message, "; nothing is lost"));
    }
    return report.problems;
}

/* ---- Hints --------------------------------------------------------------- */

enum { ROWS_LEAST = 4 };

/* Write the hint with other rows and right checksums. */
static void save_hint(handle *h, const char *name, const hint_header *header,
                      const hint_row *rows)
{
    size_t size = hint_file_bytes(header);
    uint8_t *bytes = malloc(size);
    hint_header out = *header;

    assert_non_null(bytes);
    for (uint64_t i = 0; i < header->row_count; i++) {
        hint_row_encode(&rows[i], bytes + HINT_HEADER_SIZE + i * HINT_ROW_SIZE);
    }
    out.rows_crc = crc32c(0, bytes + HINT_HEADER_SIZE, size - HINT_HEADER_SIZE);
    hint_header_encode(&out, bytes);
    save(h, name, bytes, size);
    free(bytes);
}

/* What a hint may say that is not so. `rows` has room for one row more. */
typedef void (*change_fn)(hint_header *header, hint_row *rows);

static void drop_last(hint_header *header, hint_row *rows)
{
    (void)rows;
    header->row_count--;
}

static void drop_last_and_count_less(hint_header *header, hint_row *rows)
{
    drop_last(header, rows);
    header->records--;
}

static void drop_first(hint_header *header, hint_row *rows)
{
    header->row_count--;
    memmove(rows, rows + 1, header->row_count * sizeof(*rows));
}

static void add_one(hint_header *header, hint_row *rows)
{
    rows[header->row_count] = rows[header->row_count - 1];
    header->row_count++;
}

static void swap(hint_header *header, hint_row *rows)
{
    hint_row first = rows[0];

    (void)header;
    rows[0] = rows[1];
    rows[1] = first;
}

static void aim_at_nothing(hint_header *header, hint_row *rows)
{
    (void)header;
    rows[1].place += UINT64_C(1) << HINT_PLACE_OFFSET_SHIFT;
}

static void aim_far_away(hint_header *header, hint_row *rows)
{
    (void)header;
    rows[1].place |= UINT64_C(1) << (HINT_PLACE_BITS - 1);
}

static void change_size(hint_header *header, hint_row *rows)
{
    (void)header;
    rows[1].place -= UINT64_C(1) << HINT_PLACE_SIZE_SHIFT;
}

static void say_deleted(hint_header *header, hint_row *rows)
{
    (void)header;
    rows[1].place ^= 1;
}

static void change_sequence(hint_header *header, hint_row *rows)
{
    (void)header;
    rows[1].sequence++;
}

static void change_type(hint_header *header, hint_row *rows)
{
    (void)header;
    rows[1].type ^= 1;
}

static void change_hash(hint_header *header, hint_row *rows)
{
    (void)header;
    rows[1].hash.word[1] ^= 1;
}

static void change_owner(hint_header *header, hint_row *rows)
{
    (void)rows;
    header->uuid[15] ^= 1;
}

static void change_counter(hint_header *header, hint_row *rows)
{
    (void)rows;
    header->data_bytes += 8;
}

static void change_last_sequence(hint_header *header, hint_row *rows)
{
    (void)rows;
    header->last_sequence++;
}

/* The first hint of a store, taken apart. */
typedef struct opened_hint {
    content file;
    hint_header header;
    hint_row *rows; /* owned; room for one more */
} opened_hint;

static void open_hint(handle *h, uint64_t id, opened_hint *hint)
{
    hint_name_format(id, hint->file.name);
    load(h, &hint->file);
    assert_int_equal(hint_header_decode(hint->file.bytes, hint->file.name,
                                        &hint->header, NULL),
                     CASK_OK);
    assert_true(hint->header.row_count >= ROWS_LEAST);
    hint->rows = malloc((hint->header.row_count + 1) * sizeof(hint_row));
    assert_non_null(hint->rows);
    for (uint64_t i = 0; i < hint->header.row_count; i++) {
        hint_row_decode(hint->file.bytes + HINT_HEADER_SIZE + i * HINT_ROW_SIZE,
                        &hint->rows[i]);
    }
}

static void close_hint(opened_hint *hint)
{
    free(hint->file.bytes);
    free(hint->rows);
}

static void test_a_hint_that_says_something_else_is_told(void **state)
{
    static const change_fn changes[] = {drop_last,
                                        drop_last_and_count_less,
                                        drop_first,
                                        add_one,
                                        swap,
                                        aim_at_nothing,
                                        aim_far_away,
                                        change_size,
                                        say_deleted,
                                        change_sequence,
                                        change_type,
                                        change_hash,
                                        change_owner,
                                        change_counter,
                                        change_last_sequence};
    handle *h = *state;
    cask_segment_stats *segments = NULL;
    size_t count = 0;

    fill(h, &segments, &count);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        opened_hint hint;
        told t;

        open_hint(h, segments[0].id, &hint);
        assert_int_equal(harmless_problems(h, hint.file.name, &t), 0);
        changes[i](&hint.header, hint.rows);
        save_hint(h, hint.file.name, &hint.header, hint.rows);
        if (harmless_problems(h, hint.file.name, &t) == 0) {
            fail_msg("change %zu of a hint was not found", i);
        }
        if (changes[i] == drop_last || changes[i] == drop_first) {
            assert_true(t.names_record);
        }
        assert_true(t.count <= 3); /* not one for each row that follows */
        save(h, hint.file.name, hint.file.bytes, hint.file.size);
        close_hint(&hint);
    }
    cask_free(segments);
}

/* Where the data is damaged nobody knows what a row should say; elsewhere one
 * that lies is still found. */
static void test_a_hint_is_compared_where_its_segment_is_whole(void **state)
{
    handle *h = *state;
    cask_segment_stats *segments = NULL;
    content data = {.bytes = NULL};
    cask_verify_report report;
    opened_hint hint;
    size_t count = 0;
    uint64_t at;

    fill(h, &segments, &count);
    open_hint(h, segments[0].id, &hint);
    segment_name_format(segments[0].id, data.name);
    load(h, &data);
    at = hint_place_offset(hint.rows[1].place) + 100;
    data.bytes[at] ^= 1;
    save(h, data.name, data.bytes, data.size);
    assert_int_equal(db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, NULL),
                     CASK_CORRUPT);
    assert_int_equal(report.problems, 1);
    assert_int_equal(report.harmless, 0);
    hint.rows[2].sequence++;
    save_hint(h, hint.file.name, &hint.header, hint.rows);
    assert_int_equal(db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, NULL),
                     CASK_CORRUPT);
    assert_int_equal(report.problems, 2);
    assert_int_equal(report.harmless, 1);
    close_hint(&hint);
    free(data.bytes);
    cask_free(segments);
}

/* ---- Footers ------------------------------------------------------------- */

static void test_every_byte_of_a_footer_is_looked_at(void **state)
{
    handle *h = *state;
    cask_segment_stats *segments = NULL;
    content file = {.bytes = NULL};
    uint64_t footer;
    size_t count = 0;
    told t;

    fill(h, &segments, &count);
    segment_name_format(segments[0].id, file.name);
    load(h, &file);
    footer = SEGMENT_HEADER_SIZE + segments[0].total_bytes;
    assert_int_equal(file.size, footer + SEGMENT_FOOTER_SIZE);
    for (uint64_t at = footer; at < file.size; at++) {
        file.bytes[at] ^= 0x10;
        save(h, file.name, file.bytes, file.size);
        assert_int_equal(harmless_problems(h, file.name, &t), 1);
        assert_true(t.offset >= footer && t.offset < file.size);
        file.bytes[at] ^= 0x10;
    }
    /* A segment may have none. */
    save(h, file.name, file.bytes, footer);
    assert_int_equal(harmless_problems(h, file.name, &t), 0);
    memset(file.bytes + footer, 0, SEGMENT_FOOTER_SIZE);
    save(h, file.name, file.bytes, file.size);
    assert_int_equal(harmless_problems(h, file.name, &t), 0);
    free(file.bytes);
    cask_free(segments);
}

/* ---- Creation ------------------------------------------------------------ */

/* One at a time: a listing during removals may miss some. */
static bool take_name(void *context, const char *name)
{
    (void)snprintf(context, SEGMENT_NAME_SIZE, "%s", name);
    return false;
}

static void empty(os_file *dir)
{
    const os_ops *ops = dir->os->ops;

    for (;;) {
        char name[SEGMENT_NAME_SIZE] = "";

        assert_int_equal(ops->list(dir, take_name, name), 0);
        if (name[0] == 0) {
            return;
        }
        assert_int_equal(ops->remove(dir, name), 0);
    }
}

/* The names there are when the power fails in a creation. */
static bool note_name(void *context, const char *name)
{
    bool *has = context;

    has[0] = has[0] || strcmp(name, IDENTITY_NAME) == 0;
    has[1] = has[1] || strcmp(name, MANIFEST_NAME) == 0;
    return true;
}

/* A process that dies while it makes a store leaves nothing that is damaged:
 * whoever opens it can work. */
static void test_an_unfinished_creation_is_no_damage(void **state)
{
    handle *h = *state;
    const os_ops *ops = h->kernel->ops;
    bool seen = false; /* a CASKADE without a MANIFEST */
    os_fault fault;

    os_fault_init(&fault, h->kernel);
    for (uint64_t n = 0;; n++) {
        const os_fault_plan plan = {
            .fail_at = n, .error = EIO, .for_ever = true};
        const os_fault_plan nothing = OS_FAULT_NOTHING;
        bool has[2] = {false, false};
        cask_verify_report report;
        cask_error err = {CASK_OK, 0, ""};
        cask_status status;
        os_file *dir;
        bool fired;

        os_fault_arm(&fault, &plan);
        status =
            db_open_on(&fault.base, HANDLE_PATH, &h->options, &h->db, &err);
        fired = os_fault_fired(&fault) > 0;
        os_fault_arm(&fault, &nothing);
        if (status == CASK_OK) {
            assert_int_equal(cask_close(h->db, NULL), CASK_OK);
        }
        h->db = NULL;
        assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
        assert_int_equal(ops->list(dir, note_name, has), 0);
        seen = seen || (has[0] && !has[1]);
        status = db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, &err);
        if (status != (has[0] ? CASK_OK : CASK_NOT_FOUND)) {
            fail_msg("call %d: verify: %s", (int)n, err.message);
        }
        handle_open(h);
        put_text(h, "key", "value");
        handle_close(h);
        if (!fired) {
            ops->close(dir);
            break;
        }
        empty(dir);
        ops->close(dir);
    }
    assert_true(seen);
}

/* ---- Failures ------------------------------------------------------------ */

/* Whichever call fails, the message has the text of its errno at most once. */
static void test_a_failed_call_is_told_once(void **state)
{
    handle *h = *state;
    const char *text = "Input/output error";
    bool seen = false;
    os_fault fault;

    handle_open(h);
    put_text(h, "key", "value");
    handle_close(h);
    os_fault_init(&fault, h->kernel);
    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = {.fail_at = n, .error = EIO};
        cask_verify_report report;
        cask_error err = {CASK_OK, 0, ""};
        const char *first;

        os_fault_arm(&fault, &plan);
        (void)db_verify_on(&fault.base, HANDLE_PATH, NULL, &report, &err);
        first = strstr(err.message, text);
        seen = seen || first != NULL;
        assert_true(first == NULL || strstr(first + 1, text) == NULL);
        if (os_fault_fired(&fault) == 0) {
            break;
        }
    }
    assert_true(seen);
}

/* ---- The index of an open store ------------------------------------------ */

/* Keys overwritten, deleted, merged, and one with a value of some size. */
static void fill_open(handle *h)
{
    h->options.segment_max_bytes = 64 << 10;
    handle_open(h);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            uint8_t *bytes = make_bytes(2000, (uint64_t)round);
            char key[16];

            (void)snprintf(key, sizeof(key), "key %d", i);
            put_bytes(h, key, bytes, 2000);
            free(bytes);
        }
        delete_text(h, "key 7");
        if (round == 1) {
            assert_int_equal(cask_merge(h->db,
                                        &(cask_merge_options){.all = true},
                                        NULL, NULL),
                             CASK_OK);
        }
    }
}

static uint64_t verify_open(handle *h, told *t)
{
    const cask_verify_options options = {.on_problem = on_problem,
                                         .context = t};
    cask_verify_report report;
    cask_status status;

    *t = (told){.count = 0};
    status = db_verify_on(h->kernel, HANDLE_PATH, &options, &report, NULL);
    assert_int_equal(status, report.problems == 0 ? CASK_OK : CASK_CORRUPT);
    assert_int_equal(report.problems, report.harmless);
    assert_int_equal(report.problems, t->count);
    return report.problems;
}

static void test_the_index_of_an_open_store_agrees_with_its_log(void **state)
{
    handle *h = *state;
    told t;

    fill_open(h);
    assert_int_equal(verify_open(h, &t), 0);
}

static void test_a_counter_that_is_wrong_is_told(void **state)
{
    handle *h = *state;
    region_header *header;
    region_row *row;
    told t;

    fill_open(h);
    header = h->db->store->region.header;
    row = &h->db->store->region.rows[atomic_load(&header->active_row)];
    row->live_bytes += 8;
    assert_int_equal(verify_open(h, &t), 1);
    assert_non_null(strstr(t.reason, "live bytes"));
    row->live_bytes -= 8;
    row->tombstones++;
    assert_int_equal(verify_open(h, &t), 1);
    assert_non_null(strstr(t.reason, "deletes"));
    row->tombstones--;
    atomic_fetch_add(&header->key_count, 1);
    assert_int_equal(verify_open(h, &t), 1);
    assert_non_null(strstr(t.reason, " keys, "));
    atomic_fetch_sub(&header->key_count, 1);
    assert_int_equal(verify_open(h, &t), 0);
}

static void test_a_place_that_is_wrong_is_told(void **state)
{
    handle *h = *state;
    store_handle *store;
    store_indexed named = {.key = {NULL, 0}};
    uint64_t right = 0;
    told t;

    fill_open(h);
    store = h->db->store;
    named.hash = siphash(store->identity.hash_key, "key 9", 5);
    right = store->engine->place_locked(store, &named);
    assert_true(store->engine->move_locked(store, &named, right + (8 << 18)));
    assert_int_equal(verify_open(h, &t), 1);
    assert_non_null(strstr(t.reason, "the index does not lead to"));
    assert_true(store->engine->move_locked(store, &named, right));
    assert_int_equal(verify_open(h, &t), 0);
}

/* An os that moves the end of the log, as if the one who synced it had died,
 * each time that verify has noted a moment. */
static struct {
    const os_ops *usual;
    os_ops ops;
    handle *h;
    unsigned moves; /* so far */
    bool is_noted;  /* the moment, and the log was moved since */
} moving;

/* Of the thread that verifies: the background thread takes the lock, too. */
static _Thread_local bool is_armed;

/* Whether somebody keeps the segments of a moment. */
static bool is_pinned(const handle *h)
{
    const region_process *processes = h->db->store->region.processes;
    bool pinned = false;

    for (int i = 0; i < REGION_PROCESSES; i++) {
        pinned = pinned || atomic_load(&processes[i].pinned) != 0;
    }
    return pinned;
}

static void move_end(handle *h)
{
    region_header *header = h->db->store->region.header;
    uint32_t active = atomic_load(&header->active_row);

    atomic_store(&header->commit.sync_running, 1);
    assert_int_equal(store_move_tail(h->db->store, false, NULL), CASK_OK);
    assert_int_not_equal(atomic_load(&header->active_row), active);
    moving.moves++;
}

static void unlock_and_move(os *self, os_mutex *mutex)
{
    os_mutex *write_lock;

    moving.usual->mutex_unlock(self, mutex);
    if (!is_armed) {
        return;
    }
    if (!is_pinned(moving.h)) {
        moving.is_noted = false;
        return;
    }
    write_lock = &moving.h->db->store->region.header->write_lock;
    if (!moving.is_noted &&
        moving.usual->mutex_lock(self, write_lock, 0) == 0) {
        moving.usual->mutex_unlock(self, write_lock);
        moving.is_noted = true;
        is_armed = false; /* not by what follows */
        move_end(moving.h);
        is_armed = true;
    }
}

static void
test_the_end_of_the_log_moves_while_the_index_is_compared(void **state)
{
    handle *h = *state;
    told t;

    moving.usual = h->kernel->ops;
    moving.ops = *moving.usual;
    moving.ops.mutex_unlock = unlock_and_move;
    moving.h = h;
    h->kernel->ops = &moving.ops;
    h->options.sync = CASK_SYNC_NONE;
    fill_open(h);
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    put_text(h, "key 1", "at the end");
    put_text(h, "another", "at the end");
    is_armed = true;
    assert_int_equal(verify_open(h, &t), 0);
    is_armed = false;
    assert_int_equal(moving.moves, 1);
    check_text(h, "another", "at the end");
    assert_int_equal(verify_open(h, &t), 0);
    handle_close(h);
    h->kernel->ops = moving.usual;
}

int main(void)
{
#define WITH_DISK(test)                                                        \
    cmocka_unit_test_setup_teardown(test, handle_prepare, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_DISK(test_a_lost_file_is_one_problem),
        WITH_DISK(test_a_hint_that_says_something_else_is_told),
        WITH_DISK(test_a_hint_is_compared_where_its_segment_is_whole),
        WITH_DISK(test_every_byte_of_a_footer_is_looked_at),
        WITH_DISK(test_an_unfinished_creation_is_no_damage),
        WITH_DISK(test_a_failed_call_is_told_once),
        WITH_DISK(test_the_index_of_an_open_store_agrees_with_its_log),
        WITH_DISK(test_a_counter_that_is_wrong_is_told),
        WITH_DISK(test_a_place_that_is_wrong_is_told),
        WITH_DISK(test_the_end_of_the_log_moves_while_the_index_is_compared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
