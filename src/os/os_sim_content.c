/*
 * os_sim: the bytes of one file in the cache and on the device, and how they
 * move from one to the other, sector by sector.
 *
 * What is dirty is found by comparing, because stores through a map cannot be
 * seen. Three sizes tell what a crash may do: device_size is certain, size is
 * what the program made of it, and kept_size < device_size says that the file
 * was shortened in between (what is beyond kept_size is new even where its
 * bytes are equal to old ones).
 */
#include "os/os_sim_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* --- copies and comparisons that ThreadSanitizer does not see ---------- */

#if defined(__SANITIZE_THREAD__)
#define SIM_HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIM_HAS_TSAN 1
#endif
#endif

#ifdef SIM_HAS_TSAN

/* volatile: the compiler must not make an (intercepted) memcpy() of it. */
__attribute__((no_sanitize("thread"), noinline)) void
sim_copy(void *to, const void *from, size_t size)
{
    volatile unsigned char *target = to;
    const volatile unsigned char *source = from;
    size_t done = 0;

    if (((uintptr_t)to | (uintptr_t)from) % sizeof(uint64_t) == 0) {
        volatile uint64_t *target_words = to;
        const volatile uint64_t *source_words = from;

        for (; size - done >= sizeof(uint64_t); done += sizeof(uint64_t)) {
            *target_words++ = *source_words++;
        }
    }
    for (; done < size; done++) {
        target[done] = source[done];
    }
}

__attribute__((no_sanitize("thread"), noinline)) void sim_zero(void *to,
                                                               size_t size)
{
    volatile unsigned char *target = to;
    size_t done = 0;

    if ((uintptr_t)to % sizeof(uint64_t) == 0) {
        volatile uint64_t *words = to;

        for (; size - done >= sizeof(uint64_t); done += sizeof(uint64_t)) {
            *words++ = 0;
        }
    }
    for (; done < size; done++) {
        target[done] = 0;
    }
}

__attribute__((no_sanitize("thread"), noinline)) bool
sim_sector_equal(const unsigned char *a, const unsigned char *b)
{
    const volatile uint64_t *left = (const volatile void *)a;
    const volatile uint64_t *right = (const volatile void *)b;

    for (size_t i = 0; i < SIM_SECTOR / sizeof(*left); i++) {
        if (left[i] != right[i]) {
            return false;
        }
    }
    return true;
}

#else

void sim_copy(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

void sim_zero(void *to, size_t size)
{
    memset(to, 0, size);
}

bool sim_sector_equal(const unsigned char *a, const unsigned char *b)
{
    return memcmp(a, b, SIM_SECTOR) == 0;
}

#endif

/* --- lists of sectors -------------------------------------------------- */

int sim_sectors_add(sim_sectors *sectors, uint64_t index,
                    const unsigned char bytes[SIM_SECTOR])
{
    sim_sector *items = array_grow(sectors->items, sectors->count,
                                   &sectors->capacity, sizeof(*items), NULL);

    if (items == NULL) {
        return ENOMEM;
    }
    sectors->items = items;
    items[sectors->count].index = index;
    memcpy(items[sectors->count].bytes, bytes, SIM_SECTOR);
    sectors->count++;
    return 0;
}

void sim_sectors_done(sim_sectors *sectors)
{
    free(sectors->items);
    *sectors = (sim_sectors){0};
}

static const sim_sector *find_sector(const sim_sectors *sectors, uint64_t index)
{
    size_t low = 0;
    size_t high = sectors->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sectors->items[middle].index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == sectors->count || sectors->items[low].index != index) {
        return NULL;
    }
    return &sectors->items[low];
}

/* --- what is dirty ----------------------------------------------------- */

/* The first `size` bytes of the file in one sector, zeros after them. */
static void load_sector(const unsigned char *file, uint64_t size,
                        uint64_t index, unsigned char bytes[SIM_SECTOR])
{
    uint64_t offset = index * SIM_SECTOR;
    size_t count = 0;

    if (offset < size) {
        count =
            size - offset < SIM_SECTOR ? (size_t)(size - offset) : SIM_SECTOR;
    }
    sim_copy(bytes, file + offset, count);
    memset(bytes + count, 0, SIM_SECTOR - count);
}

