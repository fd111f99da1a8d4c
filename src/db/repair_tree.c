/*
 * Repair of a tree. Records of all files, in whatever order they come, are
 * sorted, and merged to one run of the new store, in parts: of each key its
 * newest record, unless that deletes it, or a newer record deletes a range
 * around it. Since all that is older is left out, no delete has to be kept.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "db/repair_tree.h"
#include "db/repair_values.h"
#include "db/run_sort.h"
#include "iter/iter_merge.h"
#include "maintain/compaction.h"
#include "run/run_hash.h"
#include "store/store_open.h"
#include "tree/tree.h"
#include "tree/tree_plan.h"
#include "tree/values_output.h"

/* For sorting, and for an output. */
#define MEMORY_BYTES (UINT64_C(256) << 20)

/* Records between two looks at whether to stop. */
enum { RECORDS_A_LOOK = 1 << 14 };

typedef struct repair_tree {
    cask_run_writer *sorting; /* never completed */
    run_sorter *sorter;
    uint64_t last_sequence; /* largest of all that was added */
    repair_values values;

    /* Of the new store. */
    store_identity identity;
    manifest_state manifest;
    uint64_t part_bytes;     /* where one ends, unless a record is larger */
    cask_run_writer *writer; /* of a part; NULL: none */
    values_output apart;     /* values that are not in the parts */
    cask_buffer files;       /* manifest_run each: parts, and runs of values */
    uint64_t unpaid;         /* bytes written since repair_progress() */
    cask_buffer key;         /* of the last record that was met */
    bool has_key;
} repair_tree;

/* ---- What a run's footer tells ------------------------------------------- */

enum { FOOTER_AT_RUN_LENGTH = 40, FOOTER_AT_RUN_RECORDS = 48 };

static const uint8_t *view_footer(repair_bytes *bytes)
{
    return bytes->size < SEGMENT_HEADER_SIZE + RUN_FOOTER_SIZE
               ? NULL
               : repair_view(bytes, bytes->size - RUN_FOOTER_SIZE,
                             RUN_FOOTER_SIZE);
}

bool repair_run_footer(repair_bytes *bytes, run_footer *ret_footer)
{
    const uint8_t *at = view_footer(bytes);

    return at != NULL &&
           run_footer_decode(at, "", bytes->size - RUN_FOOTER_SIZE, ret_footer,
                             NULL) == CASK_OK;
}

bool repair_run_footer_says(repair_bytes *bytes, uint64_t end, uint64_t records)
{
    const uint8_t *at = view_footer(bytes);

    return at != NULL && records > 0 &&
           (load_u64(at + FOOTER_AT_RUN_LENGTH) == end ||
            load_u64(at + FOOTER_AT_RUN_RECORDS) == records);
}

/* Whether the index leads from the key to this offset. */
static bool is_in_index(repair_bytes *bytes, const run_footer *footer,
                        cask_slice key, uint64_t offset)
{
    uint64_t hash = run_hash(footer->hash_key, key.data, key.size);
    uint32_t wanted =
        run_index_entry(hash, offset, run_place_bits(footer->length));
    uint64_t entries = (uint64_t)footer->index_lines * RUN_LINE_ENTRIES;
    uint64_t at =
        (uint64_t)run_line(hash, footer->index_lines) * RUN_LINE_ENTRIES;
    uint64_t places[RUN_SECTIONS + 1];

    run_layout(footer, places);
    for (uint64_t i = 0; i < entries; i++) {
        const uint8_t *entry = repair_view(
            bytes, places[RUN_INDEX] + at * sizeof(uint32_t), sizeof(uint32_t));

        if (entry == NULL || load_u32(entry) == 0) {
            return false;
        }
        if (load_u32(entry) == wanted) {
            return true;
        }
        at = at + 1 < entries ? at + 1 : 0;
    }
    return false;
}

