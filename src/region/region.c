/*
 * Create, attach and remove the region file. The shared OFD lock on the file is
 * the proof of life: the kernel drops it with its process.
 */
#include "region/region.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

/* Address space per region; the file is far smaller. Halved until it fits into
 * what the process may use. */
#define MAP_SIZE_MOST (UINT64_C(1) << 38)
#define MAP_SIZE_LEAST (UINT64_C(1) << 30)

/* The heap grows by a 64th of itself, within these bounds: small enough that
 * little is allocated ahead, large enough for huge pages. */
#define GROW_LEAST (UINT64_C(256) << 10)
#define GROW_MOST (UINT64_C(16) << 20)
#define HUGE_PAGE (UINT64_C(2) << 20)

/* The byte of the file that handles lock. */
enum { LOCK_AT = 0, LOCK_BYTES = 1 };

void region_name(const region_identity *identity,
                 char ret_name[REGION_NAME_SIZE])
{
    int used = snprintf(ret_name, REGION_NAME_SIZE,
                        REGION_PREFIX "%" PRIx64 "-%" PRIx64 "-",
                        identity->directory_device, identity->directory_inode);

    for (int i = 0; i < 16; i++) {
        (void)snprintf(ret_name + used + 2 * i, 3, "%02x", identity->uuid[i]);
    }
}

static cask_status map_region(region_handle *region, bool writable,
                              cask_error *err)
{
    int os_errno = ENOMEM;
    void *memory;

    for (uint64_t size = MAP_SIZE_MOST; size >= MAP_SIZE_LEAST; size /= 2) {
        if (region->file != NULL) {
            os_errno =
                region->os->ops->map(region->file, 0, size, writable, &memory);
        } else {
            os_errno = region->os->ops->map_private(region->os, size, &memory);
        }
        if (os_errno == 0) {
            region->base = memory;
            region->map_size = size;
            region->header = memory;
            region->processes = (void *)(region->base + REGION_PROCESS_OFFSET);
            region->snapshots = (void *)(region->base + REGION_SNAPSHOT_OFFSET);
            region->rows = (void *)(region->base + REGION_SEGMENT_OFFSET);
            return CASK_OK;
        }
    }
    return fail_os(err, os_errno, "cannot map %s", region->path);
}

cask_status region_fail_uncovered(const region_handle *region, cask_error *err)
{
    return fail(err, CASK_NO_MEMORY, 0,
                "%s: the index has %" PRIu64 " bytes, this process could map "
                "%zu; raise its limit of address space (ulimit -v)",
                region->path,
                atomic_load(&region->header->heap.end) * REGION_LINE,
                region->map_size);
}

void region_detach(region_handle *region)
{
    if (region->base != NULL) {
        region->os->ops->unmap(region->os, region->base, region->map_size);
    }
    if (region->file != NULL) {
        region->os->ops->close(region->file);
    }
    region->base = NULL;
    region->header = NULL;
    region->file = NULL;
}

void region_remove(region_handle *region)
{
    if (region->dir != NULL) {
        /* A file that stays is harmless: nobody holds it, so the next open
         * replaces it. */
        (void)region->os->ops->remove(region->dir, region->name);
    }
}

/* ---- Attach ---- */

static cask_status check_owner(const region_handle *region, const os_stat *stat,
                               cask_error *err)
{
    if (stat->owner != region->os->ops->user(region->os) || stat->links > 1) {
        return fail(err, CASK_INVALID, 0,
                    "%s: not this user's own file (owner %" PRIu32 ", %" PRIu32
                    " links): remove it or set region_dir "
                    "(--region-dir)",
                    region->path, stat->owner, stat->links);
    }
    return CASK_OK;
}

static cask_status open_file(region_handle *region, bool writable,
                             cask_error *err)
{
    const os_ops *ops = region->os->ops;
    uint32_t flags = writable ? OS_READ | OS_WRITE : OS_READ;
    os_stat here;
    os_stat there;
    int os_errno =
        ops->open(region->dir, region->name, flags, 0, &region->file);

    if (os_errno == ENOENT) {
        return fail(err, CASK_NOT_FOUND, 0, "%s: no region", region->path);
    }
    if (os_errno == ELOOP || os_errno == EINVAL) {
        return fail(err, CASK_INVALID, os_errno,
                    "%s: not a plain file; remove it or set region_dir "
                    "(--region-dir)",
                    region->path);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open %s", region->path);
    }
    os_errno = ops->stat(region->file, &here);
    if (os_errno == 0) {
        os_errno = ops->stat_name(region->dir, region->name, &there);
    }
    if (os_errno != 0 || here.inode != there.inode) {
        return fail(err, CASK_NOT_FOUND, 0, "%s: was replaced", region->path);
    }
    if (here.size < REGION_HEAP_OFFSET) {
        return fail(err, CASK_NOT_FOUND, 0, "%s: unfinished", region->path);
    }
    return check_owner(region, &here, err);
}

