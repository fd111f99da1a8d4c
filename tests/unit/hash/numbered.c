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

cask_merge_report merge_all(handle *h)
{
    cask_merge_options options = {.all = true};
    cask_merge_report report;

    assert_int_equal(cask_merge(h->db, &options, &report, NULL), CASK_OK);
    return report;
}

cask_stats stats_of(handle *h)
{
    cask_stats stats;

    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    return stats;
}
