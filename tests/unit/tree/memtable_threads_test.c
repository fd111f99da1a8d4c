/*
 * Readers of memtables beside a writer that puts, replaces, keeps versions for
 * a snapshot, and frees one memtable after the other.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "cask_test.h"
#include "region/place.h"
#include "support/random.h"
#include "unit/tree/record_log.h"

/* ThreadSanitizer is slow and needs few rounds to see a race. */
#if defined(__SANITIZE_THREAD__)
enum { KEYS = 2000, ROUNDS = 40 };
#else
enum { KEYS = 20000, ROUNDS = 30 };
#endif

enum { READERS = 3, USED = 2, NAME = 16, LOG_BYTES = 1 << 30 };

/* What is known of one of the memtables in turn. */
typedef struct known {
    _Atomic uint64_t added;          /* keys order[0] .. are there */
    _Atomic uint64_t sequence[KEYS]; /* of the newest put that is done */
} known;

typedef struct scene {
    region_handle region;
    record_log log;
    pthread_mutex_t lock;     /* the write lock */
    uint64_t sequence;        /* lock */
    uint64_t snapshot;        /* lock; 0: none */
    _Atomic unsigned current; /* memtable in use */
    _Atomic bool stop;
    known known[USED];
    uint32_t order[KEYS]; /* in which keys are added */
    uint32_t rank[KEYS];  /* and the reverse */
} scene;

typedef struct reader {
    scene *s;
    test_random random;
    uint64_t done;
    uint64_t gone;
    const char *wrong; /* NULL: nothing */
} reader;

static cask_slice name_of(uint64_t number, char text[NAME + 1])
{
    for (int i = NAME - 1; i >= 0; i--, number /= 10) {
        text[i] = (char)('0' + number % 10);
    }
    return (cask_slice){text, NAME};
}