/* If so, `ret_bytes` are those to be written. */
static bool is_dirty(const sim_content *content, uint64_t index,
                     unsigned char ret_bytes[SIM_SECTOR])
{
    uint64_t offset = index * SIM_SECTOR;
    unsigned char old[SIM_SECTOR];
    const sim_sector *lie;

    if (offset + SIM_SECTOR <= content->size &&
        offset + SIM_SECTOR <= content->kept_size &&
        sim_sector_equal(content->cache->start + offset,
                         content->device->start + offset)) {
        return false;
    }
    load_sector(content->cache->start, content->size, index, ret_bytes);
    load_sector(content->device->start, content->kept_size, index, old);
    if (memcmp(ret_bytes, old, SIM_SECTOR) == 0) {
        return false;
    }
    lie = find_sector(&content->lies, index);
    return lie == NULL || memcmp(ret_bytes, lie->bytes, SIM_SECTOR) != 0;
}

int sim_content_dirty(const sim_content *content, sim_sectors *ret_dirty)
{
    uint64_t low = 0;
    uint64_t high = content->size;
    unsigned char bytes[SIM_SECTOR];
    int error = 0;

    *ret_dirty = (sim_sectors){0};
    if (content->device == NULL) {
        return 0;
    }
    if (!content->was_mapped && content->lies.count == 0) {
        low = content->dirty_low;
        high = content->dirty_high < high ? content->dirty_high : high;
    }
    for (uint64_t index = low / SIM_SECTOR;
         error == 0 && index * SIM_SECTOR < high; index++) {
        if (is_dirty(content, index, bytes)) {
            error = sim_sectors_add(ret_dirty, index, bytes);
        }
    }
    if (error != 0) {
        sim_sectors_done(ret_dirty);
    }
    return error;
}

static void mark_clean(sim_content *content)
{
    content->dirty_low = UINT64_MAX;
    content->dirty_high = 0;
    content->was_mapped = content->write_maps > 0;
}

/* --- towards the device ------------------------------------------------ */

void sim_content_put(sim_content *content, const sim_sector *sector)
{
    uint64_t offset = sector->index * SIM_SECTOR;
    sim_memory *device = content->device;

    memcpy(device->start + offset, sector->bytes, SIM_SECTOR);
    if (device->touched < offset + SIM_SECTOR) {
        device->touched = offset + SIM_SECTOR;
    }
}

/* The device learns that the file was shortened. */
static void settle_truncation(sim_content *content)
{
    if (content->kept_size < content->device_size) {
        memset(content->device->start + content->kept_size, 0,
               (size_t)(content->device_size - content->kept_size));
        content->device_size = content->kept_size;
    }
    if (content->synced_size > content->device_size) {
        content->synced_size = content->device_size;
    }
}

/* Keep the lies about sectors that are not in `changed`, and add `more`. */
static int merge_lies(sim_content *content, const sim_sectors *changed,
                      const sim_sectors *more)
{
    const sim_sectors *old = &content->lies;
    sim_sectors merged = {0};
    size_t next = 0;
    int error = 0;

    for (size_t i = 0; error == 0 && i < old->count; i++) {
        const sim_sector *lie = &old->items[i];
        while (error == 0 && next < more->count &&
               more->items[next].index < lie->index) {
            error = sim_sectors_add(&merged, more->items[next].index,
                                    more->items[next].bytes);
            next++;
        }
        if (error == 0 && find_sector(changed, lie->index) == NULL) {
            error = sim_sectors_add(&merged, lie->index, lie->bytes);
        }
    }
    for (; error == 0 && next < more->count; next++) {
        error = sim_sectors_add(&merged, more->items[next].index,
                                more->items[next].bytes);
    }
    if (error != 0) {
        sim_sectors_done(&merged);
        return error;
    }
    sim_sectors_done(&content->lies);
    content->lies = merged;
    return 0;
}

