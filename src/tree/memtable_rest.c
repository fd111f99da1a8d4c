/*
 * The rest of a damaged memtable, see memtable_rest.h.
 */
#include "tree/memtable_rest.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "base/key_order.h"

/* ---- Finding ------------------------------------------------------------ */

static cask_status add_place(memtable_rest *rest, uint64_t place,
                             cask_error *err)
{
    uint64_t *places = array_grow(rest->places, rest->count, &rest->capacity,
                                  sizeof(*places), err);

    if (places == NULL) {
        return CASK_NO_MEMORY;
    }
    rest->places = places;
    rest->places[rest->count++] = place;
    return CASK_OK;
}

static cask_status add_gap(memtable_rest *rest, uint64_t place,
                           cask_slice known, cask_error *err)
{
    memtable_gap *gaps = array_grow(rest->gaps, rest->gap_count,
                                    &rest->gap_capacity, sizeof(*gaps), err);
    memtable_gap *gap;

    if (gaps == NULL) {
        return CASK_NO_MEMORY;
    }
    rest->gaps = gaps;
    gap = &rest->gaps[rest->gap_count++];
    *gap = (memtable_gap){.place = place, .known_bytes = known.size};
    memcpy(gap->known, known.data, known.size);
    return CASK_OK;
}

typedef struct finding {
    memtable_rest *rest;
    cask_status status;
    cask_error *err;
} finding;

static bool look_at(void *context, uint64_t place, cask_slice known)
{
    finding *f = context;
    memtable_rest *rest = f->rest;
    cask_run_entry entry;

    f->status = rest->records->read(rest->records->context, place, &rest->bytes,
                                    &entry, f->err);
    if (f->status == CASK_OK) {
        f->status = add_place(rest, place, f->err);
    } else if (f->status == CASK_CORRUPT) {
        f->status = add_gap(rest, place, known, f->err);
    }
    return f->status == CASK_OK;
}

cask_status memtable_rest_find(memtable_rest *rest, const memtable_view *view,
                               cask_error *err)
{
    finding f = {.rest = rest, .status = CASK_OK, .err = err};
    memtable_result result = memtable_walk(view, look_at, &f);

    return f.status != CASK_OK ? f.status
           : result == MEMTABLE_FOUND
               ? CASK_OK
               : fail(err, CASK_BUSY, 0, "the memtable was flushed meanwhile");
}

void memtable_rest_free(memtable_rest *rest)
{
    free(rest->places);
    free(rest->gaps);
    cask_buffer_free(&rest->bytes);
    cask_buffer_free(&rest->spare);
}

/* ---- As an input -------------------------------------------------------- */

/* The record at rest->at. The one before it stays readable. */
static cask_status arrive(memtable_rest *rest, cask_run_entry *ret_entry,
                          cask_error *err)
{
    cask_buffer before = rest->bytes;
    cask_status status;

    if (rest->at >= rest->count) {
        return CASK_NOT_FOUND;
    }
    status = rest->records->read(rest->records->context, rest->places[rest->at],
                                 &rest->spare, ret_entry, err);
    if (status == CASK_OK) {
        rest->bytes = rest->spare;
        rest->spare = before;
    }
    return status;
}

static cask_status next(void *self, cask_run_entry *ret_entry, cask_error *err)
{
    memtable_rest *rest = self;

    rest->at++;
    return arrive(rest, ret_entry, err);
}

static cask_status seek(void *self, cask_run_seek how, cask_slice key,
                        cask_run_entry *ret_entry, cask_error *err)
{
    memtable_rest *rest = self;
    cask_status status;

    if (how != CASK_RUN_FIRST && how != CASK_RUN_AT_LEAST) {
        return fail(err, CASK_UNSUPPORTED, 0,
                    "a damaged memtable is read forward only");
    }
    rest->at = 0;
    status = arrive(rest, ret_entry, err);
    while (status == CASK_OK && how == CASK_RUN_AT_LEAST &&
           key_compare(ret_entry->key, key) < 0) {
        status = next(rest, ret_entry, err);
    }
    return status;
}

static cask_status previous(void *self, cask_run_entry *ret_entry,
                            cask_error *err)
{
    return seek(self, CASK_RUN_LAST, (cask_slice){NULL, 0}, ret_entry, err);
}

const iter_input_ops memtable_rest_ops = {seek, next, previous};
