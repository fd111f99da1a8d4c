/*
 * Appending: reserve, write, apply, in this order. Whoever dies in between
 * leaves either bytes above applied_tail that the next owner applies or zeroes,
 * or a half-done application that it does again.
 */
#include "log/segment.h"
#include "store/store.h"
#include "store/store_read.h"
#include "store/store_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "region/place.h"
#include "store/store_expiry.h"
#include "store/store_settings.h"

enum {
    PAGE_BYTES = 4096, /* a smaller one than the kernel's does no harm */
    /* How far ahead of the tail pages are made present; by the writer, under
     * the lock but in one system call for many records. */
    PREFAULT_BYTES = 1 << 20,
    /* After a sync let go of them: at first few, since it takes write access
     * from those that come back before it looks; then more each time. */
    WINDOW_LEAST = STORE_LET_GO_BYTES,
    WINDOW_GROWTH = 4, /* from 16 KiB to 1 MiB by powers of it */
    /* Batches from this size on are written by system calls, of so much each:
     * that takes half the time of making the pages present to copy to them. */
    GATHER_LEAST = 64 << 10,
    GATHER_BYTES = 256 << 10,
    /* They are written back early in pieces of so much. */
    WRITEBACK_BYTES = 4 << 20,
    WRITEBACK_PAGES = 64 << 10, /* ends at a multiple of so many bytes */
    /* Records whose index lines are fetched while one is applied: those of a
     * large batch have left the cache since they were prepared. */
    APPLY_AHEAD = 8
};

/* ---- The active segment -------------------------------------------------- */

store_active *store_active_acquire_locked(store_handle *store)
{
    atomic_fetch_add(&store->active->references, 1);
    return store->active;
}

void store_active_release(store_handle *store, store_active *active)
{
    if (active == NULL || atomic_fetch_sub(&active->references, 1) != 1) {
        return;
    }
    store->os->ops->unmap(store->os, active->data, active->size);
    store->os->ops->close(active->file);
    free(active);
}

static bool uses_map(const store_handle *store)
{
    cask_append append = store->options.append;

    return append == CASK_APPEND_MAP ||
           (append == CASK_APPEND_AUTO &&
            store->options.sync != CASK_SYNC_COMMIT);
}

static cask_status open_active(store_handle *store, uint32_t row_index,
                               store_active **ret_active, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    const region_row *row = &store->region.rows[row_index];
    segment_header expected = store_row_header(store, row);
    store_active *active = calloc(1, sizeof(*active));
    cask_status status;
    os_stat stat;

    if (active == NULL) {
        return fail_memory(err, sizeof(*active));
    }
    active->references = 1;
    active->window = PREFAULT_BYTES;
    active->row = row_index;
    active->file_id = expected.id;
    active->nonce = expected.nonce;
    active->written_back =
        region_tail_offset(atomic_load(&store->region.header->applied_tail));
    /* Read before the open: a sync that fails after it is told to this
     * descriptor too. */
    active->sync_epoch = atomic_load(&store->region.header->commit.sync_epoch);
    status = segment_open(store->dir, &expected, OS_READ | OS_WRITE,
                          &active->file, NULL, &stat, err);
    if (status == CASK_OK && uses_map(store)) {
        void *memory = NULL;
        uint64_t size = atomic_load(&row->capacity);
        uint64_t most = store_segment_max_bytes(store);
        int os_errno;

        size = size < most ? most : size;
        os_errno = ops->map(active->file, 0, size, true, &memory);
        if (os_errno != 0) {
            status = fail_os(err, os_errno, "cannot map %016" PRIx64 ".log",
                             active->file_id);
            ops->close(active->file);
        }
        active->data = memory;
        active->size = size;
    }
    if (status != CASK_OK) {
        free(active);
        return status;
    }
    *ret_active = active;
    return CASK_OK;
}

cask_status store_open_active_locked(store_handle *store, cask_error *err)
{
    uint32_t row = atomic_load(&store->region.header->active_row);
    uint64_t file_id = atomic_load(&store->region.rows[row].file_id);
    store_active *active = store->active;
    cask_status status;

    if (active != NULL && active->row == row && active->file_id == file_id) {
        return CASK_OK;
    }
    status = open_active(store, row, &active, err);
    if (status == CASK_OK) {
        store_active_release(store, store->active);
        store->active = active;
    }
    return status;
}

