/*
 * Every operation from several threads on one handle at once. Each thread owns
 * some keys, of which it knows what they must hold; others are shared, and hold
 * what somebody wrote, wholly. For ThreadSanitizer, and without it too.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cask_test.h"
#include "caskade.h"
#include "support/random.h"
#include "support/scratch.h"

#if defined(__SANITIZE_THREAD__)
enum { OPERATIONS = 1500 };
#else
enum { OPERATIONS = 5000 };
#endif

enum { THREADS = 4, OWN = 16, SHARED = 8, VALUE_MOST = 3000, MANY = 24 };

typedef struct place {
    char path[SCRATCH_PATH];
    char store[SCRATCH_PATH + 8];
    cask_options options;
    cask_db *db;
} place;

typedef struct worker {
    place *p;
    cask_db *db;
    int number;
    test_random random;
    uint32_t version[OWN]; /* of what its own keys hold; 0: nothing */
    uint32_t next_version;
    const char *wrong; /* what was, or NULL */
} worker;

/* ---- Values that prove themselves ---------------------------------------- */

static size_t value_size(uint32_t version)
{
    return 16 + version * 37u % (VALUE_MOST - 16);
}

static void fill_value(uint8_t *bytes, uint32_t owner, uint32_t version)
{
    size_t size = value_size(version);

    memcpy(bytes, &owner, 4);
    memcpy(bytes + 4, &version, 4);
    for (size_t i = 8; i < size; i++) {
        bytes[i] = (uint8_t)(owner + version + i);
    }
}

/* Whether these bytes are a value that was written in one go. */
static bool is_whole(const uint8_t *bytes, size_t size, uint32_t *ret_version)
{
    uint32_t owner;
    uint32_t version;

    if (size < 8) {
        return false;
    }
    memcpy(&owner, bytes, 4);
    memcpy(&version, bytes + 4, 4);
    if (size != value_size(version)) {
        return false;
    }
    for (size_t i = 8; i < size; i++) {
        if (bytes[i] != (uint8_t)(owner + version + i)) {
            return false;
        }
    }
    *ret_version = version;
    return true;
}

static cask_slice own_key(const worker *w, int i, char text[32])
{
    (void)snprintf(text, 32, "own %d %d", w->number, i);
    return cask_slice_of(text);
}

static cask_slice shared_key(int i, char text[32])
{
    (void)snprintf(text, 32, "shared %d", i);
    return cask_slice_of(text);
}

/* ---- Operations ---------------------------------------------------------- */

static void require(worker *w, bool condition, const char *what)
{
    if (!condition && w->wrong == NULL) {
        w->wrong = what;
    }
}

static void put_own(worker *w, int i)
{
    uint8_t bytes[VALUE_MOST];
    uint32_t version = ++w->next_version;
    char text[32];

    fill_value(bytes, (uint32_t)w->number, version);
    require(w,
            cask_put(w->db, own_key(w, i, text),
                     (cask_slice){bytes, value_size(version)}, NULL) == CASK_OK,
            "put");
    w->version[i] = version;
}

static void put_shared(worker *w, int i)
{
    uint8_t bytes[VALUE_MOST];
    uint32_t version = ++w->next_version;
    char text[32];

    fill_value(bytes, (uint32_t)w->number, version);
    require(w,
            cask_put(w->db, shared_key(i, text),
                     (cask_slice){bytes, value_size(version)}, NULL) == CASK_OK,
            "put of a shared key");
}

static void delete_own(worker *w, int i)
{
    bool existed = false;
    char text[32];

    require(w,
            cask_delete(w->db, own_key(w, i, text), &existed, NULL) ==
                    CASK_OK &&
                existed == (w->version[i] != 0),
            "delete says whether there was a value");
    w->version[i] = 0;
}

/* Two keys or none. */
static void write_batch(worker *w, int i)
{
    uint8_t bytes[VALUE_MOST];
    uint32_t version = ++w->next_version;
    int other = (i + 1) % OWN;
    cask_batch *batch = NULL;
    char text[32];
    cask_status status = cask_batch_create(&batch, NULL);

    fill_value(bytes, (uint32_t)w->number, version);
    if (status == CASK_OK) {
        status =
            cask_batch_put(batch, own_key(w, i, text),
                           (cask_slice){bytes, value_size(version)}, 0, NULL);
    }
    if (status == CASK_OK) {
        status = cask_batch_delete(batch, own_key(w, other, text), NULL);
    }
    if (status == CASK_OK) {
        status = cask_write(w->db, batch, NULL);
    }
    require(w, status == CASK_OK, "batch");
    cask_batch_free(batch);
    w->version[i] = version;
    w->version[other] = 0;
}

static void get_own(worker *w, int i)
{
    cask_buffer value = {0};
    uint32_t version = 0;
    char text[32];
    cask_status status = cask_get(w->db, own_key(w, i, text), &value, NULL);

    if (w->version[i] == 0) {
        require(w, status == CASK_NOT_FOUND, "a deleted key is gone");
    } else {
        require(w,
                status == CASK_OK &&
                    is_whole(value.data, value.size, &version) &&
                    version == w->version[i],
                "a key holds what its owner wrote last");
    }
    cask_buffer_free(&value);
}

