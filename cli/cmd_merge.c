/*
 * caskade merge: give the space of what is dead back now, here or by a process
 * that has the store open; tell what would be done; cancel it.
 */
#include <inttypes.h>

#include "command.h"
#include "merge_work.h"
#include "output.h"
#include "signals.h"
#include "units.h"

enum { OPTION_PLAN = 0x2001, OPTION_CANCEL, OPTION_WAIT };

typedef struct merge_settings {
    bool all;
    bool plan;
    bool cancel;
    bool wait;
    bool json;
} merge_settings;

static const struct argp_option options[] = {
    {"all", 'a', NULL, 0,
     "Merge every segment that holds a record that is dead, not only what is "
     "worth it, and the segment that is being written, too",
     1},
    {"cancel", OPTION_CANCEL, NULL, 0,
     "Stop the merge under way, in whichever process, and let none begin by "
     "itself for a minute",
     1},
    {"json", 'j', NULL, 0, "Print one JSON object", 1},
    {"plan", OPTION_PLAN, NULL, 0,
     "Only tell what would be merged first, and why; change nothing", 1},
    {"wait", OPTION_WAIT, NULL, 0,
     "Merge here and return when it is done, even if other processes have the "
     "store open that merge by themselves",
     1},
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
    case OPTION_CANCEL:
        settings->cancel = true;
        return 0;
    case OPTION_WAIT:
        settings->wait = true;
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
    (void)output_json(json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "segments",
                                rows, "reason", p->summary.reason, "left",
                                number(p->summary.left), "read_bytes",
                                number(p->summary.read_bytes), "write_bytes",
                                number(p->summary.write_bytes), "freed_bytes",
                                number(p->summary.freed_bytes)));
}

/* A plan that was made after a merge that found nothing may find something. */
static const char *why_nothing(const plan *p)
{
    return p->count == 0 ? p->summary.reason
                         : "there was nothing; by now there is";
}

static void print_nothing(const plan *p)
{
    (void)output_print("nothing to merge: %s\n", why_nothing(p));
}

/* What is merged in this store, as it is counted. A run has one file or more;
 * those of values are counted, too. */
static const char *noun_of(cask_db *db)
{
    cask_stats stats;

    return cask_stat(db, &stats, NULL) == CASK_OK &&
                   stats.engine == CASK_ENGINE_TREE
               ? "file"
               : "segment";
}

static void print_plan_text(const plan *p, const char *noun)
{
    char first[UNITS_TEXT_SIZE];
    char second[UNITS_TEXT_SIZE];
    char third[UNITS_TEXT_SIZE];

    if (p->count == 0) {
        print_nothing(p);
        return;
    }
    (void)output_print("%-16s  %9s  %9s  %9s  %s\n", noun, "size", "live",
                       "gain", "reason");
    for (size_t i = 0; i < p->count; i++) {
        const cask_merge_item *item = &p->items[i];

        (void)output_print("%016" PRIx64 "  %9s  %9s  %9s  %s\n", item->id,
                           units_format_bytes(first, item->total_bytes),
                           units_format_bytes(second, item->live_bytes),
                           units_format_bytes(third, item->gain_bytes),
                           item->reason);
    }
    (void)output_print("to merge: %zu %s%s", p->count, noun,
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
        print_plan_text(&p, noun_of(db));
    }
    cask_free(p.items);
    return store_close(db, args->words[0], status);
}

/* ---- Merge here -------------------------------------------------------- */

/* What the disk has more than before. */
static uint64_t gain_bytes(const cask_merge_report *merged)
{
    return merged->bytes_freed > merged->bytes_written
               ? merged->bytes_freed - merged->bytes_written
               : 0;
}

static void print_merged_json(const cask_merge_report *merged, const plan *p)
{
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "inputs",
        number(merged->inputs), "outputs", number(merged->outputs),
        "bytes_read", number(merged->bytes_read), "bytes_written",
        number(merged->bytes_written), "bytes_freed",
        number(merged->bytes_freed), "gain_bytes", number(gain_bytes(merged)),
        "records", number(merged->records), "tombstones_dropped",
        number(merged->tombstones_dropped));

    if (merged->inputs == 0) {
        (void)json_object_set_new(object, "reason",
                                  json_string(why_nothing(p)));
    }
    (void)output_json(object);
}

static void print_merged_text(const cask_merge_report *merged, const char *noun)
{
    char inputs[UNITS_TEXT_SIZE];
    char outputs[UNITS_TEXT_SIZE];
    char read[UNITS_TEXT_SIZE];
    char written[UNITS_TEXT_SIZE];
    char gain[UNITS_TEXT_SIZE];

    (void)output_print("merged %s %s%s into %s: %s read, %s written; %s "
                       "given back\n",
                       units_format_count(inputs, merged->inputs), noun,
                       units_plural(merged->inputs),
                       units_format_count(outputs, merged->outputs),
                       units_format_bytes(read, merged->bytes_read),
                       units_format_bytes(written, merged->bytes_written),
                       units_format_bytes(gain, gain_bytes(merged)));
}

