/*
 * Settings of a store. A part of caskade.h, which includes it, and whose
 * conventions hold.
 *
 * Settings belong to the store, not to a handle: kept in its directory, the
 * same for every process, changed while the store is open. A change takes
 * effect at once everywhere but in a private index, which takes it with its
 * next cask_refresh(). They say when and what to merge, when records expire,
 * and how a tree makes its runs; cask_config_list() tells names, meanings, and
 * which of the engines has them.
 */
#ifndef CASKADE_CONFIG_H
#define CASKADE_CONFIG_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The value of a setting as text, like "512MiB".
 *
 *   ret_value  set on CASK_OK only, without NUL; reused if it already holds
 *              memory; the caller frees it with cask_buffer_free()
 *
 * Returns CASK_OK; CASK_INVALID: no setting is called so; CASK_NO_MEMORY;
 * CASK_FORKED. Cost: microseconds.
 */
CASK_API CASK_CHECKED cask_status cask_config_get(cask_db *db, const char *name,
                                                  cask_buffer *ret_value,
                                                  cask_error *err);

typedef struct cask_config_change {
    const char *name;
    const char *value; /* NULL: the default */
} cask_config_change;

/*
 * Change settings: all that are given, or none. Durable on return, and in force
 * in every process.
 *
 *   changes, count  of one name the last counts
 *
 * Returns CASK_OK; CASK_INVALID (no such setting, or no such value: the message
 * names the setting, the range and what was given; or it is one of the other
 * engine, which can be set to its default only, by NULL); CASK_CORRUPT or
 * CASK_UNSUPPORTED (the file CONFIG cannot be read: it is left as it is; see
 * cask_config_reset()); CASK_READ_ONLY; CASK_TIMEOUT; CASK_NO_SPACE;
 * CASK_NO_MEMORY; CASK_IO. If it failed nothing was changed, unless the message
 * says that the settings are in force: a sync failed after the file had been
 * replaced.
 *
 * Cost: two syncs of a small file.
 */
CASK_API CASK_CHECKED cask_status
cask_config_set(cask_db *db, const cask_config_change *changes, size_t count,
                cask_error *err);

/*
 * Set everything to its default, replacing the file CONFIG whatever it holds:
 * also one that is damaged, or has settings of a newer version. As
 * cask_config_set().
 */
CASK_API CASK_CHECKED cask_status cask_config_reset(cask_db *db,
                                                    cask_error *err);

typedef struct cask_config_item { /* text valid during the callback only */
    const char *name;
    const char *value;   /* in force; of an unknown setting: as kept */
    const char *initial; /* the default; NULL: a setting of a newer version,
                            which this one does not know and keeps */
    const char *meaning; /* one line; NULL likewise */
    bool is_initial;     /* value is the default */
    const char *bitcask_name; /* what Bitcask calls it, which is accepted too;
                                 NULL: the same, or it has no such thing */
    cask_engine engine; /* that alone obeys it: without effect in a store of the
                           other one; 0: both do, or it is not known */
} cask_config_item;

/*
 * Visit every setting. Return false from `visit` to stop.
 *
 * Returns CASK_OK; CASK_CORRUPT or CASK_UNSUPPORTED (the file CONFIG cannot be
 * read; all settings were visited first); CASK_INVALID; CASK_NO_MEMORY;
 * CASK_IO; CASK_FORKED.
 *
 * Cost: reads a small file.
 */
CASK_API CASK_CHECKED cask_status cask_config_list(
    cask_db *db, bool (*visit)(void *context, const cask_config_item *item),
    void *context, cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
