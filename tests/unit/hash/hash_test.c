/*
 * What the hash engine answers: single operations, limits, conditions, views,
 * expiry, many keys at once, batches, folds while others write.
 */
#include "unit/db/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_MS = 1000, HOUR_MS = 3600 * SECOND_MS };

static cask_status get(handle *h, cask_slice key, cask_buffer *value)
{
    return cask_get(h->db, key, value, NULL);
}

/* ---- Keys and values of every size --------------------------------------- */

static void test_keys_and_values_hold_any_bytes(void **state)
{
    static const char key_a[] = {'k', 0, 'a'};
    static const char key_b[] = {'k', 0, 'b'};
    static const char bytes[] = {0, 1, 0, (char)0xff, 0};
    handle *h = *state;
    cask_slice a = {key_a, sizeof(key_a)};
    cask_slice b = {key_b, sizeof(key_b)};
    cask_slice value = {bytes, sizeof(bytes)};
    cask_buffer found = {0};

    assert_int_equal(cask_put(h->db, a, value, NULL), CASK_OK);
    assert_int_equal(get(h, b, &found), CASK_NOT_FOUND);
    assert_int_equal(get(h, (cask_slice){"k", 1}, &found), CASK_NOT_FOUND);
    assert_int_equal(cask_put(h->db, b, (cask_slice){NULL, 0}, NULL), CASK_OK);
    handle_reopen(h);
    assert_int_equal(get(h, a, &found), CASK_OK);
    assert_int_equal(found.size, sizeof(bytes));
    assert_memory_equal(found.data, bytes, sizeof(bytes));
    assert_int_equal(get(h, b, &found), CASK_OK);
    assert_int_equal(found.size, 0);
    assert_int_equal(count_keys(h), 2);
    cask_buffer_free(&found);
}

static void test_the_empty_key_is_a_key(void **state)
{
    handle *h = *state;

    check_text(h, "", NULL);
    put_text(h, "", "value of nothing");
    check_text(h, "", "value of nothing");
    put_text(h, "", "");
    handle_reopen(h);
    check_text(h, "", "");
    delete_text(h, "");
    check_text(h, "", NULL);
    assert_int_equal(count_keys(h), 0);
}

static void test_the_longest_key_is_a_key(void **state)
{
    handle *h = *state;
    uint8_t *key = make_bytes(CASK_KEY_MAX_BYTES, 1);
    cask_slice longest = {key, CASK_KEY_MAX_BYTES};
    cask_slice shorter = {key, CASK_KEY_MAX_BYTES - 1};
    cask_buffer value = {0};
    bool existed = false;

    assert_int_equal(cask_put(h->db, longest, cask_slice_of("1"), NULL),
                     CASK_OK);
    assert_int_equal(cask_put(h->db, shorter, cask_slice_of("2"), NULL),
                     CASK_OK);
    handle_reopen(h);
    assert_int_equal(get(h, longest, &value), CASK_OK);
    assert_memory_equal(value.data, "1", 1);
    assert_int_equal(get(h, shorter, &value), CASK_OK);
    assert_memory_equal(value.data, "2", 1);
    assert_int_equal(cask_delete(h->db, longest, &existed, NULL), CASK_OK);
    assert_true(existed);
    assert_int_equal(get(h, longest, &value), CASK_NOT_FOUND);
    cask_buffer_free(&value);
    free(key);
}

static void test_values_of_any_size_come_back(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   7,
                                   8,
                                   9,
                                   4095,
                                   65535,
                                   65536,
                                   (256 << 10) - 24,
                                   256 << 10,
                                   (1 << 20) + 3,
                                   (8 << 20) - 1,
                                   (8 << 20) + 1};
    handle *h = *state;

    /* The last ones are larger than a segment. */
    h->options.segment_max_bytes = 1 << 20;
    handle_reopen(h);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *bytes = make_bytes(sizes[i], i);
        char key[16];

        (void)snprintf(key, sizeof(key), "size %zu", i);
        put_bytes(h, key, bytes, sizes[i]);
        check_bytes(h, key, bytes, sizes[i]);
        put_text(h, "small", "between large ones");
        free(bytes);
    }
    handle_reopen(h);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *bytes = make_bytes(sizes[i], i);
        char key[16];

        (void)snprintf(key, sizeof(key), "size %zu", i);
        check_bytes(h, key, bytes, sizes[i]);
        free(bytes);
    }
    check_text(h, "small", "between large ones");
}

