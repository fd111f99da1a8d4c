/*
 * Threads that pin and unpin versions while another one makes new ones: what is
 * pinned is whole and readable, nobody sees an older version than one that was
 * published before, and what nobody has is closed.
 */
#include "cask_test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tree/version_work.h"
#include "unit/tree/version_place.h"

enum { READERS = 4, CHANGES = 600, KEYS = 20, HELD = 5 };

/* What they share. A version is handed from thread to thread: who puts one
 * there unpins the one that was there. */
typedef struct crowd {
    place *p;
    _Atomic unsigned tag; /* of the run that was published last */
    _Atomic bool done;
    _Atomic(const version *) handed;
    _Atomic uint64_t pins;
} crowd;

static const version *take(crowd *c)
{
    unsigned least = atomic_load(&c->tag);
    const version *v = pin(c->p);
    unsigned tag = forest_get(v, 0);

    assert_true(tag >= least);
    assert_int_equal(v->count, 1);
    assert_int_equal(forest_get(v, KEYS - 1), tag);
    assert_int_equal(forest_get(v, KEYS), 0);
    (void)atomic_fetch_add(&c->pins, 1);
    return v;
}

static void *read_versions(void *context)
{
    crowd *c = context;
    const version *held[HELD] = {NULL};

    for (unsigned i = 0; !atomic_load(&c->done); i++) {
        const version *old = held[i % HELD];

        held[i % HELD] = take(c);
        if (old != NULL && i % 3 == 0) {
            old = atomic_exchange(&c->handed, old);
        }
        if (old != NULL) {
            /* However old it is, it can be read. */
            assert_int_equal(forest_get(old, 0), forest_get(old, KEYS - 1));
            version_unpin(c->p->f.versions, old);
        }
    }
    for (unsigned i = 0; i < HELD; i++) {
        if (held[i] != NULL) {
            version_unpin(c->p->f.versions, held[i]);
        }
    }
    return NULL;
}

/* As a background thread does. */
static void *let_go(void *context)
{
    crowd *c = context;

    while (!atomic_load(&c->done)) {
        versions_let_go(c->p->f.versions);
        c->p->fault.base.ops->sleep_ms(&c->p->fault.base, 1);
    }
    return NULL;
}

static void test_pins_hold_while_versions_change(void **state)
{
    place *p = *state;
    crowd c = {.p = p};
    pthread_t threads[READERS + 1];
    uint64_t id = replace(p, (forest_run){0, KEYS, 1, 0, 1}, 0);
    const version *v;

    atomic_store(&c.tag, 1);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_versions, &c),
                         0);
    }
    assert_int_equal(pthread_create(&threads[READERS], NULL, let_go, &c), 0);
    for (unsigned tag = 2; tag < CHANGES; tag++) {
        id = replace(p, (forest_run){0, KEYS, tag, 0, tag}, id);
        atomic_store(&c.tag, tag);
    }
    while (atomic_load(&c.pins) < READERS) {
        p->fault.base.ops->sleep_ms(&p->fault.base, 1);
    }
    atomic_store(&c.done, true);
    for (unsigned i = 0; i <= READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    v = atomic_exchange(&c.handed, NULL);
    if (v != NULL) {
        version_unpin(p->f.versions, v);
    }
    v = pin(p);
    assert_int_equal(forest_get(v, 0), CHANGES - 1);
    version_unpin(p->f.versions, v);
    versions_let_go(p->f.versions);
    assert_int_equal(p->f.versions->opened_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pins_hold_while_versions_change),
    };

    return cmocka_run_group_tests_name("version_threads", tests, NULL, NULL);
}
