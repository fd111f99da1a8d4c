/*
 * Ending cleanly. Without SA_RESTART, so that a read from a terminal or a pipe
 * returns; with SA_RESETHAND, so that a second Ctrl-C always works.
 */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/select.h>

static volatile sig_atomic_t arrived;

static const int caught[] = {SIGINT, SIGTERM, SIGHUP};

static void note(int number)
{
    arrived = number;
}

static void set_handler(int number, void (*handler)(int), int flags)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = handler;
    action.sa_flags = flags;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

void signals_init(void)
{
    set_handler(SIGPIPE, SIG_IGN, 0);
    /* A limit of file sizes (ulimit -f) is an error like others. */
    set_handler(SIGXFSZ, SIG_IGN, 0);
}

void signals_catch(void)
{
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
        struct sigaction now;

        /* What nohup(1) or a shell made us ignore stays ignored. */
        if (sigaction(caught[i], NULL, &now) == 0 &&
            now.sa_handler != SIG_IGN) {
            set_handler(caught[i], note, (int)SA_RESETHAND);
        }
    }
}

int signals_arrived(void)
{
    return (int)arrived;
}

bool signals_wait_readable(int fd)
{
    int ready = -1;
    sigset_t blocked;
    sigset_t before;
    fd_set readable;

    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
        (void)sigaddset(&blocked, caught[i]);
    }
    /* Only we can get them: the library's threads block every signal. */
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
    while (ready < 0 && arrived == 0) {
        FD_ZERO(&readable);
        FD_SET(fd, &readable);
        ready = pselect(fd + 1, &readable, NULL, NULL, NULL, &before);
        if (ready < 0 && errno != EINTR) {
            break; /* reading will say what is wrong */
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return arrived == 0;
}

void signals_forget(void)
{
    arrived = 0;
    signals_catch();
}

void signals_finish(bool pipe_is_broken)
{
    int number = arrived != 0 ? (int)arrived : pipe_is_broken ? SIGPIPE : 0;

    if (number != 0) {
        set_handler(number, SIG_DFL, 0);
        (void)raise(number);
    }
}
