/*
 * The undo table against a model: keys change, snapshots come and go, and each
 * snapshot finds what each of its keys was; memory comes back.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cask_test.h"
#include "os/os_sim.h"
#include "region/heap.h"
#include "region/undo.h"
#include "support/random.h"

/* To ThreadSanitizer one thread says nothing, in more than a minute. */
#if defined(__SANITIZE_THREAD__)
enum { ONLY_THREADS = 1 };
#else
enum { ONLY_THREADS = 0 };
#endif

/* AddressSanitizer makes each as slow as ten. */
#if defined(__SANITIZE_ADDRESS__)
enum { STEPS = 5000 };
#else
enum { STEPS = 30000 };
#endif

enum { KEYS = 300, SNAPSHOTS = 12 };

typedef struct model {
    region_snapshot *entry; /* NULL: free */
    uint64_t sequence;
    uint64_t place[KEYS];
} model;

typedef struct scene {
    os_sim *sim;
    region_handle region;
    test_random random;
    uint64_t sequence;
    uint64_t tickets;
    uint64_t place[KEYS];
    model snapshots[SNAPSHOTS];
} scene;

static int set_up(void **state)
{
    static scene s;
    const os_sim_options options = {.seed = 1};
    const region_identity identity = {.engine = 1};

    memset(&s, 0, sizeof(s));
    assert_int_equal(os_sim_create(&options, &s.sim), 0);
    s.region.os = os_sim_os(s.sim);
    assert_int_equal(region_create_private(&s.region, &identity, NULL),
                     CASK_OK);
    s.random = test_random_make(test_seed(), 0);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;

    region_detach(&s->region);
    os_sim_free(s->sim);
    return 0;
}

/* Some keys have the same tag, in another shard; and many one bucket. */
static undo_key key_of(unsigned number)
{
    return (undo_key){.tag = (uint64_t)(number / 2 + 1) << 20,
                      .shard = number % 2};
}

static void take(scene *s, model *m)
{
    m->entry = snapshots_free_entry_locked(&s->region);
    assert_non_null(m->entry);
    m->sequence = s->sequence;
    memcpy(m->place, s->place, sizeof(m->place));
    atomic_store(&m->entry->sequence, s->sequence);
    atomic_store(&m->entry->ticket, ++s->tickets);
    snapshots_recount_locked(&s->region);
}

static void drop(scene *s, model *m)
{
    atomic_store(&m->entry->ticket, 0);
    m->entry = NULL;
    snapshots_recount_locked(&s->region);
}

static void change(scene *s, unsigned key)
{
    s->sequence++;
    if (undo_is_needed(&s->region)) {
        assert_true(undo_prepare_locked(&s->region, 1, 100));
        undo_save_locked(&s->region, key_of(key), s->place[key], s->sequence);
    }
    s->place[key] = s->sequence << 1 | 1;
}

static void compare(scene *s, const model *m, unsigned key)
{
    uint64_t place = s->place[key]; /* as the slot says it */

    (void)undo_find(&s->region, key_of(key), m->sequence, &place);
    assert_int_equal(place, m->place[key]);
}

static void test_each_snapshot_finds_what_its_keys_were(void **state)
{
    scene *s = *state;
    uint64_t used = atomic_load(&s->region.header->heap.used);
    uint64_t most = 0;

    for (int step = 0; step < STEPS; step++) {
        model *m = &s->snapshots[test_random_next(&s->random, SNAPSHOTS)];
        unsigned key = (unsigned)test_random_next(&s->random, KEYS);

        if (test_random_chance(&s->random, 2)) {
            if (m->entry == NULL) {
                take(s, m);
            } else {
                drop(s, m);
            }
        }
        change(s, key);
        if (m->entry != NULL) {
            compare(s, m, key);
            compare(s, m, (unsigned)test_random_next(&s->random, KEYS));
        }
        most = undo_bytes(&s->region) > most ? undo_bytes(&s->region) : most;
    }
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        for (unsigned key = 0; key < KEYS && s->snapshots[i].entry != NULL;
             key++) {
            compare(s, &s->snapshots[i], key);
        }
        if (s->snapshots[i].entry != NULL) {
            drop(s, &s->snapshots[i]);
        }
    }
    assert_true(most > 0);
    assert_int_equal(undo_bytes(&s->region), 0);
    /* The buckets stay. */
    assert_true(atomic_load(&s->region.header->heap.used) <= used + 512);
    assert_int_equal(atomic_load(&s->region.snapshots->undo.lost), 0);
}

/* One young snapshot after the other: the oldest entries make room, however
 * many there were in all. */