/* Constant fields only; the mutex has not been touched yet. */
static cask_status check_identity(const region_handle *region,
                                  const region_identity *identity,
                                  cask_error *err)
{
    const region_header *header = region->header;
    const os_ops *ops = region->os->ops;
    uint8_t boot_id[16];

    if (memcmp(header->magic, REGION_MAGIC, 8) != 0 ||
        header->layout_version != REGION_LAYOUT_VERSION ||
        header->engine != identity->engine ||
        memcmp(header->uuid, identity->uuid, 16) != 0 ||
        header->directory_inode != identity->directory_inode ||
        header->directory_device != identity->directory_device) {
        return fail(err, CASK_NOT_FOUND, 0, "%s: not a region of this store",
                    region->path);
    }
    if (ops->boot_id(region->os, boot_id) != 0 ||
        memcmp(header->boot_id, boot_id, 16) != 0) {
        return fail(err, CASK_NOT_FOUND, 0, "%s: from before the last boot",
                    region->path);
    }
    if (header->pid_namespace != ops->pid_namespace(region->os) ||
        header->mutex_layout != ops->mutex_layout(region->os)) {
        return fail(err, CASK_NAMESPACE, 0,
                    "%s: in use from another container or C library; run this "
                    "process there too, or close the store there first",
                    region->path);
    }
    return CASK_OK;
}

static cask_status attach(region_handle *region,
                          const region_identity *identity, bool writable,
                          bool *ret_alive, cask_error *err)
{
    const os_ops *ops = region->os->ops;
    cask_status status = open_file(region, writable, err);
    int os_errno;

    if (status != CASK_OK) {
        return status;
    }
    os_errno = ops->is_locked(region->file, LOCK_AT, LOCK_BYTES, ret_alive);
    if (os_errno == 0) {
        os_errno = ops->lock(region->file, LOCK_AT, LOCK_BYTES, OS_SHARED);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot lock %s", region->path);
    }
    status = map_region(region, writable, err);
    if (status == CASK_OK) {
        status = check_identity(region, identity, err);
    }
    if (status == CASK_OK && !region_is_covered(region)) {
        status = region_fail_uncovered(region, err);
    }
    if (status == CASK_NAMESPACE && !*ret_alive) {
        status =
            fail(err, CASK_NOT_FOUND, 0, "%s: of a dead process", region->path);
    }
    return status;
}

cask_status region_attach(region_handle *region,
                          const region_identity *identity, bool writable,
                          bool *ret_alive, cask_error *err)
{
    cask_status status = attach(region, identity, writable, ret_alive, err);

    if (status != CASK_OK) {
        region_detach(region);
    }
    return status;
}

void region_revive(region_handle *region, const region_identity *identity)
{
    memcpy(region->header->directory, identity->directory,
           sizeof(identity->directory));
    atomic_store(&region->header->state, REGION_LIVE);
}

bool region_is_named(const region_handle *region)
{
    const os_ops *ops = region->os->ops;
    os_stat here;
    os_stat there;

    return ops->stat(region->file, &here) == 0 &&
           ops->stat_name(region->dir, region->name, &there) == 0 &&
           here.inode == there.inode;
}

/* Whether the file is one whose creator died before it was whole, and not
 * something else of such a name. */
static bool was_begun(const region_handle *region)
{
    uint8_t magic[8] = {1};
    static const uint8_t none[8];
    size_t got = 0;

    return region->os->ops->read_at(region->file, magic, sizeof(magic), 0,
                                    &got) == 0 &&
           got == sizeof(magic) &&
           (memcmp(magic, none, sizeof(none)) == 0 ||
            memcmp(magic, REGION_MAGIC, sizeof(magic)) == 0);
}

/* Whether a region that nobody holds was left on purpose. */
static bool was_kept(const region_handle *region, uint64_t size)
{
    const os_ops *ops = region->os->ops;
    void *memory = NULL;
    bool kept = true;

    if (size < REGION_HEAP_OFFSET) {
        return !was_begun(region);
    }
    if (ops->map(region->file, 0, sizeof(region_header), false, &memory) == 0) {
        const region_header *header = memory;

        kept = atomic_load(&header->state) == REGION_CLEAN;
        ops->unmap(region->os, memory, sizeof(region_header));
    }
    return kept;
}

