/*
 * What has expired, and whether the clock that says so is believed. See
 * docs/decisions/0010-expiry.md.
 */
#ifndef CASKADE_STORE_EXPIRY_H
#define CASKADE_STORE_EXPIRY_H

#include "store/store.h"

/* By which records are taken for expired when space is given back, all at one
 * moment. Never a handle's own option: that one only hides. */
typedef struct store_expiry {
    uint64_t now_ms;    /* wall clock */
    uint64_t expiry_ms; /* age by the store's setting; 0: none */
    uint64_t grace_ms;  /* beyond that age, or the time of a record */
    bool disagrees;     /* the clock is not believed: nothing has expired */
} store_expiry;

/*
 * Take the moment's.
 *
 *   is_asked  somebody asks for a merge: he is believed to have looked at the
 *             clock that an open found, though not at one that jumped since
 */
void store_expiry_now(const store_handle *store, bool is_asked,
                      store_expiry *ret_expiry);

/* Tell the application, once, that the wall clock has jumped. */
void store_watch_clock(store_handle *store);

/* Whether a put of that time, and time of expiry or 0, may be given up. */
bool store_has_expired(const store_expiry *expiry, uint32_t time_s,
                       uint64_t expires_at_ms);

/* Puts written up to this second are too old by the store's setting; 0: none
 * are. */
uint32_t store_too_old_s(const store_expiry *expiry);

/* Since all puts of a row have expired by times of their own, milliseconds; 0:
 * not all have. */
uint64_t store_row_expired_ms(const store_expiry *expiry,
                              const region_row *row);

/* Since the newest put of a row was written, milliseconds; 0: not known. */
uint64_t store_row_age_ms(const store_expiry *expiry, const region_row *row);

/* Whether store_has_expired() is true for every put of a row. */
bool store_row_has_expired(const store_expiry *expiry, const region_row *row);

/* Whether it may be true for one of them. */
bool store_row_may_expire(const store_expiry *expiry, const region_row *row);

/*
 * Bytes of a row that live by the index although their time, and the grace, are
 * over: at least so many. 0 if the row is damaged, since it expires as nothing.
 * Does not ask whether the clock is believed.
 */
uint64_t store_row_expired_bytes(const store_expiry *expiry,
                                 const region_row *row);

/* A row's times, as those of a segment without records. */
static inline void store_forget_times(region_row *row)
{
    row->last_expiry_ms = 0;
    row->first_expiry_ms = 0;
    row->newest_s = 0;
    row->oldest_s = 0;
    row->lifetimes = (lifetimes){.lasting_bytes = 0};
}

/* Note the times of a record in its row; may be done twice. Who may change the
 * row's counters may do so. expires_at_ms: 0: none. */
static inline void store_note_times(region_row *row,
                                    const record_header *record,
                                    uint64_t expires_at_ms)
{
    if (record_kind(record) != RECORD_PUT) {
        return;
    }
    if (row->newest_s < record->time_s) {
        row->newest_s = record->time_s;
    }
    if (row->oldest_s == 0 || row->oldest_s > record->time_s) {
        row->oldest_s = record->time_s > 0 ? record->time_s : 1;
    }
    lifetimes_note(&row->lifetimes, record->time_s, expires_at_ms,
                   record_size(record));
    if (expires_at_ms == 0) {
        return;
    }
    if (row->last_expiry_ms < expires_at_ms) {
        row->last_expiry_ms = expires_at_ms;
    }
    if (row->first_expiry_ms == 0 || row->first_expiry_ms > expires_at_ms) {
        row->first_expiry_ms = expires_at_ms;
    }
}

#endif
