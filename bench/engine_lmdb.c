/*
 * LMDB with a writable map. Without a sync for each put (MDB_NOSYNC): a commit
 * is in the map, so it survives the death of the process, as with the others.
 * A put is a transaction, a batch is one.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

#include <lmdb.h>

#include "measure.h"

/* Of addresses: the file is as sparse as the map is empty. */
#define MAP_BYTES ((size_t)1 << 38)

enum { READERS_MOST = 256 };

typedef struct lmdb_store {
    MDB_env *env;
    MDB_dbi dbi;
} lmdb_store;

/* A transaction that is begun anew for each get, and freed with the reader. */
typedef struct lmdb_reader {
    MDB_txn *txn;
} lmdb_reader;

typedef struct lmdb_walk {
    MDB_txn *txn;
    MDB_cursor *cursor;
} lmdb_walk;

static lmdb_store *store_of(engine_store *store)
{
    return (lmdb_store *)(void *)store;
}

static lmdb_walk *walk_of(engine_walk *walk)
{
    return (lmdb_walk *)(void *)walk;
}

static void check(int error, const char *call)
{
    if (error != 0) {
        bench_die("lmdb: %s: %s", call, mdb_strerror(error));
    }
}

static void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        bench_die("no memory");
    }
    return memory;
}

/* LMDB takes no const, and does not write there. */
static MDB_val val_of(cask_slice slice)
{
    union {
        const void *given;
        void *taken;
    } data = {slice.data};
    return (MDB_val){slice.size, data.taken};
}

static cask_slice slice_of(MDB_val val)
{
    return (cask_slice){val.mv_data, val.mv_size};
}

static const char *lmdb_version(void)
{
    static char text[32];
    int major = 0;
    int minor = 0;
    int patch = 0;
    mdb_version(&major, &minor, &patch);
    snprintf(text, sizeof(text), "%d.%d.%d", major, minor, patch);
    return text;
}

static engine_store *lmdb_open(const engine_config *config)
{
    /* MDB_NOTLS: a reader belongs to its owner, not to the thread. */
    unsigned flags = MDB_WRITEMAP | MDB_NOTLS;
    MDB_txn *txn = NULL;
    lmdb_store *self = allocate(sizeof(*self));
    if (!config->sync_each) {
        flags |= MDB_NOSYNC | MDB_MAPASYNC;
    }
    if (config->read_only) {
        flags = MDB_RDONLY | MDB_NOTLS;
    }
    check(mdb_env_create(&self->env), "create");
    check(mdb_env_set_mapsize(self->env, MAP_BYTES), "map size");
    check(mdb_env_set_maxreaders(self->env, READERS_MOST), "readers");
    check(mdb_env_open(self->env, config->path, flags, 0600), "open");
    check(mdb_txn_begin(self->env, NULL, config->read_only ? MDB_RDONLY : 0,
                        &txn),
          "begin");
    check(mdb_dbi_open(txn, NULL, 0, &self->dbi), "open the database");
    check(mdb_txn_commit(txn), "commit");
    return (engine_store *)(void *)self;
}

static void lmdb_close(engine_store *store)
{
    lmdb_store *self = store_of(store);
    mdb_env_close(self->env);
    free(self);
}

static void lmdb_put(engine_store *store, cask_slice key, cask_slice value)
{
    lmdb_store *self = store_of(store);
    MDB_txn *txn = NULL;
    MDB_val name = val_of(key);
    MDB_val data = val_of(value);
    check(mdb_txn_begin(self->env, NULL, 0, &txn), "begin");
    check(mdb_put(txn, self->dbi, &name, &data, 0), "put");
    check(mdb_txn_commit(txn), "commit");
}

/* As long as each key comes after all that are there, they are appended: the
 * loading that LMDB's manual advises. */
static void lmdb_put_batch(engine_store *store, const cask_slice *keys,
                           const cask_slice *values, size_t count)
{
    lmdb_store *self = store_of(store);
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    unsigned flags = MDB_APPEND;
    check(mdb_txn_begin(self->env, NULL, 0, &txn), "begin");
    check(mdb_cursor_open(txn, self->dbi, &cursor), "cursor");
    for (size_t i = 0; i < count; i++) {
        MDB_val name = val_of(keys[i]);
        MDB_val data = val_of(values[i]);
        int error = mdb_cursor_put(cursor, &name, &data, flags);
        if (error == MDB_KEYEXIST && flags != 0) {
            flags = 0;
            error = mdb_cursor_put(cursor, &name, &data, flags);
        }
        check(error, "batch put");
    }
    mdb_cursor_close(cursor);
    check(mdb_txn_commit(txn), "commit");
}

