/*
 * From the words of the command line to a command that runs. argp finds the
 * options and formats the help; the errors are ours, because argp's take two
 * lines and do not begin with "caskade: ".
 *
 * In the shell, which shares its store, a command is typed without "caskade",
 * without options about opening, and without DIR, which is the first word all
 * the same: help and errors say it so.
 */
#include "arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "option.h"

enum {
    OPTION_HELP = 'h',
    GROUP_HELP = 100,
    CHILD_COUNT = 3, /* parsers: the command's own, the store's, help */
    USAGES_SIZE = 256
};

/* A parser of option.h's kind: what argp gives it, and what it expects. */
typedef struct child_state {
    option_state *shared; /* to be state->hook */
    void *settings;       /* to be state->input */
    argp_parser_t parse;
} child_state;

/* What the parsers share while one command line is read. */
typedef struct parse_state {
    option_state shared;
    arguments *args;
    child_state children[CHILD_COUNT];
    bool helped; /* --help was given */
} parse_state;

/* argp keeps hook and input for each parser: set ours before each call. */
static error_t child_parse(int key, char *argument, struct argp_state *state)
{
    const child_state *child = state->input;

    state->hook = child->shared;
    state->input = child->settings;
    return child->parse(key, argument, state);
}

/* For commands without options of their own. */
static error_t parse_nothing(int key, char *argument, struct argp_state *state)
{
    (void)key;
    (void)argument;
    (void)state;
    return ARGP_ERR_UNKNOWN;
}

/* ---- Help -------------------------------------------------------------- */

/* What stands before the name of a command. */
static const char *program_name(void)
{
    return store_is_shared() ? "" : "caskade ";
}

/* What stands behind it: the lines of its words, as they are typed. */
static void typed_words(const command *what, char ret_text[USAGES_SIZE])
{
    const char *words = what->words;
    size_t used = 0;

    do {
        bool begins = words == what->words || words[-1] == '\n';

        if (begins && store_is_shared()) {
            words +=
                strncmp(words, "DIR ", 4) == 0 ? strlen("DIR ") : strlen("DIR");
        }
        ret_text[used++] = *words;
    } while (*words++ != '\0' && used < USAGES_SIZE - 1);
    ret_text[used] = '\0';
}

static const struct argp_option help_options[] = {
    {"help", OPTION_HELP, NULL, 0, "Show this help and exit", GROUP_HELP},
    {0},
};

static error_t help_parse(int key, char *argument, struct argp_state *state)
{
    parse_state *parse = state->input;

    (void)argument;
    if (key != OPTION_HELP) {
        return ARGP_ERR_UNKNOWN;
    }
    parse->helped = true;
    /* Nothing else on the line matters any more. */
    state->next = state->argc;
    return 0;
}

static const struct argp help_argp = {.options = help_options,
                                      .parser = child_parse};

static void print_help(const struct argp *root, const char *command_name)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%s%s", program_name(), command_name);
    argp_help(root, stdout,
              ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC, name);
}

/* ---- Parse ------------------------------------------------------------- */

/* argp has no words for what was wrong: find the argument it stopped at. */
static error_t reject_option(struct argp_state *state)
{
    const char *culprit = state->next > 0 && state->next <= state->argc
                              ? state->argv[state->next - 1]
                              : "";
    const parse_state *parse = state->input;
    bool takes_key = strstr(parse->args->command->words, "KEY") != NULL;

    return option_reject(
        state,
        "option '%s' is unknown, ambiguous or lacks its argument; see "
        "'%s%s --help'%s",
        culprit, program_name(), state->argv[0],
        takes_key ? ", and put -- before a KEY that begins with -" : "");
}

static error_t root_init(struct argp_state *state)
{
    parse_state *parse = state->input;

    state->hook = &parse->shared;
    for (size_t i = 0; i < CHILD_COUNT; i++) {
        state->child_inputs[i] = &parse->children[i];
    }
    return 0;
}

/* ARGP_KEY_* are macros around an enum-less int. */
static error_t root_parse(int key, char *argument, struct argp_state *state)
{
    parse_state *parse = state->input;

    (void)argument;
    if (key == ARGP_KEY_INIT) {
        return root_init(state);
    }
    if (key == ARGP_KEY_ARGS) {
        parse->args->words = state->argv + state->next;
        parse->args->word_count = state->argc - state->next;
        return 0;
    }
    if (key == ARGP_KEY_ERROR && !parse->shared.reported) {
        return reject_option(state);
    }
    return ARGP_ERR_UNKNOWN;
}

