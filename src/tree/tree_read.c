/*
 * Look-ups: the memtables from the newest to the oldest, then the runs. The
 * first record of the key that is met is its newest. The memtables are looked
 * at before the runs are pinned: what leaves them is in the runs by then.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "region/place.h"
#include "store/store_settings.h"
#include "tree/tree.h"
#include "tree/tree_lost.h"
#include "tree/tree_record.h"
#include "tree/tree_snapshot.h"
#include "tree/tree_tables.h"

/* A record that does not verify was perhaps moved, or its memtable is gone;
 * looked up so often it is damage. */
enum { LOOKS = 100 };

/* Keys of get_many that share a version. */
enum { MANY = 64 };

/* What is looked up. */
typedef struct wanted {
    store_handle *store;
    cask_slice key;
    siphash_value hash;
    uint64_t sequence;  /* not newer than that */
    cask_buffer *value; /* NULL: not wanted */
} wanted;

/* ---- Memtables ---- */

typedef enum look_result {
    LOOK_DONE, /* with a status */
    LOOK_NONE, /* not there: further down */
    LOOK_AGAIN /* something went out of date */
} look_result;

static look_result fail_unreadable(const wanted *w, cask_status *ret_status,
                                   cask_error *err)
{
    const region_handle *region = &w->store->region;

    *ret_status =
        region_is_covered(region)
            ? fail(err, CASK_CORRUPT, 0,
                   "%s: a record that the key has to be compared with cannot "
                   "be read; 'caskade verify' lists the damage",
                   w->store->path)
            : region_fail_uncovered(region, err);
    return LOOK_DONE;
}

/* `found` is where the newest record is. */
static look_result take(const wanted *w, const memtable_entry *entry,
                        tree_found *found, cask_status *ret_status,
                        cask_error *err)
{
    tree_record record = {.at = NULL};
    cask_status status = tree_record_at(w->store, entry->place, &record, err);

    if (status == CASK_OK && record.header.sequence != entry->sequence) {
        *ret_status = store_fail_record(w->store, entry->place,
                                        "another record is there", err);
        return LOOK_AGAIN;
    }
    if (status == CASK_OK) {
        status = tree_record_take(&record, w->key, w->value, err);
    }
    *ret_status = status;
    if (status == CASK_CORRUPT) {
        return LOOK_AGAIN;
    }
    if (status == CASK_OK) {
        found->info = tree_record_info(&record);
        found->is_put = record_kind(&record.header) == RECORD_PUT;
    }
    return LOOK_DONE;
}

/* The key is in a range that was deleted at this sequence, after all else that
 * is known of it. */
static look_result take_deleted(uint64_t sequence, tree_found *found,
                                cask_status *ret_status)
{
    *found = (tree_found){.info = {.sequence = sequence}, .is_put = false};
    *ret_status = CASK_OK;
    return LOOK_DONE;
}

/* The newest record is in a range that was deleted later. It must be proven
 * that it is older. */
static look_result take_hidden(const wanted *w, const memtable_entry *entry,
                               uint64_t hidden, tree_found *found,
                               cask_status *ret_status, cask_error *err)
{
    const wanted unread = {.store = w->store, .key = w->key};
    look_result result = take(&unread, entry, found, ret_status, err);

    return result == LOOK_DONE && *ret_status == CASK_OK
               ? take_deleted(hidden, found, ret_status)
               : result;
}

/*
 * One memtable; `*hidden` is the newest deletion of a range around the key, so
 * far. It is looked for before the record: who finds a record that is older
 * than a deletion which is made just now reads what was there when it began.
 */
static look_result look_at_table(const wanted *w, const memtable_view *view,
                                 uint64_t *hidden, tree_found *found,
                                 cask_status *ret_status, cask_error *err)
{
    memtable_entry entry;
    uint64_t newest;

    *ret_status = tree_ranges_newest(tree_state_of(w->store)->ranges, view,
                                     w->key, w->sequence, &newest, err);
    if (*ret_status == CASK_BUSY) {
        *ret_status = CASK_TIMEOUT;
        return LOOK_AGAIN;
    }
    if (*ret_status != CASK_OK) {
        return LOOK_DONE;
    }
    *hidden = newest > *hidden ? newest : *hidden;
    switch (memtable_find(view, w->key, w->hash.word[0], w->sequence, &entry)) {
    case MEMTABLE_FOUND:
        return entry.sequence > *hidden
                   ? take(w, &entry, found, ret_status, err)
                   : take_hidden(w, &entry, *hidden, found, ret_status, err);
    case MEMTABLE_GONE:
        *ret_status = CASK_TIMEOUT;
        return LOOK_AGAIN;
    case MEMTABLE_UNREADABLE:
    case MEMTABLE_FULL:
        return fail_unreadable(w, ret_status, err);
    case MEMTABLE_NONE:
        break;
    }
    /* What is further down is older. */
    return *hidden > 0 ? take_deleted(*hidden, found, ret_status) : LOOK_NONE;
}