/* ---- Writing bytes ---- */

uint64_t store_records_size(const store_record *records, size_t count)
{
    uint64_t bytes = RECORD_MARK_SIZE;

    for (size_t i = 0; i < count; i++) {
        bytes += record_size(&records[i].header);
    }
    return bytes;
}

bool store_fits_locked(const store_handle *store, uint64_t bytes)
{
    const region_header *header = store->region.header;
    uint64_t tail =
        atomic_load_explicit(&header->applied_tail, memory_order_relaxed);
    const region_row *row = &store->region.rows[region_tail_row(tail)];
    uint64_t offset = region_tail_offset(tail);
    uint64_t capacity =
        atomic_load_explicit(&row->capacity, memory_order_relaxed);

    return offset < PLACE_OFFSET_LIMIT && offset <= capacity &&
           bytes <= capacity - offset;
}

static const uint8_t zeros[32 << 10];

int store_zero_active(store_handle *store, uint64_t offset, uint64_t size)
{
    while (size > 0) {
        os_span spans[OS_SPANS];
        uint64_t at = offset;
        size_t count = 0;
        int os_errno;

        while (count < OS_SPANS && size > 0) {
            uint64_t piece = size < sizeof(zeros) ? size : sizeof(zeros);

            spans[count++] = (os_span){zeros, piece};
            offset += piece;
            size -= piece;
        }
        os_errno =
            store->os->ops->write_at(store->active->file, spans, count, at);
        if (os_errno != 0) {
            return os_errno;
        }
    }
    return 0;
}

/*
 * Zeros are written ahead of the tail where nothing was written yet (a record
 * goes to `start`): the file system readies all blocks at once then, rather
 * than each page's when it is made present, which takes up to ten times as
 * long.
 */
static void zero_ahead(store_handle *store, uint64_t start, uint64_t end)
{
    store_active *active = store->active;
    uint64_t from = round_up(start, PAGE_BYTES);

    from = from < active->zeroed ? active->zeroed : from;
    if (from < end) {
        /* If it fails, the pages are made ready one by one. */
        (void)store_zero_active(store, from, end - from);
        active->zeroed = end;
    }
}

/* Let go of the pages behind the tail, which is in the piece at `piece`: a sync
 * takes write access from every page that is still mapped, and interrupts this
 * processor for each. They are to be written back then. */
static void let_go_behind(store_handle *store, uint64_t piece)
{
    store_active *active = store->active;

    if (piece >= 2 * PREFAULT_BYTES &&
        active->behind < piece - PREFAULT_BYTES) {
        store->os->ops->unfault(store->os,
                                active->data + piece - 2 * PREFAULT_BYTES,
                                PREFAULT_BYTES);
        active->behind = piece - PREFAULT_BYTES;
    }
}

/* Make pages ahead of the tail present: 1 MiB by one call costs less than by
 * 256 faults. */
static void prefault(store_handle *store, uint64_t start, uint64_t end)
{
    store_active *active = store->active;
    uint64_t capacity = atomic_load_explicit(
        &store->region.rows[active->row].capacity, memory_order_relaxed);
    uint64_t from = active->prefaulted;
    uint64_t page = start - start % PAGE_BYTES;
    uint64_t most = round_up(end + 1, PREFAULT_BYTES);
    uint64_t to = round_up(end + 1, active->window);

    if (end <= from) {
        return;
    }
    from = from < page ? page : from;
    most = most > capacity ? capacity : most;
    most = most > active->size ? active->size : most;
    to = to > most ? most : to;
    if (to <= from) {
        return;
    }
    zero_ahead(store, start, most);
    store->os->ops->prefault(store->os, active->data + from, to - from);
    active->prefaulted = to;
    if (active->window < PREFAULT_BYTES) {
        active->window *= WINDOW_GROWTH;
    }
    let_go_behind(store, end - end % PREFAULT_BYTES);
}

