/*
 * Merging threads on a simulated disk: what fails is tried again later and
 * later, and goes on when it can; a disk that is full in the middle of a merge
 * loses nothing.
 */
#include "unit/hash/numbered.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "db/db.h"
#include "log/record_format.h"
#include "store/merge_turn.h"
#include "os/os_fault.h"
#include "store/store_shortage.h"

/* Something of each segment stays: who merges it has to write. */
static void put_lasting(handle *h, int round, unsigned number)
{
    char key[32];

    (void)snprintf(key, sizeof(key), "lasting %d %u", round, number);
    put_text(h, key, "value");
}

static void put_all(handle *h, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < KEYS; i++) {
            put_key(h->db, i, (char)('a' + round));
            if (i % 8 == 0) {
                put_lasting(h, round, i);
            }
        }
    }
}

static void check_all(handle *h, int rounds)
{
    static char value[VALUE_BYTES];

    memset(value, 'a' + rounds - 1, sizeof(value));
    for (unsigned i = 0; i < KEYS; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "key %u", i);
        check_bytes(h, key, value, sizeof(value));
    }
}

static void wait_a_little(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* ---- A disk that is full ------------------------------------------------- */

/* It says that there is room, as it was when the policy asked; and its clock
 * can be stopped. */
static struct {
    os_fault fault;
    os_ops ops;
    os *kernel;
    _Atomic uint64_t stopped_ns; /* what the clock says; 0: it goes */
    _Atomic uint64_t ahead_ns;   /* of the kernel's, while it goes */
    _Atomic bool is_unknown;     /* what is free */
} disk;

static uint64_t kernel_ns(void)
{
    return disk.kernel->ops->now_ns(disk.kernel) + atomic_load(&disk.ahead_ns);
}

static uint64_t disk_ns(os *self)
{
    uint64_t stopped_ns = atomic_load(&disk.stopped_ns);

    (void)self;
    return stopped_ns != 0 ? stopped_ns : kernel_ns();
}

static void stop_clock(void)
{
    atomic_store(&disk.stopped_ns, kernel_ns());
}

static void advance_clock(uint64_t ms)
{
    atomic_fetch_add(&disk.stopped_ns, ms * 1000000);
}

/* From where it stands. */
static void start_clock(void)
{
    uint64_t now = kernel_ns();
    uint64_t stopped = atomic_load(&disk.stopped_ns);

    if (stopped > now) {
        atomic_fetch_add(&disk.ahead_ns, stopped - now);
    }
    atomic_store(&disk.stopped_ns, 0);
}

static int space_of_before(os_file *dir, os_space *ret_space)
{
    (void)dir;
    if (atomic_load(&disk.is_unknown)) {
        return EOPNOTSUPP;
    }
    *ret_space = (os_space){.free = UINT64_C(1) << 40};
    return 0;
}

/* Take all that is free, and what a merge could borrow; 0 bytes: give it back.
 */
static void fill_disk(handle *h, bool is_full)
{
    os *kernel = os_sim_os(h->sim);
    const os_ops *ops = kernel->ops;
    uint64_t at = 0;
    os_file *dir;
    os_file *file;

    if (is_full) {
        (void)store_give_up_spare(h->db->store);
    }
    assert_int_equal(ops->open_dir(kernel, "/", &dir), 0);
    assert_int_equal(
        ops->open(dir, "filler", OS_READ | OS_WRITE | OS_CREATE, 0600, &file),
        0);
    assert_int_equal(ops->truncate(file, 0), 0);
    for (uint64_t step = 1 << 20; is_full && step >= 512; step /= 2) {
        while (ops->allocate(file, at, step) == 0) {
            at += step;
        }
    }
    ops->close(file);
    ops->close(dir);
}

static int open_on_disk(void **state, bool auto_merge)
{
    os_sim_options options = {.seed = 1,
                              .capacity_bytes = 16 << 20,
                              .max_file_bytes = (size_t)1 << 30};
    int result = handle_prepare(state);
    handle *h = *state;

    os_sim_free(h->sim);
    assert_int_equal(os_sim_create(&options, &h->sim), 0);
    h->kernel = os_sim_os(h->sim);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS);
    assert_int_equal(h->kernel->ops->make_dir(h->kernel, HANDLE_PATH, 0700), 0);
    disk.kernel = h->kernel;
    atomic_store(&disk.stopped_ns, 0);
    atomic_store(&disk.ahead_ns, 0);
    atomic_store(&disk.is_unknown, false);
    os_fault_init(&disk.fault, h->kernel);
    disk.ops = *disk.fault.base.ops;
    disk.ops.space = space_of_before;
    disk.ops.now_ns = disk_ns;
    disk.fault.base.ops = &disk.ops;
    h->kernel = &disk.fault.base;
    h->options.segment_max_bytes = 65536;
    h->options.auto_merge = auto_merge;
    handle_open(h);
    return result;
}

