/*
 * Recovery: fill a new region from MANIFEST, hints and segments. May be killed
 * at any point and begun again: nothing that was there is changed before the
 * new MANIFEST replaces the old one, and all that it adds is synced by then. On
 * a disk that is low there is no new one: the end of the log is written again
 * where it is, the same bytes, and edits are appended once it is synced.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/segment.h"
#include "region/place.h"
#include "store/store.h"
#include "store/store_expiry.h"
#include "store/store_merge.h"
#include "store/store_recover.h"
#include "store/store_recovery.h"
#include "store/store_settings.h"
#include "store/store_shortage.h"
#include "store/store_size.h"
#include "store/store_write.h"

/* Sequences skipped after an unclean end: some that were given out may have
 * been lost with the bytes that bore them, and must not come again. */
#define SEQUENCE_GAP (UINT64_C(1) << 24)

/* A MANIFEST with this many edits more than it needs is written anew. */
enum { EDITS_SPARE = 64 };

static bool is_segment(void *context, const char *name)
{
    uint64_t id;

    if (segment_name_parse(name, &id) || run_name_parse(name, &id)) {
        *(bool *)context = true;
        return false;
    }
    return true;
}

/* What this open builds on must be there after a power cut, before it makes or
 * removes anything: its writer may have died before it synced the files or
 * their names. A new store has no MANIFEST yet. */
static cask_status sync_names(store_handle *store, cask_error *err)
{
    static const char *const names[] = {IDENTITY_NAME, MANIFEST_NAME};
    const os_ops *ops = store->os->ops;
    int os_errno = 0;

    for (int i = 0; i < 2 && os_errno == 0; i++) {
        os_file *file = NULL;

        os_errno = ops->open(store->dir, names[i], OS_READ, 0, &file);
        if (os_errno == 0) {
            os_errno = ops->sync(file);
            ops->close(file);
        } else if (os_errno == ENOENT) {
            os_errno = 0;
        }
    }
    if (os_errno == 0) {
        os_errno = ops->sync_dir(store->dir);
    }
    return os_errno == 0
               ? CASK_OK
               : fail_os(err, os_errno, "cannot sync %s", store->path);
}

static cask_status load_manifest(recovery *r, cask_error *err)
{
    store_handle *store = r->store;
    bool has_segments = false;
    cask_status status =
        manifest_load(store->dir, store->identity.uuid, &r->manifest, err);

    if (status == CASK_OK && !store->private_index) {
        return sync_names(store, err);
    }
    if (status != CASK_NOT_FOUND) {
        return status;
    }
    (void)store->os->ops->list(store->dir, is_segment, &has_segments);
    if (has_segments) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: MANIFEST is missing, but there are segments; restore "
                    "it from a backup, or see 'caskade repair'",
                    store->path);
    }
    memcpy(r->manifest.header.uuid, store->identity.uuid, 16);
    r->manifest.header.engine = store->identity.engine;
    r->rewrite = true;
    if (store->private_index) {
        return CASK_OK;
    }
    status = sync_names(store, err);
    return status != CASK_OK ? status
                             : manifest_rewrite(store->dir, &r->manifest,
                                                store->options.file_mode, err);
}

/* ---- Segments ---- */

/* Take the next row of the region for a segment. */
static cask_status take_row(recovery *r, uint32_t *ret_row, cask_error *err)
{
    cask_status status;

    if (r->rows >= REGION_SEGMENTS) {
        return fail(err, CASK_CORRUPT, 0,
                    MANIFEST_NAME ": more than %d segments", REGION_SEGMENTS);
    }
    status = region_allocate_row(&r->store->region, r->rows, err);
    if (status == CASK_OK) {
        *ret_row = r->rows++;
        atomic_store(&r->store->region.header->row_count, r->rows);
    }
    return status;
}

static cask_status load(recovery *r, const manifest_segment *segment,
                        cask_error *err)
{
    load_source source = {.row = 0};
    uint32_t row = 0;
    cask_status status = take_row(r, &row, err);

    if (status != CASK_OK) {
        return status;
    }
    status = load_source_open(r->store, &source, row, segment, err);
    if (status == CASK_OK) {
        status = load_source_run(r->store, &source, UINT64_MAX, err);
    }
    if (source.last_sequence > r->highest) {
        r->highest = source.last_sequence;
    }
    load_source_close(r->store, &source);
    return status;
}

/* The next segment of the log behind `i` that holds a record, sealed or not;
 * `listed` if there is none. */
