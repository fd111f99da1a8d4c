/*
 * Death at any instruction of a put: a child puts under single-step and is
 * killed after n instructions, for many n. Who comes next finds everything, and
 * goes on.
 *
 *   CASK_TEST_POINTS  how many deaths of each kind (default 20), but for short
 *                     ways, of which each instruction is one
 */
#include "cask_test.h"

#include <inttypes.h>

#include "process/memtable_crew.h"
#include "process/stepper.h"
#include "support/random.h"
#include "tree/memtable_append.h"
#include "tree/memtable_layout.h"

/* What is swept: the instructions from the call of a function on. */
typedef struct plan {
    bool (*is_ready)(crew *c); /* when the child takes over */
    void (*function)(void);
    uint64_t hits;   /* one of the first so many calls */
    uint64_t window; /* instructions */
    unsigned puts;   /* that the child does, at most */
    bool each;       /* after each of the instructions, in turn */
    bool is_rising;  /* keys come in order */
} plan;

typedef struct errand {
    crew *c;
    unsigned puts;
} errand;

static void *prepare(void *context)
{
    return context;
}

static int perform(void *prepared, void *context)
{
    const errand *e = prepared;

    (void)context;
    for (unsigned i = 0; i < e->puts; i++) {
        crew_work(e->c);
    }
    return 0;
}

static void sweep(const plan *wanted, uint64_t limit)
{
    uint64_t points =
        wanted->each ? wanted->window : test_number("CASK_TEST_POINTS", 20);
    test_random random = test_random_make(test_seed(), 0);
    crew *c = crew_make(limit);
    errand e = {c, wanted->puts};
    const stepper_work work = {prepare, perform, &e};
    uint64_t deaths = 0;
    uint64_t longest = 0;

    c->is_rising = wanted->is_rising;
    for (uint64_t i = 0; i < points; i++) {
        uint64_t hit = 1 + test_random_next(&random, wanted->hits);
        uint64_t steps =
            1 + (wanted->each ? i : test_random_next(&random, wanted->window));
        uint64_t done = 0;
        pid_t pid;

        do {
            crew_work(c);
        } while (!wanted->is_ready(c));
        pid = stepper_start(&work);
        if (stepper_run_to(pid, wanted->function, hit)) {
            done = stepper_step(pid, steps);
            deaths += done == steps;
            longest = done > longest ? done : longest;
        }
        stepper_kill(pid);
        crew_take_over(c);
        crew_compare(c);
    }
    print_message("%" PRIu64 " deaths, up to %" PRIu64 " instructions\n",
                  deaths, longest);
    assert_true(deaths > points / 8);
    crew_free(c);
}

/* ---- When ---- */

static bool always(crew *c)
{
    (void)c;
    return true;
}

static uint64_t operations(const crew *c)
{
    return atomic_load(&c->words->applied) -
           (atomic_load(&c->words->current) >> 1);
}

/* A memtable with some leaves. */
static bool has_leaves(crew *c)
{
    return operations(c) > 300;
}

/* The node above the leaves is full. */
static bool has_full_root(crew *c)
{
    memtable_view view;
    const memtable_node *root;
    uint64_t word;

    if (!memtable_open(&c->region, atomic_load(&c->words->current) & 1,
                       &c->log.log, &view)) {
        return false;
    }
    root = region_line(&c->region,
                       reference_line(memtable_load(&view.memtable->root)));
    word = memtable_load(&root->word);
    return node_level(word) == 1 && node_count(word) == MEMTABLE_FENCES;
}

/* ---- Tests ---- */

static void test_a_put_is_done_or_not(void **state)
{
    const plan p = {
        always, STEPPER_FUNCTION(memtable_aim_locked), 1, 1500, 1, false,
        false};

    (void)state;
    sweep(&p, 3000);
}

static void test_an_entry_is_added_or_not(void **state)
{
    const plan p = {
        always, STEPPER_FUNCTION(memtable_store_locked), 1, 450, 1, true,
        false};

    (void)state;
    sweep(&p, 3000);
}

static void test_entries_are_added_together_or_not(void **state)
{
    const plan p = {has_leaves, STEPPER_FUNCTION(memtable_append_locked),
                    5,          1500,
                    400,        false,
                    true};

    (void)state;
    sweep(&p, 3000);
}

static void test_new_leaves_lose_nothing(void **state)
{
    const plan p = {
        has_leaves, STEPPER_FUNCTION(memtable_take_node), 3, 6000, 400, false,
        false};

    (void)state;
    sweep(&p, 5000);
}

/* The leaf where the next key would go without a search is split, or gets a
 * shorter prefix. */
static void test_new_leaves_of_rising_keys_lose_nothing(void **state)
{
    const plan p = {
        has_leaves, STEPPER_FUNCTION(memtable_take_node), 3, 6000, 400, false,
        true};

    (void)state;
    sweep(&p, 5000);
}

static void test_what_is_replaced_is_given_back_once(void **state)
{
    const plan p = {
        has_leaves, STEPPER_FUNCTION(memtable_give_node), 4, 60, 400, true,
        false};

    (void)state;
    sweep(&p, 5000);
}

static void test_new_inner_nodes_lose_nothing(void **state)
{
    const plan p = {has_full_root,
                    STEPPER_FUNCTION(memtable_take_node),
                    6,
                    9000,
                    400,
                    false,
                    false};

    (void)state;
    sweep(&p, CREW_LIMIT);
}

static void test_a_memtable_begins_or_not(void **state)
{
    const plan p = {
        always, STEPPER_FUNCTION(memtable_begin_locked), 1, 9000, 1200, false,
        false};

    (void)state;
    sweep(&p, 1000);
}

static void test_a_memtable_is_freed_once(void **state)
{
    const plan p = {
        always, STEPPER_FUNCTION(memtable_free_locked), 1, 160, 1200, false,
        false};

    (void)state;
    sweep(&p, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_put_is_done_or_not),
        cmocka_unit_test(test_an_entry_is_added_or_not),
        cmocka_unit_test(test_entries_are_added_together_or_not),
        cmocka_unit_test(test_new_leaves_lose_nothing),
        cmocka_unit_test(test_new_leaves_of_rising_keys_lose_nothing),
        cmocka_unit_test(test_what_is_replaced_is_given_back_once),
        cmocka_unit_test(test_new_inner_nodes_lose_nothing),
        cmocka_unit_test(test_a_memtable_begins_or_not),
        cmocka_unit_test(test_a_memtable_is_freed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