static void test_the_buffer_of_a_get_is_used_again(void **state)
{
    handle *h = *state;
    cask_buffer value = {0};
    void *first;

    put_text(h, "long", "a value of some length");
    put_text(h, "short", "x");
    assert_int_equal(get(h, cask_slice_of("long"), &value), CASK_OK);
    first = value.data;
    assert_int_equal(get(h, cask_slice_of("short"), &value), CASK_OK);
    assert_ptr_equal(value.data, first);
    assert_int_equal(value.size, 1);
    cask_buffer_free(&value);
    assert_null(value.data);
    assert_int_equal(value.size, 0);
}

/* ---- Delete, exists, info ------------------------------------------------ */

static void test_delete_says_whether_there_was_a_value(void **state)
{
    handle *h = *state;
    cask_stats before;
    cask_stats after;
    bool existed = true;

    assert_int_equal(cask_stat(h->db, &before, NULL), CASK_OK);
    assert_int_equal(cask_delete(h->db, cask_slice_of("k"), &existed, NULL),
                     CASK_OK);
    assert_false(existed);
    assert_int_equal(cask_stat(h->db, &after, NULL), CASK_OK);
    assert_int_equal(after.bytes_written, before.bytes_written);
    put_text(h, "k", "v");
    delete_text(h, "k");
    assert_int_equal(cask_delete(h->db, cask_slice_of("k"), &existed, NULL),
                     CASK_OK);
    assert_false(existed);
    handle_reopen(h);
    check_text(h, "k", NULL);
}

static void test_info_tells_sequence_time_and_expiry(void **state)
{
    handle *h = *state;
    cask_write_options options = {.ttl_ms = HOUR_MS};
    cask_buffer value = {0};
    cask_info info = {0};
    uint64_t first = 0;
    uint64_t second = 0;
    bool exists;

    assert_int_equal(cask_put_with(h->db, cask_slice_of("k"),
                                   cask_slice_of("1"), NULL, &first, NULL),
                     CASK_OK);
    assert_int_equal(cask_put_with(h->db, cask_slice_of("k"),
                                   cask_slice_of("22"), &options, &second,
                                   NULL),
                     CASK_OK);
    assert_true(second > first);
    handle_reopen(h);
    assert_int_equal(
        cask_get_with(h->db, cask_slice_of("k"), &value, &info, NULL), CASK_OK);
    assert_int_equal(info.sequence, second);
    assert_int_equal(info.value_bytes, 2);
    assert_int_equal(info.time_s, HANDLE_NOW_MS / 1000);
    assert_int_equal(info.expires_at_ms, HANDLE_NOW_MS + HOUR_MS);
    assert_int_equal(cask_exists(h->db, cask_slice_of("k"), &exists, NULL),
                     CASK_OK);
    assert_true(exists);
    assert_int_equal(cask_exists(h->db, cask_slice_of("l"), &exists, NULL),
                     CASK_OK);
    assert_false(exists);
    cask_buffer_free(&value);
}

/* The time of the record of `key`, which is in the store. */
static uint32_t time_of(handle *h, const char *key)
{
    cask_buffer value = {0};
    cask_info info = {0};

    assert_int_equal(
        cask_get_with(h->db, cask_slice_of(key), &value, &info, NULL), CASK_OK);
    cask_buffer_free(&value);
    return info.time_s;
}

static void put_at(handle *h, const char *key, cask_condition condition,
                   uint32_t time_s)
{
    cask_write_options options = {.condition = condition, .time_s = time_s};

    assert_int_equal(cask_put_with(h->db, cask_slice_of(key),
                                   cask_slice_of("v"), &options, NULL, NULL),
                     CASK_OK);
}

