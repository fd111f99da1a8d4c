/*
 * All kinds of readers, asked for one key.
 */
#include "process/readers.h"

#include "cask_test.h"

#include <inttypes.h>
#include <string.h>

#include "support/require.h"

typedef struct asked {
    cask_db *db;
    cask_slice key;
} asked;

static uint64_t number_in(cask_slice value)
{
    uint64_t number;

    assert_int_equal(value.size, sizeof(number));
    memcpy(&number, value.data, sizeof(number));
    return number;
}

/* Frees the value. */
static uint64_t number_of(cask_status status, cask_buffer *value,
                          const cask_error *err)
{
    uint64_t number = 0;

    if (status != CASK_NOT_FOUND) {
        require_ok(status, err);
        number = number_in((cask_slice){value->data, value->size});
    }
    cask_buffer_free(value);
    return number;
}

static uint64_t by_get(const asked *a)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_buffer value = {0};
    cask_status status = cask_get(a->db, a->key, &value, &err);

    return number_of(status, &value, &err);
}

static uint64_t by_get_many(const asked *a)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_buffer value = {0};
    cask_status status = CASK_OK;

    require_ok(cask_get_many(a->db, &a->key, 1, &value, &status, &err), &err);
    return number_of(status, &value, &err);
}

static uint64_t by_view(const asked *a)
{
    cask_error err = {CASK_OK, 0, ""};
    uint64_t number = 0;
    cask_view view;
    cask_status status = cask_view_acquire(a->db, a->key, &view, &err);

    if (status != CASK_NOT_FOUND) {
        require_ok(status, &err);
        number = number_in(view.value);
        cask_view_release(a->db, &view);
    }
    return number;
}

static uint64_t by_snapshot(const asked *a)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_buffer value = {0};
    cask_snapshot *snapshot = NULL;
    cask_status status;

    require_ok(cask_snapshot_create(a->db, &snapshot, &err), &err);
    status = cask_snapshot_get(snapshot, a->key, &value, NULL, &err);
    cask_snapshot_free(snapshot);
    return number_of(status, &value, &err);
}

static uint64_t number_at(const asked *a, cask_status status,
                          const cask_entry *entry, const cask_error *err)
{
    if (status == CASK_NOT_FOUND) {
        return 0;
    }
    require_ok(status, err);
    return entry->key.size == a->key.size &&
                   memcmp(entry->key.data, a->key.data, a->key.size) == 0
               ? number_in(entry->value)
               : 0;
}

static uint64_t by_iterator(const asked *a)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_iterator *it = NULL;
    cask_entry entry;
    cask_status status;
    uint64_t number;

    require_ok(cask_iterator_create(a->db, NULL, &it, &err), &err);
    status = cask_iterator_seek(it, CASK_SEEK_AT_LEAST, a->key, &entry, &err);
    number = number_at(a, status, &entry, &err);
    cask_iterator_free(it);
    return number;
}

typedef struct visited {
    const asked *asked;
    uint64_t number;
} visited;

static bool visit(void *context, const cask_entry *entry)
{
    visited *v = context;

    v->number = number_at(v->asked, CASK_OK, entry, NULL);
    return false;
}

static uint64_t by_range(const asked *a)
{
    const cask_range_options options = {.keys = {.lower = a->key}};
    cask_error err = {CASK_OK, 0, ""};
    visited v = {a, 0};

    require_ok(cask_range(a->db, &options, visit, &v, &err), &err);
    return v.number;
}

uint64_t readers_see(cask_db *db, cask_slice key)
{
    static const struct {
        const char *name;
        uint64_t (*read)(const asked *a);
    } readers[] = {{"get_many", by_get_many}, {"view", by_view},
                   {"snapshot", by_snapshot}, {"iterator", by_iterator},
                   {"range", by_range},       {"get again", by_get}};
    const asked a = {db, key};
    const uint64_t right = by_get(&a);
    cask_error err = {CASK_OK, 0, ""};
    bool exists = false;

    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        uint64_t seen = readers[i].read(&a);

        if (seen != right) {
            fail_msg("get sees %" PRIu64 ", %s %" PRIu64, right,
                     readers[i].name, seen);
        }
    }
    require_ok(cask_exists(db, key, &exists, &err), &err);
    assert_true(exists == (right != 0));
    return right;
}
