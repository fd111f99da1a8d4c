/*
 * Sorting records into a run, see run_sort.h.
 *
 * A piece is opened as soon as it is written, and its name removed at once: a
 * process that is killed leaves one piece at most. All have the same name one
 * after the other, which is free for whoever holds the lock on the run's own
 * "<name>.new".
 */
#include "db/run_sort.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iter/iter_merge.h"

enum { CHUNK_BYTES = 1 << 20, ALIGNMENT = 8 };

#define PIECE_SUFFIX ".piece"

/* Of a piece; runs end before 16 GiB. */
static const uint64_t piece_limit = (uint64_t)8 << 30;

typedef struct sort_record {
    cask_run_entry entry; /* the bytes of key and value are behind it */
    uint64_t number;      /* in the order in which they were added */
} sort_record;

typedef struct sort_item {
    uint64_t head; /* of the key: tells most apart */
    const sort_record *record;
} sort_item;

typedef struct sort_chunk {
    struct sort_chunk *next;
    size_t size;
    size_t used;
    uint64_t bytes[];
} sort_chunk;

struct run_sorter {
    cask_run_writer *writer;
    uint64_t memory_limit; /* of chunks and items: half of the writer's, less
                              two output buffers; the rest is for a piece's own
                              writer */
    sort_chunk *chunks;    /* the one that is filled first */
    uint64_t chunk_bytes;
    cask_buffer items;
    cask_buffer pieces; /* cask_run * each, the oldest first */
    uint64_t number;
    char name[RUN_OUTPUT_NAME]; /* of a piece */
    bool is_named;              /* one has it */
};

static size_t item_count(const run_sorter *sorter)
{
    return sorter->items.size / sizeof(sort_item);
}

static size_t piece_count(const run_sorter *sorter)
{
    return sorter->pieces.size / sizeof(cask_run *);
}

static cask_run *piece_at(const run_sorter *sorter, size_t index)
{
    cask_run *const *pieces = sorter->pieces.data;

    return pieces[index];
}

/* ---- Life --------------------------------------------------------------- */

cask_status run_sorter_create(cask_run_writer *writer, run_sorter **ret_sorter,
                              cask_error *err)
{
    uint64_t limit = (writer->memory_limit - 2 * RUN_OUTPUT_PIECE) / 2;
    run_sorter *sorter = calloc(1, sizeof(*sorter));
    int os_errno;
    int size;

    if (sorter == NULL) {
        return fail_memory(err, sizeof(*sorter));
    }
    sorter->writer = writer;
    sorter->memory_limit = limit < piece_limit ? limit : piece_limit;
    size = snprintf(sorter->name, sizeof(sorter->name), "%s" PIECE_SUFFIX,
                    writer->output.name);
    if (size + (int)strlen(".new") >= RUN_OUTPUT_NAME) {
        free(sorter);
        return fail(err, CASK_INVALID, 0,
                    "%.64s...: the name is too long; give one of at most %d "
                    "bytes",
                    writer->output.name,
                    RUN_OUTPUT_NAME - (int)strlen(PIECE_SUFFIX ".new") - 1);
    }
    os_errno = writer->kernel->ops->remove(writer->dir, sorter->name);
    if (os_errno != 0 && os_errno != ENOENT) {
        cask_status status =
            fail_os(err, os_errno, "cannot remove %s", sorter->name);

        free(sorter);
        return status;
    }
    *ret_sorter = sorter;
    return CASK_OK;
}

static void drop_records(run_sorter *sorter)
{
    while (sorter->chunks != NULL) {
        sort_chunk *next = sorter->chunks->next;

        free(sorter->chunks);
        sorter->chunks = next;
    }
    sorter->chunk_bytes = 0;
    sorter->items.size = 0;
}

void run_sorter_free(run_sorter *take_sorter)
{
    if (take_sorter == NULL) {
        return;
    }
    if (take_sorter->is_named) {
        /* Best effort: the next sorter of this name removes it. */
        (void)take_sorter->writer->kernel->ops->remove(take_sorter->writer->dir,
                                                       take_sorter->name);
    }
    drop_records(take_sorter);
    for (size_t i = 0; i < piece_count(take_sorter); i++) {
        run_close(piece_at(take_sorter, i));
    }
    cask_buffer_free(&take_sorter->items);
    cask_buffer_free(&take_sorter->pieces);
    free(take_sorter);
}

/* ---- Order -------------------------------------------------------------- */

/* By key, newest version first, of those that are the same the last one. */
static int compare_items(const void *left, const void *right)
{
    const sort_item *a = left;
    const sort_item *b = right;
    int order = (a->head > b->head) - (a->head < b->head);

    if (order == 0) {
        order = key_compare(a->record->entry.key, b->record->entry.key);
    }
    if (order == 0) {
        uint64_t mine = a->record->entry.info.sequence;
        uint64_t theirs = b->record->entry.info.sequence;

        order = (mine < theirs) - (mine > theirs);
    }
    if (order == 0) {
        order = a->record->number < b->record->number ? 1 : -1;
    }
    return order;
}

/* Add a record, unless the writer has one of its key and sequence: that was
 * added here later. */
