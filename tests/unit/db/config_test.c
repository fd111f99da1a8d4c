/*
 * Settings of a store: one for all handles, kept in CONFIG, all or nothing
 * whatever fails; a CONFIG that is damaged stops nobody and is left alone.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "log/config_format.h"
#include "log/segment.h"
#include "os/os_fault.h"
#include "store/store_settings.h"

/* ---- Short ways ---- */

static cask_status set(cask_db *db, const char *name, const char *value,
                       cask_error *err)
{
    cask_config_change change = {name, value};

    return cask_config_set(db, &change, 1, err);
}

static void must_set(cask_db *db, const char *name, const char *value)
{
    cask_error err = {CASK_OK, 0, ""};

    if (set(db, name, value, &err) != CASK_OK) {
        fail_msg("%s=%s: %s", name, value, err.message);
    }
}

static void check_value(cask_db *db, const char *name, const char *expected)
{
    cask_buffer value = {0};
    cask_error err = {CASK_OK, 0, ""};

    if (cask_config_get(db, name, &value, &err) != CASK_OK) {
        fail_msg("%s: %s", name, err.message);
    }
    assert_int_equal(value.size, strlen(expected));
    assert_memory_equal(value.data, expected, value.size);
    cask_buffer_free(&value);
}

static cask_db *open_another(handle *h, const cask_options *options)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;

    if (db_open_on(h->kernel, HANDLE_PATH, options, &db, &err) != CASK_OK) {
        fail_msg("open: %s", err.message);
    }
    return db;
}

/* The file as it is; "" if there is none. */
static size_t read_config(handle *h, char *text, size_t room)
{
    os_file *dir = handle_dir(h);
    os_file *file = NULL;
    size_t size = 0;

    if (h->kernel->ops->open(dir, CONFIG_NAME, OS_READ, 0, &file) == 0) {
        assert_int_equal(
            h->kernel->ops->read_at(file, text, room - 1, 0, &size), 0);
        h->kernel->ops->close(file);
    }
    text[size] = '\0';
    h->kernel->ops->close(dir);
    return size;
}

static void write_config(handle *h, const char *text, size_t size)
{
    os_file *dir = handle_dir(h);

    assert_int_equal(file_publish(dir, CONFIG_NAME, text, size, 0600, NULL),
                     CASK_OK);
    h->kernel->ops->close(dir);
}

/* A good file of these lines, "key=value\n" each. */
static void write_lines(handle *h, const char *key, const char *value)
{
    cask_buffer text = {0};

    assert_int_equal(config_begin(&text, NULL), CASK_OK);
    assert_int_equal(config_add(&text, key, value, NULL), CASK_OK);
    assert_int_equal(config_finish(&text, NULL), CASK_OK);
    write_config(h, text.data, text.size);
    cask_buffer_free(&text);
}

/* ---- Values ---- */

static void test_a_change_is_seen_by_all_handles_and_kept(void **state)
{
    handle *h = *state;
    cask_options options = h->options;
    cask_db *other = open_another(h, &options);
    cask_db *reader;

    options.read_only = true;
    reader = open_another(h, &options);
    check_value(other, "frag_threshold", "40");
    must_set(h->db, "frag_threshold", "33");
    must_set(other, "merge_window", "Mon-Fri 22:00-6:00");
    check_value(other, "frag_threshold", "33");
    check_value(reader, "merge_window", "mon-fri 22:00-06:00");
    assert_int_equal(set(reader, "frag_threshold", "1", NULL), CASK_READ_ONLY);
    assert_int_equal(cask_config_reset(reader, NULL), CASK_READ_ONLY);
    assert_int_equal(cask_close(other, NULL), CASK_OK);
    assert_int_equal(cask_close(reader, NULL), CASK_OK);
    handle_reopen(h);
    check_value(h->db, "frag_threshold", "33");
    check_value(h->db, "merge_window", "mon-fri 22:00-06:00");
    check_value(h->db, "max_segments", "8192");
    /* Whoever reads by an index of his own reads the file. */
    handle_close(h);
    reader = open_another(h, &options);
    check_value(reader, "frag_threshold", "33");
    assert_int_equal(cask_close(reader, NULL), CASK_OK);
}

