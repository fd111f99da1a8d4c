/*
 * Every public function with arguments that are wrong: CASK_INVALID (or what
 * its comment says), with a message, and nothing happens.
 */
#include "unit/db/handle.h"

#include <stdlib.h>
#include <string.h>

#include "db/db.h"

static cask_db *not_a_handle(void)
{
    static uint64_t bytes[64];

    return (cask_db *)(void *)bytes;
}

#define KEY (cask_slice_of("key"))
#define BAD_KEY ((cask_slice){NULL, 3})

static void check_message(const cask_error *err, const char *part)
{
    assert_int_equal(err->status, CASK_INVALID);
    assert_non_null(strstr(err->message, part));
    assert_null(strchr(err->message, '\n'));
    assert_true(strlen(err->message) > 5);
}

/* The call says CASK_INVALID with and without an error to fill. */
#define REFUSED(part, call)                                                    \
    do {                                                                       \
        cask_error error_ = {CASK_OK, 0, ""};                                  \
        cask_error *err = &error_;                                             \
        assert_int_equal(call, CASK_INVALID);                                  \
        check_message(&error_, part);                                          \
        err = NULL;                                                            \
        assert_int_equal(call, CASK_INVALID);                                  \
    } while (0)

/* ---- Handles ------------------------------------------------------------- */

static void refuse_handle(cask_db *db)
{
    cask_segment_stats *segments;
    cask_buffer value = {0};
    cask_batch *batch = NULL;
    cask_status statuses[1];
    cask_slice keys[1] = {KEY};
    cask_view view = {0};
    cask_stats stats;
    uint64_t number;
    size_t count;
    bool flag;

    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    REFUSED("handle", cask_put(db, KEY, KEY, err));
    REFUSED("handle", cask_put_with(db, KEY, KEY, NULL, &number, err));
    REFUSED("handle", cask_delete(db, KEY, &flag, err));
    REFUSED("handle", cask_delete_with(db, KEY, NULL, &flag, err));
    REFUSED("handle", cask_sync(db, err));
    REFUSED("handle", cask_write(db, batch, err));
    REFUSED("handle", cask_get(db, KEY, &value, err));
    REFUSED("handle", cask_get_with(db, KEY, &value, NULL, err));
    REFUSED("handle", cask_exists(db, KEY, &flag, err));
    REFUSED("handle", cask_get_many(db, keys, 1, &value, statuses, err));
    REFUSED("handle", cask_view_acquire(db, KEY, &view, err));
    REFUSED("handle", cask_count(db, &number, err));
    REFUSED("handle", cask_fold(db, NULL, NULL, NULL, err));
    REFUSED("handle", cask_stat(db, &stats, err));
    REFUSED("handle", cask_segments(db, &segments, &count, err));
    REFUSED("handle", cask_refresh(db, err));
    cask_view_release(db, &view);
    cask_view_release(db, NULL);
    cask_batch_free(batch);
}

static void test_what_is_no_handle_is_refused_everywhere(void **state)
{
    (void)state;
    refuse_handle(NULL);
    refuse_handle(not_a_handle());
    REFUSED("handle", cask_close(not_a_handle(), err));
    assert_int_equal(cask_close(NULL, NULL), CASK_OK);
}

/* ---- Keys, values, outputs ----------------------------------------------- */

static bool never(void *context, const cask_entry *entry)
{
    (void)context;
    (void)entry;
    return false;
}