static size_t next_used(const recovery *r, const store_tail *tails, size_t i)
{
    for (i = i + 1; i < r->listed; i++) {
        const manifest_segment *segment = &r->manifest.segments[i];

        if (segment->kind == SEGMENT_LOG &&
            (tails[i].used ||
             (segment->sealed && segment->length > SEGMENT_HEADER_SIZE))) {
            break;
        }
    }
    return i;
}

/* The last segment with records: go on behind its mark, or move its tail. */
static cask_status take_up(recovery *r, size_t i, store_tail *tail,
                           cask_error *err)
{
    manifest_segment segment = r->manifest.segments[i];
    store_handle *store = r->store;
    cask_status status;
    bool goes_on = tail->clean || store->private_index;

    r->highest =
        tail->last_sequence > r->highest ? tail->last_sequence : r->highest;
    r->unclean = !tail->clean;
    if (tail->lost > 0) {
        store->region.header->damaged_bytes += tail->lost;
        store_event(store, CASK_EVENT_DAMAGE, CASK_CORRUPT,
                    "%016" PRIx64 ".log: offset %" PRIu64 ": %" PRIu64
                    " bytes that were not known to be synced are lost: power "
                    "failed, or they are damaged",
                    segment.id, tail->end, tail->lost);
    }
    if (!goes_on) {
        status = recovery_try_to_stay(r, &r->manifest.segments[i], tail, err);
        if (status != CASK_OK) {
            return status;
        }
        goes_on = r->stayed;
    }
    segment.length = goes_on ? tail->end : tail->trusted_end;
    status = load(r, &segment, err);
    if (status != CASK_OK) {
        return status;
    }
    if (goes_on) {
        recovery_activate(store, r->rows - 1, tail->end);
        return CASK_OK;
    }
    segment.sealed = true;
    segment.last_sequence = store->region.rows[r->rows - 1].last_sequence;
    segment.damaged_bytes = store->region.rows[r->rows - 1].damaged_bytes;
    r->manifest.segments[i] = segment;
    if (segment.length == SEGMENT_HEADER_SIZE) {
        /* Nothing stays in it: it leaves MANIFEST, and then the disk. */
        atomic_store(&store->region.rows[r->rows - 1].file_id, 0);
        atomic_store(&store->region.rows[r->rows - 1].state, ROW_FREE);
    }
    return recovery_begin(r, tail, &segment, err);
}

/* What becomes of a listed segment. */
typedef enum segment_fate {
    FATE_LOAD,    /* it is sealed, or is now */
    FATE_TAKE_UP, /* the log ends with it */
    FATE_DROP     /* it holds nothing */
} segment_fate;

static cask_status decide_unsealed(recovery *r, size_t i, store_tail *tails,
                                   segment_fate *ret_fate, cask_error *err)
{
    manifest_segment *segment = &r->manifest.segments[i];
    size_t next = next_used(r, tails, i);
    cask_status status;

    if (!tails[i].used) {
        bool first = i + 1 == r->listed && tails[i].clean && r->taken_up == 0;

        /* Prepared and never used, or a new store's first. */
        *ret_fate = first ? FATE_TAKE_UP : FATE_DROP;
        r->rewrite = r->rewrite || !first;
        return CASK_OK;
    }
    *ret_fate = FATE_TAKE_UP;
    if (next == r->listed) {
        r->taken_up = 1;
        return CASK_OK;
    }
    r->rewrite = true;
    if (tails[next].file == NULL) { /* a sealed one: not looked at so far */
        status = store_tail_examine(r->store, &r->manifest.segments[next],
                                    &tails[next], err);
        if (status != CASK_OK) {
            return status;
        }
    }
    if (!r->manifest.segments[next].sealed &&
        tails[next].last_sequence < tails[i].last_sequence) {
        /* The copy of this one's tail, begun by a process that died: all of
         * it is here as well, and more. */
        tails[next].used = false;
        tails[next].clean = false;
        return decide_unsealed(r, i, tails, ret_fate, err);
    }
    /* Sealed now: all of it was synced before the next took a record. */
    segment->length = scan_end_before(
        tails[i].bytes.data, tails[i].bytes.size, segment->nonce,
        tails[next].first_sequence != 0 ? tails[next].first_sequence
                                        : UINT64_MAX);
    segment->last_sequence = tails[i].last_sequence;
    if (tails[next].first_sequence != 0 &&
        segment->last_sequence >= tails[next].first_sequence) {
        segment->last_sequence = tails[next].first_sequence - 1;
    }
    segment->sealed = true;
    *ret_fate = FATE_LOAD;
    return CASK_OK;
}

