/*
 * Opening a run: everything but its records is verified, see run_read.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "log/segment.h"
#include "run/run_read.h"

static const char *const section_names[RUN_SECTIONS] = {
    "index",  "filter", "filter of prefixes", "fences", "segments",
    "ranges", "bounds"};

static cask_status check_section(const cask_run *run, int section,
                                 cask_error *err)
{
    uint64_t offset = run->at[section];
    bool is_copied = section == RUN_SEGMENTS && run->segments != NULL;
    const uint8_t *bytes = is_copied ? run->segments : run->bytes + offset;
    uint32_t stored = run->footer.crc[section];
    uint32_t computed =
        crc32c(0, bytes, (size_t)(run->at[section + 1] - offset));

    return computed == stored
               ? CASK_OK
               : fail(err, CASK_CORRUPT, 0,
                      "%s: offset %" PRIu64 ": crc32c of the %s is %08" PRIx32
                      ", stored %08" PRIx32,
                      run->name, offset, section_names[section], computed,
                      stored);
}

/* Before it is verified: that counts for the copy. */
static cask_status copy_segments(cask_run *run, cask_error *err)
{
    uint64_t offset = run->at[RUN_SEGMENTS];
    size_t size = (size_t)(run->at[RUN_SEGMENTS + 1] - offset);

    if (size == 0) {
        return CASK_OK;
    }
    run->segments = malloc(size);
    if (run->segments == NULL) {
        return fail_memory(err, size);
    }
    memcpy(run->segments, run->bytes + offset, size);
    return CASK_OK;
}

static cask_status check_sections(const cask_run *run, cask_error *err)
{
    cask_status status = CASK_OK;

    for (int i = 0; i < RUN_SECTIONS && status == CASK_OK; i++) {
        status = check_section(run, i, err);
    }
    return status;
}

/* They rise, and lie among the records. */
static cask_status check_fences(const cask_run *run, cask_error *err)
{
    uint64_t before = 0;
    uint64_t head = 0;

    for (uint32_t i = 0; i < run->footer.fences; i++) {
        uint64_t offset = run_fence_offset(run, i);
        uint64_t next = run_fence_head(run, i);
        bool is_right = i == 0 ? offset == SEGMENT_HEADER_SIZE
                               : offset > before && next >= head;

        if (!is_right || offset >= run->footer.length) {
            return fail(err, CASK_CORRUPT, 0,
                        "%s: offset %" PRIu64 ": fence %" PRIu32
                        " names offset %" PRIu64 ", after %" PRIu64,
                        run->name, run->at[RUN_FENCES], i, offset, before);
        }
        before = offset;
        head = next;
    }
    return CASK_OK;
}

static cask_status take_tops(cask_run *run, cask_error *err)
{
    uint32_t fences = run->footer.fences;
    uint32_t count = fences / RUN_TOP_FENCES + (fences % RUN_TOP_FENCES > 0);

    if (count == 0) {
        return CASK_OK;
    }
    run->tops = malloc(count * sizeof(*run->tops));
    if (run->tops == NULL) {
        return fail_memory(err, count * sizeof(*run->tops));
    }
    run->top_count = count;
    for (uint32_t i = 0; i < count; i++) {
        run->tops[i] = run_fence_head(run, i * RUN_TOP_FENCES);
    }
    return CASK_OK;
}

static cask_status take_bounds(cask_run *run, cask_error *err)
{
    const uint8_t *from = run->bytes + run->at[RUN_BOUNDS];

    run->smallest = (cask_slice){from, run->footer.smallest_bytes};
    from += run->smallest.size;
    run->largest = (cask_slice){from, run->footer.largest_bytes};
    from += run->largest.size;
    run->end = (cask_slice){from, run->footer.end_bytes};
    if (run->footer.ranges > 0) {
        run->end = key_end_of(run->end);
    }
    run->skip = run_shared(run->smallest, run->largest);
    if (key_compare(run->smallest, run->largest) > 0) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": the largest key is smaller than "
                    "the smallest",
                    run->name, run->at[RUN_BOUNDS]);
    }
    return CASK_OK;
}

/* Read the record of row `index`, which is behind that of the row before. */
static cask_status take_range(const cask_run *run, uint32_t index,
                              run_range *ranges, cask_error *err)
{
    const uint8_t *row =
        run->bytes + run->at[RUN_RANGES] + (uint64_t)index * RUN_RANGE_SIZE;
    const run_range *before = ranges + (index > 0 ? index - 1 : 0);
    uint64_t offset = (uint64_t)load_u32(row) * 8;
    run_record record;
    cask_run_entry entry;
    cask_status status = run_read_record(run, offset, &record, err);

    if (status != CASK_OK) {
        return status;
    }
    run_describe(run, &record, &entry);
    if (entry.kind != CASK_RUN_DELETE_RANGE ||
        (index > 0 && (offset <= before->offset ||
                       key_compare(entry.key, before->start) < 0))) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": row %" PRIu32
                    " of the ranges names offset %" PRIu64
                    ", where the next range is not",
                    run->name, run->at[RUN_RANGES], index, offset);
    }
    ranges[index] = (run_range){entry.key, key_end_of(entry.value),
                                entry.info.sequence, offset};
    return CASK_OK;
}