static void test_keys_and_values_that_are_none(void **state)
{
    handle *h = *state;
    static const char large[CASK_KEY_MAX_BYTES + 1];
    const cask_slice too_long = {large, sizeof(large)};
    const cask_slice too_large = {large, (size_t)CASK_VALUE_MAX_BYTES + 1};
    cask_slice keys[2] = {KEY, too_long};
    cask_buffer values[2] = {{0}, {0}};
    cask_status statuses[2];
    cask_view view;
    bool flag;

    REFUSED("NULL", cask_put(h->db, BAD_KEY, KEY, err));
    REFUSED("65536", cask_put(h->db, too_long, KEY, err));
    REFUSED("NULL", cask_put(h->db, KEY, BAD_KEY, err));
    REFUSED("4294967296", cask_put(h->db, KEY, too_large, err));
    REFUSED("NULL", cask_put_with(h->db, BAD_KEY, KEY, NULL, NULL, err));
    REFUSED("65536", cask_delete(h->db, too_long, &flag, err));
    REFUSED("NULL", cask_delete_with(h->db, BAD_KEY, NULL, NULL, err));
    REFUSED("65536", cask_get(h->db, too_long, &values[0], err));
    REFUSED("NULL", cask_get_with(h->db, BAD_KEY, &values[0], NULL, err));
    REFUSED("NULL", cask_exists(h->db, BAD_KEY, &flag, err));
    REFUSED("65536", cask_get_many(h->db, keys, 2, values, statuses, err));
    REFUSED("NULL", cask_view_acquire(h->db, BAD_KEY, &view, err));
    assert_int_equal(count_keys(h), 0);
}

static void test_outputs_that_are_missing(void **state)
{
    handle *h = *state;
    cask_slice keys[1] = {KEY};
    cask_buffer values[1] = {{0}};
    cask_status statuses[1];
    cask_segment_stats *segments;
    size_t count;

    REFUSED("NULL", cask_get(h->db, KEY, NULL, err));
    REFUSED("NULL", cask_get_with(h->db, KEY, NULL, NULL, err));
    REFUSED("NULL", cask_exists(h->db, KEY, NULL, err));
    REFUSED("NULL", cask_get_many(h->db, NULL, 1, values, statuses, err));
    REFUSED("NULL", cask_get_many(h->db, keys, 1, NULL, statuses, err));
    REFUSED("NULL", cask_get_many(h->db, keys, 1, values, NULL, err));
    REFUSED("NULL", cask_view_acquire(h->db, KEY, NULL, err));
    REFUSED("NULL", cask_count(h->db, NULL, err));
    REFUSED("NULL", cask_fold(h->db, NULL, NULL, NULL, err));
    REFUSED("NULL", cask_stat(h->db, NULL, err));
    REFUSED("NULL", cask_segments(h->db, NULL, &count, err));
    REFUSED("NULL", cask_segments(h->db, &segments, NULL, err));
    REFUSED("NULL", cask_write(h->db, NULL, err));
    REFUSED("NULL", cask_batch_create(NULL, err));
    /* Outputs that may be missing. */
    assert_int_equal(cask_put_with(h->db, KEY, KEY, NULL, NULL, NULL), CASK_OK);
    assert_int_equal(cask_get_with(h->db, KEY, &values[0], NULL, NULL),
                     CASK_OK);
    assert_int_equal(cask_get_many(h->db, NULL, 0, NULL, NULL, NULL), CASK_OK);
    assert_int_equal(cask_fold(h->db, NULL, never, NULL, NULL), CASK_OK);
    assert_int_equal(cask_delete(h->db, KEY, NULL, NULL), CASK_OK);
    cask_buffer_free(&values[0]);
}

static void test_write_options_that_contradict_themselves(void **state)
{
    handle *h = *state;
    const cask_write_options both = {.expires_at_ms = 1, .ttl_ms = 1};
    const cask_write_options expiring = {.expires_at_ms = 1};
    const cask_write_options living = {.ttl_ms = 1};
    const cask_write_options timed = {.time_s = 1};
    const cask_write_options none = {.condition = (cask_condition)4};
    const cask_write_options below = {.condition = (cask_condition)-1};

    REFUSED("ttl_ms", cask_put_with(h->db, KEY, KEY, &both, NULL, err));
    REFUSED("condition", cask_put_with(h->db, KEY, KEY, &none, NULL, err));
    REFUSED("condition", cask_put_with(h->db, KEY, KEY, &below, NULL, err));
    REFUSED("expire", cask_delete_with(h->db, KEY, &expiring, NULL, err));
    REFUSED("expire", cask_delete_with(h->db, KEY, &living, NULL, err));
    REFUSED("condition", cask_delete_with(h->db, KEY, &none, NULL, err));
    REFUSED("time_s", cask_delete_with(h->db, KEY, &timed, NULL, err));
    assert_int_equal(count_keys(h), 0);
}

