/*
 * Every option of cask_open() has an effect, and this shows it: one test per
 * option. Where the effect is a system call, the calls are counted.
 */
#define _GNU_SOURCE
#include "cask_test.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "db/db.h"
#include "support/scratch.h"

typedef struct scene {
    char path[SCRATCH_PATH];
    cask_options options;
    cask_error err;
    int events[16]; /* of each kind */
} scene;

/* ---- An os that counts and bends ---- */

static struct counters {
    unsigned writes; /* write_at() */
    unsigned reads;  /* read_at() */
    unsigned syncs;  /* sync() */
    unsigned collapses;
    bool remote;      /* what space() says */
    uint64_t wall_ms; /* what the clock says; 0: the truth */
} calls;

static const os_ops *real;
static os_ops counting;

static int counted_write(os_file *file, const os_span *spans, size_t count,
                         uint64_t offset)
{
    calls.writes++;
    return real->write_at(file, spans, count, offset);
}

static int counted_read(os_file *file, void *data, size_t size, uint64_t offset,
                        size_t *ret_read)
{
    calls.reads++;
    return real->read_at(file, data, size, offset, ret_read);
}

static int counted_sync(os_file *file)
{
    calls.syncs++;
    return real->sync(file);
}

static void counted_collapse(os *self, void *memory, size_t size)
{
    calls.collapses++;
    real->collapse(self, memory, size);
}

static int bent_space(os_file *dir, os_space *ret_space)
{
    int os_errno = real->space(dir, ret_space);

    ret_space->remote = calls.remote;
    return os_errno;
}

static uint64_t bent_wall(os *self)
{
    return calls.wall_ms != 0 ? calls.wall_ms : real->wall_ms(self);
}

static void bend_os(void)
{
    os *posix = os_posix();

    real = posix->ops;
    counting = *real;
    counting.write_at = counted_write;
    counting.read_at = counted_read;
    counting.sync = counted_sync;
    counting.collapse = counted_collapse;
    counting.space = bent_space;
    counting.wall_ms = bent_wall;
    posix->ops = &counting;
}

/* ---- Common ---- */

static void count_event(void *context, const cask_event *event)
{
    scene *s = context;

    s->events[event->kind]++;
}

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    scratch_make(s->path);
    cask_options_init(&s->options);
    s->options.create_if_missing = true;
    s->options.auto_merge = false; /* but where it is the option */
    memset(&calls, 0, sizeof(calls));
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    unsigned regions = scratch_regions(s->path);

    scratch_remove(s->path);
    free(s);
    assert_int_equal(regions, 0);
    return 0;
}

static void require(const scene *s, cask_status status)
{
    if (status != CASK_OK) {
        fail_msg("%s: %s", cask_status_name(status), s->err.message);
    }
}

static cask_db *open_store(scene *s)
{
    cask_db *db = NULL;

    require(s, cask_open(s->path, &s->options, &db, &s->err));
    return db;
}

static cask_status try_open(scene *s)
{
    cask_db *db = NULL;
    cask_status status = cask_open(s->path, &s->options, &db, &s->err);

    if (status == CASK_OK) {
        require(s, cask_close(db, &s->err));
    }
    return status;
}

static void close_store(scene *s, cask_db *db)
{
    require(s, cask_close(db, &s->err));
}

static void put(scene *s, cask_db *db, const char *key, size_t value_bytes)
{
    static char value[70000];

    memset(value, 'v', sizeof(value));
    require(s, cask_put(db, cask_slice_of(key),
                        (cask_slice){value, value_bytes}, &s->err));
}

static bool exists(scene *s, cask_db *db, const char *key)
{
    bool found = false;

    require(s, cask_exists(db, cask_slice_of(key), &found, &s->err));
    return found;
}

static cask_stats stats_of(scene *s, cask_db *db)
{
    cask_stats stats;

    require(s, cask_stat(db, &stats, &s->err));
    return stats;
}

/* Damage one byte of a file of the store. */
static void damage(const scene *s, const char *name, long offset)
{
    char path[SCRATCH_PATH + 64];
    FILE *file;
    int byte;

    (void)snprintf(path, sizeof(path), "%s/%s", s->path, name);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    byte = fgetc(file);
    assert_true(byte != EOF);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_true(fputc(byte ^ 1, file) != EOF);
    assert_int_equal(fclose(file), 0);
}

/* ---- Identity ---- */

