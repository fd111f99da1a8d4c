/*
 * Pages are zeroed and made present ahead of the tail, by whichever handle
 * writes there, and let go of when a sync begins, after more than a little was
 * written: no record is touched by that, none is lost, and nothing depends on
 * whether the zeros could be written. Nor is it lost what was written if a
 * later write is forbidden.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/db.h"
#include "os/os_fault.h"
#include "support/random.h"

enum {
    HANDLES = 3,
    KEYS = 3000,
    VALUE_MOST = 5000, /* KEYS of it: some pieces of 1 MiB */
    BATCH = 3
};

typedef struct writers {
    handle *first;
    cask_db *db[HANDLES]; /* all on the same store */
    uint8_t *bytes;
    test_random random;
    size_t size[KEYS]; /* of the values, which differ by their beginning */
} writers;

static cask_slice key_of(unsigned number, char text[16])
{
    (void)snprintf(text, 16, "%u", number);
    return cask_slice_of(text);
}

static cask_slice value_of(const writers *w, unsigned number)
{
    return (cask_slice){w->bytes + number, w->size[number]};
}

static void begin(writers *w, handle *first)
{
    cask_error err = {CASK_OK, 0, ""};

    w->first = first;
    w->bytes = make_bytes(KEYS + VALUE_MOST, 5);
    w->random = test_random_make(test_seed(), 0);
    w->db[0] = first->db;
    for (unsigned i = 1; i < HANDLES; i++) {
        if (db_open_on(first->kernel, HANDLE_PATH, &first->options, &w->db[i],
                       &err) != CASK_OK) {
            fail_msg("open: %s", err.message);
        }
    }
}

static void end(writers *w)
{
    for (unsigned i = 1; i < HANDLES; i++) {
        assert_int_equal(cask_close(w->db[i], NULL), CASK_OK);
    }
    free(w->bytes);
}

/* Keys `from` to `from + count` by one of the handles, as one batch. */
static void write_some(writers *w, unsigned from, unsigned count)
{
    cask_db *db = w->db[test_random_next(&w->random, HANDLES)];
    cask_error err = {CASK_OK, 0, ""};
    cask_batch *batch;

    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    for (unsigned i = from; i < from + count; i++) {
        char text[16];

        w->size[i] = test_random_next(&w->random, VALUE_MOST);
        assert_int_equal(
            cask_batch_put(batch, key_of(i, text), value_of(w, i), 0, NULL),
            CASK_OK);
    }
    if (cask_write(db, batch, &err) != CASK_OK) {
        fail_msg("write: %s", err.message);
    }
    cask_batch_free(batch);
}

static void write_all(writers *w)
{
    for (unsigned i = 0; i < KEYS;) {
        unsigned count = 1 + (unsigned)test_random_next(&w->random, BATCH);

        count = count < KEYS - i ? count : KEYS - i;
        write_some(w, i, count);
        i += count;
    }
}

static void check_all(const writers *w)
{
    for (unsigned i = 0; i < KEYS; i++) {
        cask_slice value = value_of(w, i);
        char text[16];

        (void)key_of(i, text);
        check_bytes(w->first, text, value.data, value.size);
    }
    assert_int_equal(count_keys(w->first), KEYS);
}

static void check_again(writers *w)
{
    check_all(w);
    end(w);
    handle_reopen(w->first);
    w->bytes = make_bytes(KEYS + VALUE_MOST, 5);
    check_all(w);
    free(w->bytes);
}

static int setup(void **state)
{
    handle *h;

    (void)handle_prepare(state);
    h = *state;
    h->options.segment_max_bytes = 4 << 20;
    h->options.sync = CASK_SYNC_NONE;
    h->options.append = CASK_APPEND_MAP;
    handle_open(h);
    return 0;
}

static void test_records_of_several_handles_stay_whole(void **state)
{
    writers w = {.first = NULL};

    begin(&w, *state);
    write_all(&w);
    check_again(&w);
}

static _Atomic bool is_written;

static void *sync_again_and_again(void *context)
{
    while (!atomic_load(&is_written)) {
        assert_int_equal(cask_sync(context, NULL), CASK_OK);
    }
    return NULL;
}

static void test_records_stay_whole_while_syncs_run(void **state)
{
    writers w = {.first = NULL};
    pthread_t thread;

    begin(&w, *state);
    atomic_store(&is_written, false);
    assert_int_equal(
        pthread_create(&thread, NULL, sync_again_and_again, w.db[1]), 0);
    write_all(&w);
    atomic_store(&is_written, true);
    pthread_join(thread, NULL);
    check_again(&w);
}

/* ---- How many pages ---- */

static struct {
    os_ops ops;
    const os_ops *real;
    uint64_t made; /* bytes of pages, by the last call */
    unsigned calls;
    unsigned let_go; /* calls */
} pages;

static void note_prefault(os *self, void *memory, size_t size)
{
    pages.made = size;
    pages.calls++;
    pages.real->prefault(self, memory, size);
}

