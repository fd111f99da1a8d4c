/*
 * A store of the tree engine, as tests use it.
 */
#include "unit/tree/tree_handle.h"

#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "support/require.h"
#include "tree/tree_flush.h"

int tree_handle_prepare(void **state)
{
    handle *h;

    (void)handle_prepare(state);
    h = *state;
    h->options.engine = CASK_ENGINE_TREE;
    h->options.memtable_bytes = 64 << 10;
    return 0;
}

int tree_handle_setup(void **state)
{
    (void)tree_handle_prepare(state);
    handle_open(*state);
    return 0;
}

void flush_all(handle *h)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(tree_flush(h->db->store, true, &err), &err);
}

void merge_runs(handle *h, bool all, cask_merge_report *ret_report)
{
    const cask_merge_options options = {.all = all};
    cask_error err = {CASK_OK, 0, ""};

    require_ok(cask_merge(h->db, &options, ret_report, &err), &err);
}

static bool add_run(void *context, const char *name)
{
    run_files *found = context;
    os_stat stat;

    if (strstr(name, ".run") != NULL) {
        assert_int_equal(
            found->dir->os->ops->stat_name(found->dir, name, &stat), 0);
        found->count++;
        found->bytes += stat.size;
    }
    return true;
}

run_files find_runs(handle *h)
{
    run_files found = {.dir = h->db->store->dir};

    assert_int_equal(found.dir->os->ops->list(found.dir, add_run, &found), 0);
    return found;
}

const char *name_of(unsigned i)
{
    static char name[32];

    (void)snprintf(name, sizeof(name), "key %05u", i);
    return name;
}

const char *text_of(unsigned round, unsigned i)
{
    static char text[64];

    (void)snprintf(text, sizeof(text), "round %u of %u", round, i);
    return text;
}
