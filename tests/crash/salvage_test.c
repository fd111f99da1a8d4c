/*
 * What repair makes of a damaged store: every byte flipped, every prefix, files
 * lost, swapped, of another store and of another time. Each record whose bytes
 * are there still is found, wherever they are; of each key the newest of these
 * is in the new store, nothing else is; deletes that only hints tell of are
 * respected; what is lost is told; the damaged store does not change.
 */
#include "crash/damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/record_format.h"
#include "log/segment_format.h"

#define OUT "/out"

/* NONCE_OFFSET: in the header of a segment, docs/format/segment.md. */
enum { NONCE_OFFSET = 40 };

/* What one repair told. */
typedef struct told {
    uint64_t lost;
    uint64_t harmless;
    uint64_t keys;
} told;

static void on_lost(void *context, const cask_lost *lost)
{
    told *t = context;

    assert_non_null(lost->at.file);
    assert_true(strlen(lost->at.reason) > 0);
    t->lost++;
    t->harmless += lost->harmless ? 1 : 0;
    t->keys += lost->key.data != NULL ? 1 : 0;
}

/* ---- The oracle ---------------------------------------------------------- */

typedef enum fate {
    FATE_THERE,   /* all of its bytes are in some file */
    FATE_GONE,    /* they are not */
    FATE_IN_HINT, /* nor are they, but its hint tells of it */
    FATE_PERHAPS  /* they are, but of a batch at the end of the log that is not
                     whole, or where too little is left of a header */
} fate;

static bool same_bytes(const image_file *a, const image_file *b, uint64_t start,
                       uint64_t end)
{
    return a->size >= end && b->size >= end &&
           memcmp(a->data + start, b->data + start, end - start) == 0;
}

/* Where the record ends, without the padding, which nothing protects. */
static uint64_t end_of(const image_file *file, const step *s)
{
    segment_header segment;
    record_header header;

    assert_int_equal(
        segment_header_decode(file->data, file->name, &segment, NULL), CASK_OK);
    assert_true(record_decode_header(file->data + s->start,
                                     (record_seed){segment.nonce, s->start},
                                     &header));
    return s->start + RECORD_HEADER_SIZE + record_body_size(&header);
}

static bool is_unchanged(damage_bench *bench, const char *name)
{
    const image_file *before = image_find(&bench->past.image, name);
    const image_file *now = image_find(&bench->image, name);

    return before != NULL && !before->missing && now != NULL && !now->missing &&
           before->size == now->size &&
           same_bytes(before, now, 0, before->size);
}

/* Nothing in a segment can be checked without its nonce. */
static bool has_nonce(damage_bench *bench, const image_file *file,
                      const image_file *original)
{
    return is_unchanged(bench, "MANIFEST") ||
           (file->size >= NONCE_OFFSET + 8 &&
            same_bytes(file, original, NONCE_OFFSET, NONCE_OFFSET + 8));
}

/* Where its bytes are still; NULL: nowhere. */
static const image_file *find_bytes(damage_bench *bench, const step *s)
{
    const image_file *original = image_find(&bench->past.image, s->file);
    uint64_t end = end_of(original, s);

    for (size_t i = 0; i < bench->image.count; i++) {
        const image_file *file = &bench->image.files[i];

        if (!file->missing && file->size >= s->end &&
            same_bytes(file, original, s->start, end)) {
            return file;
        }
    }
    return NULL;
}

static bool hint_is_there(damage_bench *bench, const step *s)
{
    char name[SEGMENT_NAME_SIZE];
    uint64_t id = 0;

    assert_true(segment_name_parse(s->file, &id));
    hint_name_format(id, name);
    return is_unchanged(bench, name);
}

static bool has_hint(damage_bench *bench, const step *s)
{
    return hint_is_there(bench, s) && is_unchanged(bench, "CASKADE");
}

/* Whether the log may end in this segment, for all that is known. */
static bool may_be_last(damage_bench *bench, const step *s)
{
    const history *past = &bench->past;

    return strcmp(s->file, past->tail_file) == 0
               ? s->end > past->tail_synced
               : !is_unchanged(bench, "MANIFEST") && !hint_is_there(bench, s);
}

