/*
 * Repair loses what is damaged, or what media do not give, and nothing else:
 * what the system refuses ends it. It needs little memory, whatever the size of
 * the files, and can be stopped at any time.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/repair.h"
#include "log/segment_format.h"
#include "os/os_fault.h"

#define OUT "/out"

enum { VALUE_BYTES = 3000, KEYS = 60, BLOCK_BYTES = 4096 };

/* ---- An os that refuses one file, or part of it -------------------------- */

static struct {
    const os_ops *usual;
    os_ops ops;
    char name[SEGMENT_NAME_SIZE];
    os_file *file;    /* of that name, the last one opened */
    int open_error;   /* of opening it; 0: it opens */
    int read_error;   /* of reading there */
    uint64_t from;    /* from here on, */
    uint64_t size;    /* so many bytes are not given by the media */
    uint64_t refused; /* reads so far */
    int stat_error;   /* of examining it; 0: it can be */
    uint64_t memory;  /* in use now */
    uint64_t highest; /* that it ever was */
    struct {
        char name[SEGMENT_NAME_SIZE];
        os_file *file;
        int opens;
        uint64_t from;
        uint64_t size;
    } late; /* another file: its media fail in the second reading only */
} stingy;

/* Twice to see what it is, then for the first reading. */
enum { OPENS_BEFORE_SECOND_READING = 3 };

static int stingy_open(os_file *dir, const char *name, uint32_t flags,
                       uint32_t mode, os_file **ret_file)
{
    bool is_it = strcmp(name, stingy.name) == 0;
    int os_errno;

    if (is_it && stingy.open_error != 0) {
        return stingy.open_error;
    }
    os_errno = stingy.usual->open(dir, name, flags, mode, ret_file);
    if (is_it && os_errno == 0) {
        stingy.file = *ret_file;
    }
    if (strcmp(name, stingy.late.name) == 0 && os_errno == 0 &&
        ++stingy.late.opens > OPENS_BEFORE_SECOND_READING) {
        stingy.late.file = *ret_file;
    }
    return os_errno;
}

static int stingy_stat_name(os_file *dir, const char *name, os_stat *ret_stat)
{
    return stingy.stat_error != 0 && strcmp(name, stingy.name) == 0
               ? stingy.stat_error
               : stingy.usual->stat_name(dir, name, ret_stat);
}

static void stingy_close(os_file *file)
{
    if (file == stingy.file) {
        stingy.file = NULL;
    }
    if (file == stingy.late.file) {
        stingy.late.file = NULL;
    }
    stingy.usual->close(file);
}

static int stingy_read_at(os_file *file, void *data, size_t size,
                          uint64_t offset, size_t *ret_read)
{
    if (file != NULL && file == stingy.file &&
        offset < stingy.from + stingy.size && stingy.from < offset + size) {
        stingy.refused++;
        return stingy.read_error;
    }
    if (file != NULL && file == stingy.late.file &&
        offset < stingy.late.from + stingy.late.size &&
        stingy.late.from < offset + size) {
        return stingy.read_error;
    }
    return stingy.usual->read_at(file, data, size, offset, ret_read);
}

static int stingy_map_private(os *self, size_t size, void **ret_memory)
{
    stingy.memory += size;
    if (stingy.highest < stingy.memory) {
        stingy.highest = stingy.memory;
    }
    return stingy.usual->map_private(self, size, ret_memory);
}

static void stingy_unmap(os *self, void *memory, size_t size)
{
    stingy.memory -= size;
    stingy.usual->unmap(self, memory, size);
}

static void be_stingy(handle *h, const char *name)
{
    memset(&stingy, 0, sizeof(stingy));
    stingy.read_error = EIO;
    stingy.usual = h->kernel->ops;
    stingy.ops = *stingy.usual;
    stingy.ops.open = stingy_open;
    stingy.ops.close = stingy_close;
    stingy.ops.read_at = stingy_read_at;
    stingy.ops.stat_name = stingy_stat_name;
    stingy.ops.map_private = stingy_map_private;
    stingy.ops.unmap = stingy_unmap;
    (void)snprintf(stingy.name, sizeof(stingy.name), "%s", name);
    h->kernel->ops = &stingy.ops;
}

static void be_usual(handle *h)
{
    h->kernel->ops = stingy.usual;
}

/* ---- Helpers ------------------------------------------------------------- */