static uint64_t number_of(cask_slice key)
{
    const char *text = key.data;
    uint64_t number = 0;

    for (size_t i = 0; i < key.size; i++) {
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    return number;
}

/* ---- Writing ---- */

static void put(scene *s, const memtable_view *view, known *k, uint64_t number)
{
    char text[NAME + 1];
    memtable_put wanted = {.key = name_of(number, text)};

    (void)pthread_mutex_lock(&s->lock);
    wanted.sequence = ++s->sequence;
    wanted.snapshot = s->snapshot;
    assert_true(record_log_put(&s->log, view, wanted, true) != 0);
    atomic_store(&k->sequence[number], wanted.sequence);
    (void)pthread_mutex_unlock(&s->lock);
}

static void fill(scene *s, unsigned index, test_random *random)
{
    known *k = &s->known[index];
    memtable_view view;

    atomic_store(&k->added, 0);
    for (uint64_t i = 0; i < KEYS; i++) {
        atomic_store(&k->sequence[i], 0);
    }
    assert_int_equal(
        region_reserve(&s->region, memtable_begin_lines(KEYS), NULL), CASK_OK);
    assert_true(memtable_begin_locked(&s->region, index, KEYS));
    atomic_store(&s->current, index);
    assert_true(memtable_open(&s->region, index, &s->log.log, &view));
    for (uint64_t i = 0; i < KEYS; i++) {
        put(s, &view, k, s->order[i]);
        atomic_store(&k->added, i + 1);
        put(s, &view, k, s->order[test_random_next(random, i + 1)]);
    }
}

/* ---- Reading ---- */

static bool find_one(reader *r, const memtable_view *view, const known *k)
{
    uint64_t added = atomic_load(&k->added);
    uint64_t number;
    uint64_t sequence;
    char text[NAME + 1];
    memtable_entry entry;
    memtable_result result;
    cask_slice key;

    if (added == 0) {
        return true;
    }
    number = r->s->order[test_random_next(&r->random, added)];
    key = name_of(number, text);
    sequence = atomic_load(&k->sequence[number]);
    result = memtable_find(view, key, record_log_hash(key), UINT64_MAX, &entry);
    if (result == MEMTABLE_GONE) {
        return false;
    }
    if (result != MEMTABLE_FOUND) {
        r->wrong = "a key that is there is not found";
    } else if (number_of(entry.key) != number) {
        r->wrong = "another key is found";
    } else if (entry.sequence < sequence) {
        r->wrong = "an older version is found";
    }
    return true;
}

/* Whether one of the keys from `*next` up to, or down to, a number was there.
 */
static bool passes_over(const scene *s, uint64_t added, uint64_t *next,
                        uint64_t number, bool back)
{
    while (*next != number && *next < KEYS) {
        if (s->rank[*next] < added) {
            return true;
        }
        *next += back ? UINT64_MAX : 1;
    }
    return *next != number;
}

/* From a key on, in either direction: what is passed over was not there. */
static bool walk(reader *r, const memtable_view *view, const known *k,
                 bool back)
{
    uint64_t added = atomic_load(&k->added);
    uint64_t next = test_random_next(&r->random, KEYS);
    uint64_t last = UINT64_MAX;
    uint64_t last_sequence = 0;
    memtable_cursor cursor;
    char text[NAME + 1];
    cask_slice key = name_of(next, text);
    memtable_result result =
        back ? memtable_seek_back(&cursor, view, key, 0)
             : memtable_seek(&cursor, view, key, UINT64_MAX);

    for (int i = 0; i < 300 && result == MEMTABLE_FOUND; i++) {
        uint64_t number = number_of(cursor.entry.key);

        if (number == last) {
            if (back == (cursor.entry.sequence <= last_sequence)) {
                r->wrong = "versions are not in order";
            }
        } else if (passes_over(r->s, added, &next, number, back)) {
            r->wrong = "a walk passed over a key, or went the wrong way";
        } else {
            next = number + (back ? UINT64_MAX : 1);
        }
        last = number;
        last_sequence = cursor.entry.sequence;
        result = back ? memtable_previous(&cursor) : memtable_next(&cursor);
    }
    if (result == MEMTABLE_NONE &&
        passes_over(r->s, added, &next, back ? UINT64_MAX : KEYS, back)) {
        r->wrong = "a walk ended before a key";
    }
    if (result == MEMTABLE_UNREADABLE) {
        r->wrong = "a record could not be read";
    }
    return result != MEMTABLE_GONE;
}

static void *read_entries(void *argument)
{
    reader *r = argument;

    while (!atomic_load(&r->s->stop) && r->wrong == NULL) {
        unsigned index = atomic_load(&r->s->current);
        memtable_view view;
        bool is_there =
            memtable_open(&r->s->region, index, &r->s->log.log, &view);

        while (is_there && !atomic_load(&r->s->stop) && r->wrong == NULL) {
            const known *k = &r->s->known[index];
            uint64_t what = test_random_next(&r->random, 20);

            is_there =
                what > 1 ? find_one(r, &view, k) : walk(r, &view, k, what == 1);
            r->done++;
        }
        r->gone++;
    }
    return NULL;
}

/* A snapshot is what it was, whatever is put meanwhile: in both directions. */
static bool compare_snapshot(reader *r, const memtable_view *view,
                             const uint64_t *was, uint64_t sequence, bool back)
{
    memtable_cursor cursor;
    uint64_t last = KEYS;
    uint64_t newest = 0;
    uint64_t right = 0;
    uint64_t expected = 0;
    memtable_result result = back ? memtable_seek_last(&cursor, view)
                                  : memtable_seek_first(&cursor, view);

    for (uint64_t i = 0; i < KEYS; i++) {
        expected += was[i] != 0;
    }
    while (result == MEMTABLE_FOUND) {
        uint64_t number = number_of(cursor.entry.key);

        if (cursor.entry.sequence <= sequence) {
            newest = number != last || cursor.entry.sequence > newest
                         ? cursor.entry.sequence
                         : newest;
            right += cursor.entry.sequence == was[number];
            last = number;
        }
        result = back ? memtable_previous(&cursor) : memtable_next(&cursor);
    }
    if (result == MEMTABLE_NONE && right != expected) {
        r->wrong = "a snapshot has lost something";
    }
    return result == MEMTABLE_NONE;
}

static void *take_snapshots(void *argument)
{
    reader *r = argument;
    scene *s = r->s;
    uint64_t *was = calloc(KEYS, sizeof(*was));

    while (!atomic_load(&s->stop) && r->wrong == NULL) {
        memtable_view view;
        uint64_t sequence;
        unsigned index;
        bool is_there;

        (void)pthread_mutex_lock(&s->lock);
        index = atomic_load(&s->current);
        is_there = memtable_open(&s->region, index, &s->log.log, &view);
        sequence = s->sequence;
        s->snapshot = sequence;
        for (uint64_t i = 0; i < KEYS; i++) {
            was[i] = atomic_load(&s->known[index].sequence[i]);
        }
        (void)pthread_mutex_unlock(&s->lock);
        for (int i = 0; i < 4 && is_there && r->wrong == NULL; i++) {
            is_there = compare_snapshot(r, &view, was, sequence, i % 2 == 1);
            r->done++;
        }
        r->gone++;
        (void)pthread_mutex_lock(&s->lock);
        s->snapshot = 0;
        (void)pthread_mutex_unlock(&s->lock);
        (void)sched_yield(); /* a mutex is not fair */
    }
    free(was);
    return NULL;
}

/* ---- Tests ---- */

static scene *make_scene(test_random *random)
{
    scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    record_log_make(&s->log, LOG_BYTES);
    record_log_region(&s->region);
    assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t other = (uint32_t)test_random_next(random, i + 1);

        s->order[i] = s->order[other];
        s->order[other] = i;
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        s->rank[s->order[i]] = i;
    }
    return s;
}

static void
test_readers_find_all_that_is_there_while_a_writer_puts(void **state)
{
    test_random random = test_random_make(test_seed(), 1);
    scene *s = make_scene(&random);
    pthread_t threads[READERS];
    reader readers[READERS];
    uint64_t gone = 0;

    (void)state;
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] =
            (reader){.s = s, .random = test_random_make(test_seed(), 10 + i)};
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        i == 0 ? take_snapshots : read_entries,
                                        &readers[i]),
                         0);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        fill(s, round % USED, &random);
        (void)pthread_mutex_lock(&s->lock);
        memtable_free_locked(&s->region, round % USED);
        (void)pthread_mutex_unlock(&s->lock);
    }
    atomic_store(&s->stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (readers[i].wrong != NULL) {
            fail_msg("reader %u: %s", i, readers[i].wrong);
        }
        assert_true(readers[i].done > 0);
        gone += readers[i].gone;
        print_message("reader %u: %" PRIu64 " times, %" PRIu64 " memtables\n",
                      i, readers[i].done, readers[i].gone);
    }
    assert_true(gone > 0);
    (void)pthread_mutex_destroy(&s->lock);
    region_detach(&s->region);
    record_log_free(&s->log);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_readers_find_all_that_is_there_while_a_writer_puts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