static look_result look_at_tables(const wanted *w, tree_found *found,
                                  cask_status *ret_status, cask_error *err)
{
    look_result result = LOOK_NONE;
    uint64_t hidden = 0;
    tree_tables tables;

    tree_tables_load(w->store, &tree_state_of(w->store)->log, &tables);
    for (unsigned i = 0; i < tables.count && result == LOOK_NONE; i++) {
        result =
            look_at_table(w, &tables.view[i], &hidden, found, ret_status, err);
    }
    return result;
}

/* ---- Runs ---- */

/* A copy of the value that a pointer names; its key is that which is wanted. */
static cask_status follow(const wanted *w, const version *pinned,
                          const cask_run_entry *pointer, cask_error *err)
{
    cask_run_entry named = *pointer;
    cask_slice value;
    cask_status status;

    named.key = w->key;
    status = version_read_value(pinned, &named, &value, err);
    if (status == CASK_OK) {
        w->value->size = 0;
        status = buffer_append(w->value, value.data, value.size, err);
    }
    return status;
}

/* Whether the part of a run that may have the key says anything about it. */
static cask_status look_at_run(const wanted *w, const version *pinned,
                               const version_run *part, cask_buffer *value,
                               tree_found *found, cask_error *err)
{
    const uint64_t max_sequence = w->sequence == UINT64_MAX ? 0 : w->sequence;
    const run_wanted sought = {
        .key = w->key, .hash = w->hash.word[0], .max_sequence = max_sequence};
    cask_run_entry entry;
    cask_status status =
        run_is_hashed_by(part->file, tree_state_of(w->store)->hash_key)
            ? run_get_hashed(part->file, &sought, value, &entry, err)
            : run_get(part->file, w->key, max_sequence, value, &entry, err);

    if (status == CASK_OK) {
        found->info = entry.info;
        found->is_put =
            entry.kind == CASK_RUN_PUT || entry.kind == CASK_RUN_POINTER;
    }
    if (status == CASK_OK && entry.kind == CASK_RUN_POINTER) {
        return w->value != NULL ? follow(w, pinned, &entry, err) : CASK_OK;
    }
    if (status == CASK_CORRUPT && err != NULL) {
        const cask_error damage = *err;

        return fail(err, status, 0,
                    "%s; the value is not returned: restore the file from a "
                    "backup, or see 'caskade repair'",
                    damage.message);
    }
    return status;
}

/* The broken runs that come before group `at`, from *next on. */
static cask_status check_broken(const wanted *w, const version *pinned,
                                size_t at, size_t *next, cask_error *err)
{
    for (; *next < pinned->broken_count && pinned->broken[*next].groups <= at;
         ++*next) {
        const version_broken *broken = &pinned->broken[*next];

        if (version_may_break(pinned, broken, w->key)) {
            return version_fail_broken(broken, err);
        }
    }
    return CASK_NOT_FOUND;
}

static cask_status look_at_version(const wanted *w, const version *pinned,
                                   cask_buffer *value, tree_found *found,
                                   cask_error *err)
{
    cask_status status = CASK_NOT_FOUND;
    size_t broken = 0;

    for (size_t i = 0; i < pinned->group_count && status == CASK_NOT_FOUND;
         i++) {
        const version_run *part = version_find(&pinned->groups[i], w->key);

        if (pinned->broken_count > 0) {
            status = check_broken(w, pinned, i, &broken, err);
        }
        if (part != NULL && status == CASK_NOT_FOUND) {
            status = look_at_run(w, pinned, part, value, found, err);
        }
    }
    return status == CASK_NOT_FOUND && pinned->broken_count > 0
               ? check_broken(w, pinned, pinned->group_count, &broken, err)
               : status;
}