typedef struct told {
    uint64_t lost;
    uint64_t unreadable; /* of these, by media */
    uint64_t named;      /* of these, with `why` */
    const char *why;     /* NULL: none is asked for */
    cask_problem first;  /* of those */
    char file[64];
} told;

static void on_lost(void *context, const cask_lost *lost)
{
    told *t = context;

    t->lost++;
    if (t->why != NULL && strstr(lost->at.reason, t->why) != NULL) {
        t->named++;
    }
    if (strstr(lost->at.reason, "cannot be read: Input/output error") != NULL) {
        if (t->unreadable++ == 0) {
            t->first = lost->at;
            (void)snprintf(t->file, sizeof(t->file), "%s", lost->at.file);
        }
    }
}

static cask_status run_repair(os *kernel, told *t,
                              cask_repair_report *ret_report, cask_error *err)
{
    const cask_repair_options options = {.on_lost = on_lost, .context = t};

    *t = (told){.why = t->why};
    *err = (cask_error){CASK_OK, 0, ""};
    return db_repair_on(kernel, HANDLE_PATH, OUT, &options, ret_report, err);
}

static void put_keys(handle *h, int first, int count)
{
    uint8_t *bytes = make_bytes(VALUE_BYTES, 1);

    for (int i = first; i < first + count; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", i);
        put_bytes(h, key, bytes, VALUE_BYTES);
    }
    free(bytes);
}

/* Several segments, the first with id 1; closed. Key 3 is deleted. */
static void fill(handle *h)
{
    h->options.segment_max_bytes = 64 << 10;
    handle_open(h);
    put_keys(h, 0, KEYS);
    delete_text(h, "key 3");
    handle_close(h);
}

/* How many keys are in OUT, which is cleared; 0: there is no store. */
static uint64_t take_away(handle *h)
{
    uint64_t keys = 0;
    cask_options options;
    cask_db *db = NULL;

    cask_options_init(&options);
    options.read_only = true;
    if (db_open_on(h->kernel, OUT, &options, &db, NULL) == CASK_OK) {
        assert_int_equal(cask_count(db, &keys, NULL), CASK_OK);
        assert_int_equal(cask_close(db, NULL), CASK_OK);
    }
    clear_directory(h->kernel, OUT);
    return keys;
}

static void open_store(handle *h, const char *name, os_file **ret_dir,
                       os_file **ret_file)
{
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, ret_dir),
                     0);
    assert_int_equal(
        h->kernel->ops->open(*ret_dir, name, OS_READ | OS_WRITE, 0, ret_file),
        0);
}

static void close_store(os_file *dir, os_file *file)
{
    file->os->ops->close(file);
    dir->os->ops->close(dir);
}

/* ---- What the system refuses --------------------------------------------- */

/* Whichever call fails: there is a store with all that is there, or none. */
static void test_what_the_system_lacks_loses_nothing(void **state)
{
    static const int errors[] = {EACCES, EMFILE, ENOMEM};
    handle *h = *state;

    fill(h);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        os_fault fault;
        bool fired = true;

        os_fault_init(&fault, h->kernel);
        for (uint64_t n = 0; fired; n++) {
            const os_fault_plan plan = {.fail_at = n, .error = errors[i]};
            cask_repair_report report;
            cask_status status;
            uint64_t keys;
            cask_error err;
            told t = {.why = NULL};

            os_fault_arm(&fault, &plan);
            status = run_repair(&fault.base, &t, &report, &err);
            fired = os_fault_fired(&fault) > 0;
            keys = take_away(h);
            if (t.lost != 0 || status == CASK_CORRUPT ||
                (status == CASK_OK && keys != KEYS - 1)) {
                fail_msg("call %d fails with %d: %d lost, %d keys: %s", (int)n,
                         errors[i], (int)t.lost, (int)keys, err.message);
            }
            assert_true(fired || status == CASK_OK);
        }
    }
}

static void refuse(handle *h, const char *name)
{
    cask_repair_report report;
    cask_error err;
    told t = {.why = NULL};

    be_stingy(h, name);
    stingy.open_error = EACCES;
    assert_int_equal(run_repair(h->kernel, &t, &report, &err), CASK_IO);
    be_usual(h);
    assert_int_equal(err.os_errno, EACCES);
    assert_non_null(strstr(err.message, name));
    assert_int_equal(t.lost, 0);
    assert_int_equal(take_away(h), 0);
}

/* A permission bit is no damage: nothing is lost, and no deleted key is back
 * for want of a hint. */
