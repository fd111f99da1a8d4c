/*
 * caskade config: show and change the settings of a store.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "output.h"

enum { OPTION_RESET = 0x2001, OPTION_RESET_ALL, RESET_MOST = 64 };

typedef struct config_settings {
    const char *resets[RESET_MOST];
    size_t reset_count;
    bool reset_all;
    bool json;
} config_settings;

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Print one JSON object, a member per setting", 1},
    {"reset", OPTION_RESET, "KEY", 0,
     "Set KEY to its default; may be given several times", 1},
    {"reset-all", OPTION_RESET_ALL, NULL, 0,
     "Set everything to its default, also if the file CONFIG is damaged", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    config_settings *settings = state->input;

    switch (key) {
    case 'j':
        settings->json = true;
        return 0;
    case OPTION_RESET:
        if (settings->reset_count == RESET_MOST) {
            return E2BIG;
        }
        settings->resets[settings->reset_count++] = argument;
        return 0;
    case OPTION_RESET_ALL:
        settings->reset_all = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- Showing ----------------------------------------------------------- */

/* What cask_config_list() is to show. */
typedef struct view {
    const char *only; /* this setting; NULL: all */
    bool found;
    json_t *object; /* NULL: as text */
    int width;      /* of the column of values */
} view;

/* Of "default", the narrowest. */
enum { NARROW = 8 };

/* Whose setting it is. */
static const char *engine_name(const cask_config_item *item)
{
    switch (item->engine) {
    case CASK_ENGINE_HASH:
        return "hash";
    case CASK_ENGINE_TREE:
        return "tree";
    default:
        return item->initial == NULL ? "-" : "both";
    }
}

static void add_member(json_t *object, const cask_config_item *item)
{
    json_t *member = json_pack("{s:s}", "value", item->value);

    if (item->initial != NULL) {
        (void)json_object_set_new(member, "default",
                                  json_string(item->initial));
        (void)json_object_set_new(member, "meaning",
                                  json_string(item->meaning));
        (void)json_object_set_new(member, "engine",
                                  json_string(engine_name(item)));
    }
    if (item->bitcask_name != NULL) {
        (void)json_object_set_new(member, "bitcask_name",
                                  json_string(item->bitcask_name));
    }
    (void)json_object_set_new(object, item->name, member);
}

static bool widen(void *context, const cask_config_item *item)
{
    view *shown = context;
    int width = (int)strlen(item->value);

    shown->width = width > shown->width ? width : shown->width;
    return true;
}

static bool is_called(const cask_config_item *item, const char *name)
{
    return strcmp(name, item->name) == 0 ||
           (item->bitcask_name != NULL &&
            strcmp(name, item->bitcask_name) == 0);
}

static bool show_item(void *context, const cask_config_item *item)
{
    view *shown = context;

    if (shown->only != NULL && !is_called(item, shown->only)) {
        return true;
    }
    shown->found = true;
    if (shown->object != NULL) {
        add_member(shown->object, item);
        return true;
    }
    if (shown->only != NULL) {
        return output_print("%s\n", item->value);
    }
    return output_print(
        "%-25s %-*s %-*s %-6s %s\n", item->name, shown->width, item->value,
        NARROW, item->initial == NULL ? "-" : item->initial, engine_name(item),
        item->initial == NULL ? "of a newer version; kept, without effect"
                              : item->meaning);
}

static exit_status show(cask_db *db, const arguments *args)
{
    const config_settings *settings = args->settings;
    view shown = {.only = args->word_count > 1 ? args->words[1] : NULL,
                  .object = settings->json ? json_object() : NULL,
                  .width = NARROW};
    cask_error err = {0};
    cask_status result;

    if (shown.only == NULL && !settings->json) {
        if (cask_config_list(db, widen, &shown, NULL) != CASK_OK) {
            shown.width = NARROW; /* the defaults; the reason is told below */
        }
        (void)output_print("%-25s %-*s %-*s %-6s %s\n", "setting", shown.width,
                           "value", NARROW, "default", "engine", "meaning");
    }
    result = cask_config_list(db, show_item, &shown, &err);
    if (shown.only != NULL && !shown.found) {
        cask_buffer none = {0};

        json_decref(shown.object);
        /* For its message. */
        return cask_config_get(db, shown.only, &none, &err) == CASK_OK
                   ? EXIT_DONE
                   : report_failure(args->words[0], &err);
    }
    if (shown.object != NULL) {
        (void)output_json(shown.object);
    }
    return result == CASK_OK ? EXIT_DONE : report_failure(args->words[0], &err);
}