/* Whether a batch that step `i` is of has all of its records, or whether a
 * record behind it proves that it had. */
static bool is_whole(damage_bench *bench, int i)
{
    const history *past = &bench->past;
    bool whole = true;
    int last = i;

    if (!may_be_last(bench, &past->steps[i])) {
        return true;
    }
    while (past->steps[last].more) {
        last++;
        whole = whole && find_bytes(bench, &past->steps[last]) != NULL;
    }
    for (last++; !whole && last < past->count; last++) {
        whole = strcmp(past->steps[last].file, past->steps[i].file) == 0 &&
                find_bytes(bench, &past->steps[last]) != NULL;
    }
    return whole;
}

static fate fate_of(damage_bench *bench, int i)
{
    const step *s = &bench->past.steps[i];
    const image_file *file = find_bytes(bench, s);

    if (file == NULL) {
        return s->kind == STEP_DELETE && has_hint(bench, s) ? FATE_IN_HINT
                                                            : FATE_GONE;
    }
    return is_whole(bench, i) &&
                   has_nonce(bench, file,
                             image_find(&bench->past.image, s->file))
               ? FATE_THERE
               : FATE_PERHAPS;
}

/* ---- The judgement ------------------------------------------------------- */

typedef struct trial {
    damage_bench *bench;
    const char *label;
    const char *file;
    uint64_t start;
    bool nothing_is_sealed; /* in MANIFEST */
    cask_db *db;            /* the new store */
    told told;              /* by the repair */
    uint64_t lost;          /* that must have been told */
} trial;

static void refuse(const trial *t, int key, int found)
{
    fail_msg("%s: %s from byte %llu: key %d is %d", t->file, t->label,
             (unsigned long long)t->start, key, found);
}

static int look_up(const trial *t, int key)
{
    cask_buffer value = {NULL, 0, 0};
    cask_status status = cask_get(t->db, history_key(key), &value, NULL);
    int found = HISTORY_NONE;

    if (status == CASK_OK) {
        found = history_step_of(&t->bench->past, key, value.data, value.size);
        if (found < 0) {
            refuse(t, key, found); /* nobody ever put that */
        }
    } else if (status != CASK_NOT_FOUND) {
        refuse(t, key, HISTORY_DAMAGED);
    }
    cask_buffer_free(&value);
    return found;
}

/*
 * A power cut may lose what was not synced, and nobody can tell. Nor does
 * anything tell how long a segment was that is not sealed in MANIFEST, has no
 * footer, and was cut.
 */
static bool must_be_told(const trial *t, const step *s)
{
    const history *past = &t->bench->past;
    const image_file *now = image_find(&t->bench->image, s->file);

    if (t->nothing_is_sealed && now != NULL && now->size < s->end) {
        return false;
    }
    return strcmp(s->file, past->tail_file) != 0 || s->end <= past->tail_synced;
}

static void judge_key(trial *t, int key)
{
    const history *past = &t->bench->past;
    int found = look_up(t, key);

    for (int i = past->count - 1; i >= 0; i--) {
        const step *s = &past->steps[i];
        int is = s->kind == STEP_PUT ? i : HISTORY_NONE;
        fate f;

        if (s->key != key) {
            continue;
        }
        f = fate_of(t->bench, i);
        if (f == FATE_PERHAPS && found == is) {
            return;
        }
        if (f == FATE_GONE && must_be_told(t, s)) {
            t->lost++;
        }
        if (f == FATE_THERE || f == FATE_IN_HINT) {
            if (found != is) {
                refuse(t, key, found);
            }
            return;
        }
    }
    if (found != HISTORY_NONE) {
        refuse(t, key, found);
    }
}

static bool remove_name(void *context, const char *name)
{
    os_file *dir = context;

    assert_int_equal(dir->os->ops->remove(dir, name), 0);
    return true;
}

