/*
 * Taking a cut, and putting its segments elsewhere.
 *
 * What is linked is never written below its length, by nobody: neither by this
 * store, nor by one that is opened on the backup, for it is sealed there. Of
 * the active segment a copy is made, so that both may go on with their own.
 */
#include "store/store_cut.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "log/segment.h"
#include "store/store_merge.h"
#include "store/store_recover.h"
#include "store/store_walk.h"

/* Rows that may come while memory for the cut is found, bytes written by one
 * call. */
enum { ROWS_SPARE = 64, PIECE_BYTES = 1 << 20 };

/* ---- The cut ---- */

static int by_id(const void *left, const void *right)
{
    const store_cut_part *a = left;
    const store_cut_part *b = right;

    return a->segment.id < b->segment.id ? -1 : a->segment.id > b->segment.id;
}

/* Whether what could be read of a damaged segment is elsewhere, too, in the
 * cut: as a merge under way will have it in MANIFEST. */
static bool is_quarantined(const store_handle *store, const region_row *row)
{
    uint32_t damage = atomic_load(&row->damage);
    bool moving =
        atomic_load(&store->region.header->merge.phase) == MERGE_MOVING;

    return damage > ROW_DAMAGED || (damage == ROW_DAMAGED && moving &&
                                    atomic_load(&row->is_input) != 0);
}

static void add_row(const store_handle *store, uint32_t index, store_cut *cut)
{
    const region_row *row = &store->region.rows[index];
    uint64_t tail = atomic_load(&store->region.header->applied_tail);
    bool is_active = atomic_load(&row->state) == ROW_ACTIVE;
    store_cut_part part = {
        .segment = {.id = atomic_load(&row->file_id),
                    .nonce = atomic_load(&row->nonce),
                    .kind = (segment_kind)row->kind,
                    .sealed = true,
                    .length = is_active ? region_tail_offset(tail) : row->tail,
                    .last_sequence = row->last_sequence,
                    .damaged_bytes = row->damaged_bytes,
                    .quarantined = is_quarantined(store, row)},
        .counters = {.records = row->records,
                     .tombstones = row->tombstones,
                     .live_records = row->live_records,
                     .live_bytes = row->live_bytes},
        .row = index,
        .is_final = !is_active};

    if (part.segment.length > SEGMENT_HEADER_SIZE) {
        cut->parts[cut->count++] = part;
    }
}

/* False: there are more rows than there is room for. */
static bool collect_locked(const store_handle *store, size_t room,
                           store_cut *cut)
{
    const region_header *header = store->region.header;
    uint32_t rows = atomic_load(&header->row_count);

    if (rows > room) {
        return false;
    }
    cut->count = 0;
    cut->next_id = atomic_load(&header->next_id);
    cut->past_log_bytes = store->region.header->merger.past_log_bytes;
    cut->past_merge_bytes = store->region.header->merger.past_merge_bytes;
    cut->next_sequence = atomic_load(&header->next_sequence);
    cut->key_count = atomic_load(&header->key_count);
    cut->merges = atomic_load(&header->merge.number);
    cut->is_merging = atomic_load(&header->merge.phase) == MERGE_MOVING;
    for (uint32_t i = 0; i < rows; i++) {
        if (store_row_counts(store, i)) {
            add_row(store, i, cut);
        }
    }
    return true;
}

static cask_status collect(store_handle *store, size_t room, store_cut *cut,
                           bool *ret_complete, cask_error *err)
{
    /* Whoever has an index of his own shares it with nobody. */
    cask_status status =
        store->has_slot ? store_lock_always(store, err) : CASK_OK;

    if (status != CASK_OK) {
        return status;
    }
    *ret_complete = collect_locked(store, room, cut);
    if (*ret_complete) {
        store_pin_locked(store);
    }
    if (store->has_slot) {
        store_unlock(store);
    }
    return CASK_OK;
}

