/*
 * Walking through the members of a source, see bitcask_importer.h.
 */
#include "bitcask_importer.h"

#include <inttypes.h>
#include <stdio.h>

#include "key_text.h"
#include "signals.h"

enum { NOTES_PER_FILE = 20 }; /* then damage is only counted */

static bool fail_with(importer *import, exit_status status)
{
    import->status = status;
    return false;
}

bool importer_fail_memory(importer *import)
{
    progress_wipe(&import->progress);
    return fail_with(import, report_memory());
}

bool importer_check(importer *import, cask_status status, const cask_error *err)
{
    if (status == CASK_OK) {
        return true;
    }
    progress_wipe(&import->progress);
    return fail_with(import, report_failure("import", err));
}

bool importer_advance(importer *import, uint64_t offset)
{
    progress_update(&import->progress, import->bytes_before + offset,
                    import->counts.records);
    return signals_arrived() == 0;
}

bitcask_member *importer_member(const importer *import)
{
    return &import->source->members[import->member];
}

bool importer_each_member(importer *import, bool (*visit)(importer *import))
{
    bool goes_on = true;

    for (import->member = 0; import->member < import->source->count && goes_on;
         import->member++) {
        goes_on = visit(import);
    }
    return goes_on;
}

static void look_ahead(void *context, cask_slice key)
{
    importer *import = context;

    bitcask_index_prefetch(&import->index,
                           bitcask_index_hash(&import->index, key));
}

static bool search(void *context, uint64_t offset)
{
    return importer_advance(context, offset);
}

bool importer_walk(importer *import, importer_record_fn on_record,
                   importer_damage_fn on_damage, bool wants_values)
{
    bitcask_member *member = importer_member(import);
    const bitcask_stamp unknown = {.size = 0};
    /* Without an index nothing is looked up. */
    const bitcask_visitor visitor = {
        .wants_values = wants_values,
        .on_ahead = import->index.count > 0 ? look_ahead : NULL,
        .on_record = on_record,
        .on_damage = on_damage,
        .on_search = search,
        .context = import,
    };
    bitcask_walk_result result;
    bitcask_hints hints = {.next = 0};
    bitcask_file data = {0};
    int os_errno = bitcask_file_open(&data, member->data_path);

    if (os_errno != 0) {
        progress_wipe(&import->progress);
        return fail_with(import, report_errno(os_errno, "%s: cannot read it",
                                              member->data_path));
    }
    member->has_hints =
        member->has_hints &&
        bitcask_hints_open(&hints, member->hint_path, data.size,
                           data.size == member->data_bytes
                               ? &member->hint_stamp
                               : &unknown) == BITCASK_HINTS_SOUND;
    result = bitcask_walk(&data, member->has_hints ? &hints : NULL, &visitor);
    if (result == BITCASK_WALK_HINTS_WRONG) {
        member->has_hints = false;
        member->hints_wrong = true;
        progress_wipe(&import->progress);
        (void)report(EXIT_DONE,
                     "note: %s: it is of other data, which is read "
                     "without it",
                     member->hint_path);
    }
    import->bytes_before += data.size;
    bitcask_hints_close(&hints);
    bitcask_file_close(&data);
    if (result == BITCASK_WALK_NO_MEMORY) {
        return importer_fail_memory(import);
    }
    return result != BITCASK_WALK_ENDED;
}

/* What was there: ", a value of KEY". */
static void describe(const bitcask_damage *damage, text *out)
{
    if (damage->hint != NULL) {
        text_add_format(out, ", %s ",
                        damage->hint->tombstone ? "the deletion of"
                                                : "a value of");
        key_text_add(out, damage->key);
    }
    text_add_char(out, '\0');
}

void importer_note_damage(importer *import, const bitcask_damage *damage)
{
    const char *path = importer_member(import)->data_path;
    text what = {0};

    import->counts.damaged_places++;
    import->counts.damaged_bytes += damage->size;
    import->file_notes++;
    if (import->file_notes > NOTES_PER_FILE) {
        return;
    }
    describe(damage, &what);
    progress_wipe(&import->progress);
    (void)report(
        EXIT_DONE,
        "note: %s: offset %" PRIu64 ": %" PRIu64 " bytes are damaged%s%s", path,
        damage->offset, damage->size, what.failed ? "" : what.data,
        import->file_notes == NOTES_PER_FILE
            ? "; more damage in this file is only counted"
            : "");
    text_free(&what);
}