void store_let_go_locked(store_handle *store)
{
    store_active *active = store->active;
    uint64_t to = active->prefaulted;
    uint64_t from = to < 3 * PREFAULT_BYTES ? 0 : to - 3 * PREFAULT_BYTES;

    if (to > from) {
        store->os->ops->unfault(store->os, active->data + from, to - from);
        active->prefaulted = 0;
        active->window = WINDOW_LEAST;
    }
}

/* Copy a record to memory for record_size() bytes. */
static void copy_record(uint8_t *to, const uint8_t *header,
                        const store_record *record)
{
    uint64_t end = record_size(&record->header);
    uint64_t at = RECORD_HEADER_SIZE;

    memcpy(to, header, RECORD_HEADER_SIZE);
    if (record_expiry_size(&record->header) != 0) {
        store_u64(to + at, record->expires_at_ms);
        at += RECORD_EXPIRY_SIZE;
    }
    if (record->key.size > 0) {
        memcpy(to + at, record->key.data, record->key.size);
        at += record->key.size;
    }
    if (record->value.size > 0) {
        memcpy(to + at, record->value.data, record->value.size);
        at += record->value.size;
    }
    memset(to + at, 0, end - at);
}

static int write_file(store_handle *store, uint64_t offset,
                      const uint8_t *header, const store_record *record)
{
    uint8_t expiry[RECORD_EXPIRY_SIZE];
    uint64_t body = RECORD_HEADER_SIZE + record_body_size(&record->header);
    const os_span spans[5] = {
        {header, RECORD_HEADER_SIZE},
        {expiry, record_expiry_size(&record->header)},
        {record->key.data, record->key.size},
        {record->value.data, record->value.size},
        {zeros, record_size(&record->header) - body},
    };

    store_u64(expiry, record->expires_at_ms);
    return store->os->ops->write_at(store->active->file, spans, 5, offset);
}

/* Write one record with its sequence at `offset`. */
static int write_record(store_handle *store, store_record *record,
                        uint64_t offset)
{
    record_seed seed = {store->active->nonce, offset};
    uint64_t size = record_size(&record->header);
    uint8_t header[RECORD_HEADER_SIZE];

    record_encode_header(&record->header, record->body_crc, seed, header);
    if (store->active->data == NULL || size >= STORE_LARGE_RECORD ||
        offset + size > store->active->size) {
        return write_file(store, offset, header, record);
    }
    prefault(store, offset, offset + size);
    copy_record(store->active->data + offset, header, record);
    return 0;
}

/* ---- One operation ---- */

/* The mark that tells what a finished sync made durable. */
static store_record make_mark(const store_handle *store, uint8_t value[8])
{
    const region_header *header = store->region.header;
    store_record mark = {
        .header = {.time_s =
                       (uint32_t)(store->os->ops->wall_ms(store->os) / 1000),
                   .value_size = RECORD_MARK_VALUE_SIZE,
                   .type = RECORD_MARK},
        .value = {value, RECORD_MARK_VALUE_SIZE}};

    store_u64(value, header->commit.durable_offset);
    mark.body_crc = crc32c(0, value, RECORD_MARK_VALUE_SIZE);
    return mark;
}

/* A failed append burns its sequences: they never name two records. */
static void take_sequence(store_handle *store, store_record *record)
{
    region_header *header = store->region.header;
    uint64_t sequence =
        atomic_load_explicit(&header->next_sequence, memory_order_relaxed);

    atomic_store_explicit(&header->next_sequence, sequence + 1,
                          memory_order_relaxed);
    record->header.sequence = sequence;
}

/* Give the next sequence and write. */
static int write_next(store_handle *store, store_record *record,
                      uint64_t *offset)
{
    int os_errno;

    take_sequence(store, record);
    os_errno = write_record(store, record, *offset);
    *offset += record_size(&record->header);
    return os_errno;
}

/* Memory to gather a batch in; without it records are written one by one. */
static bool can_gather(store_handle *store, const store_record *records,
                       size_t count)
{
    if (count < 2 || store_records_size(records, count) < GATHER_LEAST) {
        return false;
    }
    if (store->gathered == NULL) {
        store->gathered = malloc(GATHER_BYTES);
    }
    return store->gathered != NULL;
}