static void view_shared(worker *w, int i)
{
    cask_view view = {0};
    uint32_t version;
    char text[32];
    cask_status status =
        cask_view_acquire(w->db, shared_key(i, text), &view, NULL);

    require(w,
            status == CASK_NOT_FOUND ||
                (status == CASK_OK &&
                 is_whole(view.value.data, view.value.size, &version)),
            "a view is whole");
    if (status == CASK_OK) {
        cask_view_release(w->db, &view);
    }
}

static void get_many(worker *w)
{
    char texts[MANY][32];
    cask_slice keys[MANY];
    cask_buffer values[MANY] = {{0}};
    cask_status statuses[MANY];

    for (int i = 0; i < MANY; i++) {
        keys[i] =
            i < OWN ? own_key(w, i, texts[i]) : shared_key(i - OWN, texts[i]);
    }
    require(w,
            cask_get_many(w->db, keys, MANY, values, statuses, NULL) == CASK_OK,
            "get_many");
    for (int i = 0; i < MANY; i++) {
        uint32_t version = 0;
        bool whole = statuses[i] == CASK_OK &&
                     is_whole(values[i].data, values[i].size, &version);

        require(w, statuses[i] == CASK_NOT_FOUND || whole,
                "each of many is whole");
        require(w, i >= OWN || version == w->version[i],
                "each of many is what its owner wrote last");
        cask_buffer_free(&values[i]);
    }
}

/* What is put if it is absent is put by one. */
static void compete(worker *w, int i)
{
    uint8_t bytes[VALUE_MOST];
    uint32_t version = ++w->next_version;
    cask_write_options options = {.condition = CASK_IF_ABSENT};
    char text[32];
    cask_status status;

    fill_value(bytes, (uint32_t)w->number, version);
    status = cask_put_with(w->db, shared_key(i, text),
                           (cask_slice){bytes, value_size(version)}, &options,
                           NULL, NULL);
    require(w, status == CASK_OK || status == CASK_CONDITION, "condition");
    if (status == CASK_OK) {
        require(w,
                cask_delete(w->db, shared_key(i, text), NULL, NULL) == CASK_OK,
                "delete of a shared key");
    }
}

typedef struct folding {
    worker *w;
    int own;
} folding;

static bool visit(void *context, const cask_entry *entry)
{
    folding *f = context;
    uint32_t version = 0;
    char text[32] = "";
    int owner = 0;
    int i = 0;

    require(f->w, is_whole(entry->value.data, entry->value.size, &version),
            "an entry of a fold is whole");
    memcpy(text, entry->key.data, entry->key.size < 31 ? entry->key.size : 31);
    if (sscanf(text, "own %d %d", &owner, &i) == 2 && owner == f->w->number &&
        i >= 0 && i < OWN) {
        require(f->w, version == f->w->version[i],
                "a fold sees what was written before it");
        f->own++;
    }
    return true;
}

static void fold(worker *w)
{
    folding f = {.w = w};
    int expected = 0;

    for (int i = 0; i < OWN; i++) {
        expected += w->version[i] != 0 ? 1 : 0;
    }
    require(w, cask_fold(w->db, NULL, visit, &f, NULL) == CASK_OK, "fold");
    require(w, f.own == expected, "a fold visits each key once");
}

static void look_around(worker *w)
{
    cask_segment_stats *segments = NULL;
    cask_stats stats;
    uint64_t count;
    size_t many;

    require(w, cask_stat(w->db, &stats, NULL) == CASK_OK, "stat");
    require(w, stats.durable_sequence <= stats.sequence, "durable");
    require(w, cask_count(w->db, &count, NULL) == CASK_OK, "count");
    require(w, cask_segments(w->db, &segments, &many, NULL) == CASK_OK,
            "segments");
    require(w, many > 0, "at least one segment");
    cask_free(segments);
}

static void operate(worker *w)
{
    int i = (int)test_random_next(&w->random, OWN);
    int s = (int)test_random_next(&w->random, SHARED);

    switch (test_random_next(&w->random, 16)) {
    case 0:
        delete_own(w, i);
        break;
    case 1:
        write_batch(w, i);
        break;
    case 2:
        view_shared(w, s);
        break;
    case 3:
        get_many(w);
        break;
    case 4:
        compete(w, s);
        break;
    case 5:
        put_shared(w, s);
        break;
    case 6:
        if (test_random_chance(&w->random, 10)) {
            fold(w);
        }
        break;
    case 7:
        look_around(w);
        break;
    case 8:
        if (test_random_chance(&w->random, 10)) {
            require(w, cask_sync(w->db, NULL) == CASK_OK, "sync");
        }
        break;
    case 9:
    case 10:
    case 11:
        put_own(w, i);
        break;
    default:
        get_own(w, i);
        break;
    }
}

