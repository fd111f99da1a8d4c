/*
 * caskade repair: save what can be read of a damaged store in a new one.
 */
#include <inttypes.h>

#include "command.h"
#include "escape.h"
#include "json_format.h"
#include "long_work.h"
#include "output.h"
#include "units.h"

typedef struct repair_settings {
    bool json;
} repair_settings;

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Print one JSON object", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    repair_settings *settings = state->input;

    (void)argument;
    if (key != 'j') {
        return ARGP_ERR_UNKNOWN;
    }
    settings->json = true;
    return 0;
}

typedef struct repairer {
    long_work work; /* first: see long_work_goes_on() */
    bool json;
    uint64_t printed; /* losses so far */
} repairer;

static void print_lost_json(const repairer *repair, const cask_lost *lost)
{
    text line = {0};
    json_t *row = json_pack("{s:s, s:I, s:I, s:s, s:b}", "file", lost->at.file,
                            "offset", (json_int_t)lost->at.offset, "size_bytes",
                            (json_int_t)lost->at.size_bytes, "reason",
                            lost->at.reason, "harmless", (int)lost->harmless);

    (void)output_print("%s", repair->printed > 0 ? "," : "");
    if (lost->key.data != NULL) {
        json_format_set_bytes(row, "key", "key64", lost->key, &line);
    }
    json_format_add(&line, row);
    (void)output_text(&line);
    text_free(&line);
}

static void print_lost_text(const cask_lost *lost)
{
    char size[UNITS_TEXT_SIZE];
    text key = {0};

    (void)output_print("%s: offset %" PRIu64 ": %s", lost->at.file,
                       lost->at.offset, lost->at.reason);
    if (lost->key.data != NULL) {
        escape_encode(lost->key, &key);
        (void)output_print(": ");
        (void)output_text(&key);
        text_free(&key);
    }
    if (lost->at.size_bytes != 0) {
        (void)output_print(" (%s)",
                           units_format_bytes(size, lost->at.size_bytes));
    }
    (void)output_print("\n");
}

static void on_lost(void *context, const cask_lost *lost)
{
    repairer *repair = context;

    progress_wipe(&repair->work.line);
    if (repair->json) {
        print_lost_json(repair, lost);
    } else {
        print_lost_text(lost);
    }
    repair->printed++;
}

/* What was told stands, but it is not all. */
static void print_failure_json(const cask_error *err)
{
    text line = {0};

    text_add_char(&line, ']');
    json_format_end_failed(&line, err);
    (void)output_text(&line);
    text_free(&line);
}

static void print_report_json(const cask_repair_report *found)
{
    (void)output_print(
        "],\"files\":%" PRIu64 ",\"records\":%" PRIu64 ",\"keys\":%" PRIu64
        ",\"bytes_written\":%" PRIu64 ",\"lost_count\":%" PRIu64
        ",\"harmless_count\":%" PRIu64 ",\"lost_keys\":%" PRIu64
        ",\"lost_bytes\":%" PRIu64 "}\n",
        found->files, found->records, found->keys, found->bytes_written,
        found->lost, found->harmless, found->lost_keys, found->lost_bytes);
}

static void print_report_text(const cask_repair_report *found)
{
    char keys[UNITS_TEXT_SIZE];
    char written[UNITS_TEXT_SIZE];
    uint64_t lost = found->lost - found->harmless;

    (void)output_print("%s key%s, %s written; ",
                       units_format_count(keys, found->keys),
                       units_plural(found->keys),
                       units_format_bytes(written, found->bytes_written));
    if (lost == 0) {
        (void)output_print("nothing is lost\n");
    } else {
        (void)output_print("%s loss%s\n", units_format_count(keys, lost),
                           lost == 1 ? "" : "es");
    }
}

static exit_status run(const arguments *args)
{
    const repair_settings *settings = args->settings;
    const char *directory = args->words[0];
    repairer repair = {.json = settings->json};
    const cask_repair_options what = {on_lost, long_work_goes_on, &repair};
    cask_repair_report found = {0};
    cask_error err = {0};
    cask_status result;

    (void)output_print("%s", settings->json ? "{\"lost\":[" : "");
    long_work_begin(&repair.work, "repair", "nothing of it is left", "reading",
                    "bytes");
    result = cask_repair(directory, args->words[1], &what, &found, &err);
    long_work_end(&repair.work);
    if (settings->json && result != CASK_OK && result != CASK_CORRUPT) {
        print_failure_json(&err);
    }
    if (result != CASK_OK && result != CASK_CORRUPT) {
        return long_work_failed(&repair.work, directory, &err);
    }
    if (settings->json) {
        print_report_json(&found);
    } else {
        print_report_text(&found);
    }
    return result == CASK_OK
               ? EXIT_DONE
               : report(EXIT_DAMAGED,
                        "%s: %" PRIu64 " loss%s; what could be read is in %s",
                        directory, found.lost - found.harmless,
                        found.lost - found.harmless == 1 ? "" : "es",
                        args->words[1]);
}

const command command_repair = {
    .name = "repair",
    .summary = "Save what can be read of a damaged store",
    .words = "DIR OUT",
    .word_min = 2,
    .word_max = 2,
    .text =
        "Read the damaged store DIR by whatever is left of it, and write a new "
        "store to OUT, which must not exist or be empty, with the newest value "
        "that can be read of each key. Print file, offset and reason of each "
        "loss, and the key where it is known; exit with 3 if something is "
        "lost. DIR must not be in use; nothing in it is changed. If standard "
        "error is a terminal, the progress is shown there.\v"
        "Examples:\n"
        "  caskade repair /tmp/store /tmp/repaired\n"
        "  caskade repair --json /tmp/store /tmp/repaired | jq .lost_keys\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(repair_settings),
    .store = STORE_UNUSED,
    .run = run,
};
