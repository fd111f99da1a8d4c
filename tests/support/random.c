/*
 * splitmix64: small, and every seed is as good as another.
 */
#include "support/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t test_number(const char *variable, uint64_t fallback)
{
    const char *text = getenv(variable);

    return text == NULL || text[0] == 0 ? fallback : strtoull(text, NULL, 0);
}

uint64_t test_seed(void)
{
    static uint64_t seed;
    static bool known;
    struct timespec now;

    if (known) {
        return seed;
    }
    known = true;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    seed = test_number("CASK_TEST_SEED", test_mix((uint64_t)now.tv_nsec ^
                                                  (uint64_t)now.tv_sec << 20 ^
                                                  (uint64_t)getpid() << 40) >>
                                             16);
    printf("CASK_TEST_SEED=%" PRIu64 "\n", seed);
    (void)fflush(stdout);
    return seed;
}

uint64_t test_mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

test_random test_random_make(uint64_t seed, uint64_t number)
{
    return (test_random){test_mix(seed) ^ test_mix(~number)};
}

uint64_t test_random_next(test_random *random, uint64_t limit)
{
    uint64_t value = test_mix(random->state);

    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return limit == 0 ? value : value % limit;
}

bool test_random_chance(test_random *random, unsigned percent)
{
    return test_random_next(random, 100) < percent;
}

uint64_t test_random_shared(void)
{
    static test_random shared;
    static bool known;

    if (!known) {
        shared = test_random_make(test_seed(), 0);
        known = true;
    }
    return test_random_next(&shared, 0);
}
