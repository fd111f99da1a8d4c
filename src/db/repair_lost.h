/*
 * Repair: records of the log of a tree that were lost before they were in a
 * run, as MANIFEST tells. All else of their segments is in runs, and is not
 * read there; but whoever restored such a file has them again.
 */
#ifndef CASKADE_REPAIR_LOST_H
#define CASKADE_REPAIR_LOST_H

#include "db/repair.h"

/* Whether MANIFEST tells of lost records in a segment: then it is read, though
 * all else in it is in runs. */
bool repair_has_lost(const repair *r, uint64_t segment_id);

/* When MANIFEST is known. CASK_OK or CASK_NO_MEMORY. */
cask_status repair_lost_begin(repair *r, cask_error *err);

/* Whether a record of the log, which can be read, is one of them, or may be. */
bool repair_was_lost(const repair *r, const repair_source *source,
                     const scan_item *item);

/* These bytes of the log are told as damaged. True: one of them was here, or
 * may have been. */
bool repair_note_lost(repair *r, const repair_source *source,
                      const scan_item *damage);

/* When all was read: tell those that were neither read nor told. */
void repair_tell_lost(repair *r);

#endif