static void test_a_record_has_the_time_that_was_asked_for(void **state)
{
    handle *h = *state;
    cask_write_options options = {.time_s = 77};
    cask_batch *batch;

    put_at(h, "always", CASK_ALWAYS, 1);
    put_at(h, "absent", CASK_IF_ABSENT, UINT32_MAX);
    put_at(h, "now", CASK_ALWAYS, 0);
    put_at(h, "again", CASK_ALWAYS, 5);
    put_at(h, "again", CASK_ALWAYS, 4);
    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    assert_int_equal(cask_batch_put_with(batch, cask_slice_of("timed"),
                                         cask_slice_of("v"), &options, NULL),
                     CASK_OK);
    assert_int_equal(cask_batch_put_with(batch, cask_slice_of("untimed"),
                                         cask_slice_of("v"), NULL, NULL),
                     CASK_OK);
    assert_int_equal(cask_write(h->db, batch, NULL), CASK_OK);
    cask_batch_free(batch);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(time_of(h, "always"), 1);
        assert_int_equal(time_of(h, "absent"), UINT32_MAX);
        assert_int_equal(time_of(h, "now"), HANDLE_NOW_MS / 1000);
        assert_int_equal(time_of(h, "again"), 4);
        assert_int_equal(time_of(h, "timed"), 77);
        assert_int_equal(time_of(h, "untimed"), HANDLE_NOW_MS / 1000);
        handle_reopen(h);
    }
}

static void test_expiry_seconds_counts_from_the_time_asked_for(void **state)
{
    handle *h = *state;

    h->options.expiry_seconds = 100;
    handle_reopen(h);
    put_at(h, "old", CASK_ALWAYS, HANDLE_NOW_MS / 1000 - 101);
    put_at(h, "young", CASK_ALWAYS, HANDLE_NOW_MS / 1000 - 100);
    check_text(h, "old", NULL);
    check_text(h, "young", "v");
}

/* ---- Conditions ---------------------------------------------------------- */

static cask_status put_if(handle *h, cask_condition condition,
                          uint64_t sequence, const char *value)
{
    cask_write_options options = {.condition = condition,
                                  .expected_sequence = sequence};

    return cask_put_with(h->db, cask_slice_of("k"), cask_slice_of(value),
                         &options, NULL, NULL);
}

static cask_status delete_if(handle *h, cask_condition condition,
                             uint64_t sequence)
{
    cask_write_options options = {.condition = condition,
                                  .expected_sequence = sequence};

    return cask_delete_with(h->db, cask_slice_of("k"), &options, NULL, NULL);
}

static uint64_t sequence_of(handle *h)
{
    cask_buffer value = {0};
    cask_info info = {0};

    assert_int_equal(
        cask_get_with(h->db, cask_slice_of("k"), &value, &info, NULL), CASK_OK);
    cask_buffer_free(&value);
    return info.sequence;
}

static void test_conditions_decide_and_write_nothing_else(void **state)
{
    handle *h = *state;
    cask_stats before;
    cask_stats after;

    assert_int_equal(cask_stat(h->db, &before, NULL), CASK_OK);
    assert_int_equal(put_if(h, CASK_IF_PRESENT, 0, "no"), CASK_CONDITION);
    assert_int_equal(put_if(h, CASK_IF_SEQUENCE, 1, "no"), CASK_CONDITION);
    assert_int_equal(delete_if(h, CASK_IF_PRESENT, 0), CASK_CONDITION);
    assert_int_equal(delete_if(h, CASK_IF_SEQUENCE, 1), CASK_CONDITION);
    assert_int_equal(cask_stat(h->db, &after, NULL), CASK_OK);
    assert_int_equal(after.sequence, before.sequence);
    assert_int_equal(put_if(h, CASK_IF_ABSENT, 0, "1"), CASK_OK);
    assert_int_equal(put_if(h, CASK_IF_ABSENT, 0, "2"), CASK_CONDITION);
    check_text(h, "k", "1");
    assert_int_equal(put_if(h, CASK_IF_PRESENT, 0, "3"), CASK_OK);
    assert_int_equal(put_if(h, CASK_IF_SEQUENCE, sequence_of(h) - 1, "4"),
                     CASK_CONDITION);
    assert_int_equal(put_if(h, CASK_IF_SEQUENCE, sequence_of(h), "5"), CASK_OK);
    check_text(h, "k", "5");
    assert_int_equal(delete_if(h, CASK_IF_ABSENT, 0), CASK_CONDITION);
    assert_int_equal(delete_if(h, CASK_IF_SEQUENCE, sequence_of(h) + 1),
                     CASK_CONDITION);
    assert_int_equal(delete_if(h, CASK_IF_SEQUENCE, sequence_of(h)), CASK_OK);
    check_text(h, "k", NULL);
    assert_int_equal(put_if(h, CASK_IF_ABSENT, 0, "6"), CASK_OK);
    check_text(h, "k", "6");
}