/* ---- Changing ---------------------------------------------------------- */

/* Cuts the words KEY=VALUE at the first "=". */
static exit_status change(cask_db *db, const arguments *args)
{
    const config_settings *settings = args->settings;
    size_t words = (size_t)args->word_count - 1;
    cask_config_change *changes =
        calloc(words + settings->reset_count + 1, sizeof(*changes));
    cask_error err = {0};
    size_t count = 0;
    cask_status result;

    if (changes == NULL) {
        return report_memory();
    }
    for (size_t i = 0; i < settings->reset_count; i++) {
        changes[count++].name = settings->resets[i];
    }
    for (size_t i = 1; i <= words; i++) {
        char *equals = strchr(args->words[i], '=');

        *equals = '\0';
        changes[count++] = (cask_config_change){args->words[i], equals + 1};
    }
    result = settings->reset_all ? cask_config_reset(db, &err)
                                 : cask_config_set(db, changes, count, &err);
    free(changes);
    return result == CASK_OK ? EXIT_DONE : report_failure(args->words[0], &err);
}

/* ---- The whole --------------------------------------------------------- */

/* How many words behind DIR are KEY=VALUE. */
static int count_changes(const arguments *args)
{
    int count = 0;

    for (int i = 1; i < args->word_count; i++) {
        count += strchr(args->words[i], '=') != NULL ? 1 : 0;
    }
    return count;
}

static exit_status check(const arguments *args, bool is_change)
{
    const config_settings *settings = args->settings;
    int keys = args->word_count - 1 - count_changes(args);

    if (settings->reset_all &&
        (args->word_count > 1 || settings->reset_count > 0)) {
        return report(EXIT_USAGE, "config: --reset-all stands alone");
    }
    if (keys > 1 || (keys == 1 && is_change)) {
        return report(EXIT_USAGE,
                      "config: give one KEY to show it, or KEY=VALUE... to "
                      "change some");
    }
    if (is_change && settings->json) {
        return report(EXIT_USAGE, "config: --json is for showing; leave it "
                                  "out");
    }
    if (!is_change &&
        (args->store.options.linger || args->store.options.exclusive)) {
        return report(EXIT_USAGE, "config: --linger and --exclusive are for "
                                  "changing; leave them out");
    }
    return EXIT_DONE;
}

static exit_status run(const arguments *args)
{
    const config_settings *settings = args->settings;
    const char *directory = args->words[0];
    bool is_change = settings->reset_all || settings->reset_count > 0 ||
                     count_changes(args) > 0;
    store_settings store = args->store;
    cask_db *db = NULL;
    exit_status status = check(args, is_change);

    if (status != EXIT_DONE) {
        return status;
    }
    /* Showing changes nothing, and needs no permission to. */
    store.read_only = !is_change;
    status = store_open(&store, directory, false, &db);
    if (status != EXIT_DONE) {
        return status;
    }
    status = is_change ? change(db, args) : show(db, args);
    return store_close(db, directory, status);
}

const command command_config = {
    .name = "config",
    .summary = "Show or change the settings of a store",
    .words = "DIR [KEY]\nDIR KEY=VALUE...",
    .word_min = 1,
    .word_max = COMMAND_MANY,
    .text =
        "Show the settings of the store with their defaults and meanings, or "
        "the value of one, or change some: all of them, or none if one is "
        "wrong. Settings are kept in the store. A change takes effect at once "
        "in all processes that have it open. Some are of one engine only; a "
        "store of the other one does not take them.\v"
        "Examples:\n"
        "  caskade config /tmp/store\n"
        "  caskade config /tmp/store merge_window\n"
        "  caskade config /tmp/store 'merge_window=mon-fri 22:00-06:00'\n"
        "  caskade config /tmp/store merge_rate_bytes=20MiB max_segments=100\n"
        "  caskade config --reset merge_window /tmp/store\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(config_settings),
    .store = STORE_WRITE,
    .run = run,
};
