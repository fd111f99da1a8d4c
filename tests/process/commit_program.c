/*
 * Puts with sync=commit, and an answer on standard output after each: what
 * commit_test.sh watches with strace.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caskade.h"

enum { PUTS = 40, VALUE_BYTES = 9000 };

int main(int argc, char **argv)
{
    static char value[VALUE_BYTES];
    cask_options options;
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;

    if (argc != 3) {
        return 2;
    }
    memset(value, 'v', sizeof(value));
    cask_options_init(&options);
    options.create_if_missing = true;
    options.segment_max_bytes = 65536;
    options.sync = CASK_SYNC_COMMIT;
    options.append =
        strcmp(argv[2], "map") == 0 ? CASK_APPEND_MAP : CASK_APPEND_PWRITE;
    if (cask_open(argv[1], &options, &db, &err) != CASK_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (int i = 0; i < PUTS; i++) {
        char key[16];
        int size = snprintf(key, sizeof(key), "answer-%d", i);

        if (cask_put(db, cask_slice_of(key), (cask_slice){value, sizeof(value)},
                     &err) != CASK_OK) {
            (void)fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        if (write(STDOUT_FILENO, key, (size_t)size) != size) {
            return 1;
        }
    }
    return cask_close(db, &err) == CASK_OK ? 0 : 1;
}