static int small_disk(void **state)
{
    int result = open_on_disk(state, true);
    handle *h = *state;

    /* Not before the test says so. */
    merge_turn_pause(h->db->store, MERGE_WAIT_CANCELLED, 3600000);
    return result;
}

static int nobody_merges(void **state)
{
    return open_on_disk(state, false);
}

static bool add_segment(void *context, const char *name)
{
    *(unsigned *)context += strstr(name, ".log") != NULL ? 1 : 0;
    return true;
}

static unsigned files_of(handle *h)
{
    unsigned count = 0;
    os_file *dir;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(h->kernel->ops->list(dir, add_segment, &count), 0);
    h->kernel->ops->close(dir);
    return count;
}

static uint32_t failures_of(const handle *h)
{
    return atomic_load(&h->db->store->region.header->merger.failures);
}

static void wait_for_failures(handle *h, uint32_t count)
{
    for (int i = 0; i < 2000 && failures_of(h) < count; i++) {
        wait_a_little();
    }
    assert_true(failures_of(h) >= count);
}

/* The pause is all there, since the clock stands. */
static void wait_for_pause(handle *h, uint64_t ms)
{
    merge_wait why = MERGE_WAIT_CANCELLED;
    uint64_t paused_ms = 0;

    for (int i = 0;
         i < 2000 && (paused_ms != ms + 1 || why != MERGE_WAIT_FAILED); i++) {
        wait_a_little();
        paused_ms = merge_turn_paused_ms(h->db->store, &why);
    }
    assert_int_equal(why, MERGE_WAIT_FAILED);
    assert_int_equal(paused_ms, ms + 1);
}

/* While the clock stands. The thread may take its first look meanwhile, and
 * merge: once. */
static cask_stats put_what_is_due(handle *h)
{
    stop_clock();
    do {
        put_all(h, 5);
    } while (handle_stats(h).dead_bytes <= 3 * KEYS * VALUE_BYTES);
    return handle_stats(h);
}

/* And stop the clock. The thread may have asked the policy a moment ago, and
 * does so again a second later at the soonest. */
static void wait_for_first_failure(handle *h)
{
    stop_clock();
    for (int i = 0; i < 20 && failures_of(h) == 0; i++) {
        advance_clock(1000);
        merge_turn_renew(h->db->store);
        for (int j = 0; j < 100 && failures_of(h) == 0; j++) {
            wait_a_little();
        }
    }
    wait_for_pause(h, 1000);
}

static void
test_a_full_disk_is_tried_later_and_later_and_loses_nothing(void **state)
{
    handle *h = *state;
    cask_merge_state now;
    cask_stats before;
    unsigned files;
    merge_wait why;

    before = put_what_is_due(h);
    fill_disk(h, true);
    files = files_of(h);
    wait_for_first_failure(h);
    assert_int_equal(failures_of(h), 1);
    advance_clock(999);
    for (int i = 0; i < 120; i++) { /* the thread looks once a second */
        wait_a_little();
    }
    assert_int_equal(failures_of(h), 1);
    advance_clock(1);
    wait_for_failures(h, 2);
    wait_for_pause(h, 2000);
    now = handle_merge_state(h);
    assert_int_equal(now.phase, CASK_MERGE_NONE);
    assert_false(now.due);
    assert_string_equal(now.reason, "the last one failed; it is tried again "
                                    "later");
    assert_int_equal(now.paused_ms, 2001);
    assert_true(now.past_count >= 2);
    assert_int_equal(now.past[0].result, CASK_NO_SPACE);
    assert_int_equal(now.past[0].did.bytes_freed, 0);
    assert_int_equal(now.past[0].did.inputs, 0);
    assert_int_equal(now.past[0].did.outputs, 0);
    /* What the failed ones wrote is gone, and nothing else. */
    assert_int_equal(files_of(h), files);
    assert_int_equal(handle_stats(h).dead_bytes, before.dead_bytes);
    assert_int_equal(handle_stats(h).live_bytes, before.live_bytes);
    check_all(h, 5);

    fill_disk(h, false);
    start_clock();
    for (int i = 0; i < 2000 && failures_of(h) > 0; i++) {
        wait_a_little();
    }
    assert_int_equal(failures_of(h), 0);
    assert_int_equal(merge_turn_paused_ms(h->db->store, &why), 0);
    assert_true(handle_stats(h).dead_bytes < before.dead_bytes / 2);
    check_all(h, 5);
    handle_reopen(h);
    check_all(h, 5);
}

