/*
 * What a damaged store may answer.
 */
#include "crash/damage.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/segment_format.h"

/* One way to open the damaged store. */
typedef struct open_mode {
    const char *name;
    cask_damage damage;
    cask_io io;
    bool read_only;
} open_mode;

static const open_mode modes[] = {
    {"fail", CASK_DAMAGE_FAIL, CASK_IO_MAP, false},
    {"fail, read-only", CASK_DAMAGE_FAIL, CASK_IO_PREAD, true},
    {"serve, read-only", CASK_DAMAGE_SERVE, CASK_IO_PREAD, true},
    {"serve", CASK_DAMAGE_SERVE, CASK_IO_MAP, false},
};

/* What a store answered. */
typedef struct answers {
    int key[HISTORY_KEYS]; /* a step, HISTORY_NONE or HISTORY_DAMAGED */
    bool any_damaged;
    bool damage_event;
} answers;

typedef struct trial {
    damage_bench *bench;
    const damage *what;
    const open_mode *mode;
    const char *step; /* of the trial, for messages */
    _Atomic uint32_t damage_events;
} trial;

/* ---- Failing ------------------------------------------------------------- */

#define REQUIRE(trial, condition, ...)                                         \
    ((condition) ? (void)0 : refuse(trial, #condition, __VA_ARGS__))

__attribute__((format(printf, 3, 4))) static void
refuse(const trial *t, const char *condition, const char *format, ...)
{
    char detail[512];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    fail_msg("%s: %s from byte %llu; damage=%s; %s: not true: %s (%s)",
             t->what->file, t->what->label, (unsigned long long)t->what->start,
             t->mode->name, t->step, condition, detail);
}

static bool names_file(const damage *what, const char *message)
{
    return strstr(message, what->file) != NULL ||
           (what->other[0] != 0 && strstr(message, what->other) != NULL);
}

/* The message belongs to the damaged file and says where. */
static void check_message(const trial *t, cask_status status,
                          const cask_error *err)
{
    const damage *what = t->what;

    REQUIRE(t, err->status == status, "%d, %s", status, err->message);
    REQUIRE(t, status == CASK_CORRUPT || status == CASK_UNSUPPORTED, "%s: %s",
            cask_status_name(status), err->message);
    REQUIRE(t, names_file(what, err->message), "%s", err->message);
    REQUIRE(t, !what->is_flip || strstr(err->message, "offset") != NULL, "%s",
            err->message);
}

/* ---- Asking -------------------------------------------------------------- */

static void on_event(void *context, const cask_event *event)
{
    trial *t = context;

    if (event->kind == CASK_EVENT_DAMAGE) {
        (void)atomic_fetch_add(&t->damage_events, 1);
        REQUIRE(t, names_file(t->what, event->message), "%s", event->message);
    }
}

static int ask(trial *t, cask_db *db, int k)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_buffer value = {0};
    cask_status status = cask_get(db, history_key(k), &value, &err);
    int answer = HISTORY_NONE;

    if (status == CASK_OK) {
        answer = history_step_of(&t->bench->past, k, value.data, value.size);
        REQUIRE(t, answer >= 0, "key %d has a value it never had", k);
    } else if (status != CASK_NOT_FOUND) {
        REQUIRE(t, status == CASK_CORRUPT, "key %d: %s", k, err.message);
        check_message(t, status, &err);
        REQUIRE(t, strstr(err.message, "offset") != NULL, "%s", err.message);
        answer = HISTORY_DAMAGED;
    }
    cask_buffer_free(&value);
    return answer;
}

typedef struct folding {
    trial *t;
    bool keys_only;
    int seen[HISTORY_KEYS]; /* as in answers; of keys only: 0 */
} folding;

static bool visit(void *context, const cask_entry *entry)
{
    folding *f = context;

    for (int k = 0; k < HISTORY_KEYS; k++) {
        cask_slice key = history_key(k);

        if (key.size == entry->key.size &&
            (key.size == 0 ||
             memcmp(key.data, entry->key.data, key.size) == 0)) {
            REQUIRE(f->t, f->seen[k] == HISTORY_NONE, "key %d twice", k);
            f->seen[k] = f->keys_only ? 0
                                      : history_step_of(&f->t->bench->past, k,
                                                        entry->value.data,
                                                        entry->value.size);
            REQUIRE(f->t, f->seen[k] >= 0, "key %d", k);
            return true;
        }
    }
    REQUIRE(f->t, false, "a key of %zu bytes that never was", entry->key.size);
    return false;
}

/*
 * The fold sees what the look-ups see, and says so if it cannot. It may see
 * less: a look-up brings the key itself, so that a record whose key is damaged
 * still proves that its value is right.
 */
static void check_fold(trial *t, cask_db *db, const answers *got)
{
    cask_error err = {CASK_OK, 0, ""};
    folding f = {.t = t};
    cask_status status;

    for (int k = 0; k < HISTORY_KEYS; k++) {
        f.seen[k] = HISTORY_NONE;
    }
    status = cask_fold(db, NULL, visit, &f, &err);
    REQUIRE(t, status == CASK_OK || status == CASK_CORRUPT, "fold: %d: %s",
            status, err.message);
    REQUIRE(t, status != CASK_OK || !got->any_damaged, "fold");
    if (status == CASK_CORRUPT) {
        check_message(t, status, &err);
    }
    for (int k = 0; k < HISTORY_KEYS; k++) {
        int expected =
            got->key[k] == HISTORY_DAMAGED ? HISTORY_NONE : got->key[k];

        REQUIRE(t,
                f.seen[k] == expected ||
                    (f.seen[k] == HISTORY_NONE && status == CASK_CORRUPT),
                "fold: key %d: step %d, the look-up found %d", k, f.seen[k],
                expected);
    }
}

/* Without values it sees what it sees with them, and perhaps keys whose values
 * are damaged, which it does not know; no other. */
static void check_fold_of_keys(trial *t, cask_db *db, const answers *got)
{
    const cask_fold_options options = {.keys_only = true};
    cask_error err = {CASK_OK, 0, ""};
    folding f = {.t = t, .keys_only = true};
    cask_status status;

    for (int k = 0; k < HISTORY_KEYS; k++) {
        f.seen[k] = HISTORY_NONE;
    }
    status = cask_fold(db, &options, visit, &f, &err);
    REQUIRE(t, status == CASK_OK || status == CASK_CORRUPT,
            "fold of keys: %d: %s", status, err.message);
    if (status == CASK_CORRUPT) {
        check_message(t, status, &err);
    }
    for (int k = 0; k < HISTORY_KEYS; k++) {
        bool is_seen = f.seen[k] != HISTORY_NONE;

        REQUIRE(t,
                is_seen ? got->key[k] != HISTORY_NONE
                        : got->key[k] == HISTORY_NONE || status == CASK_CORRUPT,
                "fold of keys: key %d: seen: %d, the look-up found %d", k,
                is_seen, got->key[k]);
    }
}

static void check_count(trial *t, cask_db *db, const answers *got)
{
    const history *past = &t->bench->past;
    uint64_t least = 0;
    uint64_t count = 0;
    uint64_t most;

    for (int k = 0; k < HISTORY_KEYS; k++) {
        least += got->key[k] != HISTORY_NONE ? 1 : 0;
    }
    most = least;
    /* Expired keys count too. */
    for (int i = 0; i < past->count; i++) {
        most += past->steps[i].kind == STEP_EXPIRED_PUT ? 1 : 0;
    }
    REQUIRE(t, cask_count(db, &count, NULL) == CASK_OK, "count");
    REQUIRE(t, count >= least && count <= most, "count is %llu",
            (unsigned long long)count);
}

static void ask_all(trial *t, cask_db *db, answers *ret_answers)
{
    cask_slice keys[HISTORY_KEYS];
    cask_buffer values[HISTORY_KEYS] = {{0}};
    cask_status statuses[HISTORY_KEYS];

    ret_answers->any_damaged = false;
    for (int k = 0; k < HISTORY_KEYS; k++) {
        keys[k] = history_key(k);
        ret_answers->key[k] = ask(t, db, k);
        ret_answers->any_damaged |= ret_answers->key[k] == HISTORY_DAMAGED;
    }
    REQUIRE(t,
            (cask_get_many(db, keys, HISTORY_KEYS, values, statuses, NULL) ==
             CASK_OK) == !ret_answers->any_damaged,
            "get_many");
    for (int k = 0; k < HISTORY_KEYS; k++) {
        cask_status expected = ret_answers->key[k] >= 0 ? CASK_OK
                               : ret_answers->key[k] == HISTORY_DAMAGED
                                   ? CASK_CORRUPT
                                   : CASK_NOT_FOUND;

        REQUIRE(t, statuses[k] == expected, "get_many: key %d: %d", k,
                statuses[k]);
        cask_buffer_free(&values[k]);
    }
    check_fold(t, db, ret_answers);
    check_fold_of_keys(t, db, ret_answers);
    check_count(t, db, ret_answers);
    ret_answers->damage_event = atomic_load(&t->damage_events) > 0;
}

/* ---- Judging ------------------------------------------------------------- */

/* The first key whose answer is not that of the first `count` steps; -1. */
static int first_difference(const history *past, const answers *got, int count)
{
    for (int k = 0; k < HISTORY_KEYS; k++) {
        if (got->key[k] != HISTORY_DAMAGED &&
            got->key[k] != history_state(past, count, k)) {
            return k;
        }
    }
    return -1;
}

static bool is_in_tail(const history *past, const damage *what)
{
    return strcmp(what->file, past->tail_file) == 0 && !what->file_is_gone &&
           what->start >=
               (what->is_cut ? past->tail_synced : past->tail_trusted);
}

/* Whether this is the store after some whole operation in front of the
 * damage, or after a later one. */
static bool is_cut(const history *past, const damage *what, const answers *got)
{
    for (int count = history_steps_before(past, what->start);
         count <= past->count; count++) {
        if ((count == 0 || !past->steps[count - 1].more) &&
            first_difference(past, got, count) < 0) {
            return true;
        }
    }
    return false;
}

/* What damage=serve cannot know; see docs/GUARANTEES.md. */
static void count_served(damage_bench *bench, const answers *got)
{
    const history *past = &bench->past;
    bool missing = false;
    bool outdated = false;
    bool returned = false;

    for (int k = 0; k < HISTORY_KEYS; k++) {
        int right = history_state(past, past->count, k);

        if (got->key[k] == right || got->key[k] == HISTORY_DAMAGED) {
            continue;
        }
        missing |= got->key[k] == HISTORY_NONE;
        outdated |= got->key[k] >= 0 && right >= 0;
        returned |= got->key[k] >= 0 && right == HISTORY_NONE;
    }
    bench->missing += missing ? 1 : 0;
    bench->outdated += outdated ? 1 : 0;
    bench->returned += returned ? 1 : 0;
}

static void judge(trial *t, const answers *got)
{
    damage_bench *bench = t->bench;
    const history *past = &bench->past;
    int wrong = first_difference(past, got, past->count);
    bool served = t->mode->damage == CASK_DAMAGE_SERVE && got->damage_event &&
                  !t->what->hint_remains;

    bench->told += got->any_damaged ? 1 : 0;
    if (wrong < 0) {
        bench->unharmed += got->any_damaged ? 0 : 1;
        return;
    }
    if (is_in_tail(past, t->what)) {
        REQUIRE(t, is_cut(past, t->what, got),
                "key %d answers step %d; no state at or behind the damage "
                "was like that",
                wrong, got->key[wrong]);
        bench->cut++;
        return;
    }
    REQUIRE(t, served, "key %d answers step %d instead of %d, silently", wrong,
            got->key[wrong], history_state(past, past->count, wrong));
    count_served(bench, got);
}

/* ---- Opening ------------------------------------------------------------- */

static cask_status open_it(trial *t, cask_db **ret_db, cask_error *err)
{
    cask_options options = history_options();

    options.damage = t->mode->damage;
    options.io = t->mode->io;
    options.read_only = t->mode->read_only;
    options.on_event = on_event;
    options.event_context = t;
    return db_open_on(t->bench->kernel, HISTORY_PATH, &options, ret_db, err);
}

static void close_it(trial *t, cask_db *db)
{
    cask_error err = {CASK_OK, 0, ""};

    REQUIRE(t, cask_close(db, &err) == CASK_OK, "close: %s", err.message);
}

/* An open that failed has destroyed nothing. */
static void check_undone(trial *t)
{
    static const damage nothing = {.label = "undone"};
    damage_bench *bench = t->bench;
    trial undone = {.bench = bench,
                    .what = &nothing,
                    .mode = t->mode,
                    .step = "open with the damage undone"};
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;
    answers got;
    image now;

    t->step = "undo the damage";
    image_capture(bench->kernel, HISTORY_PATH, &now);
    for (size_t i = 0; i < bench->image.count; i++) {
        const image_file *file = &bench->image.files[i];
        image_file *left = image_find(&now, file->name);

        if (strcmp(file->name, t->what->file) == 0 ||
            strcmp(file->name, t->what->other) == 0) {
            if (left == NULL) {
                REQUIRE(t, t->what->file_is_gone, "the file was removed");
                left = &now.files[now.count++];
                *left = (image_file){.data = NULL};
                (void)snprintf(left->name, IMAGE_NAME, "%s", file->name);
            }
            image_set(left, bench->past.image.files[i].data,
                      bench->past.image.files[i].size);
        }
    }
    image_restore(bench->kernel, HISTORY_PATH, &now);
    image_free(&now);
    REQUIRE(t, open_it(&undone, &db, &err) == CASK_OK, "%s", err.message);
    ask_all(&undone, db, &got);
    REQUIRE(t,
            first_difference(&bench->past, &got, bench->past.count) < 0 &&
                !got.any_damaged,
            "something is missing with the damage undone");
    close_it(&undone, db);
}

/* Write, close, reopen: no answer becomes another but by being found out. */
static void check_again(trial *t, const answers *before)
{
    static const char key[] = "a key that comes later";
    cask_error err = {CASK_OK, 0, ""};
    cask_buffer value = {0};
    cask_db *db = NULL;
    answers now;

    t->step = "reopen";
    REQUIRE(t, open_it(t, &db, &err) == CASK_OK, "%s", err.message);
    if (!t->mode->read_only) {
        REQUIRE(t, cask_get(db, cask_slice_of(key), &value, &err) == CASK_OK,
                "the write after the damage: %s", err.message);
        REQUIRE(t, cask_delete(db, cask_slice_of(key), NULL, &err) == CASK_OK,
                "%s", err.message);
        cask_buffer_free(&value);
    }
    ask_all(t, db, &now);
    close_it(t, db);
    for (int k = 0; k < HISTORY_KEYS; k++) {
        REQUIRE(t, now.key[k] == before->key[k],
                "key %d answers step %d, before it was %d", k, now.key[k],
                before->key[k]);
    }
}

static void try_mode(damage_bench *bench, const damage *what,
                     const open_mode *mode, bool verified)
{
    trial t = {.bench = bench, .what = what, .mode = mode, .step = "open"};
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;
    cask_status status;
    answers got;

    image_restore(bench->kernel, HISTORY_PATH, &bench->image);
    status = open_it(&t, &db, &err);
    if (status != CASK_OK) {
        check_message(&t, status, &err);
        REQUIRE(&t, !verified, "verify found nothing; open: %s", err.message);
        bench->refused++;
        check_undone(&t);
        return;
    }
    t.step = "look up";
    ask_all(&t, db, &got);
    judge(&t, &got);
    REQUIRE(&t, !verified || (!got.any_damaged && !got.damage_event),
            "verify found nothing");
    if (!mode->read_only) {
        t.step = "write";
        REQUIRE(&t,
                cask_put(db, cask_slice_of("a key that comes later"),
                         cask_slice_of("x"), &err) == CASK_OK,
                "%s", err.message);
    }
    close_it(&t, db);
    check_again(&t, &got);
}

void damage_judge(damage_bench *bench, const damage *what)
{
    static const open_mode verifying = {.name = "verify"};
    trial t = {
        .bench = bench, .what = what, .mode = &verifying, .step = "verify"};
    cask_error err = {CASK_OK, 0, ""};
    cask_verify_report report;
    cask_status status;

    bench->cases++;
    image_restore(bench->kernel, HISTORY_PATH, &bench->image);
    status = db_verify_on(bench->kernel, HISTORY_PATH, NULL, &report, &err);
    REQUIRE(&t,
            status == CASK_OK || status == CASK_CORRUPT ||
                status == CASK_UNSUPPORTED,
            "%d: %s", status, err.message);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (what->modes == 0 ||
            (what->modes & (i % 2 == 0 ? DAMAGE_EVEN : DAMAGE_ODD)) != 0) {
            try_mode(bench, what, &modes[i], status == CASK_OK);
        }
    }
}

