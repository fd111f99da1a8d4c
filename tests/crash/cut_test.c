/*
 * Files of a small store cut, lengthened, lost, swapped, and replaced by those
 * of another store or of another time; see damage.h for what must hold.
 */
#include "crash/damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ADDED = 4096 };

/* ---- Cut ----------------------------------------------------------------- */

static void cut_file(damage_bench *bench, image_file *file)
{
    damage what = {.label = "cut", .is_cut = true};

    for (uint64_t size = 0; size < file->size;
         size = damage_next_byte(bench, file, size, DAMAGE_CUT_STRIDE)) {
        what.modes = size % 2 == 0 ? DAMAGE_EVEN : DAMAGE_ODD;
        damage_replace(bench, file, &what, file->data, size);
    }
}

static void cut_all(history_end end)
{
    damage_bench bench;

    damage_begin(&bench, end);
    for (size_t i = 0; i < bench.image.count; i++) {
        cut_file(&bench, &bench.image.files[i]);
    }
    damage_end(&bench);
    assert_true(bench.refused > 0 && bench.unharmed > 0);
}

static void test_every_prefix_of_a_store_that_was_closed(void **state)
{
    (void)state;
    cut_all(HISTORY_CLOSED);
}

static void test_every_prefix_of_what_a_dead_writer_left(void **state)
{
    (void)state;
    cut_all(HISTORY_KILLED);
}

static void test_every_prefix_of_a_sealed_store(void **state)
{
    (void)state;
    cut_all(HISTORY_SEALED);
}

/* ---- Lengthened ---------------------------------------------------------- */

/* Bytes that a file may have behind its end. */
typedef enum addition {
    ADD_ZEROS,
    ADD_GARBAGE,
    ADD_ITSELF,
    ADDITIONS
} addition;

static void lengthen(damage_bench *bench, image_file *file, addition kind,
                     size_t added)
{
    static const char *const labels[ADDITIONS] = {
        "lengthened by zeros", "lengthened by garbage",
        "lengthened by its own bytes"};
    damage what = {.label = labels[kind]};
    uint8_t *longer = calloc(1, file->size + added);
    uint64_t random = crash_seed() + added;

    assert_non_null(longer);
    memcpy(longer, file->data, file->size);
    for (size_t i = 0; i < added && kind != ADD_ZEROS; i++) {
        longer[file->size + i] = kind == ADD_GARBAGE
                                     ? (uint8_t)crash_random(&random)
                                     : file->data[i % file->size];
    }
    damage_replace(bench, file, &what, longer, file->size + added);
    free(longer);
}

static void lengthen_all(damage_bench *bench)
{
    static const size_t sizes[] = {1, 7, 8, 48, 64, 512, MOST_ADDED};

    for (size_t i = 0; i < bench->image.count; i++) {
        for (int kind = ADD_ZEROS; kind < ADDITIONS; kind++) {
            for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
                lengthen(bench, &bench->image.files[i], (addition)kind,
                         sizes[j]);
            }
        }
    }
    assert_int_equal(
        bench->cut + bench->missing + bench->outdated + bench->returned, 0);
}

static void test_what_lies_behind_the_end_of_a_file_is_not_read(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, lengthen_all);
}

/* ---- Lost, swapped ------------------------------------------------------- */

static void lose_each(damage_bench *bench)
{
    for (size_t i = 0; i < bench->image.count; i++) {
        damage what = {.label = "lost"};

        damage_replace(bench, &bench->image.files[i], &what, NULL, 0);
    }
}

static void test_a_file_that_is_lost_is_missed(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, lose_each);
}

static void swap(damage_bench *bench, image_file *a, image_file *b)
{
    damage what = {.label = "swapped with the next"};

    (void)snprintf(what.other, sizeof(what.other), "%s", b->name);
    image_swap(a, b);
    /* Both differ; the first one leads. */
    damage_aim(bench, a, &what);
    what.hint_remains = false;
    damage_judge(bench, &what);
    image_swap(a, b);
}

static void swap_any_two(damage_bench *bench)
{
    for (size_t i = 0; i < bench->image.count; i++) {
        for (size_t j = i + 1; j < bench->image.count; j++) {
            swap(bench, &bench->image.files[i], &bench->image.files[j]);
        }
    }
}

static void test_two_files_that_are_swapped_are_told(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, swap_any_two);
}

/* ---- Of another store, of an earlier time -------------------------------- */

/* Each file by the one of the same name of `from`, if it is another. */
static void replace_from(damage_bench *bench, image *from, const char *label)
{
    for (size_t i = 0; i < bench->image.count; i++) {
        image_file *file = &bench->image.files[i];
        image_file *other = image_find(from, file->name);
        damage what = {.label = label, .is_cut = true};

        if (other == NULL ||
            (other->size == file->size &&
             memcmp(other->data, file->data, file->size) == 0)) {
            continue;
        }
        if (strcmp(file->name, "CASKADE") == 0) {
            (void)snprintf(what.other, sizeof(what.other), "MANIFEST");
        }
        damage_replace(bench, file, &what, other->data, other->size);
    }
}

static void take_another_store(damage_bench *bench)
{
    history other;

    history_make(&other, bench->end, crash_seed() + 1);
    replace_from(bench, &other.image, "of another store");
    history_free(&other);
}

static void test_files_of_another_store_are_refused(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, take_another_store);
}

static void take_earlier_times(damage_bench *bench)
{
    history other;

    for (int time = HISTORY_SEALED; time < (int)bench->end; time++) {
        if (bench->end == HISTORY_ROTATED || time == HISTORY_ROTATED) {
            continue; /* that one is made up */
        }
        history_make(&other, (history_end)time, crash_seed());
        replace_from(bench, &other.image, "of an earlier time");
        history_free(&other);
    }
}

static void test_files_of_an_earlier_time_are_no_silent_loss(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, take_earlier_times);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_prefix_of_a_store_that_was_closed),
        cmocka_unit_test(test_every_prefix_of_what_a_dead_writer_left),
        cmocka_unit_test(test_every_prefix_of_a_sealed_store),
        cmocka_unit_test(test_what_lies_behind_the_end_of_a_file_is_not_read),
        cmocka_unit_test(test_a_file_that_is_lost_is_missed),
        cmocka_unit_test(test_two_files_that_are_swapped_are_told),
        cmocka_unit_test(test_files_of_another_store_are_refused),
        cmocka_unit_test(test_files_of_an_earlier_time_are_no_silent_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