static void test_an_expired_key_is_absent_for_conditions(void **state)
{
    handle *h = *state;
    cask_write_options options = {.ttl_ms = 10};

    assert_int_equal(cask_put_with(h->db, cask_slice_of("k"),
                                   cask_slice_of("old"), &options, NULL, NULL),
                     CASK_OK);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 10);
    assert_int_equal(put_if(h, CASK_IF_PRESENT, 0, "no"), CASK_CONDITION);
    assert_int_equal(put_if(h, CASK_IF_ABSENT, 0, "new"), CASK_OK);
    check_text(h, "k", "new");
    assert_int_equal(count_keys(h), 1);
}

/* ---- Expiry -------------------------------------------------------------- */

static void put_until(handle *h, const char *key, uint64_t expires_at_ms)
{
    cask_write_options options = {.expires_at_ms = expires_at_ms};

    assert_int_equal(cask_put_with(h->db, cask_slice_of(key),
                                   cask_slice_of("v"), &options, NULL, NULL),
                     CASK_OK);
}

static void test_a_key_is_there_until_its_time(void **state)
{
    handle *h = *state;
    bool existed = true;

    put_until(h, "past", HANDLE_NOW_MS - 1);
    put_until(h, "now", HANDLE_NOW_MS);
    put_until(h, "soon", HANDLE_NOW_MS + 1);
    put_until(h, "never", UINT64_MAX);
    for (int round = 0; round < 2; round++) {
        check_text(h, "past", NULL);
        check_text(h, "now", NULL);
        check_text(h, "soon", "v");
        check_text(h, "never", "v");
        handle_reopen(h);
    }
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 1);
    check_text(h, "soon", NULL);
    check_text(h, "never", "v");
    assert_int_equal(count_keys(h), 4); /* expired ones count */
    assert_int_equal(cask_delete(h->db, cask_slice_of("soon"), &existed, NULL),
                     CASK_OK);
    assert_false(existed);
    assert_int_equal(count_keys(h), 3);
}

static void test_no_older_value_comes_back_when_one_expires(void **state)
{
    handle *h = *state;

    put_text(h, "k", "without expiry");
    put_until(h, "k", HANDLE_NOW_MS + SECOND_MS);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + SECOND_MS);
    check_text(h, "k", NULL);
    handle_reopen(h);
    check_text(h, "k", NULL);
    put_text(h, "k", "new");
    check_text(h, "k", "new");
}

static void test_a_ttl_that_overflows_never_ends(void **state)
{
    handle *h = *state;
    cask_write_options options = {.ttl_ms = UINT64_MAX};

    assert_int_equal(cask_put_with(h->db, cask_slice_of("k"),
                                   cask_slice_of("v"), &options, NULL, NULL),
                     CASK_OK);
    os_sim_set_wall_ms(h->sim, UINT64_C(4294967295) * 1000 * 1000);
    check_text(h, "k", "v");
}

static void test_expiry_seconds_hides_what_is_older(void **state)
{
    handle *h = *state;

    put_text(h, "k", "v");
    h->options.expiry_seconds = 60;
    handle_reopen(h);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 60 * SECOND_MS);
    check_text(h, "k", "v"); /* as old as that, not older */
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 61 * SECOND_MS);
    check_text(h, "k", NULL);
    put_text(h, "k", "again");
    check_text(h, "k", "again");
    h->options.expiry_seconds = 0;
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + HOUR_MS);
    handle_reopen(h);
    check_text(h, "k", "again");
}

