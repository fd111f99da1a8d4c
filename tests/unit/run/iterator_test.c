/*
 * Iterators and look-ups of runs against an oracle, which is a sorted array:
 * random entries, every way to seek, both directions.
 */
#include "unit/run/run_place.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 60, ENTRIES_MAX = 1500, KEY_MAX = 24, PROBES = 300 };

typedef struct oracle {
    cask_run_entry entries[ENTRIES_MAX];
    char keys[ENTRIES_MAX][KEY_MAX + 1];
    char values[ENTRIES_MAX][KEY_MAX + 1];
    char room[ENTRIES_MAX * 2]; /* values point here, too */
    size_t count;
} oracle;

/* Few letters and often a common front, so that keys are alike. */
static size_t random_key(char key[KEY_MAX + 1], uint32_t letters, size_t front)
{
    size_t size = run_random() % (KEY_MAX - front + 1) + front;

    if (run_random() % 4 == 0) {
        size = front + run_random() % 3;
    }
    memset(key, 'm', KEY_MAX);
    for (size_t i = front; i < size; i++) {
        key[i] = (char)('a' + run_random() % letters);
    }
    key[size] = '\0';
    return size;
}

static int compare_entries(const void *a, const void *b)
{
    const cask_run_entry *left = a;
    const cask_run_entry *right = b;
    int order = key_compare(left->key, right->key);

    if (order != 0) {
        return order;
    }
    return left->info.sequence > right->info.sequence ? -1 : 1;
}

static cask_run_entry random_entry(oracle *o, size_t i, uint32_t letters,
                                   size_t front)
{
    cask_run_entry entry = {.kind = CASK_RUN_PUT,
                            .info = {.sequence = i + 1, .time_s = 1}};

    entry.key.size = random_key(o->keys[i], letters, front);
    entry.key.data = o->keys[i];
    switch (run_random() % 8) {
    case 0:
        entry.kind = CASK_RUN_DELETE;
        return entry;
    case 1:
        entry.kind = CASK_RUN_POINTER;
        entry.pointer = (cask_run_pointer){run_random() % 5, i * 8, 40};
        return entry;
    case 2:
        entry.value.size = random_key(o->values[i], letters, front);
        entry.value.data = o->values[i];
        if (i % 16 == 0 && key_compare(entry.key, entry.value) < 0) {
            entry.kind = CASK_RUN_DELETE_RANGE;
        }
        return entry;
    default:
        entry.value = (cask_slice){o->room, run_random() % sizeof(o->room)};
        if (run_random() % 8 != 0) {
            entry.value.size %= 200;
        }
        entry.info.expires_at_ms = run_random() % 3;
        return entry;
    }
}

static void fill_oracle(oracle *o)
{
    uint32_t letters = (uint32_t)(run_random() % 20) + 1;
    size_t front = run_random() % 2 * (run_random() % 12);

    o->count =
        run_random() % 4 == 0 ? run_random() % 5 : run_random() % ENTRIES_MAX;
    for (size_t i = 0; i < sizeof(o->room); i++) {
        o->room[i] = (char)i;
    }
    for (size_t i = 0; i < o->count; i++) {
        o->entries[i] = random_entry(o, i, letters, front);
    }
    qsort(o->entries, o->count, sizeof(o->entries[0]), compare_entries);
}

/* What a seek must find; o->count: nothing. */
static size_t expected_index(const oracle *o, cask_run_seek how, cask_slice key)
{
    size_t at = 0;

    if (how == CASK_RUN_FIRST) {
        return 0;
    }
    if (how == CASK_RUN_LAST) {
        return o->count > 0 ? o->count - 1 : 0;
    }
    while (at < o->count && key_compare(o->entries[at].key, key) <
                                (how == CASK_RUN_AT_MOST ? 1 : 0)) {
        at++;
    }
    if (how == CASK_RUN_AT_LEAST) {
        return at;
    }
    return at > 0 ? at - 1 : o->count;
}

static void check_step(const oracle *o, cask_status status, size_t index,
                       const cask_run_entry *got)
{
    if (index < o->count) {
        assert_int_equal(status, CASK_OK);
        assert_entry(got, &o->entries[index]);
    } else {
        assert_int_equal(status, CASK_NOT_FOUND);
    }
}

