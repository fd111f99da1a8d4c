/*
 * A key-value store as the benchmark sees it: one table of functions for each
 * peer, so that every peer runs the same loops.
 *
 * A function that fails prints one line and ends the process (bench_die()): a
 * measurement with an error in it is not a measurement.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "caskade.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an engine can do; bits of engine.abilities. */
enum {
    ENGINE_MANY_READERS = 1,  /* several processes can read one store */
    ENGINE_MANY_WRITERS = 2,  /* several processes can write to one store */
    ENGINE_OPEN_FURTHER = 4,  /* can be opened while another process writes */
    ENGINE_NATIVE_BATCH = 8,  /* put_batch is more than a loop over put */
    ENGINE_NATIVE_MULTI = 16, /* get_many is more than a loop over get */
    ENGINE_EMPTY = 32,        /* stores nothing: the harness's own cost */
    ENGINE_OWN = 64,          /* Caskade, which the others are compared with */
    /* Who takes part without --engines: in the runs for the hash engine, in
     * those for the tree engine. */
    ENGINE_BESIDE_HASH = 128,
    ENGINE_BESIDE_TREE = 256
};

/* More keys than this are never given to get_many at once. */
#define ENGINE_MANY_MAX 64

typedef struct engine_config {
    const char *path;      /* directory; exists; empty when a run begins */
    uint64_t key_count;    /* how many keys the store will hold */
    bool read_only;        /* this process will not write */
    bool sync_each;        /* each put is on the device when it returns */
    bool sync_interval;    /* Caskade only: its default policy, not `none` */
    uint64_t buffer_bytes; /* that are written as one sorted file; of Caskade's
                              tree engine, LevelDB, RocksDB; 0: 64 MiB, the
                              default of the first and the last */
} engine_config;

static inline uint64_t engine_buffer_bytes(const engine_config *config)
{
    return config->buffer_bytes != 0 ? config->buffer_bytes
                                     : UINT64_C(64) << 20;
}

/* Private to each engine, which casts them. */
typedef struct engine_store engine_store;
typedef struct engine_reader engine_reader;
typedef struct engine_walk engine_walk;

/* A record that a walk is at: valid until the walk moves. */
typedef struct engine_entry {
    cask_slice key;
    cask_slice value;
} engine_entry;

typedef struct bench_engine {
    const char *name;
    unsigned abilities;
    const char *(*version)(void);

    /* Open or create the store. Never returns NULL. */
    engine_store *(*open)(const engine_config *config);
    void (*close)(engine_store *store);

    void (*put)(engine_store *store, cask_slice key, cask_slice value);
    void (*put_batch)(engine_store *store, const cask_slice *keys,
                      const cask_slice *values, size_t count);
    /* Whether the key existed, as far as the engine tells (else true). */
    bool (*remove)(engine_store *store, cask_slice key);

    /* A reader holds the buffers that one thread reuses from get to get. */
    engine_reader *(*reader_create)(engine_store *store);
    void (*reader_free)(engine_reader *reader);
    /* `ret_value` is valid until the reader's next call or the next put or
     * remove, whichever comes first; set if found. */
    bool (*get)(engine_store *store, engine_reader *reader, cask_slice key,
                cask_slice *ret_value);
    /* As get for `count` keys; `ret_values[i].data` is NULL if not found. */
    void (*get_many)(engine_store *store, engine_reader *reader,
                     const cask_slice *keys, size_t count,
                     cask_slice *ret_values);

    /*
     * Records in ascending order of their keys, as memcmp() has it; all four
     * NULL: the engine has no order. What is put during a walk may be missing.
     */
    engine_walk *(*walk_create)(engine_store *store);
    void (*walk_free)(engine_walk *walk);
    /* To the first record whose key is `key` or comes after it (an empty one:
     * to the first of all); false: there is none. */
    bool (*walk_seek)(engine_walk *walk, cask_slice key,
                      engine_entry *ret_entry);
    bool (*walk_next)(engine_walk *walk, engine_entry *ret_entry);

    /* Bytes written to files so far, by puts and by what goes on in the
     * background; differences count. NULL: not known. */
    uint64_t (*written_bytes)(engine_store *store);
    /* Memory of the index, bytes; NULL: the engine does not tell. */
    uint64_t (*index_bytes)(engine_store *store);
    /* Remove what a killed process left outside the directory; NULL: none. */
    void (*clean_up)(void);
} bench_engine;

/* Every engine that was built, NULL at the end: Caskade first. */
extern const bench_engine *const bench_engines[];

/* Peers that were not found when the build was configured, NULL at the end. */
extern const char *const bench_missing_engines[];

/* The engine called `name`, or NULL. */
const bench_engine *engine_find(const char *name);

extern const bench_engine engine_caskade;
extern const bench_engine engine_caskade_tree;
extern const bench_engine engine_tkrzw;
extern const bench_engine engine_leveldb;
extern const bench_engine engine_rocksdb;
extern const bench_engine engine_lmdb;
extern const bench_engine engine_none;

/* Print "caskade-bench: ..." to standard error and end the process: status 1.
 */
void bench_die(const char *format, ...)
    __attribute__((noreturn, cold, format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif

#endif
