/*
 * caskade convert: a store of another engine with the same content.
 */
#include <inttypes.h>

#include "command.h"
#include "long_work.h"
#include "option.h"
#include "output.h"
#include "units.h"

typedef struct convert_settings {
    int engine; /* cask_engine, 0: not given */
    bool json;
} convert_settings;

static const struct argp_option options[] = {
    {"engine", 'E', "hash|tree", 0,
     "Of the store that is made (default: the other one than that of DIR)", 1},
    {"json", 'j', NULL, 0, "Print one JSON object", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    static const choice engines[] = {
        {"hash", CASK_ENGINE_HASH}, {"tree", CASK_ENGINE_TREE}, {NULL, 0}};
    convert_settings *settings = state->input;

    switch (key) {
    case 'E':
        return option_take_choice(state, "--engine", argument, engines,
                                  &settings->engine);
    case 'j':
        settings->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char *name_of(cask_engine engine)
{
    return engine == CASK_ENGINE_TREE ? "tree" : "hash";
}

static void print_json(const cask_convert_report *made)
{
    (void)output_print("{\"engine\":\"%s\",\"sequence\":%" PRIu64
                       ",\"keys\":%" PRIu64 ",\"bytes\":%" PRIu64
                       ",\"expiring\":%" PRIu64 ",\"verified\":true}\n",
                       name_of(made->engine), made->sequence, made->keys,
                       made->bytes, made->expiring);
}

static void print_text(const char *path, const cask_convert_report *made)
{
    char keys[UNITS_TEXT_SIZE];
    char bytes[UNITS_TEXT_SIZE];

    (void)output_print(
        "%s: engine %s, %s key%s, %s; read back and compared: "
        "keys, values and times are the same\n",
        path, name_of(made->engine), units_format_count(keys, made->keys),
        units_plural(made->keys), units_format_bytes(bytes, made->bytes));
}

static exit_status convert(cask_db *db, const arguments *args)
{
    const convert_settings *settings = args->settings;
    long_work work;
    const cask_convert_options what = {.engine = (cask_engine)settings->engine,
                                       .on_progress = long_work_goes_on,
                                       .context = &work};
    cask_convert_report made = {0};
    cask_error err = {0};
    cask_status result;

    long_work_begin(&work, "convert", "nothing of it is left", "converting",
                    "keys");
    result = cask_convert(db, args->words[1], &what, &made, &err);
    long_work_end(&work);
    if (result != CASK_OK) {
        return long_work_failed(&work, args->words[0], &err);
    }
    if (settings->json) {
        print_json(&made);
    } else {
        print_text(args->words[1], &made);
    }
    return EXIT_DONE;
}

const command command_convert = {
    .name = "convert",
    .summary = "Make a store of another engine with the same content",
    .words = "DIR OUT",
    .word_min = 2,
    .word_max = 2,
    .text =
        "Make a new store OUT of another engine, with all keys of the store "
        "DIR as of one moment, their values, times of expiry and settings. "
        "DIR stays as it is; processes that use it go on meanwhile. OUT is "
        "made under the name OUT.new, read back, and compared with DIR; then "
        "it gets its name, so that it is complete or not there. If standard "
        "error is a terminal, the progress is shown there.\v"
        "Examples:\n"
        "  caskade convert --engine tree /tmp/store /tmp/tree\n"
        "  caskade convert /tmp/tree /tmp/hash\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(convert_settings),
    .store = STORE_READ,
    .lasts = true,
    .run_on = convert,
};
