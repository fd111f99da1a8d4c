/*
 * Writers of memtables are killed at random moments, one after the other,
 * beside a process that reads. Who comes next finds all that was applied, once.
 *
 *   CASK_TEST_KILLS  how many deaths (default 250)
 */
#include "cask_test.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process/memtable_crew.h"
#include "support/random.h"

static void end_child(pid_t pid)
{
    int status = 0;

    (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        fail_msg("a child ended with %x", (unsigned)status);
    }
}

static pid_t start_writer(crew *c)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    while (pid == 0) {
        crew_work(c);
    }
    return pid;
}

static pid_t start_reader(crew *c)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        crew_read(c, test_seed());
    }
    return pid;
}

static void kill_writers(bool is_rising, uint64_t rounds)
{
    test_random random = test_random_make(test_seed(), 0);
    crew *c = crew_make(30000);
    uint64_t begun = 0;
    pid_t reader;

    c->is_rising = is_rising;
    reader = start_reader(c);
    for (uint64_t i = 0; i < rounds; i++) {
        pid_t writer = start_writer(c);
        struct timespec wait = {
            0, (long)test_random_next(&random, i % 8 == 0 ? 8000000 : 800000)};

        (void)nanosleep(&wait, NULL);
        end_child(writer);
        begun +=
            atomic_load(&c->words->appended) != atomic_load(&c->words->applied);
        crew_take_over(c);
        crew_compare(c);
        assert_int_equal(atomic_load(&c->words->wrong), 0);
    }
    end_child(reader);
    print_message("%" PRIu64 " deaths, %" PRIu64
                  " with a record to be put, %" PRIu64 " puts, %" PRIu64
                  " reads\n",
                  rounds, begun, atomic_load(&c->words->applied),
                  atomic_load(&c->words->reads));
    assert_true(begun > 0);
    assert_true(atomic_load(&c->words->reads) > 0);
    crew_free(c);
}

static void test_what_a_killed_writer_applied_is_there_once(void **state)
{
    (void)state;
    kill_writers(false, test_number("CASK_TEST_KILLS", 250) * 3 / 5);
}

static void test_what_it_applied_together_is_there_once(void **state)
{
    (void)state;
    kill_writers(true, test_number("CASK_TEST_KILLS", 250) * 2 / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_killed_writer_applied_is_there_once),
        cmocka_unit_test(test_what_it_applied_together_is_there_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
