/*
 * Going through the records of a Bitcask data file, see bitcask_walk.h.
 */
#include "bitcask_walk.h"

#include <string.h>

enum {
    /* Records up to this size are read whole to check them; of larger ones, the
     * sums of bitcask_file.h tell. */
    WHOLE_MAX = 16 * 1024 * 1024,
    /* The same in a damaged file, where sizes may be lies at every byte. */
    DAMAGED_WHOLE_MAX = 1024,
    AHEAD_COUNT = 16,             /* records that the visitor hears of ahead */
    SEARCHED_UNASKED = 64 * 1024, /* bytes between two calls of on_search */
    CRC_SIZE = 4
};

typedef struct walk {
    bitcask_file *data;
    const bitcask_visitor *visitor;
    uint64_t offset;
    size_t whole_max; /* see above */
    uint64_t ahead;   /* offset of the next one to tell ahead */
    int ahead_count;  /* told and not met */
    bool ended;       /* by the visitor */
    bool no_memory;   /* give up */
} walk;

/* Whether a whole record with the right checksum begins at `offset`. */
static bool is_record(walk *w, uint64_t offset, bitcask_header *ret_header)
{
    uint64_t left = offset < w->data->size ? w->data->size - offset : 0;
    uint64_t size;
    const uint8_t *bytes;
    uint32_t crc;

    if (left < BITCASK_HEADER_SIZE) {
        return false;
    }
    bitcask_decode_header(bitcask_file_at(w->data, offset, BITCASK_HEADER_SIZE),
                          ret_header);
    size = bitcask_record_size(ret_header);
    if (size > left) {
        return false;
    }
    if (size <= w->whole_max) {
        bytes = bitcask_file_at(w->data, offset, (size_t)size);
        w->no_memory = bytes == NULL;
        return bytes != NULL && bitcask_verify(bytes, (size_t)size);
    }
    if (!bitcask_file_crc(w->data, offset + CRC_SIZE, size - CRC_SIZE, &crc)) {
        w->no_memory = true;
        return false;
    }
    return crc == ret_header->crc;
}

/*
 * Point `ret_record` at the record at w->offset, which was checked. Without its
 * value, as much of it as tells whether it is a tombstone is read.
 */
static bool fetch(walk *w, const bitcask_header *header,
                  bitcask_record *ret_record)
{
    size_t size = (size_t)bitcask_record_size(header);
    size_t value_size = header->value_size;
    const uint8_t *bytes;

    if (!w->visitor->wants_values && size > WHOLE_MAX) {
        value_size =
            value_size < BITCASK_MARK_SIZE ? value_size : BITCASK_MARK_SIZE;
        size = (size_t)BITCASK_HEADER_SIZE + header->key_size + value_size;
    }
    bytes = bitcask_file_at(w->data, w->offset, size);
    if (bytes == NULL) {
        w->no_memory = true;
        return false;
    }
    *ret_record = (bitcask_record){
        .offset = w->offset,
        .time_s = header->time_s,
        .key = {bytes + BITCASK_HEADER_SIZE, header->key_size},
        .value = {bytes + BITCASK_HEADER_SIZE + header->key_size, value_size}};
    ret_record->tombstone =
        bitcask_is_tombstone(ret_record->value.data, value_size);
    if (!w->visitor->wants_values) {
        ret_record->value = (cask_slice){NULL, 0};
    }
    return true;
}

/* Tell the visitor of keys ahead, as far as they are at hand. What is there is
 * not checked: sizes may be anything. */
static void look_ahead(walk *w)
{
    if (w->ahead < w->offset) {
        w->ahead = w->offset;
        w->ahead_count = 0;
    }
    while (w->visitor->on_ahead != NULL && w->ahead_count < AHEAD_COUNT) {
        const uint8_t *bytes =
            bitcask_file_peek(w->data, w->ahead, BITCASK_HEADER_SIZE);
        bitcask_header header;

        if (bytes == NULL) {
            return;
        }
        bitcask_decode_header(bytes, &header);
        bytes = bitcask_file_peek(w->data, w->ahead + BITCASK_HEADER_SIZE,
                                  header.key_size);
        if (bytes == NULL) {
            return;
        }
        w->visitor->on_ahead(w->visitor->context,
                             (cask_slice){bytes, header.key_size});
        w->ahead += bitcask_record_size(&header);
        w->ahead_count++;
    }
}

