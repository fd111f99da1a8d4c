/*
 * The sections of a run, see run_sections.h.
 *
 * Fences keep eight bytes of a key, behind those that all keys share; how many
 * that are is known at the end only. But it never grows, and each key begins
 * with what is shared when it comes. So a head taken then is made the final one
 * by putting the bytes in front that are shared no longer: the first key has
 * them.
 */
#include "run/run_sections.h"

#include <stdlib.h>

#include "base/crc32c.h"

typedef struct fence_note {
    uint64_t head;
    uint32_t place; /* offset / 8 */
    uint32_t skip;  /* bytes in front of the head */
} fence_note;

void run_sections_free(run_sections *sections)
{
    cask_buffer *const buffers[] = {
        &sections->hashes,   &sections->places,   &sections->prefixes,
        &sections->fences,   &sections->segments, &sections->ranges,
        &sections->smallest, &sections->last,     &sections->end,
    };

    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        cask_buffer_free(buffers[i]);
    }
}

uint64_t run_sections_memory(const run_sections *sections)
{
    const uint64_t key = 32;    /* 2 x (8 + 4), line of index, of filter */
    const uint64_t prefix = 18; /* 2 x 8, line of filter */
    const uint64_t fence = 2 * sizeof(fence_note) + RUN_FENCE_SIZE;
    const uint64_t keys = 6 * (CASK_KEY_MAX_BYTES + (uint64_t)1);

    return RUN_OUTPUT_PIECE + keys + (sections->counts.keys + 1) * key +
           (sections->prefixes.size / 8 + 1) * prefix +
           (sections->fences.size / sizeof(fence_note) + 1) * fence +
           (sections->segments.size + RUN_SEGMENT_SIZE) * 3 +
           (sections->ranges.size + RUN_RANGE_SIZE) * 3;
}

/* ---- Noting a record ---------------------------------------------------- */

/* Make sure that nothing below can fail. */
static cask_status grow(run_sections *s, const cask_run_entry *entry,
                        cask_error *err)
{
    struct {
        cask_buffer *buffer;
        size_t more;
    } const wanted[] = {
        {&s->hashes, sizeof(uint64_t)},   {&s->places, sizeof(uint32_t)},
        {&s->prefixes, sizeof(uint64_t)}, {&s->fences, sizeof(fence_note)},
        {&s->segments, RUN_SEGMENT_SIZE}, {&s->ranges, RUN_RANGE_SIZE},
    };
    cask_status status = CASK_OK;

    for (size_t i = 0;
         i < sizeof(wanted) / sizeof(wanted[0]) && status == CASK_OK; i++) {
        status = buffer_reserve(wanted[i].buffer,
                                wanted[i].buffer->size + wanted[i].more, err);
    }
    if (status == CASK_OK && s->counts.records == 0) {
        status = buffer_reserve(&s->smallest, entry->key.size, err);
    }
    if (status == CASK_OK) {
        status = buffer_reserve(&s->last, entry->key.size, err);
    }
    if (status == CASK_OK && entry->kind == CASK_RUN_DELETE_RANGE) {
        status = buffer_reserve(&s->end, key_end_of(entry->value).size, err);
    }
    return status;
}

static bool has_room(const cask_buffer *buffer, size_t more)
{
    return buffer->capacity - buffer->size >= more;
}

/* Whether that is so already, of nearly all records: a put, and not the first
 * record. */
static bool is_reserved(const run_sections *s, const cask_run_entry *entry)
{
    return entry->kind == CASK_RUN_PUT && s->counts.records > 0 &&
           s->last.capacity >= entry->key.size &&
           has_room(&s->hashes, sizeof(uint64_t)) &&
           has_room(&s->places, sizeof(uint32_t)) &&
           has_room(&s->prefixes, sizeof(uint64_t)) &&
           has_room(&s->fences, sizeof(fence_note));
}

static cask_slice slice_of(const cask_buffer *buffer)
{
    return (cask_slice){buffer->data, buffer->size};
}

/* Room has been reserved. */
static void add(cask_buffer *buffer, const void *data, size_t size)
{
    if (size > 0) {
        memcpy((uint8_t *)buffer->data + buffer->size, data, size);
        buffer->size += size;
    }
}

static void replace(cask_buffer *buffer, cask_slice bytes)
{
    buffer->size = 0;
    add(buffer, bytes.data, bytes.size);
}

static void note_key(run_sections *s, uint32_t place, cask_slice key)
{
    uint64_t hash = run_hash(s->footer.hash_key, key.data, key.size);

    add(&s->hashes, &hash, sizeof(hash));
    add(&s->places, &place, sizeof(place));
}

