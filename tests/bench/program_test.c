/*
 * caskade-bench as its user sees it, with so few keys that it takes seconds.
 * No figure is judged, only that each is there.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/json.h"
#include "cask_test.h"

#define OUTPUT_MAX (1u << 20)

/* Each work and whether it is a rate of the store itself, which the empty
 * engine has as well. */
static const char *const works[] = {
    "fill-order",    "fill-random",   "batch-put",       "overwrite",
    "delete",        "get",           "get-missing",     "get-many",
    "get-2-threads", "get-1-process", "get-2-processes", "synced-1",
    "synced-16",     "open-further",  "first-get",       "reopen",
    "reopen-time",   "index-bytes",   "memory-peak",     "memory-held",
    "put-p50",       "put-p99",       "put-p99.9",       "get-p50",
    "get-p99",       "get-p99.9",
};

static char program[] = CASKADE_BENCH;
static char directory[] = "/tmp/caskade-bench-test-XXXXXX";

/* In the child: become the program, working in `directory`. */
static void exec_bench(const char *arguments, int output)
{
    char copy[1024];
    char *words[32] = {program};
    char *rest = NULL;
    size_t count = 1;
    snprintf(copy, sizeof(copy), "%s", arguments);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL && count < 31;
         word = strtok_r(NULL, " ", &rest)) {
        words[count++] = word;
    }
    if (chdir(directory) == 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(output, STDERR_FILENO) >= 0) {
        execv(program, words);
    }
    _exit(127);
}

/* Run the program; what it printed, errors too, and its exit status. */
static int run_bench(const char *arguments, char *ret_output)
{
    int ends[2];
    int wait_status = 0;
    size_t size = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        exec_bench(arguments, ends[1]);
    }
    close(ends[1]);
    for (;;) {
        ssize_t part = read(ends[0], ret_output + size, OUTPUT_MAX - 1 - size);
        if (part <= 0) {
            break;
        }
        size += (size_t)part;
    }
    ret_output[size] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &wait_status, 0), pid);
    assert_true(WIFEXITED(wait_status));
    return WEXITSTATUS(wait_status);
}

static bool directory_is_empty(void)
{
    size_t count = 0;
    DIR *stream = opendir(directory);
    assert_non_null(stream);
    while (readdir(stream) != NULL) {
        count++;
    }
    closedir(stream);
    return count == 2; /* "." and ".." */
}

/* The object in "results" for this work and engine, or NULL. */
static const char *find_result(const char *output, const char *work,
                               const char *engine)
{
    char start[128];
    snprintf(start, sizeof(start), "{\"work\": \"%s\", \"engine\": \"%s\"",
             work, engine);
    return strstr(output, start);
}

/* Both repeats of `work` gave a positive figure. */
static void check_two_values(const char *output, const char *work,
                             const char *engine)
{
    const char *result = find_result(output, work, engine);
    double first = 0;
    double second = 0;
    if (result == NULL) {
        fail_msg("no result for %s of %s", work, engine);
    }
    const char *values = strstr(result, "\"values\": [");
    assert_non_null(values);
    if (sscanf(values, "\"values\": [%lf, %lf]", &first, &second) != 2) {
        fail_msg("%s of %s has not two values", work, engine);
    }
    assert_true(first > 0);
    assert_true(second > 0);
}

/* There is no figure, and a note says why. */
static void check_left_out(const char *output, const char *work,
                           const char *engine)
{
    static const char left_out[] = "\"values\": [], \"note\": \"it has no iter";
    const char *result = find_result(output, work, engine);
    if (result == NULL) {
        fail_msg("no result for %s of %s", work, engine);
    }
    const char *values = strstr(result, "\"values\": [");
    assert_non_null(values);
    assert_memory_equal(values, left_out, sizeof(left_out) - 1);
}

static void test_json_has_every_figure_of_every_work(void **state)
{
    char *output = malloc(OUTPUT_MAX);
    (void)state;
    assert_non_null(output);
    int status = run_bench("--keys 2000 --repeats 2 --json", output);
    assert_int_equal(status, 0);
    assert_true(json_is_object(output));
    assert_non_null(strstr(output, "\"failed_runs\": 0"));
    assert_non_null(strstr(output, "\"keys\": 2000, \"key_bytes\": 16, "
                                   "\"value_bytes\": 100, \"repeats\": 2"));
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        check_two_values(output, works[i], "caskade");
    }
    check_two_values(output, "get", "none");
    assert_true(directory_is_empty());
    free(output);
}

