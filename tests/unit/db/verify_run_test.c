/*
 * Runs that were made wrongly, with right checksums: what leads to records, or
 * counts them, is not what the records say. An open believes it; verify does
 * not.
 */
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "crash/tree_place.h"
#include "db/db.h"
#include "log/manifest.h"
#include "run/run_hash.h"

/* A run that is made wrong. */
typedef struct work {
    uint8_t *bytes;
    size_t size;
    run_footer footer;
    uint64_t at[RUN_SECTIONS + 1];
} work;

/* ---- What is made wrong -------------------------------------------------- */

static void forget_a_key(work *w)
{
    uint8_t *entry = w->bytes + w->at[RUN_INDEX];

    while (load_u32(entry) == 0) {
        entry += 4;
    }
    store_u32(entry, 0);
}

static void add_an_entry(work *w)
{
    uint8_t *entry = w->bytes + w->at[RUN_FILTER] - 4;

    while (load_u32(entry) != 0) {
        entry -= 4;
    }
    store_u32(entry, 8);
}

static void clear_the_filter(work *w)
{
    memset(w->bytes + w->at[RUN_FILTER], 0,
           (size_t)run_section_bytes(&w->footer, RUN_FILTER));
}

static void move_a_fence(work *w)
{
    uint8_t *head = w->bytes + w->at[RUN_FENCES];

    store_u64(head, load_u64(head) - 1);
}

static void raise_the_largest_key(work *w)
{
    uint8_t *bounds = w->bytes + w->at[RUN_BOUNDS];

    bounds[w->footer.smallest_bytes + w->footer.largest_bytes - 1]++;
}

static void count_a_delete_more(work *w)
{
    w->footer.tombstones++;
}

static void raise_the_last_sequence(work *w)
{
    w->footer.last_sequence++;
}

static void lower_the_first_sequence(work *w)
{
    w->footer.first_sequence--;
}

static void be_another_run(work *w)
{
    segment_header header;

    assert_int_equal(segment_header_decode(w->bytes, "run", &header, NULL),
                     CASK_OK);
    header.id++;
    segment_header_encode(&header, w->bytes);
}

/* "key 00" to "key 99", which is behind all others. */
static void put_a_key_out_of_order(work *w)
{
    const record_seed seed = {w->footer.nonce, SEGMENT_HEADER_SIZE};
    uint8_t *record = w->bytes + SEGMENT_HEADER_SIZE;
    uint8_t *body = record + RECORD_HEADER_SIZE;
    record_header header;

    assert_true(record_decode_header(record, seed, &header));
    memcpy(body + 4, "99", 2);
    record_encode_header(&header,
                         crc32c(0, body, (size_t)record_body_size(&header)),
                         seed, record);
}

/* ---- Making and finding it ----------------------------------------------- */

typedef struct wanted {
    const char *reason;
    uint64_t found;
    uint64_t told;
} wanted;

static void on_problem(void *context, const cask_problem *problem)
{
    wanted *w = context;

    w->told++;
    w->found += strstr(problem->reason, w->reason) != NULL ? 1 : 0;
}

static uint64_t verify(tree_place *p, const char *reason)
{
    wanted w = {.reason = reason};
    const cask_verify_options options = {.on_problem = on_problem,
                                         .context = &w};
    cask_verify_report report;

    assert_int_equal(
        db_verify_on(p->kernel, TREE_PATH, &options, &report, NULL),
        CASK_CORRUPT);
    if (w.found == 0) {
        fail_msg("not found: %s", reason);
    }
    assert_int_equal(report.harmless, 0);
    return w.told;
}

/* The second run but those of values, by name: that above the last level. */
static image_file *run_above(image *all)
{
    size_t i = 0;

    for (size_t runs = 0; i < all->count; i++) {
        const image_file *file = &all->files[i];

        runs +=
            strstr(file->name, ".run") != NULL && !tree_place_is_values(file)
                ? 1
                : 0;
        if (runs == 2) {
            break;
        }
    }
    assert_true(i < all->count);
    return &all->files[i];
}

