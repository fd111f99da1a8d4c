/*
 * Caskade through its public header, its hash engine and its tree engine.
 * Without a sync for each put, as the peers run: nothing acknowledged is lost
 * when the process is killed.
 */
#include "engine.h"

#include <stdlib.h>

typedef struct caskade_store {
    cask_db *db;
    cask_batch *batch; /* reused; put_batch is called by one thread */
} caskade_store;

typedef struct caskade_reader {
    cask_buffer value[ENGINE_MANY_MAX];
    cask_status status[ENGINE_MANY_MAX];
} caskade_reader;

static caskade_store *store_of(engine_store *store)
{
    return (caskade_store *)(void *)store;
}

static void check(cask_status status, const char *call, const cask_error *err)
{
    if (status != CASK_OK) {
        bench_die("caskade: %s: %s: %s", call, cask_status_name(status),
                  err->message);
    }
}

static engine_store *open_engine(const engine_config *config,
                                 cask_engine engine)
{
    cask_error err = {0};
    cask_options options;
    cask_options_init(&options);
    options.create_if_missing = true;
    options.engine = engine;
    options.sync = CASK_SYNC_NONE;
    if (config->sync_interval) {
        options.sync = CASK_SYNC_INTERVAL;
    }
    if (config->sync_each) {
        options.sync = CASK_SYNC_COMMIT;
    }
    if (config->buffer_bytes != 0 && engine == CASK_ENGINE_TREE) {
        /* As large as each other, as they are by default. */
        options.memtable_bytes = config->buffer_bytes;
        options.segment_max_bytes = config->buffer_bytes;
    }
    /* Not read_only for readers either: every process is equal. */
    caskade_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        bench_die("no memory");
    }
    check(cask_open(config->path, &options, &store->db, &err), "open", &err);
    check(cask_batch_create(&store->batch, &err), "batch", &err);
    return (engine_store *)(void *)store;
}

static engine_store *caskade_open(const engine_config *config)
{
    return open_engine(config, CASK_ENGINE_HASH);
}

static engine_store *tree_open(const engine_config *config)
{
    return open_engine(config, CASK_ENGINE_TREE);
}

static void caskade_close(engine_store *store)
{
    cask_error err = {0};
    caskade_store *self = store_of(store);
    cask_batch_free(self->batch);
    check(cask_close(self->db, &err), "close", &err);
    free(self);
}

static void caskade_put(engine_store *store, cask_slice key, cask_slice value)
{
    cask_error err;
    cask_status status = cask_put(store_of(store)->db, key, value, &err);
    if (status != CASK_OK) {
        check(status, "put", &err);
    }
}

static void caskade_put_batch(engine_store *store, const cask_slice *keys,
                              const cask_slice *values, size_t count)
{
    cask_error err = {0};
    caskade_store *self = store_of(store);
    cask_batch_clear(self->batch);
    for (size_t i = 0; i < count; i++) {
        check(cask_batch_put(self->batch, keys[i], values[i], 0, &err),
              "batch put", &err);
    }
    check(cask_write(self->db, self->batch, &err), "write", &err);
}

static bool caskade_remove(engine_store *store, cask_slice key)
{
    cask_error err;
    bool existed = false;
    cask_status status = cask_delete(store_of(store)->db, key, &existed, &err);
    if (status != CASK_OK) {
        check(status, "delete", &err);
    }
    return existed;
}

static engine_reader *caskade_reader_create(engine_store *store)
{
    (void)store;
    caskade_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        bench_die("no memory");
    }
    return (engine_reader *)(void *)reader;
}

static void caskade_reader_free(engine_reader *reader)
{
    caskade_reader *self = (caskade_reader *)(void *)reader;
    for (size_t i = 0; i < ENGINE_MANY_MAX; i++) {
        cask_buffer_free(&self->value[i]);
    }
    free(self);
}

static bool caskade_get(engine_store *store, engine_reader *reader,
                        cask_slice key, cask_slice *ret_value)
{
    cask_error err;
    cask_buffer *value = ((caskade_reader *)(void *)reader)->value;
    cask_status status = cask_get(store_of(store)->db, key, value, &err);
    if (status == CASK_NOT_FOUND) {
        return false;
    }
    if (status != CASK_OK) {
        check(status, "get", &err);
    }
    *ret_value = (cask_slice){value->data, value->size};
    return true;
}

static void caskade_get_many(engine_store *store, engine_reader *reader,
                             const cask_slice *keys, size_t count,
                             cask_slice *ret_values)
{
    cask_error err = {0};
    caskade_reader *self = (caskade_reader *)(void *)reader;
    check(cask_get_many(store_of(store)->db, keys, count, self->value,
                        self->status, &err),
          "get_many", &err);
    for (size_t i = 0; i < count; i++) {
        ret_values[i] = (cask_slice){0};
        if (self->status[i] == CASK_OK) {
            ret_values[i].data = self->value[i].data;
            ret_values[i].size = self->value[i].size;
        }
    }
}

