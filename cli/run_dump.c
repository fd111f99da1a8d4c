/*
 * caskade run dump: what is in a run, or in a part of it, as text.
 *
 * Every record on the way is read and verified. Which of them counts for a key
 * is not decided here: each key is looked up once.
 */
#include <inttypes.h>

#include "json_format.h"
#include "output.h"
#include "run_command.h"
#include "signals.h"
#include "units.h"
#include "word.h"

typedef struct run_dumper {
    const run_settings *settings;
    const char *path;
    const cask_run *run;
    cask_slice from; /* the smallest key that is wanted */
    cask_slice to;   /* the first one behind these */
    bool has_to;     /* else all up to the end */
    text before;     /* the last key that was looked up */
    bool has_before;
    cask_buffer value;
    text prefix_end; /* memory of `to` */
    text out;
    uint64_t count;    /* printed */
    uint64_t pointers; /* left out: their values are not in the file */
} run_dumper;

/* ---- Bounds ------------------------------------------------------------ */

static void limit_to_prefix(run_dumper *dump, cask_slice prefix)
{
    cask_slice end;

    if (key_range_compare(prefix, dump->from) > 0) {
        dump->from = prefix;
    }
    if (!key_range_prefix_end(prefix, &dump->prefix_end)) {
        return;
    }
    end = text_slice(&dump->prefix_end);
    if (!dump->prefix_end.failed &&
        (!dump->has_to || key_range_compare(end, dump->to) < 0)) {
        dump->to = end;
        dump->has_to = true;
    }
}

static exit_status take_bounds(run_dumper *dump)
{
    const run_settings *settings = dump->settings;
    key_bounds bounds = {.from = {0}};
    exit_status status =
        key_range_bounds(&settings->range, settings->escapes, &bounds);

    dump->from = bounds.from;
    dump->to = bounds.to;
    dump->has_to = settings->range.to != NULL;
    if (status == EXIT_DONE && settings->range.prefix != NULL) {
        limit_to_prefix(dump, bounds.prefix);
    }
    return status == EXIT_DONE && dump->prefix_end.failed ? report_memory()
                                                          : status;
}

static bool is_below(const run_dumper *dump, cask_slice key)
{
    return key_range_compare(key, dump->from) < 0;
}

static bool is_behind(const run_dumper *dump, cask_slice key)
{
    return dump->has_to && key_range_compare(key, dump->to) >= 0;
}

/* ---- Records ----------------------------------------------------------- */

static const char *kind_name(cask_run_kind kind)
{
    switch (kind) {
    case CASK_RUN_PUT:
        return "put";
    case CASK_RUN_DELETE:
        return "delete";
    case CASK_RUN_DELETE_RANGE:
        return "delete-range";
    case CASK_RUN_POINTER:
        return "pointer";
    }
    return "?";
}

static void set_number(json_t *object, const char *name, uint64_t number,
                       text *out)
{
    if (json_object_set_new(object, name, json_integer((json_int_t)number)) !=
        0) {
        out->failed = true;
    }
}

static void encode_record(const cask_run_entry *entry, bool keys_only,
                          text *out)
{
    json_t *object = json_pack("{s:s}", "kind", kind_name(entry->kind));

    json_format_set_bytes(object, "key", "key64", entry->key, out);
    if (entry->kind == CASK_RUN_DELETE_RANGE && entry->value.size > 0) {
        json_format_set_bytes(object, "to", "to64", entry->value, out);
    } else if (entry->kind == CASK_RUN_PUT && !keys_only) {
        json_format_set_bytes(object, "value", "value64", entry->value, out);
    }
    set_number(object, "sequence", entry->info.sequence, out);
    set_number(object, "time_s", entry->info.time_s, out);
    if (entry->info.expires_at_ms != 0) {
        set_number(object, "expires_at_ms", entry->info.expires_at_ms, out);
    }
    if (entry->kind == CASK_RUN_POINTER) {
        set_number(object, "segment", entry->pointer.segment_id, out);
        set_number(object, "offset", entry->pointer.offset, out);
        set_number(object, "size_bytes", entry->pointer.size_bytes, out);
    }
    json_format_add(out, object);
    text_add_char(out, '\n');
}

static bool print_record(run_dumper *dump, const cask_run_entry *entry)
{
    text_clear(&dump->out);
    encode_record(entry, dump->settings->range.keys_only, &dump->out);
    dump->count++;
    return output_text(&dump->out);
}

/* ---- Keys -------------------------------------------------------------- */

