#include "unit/tree/forest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cask_test.h"

#include "run/run_writer.h"
#include "store/store_merge.h"

enum { KEY_SIZE = 4 };

static void key_of(unsigned key, char out[KEY_SIZE + 1])
{
    (void)snprintf(out, KEY_SIZE + 1, "k%03u", key % 1000);
}

/* That the log has the records that runs will have, all synced. */
static void pretend(region_header *header)
{
    const uint64_t next = (uint64_t)1 << 32;

    if (atomic_load(&header->next_sequence) < next) {
        atomic_store(&header->next_sequence, next);
        atomic_store(&header->commit.durable_sequence, next - 1);
    }
}

cask_status forest_open(forest *f, os *kernel, const char *path, bool merges,
                        cask_error *err)
{
    cask_options options;
    cask_status status;

    *f = (forest){.kernel = kernel, .path = path};
    cask_options_init(&options);
    options.create_if_missing = true;
    options.auto_merge = false;
    options.segment_max_bytes = 1 << 20;
    status = db_open_on(kernel, path, &options, &f->db, err);
    if (status != CASK_OK) {
        return status;
    }
    f->store = f->db->store;
    /* Another one than that which has no runs. */
    f->store->identity.engine = (cask_engine)(CASK_ENGINE_HASH + 1);
    pretend(f->store->region.header);
    /* Recovery took it for one without. */
    atomic_store(&f->store->region.header->tree.settled, 0);
    status = versions_open(f->store, &f->versions, err);
    if (status == CASK_OK && merges) {
        status = store_merge_lock(f->store, err);
    }
    return status;
}

void forest_close(forest *f)
{
    if (f->db == NULL) {
        return;
    }
    if (atomic_load(&f->store->is_merging)) {
        store_merge_unlock(f->store);
    }
    versions_close(f->versions);
    f->store->identity.engine = CASK_ENGINE_HASH;
    (void)cask_close(f->db, NULL);
    f->db = NULL;
}

static cask_status add_all(cask_run_writer *writer, const forest_run *what,
                           cask_error *err)
{
    cask_status status = CASK_OK;

    for (unsigned i = 0; i < what->count && status == CASK_OK; i++) {
        char key[KEY_SIZE + 1];
        char value[16];
        cask_run_entry entry = {.kind = CASK_RUN_PUT};

        key_of(what->first + i, key);
        (void)snprintf(value, sizeof(value), "%u", what->tag);
        entry.key = cask_slice_of(key);
        entry.value = cask_slice_of(value);
        entry.info.sequence = (uint64_t)what->tag * 1000 + i;
        status = run_writer_add(writer, &entry, err);
    }
    return status;
}

cask_status forest_write(forest *f, const forest_run *what,
                         version_add *ret_add, cask_error *err)
{
    run_origin origin = {.born = 1};
    const run_writer_options options = {.origin = &origin};
    char name[SEGMENT_NAME_SIZE];
    cask_run_writer *writer = NULL;
    os_file *dir = NULL;
    cask_status status = version_new_run(f->store, &origin.id, name, err);
    int os_errno;

    if (status != CASK_OK) {
        return status;
    }
    os_errno = f->kernel->ops->open_dir(f->kernel, f->path, &dir);
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open it");
    }
    memcpy(origin.uuid, f->store->identity.uuid, sizeof(origin.uuid));
    status = run_writer_create(dir, name, &options, &writer, err);
    if (status != CASK_OK) {
        return status;
    }
    status = add_all(writer, what, err);
    if (status != CASK_OK) {
        run_writer_abort(writer);
        return status;
    }
    *ret_add =
        (version_add){.id = origin.id, .level = what->level, .run = what->run};
    return run_writer_finish(writer, err);
}

cask_status forest_replace(forest *f, const forest_run *what, uint64_t drop,
                           uint64_t *ret_id, cask_error *err)
{
    version_add add;
    version_edit edit = {.adds = &add,
                         .add_count = 1,
                         .drops = &drop,
                         .drop_count = drop != 0 ? 1 : 0};
    cask_status status = forest_write(f, what, &add, err);

    if (status == CASK_OK) {
        edit.flushed = (uint64_t)what->tag * 1000 + what->count;
        if (edit.flushed <
            atomic_load(&f->store->region.header->tree.flushed)) {
            edit.flushed = 0;
        }
        status = version_apply(f->versions, &edit, NULL, err);
    }
    if (status == CASK_OK) {
        *ret_id = add.id;
    }
    return status;
}

unsigned forest_get(const version *v, unsigned key)
{
    cask_buffer value = {0};
    char text[KEY_SIZE + 1];
    unsigned tag = 0;

    key_of(key, text);
    for (size_t i = 0; i < v->group_count && tag == 0; i++) {
        const version_run *part =
            version_find(&v->groups[i], cask_slice_of(text));
        cask_run_entry entry;
        cask_error err = {CASK_OK, 0, ""};
        cask_status status = CASK_NOT_FOUND;

        if (part != NULL) {
            status = run_get(part->file, cask_slice_of(text), 0, &value, &entry,
                             &err);
        }
        if (status == CASK_OK) {
            assert_true(value.size > 0 && value.size < 8);
            assert_int_equal(buffer_append(&value, "", 1, NULL), CASK_OK);
            tag = (unsigned)strtoul(value.data, NULL, 10);
        } else if (status != CASK_NOT_FOUND) {
            fail_msg("%s", err.message);
        }
    }
    cask_buffer_free(&value);
    return tag;
}

void forest_expect(forest *f, const unsigned *tags, unsigned count)
{
    const version *v = NULL;
    cask_error err = {CASK_OK, 0, ""};

    if (version_pin(f->versions, &v, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(forest_get(v, i * 100), tags[i]);
    }
    version_unpin(f->versions, v);
}

/* ---- Files ---- */

typedef struct counting {
    const char *suffix;
    unsigned found;
} counting;

static bool count_name(void *context, const char *name)
{
    counting *c = context;
    size_t size = strlen(name);
    size_t tail = strlen(c->suffix);

    c->found += size >= tail && strcmp(name + size - tail, c->suffix) == 0;
    return true;
}

unsigned forest_names(forest *f, const char *suffix)
{
    counting c = {suffix, 0};
    os_file *dir;

    assert_int_equal(f->kernel->ops->open_dir(f->kernel, f->path, &dir), 0);
    assert_int_equal(f->kernel->ops->list(dir, count_name, &c), 0);
    f->kernel->ops->close(dir);
    return c.found;
}

bool forest_has(forest *f, uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];

    run_name_format(id, name);
    return forest_names(f, name) == 1;
}