static void note_unfault(os *self, void *memory, size_t size)
{
    pages.let_go++;
    pages.real->unfault(self, memory, size);
}

/* Open the store anew, with an os that watches: no thread knows the other. */
static void reopen_watched(handle *h)
{
    handle_close(h);
    pages.real = h->kernel->ops;
    pages.ops = *pages.real;
    pages.ops.prefault = note_prefault;
    pages.ops.unfault = note_unfault;
    h->kernel->ops = &pages.ops;
    h->options.auto_merge = false; /* it syncs */
    handle_open(h);
}

static void reopen_unwatched(handle *h)
{
    handle_close(h);
    h->kernel->ops = pages.real;
    handle_open(h);
}

static void put_numbered(handle *h, unsigned number, const uint8_t *bytes)
{
    char text[16];

    assert_int_equal(cask_put(h->db, key_of(number, text),
                              (cask_slice){bytes, VALUE_MOST}, NULL),
                     CASK_OK);
}

/* A sync that finds them there takes write access from each; and what comes
 * back is written by the next one, whether it is used or not. */
static void test_pages_come_back_little_by_little_after_a_sync(void **state)
{
    enum { LEAST = 16 << 10, SLACK = 4096 };
    handle *h = *state;
    uint8_t *bytes = make_bytes(VALUE_MOST, 6);
    unsigned calls;

    h->options.segment_max_bytes = 64 << 20;
    reopen_watched(h);
    for (unsigned i = 0; i < 1000; i++) {
        put_numbered(h, i, bytes); /* 5 MB: more is allocated than follows */
    }
    pages.let_go = 0;
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    assert_int_equal(pages.let_go, 1);
    calls = pages.calls;
    for (unsigned i = 0; i < 400; i++) {
        uint64_t most = LEAST;

        put_numbered(h, i, bytes);
        for (unsigned j = calls + 1; j < pages.calls; j++) {
            most *= 4;
        }
        assert_true(pages.calls == calls || pages.made <= most + SLACK);
    }
    assert_in_range(pages.calls - calls, 4, 7);
    free(bytes);
    reopen_unwatched(h);
}

static void test_a_sync_after_little_lets_no_pages_go(void **state)
{
    handle *h = *state;
    unsigned calls;

    reopen_watched(h);
    put_text(h, "key", "value");
    calls = pages.calls;
    pages.let_go = 0;
    assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    put_text(h, "key", "other");
    assert_int_equal(pages.let_go, 0);
    assert_int_equal(pages.calls, calls);
    reopen_unwatched(h);
}

/* Every write fails: those of zeros only, as records go by the map. */
static void test_puts_do_not_need_the_zeros(void **state)
{
    const os_fault_plan nothing = OS_FAULT_NOTHING;
    const os_fault_plan plan = {
        .only = OS_CALL_WRITE_AT, .error = ENOSPC, .for_ever = true};
    handle *h = *state;
    writers w = {.first = NULL};
    os_fault fault;

    handle_close(h);
    h->options.segment_max_bytes = 64 << 20;
    os_fault_init(&fault, h->kernel);
    h->kernel = &fault.base;
    handle_open(h);
    begin(&w, h);
    write_some(&w, 0, 1);
    os_fault_arm(&fault, &plan);
    write_all(&w);
    assert_true(os_fault_fired(&fault) > 0);
    os_fault_arm(&fault, &nothing);
    check_again(&w);
    handle_close(h);
    h->kernel = fault.inner;
    handle_open(h);
}

/* As beyond RLIMIT_FSIZE, where a process can neither write nor undo. */
static void test_a_write_that_is_forbidden_poisons_nobody(void **state)
{
    const os_fault_plan nothing = OS_FAULT_NOTHING;
    const os_fault_plan plan = {
        .only = OS_CALL_WRITE_AT, .error = EFBIG, .for_ever = true};
    handle *h = *state;
    os_fault fault;

    handle_close(h);
    h->options.append = CASK_APPEND_PWRITE;
    os_fault_init(&fault, h->kernel);
    h->kernel = &fault.base;
    handle_open(h);
    put_text(h, "before", "there");
    os_fault_arm(&fault, &plan);
    assert_int_equal(
        cask_put(h->db, cask_slice_of("key"), cask_slice_of("value"), NULL),
        CASK_NO_SPACE);
    os_fault_arm(&fault, &nothing);
    check_text(h, "key", NULL);
    put_text(h, "key", "later");
    handle_reopen(h);
    check_text(h, "before", "there");
    check_text(h, "key", "later");
    handle_close(h);
    h->kernel = fault.inner;
    handle_open(h);
}

int main(void)
{
#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_records_of_several_handles_stay_whole),
        WITH_STORE(test_records_stay_whole_while_syncs_run),
        WITH_STORE(test_pages_come_back_little_by_little_after_a_sync),
        WITH_STORE(test_a_sync_after_little_lets_no_pages_go),
        WITH_STORE(test_puts_do_not_need_the_zeros),
        WITH_STORE(test_a_write_that_is_forbidden_poisons_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