/* ---- Walks, of a tree ---- */

static cask_iterator *iterator_of(engine_walk *walk)
{
    return (cask_iterator *)(void *)walk;
}

static engine_walk *tree_walk_create(engine_store *store)
{
    cask_error err = {0};
    cask_iterator *iterator;
    check(cask_iterator_create(store_of(store)->db, NULL, &iterator, &err),
          "iterator", &err);
    return (engine_walk *)(void *)iterator;
}

static void tree_walk_free(engine_walk *walk)
{
    cask_iterator_free(iterator_of(walk));
}

static bool take_entry(cask_status status, const cask_entry *entry,
                       engine_entry *ret_entry, const cask_error *err)
{
    if (status == CASK_NOT_FOUND) {
        return false;
    }
    check(status, "iterate", err);
    *ret_entry = (engine_entry){entry->key, entry->value};
    return true;
}

static bool tree_walk_seek(engine_walk *walk, cask_slice key,
                           engine_entry *ret_entry)
{
    cask_error err;
    cask_entry entry;
    return take_entry(cask_iterator_seek(iterator_of(walk), CASK_SEEK_AT_LEAST,
                                         key, &entry, &err),
                      &entry, ret_entry, &err);
}

static bool tree_walk_next(engine_walk *walk, engine_entry *ret_entry)
{
    cask_error err;
    cask_entry entry;
    return take_entry(cask_iterator_next(iterator_of(walk), &entry, &err),
                      &entry, ret_entry, &err);
}

/* By puts, into the log, and by merges. */
static uint64_t caskade_written_bytes(engine_store *store)
{
    cask_error err = {0};
    cask_stats stats;
    cask_merge_state merges;
    cask_db *db = store_of(store)->db;
    check(cask_stat(db, &stats, &err), "stat", &err);
    check(cask_merge_status(db, &merges, &err), "merge status", &err);
    return stats.bytes_written + merges.bytes_written;
}

/* Into the log, and by flushes and compactions. */
static uint64_t tree_written_bytes(engine_store *store)
{
    cask_error err = {0};
    cask_stats stats;
    check(cask_stat(store_of(store)->db, &stats, &err), "stat", &err);
    return stats.log_bytes + stats.merge_bytes;
}

static uint64_t caskade_index_bytes(engine_store *store)
{
    cask_error err = {0};
    cask_stats stats;
    check(cask_stat(store_of(store)->db, &stats, &err), "stat", &err);
    return stats.region_bytes;
}

/* Drop one region whose store is gone. */
static bool drop_orphan(void *context, const cask_region_info *info)
{
    (void)context;
    if (info->orphan) {
        /* Best effort: the next open of any store removes it as well. */
        cask_status status = cask_region_drop(info->path, NULL);
        (void)status;
    }
    return true;
}

static void caskade_clean_up(void)
{
    cask_status status = cask_region_list(NULL, drop_orphan, NULL, NULL);
    (void)status;
}

const bench_engine engine_caskade = {
    .name = "caskade",
    .abilities = ENGINE_MANY_READERS | ENGINE_MANY_WRITERS |
                 ENGINE_OPEN_FURTHER | ENGINE_NATIVE_BATCH |
                 ENGINE_NATIVE_MULTI | ENGINE_OWN | ENGINE_BESIDE_HASH,
    .version = cask_version,
    .open = caskade_open,
    .close = caskade_close,
    .put = caskade_put,
    .put_batch = caskade_put_batch,
    .remove = caskade_remove,
    .reader_create = caskade_reader_create,
    .reader_free = caskade_reader_free,
    .get = caskade_get,
    .get_many = caskade_get_many,
    .written_bytes = caskade_written_bytes,
    .index_bytes = caskade_index_bytes,
    .clean_up = caskade_clean_up,
};

const bench_engine engine_caskade_tree = {
    .name = "caskade-tree",
    .abilities = ENGINE_MANY_READERS | ENGINE_MANY_WRITERS |
                 ENGINE_OPEN_FURTHER | ENGINE_NATIVE_BATCH |
                 ENGINE_NATIVE_MULTI | ENGINE_OWN | ENGINE_BESIDE_TREE,
    .version = cask_version,
    .open = tree_open,
    .close = caskade_close,
    .put = caskade_put,
    .put_batch = caskade_put_batch,
    .remove = caskade_remove,
    .reader_create = caskade_reader_create,
    .reader_free = caskade_reader_free,
    .get = caskade_get,
    .get_many = caskade_get_many,
    .walk_create = tree_walk_create,
    .walk_free = tree_walk_free,
    .walk_seek = tree_walk_seek,
    .walk_next = tree_walk_next,
    .written_bytes = tree_written_bytes,
    .clean_up = caskade_clean_up,
};