/* These records are read now: every look-up has to know them. */
static cask_status take_ranges(cask_run *run, cask_error *err)
{
    uint32_t count = run->footer.ranges;
    cask_status status = CASK_OK;
    run_range *ranges;

    if (count == 0) {
        return CASK_OK;
    }
    ranges = calloc(count, sizeof(*ranges));
    if (ranges == NULL) {
        return fail_memory(err, count * sizeof(*ranges));
    }
    for (uint32_t i = 0; i < count && status == CASK_OK; i++) {
        status = take_range(run, i, ranges, err);
    }
    if (status != CASK_OK) {
        free(ranges);
        return status;
    }
    return run_ranges_build(&run->ranges, ranges, count, err);
}

/* That it is the file that was meant: names may have been exchanged. */
static cask_status check_expected(const cask_run *run,
                                  const segment_header *header,
                                  const segment_header *expected,
                                  cask_error *err)
{
    if (header->id != expected->id ||
        memcmp(header->uuid, expected->uuid, sizeof(header->uuid)) != 0) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset 16: belongs to another store or file (id "
                    "%016" PRIx64 ", expected %016" PRIx64 ")",
                    run->name, header->id, expected->id);
    }
    if (expected->nonce != 0 && header->nonce != expected->nonce) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset 40: nonce is %016" PRIx64
                    ", expected %016" PRIx64,
                    run->name, header->nonce, expected->nonce);
    }
    return CASK_OK;
}

/* What is told of its sequences stays in range. */
static cask_status check_added(const cask_run *run, int64_t added,
                               cask_error *err)
{
    /* Both are below 2^56, as is what is added. */
    int64_t first = (int64_t)run->footer.first_sequence;
    int64_t last = (int64_t)run->footer.last_sequence;

    if (added > (int64_t)RECORD_SEQUENCE_MAX - last) {
        return fail(err, CASK_INVALID, 0,
                    "%s: sequences up to %" PRId64 " and %" PRId64
                    " are more than 2^56; build it with smaller ones",
                    run->name, last, added);
    }
    if (run->footer.records > 0 && added < 1 - first) {
        return fail(err, CASK_INVALID, 0,
                    "%s: sequences from %" PRId64 " and %" PRId64
                    " are less than 1",
                    run->name, first, added);
    }
    return CASK_OK;
}

/* Whoever asks for no run of a store may read both kinds. */
static cask_status check_kind(const cask_run *run, const segment_header *header,
                              const segment_header *expected, cask_error *err)
{
    bool is_right = expected != NULL ? header->kind == expected->kind
                                     : header->kind == SEGMENT_RUN ||
                                           header->kind == SEGMENT_VALUES;

    return is_right
               ? CASK_OK
               : fail(err, CASK_CORRUPT, 0,
                      "%s: offset 12: kind of segment is %d, expected %d (%s)",
                      run->name, (int)header->kind,
                      expected != NULL ? (int)expected->kind : SEGMENT_RUN,
                      expected != NULL && expected->kind == SEGMENT_VALUES
                          ? "values"
                          : "run");
}

/* Header and footer, and that they belong together. */
static cask_status take_ends(cask_run *run, const run_open_options *options,
                             cask_error *err)
{
    uint64_t offset = run->size - RUN_FOOTER_SIZE;
    segment_header header;
    cask_status status;

    status = segment_header_decode(run->bytes, run->name, &header, err);
    if (status != CASK_OK) {
        return status;
    }
    status = check_kind(run, &header, options->expected, err);
    if (status == CASK_OK && options->expected != NULL) {
        status = check_expected(run, &header, options->expected, err);
    }
    if (status == CASK_OK) {
        status = run_footer_decode(run->bytes + offset, run->name, offset,
                                   &run->footer, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    if (run->footer.nonce != header.nonce) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": nonce of the footer is %016" PRIx64
                    ", that of the header %016" PRIx64,
                    run->name, offset, run->footer.nonce, header.nonce);
    }
    run_layout(&run->footer, run->at);
    run->is_values = header.kind == SEGMENT_VALUES;
    run->place_bits = run_place_bits(run->footer.length);
    run->is_usual = run->footer.keys > 0 && run->footer.ranges == 0;
    run->added_sequence = (uint64_t)options->added_sequence;
    return check_added(run, options->added_sequence, err);
}