static void visit_record(walk *w, const bitcask_record *record, uint64_t size)
{
    w->ended = !w->visitor->on_record(w->visitor->context, record);
    w->offset += size;
    w->ahead_count -= w->ahead_count > 0 ? 1 : 0;
    look_ahead(w);
}

static void visit_damage(walk *w, uint64_t end, const bitcask_hint *hint,
                         cask_slice key)
{
    bitcask_damage damage = {w->offset, end - w->offset, hint, key};

    if (w->no_memory || w->ended) {
        return;
    }
    w->ended = !w->visitor->on_damage(w->visitor->context, &damage);
    w->offset = end;
}

/* ---- Without hints ----------------------------------------------------- */

/* Erased bytes (ff) before zeros, as failing devices leave them, look like a
 * record without key and value: its checksum happens to be right. */
static bool is_erased(const bitcask_header *header)
{
    return header->crc == UINT32_MAX && header->time_s == UINT32_MAX &&
           header->key_size == 0 && header->value_size == 0;
}

/* The offset of the first record behind w->offset; the end if there is none. */
static uint64_t find_record(walk *w)
{
    bitcask_header header;
    uint64_t at = w->offset + 1;

    w->whole_max = DAMAGED_WHOLE_MAX;
    while (at < w->data->size && !w->no_memory && !w->ended &&
           (!is_record(w, at, &header) || is_erased(&header))) {
        at++;
        if (at % SEARCHED_UNASKED == 0) {
            w->ended = !w->visitor->on_search(w->visitor->context, at);
        }
    }
    return at;
}

static void walk_data(walk *w)
{
    bitcask_header header;
    bitcask_record record;

    while (w->offset < w->data->size && !w->ended && !w->no_memory) {
        if (!is_record(w, w->offset, &header)) {
            visit_damage(w, find_record(w), NULL, (cask_slice){NULL, 0});
        } else if (fetch(w, &header, &record)) {
            visit_record(w, &record, bitcask_record_size(&header));
        }
    }
}

/* ---- With hints -------------------------------------------------------- */

static bool agree(const bitcask_record *record, const bitcask_header *header,
                  const bitcask_hint *hint, cask_slice key)
{
    return bitcask_record_size(header) == hint->record_size &&
           record->time_s == hint->time_s &&
           record->tombstone == hint->tombstone &&
           record->key.size == key.size &&
           memcmp(record->key.data, key.data, key.size) == 0;
}

/* False if the hints turn out to be of other data. */
static bool walk_hints(walk *w, bitcask_hints *hints)
{
    bitcask_header header;
    bitcask_record record;
    bitcask_hint hint;
    cask_slice key;

    while (!w->ended && !w->no_memory &&
           bitcask_hints_next(hints, &hint, &key)) {
        if (!is_record(w, w->offset, &header)) {
            w->whole_max = DAMAGED_WHOLE_MAX;
            visit_damage(w, w->offset + hint.record_size, &hint, key);
        } else if (fetch(w, &header, &record)) {
            if (!agree(&record, &header, &hint, key)) {
                return false;
            }
            visit_record(w, &record, hint.record_size);
        }
    }
    return true;
}

bitcask_walk_result bitcask_walk(bitcask_file *data, bitcask_hints *hints,
                                 const bitcask_visitor *visitor)
{
    walk w = {.data = data, .visitor = visitor, .whole_max = WHOLE_MAX};
    bool hints_wrong = hints != NULL && !walk_hints(&w, hints);

    walk_data(&w);
    if (w.no_memory) {
        return BITCASK_WALK_NO_MEMORY;
    }
    if (w.ended) {
        return BITCASK_WALK_ENDED;
    }
    return hints_wrong ? BITCASK_WALK_HINTS_WRONG : BITCASK_WALK_DONE;
}
