/*
 * Opening and closing a store for a command: the options that all commands
 * share, and the messages.
 */
#ifndef CASKADE_CLI_STORE_H
#define CASKADE_CLI_STORE_H

#include <argp.h>

#include "report.h"

/* What a command does with its store, and so which options it takes. */
typedef enum store_use {
    STORE_UNUSED = 0, /* does not open one */
    STORE_READ = 1,   /* reads; changes nothing unless told to linger */
    STORE_WRITE = 2,  /* writes */
    STORE_EITHER = 4  /* writes, or with --read-only only reads */
} store_use;

/* Rows that store_list_options() may write, the last (zero) one included. */
#define STORE_OPTION_MAX 16

typedef struct store_settings {
    store_use use;
    cask_options options;
    bool read_only; /* --read-only was given */
    bool verbose;   /* tell every event, not only alarming ones */
    bool for_tree;  /* of no use with another engine: for advice */
} store_settings;

/* The defaults for a command of that kind: without auto_merge. */
void store_init(store_settings *settings, store_use use);

/* The common options of a command of that kind, for argp. */
void store_list_options(store_use use,
                        struct argp_option options[STORE_OPTION_MAX]);

/* Takes them; state->input is a store_settings. */
error_t store_parse(int key, char *argument, struct argp_state *state);

/* Report options that exclude each other. */
exit_status store_check(const store_settings *settings, const char *command);

/*
 * Open the store in `directory`; report what is wrong.
 *
 *   create  make it if there is none
 *   ret_db  set on EXIT_DONE only; close it with store_close()
 */
exit_status store_open(const store_settings *settings, const char *directory,
                       bool create, cask_db **ret_db);

/*
 * For commands within a command, the shell: until it is called with NULL, on
 * opening they get `db` as it is, and on closing it stays open.
 */
void store_share(cask_db *db);

/* Whether commands share a store now. */
bool store_is_shared(void);

/*
 * Close it; report what is wrong. Returns `status` if that is an error, else
 * what the close gave.
 */
exit_status store_close(cask_db *db, const char *directory, exit_status status);

#endif
