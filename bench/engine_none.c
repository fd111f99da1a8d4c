/*
 * The empty engine: every call returns at once. What it costs is what the
 * harness itself adds to every figure of the other engines.
 */
#include "engine.h"

#include <stddef.h>

static char nothing;

static const char *none_version(void)
{
    return "";
}

static engine_store *none_open(const engine_config *config)
{
    (void)config;
    return (engine_store *)&nothing;
}

static void none_close(engine_store *store)
{
    (void)store;
}

static void none_put(engine_store *store, cask_slice key, cask_slice value)
{
    (void)store;
    (void)key;
    (void)value;
}

static void none_put_batch(engine_store *store, const cask_slice *keys,
                           const cask_slice *values, size_t count)
{
    (void)store;
    (void)keys;
    (void)values;
    (void)count;
}

static bool none_remove(engine_store *store, cask_slice key)
{
    (void)store;
    (void)key;
    return true;
}

static engine_reader *none_reader_create(engine_store *store)
{
    (void)store;
    return (engine_reader *)&nothing;
}

static void none_reader_free(engine_reader *reader)
{
    (void)reader;
}

static bool none_get(engine_store *store, engine_reader *reader, cask_slice key,
                     cask_slice *ret_value)
{
    (void)store;
    (void)reader;
    *ret_value = key;
    return true;
}

static void none_get_many(engine_store *store, engine_reader *reader,
                          const cask_slice *keys, size_t count,
                          cask_slice *ret_values)
{
    (void)store;
    (void)reader;
    for (size_t i = 0; i < count; i++) {
        ret_values[i] = keys[i];
    }
}

const bench_engine engine_none = {
    .name = "none",
    .abilities = ENGINE_EMPTY | ENGINE_MANY_READERS | ENGINE_MANY_WRITERS |
                 ENGINE_BESIDE_HASH,
    .version = none_version,
    .open = none_open,
    .close = none_close,
    .put = none_put,
    .put_batch = none_put_batch,
    .remove = none_remove,
    .reader_create = none_reader_create,
    .reader_free = none_reader_free,
    .get = none_get,
    .get_many = none_get_many,
};
