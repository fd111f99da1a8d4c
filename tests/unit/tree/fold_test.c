/*
 * Folds of a tree in parts: every key is in one part, once, whatever is written
 * and compacted between them, and parts are about as large as each other.
 */
#include "cask_test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/tree/tree_handle.h"

enum { KEYS = 5000, THREADS = 4 };

static void put_number(handle *h, unsigned number, const char *value)
{
    char key[16];

    (void)snprintf(key, sizeof(key), "%06u", number);
    put_text(h, key, value);
}

static void fill(handle *h, const char *value)
{
    for (unsigned i = 0; i < KEYS; i++) {
        put_number(h, i * 7919 % KEYS, value);
    }
}

static void merge(handle *h, bool all)
{
    const cask_merge_options options = {.all = all};

    assert_int_equal(cask_merge(h->db, &options, NULL, NULL), CASK_OK);
}

/* ---- What a fold visits -------------------------------------------------- */

typedef struct seen {
    unsigned times[KEYS];
    unsigned count;
    long last; /* the number before */
    bool is_wrong;
} seen;

static bool see(void *context, const cask_entry *entry)
{
    char text[16] = "";
    seen *s = context;
    long number;

    memcpy(text, entry->key.data,
           entry->key.size < sizeof(text) ? entry->key.size : 0);
    number = strtol(text, NULL, 10);
    s->is_wrong = s->is_wrong || number < 0 || number >= KEYS ||
                  number <= s->last || entry->value.size != 5 ||
                  memcmp(entry->value.data, "first", 5) != 0;
    if (!s->is_wrong) {
        s->times[number]++;
        s->count++;
        s->last = number;
    }
    return true;
}

static unsigned fold_part(cask_snapshot *snapshot, uint32_t part,
                          uint32_t parts, seen *s)
{
    const cask_fold_options options = {.parts = parts, .part = part};
    unsigned before = s->count;

    assert_int_equal(cask_snapshot_fold(snapshot, &options, see, s, NULL),
                     CASK_OK);
    assert_false(s->is_wrong);
    return s->count - before;
}

static void expect_each_once(const seen *s)
{
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(s->times[i], 1);
    }
}

/* All parts, in their order: numbers rise from one to the next, too. */
static void fold_all(cask_snapshot *snapshot, uint32_t parts)
{
    seen s = {.last = -1};

    for (uint32_t part = 0; part < parts; part++) {
        (void)fold_part(snapshot, part, parts, &s);
    }
    expect_each_once(&s);
}

static cask_snapshot *take(handle *h)
{
    cask_snapshot *snapshot = NULL;

    assert_int_equal(cask_snapshot_create(h->db, &snapshot, NULL), CASK_OK);
    return snapshot;
}

static void test_every_key_is_in_one_part_once(void **state)
{
    static const uint32_t parts[] = {2, 3, 7, 100, 1025, 5000};
    handle *h = *state;

    fill(h, "first"); /* runs and memtables */
    for (int round = 0; round < 3; round++) {
        cask_snapshot *snapshot = take(h);

        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            fold_all(snapshot, parts[i]);
        }
        cask_snapshot_free(snapshot);
        merge(h, round == 1);
    }
}

static void test_what_is_written_between_parts_changes_nothing(void **state)
{
    handle *h = *state;
    cask_snapshot *snapshot;
    seen s = {.last = -1};

    fill(h, "first");
    snapshot = take(h);
    for (uint32_t part = 0; part < 6; part++) {
        (void)fold_part(snapshot, part, 6, &s);
        fill(h, "later");
        merge(h, part % 2 == 0);
    }
    expect_each_once(&s);
    cask_snapshot_free(snapshot);
}

static void expect_alike(handle *h)
{
    cask_snapshot *snapshot = take(h);
    seen s = {.last = -1};

    for (uint32_t part = 0; part < 4; part++) {
        unsigned count = fold_part(snapshot, part, 4, &s);

        assert_in_range(count, KEYS / 8, KEYS * 3 / 8);
    }
    cask_snapshot_free(snapshot);
}

static void test_parts_are_about_as_large_as_each_other(void **state)
{
    handle *h = *state;

    fill(h, "first");
    expect_alike(h);
    merge(h, true);
    expect_alike(h); /* of a run alone */
    h->options.memtable_bytes = 64 << 20;
    handle_reopen(h);
    fill(h, "first");
    expect_alike(h);
}

static void test_a_store_without_keys_has_empty_parts(void **state)
{
    handle *h = *state;
    cask_snapshot *snapshot = take(h);
    seen s = {.last = -1};

    for (uint32_t part = 0; part < 3; part++) {
        assert_int_equal(fold_part(snapshot, part, 3, &s), 0);
    }
    cask_snapshot_free(snapshot);
    put_number(h, 7, "first");
    snapshot = take(h);
    assert_int_equal(
        fold_part(snapshot, 0, 2, &s) + fold_part(snapshot, 1, 2, &s), 1);
    cask_snapshot_free(snapshot);
}

/* ---- Threads ------------------------------------------------------------- */

typedef struct share {
    cask_snapshot *snapshot;
    uint32_t part;
    cask_status status;
    seen seen;
} share;

static void *run_share(void *context)
{
    share *s = context;
    const cask_fold_options options = {.parts = THREADS, .part = s->part};

    s->status = cask_snapshot_fold(s->snapshot, &options, see, &s->seen, NULL);
    return NULL;
}

static void test_threads_share_a_fold(void **state)
{
    handle *h = *state;
    share *shares = calloc(THREADS, sizeof(*shares));
    pthread_t threads[THREADS];
    seen all = {.last = -1};
    cask_snapshot *snapshot;

    assert_non_null(shares);
    fill(h, "first");
    snapshot = take(h);
    for (uint32_t i = 0; i < THREADS; i++) {
        shares[i] =
            (share){.snapshot = snapshot, .part = i, .seen = {.last = -1}};
        assert_int_equal(
            pthread_create(&threads[i], NULL, run_share, &shares[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(shares[i].status, CASK_OK);
        assert_false(shares[i].seen.is_wrong);
        for (unsigned key = 0; key < KEYS; key++) {
            all.times[key] += shares[i].seen.times[key];
        }
    }
    expect_each_once(&all);
    cask_snapshot_free(snapshot);
    free(shares);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, tree_handle_setup, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_key_is_in_one_part_once),
        TEST(test_what_is_written_between_parts_changes_nothing),
        TEST(test_parts_are_about_as_large_as_each_other),
        TEST(test_a_store_without_keys_has_empty_parts),
        TEST(test_threads_share_a_fold),
    };

    return cmocka_run_group_tests_name("folds of a tree", tests, NULL, NULL);
}