/* Without a segment being dead: room may be there, so it is tried. */
static void test_a_pause_for_want_of_room_ends_when_keys_go(void **state)
{
    handle *h = *state;

    (void)put_what_is_due(h);
    put_text(h, "gone", "value");
    fill_disk(h, true);
    wait_for_first_failure(h);
    assert_int_equal(failures_of(h), 1);
    delete_text(h, "gone");
    advance_clock(500); /* the pause goes on, but for that */
    wait_for_failures(h, 2);
    start_clock();
    fill_disk(h, false);
}

/* Nobody can tell what is free: that is no room that has come. */
static void test_a_pause_lasts_if_free_space_is_not_known(void **state)
{
    handle *h = *state;

    atomic_store(&disk.is_unknown, true);
    assert_int_equal(store_free_bytes(h->db->store), UINT64_MAX);
    assert_false(store_is_disk_low(h->db->store));
    (void)put_what_is_due(h);
    fill_disk(h, true);
    wait_for_first_failure(h);
    advance_clock(999);
    for (int i = 0; i < 120; i++) { /* the thread looks once a second */
        wait_a_little();
    }
    assert_int_equal(failures_of(h), 1);
    start_clock();
    fill_disk(h, false);
}

/* But for the mark of a sync that came after the merge. */
static void expect_nothing_dead(handle *h)
{
    assert_in_range(handle_stats(h).dead_bytes, 0, RECORD_MARK_SIZE);
}

static void test_a_started_merge_that_fails_is_dropped(void **state)
{
    handle *h = *state;
    cask_merge_options all = {.all = true, .start = true};
    cask_merge_state now;

    put_all(h, 5);
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_OK);
    fill_disk(h, true);
    assert_int_equal(cask_merge(h->db, &all, NULL, NULL), CASK_OK);
    do {
        wait_a_little();
        now = handle_merge_state(h);
    } while (now.asked);
    assert_int_equal(now.started, CASK_NO_SPACE);
    check_all(h, 5);
    fill_disk(h, false);
    assert_int_equal(cask_merge(h->db, &all, NULL, NULL), CASK_OK);
    do {
        wait_a_little();
        now = handle_merge_state(h);
    } while (now.asked);
    assert_int_equal(now.started, CASK_OK);
    expect_nothing_dead(h);
    check_all(h, 5);
}

/* As it is started on a disk that has no room to seal the active segment: that
 * is the first that is not below. */
static void
test_what_could_not_be_sealed_at_the_start_is_merged_last(void **state)
{
    handle *h = *state;
    store_handle *store = h->db->store;
    uint32_t active;
    uint64_t id;

    put_all(h, 3);
    active = atomic_load(&store->region.header->active_row);
    id = atomic_load(&store->region.rows[active].file_id);
    assert_true(handle_stats(h).dead_bytes > 0);
    assert_int_equal(merge_wish_ask(store, id, NULL), CASK_OK);
    while (handle_merge_state(h).asked) {
        wait_a_little();
    }
    assert_int_equal(handle_merge_state(h).started, CASK_OK);
    active = atomic_load(&store->region.header->active_row);
    assert_true(atomic_load(&store->region.rows[active].file_id) > id);
    expect_nothing_dead(h);
    check_all(h, 3);
}

/* ---- Turns --------------------------------------------------------------- */