/* ---- Replacing ----------------------------------------------------------- */

static uint64_t first_changed_byte(const image_file *before,
                                   const uint8_t *data, size_t size)
{
    size_t at = 0;

    while (at < before->size && at < size && before->data[at] == data[at]) {
        at++;
    }
    return at;
}

void damage_aim(damage_bench *bench, const image_file *file, damage *what)
{
    char name[SEGMENT_NAME_SIZE];
    image_file *hint = NULL;
    uint64_t id;

    (void)snprintf(what->file, sizeof(what->file), "%s", file->name);
    if (segment_name_parse(file->name, &id)) {
        hint_name_format(id, name);
        hint = image_find(&bench->image, name);
    }
    what->hint_remains = hint != NULL;
}

void damage_replace(damage_bench *bench, image_file *file, damage *what,
                    const uint8_t *data, size_t size)
{
    image_file before = *file;

    damage_aim(bench, file, what);
    what->file_is_gone = data == NULL;
    if (data == NULL) {
        what->start = 0;
        file->missing = true;
    } else {
        what->start = first_changed_byte(&before, data, size);
        file->data = NULL;
        image_set(file, data, size);
    }
    damage_judge(bench, what);
    if (data != NULL) {
        free(file->data);
    }
    *file = before;
}

/* ---- Benches ------------------------------------------------------------- */