void sim_content_forget_lies(sim_content *content, uint64_t low, uint64_t high)
{
    sim_sectors *lies = &content->lies;
    size_t kept = 0;

    for (size_t i = 0; i < lies->count; i++) {
        uint64_t start = lies->items[i].index * SIM_SECTOR;

        if (start >= high || start + SIM_SECTOR <= low) {
            lies->items[kept++] = lies->items[i];
        }
    }
    lies->count = kept;
}

int sim_content_sync(sim_content *content)
{
    static const sim_sectors none = {0};
    sim_sectors dirty;
    int error = sim_content_dirty(content, &dirty);

    if (error != 0 || content->device == NULL) {
        return error;
    }
    settle_truncation(content);
    for (size_t i = 0; i < dirty.count; i++) {
        sim_content_put(content, &dirty.items[i]);
    }
    content->device_size = content->size;
    content->synced_size = content->size;
    content->kept_size = content->size;
    mark_clean(content);
    error = merge_lies(content, &dirty, &none);
    sim_sectors_done(&dirty);
    return error;
}

/* Some of `dirty` below `limit` reaches the device, the rest are `lies`. */
static int put_some(sim_content *content, const sim_sectors *dirty,
                    uint64_t limit, sim_random *random, sim_sectors *lies)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < dirty->count; i++) {
        const sim_sector *sector = &dirty->items[i];
        bool fits = (sector->index + 1) * SIM_SECTOR <= limit;
        if (fits && sim_random_chance(random, 50)) {
            sim_content_put(content, sector);
        } else {
            error = sim_sectors_add(lies, sector->index, sector->bytes);
        }
    }
    return error;
}

int sim_content_fail_sync(sim_content *content, sim_random *random)
{
    sim_sectors dirty;
    sim_sectors lies = {0};
    uint64_t limit;
    int error = sim_content_dirty(content, &dirty);

    if (error != 0 || content->device == NULL) {
        return error;
    }
    if (sim_random_chance(random, 50)) {
        settle_truncation(content);
        content->device_size = content->size;
        content->kept_size = content->size;
    }
    limit = content->device_size < content->kept_size ? content->device_size
                                                      : content->kept_size;
    error = put_some(content, &dirty, limit, random, &lies);
    if (error == 0) {
        error = merge_lies(content, &dirty, &lies);
    }
    if (error == 0) {
        mark_clean(content);
    }
    sim_sectors_done(&lies);
    sim_sectors_done(&dirty);
    return error;
}

int sim_content_write_back(sim_content *content, sim_random *random)
{
    sim_sectors dirty;
    uint64_t first;
    uint64_t count;
    int error = sim_content_dirty(content, &dirty);

    if (error != 0 || dirty.count == 0) {
        return error;
    }
    settle_truncation(content);
    first = sim_random_below(random, dirty.count);
    count = 1 + sim_random_below(random, dirty.count - first);
    for (uint64_t i = first; i < first + count; i++) {
        uint64_t end = (dirty.items[i].index + 1) * SIM_SECTOR;
        end = end < content->size ? end : content->size;
        sim_content_put(content, &dirty.items[i]);
        if (content->device_size < end) {
            content->device_size = end;
        }
    }
    if (content->kept_size < content->device_size) {
        content->kept_size = content->device_size;
    }
    sim_sectors_done(&dirty);
    return 0;
}

/* --- size -------------------------------------------------------------- */

void sim_content_resize(sim_content *content, uint64_t size)
{
    sim_sectors *lies = &content->lies;

    if (size < content->size) {
        sim_zero(content->cache->start + size, (size_t)(content->size - size));
        while (lies->count > 0 &&
               (lies->items[lies->count - 1].index + 1) * SIM_SECTOR > size) {
            lies->count--;
        }
    }
    if (size < content->kept_size) {
        content->kept_size = size;
    }
    if (content->cache->touched < size) {
        content->cache->touched = size;
    }
    content->size = size;
}
