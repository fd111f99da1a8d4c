/*
 * Ordered access to a store, against an oracle: any number of iterators and
 * snapshots at once, between writes, flushes and jumps of the clock. Each sees
 * its moment to the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cask_test.h"
#include "db/db.h"
#include "support/random.h"
#include "support/require.h"
#include "tree/tree_flush.h"
#include "unit/tree/tree_handle.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { ROUNDS = 4 };
#else
enum { ROUNDS = 100 };
#endif

enum {
    STEPS = 1500,
    KEYS = 150,
    KEY_SIZE = 6,
    VALUE_SIZE = 6000,
    WALKS = 5,
    SNAPSHOTS = 3
};

/* ---- The oracle ---- */

/* What the store is at one moment. */
typedef struct view {
    uint64_t value[KEYS];      /* what was put last; 0: nothing */
    uint64_t expires_ms[KEYS]; /* 0: never */
    uint64_t now_ms;
} view;

typedef struct walk {
    cask_iterator *iterator; /* NULL: none */
    view seen;
    bool is_own; /* not of a snapshot of ours */
    bool keys_only;
    char room[3][KEY_SIZE];
    cask_slice lower, upper, prefix;
    int at; /* -1: nowhere */
} walk;

typedef struct scene {
    handle *h;
    test_random random;
    char bytes[KEYS][KEY_SIZE];
    cask_slice keys[KEYS]; /* sorted, all different */
    int key_count;
    view now;
    uint64_t last_value;
    walk walks[WALKS];
    cask_snapshot *snapshots[SNAPSHOTS];
    view seen[SNAPSHOTS];
    uint32_t users[SNAPSHOTS]; /* walks */
    int user_of[WALKS];        /* snapshot of each walk */
} scene;

static int compare(cask_slice a, cask_slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int by_key(const void *left, const void *right)
{
    return compare(*(const cask_slice *)left, *(const cask_slice *)right);
}

/* Few letters, the smallest and the largest byte among them. */
static cask_slice random_key(scene *s, char room[KEY_SIZE])
{
    static const char letters[] = {'\0', 'a', 'b', '\xff'};
    size_t size = test_random_next(&s->random, KEY_SIZE + 1);

    for (size_t i = 0; i < size; i++) {
        room[i] = letters[test_random_next(&s->random, sizeof(letters))];
    }
    return (cask_slice){room, size};
}

static void make_keys(scene *s)
{
    s->key_count = 0;
    for (int i = 0; i < KEYS; i++) {
        cask_slice key = random_key(s, s->bytes[i]);
        bool is_new = true;

        for (int j = 0; j < s->key_count; j++) {
            is_new = is_new && compare(s->keys[j], key) != 0;
        }
        if (is_new) {
            s->keys[s->key_count++] = key;
        }
    }
    qsort(s->keys, (size_t)s->key_count, sizeof(cask_slice), by_key);
}

static bool is_seen(const view *v, int key)
{
    return v->value[key] != 0 &&
           (v->expires_ms[key] == 0 || v->expires_ms[key] > v->now_ms);
}

static bool is_within(const walk *w, cask_slice key)
{
    return (w->lower.data == NULL || compare(key, w->lower) >= 0) &&
           (w->upper.data == NULL || compare(key, w->upper) < 0) &&
           key.size >= w->prefix.size &&
           (w->prefix.size == 0 ||
            memcmp(key.data, w->prefix.data, w->prefix.size) == 0);
}

/* The next key from `key` on, or back, that the walk is to find; -1: none. */
static int find(const scene *s, const walk *w, int key, bool is_back)
{
    while (key >= 0 && key < s->key_count &&
           !(is_seen(&w->seen, key) && is_within(w, s->keys[key]))) {
        key += is_back ? -1 : 1;
    }
    return key < s->key_count ? key : -1;
}

/* The first key that is >= `key`, or the last that is <=. */
static int sought(const scene *s, const walk *w, cask_slice key, bool is_back)
{
    int at = 0;

    while (at < s->key_count && compare(s->keys[at], key) < 0) {
        at++;
    }
    if (is_back && (at == s->key_count || compare(s->keys[at], key) != 0)) {
        at--;
    }
    return find(s, w, at, is_back);
}

/* ---- Values ---- */

static cask_slice value_of(uint64_t number, char room[VALUE_SIZE])
{
    size_t size = number % 40 == 7 ? VALUE_SIZE : 8 + number % 120;

    memset(room, (int)(number % 251), size);
    memcpy(room, &number, sizeof(number));
    return (cask_slice){room, size};
}

static void check_value(cask_slice got, uint64_t number)
{
    static char room[VALUE_SIZE];
    cask_slice expected = value_of(number, room);

    assert_int_equal(got.size, expected.size);
    assert_memory_equal(got.data, expected.data, got.size);
}

static void check_entry(const scene *s, const view *v, bool keys_only, int key,
                        const cask_entry *entry)
{
    assert_int_equal(compare(entry->key, s->keys[key]), 0);
    assert_int_equal(entry->info.expires_at_ms, v->expires_ms[key]);
    if (keys_only) {
        assert_int_equal(entry->value.size, 0);
    } else {
        check_value(entry->value, v->value[key]);
    }
}

/* ---- Writing ---- */

static void add(scene *s, cask_batch *batch)
{
    static char room[VALUE_SIZE];
    int key = (int)test_random_next(&s->random, (uint64_t)s->key_count);
    cask_error err = {CASK_OK, 0, ""};

    if (test_random_chance(&s->random, 25)) {
        require_ok(cask_batch_delete(batch, s->keys[key], &err), &err);
        s->now.value[key] = 0;
        s->now.expires_ms[key] = 0;
        return;
    }
    s->now.value[key] = ++s->last_value;
    s->now.expires_ms[key] =
        test_random_chance(&s->random, 20)
            ? s->now.now_ms + 1 + test_random_next(&s->random, 5000)
            : 0;
    require_ok(cask_batch_put(batch, s->keys[key],
                              value_of(s->last_value, room),
                              s->now.expires_ms[key], &err),
               &err);
}

static void write_batch(scene *s)
{
    size_t count = test_random_chance(&s->random, 70)
                       ? 1
                       : test_random_next(&s->random, 30);
    cask_error err = {CASK_OK, 0, ""};
    cask_batch *batch = NULL;

    require_ok(cask_batch_create(&batch, &err), &err);
    for (size_t i = 0; i < count; i++) {
        add(s, batch);
    }
    require_ok(cask_write(s->h->db, batch, &err), &err);
    cask_batch_free(batch);
}

/* With everything, or only what is full. */
static void flush(scene *s, bool all)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(tree_flush(s->h->db->store, all, &err), &err);
}

