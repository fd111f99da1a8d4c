/*
 * File names from any bytes: what is accepted is written the same again.
 */
#include "fuzz/fuzz.h"
#include "log/segment_format.h"

static void check(const char *name)
{
    char again[SEGMENT_NAME_SIZE];
    uint64_t id = 0;

    if (segment_name_parse(name, &id)) {
        segment_name_format(id, again);
        FUZZ_REQUIRE(strcmp(again, name) == 0);
        FUZZ_REQUIRE(!hint_name_parse(name, &id));
    } else if (hint_name_parse(name, &id)) {
        hint_name_format(id, again);
        FUZZ_REQUIRE(strcmp(again, name) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *name = malloc(size + 1);

    FUZZ_REQUIRE(name != NULL);
    if (size > 0) {
        memcpy(name, data, size);
    }
    name[size] = '\0';
    check(name);
    free(name);
    return 0;
}