/* Sizes so small that no target is met: the exit status is not judged. */
static void test_merging_measures_its_own_works_and_targets(void **state)
{
    static const char *const merging[] = {
        "alone-put-p99.9", "merging-put-p99.9",
        "slow-put-p99.9",  "alone-get",
        "merging-get",     "slow-get",
        "merge-input",     "space",
        "space-disk",      "write-factor",
        "steady-put",      "default-space",
        "default-disk",    "default-writes",
        "default-put",     "fold",
        "fold-keys",       "bare-put",
        "snapshot-put",    "bare-get",
        "snapshot-get",    "never-put",
        "freed-put",       "never-get",
        "freed-get",       "disk-100",
        "copy-100",        "import-100",
        "disk-200",        "copy-200",
        "import-200",      "disk-400",
        "copy-400",        "import-400",
        "disk-1k",         "copy-1k",
        "import-1k",       "disk-64k",
        "copy-64k",        "import-64k",
        "run-write",       "run-scan-first",
        "run-scan",        "run-scan-back",
        "run-get",         "run-get-missing",
        "run-seek",
    };
    char *output = malloc(OUTPUT_MAX);
    (void)state;
    assert_non_null(output);
    int status = run_bench("--merging -n 1K -r 2 --json", output);
    assert_in_range(status, 0, 1);
    assert_true(json_is_object(output));
    assert_non_null(strstr(output, "\"failed_runs\": 0"));
    for (size_t i = 0; i < sizeof(merging) / sizeof(merging[0]); i++) {
        check_two_values(output, merging[i], "caskade");
    }
    assert_null(find_result(output, "fill-random", "caskade"));
    assert_non_null(strstr(output, "space / live bytes, steady"));
    assert_null(strstr(output, "against tkrzw"));
    assert_true(directory_is_empty());
    free(output);
}

/* Whether the first line of --list has `name` as an engine that was built. */
static bool is_built(const char *name)
{
    char *output = malloc(OUTPUT_MAX);
    char start[32];
    assert_non_null(output);
    assert_int_equal(run_bench("--list", output), 0);
    output[strcspn(output, "\n")] = '\0';
    snprintf(start, sizeof(start), " %s", name);
    const char *found = strstr(output, start);
    free(output);
    return found != NULL;
}

static const char *const tree_works[] = {
    "tree-fill-100", "tree-order-100",  "tree-get-100", "tree-missing-100",
    "tree-held-100", "tree-peak-100",   "tree-fill-1k", "tree-order-1k",
    "tree-get-1k",   "tree-missing-1k", "tree-held-1k", "tree-peak-1k",
    "tree-grow",     "tree-grow-1",     "tree-grow-2",  "tree-grow-3",
    "tree-grow-4",   "tree-grow-5",     "tree-grow-6",  "tree-grow-7",
    "tree-grow-8",   "tree-grow-9",     "tree-grow-10", "tree-load",
    "tree-p99.9",    "tree-longest",    "tree-space",   "tree-space-end",
    "tree-steady",   "tree-killed",
};
static const char *const order_works[] = {
    "tree-seek-100",
    "tree-scan-100",
    "tree-seek-1k",
    "tree-scan-1k",
};

static void check_all(const char *output, const char *const *names,
                      size_t count, const char *engine)
{
    for (size_t i = 0; i < count; i++) {
        check_two_values(output, names[i], engine);
    }
}

#define CHECK_ALL(output, names, engine)                                       \
    check_all(output, names, sizeof(names) / sizeof((names)[0]), engine)

/* Both engines of Caskade and every peer with an order that was built. */
static void measure_tree(char *output)
{
    static const char *const peers[] = {"leveldb", "rocksdb", "lmdb"};
    const size_t count = sizeof(peers) / sizeof(peers[0]);
    char arguments[256] =
        "--tree -n 1K -r 2 --load-seconds 1 --json -e caskade,caskade-tree";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(arguments);
        if (is_built(peers[i])) {
            snprintf(arguments + used, sizeof(arguments) - used, ",%s",
                     peers[i]);
        }
    }
    assert_in_range(run_bench(arguments, output), 0, 1);
    for (size_t i = 0; i < count; i++) {
        if (is_built(peers[i])) {
            CHECK_ALL(output, tree_works, peers[i]);
            CHECK_ALL(output, order_works, peers[i]);
        }
    }
}