/* What the runs say, unless a lost record may be newer. */
static cask_status look_at_lost(const wanted *w, const version *pinned,
                                cask_status result, tree_found *found,
                                cask_error *err)
{
    const tree_lost_wanted sought = {
        .key = w->key,
        .sequence = w->sequence,
        .found = result == CASK_OK ? found->info.sequence : 0,
        .value = w->value};
    cask_status status = tree_lost_look(w->store, pinned, &sought, found, err);

    return status == CASK_NOT_FOUND ? result : status;
}

static cask_status look_at_pinned(const wanted *w, const version *pinned,
                                  tree_found *found, cask_error *err)
{
    cask_buffer unwanted = {0};
    cask_buffer *value = w->value != NULL ? w->value : &unwanted;
    cask_status status = look_at_version(w, pinned, value, found, err);

    if (pinned->lost_count > 0 &&
        (status == CASK_OK || status == CASK_NOT_FOUND)) {
        status = look_at_lost(w, pinned, status, found, err);
    }
    cask_buffer_free(&unwanted);
    return status;
}

static cask_status look_at_runs(const wanted *w, tree_found *found,
                                cask_error *err)
{
    const tree_state *state = tree_state_of(w->store);
    const version *pinned;
    cask_status status = version_pin(state->versions, &pinned, err);

    if (status == CASK_OK) {
        status = look_at_pinned(w, pinned, found, err);
        version_unpin(state->versions, pinned);
    }
    return status;
}

/* ---- Both ---- */

static cask_status begin_finding(store_handle *store, cask_error *err)
{
    if (!region_is_covered(&store->region)) {
        return region_fail_uncovered(&store->region, err);
    }
    /* With a background thread, that one has the time for it. */
    if (store_has_removed(store) && store->worker == NULL) {
        store_release_removed(store, false);
    }
    return CASK_OK;
}

/* LOOK_DONE or LOOK_NONE. */
static look_result search_tables(const wanted *w, tree_found *found,
                                 cask_status *ret_status, cask_error *err)
{
    look_result result = LOOK_AGAIN;

    *ret_status = CASK_CORRUPT;
    for (int i = 0;
         result == LOOK_AGAIN && (i < LOOKS || *ret_status == CASK_TIMEOUT);
         i++) {
        result = look_at_tables(w, found, ret_status, err);
    }
    return result == LOOK_NONE ? LOOK_NONE : LOOK_DONE;
}

static cask_status find(const wanted *w, tree_found *ret_found, cask_error *err)
{
    cask_status status = begin_finding(w->store, err);

    return status == CASK_OK &&
                   search_tables(w, ret_found, &status, err) == LOOK_NONE
               ? look_at_runs(w, ret_found, err)
               : status;
}

cask_status tree_find(store_handle *store, cask_slice key, siphash_value hash,
                      cask_buffer *value, tree_found *ret_found,
                      cask_error *err)
{
    const wanted w = {.store = store,
                      .key = key,
                      .hash = hash,
                      .sequence = UINT64_MAX,
                      .value = value};

    return find(&w, ret_found, err);
}

static void count_get(store_handle *store, bool is_found)
{
    store_stripe *stripe = store_stripe_of(store);
    uint64_t gets = atomic_load_explicit(&stripe->gets, memory_order_relaxed);
    uint64_t misses =
        atomic_load_explicit(&stripe->get_misses, memory_order_relaxed);

    atomic_store_explicit(&stripe->gets, gets + 1, memory_order_relaxed);
    if (!is_found) {
        atomic_store_explicit(&stripe->get_misses, misses + 1,
                              memory_order_relaxed);
    }
}

bool tree_is_live(const store_handle *store, const tree_found *found)
{
    return found->is_put && !store_is_expired(store, found->info.time_s,
                                              found->info.expires_at_ms);
}

cask_status tree_get(store_handle *store, cask_slice key, cask_buffer *value,
                     cask_info *ret_info, cask_error *err)
{
    siphash_value hash = tree_hash(store, key);
    tree_found found = {.is_put = false};
    cask_status status = tree_find(store, key, hash, value, &found, err);

    if (status == CASK_OK && !tree_is_live(store, &found)) {
        status = CASK_NOT_FOUND;
    }
    if (status == CASK_OK && ret_info != NULL) {
        *ret_info = found.info;
    }
    count_get(store, status == CASK_OK);
    return status;
}