/* 1970, ten years back, 2038, 2106: order is never by the clock. */
static void test_no_clock_decides_which_value_is_newer(void **state)
{
    static const uint64_t clocks_ms[] = {HANDLE_NOW_MS,
                                         0,
                                         HANDLE_NOW_MS -
                                             UINT64_C(315360000) * 1000,
                                         UINT64_C(2147483648) * 1000,
                                         UINT64_C(4294967296) * 1000,
                                         UINT64_C(4294967297) * 1000,
                                         1};
    handle *h = *state;
    uint64_t last = 0;

    for (size_t i = 0; i < sizeof(clocks_ms) / sizeof(clocks_ms[0]); i++) {
        char value[8];

        os_sim_set_wall_ms(h->sim, clocks_ms[i]);
        (void)snprintf(value, sizeof(value), "%zu", i);
        put_text(h, "k", value);
        check_text(h, "k", value);
        handle_reopen(h);
        check_text(h, "k", value);
        assert_true(sequence_of(h) > last);
        last = sequence_of(h);
    }
}

static void test_a_record_from_the_future_is_not_too_old(void **state)
{
    handle *h = *state;

    h->options.expiry_seconds = 60;
    handle_reopen(h);
    put_text(h, "k", "v");
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS - HOUR_MS);
    check_text(h, "k", "v");
    os_sim_set_wall_ms(h->sim, 0);
    check_text(h, "k", "v");
}

/* ---- Views --------------------------------------------------------------- */

static void test_a_view_stays_while_its_key_changes(void **state)
{
    handle *h = *state;
    cask_view view = {0};
    cask_view none = {0};

    put_text(h, "k", "lent");
    assert_int_equal(cask_view_acquire(h->db, cask_slice_of("k"), &view, NULL),
                     CASK_OK);
    assert_int_equal(view.value.size, 4);
    put_text(h, "k", "overwritten");
    delete_text(h, "k");
    assert_memory_equal(view.value.data, "lent", 4);
    assert_true(view.info.sequence > 0);
    assert_int_equal(cask_view_acquire(h->db, cask_slice_of("k"), &none, NULL),
                     CASK_NOT_FOUND);
    assert_int_equal(cask_close(h->db, NULL), CASK_BUSY);
    cask_view_release(h->db, &view);
    cask_view_release(h->db, &view); /* is {0} now */
    handle_reopen(h);
    check_text(h, "k", NULL);
}

static void test_views_work_in_every_way_of_reading(void **state)
{
    handle *h = *state;
    uint8_t *bytes = make_bytes(300 << 10, 3);

    for (int io = CASK_IO_MAP; io <= CASK_IO_PREAD; io++) {
        cask_write_options options = {.ttl_ms = 5};
        cask_view view = {0};

        os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS);
        h->options.io = (cask_io)io;
        handle_reopen(h);
        put_bytes(h, "large", bytes, 300 << 10);
        assert_int_equal(
            cask_view_acquire(h->db, cask_slice_of("large"), &view, NULL),
            CASK_OK);
        assert_int_equal(view.value.size, 300 << 10);
        assert_memory_equal(view.value.data, bytes, 300 << 10);
        cask_view_release(h->db, &view);
        assert_int_equal(cask_put_with(h->db, cask_slice_of("brief"),
                                       cask_slice_of(""), &options, NULL, NULL),
                         CASK_OK);
        assert_int_equal(
            cask_view_acquire(h->db, cask_slice_of("brief"), &view, NULL),
            CASK_OK);
        assert_int_equal(view.value.size, 0);
        cask_view_release(h->db, &view);
        os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 5);
        assert_int_equal(
            cask_view_acquire(h->db, cask_slice_of("brief"), &view, NULL),
            CASK_NOT_FOUND);
    }
    free(bytes);
}

/* ---- Many ---------------------------------------------------------------- */