bool repair_run_key(const repair_source *source, repair_bytes *bytes,
                    const scan_item *item, cask_buffer *ret_key)
{
    const record_seed seed = {source->nonce, item->offset};
    record_header header;
    run_footer footer;
    const uint8_t *at = repair_view(bytes, item->offset, RECORD_HEADER_SIZE);
    uint64_t skip;

    ret_key->size = 0;
    if (at == NULL || !record_decode_header(at, seed, &header) ||
        record_size(&header) != item->size || header.key_size == 0) {
        return false;
    }
    skip = RECORD_HEADER_SIZE + record_expiry_size(&header);
    at = repair_view(bytes, item->offset, skip + header.key_size);
    return at != NULL &&
           buffer_append(ret_key, at + skip, header.key_size, NULL) ==
               CASK_OK &&
           repair_run_footer(bytes, &footer) && footer.nonce == source->nonce &&
           is_in_index(bytes, &footer,
                       (cask_slice){ret_key->data, ret_key->size},
                       item->offset);
}

/* ---- Files of the new store ---------------------------------------------- */

/* A part of its run, or a run of values. */
static cask_status begin_file(repair *r, bool is_values, uint64_t *ret_id,
                              cask_run_writer **ret_writer, cask_error *err)
{
    repair_tree *tree = r->tree;
    run_origin origin = {.id = tree->manifest.next_id,
                         .born = tree->last_sequence,
                         .is_values = is_values,
                         .hash_key = tree_hash_key(tree->identity.hash_key)};
    const run_writer_options options = {
        .run = {.memory_bytes = MEMORY_BYTES,
                .file_mode = r->target.file_mode,
                .no_filter = is_values,
                .prefix_bytes =
                    is_values ? 0 : (uint32_t)r->settings.filter_prefix_bytes},
        .origin = &origin,
        .borrows_dir = true};
    manifest_run file = {.id = origin.id,
                         .level = is_values ? MANIFEST_VALUES : COMPACTION_LAST,
                         .run = is_values ? 0 : 1};
    char name[SEGMENT_NAME_SIZE];
    cask_status status;

    memcpy(origin.uuid, tree->identity.uuid, sizeof(origin.uuid));
    run_name_format(origin.id, name);
    status = run_writer_create(r->target.dir, name, &options, ret_writer, err);
    if (status == CASK_OK) {
        tree->manifest.next_id++;
        *ret_id = origin.id;
        file.nonce = (*ret_writer)->nonce;
        status = buffer_append(&tree->files, &file, sizeof(file), err);
    }
    return status;
}

static cask_status begin_values(void *context, uint64_t *ret_id,
                                cask_run_writer **ret_writer, cask_error *err)
{
    return begin_file(context, true, ret_id, ret_writer, err);
}

static cask_status end_part(repair_tree *tree, cask_error *err)
{
    cask_run_writer *writer = tree->writer;

    tree->writer = NULL;
    return writer == NULL ? CASK_OK : run_writer_finish(writer, err);
}

static cask_status write_entry(repair *r, const cask_run_entry *entry,
                               cask_error *err)
{
    repair_tree *tree = r->tree;
    cask_run_entry written;
    cask_status status = CASK_OK;
    uint64_t id;

    if (tree->writer != NULL &&
        run_output_size(&tree->writer->output) >= tree->part_bytes) {
        status = end_part(tree, err);
    }
    if (status == CASK_OK && tree->writer == NULL) {
        status = begin_file(r, false, &id, &tree->writer, err);
    }
    if (status == CASK_OK) {
        status = values_output_put(&tree->apart, entry, &written, err);
    }
    r->report.keys++;
    tree->unpaid += entry->key.size + entry->value.size;
    return status == CASK_OK ? run_writer_add(tree->writer, &written, err)
                             : status;
}

/* They are complete. */
static cask_status measure_files(repair *r, cask_error *err)
{
    manifest_run *files = r->tree->files.data;

    for (size_t i = 0; i < r->tree->files.size / sizeof(*files); i++) {
        char name[SEGMENT_NAME_SIZE];
        os_stat stat;
        int os_errno;

        run_name_format(files[i].id, name);
        os_errno = r->kernel->ops->stat_name(r->target.dir, name, &stat);
        if (os_errno != 0) {
            return fail_os(err, os_errno, "cannot examine %s", name);
        }
        files[i].bytes = stat.size;
        r->report.bytes_written += stat.size;
    }
    return CASK_OK;
}