/* ---- Batches ------------------------------------------------------------- */

static void test_batches_refuse_what_puts_refuse(void **state)
{
    static const char large[CASK_KEY_MAX_BYTES + 1];
    const cask_slice too_long = {large, sizeof(large)};
    const cask_slice too_large = {large, (size_t)CASK_VALUE_MAX_BYTES + 1};
    const cask_write_options living = {.ttl_ms = 1};
    const cask_write_options absent = {.condition = CASK_IF_ABSENT};
    cask_batch *batch;

    (void)state;
    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    REFUSED("batch", cask_batch_put(NULL, KEY, KEY, 0, err));
    REFUSED("batch", cask_batch_delete(NULL, KEY, err));
    REFUSED("65536", cask_batch_put(batch, too_long, KEY, 0, err));
    REFUSED("4294967296", cask_batch_put(batch, KEY, too_large, 0, err));
    REFUSED("NULL", cask_batch_put(batch, BAD_KEY, KEY, 0, err));
    REFUSED("NULL", cask_batch_put(batch, KEY, BAD_KEY, 0, err));
    REFUSED("batch", cask_batch_put_with(NULL, KEY, KEY, NULL, err));
    REFUSED("65536", cask_batch_put_with(batch, too_long, KEY, NULL, err));
    REFUSED("NULL", cask_batch_put_with(batch, KEY, BAD_KEY, NULL, err));
    REFUSED("ttl_ms", cask_batch_put_with(batch, KEY, KEY, &living, err));
    REFUSED("condition", cask_batch_put_with(batch, KEY, KEY, &absent, err));
    REFUSED("65536", cask_batch_delete(batch, too_long, err));
    REFUSED("NULL", cask_batch_delete(batch, BAD_KEY, err));
    assert_int_equal(cask_batch_count(batch), 0);
    assert_int_equal(cask_batch_bytes(batch), 0);
    assert_int_equal(cask_batch_count(NULL), 0);
    assert_int_equal(cask_batch_bytes(NULL), 0);
    cask_batch_clear(NULL);
    cask_batch_free(NULL);
    cask_batch_free(batch);
}

static void test_a_batch_larger_than_a_segment_writes_nothing(void **state)
{
    handle *h = *state;
    uint8_t *value = make_bytes(40 << 10, 1);
    cask_batch *batch;

    h->options.segment_max_bytes = 64 << 10;
    handle_reopen(h);
    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    for (int i = 0; i < 2; i++) {
        cask_slice key = cask_slice_of(i == 0 ? "a" : "b");

        assert_int_equal(
            cask_batch_put(batch, key, (cask_slice){value, 40 << 10}, 0, NULL),
            CASK_OK);
    }
    REFUSED("segment_max_bytes", cask_write(h->db, batch, err));
    assert_int_equal(count_keys(h), 0);
    cask_batch_free(batch);
    free(value);
}

/* ---- Opening ------------------------------------------------------------- */

static void refuse_option(handle *h, const cask_options *options,
                          const char *name)
{
    cask_db *db = NULL;

    REFUSED(name, db_open_on(h->kernel, "/other", options, &db, err));
    assert_null(db);
}

