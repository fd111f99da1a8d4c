/*
 * Iterators in three processes while a fourth writes, deletes ranges, flushes,
 * and is killed and replaced again and again: what an iterator sees is what
 * there was after some unit of the writer, wholly, and never an older one than
 * before.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"
#include "support/random.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { UNITS = 4000, KILLS = 6 };
#else
enum { UNITS = 30000, KILLS = 25 };
#endif

enum {
    KEYS = 300,
    READERS = 3,
    KEY_SIZE = 16,
    VALUE_SIZE = 512,
    PAUSE_US = 50
};

/* Among the keys, so that walks meet it on their way. */
#define COUNTER "key 00150 count"

/* ---- The writer's history ---- */

/* For each key the unit that wrote its value; 0: there is none. */
typedef struct content {
    uint64_t unit[KEYS];
    uint64_t units; /* so many have been played */
} content;

static unsigned put_by(uint64_t unit)
{
    return (unsigned)(test_mix(unit) % KEYS);
}

/* KEYS: none. */
static unsigned deleted_by(uint64_t unit)
{
    unsigned key = (unsigned)(test_mix(unit + UNITS) % (2 * (uint64_t)KEYS));

    return key < KEYS && key != put_by(unit) ? key : KEYS;
}

/* Before all else some units delete a range: keys from *ret_from to before
 * this. KEYS: to the end. 0: none. */
static unsigned cleared_by(uint64_t unit, unsigned *ret_from)
{
    uint64_t number = test_mix(unit + 2 * (uint64_t)UNITS);

    *ret_from = (unsigned)(number >> 8) % KEYS;
    if (number % 16 != 0) {
        return 0;
    }
    return number % 1024 == 0 || *ret_from > KEYS - 25
               ? KEYS
               : *ret_from + 1 + (unsigned)(number >> 32) % 24;
}

static void play(content *c, uint64_t units)
{
    while (c->units < units) {
        uint64_t unit = ++c->units;
        unsigned from;
        unsigned to = cleared_by(unit, &from);

        for (unsigned key = from; key < to; key++) {
            c->unit[key] = 0;
        }
        c->unit[put_by(unit)] = unit;
        if (deleted_by(unit) < KEYS) {
            c->unit[deleted_by(unit)] = 0;
        }
    }
}

static cask_slice key_of(unsigned number, char text[KEY_SIZE])
{
    (void)snprintf(text, KEY_SIZE, "key %05u", number);
    return cask_slice_of(text);
}

static cask_slice value_of(uint64_t unit, char room[VALUE_SIZE])
{
    size_t size = 8 + test_mix(unit) % (VALUE_SIZE - 8);

    memset(room, (int)(unit % 251), size);
    memcpy(room, &unit, sizeof(unit));
    return (cask_slice){room, size};
}

/* ---- The writer ---- */

static uint64_t counter_of(scene *s, cask_db *db)
{
    cask_buffer value = {NULL, 0, 0};
    uint64_t unit = 0;
    cask_status status = cask_get(db, cask_slice_of(COUNTER), &value, &s->err);

    if (status == CASK_OK) {
        memcpy(&unit, value.data, sizeof(unit));
    } else if (status != CASK_NOT_FOUND) {
        require(s, status);
    }
    cask_buffer_free(&value);
    return unit;
}

static void write_unit(scene *s, cask_db *db, cask_batch *batch, uint64_t unit)
{
    char room[VALUE_SIZE];
    char key[KEY_SIZE];
    char end[KEY_SIZE];
    unsigned from;
    unsigned to = cleared_by(unit, &from);

    cask_batch_clear(batch);
    if (to > 0) {
        require(s, cask_batch_delete_range(batch, key_of(from, key),
                                           to < KEYS ? key_of(to, end)
                                                     : (cask_slice){NULL, 0},
                                           &s->err));
    }
    require(s, cask_batch_put(batch, key_of(put_by(unit), key),
                              value_of(unit, room), 0, &s->err));
    if (deleted_by(unit) < KEYS) {
        require(s, cask_batch_delete(batch, key_of(deleted_by(unit), key),
                                     &s->err));
    }
    require(s, cask_batch_put(batch, cask_slice_of(COUNTER),
                              (cask_slice){&unit, sizeof(unit)}, 0, &s->err));
    require(s, cask_write(db, batch, &s->err));
}

static int write_on(scene *s)
{
    cask_db *db = open_store(s);
    cask_batch *batch = NULL;
    uint64_t unit = counter_of(s, db);

    require(s, cask_batch_create(&batch, &s->err));
    while (unit < UNITS) {
        write_unit(s, db, batch, ++unit);
        if (unit % 16 == 0) {
            (void)usleep(PAUSE_US); /* readers need the processors, too */
        }
    }
    cask_batch_free(batch);
    close_store(s, db);
    return 0;
}

/* ---- Readers ---- */

/* What a walk has met. */
typedef struct met {
    uint64_t unit[KEYS];
    uint64_t counter;
    char last[KEY_SIZE + 8];
    bool is_wrong;
} met;

