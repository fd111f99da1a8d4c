/*
 * The commands of the shell.
 */
#include "shell_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "escape.h"
#include "output.h"
#include "shell_words.h"
#include "signals.h"
#include "units.h"

enum { WORD_MAX = 256 };

typedef struct shell_command {
    const char *name;
    const char *words; /* what follows the name */
    const char *summary;
    size_t word_min, word_max;
    exit_status (*run)(shell *sh, const shell_word *words, size_t count);
    const command *of_program; /* it is that of the program; run is NULL */
} shell_command;

static cask_slice bytes_of(shell_word word)
{
    return (cask_slice){word.data, word.size};
}

static exit_status failed(const shell *sh, const cask_error *err)
{
    return report_failure(sh->directory, err);
}

/* Print bytes escaped, as a line. */
static bool print_bytes(cask_slice bytes)
{
    text line = {0};
    bool written;

    escape_encode(bytes, &line);
    text_add_char(&line, '\n');
    written = output_text(&line);
    text_free(&line);
    return written;
}

/* ---- put --------------------------------------------------------------- */

/* Take the options before KEY; returns how many words they are, or -1. */
static int take_put_options(const shell_word *words, size_t count,
                            cask_write_options *write)
{
    size_t at = 0;

    while (at < count && words[at].size > 2 && words[at].data[0] == '-' &&
           words[at].data[1] == '-') {
        if (strcmp(words[at].data, "--if-absent") == 0) {
            write->condition = CASK_IF_ABSENT;
            at++;
        } else if (strcmp(words[at].data, "--ttl") == 0 && at + 1 < count) {
            if (!units_parse_duration(words[at + 1].data, &write->ttl_ms) ||
                write->ttl_ms == 0) {
                return -1;
            }
            at += 2;
        } else {
            return -1;
        }
    }
    /* As everywhere, what follows -- is no option. */
    if (at < count && strcmp(words[at].data, "--") == 0) {
        at++;
    }
    return (int)at;
}

static exit_status run_put(shell *sh, const shell_word *words, size_t count)
{
    cask_write_options write = {0};
    int used = take_put_options(words, count, &write);
    cask_error err = {0};
    cask_status result;

    if (used < 0 || count - (size_t)used != 2) {
        return report(EXIT_USAGE,
                      "put: give [--ttl DURATION] [--if-absent] KEY VALUE");
    }
    words += used;
    result = cask_put_with(sh->db, bytes_of(words[0]), bytes_of(words[1]),
                           &write, NULL, &err);
    if (result == CASK_CONDITION) {
        return report(EXIT_NOT_FOUND,
                      "the key has a value already; nothing was written");
    }
    return result == CASK_OK ? EXIT_DONE : failed(sh, &err);
}

/* What a call on one key answered, if that is not CASK_OK. */
static exit_status failed_key(shell *sh, cask_status result,
                              const cask_error *err)
{
    return result == CASK_NOT_FOUND ? report(EXIT_NOT_FOUND, "no such key")
                                    : failed(sh, err);
}

/* ---- Other commands on keys -------------------------------------------- */

static exit_status run_get(shell *sh, const shell_word *words, size_t count)
{
    cask_buffer value = {0};
    cask_error err = {0};
    cask_status result = cask_get(sh->db, bytes_of(words[0]), &value, &err);

    (void)count;
    if (result == CASK_OK) {
        (void)print_bytes((cask_slice){value.data, value.size});
    }
    cask_buffer_free(&value);
    return result == CASK_OK ? EXIT_DONE : failed_key(sh, result, &err);
}

static exit_status run_delete(shell *sh, const shell_word *words, size_t count)
{
    size_t deleted = 0;
    cask_error err = {0};

    for (size_t i = 0; i < count; i++) {
        bool existed = false;

        if (cask_delete(sh->db, bytes_of(words[i]), &existed, &err) !=
            CASK_OK) {
            return failed(sh, &err);
        }
        deleted += existed ? 1 : 0;
    }
    (void)output_print("%zu of %zu deleted\n", deleted, count);
    return deleted == count ? EXIT_DONE : EXIT_NOT_FOUND;
}