static void test_a_file_that_may_not_be_read_ends_it(void **state)
{
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];

    fill(h);
    segment_name_format(2, name);
    refuse(h, name);
    hint_name_format(2, name);
    refuse(h, name);
    refuse(h, "MANIFEST");
    refuse(h, "CASKADE");
    refuse(h, "LOCK");
}

static void allow(handle *h, const char *name, int open_error,
                  cask_status expected)
{
    cask_repair_report report;
    cask_error err;
    told t = {.why = NULL};

    be_stingy(h, name);
    stingy.open_error = open_error;
    assert_int_equal(run_repair(h->kernel, &t, &report, &err), expected);
    be_usual(h);
    assert_int_equal(t.lost, 0);
    assert_int_equal(take_away(h), expected == CASK_OK ? KEYS - 1 : 0);
}

/* lost+found, where the store is a mount point; a core dump of root. What
 * cannot be opened for another reason may be a segment by another name. */
static void test_what_is_of_others_may_be_refused(void **state)
{
    handle *h = *state;
    const os_ops *ops = h->kernel->ops;
    os_file *core;
    os_file *dir;

    fill(h);
    assert_int_equal(ops->make_dir(h->kernel, HANDLE_PATH "/lost+found", 0700),
                     0);
    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->open(dir, "core", OS_WRITE | OS_CREATE, 0600, &core),
                     0);
    assert_int_equal(ops->truncate(core, BLOCK_BYTES), 0);
    allow(h, "lost+found", EACCES, CASK_OK);
    allow(h, "lost+found", EMFILE, CASK_OK); /* it is not opened */
    allow(h, "core", EACCES, CASK_OK);
    allow(h, "core", EPERM, CASK_OK);
    allow(h, "core", EMFILE, CASK_IO);
    close_store(dir, core);
}

/* A file system without locks does not keep anybody from a repair. */
static void test_locks_that_cannot_be_tested_are_none(void **state)
{
    static const int none[] = {ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL, EIO};
    handle *h = *state;
    os_fault fault;

    fill(h);
    os_fault_init(&fault, h->kernel);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        const os_fault_plan plan = {.only = OS_CALL_IS_LOCKED,
                                    .error = none[i]};
        bool ends_it = none[i] == EIO;
        cask_repair_report report;
        told t = {.why = NULL};
        cask_error err;

        os_fault_arm(&fault, &plan);
        assert_int_equal(run_repair(&fault.base, &t, &report, &err),
                         ends_it ? CASK_IO : CASK_OK);
        assert_int_equal(os_fault_fired(&fault), 1);
        assert_int_equal(take_away(h), ends_it ? 0 : KEYS - 1);
    }
}

/* ---- What media do not give ---------------------------------------------- */

/* A stretch in the middle: its records are lost, and told, and no others. */
static void test_a_stretch_that_cannot_be_read_is_told(void **state)
{
    handle *h = *state;
    cask_repair_report report;
    char name[SEGMENT_NAME_SIZE];
    cask_error err;
    told t = {.why = NULL};

    fill(h);
    segment_name_format(2, name);
    be_stingy(h, name);
    stingy.from = 2 * BLOCK_BYTES;
    stingy.size = BLOCK_BYTES;
    assert_int_equal(run_repair(h->kernel, &t, &report, &err), CASK_CORRUPT);
    be_usual(h);
    assert_int_equal(t.unreadable, 1);
    assert_string_equal(t.file, name);
    assert_true(t.first.offset <= 2 * BLOCK_BYTES &&
                t.first.offset + t.first.size_bytes >= 3 * BLOCK_BYTES);
    assert_true(t.first.size_bytes < 4 * BLOCK_BYTES);
    assert_in_range(report.lost_keys, 1, 3);
    assert_int_equal(take_away(h), KEYS - 1 - report.lost_keys);
}

/* Whatever the device answers. */
static void test_any_error_of_a_device_is_told_by_its_name(void **state)
{
    static const struct {
        int error;
        const char *why;
    } rows[] = {
        {ETIMEDOUT, "cannot be read: Connection timed out"},
        {EREMOTEIO, "cannot be read: Remote I/O error"},
        {ENOLINK, "cannot be read: Link has been severed"},
        {ESTALE, "cannot be read: Stale file handle"},
        {ENXIO, "cannot be read: No such device or address"},
        {ENODEV, "cannot be read: No such device"},
    };
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];

    fill(h);
    segment_name_format(2, name);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        told t = {.why = rows[i].why};
        cask_repair_report report;
        cask_error err;

        for (uint64_t from = 0; from <= 2; from += 2) { /* header, records */
            be_stingy(h, name);
            stingy.from = from * BLOCK_BYTES;
            stingy.size = BLOCK_BYTES;
            stingy.read_error = rows[i].error;
            assert_int_equal(run_repair(h->kernel, &t, &report, &err),
                             CASK_CORRUPT);
            be_usual(h);
            assert_int_equal(t.named, 1);
            assert_int_equal(take_away(h), KEYS - 1 - report.lost_keys);
        }
    }
}

