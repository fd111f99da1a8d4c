/*
 * What LevelDB and RocksDB, which came from it, have in common: classes of the
 * same names with the same calls.
 */
#ifndef CASKADE_BENCH_ENGINE_LEVELED_H
#define CASKADE_BENCH_ENGINE_LEVELED_H

#include "engine.h"

/*
 * Calls of an engine, of which `Api` says
 *
 *   NAME                                  for messages
 *   Slice, Status, Iterator, ReadOptions  its classes
 *   Store                                 what an open store is: `db`, `write`
 */
template <typename Api> struct engine_leveled {
    using Store = typename Api::Store;
    using Slice = typename Api::Slice;
    using Status = typename Api::Status;
    using Iterator = typename Api::Iterator;

    static Store *store_of(engine_store *store)
    {
        return reinterpret_cast<Store *>(store);
    }

    static Slice slice_of(cask_slice slice)
    {
        return Slice(static_cast<const char *>(slice.data), slice.size);
    }

    static void check(const Status &status, const char *call)
    {
        if (!status.ok()) {
            bench_die("%s: %s: %s", Api::NAME, call, status.ToString().c_str());
        }
    }

    static void put(engine_store *store, cask_slice key, cask_slice value)
    {
        Store *self = store_of(store);
        check(self->db->Put(self->write, slice_of(key), slice_of(value)),
              "put");
    }

    static bool remove(engine_store *store, cask_slice key)
    {
        Store *self = store_of(store);
        check(self->db->Delete(self->write, slice_of(key)), "delete");
        return true;
    }

    static Iterator *iterator_of(engine_walk *walk)
    {
        return reinterpret_cast<Iterator *>(walk);
    }

    static engine_walk *walk_create(engine_store *store)
    {
        return reinterpret_cast<engine_walk *>(
            store_of(store)->db->NewIterator(typename Api::ReadOptions()));
    }

    static void walk_free(engine_walk *walk)
    {
        delete iterator_of(walk);
    }

    static bool walk_entry(const Iterator *iterator, engine_entry *ret_entry)
    {
        if (!iterator->Valid()) {
            check(iterator->status(), "iterator");
            return false;
        }
        const Slice key = iterator->key();
        const Slice value = iterator->value();
        ret_entry->key = cask_slice{key.data(), key.size()};
        ret_entry->value = cask_slice{value.data(), value.size()};
        return true;
    }

    static bool walk_seek(engine_walk *walk, cask_slice key,
                          engine_entry *ret_entry)
    {
        iterator_of(walk)->Seek(slice_of(key));
        return walk_entry(iterator_of(walk), ret_entry);
    }

    static bool walk_next(engine_walk *walk, engine_entry *ret_entry)
    {
        iterator_of(walk)->Next();
        return walk_entry(iterator_of(walk), ret_entry);
    }
};

#endif