static bool print_entry(run_dumper *dump, const cask_run_entry *entry)
{
    const text_format *format = dump->settings->format != NULL
                                    ? dump->settings->format
                                    : text_format_find("tsv");
    text_record record = {entry->key, entry->value, entry->info.expires_at_ms};

    if (entry->kind == CASK_RUN_POINTER && !dump->settings->range.keys_only) {
        dump->pointers++;
        return true;
    }
    if (entry->kind != CASK_RUN_PUT && entry->kind != CASK_RUN_POINTER) {
        return true;
    }
    text_clear(&dump->out);
    text_format_add(format, &record, dump->settings->range.keys_only,
                    &dump->out);
    dump->count++;
    return output_text(&dump->out);
}

/* Of a key with several records, the first one met leads to what counts.
 * CASK_TIMEOUT: stop. */
static cask_status visit(run_dumper *dump, const cask_run_entry *entry,
                         cask_error *err)
{
    cask_run_entry found;
    cask_status result;
    bool go_on = true;

    if (dump->settings->records) {
        go_on = print_record(dump, entry);
    } else if (!dump->has_before ||
               key_range_compare(text_slice(&dump->before), entry->key) != 0) {
        text_clear(&dump->before);
        text_add(&dump->before, entry->key.data, entry->key.size);
        dump->has_before = !dump->before.failed;
        result =
            cask_run_get(dump->run, entry->key, 0, &dump->value, &found, err);
        if (result != CASK_OK) {
            return result;
        }
        go_on = print_entry(dump, &found);
    }
    return go_on && signals_arrived() == 0 &&
                   (dump->settings->range.limit == 0 ||
                    dump->count < dump->settings->range.limit)
               ? CASK_OK
               : CASK_TIMEOUT;
}

/* ---- Walk -------------------------------------------------------------- */

static cask_status walk_forward(run_dumper *dump, cask_run_iterator *iterator,
                                cask_error *err)
{
    cask_run_entry entry;
    cask_status result = cask_run_iterator_seek(iterator, CASK_RUN_AT_LEAST,
                                                dump->from, &entry, err);

    while (result == CASK_OK && !is_behind(dump, entry.key)) {
        result = visit(dump, &entry, err);
        if (result == CASK_OK) {
            result = cask_run_iterator_next(iterator, &entry, err);
        }
    }
    return result;
}

static cask_status walk_backward(run_dumper *dump, cask_run_iterator *iterator,
                                 cask_error *err)
{
    cask_run_seek how = dump->has_to ? CASK_RUN_AT_MOST : CASK_RUN_LAST;
    cask_run_entry entry;
    cask_status result =
        cask_run_iterator_seek(iterator, how, dump->to, &entry, err);

    while (result == CASK_OK && !is_below(dump, entry.key)) {
        if (!is_behind(dump, entry.key)) {
            result = visit(dump, &entry, err);
        }
        if (result == CASK_OK) {
            result = cask_run_iterator_previous(iterator, &entry, err);
        }
    }
    return result;
}

static exit_status walk(run_dumper *dump)
{
    cask_run_iterator *iterator = NULL;
    cask_error err = {0};
    cask_status result = cask_run_iterator_create(dump->run, &iterator, &err);

    if (result == CASK_OK) {
        result = dump->settings->range.reverse
                     ? walk_backward(dump, iterator, &err)
                     : walk_forward(dump, iterator, &err);
    }
    cask_run_iterator_free(iterator);
    if (result != CASK_OK && result != CASK_NOT_FOUND &&
        result != CASK_TIMEOUT) {
        return run_report(dump->path, &err);
    }
    if (dump->pointers > 0) {
        (void)report(
            EXIT_DONE,
            "note: %s: %" PRIu64 " value%s in runs of values, left out; "
            "--records shows where",
            dump->path, dump->pointers, dump->pointers == 1 ? " is" : "s are");
    }
    return EXIT_DONE;
}

/* What a key has in such a file need not be what it has in the store. */
static void tell_kind(const cask_run *run, const char *path)
{
    cask_run_info info;

    cask_run_get_info(run, &info);
    if (info.is_values) {
        (void)report(EXIT_DONE,
                     "note: %s: values of a store, apart from the runs that "
                     "name them; some may be overwritten or deleted by now",
                     path);
    }
}

exit_status run_dump(const run_settings *settings, const char *path)
{
    run_dumper dump = {.settings = settings, .path = path};
    cask_run *run = NULL;
    cask_error err = {0};
    exit_status status = take_bounds(&dump);

    if (status == EXIT_DONE && cask_run_open(path, &run, &err) != CASK_OK) {
        status = run_report(path, &err);
    }
    if (status == EXIT_DONE) {
        dump.run = run;
        tell_kind(run, path);
        signals_catch();
        status = walk(&dump);
    }
    cask_run_close(run);
    cask_buffer_free(&dump.value);
    text_free(&dump.before);
    text_free(&dump.prefix_end);
    text_free(&dump.out);
    return status;
}
