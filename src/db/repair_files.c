/*
 * Repair: reading files of any size of which some blocks may be unreadable. By
 * windows, into memory, not mapped: neither failing media nor somebody who cuts
 * the file may end the program.
 */
#include "db/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "log/segment.h"
#include "region/place.h"

enum { WINDOW_BYTES = 4 << 20, PIECE_BYTES = 1 << 20, BLOCK_BYTES = 4096 };

/* No segment is longer: a record that begins as far behind as one may, with the
 * longest key and value, and a footer. */
#define FILE_BYTES_MOST                                                        \
    (PLACE_OFFSET_LIMIT + UINT32_MAX + UINT16_MAX + (UINT64_C(1) << 10))

/* Nor any run, with what is behind its records. */
#define RUN_BYTES_MOST (UINT64_C(1) << 35)

/* ---- Whose fault --------------------------------------------------------- */

static bool is_of_media(int os_errno)
{
    return os_errno == EIO || os_errno == EBADMSG || os_errno == EUCLEAN ||
           os_errno == ENODATA || os_errno == EILSEQ;
}

bool repair_is_loss(const cask_error *err)
{
    if (err->status != CASK_IO) {
        return err->status == CASK_CORRUPT || err->status == CASK_NOT_FOUND ||
               err->status == CASK_UNSUPPORTED;
    }
    /* 0: no plain file. */
    return err->os_errno == 0 || err->os_errno == ENOENT ||
           err->os_errno == ELOOP || is_of_media(err->os_errno);
}

bool repair_is_bad_block(int os_errno)
{
    return os_errno != EACCES && os_errno != EPERM && os_errno != ENOMEM &&
           os_errno != EINTR && os_errno != EAGAIN && os_errno != EMFILE &&
           os_errno != ENFILE;
}

/* ---- Unreadable stretches ------------------------------------------------ */

/* The first stretch noted so far in these bytes that cannot be read; NULL:
 * none. Valid until the next view. */
static repair_bad *find_bad(const repair_bytes *bytes, uint64_t offset,
                            uint64_t size)
{
    for (size_t i = 0; i < bytes->bad.count; i++) {
        repair_bad *bad = &bytes->bad.items[i];

        if (bad->offset < offset ? offset - bad->offset < bad->size
                                 : bad->offset - offset < size) {
            return bad;
        }
    }
    return NULL;
}

static void note_bad(repair_bytes *bytes, uint64_t offset, uint64_t size,
                     int os_errno)
{
    repair_bad *bad;

    for (size_t i = 0; i < bytes->bad.count; i++) {
        bad = &bytes->bad.items[i];
        /* What was told does not grow: the rest is to be told, too. */
        if (bad->offset + bad->size == offset && !bad->is_told) {
            bad->size += size;
            return;
        }
    }
    bad = array_grow(bytes->bad.items, bytes->bad.count, &bytes->bad.capacity,
                     sizeof(*bad), &bytes->err);
    if (bad == NULL) {
        return;
    }
    bytes->bad.items = bad;
    bytes->bad.items[bytes->bad.count++] =
        (repair_bad){.offset = offset, .size = size, .os_errno = os_errno};
}

/* ---- The window ---------------------------------------------------------- */

/* Zeros where it cannot be read; zeros are no record. Of what is known to be
 * bad nothing is read again: each time may take seconds. */
static void read_block(repair_bytes *bytes, uint64_t offset, uint64_t size)
{
    uint8_t *to = bytes->window + (offset - bytes->from);
    int os_errno;
    size_t got;

    memset(to, 0, size);
    if (find_bad(bytes, offset, size) != NULL) {
        return;
    }
    os_errno =
        bytes->file->os->ops->read_at(bytes->file, to, size, offset, &got);
    if (os_errno == 0) {
        return;
    }
    memset(to, 0, size);
    if (repair_is_bad_block(os_errno)) {
        note_bad(bytes, offset, size, os_errno);
    } else {
        (void)fail_os(&bytes->err, os_errno,
                      "%s: offset %" PRIu64 ": cannot read", bytes->name,
                      offset);
    }
}

static void read_piece(repair_bytes *bytes, uint64_t offset, uint64_t size)
{
    uint8_t *to = bytes->window + (offset - bytes->from);
    size_t got = 0;

    if (find_bad(bytes, offset, size) == NULL &&
        bytes->file->os->ops->read_at(bytes->file, to, size, offset, &got) ==
            0) {
        memset(to + got, 0, size - got); /* it was cut */
        return;
    }
    for (uint64_t at = 0; at < size && bytes->err.status == CASK_OK;
         at += BLOCK_BYTES) {
        uint64_t left = size - at;

        read_block(bytes, offset + at, left < BLOCK_BYTES ? left : BLOCK_BYTES);
        (void)repair_progress(bytes->r, 0, &bytes->err);
    }
}