static void *run(void *argument)
{
    worker *w = argument;

    for (int i = 0; i < OPERATIONS && w->wrong == NULL; i++) {
        operate(w);
    }
    return NULL;
}

/* ---- Tests --------------------------------------------------------------- */

static int setup(void **state)
{
    static place p;

    memset(&p, 0, sizeof(p));
    scratch_make(p.path);
    (void)snprintf(p.store, sizeof(p.store), "%s/store", p.path);
    cask_options_init(&p.options);
    p.options.create_if_missing = true;
    p.options.region_dir = p.path;
    p.options.segment_max_bytes = 1 << 20; /* rotations meanwhile */
    p.options.sync_interval_ms = 20;
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;

    scratch_remove(p->path);
    return 0;
}

static void open_place(place *p, cask_db **ret_db)
{
    cask_error err = {CASK_OK, 0, ""};

    if (cask_open(p->store, &p->options, ret_db, &err) != CASK_OK) {
        fail_msg("open: %s", err.message);
    }
}

static void begin(place *p, worker *workers, cask_db *const *dbs)
{
    memset(workers, 0, THREADS * sizeof(*workers));
    for (int i = 0; i < THREADS; i++) {
        workers[i].p = p;
        workers[i].db = dbs[i];
        workers[i].number = i;
        workers[i].random = test_random_make(test_seed(), (uint64_t)i);
    }
}

static void work(worker *workers)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run, &workers[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        if (workers[i].wrong != NULL) {
            fail_msg("thread %d: not true: %s", i, workers[i].wrong);
        }
    }
}

/* After all of it: each owner's keys, also after reopening. */
static void check_all(place *p, worker *workers)
{
    cask_verify_report report;
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db;

    if (cask_verify(p->store, NULL, &report, &err) != CASK_OK) {
        fail_msg("verify: %s", err.message);
    }
    open_place(p, &db);
    for (int i = 0; i < THREADS; i++) {
        workers[i].db = db;
        for (int j = 0; j < OWN; j++) {
            get_own(&workers[i], j);
        }
        fold(&workers[i]);
        assert_null(workers[i].wrong);
    }
    assert_int_equal(cask_close(db, NULL), CASK_OK);
}

static void test_threads_share_one_handle(void **state)
{
    place *p = *state;
    worker workers[THREADS];
    cask_db *dbs[THREADS];

    for (int sync = CASK_SYNC_NONE; sync <= CASK_SYNC_COMMIT; sync++) {
        p->options.sync = (cask_sync_policy)sync;
        p->options.io = sync == CASK_SYNC_NONE ? CASK_IO_PREAD : CASK_IO_MAP;
        open_place(p, &dbs[0]);
        for (int i = 0; i < THREADS; i++) {
            dbs[i] = dbs[0];
        }
        begin(p, workers, dbs);
        for (int i = 0; i < THREADS; i++) {
            for (int j = 0; j < OWN; j++) {
                put_own(&workers[i], j);
            }
        }
        work(workers);
        assert_int_equal(cask_close(dbs[0], NULL), CASK_OK);
        check_all(p, workers);
    }
}

/* As processes are: each with a handle, all in one region. */
static void test_threads_with_handles_of_their_own(void **state)
{
    place *p = *state;
    worker workers[THREADS];
    cask_db *dbs[THREADS];

    for (int i = 0; i < THREADS; i++) {
        p->options.append = i % 2 == 0 ? CASK_APPEND_MAP : CASK_APPEND_PWRITE;
        p->options.io = i % 2 == 0 ? CASK_IO_MAP : CASK_IO_PREAD;
        open_place(p, &dbs[i]);
    }
    begin(p, workers, dbs);
    work(workers);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(cask_close(dbs[i], NULL), CASK_OK);
    }
    check_all(p, workers);
}

static void *open_and_close(void *argument)
{
    worker *w = argument;

    for (int i = 0; i < 10 && w->wrong == NULL; i++) {
        cask_error err = {CASK_OK, 0, ""};

        require(w,
                cask_open(w->p->store, &w->p->options, &w->db, &err) == CASK_OK,
                "open");
        if (w->wrong == NULL) {
            for (int j = 0; j < 20; j++) {
                put_own(w, j % OWN);
                get_own(w, (j + 1) % OWN);
            }
            require(w, cask_close(w->db, NULL) == CASK_OK, "close");
        }
    }
    return NULL;
}

/* The last one out removes the region while the next one comes in. */
static void test_threads_that_open_and_close(void **state)
{
    place *p = *state;
    worker workers[THREADS];
    cask_db *dbs[THREADS] = {NULL};
    pthread_t threads[THREADS];

    begin(p, workers, dbs);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, open_and_close, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (workers[i].wrong != NULL) {
            fail_msg("thread %d: not true: %s", i, workers[i].wrong);
        }
    }
    check_all(p, workers);
}

int main(void)
{
#define AT_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        AT_PLACE(test_threads_share_one_handle),
        AT_PLACE(test_threads_with_handles_of_their_own),
        AT_PLACE(test_threads_that_open_and_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
