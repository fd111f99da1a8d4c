/*
 * Files in a store's directory that the MANIFEST does not list: left by a
 * process that died, or an active segment that was closed unused and that this
 * open does not need, or somebody else's, or proof that the MANIFEST is wrong.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log/config_format.h"
#include "log/segment.h"
#include "store/store_open.h"
#include "store/store_recover.h"

/* The store, and what its MANIFEST says. */
typedef struct recovered {
    store_handle *store;
    const manifest_state *manifest;
    bool is_open; /* by others too: the rows of its region count */
} recovered;

/* UINT32_MAX: no row has it. */
static uint32_t row_of(const region_handle *region, uint64_t id)
{
    uint32_t count = atomic_load(&region->header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load(&region->rows[i].file_id) == id) {
            return i;
        }
    }
    return UINT32_MAX;
}

static bool is_known(const recovered *r, uint64_t id)
{
    return manifest_find(r->manifest, id) != NULL ||
           (r->is_open && row_of(&r->store->region, id) != UINT32_MAX);
}

static cask_status last_listed_sequence(const recovered *r, uint64_t *ret_last,
                                        cask_error *err)
{
    cask_status status = CASK_OK;

    *ret_last = 0;
    for (size_t i = 0; i < r->manifest->count && status == CASK_OK; i++) {
        const manifest_segment *segment = &r->manifest->segments[i];
        store_tail tail = {.last_sequence = segment->last_sequence};

        if (!segment->sealed) {
            status = store_tail_examine(r->store, segment, &tail, err);
            store_tail_free(r->store, &tail);
        }
        if (tail.last_sequence > *ret_last) {
            *ret_last = tail.last_sequence;
        }
    }
    return status;
}

/* With a private index others go on meanwhile: a merge removes the files that
 * it replaced, or its outputs when it is given up, and cuts outputs to their
 * length. None of it is an edit of MANIFEST. */
static bool has_changed(const store_handle *store, uint64_t id, uint64_t size)
{
    char name[SEGMENT_NAME_SIZE];
    int os_errno;
    os_stat stat;

    segment_name_format(id, name);
    os_errno = store->os->ops->stat_name(store->dir, name, &stat);
    return os_errno == ENOENT || (os_errno == 0 && stat.size != size);
}

/*
 * A segment that MANIFEST does not list: prepared and never used, or the output
 * of a recovery that was killed; its records are then in a listed segment too,
 * or were never durable and power failed: below `born` there are only copies.
 * Or the input of a merge, whose records are all older than the MANIFEST.
 * If it holds anything newer, MANIFEST is the one that is wrong.
 *
 *   size        of the file when its header was read, bytes
 *   ret_remove  false: others are at work on it, so it is nobody's leftover
 */
static cask_status judge_records(const recovered *r,
                                 const segment_header *header, uint64_t size,
                                 bool *ret_remove, cask_error *err)
{
    manifest_segment segment = {.id = header->id, .nonce = header->nonce};
    store_tail tail;
    uint64_t listed = 0;
    bool is_suspect;
    cask_status status = store_tail_examine(r->store, &segment, &tail, err);

    *ret_remove = status == CASK_OK || !has_changed(r->store, header->id, size);
    if (!*ret_remove) {
        store_tail_free(r->store, &tail);
        return CASK_OK;
    }
    is_suspect = status == CASK_OK && tail.last_sequence >= header->born &&
                 tail.last_sequence >= r->manifest->next_sequence;
    if (is_suspect) {
        status = last_listed_sequence(r, &listed, err);
    }
    if (is_suspect && status == CASK_OK && tail.last_sequence > listed) {
        status = fail(err, CASK_CORRUPT, 0,
                      "%016" PRIx64 ".log holds records up to sequence %" PRIu64
                      ", but MANIFEST does not list it; restore MANIFEST, or "
                      "move the file away",
                      header->id, tail.last_sequence);
    }
    store_tail_free(r->store, &tail);
    return status;
}

/*
 * Whether a segment was being made when its maker died: its header was not
 * written, or in part, and no record, for these come when the header is synced.
 */
static bool is_unborn(const uint8_t bytes[SEGMENT_HEADER_SIZE * 2])
{
    static const uint8_t zeros[SEGMENT_HEADER_SIZE];

    return memcmp(bytes + SEGMENT_HEADER_SIZE, zeros, sizeof(zeros)) == 0 &&
           (memcmp(bytes, zeros, sizeof(zeros)) == 0 ||
            memcmp(bytes, SEGMENT_MAGIC, 8) == 0);
}

static cask_status judge_unlisted(const recovered *r, uint64_t id,
                                  bool *ret_remove, cask_error *err)
{
    store_handle *store = r->store;
    uint8_t bytes[SEGMENT_HEADER_SIZE * 2] = {0};
    char name[SEGMENT_NAME_SIZE];
    segment_header header;
    os_file *file = NULL;
    os_stat stat;
    size_t got = 0;
    int os_errno;

    *ret_remove = false;
    segment_name_format(id, name);
    if (file_open(store->dir, name, OS_READ, &file, &stat, NULL) != CASK_OK) {
        return CASK_OK; /* a directory, a link: not ours */
    }
    os_errno = store->os->ops->read_at(file, bytes, sizeof(bytes), 0, &got);
    store->os->ops->close(file);
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot read %s", name);
    }
    if (segment_header_decode(bytes, name, &header, NULL) != CASK_OK) {
        *ret_remove = is_unborn(bytes);
        return CASK_OK; /* else damaged, or another's */
    }
    if (header.id != id || memcmp(header.uuid, store->identity.uuid, 16) != 0) {
        return CASK_OK; /* another store's */
    }
    return judge_records(r, &header, stat.size, ret_remove, err);
}