static cask_status add_next(cask_run_writer *to, const cask_run_entry *entry,
                            cask_error *err)
{
    const run_sections *sections = &to->sections;
    const cask_slice last = {sections->last.data, sections->last.size};

    if (sections->counts.records > 0 &&
        sections->last_sequence == entry->info.sequence &&
        key_compare(last, entry->key) == 0) {
        return CASK_OK;
    }
    return run_writer_add(to, entry, err);
}

static cask_status write_records(run_sorter *sorter, cask_run_writer *to,
                                 cask_error *err)
{
    sort_item *items = sorter->items.data;
    size_t count = item_count(sorter);
    cask_status status = CASK_OK;

    if (count > 0) {
        qsort(items, count, sizeof(*items), compare_items);
    }
    for (size_t i = 0; i < count && status == CASK_OK; i++) {
        status = add_next(to, &items[i].record->entry, err);
    }
    return status;
}

/* ---- Pieces ------------------------------------------------------------- */

static cask_status write_piece(run_sorter *sorter, cask_error *err)
{
    const run_writer_options options = {
        .run = {.no_filter = true,
                .memory_bytes = sorter->writer->memory_limit -
                                sorter->memory_limit - RUN_OUTPUT_PIECE},
        .borrows_dir = true};
    cask_run_writer *piece = NULL;
    cask_status status = run_writer_create(sorter->writer->dir, sorter->name,
                                           &options, &piece, err);

    if (status == CASK_OK) {
        status = write_records(sorter, piece, err);
        if (status == CASK_OK) {
            return run_writer_finish(piece, err);
        }
        run_writer_abort(piece);
    }
    return status;
}