static bool lmdb_remove(engine_store *store, cask_slice key)
{
    lmdb_store *self = store_of(store);
    MDB_txn *txn = NULL;
    MDB_val name = val_of(key);
    check(mdb_txn_begin(self->env, NULL, 0, &txn), "begin");
    int error = mdb_del(txn, self->dbi, &name, NULL);
    if (error == MDB_NOTFOUND) {
        mdb_txn_abort(txn);
        return false;
    }
    check(error, "delete");
    check(mdb_txn_commit(txn), "commit");
    return true;
}

static engine_reader *lmdb_reader_create(engine_store *store)
{
    lmdb_reader *self = allocate(sizeof(*self));
    check(mdb_txn_begin(store_of(store)->env, NULL, MDB_RDONLY, &self->txn),
          "begin");
    mdb_txn_reset(self->txn);
    return (engine_reader *)(void *)self;
}

static void lmdb_reader_free(engine_reader *reader)
{
    lmdb_reader *self = (lmdb_reader *)(void *)reader;
    mdb_txn_abort(self->txn);
    free(self);
}

static void get_one(const lmdb_store *store, MDB_txn *txn, cask_slice key,
                    cask_slice *ret_value)
{
    MDB_val name = val_of(key);
    MDB_val data;
    int error = mdb_get(txn, store->dbi, &name, &data);
    *ret_value = (cask_slice){0};
    if (error != MDB_NOTFOUND) {
        check(error, "get");
        *ret_value = slice_of(data);
    }
}

/*
 * The value stays where it is in the map. The transaction ends at once, or the
 * pages that are free from now on could not be used again by puts; until the
 * next put nobody touches the value.
 */
static void lmdb_get_many(engine_store *store, engine_reader *reader,
                          const cask_slice *keys, size_t count,
                          cask_slice *ret_values)
{
    MDB_txn *txn = ((lmdb_reader *)(void *)reader)->txn;
    check(mdb_txn_renew(txn), "renew");
    for (size_t i = 0; i < count; i++) {
        get_one(store_of(store), txn, keys[i], &ret_values[i]);
    }
    mdb_txn_reset(txn);
}

static bool lmdb_get(engine_store *store, engine_reader *reader, cask_slice key,
                     cask_slice *ret_value)
{
    cask_slice value;
    lmdb_get_many(store, reader, &key, 1, &value);
    if (value.data == NULL) {
        return false;
    }
    *ret_value = value;
    return true;
}

static engine_walk *lmdb_walk_create(engine_store *store)
{
    lmdb_walk *self = allocate(sizeof(*self));
    check(mdb_txn_begin(store_of(store)->env, NULL, MDB_RDONLY, &self->txn),
          "begin");
    check(mdb_cursor_open(self->txn, store_of(store)->dbi, &self->cursor),
          "cursor");
    return (engine_walk *)(void *)self;
}

static void lmdb_walk_free(engine_walk *walk)
{
    lmdb_walk *self = walk_of(walk);
    mdb_cursor_close(self->cursor);
    mdb_txn_abort(self->txn);
    free(self);
}

static bool walk_to(lmdb_walk *self, MDB_val name, MDB_cursor_op operation,
                    engine_entry *ret_entry)
{
    MDB_val data;
    int error = mdb_cursor_get(self->cursor, &name, &data, operation);
    if (error == MDB_NOTFOUND) {
        return false;
    }
    check(error, "cursor get");
    *ret_entry = (engine_entry){slice_of(name), slice_of(data)};
    return true;
}

static bool lmdb_walk_seek(engine_walk *walk, cask_slice key,
                           engine_entry *ret_entry)
{
    return walk_to(walk_of(walk), val_of(key),
                   key.size == 0 ? MDB_FIRST : MDB_SET_RANGE, ret_entry);
}

static bool lmdb_walk_next(engine_walk *walk, engine_entry *ret_entry)
{
    return walk_to(walk_of(walk), (MDB_val){0}, MDB_NEXT, ret_entry);
}

/* It counts nothing itself, and writes through its map. */
static uint64_t lmdb_written_bytes(engine_store *store)
{
    (void)store;
    return io_dirtied_bytes();
}

const bench_engine engine_lmdb = {
    .name = "lmdb",
    .abilities = ENGINE_MANY_READERS | ENGINE_MANY_WRITERS |
                 ENGINE_OPEN_FURTHER | ENGINE_NATIVE_BATCH |
                 ENGINE_NATIVE_MULTI | ENGINE_BESIDE_TREE,
    .version = lmdb_version,
    .open = lmdb_open,
    .close = lmdb_close,
    .put = lmdb_put,
    .put_batch = lmdb_put_batch,
    .remove = lmdb_remove,
    .reader_create = lmdb_reader_create,
    .reader_free = lmdb_reader_free,
    .get = lmdb_get,
    .get_many = lmdb_get_many,
    .walk_create = lmdb_walk_create,
    .walk_free = lmdb_walk_free,
    .walk_seek = lmdb_walk_seek,
    .walk_next = lmdb_walk_next,
    .written_bytes = lmdb_written_bytes,
};