static void pass_time(scene *s)
{
    s->now.now_ms += test_random_next(&s->random, 500);
    os_sim_set_wall_ms(s->h->sim, s->now.now_ms);
}

/* ---- Walks ---- */

static cask_slice maybe_bound(scene *s, unsigned percent, char room[KEY_SIZE])
{
    return test_random_chance(&s->random, percent) ? random_key(s, room)
                                                   : (cask_slice){NULL, 0};
}

static void begin_walk(scene *s, int index)
{
    walk *w = &s->walks[index];
    int snapshot = (int)test_random_next(&s->random, SNAPSHOTS);
    cask_error err = {CASK_OK, 0, ""};
    cask_iterator_options options = {.lower = maybe_bound(s, 30, w->room[0]),
                                     .upper = maybe_bound(s, 30, w->room[1]),
                                     .prefix = maybe_bound(s, 30, w->room[2]),
                                     .keys_only =
                                         test_random_chance(&s->random, 20)};

    options.prefix.size = options.prefix.size > 2 ? 2 : options.prefix.size;
    w->is_own =
        s->snapshots[snapshot] == NULL || test_random_chance(&s->random, 50);
    w->seen = w->is_own ? s->now : s->seen[snapshot];
    options.snapshot = w->is_own ? NULL : s->snapshots[snapshot];
    s->user_of[index] = snapshot;
    s->users[snapshot] += w->is_own ? 0 : 1;
    w->keys_only = options.keys_only;
    w->lower = options.lower;
    w->upper = options.upper;
    w->prefix = options.prefix;
    w->at = -1;
    require_ok(cask_iterator_create(s->h->db, &options, &w->iterator, &err),
               &err);
}

static void end_walk(scene *s, int index)
{
    walk *w = &s->walks[index];

    if (w->iterator != NULL) {
        cask_iterator_free(w->iterator);
        w->iterator = NULL;
        s->users[s->user_of[index]] -= w->is_own ? 0 : 1;
    }
}

static void arrive(const scene *s, walk *w, int expected, cask_status status,
                   const cask_entry *entry, const cask_error *err)
{
    w->at = expected;
    if (expected < 0) {
        assert_int_equal(status, CASK_NOT_FOUND);
    } else {
        require_ok(status, err);
        check_entry(s, &w->seen, w->keys_only, expected, entry);
    }
}