/* What is told of one of many. */
static void settle(store_handle *store, const tree_found *found,
                   cask_status *status)
{
    if (*status == CASK_OK && !tree_is_live(store, found)) {
        *status = CASK_NOT_FOUND;
    }
    count_get(store, *status == CASK_OK);
}

/* Those that no memtable has, in one version. */
static void get_many_in_runs(const wanted *all, const bool *is_open,
                             size_t count, cask_status *statuses,
                             cask_error *err)
{
    store_handle *store = all->store;
    versions *runs = tree_state_of(store)->versions;
    const version *pinned;
    cask_status pin = version_pin(runs, &pinned, err);

    for (size_t i = 0; i < count; i++) {
        tree_found found = {.is_put = false};

        if (is_open[i]) {
            statuses[i] = pin == CASK_OK
                              ? look_at_pinned(&all[i], pinned, &found, err)
                              : pin;
            settle(store, &found, &statuses[i]);
        }
    }
    if (pin == CASK_OK) {
        version_unpin(runs, pinned);
    }
}

/* All memtables come before the version: what leaves them is in that. */
static void get_some(const wanted *all, size_t count, cask_status *statuses,
                     cask_error *err)
{
    bool is_open[MANY];
    size_t open = 0;

    for (size_t i = 0; i < count; i++) {
        tree_found found = {.is_put = false};

        is_open[i] =
            search_tables(&all[i], &found, &statuses[i], err) == LOOK_NONE;
        open += is_open[i] ? 1 : 0;
        if (!is_open[i]) {
            settle(all->store, &found, &statuses[i]);
        }
    }
    if (open > 0) {
        get_many_in_runs(all, is_open, count, statuses, err);
    }
}

cask_status tree_get_many(store_handle *store, const cask_slice *keys,
                          size_t count, cask_buffer *values,
                          cask_status *statuses, cask_error *err)
{
    cask_status status = begin_finding(store, err);

    for (size_t i = 0; i < count && status != CASK_OK; i++) {
        statuses[i] = status;
    }
    for (size_t from = 0; from < count && status == CASK_OK; from += MANY) {
        size_t some = count - from < MANY ? count - from : MANY;
        wanted all[MANY];

        for (size_t i = 0; i < some; i++) {
            cask_slice key = keys[from + i];

            all[i] = (wanted){.store = store,
                              .key = key,
                              .hash = tree_hash(store, key),
                              .sequence = UINT64_MAX,
                              .value = &values[from + i]};
        }
        get_some(all, some, statuses + from, err);
    }
    return CASK_OK;
}

uint64_t tree_key_estimate(store_handle *store)
{
    const tree_state *state = tree_state_of(store);
    const version *pinned;
    tree_tables tables;
    uint64_t keys = 0;

    tree_tables_load(store, &state->log, &tables);
    for (unsigned i = 0; i < tables.count; i++) {
        keys += memtable_count(&tables.view[i]);
    }
    if (version_pin(state->versions, &pinned, NULL) == CASK_OK) {
        for (size_t i = 0; i < pinned->count; i++) {
            keys += pinned->runs[i].file->footer.keys;
        }
        version_unpin(state->versions, pinned);
    }
    return keys;
}

void tree_damaged_runs(store_handle *store, uint64_t *ret_count,
                       uint64_t *ret_bytes)
{
    versions *all = tree_state_of(store)->versions;
    const version *pinned;

    *ret_count = 0;
    *ret_bytes = 0;
    if (version_pin(all, &pinned, NULL) == CASK_OK) {
        versions_count_damaged(all, ret_count, ret_bytes);
        version_unpin(all, pinned);
    }
}

/* ---- As of a snapshot ---- */

static cask_status find_at(const store_snapshot *snapshot, cask_slice key,
                           cask_buffer *value, tree_found *ret_found,
                           cask_error *err)
{
    store_handle *store = snapshot->store;
    const wanted w = {.store = store,
                      .key = key,
                      .hash = tree_hash(store, key),
                      .sequence = snapshot->sequence,
                      .value = value};
    /* Runs take 0 for the newest; and nothing was written before it. */
    cask_status status =
        w.sequence == 0 ? CASK_NOT_FOUND : find(&w, ret_found, err);

    return store_snapshot_is_lost(snapshot)
               ? store_snapshot_fail_lost(snapshot, err)
               : status;
}

