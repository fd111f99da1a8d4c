/*
 * Reading a hint file of Bitcask, see bitcask_hints.h.
 */
#include "bitcask_hints.h"

#include <errno.h>

const char *bitcask_hints_problem(bitcask_hints_state state)
{
    switch (state) {
    case BITCASK_HINTS_SOUND:
    case BITCASK_HINTS_MISSING:
        return NULL;
    case BITCASK_HINTS_UNREADABLE:
        return "it cannot be read";
    case BITCASK_HINTS_UNFINISHED:
        return "it has no trailer";
    case BITCASK_HINTS_DAMAGED:
        return "its checksum is wrong";
    case BITCASK_HINTS_MISFIT:
        return "its rows do not cover the data file";
    }
    return NULL;
}

bool bitcask_hints_next(bitcask_hints *hints, bitcask_hint *ret_hint,
                        cask_slice *ret_key)
{
    uint64_t left = hints->end - hints->next;
    const uint8_t *bytes;

    if (left < BITCASK_HINT_SIZE) {
        return false;
    }
    bytes = bitcask_file_at(&hints->file, hints->next, BITCASK_HINT_SIZE);
    bitcask_decode_hint(bytes, ret_hint);
    if (ret_hint->key_size > left - BITCASK_HINT_SIZE) {
        return false;
    }
    bytes = bitcask_file_at(&hints->file, hints->next,
                            (size_t)BITCASK_HINT_SIZE + ret_hint->key_size);
    *ret_key = (cask_slice){bytes + BITCASK_HINT_SIZE, ret_hint->key_size};
    hints->next += (uint64_t)BITCASK_HINT_SIZE + ret_hint->key_size;
    return true;
}

/* What is known of the rows so far, and who else is told of them. */
typedef struct rows_check {
    uint32_t crc;
    uint64_t data_end;      /* of the record that the last row names */
    bool covers;            /* each row begins where the one before it ends */
    bool stopped;           /* by on_row */
    bitcask_hint_fn on_row; /* or NULL */
    void *context;
} rows_check;

/* Check the rows that begin before `end`. */
static void check_covering(bitcask_hints *hints, uint64_t end, rows_check *rows)
{
    bitcask_hint hint;
    cask_slice key;

    while (rows->covers && !rows->stopped && hints->next < end) {
        rows->covers =
            bitcask_hints_next(hints, &hint, &key) &&
            hint.offset == rows->data_end &&
            hint.record_size >= (uint32_t)BITCASK_HEADER_SIZE + hint.key_size;
        rows->data_end += rows->covers ? hint.record_size : 0;
        rows->stopped = rows->covers && rows->on_row != NULL &&
                        !rows->on_row(rows->context, &hint, key);
    }
}

/* All checks go through the rows together, so that they are read once: half a
 * window holds what they look at, and the other half the end of the last row.
 */
static void check_rows(bitcask_hints *hints, uint64_t data_size,
                       rows_check *rows)
{
    for (uint64_t at = 0; at < hints->end && !rows->stopped;) {
        uint64_t left = hints->end - at;
        size_t size = left < BITCASK_WINDOW_BYTES / 2
                          ? (size_t)left
                          : BITCASK_WINDOW_BYTES / 2;

        rows->crc = bitcask_crc(rows->crc,
                                bitcask_file_at(&hints->file, at, size), size);
        at += size;
        check_covering(hints, at, rows);
    }
    rows->covers = rows->covers && rows->data_end >= data_size;
}

/* Where the rows end, and the checksum that they should have. */
static bool find_end(bitcask_hints *hints, uint32_t *ret_crc)
{
    if (hints->file.size < BITCASK_HINT_SIZE) {
        return false;
    }
    hints->next = 0;
    hints->end = hints->file.size - BITCASK_HINT_SIZE;
    return bitcask_decode_trailer(
        bitcask_file_at(&hints->file, hints->end, BITCASK_HINT_SIZE), ret_crc);
}

static bitcask_hints_state check(bitcask_hints *hints, uint64_t data_size,
                                 rows_check *rows)
{
    uint32_t crc;

    if (!find_end(hints, &crc)) {
        return BITCASK_HINTS_UNFINISHED;
    }
    check_rows(hints, data_size, rows);
    if (rows->crc != crc) {
        return BITCASK_HINTS_DAMAGED;
    }
    if (!rows->covers) {
        return BITCASK_HINTS_MISFIT;
    }
    hints->next = 0;
    return BITCASK_HINTS_SOUND;
}

static bitcask_hints_state open_file(bitcask_hints *hints, const char *path)
{
    int os_errno;

    *hints = (bitcask_hints){.next = 0};
    os_errno = bitcask_file_open(&hints->file, path);
    if (os_errno == 0) {
        return BITCASK_HINTS_SOUND;
    }
    return os_errno == ENOENT ? BITCASK_HINTS_MISSING
                              : BITCASK_HINTS_UNREADABLE;
}

bitcask_hints_state bitcask_hints_check(const char *path, uint64_t data_size,
                                        bitcask_hint_fn on_row, void *context,
                                        bitcask_stamp *ret_stamp)
{
    rows_check rows = {.covers = true, .on_row = on_row, .context = context};
    bitcask_hints hints;
    bitcask_hints_state state = open_file(&hints, path);

    if (state == BITCASK_HINTS_SOUND) {
        state = check(&hints, data_size, &rows);
    }
    if (state == BITCASK_HINTS_SOUND) {
        *ret_stamp = hints.file.stamp;
    }
    bitcask_hints_close(&hints);
    return state;
}

bitcask_hints_state bitcask_hints_open(bitcask_hints *hints, const char *path,
                                       uint64_t data_size,
                                       const bitcask_stamp *stamp)
{
    rows_check rows = {.covers = true};
    bitcask_hints_state state = open_file(hints, path);
    uint32_t crc;

    if (state == BITCASK_HINTS_SOUND &&
        (!bitcask_stamp_is(&hints->file.stamp, stamp) ||
         !find_end(hints, &crc))) {
        state = check(hints, data_size, &rows);
    }
    if (state != BITCASK_HINTS_SOUND) {
        bitcask_hints_close(hints);
    }
    return state;
}

void bitcask_hints_close(bitcask_hints *hints)
{
    bitcask_file_close(&hints->file);
    *hints = (bitcask_hints){.next = 0};
}
