/*
 * Repair: the second reading, which copies what is newest of each key to a new
 * store. Records get new sequences, in the order in which they are copied; all
 * else of them stays.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/repair.h"
#include "log/record_copier.h"
#include "log/segment.h"
#include "store/store_open.h"

typedef struct writing {
    repair *r;
    uint32_t index;     /* of the source that is read */
    repair_bytes bytes; /* of it */
    store_identity identity;
    manifest_state manifest;
    record_copier copier;
    os_file *file; /* of the segment that is written; NULL: none yet */
    segment_header header;
    uint64_t next_sequence;
} writing;

/* ---- Segments ------------------------------------------------------------ */

static cask_status begin_segment(writing *w, cask_error *err)
{
    os *kernel = w->r->kernel;
    cask_status status;
    int os_errno;

    w->header =
        (segment_header){.kind = SEGMENT_LOG, .id = w->manifest.next_id};
    memcpy(w->header.uuid, w->identity.uuid, sizeof(w->header.uuid));
    os_errno =
        kernel->ops->random(kernel, &w->header.nonce, sizeof(w->header.nonce));
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot get random bytes");
    }
    w->header.nonce |= 1; /* never 0: 0 means "any" elsewhere */
    status = segment_create(w->r->target.dir, &w->header, SEGMENT_HEADER_SIZE,
                            w->r->target.file_mode, &w->file, err);
    if (status == CASK_POISONED) {
        /* There is no store yet that could be reopened. */
        status = fail(err, CASK_IO, 0, "cannot sync %016" PRIx64 ".log",
                      w->header.id);
    }
    if (status == CASK_OK) {
        w->manifest.next_id++;
        w->copier = (record_copier){.file = w->file,
                                    .piece = w->copier.piece,
                                    .offset = SEGMENT_HEADER_SIZE,
                                    .nonce = w->header.nonce};
    }
    return status;
}

static cask_status end_segment(writing *w, cask_error *err)
{
    manifest_segment segment = {.id = w->header.id,
                                .nonce = w->header.nonce,
                                .kind = SEGMENT_LOG,
                                .sealed = true,
                                .last_sequence = w->next_sequence - 1};
    cask_status status;
    int os_errno;

    if (w->file == NULL) {
        return CASK_OK;
    }
    segment.length = record_copier_offset(&w->copier);
    status = record_copier_flush(&w->copier, err);
    if (status != CASK_OK) {
        return status;
    }
    os_errno = w->r->kernel->ops->sync(w->file);
    w->r->kernel->ops->close(w->file);
    w->file = NULL;
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot sync %016" PRIx64 ".log",
                       w->header.id);
    }
    w->r->report.bytes_written += segment.length;
    return manifest_add(&w->manifest, &segment, err);
}

/* ---- Records ------------------------------------------------------------- */

static cask_status copy(writing *w, const scan_item *item, cask_error *err)
{
    scan_item renewed = *item;
    cask_status status = CASK_OK;

    if (w->file != NULL && record_copier_offset(&w->copier) + item->size >
                               w->r->settings.segment_max_bytes) {
        status = end_segment(w, err);
    }
    if (status == CASK_OK && w->file == NULL) {
        status = begin_segment(w, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    renewed.header.sequence = w->next_sequence++;
    w->r->report.keys++;
    return record_copier_add(&w->copier, &renewed,
                             item->header.type & (uint8_t)~RECORD_MEMBER, err);
}

static cask_status on_record(void *context, const scan_item *item,
                             cask_error *err)
{
    writing *w = context;
    siphash_value hash =
        siphash(w->r->identity.hash_key, item->key, item->header.key_size);
    repair_entry *entry = repair_table_find(&w->r->table, hash);
    scan_item whole = *item;
    cask_status status;

    if (entry == NULL || entry->state != REPAIR_LIVE ||
        entry->source != w->index || entry->offset != item->offset) {
        return CASK_OK;
    }
    status =
        repair_fetch(&w->bytes, w->r->sources[w->index].nonce, &whole, err);
    if (status != CASK_OK) {
        return status == CASK_CORRUPT ? CASK_OK : status; /* told later */
    }
    entry->state = REPAIR_COPIED;
    return copy(w, &whole, err);
}

/* Stretches that were read once; the keys that they hold are told later. */
static void tell_new_bad(repair *r, repair_source *source)
{
    for (size_t i = 0; i < source->bad.count; i++) {
        repair_bad *bad = &source->bad.items[i];
        char text[sizeof(((cask_error *)NULL)->message) + 64];
        cask_error why;

        if (bad->is_told) {
            continue;
        }
        bad->is_told = true;
        (void)fail_os(&why, bad->os_errno, "cannot be read");
        (void)snprintf(text, sizeof(text), "%s; it could be read once",
                       why.message);
        r->report.lost_bytes += bad->size;
        repair_tell(r, &(cask_lost){.at = {.file = source->name,
                                           .offset = bad->offset,
                                           .size_bytes = bad->size,
                                           .reason = text},
                                    .harmless = true});
    }
}

/* Every record that the first reading found, wherever it had ended: marks that
 * told how far to trust may be what cannot be read any more. */
static cask_status copy_records(writing *w, cask_error *err)
{
    const repair_visitor visitor = {on_record, NULL, w, false};
    repair_source whole = w->r->sources[w->index];
    uint64_t end;

    whole.length = whole.end;
    return repair_scan(&whole, &w->bytes, &visitor, &end, err);
}

static cask_status copy_source(writing *w, cask_error *err)
{
    repair_source *source = &w->r->sources[w->index];
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    if (!source->is_used || source->last_sequence == 0) {
        return repair_progress(w->r, source->size, err);
    }
    status = repair_open_source(w->r, source, &w->bytes, &local);
    if (status == CASK_OK) {
        status = copy_records(w, err);
    } else {
        /* What was there a moment ago is told as lost when all is copied. */
        status = repair_is_loss(&local) ? CASK_OK : fail_again(err, &local);
    }
    repair_close_source(source, &w->bytes);
    tell_new_bad(w->r, source);
    return status == CASK_OK ? repair_progress(w->r, source->size, err)
                             : status;
}

static cask_status copy_all(writing *w, cask_error *err)
{
    repair *r = w->r;
    cask_status status = CASK_OK;

    for (uint32_t i = 0; i < r->source_count && status == CASK_OK; i++) {
        w->index = i;
        status = copy_source(w, err);
    }
    if (status == CASK_OK) {
        status = end_segment(w, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    repair_tell_keys(r);
    w->manifest.next_sequence = w->next_sequence;
    w->manifest.header.engine = w->identity.engine;
    memcpy(w->manifest.header.uuid, w->identity.uuid, 16);
    return store_target_publish(&r->target, &w->identity, &w->manifest, err);
}

cask_status repair_write(repair *r, cask_error *err)
{
    writing w = {.r = r, .next_sequence = 1, .manifest = {.next_id = 1}};
    cask_status status =
        store_new_identity(r->kernel, r->identity.engine, &w.identity, err);

    if (status == CASK_OK) {
        status = copy_all(&w, err);
    }
    r->kernel->ops->close(w.file);
    record_copier_free(&w.copier);
    manifest_free(&w.manifest);
    return status;
}
