/*
 * RocksDB with its default options (write buffers of 64 MiB, block cache of
 * 8 MiB), but with a Bloom filter of 10 bits per key and no compression.
 */
#include "engine_leveled.h"

#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

namespace {

struct rocksdb_store {
    std::unique_ptr<rocksdb::DB> db;
    rocksdb::WriteOptions write;
};

struct rocksdb_reader {
    rocksdb::PinnableSlice value[ENGINE_MANY_MAX];
};

rocksdb_reader *reader_of(engine_reader *reader)
{
    return reinterpret_cast<rocksdb_reader *>(reader);
}

struct rocksdb_api {
    static constexpr const char *NAME = "rocksdb";
    using Store = rocksdb_store;
    using Slice = rocksdb::Slice;
    using Status = rocksdb::Status;
    using Iterator = rocksdb::Iterator;
    using ReadOptions = rocksdb::ReadOptions;
};

using leveled = engine_leveled<rocksdb_api>;

const char *store_version()
{
    static const std::string text = std::to_string(ROCKSDB_MAJOR) + "." +
                                    std::to_string(ROCKSDB_MINOR) + "." +
                                    std::to_string(ROCKSDB_PATCH);
    return text.c_str();
}

engine_store *store_open(const engine_config *config)
{
    auto store = std::make_unique<rocksdb_store>();
    store->write.sync = config->sync_each;
    rocksdb::BlockBasedTableOptions table;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = engine_buffer_bytes(config);
    /* Its defaults, if the buffer has the default size. */
    options.target_file_size_base = engine_buffer_bytes(config);
    options.max_bytes_for_level_base = engine_buffer_bytes(config) * 4;
    options.compression = rocksdb::kNoCompression;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB *db = nullptr;
    if (config->read_only) {
        leveled::check(rocksdb::DB::OpenForReadOnly(options, config->path, &db),
                       "open");
    } else {
        leveled::check(rocksdb::DB::Open(options, config->path, &db), "open");
    }
    store->db.reset(db);
    return reinterpret_cast<engine_store *>(store.release());
}

void store_close(engine_store *store)
{
    std::unique_ptr<rocksdb_store> self(leveled::store_of(store));
    leveled::check(self->db->Close(), "close");
}

void store_put_batch(engine_store *store, const cask_slice *keys,
                     const cask_slice *values, size_t count)
{
    rocksdb_store *self = leveled::store_of(store);
    rocksdb::WriteBatch batch;
    for (size_t i = 0; i < count; i++) {
        leveled::check(
            batch.Put(leveled::slice_of(keys[i]), leveled::slice_of(values[i])),
            "batch put");
    }
    leveled::check(self->db->Write(self->write, &batch), "write");
}

engine_reader *reader_create(engine_store *)
{
    return reinterpret_cast<engine_reader *>(new rocksdb_reader);
}

void reader_free(engine_reader *reader)
{
    delete reader_of(reader);
}

bool store_get(engine_store *store, engine_reader *reader, cask_slice key,
               cask_slice *ret_value)
{
    rocksdb::DB *db = leveled::store_of(store)->db.get();
    rocksdb::PinnableSlice *value = reader_of(reader)->value;
    value->Reset();
    const rocksdb::Status status =
        db->Get(rocksdb::ReadOptions(), db->DefaultColumnFamily(),
                leveled::slice_of(key), value);
    if (status.IsNotFound()) {
        return false;
    }
    leveled::check(status, "get");
    *ret_value = cask_slice{value->data(), value->size()};
    return true;
}

void store_get_many(engine_store *store, engine_reader *reader,
                    const cask_slice *keys, size_t count,
                    cask_slice *ret_values)
{
    rocksdb::DB *db = leveled::store_of(store)->db.get();
    rocksdb_reader *self = reader_of(reader);
    rocksdb::Slice wanted[ENGINE_MANY_MAX];
    rocksdb::Status statuses[ENGINE_MANY_MAX];
    for (size_t i = 0; i < count; i++) {
        wanted[i] = leveled::slice_of(keys[i]);
        self->value[i].Reset();
    }
    db->MultiGet(rocksdb::ReadOptions(), db->DefaultColumnFamily(), count,
                 wanted, self->value, statuses);
    for (size_t i = 0; i < count; i++) {
        ret_values[i] = cask_slice{nullptr, 0};
        if (!statuses[i].IsNotFound()) {
            leveled::check(statuses[i], "get many");
            ret_values[i] =
                cask_slice{self->value[i].data(), self->value[i].size()};
        }
    }
}

/* A number of one of its maps of statistics; ends the process without it. */
double statistic(rocksdb::DB *db, const std::string &property, const char *name)
{
    std::map<std::string, std::string> values;
    if (!db->GetMapProperty(property, &values) || values.count(name) == 0) {
        bench_die("rocksdb: it tells no %s", name);
    }
    return std::strtod(values[name].c_str(), nullptr);
}

/* Its log, its flushes and its compactions. */
uint64_t store_written_bytes(engine_store *store)
{
    rocksdb::DB *db = leveled::store_of(store)->db.get();
    const double log = statistic(db, rocksdb::DB::Properties::kDBStats,
                                 "db.wal_bytes_written");
    const double tables = statistic(db, rocksdb::DB::Properties::kCFStats,
                                    "compaction.Sum.WriteGB") *
                          (1u << 30);
    return static_cast<uint64_t>(log + tables);
}

} // namespace

/* In the order of struct engine: C++17 has no designated initializers. */
extern "C" const bench_engine engine_rocksdb = {
    "rocksdb",
    ENGINE_MANY_READERS | ENGINE_NATIVE_BATCH | ENGINE_NATIVE_MULTI |
        ENGINE_BESIDE_TREE,
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