static void test_engine_is_kept_and_checked(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);

    assert_int_equal(stats_of(s, db).engine, CASK_ENGINE_HASH);
    close_store(s, db);
    s->options.engine = (cask_engine)99;
    assert_int_equal(try_open(s), CASK_INVALID);
    assert_non_null(strstr(s->err.message, "engine"));
}

static void test_create_if_missing_creates(void **state)
{
    scene *s = *state;

    s->options.create_if_missing = false;
    assert_int_equal(try_open(s), CASK_NOT_FOUND);
    s->options.create_if_missing = true;
    assert_int_equal(try_open(s), CASK_OK);
    s->options.create_if_missing = false;
    assert_int_equal(try_open(s), CASK_OK);
}

static void test_error_if_exists_refuses_a_store(void **state)
{
    scene *s = *state;

    s->options.error_if_exists = true;
    assert_int_equal(try_open(s), CASK_OK);
    assert_int_equal(try_open(s), CASK_INVALID);
}

static int expect_modes(const char *path, mode_t mode)
{
    int files = 0;
    DIR *dir = opendir(path);
    struct dirent *entry;
    struct stat info;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            assert_int_equal(fstatat(dirfd(dir), entry->d_name, &info, 0), 0);
            assert_int_equal(info.st_mode & 0777, mode);
            files++;
        }
    }
    (void)closedir(dir);
    return files;
}