static cask_status end_files(repair *r, cask_error *err)
{
    cask_status status = values_output_end(&r->tree->apart, err);

    if (status == CASK_OK) {
        status = end_part(r->tree, err);
    }
    return status == CASK_OK ? measure_files(r, err) : status;
}

/* By the settings, as compactions of the store would. */
static void set_sizes(repair *r)
{
    repair_tree *tree = r->tree;

    tree->part_bytes =
        tree_compaction_settings_of(&r->settings, r->settings.memtable_bytes)
            .partition_bytes;
    tree->apart =
        (values_output){.files = {.context = r, .begin = begin_values},
                        .least_bytes = r->settings.value_separation_bytes,
                        .cut_bytes = tree->part_bytes};
}

/* ---- Sorting ------------------------------------------------------------- */

cask_status repair_tree_begin(repair *r, cask_error *err)
{
    const run_writer_options options = {
        .run = {.memory_bytes = MEMORY_BYTES, .file_mode = r->target.file_mode},
        .borrows_dir = true};
    repair_tree *tree = calloc(1, sizeof(*tree));
    cask_status status;

    if (tree == NULL) {
        return fail_memory(err, sizeof(*tree));
    }
    r->tree = tree;
    tree->manifest.next_id = 1;
    set_sizes(r);
    status =
        store_new_identity(r->kernel, CASK_ENGINE_TREE, &tree->identity, err);
    if (status == CASK_OK) {
        status = run_writer_create(r->target.dir, "sorting", &options,
                                   &tree->sorting, err);
    }
    return status == CASK_OK
               ? run_sorter_create(tree->sorting, &tree->sorter, err)
               : status;
}

void repair_tree_end(repair *r)
{
    repair_tree *tree = r->tree;

    if (tree == NULL) {
        return;
    }
    run_sorter_free(tree->sorter);
    if (tree->sorting != NULL) {
        run_writer_abort(tree->sorting);
    }
    if (tree->writer != NULL) {
        run_writer_abort(tree->writer);
    }
    values_output_free(&tree->apart);
    repair_values_end(r, &tree->values);
    manifest_free(&tree->manifest);
    cask_buffer_free(&tree->files);
    cask_buffer_free(&tree->key);
    free(tree);
    r->tree = NULL;
}

/* Of a pointer that is whole: the damage is in another file. */
static void tell_value(repair *r, const cask_run_entry *pointer)
{
    char name[SEGMENT_NAME_SIZE];

    run_name_format(pointer->pointer.segment_id, name);
    r->report.lost_bytes += pointer->pointer.size_bytes;
    repair_tell(
        r, &(cask_lost){.at = {.file = name,
                               .offset = pointer->pointer.offset,
                               .size_bytes = pointer->pointer.size_bytes,
                               .reason =
                                   "a value that is apart from its run cannot "
                                   "be read; an older value of this key can "
                                   "be back"},
                        .key = pointer->key});
}

cask_status repair_tree_add(repair *r, const repair_source *source,
                            repair_bytes *bytes, const scan_item *item,
                            cask_error *err)
{
    repair_tree *tree = r->tree;
    scan_item whole = *item;
    cask_run_entry entry;
    cask_status status = repair_fetch(bytes, source->nonce, &whole, err);

    if (status != CASK_OK) {
        return status;
    }
    if (run_record_problem(&whole.header,
                           whole.key - record_expiry_size(&whole.header)) !=
        NULL) {
        return CASK_CORRUPT;
    }
    entry = (cask_run_entry){
        .kind = (cask_run_kind)record_kind(&whole.header),
        .key = {whole.key, whole.header.key_size},
        .value = {whole.value, whole.header.value_size},
        .info = {.sequence = whole.header.sequence + source->added,
                 .time_s = whole.header.time_s,
                 .value_bytes = whole.header.value_size,
                 .expires_at_ms = whole.expires_at_ms}};
    if (tree->last_sequence < entry.info.sequence) {
        tree->last_sequence = entry.info.sequence;
    }
    if (entry.kind == CASK_RUN_POINTER) {
        run_describe_pointer(&entry);
        status = repair_values_fetch(r, &tree->values, &entry, err);
        if (status == CASK_CORRUPT) {
            tell_value(r, &entry);
            return CASK_OK;
        }
        if (status != CASK_OK) {
            return status;
        }
    }
    return run_sorter_add(tree->sorter, &entry, err);
}