static bool make_room(repair_bytes *bytes, uint64_t room)
{
    os *kernel = bytes->r->kernel;
    void *memory = NULL;
    int os_errno;

    if (bytes->room == room) {
        return true;
    }
    kernel->ops->unmap(kernel, bytes->window, bytes->room);
    bytes->window = NULL;
    bytes->room = 0;
    os_errno = kernel->ops->map_private(kernel, room, &memory);
    if (os_errno != 0) {
        (void)fail_os(&bytes->err, os_errno,
                      "cannot get %" PRIu64 " bytes for %s", room, bytes->name);
        return false;
    }
    bytes->window = memory;
    bytes->room = room;
    return true;
}

static uint64_t whole_blocks(uint64_t size)
{
    return (size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

/* All of [offset, offset + size) is in the file. */
static void load(repair_bytes *bytes, uint64_t offset, uint64_t size)
{
    uint64_t from = offset / BLOCK_BYTES * BLOCK_BYTES;
    uint64_t need = whole_blocks(offset - from + size);
    uint64_t room = whole_blocks(bytes->size);

    if (room > WINDOW_BYTES) {
        room = need > WINDOW_BYTES ? need : WINDOW_BYTES;
    }
    bytes->count = 0;
    if (!make_room(bytes, room)) {
        return;
    }
    bytes->from = from;
    if (room > bytes->size - from) {
        room = bytes->size - from;
    }
    for (uint64_t at = 0; at < room && bytes->err.status == CASK_OK;
         at += PIECE_BYTES) {
        uint64_t left = room - at;

        read_piece(bytes, from + at, left < PIECE_BYTES ? left : PIECE_BYTES);
        if (bytes->err.status == CASK_OK) {
            (void)repair_progress(bytes->r, 0, &bytes->err);
        }
    }
    bytes->count = room;
}

const uint8_t *repair_view(repair_bytes *bytes, uint64_t offset, uint64_t size)
{
    if (bytes->err.status != CASK_OK || offset > bytes->size ||
        size > bytes->size - offset) {
        return NULL;
    }
    if (offset < bytes->from || offset - bytes->from > bytes->count ||
        size > bytes->count - (offset - bytes->from)) {
        load(bytes, offset, size);
    }
    return bytes->err.status == CASK_OK ? bytes->window + (offset - bytes->from)
                                        : NULL;
}

const uint8_t *repair_view_some(repair_bytes *bytes, uint64_t offset,
                                uint64_t least, uint64_t *ret_size)
{
    const uint8_t *at = repair_view(bytes, offset, least);

    *ret_size = at == NULL ? 0 : bytes->count - (offset - bytes->from);
    return at;
}

/* ---- A file -------------------------------------------------------------- */

uint64_t repair_file_bytes(const char *name, uint64_t size)
{
    uint64_t id;
    uint64_t most =
        run_name_parse(name, &id) ? RUN_BYTES_MOST : FILE_BYTES_MOST;

    return size < most ? size : most;
}

cask_status repair_open(repair *r, const char *name, repair_bytes *ret_bytes,
                        cask_error *err)
{
    os_stat stat;
    cask_status status;

    *ret_bytes = (repair_bytes){.r = r, .name = name};
    status = file_open(r->dir, name, OS_READ, &ret_bytes->file, &stat, err);
    if (status == CASK_OK) {
        ret_bytes->size = repair_file_bytes(name, stat.size);
    } else {
        ret_bytes->file = NULL;
    }
    return status;
}

void repair_close(repair_bytes *bytes)
{
    if (bytes->r != NULL) {
        os *kernel = bytes->r->kernel;

        kernel->ops->unmap(kernel, bytes->window, bytes->room);
        kernel->ops->close(bytes->file);
    }
    free(bytes->bad.items);
    *bytes = (repair_bytes){.r = NULL};
}

cask_status repair_open_source(repair *r, repair_source *source,
                               repair_bytes *ret_bytes, cask_error *err)
{
    cask_status status = repair_open(r, source->name, ret_bytes, err);

    ret_bytes->bad = source->bad;
    source->bad = (repair_bad_list){.items = NULL};
    return status;
}

void repair_close_source(repair_source *source, repair_bytes *bytes)
{
    if (bytes->r != NULL) {
        source->bad = bytes->bad;
        bytes->bad = (repair_bad_list){.items = NULL};
    }
    repair_close(bytes);
}