static void check_whole(const oracle *o, cask_run_iterator *it)
{
    cask_run_entry got;
    cask_status status =
        run_iterator_seek(it, CASK_RUN_FIRST, (cask_slice){0}, &got, NULL);

    for (size_t i = 0; i < o->count; i++) {
        check_step(o, status, i, &got);
        status = run_iterator_next(it, &got, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    status = run_iterator_seek(it, CASK_RUN_LAST, (cask_slice){0}, &got, NULL);
    for (size_t i = o->count; i > 0; i--) {
        check_step(o, status, i - 1, &got);
        status = run_iterator_previous(it, &got, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
}

/* Seek, then wander. */
static void check_walk(const oracle *o, cask_run_iterator *it, cask_slice key)
{
    cask_run_seek how = (cask_run_seek)(run_random() % 4 + 1);
    size_t index = expected_index(o, how, key);
    cask_run_entry got;
    cask_status status = run_iterator_seek(it, how, key, &got, NULL);

    check_step(o, status, index, &got);
    for (int i = 0; i < 12 && status == CASK_OK; i++) {
        if (run_random() % 2 == 0) {
            index++;
            status = run_iterator_next(it, &got, NULL);
        } else {
            index = index > 0 ? index - 1 : o->count;
            status = run_iterator_previous(it, &got, NULL);
        }
        check_step(o, status, index, &got);
    }
}

/* What the run must say of a key, or NULL. */
static const cask_run_entry *expected_entry(const oracle *o, cask_slice key,
                                            uint64_t limit)
{
    const cask_run_entry *best = NULL;

    for (size_t i = 0; i < o->count; i++) {
        const cask_run_entry *entry = &o->entries[i];
        bool concerns = entry->kind == CASK_RUN_DELETE_RANGE
                            ? key_compare(entry->key, key) <= 0 &&
                                  key_compare(key, entry->value) < 0
                            : key_compare(entry->key, key) == 0;

        if (concerns && entry->info.sequence <= limit &&
            (best == NULL || entry->info.sequence > best->info.sequence)) {
            best = entry;
        }
    }
    return best;
}

static void check_get(const oracle *o, const cask_run *run, cask_slice key)
{
    uint64_t sequence = run_random() % 2 * (run_random() % (o->count + 2));
    const cask_run_entry *expected =
        expected_entry(o, key, sequence != 0 ? sequence : UINT64_MAX);
    cask_buffer value = {0};
    cask_run_entry got;
    cask_status status = run_get(run, key, sequence, &value, &got, NULL);

    assert_int_equal(status, expected != NULL ? CASK_OK : CASK_NOT_FOUND);
    if (expected != NULL) {
        assert_entry(&got, expected);
    }
    cask_buffer_free(&value);
}

static void test_random_runs_answer_as_the_oracle(void **state)
{
    run_place *place = *state;
    oracle *o = malloc(sizeof(*o));

    assert_non_null(o);
    for (int round = 0; round < ROUNDS; round++) {
        const cask_run_options options = {.no_filter = run_random() % 4 == 0,
                                          .prefix_bytes =
                                              (uint32_t)(run_random() % 6)};
        cask_run_iterator it = {0};
        cask_run *run = NULL;

        fill_oracle(o);
        run_place_write(place, &options, o->entries, o->count);
        assert_int_equal(run_open(place->dir, RUN_NAME, NULL, &run, NULL),
                         CASK_OK);
        it.run = run;
        check_whole(o, &it);
        for (int i = 0; i < PROBES; i++) {
            char other[KEY_MAX + 1];
            cask_slice key = {other, random_key(other, 20, 0)};

            if (o->count > 0 && run_random() % 4 != 0) {
                key = o->entries[run_random() % o->count].key;
                assert_true(run->footer.prefix_bytes > key.size ||
                            run_may_have_prefix(run, key) ||
                            run->footer.ranges > 0);
            }
            check_walk(o, &it, key);
            check_get(o, run, key);
        }
        run_close(run);
        assert_int_equal(place->dir->os->ops->remove(place->dir, RUN_NAME), 0);
    }
    free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_runs_answer_as_the_oracle,
                                        run_place_setup, run_place_teardown),
    };

    return cmocka_run_group_tests_name("iterator", tests, NULL, NULL);
}
