/*
 * What a command is: a row of a table. The text of --help, the checks of the
 * command line and the dispatch all come from it.
 */
#ifndef CASKADE_CLI_COMMAND_H
#define CASKADE_CLI_COMMAND_H

#include <argp.h>
#include <stdbool.h>

#include "report.h"
#include "store.h"

typedef struct arguments {
    const struct command *command;
    char **words; /* what is not an option: DIR, KEY, ... */
    int word_count;
    store_settings store;
    void *settings; /* the command's own, as its parser filled them */
} arguments;

typedef struct command {
    const char *name;
    const char *summary; /* for the list of commands */
    const char *words;   /* "DIR KEY [VALUE]" */
    int word_min, word_max;
    const char *text; /* of --help: what it does, \v, examples */

    /* Options of this command alone; NULL if there is none. */
    const struct argp_option *options;
    /* Takes them; state->input is `settings`, which start as zeros. */
    argp_parser_t parse;
    size_t settings_size;

    store_use store; /* which of the common options it takes */
    bool lasts;      /* long enough to merge in the background */
    bool for_tree;   /* it is of no use with another engine */
    exit_status (*run)(const arguments *args);
    /* Instead of that: with the store words[0], which is there, open. */
    exit_status (*run_on)(cask_db *db, const arguments *args);
} command;

/* Number of words without an upper limit. */
#define COMMAND_MANY 0x7fffffff

/* The command of that name, or NULL. */
const command *command_find(const char *name);

/* All of them, in the order of the help; NULL ends the table. */
const command *const *command_table(void);

/* One table row for each, defined in cmd_*.c. */
extern const command command_create;
extern const command command_put;
extern const command command_get;
extern const command command_delete;
extern const command command_delete_range;
extern const command command_exists;
extern const command command_ttl;
extern const command command_expire;
extern const command command_persist;
extern const command command_count;
extern const command command_load;
extern const command command_dump;
extern const command command_list;
extern const command command_scan;
extern const command command_stat;
extern const command command_verify;
extern const command command_backup;
extern const command command_repair;
extern const command command_sync;
extern const command command_merge;
extern const command command_config;
extern const command command_shell;
extern const command command_region;
extern const command command_run;
extern const command command_ingest;
extern const command command_convert;
extern const command command_import;
extern const command command_export;

#endif
