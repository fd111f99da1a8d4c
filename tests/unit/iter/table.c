/*
 * See table.h.
 */
#include "unit/iter/table.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- One input ---------------------------------------------------------- */

static char *copy_of(cask_slice bytes)
{
    char *copy = malloc(bytes.size + 1);

    assert_non_null(copy);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return copy;
}

static void take_back(table *t)
{
    free(t->lent_key);
    free(t->lent_value);
    t->lent_key = NULL;
    t->lent_value = NULL;
}

static cask_status go_to(table *t, size_t at, cask_run_entry *ret_entry,
                         cask_error *err)
{
    take_back(t);
    t->is_somewhere = false;
    if (t->faults != NULL && t->faults->calls++ == t->faults->fail_at) {
        t->faults->has_fired = true;
        return fail(err, CASK_CORRUPT, 0, "planted");
    }
    if (at >= t->count) {
        return CASK_NOT_FOUND;
    }
    t->at = at;
    t->is_somewhere = true;
    *ret_entry = t->entries[at];
    if (!t->is_stable) {
        t->lent_key = copy_of(ret_entry->key);
        t->lent_value = copy_of(ret_entry->value);
        ret_entry->key.data = t->lent_key;
        ret_entry->value.data = t->lent_value;
    }
    return CASK_OK;
}

static cask_status table_seek(void *self, cask_run_seek how, cask_slice key,
                              cask_run_entry *ret_entry, cask_error *err)
{
    table *t = self;
    size_t at = 0;

    if (how == CASK_RUN_LAST) {
        at = t->count;
    } else if (how != CASK_RUN_FIRST) {
        while (at < t->count && key_compare(t->entries[at].key, key) <
                                    (how == CASK_RUN_AT_MOST ? 1 : 0)) {
            at++;
        }
    }
    if (how == CASK_RUN_LAST || how == CASK_RUN_AT_MOST) {
        at = at > 0 ? at - 1 : t->count;
    }
    return go_to(t, at, ret_entry, err);
}

static cask_status table_next(void *self, cask_run_entry *ret_entry,
                              cask_error *err)
{
    table *t = self;

    assert_true(t->is_somewhere);
    return go_to(t, t->at + 1, ret_entry, err);
}

static cask_status table_previous(void *self, cask_run_entry *ret_entry,
                                  cask_error *err)
{
    table *t = self;

    assert_true(t->is_somewhere);
    return go_to(t, t->at > 0 ? t->at - 1 : t->count, ret_entry, err);
}

static const iter_input_ops table_ops = {table_seek, table_next,
                                         table_previous};

void table_insert(table *t, const cask_run_entry *entry)
{
    size_t at = t->count++;

    while (at > 0 && table_compare(&t->entries[at - 1], entry) > 0) {
        t->entries[at] = t->entries[at - 1];
        at--;
    }
    t->entries[at] = *entry;
    if (t->is_somewhere && at <= t->at) {
        t->at++;
    }
}

/* ---- Many of them ------------------------------------------------------- */

static table_set *set_of(size_t tables)
{
    table_set *set = calloc(1, sizeof(*set));

    assert_non_null(set);
    set->tables = calloc(tables + 1, sizeof(*set->tables));
    set->inputs = calloc(tables + 1, sizeof(*set->inputs));
    assert_non_null(set->tables);
    assert_non_null(set->inputs);
    set->count = tables;
    for (size_t i = 0; i < tables; i++) {
        set->tables[i].is_stable = true;
        /* Room for some more. */
        set->tables[i].entries =
            calloc(TABLE_ENTRIES, sizeof(*set->tables[i].entries));
        assert_non_null(set->tables[i].entries);
    }
    return set;
}

static void deal(table_set *set, const cask_run_entry *entry, size_t number)
{
    set->all[set->entries++] = *entry;
    if (entry->kind == CASK_RUN_DELETE_RANGE) {
        set->ranges[set->range_count++] =
            (iter_range){entry->key, entry->value, entry->info.sequence};
    }
    table_insert(&set->tables[number], entry);
}

