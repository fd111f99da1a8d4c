/*
 * The table of targets and how each is judged.
 */
#include "targets.h"

#include <math.h>

#define MILLION UINT64_C(1000000)

#define OF_SELF(text, kind, work, other, limit)                                \
    {                                                                          \
        text, TARGET_##kind, WORK_##work, WORK_##other, NULL, 0, limit,        \
            GROUP_MERGING                                                      \
    }
#define FIGURE(text, kind, work, limit)                                        \
    {                                                                          \
        text, TARGET_##kind, WORK_##work, 0, NULL, 0, limit, GROUP_MERGING     \
    }

#define TREE(text, work, peer, limit)                                          \
    {                                                                          \
        text, TARGET_AGAINST_PEER, WORK_##work, 0, peer, 0, limit, GROUP_TREE  \
    }
#define TREE_MOST(text, work, limit)                                           \
    {                                                                          \
        text, TARGET_AT_MOST, WORK_##work, 0, NULL, 0, limit, GROUP_TREE       \
    }

const bench_target bench_targets[] = {
    {"fill-random against tkrzw", TARGET_AGAINST_PEER, WORK_FILL_RANDOM, 0,
     "tkrzw", 0, 1.3, GROUP_HASH},
    {"get against tkrzw", TARGET_AGAINST_PEER, WORK_GET, 0, "tkrzw", 0, 1.2,
     GROUP_HASH},
    {"get-missing against tkrzw", TARGET_AGAINST_PEER, WORK_GET_MISSING, 0,
     "tkrzw", 0, 1.3, GROUP_HASH},
    {"get by two processes against one", TARGET_AGAINST_SELF,
     WORK_GET_2_PROCESSES, WORK_GET_1_PROCESS, NULL, 0, 1.7, GROUP_HASH},
    {"synced put by 16 processes against one", TARGET_AGAINST_SELF,
     WORK_SYNCED_16, WORK_SYNCED_1, NULL, 0, 2.0, GROUP_HASH},
    {"open in a further process, us", TARGET_AT_MOST, WORK_OPEN_FURTHER, 0,
     NULL, 10 * MILLION, 1000, GROUP_HASH},
    {"reopen from hints, keys/s", TARGET_AT_LEAST, WORK_REOPEN, 0, NULL,
     10 * MILLION, 5e6, GROUP_HASH},
    {"index bytes per key", TARGET_AT_MOST, WORK_INDEX_BYTES, 0, NULL,
     1 * MILLION, 20, GROUP_HASH},
    {"index bytes per key", TARGET_AT_MOST, WORK_INDEX_BYTES, 0, NULL,
     3 * MILLION, 20, GROUP_HASH},
    {"index bytes per key", TARGET_AT_MOST, WORK_INDEX_BYTES, 0, NULL,
     10 * MILLION, 20, GROUP_HASH},
    OF_SELF("p99.9 of put, merging / alone", MOST_OF_SELF, MERGING_PUT,
            ALONE_PUT, 3),
    OF_SELF("get, merging / alone", AGAINST_SELF, MERGING_GET, ALONE_GET, 0.8),
    OF_SELF("p99.9 of put, at 20 MB/s / alone", MOST_OF_SELF, SLOW_PUT,
            ALONE_PUT, 1.1),
    OF_SELF("get, at 20 MB/s / alone", AGAINST_SELF, SLOW_GET, ALONE_GET, 0.9),
    FIGURE("merge, MB/s of input", AT_LEAST, MERGE_RATE, 200),
    FIGURE("space / live bytes, steady", AT_MOST, SPACE, 1.55),
    FIGURE("bytes written / put, steady", AT_MOST, WRITES, 2.0),
    FIGURE("space / live, default segments", AT_MOST, DEFAULT_SPACE, 1.55),
    FIGURE("bytes written / put, the same", AT_MOST, DEFAULT_WRITES, 2.0),
    FIGURE("fold, records/s", AT_LEAST, FOLD, 4e6),
    OF_SELF("put, after a snapshot / never one", AGAINST_SELF, FREED_PUT,
            NEVER_PUT, 0.95),
    OF_SELF("get, after a snapshot / never one", AGAINST_SELF, FREED_GET,
            NEVER_GET, 0.95),
    OF_SELF("import of 100 B values / disk", AGAINST_SELF, IMPORT_100, DISK_100,
            0.5),
    OF_SELF("the same / disk without page cache", AGAINST_SELF, IMPORT_100,
            DIRECT_100, 0.5),
    OF_SELF("import of 1 KiB values / disk", AGAINST_SELF, IMPORT_1K, DISK_1K,
            0.5),
    OF_SELF("the same / disk without page cache", AGAINST_SELF, IMPORT_1K,
            DIRECT_1K, 0.5),
    OF_SELF("import of 64 KiB values / disk", AGAINST_SELF, IMPORT_64K,
            DISK_64K, 0.5),
    OF_SELF("the same / disk without page cache", AGAINST_SELF, IMPORT_64K,
            DIRECT_64K, 0.5),
    TREE("fill of 100 B against lmdb", TREE_FILL_100, "lmdb", 2.0),
    TREE("fill of 100 B against rocksdb", TREE_FILL_100, "rocksdb", 4.0),
    TREE("in-order fill of 100 B against lmdb", TREE_ORDER_100, "lmdb", 1.0),
    TREE("get of 100 B against lmdb", TREE_GET_100, "lmdb", 1.0),
    TREE("get of 100 B against rocksdb", TREE_GET_100, "rocksdb", 3.0),
    TREE("get-missing of 100 B against rocksdb", TREE_MISSING_100, "rocksdb",
         3.0),
    TREE("seek + 10 of 100 B against lmdb", TREE_SEEK_100, "lmdb", 0.7),
    TREE("seek + 10 of 100 B against leveldb", TREE_SEEK_100, "leveldb", 2.0),
    TREE("scan of 100 B against lmdb", TREE_SCAN_100, "lmdb", 0.8),
    TREE("fill of 1 KiB against lmdb", TREE_FILL_1K, "lmdb", 2.0),
    TREE("fill of 1 KiB against rocksdb", TREE_FILL_1K, "rocksdb", 4.0),
    TREE("in-order fill of 1 KiB against lmdb", TREE_ORDER_1K, "lmdb", 1.0),
    TREE("get of 1 KiB against lmdb", TREE_GET_1K, "lmdb", 1.0),
    TREE("get of 1 KiB against rocksdb", TREE_GET_1K, "rocksdb", 3.0),
    TREE("get-missing of 1 KiB against rocksdb", TREE_MISSING_1K, "rocksdb",
         3.0),
    TREE("seek + 10 of 1 KiB against lmdb", TREE_SEEK_1K, "lmdb", 0.7),
    TREE("seek + 10 of 1 KiB against leveldb", TREE_SEEK_1K, "leveldb", 2.0),
    TREE("scan of 1 KiB against lmdb", TREE_SCAN_1K, "lmdb", 0.8),
    TREE("sustained fill against rocksdb", GROW, "rocksdb", 1.5),
    /* Less is better of these two: 0.6 and 0.5 of RocksDB's, turned round. */
    TREE("rocksdb's bytes written against ours", TREE_WRITES, "rocksdb",
         1 / 0.6),
    TREE("rocksdb's p99.9 of put against ours", LOAD_P999, "rocksdb", 1 / 0.5),
    TREE_MOST("longest put under full load, ms", LOAD_LONGEST, 50),
    TREE_MOST("open in a further process, us, tree", TREE_FURTHER, 1000),
    TREE_MOST("open after a kill, ms", TREE_KILLED, 1000),
    TREE_MOST("space / live bytes, tree", TREE_SPACE, 1.3),
};

