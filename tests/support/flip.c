#include "support/flip.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/db.h"
#include "log/scan.h"
#include "region/place.h"
#include "store/store_merge.h"
#include "store/store_walk.h"

/* Rows that may be chosen; how many. */
static uint32_t rows_of(const store_handle *store, uint32_t *ret_rows)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    uint32_t found = 0;

    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];

        if (atomic_load(&row->state) == ROW_SEALED &&
            atomic_load(&row->has_hint) == 1 && store_row_counts(store, i) &&
            row->tail > SEGMENT_HEADER_SIZE) {
            ret_rows[found++] = i;
        }
    }
    return found;
}

/* The record number `wanted` of those of a kind, or of all (kind 0); how many
 * there are. */
static uint64_t find_record(segment_scan scan, uint8_t kind, uint64_t wanted,
                            scan_item *ret_item)
{
    scan_result result = SCAN_RECORD;
    uint64_t seen = 0;
    scan_item item;

    while (result != SCAN_END) {
        result = scan_next(&scan, &item);
        if (result == SCAN_RECORD &&
            (kind == 0 || record_kind(&item.header) == kind)) {
            if (seen++ == wanted) {
                *ret_item = item;
            }
        }
    }
    return seen;
}

static bool choose_record(segment_scan scan, uint64_t choice,
                          scan_item *ret_item)
{
    uint8_t kind = choice % 2 == 0 ? RECORD_DELETE : 0;
    uint64_t count = find_record(scan, kind, UINT64_MAX, ret_item);

    if (count == 0) {
        kind = 0;
        count = find_record(scan, kind, UINT64_MAX, ret_item);
    }
    return count > 0 &&
           find_record(scan, kind, choice / 2 % count, ret_item) > 0;
}

bool flip_choose(cask_db *db, uint64_t choice, flip *ret_flip)
{
    static uint32_t rows[REGION_SEGMENTS];
    store_handle *store = db->store;
    uint32_t count = rows_of(store, rows);
    uint32_t row = count == 0 ? 0 : rows[choice % count];
    store_bytes bytes = {NULL, 0, 0};
    const uint8_t *data = NULL;
    segment_scan scan;
    scan_item item;
    bool found = false;

    if (count == 0) {
        return false;
    }
    choice /= count;
    ret_flip->row = row;
    segment_name_format(atomic_load(&store->region.rows[row].file_id),
                        ret_flip->name);
    if (store_row_bytes(store, row, store->region.rows[row].tail, &data, &bytes,
                        NULL) == CASK_OK) {
        scan_begin(&scan, data, store->region.rows[row].tail,
                   atomic_load(&store->region.rows[row].nonce),
                   SEGMENT_HEADER_SIZE);
        scan.trusted_end = scan.size;
        found = choose_record(scan, choice, &item);
    }
    if (found) {
        /* The padding behind it is not protected, and may be chosen too. */
        ret_flip->offset = item.offset + (choice >> 20) % item.size;
    }
    store_bytes_free(store, &bytes);
    return found;
}

bool flip_hits(const flip *f, uint64_t place)
{
    return place != 0 && place_row(place) == f->row &&
           f->offset >= place_offset(place) &&
           f->offset - place_offset(place) < place_size(place);
}

static void require(int os_errno)
{
    if (os_errno != 0) {
        (void)fprintf(stderr, "cannot damage a segment: %d\n", os_errno);
        exit(1);
    }
}

void flip_byte(os *kernel, const char *path, const flip *f)
{
    const os_ops *ops = kernel->ops;
    uint8_t byte = 0;
    const os_span span = {&byte, 1};
    os_file *dir;
    os_file *file;
    size_t got = 0;

    require(ops->open_dir(kernel, path, &dir));
    require(ops->open(dir, f->name, OS_READ | OS_WRITE, 0, &file));
    require(ops->read_at(file, &byte, 1, f->offset, &got));
    byte ^= 1;
    require(ops->write_at(file, &span, 1, f->offset));
    require(ops->sync(file));
    ops->close(file);
    ops->close(dir);
}
