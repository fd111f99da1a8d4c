#include "content.h"

#include <string.h>

#include "support/random.h"

cask_slice key_of(unsigned key, char text[512])
{
    memset(text, (int)key, 512);
    if (key == 0) {
        return (cask_slice){NULL, 0};
    }
    if (key == 1) {
        memset(text, 0, 9);
        return (cask_slice){text, 9};
    }
    return (cask_slice){text, key == 2 ? 500 : 1 + key % 7 * 3 + key};
}

cask_slice value_of(uint64_t number, uint8_t *memory)
{
    uint64_t word = test_mix(number);
    size_t size = word % 64;

    if (word >> 20 & 1) {
        size = word % 4000;
    } else if ((word >> 21) % 100 == 0) {
        size = VALUE_BYTES;
    }
    for (size_t i = 0; i < size; i++) {
        word = word * UINT64_C(6364136223846793005) + 1442695040888963407;
        memory[i] = (uint8_t)(word >> 56);
    }
    return (cask_slice){memory, size};
}
