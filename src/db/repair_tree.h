/*
 * Of a tree everything is read once: records are sorted beside the new store,
 * in bounded memory, and of each key the newest becomes part of its one run.
 * All but sequences of runs that were taken in stays as it is.
 */
#ifndef CASKADE_REPAIR_TREE_H
#define CASKADE_REPAIR_TREE_H

#include "db/repair.h"
#include "run/run_format.h"

/* Begin to sort in r->target. repair_tree_end() in any case. */
cask_status repair_tree_begin(repair *r, cask_error *err);
void repair_tree_end(repair *r);

/* Add a record that was visited. CASK_CORRUPT, without a message: it cannot be
 * read any more. */
cask_status repair_tree_add(repair *r, const repair_source *source,
                            repair_bytes *bytes, const scan_item *item,
                            cask_error *err);

/* Write the new store. */
cask_status repair_tree_write(repair *r, cask_error *err);

/* What the footer of a run is, if it is whole; and what is left of one that is
 * not. */
bool repair_run_footer(repair_bytes *bytes, run_footer *ret_footer);
bool repair_run_footer_says(repair_bytes *bytes, uint64_t end,
                            uint64_t records);

/* The key of a damaged record of a run, if the index agrees that it was there:
 * it may be the value that is damaged. False: nobody knows, or no memory. */
bool repair_run_key(const repair_source *source, repair_bytes *bytes,
                    const scan_item *item, cask_buffer *ret_key);

#endif