static cask_status examine_all(recovery *r, store_tail *tails, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < r->manifest.count && status == CASK_OK; i++) {
        if (!r->manifest.segments[i].sealed) {
            status = store_tail_examine(r->store, &r->manifest.segments[i],
                                        &tails[i], err);
            if (status == CASK_CORRUPT &&
                r->store->options.damage == CASK_DAMAGE_SERVE) {
                store_event(r->store, CASK_EVENT_DAMAGE, status, "%s",
                            err->message);
                store_tail_free(r->store, &tails[i]);
                tails[i] = (store_tail){.used = false};
                status = CASK_OK;
            }
        }
    }
    return status;
}

/* Room in the index for the keys that hints tell of; the rest grows. */
static cask_status presize(recovery *r, cask_error *err)
{
    distinct_counter counter = {{0}};

    for (size_t i = 0; i < r->listed; i++) {
        if (r->manifest.segments[i].sealed) {
            store_count_keys(r->store, &r->manifest.segments[i], &counter);
        }
    }
    return r->store->engine->presize(r->store, distinct_estimate(&counter),
                                     err);
}

static cask_status decide_all(recovery *r, store_tail *tails,
                              segment_fate *fates, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < r->listed && status == CASK_OK; i++) {
        fates[i] = FATE_LOAD;
        if (!r->manifest.segments[i].sealed) {
            status = decide_unsealed(r, i, tails, &fates[i], err);
        }
    }
    return status;
}

/* Of two copies of a record the one that comes later counts: that is not to be
 * the one in a quarantined segment, which may be damaged. */
static bool comes_before(const load_source *a, const load_source *b)
{
    return a->sequence < b->sequence ||
           (a->sequence == b->sequence && a->is_quarantined &&
            !b->is_quarantined);
}

/* The source whose next record is oldest, and where the next oldest is. */
static load_source *oldest(load_source *sources, size_t count,
                           uint64_t *ret_limit)
{
    load_source *found = NULL;

    *ret_limit = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        uint64_t sequence = sources[i].sequence;

        if (found == NULL || comes_before(&sources[i], found)) {
            *ret_limit = found == NULL ? UINT64_MAX : found->sequence;
            found = &sources[i];
        } else if (sequence < *ret_limit) {
            *ret_limit = sequence;
        }
    }
    return found;
}

/* All at once, by rising sequence: outputs of merges lie anywhere between
 * others. */
static cask_status load_interleaved(recovery *r, load_source *sources,
                                    const segment_fate *fates, cask_error *err)
{
    cask_status status = CASK_OK;
    load_source *source;
    size_t count = 0;
    uint64_t limit;

    for (size_t i = 0; i < r->listed && status == CASK_OK; i++) {
        uint32_t row = 0;

        if (fates[i] == FATE_LOAD) {
            status = take_row(r, &row, err);
            if (status == CASK_OK) {
                status = load_source_open(r->store, &sources[count++], row,
                                          &r->manifest.segments[i], err);
            }
        }
    }
    while (status == CASK_OK &&
           (source = oldest(sources, count, &limit)) != NULL &&
           source->sequence != UINT64_MAX) {
        /* Should two hold the same sequence, both come. */
        if (limit <= source->sequence) {
            limit = source->sequence + 1;
        }
        status = load_source_run(r->store, source, limit, err);
    }
    for (size_t i = 0; i < count; i++) {
        if (sources[i].last_sequence > r->highest) {
            r->highest = sources[i].last_sequence;
        }
        load_source_close(r->store, &sources[i]);
    }
    return status;
}

static bool has_merged(const recovery *r)
{
    for (size_t i = 0; i < r->listed; i++) {
        if (r->manifest.segments[i].kind != SEGMENT_LOG) {
            return true;
        }
    }
    return false;
}

static cask_status load_sealed(recovery *r, const segment_fate *fates,
                               cask_error *err)
{
    cask_status status = CASK_OK;
    load_source *sources;

    if (has_merged(r)) {
        sources = calloc(r->listed, sizeof(*sources));
        if (sources == NULL) {
            return fail_memory(err, r->listed * sizeof(*sources));
        }
        status = load_interleaved(r, sources, fates, err);
        free(sources);
        return status;
    }
    for (size_t i = 0; i < r->listed && status == CASK_OK; i++) {
        if (fates[i] == FATE_LOAD) {
            status = load(r, &r->manifest.segments[i], err);
        }
    }
    return status;
}

