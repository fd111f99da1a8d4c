/*
 * A C program that uses an installed Caskade: stores a value in a new store,
 * reads it back, and prints the version.
 */
#include <caskade.h>

#include <stdio.h>
#include <string.h>

static int use_store(cask_db *db, cask_error *err)
{
    cask_slice key = cask_slice_of("key");
    cask_buffer value = {0};
    int is_right = 0;

    if (cask_put(db, key, cask_slice_of("value"), err) == CASK_OK &&
        cask_get(db, key, &value, err) == CASK_OK) {
        is_right = value.size == 5 && memcmp(value.data, "value", 5) == 0;
    }
    cask_buffer_free(&value);
    return is_right;
}

int main(int argc, char **argv)
{
    cask_options options;
    cask_error err = {0};
    cask_db *db = NULL;
    int is_right;

    if (argc != 2 || strcmp(cask_version(), CASK_VERSION_STRING) != 0) {
        return 2;
    }
    cask_options_init(&options);
    options.create_if_missing = true;
    if (cask_open(argv[1], &options, &db, &err) != CASK_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    is_right = use_store(db, &err);
    if (cask_close(db, &err) != CASK_OK || !is_right) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("caskade %s\n", cask_version());
    return 0;
}