static void test_only_what_differs_is_in_the_file(void **state)
{
    handle *h = *state;
    char text[512];

    assert_int_equal(read_config(h, text, sizeof(text)), 0);
    must_set(h->db, "max_segments", "100");
    must_set(h->db, "frag_threshold", "33");
    (void)read_config(h, text, sizeof(text));
    assert_string_equal(text, "CASKADE CONFIG 1\n"
                              "frag_threshold=33\n"
                              "max_segments=100\n"
                              "crc32c=354facdd\n");
    must_set(h->db, "frag_threshold", NULL);
    must_set(h->db, "max_segments", "8192");
    (void)read_config(h, text, sizeof(text));
    assert_string_equal(text, "CASKADE CONFIG 1\ncrc32c=b30b70eb\n");
}

static void test_of_several_changes_all_or_none_are_made(void **state)
{
    handle *h = *state;
    cask_config_change good[] = {{"frag_threshold", "1"},
                                 {"expiry_seconds", "7d"},
                                 {"frag_threshold", "2"}};
    cask_config_change bad[] = {{"frag_threshold", "3"},
                                {"expiry_seconds", "1.5"}};
    cask_config_change unknown[] = {{"frag_threshold", "3"},
                                    {"nonsense", NULL}};
    cask_error err;

    assert_int_equal(cask_config_set(h->db, good, 3, &err), CASK_OK);
    check_value(h->db, "frag_threshold", "2");
    check_value(h->db, "expiry_seconds", "604800");
    assert_int_equal(cask_config_set(h->db, bad, 2, &err), CASK_INVALID);
    assert_string_equal(err.message,
                        "expiry_seconds: \"1.5\" is not seconds, or like 7d, "
                        "0 or 1 .. 4294967295");
    assert_int_equal(cask_config_set(h->db, unknown, 2, &err), CASK_INVALID);
    assert_string_equal(err.message, "no setting is called \"nonsense\"; "
                                     "caskade config lists them");
    check_value(h->db, "frag_threshold", "2");
    handle_reopen(h);
    check_value(h->db, "frag_threshold", "2");
}