static void make_wrong(image_file *file, void (*change)(work *w))
{
    work w = {.bytes = file->data, .size = file->size};
    const size_t footer = file->size - RUN_FOOTER_SIZE;

    assert_int_equal(run_footer_decode(w.bytes + footer, file->name, footer,
                                       &w.footer, NULL),
                     CASK_OK);
    run_layout(&w.footer, w.at);
    change(&w);
    for (int i = 0; i < RUN_SECTIONS; i++) {
        w.footer.crc[i] =
            crc32c(0, w.bytes + w.at[i], (size_t)(w.at[i + 1] - w.at[i]));
    }
    run_footer_encode(&w.footer, w.bytes + footer);
}

static void test_what_contradicts_the_records_is_found(void **state)
{
    static const struct {
        void (*change)(work *w);
        const char *reason;
    } rows[] = {
        {forget_a_key, "the index does not lead to this record"},
        {add_an_entry, "the index has other entries than there are keys"},
        {clear_the_filter, "the filter denies that this record is there"},
        {move_a_fence, "no fence leads to this record"},
        {raise_the_largest_key, "the bounds are not those of the records"},
        {count_a_delete_more, "the footer says deletes"},
        {raise_the_last_sequence, "the footer says last sequence"},
        {lower_the_first_sequence, "the footer says first sequence"},
        {be_another_run, "belongs to another run or store"},
        {put_a_key_out_of_order, "the record is not behind the one before"},
    };
    tree_place *p = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        image now;

        image_copy(&p->whole, &now);
        make_wrong(run_above(&now), rows[i].change);
        image_restore(p->kernel, TREE_PATH, &now);
        (void)verify(p, rows[i].reason);
        image_free(&now);
    }
}

/* One after the other, however many there are. */
static void test_each_damaged_record_is_told(void **state)
{
    tree_place *p = *state;
    record_header header;
    segment_header segment;
    image now;
    uint64_t records = 0;
    image_file *file;

    image_copy(&p->whole, &now);
    file = run_above(&now);
    assert_int_equal(
        segment_header_decode(file->data, file->name, &segment, NULL), CASK_OK);
    for (uint64_t at = SEGMENT_HEADER_SIZE; record_decode_header(
             file->data + at, (record_seed){segment.nonce, at}, &header);
         at += record_size(&header)) {
        if (records++ % 2 == 1) {
            file->data[at + RECORD_HEADER_SIZE] ^= 1;
        }
    }
    assert_true(records > 4);
    image_restore(p->kernel, TREE_PATH, &now);
    assert_int_equal(verify(p, "no record verifies here"), records / 2);
    image_free(&now);
}

static void test_parts_that_overlap_are_found(void **state)
{
    tree_place *p = *state;
    manifest_state manifest;
    manifest_run *two[2];
    size_t found = 0;
    store_identity identity;
    os_file *dir;

    assert_int_equal(identity_decode(image_find(&p->whole, "CASKADE")->data,
                                     "CASKADE", &identity, NULL),
                     CASK_OK);
    assert_int_equal(p->kernel->ops->open_dir(p->kernel, TREE_PATH, &dir), 0);
    assert_int_equal(manifest_load(dir, identity.uuid, &manifest, NULL),
                     CASK_OK);
    for (size_t i = 0; i < manifest.run_count; i++) {
        if (manifest.runs[i].level != MANIFEST_VALUES) {
            two[found++ % 2] = &manifest.runs[i];
        }
    }
    assert_int_equal(found, 3);
    two[1]->level = two[0]->level;
    two[1]->run = two[0]->run;
    assert_int_equal(manifest_rewrite(dir, &manifest, 0600, NULL), CASK_OK);
    assert_int_equal(verify(p, "its keys overlap with those of run"), 1);
    manifest_free(&manifest);
    p->kernel->ops->close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, tree_place_set_up,                   \
                                    tree_place_tear_down)
        TEST(test_what_contradicts_the_records_is_found),
        TEST(test_each_damaged_record_is_told),
        TEST(test_parts_that_overlap_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