static void test_get_many_answers_as_single_gets_do(void **state)
{
    enum { MANY = 100 };
    handle *h = *state;
    static char texts[MANY][16];
    cask_slice keys[MANY];
    cask_buffer values[MANY] = {{0}};
    cask_status statuses[MANY];

    for (int i = 0; i < MANY; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "key %d", i);
        keys[i] = cask_slice_of(texts[i]);
        if (i % 3 != 0) {
            put_text(h, texts[i], texts[i]);
        }
        if (i % 7 == 1) {
            keys[i] = keys[0]; /* the same key more than once */
        }
    }
    for (size_t count = 0; count <= MANY; count += count < 40 ? 1 : 20) {
        assert_int_equal(
            cask_get_many(h->db, keys, count, values, statuses, NULL), CASK_OK);
        for (size_t i = 0; i < count; i++) {
            cask_buffer single = {0};

            assert_int_equal(statuses[i], get(h, keys[i], &single));
            if (statuses[i] == CASK_OK) {
                assert_int_equal(values[i].size, single.size);
                assert_memory_equal(values[i].data, single.data, single.size);
            }
            cask_buffer_free(&single);
        }
    }
    for (int i = 0; i < MANY; i++) {
        cask_buffer_free(&values[i]);
    }
}

static void test_the_last_operation_of_a_batch_on_a_key_wins(void **state)
{
    handle *h = *state;
    cask_batch *batch;

    put_text(h, "d", "old");
    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    for (int i = 0; i < 3; i++) {
        char value[16];

        (void)snprintf(value, sizeof(value), "%d", i);
        assert_int_equal(cask_batch_put(batch, cask_slice_of("a"),
                                        cask_slice_of(value), 0, NULL),
                         CASK_OK);
    }
    assert_int_equal(
        cask_batch_put(batch, cask_slice_of("b"), cask_slice_of("x"), 0, NULL),
        CASK_OK);
    assert_int_equal(cask_batch_delete(batch, cask_slice_of("b"), NULL),
                     CASK_OK);
    assert_int_equal(cask_batch_delete(batch, cask_slice_of("d"), NULL),
                     CASK_OK);
    assert_int_equal(cask_batch_put(batch, cask_slice_of("e"),
                                    cask_slice_of("gone"), HANDLE_NOW_MS, NULL),
                     CASK_OK);
    assert_int_equal(cask_batch_count(batch), 7);
    for (int round = 0; round < 3; round++) { /* a batch may be reused */
        assert_int_equal(cask_write(h->db, batch, NULL), CASK_OK);
        check_text(h, "a", "2");
        check_text(h, "b", NULL);
        check_text(h, "d", NULL);
        check_text(h, "e", NULL);
        handle_reopen(h);
    }
    cask_batch_clear(batch);
    assert_int_equal(cask_batch_count(batch), 0);
    assert_int_equal(cask_write(h->db, batch, NULL), CASK_OK);
    cask_batch_free(batch);
}

/* ---- Folds --------------------------------------------------------------- */

typedef struct seen {
    int entries;
    int most; /* stop then */
    bool keys_only;
} seen;

static bool see(void *context, const cask_entry *entry)
{
    seen *s = context;

    if (s->keys_only) {
        assert_int_equal(entry->value.size, 0);
        assert_true(entry->info.value_bytes > 0);
    } else {
        assert_memory_equal(entry->value.data, "old", 3);
    }
    s->entries++;
    return s->entries < s->most;
}

static void fill(handle *h, int count)
{
    for (int i = 0; i < count; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "key %d", i);
        put_text(h, key, "older");
        put_text(h, key, "old");
    }
}

static void test_a_fold_visits_each_key_once(void **state)
{
    handle *h = *state;
    cask_fold_options options = {.keys_only = true};
    seen all = {.most = 1000};
    seen keys = {.most = 1000, .keys_only = true};
    seen few = {.most = 5};

    assert_int_equal(cask_fold(h->db, NULL, see, &all, NULL), CASK_OK);
    assert_int_equal(all.entries, 0);
    fill(h, 100);
    delete_text(h, "key 3");
    put_until(h, "key 4", HANDLE_NOW_MS); /* expired: not visited */
    assert_int_equal(cask_fold(h->db, NULL, see, &all, NULL), CASK_OK);
    assert_int_equal(all.entries, 98);
    assert_int_equal(cask_fold(h->db, &options, see, &keys, NULL), CASK_OK);
    assert_int_equal(keys.entries, 98);
    assert_int_equal(cask_fold(h->db, NULL, see, &few, NULL), CASK_OK);
    assert_int_equal(few.entries, 5);
}