/* Set one option to a value outside its range, and back. */
#define OUTSIDE(member, value)                                                 \
    do {                                                                       \
        cask_options options;                                                  \
        cask_options_init(&options);                                           \
        options.create_if_missing = true;                                      \
        options.member = value;                                                \
        refuse_option(h, &options, #member);                                   \
    } while (0)

/* Set one option to an end of its range. */
#define INSIDE(member, value)                                                  \
    do {                                                                       \
        cask_options options;                                                  \
        cask_options_init(&options);                                           \
        options.member = value;                                                \
        assert_int_equal(options_check(&options, NULL), CASK_OK);              \
    } while (0)

static void test_options_outside_their_range_are_named(void **state)
{
    handle *h = *state;

    OUTSIDE(struct_size, 0);
    OUTSIDE(struct_size, sizeof(cask_options) + 8);
    OUTSIDE(engine, (cask_engine)0);
    OUTSIDE(engine, (cask_engine)3);
    OUTSIDE(file_mode, 0);
    OUTSIDE(file_mode, 0400);
    OUTSIDE(file_mode, 0577);
    OUTSIDE(file_mode, 01777);
    OUTSIDE(lock_timeout_ms, 0);
    OUTSIDE(lock_timeout_ms, 3600001);
    OUTSIDE(sync, (cask_sync_policy)3);
    OUTSIDE(sync_interval_ms, 0);
    OUTSIDE(sync_interval_ms, 3600001);
    OUTSIDE(append, (cask_append)3);
    OUTSIDE(io, (cask_io)2);
    OUTSIDE(max_descriptors, 7);
    OUTSIDE(max_descriptors, 65537);
    OUTSIDE(damage, (cask_damage)2);
    OUTSIDE(segment_max_bytes, (64 << 10) - 1);
    OUTSIDE(segment_max_bytes, (UINT64_C(1) << 30) + 1);
    OUTSIDE(small_file_threshold_bytes, (UINT64_C(1) << 30) + 1);
    OUTSIDE(memtable_bytes, (64 << 10) - 1);
    OUTSIDE(memtable_bytes, (UINT64_C(256) << 20) + 1);
}

static void test_options_at_the_ends_of_their_range_are_taken(void **state)
{
    (void)state;
    INSIDE(lock_timeout_ms, 1);
    INSIDE(lock_timeout_ms, 3600000);
    INSIDE(sync_interval_ms, 1);
    INSIDE(sync_interval_ms, 3600000);
    INSIDE(max_descriptors, 8);
    INSIDE(max_descriptors, 65536);
    INSIDE(memtable_bytes, 0);
    INSIDE(memtable_bytes, 64 << 10);
    INSIDE(memtable_bytes, UINT64_C(256) << 20);
    INSIDE(segment_max_bytes, 64 << 10);
    INSIDE(segment_max_bytes, UINT64_C(1) << 30);
    INSIDE(small_file_threshold_bytes, 0);
    INSIDE(file_mode, 0600);
    INSIDE(file_mode, 0777);
}

static void test_paths_that_are_no_store(void **state)
{
    handle *h = *state;
    cask_options options;
    cask_error found;
    cask_db *db = NULL;

    cask_options_init(&options);
    REFUSED("path", db_open_on(h->kernel, NULL, &options, &db, err));
    REFUSED("path", db_open_on(h->kernel, "", &options, &db, err));
    REFUSED("ret_db", db_open_on(h->kernel, HANDLE_PATH, &options, NULL, err));
    assert_int_equal(db_open_on(h->kernel, "/nowhere", &options, &db, &found),
                     CASK_NOT_FOUND);
    assert_non_null(strstr(found.message, "/nowhere"));
    assert_int_equal(
        db_open_on(h->kernel, HANDLE_PATH "/MANIFEST", &options, &db, &found),
        CASK_INVALID);
    assert_non_null(strstr(found.message, "MANIFEST"));
    options.error_if_exists = true;
    REFUSED("already", db_open_on(h->kernel, HANDLE_PATH, &options, &db, err));
    options.error_if_exists = false;
    options.read_only = true;
    options.exclusive = true;
    REFUSED("exclusive",
            db_open_on(h->kernel, HANDLE_PATH, &options, &db, err));
    assert_null(db);
}

static void test_a_directory_of_something_else_stays_as_it_is(void **state)
{
    handle *h = *state;
    cask_options options;
    cask_db *db = NULL;
    os_file *file;
    os_file *dir;

    assert_int_equal(h->kernel->ops->make_dir(h->kernel, "/home", 0700), 0);
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, "/home", &dir), 0);
    assert_int_equal(
        h->kernel->ops->open(dir, "letters", OS_WRITE | OS_CREATE, 0600, &file),
        0);
    h->kernel->ops->close(file);
    cask_options_init(&options);
    options.create_if_missing = true;
    REFUSED("letters", db_open_on(h->kernel, "/home", &options, &db, err));
    assert_int_equal(h->kernel->ops->open(dir, "letters", OS_READ, 0, &file),
                     0);
    h->kernel->ops->close(file);
    assert_int_not_equal(
        h->kernel->ops->open(dir, "CASKADE", OS_READ, 0, &file), 0);
    h->kernel->ops->close(dir);
}

