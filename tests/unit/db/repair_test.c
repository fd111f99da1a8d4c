/*
 * What repair says and does beside finding records, for which see
 * tests/crash/salvage_test: keys in the order of merges, times and settings
 * kept, deletes and values that only hints tell of, refusals, failures.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/segment_format.h"
#include "os/os_fault.h"

#define OUT "/out"

enum { VALUE_BYTES = 3000, KEYS = 60 };

/* ---- Helpers ------------------------------------------------------------- */

typedef struct told {
    uint64_t lost;
    uint64_t harmless;
    char key[32]; /* of the last with a key */
    char reason[256];
} told;

static void on_lost(void *context, const cask_lost *lost)
{
    told *t = context;

    t->lost++;
    t->harmless += lost->harmless ? 1 : 0;
    if (lost->key.data != NULL) {
        (void)snprintf(t->key, sizeof(t->key), "%.*s", (int)lost->key.size,
                       (const char *)lost->key.data);
        (void)snprintf(t->reason, sizeof(t->reason), "%s", lost->at.reason);
    }
}

static cask_status repair_to(handle *h, const char *out, told *t,
                             cask_repair_report *ret_report, cask_error *err)
{
    const cask_repair_options options = {.on_lost = on_lost, .context = t};

    *t = (told){.lost = 0};
    return db_repair_on(h->kernel, HANDLE_PATH, out, &options, ret_report, err);
}

/* The new store, open. */
static handle open_out(const handle *h)
{
    handle out = *h;

    cask_options_init(&out.options);
    out.options.read_only = true;
    assert_int_equal(db_open_on(h->kernel, OUT, &out.options, &out.db, NULL),
                     CASK_OK);
    return out;
}

static void put_number(handle *h, int number, uint64_t seed)
{
    uint8_t *bytes = make_bytes(VALUE_BYTES, seed);
    char key[16];

    (void)snprintf(key, sizeof(key), "key %d", number);
    put_bytes(h, key, bytes, VALUE_BYTES);
    free(bytes);
}

static void check_number(handle *h, int number, uint64_t seed)
{
    uint8_t *bytes = make_bytes(VALUE_BYTES, seed);
    char key[16];

    (void)snprintf(key, sizeof(key), "key %d", number);
    check_bytes(h, key, seed == 0 ? NULL : bytes, VALUE_BYTES);
    free(bytes);
}

static void merge(handle *h)
{
    assert_int_equal(
        cask_merge(h->db, &(cask_merge_options){.all = true}, NULL, NULL),
        CASK_OK);
}

/* All 1, merged; the first half 2, key 3 deleted; closed, all sealed. */
static void fill(handle *h)
{
    h->options.segment_max_bytes = 64 << 10;
    h->options.small_file_threshold_bytes = 0;
    handle_open(h);
    for (int i = 0; i < KEYS; i++) {
        put_number(h, i, 9);
    }
    for (int i = 0; i < KEYS; i++) {
        put_number(h, i, 1);
    }
    merge(h);
    for (int i = 0; i < KEYS / 2; i++) {
        put_number(h, i, 2);
    }
    delete_text(h, "key 3");
    handle_close(h);
}

static void check_filled(handle *out)
{
    for (int i = 0; i < KEYS; i++) {
        check_number(out, i, i == 3 ? 0 : i < KEYS / 2 ? 2 : 1);
    }
}

typedef struct search {
    os_file *dir;
    const uint8_t *text;
    size_t size;
    char file[32];   /* of the last place where it was found, */
    uint64_t offset; /* there */
    uint64_t id;     /* of it */
} search;

static bool search_file(void *context, const char *name)
{
    search *s = context;
    static uint8_t bytes[1 << 20];
    os_file *file;
    size_t got = 0;
    uint64_t id;

    if (!segment_name_parse(name, &id) || id < s->id) {
        return true;
    }
    assert_int_equal(s->dir->os->ops->open(s->dir, name, OS_READ, 0, &file), 0);
    assert_int_equal(
        s->dir->os->ops->read_at(file, bytes, sizeof(bytes), 0, &got), 0);
    s->dir->os->ops->close(file);
    for (size_t at = 0; at + s->size <= got; at++) {
        if (memcmp(bytes + at, s->text, s->size) == 0) {
            (void)snprintf(s->file, sizeof(s->file), "%s", name);
            s->offset = at;
            s->id = id;
        }
    }
    return true;
}