static void test_wrong_arguments_are_refused(void **state)
{
    handle *h = *state;
    cask_config_change change = {NULL, "1"};
    cask_buffer value = {0};

    assert_int_equal(cask_config_set(h->db, &change, 1, NULL), CASK_INVALID);
    assert_int_equal(cask_config_set(h->db, NULL, 1, NULL), CASK_INVALID);
    assert_int_equal(cask_config_set(NULL, &change, 1, NULL), CASK_INVALID);
    assert_int_equal(cask_config_get(h->db, NULL, &value, NULL), CASK_INVALID);
    assert_int_equal(cask_config_get(h->db, "max_segments", NULL, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_config_get(h->db, "nonsense", &value, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_config_list(h->db, NULL, NULL, NULL), CASK_INVALID);
    assert_int_equal(cask_config_reset(NULL, NULL), CASK_INVALID);
}

/* ---- Listing ---- */

typedef struct seen {
    size_t count;
    size_t changed;
    size_t unknown;
    size_t most; /* stop then; 0: never */
} seen;

static bool see(void *context, const cask_config_item *item)
{
    seen *s = context;

    s->count++;
    s->changed += !item->is_initial ? 1 : 0;
    if (item->initial == NULL) {
        s->unknown++;
        assert_null(item->meaning);
        assert_string_equal(item->name, "of_tomorrow");
        assert_string_equal(item->value, "a, b = c");
    } else {
        assert_true(strlen(item->meaning) > 0);
        assert_int_equal(item->is_initial,
                         strcmp(item->value, item->initial) == 0);
    }
    return s->count != s->most;
}

static void test_listing_tells_values_and_defaults(void **state)
{
    handle *h = *state;
    seen s = {.count = 0};

    must_set(h->db, "max_segments", "10");
    assert_int_equal(cask_config_list(h->db, see, &s, NULL), CASK_OK);
    assert_int_equal(s.count, 19);
    assert_int_equal(s.changed, 1);
    s = (seen){.most = 3};
    assert_int_equal(cask_config_list(h->db, see, &s, NULL), CASK_OK);
    assert_int_equal(s.count, 3);
}

/* ---- Files of others ---- */

typedef struct told {
    int count;
    cask_status status;
    char message[256];
} told;

static void on_event(void *context, const cask_event *event)
{
    told *t = context;

    if (event->kind == CASK_EVENT_CONFIG) {
        t->count++;
        t->status = event->status;
        (void)snprintf(t->message, sizeof(t->message), "%s", event->message);
    }
}

static void test_settings_of_a_newer_version_are_kept(void **state)
{
    handle *h = *state;
    char text[512];
    told t = {.count = 0};
    seen s = {.count = 0};

    handle_close(h);
    write_lines(h, "of_tomorrow", "a, b = c");
    h->options.on_event = on_event;
    h->options.event_context = &t;
    handle_open(h);
    assert_int_equal(t.count, 1);
    assert_non_null(strstr(t.message, "line 2"));
    assert_non_null(strstr(t.message, "of_tomorrow"));
    must_set(h->db, "max_segments", "10");
    (void)read_config(h, text, sizeof(text));
    assert_non_null(strstr(text, "max_segments=10\nof_tomorrow=a, b = c\n"));
    assert_int_equal(cask_config_list(h->db, see, &s, NULL), CASK_OK);
    assert_int_equal(s.count, 20);
    assert_int_equal(s.unknown, 1);
    assert_int_equal(cask_config_reset(h->db, NULL), CASK_OK);
    (void)read_config(h, text, sizeof(text));
    assert_null(strstr(text, "of_tomorrow"));
    check_value(h->db, "max_segments", "8192");
}

/* As a store has them that was converted. */
static void test_settings_of_the_other_engine_are_kept_and_not_set(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};

    handle_close(h);
    write_lines(h, "memtable_bytes", "1MiB");
    handle_open(h);
    must_set(h->db, "max_segments", "10");
    check_value(h->db, "memtable_bytes", "1MiB");
    assert_int_equal(set(h->db, "memtable_bytes", "2MiB", &err), CASK_INVALID);
    assert_non_null(strstr(err.message, "a setting of the engine tree"));
    must_set(h->db, "memtable_bytes", NULL);
    check_value(h->db, "memtable_bytes", "64MiB");
}

typedef struct damage_row {
    const char *text; /* NULL: `key` and `value` in a good file */
    const char *key;
    const char *value;
    cask_status status;
    const char *told;
} damage_row;

static const damage_row damages[] = {
    {"", NULL, NULL, CASK_CORRUPT, "line 1 is not \"CASKADE CONFIG 1\""},
    {"frag_threshold=1\n", NULL, NULL, CASK_CORRUPT, "offset 0: line 1"},
    {"CASKADE CONFIG 2\nwho knows\ncrc32c=ff5cee65\n", NULL, NULL,
     CASK_UNSUPPORTED, "another version"},
    {"CASKADE CONFIG 3\nwho knows\ncrc32c=ff5cee65\n", NULL, NULL, CASK_CORRUPT,
     "offset 27: line 3: crc32c is "},
    {"CASKADE CONFIG 1\n", NULL, NULL, CASK_CORRUPT, "is not the checksum"},
    {"CASKADE CONFIG 1\nmax_segments=9\ncrc32c=b30b70eb\n", NULL, NULL,
     CASK_CORRUPT, "offset 32: line 3: crc32c is "},
    {"CASKADE CONFIG 1\ncrc32c=b30b70eb", NULL, NULL, CASK_CORRUPT,
     "is not the checksum"},
    {"CASKADE CONFIG 1\ncrc32c=B30B70EB\n", NULL, NULL, CASK_CORRUPT,
     "is not the checksum"},
    {NULL, "max_segments", "100000", CASK_CORRUPT,
     "offset 17: line 2: max_segments: \"100000\" is not a whole number"},
    {NULL, "merge_window", "someday", CASK_CORRUPT,
     "offset 17: line 2: merge_window: "},
};

static void write_damage(handle *h, const damage_row *row)
{
    if (row->text != NULL) {
        write_config(h, row->text, strlen(row->text));
    } else {
        write_lines(h, row->key, row->value);
    }
}

static void test_a_damaged_file_stops_no_open_and_is_left_alone(void **state)
{
    handle *h = *state;

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        const damage_row *row = &damages[i];
        told t = {.count = 0};
        seen s = {.count = 0};
        char before[512];
        char after[512];
        cask_error err;

        must_set(h->db, "frag_threshold", "33");
        handle_close(h);
        write_damage(h, row);
        (void)read_config(h, before, sizeof(before));
        h->options.on_event = on_event;
        h->options.event_context = &t;
        handle_open(h);
        assert_int_equal(t.count, 1);
        assert_int_equal(t.status, row->status);
        assert_non_null(strstr(t.message, row->told));
        assert_non_null(strstr(t.message, "--reset-all"));
        check_value(h->db, "frag_threshold", "40");
        assert_int_equal(set(h->db, "frag_threshold", "1", &err), row->status);
        assert_non_null(strstr(err.message, row->told));
        assert_non_null(strstr(err.message, "--reset-all"));
        assert_int_equal(cask_config_list(h->db, see, &s, &err), row->status);
        assert_int_equal(s.count, 19);
        (void)read_config(h, after, sizeof(after));
        assert_string_equal(before, after);
        assert_int_equal(cask_config_reset(h->db, NULL), CASK_OK);
        must_set(h->db, "frag_threshold", "1");
        check_value(h->db, "frag_threshold", "1");
        h->options.on_event = NULL;
        handle_reopen(h);
    }
}

