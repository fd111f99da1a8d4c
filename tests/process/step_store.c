/*
 * Stores that are killed under single-step, see step_store.h.
 */
#include "process/step_store.h"

#include "cask_test.h"

#include <stdio.h>

#include "support/require.h"

void step_store_begin(step_store *store)
{
    scratch_make(store->path);
    store->db = NULL;
    store->random = test_random_make(test_seed(), 0);
    cask_options_init(&store->options);
    store->options.create_if_missing = true;
    store->options.engine = CASK_ENGINE_TREE;
    store->options.huge_pages = false;
    store->options.auto_merge = false; /* one thread, which is stepped through
                                        */
    store->options.sync = CASK_SYNC_NONE;
}

void step_store_end(step_store *store)
{
    if (store->db != NULL) {
        step_store_close(store);
    }
    scratch_remove(store->path);
}

int step_store_tear_down(void **state)
{
    step_store_end(*state);
    return 0;
}

void step_store_open(step_store *store)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(cask_open(store->path, &store->options, &store->db, &err), &err);
}

void step_store_close(step_store *store)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(cask_close(store->db, &err), &err);
    store->db = NULL;
}

void step_store_renew(step_store *store)
{
    step_store_close(store);
    scratch_remove(store->path);
    scratch_make(store->path);
    step_store_open(store);
}

void *step_store_prepare(void *context)
{
    step_store *store = context;
    cask_error err;

    return cask_open(store->path, &store->options, &store->db, &err) == CASK_OK
               ? context
               : NULL;
}

cask_slice step_store_key(char text[16], unsigned key)
{
    (void)snprintf(text, 16, "key %03u", key);
    return cask_slice_of(text);
}