/* Damage the last place where these bytes are. */
static void damage(handle *h, const void *text, size_t size)
{
    search s = {.text = text, .size = size};
    const os_span span = {"\xff", 1};
    os_file *file;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &s.dir),
                     0);
    assert_int_equal(h->kernel->ops->list(s.dir, search_file, &s), 0);
    assert_true(s.file[0] != 0);
    assert_int_equal(
        h->kernel->ops->open(s.dir, s.file, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(h->kernel->ops->write_at(file, &span, 1, s.offset), 0);
    h->kernel->ops->close(file);
    h->kernel->ops->close(s.dir);
}

static bool remove_hint(void *context, const char *name)
{
    os_file *dir = context;
    uint64_t id;

    if (hint_name_parse(name, &id)) {
        assert_int_equal(dir->os->ops->remove(dir, name), 0);
    }
    return true;
}

static void remove_hints(handle *h)
{
    os_file *dir;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(h->kernel->ops->list(dir, remove_hint, dir), 0);
    h->kernel->ops->close(dir);
}

/* ---- What comes over ----------------------------------------------------- */

static void test_a_sound_store_comes_over_whole(void **state)
{
    handle *h = *state;
    const cask_write_options with = {.expires_at_ms = HANDLE_NOW_MS + 5000,
                                     .time_s = 1234567};
    const cask_config_change change = {"expiry_grace_seconds", "77"};
    cask_buffer text = {NULL, 0, 0};
    cask_repair_report report;
    cask_info info;
    handle out;
    told t;

    fill(h);
    handle_open(h);
    assert_int_equal(cask_put_with(h->db, cask_slice_of("with"),
                                   cask_slice_of("times"), &with, NULL, NULL),
                     CASK_OK);
    assert_int_equal(cask_config_set(h->db, &change, 1, NULL), CASK_OK);
    handle_close(h);
    assert_int_equal(repair_to(h, OUT, &t, &report, NULL), CASK_OK);
    assert_int_equal(t.lost, 0);
    assert_int_equal(report.keys, KEYS);
    out = open_out(h);
    check_filled(&out);
    assert_int_equal(count_keys(&out), KEYS);
    assert_int_equal(
        cask_get_with(out.db, cask_slice_of("with"), &text, &info, NULL),
        CASK_OK);
    assert_int_equal(info.time_s, with.time_s);
    assert_int_equal(info.expires_at_ms, with.expires_at_ms);
    assert_int_equal(cask_config_get(out.db, change.name, &text, NULL),
                     CASK_OK);
    assert_memory_equal(text.data, change.value, 2);
    cask_buffer_free(&text);
    handle_close(&out);
}

static void test_segments_are_as_the_settings_say(void **state)
{
    handle *h = *state;
    const cask_config_change change = {"segment_max_bytes", "64KiB"};
    cask_segment_stats *segments = NULL;
    cask_repair_report report;
    size_t count;
    handle out;
    told t;

    fill(h);
    handle_open(h);
    assert_int_equal(cask_config_set(h->db, &change, 1, NULL), CASK_OK);
    handle_close(h);
    assert_int_equal(repair_to(h, OUT, &t, &report, NULL), CASK_OK);
    out = open_out(h);
    assert_int_equal(cask_segments(out.db, &segments, &count, NULL), CASK_OK);
    assert_true(count > KEYS * VALUE_BYTES / (64 << 10));
    for (size_t i = 0; i < count; i++) {
        assert_true(segments[i].total_bytes <= 64 << 10);
    }
    cask_free(segments);
    check_filled(&out);
    handle_close(&out);
}

static void test_a_delete_that_only_its_hint_tells_of_is_respected(void **state)
{
    handle *h = *state;
    cask_repair_report report;
    handle out;
    told t;

    fill(h);
    damage(h, "key 3", 5); /* the last one is the delete */
    assert_int_equal(repair_to(h, OUT, &t, &report, NULL), CASK_OK);
    assert_int_equal(t.lost, t.harmless);
    assert_string_equal(t.key, "key 3");
    assert_non_null(strstr(t.reason, "stays deleted"));
    out = open_out(h);
    check_filled(&out);
    handle_close(&out);
}

static void test_without_a_hint_it_is_told_that_keys_can_be_back(void **state)
{
    handle *h = *state;
    cask_repair_report report;
    handle out;
    told t;

    fill(h);
    remove_hints(h);
    damage(h, "key 3", 5);
    assert_int_equal(repair_to(h, OUT, &t, &report, NULL), CASK_CORRUPT);
    assert_int_equal(t.lost - t.harmless, 1);
    out = open_out(h);
    check_number(&out, 3, 2);
    check_number(&out, 4, 2);
    handle_close(&out);
}

static void test_a_lost_value_is_told_with_its_key(void **state)
{
    handle *h = *state;
    uint8_t *bytes = make_bytes(VALUE_BYTES, 7);
    cask_repair_report report;
    handle out;
    told t;

    fill(h);
    handle_open(h);
    put_bytes(h, "key 40", bytes, VALUE_BYTES);
    put_bytes(h, "only", bytes + 1, VALUE_BYTES - 1);
    handle_close(h);
    damage(h, bytes, VALUE_BYTES);
    assert_int_equal(repair_to(h, OUT, &t, &report, NULL), CASK_CORRUPT);
    assert_int_equal(report.lost_keys, 1);
    assert_string_equal(t.key, "key 40");
    assert_non_null(strstr(t.reason, "an older one was kept"));
    out = open_out(h);
    check_number(&out, 40, 1);
    check_bytes(&out, "only", bytes + 1, VALUE_BYTES - 1);
    handle_close(&out);
    free(bytes);
}

/* What is lost and was replaced by something newer is no loss. */
static void test_damage_of_what_is_dead_loses_nothing(void **state)
{
    handle *h = *state;
    uint8_t *bytes = make_bytes(VALUE_BYTES, 7);
    cask_repair_report report;
    handle out;
    told t;

    fill(h);
    handle_open(h);
    put_bytes(h, "key 40", bytes, VALUE_BYTES);
    put_number(h, 40, 1);
    handle_close(h);
    damage(h, bytes, VALUE_BYTES);
    assert_int_equal(repair_to(h, OUT, &t, &report, NULL), CASK_OK);
    assert_int_equal(report.harmless, 1);
    assert_true(report.lost_bytes >= VALUE_BYTES);
    out = open_out(h);
    check_filled(&out);
    handle_close(&out);
    free(bytes);
}

static void test_a_value_larger_than_a_segment_comes_over(void **state)
{
    enum { LARGE = 300 << 10 };
    handle *h = *state;
    uint8_t *bytes = make_bytes(LARGE, 5);
    cask_repair_report report;
    handle out;
    told t;

    fill(h);
    handle_open(h);
    put_bytes(h, "large", bytes, LARGE);
    put_bytes(h, "empty", "", 0);
    handle_close(h);
    assert_int_equal(repair_to(h, OUT, &t, &report, NULL), CASK_OK);
    out = open_out(h);
    check_bytes(&out, "large", bytes, LARGE);
    check_text(&out, "empty", "");
    check_filled(&out);
    handle_close(&out);
    free(bytes);
}

/* ---- What it refuses ----------------------------------------------------- */

static void test_a_store_in_use_or_none_is_refused(void **state)
{
    handle *h = *state;
    cask_repair_report report;
    cask_error err;
    told t;

    assert_int_equal(repair_to(h, OUT, &t, &report, &err), CASK_NOT_FOUND);
    fill(h);
    handle_open(h);
    assert_int_equal(repair_to(h, OUT, &t, &report, &err), CASK_BUSY);
    handle_close(h);
    assert_int_equal(repair_to(h, HANDLE_PATH, &t, &report, &err),
                     CASK_INVALID);
    assert_int_equal(db_repair_on(h->kernel, "/none", OUT, NULL, &report, &err),
                     CASK_NOT_FOUND);
    assert_int_equal(
        db_repair_on(h->kernel, HANDLE_PATH, NULL, NULL, &report, &err),
        CASK_INVALID);
    assert_int_equal(repair_to(h, OUT, &t, &report, &err), CASK_OK);
    assert_int_equal(repair_to(h, OUT, &t, &report, &err), CASK_INVALID);
}

/* ---- Failures ------------------------------------------------------------ */

/* Whether a store is there, which is removed. */
static bool take_away(handle *h)
{
    cask_options options;
    cask_db *db = NULL;
    cask_status status;

    cask_options_init(&options);
    options.read_only = true;
    status = db_open_on(h->kernel, OUT, &options, &db, NULL);
    if (status == CASK_OK) {
        handle out = {.db = db};

        check_filled(&out);
        handle_close(&out);
    }
    clear_directory(h->kernel, OUT);
    return status == CASK_OK;
}

/* Merges write MANIFEST anew, so that any segment may be behind a cut. */
static void test_a_manifest_cut_anywhere_loses_no_key(void **state)
{
    handle *h = *state;
    uint8_t bytes[4096];
    os_file *dir;
    os_file *file;
    os_stat stat;
    os_span all;
    size_t got = 0;
    uint64_t told_of = 0;

    fill(h);
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(
        h->kernel->ops->open(dir, MANIFEST_NAME, OS_READ | OS_WRITE, 0, &file),
        0);
    assert_int_equal(h->kernel->ops->stat(file, &stat), 0);
    assert_true(stat.size <= sizeof(bytes));
    assert_int_equal(
        h->kernel->ops->read_at(file, bytes, (size_t)stat.size, 0, &got), 0);
    assert_int_equal(got, stat.size);
    all = (os_span){bytes, got};
    for (uint64_t size = MANIFEST_HEADER_SIZE; size < stat.size;
         size += MANIFEST_EDIT_SIZE / 2) {
        cask_repair_report report;
        cask_status status;
        told t;

        assert_int_equal(h->kernel->ops->truncate(file, size), 0);
        status = repair_to(h, OUT, &t, &report, NULL);
        assert_true(status == CASK_OK || status == CASK_CORRUPT);
        told_of += t.lost > 0 ? 1 : 0;
        assert_true(take_away(h));
        assert_int_equal(h->kernel->ops->write_at(file, &all, 1, 0), 0);
    }
    assert_true(told_of > 4);
    h->kernel->ops->close(file);
    h->kernel->ops->close(dir);
}

static void test_it_stops_when_told_and_leaves_nothing(void **state)
{
    handle *h = *state;
    cask_status status = CASK_TIMEOUT;
    cask_repair_report report;

    fill(h);
    for (uint64_t calls = 0; status == CASK_TIMEOUT; calls++) {
        uint64_t left = calls;
        const cask_repair_options options = {.on_progress = stop_at,
                                             .context = &left};

        status =
            db_repair_on(h->kernel, HANDLE_PATH, OUT, &options, &report, NULL);
        assert_int_equal(take_away(h), status == CASK_OK);
    }
    assert_int_equal(status, CASK_OK);
}

static void test_a_full_disk_leaves_nothing(void **state)
{
    handle *h = *state;
    cask_repair_report report;
    uint64_t total;
    told t;

    fill(h);
    total = limit_disk(h, 32768);
    assert_int_equal(repair_to(h, OUT, &t, &report, NULL), CASK_NO_SPACE);
    assert_false(directory_exists(h->kernel, OUT));
    assert_int_equal(h->kernel->ops->make_dir(h->kernel, OUT, 0700), 0);
    assert_int_equal(repair_to(h, OUT, &t, &report, NULL), CASK_NO_SPACE);
    assert_false(take_away(h));
    os_sim_set_capacity(h->sim, total);
    assert_int_equal(repair_to(h, OUT, &t, &report, NULL), CASK_OK);
    assert_true(take_away(h));
}

/* A repair with the faults of a plan. */
static cask_status repair_failing(handle *h, os_fault *fault,
                                  const os_fault_plan *plan, bool *ret_fired)
{
    cask_repair_report report;
    cask_status status;
    told t;

    os_fault_arm(fault, plan);
    status = repair_to(h, OUT, &t, &report, NULL);
    *ret_fired = os_fault_fired(fault) > 0;
    os_fault_arm(fault, &OS_FAULT_NOTHING);
    return status;
}

/* Whichever write fails, there is a store that is right, or none. */
static void test_every_fault_leaves_a_store_or_none(void **state)
{
    static os_fault fault;
    static const os_call calls[] = {
        OS_CALL_WRITE_AT, OS_CALL_SYNC,   OS_CALL_SYNC_DIR, OS_CALL_RENAME,
        OS_CALL_ALLOCATE, OS_CALL_RANDOM, OS_CALL_LOCK,     OS_CALL_MAKE_DIR};
    handle *h = *state;
    os *kernel = h->kernel;
    uint64_t failures = 0;

    fill(h);
    os_fault_init(&fault, kernel);
    h->kernel = &fault.base;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        bool fired = true;

        for (uint64_t n = 0; fired; n++) {
            os_fault_plan plan = {
                .only = calls[i], .fail_at = n, .error = ENOSPC};
            cask_status status = repair_failing(h, &fault, &plan, &fired);

            assert_int_equal(take_away(h), status == CASK_OK);
            assert_true(fired || status == CASK_OK);
            failures += status == CASK_OK ? 0 : 1;
        }
    }
    assert_true(failures >= 12);
    h->kernel = kernel;
}