static exit_status run_exists(shell *sh, const shell_word *words, size_t count)
{
    bool exists = false;
    cask_error err = {0};

    (void)count;
    if (cask_exists(sh->db, bytes_of(words[0]), &exists, &err) != CASK_OK) {
        return failed(sh, &err);
    }
    (void)output_print("%s\n", exists ? "yes" : "no");
    return exists ? EXIT_DONE : EXIT_NOT_FOUND;
}

static exit_status run_ttl(shell *sh, const shell_word *words, size_t count)
{
    char duration[UNITS_TEXT_SIZE];
    uint64_t ttl_ms = 0;
    cask_error err = {0};
    cask_status result = cask_ttl(sh->db, bytes_of(words[0]), &ttl_ms, &err);

    (void)count;
    if (result != CASK_OK) {
        return failed_key(sh, result, &err);
    }
    (void)output_print("%s\n", ttl_ms == CASK_TTL_NEVER
                                   ? "never"
                                   : units_format_duration(duration, ttl_ms));
    return EXIT_DONE;
}

static exit_status run_expire(shell *sh, const shell_word *words, size_t count)
{
    cask_expiry expiry = {.expires_at_ms = 0};
    cask_error err = {0};
    cask_status result;

    (void)count;
    if (!units_parse_duration(words[1].data, &expiry.ttl_ms) ||
        expiry.ttl_ms == 0) {
        return report(EXIT_USAGE,
                      "expire: give KEY DURATION, like 90 (seconds), 5m, 2h");
    }
    result = cask_expire(sh->db, bytes_of(words[0]), &expiry, &err);
    return result == CASK_OK ? EXIT_DONE : failed_key(sh, result, &err);
}

static exit_status run_persist(shell *sh, const shell_word *words, size_t count)
{
    cask_error err = {0};
    cask_status result = cask_persist(sh->db, bytes_of(words[0]), NULL, &err);

    (void)count;
    return result == CASK_OK ? EXIT_DONE : failed_key(sh, result, &err);
}

/* ---- Commands on the store --------------------------------------------- */

static bool list_entry(void *context, const cask_entry *entry)
{
    const cask_slice *prefix = context;

    if (entry->key.size >= prefix->size &&
        (prefix->size == 0 ||
         memcmp(entry->key.data, prefix->data, prefix->size) == 0)) {
        return print_bytes(entry->key) && signals_arrived() == 0;
    }
    return signals_arrived() == 0;
}

static exit_status run_list(shell *sh, const shell_word *words, size_t count)
{
    cask_slice prefix = count > 0 ? bytes_of(words[0]) : (cask_slice){0};
    cask_fold_options fold = {.keys_only = true};
    cask_error err = {0};

    if (cask_fold(sh->db, &fold, list_entry, &prefix, &err) != CASK_OK) {
        return failed(sh, &err);
    }
    return EXIT_DONE;
}

static exit_status run_refresh(shell *sh, const shell_word *words, size_t count)
{
    cask_error err = {0};

    (void)words;
    (void)count;
    return cask_refresh(sh->db, &err) == CASK_OK ? EXIT_DONE : failed(sh, &err);
}

static exit_status run_quit(shell *sh, const shell_word *words, size_t count)
{
    (void)words;
    (void)count;
    sh->quit = true;
    return EXIT_DONE;
}

static exit_status run_help(shell *sh, const shell_word *words, size_t count);

/* ---- Commands of the program ------------------------------------------- */

/* Run one with DIR and the words behind its name. */
static exit_status run_of_program(shell *sh, const command *what,
                                  const shell_word *words, size_t count)
{
    char *argv[WORD_MAX + 2] = {words[0].data, sh->directory};

    for (size_t i = 1; i < count; i++) {
        if (strlen(words[i].data) != words[i].size) {
            return report(EXIT_USAGE,
                          "%s: a word has the byte 0; write '\\x00', in single "
                          "quotes, and --escapes",
                          what->name);
        }
        argv[i + 1] = words[i].data;
    }
    return arguments_run(what, (int)count + 1, argv);
}

/* ---- The table --------------------------------------------------------- */

/* They count their words themselves. */
#define OF_PROGRAM(name) 0, WORD_MAX, NULL, &command_##name