static void seek(scene *s, walk *w)
{
    cask_seek how = (cask_seek)(1 + test_random_next(&s->random, 4));
    bool is_back = how == CASK_SEEK_LAST || how == CASK_SEEK_AT_MOST;
    char room[KEY_SIZE];
    cask_slice key = random_key(s, room);
    cask_error err = {CASK_OK, 0, ""};
    cask_entry entry;
    cask_status status =
        cask_iterator_seek(w->iterator, how, key, &entry, &err);
    int expected = how == CASK_SEEK_FIRST  ? find(s, w, 0, false)
                   : how == CASK_SEEK_LAST ? find(s, w, s->key_count - 1, true)
                                           : sought(s, w, key, is_back);

    arrive(s, w, expected, status, &entry, &err);
}

static void step(scene *s, walk *w)
{
    bool is_back = test_random_chance(&s->random, 40);
    cask_error err = {CASK_OK, 0, ""};
    cask_entry entry;
    cask_status status = is_back
                             ? cask_iterator_previous(w->iterator, &entry, &err)
                             : cask_iterator_next(w->iterator, &entry, &err);

    if (w->at < 0) {
        assert_int_equal(status, CASK_INVALID);
        return;
    }
    arrive(s, w, find(s, w, is_back ? w->at - 1 : w->at + 1, is_back), status,
           &entry, &err);
}

static void refresh(scene *s, walk *w)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_status status = cask_iterator_refresh(w->iterator, &err);

    if (!w->is_own) {
        assert_int_equal(status, CASK_INVALID);
        return;
    }
    require_ok(status, &err);
    w->seen = s->now;
    w->at = -1;
}

static void use_walk(scene *s)
{
    int index = (int)test_random_next(&s->random, WALKS);
    walk *w = &s->walks[index];

    if (w->iterator == NULL) {
        begin_walk(s, index);
    } else if (test_random_chance(&s->random, 5)) {
        end_walk(s, index);
    } else if (test_random_chance(&s->random, 3)) {
        refresh(s, w);
    } else if (w->at < 0 || test_random_chance(&s->random, 15)) {
        seek(s, w);
    } else {
        step(s, w);
    }
}

/* ---- Snapshots ---- */

/* What a fold or a range is to visit. */
typedef struct tour {
    const scene *s;
    walk way;
    bool is_back;
    uint64_t limit; /* 0: none */
    uint64_t count;
} tour;

static bool visit(void *context, const cask_entry *entry)
{
    tour *t = context;

    t->way.at = find(t->s, &t->way, t->way.at, t->is_back);
    assert_true(t->way.at >= 0);
    check_entry(t->s, &t->way.seen, t->way.keys_only, t->way.at, entry);
    t->way.at += t->is_back ? -1 : 1;
    t->count++;
    return true;
}

static uint64_t count_seen(const scene *s, const walk *w)
{
    uint64_t count = 0;

    for (int at = find(s, w, 0, false); at >= 0;
         at = find(s, w, at + 1, false)) {
        count++;
    }
    return count;
}

static void check_get(scene *s, int snapshot)
{
    int key = (int)test_random_next(&s->random, (uint64_t)s->key_count);
    const view *v = &s->seen[snapshot];
    cask_error err = {CASK_OK, 0, ""};
    cask_buffer value = {0};
    cask_info info;
    bool exists = false;
    cask_status one = CASK_OK;
    cask_status status = cask_snapshot_get(s->snapshots[snapshot], s->keys[key],
                                           &value, &info, &err);

    require_ok(cask_snapshot_exists(s->snapshots[snapshot], s->keys[key],
                                    &exists, &err),
               &err);
    assert_int_equal(exists, is_seen(v, key));
    assert_int_equal(status, exists ? CASK_OK : CASK_NOT_FOUND);
    if (exists) {
        check_value((cask_slice){value.data, value.size}, v->value[key]);
        assert_int_equal(info.expires_at_ms, v->expires_ms[key]);
    }
    require_ok(cask_snapshot_get_many(s->snapshots[snapshot], &s->keys[key], 1,
                                      &value, &one, &err),
               &err);
    assert_int_equal(one, status);
    cask_buffer_free(&value);
}

