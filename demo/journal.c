/*
 * What a writer says about its work, outside the store.
 */
#include "journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void journal_add(int fd, const journal_entry *entry)
{
    if (write(fd, entry, sizeof(*entry)) != (ssize_t)sizeof(*entry)) {
        (void)fprintf(stderr, "caskade-demo: cannot write the journal: %s\n",
                      strerror(errno));
        exit(EXIT_FAILURE);
    }
}

uint64_t journal_read(const char *file, expectation *expected, size_t count)
{
    FILE *from = fopen(file, "re");
    uint64_t acknowledged = 0;
    journal_entry entry;

    if (from == NULL) {
        (void)fprintf(stderr, "caskade-demo: %s: %s\n", file, strerror(errno));
        exit(EXIT_FAILURE);
    }
    while (fread(&entry, sizeof(entry), 1, from) == 1) {
        edit said = {entry.number, entry.is_delete != 0};
        expectation *about;

        if (entry.index >= count) {
            (void)fprintf(stderr, "caskade-demo: %s: no record %u\n", file,
                          entry.index);
            exit(EXIT_FAILURE);
        }
        about = &expected[entry.index];
        if (entry.acknowledged == 0) {
            about->perhaps = said;
        } else {
            about->last = said;
            about->perhaps = (edit){0};
            acknowledged++;
        }
    }
    (void)fclose(from);
    return acknowledged;
}