cask_status tree_snapshot_find(const store_snapshot *snapshot, cask_slice key,
                               uint64_t *ret_sequence, cask_error *err)
{
    tree_found found = {.is_put = false};
    cask_status status = find_at(snapshot, key, NULL, &found, err);

    if (status == CASK_OK) {
        *ret_sequence = found.info.sequence;
    }
    return status;
}

cask_status tree_snapshot_get(const store_snapshot *snapshot, cask_slice key,
                              cask_buffer *value, cask_info *ret_info,
                              cask_error *err)
{
    tree_found found = {.is_put = false};
    cask_status status = find_at(snapshot, key, value, &found, err);

    if (status == CASK_OK &&
        (!found.is_put ||
         store_is_past(snapshot->moment_ms, snapshot->expiry_seconds,
                       found.info.time_s, found.info.expires_at_ms))) {
        status = CASK_NOT_FOUND;
    }
    count_get(snapshot->store, status == CASK_OK);
    *ret_info = found.info;
    return status;
}

cask_status tree_snapshot_get_many(const store_snapshot *snapshot,
                                   const cask_slice *keys, size_t count,
                                   cask_buffer *values, cask_status *statuses,
                                   cask_error *err)
{
    for (size_t i = 0; i < count; i++) {
        cask_info info;

        statuses[i] =
            tree_snapshot_get(snapshot, keys[i], &values[i], &info, err);
    }
    return CASK_OK;
}

/* ---- Views ---- */

static cask_status view_copy(store_handle *store, cask_slice key,
                             cask_view *ret_view, cask_error *err)
{
    cask_buffer value = {0};
    cask_info info = {0};
    cask_status status = tree_get(store, key, &value, &info, err);

    if (status != CASK_OK) {
        cask_buffer_free(&value);
        return status;
    }
    *ret_view = (cask_view){
        .value = {value.data, value.size}, .info = info, .owned = value.data};
    return CASK_OK;
}

/* The newest entry of the key in the memtables. */
static bool find_in_tables(store_handle *store, cask_slice key,
                           tree_record *ret_record)
{
    siphash_value hash = tree_hash(store, key);
    memtable_result result = MEMTABLE_NONE;
    memtable_entry entry;
    tree_tables tables;

    tree_tables_load(store, &tree_state_of(store)->log, &tables);
    for (unsigned i = 0; i < tables.count && result == MEMTABLE_NONE; i++) {
        uint64_t deleted = 0; /* with a range */

        result =
            tree_ranges_newest(tree_state_of(store)->ranges, &tables.view[i],
                               key, UINT64_MAX, &deleted, NULL) != CASK_OK ||
                    deleted > 0
                ? MEMTABLE_UNREADABLE
                : memtable_find(&tables.view[i], key, hash.word[0], UINT64_MAX,
                                &entry);
    }
    return result == MEMTABLE_FOUND &&
           tree_record_at(store, entry.place, ret_record, NULL) == CASK_OK &&
           ret_record->header.sequence == entry.sequence;
}

cask_status tree_view(store_handle *store, cask_slice key, cask_view *ret_view,
                      cask_error *err)
{
    tree_record record = {.at = NULL};

    /* In place where that is right at once; by copy in every other case:
     * misses, damage, expiry, records of runs are told there. */
    if (!find_in_tables(store, key, &record) ||
        record_kind(&record.header) != RECORD_PUT) {
        return view_copy(store, key, ret_view, err);
    }
    /* Pinned before it is verified: what is verified is then what stays. */
    atomic_fetch_add(&record.map->pins, 1);
    if (atomic_load(&record.map->is_blank) ||
        tree_record_take(&record, key, NULL, NULL) != CASK_OK ||
        store_is_expired(store, record.header.time_s, record.expires_at_ms)) {
        atomic_fetch_sub(&record.map->pins, 1);
        return view_copy(store, key, ret_view, err);
    }
    *ret_view = (cask_view){.value = record.value,
                            .pin = &record.map->pins,
                            .info = tree_record_info(&record)};
    count_get(store, true);
    return CASK_OK;
}