const size_t bench_target_count =
    sizeof(bench_targets) / sizeof(bench_targets[0]);

double target_value(const bench_target *self, const bench_settings *settings,
                    const bench_results *results)
{
    uint64_t keys = self->keys != 0 ? self->keys : settings->keys;
    double value =
        results_find(results, group_own(self->group), self->work, keys).median;
    if (self->kind == TARGET_AGAINST_SELF ||
        self->kind == TARGET_MOST_OF_SELF) {
        return value /
               results_find(results, group_own(self->group), self->other, keys)
                   .median;
    }
    if (self->kind == TARGET_AGAINST_PEER) {
        const bench_engine *peer = engine_find(self->peer);
        return peer == NULL ? NAN
                            : results_ratio(results, group_own(self->group),
                                            peer, self->work, keys);
    }
    return value;
}

bool target_is_met(const bench_target *self, double value)
{
    if (isnan(value)) {
        return false;
    }
    return target_is_bound(self) ? value <= self->limit : value >= self->limit;
}

bool target_is_wanted(const bench_target *self, const bench_settings *settings)
{
    switch (self->group) {
    case GROUP_HASH:
        return settings->targets;
    case GROUP_MERGING:
        return settings->merging;
    case GROUP_TREE:
        return settings->tree;
    }
    return false;
}

static void require_scale(bench_settings *settings, uint64_t keys)
{
    for (size_t i = 0; i < settings->scale_count; i++) {
        if (settings->scales[i] == keys) {
            return;
        }
    }
    if (settings->scale_count < SETTINGS_SCALES_MAX) {
        settings->scales[settings->scale_count++] = keys;
    }
}

void targets_require(bench_settings *settings, bool works)
{
    for (size_t i = 0; i < bench_target_count; i++) {
        const bench_target *target = &bench_targets[i];
        if (!target_is_wanted(target, settings)) {
            continue;
        }
        if (works) {
            settings->works[target->work] = true;
            if (target->kind == TARGET_AGAINST_SELF ||
                target->kind == TARGET_MOST_OF_SELF) {
                settings->works[target->other] = true;
            }
        }
        if (target->keys != 0) {
            require_scale(settings, target->keys);
        }
    }
}
