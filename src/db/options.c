/*
 * Defaults and ranges of the options.
 */
#include <inttypes.h>

#include "base/error.h"
#include "db/db.h"

enum {
    MODE_LEAST = 0600,
    MODE_MOST = 0777,
    MEMTABLE_LEAST = 64 << 10,
    SEGMENT_LEAST = 64 << 10
};

void cask_options_init(cask_options *options)
{
    *options = (cask_options){
        .struct_size = sizeof(*options),
        .engine = CASK_ENGINE_HASH,
        .file_mode = 0600,
        .lock_timeout_ms = 10000,
        .sync = CASK_SYNC_INTERVAL,
        .sync_interval_ms = 1000,
        .append = CASK_APPEND_AUTO,
        .io = CASK_IO_MAP,
        .max_descriptors = 256,
        .damage = CASK_DAMAGE_FAIL,
        .small_file_threshold_bytes = UINT64_C(10) << 20,
        .huge_pages = true,
        .auto_merge = true,
    };
}

typedef struct range {
    const char *name;
    uint64_t value;
    uint64_t least;
    uint64_t most;
} range;

cask_status options_check(const cask_options *options, cask_error *err)
{
    const range ranges[] = {
        {"engine", options->engine, CASK_ENGINE_HASH, CASK_ENGINE_TREE},
        {"lock_timeout_ms", options->lock_timeout_ms, 1, 3600000},
        {"sync", options->sync, CASK_SYNC_NONE, CASK_SYNC_COMMIT},
        {"sync_interval_ms", options->sync_interval_ms, 1, 3600000},
        {"append", options->append, CASK_APPEND_AUTO, CASK_APPEND_PWRITE},
        {"io", options->io, CASK_IO_MAP, CASK_IO_PREAD},
        {"max_descriptors", options->max_descriptors, 8, 65536},
        {"damage", options->damage, CASK_DAMAGE_FAIL, CASK_DAMAGE_SERVE},
        {"segment_max_bytes",
         options->segment_max_bytes == 0 ? SEGMENT_LEAST
                                         : options->segment_max_bytes,
         SEGMENT_LEAST, UINT64_C(1) << 30},
        {"memtable_bytes",
         options->memtable_bytes == 0 ? MEMTABLE_LEAST
                                      : options->memtable_bytes,
         MEMTABLE_LEAST, UINT64_C(256) << 20},
        {"small_file_threshold_bytes", options->small_file_threshold_bytes, 0,
         UINT64_C(1) << 30},
        {"expiry_seconds", options->expiry_seconds, 0, UINT32_MAX},
    };

    if (options->struct_size != sizeof(*options)) {
        return fail(err, CASK_INVALID, 0,
                    "options: struct_size is %zu, %zu expected: call "
                    "cask_options_init() first",
                    options->struct_size, sizeof(*options));
    }
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (ranges[i].value < ranges[i].least ||
            ranges[i].value > ranges[i].most) {
            return fail(err, CASK_INVALID, 0,
                        "option %s: %" PRIu64 " is outside %" PRIu64
                        " .. %" PRIu64,
                        ranges[i].name, ranges[i].value, ranges[i].least,
                        ranges[i].most);
        }
    }
    if (options->file_mode > MODE_MOST ||
        (options->file_mode & MODE_LEAST) != MODE_LEAST) {
        return fail(err, CASK_INVALID, 0,
                    "option file_mode: %04" PRIo32 " is not within 0600 .. "
                    "0777, the owner's 0600 always set",
                    options->file_mode);
    }
    if (options->region_dir != NULL && options->region_dir[0] == 0) {
        return fail(err, CASK_INVALID, 0, "option region_dir is empty");
    }
    if (options->read_only && options->exclusive) {
        return fail(err, CASK_INVALID, 0,
                    "options read_only and exclusive exclude each other");
    }
    return CASK_OK;
}