/* Each time may take seconds. */
static void test_what_is_known_to_be_bad_is_not_read_again(void **state)
{
    handle *h = *state;
    cask_repair_report report;
    cask_error err;
    told t = {.why = NULL};

    fill(h);
    be_stingy(h, "");
    segment_name_format(2, stingy.name);
    stingy.from = 2 * BLOCK_BYTES;
    stingy.size = BLOCK_BYTES;
    assert_int_equal(run_repair(h->kernel, &t, &report, &err), CASK_CORRUPT);
    be_usual(h);
    assert_int_equal(stingy.refused, 2); /* with others, then by itself */
    assert_int_equal(t.unreadable, 1);
    assert_int_equal(take_away(h), KEYS - 1 - report.lost_keys);
}

/* Media that fail while they are read for the second time. */
static void test_what_can_be_read_only_once_is_told_once(void **state)
{
    handle *h = *state;
    cask_repair_report report;
    cask_error err;
    told t = {.why = "a record could be read once and not again"};

    fill(h);
    be_stingy(h, "");
    segment_name_format(2, stingy.late.name);
    stingy.late.from = 2 * BLOCK_BYTES;
    stingy.late.size = BLOCK_BYTES;
    assert_int_equal(run_repair(h->kernel, &t, &report, &err), CASK_CORRUPT);
    be_usual(h);
    assert_int_equal(t.unreadable, 1);
    assert_string_equal(t.file, "0000000000000002.log");
    assert_int_equal(t.first.offset, 2 * BLOCK_BYTES);
    assert_int_equal(t.first.size_bytes, BLOCK_BYTES);
    assert_int_equal(report.harmless, 1); /* that stretch */
    assert_in_range(report.lost_keys, 1, 3);
    assert_int_equal(t.named, report.lost_keys);
    assert_int_equal(t.lost, 1 + report.lost_keys);
    assert_int_equal(take_away(h), KEYS - 1 - report.lost_keys);
}

/* The first segment made after the one with id `id`. */
static void next_segment(handle *h, uint64_t id, char ret_name[])
{
    os_file *dir;
    os_stat stat;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    do {
        segment_name_format(++id, ret_name);
    } while (h->kernel->ops->stat_name(dir, ret_name, &stat) != 0);
    h->kernel->ops->close(dir);
}

/* A key of which the newest value cannot be read, and an older one not again:
 * it is one key, and nothing of it was kept. */
static void test_a_key_that_is_lost_in_both_readings_counts_once(void **state)
{
    handle *h = *state;
    cask_repair_report report;
    cask_error err;
    told t = {.why = "an older one was kept"};

    fill(h);
    handle_open(h);
    put_keys(h, 0, 20);
    put_keys(h, KEYS, 40); /* so that they are sealed */
    handle_close(h);
    be_stingy(h, "");
    next_segment(h, 3, stingy.name);
    stingy.from = 2 * BLOCK_BYTES;
    stingy.size = 2 * BLOCK_BYTES;
    assert_int_equal(run_repair(h->kernel, &t, &report, &err), CASK_CORRUPT);
    assert_true(t.named > 0); /* those of which the test is */
    assert_int_equal(report.lost_keys, t.named);
    assert_int_equal(take_away(h), KEYS + 40);
    segment_name_format(1, stingy.late.name);
    stingy.late.size = UINT32_MAX;
    assert_int_equal(run_repair(h->kernel, &t, &report, &err), CASK_CORRUPT);
    be_usual(h);
    assert_int_equal(t.named, 0);
    assert_true(report.lost_keys > 0);
    assert_int_equal(take_away(h), KEYS + 40 - report.lost_keys);
}