static void test_file_mode_is_that_of_all_files(void **state)
{
    scene *s = *state;
    mode_t before = umask(077); /* takes nothing away */
    struct stat info;
    char path[SCRATCH_PATH];
    char lock[SCRATCH_PATH + 8];
    char value[1000] = {0};
    cask_db *db;

    (void)snprintf(path, sizeof(path), "%.200s", s->path);
    (void)snprintf(s->path, sizeof(s->path), "%.200s/store", path);
    s->options.file_mode = 0640;
    s->options.segment_max_bytes = 65536;
    assert_int_equal(try_open(s), CASK_OK);
    (void)umask(before);
    assert_int_equal(stat(s->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0750);
    assert_true(expect_modes(s->path, 0640) > 2);
    /* And of those that come later, whatever their maker would like. */
    (void)snprintf(lock, sizeof(lock), "%s/LOCK", s->path);
    assert_int_equal(unlink(lock), 0);
    s->options.file_mode = 0600;
    db = open_store(s);
    for (int i = 0; i < 200; i++) {
        require(s, cask_put(db, cask_slice_of("key"),
                            (cask_slice){value, sizeof(value)}, &s->err));
    }
    close_store(s, db);
    assert_true(expect_modes(s->path, 0640) > 5);
    scratch_remove(s->path);
    (void)snprintf(s->path, sizeof(s->path), "%.200s", path);
}

/* ---- Access ---- */

static void test_read_only_changes_nothing(void **state)
{
    scene *s = *state;
    struct stat before;
    struct stat after;
    cask_db *db = open_store(s);

    put(s, db, "a", 10);
    close_store(s, db);
    assert_int_equal(stat(s->path, &before), 0);
    s->options.read_only = true;
    db = open_store(s);
    assert_true(exists(s, db, "a"));
    assert_int_equal(
        cask_put(db, cask_slice_of("b"), cask_slice_of("c"), &s->err),
        CASK_READ_ONLY);
    close_store(s, db);
    assert_int_equal(stat(s->path, &after), 0);
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

static void test_exclusive_keeps_other_writers_out(void **state)
{
    scene *s = *state;
    cask_db *db;

    s->options.exclusive = true;
    db = open_store(s);
    s->options.exclusive = false;
    assert_int_equal(try_open(s), CASK_BUSY);
    s->options.read_only = true;
    assert_int_equal(try_open(s), CASK_OK);
    s->options.read_only = false;
    close_store(s, db);
    assert_int_equal(try_open(s), CASK_OK);
}

static void test_allow_remote_allows_it(void **state)
{
    scene *s = *state;

    assert_int_equal(try_open(s), CASK_OK);
    calls.remote = true;
    assert_int_equal(try_open(s), CASK_UNSUPPORTED);
    s->options.read_only = true;
    assert_int_equal(try_open(s), CASK_OK);
    s->options.read_only = false;
    s->options.allow_remote = true;
    assert_int_equal(try_open(s), CASK_OK);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void test_lock_timeout_ms_bounds_the_wait(void **state)
{
    scene *s = *state;
    region_header *header;
    cask_db *holder;
    cask_db *db;
    uint64_t start;

    s->options.sync = CASK_SYNC_NONE;
    holder = open_store(s);
    s->options.lock_timeout_ms = 300;
    db = open_store(s);
    put(s, db, "a", 10);
    header = holder->store->region.header;
    assert_int_equal(real->mutex_lock(os_posix(), &header->write_lock, 1000),
                     0);
    start = now_ms();
    assert_int_equal(
        cask_put(db, cask_slice_of("b"), cask_slice_of("c"), &s->err),
        CASK_TIMEOUT);
    /* Not for as long as by default; a busy machine may take some time. */
    assert_in_range(now_ms() - start, 290, 9000);
    real->mutex_unlock(os_posix(), &header->write_lock);
    put(s, db, "b", 10);
    close_store(s, db);
    close_store(s, holder);
}

/* ---- Durability ---- */

static void test_sync_commit_is_durable_at_once(void **state)
{
    scene *s = *state;
    cask_db *db;

    s->options.sync = CASK_SYNC_COMMIT;
    db = open_store(s);
    for (int i = 0; i < 5; i++) {
        put(s, db, "a", 10);
        assert_int_equal(stats_of(s, db).durable_sequence,
                         stats_of(s, db).sequence);
    }
    assert_true(stats_of(s, db).syncs >= 5);
    close_store(s, db);
}

static void test_sync_none_does_not_sync(void **state)
{
    scene *s = *state;
    unsigned before;
    cask_db *db;

    s->options.sync = CASK_SYNC_NONE;
    s->options.sync_interval_ms = 1;
    db = open_store(s);
    before = calls.syncs;
    put(s, db, "a", 10);
    (void)usleep(50000);
    assert_int_equal(calls.syncs, before);
    assert_true(stats_of(s, db).durable_sequence < stats_of(s, db).sequence);
    close_store(s, db);
}

/* How long it took until a put was durable by itself; at most 2.5 s. */
static uint64_t wait_until_durable(scene *s, uint32_t interval_ms)
{
    uint64_t start;
    cask_db *db;

    s->options.sync = CASK_SYNC_INTERVAL;
    s->options.sync_interval_ms = interval_ms;
    db = open_store(s);
    /* The interval is counted from the last sync. */
    put(s, db, "a", 10);
    require(s, cask_sync(db, &s->err));
    put(s, db, "a", 10);
    start = now_ms();
    while (stats_of(s, db).durable_sequence < stats_of(s, db).sequence &&
           now_ms() - start < 2500) {
        (void)usleep(2000);
    }
    start = now_ms() - start;
    close_store(s, db);
    return start;
}

static void test_sync_interval_ms_is_when_it_syncs(void **state)
{
    scene *s = *state;

    assert_in_range(wait_until_durable(s, 20), 0, 1500);
    assert_true(wait_until_durable(s, 3600000) >= 2500);
}

static unsigned writes_of_puts(scene *s, cask_append append,
                               cask_sync_policy sync)
{
    unsigned before;
    cask_db *db;

    s->options.append = append;
    s->options.sync = sync;
    db = open_store(s);
    put(s, db, "a", 10);
    before = calls.writes;
    for (int i = 0; i < 50; i++) {
        put(s, db, "a", 10);
    }
    before = calls.writes - before;
    close_store(s, db);
    return before;
}

static void test_append_chooses_maps_or_writes(void **state)
{
    scene *s = *state;

    assert_int_equal(writes_of_puts(s, CASK_APPEND_MAP, CASK_SYNC_NONE), 0);
    assert_true(writes_of_puts(s, CASK_APPEND_PWRITE, CASK_SYNC_NONE) >= 50);
    assert_int_equal(writes_of_puts(s, CASK_APPEND_AUTO, CASK_SYNC_NONE), 0);
    assert_true(writes_of_puts(s, CASK_APPEND_AUTO, CASK_SYNC_COMMIT) >= 50);
}

/* ---- Reading ---- */

static unsigned reads_of_gets(scene *s, cask_io io)
{
    unsigned before;
    cask_db *db;

    s->options.io = io;
    db = open_store(s);
    put(s, db, "a", 10);
    assert_true(exists(s, db, "a"));
    before = calls.reads;
    for (int i = 0; i < 50; i++) {
        assert_true(exists(s, db, "a"));
    }
    before = calls.reads - before;
    close_store(s, db);
    return before;
}

static void test_io_chooses_maps_or_reads(void **state)
{
    scene *s = *state;

    assert_int_equal(reads_of_gets(s, CASK_IO_MAP), 0);
    assert_true(reads_of_gets(s, CASK_IO_PREAD) >= 50);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count;
}

/* Descriptors in use after reading all of 40 segments. */
static int descriptors_after_reading(scene *s, uint32_t most)
{
    cask_db *db;
    int count;

    s->options.max_descriptors = most;
    db = open_store(s);
    for (int i = 0; i < 40; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "%d", i);
        assert_true(exists(s, db, key));
    }
    count = open_descriptors();
    close_store(s, db);
    return count;
}

static void test_max_descriptors_bounds_them(void **state)
{
    scene *s = *state;
    int before = open_descriptors();
    cask_db *db;
    int few;

    s->options.segment_max_bytes = 65536;
    s->options.io = CASK_IO_PREAD;
    db = open_store(s);
    for (int i = 0; i < 40; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "%d", i);
        put(s, db, key, 40000);
    }
    close_store(s, db);
    few = descriptors_after_reading(s, 8);
    assert_true(few <= before + 8 + 8);
    assert_true(descriptors_after_reading(s, 64) >= few + 25);
    assert_int_equal(open_descriptors(), before);
}

static void test_damage_serve_reads_the_rest(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);

    put(s, db, "first", 100);
    require(s, cask_sync(db, &s->err));
    put(s, db, "second", 100);
    close_store(s, db);
    damage(s, "0000000000000001.log", 64 + 60);
    assert_int_equal(try_open(s), CASK_CORRUPT);
    s->options.damage = CASK_DAMAGE_SERVE;
    s->options.on_event = count_event;
    s->options.event_context = s;
    db = open_store(s);
    assert_true(s->events[CASK_EVENT_DAMAGE] > 0);
    assert_true(stats_of(s, db).damaged_bytes > 0);
    assert_true(exists(s, db, "second"));
    close_store(s, db);
}