/* In one line; there is one usage for each line of `words`. */
static void usages(const command *what, char ret_text[USAGES_SIZE])
{
    char typed[USAGES_SIZE];
    const char *words = typed;
    size_t used = 0;

    typed_words(what, typed);
    ret_text[0] = '\0';
    while (words != NULL && used < USAGES_SIZE) {
        const char *end = strchr(words, '\n');
        int size = end == NULL ? (int)strlen(words) : (int)(end - words);

        used += (size_t)snprintf(
            ret_text + used, USAGES_SIZE - used, "%s%s%s [OPTION...] %.*s",
            used == 0 ? "" : ", or: ", program_name(), what->name, size, words);
        words = end == NULL ? NULL : end + 1;
    }
}

static exit_status check_word_count(const arguments *args)
{
    const command *what = args->command;
    const char *wrong = NULL;
    char text[USAGES_SIZE];

    if (args->word_count < what->word_min) {
        wrong = "something is missing";
    } else if (args->word_count > what->word_max) {
        wrong = "too many words (quote what contains spaces)";
    }
    if (wrong == NULL) {
        return EXIT_DONE;
    }
    usages(what, text);
    return report(EXIT_USAGE, "%s: %s; usage: %s", what->name, wrong, text);
}

/* Have argp read the command line with what parse->args says. */
static error_t parse_with(parse_state *parse, const struct argp *own,
                          const struct argp *store, int argc, char **argv)
{
    const command *what = parse->args->command;
    char words[USAGES_SIZE];
    const struct argp_child children[CHILD_COUNT + 1] = {
        {own, 0, NULL, 0}, {store, 0, NULL, 0}, {&help_argp, 0, NULL, 0}, {0}};
    const struct argp root = {.parser = root_parse,
                              .args_doc = words,
                              .doc = what->text,
                              .children = children};
    error_t result;

    typed_words(what, words);
    result =
        argp_parse(&root, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP, NULL, parse);
    if (parse->helped && !parse->shared.reported) {
        print_help(&root, what->name);
    }
    return result;
}

/* Read the command line into `args`; sets `*ret_helped` after --help. */
static exit_status parse_words(arguments *args, int argc, char **argv,
                               bool *ret_helped)
{
    const command *what = args->command;
    struct argp_option common[STORE_OPTION_MAX] = {{0}};
    struct argp own = {.options = what->options, .parser = child_parse};
    /* An empty list in place of NULL leaks inside argp_help(). */
    struct argp store = {.options =
                             args->store.use == STORE_UNUSED ? NULL : common,
                         .parser = child_parse};
    parse_state parse = {.shared = {.command = what->name}, .args = args};
    error_t result;

    parse.children[0] =
        (child_state){&parse.shared, args->settings,
                      what->parse != NULL ? what->parse : parse_nothing};
    parse.children[1] = (child_state){&parse.shared, &args->store, store_parse};
    parse.children[2] = (child_state){&parse.shared, &parse, help_parse};
    store_list_options(args->store.use, common);
    result = parse_with(&parse, &own, &store, argc, argv);
    *ret_helped = parse.helped && !parse.shared.reported;
    if (*ret_helped) {
        return EXIT_DONE;
    }
    if (result != 0) {
        return parse.shared.reported ? EXIT_USAGE
                                     : report_errno(result, "%s", what->name);
    }
    return check_word_count(args);
}

static exit_status run_on(const arguments *args)
{
    const char *directory = args->words[0];
    cask_db *db = NULL;
    exit_status status = store_open(&args->store, directory, false, &db);

    if (status != EXIT_DONE) {
        return status;
    }
    return store_close(db, directory, args->command->run_on(db, args));
}

exit_status arguments_run(const command *found, int argc, char **argv)
{
    arguments args = {.command = found};
    bool helped = false;
    exit_status status;

    store_init(&args.store, store_is_shared() ? STORE_UNUSED : found->store);
    args.store.options.auto_merge = found->lasts;
    args.store.for_tree = found->for_tree;
    args.settings = calloc(1, found->settings_size + 1);
    if (args.settings == NULL) {
        return report_memory();
    }
    status = parse_words(&args, argc, argv, &helped);
    if (status == EXIT_DONE && !helped) {
        status = store_check(&args.store, found->name);
    }
    if (status == EXIT_DONE && !helped) {
        status = found->run != NULL ? found->run(&args) : run_on(&args);
    }
    free(args.settings);
    return status;
}