/* Of an inode that cannot be read nobody knows what it held. */
static void test_what_cannot_be_examined_is_told_once(void **state)
{
    static const struct {
        int error;
        const char *why;
    } rows[] = {{EIO, "cannot be examined: Input/output error"},
                {ETIMEDOUT, "cannot be examined: Connection timed out"}};
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];

    fill(h);
    segment_name_format(2, name);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        told t = {.why = rows[i].why};
        cask_repair_report report;
        cask_error err;

        be_stingy(h, name);
        stingy.stat_error = rows[i].error;
        assert_int_equal(run_repair(h->kernel, &t, &report, &err),
                         CASK_CORRUPT);
        be_usual(h);
        assert_int_equal(t.named, 1);
        assert_true(report.lost_keys > 0);
        assert_int_equal(t.lost, 1 + report.lost_keys);
        assert_int_equal(take_away(h), KEYS - 1 - report.lost_keys);
    }
}

/* No segment that MANIFEST lists: nothing is lost by it, but it is told. */
static void test_so_is_what_is_of_others(void **state)
{
    static const struct {
        const char *name;
        uint64_t told;
    } rows[] = {
        {"core", 1}, {"00000000000000ff.log", 1}, {"0000000000000001.hint", 0}};
    handle *h = *state;
    const os_ops *ops = h->kernel->ops;

    fill(h);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        told t = {.why = "cannot be examined: Input/output error"};
        cask_repair_report report;
        cask_error err;
        os_file *file;
        os_file *dir;

        assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
        assert_int_equal(
            ops->open(dir, rows[i].name, OS_WRITE | OS_CREATE, 0600, &file), 0);
        close_store(dir, file);
        be_stingy(h, rows[i].name);
        stingy.stat_error = EIO;
        assert_int_equal(run_repair(h->kernel, &t, &report, &err), CASK_OK);
        be_usual(h);
        assert_int_equal(t.named, rows[i].told);
        assert_int_equal(t.lost, rows[i].told);
        assert_int_equal(report.harmless, rows[i].told);
        assert_int_equal(take_away(h), KEYS - 1);
    }
}

/* What was told already stays as it was told: the next block is told, too. */
static void test_a_stretch_that_was_told_does_not_grow(void **state)
{
    enum { WINDOW = 4 << 20 };
    handle *h = *state;
    repair_bytes bytes;
    repair r = {.options = &(cask_repair_options){.context = NULL}};
    char name[SEGMENT_NAME_SIZE] = "0000000000000001.log";
    os_file *file;
    cask_error err;

    fill(h);
    open_store(h, name, &r.dir, &file);
    assert_int_equal(h->kernel->ops->truncate(file, 3 * WINDOW), 0);
    be_stingy(h, name);
    stingy.from = WINDOW - BLOCK_BYTES;
    stingy.size = 2 * BLOCK_BYTES;
    r.kernel = h->kernel;
    assert_int_equal(repair_open(&r, name, &bytes, &err), CASK_OK);
    assert_non_null(repair_view(&bytes, 0, 1));
    assert_int_equal(bytes.bad.count, 1);
    bytes.bad.items[0].is_told = true;
    assert_non_null(repair_view(&bytes, WINDOW, 1));
    assert_int_equal(bytes.bad.count, 2);
    assert_int_equal(bytes.bad.items[0].size, BLOCK_BYTES);
    assert_int_equal(bytes.bad.items[1].offset, WINDOW);
    assert_int_equal(bytes.bad.items[1].size, BLOCK_BYTES);
    assert_false(bytes.bad.items[1].is_told);
    repair_close(&bytes);
    be_usual(h);
    close_store(r.dir, file);
}

/* Nobody knows what was behind the last record that can be read. */
static void test_so_it_is_at_the_end_of_the_log(void **state)
{
    enum { END = 16 * BLOCK_BYTES };
    handle *h = *state;
    cask_repair_report report;
    char name[SEGMENT_NAME_SIZE] = "0000000000000001.log";
    os_file *dir;
    os_file *file;
    cask_error err;
    told t = {.why = NULL};

    handle_open(h);
    put_text(h, "key", "value");
    handle_close(h);
    open_store(h, name, &dir, &file);
    assert_int_equal(h->kernel->ops->truncate(file, END + BLOCK_BYTES), 0);
    assert_int_equal(h->kernel->ops->remove(dir, "MANIFEST"), 0);
    close_store(dir, file);
    be_stingy(h, name);
    stingy.from = END;
    stingy.size = BLOCK_BYTES;
    assert_int_equal(run_repair(h->kernel, &t, &report, &err), CASK_CORRUPT);
    be_usual(h);
    assert_int_equal(t.unreadable, 1);
    assert_int_equal(t.first.offset, END);
    assert_int_equal(t.first.size_bytes, BLOCK_BYTES);
    assert_int_equal(take_away(h), 1);
}

