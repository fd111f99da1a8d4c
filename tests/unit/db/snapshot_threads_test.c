/*
 * Snapshots while threads write and merge: each batch gives all keys one
 * version, so a snapshot sees one version, always the same, by get, get_many
 * and by folds of which each part has a thread. For ThreadSanitizer, and
 * without it too.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "cask_test.h"
#include "caskade.h"
#include "support/scratch.h"

#if defined(__SANITIZE_THREAD__)
enum { ROUNDS = 60 };
#else
enum { ROUNDS = 300 };
#endif

enum { KEYS = 48, PARTS = 3, VALUE_BYTES = 700 };

typedef struct place {
    char path[SCRATCH_PATH];
    cask_db *db;
    _Atomic bool stop;
    _Atomic uint64_t versions;
    const char *_Atomic wrong; /* what was, or NULL */
} place;

static void require(place *p, bool condition, const char *what)
{
    if (!condition) {
        atomic_store(&p->wrong, what);
    }
}

static cask_slice key_of(unsigned number, char text[16])
{
    (void)snprintf(text, 16, "key %u", number);
    return cask_slice_of(text);
}

static void write_all(place *p, uint64_t version)
{
    uint8_t value[VALUE_BYTES];
    cask_batch *batch = NULL;

    memset(value, (int)(version % 251), sizeof(value));
    memcpy(value, &version, sizeof(version));
    require(p, cask_batch_create(&batch, NULL) == CASK_OK, "batch");
    for (unsigned i = 0; i < KEYS; i++) {
        char text[16];

        require(p,
                cask_batch_put(batch, key_of(i, text),
                               (cask_slice){value, sizeof(value)}, 0,
                               NULL) == CASK_OK,
                "batch_put");
    }
    require(p, cask_write(p->db, batch, NULL) == CASK_OK, "write");
    cask_batch_free(batch);
}

static void *write_and_merge(void *context)
{
    const cask_merge_options all = {.all = true};
    place *p = context;

    while (!atomic_load(&p->stop)) {
        uint64_t version = atomic_fetch_add(&p->versions, 1) + 1;

        write_all(p, version);
        if (version % 16 == 0) {
            cask_status status = cask_merge(p->db, &all, NULL, NULL);

            require(p, status == CASK_OK || status == CASK_BUSY, "merge");
        }
    }
    return NULL;
}

/* ---- One snapshot ---- */

typedef struct share {
    place *p;
    cask_snapshot *snapshot;
    uint32_t part;
    uint64_t version;
    unsigned seen[KEYS];
} share;

static uint64_t version_in(place *p, cask_slice value)
{
    uint64_t version = 0;

    require(p, value.size == VALUE_BYTES, "size of a value");
    if (value.size == VALUE_BYTES) {
        memcpy(&version, value.data, sizeof(version));
        require(p,
                ((const uint8_t *)value.data)[VALUE_BYTES - 1] ==
                    (uint8_t)(version % 251),
                "a torn value");
    }
    return version;
}

static bool see(void *context, const cask_entry *entry)
{
    share *s = context;
    char text[16] = "";
    unsigned number = KEYS;

    memcpy(text, entry->key.data, entry->key.size < 15 ? entry->key.size : 15);
    if (sscanf(text, "key %u", &number) != 1 || number >= KEYS) {
        require(s->p, false, "a key that was never written");
        return false;
    }
    s->seen[number]++;
    require(s->p, version_in(s->p, entry->value) == s->version,
            "another version in a fold");
    return true;
}

static void *fold_part(void *context)
{
    share *s = context;
    const cask_fold_options options = {.parts = PARTS, .part = s->part};

    require(s->p,
            cask_snapshot_fold(s->snapshot, &options, see, s, NULL) == CASK_OK,
            "fold");
    return NULL;
}

static void fold_in_parts(place *p, cask_snapshot *snapshot, uint64_t version)
{
    pthread_t threads[PARTS];
    share shares[PARTS];

    for (uint32_t i = 0; i < PARTS; i++) {
        shares[i] = (share){
            .p = p, .snapshot = snapshot, .part = i, .version = version};
        assert_int_equal(
            pthread_create(&threads[i], NULL, fold_part, &shares[i]), 0);
    }
    for (uint32_t i = 0; i < PARTS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (unsigned key = 0; key < KEYS; key++) {
        unsigned seen = 0;

        for (uint32_t i = 0; i < PARTS; i++) {
            seen += shares[i].seen[key];
        }
        require(p, seen == 1, "a key that is not in one part once");
    }
}

static uint64_t get_all(place *p, cask_snapshot *snapshot)
{
    static _Thread_local char text[KEYS][16];
    cask_buffer values[KEYS] = {{0}};
    cask_status statuses[KEYS];
    cask_slice keys[KEYS];
    uint64_t version = 0;

    for (unsigned i = 0; i < KEYS; i++) {
        keys[i] = key_of(i, text[i]);
    }
    require(p,
            cask_snapshot_get_many(snapshot, keys, KEYS, values, statuses,
                                   NULL) == CASK_OK,
            "get_many");
    for (unsigned i = 0; i < KEYS; i++) {
        uint64_t found =
            version_in(p, (cask_slice){values[i].data, values[i].size});

        require(p, i == 0 || found == version, "another version by get_many");
        version = found;
        cask_buffer_free(&values[i]);
    }
    return version;
}

static void read_one(place *p)
{
    cask_snapshot *snapshot = NULL;
    uint64_t version;
    uint64_t count = 0;

    require(p, cask_snapshot_create(p->db, &snapshot, NULL) == CASK_OK,
            "snapshot");
    version = get_all(p, snapshot);
    fold_in_parts(p, snapshot, version);
    require(p, get_all(p, snapshot) == version, "a version that changed");
    require(p,
            cask_snapshot_count(snapshot, &count, NULL) == CASK_OK &&
                count == KEYS,
            "count");
    cask_snapshot_free(snapshot);
}

static void *read_again_and_again(void *context)
{
    place *p = context;

    for (int i = 0; i < ROUNDS && atomic_load(&p->wrong) == NULL; i++) {
        read_one(p);
    }
    return NULL;
}

static void test_snapshots_do_not_change_under_threads(void **state)
{
    place p = {.stop = false};
    pthread_t writers[2];
    pthread_t readers[2];
    cask_options options;
    cask_stats stats;

    (void)state;
    scratch_make(p.path);
    cask_options_init(&options);
    options.create_if_missing = true;
    options.segment_max_bytes = 256 << 10;
    assert_int_equal(cask_open(p.path, &options, &p.db, NULL), CASK_OK);
    write_all(&p, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&writers[i], NULL, write_and_merge, &p),
                         0);
        assert_int_equal(
            pthread_create(&readers[i], NULL, read_again_and_again, &p), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    }
    atomic_store(&p.stop, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(writers[i], NULL), 0);
    }
    if (atomic_load(&p.wrong) != NULL) {
        fail_msg("%s", atomic_load(&p.wrong));
    }
    assert_int_equal(cask_stat(p.db, &stats, NULL), CASK_OK);
    print_message("%llu batches meanwhile\n",
                  (unsigned long long)stats.batches);
    assert_int_equal(stats.snapshot_count, 0);
    assert_int_equal(stats.undo_bytes, 0);
    assert_int_equal(stats.snapshots_lost, 0);
    assert_int_equal(cask_close(p.db, NULL), CASK_OK);
    scratch_remove(p.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshots_do_not_change_under_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