static uint64_t newest(const table *t)
{
    uint64_t sequence = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (t->entries[i].info.sequence > sequence) {
            sequence = t->entries[i].info.sequence;
        }
    }
    return sequence;
}

static void finish(table_set *set)
{
    qsort(set->all, set->entries, sizeof(set->all[0]), table_compare);
    for (size_t i = 0; i < set->count; i++) {
        set->inputs[i] = (iter_input){.ops = &table_ops,
                                      .self = &set->tables[i],
                                      .is_stable = set->tables[i].is_stable,
                                      .last_sequence = newest(&set->tables[i])};
    }
}

cask_slice table_random_key(const table_mix *mix, test_random *random,
                            char room[TABLE_KEY_MAX])
{
    size_t free_bytes = TABLE_KEY_MAX - mix->front;
    size_t size = mix->front + test_random_next(random, free_bytes + 1);

    if (test_random_chance(random, 50) && free_bytes > 1) {
        size = mix->front + test_random_next(random, 3);
    }
    memset(room, 'm', TABLE_KEY_MAX);
    for (size_t i = mix->front; i < size; i++) {
        /* Bytes of 0 and 255 among them: heads are filled up with 0. */
        uint64_t letter = test_random_next(random, mix->letters);

        room[i] = (char)(letter == 0 ? 0 : letter == 1 ? 255 : 'a' + letter);
    }
    return (cask_slice){room, size};
}

static cask_run_entry random_entry(table_set *set, const table_mix *mix,
                                   test_random *random)
{
    size_t i = set->entries;
    cask_run_entry entry = {.kind = CASK_RUN_PUT,
                            .info = {.sequence = i + 1, .time_s = 5}};

    entry.key = table_random_key(mix, random, set->keys[i]);
    if (test_random_chance(random, mix->delete_percent)) {
        entry.kind = CASK_RUN_DELETE;
        return entry;
    }
    entry.value = table_random_key(mix, random, set->ends[i]);
    if (test_random_chance(random, mix->range_percent) &&
        key_compare(entry.key, entry.value) < 0) {
        entry.kind = CASK_RUN_DELETE_RANGE;
        return entry;
    }
    if (test_random_chance(random, 10)) {
        entry.kind = CASK_RUN_POINTER;
        entry.pointer = (cask_run_pointer){3, i * 8, 40};
        entry.value = (cask_slice){NULL, 0};
    }
    if (test_random_chance(random, mix->expired_percent)) {
        entry.info.expires_at_ms = 1;
    }
    return entry;
}

table_set *table_set_random(const table_mix *mix, test_random *random)
{
    table_set *set = set_of(mix->tables);
    bool is_by_age = test_random_chance(random, 50); /* as runs are */

    for (size_t i = 0; i < mix->tables; i++) {
        set->tables[i].is_stable =
            test_random_chance(random, mix->stable_percent);
    }
    for (size_t i = 0; i < mix->entries && mix->tables > 0; i++) {
        cask_run_entry entry = random_entry(set, mix, random);

        deal(set, &entry,
             is_by_age ? i * mix->tables / mix->entries
                       : test_random_next(random, mix->tables));
    }
    finish(set);
    return set;
}

void table_set_free(table_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        take_back(&set->tables[i]);
        free(set->tables[i].entries);
    }
    free(set->tables);
    free(set->inputs);
    free(set);
}

void table_set_share(table_set *set, table_faults *faults)
{
    for (size_t i = 0; i < set->count; i++) {
        set->tables[i].faults = faults;
    }
}

bool table_is_expired(void *context, const cask_run_entry *entry)
{
    (void)context;
    return entry->info.expires_at_ms == 1;
}

/* ---- Text --------------------------------------------------------------- */

static cask_slice take_letters(const char **text)
{
    cask_slice letters = {*text, 0};

    while (isalpha((unsigned char)**text)) {
        (*text)++;
        letters.size++;
    }
    return letters;
}