/* Files that one listing finds to be removed; the next finds more. */
enum { SWEEP_MOST = 64, SWEEP_NAME = SEGMENT_NAME_SIZE + 8 };

#define NEW ".new"

typedef struct sweep {
    const recovered *r;
    cask_error *err;
    cask_status status;
    /* Removed after the listing, one listing for each few. */
    char names[SWEEP_MOST][SWEEP_NAME];
    size_t count;
    bool keep; /* somebody may read them still: they go another time */
} sweep;

static bool sweep_name(void *context, const char *name)
{
    sweep *s = context;
    bool leftover = false;
    uint64_t id;

    if (segment_name_parse(name, &id)) {
        if (!is_known(s->r, id)) {
            s->status = judge_unlisted(s->r, id, &leftover, s->err);
        }
    } else if (hint_name_parse(name, &id)) {
        leftover = !is_known(s->r, id);
    } else {
        leftover = hint_aside_name_parse(name, &id) ||
                   strcmp(name, MANIFEST_NAME NEW) == 0 ||
                   strcmp(name, CONFIG_NAME NEW) == 0 ||
                   (!s->r->is_open && strcmp(name, IDENTITY_NAME NEW) == 0);
    }
    if (s->r->is_open && s->status != CASK_OK) {
        s->status = CASK_OK;
        leftover = false; /* what cannot be judged stays */
    }
    /* With a private index all are judged and none is removed; a link, a fifo
     * or a directory is not ours, whatever its name. */
    if (leftover && !s->r->store->private_index && !s->keep &&
        file_is_regular(s->r->store->dir, name)) {
        (void)snprintf(s->names[s->count], sizeof(s->names[0]), "%s", name);
        s->count++;
    }
    return s->status == CASK_OK && s->count < SWEEP_MOST;
}

/* In an open store a process may be writing this hint now. If its segment is
 * gone nobody needs the hint, and its writer finds that out. */
static bool remove_leftover(const recovered *r, const char *name)
{
    store_handle *store = r->store;
    uint32_t row = UINT32_MAX;
    uint64_t id;

    if (r->is_open && hint_aside_name_parse(name, &id)) {
        row = row_of(&store->region, id);
    }
    return row != UINT32_MAX ? store_remove_aside(store, row, name)
                             : store->os->ops->remove(store->dir, name) == 0;
}

static cask_status sweep_all(const recovered *r, cask_error *err)
{
    store_handle *store = r->store;
    size_t removed;
    sweep s;
    int os_errno;

    do {
        removed = 0;
        s = (sweep){.r = r,
                    .err = err,
                    .status = CASK_OK,
                    .keep =
                        !store->private_index && store_files_are_kept(store)};
        if (s.keep) {
            atomic_store(&store->region.header->merger.sweep, 1);
        }
        os_errno = store->os->ops->list(store->dir, sweep_name, &s);
        if (os_errno != 0) {
            return fail_os(err, os_errno, "cannot list %s", store->path);
        }
        for (size_t i = 0; i < s.count && s.status == CASK_OK; i++) {
            if (remove_leftover(r, s.names[i])) {
                removed++;
                store_event(store, CASK_EVENT_LEFTOVER, CASK_OK,
                            "removed %s, which MANIFEST does not list",
                            s.names[i]);
            }
        }
        /* If none could be removed, none can be next time. */
    } while (s.count == SWEEP_MOST && removed > 0);
    return s.status;
}

cask_status store_sweep_leftovers(store_handle *store,
                                  const manifest_state *manifest,
                                  cask_error *err)
{
    const recovered r = {store, manifest, false};

    return sweep_all(&r, err);
}

bool store_lock_is_for_all(store_handle *store)
{
    bool is_named = false;

    return store_lock_is_named(store->dir, store->lock_file, &is_named) == 0 &&
           is_named &&
           (store->region.header->stamp == 0 || store_stamp_fits(store));
}

void store_sweep_unknown(store_handle *store, const manifest_state *manifest)
{
    const recovered r = {store, manifest, true};

    if (store_lock_is_for_all(store)) {
        (void)sweep_all(&r, NULL);
    }
}

void store_sweep(store_handle *store)
{
    region_merger *merger = &store->region.header->merger;
    manifest_state manifest;

    if (atomic_load(&merger->sweep) == 0 || store_files_are_kept(store) ||
        store_maintain_begin(store, NULL) != CASK_OK) {
        return;
    }
    /* Before it looks: who dies from here on raises it again. */
    if (atomic_exchange(&merger->sweep, 0) != 0) {
        if (manifest_load(store->dir, store->identity.uuid, &manifest, NULL) ==
            CASK_OK) {
            store_sweep_unknown(store, &manifest);
        }
        manifest_free(&manifest);
    }
    store_maintain_end(store);
}
