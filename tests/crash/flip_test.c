/*
 * Every byte of every file of a small store flipped, one at a time; see
 * damage.h for what must hold.
 */
#include "crash/damage.h"

#include <string.h>

static void flip_file(damage_bench *bench, image_file *file, uint8_t mask)
{
    damage what = {.label = mask == 0xff ? "flip 0xff" : "flip one bit",
                   .modes = mask == 0xff ? DAMAGE_ODD : DAMAGE_EVEN,
                   .is_flip = true};

    damage_aim(bench, file, &what);
    for (uint64_t at = mask == 0xff ? DAMAGE_FLIP_STRIDE - 1 : 0;
         at < file->size;
         at = damage_next_byte(bench, file, at, DAMAGE_FLIP_STRIDE)) {
        file->data[at] ^= mask;
        what.start = at;
        damage_judge(bench, &what);
        file->data[at] ^= mask;
    }
}

static void sweep(damage_bench *bench, history_end end, bool unsealed_only)
{
    damage_begin(bench, end);
    for (size_t i = 0; i < bench->image.count; i++) {
        image_file *file = &bench->image.files[i];

        if (!unsealed_only || strcmp(file->name, "MANIFEST") == 0 ||
            strcmp(file->name, bench->past.tail_file) == 0) {
            flip_file(bench, file, 0x01);
            flip_file(bench, file, 0xff);
        }
    }
    damage_end(bench);
}

static void test_every_byte_of_a_store_that_was_closed(void **state)
{
    damage_bench bench;

    (void)state;
    sweep(&bench, HISTORY_CLOSED, false);
    assert_true(bench.refused > 0 && bench.unharmed > 0 && bench.told > 0);
}

static void test_every_byte_of_the_tail_that_a_dead_writer_left(void **state)
{
    damage_bench bench;

    (void)state;
    sweep(&bench, HISTORY_KILLED, true);
    assert_true(bench.refused > 0 && bench.unharmed > 0 && bench.cut > 0);
}

static void test_every_byte_of_a_manifest_that_ends_with_a_seal(void **state)
{
    damage_bench bench;

    (void)state;
    sweep(&bench, HISTORY_SEALED, true);
    assert_true(bench.refused > 0 && bench.unharmed > 0);
    assert_int_equal(
        bench.cut + bench.missing + bench.outdated + bench.returned, 0);
}

static void test_every_byte_of_segments_that_are_not_sealed_yet(void **state)
{
    damage_bench bench;

    (void)state;
    sweep(&bench, HISTORY_ROTATED, false);
    assert_true(bench.refused > 0 && bench.unharmed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_of_a_store_that_was_closed),
        cmocka_unit_test(test_every_byte_of_the_tail_that_a_dead_writer_left),
        cmocka_unit_test(test_every_byte_of_a_manifest_that_ends_with_a_seal),
        cmocka_unit_test(test_every_byte_of_segments_that_are_not_sealed_yet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