static const shell_command commands[] = {
    {"put", "[--ttl DURATION] [--if-absent] KEY VALUE", "store VALUE under KEY",
     2, 6, run_put, NULL},
    {"get", "KEY", "print the value of KEY, escaped", 1, 1, run_get, NULL},
    {"delete", "KEY...", "remove keys", 1, WORD_MAX, run_delete, NULL},
    {"exists", "KEY", "tell whether KEY has a value", 1, 1, run_exists, NULL},
    {"ttl", "KEY", "tell after which time KEY expires", 1, 1, run_ttl, NULL},
    {"expire", "KEY DURATION", "let KEY expire after that time", 2, 2,
     run_expire, NULL},
    {"persist", "KEY", "let KEY not expire", 1, 1, run_persist, NULL},
    {"list", "[PREFIX]", "print the keys, escaped", 0, 1, run_list, NULL},
    {"scan", "[OPTION...]", "print records in the order of their keys",
     OF_PROGRAM(scan)},
    {"dump", "[OPTION...]", "print all records as text", OF_PROGRAM(dump)},
    {"count", "", "print the number of keys", OF_PROGRAM(count)},
    {"delete-range", "OPTION...", "remove all keys of a range",
     OF_PROGRAM(delete_range)},
    {"ingest", "[OPTION...] FILE...", "take runs that were built offline",
     OF_PROGRAM(ingest)},
    {"stat", "[OPTION...]", "show sizes, counters and waiting times",
     OF_PROGRAM(stat)},
    {"config", "[OPTION...] [KEY|KEY=VALUE...]", "show or change settings",
     OF_PROGRAM(config)},
    {"merge", "[OPTION...]", "give the space of dead records back",
     OF_PROGRAM(merge)},
    {"backup", "[OPTION...] OUT", "copy the store", OF_PROGRAM(backup)},
    {"sync", "", "wait until everything is on the device", OF_PROGRAM(sync)},
    {"refresh", "", "see later writes in a shell with an index of its own", 0,
     0, run_refresh, NULL},
    {"help", "[COMMAND]", "explain a command, or all", 0, 1, run_help, NULL},
    {"quit", "", "leave (Ctrl-D does, too)", 0, 0, run_quit, NULL},
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const char quoting[] =
    "\nWords are separated by blanks. \"..\" and '..' keep blanks, \"\" is "
    "empty;\n\\\\ \\t \\n \\r \\xHH stand for a backslash, a tab, ..., any "
    "byte (not in '..').\nA line that begins with # is a comment.\n";

const char *shell_command_name(size_t index)
{
    return index < COMMAND_COUNT ? commands[index].name : NULL;
}

static const shell_command *find_command(shell_word name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name.data) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void print_help(const shell_command *what)
{
    (void)output_print("%-13s%-42s%s\n", what->name, what->words,
                       what->summary);
}

static exit_status run_help(shell *sh, const shell_word *words, size_t count)
{
    if (count > 0) {
        const shell_command *found = find_command(words[0]);

        if (found == NULL) {
            return report(EXIT_USAGE, "no such command; try 'help'");
        }
        if (found->of_program != NULL) {
            char option[] = "--help";
            shell_word asked[] = {words[0], {option, strlen(option)}};

            return run_of_program(sh, found->of_program, asked, 2);
        }
        print_help(found);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        print_help(&commands[i]);
    }
    (void)output_print("%s", quoting);
    return EXIT_DONE;
}

static exit_status run_words(shell *sh, const shell_word *words, size_t count)
{
    const shell_command *found = find_command(words[0]);
    char message[128];

    if (found == NULL) {
        return report(EXIT_USAGE, "no such command; try 'help'");
    }
    if (count - 1 < found->word_min || count - 1 > found->word_max) {
        (void)snprintf(message, sizeof(message), "usage: %s%s%s", found->name,
                       found->words[0] != '\0' ? " " : "", found->words);
        return report(EXIT_USAGE, "%s", message);
    }
    return found->of_program != NULL
               ? run_of_program(sh, found->of_program, words, count)
               : found->run(sh, words + 1, count - 1);
}

exit_status shell_command_run(shell *sh, char *line, size_t size)
{
    shell_word words[WORD_MAX];
    size_t count = 0;
    const char *problem =
        shell_words_split(line, size, words, WORD_MAX, &count);
    char message[256];

    report_from(sh->directory, sh->line_number);
    if (problem != NULL) {
        (void)snprintf(message, sizeof(message), "%s; try 'help'", problem);
        return report(EXIT_USAGE, "%s", message);
    }
    return count == 0 ? EXIT_DONE : run_words(sh, words, count);
}