static void test_a_segment_that_media_do_not_open_is_lost(void **state)
{
    handle *h = *state;
    cask_repair_report report;
    char name[SEGMENT_NAME_SIZE];
    cask_error err;
    told t = {.why = NULL};

    fill(h);
    segment_name_format(2, name);
    be_stingy(h, name);
    stingy.open_error = EIO;
    assert_int_equal(run_repair(h->kernel, &t, &report, &err), CASK_CORRUPT);
    be_usual(h);
    assert_true(report.lost_keys > 0);
    assert_int_equal(take_away(h), KEYS - 1 - report.lost_keys);
}

/* ---- Large files --------------------------------------------------------- */

enum { LARGE_BYTES = 64 << 20, MEMORY_MOST = 16 << 20 };

/* A segment of which nobody knows where it ends, and that is large. */
static void make_large(handle *h)
{
    const os_ops *ops = h->kernel->ops;
    os_file *dir;
    os_file *file;

    fill(h);
    open_store(h, "0000000000000001.log", &dir, &file);
    assert_int_equal(ops->truncate(file, LARGE_BYTES), 0);
    assert_int_equal(ops->remove(dir, "0000000000000001.hint"), 0);
    assert_int_equal(ops->remove(dir, "MANIFEST"), 0);
    close_store(dir, file);
}

static void test_memory_does_not_grow_with_files(void **state)
{
    handle *h = *state;
    cask_repair_report report;
    cask_error err;
    told t = {.why = NULL};

    make_large(h);
    be_stingy(h, "");
    assert_int_equal(run_repair(h->kernel, &t, &report, &err), CASK_CORRUPT);
    be_usual(h);
    assert_int_equal(stingy.memory, 0);
    assert_true(stingy.highest > 0 && stingy.highest <= MEMORY_MOST);
    assert_int_equal(take_away(h), KEYS - 1);
}

typedef struct stopper {
    uint64_t calls;
    uint64_t most;
} stopper;

static bool stop_after(void *context, uint64_t done, uint64_t total)
{
    stopper *s = context;

    (void)done;
    (void)total;
    return ++s->calls <= s->most;
}

/* While one file is read, too. */
static void test_it_stops_within_a_file(void **state)
{
    handle *h = *state;
    stopper s = {.most = UINT64_MAX};
    const cask_repair_options options = {.on_progress = stop_after,
                                         .context = &s};
    cask_repair_report report;
    cask_error err;

    make_large(h);
    assert_int_equal(
        db_repair_on(h->kernel, HANDLE_PATH, OUT, &options, &report, &err),
        CASK_CORRUPT);
    assert_true(s.calls >= LARGE_BYTES / (4 << 20));
    assert_int_equal(take_away(h), KEYS - 1);
    for (s.most = 0; s.most < 40; s.most += 3) {
        s.calls = 0;
        assert_int_equal(
            db_repair_on(h->kernel, HANDLE_PATH, OUT, &options, &report, &err),
            CASK_TIMEOUT);
        assert_int_equal(s.calls, s.most + 1);
        assert_non_null(strstr(err.message, OUT));
        assert_int_equal(take_away(h), 0);
    }
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, handle_prepare, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_the_system_lacks_loses_nothing),
        TEST(test_a_file_that_may_not_be_read_ends_it),
        TEST(test_what_is_of_others_may_be_refused),
        TEST(test_locks_that_cannot_be_tested_are_none),
        TEST(test_a_stretch_that_cannot_be_read_is_told),
        TEST(test_any_error_of_a_device_is_told_by_its_name),
        TEST(test_what_is_known_to_be_bad_is_not_read_again),
        TEST(test_what_can_be_read_only_once_is_told_once),
        TEST(test_a_key_that_is_lost_in_both_readings_counts_once),
        TEST(test_what_cannot_be_examined_is_told_once),
        TEST(test_so_is_what_is_of_others),
        TEST(test_a_stretch_that_was_told_does_not_grow),
        TEST(test_so_it_is_at_the_end_of_the_log),
        TEST(test_a_segment_that_media_do_not_open_is_lost),
        TEST(test_memory_does_not_grow_with_files),
        TEST(test_it_stops_within_a_file),
    };

    return cmocka_run_group_tests_name("repair_failures", tests, NULL, NULL);
}
