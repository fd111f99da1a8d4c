/*
 * Which engines this build has. BENCH_HAVE_x comes from CMakeLists.txt.
 */
#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const bench_engine *const bench_engines[] = {
    &engine_caskade, &engine_caskade_tree,
#ifdef BENCH_HAVE_TKRZW
    &engine_tkrzw,
#endif
#ifdef BENCH_HAVE_LEVELDB
    &engine_leveldb,
#endif
#ifdef BENCH_HAVE_ROCKSDB
    &engine_rocksdb,
#endif
#ifdef BENCH_HAVE_LMDB
    &engine_lmdb,
#endif
    &engine_none,    NULL,
};

const char *const bench_missing_engines[] = {
#ifndef BENCH_HAVE_TKRZW
    "tkrzw",
#endif
#ifndef BENCH_HAVE_LEVELDB
    "leveldb",
#endif
#ifndef BENCH_HAVE_ROCKSDB
    "rocksdb",
#endif
#ifndef BENCH_HAVE_LMDB
    "lmdb",
#endif
    NULL,
};

const bench_engine *engine_find(const char *name)
{
    for (size_t i = 0; bench_engines[i] != NULL; i++) {
        if (strcmp(bench_engines[i]->name, name) == 0) {
            return bench_engines[i];
        }
    }
    return NULL;
}

void bench_die(const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    fprintf(stderr, "caskade-bench: %s\n", message);
    fflush(stderr);
    /* Not exit(): this may be a forked child or one of several threads. */
    _exit(1);
}
