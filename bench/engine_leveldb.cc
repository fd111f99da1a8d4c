/*
 * LevelDB with a Bloom filter of 10 bits per key, a write buffer of 64 MB and
 * no compression.
 */
#include "engine.h"

#include <memory>
#include <string>

#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include "measure.h"

namespace {

struct leveldb_store {
    std::unique_ptr<const leveldb::FilterPolicy> filter;
    std::unique_ptr<leveldb::DB> db; /* closed before the filter goes */
    leveldb::WriteOptions write;
};

struct leveldb_reader {
    std::string value[ENGINE_MANY_MAX];
};

leveldb_store *store_of(engine_store *store)
{
    return reinterpret_cast<leveldb_store *>(store);
}

leveldb_reader *reader_of(engine_reader *reader)
{
    return reinterpret_cast<leveldb_reader *>(reader);
}

leveldb::Slice slice_of(cask_slice slice)
{
    return leveldb::Slice(static_cast<const char *>(slice.data), slice.size);
}

void check(const leveldb::Status &status, const char *call)
{
    if (!status.ok()) {
        bench_die("leveldb: %s: %s", call, status.ToString().c_str());
    }
}

const char *store_version()
{
    static const std::string text = std::to_string(leveldb::kMajorVersion) +
                                    "." +
                                    std::to_string(leveldb::kMinorVersion);
    return text.c_str();
}

engine_store *store_open(const engine_config *config)
{
    auto store = std::make_unique<leveldb_store>();
    store->filter.reset(leveldb::NewBloomFilterPolicy(10));
    store->write.sync = config->sync_each;
    leveldb::Options options;
    options.create_if_missing = true;
    options.filter_policy = store->filter.get();
    options.write_buffer_size = 64u << 20;
    options.compression = leveldb::kNoCompression;
    leveldb::DB *db = nullptr;
    check(leveldb::DB::Open(options, config->path, &db), "open");
    store->db.reset(db);
    return reinterpret_cast<engine_store *>(store.release());
}

void store_close(engine_store *store)
{
    delete store_of(store);
}

void store_put(engine_store *store, cask_slice key, cask_slice value)
{
    leveldb_store *self = store_of(store);
    check(self->db->Put(self->write, slice_of(key), slice_of(value)), "put");
}

void store_put_batch(engine_store *store, const cask_slice *keys,
                     const cask_slice *values, size_t count)
{
    leveldb_store *self = store_of(store);
    leveldb::WriteBatch batch;
    for (size_t i = 0; i < count; i++) {
        batch.Put(slice_of(keys[i]), slice_of(values[i]));
    }
    check(self->db->Write(self->write, &batch), "write");
}

bool store_remove(engine_store *store, cask_slice key)
{
    leveldb_store *self = store_of(store);
    check(self->db->Delete(self->write, slice_of(key)), "delete");
    return true;
}

engine_reader *reader_create(engine_store *)
{
    return reinterpret_cast<engine_reader *>(new leveldb_reader);
}

void reader_free(engine_reader *reader)
{
    delete reader_of(reader);
}

bool store_get_into(engine_store *store, std::string *buffer, cask_slice key,
                    cask_slice *ret_value)
{
    const leveldb::Status status =
        store_of(store)->db->Get(leveldb::ReadOptions(), slice_of(key), buffer);
    if (status.IsNotFound()) {
        return false;
    }
    check(status, "get");
    *ret_value = cask_slice{buffer->data(), buffer->size()};
    return true;
}

bool store_get(engine_store *store, engine_reader *reader, cask_slice key,
               cask_slice *ret_value)
{
    return store_get_into(store, reader_of(reader)->value, key, ret_value);
}

void store_get_many(engine_store *store, engine_reader *reader,
                    const cask_slice *keys, size_t count,
                    cask_slice *ret_values)
{
    for (size_t i = 0; i < count; i++) {
        ret_values[i] = cask_slice{nullptr, 0};
        store_get_into(store, &reader_of(reader)->value[i], keys[i],
                       &ret_values[i]);
    }
}

leveldb::Iterator *iterator_of(engine_walk *walk)
{
    return reinterpret_cast<leveldb::Iterator *>(walk);
}

engine_walk *walk_create(engine_store *store)
{
    return reinterpret_cast<engine_walk *>(
        store_of(store)->db->NewIterator(leveldb::ReadOptions()));
}

void walk_free(engine_walk *walk)
{
    delete iterator_of(walk);
}

bool walk_entry(const leveldb::Iterator *iterator, engine_entry *ret_entry)
{
    if (!iterator->Valid()) {
        check(iterator->status(), "iterator");
        return false;
    }
    const leveldb::Slice key = iterator->key();
    const leveldb::Slice value = iterator->value();
    ret_entry->key = cask_slice{key.data(), key.size()};
    ret_entry->value = cask_slice{value.data(), value.size()};
    return true;
}

bool walk_seek(engine_walk *walk, cask_slice key, engine_entry *ret_entry)
{
    iterator_of(walk)->Seek(slice_of(key));
    return walk_entry(iterator_of(walk), ret_entry);
}

bool walk_next(engine_walk *walk, engine_entry *ret_entry)
{
    iterator_of(walk)->Next();
    return walk_entry(iterator_of(walk), ret_entry);
}

/* It keeps no count of the log's bytes, and writes all files by write(). */
uint64_t store_written_bytes(engine_store *)
{
    return io_called_bytes();
}

} // namespace

/* In the order of struct engine: C++17 has no designated initializers. */
extern "C" const bench_engine engine_leveldb = {
    "leveldb",
    ENGINE_NATIVE_BATCH | ENGINE_BESIDE_HASH | ENGINE_BESIDE_TREE,
    store_version,
    store_open,
    store_close,
    store_put,
    store_put_batch,
    store_remove,
    reader_create,
    reader_free,
    store_get,
    store_get_many,
    walk_create,
    walk_free,
    walk_seek,
    walk_next,
    store_written_bytes,
    nullptr, /* index_bytes */
    nullptr, /* clean_up */
};