static void meet(met *m, const cask_entry *entry, bool is_back)
{
    char room[VALUE_SIZE];
    char key[KEY_SIZE + 8] = "";
    unsigned number = KEYS;
    uint64_t unit = 0;
    int order;

    memcpy(key, entry->key.data,
           entry->key.size < sizeof(key) ? entry->key.size : sizeof(key) - 1);
    order = m->last[0] == 0 ? 1 : strcmp(key, m->last);
    m->is_wrong = m->is_wrong || entry->value.size < sizeof(unit) ||
                  (is_back && m->last[0] != 0 ? order >= 0 : order <= 0);
    memcpy(m->last, key, sizeof(key));
    if (m->is_wrong) {
        return;
    }
    memcpy(&unit, entry->value.data, sizeof(unit));
    if (strcmp(key, COUNTER) == 0) {
        m->counter = unit;
        return;
    }
    if (sscanf(key, "key %u", &number) == 1 && number < KEYS) {
        cask_slice value = value_of(unit, room);

        m->unit[number] = unit;
        m->is_wrong = entry->value.size != value.size ||
                      memcmp(entry->value.data, room, value.size) != 0;
    }
    m->is_wrong = m->is_wrong || number >= KEYS;
}

static cask_status walk(cask_iterator *it, bool is_back, met *m,
                        cask_error *err)
{
    cask_entry entry;
    cask_status status =
        cask_iterator_seek(it, is_back ? CASK_SEEK_LAST : CASK_SEEK_FIRST,
                           (cask_slice){NULL, 0}, &entry, err);

    while (status == CASK_OK && !m->is_wrong) {
        meet(m, &entry, is_back);
        status = is_back ? cask_iterator_previous(it, &entry, err)
                         : cask_iterator_next(it, &entry, err);
    }
    return status == CASK_NOT_FOUND ? CASK_OK : status;
}

/* The walk met what there was after m->counter units. */
static bool is_right(content *c, const met *m)
{
    if (m->is_wrong || m->counter < c->units) {
        (void)fprintf(stderr,
                      "wrong after %s, or unit %" PRIu64 " after %" PRIu64 "\n",
                      m->last, m->counter, c->units);
        return false;
    }
    play(c, m->counter);
    for (unsigned i = 0; i < KEYS; i++) {
        if (m->unit[i] != c->unit[i]) {
            (void)fprintf(stderr,
                          "after %" PRIu64 " units key %u is of unit %" PRIu64
                          ", expected %" PRIu64 "\n",
                          m->counter, i, m->unit[i], c->unit[i]);
            return false;
        }
    }
    return true;
}

static int read_on(scene *s)
{
    content c = {.units = 0};
    cask_iterator *it = NULL;
    bool is_back = false;
    cask_db *db;

    /* Not read-only: opened while no writer is there it would have an index of
     * its own, which does not change. */
    s->options.auto_merge = false;
    db = open_store(s);
    require(s, cask_iterator_create(db, NULL, &it, &s->err));
    while (c.units < UNITS) {
        met m = {.counter = 0};

        require(s, cask_iterator_refresh(it, &s->err));
        /* Twice, so that flushes come between. */
        require(s, walk(it, is_back, &m, &s->err));
        if (!is_right(&c, &m)) {
            return 1;
        }
        m = (met){.counter = 0};
        is_back = !is_back;
        require(s, walk(it, is_back, &m, &s->err));
        if (m.counter != c.units || !is_right(&c, &m)) {
            (void)fprintf(stderr, "the moment went from %" PRIu64 " units\n",
                          c.units);
            return 1;
        }
    }
    cask_iterator_free(it);
    close_store(s, db);
    return 0;
}

/* ---- The test ---- */

static void make_store(scene *s)
{
    cask_db *db;

    s->options.engine = CASK_ENGINE_TREE;
    s->options.memtable_bytes = 64 << 10;
    db = open_store(s);
    close_store(s, db);
}

/* Whether it has ended by itself; its result. */
static bool has_ended(pid_t pid, int *ret_result)
{
    int status = 0;
    pid_t found = waitpid(pid, &status, WNOHANG);

    assert_true(found == 0 || found == pid);
    *ret_result = found == 0 || !WIFEXITED(status) ? 256 : WEXITSTATUS(status);
    return found == pid;
}

static void test_iterators_see_what_there_was_at_one_moment(void **state)
{
    scene *s = *state;
    test_random random = test_random_make(test_seed(), 0);
    pid_t readers[READERS];
    int result = 0;
    pid_t writer;
    bool is_done = false;

    make_store(s);
    writer = start(write_on, s);
    for (int i = 0; i < READERS; i++) {
        readers[i] = start(read_on, s);
    }
    for (int kills = 0; kills < KILLS && !is_done; kills++) {
        (void)usleep((useconds_t)(1000 + test_random_next(&random, 60000)));
        is_done = has_ended(writer, &result);
        if (!is_done) {
            end(writer);
            writer = start(write_on, s);
        }
    }
    assert_int_equal(is_done ? result : wait_for(writer), 0);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(wait_for(readers[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_iterators_see_what_there_was_at_one_moment),
    };

    return cmocka_run_group_tests_name("live_iterator", tests, NULL, NULL);
}