static void on_problem(void *context, const cask_problem *problem)
{
    told *t = context;

    t->count++;
    assert_string_equal(problem->file, "CONFIG");
    assert_int_equal(problem->offset, 17);
    (void)snprintf(t->message, sizeof(t->message), "%s", problem->reason);
}

static void test_verify_tells_of_a_damaged_file(void **state)
{
    handle *h = *state;
    told t = {.count = 0};
    cask_verify_options options = {.on_problem = on_problem, .context = &t};
    cask_verify_report report = {.files = 0};
    cask_verify_report good = {.files = 0};

    put_text(h, "key", "value");
    must_set(h->db, "max_segments", "10");
    handle_close(h);
    assert_int_equal(
        db_verify_on(h->kernel, HANDLE_PATH, &options, &good, NULL), CASK_OK);
    write_lines(h, "max_segments", "1");
    assert_int_equal(
        db_verify_on(h->kernel, HANDLE_PATH, &options, &report, NULL),
        CASK_CORRUPT);
    assert_int_equal(t.count, 1);
    assert_non_null(strstr(t.message, "line 2: max_segments"));
    assert_int_equal(report.problems, 1);
    assert_int_equal(report.harmless, 1);
    assert_int_equal(report.files, good.files);
    assert_true(report.readable);
    assert_int_equal(report.keys, 1);
}

/* The backup has all but the settings, and says so. */
static void check_backup(handle *h, bool without_config)
{
    cask_backup_report report;
    cask_verify_report found;
    cask_error err = {CASK_OK, 0, ""};

    if (cask_backup(h->db, "/copy", NULL, &report, &err) != CASK_OK) {
        fail_msg("backup: %s", err.message);
    }
    assert_int_equal(report.without_config, without_config);
    assert_int_equal(db_verify_on(h->kernel, "/copy", NULL, &found, NULL),
                     CASK_OK);
    assert_int_equal(found.keys, 1);
    clear_directory(h->kernel, "/copy");
}

static void test_a_damaged_file_stops_no_backup(void **state)
{
    handle *h = *state;
    os_file *dir = handle_dir(h);

    put_text(h, "key", "value");
    must_set(h->db, "max_segments", "10");
    check_backup(h, false);
    write_lines(h, "max_segments", "1");
    check_backup(h, true);
    assert_int_equal(h->kernel->ops->remove(dir, CONFIG_NAME), 0);
    check_backup(h, false);
    assert_int_equal(
        h->kernel->ops->make_dir(h->kernel, HANDLE_PATH "/" CONFIG_NAME, 0700),
        0);
    check_backup(h, true);
    h->kernel->ops->close(dir);
}

static void test_a_lingering_region_does_not_win_over_the_file(void **state)
{
    handle *h = *state;

    h->options.linger = true;
    handle_reopen(h);
    must_set(h->db, "max_segments", "10");
    handle_close(h);
    write_lines(h, "max_segments", "20");
    handle_open(h);
    check_value(h->db, "max_segments", "20");
    h->options.linger = false;
    handle_reopen(h);
}

/* ---- Deaths and failures ---- */