static void clear_out(os *kernel)
{
    os_file *dir;

    assert_int_equal(kernel->ops->open_dir(kernel, OUT, &dir), 0);
    assert_int_equal(kernel->ops->list(dir, remove_name, dir), 0);
    kernel->ops->close(dir);
}

static void check_source(damage_bench *bench)
{
    size_t count = 0;
    image now;

    image_capture(bench->kernel, HISTORY_PATH, &now);
    for (size_t i = 0; i < bench->image.count; i++) {
        const image_file *file = &bench->image.files[i];
        const image_file *found = image_find(&now, file->name);

        if (!file->missing) {
            assert_non_null(found);
            assert_int_equal(found->size, file->size);
            assert_true(same_bytes(found, file, 0, file->size));
            count++;
        }
    }
    assert_int_equal(now.count, count);
    image_free(&now);
}

static void open_out(trial *t)
{
    cask_options options;
    cask_error err = {CASK_OK, 0, ""};

    cask_options_init(&options);
    options.read_only = true;
    if (db_open_on(t->bench->kernel, OUT, &options, &t->db, &err) != CASK_OK) {
        fail_msg("%s: %s from byte %llu: open: %s", t->file, t->label,
                 (unsigned long long)t->start, err.message);
    }
}

/* Repair bench->image and judge what comes of it. */
static void judge(damage_bench *bench, const char *label, const char *file,
                  uint64_t start)
{
    trial t = {.bench = bench, .label = label, .file = file, .start = start};
    const cask_repair_options options = {.on_lost = on_lost,
                                         .context = &t.told};
    cask_repair_report report;
    cask_error err = {CASK_OK, 0, ""};
    uint64_t count = 0;
    cask_status status;

    t.nothing_is_sealed = bench->end == HISTORY_ROTATED;
    bench->cases++;
    image_restore(bench->kernel, HISTORY_PATH, &bench->image);
    status =
        db_repair_on(bench->kernel, HISTORY_PATH, OUT, &options, &report, &err);
    if (status != CASK_OK && status != CASK_CORRUPT) {
        fail_msg("%s: %s from byte %llu: %s", file, label,
                 (unsigned long long)start, err.message);
    }
    assert_int_equal(report.lost, t.told.lost);
    assert_int_equal(report.harmless, t.told.harmless);
    assert_true((status == CASK_CORRUPT) == (report.lost > report.harmless));
    open_out(&t);
    for (int key = 0; key < HISTORY_KEYS; key++) {
        judge_key(&t, key);
    }
    assert_int_equal(cask_count(t.db, &count, NULL), CASK_OK);
    assert_int_equal(count, report.keys);
    assert_int_equal(cask_close(t.db, NULL), CASK_OK);
    if (t.lost > 0 && status != CASK_CORRUPT) {
        fail_msg("%s: %s from byte %llu: %llu losses were not told", file,
                 label, (unsigned long long)start, (unsigned long long)t.lost);
    }
    bench->told += t.told.keys;
    bench->missing += t.lost;
    bench->unharmed += t.told.lost == 0 ? 1 : 0;
    check_source(bench);
    clear_out(bench->kernel);
}

/* As judge(), with other bytes (NULL: none) in place of a file's. */
static void judge_with(damage_bench *bench, image_file *file, const char *label,
                       const uint8_t *data, size_t size)
{
    image_file before = *file;

    if (data == NULL) {
        file->missing = true;
    } else {
        file->data = NULL;
        image_set(file, data, size);
    }
    judge(bench, label, before.name, 0);
    if (data != NULL) {
        free(file->data);
    }
    *file = before;
}

/* ---- Flips, prefixes ----------------------------------------------------- */

static void flip_every_byte(damage_bench *bench)
{
    for (size_t i = 0; i < bench->image.count; i++) {
        image_file *file = &bench->image.files[i];

        for (uint64_t at = 0; at < file->size;
             at = damage_next_byte(bench, file, at, SALVAGE_STRIDE)) {
            file->data[at] ^= 0x01;
            judge(bench, "flip", file->name, at);
            file->data[at] ^= 0x01;
        }
    }
    assert_true(bench->unharmed > 0);
    assert_true(bench->missing > 0);
    if (bench->end == HISTORY_SEALED) {
        assert_true(bench->told > 0); /* keys, by hints */
    }
}

