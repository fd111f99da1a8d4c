#include "unit/hash/numbered.h"

#include <stdio.h>
#include <string.h>

int small_segments(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    h->options.segment_max_bytes = 65536;
    h->options.auto_merge = false;
    handle_open(h);
    return result;
}

void put_key(cask_db *db, unsigned number, char fill)
{
    char value[VALUE_BYTES];
    char key[32];

    memset(value, fill, sizeof(value));
    (void)snprintf(key, sizeof(key), "key %u", number);
    assert_int_equal(cask_put(db, cask_slice_of(key),
                              (cask_slice){value, sizeof(value)}, NULL),
                     CASK_OK);
}

void delete_key(handle *h, unsigned number)
{
    char key[32];

    (void)snprintf(key, sizeof(key), "key %u", number);
    delete_text(h, key);
}
