/*
 * caskade merge: give the space of what is dead back now, or tell what would
 * be done.
 *
 * A thread merges; this one shows how far it is and looks for signals. A merge
 * is done in steps, and a cancellation holds for one of them, so that it is
 * repeated until the thread has ended.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "command.h"
#include "json_format.h"
#include "output.h"
#include "progress.h"
#include "signals.h"
#include "units.h"

enum { OPTION_PLAN = 0x2001, POLL_MIN_MS = 1, POLL_MAX_MS = 100 };

typedef struct merge_settings {
    bool all;
    bool plan;
    bool json;
} merge_settings;

static const struct argp_option options[] = {
    {"all", 'a', NULL, 0,
     "Merge every segment that holds anything dead, not only what is worth "
     "it, and the segment that is being written, too",
     1},
    {"json", 'j', NULL, 0, "Print one JSON object", 1},
    {"plan", OPTION_PLAN, NULL, 0,
     "Only tell what would be merged first, and why; change nothing", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    merge_settings *settings = state->input;

    (void)argument;
    switch (key) {
    case 'a':
        settings->all = true;
        return 0;
    case 'j':
        settings->json = true;
        return 0;
    case OPTION_PLAN:
        settings->plan = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- Plan -------------------------------------------------------------- */

typedef struct plan {
    cask_merge_item *items;
    size_t count;
    cask_merge_summary summary;
} plan;

static exit_status make_plan(cask_db *db, const arguments *args, plan *ret_plan)
{
    const merge_settings *settings = args->settings;
    cask_merge_options what = {.all = settings->all};
    cask_error err = {0};

    return cask_merge_plan(db, &what, &ret_plan->items, &ret_plan->count,
                           &ret_plan->summary, &err) == CASK_OK
               ? EXIT_DONE
               : report_failure(args->words[0], &err);
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static void print_json(json_t *take_object)
{
    text line = {0};

    json_format_add(&line, take_object);
    text_add_char(&line, '\n');
    (void)output_text(&line);
    text_free(&line);
}

static json_t *item_json(const cask_merge_item *item)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:s}", "id", number(item->id),
                     "total_bytes", number(item->total_bytes), "live_bytes",
                     number(item->live_bytes), "gain_bytes",
                     number(item->gain_bytes), "reason", item->reason);
}

static void print_plan_json(const plan *p)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < p->count; i++) {
        /* A failure leaves the array short, which no memory explains. */
        (void)json_array_append_new(rows, item_json(&p->items[i]));
    }
    print_json(json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "segments", rows,
                         "reason", p->summary.reason, "left",
                         number(p->summary.left), "read_bytes",
                         number(p->summary.read_bytes), "write_bytes",
                         number(p->summary.write_bytes), "freed_bytes",
                         number(p->summary.freed_bytes)));
}

static void print_nothing(const plan *p)
{
    (void)output_print("nothing to merge: %s\n", p->summary.reason);
}

static void print_plan_text(const plan *p)
{
    char first[UNITS_TEXT_SIZE];
    char second[UNITS_TEXT_SIZE];
    char third[UNITS_TEXT_SIZE];

    if (p->count == 0) {
        print_nothing(p);
        return;
    }
    (void)output_print("%-16s  %9s  %9s  %9s  %s\n", "segment", "size", "live",
                       "gain", "reason");
    for (size_t i = 0; i < p->count; i++) {
        const cask_merge_item *item = &p->items[i];

        (void)output_print("%016" PRIx64 "  %9s  %9s  %9s  %s\n", item->id,
                           units_format_bytes(first, item->total_bytes),
                           units_format_bytes(second, item->live_bytes),
                           units_format_bytes(third, item->gain_bytes),
                           item->reason);
    }
    (void)output_print("to merge: %zu segment%s", p->count,
                       units_plural(p->count));
    if (p->summary.left > 0) {
        (void)output_print(", later %" PRIu64 " more", p->summary.left);
    }
    (void)output_print("; %s to read, %s to write; %s would be given back\n",
                       units_format_bytes(first, p->summary.read_bytes),
                       units_format_bytes(second, p->summary.write_bytes),
                       units_format_bytes(third, p->summary.freed_bytes));
}

