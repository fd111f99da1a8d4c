/*
 * Lines for the shell. libedit does the editing; its own reading function goes
 * on after a signal, so we bring one that ends.
 */
#include "shell_input.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "line.h"
#include "signals.h"
#include "text.h"

enum { HISTORY_LINES = 1000 };

struct shell_input {
    EditLine *edit;   /* NULL: plain input */
    History *history; /* NULL: plain input */
    shell_name_fn names;
    text history_path; /* NUL-terminated; empty: no history file */
    line next;         /* of plain input */
    text copy;         /* of libedit's line, which must not be changed */
};

/* ---- Completion -------------------------------------------------------- */

/* What completes a prefix. */
typedef struct completion {
    const char *first; /* a name that matches, or NULL */
    size_t common;     /* bytes that all matching names share */
    size_t count;
} completion;

static completion find_completion(shell_name_fn names, const char *prefix,
                                  size_t size)
{
    completion found = {0};
    const char *name;

    for (size_t i = 0; (name = names(i)) != NULL; i++) {
        size_t same = 0;

        if (strncmp(name, prefix, size) != 0) {
            continue;
        }
        if (found.first == NULL) {
            found.first = name;
            found.common = strlen(name);
        }
        while (same < found.common && name[same] == found.first[same]) {
            same++;
        }
        found.common = same;
        found.count++;
    }
    return found;
}

static void print_matches(shell_name_fn names, const char *prefix, size_t size)
{
    const char *name;

    (void)fputc('\n', stdout);
    for (size_t i = 0; (name = names(i)) != NULL; i++) {
        if (strncmp(name, prefix, size) == 0) {
            (void)printf("%s  ", name);
        }
    }
    (void)fputc('\n', stdout);
}

/* The word to complete: the first of the line, or what follows "help ". */
static bool word_at_cursor(const LineInfo *info, const char **ret_word,
                           size_t *ret_size)
{
    static const char help[] = "help ";
    const char *start = info->buffer;
    size_t size = (size_t)(info->cursor - start);

    if (size >= strlen(help) && strncmp(start, help, strlen(help)) == 0) {
        start += strlen(help);
        size -= strlen(help);
    }
    *ret_word = start;
    *ret_size = size;
    return memchr(start, ' ', size) == NULL;
}

static unsigned char complete(EditLine *edit, int key)
{
    shell_input *input = NULL;
    completion found;
    const char *word;
    size_t size;
    text rest = {0};
    unsigned char result = CC_REFRESH;

    (void)key;
    if (el_get(edit, EL_CLIENTDATA, (void *)&input) != 0 ||
        !word_at_cursor(el_line(edit), &word, &size)) {
        return CC_ERROR;
    }
    found = find_completion(input->names, word, size);
    if (found.count == 0) {
        return CC_ERROR;
    }
    if (found.count > 1 && found.common == size) {
        print_matches(input->names, word, size);
        return CC_REDISPLAY;
    }
    text_add(&rest, found.first + size, found.common - size);
    text_add_string(&rest, found.count == 1 ? " " : "");
    text_add_char(&rest, '\0');
    if (rest.failed || el_insertstr(edit, rest.data) != 0) {
        result = CC_ERROR;
    }
    text_free(&rest);
    return result;
}

/* ---- History ----------------------------------------------------------- */

/* $CASKADE_HISTORY, or ~/.caskade_history; empty if there is no home, or if
 * the variable is empty. */
static void find_history(text *path)
{
    const char *chosen = getenv("CASKADE_HISTORY");
    const char *home = getenv("HOME");

    if (chosen != NULL) {
        text_add_string(path, chosen);
    } else if (home != NULL && home[0] != '\0') {
        text_add_string(path, home);
        text_add_string(path, "/.caskade_history");
    }
    if (path->size > 0) {
        text_add_char(path, '\0');
    }
    if (path->failed) {
        text_free(path);
    }
}

/*
 * Make the file private before anything is in it: lines hold values. Only a
 * regular file of ours is used.
 */
static bool make_private(const char *path)
{
    int fd =
        open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
             S_IRUSR | S_IWUSR);
    struct stat what;
    bool worked;

    if (fd < 0) {
        return false;
    }
    worked = fstat(fd, &what) == 0 && S_ISREG(what.st_mode) &&
             fchmod(fd, S_IRUSR | S_IWUSR) == 0;
    (void)close(fd);
    return worked;
}

