/*
 * A whole hint file from any bytes, read as an open reads it.
 */
#include "fuzz/fuzz.h"
#include "log/hint_format.h"

/* Every row that is called sound names bytes inside the segment. */
static void check_rows(const uint8_t *rows, const hint_header *header)
{
    for (uint64_t i = 0; i < header->row_count; i++) {
        const uint8_t *bytes = rows + i * HINT_ROW_SIZE;
        uint8_t again[HINT_ROW_SIZE];
        hint_row row;

        hint_row_decode(bytes, &row);
        hint_row_encode(&row, again);
        FUZZ_REQUIRE(memcmp(again, bytes, sizeof(again)) == 0);
        if (hint_row_is_sound(&row, header->segment_length)) {
            uint64_t offset = hint_place_offset(row.place);

            FUZZ_REQUIRE(offset >= SEGMENT_HEADER_SIZE);
            FUZZ_REQUIRE(offset < header->segment_length);
            FUZZ_REQUIRE(hint_place_size(row.place) <=
                         header->segment_length - offset);
        }
    }
}

static void check(const uint8_t head[HINT_HEADER_SIZE], const uint8_t *data,
                  size_t size)
{
    hint_header header;
    uint8_t again[HINT_HEADER_SIZE];
    cask_error err;
    cask_status status = hint_header_decode(head, "x", &header, &err);

    if (status != CASK_OK) {
        fuzz_check_error(&err, status, "x");
        return;
    }
    /* No overflow: the size of the file grows with the number of rows. */
    FUZZ_REQUIRE(hint_file_bytes(&header) >= HINT_HEADER_SIZE);
    FUZZ_REQUIRE((hint_file_bytes(&header) - HINT_HEADER_SIZE) /
                     HINT_ROW_SIZE ==
                 header.row_count);
    hint_header_encode(&header, again);
    FUZZ_REQUIRE(hint_header_decode(again, "x", &header, NULL) == CASK_OK);
    if (hint_file_bytes(&header) <= size) {
        check_rows(data + HINT_HEADER_SIZE, &header);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t head[HINT_HEADER_SIZE];

    fuzz_take(data, size, head, sizeof(head));
    check(head, data, size);
    fuzz_reseal(head, sizeof(head));
    check(head, data, size);
    return 0;
}