/* Let what is in memory go to a piece. */
static cask_status spill(run_sorter *sorter, cask_error *err)
{
    const os_ops *ops = sorter->writer->kernel->ops;
    os_file *dir = sorter->writer->dir;
    cask_run *run = NULL;
    cask_status status = buffer_reserve(
        &sorter->pieces, sorter->pieces.size + sizeof(cask_run *), err);
    int os_errno;

    if (status == CASK_OK) {
        status = write_piece(sorter, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    sorter->is_named = true;
    status = run_open(dir, sorter->name, NULL, &run, err);
    if (status != CASK_OK) {
        return status;
    }
    os_errno = ops->remove(dir, sorter->name);
    if (os_errno != 0) {
        run_close(run);
        return fail_os(err, os_errno, "cannot remove %s", sorter->name);
    }
    sorter->is_named = false;
    drop_records(sorter);
    /* There is room. */
    return buffer_append(&sorter->pieces, &run, sizeof(cask_run *), err);
}

/* ---- Add ---------------------------------------------------------------- */

/* Room for a record, all of which is memory of the newest chunk. */
static sort_record *take_room(run_sorter *sorter, size_t size)
{
    sort_chunk *chunk = sorter->chunks;
    sort_record *record;

    if (chunk == NULL || size > chunk->size - chunk->used) {
        size_t bytes = size > CHUNK_BYTES ? size : CHUNK_BYTES;

        chunk = malloc(sizeof(*chunk) + bytes);
        if (chunk == NULL) {
            return NULL;
        }
        *chunk = (sort_chunk){.next = sorter->chunks, .size = bytes};
        sorter->chunks = chunk;
        sorter->chunk_bytes += bytes;
    }
    record = (sort_record *)(void *)&chunk->bytes[chunk->used / ALIGNMENT];
    chunk->used += size;
    return record;
}

static void copy_record(sort_record *record, const cask_run_entry *entry)
{
    uint8_t *bytes = (uint8_t *)(record + 1);

    record->entry = *entry;
    if (entry->info.sequence == 0) {
        record->entry.info.sequence = 1;
    }
    record->entry.key.data = bytes;
    if (entry->key.size > 0) {
        memcpy(bytes, entry->key.data, entry->key.size);
    }
    record->entry.value.data = bytes + entry->key.size;
    if (entry->value.size > 0) {
        memcpy(bytes + entry->key.size, entry->value.data, entry->value.size);
    }
}

static cask_status keep(run_sorter *sorter, const cask_run_entry *entry,
                        size_t size, cask_error *err)
{
    cask_status status = buffer_reserve(
        &sorter->items, sorter->items.size + sizeof(sort_item), err);
    sort_record *record;
    sort_item item;

    if (status != CASK_OK) {
        return status;
    }
    record = take_room(sorter, size);
    if (record == NULL) {
        return fail_memory(err, size);
    }
    copy_record(record, entry);
    record->number = sorter->number++;
    item = (sort_item){run_head(record->entry.key, 0), record};
    return buffer_append(&sorter->items, &item, sizeof(item), err);
}

/* Whether there is memory for one record more; qsort() copies the items. */
static bool has_room(const run_sorter *sorter, size_t size)
{
    const sort_chunk *chunk = sorter->chunks;
    uint64_t items = (item_count(sorter) + 1) * sizeof(sort_item);
    uint64_t more = chunk != NULL && size <= chunk->size - chunk->used ? 0
                    : size > CHUNK_BYTES                               ? size
                                         : CHUNK_BYTES;

    return sorter->chunk_bytes + more + 3 * items <= sorter->memory_limit;
}

cask_status run_sorter_add(run_sorter *sorter, const cask_run_entry *entry,
                           cask_error *err)
{
    cask_run_writer *writer = sorter->writer;
    size_t size = round_up(
        sizeof(sort_record) + entry->key.size + entry->value.size, ALIGNMENT);
    cask_error failure = {0};

    if (writer->failed != CASK_OK) {
        return run_writer_fail(writer, writer->failed, &writer->failure, err);
    }
    if (item_count(sorter) > 0 && !has_room(sorter, size)) {
        cask_status status = spill(sorter, &failure);

        if (status != CASK_OK) {
            return run_writer_fail(writer, status, &failure, err);
        }
    }
    return keep(sorter, entry, size, err);
}

/* ---- Finish ------------------------------------------------------------- */

static cask_status seek_piece(void *self, cask_run_seek how, cask_slice key,
                              cask_run_entry *ret_entry, cask_error *err)
{
    return run_iterator_seek(self, how, key, ret_entry, err);
}

static cask_status next_of_piece(void *self, cask_run_entry *ret_entry,
                                 cask_error *err)
{
    return run_iterator_next(self, ret_entry, err);
}

static cask_status previous_of_piece(void *self, cask_run_entry *ret_entry,
                                     cask_error *err)
{
    return run_iterator_previous(self, ret_entry, err);
}

static const iter_input_ops piece_ops = {seek_piece, next_of_piece,
                                         previous_of_piece};

static cask_status merge_all(iter_merge *merge, cask_run_writer *to,
                             cask_error *err)
{
    cask_status status =
        iter_merge_seek(merge, CASK_RUN_FIRST, (cask_slice){0}, err);

    while (status == CASK_OK) {
        status = add_next(to, iter_merge_entry(merge), err);
        if (status == CASK_OK) {
            status = iter_merge_next(merge, err);
        }
    }
    return status == CASK_NOT_FOUND ? CASK_OK : status;
}

/* Of records that are the same a merge gives that of the first input first: the
 * newest piece's. */
static cask_status list_pieces(const run_sorter *sorter, run_sorted *sorted,
                               cask_error *err)
{
    size_t count = piece_count(sorter);

    sorted->iterators = calloc(count + 1, sizeof(*sorted->iterators));
    sorted->inputs = calloc(count + 1, sizeof(*sorted->inputs));
    if (sorted->iterators == NULL || sorted->inputs == NULL) {
        return fail_memory(err, count * sizeof(*sorted->iterators));
    }
    for (size_t i = 0; i < count; i++) {
        sorted->iterators[i].run = piece_at(sorter, count - 1 - i);
        sorted->inputs[i] = (iter_input){.ops = &piece_ops,
                                         .self = &sorted->iterators[i],
                                         .is_stable = true};
    }
    sorted->count = count;
    return CASK_OK;
}

cask_status run_sorter_open(run_sorter *sorter, run_sorted *ret_sorted,
                            cask_error *err)
{
    cask_run_writer *writer = sorter->writer;
    cask_error failure = {0};
    cask_status status;

    *ret_sorted = (run_sorted){.count = 0};
    if (writer->failed != CASK_OK) {
        return run_writer_fail(writer, writer->failed, &writer->failure, err);
    }
    status = item_count(sorter) > 0 ? spill(sorter, &failure) : CASK_OK;
    if (status == CASK_OK) {
        status = list_pieces(sorter, ret_sorted, &failure);
    }
    return status == CASK_OK ? CASK_OK
                             : run_writer_fail(writer, status, &failure, err);
}

void run_sorted_free(run_sorted *sorted)
{
    free(sorted->inputs);
    free(sorted->iterators);
    *sorted = (run_sorted){.count = 0};
}

static cask_status merge_pieces(run_sorter *sorter, cask_error *err)
{
    run_sorted sorted = {.count = 0};
    iter_merge *merge = NULL;
    cask_status status = list_pieces(sorter, &sorted, err);

    if (status == CASK_OK) {
        status = iter_merge_create(sorted.inputs, sorted.count, 0, &merge, err);
    }
    if (status == CASK_OK) {
        status = merge_all(merge, sorter->writer, err);
    }
    iter_merge_free(merge);
    run_sorted_free(&sorted);
    return status;
}

cask_status run_sorter_finish(run_sorter *sorter, cask_error *err)
{
    cask_run_writer *writer = sorter->writer;
    cask_error failure = {0};
    cask_status status = CASK_OK;

    if (writer->failed != CASK_OK) {
        return run_writer_fail(writer, writer->failed, &writer->failure, err);
    }
    if (piece_count(sorter) == 0) {
        status = write_records(sorter, writer, &failure);
    } else {
        status = item_count(sorter) > 0 ? spill(sorter, &failure) : CASK_OK;
        if (status == CASK_OK) {
            status = merge_pieces(sorter, &failure);
        }
    }
    return status == CASK_OK ? CASK_OK
                             : run_writer_fail(writer, status, &failure, err);
}
