/*
 * Magic, version and checksum of headers, see file_format.h.
 */
#include "log/file_format.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

enum {
    AT_MAGIC = 0,
    AT_VERSION = FORMAT_MAGIC_SIZE /* u32, if the kind has one */
};

void format_begin(const format_kind *kind, uint8_t *out)
{
    assert(strlen(kind->magic) == FORMAT_MAGIC_SIZE);
    memset(out, 0, kind->size);
    memcpy(out + AT_MAGIC, kind->magic, FORMAT_MAGIC_SIZE);
    if (kind->version != 0) {
        store_u32(out + AT_VERSION, kind->version);
    }
}

void format_finish(const format_kind *kind, uint8_t *out)
{
    uint32_t covered = kind->size - FORMAT_CRC_SIZE;

    store_u32(out + covered, crc32c(0, out, covered));
}

static cask_status check_magic(const format_kind *kind, const uint8_t *in,
                               const char *name, uint64_t offset,
                               cask_error *err)
{
    if (memcmp(in + AT_MAGIC, kind->magic, FORMAT_MAGIC_SIZE) == 0) {
        return CASK_OK;
    }
    /* Big-endian, so that the digits are in the order of the bytes. */
    return fail(err, CASK_CORRUPT, 0,
                "%s: offset %" PRIu64 ": is not a %s: magic is %016" PRIx64
                ", expected %016" PRIx64,
                name, offset, kind->what,
                __builtin_bswap64(load_u64(in + AT_MAGIC)),
                __builtin_bswap64(load_u64(kind->magic)));
}

static cask_status check_version(const format_kind *kind, const uint8_t *in,
                                 const char *name, uint64_t offset,
                                 cask_error *err)
{
    uint32_t version;

    if (kind->version == 0) {
        return CASK_OK;
    }
    version = load_u32(in + AT_VERSION);
    if (version > kind->version) {
        return fail(err, CASK_UNSUPPORTED, 0,
                    "%s: offset %" PRIu64 ": version of the %s is %" PRIu32
                    ", this program knows versions up to %" PRIu32
                    "; use a newer Caskade",
                    name, offset + AT_VERSION, kind->what, version,
                    kind->version);
    }
    if (version == 0) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": version of the %s is 0, expected "
                    "1 to %" PRIu32,
                    name, offset + AT_VERSION, kind->what, kind->version);
    }
    return CASK_OK;
}

static cask_status check_crc(const format_kind *kind, const uint8_t *in,
                             const char *name, uint64_t offset, cask_error *err)
{
    uint32_t covered = kind->size - FORMAT_CRC_SIZE;
    uint32_t stored = load_u32(in + covered);
    uint32_t computed = crc32c(0, in, covered);

    return computed == stored
               ? CASK_OK
               : fail(err, CASK_CORRUPT, 0,
                      "%s: offset %" PRIu64 ": crc32c of the %s is %08" PRIx32
                      ", stored %08" PRIx32,
                      name, offset + covered, kind->what, computed, stored);
}

/* The checksum before the version: a damaged version is no newer one. */
cask_status format_check(const format_kind *kind, const uint8_t *in,
                         const char *name, uint64_t offset, cask_error *err)
{
    cask_status status = check_magic(kind, in, name, offset, err);

    if (status == CASK_OK) {
        status = check_crc(kind, in, name, offset, err);
    }
    return status == CASK_OK ? check_version(kind, in, name, offset, err)
                             : status;
}

cask_status format_check_engine(uint32_t engine, const char *name,
                                uint64_t offset, cask_error *err)
{
    if (engine != CASK_ENGINE_HASH && engine != CASK_ENGINE_TREE) {
        return fail(
            err, CASK_UNSUPPORTED, 0,
            "%s: offset %" PRIu64 ": engine is %" PRIu32
            ", this program knows 1 (hash) and 2 (tree); use a newer Caskade",
            name, offset, engine);
    }
    return CASK_OK;
}