static void test_every_byte_flipped(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, flip_every_byte);
}

static void cut_every_file(damage_bench *bench)
{
    for (size_t i = 0; i < bench->image.count; i++) {
        image_file *file = &bench->image.files[i];
        size_t size = file->size;

        for (uint64_t at = 0; at < size;
             at = damage_next_byte(bench, file, at, DAMAGE_CUT_STRIDE)) {
            file->size = at;
            judge(bench, "cut", file->name, at);
        }
        file->size = size;
    }
}

static void test_every_prefix_of_every_file(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, cut_every_file);
}

/* ---- Lost, swapped, others' ---------------------------------------------- */

static void lose_any_two(damage_bench *bench)
{
    for (size_t i = 0; i < bench->image.count; i++) {
        for (size_t j = i; j < bench->image.count; j++) {
            bench->image.files[i].missing = true;
            bench->image.files[j].missing = true;
            judge(bench, "lost, and another", bench->image.files[i].name, j);
            bench->image.files[i].missing = false;
            bench->image.files[j].missing = false;
        }
    }
}

static void test_any_two_files_lost(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, lose_any_two);
}

static void swap_any_two(damage_bench *bench)
{
    for (size_t i = 0; i < bench->image.count; i++) {
        for (size_t j = i + 1; j < bench->image.count; j++) {
            image_swap(&bench->image.files[i], &bench->image.files[j]);
            judge(bench, "swapped", bench->image.files[i].name, j);
            image_swap(&bench->image.files[i], &bench->image.files[j]);
        }
    }
}

static void test_any_two_files_swapped(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, swap_any_two);
}

static void replace_from(damage_bench *bench, image *from, const char *label)
{
    for (size_t i = 0; i < bench->image.count; i++) {
        image_file *file = &bench->image.files[i];
        const image_file *other = image_find(from, file->name);

        if (other != NULL) {
            judge_with(bench, file, label, other->data, other->size);
        }
    }
}

static void take_another_store(damage_bench *bench)
{
    history other;

    history_make(&other, bench->end, crash_seed() + 1);
    replace_from(bench, &other.image, "of another store");
    history_free(&other);
}

static void test_files_of_another_store(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, take_another_store);
}

static void take_an_earlier_time(damage_bench *bench)
{
    history other;

    history_make(&other, HISTORY_SEALED, crash_seed());
    replace_from(bench, &other.image, "of an earlier time");
    history_free(&other);
}

static void test_files_of_an_earlier_time(void **state)
{
    (void)state;
    damage_each_end(HISTORY_CLOSED, take_an_earlier_time);
}

/* Damage at several places at once, the same each time by the seed. */
static void damage_at_random(damage_bench *bench)
{
    enum { ROUNDS = 2000, PLACES = 6 };
    uint64_t random = crash_seed() + (uint64_t)bench->end;

    for (int round = 0; round < ROUNDS; round++) {
        image_file *file[PLACES];
        uint64_t at[PLACES];

        for (int i = 0; i < PLACES; i++) {
            file[i] =
                &bench->image.files[crash_random(&random) % bench->image.count];
            at[i] = crash_random(&random) % file[i]->size % 4096;
            file[i]->data[at[i]] ^= 0x10;
        }
        judge(bench, "random damage", "round", (uint64_t)round);
        for (int i = 0; i < PLACES; i++) {
            file[i]->data[at[i]] ^= 0x10;
        }
    }
}

static void test_damage_at_random(void **state)
{
    (void)state;
    damage_each_end(HISTORY_SEALED, damage_at_random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_flipped),
        cmocka_unit_test(test_every_prefix_of_every_file),
        cmocka_unit_test(test_any_two_files_lost),
        cmocka_unit_test(test_any_two_files_swapped),
        cmocka_unit_test(test_files_of_another_store),
        cmocka_unit_test(test_files_of_an_earlier_time),
        cmocka_unit_test(test_damage_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