cask_status store_cut_begin(store_handle *store, store_cut *ret_cut,
                            cask_error *err)
{
    store_cut cut = {.parts = NULL};
    bool complete = false;

    while (!complete) {
        size_t room =
            atomic_load(&store->region.header->row_count) + ROWS_SPARE;
        void *parts = realloc(cut.parts, room * sizeof(*cut.parts));
        cask_status status;

        if (parts == NULL) {
            free(cut.parts);
            return fail_memory(err, room * sizeof(*cut.parts));
        }
        cut.parts = parts;
        status = collect(store, room, &cut, &complete, err);
        if (status != CASK_OK) {
            free(cut.parts);
            return status;
        }
    }
    if (cut.count > 1) {
        qsort(cut.parts, cut.count, sizeof(*cut.parts), by_id);
    }
    *ret_cut = cut;
    return CASK_OK;
}

void store_cut_unpin(store_handle *store)
{
    store_unpin(store);
    store_merge_tidy(store);
}

void store_cut_free(store_cut *cut)
{
    free(cut->parts);
    *cut = (store_cut){.parts = NULL};
}

/* ---- Links ---- */

/* Whether what follows a segment's records is a footer, or none ever: a damaged
 * one is not taken along, and a copy has none. */
static bool is_footer_sound(os_file *file, const manifest_segment *segment)
{
    uint8_t bytes[SEGMENT_FOOTER_SIZE];
    char name[SEGMENT_NAME_SIZE];
    segment_footer footer;
    size_t got = 0;

    if (file->os->ops->read_at(file, bytes, sizeof(bytes), segment->length,
                               &got) != 0) {
        return false;
    }
    if (got < sizeof(bytes) ||
        !segment_footer_was_here(bytes, segment->nonce)) {
        return true;
    }
    segment_name_format(segment->id, name);
    return segment_footer_decode(bytes, name, segment->length, &footer, NULL) ==
               CASK_OK &&
           footer.nonce == segment->nonce;
}

/* Whether `name` in `dir` became a second name of the segment's file. */
static bool link_from(const store_placing *placing, os_file *dir,
                      const manifest_segment *segment)
{
    const os_ops *ops = dir->os->ops;
    segment_header expected = store_listed_header(placing->store, segment);
    char name[SEGMENT_NAME_SIZE];
    os_file *file = NULL;
    bool is_sound;
    os_stat stat;

    if (segment_open(dir, &expected, OS_READ, &file, NULL, &stat, NULL) !=
        CASK_OK) {
        return false;
    }
    is_sound = stat.size >= segment->length && is_footer_sound(file, segment);
    ops->close(file);
    segment_name_format(segment->id, name);
    return is_sound && ops->link(dir, name, placing->to, name) == 0;
}

/*
 * Whether the earlier backup has it. The sequence, too: a segment that lost its
 * end in a power cut and grew again has the same id and nonce, and could have
 * the same length.
 */
static bool earlier_has(const store_earlier *earlier,
                        const manifest_segment *segment)
{
    const manifest_segment *other =
        earlier->dir == NULL ? NULL
                             : manifest_find(earlier->manifest, segment->id);

    return other != NULL && other->sealed && other->nonce == segment->nonce &&
           other->length == segment->length &&
           other->last_sequence == segment->last_sequence;
}

/* ---- Copies ---- */

static cask_status write_pieces(const store_placing *placing, os_file *file,
                                const uint8_t *data, uint64_t size,
                                cask_error *err)
{
    const os_ops *ops = file->os->ops;
    uint64_t done = 0;
    int os_errno = 0;

    while (done < size && os_errno == 0) {
        uint64_t left = size - done;
        os_span span = {data + done, left < PIECE_BYTES ? left : PIECE_BYTES};

        os_errno = ops->write_at(file, &span, 1, done);
        done += span.size;
        if (os_errno == 0 && !placing->progress(placing->context, span.size)) {
            return fail(err, CASK_TIMEOUT, 0, "stopped on request");
        }
    }
    return os_errno == 0 ? CASK_OK : fail_os(err, os_errno, "cannot write");
}