/* Segments that stay close ranks; the files of the others go after the new
 * MANIFEST is there, by the next sweep. */
static void drop_segments(recovery *r, const segment_fate *fates)
{
    manifest_segment *segments = r->manifest.segments;
    size_t added = r->manifest.count - r->listed; /* a moved tail adds one */
    size_t kept = 0;

    for (size_t i = 0; i < r->listed; i++) {
        bool emptied = segments[i].sealed && fates[i] == FATE_TAKE_UP &&
                       segments[i].length <= SEGMENT_HEADER_SIZE;

        if (fates[i] != FATE_DROP && !emptied) {
            segments[kept++] = segments[i];
        }
    }
    if (added > 0) {
        memmove(&segments[kept], &segments[r->listed],
                added * sizeof(*segments));
    }
    r->manifest.count = kept + added;
}

static cask_status load_all(recovery *r, store_tail *tails, cask_error *err)
{
    segment_fate *fates = calloc(r->listed + 1, sizeof(*fates));
    cask_status status;

    if (fates == NULL) {
        return fail_memory(err, r->listed * sizeof(*fates));
    }
    status = examine_all(r, tails, err);
    if (status == CASK_OK) {
        status = decide_all(r, tails, fates, err);
    }
    if (status == CASK_OK) {
        status = presize(r, err);
    }
    if (status == CASK_OK) {
        status = load_sealed(r, fates, err);
    }
    for (size_t i = 0; i < r->listed && status == CASK_OK; i++) {
        if (fates[i] == FATE_TAKE_UP) {
            status = take_up(r, i, &tails[i], err);
        }
    }
    if (status == CASK_OK) {
        drop_segments(r, fates);
    }
    free(fates);
    return status;
}

/* ---- The whole ---- */

static uint32_t newest_put(const recovery *r)
{
    uint32_t newest_s = 0;

    for (uint32_t i = 0; i < r->rows; i++) {
        uint32_t row_s = r->store->region.rows[i].newest_s;

        newest_s = row_s > newest_s ? row_s : newest_s;
    }
    return newest_s;
}

/* Sequences that may have been given out and lost do not come again, should
 * this process die before it gives out others. */
static cask_status note_next(recovery *r, uint64_t next, cask_error *err)
{
    manifest_edit edit = {.type = MANIFEST_NEXT};

    edit.next.segment_id = r->store->region.header->reserved_id;
    edit.next.sequence = next;
    return store_edit(r->store, &edit, err);
}

/* Write the MANIFEST anew, if it has to be or has become long; for the latter
 * there is another time if the disk is full. */
static cask_status write_manifest(recovery *r, uint64_t next, cask_error *err)
{
    store_handle *store = r->store;
    manifest_state *manifest = &r->manifest;
    bool must = r->rewrite || manifest->torn || (r->unclean && !r->stayed);
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    if (!must && !store_manifest_is_long(store, manifest->number,
                                         manifest->count + manifest->run_count +
                                             2 * manifest->lost_count,
                                         EDITS_SPARE)) {
        return r->stayed ? note_next(r, next, err) : CASK_OK;
    }
    err = err == NULL ? &local : err;
    manifest->next_id = store->region.header->reserved_id;
    manifest->next_sequence = next;
    do {
        status = store_rewrite_manifest(store, manifest, err);
    } while (must && store_makes_room(store, status, err));
    if (status == CASK_OK) {
        status = store_sweep_leftovers(store, manifest, err);
    } else if (!must && status == CASK_NO_SPACE && store_is_disk_full(err)) {
        status = r->stayed ? note_next(r, next, err) : CASK_OK;
    }
    return status;
}

/* Not before all that MANIFEST lists was found: an older one, put back from
 * somewhere, knows too little of what it needs. */
static cask_status sweep_runs(recovery *r, cask_error *err)
{
    bool all = false;
    cask_status status =
        store_sweep_runs(r->store, &r->manifest, false, &all, err);

    atomic_store(&r->store->region.header->tree.settled, all ? 1 : 0);
    return status;
}

