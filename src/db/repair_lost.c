/*
 * Lost records, see repair_lost.h.
 */
#include "db/repair_lost.h"

#include <stdlib.h>

#include "log/segment_format.h"

bool repair_has_lost(const repair *r, uint64_t segment_id)
{
    for (size_t i = 0; i < r->manifest.lost_count; i++) {
        if (r->manifest.losts[i].segment_id == segment_id) {
            return true;
        }
    }
    return false;
}

cask_status repair_lost_begin(repair *r, cask_error *err)
{
    r->lost_is_met = calloc(r->manifest.lost_count + 1, sizeof(bool));
    return r->lost_is_met != NULL ? CASK_OK
                                  : fail_memory(err, r->manifest.lost_count);
}

/* One that stands for all that were lost of a segment at that time. */
static bool is_for_many(const manifest_lost *lost)
{
    return lost->key_size == 0 && lost->known_bytes == 0;
}

bool repair_was_lost(const repair *r, const repair_source *source,
                     const scan_item *item)
{
    bool was_lost = false;

    for (size_t i = 0; i < r->manifest.lost_count; i++) {
        const manifest_lost *lost = &r->manifest.losts[i];

        if (lost->segment_id == source->id && source->is_listed) {
            bool is_it = lost->offset == item->offset;

            r->lost_is_met[i] = r->lost_is_met[i] || is_it;
            was_lost =
                was_lost || is_it ||
                (is_for_many(lost) && item->header.sequence <= lost->sequence);
        }
    }
    return was_lost;
}

bool repair_note_lost(repair *r, const repair_source *source,
                      const scan_item *damage)
{
    bool was_lost = false;

    for (size_t i = 0; i < r->manifest.lost_count; i++) {
        const manifest_lost *lost = &r->manifest.losts[i];

        if (lost->segment_id == source->id && source->is_listed) {
            bool is_it = lost->offset >= damage->offset &&
                         lost->offset - damage->offset < damage->size;

            r->lost_is_met[i] = r->lost_is_met[i] || is_it;
            was_lost = was_lost || is_it || is_for_many(lost);
        }
    }
    return was_lost;
}

void repair_tell_lost(repair *r)
{
    for (size_t i = 0; i < r->manifest.lost_count; i++) {
        const manifest_lost *lost = &r->manifest.losts[i];
        char name[SEGMENT_NAME_SIZE];

        if (!r->lost_is_met[i]) {
            segment_name_format(lost->segment_id, name);
            repair_tell(
                r, &(cask_lost){
                       .at = {.file = name,
                              .offset = lost->offset,
                              .reason = "a record was damaged before it was in "
                                        "a run, and is not here any more; an "
                                        "older value of its key can be back"}});
        }
    }
}
