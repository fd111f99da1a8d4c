/*
 * LevelDB with a Bloom filter of 10 bits per key, a write buffer of 64 MB and
 * no compression.
 */
#include "engine_leveled.h"

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

leveldb_reader *reader_of(engine_reader *reader)
{
    return reinterpret_cast<leveldb_reader *>(reader);
}

struct leveldb_api {
    static constexpr const char *NAME = "leveldb";
    using Store = leveldb_store;
    using Slice = leveldb::Slice;
    using Status = leveldb::Status;
    using Iterator = leveldb::Iterator;
    using ReadOptions = leveldb::ReadOptions;
};

using leveled = engine_leveled<leveldb_api>;

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
    options.write_buffer_size = engine_buffer_bytes(config);
    options.compression = leveldb::kNoCompression;
    leveldb::DB *db = nullptr;
    leveled::check(leveldb::DB::Open(options, config->path, &db), "open");
    store->db.reset(db);
    return reinterpret_cast<engine_store *>(store.release());
}

void store_close(engine_store *store)
{
    delete leveled::store_of(store);
}

void store_put_batch(engine_store *store, const cask_slice *keys,
                     const cask_slice *values, size_t count)
{
    leveldb_store *self = leveled::store_of(store);
    leveldb::WriteBatch batch;
    for (size_t i = 0; i < count; i++) {
        batch.Put(leveled::slice_of(keys[i]), leveled::slice_of(values[i]));
    }
    leveled::check(self->db->Write(self->write, &batch), "write");
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
    const leveldb::Status status = leveled::store_of(store)->db->Get(
        leveldb::ReadOptions(), leveled::slice_of(key), buffer);
    if (status.IsNotFound()) {
        return false;
    }
    leveled::check(status, "get");
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
    leveled::put,
    store_put_batch,
    leveled::remove,
    reader_create,
    reader_free,
    store_get,
    store_get_many,
    leveled::walk_create,
    leveled::walk_free,
    leveled::walk_seek,
    leveled::walk_next,
    store_written_bytes,
    nullptr, /* index_bytes */
    nullptr, /* clean_up */
};
