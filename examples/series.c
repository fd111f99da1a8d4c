/* A time series: two hours of values, the last minutes of it, and the first
 * hour deleted. Keys of the engine tree are in the order of their bytes. */
#include <caskade.h>
#include <stdio.h>

static bool print(void *context, const cask_entry *entry)
{
    (void)context;
    printf("%.*s %.*s\n", (int)entry->key.size, (const char *)entry->key.data,
           (int)entry->value.size, (const char *)entry->value.data);
    return true; /* go on */
}

/* Put a value for each minute of two hours, as one write. */
static cask_status load(cask_db *db, cask_error *err)
{
    cask_batch *batch = NULL;
    cask_status status = cask_batch_create(&batch, err);

    for (int minute = 0; minute < 120 && status == CASK_OK; minute++) {
        char key[32];
        char value[32];

        snprintf(key, sizeof(key), "%02d:%02d", minute / 60, minute % 60);
        snprintf(value, sizeof(value), "%d", minute * minute);
        status = cask_batch_put(batch, cask_slice_of(key), cask_slice_of(value),
                                0, err);
    }
    if (status == CASK_OK) {
        status = cask_write(db, batch, err);
    }
    cask_batch_free(batch);
    return status;
}

int main(void)
{
    const cask_slice no_bound = {NULL, 0};
    cask_range_options last = {.keys.lower = cask_slice_of("01:57")};
    cask_options options;
    cask_error err = {0};
    uint64_t left = 0;
    cask_db *db;

    cask_options_init(&options);
    options.create_if_missing = true;
    options.engine = CASK_ENGINE_TREE;
    if (cask_open("series-store", &options, &db, &err) != CASK_OK ||
        load(db, &err) != CASK_OK ||
        cask_range(db, &last, print, NULL, &err) != CASK_OK ||
        cask_delete_range(db, no_bound, cask_slice_of("01:00"), &err) !=
            CASK_OK ||
        cask_count_range(db, no_bound, no_bound, &left, &err) != CASK_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("%llu left\n", (unsigned long long)left);
    return cask_close(db, &err) == CASK_OK ? 0 : 1;
}