static cask_status finish(recovery *r, cask_error *err)
{
    store_handle *store = r->store;
    region_header *header = store->region.header;
    manifest_state *manifest = &r->manifest;
    uint64_t next = r->highest + 1;
    cask_status status;

    if (next < manifest->next_sequence) {
        next = manifest->next_sequence;
    }
    if (r->unclean) {
        next += SEQUENCE_GAP;
    }
    atomic_store(&header->next_sequence, next);
    atomic_store(&header->commit.durable_sequence, next - 1);
    header->recovered_s = newest_put(r);
    if (store->private_index) {
        return CASK_OK;
    }
    status = write_manifest(r, next, err);
    if (status == CASK_OK) {
        status = sweep_runs(r, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    store_event(store, CASK_EVENT_RECOVERED, CASK_OK,
                "%s: index rebuilt (keys: %" PRIu64 ", segments: %" PRIu32
                ")%s",
                store->path, atomic_load(&header->key_count), r->rows,
                r->unclean ? "; the last writer had not closed it" : "");
    return CASK_OK;
}

/* Segments with records that are in no run stay. */
static void keep_lost(const recovery *r)
{
    for (size_t i = 0; i < r->manifest.lost_count; i++) {
        for (uint32_t j = 0; j < r->rows; j++) {
            region_row *row = &r->store->region.rows[j];

            if (atomic_load(&row->file_id) == r->manifest.losts[i].segment_id) {
                atomic_store(&row->damage, ROW_QUARANTINED);
            }
        }
    }
}

static cask_status recover(recovery *r, cask_error *err)
{
    region_header *header = r->store->region.header;
    store_tail *tails;
    cask_status status = load_manifest(r, err);

    if (status == CASK_OK) {
        status = store_check_runs(r->store, &r->manifest, err);
    }
    if (status == CASK_OK) {
        status = store_sweep_leftovers(r->store, &r->manifest, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    store_publish_runs(r->store, &r->manifest);
    r->listed_tail = r->manifest.tail;
    r->listed_nonce = r->manifest.header.nonce;
    header->manifest_tail = r->manifest.tail;
    header->manifest_number = r->manifest.number;
    store_note_past_locked(r->store, &r->manifest.header);
    header->reserved_id = r->manifest.next_id;
    atomic_store(&header->next_id, r->manifest.next_id);
    atomic_store(&header->next_sequence, r->manifest.next_sequence);
    tails = calloc(r->manifest.count + 1, sizeof(*tails));
    if (tails == NULL) {
        return fail_memory(err, r->manifest.count * sizeof(*tails));
    }
    r->listed = r->manifest.count;
    r->tails = tails;
    status = load_all(r, tails, err);
    keep_lost(r);
    if (status == CASK_OK && !r->store->private_index &&
        atomic_load(&header->applied_tail) == 0) {
        status = recovery_begin(r, NULL, NULL, err);
    }
    for (size_t i = 0; i < r->listed; i++) {
        store_tail_free(r->store, &tails[i]);
    }
    free(tails);
    if (status == CASK_OK && r->rows > 0 &&
        atomic_load(&header->applied_tail) == 0) {
        /* A private index of sealed segments: its log ends with the last. */
        uint32_t last = r->rows - 1;

        atomic_store(&header->active_row, last);
        atomic_store(&header->applied_tail,
                     region_tail_make(last, r->store->region.rows[last].tail));
    }
    return status == CASK_OK ? finish(r, err) : status;
}

/*
 * A recovery that found no room leaves nothing behind, or a few of them would
 * take what the last of them needs: no segment, and no ids promised. If the
 * MANIFEST lists the segment, it is the new one, and stays.
 */
static void take_back(const recovery *r)
{
    store_handle *store = r->store;
    char name[SEGMENT_NAME_SIZE];
    manifest_state manifest;

    if (r->listed_tail == 0 || store->private_index ||
        manifest_load(store->dir, store->identity.uuid, &manifest, NULL) !=
            CASK_OK) {
        return;
    }
    segment_name_format(r->made, name);
    if (manifest.header.nonce == r->listed_nonce &&
        (r->made == 0 || store->os->ops->remove(store->dir, name) == 0) &&
        store->os->ops->sync_dir(store->dir) == 0) {
        manifest_take_back(store->dir, r->listed_tail);
    }
    manifest_free(&manifest);
}

cask_status store_recover(store_handle *store, cask_error *err)
{
    recovery r = {.store = store};
    cask_status status = store->engine->create_index(store, err);

    if (status == CASK_OK) {
        status = recover(&r, err);
        if (status == CASK_NO_SPACE) {
            take_back(&r);
        }
    }
    if (status == CASK_OK) {
        store_settings_load(store);
        store_note_size_locked(store);
    }
    manifest_free(&r.manifest);
    return status;
}
