/* Store a value in a new store, read it back, print it. */
#include <caskade.h>
#include <stdio.h>

int main(void)
{
    cask_slice key = cask_slice_of("greeting");
    cask_options options;
    cask_buffer value = {0};
    cask_error err = {0};
    cask_db *db;

    cask_options_init(&options);
    options.create_if_missing = true;
    if (cask_open("hello-store", &options, &db, &err) != CASK_OK ||
        cask_put(db, key, cask_slice_of("hello"), &err) != CASK_OK ||
        cask_get(db, key, &value, &err) != CASK_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("%.*s\n", (int)value.size, (const char *)value.data);
    cask_buffer_free(&value);
    return cask_close(db, &err) == CASK_OK ? 0 : 1;
}
