/*
 * What the tests of processes have in common.
 */
#define _GNU_SOURCE
#include "scene.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void count_event(void *context, const cask_event *event)
{
    scene *s = context;

    s->events[event->kind]++;
}

int scene_set_up(void **state)
{
    scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    scratch_make(s->path);
    cask_options_init(&s->options);
    s->options.create_if_missing = true;
    s->options.segment_max_bytes = 65536;
    s->options.on_event = count_event;
    s->options.event_context = s;
    *state = s;
    return 0;
}

int scene_tear_down(void **state)
{
    scene *s = *state;
    unsigned regions = scratch_regions(s->path);

    scratch_remove(s->path);
    /* If a test failed a handle may be open, whose threads go on telling the
     * scene of events. */
    if (regions == 0) {
        free(s);
    }
    assert_int_equal(regions, 0);
    return 0;
}

void require(const scene *s, cask_status status)
{
    if (status != CASK_OK) {
        fail_msg("%s: %s", cask_status_name(status), s->err.message);
    }
}

cask_db *open_store(scene *s)
{
    cask_db *db = NULL;

    require(s, cask_open(s->path, &s->options, &db, &s->err));
    return db;
}

void close_store(scene *s, cask_db *db)
{
    require(s, cask_close(db, &s->err));
}

void put(scene *s, cask_db *db, const char *key, const char *value)
{
    require(s, cask_put(db, cask_slice_of(key), cask_slice_of(value), &s->err));
}

void expect(scene *s, cask_db *db, const char *key, const char *value)
{
    cask_buffer found = {NULL, 0, 0};
    cask_status status = cask_get(db, cask_slice_of(key), &found, &s->err);

    if (value == NULL) {
        assert_int_equal(status, CASK_NOT_FOUND);
    } else {
        require(s, status);
        assert_int_equal(found.size, strlen(value));
        assert_memory_equal(found.data, value, found.size);
    }
    cask_buffer_free(&found);
}

pid_t start(int (*run)(scene *s), scene *s)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(run(s));
    }
    return pid;
}

int wait_for(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    assert_int_equal(wait_for(pid), 256 + SIGKILL);
}

void wait_for_key(cask_db *db, const char *key)
{
    bool exists = false;

    for (int i = 0; i < 10000 && !exists; i++) {
        assert_int_equal(cask_exists(db, cask_slice_of(key), &exists, NULL),
                         CASK_OK);
        (void)usleep(1000);
    }
    assert_true(exists);
}

/* ---- Files of the store ---- */

void scene_path(const scene *s, const char *name,
                char ret_path[SCRATCH_PATH + SCENE_NAME])
{
    (void)snprintf(ret_path, SCRATCH_PATH + SCENE_NAME, "%s/%s", s->path, name);
}

void scene_plant(const scene *s, const char *name)
{
    char path[SCRATCH_PATH + SCENE_NAME];
    int file;

    scene_path(s, name, path);
    file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, 100), 0);
    (void)close(file);
}

bool scene_has(const scene *s, const char *name)
{
    char path[SCRATCH_PATH + SCENE_NAME];

    scene_path(s, name, path);
    return access(path, F_OK) == 0;
}