static exit_status show_plan(const arguments *args)
{
    const merge_settings *settings = args->settings;
    store_settings store = args->store;
    cask_db *db = NULL;
    plan p = {0};
    exit_status status;

    if (store.options.linger || store.options.exclusive) {
        return report(EXIT_USAGE, "merge: --plan excludes --linger and "
                                  "--exclusive; leave one out");
    }
    store.read_only = true;
    status = store_open(&store, args->words[0], false, &db);
    if (status != EXIT_DONE) {
        return status;
    }
    status = make_plan(db, args, &p);
    if (status == EXIT_DONE && settings->json) {
        print_plan_json(&p);
    } else if (status == EXIT_DONE) {
        print_plan_text(&p);
    }
    cask_free(p.items);
    return store_close(db, args->words[0], status);
}

/* ---- Merge ------------------------------------------------------------- */

/* What the merging thread is given and gives. */
typedef struct job {
    cask_db *db;
    cask_merge_options what;
    uint64_t bytes_before; /* read by merges when it began */
    cask_merge_report merged;
    cask_status result;
    cask_error err;
    atomic_bool is_done; /* the three above are final */
} job;

static void *do_merge(void *argument)
{
    job *work = argument;

    work->result = cask_merge(work->db, &work->what, &work->merged, &work->err);
    atomic_store(&work->is_done, true);
    return NULL;
}

/* Signals are for the thread that looks for them. */
static int start(job *work, pthread_t *ret_thread)
{
    sigset_t all;
    sigset_t before;
    int os_errno;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    os_errno = pthread_create(ret_thread, NULL, do_merge, work);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return os_errno;
}

/* What all steps together will read, supposing that those to come are like the
 * first; 0: not known. */
static uint64_t expected_bytes(cask_db *db, const cask_merge_options *what)
{
    cask_merge_summary summary;
    cask_merge_item *items = NULL;
    uint64_t bytes = 0;
    size_t count = 0;

    if (cask_merge_plan(db, what, &items, &count, &summary, NULL) == CASK_OK &&
        count > 0) {
        bytes = summary.read_bytes + summary.read_bytes / count * summary.left;
    }
    cask_free(items);
    return bytes;
}

/* What merges have read so far, of all processes; 0: not known. */
static uint64_t bytes_read(cask_db *db)
{
    cask_merge_state now;

    return cask_merge_status(db, &now, NULL) == CASK_OK ? now.bytes_read : 0;
}

static void show_progress(const job *work, progress *line)
{
    cask_merge_state now;
    uint64_t bytes;

    /* What does not answer now will at the next look. */
    if (cask_merge_status(work->db, &now, NULL) != CASK_OK) {
        return;
    }
    bytes = now.bytes_read - work->bytes_before;
    if (now.phase == CASK_MERGE_COPYING) {
        if (bytes + now.bytes_total > line->view.total) {
            line->view.total = bytes + now.bytes_total;
        }
        bytes += now.bytes_done;
    }
    progress_update(line, bytes, bytes);
}

/* Until the thread has ended: show how far it is, pass on a signal. */
static void watch(const job *work, progress *line)
{
    long poll_ms = POLL_MIN_MS;

    while (!atomic_load(&work->is_done)) {
        struct timespec wait = {.tv_nsec = poll_ms * 1000000};

        /* A signal ends it early. */
        (void)nanosleep(&wait, NULL);
        if (signals_arrived() != 0 &&
            cask_merge_cancel(work->db, NULL) != CASK_OK) {
            break; /* it cannot be stopped, only waited for */
        }
        poll_ms = poll_ms < POLL_MAX_MS ? poll_ms * 2 : POLL_MAX_MS;
        show_progress(work, line);
    }
}

static uint64_t freed_bytes(const cask_merge_report *merged)
{
    return merged->bytes_read > merged->bytes_written
               ? merged->bytes_read - merged->bytes_written
               : 0;
}