/* As after a death between the rename and the change in the region. */
static void test_what_a_dead_process_set_is_found(void **state)
{
    handle *h = *state;
    cask_options options = h->options;
    cask_db *other = open_another(h, &options);

    must_set(h->db, "max_segments", "10");
    atomic_store(&h->db->store->region.header->settings.unread, 1);
    write_lines(h, "max_segments", "20");
    must_set(other, "frag_threshold", "5");
    check_value(h->db, "max_segments", "20");
    check_value(h->db, "frag_threshold", "5");
    atomic_store(&h->db->store->region.header->settings.unread, 1);
    write_lines(h, "max_segments", "30");
    /* Any work on files finds it; the background thread within a second. */
    assert_int_equal(store_maintain_begin(other->store, NULL), CASK_OK);
    store_maintain_end(other->store);
    check_value(h->db, "max_segments", "30");
    assert_int_equal(cask_close(other, NULL), CASK_OK);
}

/* A copy that is half written by somebody who died is in nobody's way. */
static void test_a_half_written_copy_is_not_in_force(void **state)
{
    handle *h = *state;
    region_settings *shared = &h->db->store->region.header->settings;
    uint64_t number;

    must_set(h->db, "max_segments", "10");
    number = atomic_load(&shared->number);
    for (size_t i = 0; i < REGION_SETTINGS_WORDS / 2; i++) {
        atomic_store(&shared->copies[(number + 1) % 2][i], UINT64_MAX);
    }
    check_value(h->db, "max_segments", "10");
    must_set(h->db, "frag_threshold", "5");
    check_value(h->db, "max_segments", "10");
    check_value(h->db, "frag_threshold", "5");
}

static bool value_is(cask_db *db, const char *expected)
{
    cask_buffer value = {0};
    bool is_equal;

    assert_int_equal(cask_config_get(db, "max_segments", &value, NULL),
                     CASK_OK);
    is_equal = value.size == strlen(expected) &&
               memcmp(value.data, expected, value.size) == 0;
    cask_buffer_free(&value);
    return is_equal;
}

/*
 * Whichever call fails: what is in force is the old or the new, the file says
 * the same, and an error says which.
 */
static void test_every_fault_leaves_old_or_new(void **state)
{
    handle *h = *state;
    bool is_done = false;
    os_fault fault;

    handle_close(h);
    os_fault_init(&fault, h->kernel);
    for (uint64_t fail_at = 0; !is_done; fail_at++) {
        const os_fault_plan plan = {.fail_at = fail_at, .error = ENOSPC};
        const os_fault_plan nothing = OS_FAULT_NOTHING;
        cask_error err = {CASK_OK, 0, ""};
        cask_db *db = NULL;
        cask_status status;
        bool is_new;

        assert_int_equal(
            db_open_on(&fault.base, HANDLE_PATH, &h->options, &db, NULL),
            CASK_OK);
        must_set(db, "max_segments", "10");
        /* Its background thread calls too, now and then: then this round
         * tests something else, and the next ones do not. */
        os_fault_arm(&fault, &plan);
        status = set(db, "max_segments", "20", &err);
        is_done = os_fault_fired(&fault) == 0;
        os_fault_arm(&fault, &nothing);
        is_new = value_is(db, "20");
        assert_true(is_new || value_is(db, "10"));
        assert_true(is_new || status != CASK_OK);
        if (status != CASK_OK && is_new) {
            assert_non_null(strstr(err.message, "are in force"));
        }
        assert_int_equal(cask_close(db, NULL), CASK_OK);
        handle_open(h);
        assert_int_equal(value_is(h->db, "20"), is_new);
        assert_true(is_new || value_is(h->db, "10"));
        handle_close(h);
    }
}

/* The power fails at each operation: the old or the new comes back, and the new
 * if it was acknowledged. */
static void test_power_loss_leaves_old_or_new(void **state)
{
    handle *h = *state;
    bool is_done = false;

    for (uint64_t cut = 0; !is_done; cut++) {
        cask_status status;

        handle_close(h);
        assert_int_equal(os_sim_sync_all(h->sim), 0);
        handle_open(h);
        must_set(h->db, "max_segments", "10");
        os_sim_cut_at(h->sim, os_sim_operations(h->sim) + cut);
        status = set(h->db, "max_segments", "20", NULL);
        is_done = !os_sim_is_cut(h->sim);
        (void)cask_close(h->db, NULL);
        h->db = NULL;
        assert_int_equal(os_sim_crash(h->sim, cut), 0);
        handle_open(h);
        assert_true(value_is(h->db, "20") ||
                    (status != CASK_OK && value_is(h->db, "10")));
    }
}

