/*
 * From the files of Bitcask into a store: which version of a key is the newest,
 * and putting it.
 */
#ifndef CASKADE_CLI_BITCASK_IMPORT_H
#define CASKADE_CLI_BITCASK_IMPORT_H

#include "bitcask_source.h"
#include "caskade.h"

/* What was done, and what was met on the way. */
typedef struct bitcask_import_counts {
    uint64_t imported;   /* keys */
    uint64_t records;    /* undamaged ones, of all kinds */
    uint64_t tombstones; /* among them */
    uint64_t expired;    /* keys past their time */
    uint64_t stale;      /* keys whose newest version is damaged, so far as
                            hints tell: an older one counts */

    uint64_t damaged_places;
    uint64_t damaged_bytes;
} bitcask_import_counts;

/*
 * Put the newest undamaged version of each key of `source` into `db`, with the
 * time of its record. The files are read in order of age, within each in that
 * of its bytes: a later record counts more, whatever its time; a tombstone
 * means that the key is not there.
 *
 *   expiry_s   a value expires so long after the time of its record; 0: never
 *
 * Damage is reported as a note each time. Stops when a signal arrives. Reports
 * what fails; then a part is imported.
 *
 * If hints tell that few versions are old, all are put, in order, so that the
 * store has old ones, too.
 *
 * Memory: at most 68 bytes per key (see bitcask_index.h; in order, 2 bytes per
 * key), the largest value, and 10 MiB.
 * Cost: reads every data file once, and first the hints, or the data itself
 * where these are missing or wrong. If a hint names a record that is damaged,
 * everything is read once more, for an older version, unless it is put in
 * order.
 */
exit_status bitcask_import(bitcask_source *source, cask_db *db,
                           uint64_t expiry_s,
                           bitcask_import_counts *ret_counts);

#endif
