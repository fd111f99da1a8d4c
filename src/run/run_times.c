/*
 * Times of a run's records, see run_times.h.
 */
#include "run/run_times.h"

#include <stdlib.h>

double run_times_share(const run_times *times, uint32_t now)
{
    if (now < times->first || times->last == 0) {
        return 0;
    }
    if (now >= times->last) {
        return 1;
    }
    if (now < times->middle) {
        return 0.5 * (now - times->first) / (times->middle - times->first);
    }
    return 0.5 + 0.5 * (now - times->middle) / (times->last - times->middle);
}

/* Every second of those taken goes. */
static void thin_out(run_times_sample *sample)
{
    for (uint32_t i = 0; i < RUN_TIMES_SAMPLE / 2; i++) {
        sample->time[i] = sample->time[2 * i];
    }
    sample->taken = RUN_TIMES_SAMPLE / 2;
    sample->stride *= 2;
}

void run_times_add(run_times_sample *sample, uint32_t time)
{
    if (sample->count == 0) {
        sample->first = time;
        sample->stride = 1;
    }
    sample->first = time < sample->first ? time : sample->first;
    sample->last = time > sample->last ? time : sample->last;
    if (sample->count % sample->stride == 0) {
        if (sample->taken == RUN_TIMES_SAMPLE) {
            thin_out(sample);
        }
        if (sample->count % sample->stride == 0) {
            sample->time[sample->taken++] = time;
        }
    }
    sample->count++;
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

run_times run_times_of(run_times_sample *sample)
{
    if (sample->count == 0) {
        return (run_times){0};
    }
    qsort(sample->time, sample->taken, sizeof(sample->time[0]), compare);
    return (run_times){sample->first, sample->time[sample->taken / 2],
                       sample->last};
}