/* Write the `size` gathered bytes that end at `end`. */
static int write_gathered(store_handle *store, uint64_t end, uint64_t size)
{
    const os_span span = {store->gathered, size};

    return size == 0 ? 0
                     : store->os->ops->write_at(store->active->file, &span, 1,
                                                end - size);
}

static void gather(store_handle *store, store_record *record, uint64_t offset,
                   uint64_t at)
{
    const record_seed seed = {store->active->nonce, offset};
    uint8_t header[RECORD_HEADER_SIZE];

    take_sequence(store, record);
    record_encode_header(&record->header, record->body_crc, seed, header);
    copy_record(store->gathered + at, header, record);
}

static int write_batch(store_handle *store, store_record *records, size_t count,
                       uint64_t *offset)
{
    const uint64_t start = *offset;
    uint64_t gathered = 0;
    int os_errno = 0;

    for (size_t i = 0; i < count && os_errno == 0; i++) {
        uint64_t size = record_size(&records[i].header);

        if (gathered + size > GATHER_BYTES) {
            os_errno = write_gathered(store, *offset, gathered);
            gathered = 0;
        }
        if (os_errno == 0 && size > GATHER_BYTES) {
            os_errno = write_next(store, &records[i], offset);
        } else if (os_errno == 0) {
            gather(store, &records[i], *offset, gathered);
            gathered += size;
            *offset += size;
        }
    }
    store->active->gathered += *offset - start;
    return os_errno == 0 ? write_gathered(store, *offset, gathered) : os_errno;
}

/* The page that the next record goes to would be written twice. */
static uint64_t end_of_batches(const store_handle *store)
{
    uint64_t tail = region_tail_offset(atomic_load_explicit(
        &store->region.header->applied_tail, memory_order_relaxed));

    return tail - tail % WRITEBACK_PAGES;
}

store_writeback store_writeback_take_locked(store_handle *store)
{
    store_writeback writeback = {.active = NULL};
    store_active *active = store->active;
    uint64_t end;

    if (active == NULL) {
        return writeback; /* it could not be opened */
    }
    end = active->gathered < WRITEBACK_BYTES ? active->behind
                                             : end_of_batches(store);
    if (end <= active->written_back) {
        return writeback;
    }
    writeback.active = store_active_acquire_locked(store);
    writeback.offset = active->written_back;
    writeback.size = end - active->written_back;
    active->written_back = end;
    active->gathered = 0;
    return writeback;
}

void store_writeback_begin(store_handle *store, store_writeback writeback)
{
    if (writeback.active != NULL) {
        store->os->ops->flush_hint(writeback.active->file, writeback.offset,
                                   writeback.size);
        store_active_release(store, writeback.active);
    }
}

static int write_all(store_handle *store, store_record *records, size_t count,
                     uint64_t *offset)
{
    int os_errno = 0;

    if (can_gather(store, records, count)) {
        return write_batch(store, records, count, offset);
    }
    for (size_t i = 0; i < count && os_errno == 0; i++) {
        os_errno = write_next(store, &records[i], offset);
    }
    return os_errno;
}

/* How many of these, the first of which is at `offset`; 0: it cannot be. */
static size_t apply_some(store_handle *store, const store_record *records,
                         size_t count, uint64_t offset)
{
    const store_engine *engine = store->engine;
    uint16_t row = (uint16_t)store->active->row;
    uint64_t size = record_size(&records->header);
    uint64_t place = place_make(row, offset, size,
                                record_kind(&records->header) == RECORD_PUT);
    size_t many = engine->apply_many_locked != NULL && count > 1
                      ? engine->apply_many_locked(store, records, count, place)
                      : 0;

    if (many > 0) {
        return many;
    }
    if (count > APPLY_AHEAD) {
        engine->prefetch(store, records[APPLY_AHEAD].hash);
    }
    return engine->apply_locked(store, records->hash, &records->header,
                                records->key.data, place,
                                region_tail_make(row, offset + size))
               ? 1
               : 0;
}

