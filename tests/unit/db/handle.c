/*
 * A store on a simulated disk.
 */
#include "unit/db/handle.h"

#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "store/store_write.h"
#include "support/require.h"

void handle_open(handle *h)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(db_open_on(h->kernel, HANDLE_PATH, &h->options, &h->db, &err),
               &err);
}

void handle_close(handle *h)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(cask_close(h->db, &err), &err);
    h->db = NULL;
}

void handle_reopen(handle *h)
{
    handle_close(h);
    handle_open(h);
}

int handle_prepare(void **state)
{
    static handle h;
    os_sim_options options = {.seed = 1, .max_file_bytes = (size_t)1 << 30};

    memset(&h, 0, sizeof(h));
    assert_int_equal(os_sim_create(&options, &h.sim), 0);
    h.kernel = os_sim_os(h.sim);
    os_sim_set_wall_ms(h.sim, HANDLE_NOW_MS);
    assert_int_equal(h.kernel->ops->make_dir(h.kernel, HANDLE_PATH, 0700), 0);
    cask_options_init(&h.options);
    h.options.create_if_missing = true;
    h.options.auto_merge = false; /* tests merge when they want */
    *state = &h;
    return 0;
}

int handle_setup(void **state)
{
    (void)handle_prepare(state);
    handle_open(*state);
    return 0;
}

int handle_teardown(void **state)
{
    handle *h = *state;

    if (h->db != NULL) {
        handle_close(h);
    }
    os_sim_free(h->sim);
    return 0;
}

void put_bytes(handle *h, const char *key, const void *value, size_t size)
{
    cask_error err = {CASK_OK, 0, ""};

    if (cask_put(h->db, cask_slice_of(key), (cask_slice){value, size}, &err) !=
        CASK_OK) {
        fail_msg("put %s: %s", key, err.message);
    }
}

void put_text(handle *h, const char *key, const char *value)
{
    put_bytes(h, key, value, strlen(value));
}

void delete_text(handle *h, const char *key)
{
    bool existed = false;

    assert_int_equal(cask_delete(h->db, cask_slice_of(key), &existed, NULL),
                     CASK_OK);
    assert_true(existed);
}

void check_bytes(handle *h, const char *key, const void *value, size_t size)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_buffer found = {0};
    cask_status status = cask_get(h->db, cask_slice_of(key), &found, &err);

    if (value == NULL) {
        assert_int_equal(status, CASK_NOT_FOUND);
    } else if (status != CASK_OK) {
        fail_msg("get %s: %s", key, err.message);
    } else {
        assert_int_equal(found.size, size);
        assert_true(size == 0 || memcmp(found.data, value, size) == 0);
    }
    cask_buffer_free(&found);
}

void check_text(handle *h, const char *key, const char *value)
{
    check_bytes(h, key, value, value == NULL ? 0 : strlen(value));
}

uint64_t count_keys(handle *h)
{
    uint64_t count = UINT64_MAX;

    assert_int_equal(cask_count(h->db, &count, NULL), CASK_OK);
    return count;
}

cask_stats handle_stats(handle *h)
{
    cask_stats stats;

    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    return stats;
}

cask_merge_state handle_merge_state(handle *h)
{
    cask_merge_state state;

    assert_int_equal(cask_merge_status(h->db, &state, NULL), CASK_OK);
    return state;
}

uint64_t handle_tombstones(handle *h)
{
    cask_segment_stats *segments = NULL;
    uint64_t sum = 0;
    size_t count = 0;

    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        sum += segments[i].tombstones;
    }
    cask_free(segments);
    return sum;
}

cask_merge_report handle_merge_all(handle *h)
{
    const cask_merge_options all = {.all = true};
    cask_error err = {CASK_OK, 0, ""};
    cask_merge_report report;

    require_ok(cask_merge(h->db, &all, &report, &err), &err);
    return report;
}

uint32_t handle_seal(handle *h)
{
    store_handle *store = h->db->store;
    uint32_t row = atomic_load(&store->region.header->active_row);

    assert_int_equal(store_rotate(store, NULL), CASK_OK);
    return row;
}

os_file *handle_dir(handle *h)
{
    os_file *dir = NULL;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    return dir;
}

void handle_verify(handle *h)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_verify_report report;

    require_ok(db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, &err), &err);
}

uint8_t *make_bytes(size_t size, uint64_t seed)
{
    uint8_t *bytes = malloc(size + 1);

    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        bytes[i] = (uint8_t)(seed >> 56);
    }
    return bytes;
}

bool directory_exists(os *kernel, const char *path)
{
    os_file *dir;

    if (kernel->ops->open_dir(kernel, path, &dir) != 0) {
        return false;
    }
    kernel->ops->close(dir);
    return true;
}

static bool remove_name(void *context, const char *name)
{
    os_file *dir = context;

    assert_int_equal(dir->os->ops->remove(dir, name), 0);
    return true;
}

void clear_directory(os *kernel, const char *path)
{
    os_file *dir;

    if (kernel->ops->open_dir(kernel, path, &dir) == 0) {
        assert_int_equal(kernel->ops->list(dir, remove_name, dir), 0);
        kernel->ops->close(dir);
    }
}

uint64_t limit_disk(handle *h, uint64_t free_bytes)
{
    os_space space;
    os_file *dir;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, "/", &dir), 0);
    assert_int_equal(h->kernel->ops->space(dir, &space), 0);
    h->kernel->ops->close(dir);
    os_sim_set_capacity(h->sim, space.total - space.free + free_bytes);
    return space.total;
}

bool stop_at(void *context, uint64_t done, uint64_t total)
{
    uint64_t *calls = context;

    assert_true(done <= total);
    return (*calls)-- > 0;
}