static void
test_a_queue_of_snapshots_takes_no_more_and_more_memory(void **state)
{
    scene *s = *state;
    uint64_t bump;

    take(s, &s->snapshots[0]);
    for (int round = 0; round < 400; round++) {
        model *next = &s->snapshots[(round + 1) % 2];

        take(s, next);
        for (unsigned key = 0; key < KEYS; key++) {
            change(s, key);
        }
        drop(s, &s->snapshots[round % 2]);
        assert_true(undo_bytes(&s->region) <=
                    UINT64_C(2) * UNDO_CHUNK_LINES * REGION_LINE);
    }
    bump = atomic_load(&s->region.header->heap.bump);
    assert_true(bump < REGION_HEAP_OFFSET / REGION_LINE + 4 * UNDO_CHUNK_LINES);
    drop(s, &s->snapshots[0]);
    assert_int_equal(undo_bytes(&s->region), 0);
}

/* Each new key is one entry. */
static void test_the_oldest_is_expelled_at_the_limit(void **state)
{
    scene *s = *state;
    uint64_t limit = undo_limit_bytes(&s->region);
    uint64_t entries = limit / sizeof(region_undo_entry);
    uint64_t ticket;

    assert_int_equal(limit, UNDO_LEAST_BYTES);
    take(s, &s->snapshots[0]);
    ticket = s->tickets;
    for (uint64_t i = 0; i < entries / 2; i++) {
        s->sequence++;
        assert_true(undo_prepare_locked(&s->region, 1, 100));
        undo_save_locked(&s->region, (undo_key){i + 1, 0}, 7, s->sequence);
    }
    take(s, &s->snapshots[1]);
    for (uint64_t i = 0; i <= entries / 2; i++) {
        s->sequence++;
        assert_true(undo_prepare_locked(&s->region, 1, 100));
        undo_save_locked(&s->region, (undo_key){i + 1, 1}, 7, s->sequence);
    }
    assert_true(undo_bytes(&s->region) <= limit);
    assert_int_equal(atomic_load(&s->region.snapshots->undo.lost), 1);
    assert_true(atomic_load(&s->snapshots[0].entry->ticket) != ticket);
    assert_int_equal(atomic_load(&s->snapshots[1].entry->ticket), s->tickets);
    assert_int_equal(atomic_load(&s->region.header->snapshots), 1);
}

static void test_more_than_fits_at_once_expels_all(void **state)
{
    scene *s = *state;

    take(s, &s->snapshots[0]);
    take(s, &s->snapshots[1]);
    assert_true(undo_prepare_locked(
        &s->region, UNDO_LEAST_BYTES / sizeof(region_undo_entry) + 1, 100));
    assert_false(undo_is_needed(&s->region));
    assert_int_equal(undo_bytes(&s->region), 0);
}

/* ---- Readers ---- */

enum { READERS = 2, CHANGES = 60000 };

typedef struct race {
    scene *s;
    _Atomic uint64_t slot[KEYS];
    _Atomic bool stop;
    _Atomic uint64_t wrong;
} race;

/* As a look-up does it: the slot first, then what was saved. */
static void *read_on(void *context)
{
    race *r = context;
    const model *m = &r->s->snapshots[0];

    for (unsigned key = 0; !atomic_load(&r->stop); key = (key + 7) % KEYS) {
        uint64_t place =
            atomic_load_explicit(&r->slot[key], memory_order_acquire);

        (void)undo_find(&r->s->region, key_of(key), m->sequence, &place);
        if (place != m->place[key]) {
            atomic_fetch_add(&r->wrong, 1);
        }
    }
    return NULL;
}

static void change_slot(race *r, unsigned key)
{
    change(r->s, key);
    atomic_store_explicit(&r->slot[key], r->s->place[key],
                          memory_order_release);
}

/* All keys are in two buckets, so that readers pass by what is being saved. */
static void test_readers_need_no_lock(void **state)
{
    scene *s = *state;
    static race r;
    pthread_t readers[READERS];

    memset(&r, 0, sizeof(r));
    r.s = s;
    for (unsigned key = 0; key < KEYS; key++) {
        change_slot(&r, key);
    }
    take(s, &s->snapshots[0]);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &r), 0);
    }
    for (int i = 0; i < CHANGES && atomic_load(&r.wrong) == 0; i++) {
        model *other = &s->snapshots[1 + i / 200 % 2];

        if (i % 200 == 0 && other->entry != NULL) {
            drop(s, other);
        }
        if (i % 200 == 0) {
            take(s, other); /* so that keys are saved again */
        }
        change_slot(&r, (unsigned)test_random_next(&s->random, KEYS));
    }
    atomic_store(&r.stop, true);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&r.wrong), 0);
}

int main(void)
{
#define UNDO(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest alone[] = {
        UNDO(test_each_snapshot_finds_what_its_keys_were),
        UNDO(test_a_queue_of_snapshots_takes_no_more_and_more_memory),
        UNDO(test_the_oldest_is_expelled_at_the_limit),
        UNDO(test_more_than_fits_at_once_expels_all),
    };
    const struct CMUnitTest of_threads[] = {
        UNDO(test_readers_need_no_lock),
    };
    int failed = 0;

    if (!ONLY_THREADS) {
        failed = cmocka_run_group_tests(alone, NULL, NULL);
    }
    return failed + cmocka_run_group_tests(of_threads, NULL, NULL);
}