static void load_history(shell_input *input)
{
    HistEvent event;

    (void)history(input->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(input->history, &event, H_SETUNIQUE, 1);
    find_history(&input->history_path);
    if (input->history_path.size > 0 &&
        make_private(input->history_path.data)) {
        (void)history(input->history, &event, H_LOAD, input->history_path.data);
    } else {
        text_free(&input->history_path);
    }
}

static void save_history(shell_input *input)
{
    HistEvent event;

    /* A history that cannot be saved is no reason to fail. */
    if (input->history_path.size > 0 &&
        make_private(input->history_path.data)) {
        (void)history(input->history, &event, H_SAVE, input->history_path.data);
    }
}

/* ---- Terminal ---------------------------------------------------------- */

static char *prompt(EditLine *edit)
{
    static char shown[] = "caskade> ";

    (void)edit;
    return shown;
}

/* Read one character; 1, 0 at the end or after a signal, -1 if it failed. */
static int read_character(EditLine *edit, wchar_t *ret_character)
{
    mbstate_t state;

    (void)edit;
    memset(&state, 0, sizeof(state));
    while (signals_wait_readable(STDIN_FILENO)) {
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        size_t used;

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return (int)got;
        }
        used = mbrtowc(ret_character, &byte, 1, &state);
        if (used == 1 || used == 0) {
            return 1;
        }
        if (used == (size_t)-1) {
            /* Not a character of this locale: libedit cannot show it. */
            memset(&state, 0, sizeof(state));
        }
    }
    return 0;
}

static bool open_terminal(shell_input *input)
{
    /* libedit needs to know which bytes are a character. */
    (void)setlocale(LC_CTYPE, "");
    input->edit = el_init("caskade", stdin, stdout, stderr);
    input->history = history_init();
    if (input->edit == NULL || input->history == NULL) {
        return false;
    }
    load_history(input);
    (void)el_set(input->edit, EL_CLIENTDATA, input);
    (void)el_set(input->edit, EL_PROMPT, prompt);
    (void)el_set(input->edit, EL_EDITOR, "emacs");
    (void)el_set(input->edit, EL_HIST, history, input->history);
    (void)el_set(input->edit, EL_GETCFN, read_character);
    (void)el_set(input->edit, EL_ADDFN, "caskade-complete",
                 "complete a command", complete);
    (void)el_set(input->edit, EL_BIND, "^I", "caskade-complete", NULL);
    /* The user's ~/.editrc has the last word; it need not exist. */
    (void)el_source(input->edit, NULL);
    return true;
}

/* A line from the terminal, in input->copy. */
static char *edit_line(shell_input *input, size_t *ret_size)
{
    int count = 0;
    const char *typed;
    HistEvent event;

    /* Before the prompt: libedit would do it after, and a Ctrl-D that is typed
     * in between would be the terminal's. */
    (void)el_set(input->edit, EL_PREP_TERM, 1);
    errno = 0;
    typed = el_gets(input->edit, &count);
    text_clear(&input->copy);
    if (typed == NULL || count <= 0) {
        (void)fputc('\n', stdout);
        if (signals_arrived() != SIGINT) {
            return NULL;
        }
        signals_forget();
        typed = "";
        count = 0;
    }
    text_add(&input->copy, typed, (size_t)count);
    /* Like in sh(1), a line that begins with a blank is not remembered. */
    if (count > 1 && typed[0] != ' ') {
        (void)history(input->history, &event, H_ENTER, typed);
    }
    if (count > 0 && typed[count - 1] == '\n') {
        input->copy.size--;
    }
    *ret_size = input->copy.size;
    text_add_char(&input->copy, '\0');
    return input->copy.failed ? NULL : input->copy.data;
}

/* ---- Open, read, close ------------------------------------------------- */

shell_input *shell_input_open(shell_name_fn names)
{
    shell_input *input = calloc(1, sizeof(*input));

    if (input == NULL) {
        return NULL;
    }
    input->names = names;
    if (isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 &&
        !open_terminal(input)) {
        shell_input_close(input);
        return NULL;
    }
    return input;
}

void shell_input_close(shell_input *input)
{
    if (input == NULL) {
        return;
    }
    if (input->history != NULL) {
        save_history(input);
        history_end(input->history);
    }
    if (input->edit != NULL) {
        el_end(input->edit);
    }
    text_free(&input->history_path);
    text_free(&input->copy);
    free(input->next.data);
    free(input);
}

bool shell_input_is_interactive(const shell_input *input)
{
    return input->edit != NULL;
}

char *shell_input_line(shell_input *input, size_t *ret_size)
{
    int os_errno = 0;

    if (input->edit != NULL) {
        return edit_line(input, ret_size);
    }
    if (!line_read(&input->next, stdin, &os_errno)) {
        errno = os_errno;
        return NULL;
    }
    *ret_size = input->next.size;
    return input->next.data;
}
