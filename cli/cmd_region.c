/*
 * caskade region: list and remove the shared memory of stores.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "escape.h"
#include "output.h"
#include "units.h"

typedef struct region_settings {
    const char *region_dir; /* NULL: the default */
    bool json;
    bool orphans;
} region_settings;

enum { OPTION_REGION_DIR = 0x2001, OPTION_ORPHANS };

static const struct argp_option options[] = {
    {"region-dir", OPTION_REGION_DIR, "DIR", 0,
     "Where to look (default: " CASK_REGION_DIR ")", 1},
    {"json", 'j', NULL, 0, "list: print a JSON object per line", 1},
    {"orphans", OPTION_ORPHANS, NULL, 0,
     "drop: all that nobody uses and that are of no use", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    region_settings *settings = state->input;

    switch (key) {
    case OPTION_REGION_DIR:
        settings->region_dir = argument;
        return 0;
    case 'j':
        settings->json = true;
        return 0;
    case OPTION_ORPHANS:
        settings->orphans = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- list -------------------------------------------------------------- */

static const char *state_of(const cask_region_info *info)
{
    if (info->in_use) {
        return "in use";
    }
    return info->orphan ? "orphan" : "kept";
}

static bool print_json(void *context, const cask_region_info *info)
{
    json_t *object =
        json_pack("{s:s, s:I, s:b, s:b, s:b}", "store_uuid", info->store_uuid,
                  "size_bytes", (json_int_t)info->size_bytes, "in_use",
                  info->in_use, "orphan", info->orphan, "clean", info->clean);

    (void)context;
    /* A path that is not UTF-8 cannot be shown, and is left out. */
    (void)json_object_set_new(object, "path", json_string(info->path));
    (void)json_object_set_new(object, "directory",
                              json_string(info->directory));
    return output_json(object);
}

static bool print_row(void *context, const cask_region_info *info)
{
    const char *directory = info->directory[0] != '\0' ? info->directory : "-";
    char size[UNITS_TEXT_SIZE];
    text line = {0};
    bool written;

    (void)context;
    text_add_format(&line, "%-6s  %9s  %s  ", state_of(info),
                    units_format_bytes(size, info->size_bytes),
                    info->store_uuid);
    escape_encode(cask_slice_of(directory), &line);
    text_add_string(&line, "  ");
    escape_encode(cask_slice_of(info->path), &line);
    text_add_char(&line, '\n');
    written = output_text(&line);
    text_free(&line);
    return written;
}

static const char *region_dir_name(const region_settings *settings)
{
    return settings->region_dir != NULL ? settings->region_dir
                                        : CASK_REGION_DIR;
}

static exit_status list(const region_settings *settings)
{
    cask_error err = {0};

    if (cask_region_list(settings->region_dir,
                         settings->json ? print_json : print_row, NULL,
                         &err) != CASK_OK) {
        return report_failure(region_dir_name(settings), &err);
    }
    return EXIT_DONE;
}

/* ---- drop -------------------------------------------------------------- */

/* One that cannot be dropped does not keep the others. Returns `before` if that
 * is a failure, else what became of this one. */
static exit_status drop(const char *path, exit_status before)
{
    exit_status status = EXIT_DONE;
    cask_error err = {0};

    if (cask_region_drop(path, &err) != CASK_OK) {
        status = report_failure(path, &err);
    }
    return before != EXIT_DONE ? before : status;
}

/* Paths of orphans, one after the other, each with its NUL. Not dropped while
 * the directory is being read. */
static bool collect_orphan(void *context, const cask_region_info *info)
{
    text *paths = context;

    if (info->orphan && !info->in_use) {
        text_add(paths, info->path, strlen(info->path) + 1);
    }
    return !paths->failed;
}

static exit_status drop_orphans(const region_settings *settings)
{
    text paths = {0};
    cask_error err = {0};
    exit_status status = EXIT_DONE;

    if (cask_region_list(settings->region_dir, collect_orphan, &paths, &err) !=
        CASK_OK) {
        status = report_failure(region_dir_name(settings), &err);
    } else if (paths.failed) {
        status = report_memory();
    }
    for (size_t at = 0; !paths.failed && at < paths.size;
         at += strlen(paths.data + at) + 1) {
        status = drop(paths.data + at, status);
    }
    text_free(&paths);
    return status;
}

static exit_status run(const arguments *args)
{
    const region_settings *settings = args->settings;
    const char *what = args->word_count > 0 ? args->words[0] : "";
    exit_status status = EXIT_DONE;
    int path_count = args->word_count - 1;

    if (strcmp(what, "list") == 0 && path_count == 0) {
        return list(settings);
    }
    if (strcmp(what, "drop") != 0 || (path_count == 0) != settings->orphans) {
        return report(EXIT_USAGE,
                      "region: give 'list', 'drop PATH...' or 'drop "
                      "--orphans'; 'caskade region list' shows the paths");
    }
    if (settings->orphans) {
        return drop_orphans(settings);
    }
    for (int i = 1; i <= path_count; i++) {
        status = drop(args->words[i], status);
    }
    return status;
}

const command command_region = {
    .name = "region",
    .summary = "List or remove shared memory of stores",
    .words = "list\ndrop PATH...\ndrop --orphans",
    .word_min = 0, /* run() says what is missing */
    .word_max = COMMAND_MANY,
    .text =
        "A region is the shared memory in which the processes that use a "
        "store keep its index. list shows yours, with state, size, id and "
        "directory of the store, and path; drop removes some. Nothing is lost: "
        "the next open makes the "
        "region again.\n\n"
        "  in use  a process holds it; it cannot be dropped\n"
        "  kept    left on purpose (--linger), for opening at once\n"
        "  orphan  of no use: left by processes that were killed, or the store "
        "is gone\v"
        "Examples:\n"
        "  caskade region list\n"
        "  caskade region drop /dev/shm/caskade-...\n"
        "  caskade region drop --orphans\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(region_settings),
    .store = STORE_UNUSED,
    .run = run,
};
