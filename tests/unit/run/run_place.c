/*
 * See run_place.h.
 */
#include "unit/run/run_place.h"
#include "run/run_pointer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/random.h"

int run_place_setup(void **state)
{
    static run_place place;
    const os_sim_options options = {.seed = 5};

    assert_int_equal(os_sim_create(&options, &place.sim), 0);
    os_fault_init(&place.fault, os_sim_os(place.sim));
    assert_int_equal(
        place.fault.base.ops->make_dir(&place.fault.base, "/d", 0700), 0);
    assert_int_equal(
        place.fault.base.ops->open_dir(&place.fault.base, "/d", &place.dir), 0);
    os_sim_set_wall_ms(place.sim, UINT64_C(1700000000000));
    *state = &place;
    return 0;
}

int run_place_teardown(void **state)
{
    run_place *place = *state;

    place->dir->os->ops->close(place->dir);
    os_sim_free(place->sim);
    return 0;
}

cask_status run_place_begin(run_place *place, const cask_run_options *options,
                            cask_run_writer **ret_writer, cask_error *err)
{
    run_writer_options chosen = {0};
    os_file *dir;
    int os_errno =
        place->fault.base.ops->open_dir(&place->fault.base, "/d", &dir);

    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open /d");
    }
    if (options != NULL) {
        chosen.run = *options;
    }
    return run_writer_create(dir, RUN_NAME, &chosen, ret_writer, err);
}

void run_place_write(run_place *place, const cask_run_options *options,
                     const cask_run_entry *entries, size_t count)
{
    cask_run_writer *writer = NULL;
    cask_error err = {0};

    assert_int_equal(run_place_begin(place, options, &writer, &err), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        if (run_writer_add(writer, &entries[i], &err) != CASK_OK) {
            assert_string_equal(err.message, "");
        }
    }
    assert_int_equal(run_writer_finish(writer, &err), CASK_OK);
}

uint8_t *run_place_read(run_place *place, size_t *ret_size)
{
    const os_ops *ops = place->dir->os->ops;
    os_file *file;
    os_stat stat;
    uint8_t *bytes;

    assert_int_equal(ops->open(place->dir, RUN_NAME, OS_READ, 0, &file), 0);
    assert_int_equal(ops->stat(file, &stat), 0);
    bytes = malloc(stat.size);
    assert_non_null(bytes);
    assert_int_equal(ops->read_at(file, bytes, stat.size, 0, ret_size), 0);
    assert_int_equal(*ret_size, stat.size);
    ops->close(file);
    return bytes;
}

enum { NAME_SIZE = 256 };

static bool visit_name(void *context, const char *name)
{
    char *only = context;

    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
        (void)snprintf(only, NAME_SIZE, "%s", only[0] == '\0' ? name : "*");
    }
    return true;
}

const char *run_place_name(run_place *place)
{
    static char only[NAME_SIZE];

    only[0] = '\0';
    assert_int_equal(place->dir->os->ops->list(place->dir, visit_name, only),
                     0);
    return only;
}

void run_place_fail_each_call(run_place *place, const run_place_work *work,
                              int error, bool short_write)
{
    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = OS_FAULT_NOTHING;
        cask_error err = {0};
        cask_status status;

        plan.fail_at = n;
        plan.error = error;
        plan.short_write = short_write;
        os_fault_arm(&place->fault, &plan);
        status = work->write(place, &err);
        if (os_fault_fired(&place->fault) == 0) {
            assert_int_equal(status, CASK_OK);
            assert_in_range(n, work->calls_min, work->calls_max);
            os_fault_arm(&place->fault, &OS_FAULT_NOTHING);
            assert_string_equal(run_place_name(place), RUN_NAME);
            if (work->check != NULL) {
                work->check(place);
            }
            assert_int_equal(place->dir->os->ops->remove(place->dir, RUN_NAME),
                             0);
            return;
        }
        os_fault_arm(&place->fault, &OS_FAULT_NOTHING);
        assert_int_not_equal(status, CASK_OK);
        assert_int_equal(err.status, status);
        assert_int_equal(err.os_errno, error);
        assert_string_equal(run_place_name(place), "");
    }
}

cask_slice text_slice(const char *text)
{
    return (cask_slice){text, strlen(text)};
}

cask_run_entry put_of(const char *key, const char *value, uint64_t sequence)
{
    return (cask_run_entry){.kind = CASK_RUN_PUT,
                            .key = text_slice(key),
                            .value = text_slice(value),
                            .info = {.sequence = sequence, .time_s = 7}};
}

cask_run_entry delete_of(const char *key, uint64_t sequence)
{
    cask_run_entry entry = put_of(key, "", sequence);

    entry.kind = CASK_RUN_DELETE;
    return entry;
}

cask_run_entry range_of(const char *from, const char *to, uint64_t sequence)
{
    cask_run_entry entry = put_of(from, to, sequence);

    entry.kind = CASK_RUN_DELETE_RANGE;
    return entry;
}

cask_run_entry pointer_of(const char *key, uint64_t segment_id,
                          uint64_t sequence)
{
    cask_run_entry entry = put_of(key, "", sequence);

    entry.kind = CASK_RUN_POINTER;
    entry.pointer =
        (cask_run_pointer){segment_id, segment_id * 64 + 64, 4096 + sequence};
    return entry;
}

void assert_slice(cask_slice got, cask_slice expected)
{
    assert_int_equal(got.size, expected.size);
    if (expected.size > 0) {
        assert_memory_equal(got.data, expected.data, expected.size);
    }
}

void assert_entry(const cask_run_entry *got, const cask_run_entry *expected)
{
    assert_int_equal(got->kind, expected->kind);
    assert_slice(got->key, expected->key);
    assert_slice(got->value, expected->value);
    assert_int_equal(got->info.sequence, expected->info.sequence);
    assert_int_equal(got->info.expires_at_ms, expected->info.expires_at_ms);
    assert_int_equal(got->info.time_s, expected->info.time_s);
    assert_int_equal(got->info.value_bytes,
                     expected->kind == CASK_RUN_POINTER
                         ? run_pointer_value_bytes(expected)
                         : expected->value.size);
    assert_memory_equal(&got->pointer, &expected->pointer,
                        sizeof(got->pointer));
}

uint64_t run_random(void)
{
    return test_random_shared();
}