static bool apply_all(store_handle *store, const store_record *records,
                      size_t count, uint64_t offset)
{
    region_row *row = &store->region.rows[store->active->row];
    size_t applied = 0;

    for (size_t i = 0; i < count; i++) {
        store_note_times(row, &records[i].header, records[i].expires_at_ms);
    }
    while (applied < count) {
        size_t some =
            apply_some(store, records + applied, count - applied, offset);

        if (some == 0) {
            return false;
        }
        for (size_t end = applied + some; applied < end; applied++) {
            offset += record_size(&records[applied].header);
        }
    }
    return true;
}

cask_status store_fail_unapplied(store_handle *store, cask_error *err)
{
    uint32_t none = 0;

    (void)atomic_compare_exchange_strong(&store->region.header->poisoned, &none,
                                         POISONED_BY_INDEX);
    return fail(err, CASK_POISONED, 0,
                "%s: the index cannot take a record that the log has; close "
                "the store everywhere and open it again, which reads the log",
                store->path);
}

/* Whether a range holds only zeros, or nothing. */
static bool is_blank(store_handle *store, uint64_t offset, uint64_t size)
{
    uint8_t bytes[4096];
    size_t got = sizeof(bytes);

    while (size > 0 && got == sizeof(bytes)) {
        size_t piece = size < sizeof(bytes) ? size : sizeof(bytes);

        if (store->os->ops->read_at(store->active->file, bytes, piece, offset,
                                    &got) != 0 ||
            memcmp(bytes, zeros, got) != 0) {
            return false;
        }
        offset += got;
        size -= got;
    }
    return true;
}

static cask_status take_back(store_handle *store, uint64_t start, uint64_t end,
                             int os_errno, cask_error *err)
{
    /* If even that fails a redo might apply what was refused: nobody may write
     * any more. But what forbids this process to write there (RLIMIT_FSIZE)
     * forbids both, and nothing is there. */
    if (store_zero_active(store, start, end - start) == 0 ||
        is_blank(store, start, end - start)) {
        atomic_store(&store->region.rows[store->active->row].reserved_tail,
                     start);
    } else {
        store_poison(store, os_errno, "the log, and undoing it,");
    }
    return fail_os(err, os_errno,
                   "cannot append to %016" PRIx64
                   ".log; nothing was written; the store works on when this "
                   "is mended",
                   store->active->file_id);
}

cask_status store_append_locked(store_handle *store, store_record *records,
                                size_t count, uint64_t *ret_sequence,
                                cask_error *err)
{
    region_header *header = store->region.header;
    uint64_t tail =
        atomic_load_explicit(&header->applied_tail, memory_order_relaxed);
    region_row *row = &store->region.rows[region_tail_row(tail)];
    uint64_t start = region_tail_offset(tail);
    uint64_t bytes = store_records_size(records, count);
    bool mark_due = atomic_load_explicit(&header->commit.mark_due,
                                         memory_order_relaxed) != 0;
    uint64_t end = start + bytes - (mark_due ? 0 : RECORD_MARK_SIZE);
    uint64_t offset = start;
    uint8_t mark_value[8];
    int os_errno = 0;

    atomic_store_explicit(&row->reserved_tail, end, memory_order_release);
    if (mark_due) {
        store_record mark = make_mark(store, mark_value);

        os_errno = write_next(store, &mark, &offset);
    }
    if (os_errno == 0) {
        uint64_t first = offset;

        os_errno = write_all(store, records, count, &offset);
        offset = first;
    }
    if (os_errno != 0) {
        return take_back(store, start, end, os_errno, err);
    }
    if (mark_due) {
        atomic_store_explicit(&header->applied_tail,
                              region_tail_make(store->active->row, offset),
                              memory_order_release);
        atomic_store_explicit(&header->commit.mark_due, 0,
                              memory_order_relaxed);
    }
    if (!apply_all(store, records, count, offset)) {
        return store_fail_unapplied(store, err);
    }
    atomic_fetch_add_explicit(&header->bytes_written, end - start,
                              memory_order_relaxed);
    *ret_sequence = count > 0 ? records[count - 1].header.sequence : 0;
    return CASK_OK;
}
