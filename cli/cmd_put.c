/*
 * caskade put: store a value under a key.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "option.h"
#include "text.h"
#include "word.h"

typedef struct put_settings {
    word_settings words;
    uint64_t ttl_ms; /* 0: for ever */
    bool if_absent;
} put_settings;

enum { OPTION_TTL = 0x2001, OPTION_IF_ABSENT };

static const struct argp_option options[] = {
    {"ttl", OPTION_TTL, "DURATION", 0,
     "Let it expire after that time: 90 (seconds), 500ms, 10s, 5m, 2h, 1d", 1},
    {"if-absent", OPTION_IF_ABSENT, NULL, 0,
     "Only if KEY has no value yet; else write nothing and exit with 1", 1},
    WORD_OPTION_ESCAPES("KEY and VALUE"),
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    put_settings *settings = state->input;

    switch (key) {
    case 'e':
        settings->words.escapes = true;
        return 0;
    case OPTION_TTL:
        return option_take_duration(state, "--ttl", argument, 1,
                                    &settings->ttl_ms);
    case OPTION_IF_ABSENT:
        settings->if_absent = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static exit_status read_value(text *input)
{
    int os_errno;

    if (isatty(STDIN_FILENO) == 1) {
        (void)fputs("Type the value; Ctrl-D at the start of a line ends it.\n",
                    stderr);
    }
    os_errno = text_read_all(input, STDIN_FILENO, CASK_VALUE_MAX_BYTES);
    if (os_errno == EFBIG) {
        return report(EXIT_USAGE,
                      "put: the value has more than %u bytes; "
                      "split it",
                      CASK_VALUE_MAX_BYTES);
    }
    if (os_errno == ENOMEM) {
        return report_memory();
    }
    if (os_errno != 0) {
        return report_errno(os_errno, "put: cannot read the value from "
                                      "standard input");
    }
    return EXIT_DONE;
}

static exit_status write_value(const arguments *args, cask_slice key,
                               cask_slice value)
{
    const put_settings *settings = args->settings;
    const char *directory = args->words[0];
    cask_write_options write = {
        .condition = settings->if_absent ? CASK_IF_ABSENT : CASK_ALWAYS,
        .ttl_ms = settings->ttl_ms,
    };
    cask_error err = {0};
    cask_db *db = NULL;
    exit_status status = store_open(&args->store, directory, true, &db);
    cask_status result;

    if (status != EXIT_DONE) {
        return status;
    }
    result = cask_put_with(db, key, value, &write, NULL, &err);
    if (result == CASK_CONDITION) {
        status = report(EXIT_NOT_FOUND,
                        "%s: the key has a value already, nothing was "
                        "written; leave out --if-absent to replace it",
                        directory);
    } else if (result != CASK_OK) {
        status = report_failure(directory, &err);
    }
    return store_close(db, directory, status);
}

static exit_status run(const arguments *args)
{
    const put_settings *settings = args->settings;
    bool escapes = settings->words.escapes;
    text input = {0};
    cask_slice key;
    cask_slice value = {0};
    exit_status status = word_bytes(args->words[1], escapes, &key);

    if (status == EXIT_DONE && args->word_count > 2) {
        status = word_bytes(args->words[2], escapes, &value);
    } else if (status == EXIT_DONE) {
        /* Before the open: waiting for somebody who types holds nothing. */
        status = read_value(&input);
        value = text_slice(&input);
    }
    if (status == EXIT_DONE) {
        status = write_value(args, key, value);
    }
    text_free(&input);
    return status;
}

const command command_put = {
    .name = "put",
    .summary = "Store a value under a key",
    .words = "DIR KEY [VALUE]",
    .word_min = 2,
    .word_max = 3,
    .text = "Store VALUE under KEY, replacing what was there. Without VALUE, "
            "all of standard input is the value, byte by byte. The store is "
            "made if it is not there. Put -- before a KEY or VALUE that "
            "begins with a minus sign.\v"
            "Examples:\n"
            "  caskade put /tmp/store greeting hello\n"
            "  caskade put --ttl 30m /tmp/store session:7 \"$TOKEN\"\n"
            "  caskade put /tmp/store photo < photo.jpg\n"
            "  caskade put --if-absent /tmp/store lock \"$$\" || echo taken\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(put_settings),
    .store = STORE_WRITE,
    .run = run,
};