bool region_remove_orphan(region_handle *region)
{
    const os_ops *ops = region->os->ops;
    bool removed = false;
    os_stat stat;

    if (ops->open(region->dir, region->name, OS_READ | OS_WRITE, 0,
                  &region->file) != 0) {
        return false;
    }
    /* A creator locks before it allocates: what has bytes and can be locked has
     * lost its creator. Its store may be opened at this moment, under the same
     * name: that open looks at the end whether its file has the name. */
    if (ops->stat(region->file, &stat) == 0 && stat.size > 0 &&
        stat.owner == ops->user(region->os) &&
        ops->lock(region->file, LOCK_AT, LOCK_BYTES, OS_EXCLUSIVE) == 0 &&
        !was_kept(region, stat.size) && region_is_named(region)) {
        removed = ops->remove(region->dir, region->name) == 0;
    }
    ops->close(region->file);
    region->file = NULL;
    return removed;
}

/* ---- Create ---- */

static int allocate(region_handle *region, uint64_t offset, uint64_t size)
{
    /* Never a bare ftruncate: a full tmpfs would then answer the first touch
     * with SIGBUS instead of ENOSPC now. */
    if (region->file == NULL) {
        return offset + size <= region->map_size ? 0 : ENOSPC;
    }
    return region->os->ops->allocate(region->file, offset, size);
}

cask_status region_allocate_row(region_handle *region, uint32_t index,
                                cask_error *err)
{
    int os_errno =
        allocate(region, REGION_SEGMENT_OFFSET + index * sizeof(region_row),
                 sizeof(region_row));

    if (os_errno != 0) {
        region->is_full = true;
        return fail_os(err, os_errno, "cannot grow %s", region->path);
    }
    return CASK_OK;
}

static cask_status fill_header(region_handle *region,
                               const region_identity *identity,
                               uint64_t heap_bytes, cask_error *err)
{
    region_header *header = region->header;
    const os_ops *ops = region->os->ops;
    int os_errno;

    header->layout_version = REGION_LAYOUT_VERSION;
    header->engine = identity->engine;
    memcpy(header->uuid, identity->uuid, 16);
    header->pid_namespace = ops->pid_namespace(region->os);
    header->mutex_layout = ops->mutex_layout(region->os);
    header->directory_device = identity->directory_device;
    header->directory_inode = identity->directory_inode;
    header->created_ms = ops->wall_ms(region->os);
    header->created_boot_ms = ops->boot_ms(region->os);
    memcpy(header->directory, identity->directory, sizeof(identity->directory));
    header->heap.bump = REGION_HEAP_OFFSET / REGION_LINE;
    header->heap.end = (REGION_HEAP_OFFSET + heap_bytes) / REGION_LINE;
    os_errno = ops->boot_id(region->os, header->boot_id);
    if (os_errno == 0) {
        os_errno = ops->mutex_init(region->os, &header->write_lock);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot set up %s", region->path);
    }
    memcpy(header->magic, REGION_MAGIC, 8);
    return CASK_OK;
}

static cask_status create(region_handle *region,
                          const region_identity *identity, uint64_t heap_bytes,
                          cask_error *err)
{
    const os_ops *ops = region->os->ops;
    cask_status status;
    int os_errno;

    (void)ops->remove(region->dir, region->name);
    os_errno = ops->open(region->dir, region->name,
                         OS_READ | OS_WRITE | OS_CREATE | OS_EXCL, 0600,
                         &region->file);
    if (os_errno == EEXIST) {
        /* A directory, or in a sticky directory the file of another user. */
        return fail(err, CASK_INVALID, 0,
                    "%s: is in the way and cannot be replaced; remove it or "
                    "set region_dir (--region-dir)",
                    region->path);
    }
    if (os_errno == 0) {
        os_errno = ops->lock(region->file, LOCK_AT, LOCK_BYTES, OS_SHARED);
    }
    if (os_errno == 0) {
        os_errno = allocate(region, 0,
                            REGION_SNAPSHOT_OFFSET + sizeof(region_snapshots));
    }
    if (os_errno == 0) {
        os_errno = allocate(region, REGION_HEAP_OFFSET, heap_bytes);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot create %s", region->path);
    }
    status = map_region(region, true, err);
    if (status == CASK_OK) {
        status = fill_header(region, identity, heap_bytes, err);
    }
    if (status == CASK_OK && region->huge_pages) {
        ops->collapse(region->os, region->base + REGION_HEAP_OFFSET,
                      heap_bytes & ~(HUGE_PAGE - 1));
    }
    return status;
}

