/*
 * caskade run info: what a run says of itself.
 */
#include <inttypes.h>

#include "json_format.h"
#include "key_text.h"
#include "output.h"
#include "run_command.h"
#include "units.h"

/* All labels are padded to this width. */
#define LABEL "%-16s"

static void add_count(text *out, const char *label, uint64_t count)
{
    char number[UNITS_TEXT_SIZE];

    text_add_format(out, LABEL "%s\n", label,
                    units_format_count(number, count));
}

static void add_bytes(text *out, const char *label, uint64_t bytes)
{
    char size[UNITS_TEXT_SIZE];

    text_add_format(out, LABEL "%s\n", label, units_format_bytes(size, bytes));
}

static void add_key(text *out, const char *label, cask_slice key)
{
    text_add_format(out, LABEL, label);
    key_text_add(out, key);
    text_add_char(out, '\n');
}

static void add_span(text *out, const char *label, uint32_t first_s,
                     uint32_t last_s)
{
    char from[UNITS_TEXT_SIZE];
    char to[UNITS_TEXT_SIZE];

    text_add_format(out, LABEL "%s to %s\n", label,
                    units_format_moment(from, (uint64_t)first_s * 1000),
                    units_format_moment(to, (uint64_t)last_s * 1000));
}

static void add_times(text *out, const cask_run_info *info)
{
    if (info->last_time_s > 0) {
        add_span(out, "written", info->first_time_s, info->last_time_s);
    }
    if (info->expiring > 0) {
        add_count(out, "expiring", info->expiring);
        add_span(out, "", info->first_expiry_s, info->last_expiry_s);
    }
}

static void add_text(const cask_run *run, const cask_run_info *info, text *out)
{
    text_add_format(out, LABEL "%s\n", "kind",
                    info->is_values
                        ? "values of a store, apart from the runs that name "
                          "them"
                        : "run");
    add_bytes(out, "file", info->file_bytes);
    add_count(out, "records", info->records);
    add_bytes(out, "", info->record_bytes);
    add_count(out, "keys", info->keys);
    add_count(out, "tombstones", info->tombstones);
    add_count(out, "ranges deleted", info->ranges);
    add_count(out, "pointers", info->pointers);
    if (info->records > 0) {
        text_add_format(out, LABEL "%" PRIu64 " to %" PRIu64 "\n", "sequences",
                        info->first_sequence, info->last_sequence);
        add_key(out, "smallest key", info->smallest_key);
        add_key(out, "largest key", info->largest_key);
    }
    add_times(out, info);
    if (info->ranges > 0 && info->largest_end.size > 0) {
        add_key(out, "last range to", info->largest_end);
    } else if (info->ranges > 0) {
        text_add_format(out, LABEL "the end\n", "last range to");
    }
    add_bytes(out, "index", info->index_bytes);
    add_bytes(out, "filter", info->filter_bytes);
    if (info->prefix_bytes > 0) {
        text_add_format(out, LABEL "of %" PRIu32 " bytes\n", "prefixes",
                        info->prefix_bytes);
        add_bytes(out, "", info->prefix_filter_bytes);
    }
    add_bytes(out, "fences", info->fence_bytes);
    for (uint32_t i = 0; i < info->segment_count; i++) {
        cask_run_segment segment = cask_run_get_segment(run, i);
        char size[UNITS_TEXT_SIZE];

        text_add_format(out, LABEL "%016" PRIx64 ".run, %s\n",
                        i == 0 ? "points into" : "", segment.id,
                        units_format_bytes(size, segment.bytes));
    }
}

static void set_count(json_t *object, const char *name, uint64_t count,
                      text *out)
{
    if (json_object_set_new(object, name, json_integer((json_int_t)count)) !=
        0) {
        out->failed = true;
    }
}

static json_t *list_segments(const cask_run *run, uint32_t count)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < count; i++) {
        cask_run_segment segment = cask_run_get_segment(run, i);

        (void)json_array_append_new(
            list, json_pack("{s:I, s:I}", "id", (json_int_t)segment.id, "bytes",
                            (json_int_t)segment.bytes));
    }
    return list;
}

static void add_json(const cask_run *run, const cask_run_info *info, text *out)
{
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
        {"file_bytes", info->file_bytes},
        {"record_bytes", info->record_bytes},
        {"records", info->records},
        {"keys", info->keys},
        {"tombstones", info->tombstones},
        {"ranges", info->ranges},
        {"pointers", info->pointers},
        {"first_sequence", info->first_sequence},
        {"last_sequence", info->last_sequence},
        {"index_bytes", info->index_bytes},
        {"filter_bytes", info->filter_bytes},
        {"prefix_bytes", info->prefix_bytes},
        {"prefix_filter_bytes", info->prefix_filter_bytes},
        {"fence_bytes", info->fence_bytes},
        {"expiring", info->expiring},
        {"first_expiry_s", info->first_expiry_s},
        {"last_expiry_s", info->last_expiry_s},
        {"first_time_s", info->first_time_s},
        {"last_time_s", info->last_time_s},
    };
    json_t *object =
        json_pack("{s:s}", "kind", info->is_values ? "values" : "run");

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        set_count(object, counts[i].name, counts[i].count, out);
    }
    if (info->records > 0) {
        json_format_set_bytes(object, "smallest_key", "smallest_key64",
                              info->smallest_key, out);
        json_format_set_bytes(object, "largest_key", "largest_key64",
                              info->largest_key, out);
    }
    if (info->ranges > 0 && info->largest_end.size > 0) {
        json_format_set_bytes(object, "largest_end", "largest_end64",
                              info->largest_end, out);
    }
    (void)json_object_set_new(object, "segments",
                              list_segments(run, info->segment_count));
    json_format_add(out, object);
    text_add_char(out, '\n');
}

exit_status run_info(const run_settings *settings, const char *path)
{
    cask_run *run = NULL;
    cask_error err = {0};
    cask_run_info info;
    text out = {0};

    if (cask_run_open(path, &run, &err) != CASK_OK) {
        return run_report(path, &err);
    }
    cask_run_get_info(run, &info);
    if (settings->json) {
        add_json(run, &info, &out);
    } else {
        add_text(run, &info, &out);
    }
    (void)output_text(&out);
    text_free(&out);
    cask_run_close(run);
    return EXIT_DONE;
}