static void test_what_a_crash_left_beside_it_is_removed(void **state)
{
    handle *h = *state;
    os_file *dir = handle_dir(h);
    os_file *file = NULL;
    os_stat stat;

    assert_int_equal(h->kernel->ops->open(dir, CONFIG_NAME ".new",
                                          OS_WRITE | OS_CREATE, 0600, &file),
                     0);
    h->kernel->ops->close(file);
    must_set(h->db, "max_segments", "10");
    assert_int_equal(h->kernel->ops->open(dir, CONFIG_NAME ".new",
                                          OS_WRITE | OS_CREATE, 0600, &file),
                     0);
    h->kernel->ops->close(file);
    handle_reopen(h);
    assert_int_equal(h->kernel->ops->stat_name(dir, CONFIG_NAME ".new", &stat),
                     ENOENT);
    assert_int_equal(h->kernel->ops->stat_name(dir, CONFIG_NAME, &stat), 0);
    h->kernel->ops->close(dir);
    check_value(h->db, "max_segments", "10");
}

/* As with merges and MANIFEST.new: only who sees it can move it away. */
static void test_what_is_in_the_way_of_the_new_file_is_told(void **state)
{
    handle *h = *state;
    const char *path = HANDLE_PATH "/" CONFIG_NAME ".new";
    cask_error err;

    assert_int_equal(h->kernel->ops->make_dir(h->kernel, path, 0700), 0);
    assert_int_equal(set(h->db, "max_segments", "10", &err), CASK_IO);
    assert_non_null(strstr(err.message, "cannot create CONFIG.new: "));
    assert_non_null(strstr(err.message, "; move what is in its place away"));
}

/* ---- Expiry ---- */

static void test_expiry_takes_effect_on_open_handles(void **state)
{
    handle *h = *state;
    cask_options options = h->options;
    cask_db *strict;
    bool exists = true;

    options.expiry_seconds = 10;
    strict = open_another(h, &options);
    put_text(h, "key", "value");
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 20000);
    check_text(h, "key", "value");
    /* A handle's own option hides more, on that handle only. */
    assert_int_equal(cask_exists(strict, cask_slice_of("key"), &exists, NULL),
                     CASK_OK);
    assert_false(exists);
    must_set(strict, "expiry_seconds", "15");
    check_text(h, "key", NULL);
    must_set(h->db, "expiry_seconds", "5");
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 7000);
    assert_int_equal(cask_exists(strict, cask_slice_of("key"), &exists, NULL),
                     CASK_OK);
    assert_false(exists);
    must_set(h->db, "expiry_seconds", NULL);
    check_text(h, "key", "value");
    assert_int_equal(cask_close(strict, NULL), CASK_OK);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, handle_setup, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_change_is_seen_by_all_handles_and_kept),
        TEST(test_only_what_differs_is_in_the_file),
        TEST(test_of_several_changes_all_or_none_are_made),
        TEST(test_wrong_arguments_are_refused),
        TEST(test_listing_tells_values_and_defaults),
        TEST(test_settings_of_a_newer_version_are_kept),
        TEST(test_settings_of_the_other_engine_are_kept_and_not_set),
        TEST(test_a_damaged_file_stops_no_open_and_is_left_alone),
        TEST(test_verify_tells_of_a_damaged_file),
        TEST(test_a_damaged_file_stops_no_backup),
        TEST(test_a_lingering_region_does_not_win_over_the_file),
        TEST(test_what_a_dead_process_set_is_found),
        TEST(test_a_half_written_copy_is_not_in_force),
        TEST(test_every_fault_leaves_old_or_new),
        TEST(test_power_loss_leaves_old_or_new),
        TEST(test_what_a_crash_left_beside_it_is_removed),
        TEST(test_what_is_in_the_way_of_the_new_file_is_told),
        TEST(test_expiry_takes_effect_on_open_handles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