/* What cannot be read is lost, and told; the rest comes over. */
static void test_reads_that_fail_lose_what_they_read(void **state)
{
    static os_fault fault;
    handle *h = *state;
    os *kernel = h->kernel;
    unsigned lossy = 0;
    bool fired = true;

    fill(h);
    os_fault_init(&fault, kernel);
    h->kernel = &fault.base;
    for (uint64_t n = 0; fired; n++) {
        os_fault_plan plan = {
            .only = OS_CALL_READ_AT, .fail_at = n, .error = EIO};
        cask_status status = repair_failing(h, &fault, &plan, &fired);

        assert_true(status == CASK_OK || status == CASK_CORRUPT);
        lossy += status == CASK_CORRUPT ? 1 : 0;
        /* One block that failed once is read again: nothing is lost by it. */
        assert_true(take_away(h));
    }
    assert_true(lossy > 0); /* MANIFEST */
    h->kernel = kernel;
}

static void test_a_power_cut_leaves_a_store_or_none(void **state)
{
    handle *h = *state;
    bool done = false;

    fill(h);
    for (uint64_t n = 0; !done; n++) {
        cask_repair_report report;
        cask_status status;
        told t;

        assert_int_equal(os_sim_sync_all(h->sim), 0);
        os_sim_cut_at(h->sim, os_sim_operations(h->sim) + n);
        status = repair_to(h, OUT, &t, &report, NULL);
        done = status == CASK_OK;
        os_sim_cut_at(h->sim, UINT64_MAX);
        os_sim_cut(h->sim);
        assert_int_equal(os_sim_crash(h->sim, n), 0);
        assert_true(take_away(h) || !done);
    }
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, handle_prepare, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_sound_store_comes_over_whole),
        TEST(test_segments_are_as_the_settings_say),
        TEST(test_a_delete_that_only_its_hint_tells_of_is_respected),
        TEST(test_without_a_hint_it_is_told_that_keys_can_be_back),
        TEST(test_a_lost_value_is_told_with_its_key),
        TEST(test_damage_of_what_is_dead_loses_nothing),
        TEST(test_a_value_larger_than_a_segment_comes_over),
        TEST(test_a_store_in_use_or_none_is_refused),
        TEST(test_a_manifest_cut_anywhere_loses_no_key),
        TEST(test_it_stops_when_told_and_leaves_nothing),
        TEST(test_a_full_disk_leaves_nothing),
        TEST(test_every_fault_leaves_a_store_or_none),
        TEST(test_reads_that_fail_lose_what_they_read),
        TEST(test_a_power_cut_leaves_a_store_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
