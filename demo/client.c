/*
 * The processes of the demo: a writer, a reader, and one that looks up or
 * checks everything. See demo.sh, which starts them.
 *
 *   caskade-demo lookup DIR RECORDS
 *   caskade-demo write DIR RECORDS JOURNAL WRITER
 *   caskade-demo read DIR RECORDS
 *   caskade-demo check DIR RECORDS JOURNAL...
 *
 * write and read go on until SIGTERM. Results are lines of NAME=VALUE.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "caskade.h"
#include "journal.h"
#include "records.h"

enum { BATCH = 16, VALUE_MAX = 512 };

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static uint64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void check(cask_status status, const cask_error *err)
{
    if (status != CASK_OK) {
        (void)fprintf(stderr, "caskade-demo: %s\n", err->message);
        exit(EXIT_FAILURE);
    }
}

static cask_db *open_store(const char *directory, bool read_only)
{
    cask_options options;
    cask_error err = {0};
    cask_db *db = NULL;

    cask_options_init(&options);
    options.read_only = read_only;
    check(cask_open(directory, &options, &db, &err), &err);
    return db;
}

static void close_store(cask_db *db)
{
    cask_error err = {0};

    check(cask_close(db, &err), &err);
}

/* ---- lookup ------------------------------------------------------------ */