/* ---- What is newest ------------------------------------------------------ */

/* Of the deletes of ranges around the key; 0: there is none. */
static uint64_t newest_range(const run_sorted *sorted, cask_slice key)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < sorted->count; i++) {
        const run_ranges *ranges = &sorted->iterators[i].run->ranges;
        const run_range *found =
            ranges->count > 0 ? run_ranges_find(ranges, key, UINT64_MAX) : NULL;

        if (found != NULL && found->sequence > newest) {
            newest = found->sequence;
        }
    }
    return newest;
}

/* The newest record of a key comes first. */
static cask_status take(repair *r, const run_sorted *sorted,
                        const cask_run_entry *entry, cask_error *err)
{
    repair_tree *tree = r->tree;
    const cask_slice last = {tree->key.data, tree->key.size};
    cask_status status;

    if (entry->kind == CASK_RUN_DELETE_RANGE ||
        (tree->has_key && key_compare(last, entry->key) == 0)) {
        return CASK_OK;
    }
    tree->key.size = 0;
    tree->has_key = true;
    status = buffer_append(&tree->key, entry->key.data, entry->key.size, err);
    if (status != CASK_OK || entry->kind != CASK_RUN_PUT ||
        newest_range(sorted, entry->key) > entry->info.sequence) {
        return status;
    }
    return write_entry(r, entry, err);
}

static cask_status merge_all(repair *r, const run_sorted *sorted,
                             cask_error *err)
{
    iter_merge *merge = NULL;
    cask_status status =
        iter_merge_create(sorted->inputs, sorted->count, 0, &merge, err);

    if (status == CASK_OK) {
        status = iter_merge_seek(merge, CASK_RUN_FIRST, (cask_slice){0}, err);
    }
    for (uint64_t n = 1; status == CASK_OK; n++) {
        status = take(r, sorted, iter_merge_entry(merge), err);
        if (status == CASK_OK && n % RECORDS_A_LOOK == 0) {
            status = repair_progress(r, r->tree->unpaid, err);
            r->tree->unpaid = 0;
        }
        if (status == CASK_OK) {
            status = iter_merge_next(merge, err);
        }
    }
    iter_merge_free(merge);
    return status == CASK_NOT_FOUND ? end_files(r, err) : status;
}

static cask_status publish(repair *r, cask_error *err)
{
    repair_tree *tree = r->tree;
    const manifest_change change = {.adds = tree->files.data,
                                    .add_count =
                                        tree->files.size / sizeof(manifest_run),
                                    .version = 1,
                                    .flushed = tree->last_sequence};
    cask_status status = CASK_OK;

    tree->manifest.next_sequence = tree->last_sequence + 1;
    tree->manifest.header.engine = tree->identity.engine;
    memcpy(tree->manifest.header.uuid, tree->identity.uuid, 16);
    if (tree->last_sequence > 0) {
        status = manifest_change_runs(&tree->manifest, &change, err);
    }
    return status == CASK_OK ? store_target_publish(&r->target, &tree->identity,
                                                    &tree->manifest, err)
                             : status;
}

cask_status repair_tree_write(repair *r, cask_error *err)
{
    repair_tree *tree = r->tree;
    run_sorted sorted;
    cask_status status = run_sorter_open(tree->sorter, &sorted, err);

    if (status == CASK_OK) {
        status = merge_all(r, &sorted, err);
    }
    run_sorted_free(&sorted);
    return status == CASK_OK ? publish(r, err) : status;
}