/* ---- Read-only, verify, regions, texts ----------------------------------- */

static void test_a_read_only_handle_writes_nothing(void **state)
{
    handle *h = *state;
    cask_error err;
    cask_batch *batch;

    put_text(h, "key", "value");
    h->options.create_if_missing = false;
    h->options.read_only = true;
    handle_reopen(h);
    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    assert_int_equal(cask_batch_put(batch, KEY, KEY, 0, NULL), CASK_OK);
    assert_int_equal(cask_put(h->db, KEY, KEY, &err), CASK_READ_ONLY);
    assert_non_null(strstr(err.message, "read-only"));
    assert_int_equal(cask_delete(h->db, KEY, NULL, NULL), CASK_READ_ONLY);
    assert_int_equal(cask_write(h->db, batch, NULL), CASK_READ_ONLY);
    assert_int_equal(cask_sync(h->db, NULL), CASK_READ_ONLY);
    check_text(h, "key", "value");
    cask_batch_free(batch);
}

static void test_verify_and_regions_refuse_nothing_silently(void **state)
{
    cask_verify_report report;

    (void)state;
    REFUSED("missing", cask_verify(NULL, NULL, &report, err));
    REFUSED("missing", cask_verify("/tmp", NULL, NULL, err));
    assert_int_equal(cask_verify("/nowhere/at/all", NULL, &report, NULL),
                     CASK_NOT_FOUND);
    REFUSED("directory", cask_verify("/etc/passwd", NULL, &report, err));
    REFUSED("NULL", cask_region_list(NULL, NULL, NULL, err));
    REFUSED("path", cask_region_drop(NULL, err));
    REFUSED("path", cask_region_drop("no-slash", err));
    assert_int_equal(cask_region_drop("/dev/shm/caskade-no-such-region", NULL),
                     CASK_NOT_FOUND);
    REFUSED("not a region", cask_region_drop("/etc/passwd", err));
}

static void test_texts_and_buffers_are_never_missing(void **state)
{
    cask_buffer buffer = {0};

    (void)state;
    for (int status = -1; status < 20; status++) {
        assert_non_null(cask_status_name((cask_status)status));
        assert_non_null(cask_status_text((cask_status)status));
    }
    assert_string_equal(cask_status_name(CASK_BUSY), "CASK_BUSY");
    assert_string_equal(cask_version(), CASK_VERSION_STRING);
    assert_int_equal(cask_slice_of("four").size, 4);
    cask_buffer_free(&buffer);
    cask_free(NULL);
}

int main(void)
{
#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, handle_setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_handle_is_refused_everywhere),
        WITH_STORE(test_keys_and_values_that_are_none),
        WITH_STORE(test_outputs_that_are_missing),
        WITH_STORE(test_write_options_that_contradict_themselves),
        cmocka_unit_test(test_batches_refuse_what_puts_refuse),
        WITH_STORE(test_a_batch_larger_than_a_segment_writes_nothing),
        WITH_STORE(test_options_outside_their_range_are_named),
        cmocka_unit_test(test_options_at_the_ends_of_their_range_are_taken),
        WITH_STORE(test_paths_that_are_no_store),
        WITH_STORE(test_a_directory_of_something_else_stays_as_it_is),
        WITH_STORE(test_a_read_only_handle_writes_nothing),
        cmocka_unit_test(test_verify_and_regions_refuse_nothing_silently),
        cmocka_unit_test(test_texts_and_buffers_are_never_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