static cask_run_entry take_entry(const char **text)
{
    cask_run_entry entry = {.kind = CASK_RUN_PUT, .info = {.time_s = 5}};

    entry.key = take_letters(text);
    if (strncmp(*text, "..", 2) == 0) {
        *text += 2;
        entry.kind = CASK_RUN_DELETE_RANGE;
        entry.value = take_letters(text);
    }
    while (isdigit((unsigned char)**text)) {
        entry.info.sequence =
            entry.info.sequence * 10 + (uint64_t)(*(*text)++ - '0');
    }
    if (**text == '-') {
        entry.kind = CASK_RUN_DELETE;
        (*text)++;
    } else if (**text == '*') {
        entry.kind = CASK_RUN_POINTER;
        entry.pointer = (cask_run_pointer){3, 64, 40};
        (*text)++;
    } else if (**text == '!') {
        entry.info.expires_at_ms = 1;
        (*text)++;
    }
    assert_true(**text == ' ' || **text == '\0');
    assert_true(entry.key.size > 0 && entry.info.sequence > 0);
    return entry;
}

table_set *table_set_of(const char *text)
{
    size_t tables = 1;
    size_t number = 0;
    table_set *set;

    for (const char *at = text; *at != '\0'; at++) {
        tables += *at == '|' ? 1 : 0;
    }
    set = set_of(tables);
    while (*text != '\0') {
        if (*text == '|') {
            number++;
            text++;
        } else if (*text == ' ') {
            text++;
        } else {
            const cask_run_entry entry = take_entry(&text);

            deal(set, &entry, number);
        }
    }
    finish(set);
    return set;
}

void table_describe(char *text, const cask_run_entry *entry)
{
    bool is_range = entry->kind == CASK_RUN_DELETE_RANGE;
    const char *mark = "";
    size_t used = strlen(text);

    if (entry->kind == CASK_RUN_DELETE) {
        mark = "-";
    } else if (entry->kind == CASK_RUN_POINTER) {
        mark = "*";
    } else if (entry->info.expires_at_ms == 1) {
        mark = "!";
    }
    (void)snprintf(text + used, TABLE_TEXT - used, "%s%.*s%s%.*s%" PRIu64 "%s",
                   used > 0 ? " " : "", (int)entry->key.size,
                   (const char *)entry->key.data, is_range ? ".." : "",
                   is_range ? (int)entry->value.size : 0,
                   is_range ? (const char *)entry->value.data : "",
                   entry->info.sequence, mark);
}

/* ---- Comparing ---------------------------------------------------------- */

int table_compare(const void *a, const void *b)
{
    const cask_run_entry *left = a;
    const cask_run_entry *right = b;
    int order = key_compare(left->key, right->key);

    if (order != 0) {
        return order;
    }
    return left->info.sequence > right->info.sequence ? -1 : 1;
}

void assert_same_entry(const cask_run_entry *got,
                       const cask_run_entry *expected)
{
    assert_int_equal(got->info.sequence, expected->info.sequence);
    assert_int_equal(got->kind, expected->kind);
    assert_int_equal(key_compare(got->key, expected->key), 0);
    assert_int_equal(key_compare(got->value, expected->value), 0);
    assert_int_equal(got->info.expires_at_ms, expected->info.expires_at_ms);
    assert_int_equal(got->info.time_s, expected->info.time_s);
    assert_int_equal(got->pointer.offset, expected->pointer.offset);
}

size_t table_sought(const cask_run_entry *entries, size_t count,
                    cask_run_seek how, cask_slice key)
{
    size_t at = 0;

    if (how == CASK_RUN_FIRST) {
        return 0;
    }
    if (how == CASK_RUN_LAST) {
        return count > 0 ? count - 1 : 0;
    }
    while (at < count && key_compare(entries[at].key, key) <
                             (how == CASK_RUN_AT_MOST ? 1 : 0)) {
        at++;
    }
    if (how == CASK_RUN_AT_LEAST) {
        return at;
    }
    return at > 0 ? at - 1 : count;
}
