/*
 * Records in any order become a run: cask_run_options.sort. What does not fit
 * into memory waits in runs beside it, pieces, which are merged at the end.
 */
#ifndef CASKADE_RUN_SORT_H
#define CASKADE_RUN_SORT_H

#include "iter/iter_input.h"
#include "run/run_iterator.h"
#include "run/run_writer.h"

enum { RUN_SORTER_MEMORY_MIN = 16 << 20 };

typedef struct run_sorter run_sorter;

/*
 * Begin to sort for a writer that nothing was added to.
 *
 *   writer      borrowed until run_sorter_free(); its memory limit holds for
 *               both and is RUN_SORTER_MEMORY_MIN at least, its directory takes
 *               the pieces
 *   ret_sorter  free it before the writer is ended
 *
 * Returns CASK_OK; CASK_NO_MEMORY; CASK_INVALID (the name leaves no room for
 * those of pieces); as fail_os() (a piece of a killed writer is in the way).
 */
cask_status run_sorter_create(cask_run_writer *writer, run_sorter **ret_sorter,
                              cask_error *err);

/* Frees what waits; accepts NULL. No piece is left. */
void run_sorter_free(run_sorter *take_sorter);

/* As cask_run_writer_add(). */
cask_status run_sorter_add(run_sorter *sorter, const cask_run_entry *entry,
                           cask_error *err);

/* What was added, sorted: an input for each piece, those of equal records by
 * which of them came last. Owned; valid as long as the sorter. */
typedef struct run_sorted {
    cask_run_iterator *iterators;
    iter_input *inputs;
    size_t count;
} run_sorted;

/* In place of run_sorter_finish(): the caller merges, and adds nothing to the
 * writer. As that; run_sorted_free() in any case. */
cask_status run_sorter_open(run_sorter *sorter, run_sorted *ret_sorted,
                            cask_error *err);
void run_sorted_free(run_sorted *sorted);

/* Add all of it to the writer, in order. Not CASK_OK: the run cannot be
 * completed, and run_writer_finish() says the same. */
cask_status run_sorter_finish(run_sorter *sorter, cask_error *err);

#endif
