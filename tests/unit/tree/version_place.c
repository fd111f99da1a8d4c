#include "unit/tree/version_place.h"

#include <string.h>

#include "cask_test.h"

void require(cask_status status, const cask_error *err)
{
    if (status != CASK_OK) {
        fail_msg("%s", err->message);
    }
}

void open_forest(place *p)
{
    cask_error err = {CASK_OK, 0, ""};

    require(forest_open(&p->f, &p->fault.base, PATH, true, &err), &err);
}

void make_disk(place *p, uint64_t seed)
{
    const os_sim_options options = {.seed = seed,
                                    .max_file_bytes = (size_t)1 << 30};
    os *kernel;

    assert_int_equal(os_sim_create(&options, &p->sim), 0);
    os_fault_init(&p->fault, os_sim_os(p->sim));
    kernel = &p->fault.base;
    assert_int_equal(kernel->ops->make_dir(kernel, PATH, 0700), 0);
}

int place_set_up(void **state)
{
    static place p;

    memset(&p, 0, sizeof(p));
    make_disk(&p, 1);
    open_forest(&p);
    *state = &p;
    return 0;
}

int place_tear_down(void **state)
{
    place *p = *state;

    forest_close(&p->f);
    os_sim_free(p->sim);
    return 0;
}

uint64_t replace(place *p, forest_run what, uint64_t drop)
{
    cask_error err = {CASK_OK, 0, ""};
    uint64_t id = 0;

    require(forest_replace(&p->f, &what, drop, &id, &err), &err);
    return id;
}

version_add write_run(place *p, forest_run what)
{
    cask_error err = {CASK_OK, 0, ""};
    version_add add = {0};

    require(forest_write(&p->f, &what, &add, &err), &err);
    return add;
}

void apply(place *p, const version_edit *edit)
{
    cask_error err = {CASK_OK, 0, ""};

    require(version_apply(p->f.versions, edit, NULL, &err), &err);
}

const version *pin(place *p)
{
    cask_error err = {CASK_OK, 0, ""};
    const version *v = NULL;

    require(version_pin(p->f.versions, &v, &err), &err);
    return v;
}

region_tree *tree_of(place *p)
{
    return &p->f.store->region.header->tree;
}

os_file *dir_of(place *p)
{
    return p->f.store->dir;
}

void settle(place *p)
{
    cask_error err = {CASK_OK, 0, ""};

    require(version_settle(p->f.store, &err), &err);
}