static void test_the_policy_is_asked_only_if_something_changed(void **state)
{
    handle *h = *state;
    store_handle *store = h->db->store;
    uint64_t before;

    assert_true(merge_turn_take(store, false));
    merge_turn_answer(store, merge_turn_state(store),
                      MERGE_WAIT_BELOW_TRIGGERS);
    assert_false(merge_turn_take(store, false)); /* not twice a second */
    atomic_store(&store->region.header->merger.asked_ns, 1);
    assert_true(merge_turn_take(store, false)); /* half a minute has passed */
    before = merge_turn_state(store);
    merge_turn_answer(store, before, MERGE_WAIT_BELOW_TRIGGERS);
    put_all(h, 1);
    assert_true(merge_turn_state(store) != before);
    /* Its own first minute is nobody else's. */
    merge_turn_answer(store, merge_turn_state(store), MERGE_WAIT_FIRST_MINUTE);
    assert_true(merge_turn_take(store, false));
}

static void test_a_status_tells_when_the_policy_is_asked_again(void **state)
{
    handle *h = *state;
    store_handle *store = h->db->store;
    region_process *own = &store->region.processes[store->process_slot];

    put_all(h, 5);
    stop_clock();
    assert_true(merge_turn_take(store, false));
    assert_int_equal(merge_turn_rest_ms(store), 0); /* no answer yet */
    merge_turn_answer(store, merge_turn_state(store),
                      MERGE_WAIT_BELOW_TRIGGERS);
    advance_clock(10000);
    assert_int_equal(merge_turn_rest_ms(store), 20000);
    assert_false(merge_turn_take(store, false));
    /* Free space has changed, say: something is due that was not. */
    assert_true(handle_merge_state(h).due);
    assert_int_equal(handle_merge_state(h).due_in_ms,
                     0); /* nobody will do it */
    atomic_store(&own->merges, 1);
    atomic_store(&own->opened_ns, 1);
    assert_true(handle_merge_state(h).due);
    assert_int_equal(handle_merge_state(h).due_in_ms, 20000);
    put_text(h, "another", "value");
    assert_int_equal(handle_merge_state(h).due_in_ms, 0);
    atomic_store(&own->merges, 0);
    advance_clock(20000);
    assert_true(merge_turn_take(store, false));
}

static void put_thread(region_process *process, handle *h, uint64_t open_ms,
                       uint32_t jitter_ms)
{
    atomic_store(&process->in_use, 1);
    atomic_store(&process->merges, 1 + jitter_ms);
    atomic_store(&process->opened_ns,
                 h->kernel->ops->now_ns(h->kernel) - open_ms * 1000000);
}

/* Slots of the same handle, as others are dead. */
static void test_the_first_that_may_merge_answers_for_all(void **state)
{
    handle *h = *state;
    store_handle *store = h->db->store;
    region_process *own = &store->region.processes[store->process_slot];
    turn_thread first;

    assert_int_equal(merge_turn_first(store, &first), 0);
    put_thread(own, h, 7000, 300);
    put_thread(own + 1, h, 90000, 0); /* nobody holds its byte of LOCK */
    assert_int_equal(merge_turn_first(store, &first), 1);
    assert_int_equal(first.jitter_ms, 300);
    assert_in_range(first.open_ms, 7000, 60000);
    atomic_store(&own[1].in_use, 0);
    atomic_store(&own[1].merges, 0);
    atomic_store(&own->merges, 0);
}

static void test_what_is_asked_for_is_due_but_for_a_pause(void **state)
{
    handle *h = *state;
    store_handle *store = h->db->store;
    region_process *own = &store->region.processes[store->process_slot];
    cask_merge_state now;

    put_all(h, 1);
    put_thread(own, h, 7000, 0);
    assert_false(handle_merge_state(h).due); /* there is nothing to gain */
    assert_int_equal(merge_wish_ask(store, 1000000, NULL), CASK_OK);
    now = handle_merge_state(h);
    assert_true(now.asked && now.due);
    assert_string_equal(now.reason, "it was asked for");
    merge_turn_note(store, CASK_IO);
    now = handle_merge_state(h);
    assert_true(now.asked && !now.due);
    assert_string_equal(now.reason,
                        "the last one failed; it is tried again later");
    atomic_store(&own->merges, 0);
}