/* ---- Files ---- */

static uint64_t segments_after_puts(scene *s, uint64_t segment_max_bytes)
{
    uint64_t count;
    cask_db *db;

    s->options.segment_max_bytes = segment_max_bytes;
    db = open_store(s);
    count = stats_of(s, db).segment_count;
    for (int i = 0; i < 30; i++) {
        put(s, db, "a", 20000);
    }
    count = stats_of(s, db).segment_count - count;
    close_store(s, db);
    return count;
}

static void test_segment_max_bytes_is_when_the_next_begins(void **state)
{
    scene *s = *state;

    assert_true(segments_after_puts(s, 64 << 20) <= 1);
    assert_true(segments_after_puts(s, 65536) >= 9);
}

/* Whether the only segment is sealed by a close. */
static bool close_seals(scene *s, uint64_t threshold)
{
    cask_segment_stats *segments = NULL;
    size_t count = 0;
    bool sealed;
    cask_db *db;

    s->options.small_file_threshold_bytes = threshold;
    db = open_store(s);
    put(s, db, "a", 20000);
    close_store(s, db);
    s->options.read_only = true;
    db = open_store(s);
    require(s, cask_segments(db, &segments, &count, &s->err));
    assert_true(count >= 1);
    sealed = segments[0].sealed;
    cask_free(segments);
    close_store(s, db);
    s->options.read_only = false;
    return sealed;
}

static void test_small_file_threshold_bytes_is_when_close_seals(void **state)
{
    scene *s = *state;

    assert_false(close_seals(s, 1 << 20));
    assert_true(close_seals(s, 10000));
}

/* ---- Index ---- */

static void test_region_dir_is_where_the_region_is(void **state)
{
    scene *s = *state;
    char dir[SCRATCH_PATH];
    cask_stats stats;
    cask_db *db;

    db = open_store(s);
    stats = stats_of(s, db);
    assert_int_equal(strncmp(stats.region_path, "/dev/shm/", 9), 0);
    close_store(s, db);
    scratch_make(dir);
    s->options.region_dir = dir;
    db = open_store(s);
    stats = stats_of(s, db);
    assert_int_equal(strncmp(stats.region_path, dir, strlen(dir)), 0);
    assert_int_equal(access(stats.region_path, F_OK), 0);
    close_store(s, db);
    assert_int_equal(rmdir(dir), 0);
}