static void check_fold(scene *s, int snapshot)
{
    tour t = {.s = s, .way = {.seen = s->seen[snapshot]}};
    const cask_fold_options options = {.keys_only =
                                           test_random_chance(&s->random, 50)};
    cask_error err = {CASK_OK, 0, ""};
    uint64_t count = 0;

    t.way.keys_only = options.keys_only;
    require_ok(
        cask_snapshot_fold(s->snapshots[snapshot], &options, visit, &t, &err),
        &err);
    assert_int_equal(t.count, count_seen(s, &t.way));
    require_ok(cask_snapshot_count(s->snapshots[snapshot], &count, &err), &err);
    assert_int_equal(count, t.count);
}

static void use_snapshot(scene *s)
{
    int snapshot = (int)test_random_next(&s->random, SNAPSHOTS);
    cask_error err = {CASK_OK, 0, ""};

    if (s->snapshots[snapshot] == NULL) {
        require_ok(
            cask_snapshot_create(s->h->db, &s->snapshots[snapshot], &err),
            &err);
        s->seen[snapshot] = s->now;
    } else if (s->users[snapshot] == 0 && test_random_chance(&s->random, 5)) {
        cask_snapshot_free(s->snapshots[snapshot]);
        s->snapshots[snapshot] = NULL;
    } else if (test_random_chance(&s->random, 10)) {
        check_fold(s, snapshot);
    } else {
        check_get(s, snapshot);
    }
}

/* ---- Ranges ---- */

static void use_range(scene *s)
{
    char room[2][KEY_SIZE];
    cask_error err = {CASK_OK, 0, ""};
    cask_range_options options = {
        .keys = {.lower = maybe_bound(s, 50, room[0]),
                 .upper = maybe_bound(s, 50, room[1])},
        .reverse = test_random_chance(&s->random, 50),
        .limit = test_random_next(&s->random, 20)};
    tour t = {.s = s, .is_back = options.reverse};
    uint64_t count = 0;
    uint64_t all;

    t.way = (walk){.seen = s->now,
                   .lower = options.keys.lower,
                   .upper = options.keys.upper,
                   .at = options.reverse ? s->key_count - 1 : 0};
    all = count_seen(s, &t.way);
    require_ok(cask_range(s->h->db, &options, visit, &t, &err), &err);
    assert_int_equal(t.count, options.limit != 0 && options.limit < all
                                  ? options.limit
                                  : all);
    require_ok(cask_count_range(s->h->db, options.keys.lower,
                                options.keys.upper, &count, &err),
               &err);
    assert_int_equal(count, all);
}

static void check_all(scene *s)
{
    tour t = {.s = s, .way = {.seen = s->now}};
    cask_error err = {CASK_OK, 0, ""};

    require_ok(cask_fold(s->h->db, NULL, visit, &t, &err), &err);
    assert_int_equal(t.count, count_seen(s, &t.way));
    assert_int_equal(count_keys(s->h), t.count);
}

/* ---- The test ---- */

static void let_go(scene *s)
{
    for (int i = 0; i < WALKS; i++) {
        end_walk(s, i);
    }
    for (int i = 0; i < SNAPSHOTS; i++) {
        cask_snapshot_free(s->snapshots[i]);
        s->snapshots[i] = NULL;
    }
}

static void act(scene *s)
{
    uint64_t what = test_random_next(&s->random, 1000);

    if (what < 350) {
        write_batch(s);
    } else if (what < 800) {
        use_walk(s);
    } else if (what < 900) {
        use_snapshot(s);
    } else if (what < 920) {
        use_range(s);
    } else if (what < 950) {
        flush(s, test_random_chance(&s->random, 50));
    } else if (what < 998) {
        pass_time(s);
    } else {
        let_go(s);
        handle_reopen(s->h);
    }
}

static void test_each_sees_its_moment_to_the_end(void **state)
{
    static scene s;
    uint64_t seed = test_seed();

    for (uint64_t round = 0; round < ROUNDS; round++) {
        if (round > 0) {
            (void)tree_handle_setup(state);
        }
        memset(&s, 0, sizeof(s));
        s.h = *state;
        s.random = test_random_make(seed, round);
        s.now.now_ms = HANDLE_NOW_MS;
        make_keys(&s);
        for (int i = 0; i < STEPS; i++) {
            act(&s);
        }
        check_all(&s);
        let_go(&s);
        if (round + 1 < ROUNDS) {
            (void)handle_teardown(state);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_sees_its_moment_to_the_end,
                                        tree_handle_setup, handle_teardown),
    };

    return cmocka_run_group_tests_name("tree_iterator", tests, NULL, NULL);
}
