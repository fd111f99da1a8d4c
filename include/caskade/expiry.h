/*
 * Expiry of single keys. A part of caskade.h, which includes it, and whose
 * conventions hold.
 */
#ifndef CASKADE_EXPIRY_H
#define CASKADE_EXPIRY_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define CASK_TTL_NEVER UINT64_MAX

/*
 * How long the value of a key remains.
 *
 *   ret_ttl_ms  milliseconds, at least 1; CASK_TTL_NEVER
 *
 * By its own time of expiry, and by expiry_seconds of the store's settings and
 * of this handle: whichever comes first. Returns as cask_get().
 */
CASK_API CASK_CHECKED cask_status cask_ttl(cask_db *db, cask_slice key,
                                           uint64_t *ret_ttl_ms,
                                           cask_error *err);

/* A time of expiry: one of the two is 0. */
typedef struct cask_expiry {
    uint64_t expires_at_ms; /* milliseconds since 1970; may have passed */
    uint64_t ttl_ms;        /* from now */
} cask_expiry;

/*
 * Give the value of a key another time of expiry. Value and time_s stay; the
 * record is written again, with a sequence of its own, and only if nobody has
 * written the key meanwhile: otherwise the newer value gets the time.
 *
 * Returns as cask_put(); also CASK_NOT_FOUND (no such key, or it has expired:
 * nothing was written); CASK_INVALID (both times, or none); CASK_CORRUPT.
 *
 * Cost: that of a cask_get() and a cask_put().
 */
CASK_API CASK_CHECKED cask_status cask_expire(cask_db *db, cask_slice key,
                                              const cask_expiry *expiry,
                                              cask_error *err);

/*
 * Let the value of a key have no time of expiry of its own. What expiry_seconds
 * says goes on, from the time of the write.
 *
 *   ret_had_expiry  NULL allowed; whether it had one; if not, nothing is
 *                   written
 *
 * As cask_expire().
 */
CASK_API CASK_CHECKED cask_status cask_persist(cask_db *db, cask_slice key,
                                               bool *ret_had_expiry,
                                               cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