static void print_merged_json(const cask_merge_report *merged, const plan *p)
{
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "inputs", number(merged->inputs),
        "outputs", number(merged->outputs), "bytes_read",
        number(merged->bytes_read), "bytes_written",
        number(merged->bytes_written), "bytes_freed",
        number(freed_bytes(merged)), "records", number(merged->records),
        "tombstones_dropped", number(merged->tombstones_dropped));

    if (merged->inputs == 0) {
        (void)json_object_set_new(object, "reason",
                                  json_string(p->summary.reason));
    }
    print_json(object);
}

static void print_merged_text(const cask_merge_report *merged)
{
    char inputs[UNITS_TEXT_SIZE];
    char outputs[UNITS_TEXT_SIZE];
    char read[UNITS_TEXT_SIZE];
    char written[UNITS_TEXT_SIZE];
    char freed[UNITS_TEXT_SIZE];

    (void)output_print("merged %s segment%s into %s: %s read, %s written; %s "
                       "given back\n",
                       units_format_count(inputs, merged->inputs),
                       units_plural(merged->inputs),
                       units_format_count(outputs, merged->outputs),
                       units_format_bytes(read, merged->bytes_read),
                       units_format_bytes(written, merged->bytes_written),
                       units_format_bytes(freed, freed_bytes(merged)));
}

static exit_status report_merged(const arguments *args, const job *work)
{
    const merge_settings *settings = args->settings;
    const cask_merge_report *merged = &work->merged;
    exit_status status = EXIT_DONE;
    plan p = {0};

    if (work->result != CASK_OK && signals_arrived() != 0) {
        return report(EXIT_DONE,
                      "merge: interrupted; %" PRIu64 " segment%s merged into "
                      "%" PRIu64 ", merge again to go on",
                      merged->inputs, units_plural(merged->inputs),
                      merged->outputs);
    }
    if (work->result != CASK_OK) {
        return report_failure(args->words[0], &work->err);
    }
    if (merged->inputs == 0) {
        status = make_plan(work->db, args, &p);
    }
    if (status == EXIT_DONE && settings->json) {
        print_merged_json(merged, &p);
    } else if (status == EXIT_DONE && merged->inputs == 0) {
        print_nothing(&p);
    } else if (status == EXIT_DONE) {
        print_merged_text(merged);
    }
    cask_free(p.items);
    return status;
}

static exit_status merge(cask_db *db, const arguments *args)
{
    const merge_settings *settings = args->settings;
    job work = {.db = db,
                .what = {.all = settings->all},
                .bytes_before = bytes_read(db)};
    progress line;
    pthread_t thread;
    int os_errno;

    signals_catch();
    progress_start(&line, "merging", "bytes", expected_bytes(db, &work.what));
    os_errno = start(&work, &thread);
    if (os_errno != 0) {
        return report_errno(os_errno, "cannot start a thread");
    }
    watch(&work, &line);
    (void)pthread_join(thread, NULL);
    progress_stop(&line);
    return report_merged(args, &work);
}

static exit_status run(const arguments *args)
{
    const merge_settings *settings = args->settings;
    const char *directory = args->words[0];
    cask_db *db = NULL;
    exit_status status;

    if (settings->plan) {
        return show_plan(args);
    }
    status = store_open(&args->store, directory, false, &db);
    if (status != EXIT_DONE) {
        return status;
    }
    status = merge(db, args);
    return store_close(db, directory, status);
}

const command command_merge = {
    .name = "merge",
    .summary = "Give the space of dead records back",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text =
        "Copy what is live in segments that hold much that is dead to new "
        "ones, and remove the old ones; return when that is done. The store "
        "may be in use. Processes that keep it open merge by themselves; this "
        "does it now. If standard error is a terminal, the progress is shown "
        "there. Interrupted, nothing is lost.\v"
        "Examples:\n"
        "  caskade merge /tmp/store\n"
        "  caskade merge --all /tmp/store\n"
        "  caskade merge --plan /tmp/store\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(merge_settings),
    .store = STORE_WRITE,
    .run = run,
};