static void test_idle_since_the_last_look_that_found_something_new(void **state)
{
    handle *h = *state;
    store_handle *store = h->db->store;
    region_merger *words = &store->region.header->merger;

    assert_int_equal(merge_turn_idle_ms(store), 0); /* nobody has looked */
    merge_turn_watch(store);
    atomic_fetch_sub(&words->rest_since_ns, UINT64_C(20000000000));
    assert_in_range(merge_turn_idle_ms(store), 20000, 60000);
    merge_turn_watch(store);
    assert_in_range(merge_turn_idle_ms(store), 20000, 60000);
    put_text(h, "key", "value");
    assert_int_equal(merge_turn_idle_ms(store), 0);
    merge_turn_watch(store);
    assert_in_range(merge_turn_idle_ms(store), 0, 10000);
    /* A merge writes nothing, in this sense; nor do gets. */
    atomic_fetch_sub(&words->rest_since_ns, UINT64_C(20000000000));
    assert_int_equal(
        cask_merge(h->db, &(cask_merge_options){.all = true}, NULL, NULL),
        CASK_OK);
    check_text(h, "key", "value");
    merge_turn_watch(store);
    assert_in_range(merge_turn_idle_ms(store), 20000, 60000);
    delete_text(h, "key");
    merge_turn_watch(store);
    assert_in_range(merge_turn_idle_ms(store), 0, 10000);
}

static void test_what_nobody_takes_is_told_and_can_be_done_here(void **state)
{
    handle *h = *state;
    cask_merge_options all = {.all = true};
    cask_merge_state now;

    put_all(h, 3);
    assert_int_equal(merge_wish_ask(h->db->store, 1000000, NULL), CASK_OK);
    now = handle_merge_state(h);
    assert_true(now.asked);
    assert_int_equal(now.threads, 0);
    assert_false(now.due);
    assert_string_equal(now.reason,
                        "it was asked for, but no open handle has auto_merge");
    /* By policy less is merged than was asked for. */
    assert_int_equal(cask_merge(h->db, NULL, NULL, NULL), CASK_OK);
    assert_true(handle_merge_state(h).asked);
    assert_int_equal(cask_merge(h->db, &all, NULL, NULL), CASK_OK);
    now = handle_merge_state(h);
    assert_false(now.asked);
    assert_int_equal(now.started, CASK_OK);
    assert_string_not_equal(
        now.reason, "it was asked for, but no open handle has auto_merge");
    check_all(h, 3);
}

static void test_the_last_sixteen_merges_are_remembered(void **state)
{
    handle *h = *state;
    cask_merge_options all = {.all = true};
    cask_merge_report report;
    cask_merge_state now;

    for (int i = 0; i < CASK_PAST_MERGES + 4; i++) {
        put_all(h, 2);
        assert_int_equal(cask_merge(h->db, &all, &report, NULL), CASK_OK);
    }
    now = handle_merge_state(h);
    assert_int_equal(now.past_count, CASK_PAST_MERGES);
    assert_true(now.past[0].number >= CASK_PAST_MERGES + 4);
    for (size_t i = 0; i < now.past_count; i++) {
        const cask_past_merge *past = &now.past[i];

        assert_int_equal(past->number, now.past[0].number - i);
        assert_int_equal(past->began_ms, HANDLE_NOW_MS);
        assert_int_equal(past->result, CASK_OK);
        assert_int_equal(past->pid, h->kernel->ops->pid(h->kernel));
        assert_true(past->did.bytes_read > 0);
        assert_true(past->did.bytes_freed >= past->did.bytes_read);
        assert_string_equal(past->reason, "everything was asked for");
    }
    assert_in_range(now.past[0].did.inputs, 1, report.inputs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_full_disk_is_tried_later_and_later_and_loses_nothing,
            small_disk, handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_pause_for_want_of_room_ends_when_keys_go, small_disk,
            handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_pause_lasts_if_free_space_is_not_known, small_disk,
            handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_started_merge_that_fails_is_dropped, small_disk,
            handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_what_could_not_be_sealed_at_the_start_is_merged_last,
            small_disk, handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_the_policy_is_asked_only_if_something_changed, small_segments,
            handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_status_tells_when_the_policy_is_asked_again, nobody_merges,
            handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_the_first_that_may_merge_answers_for_all, small_segments,
            handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_what_is_asked_for_is_due_but_for_a_pause, small_segments,
            handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_idle_since_the_last_look_that_found_something_new,
            small_segments, handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_what_nobody_takes_is_told_and_can_be_done_here, small_segments,
            handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_the_last_sixteen_merges_are_remembered, small_segments,
            handle_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
