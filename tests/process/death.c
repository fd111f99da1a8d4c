/*
 * Deaths of a child, at random instructions and at each system call.
 */
#include "process/death.h"

#include "cask_test.h"

#include <inttypes.h>

#ifndef DEATH_POINTS /* of a sweep; a slow test may have fewer */
#define DEATH_POINTS 25
#endif

enum { CALLS_LEAST = 40 };

bool death_at(const death_round *round, const death_place *where)
{
    uint64_t hit = 1 + test_random_next(round->random, where->hits);
    uint64_t limit = 1 + test_random_next(round->random, where->window);
    pid_t pid = stepper_start(&round->work);
    bool died = stepper_run_to(pid, where->function, hit) &&
                stepper_step(pid, limit) == limit;

    stepper_kill(pid);
    return died;
}

void death_sweep(const death_round *round, const death_place *where)
{
    uint64_t points = test_number("CASK_TEST_POINTS", DEATH_POINTS);
    uint64_t deaths = 0;

    for (uint64_t i = 0; i < points; i++) {
        round->begin(round->work.context);
        deaths += death_at(round, where) ? 1 : 0;
        round->end(round->work.context);
    }
    print_message("%" PRIu64 " deaths of %" PRIu64 "\n", deaths, points);
    assert_true(deaths > points / 4);
}

void death_sweep_calls(const death_round *round, uint64_t stride)
{
    uint64_t limit = 0;
    uint64_t made;

    do {
        pid_t pid;

        limit += 1 + test_random_next(round->random, 2 * stride - 1);
        round->begin(round->work.context);
        pid = stepper_start(&round->work);
        made = stepper_run_calls(pid, limit);
        stepper_kill(pid);
        round->end(round->work.context);
    } while (made == limit);
    print_message("%" PRIu64 " entries to and returns from calls\n", made);
    assert_true(made > CALLS_LEAST);
}