/* Prefixes come in order, so one that was noted was noted last. */
static void note_prefix(run_sections *s, cask_slice key)
{
    const uint8_t *noted = s->prefixes.data;
    size_t size = s->prefixes.size;
    uint64_t hash;

    if (s->footer.prefix_bytes == 0 || key.size < s->footer.prefix_bytes) {
        return;
    }
    hash = run_hash(s->footer.hash_key, key.data, s->footer.prefix_bytes);
    if (size == 0 || load_u64(noted + size - sizeof(hash)) != hash) {
        add(&s->prefixes, &hash, sizeof(hash));
    }
}

static void note_fence(run_sections *s, uint64_t offset, cask_slice key)
{
    fence_note note = {.head = run_head(key, s->shared),
                       .place = (uint32_t)(offset / 8),
                       .skip = (uint32_t)s->shared};

    if (s->counts.records == 0 || offset - s->fence_offset >= RUN_FENCE_BYTES) {
        add(&s->fences, &note, sizeof(note));
        s->fence_offset = offset;
    }
}

/* Rows stay in order: a search, then room made in the middle. */
static void note_segment(run_sections *s, const cask_run_pointer *pointer)
{
    uint8_t *rows = s->segments.data;
    size_t low = 0;
    size_t high = s->segments.size / RUN_SEGMENT_SIZE;
    uint8_t *row;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (load_u64(rows + middle * RUN_SEGMENT_SIZE) < pointer->segment_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    row = rows + low * RUN_SEGMENT_SIZE;
    if (low * RUN_SEGMENT_SIZE == s->segments.size ||
        load_u64(row) != pointer->segment_id) {
        memmove(row + RUN_SEGMENT_SIZE, row,
                s->segments.size - low * RUN_SEGMENT_SIZE);
        s->segments.size += RUN_SEGMENT_SIZE;
        store_u64(row, pointer->segment_id);
        store_u64(row + 8, 0);
    }
    store_u64(row + 8, load_u64(row + 8) + pointer->size_bytes);
}

static void note_range(run_sections *s, uint32_t place, cask_slice end)
{
    add(&s->ranges, &place, sizeof(place));
    end = key_end_of(end);
    if (s->counts.ranges == 0 || key_compare(end, slice_of(&s->end)) > 0) {
        replace(&s->end, end);
    }
}

cask_status run_sections_note(run_sections *s, uint64_t offset,
                              const cask_run_entry *entry, cask_error *err)
{
    bool is_first = s->counts.records == 0;
    bool is_new = is_first || key_compare(entry->key, slice_of(&s->last)) != 0;
    uint32_t place = (uint32_t)(offset / 8);
    cask_status status = is_reserved(s, entry) ? CASK_OK : grow(s, entry, err);

    if (status != CASK_OK) {
        return status;
    }
    if (is_first) {
        replace(&s->smallest, entry->key);
        s->shared = entry->key.size;
    } else if (is_new) {
        size_t shared = run_shared(slice_of(&s->smallest), entry->key);

        s->shared = shared < s->shared ? shared : s->shared;
    }
    note_fence(s, offset, entry->key);
    if (entry->kind == CASK_RUN_DELETE_RANGE) {
        note_range(s, place, entry->value);
    } else if (entry->kind == CASK_RUN_POINTER) {
        note_segment(s, &entry->pointer);
    }
    if (run_counts_add(&s->counts, entry->kind, &entry->info, is_new)) {
        note_key(s, place, entry->key);
        note_prefix(s, entry->key);
    }
    s->last_sequence = entry->info.sequence;
    replace(&s->last, entry->key);
    return CASK_OK;
}

/* ---- Writing the sections ----------------------------------------------- */

/* Keys whose lines are fetched while one is written: they are all over what is
 * written, which is larger than the caches. */
enum { FILL_AHEAD = 16 };

/* Bring the line of a hash that will be written soon into the cache. */
static inline void fetch_line(const uint8_t *hashes, uint64_t i, uint64_t count,
                              uint32_t lines, const uint8_t *out)
{
    if (i + FILL_AHEAD < count) {
        uint64_t hash = load_u64(hashes + (i + FILL_AHEAD) * sizeof(uint64_t));

        __builtin_prefetch(
            out + (uint64_t)run_line(hash, lines) * RUN_LINE_SIZE, 1);
    }
}

static void fill_index(const run_sections *s, uint8_t *out)
{
    const uint8_t *hashes = s->hashes.data;
    const uint8_t *places = s->places.data;
    uint32_t place_bits = run_place_bits(s->footer.length);
    uint32_t lines = s->footer.index_lines;

    for (uint64_t i = 0; i < s->footer.keys; i++) {
        uint64_t hash = load_u64(hashes + i * sizeof(uint64_t));
        uint64_t offset = (uint64_t)load_u32(places + i * sizeof(uint32_t)) * 8;
        uint64_t entries = (uint64_t)lines * RUN_LINE_ENTRIES;
        uint64_t at = (uint64_t)run_line(hash, lines) * RUN_LINE_ENTRIES;

        fetch_line(hashes, i, s->footer.keys, lines, out);
        while (load_u32(out + at * sizeof(uint32_t)) != 0) {
            at = at + 1 < entries ? at + 1 : 0;
        }
        store_u32(out + at * sizeof(uint32_t),
                  run_index_entry(hash, offset, place_bits));
    }
}

static void fill_filter(const cask_buffer *hashes, uint32_t lines, uint8_t *out)
{
    const uint8_t *from = hashes->data;
    const uint64_t count = lines > 0 ? hashes->size / sizeof(uint64_t) : 0;

    for (uint64_t i = 0; i < count; i++) {
        fetch_line(from, i, count, lines, out);
        run_filter_add(out, lines, load_u64(from + i * sizeof(uint64_t)));
    }
}

static uint64_t final_head(const run_sections *s, const fence_note *note)
{
    size_t lost = note->skip - s->shared;
    cask_slice front = {s->smallest.data, note->skip};
    uint64_t head = run_head(front, s->shared);

    return lost < 8 ? head | note->head >> (8 * lost) : head;
}

static void fill_fences(const run_sections *s, uint8_t *out)
{
    uint8_t *places = out + (uint64_t)s->footer.fences * sizeof(uint64_t);
    const uint8_t *notes = s->fences.data;

    for (uint32_t i = 0; i < s->footer.fences; i++) {
        fence_note note;

        memcpy(&note, notes + i * sizeof(note), sizeof(note));
        store_u64(out + i * sizeof(uint64_t), final_head(s, &note));
        store_u32(places + i * sizeof(uint32_t), note.place);
    }
}

static void copy(uint8_t **at, const cask_buffer *from)
{
    if (from->size > 0) {
        memcpy(*at, from->data, from->size);
        *at += from->size;
    }
}

static void fill(const run_sections *s, run_section section, uint8_t *out)
{
    switch (section) {
    case RUN_INDEX:
        fill_index(s, out);
        break;
    case RUN_FILTER:
        fill_filter(&s->hashes, s->footer.filter_lines, out);
        break;
    case RUN_PREFIXES:
        fill_filter(&s->prefixes, s->footer.prefix_lines, out);
        break;
    case RUN_FENCES:
        fill_fences(s, out);
        break;
    case RUN_SEGMENTS:
        copy(&out, &s->segments);
        break;
    case RUN_RANGES:
        copy(&out, &s->ranges);
        break;
    case RUN_BOUNDS:
        copy(&out, &s->smallest);
        copy(&out, &s->last);
        copy(&out, &s->end);
        break;
    case RUN_SECTIONS:
        break;
    }
}

static cask_status write_section(run_sections *s, run_section section,
                                 run_output *output, cask_error *err)
{
    uint64_t size =
        round_up(run_section_bytes(&s->footer, section), RUN_ALIGNMENT);
    uint8_t *bytes;
    cask_status status;

    if (size == 0) {
        return CASK_OK; /* its checksum is 0 */
    }
    bytes = calloc(1, size);
    if (bytes == NULL) {
        return fail_memory(err, size);
    }
    fill(s, section, bytes);
    s->footer.crc[section] = crc32c(0, bytes, size);
    status = run_output_write(output, bytes, size, err);
    free(bytes);
    return status;
}

static void complete_footer(run_sections *s, uint64_t length, uint64_t nonce)
{
    run_footer *footer = &s->footer;

    run_counts_say(&s->counts, footer);
    footer->nonce = nonce;
    footer->length = length;
    footer->index_lines = (uint32_t)run_index_lines(footer->keys);
    footer->filter_lines =
        s->no_filter ? 0 : (uint32_t)run_filter_lines(footer->keys);
    footer->prefix_lines =
        (uint32_t)run_filter_lines(s->prefixes.size / sizeof(uint64_t));
    footer->fences = (uint32_t)(s->fences.size / sizeof(fence_note));
    footer->segments = (uint32_t)(s->segments.size / RUN_SEGMENT_SIZE);
    footer->smallest_bytes = (uint16_t)s->smallest.size;
    footer->largest_bytes = (uint16_t)s->last.size;
    if (key_is_end(slice_of(&s->end))) {
        s->end.size = 0;
    }
    footer->end_bytes = (uint16_t)s->end.size;
}

cask_status run_sections_write(run_sections *s, run_output *output,
                               uint64_t nonce, cask_error *err)
{
    uint8_t bytes[RUN_FOOTER_SIZE];
    cask_status status;

    complete_footer(s, run_output_size(output), nonce);
    status = run_output_align(output, RUN_ALIGNMENT, err);
    for (int i = 0; i < RUN_SECTIONS && status == CASK_OK; i++) {
        status = write_section(s, (run_section)i, output, err);
    }
    if (status == CASK_OK) {
        run_footer_encode(&s->footer, bytes);
        status = run_output_write(output, bytes, sizeof(bytes), err);
    }
    return status;
}