/* The order in which to look things up: every index once, at random. */
static size_t *shuffled(size_t count)
{
    size_t *order = calloc(count + 1, sizeof(*order));
    uint64_t seed = 88172645463325252u;

    if (order == NULL) {
        (void)fputs("caskade-demo: no memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < count; i++) {
        size_t j = (size_t)(next_random(&seed) % (i + 1));

        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

static int run_lookup(const char *directory, const records *all)
{
    cask_db *db = open_store(directory, true);
    size_t *order = shuffled(all->count);
    cask_buffer value = {0};
    cask_error err = {0};
    uint64_t start = now_us();
    uint64_t wrong = 0;

    for (size_t i = 0; i < all->count; i++) {
        const record *row = &all->rows[order[i]];
        cask_status status = cask_get(db, row->path, &value, &err);

        if (status != CASK_OK || value.size != row->package.size ||
            memcmp(value.data, row->package.data, value.size) != 0) {
            wrong++;
        }
    }
    (void)printf("lookup_us=%" PRIu64 "\nlines=%zu\npaths=%zu\nwrong=%" PRIu64
                 "\n",
                 now_us() - start, all->line_count, all->count, wrong);
    cask_buffer_free(&value);
    free(order);
    close_store(db);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- write ------------------------------------------------------------- */

static void apply_edit(cask_db *db, const record *row, unsigned writer,
                       edit next)
{
    char value[VALUE_MAX];
    cask_error err = {0};
    size_t size;

    if (next.is_delete) {
        check(cask_delete(db, row->path, NULL, &err), &err);
        return;
    }
    size = records_value(row, writer, next, value, sizeof(value));
    check(cask_put(db, row->path, (cask_slice){value, size}, &err), &err);
}

static int run_write(const char *directory, const records *all,
                     const char *journal, unsigned writer)
{
    cask_db *db = open_store(directory, false);
    int fd = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    uint64_t seed = 1234567 + writer;
    uint32_t number = 0;

    if (fd < 0) {
        perror(journal);
        return EXIT_FAILURE;
    }
    while (stopped == 0) {
        size_t index =
            (size_t)(next_random(&seed) % (all->count / 2)) * 2 + writer;
        edit next = {++number, next_random(&seed) % 5 == 0};
        journal_entry entry = {(uint32_t)index, number, next.is_delete, 0};

        journal_add(fd, &entry);
        apply_edit(db, &all->rows[index], writer, next);
        entry.acknowledged = 1;
        journal_add(fd, &entry);
    }
    (void)close(fd);
    close_store(db);
    return EXIT_SUCCESS;
}

/* ---- read -------------------------------------------------------------- */

typedef struct reader {
    const records *all;
    uint32_t *seen; /* the newest edit seen of each record */
    uint64_t reads, absent, wrong, longest_us;
} reader;

/* A value must be one that its writer wrote, and none may come back. */
static void judge(reader *state, size_t index, cask_status status,
                  const cask_buffer *value)
{
    edit found = {0};
    bool is_good;

    state->reads++;
    if (status == CASK_NOT_FOUND) {
        state->absent++;
        return;
    }
    is_good =
        status == CASK_OK &&
        records_edit_of(&state->all->rows[index], records_writer_of(index),
                        (cask_slice){value->data, value->size}, &found) &&
        found.number >= state->seen[index];
    state->wrong += is_good ? 0 : 1;
    state->seen[index] = found.number;
}

static void read_batch(reader *state, cask_db *db, uint64_t *seed,
                       cask_buffer values[BATCH])
{
    cask_status statuses[BATCH];
    cask_slice keys[BATCH];
    size_t indexes[BATCH];
    cask_error err = {0};

    for (size_t i = 0; i < BATCH; i++) {
        indexes[i] = (size_t)(next_random(seed) % state->all->count);
        keys[i] = state->all->rows[indexes[i]].path;
    }
    check(cask_get_many(db, keys, BATCH, values, statuses, &err), &err);
    for (size_t i = 0; i < BATCH; i++) {
        judge(state, indexes[i], statuses[i], &values[i]);
    }
}

static int run_read(const char *directory, const records *all)
{
    cask_db *db = open_store(directory, false);
    reader state = {.all = all,
                    .seen = calloc(all->count, sizeof(*state.seen))};
    cask_buffer values[BATCH] = {{0}};
    uint64_t seed = 987654321;

    if (state.seen == NULL) {
        (void)fputs("caskade-demo: no memory\n", stderr);
        return EXIT_FAILURE;
    }
    while (stopped == 0) {
        uint64_t start = now_us();
        uint64_t took;

        read_batch(&state, db, &seed, values);
        took = now_us() - start;
        state.longest_us = took > state.longest_us ? took : state.longest_us;
    }
    for (size_t i = 0; i < BATCH; i++) {
        cask_buffer_free(&values[i]);
    }
    free(state.seen);
    close_store(db);
    (void)printf("reads=%" PRIu64 "\nabsent=%" PRIu64 "\nwrong=%" PRIu64
                 "\nlongest_us=%" PRIu64 "\n",
                 state.reads, state.absent, state.wrong, state.longest_us);
    return state.wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- check ------------------------------------------------------------- */

/* Whether what the store has for a record is what `want` leads to. */
static bool is_result(const record *row, unsigned writer, edit want,
                      cask_status status, cask_slice value)
{
    edit found = {0};

    if (want.number != 0 && want.is_delete) {
        return status == CASK_NOT_FOUND;
    }
    return status == CASK_OK && records_edit_of(row, writer, value, &found) &&
           found.number == want.number;
}

static bool is_expected(const record *row, unsigned writer,
                        const expectation *about, cask_status status,
                        cask_slice value)
{
    /* An edit that was begun and not acknowledged may have happened. */
    return is_result(row, writer, about->last, status, value) ||
           (about->perhaps.number != 0 &&
            is_result(row, writer, about->perhaps, status, value));
}

static uint64_t count_missing(cask_db *db, const records *all,
                              const expectation *expected, uint64_t *present)
{
    cask_buffer value = {0};
    cask_error err = {0};
    uint64_t missing = 0;

    for (size_t i = 0; i < all->count; i++) {
        const record *row = &all->rows[i];
        cask_status status = cask_get(db, row->path, &value, &err);

        *present += status == CASK_OK ? 1 : 0;
        if (!is_expected(row, records_writer_of(i), &expected[i], status,
                         (cask_slice){value.data, value.size})) {
            missing++;
        }
    }
    cask_buffer_free(&value);
    return missing;
}

static int run_check(const char *directory, const records *all, char **journals,
                     int journal_count)
{
    expectation *expected = calloc(all->count + 1, sizeof(*expected));
    uint64_t acknowledged = 0;
    uint64_t present = 0;
    uint64_t count = 0;
    cask_error err = {0};
    uint64_t start, opened, missing;
    cask_db *db;

    if (expected == NULL) {
        (void)fputs("caskade-demo: no memory\n", stderr);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < journal_count; i++) {
        acknowledged += journal_read(journals[i], expected, all->count);
    }
    start = now_us();
    db = open_store(directory, false);
    opened = now_us();
    missing = count_missing(db, all, expected, &present);
    check(cask_count(db, &count, &err), &err);
    /* Nothing that nobody wrote. */
    missing += count != present ? 1 : 0;
    (void)printf("open_us=%" PRIu64 "\nacknowledged=%" PRIu64
                 "\nmissing=%" PRIu64 "\nkeys=%" PRIu64 "\n",
                 opened - start, acknowledged, missing, count);
    close_store(db);
    free(expected);
    return missing == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- main -------------------------------------------------------------- */

static int run(int argc, char **argv, const records *all)
{
    const char *what = argv[1];

    if (strcmp(what, "lookup") == 0 && argc == 4) {
        return run_lookup(argv[2], all);
    }
    if (strcmp(what, "write") == 0 && argc == 6) {
        return run_write(argv[2], all, argv[4], argv[5][0] == '2' ? 1 : 0);
    }
    if (strcmp(what, "read") == 0 && argc == 4) {
        return run_read(argv[2], all);
    }
    if (strcmp(what, "check") == 0) {
        return run_check(argv[2], all, argv + 4, argc - 4);
    }
    (void)fputs("caskade-demo: see the head of demo/client.c\n", stderr);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct sigaction action;
    records all;
    int status;

    if (argc < 4) {
        (void)fputs("caskade-demo: started by demo/demo.sh\n", stderr);
        return EXIT_FAILURE;
    }
    memset(&action, 0, sizeof(action));
    action.sa_handler = stop;
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN; /* 'ulimit -f': the store says so */
    (void)sigaction(SIGXFSZ, &action, NULL);
    all = records_read(argv[3]);
    status = run(argc, argv, &all);
    records_free(&all);
    return status;
}