static void test_linger_keeps_the_region(void **state)
{
    scene *s = *state;

    assert_int_equal(try_open(s), CASK_OK);
    assert_int_equal(scratch_regions(s->path), 0);
    s->options.linger = true;
    assert_int_equal(try_open(s), CASK_OK);
    assert_int_equal(scratch_regions(s->path), 1);
    s->options.linger = false;
    assert_int_equal(try_open(s), CASK_OK);
    assert_int_equal(scratch_regions(s->path), 0);
}

static void test_huge_pages_are_asked_for(void **state)
{
    scene *s = *state;

    s->options.huge_pages = false;
    assert_int_equal(try_open(s), CASK_OK);
    assert_int_equal(calls.collapses, 0);
    s->options.huge_pages = true;
    assert_int_equal(try_open(s), CASK_OK);
    assert_true(calls.collapses > 0);
}

/* Where there is room for twice as much they are there before the rest. */
static void test_an_index_made_ready_is_in_huge_pages(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);
    unsigned before = calls.collapses;

    require(s, cask_reserve(db, 500000, &s->err));
    assert_true(calls.collapses >= before + 2);
    put(s, db, "key", 100);
    assert_true(exists(s, db, "key"));
    close_store(s, db);
}

/* The key that is there is read and compared before it is overwritten. Two
 * keys of one hash cannot be found to show more. */
static void test_verify_overwrite_reads_what_is_there(void **state)
{
    scene *s = *state;

    s->options.io = CASK_IO_PREAD;
    for (int verify = 0; verify < 2; verify++) {
        unsigned before;
        cask_db *db;

        s->options.verify_overwrite = verify == 1;
        db = open_store(s);
        put(s, db, "a", 10);
        before = calls.reads;
        put(s, db, "a", 10);
        assert_int_equal(calls.reads > before, verify == 1);
        close_store(s, db);
    }
}

/* ---- Expiry, events ---- */

static void test_expiry_seconds_hides_what_is_older(void **state)
{
    scene *s = *state;
    uint64_t count = 0;
    cask_db *db;

    calls.wall_ms = UINT64_C(1000000000000);
    s->options.expiry_seconds = 100;
    db = open_store(s);
    put(s, db, "a", 10);
    calls.wall_ms += 100000;
    assert_true(exists(s, db, "a"));
    calls.wall_ms += 2000;
    assert_false(exists(s, db, "a"));
    put(s, db, "a", 10);
    assert_true(exists(s, db, "a"));
    require(s, cask_count(db, &count, &s->err));
    assert_int_equal(count, 1);
    calls.wall_ms += 200000;
    close_store(s, db);
    s->options.expiry_seconds = 0;
    db = open_store(s);
    assert_true(exists(s, db, "a"));
    close_store(s, db);
}

static void test_on_event_is_called_with_event_context(void **state)
{
    scene *s = *state;

    assert_int_equal(try_open(s), CASK_OK);
    s->options.on_event = count_event;
    s->options.event_context = s;
    assert_int_equal(try_open(s), CASK_OK);
    assert_int_equal(s->events[CASK_EVENT_RECOVERED], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_engine_is_kept_and_checked),
        TEST(test_create_if_missing_creates),
        TEST(test_error_if_exists_refuses_a_store),
        TEST(test_file_mode_is_that_of_all_files),
        TEST(test_read_only_changes_nothing),
        TEST(test_exclusive_keeps_other_writers_out),
        TEST(test_allow_remote_allows_it),
        TEST(test_lock_timeout_ms_bounds_the_wait),
        TEST(test_sync_commit_is_durable_at_once),
        TEST(test_sync_none_does_not_sync),
        TEST(test_sync_interval_ms_is_when_it_syncs),
        TEST(test_append_chooses_maps_or_writes),
        TEST(test_io_chooses_maps_or_reads),
        TEST(test_max_descriptors_bounds_them),
        TEST(test_damage_serve_reads_the_rest),
        TEST(test_segment_max_bytes_is_when_the_next_begins),
        TEST(test_small_file_threshold_bytes_is_when_close_seals),
        TEST(test_region_dir_is_where_the_region_is),
        TEST(test_linger_keeps_the_region),
        TEST(test_huge_pages_are_asked_for),
        TEST(test_an_index_made_ready_is_in_huge_pages),
        TEST(test_verify_overwrite_reads_what_is_there),
        TEST(test_expiry_seconds_hides_what_is_older),
        TEST(test_on_event_is_called_with_event_context),
    };

    bend_os();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