void damage_begin(damage_bench *bench, history_end end)
{
    os_sim_options options = {.seed = crash_seed(),
                              .max_file_bytes = (size_t)1 << 30};

    memset(bench, 0, sizeof(*bench));
    bench->end = end;
    history_make(&bench->past, end, crash_seed());
    image_copy(&bench->past.image, &bench->image);
    assert_int_equal(os_sim_create(&options, &bench->sim), 0);
    bench->kernel = os_sim_os(bench->sim);
    os_sim_set_wall_ms(bench->sim, HISTORY_NOW_MS);
}

void damage_end(damage_bench *bench)
{
    print_message(
        "%llu cases: opens refused %llu, answers unharmed %llu, "
        "told %llu, cut %llu; served: missing %llu, outdated %llu, "
        "returned %llu\n",
        (unsigned long long)bench->cases, (unsigned long long)bench->refused,
        (unsigned long long)bench->unharmed, (unsigned long long)bench->told,
        (unsigned long long)bench->cut, (unsigned long long)bench->missing,
        (unsigned long long)bench->outdated,
        (unsigned long long)bench->returned);
    os_sim_free(bench->sim);
    image_free(&bench->image);
    history_free(&bench->past);
}

void damage_each_end(history_end first, void (*try_one)(damage_bench *bench))
{
    for (int end = (int)first; end < HISTORY_ENDS; end++) {
        damage_bench bench;

        damage_begin(&bench, (history_end)end);
        try_one(&bench);
        damage_end(&bench);
    }
}

uint64_t damage_next_byte(const damage_bench *bench, const image_file *file,
                          uint64_t at, unsigned stride)
{
    enum { ZEROS_SWEPT = 64, ZEROS_STRIDE = 997 };
    uint64_t end = bench->past.steps[bench->past.count - 1].end;
    bool is_tail = strcmp(file->name, bench->past.tail_file) == 0;

    return is_tail && at >= end + ZEROS_SWEPT ? at + ZEROS_STRIDE : at + stride;
}