cask_status store_place_bytes(const store_placing *placing, const char *name,
                              const uint8_t *data, uint64_t size,
                              cask_error *err)
{
    const os_ops *ops = placing->to->os->ops;
    os_file *file = NULL;
    cask_status status;
    int os_errno = ops->open(placing->to, name, OS_WRITE | OS_CREATE | OS_EXCL,
                             placing->store->options.file_mode, &file);

    if (os_errno != 0) {
        char what[SEGMENT_NAME_SIZE + 16];

        (void)snprintf(what, sizeof(what), "the copy of %s", name);
        return fail_new_file(
            err, os_errno, what,
            "it was not there before: nothing else may write to "
            "that directory");
    }
    status = write_pieces(placing, file, data, size, err);
    if (status == CASK_OK) {
        os_errno = ops->sync(file);
    }
    ops->close(file);
    if (status == CASK_OK && os_errno != 0) {
        status = fail_os(err, os_errno, "cannot sync");
    }
    if (status != CASK_OK && status != CASK_TIMEOUT && err != NULL) {
        const cask_error cause = *err;

        (void)fail(err, status, 0, "the copy of %s: %s", name, cause.message);
        err->os_errno = cause.os_errno;
    }
    return status;
}

/* What was cut off the file is missing in the copy too. */
static cask_status copy_segment(const store_placing *placing,
                                const store_cut_part *part, cask_error *err)
{
    store_handle *store = placing->store;
    uint64_t size = atomic_load(&store->region.rows[part->row].reserved_tail);
    store_bytes bytes = {NULL, 0, 0};
    const uint8_t *data = NULL;
    char name[SEGMENT_NAME_SIZE];
    cask_status status;

    segment_name_format(part->segment.id, name);
    if (size > part->segment.length) {
        size = part->segment.length;
    }
    status = store_row_bytes(store, part->row, size, &data, &bytes, err);
    if (status == CASK_OK) {
        status = store_place_bytes(placing, name, data, size, err);
    }
    store_bytes_free(store, &bytes);
    return status;
}

/* ---- A hint ---- */

static bool never_stop(void *context, uint64_t bytes)
{
    (void)context;
    (void)bytes;
    return true;
}

/* Best effort: without one an open reads the segment. */
static void place_hint(const store_placing *placing,
                       const manifest_segment *segment)
{
    store_handle *store = placing->store;
    store_placing quiet = *placing;
    char name[SEGMENT_NAME_SIZE];
    store_bytes bytes;
    hint_header header;

    if (store_hint_load(store, segment, &bytes, &header, NULL) != CASK_OK) {
        return;
    }
    hint_name_format(segment->id, name);
    quiet.progress = never_stop;
    if (store->os->ops->link(store->dir, name, placing->to, name) != 0 &&
        store_place_bytes(&quiet, name, bytes.data, bytes.size, NULL) !=
            CASK_OK) {
        (void)store->os->ops->remove(placing->to, name);
    }
    store_bytes_free(store, &bytes);
}

cask_status store_place(const store_placing *placing,
                        const store_cut_part *part, bool *ret_linked,
                        cask_error *err)
{
    const manifest_segment *segment = &part->segment;
    cask_status status = CASK_OK;

    *ret_linked =
        (part->is_final && link_from(placing, placing->store->dir, segment)) ||
        (earlier_has(&placing->earlier, segment) &&
         link_from(placing, placing->earlier.dir, segment));
    if (!*ret_linked) {
        status = copy_segment(placing, part, err);
    } else if (!placing->progress(placing->context, segment->length)) {
        status = fail(err, CASK_TIMEOUT, 0, "stopped on request");
    }
    if (status == CASK_OK && part->is_final) {
        place_hint(placing, segment);
    }
    return status;
}