static exit_status report_merged(cask_db *db, const arguments *args,
                                 const merge_work *work)
{
    const merge_settings *settings = args->settings;
    const cask_merge_report *merged = &work->merged;
    exit_status status = EXIT_DONE;
    plan p = {0};

    if (work->status != CASK_OK && signals_arrived() != 0) {
        return report(EXIT_DONE,
                      "merge: interrupted; %" PRIu64 " %s%s merged into "
                      "%" PRIu64 ", merge again to go on",
                      merged->inputs, noun_of(db), units_plural(merged->inputs),
                      merged->outputs);
    }
    if (work->status != CASK_OK) {
        return report_failure(args->words[0], &work->err);
    }
    if (merged->inputs == 0) {
        status = make_plan(db, args, &p);
    }
    if (status == EXIT_DONE && settings->json) {
        print_merged_json(merged, &p);
    } else if (status == EXIT_DONE && merged->inputs == 0) {
        print_nothing(&p);
    } else if (status == EXIT_DONE) {
        print_merged_text(merged, noun_of(db));
    }
    cask_free(p.items);
    return status;
}

static exit_status merge_here(cask_db *db, const arguments *args)
{
    const merge_settings *settings = args->settings;
    cask_merge_options what = {.all = settings->all};
    merge_work work;
    int os_errno = merge_work_do(db, &what, settings->wait, &work);

    return os_errno == 0 ? report_merged(db, args, &work)
                         : report_errno(os_errno, "cannot start a thread");
}

/* ---- Merge elsewhere, cancel ------------------------------------------- */

static exit_status start_there(cask_db *db, const arguments *args,
                               uint32_t threads)
{
    const merge_settings *settings = args->settings;
    cask_merge_options what = {.all = settings->all, .start = true};
    cask_error err = {0};

    if (cask_merge(db, &what, NULL, &err) != CASK_OK) {
        return report_failure(args->words[0], &err);
    }
    if (settings->json) {
        (void)output_json(
            json_pack("{s:b, s:o}", "started", 1, "threads", number(threads)));
        return EXIT_DONE;
    }
    (void)output_print("started: a process that has the store open merges; "
                       "watch it with: caskade stat --watch %s\n",
                       args->words[0]);
    return EXIT_DONE;
}

/* Processes that have it open and merge by themselves do it, unless the end is
 * to be waited for. */
static exit_status merge(cask_db *db, const arguments *args)
{
    const merge_settings *settings = args->settings;
    cask_merge_state now;
    cask_error err = {0};

    if (settings->wait) {
        return merge_here(db, args);
    }
    if (cask_merge_status(db, &now, &err) != CASK_OK) {
        return report_failure(args->words[0], &err);
    }
    return now.threads > 0 ? start_there(db, args, now.threads)
                           : merge_here(db, args);
}

static exit_status cancel(cask_db *db, const arguments *args)
{
    const merge_settings *settings = args->settings;
    cask_merge_state now;
    cask_error err = {0};
    bool is_one;

    if (cask_merge_status(db, &now, &err) != CASK_OK ||
        cask_merge_cancel(db, &err) != CASK_OK) {
        return report_failure(args->words[0], &err);
    }
    is_one = now.phase != CASK_MERGE_NONE || now.asked;
    if (settings->json) {
        (void)output_json(json_pack("{s:b, s:o}", "cancelled", is_one ? 1 : 0,
                                    "pid", number(now.pid)));
    } else if (now.phase != CASK_MERGE_NONE && now.pid != 0) {
        (void)output_print("cancelled the merge of process %" PRIu32
                           "; none begins by itself for a minute\n",
                           now.pid);
    } else {
        (void)output_print("%s; none begins by itself for a minute\n",
                           is_one ? "cancelled the merge"
                                  : "no merge is under way");
    }
    return EXIT_DONE;
}

static exit_status run(const arguments *args)
{
    const merge_settings *settings = args->settings;
    const char *directory = args->words[0];
    cask_db *db = NULL;
    exit_status status;

    if ((settings->cancel && (settings->plan || settings->wait)) ||
        (settings->cancel && settings->all) ||
        (settings->plan && settings->wait)) {
        return report(EXIT_USAGE, "merge: --plan, --wait and --cancel exclude "
                                  "each other, --cancel also --all");
    }
    if (settings->plan) {
        return show_plan(args);
    }
    status = store_open(&args->store, directory, false, &db);
    if (status != EXIT_DONE) {
        return status;
    }
    status = settings->cancel ? cancel(db, args) : merge(db, args);
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
        "ones, and remove the old ones. The store may be in use. Processes "
        "that keep it open merge by themselves; this has one of them do it "
        "now, or, if there is none, does it here and returns when it is done. "
        "If standard error is a terminal, the progress is shown there. "
        "Interrupted, nothing is lost. In a store of the tree engine runs are "
        "merged, by the strategy that the setting compaction names.\v"
        "Examples:\n"
        "  caskade merge /tmp/store\n"
        "  caskade merge --all --wait /tmp/store\n"
        "  caskade merge --plan /tmp/store\n"
        "  caskade merge --cancel /tmp/store\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(merge_settings),
    .store = STORE_WRITE,
    .run = run,
};