/* A second handle writes while the first one folds. */
typedef struct meanwhile {
    handle *other;
    int visited[200];
    int round;
} meanwhile;

static bool change_meanwhile(void *context, const cask_entry *entry)
{
    meanwhile *m = context;
    char text[32] = "";
    int number;

    memcpy(text, entry->key.data, entry->key.size);
    number = (int)strtol(text + 4, NULL, 10);
    assert_true(number >= 0 && number < 200);
    m->visited[number]++;
    assert_int_equal(entry->value.size, 3);
    assert_memory_equal(entry->value.data, "old", 3);
    for (int i = 0; i < 5; i++) {
        char key[32];
        int target = (m->round * 7 + i * 31) % 200;

        (void)snprintf(key, sizeof(key), "key %d", target);
        if (i % 2 == 0) {
            put_text(m->other, key, "new value");
        } else {
            assert_int_equal(
                cask_delete(m->other->db, cask_slice_of(key), NULL, NULL),
                CASK_OK);
        }
        (void)snprintf(key, sizeof(key), "later %d", m->round);
        put_text(m->other, key, "not seen");
    }
    m->round++;
    return true;
}

static void test_a_fold_sees_the_store_as_it_was(void **state)
{
    handle *h = *state;
    handle other;
    meanwhile m = {.other = &other};

    h->options.segment_max_bytes = 64 << 10; /* rotations meanwhile */
    handle_reopen(h);
    other = *h;
    handle_open(&other);
    fill(h, 200);
    assert_int_equal(cask_fold(h->db, NULL, change_meanwhile, &m, NULL),
                     CASK_OK);
    for (int i = 0; i < 200; i++) {
        if (m.visited[i] != 1) {
            fail_msg("key %d was visited %d times", i, m.visited[i]);
        }
    }
    handle_close(&other);
}

/* ---- Overwriting, verify_overwrite --------------------------------------- */

static void test_verify_overwrite_changes_no_answer(void **state)
{
    handle *h = *state;

    h->options.verify_overwrite = true;
    handle_reopen(h);
    fill(h, 50);
    delete_text(h, "key 7");
    put_text(h, "key 7", "again");
    check_text(h, "key 7", "again");
    check_text(h, "key 8", "old");
    assert_int_equal(count_keys(h), 50);
}

int main(void)
{
#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, handle_setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_keys_and_values_hold_any_bytes),
        WITH_STORE(test_the_empty_key_is_a_key),
        WITH_STORE(test_the_longest_key_is_a_key),
        WITH_STORE(test_values_of_any_size_come_back),
        WITH_STORE(test_the_buffer_of_a_get_is_used_again),
        WITH_STORE(test_delete_says_whether_there_was_a_value),
        WITH_STORE(test_info_tells_sequence_time_and_expiry),
        WITH_STORE(test_a_record_has_the_time_that_was_asked_for),
        WITH_STORE(test_expiry_seconds_counts_from_the_time_asked_for),
        WITH_STORE(test_conditions_decide_and_write_nothing_else),
        WITH_STORE(test_an_expired_key_is_absent_for_conditions),
        WITH_STORE(test_a_key_is_there_until_its_time),
        WITH_STORE(test_no_older_value_comes_back_when_one_expires),
        WITH_STORE(test_a_ttl_that_overflows_never_ends),
        WITH_STORE(test_expiry_seconds_hides_what_is_older),
        WITH_STORE(test_no_clock_decides_which_value_is_newer),
        WITH_STORE(test_a_record_from_the_future_is_not_too_old),
        WITH_STORE(test_a_view_stays_while_its_key_changes),
        WITH_STORE(test_views_work_in_every_way_of_reading),
        WITH_STORE(test_get_many_answers_as_single_gets_do),
        WITH_STORE(test_the_last_operation_of_a_batch_on_a_key_wins),
        WITH_STORE(test_a_fold_visits_each_key_once),
        WITH_STORE(test_a_fold_sees_the_store_as_it_was),
        WITH_STORE(test_verify_overwrite_changes_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