cask_status region_create(region_handle *region,
                          const region_identity *identity, uint64_t heap_bytes,
                          cask_error *err)
{
    cask_status status = create(region, identity, heap_bytes, err);

    if (status != CASK_OK) {
        if (region->file != NULL) {
            region_remove(region);
        }
        region_detach(region);
    }
    return status;
}

cask_status region_create_private(region_handle *region,
                                  const region_identity *identity,
                                  cask_error *err)
{
    cask_status status;

    region->dir = NULL;
    region->file = NULL;
    (void)snprintf(region->path, sizeof(region->path), "private index");
    status = map_region(region, true, err);
    if (status == CASK_OK) {
        status = fill_header(region, identity,
                             region->map_size - REGION_HEAP_OFFSET, err);
    }
    if (status != CASK_OK) {
        region_detach(region);
    }
    return status;
}

/* ---- Grow ---- */

static uint64_t grow_step(uint64_t heap_bytes, uint64_t needed_bytes)
{
    uint64_t step = heap_bytes / 64;

    if (step < GROW_LEAST) {
        step = GROW_LEAST;
    }
    if (step > GROW_MOST) {
        step = GROW_MOST;
    }
    return round_up(step > needed_bytes ? step : needed_bytes, GROW_LEAST);
}

/*
 * Let the huge pages that lie wholly in a range be there before the rest of it
 * is allocated. One small page in each is enough for that, and the others need
 * neither be cleared nor be copied, which takes ten times as long. It is the
 * last one, so that the file is as long as the huge page. If it fails, they are
 * made of small ones later.
 */
static void allocate_huge(region_handle *region, uint64_t start, uint64_t size)
{
    uint64_t from = round_up(start, HUGE_PAGE);
    uint64_t to = (start + size) & ~(HUGE_PAGE - 1);
    os_space space;

    /* Where it does not fit nothing is to be taken: nobody gives it back. */
    if (!region->huge_pages || region->file == NULL || to <= from ||
        region->os->ops->space(region->dir, &space) != 0 ||
        space.free / 2 < size) {
        return;
    }
    for (uint64_t end = from + HUGE_PAGE; end <= to; end += HUGE_PAGE) {
        if (allocate(region, end - 1, 1) != 0) {
            return;
        }
    }
    region->os->ops->collapse(region->os, region->base + from, to - from);
}

cask_status region_reserve(region_handle *region, uint64_t lines,
                           cask_error *err)
{
    region_heap *heap = &region->header->heap;
    uint64_t end = atomic_load(&heap->end);
    uint64_t bump = atomic_load(&heap->bump);
    uint64_t start = end * REGION_LINE;
    uint64_t step;
    int os_errno;

    if (start > region->map_size) {
        return region_fail_uncovered(region, err); /* by others */
    }
    if (bump > end) {
        bump = end; /* both were read while they moved */
    }
    if (end - bump >= lines) {
        return CASK_OK;
    }
    step = grow_step(start - REGION_HEAP_OFFSET,
                     (lines - (end - bump)) * REGION_LINE);
    if (step > region->map_size - start) {
        region->is_full = true;
        return fail(err, CASK_NO_SPACE, 0,
                    "%s: the index would exceed the %zu bytes of address "
                    "space that this process may use",
                    region->path, region->map_size);
    }
    allocate_huge(region, start, step);
    os_errno = allocate(region, start, step);
    if (os_errno != 0) {
        region->is_full = true;
        return fail_os(err, os_errno,
                       "cannot grow the index in %s by %" PRIu64
                       " bytes; free memory there or set region_dir "
                       "(--region-dir)",
                       region->path, step);
    }
    if (region->huge_pages && region->file != NULL) {
        uint64_t from = start & ~(HUGE_PAGE - 1);
        uint64_t to = (start + step) & ~(HUGE_PAGE - 1);

        if (to > from) {
            region->os->ops->collapse(region->os, region->base + from,
                                      to - from);
        }
    }
    /* Two processes may have allocated the same bytes; one of them moves the
     * end, the other finds it moved. */
    (void)atomic_compare_exchange_strong(&heap->end, &end,
                                         (start + step) / REGION_LINE);
    return CASK_OK;
}

uint64_t region_allocated_bytes(const region_handle *region)
{
    os_stat stat;

    if (region->file != NULL &&
        region->os->ops->stat(region->file, &stat) == 0) {
        return stat.allocated;
    }
    return atomic_load(&region->header->heap.bump) * REGION_LINE -
           REGION_HEAP_OFFSET;
}