/* Sizes so small that targets mean nothing: the exit status is not judged. */
static void test_tree_measures_its_own_works_and_targets(void **state)
{
    char *output = malloc(OUTPUT_MAX);
    (void)state;
    assert_non_null(output);
    measure_tree(output);
    assert_true(json_is_object(output));
    assert_non_null(strstr(output, "\"failed_runs\": 0"));
    CHECK_ALL(output, tree_works, "caskade");
    CHECK_ALL(output, tree_works, "caskade-tree");
    check_two_values(output, "tree-writes", "caskade");
    check_two_values(output, "tree-writes", "caskade-tree");
    assert_null(find_result(output, "fill-random", "caskade"));
    assert_non_null(strstr(output, "sustained fill against rocksdb"));
    assert_null(strstr(output, "against tkrzw"));
    assert_true(directory_is_empty());
    free(output);
}

static void
test_an_engine_without_an_order_leaves_out_ordered_works(void **state)
{
    char *output = malloc(OUTPUT_MAX);
    (void)state;
    assert_non_null(output);
    int status = run_bench("-n 1K -r 1 -e caskade -w tree-100 --json", output);
    assert_int_equal(status, 0);
    check_left_out(output, "tree-seek-100", "caskade");
    check_left_out(output, "tree-scan-100", "caskade");
    free(output);
}

static void test_only_the_wanted_works_and_engines_are_run(void **state)
{
    char *output = malloc(OUTPUT_MAX);
    (void)state;
    assert_non_null(output);
    int status = run_bench("-n 1K -r 1 -e none -w get,batch --json", output);
    assert_int_equal(status, 0);
    assert_true(json_is_object(output));
    assert_non_null(find_result(output, "get", "none"));
    assert_non_null(find_result(output, "batch-put", "none"));
    assert_null(find_result(output, "fill-random", "none"));
    assert_null(find_result(output, "get", "caskade"));
    free(output);
}

static void test_a_target_that_was_not_measured_is_not_met(void **state)
{
    char *output = malloc(OUTPUT_MAX);
    (void)state;
    assert_non_null(output);
    int status = run_bench("-n 1K -r 1 -e none -w get --targets", output);
    assert_int_equal(status, 1);
    assert_non_null(strstr(output, "NOT MEASURED"));
    assert_null(strstr(output, "PASS"));
    free(output);
}

static void test_wrong_usage_ends_with_2_and_leaves_nothing(void **state)
{
    static const char *const wrong[] = {
        "--keys 3",          "--keys -5",         "--keys 1G",
        "--keys K",          "--engines who",     "--work nothing",
        "--repeats 0",       "--key-bytes 7",     "--no-such",
        "--keys 1K5",        "--segment-bytes 9", "--load-seconds 0",
        "--buffer-bytes 1K",
    };
    char *output = malloc(OUTPUT_MAX);
    (void)state;
    assert_non_null(output);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(run_bench(wrong[i], output), 2);
        assert_true(strlen(output) > 0);
    }
    assert_true(directory_is_empty());
    free(output);
}

static void test_json_checker_refuses_what_is_not_json(void **state)
{
    (void)state;
    assert_true(json_is_object("{\"a\": [1, -2.5e3, null], \"b\": {}}\n"));
    assert_false(json_is_object("{\"a\": [1, ]}"));
    assert_false(json_is_object("{\"a\" 1}"));
    assert_false(json_is_object("{\"a\": nan}"));
    assert_false(json_is_object("{\"a\": 1} {"));
    assert_false(json_is_object("{\"a\": \"b}"));
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_checker_refuses_what_is_not_json),
        cmocka_unit_test(test_json_has_every_figure_of_every_work),
        cmocka_unit_test(test_merging_measures_its_own_works_and_targets),
        cmocka_unit_test(test_tree_measures_its_own_works_and_targets),
        cmocka_unit_test(
            test_an_engine_without_an_order_leaves_out_ordered_works),
        cmocka_unit_test(test_only_the_wanted_works_and_engines_are_run),
        cmocka_unit_test(test_a_target_that_was_not_measured_is_not_met),
        cmocka_unit_test(test_wrong_usage_ends_with_2_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
