/*
 * Which pages of a file's map a process has in its page table; needs a kernel.
 */
#define _GNU_SOURCE

#include "place.h"

#include <fcntl.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static size_t count_mapped(const void *memory, size_t size)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t first = (uintptr_t)memory / 4096;
    size_t count = 0;

    assert_true(pagemap >= 0);
    for (uint64_t i = 0; i < size / 4096; i++) {
        uint64_t entry = 0;

        assert_int_equal(pread(pagemap, &entry, sizeof(entry),
                               (off_t)((first + i) * sizeof(entry))),
                         sizeof(entry));
        count += entry >> 63;
    }
    (void)close(pagemap);
    return count;
}

/* From any byte to any byte, as segments end anywhere. */
static void test_unfault_takes_pages_out_of_the_map(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    unsigned char *memory = NULL;

    assert_int_equal(at->os->ops->allocate(file, 0, MIB), 0);
    assert_int_equal(at->os->ops->map(file, 0, MIB, true, (void **)&memory), 0);
    at->os->ops->prefault(at->os, memory, MIB);
    memory[20 * 4096] = 7;
    assert_int_equal(count_mapped(memory, MIB), MIB / 4096);
    at->os->ops->unfault(at->os, memory + 10 * 4096 + 5, 100 * 4096 - 10);
    assert_int_equal(count_mapped(memory, MIB), MIB / 4096 - 100);
    assert_int_equal(memory[20 * 4096], 7);
    at->os->ops->unmap(at->os, memory, MIB);
    at->os->ops->close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unfault_takes_pages_out_of_the_map,
                                        place_setup_posix, place_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
