/*
 * Tkrzw's HashDBM: a file hash table updated in place through a map. Without
 * restoration checks, twice as many buckets as keys, offsets of five bytes.
 */
#include "engine.h"

#include <memory>
#include <string>
#include <string_view>

#include <tkrzw_dbm_hash.h>

namespace {

struct tkrzw_store {
    tkrzw::HashDBM dbm;
    bool sync_each = false;
};

struct tkrzw_reader {
    std::string value[ENGINE_MANY_MAX];
};

tkrzw_store *store_of(engine_store *store)
{
    return reinterpret_cast<tkrzw_store *>(store);
}

tkrzw_reader *reader_of(engine_reader *reader)
{
    return reinterpret_cast<tkrzw_reader *>(reader);
}

std::string_view view_of(cask_slice slice)
{
    return std::string_view(static_cast<const char *>(slice.data), slice.size);
}

void check(const tkrzw::Status &status, const char *call)
{
    if (!status.IsOK()) {
        const std::string text(status);
        bench_die("tkrzw: %s: %s", call, text.c_str());
    }
}

const char *store_version()
{
    return tkrzw::PACKAGE_VERSION;
}

engine_store *store_open(const engine_config *config)
{
    tkrzw::HashDBM::TuningParameters tuning;
    tuning.restore_mode = tkrzw::HashDBM::RESTORE_NOOP;
    tuning.num_buckets = static_cast<int64_t>(config->key_count) * 2;
    tuning.offset_width = 5;
    auto store = std::make_unique<tkrzw_store>();
    store->sync_each = config->sync_each;
    check(store->dbm.OpenAdvanced(std::string(config->path) + "/data.tkh",
                                  !config->read_only, tkrzw::File::OPEN_DEFAULT,
                                  tuning),
          "open");
    return reinterpret_cast<engine_store *>(store.release());
}

void store_close(engine_store *store)
{
    std::unique_ptr<tkrzw_store> self(store_of(store));
    check(self->dbm.Close(), "close");
}

void store_put(engine_store *store, cask_slice key, cask_slice value)
{
    tkrzw_store *self = store_of(store);
    check(self->dbm.Set(view_of(key), view_of(value)), "put");
    if (self->sync_each) {
        check(self->dbm.Synchronize(true), "sync");
    }
}

/* Its SetMulti() is a loop over Set() too, with a std::map in front. */
void store_put_batch(engine_store *store, const cask_slice *keys,
                     const cask_slice *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        store_put(store, keys[i], values[i]);
    }
}

bool store_remove(engine_store *store, cask_slice key)
{
    const tkrzw::Status status = store_of(store)->dbm.Remove(view_of(key));
    if (status == tkrzw::Status::NOT_FOUND_ERROR) {
        return false;
    }
    check(status, "delete");
    return true;
}

engine_reader *reader_create(engine_store *)
{
    return reinterpret_cast<engine_reader *>(new tkrzw_reader);
}

void reader_free(engine_reader *reader)
{
    delete reader_of(reader);
}

bool store_get_into(engine_store *store, std::string *buffer, cask_slice key,
                    cask_slice *ret_value)
{
    const tkrzw::Status status = store_of(store)->dbm.Get(view_of(key), buffer);
    if (status == tkrzw::Status::NOT_FOUND_ERROR) {
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

} // namespace

/* In the order of struct engine: C++17 has no designated initializers. */
extern "C" const bench_engine engine_tkrzw = {
    "tkrzw",         ENGINE_MANY_READERS | ENGINE_BESIDE_HASH,
    store_version,   store_open,
    store_close,     store_put,
    store_put_batch, store_remove,
    reader_create,   reader_free,
    store_get,       store_get_many,
    nullptr, /* walk_create */
    nullptr, /* walk_free */
    nullptr, /* walk_seek */
    nullptr, /* walk_next */
    nullptr, /* written_bytes */
    nullptr, /* index_bytes */
    nullptr, /* clean_up */
};