/* What is known of a damaged one. */
static cask_status take_extent(cask_run *run, const segment_header *expected,
                               cask_error *err)
{
    uint64_t offset = run->size - RUN_FOOTER_SIZE;
    cask_status status = run_footer_decode(run->bytes + offset, run->name,
                                           offset, &run->footer, err);

    if (status == CASK_OK && run->footer.nonce != expected->nonce) {
        status =
            fail(err, CASK_CORRUPT, 0,
                 "%s: offset %" PRIu64 ": nonce of the footer is %016" PRIx64
                 ", expected %016" PRIx64,
                 run->name, offset, run->footer.nonce, expected->nonce);
    }
    if (status == CASK_OK) {
        run_layout(&run->footer, run->at);
        status = check_section(run, RUN_BOUNDS, err);
    }
    return status == CASK_OK ? take_bounds(run, err) : status;
}

static cask_status take_file(cask_run *run, const run_open_options *options,
                             cask_error *err)
{
    cask_status status;

    if (run->size < SEGMENT_HEADER_SIZE + RUN_FOOTER_SIZE ||
        run->size % 8 != 0) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset 0: a file of %" PRIu64
                    " bytes, a run has at least %d and a multiple of 8",
                    run->name, run->size,
                    SEGMENT_HEADER_SIZE + RUN_FOOTER_SIZE);
    }
    if (options->extent == RUN_BOUNDED) {
        return take_extent(run, options->expected, err);
    }
    status = take_ends(run, options, err);
    if (status != CASK_OK || options->extent == RUN_ENDS) {
        return status;
    }
    status = copy_segments(run, err);
    if (status == CASK_OK) {
        status = check_sections(run, err);
    }
    if (status == CASK_OK) {
        status = check_fences(run, err);
    }
    if (status == CASK_OK) {
        status = take_tops(run, err);
    }
    if (status == CASK_OK) {
        status = take_bounds(run, err);
    }
    return status == CASK_OK ? take_ranges(run, err) : status;
}

static cask_run *create(const char *name, cask_error *err)
{
    cask_run *run = calloc(1, sizeof(*run));

    if (run != NULL) {
        run->name = strdup(name);
    }
    if (run == NULL || run->name == NULL) {
        (void)fail_memory(err, sizeof(*run));
        free(run);
        return NULL;
    }
    return run;
}

cask_status run_open_bytes(const uint8_t *bytes, uint64_t size,
                           const char *name, cask_run **ret_run,
                           cask_error *err)
{
    const run_open_options none = {0};
    cask_run *run = create(name, err);
    cask_status status;

    if (run == NULL) {
        return CASK_NO_MEMORY;
    }
    run->bytes = bytes;
    run->size = size;
    status = take_file(run, &none, err);
    if (status != CASK_OK) {
        run_close(run);
        return status;
    }
    *ret_run = run;
    return CASK_OK;
}

/* What is wrong with the path of a file that is only to be read is the path. */
static cask_status fail_open(const char *name, int os_errno, cask_error *err)
{
    switch (os_errno) {
    case ENOENT:
        return fail(err, CASK_NOT_FOUND, 0, "%s: there is no such file", name);
    case EINVAL:
        return fail(err, CASK_INVALID, 0,
                    "%s: is no plain file; give the path of a run", name);
    case ELOOP:
        return fail(err, CASK_INVALID, 0,
                    "%s: is a symbolic link; give the path of the run itself",
                    name);
    default:
        return fail_os(err, os_errno, "%s: cannot open it", name);
    }
}

static cask_status map_file(cask_run *run, os_file *dir, cask_error *err)
{
    const os_ops *ops = dir->os->ops;
    const char *step = "examine";
    os_file *file;
    os_stat stat;
    int os_errno = ops->open(dir, run->name, OS_READ, 0, &file);

    if (os_errno != 0) {
        return fail_open(run->name, os_errno, err);
    }
    os_errno = ops->stat(file, &stat);
    if (os_errno == 0 && stat.size > 0) {
        step = "map";
        os_errno = ops->map(file, 0, (size_t)stat.size, false, &run->memory);
    }
    ops->close(file);
    if (os_errno != 0) {
        run->memory = NULL;
        return fail_os(err, os_errno, "%s: cannot %s it", run->name, step);
    }
    run->kernel = dir->os;
    run->size = stat.size;
    run->bytes = run->memory;
    return CASK_OK;
}

cask_status run_open(os_file *dir, const char *name,
                     const run_open_options *options, cask_run **ret_run,
                     cask_error *err)
{
    const run_open_options none = {0};
    cask_run *run = create(name, err);
    cask_status status;

    if (run == NULL) {
        return CASK_NO_MEMORY;
    }
    status = map_file(run, dir, err);
    if (status == CASK_OK) {
        status = take_file(run, options != NULL ? options : &none, err);
    }
    if (status != CASK_OK) {
        run_close(run);
        return status;
    }
    *ret_run = run;
    return CASK_OK;
}

void run_close(cask_run *run)
{
    if (run == NULL) {
        return;
    }
    if (run->memory != NULL) {
        run->kernel->ops->unmap(run->kernel, run->memory, (size_t)run->size);
    }
    run_ranges_free(&run->ranges);
    free(run->segments);
    free(run->tops);
    free(run->name);
    free(run);
}
