/*
 * A small store with a known past.
 */
#include "crash/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "db/db.h"
#include "log/manifest.h"
#include "log/scan.h"

/* ---- Keys, values -------------------------------------------------------- */

cask_slice history_key(int key)
{
    /* Key 0 is empty, 1 and 2 differ behind a NUL, one is long. */
    static const char special[][4] = {"", {'a', 0, 'b', 0}, {'a', 0, 'c', 0}};
    static char plain[HISTORY_KEYS][16]; /* each written once */
    static char long_key[70];

    if (key == 0) {
        return (cask_slice){NULL, 0};
    }
    if (key < 3) {
        return (cask_slice){special[key], 4};
    }
    if (key == 3) {
        memset(long_key, 'L', sizeof(long_key));
        return (cask_slice){long_key, sizeof(long_key)};
    }
    if (plain[key][0] == 0) {
        (void)snprintf(plain[key], sizeof(plain[key]), "key %d", key);
    }
    return cask_slice_of(plain[key]);
}

cask_slice history_value(int i, char buffer[128])
{
    size_t size = i == 7 ? 0 : (size_t)(i * 13 % 50) + 12;

    memset(buffer, i % 5 == 0 ? 0 : 'v', 128);
    if (i != 7) {
        (void)snprintf(buffer, 128, "value of step %02d", i);
    }
    if (size > 0 && size < 16) {
        size = 16;
    }
    return (cask_slice){buffer, size};
}

int history_step_of(const history *past, int k, const void *value, size_t size)
{
    char buffer[128];

    for (int i = 0; i < past->count; i++) {
        cask_slice expected;

        if (past->steps[i].key != k || past->steps[i].kind != STEP_PUT) {
            continue;
        }
        expected = history_value(past->steps[i].value, buffer);
        if (expected.size == size &&
            (size == 0 || memcmp(expected.data, value, size) == 0)) {
            return i;
        }
    }
    return -1;
}

int history_state(const history *past, int count, int k)
{
    for (int i = count - 1; i >= 0; i--) {
        if (past->steps[i].key == k) {
            return past->steps[i].kind == STEP_PUT ? i : HISTORY_NONE;
        }
    }
    return HISTORY_NONE;
}

int history_steps_before(const history *past, uint64_t offset)
{
    int whole = 0;

    for (int i = 0; i < past->count; i++) {
        const step *s = &past->steps[i];

        if (strcmp(s->file, past->tail_file) == 0 && s->end > offset) {
            break;
        }
        if (!s->more) {
            whole = i + 1;
        }
    }
    return whole;
}

/* ---- Writing ------------------------------------------------------------- */

cask_options history_options(void)
{
    cask_options options;

    cask_options_init(&options);
    options.segment_max_bytes = 64 << 10;
    options.sync = CASK_SYNC_NONE;
    options.sync_interval_ms = 3600000; /* the worker stays out of the way */
    return options;
}

static int add_step(history *past, step_kind kind, int key, bool more)
{
    assert_true(past->count < HISTORY_STEPS);
    past->steps[past->count] =
        (step){.kind = kind, .key = key, .value = past->count, .more = more};
    return past->count++;
}

static void put(cask_db *db, history *past, int key)
{
    char buffer[128];
    int i = add_step(past, STEP_PUT, key, false);

    assert_int_equal(
        cask_put(db, history_key(key), history_value(i, buffer), NULL),
        CASK_OK);
}

static void put_expiring(cask_db *db, history *past, int key, bool expired)
{
    char buffer[128];
    int i = add_step(past, expired ? STEP_EXPIRED_PUT : STEP_PUT, key, false);
    cask_write_options options = {.expires_at_ms = expired ? HISTORY_NOW_MS - 1
                                                           : UINT64_MAX};

    assert_int_equal(cask_put_with(db, history_key(key),
                                   history_value(i, buffer), &options, NULL,
                                   NULL),
                     CASK_OK);
}

static void delete_key(cask_db *db, history *past, int key)
{
    bool existed = false;

    (void)add_step(past, STEP_DELETE, key, false);
    assert_int_equal(cask_delete(db, history_key(key), &existed, NULL),
                     CASK_OK);
    assert_true(existed);
}

/* Put `a`, delete `b`, put `c`. */
static void write_batch(cask_db *db, history *past, int a, int b, int c)
{
    char buffer[128];
    cask_batch *batch;
    int i;

    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    i = add_step(past, STEP_PUT, a, true);
    assert_int_equal(cask_batch_put(batch, history_key(a),
                                    history_value(i, buffer), 0, NULL),
                     CASK_OK);
    (void)add_step(past, STEP_DELETE, b, true);
    assert_int_equal(cask_batch_delete(batch, history_key(b), NULL), CASK_OK);
    i = add_step(past, STEP_PUT, c, false);
    assert_int_equal(cask_batch_put(batch, history_key(c),
                                    history_value(i, buffer), 0, NULL),
                     CASK_OK);
    assert_int_equal(cask_write(db, batch, NULL), CASK_OK);
    cask_batch_free(batch);
}

static void sync_store(cask_db *db)
{
    assert_int_equal(cask_sync(db, NULL), CASK_OK);
}

static void first_session(cask_db *db, history *past)
{
    for (int key = 0; key < 12; key++) {
        put(db, past, key);
    }
    put(db, past, 5);
    delete_key(db, past, 6);
    write_batch(db, past, 12, 7, 8);
    put_expiring(db, past, 9, true);
    past->first_count = past->count;
}

static void second_session(cask_db *db, history *past)
{
    delete_key(db, past, 4);
    put(db, past, 10);
    put_expiring(db, past, 13, false);
    put(db, past, 14);
    write_batch(db, past, 15, 11, 0);
}

static void third_session(cask_db *db, history *past)
{
    put(db, past, 16);
    put(db, past, 14);
    sync_store(db);
    delete_key(db, past, 1);
    put(db, past, 17);
    put(db, past, 18);
    write_batch(db, past, 19, 16, 2);
    sync_store(db);
    put_expiring(db, past, 17, true);
    delete_key(db, past, 18);
}

static void last_session(cask_db *db, history *past)
{
    put(db, past, 20);
    sync_store(db);
    put(db, past, 21);
    delete_key(db, past, 20);
    write_batch(db, past, 22, 21, 5);
    put(db, past, 23);
    delete_key(db, past, 14);
}

/* ---- Where everything is ------------------------------------------------- */

static void locate_steps(history *past)
{
    int found = 0;

    /* Files are ordered by name, so by id, so by sequence. */
    for (size_t i = 0; i < past->image.count; i++) {
        const image_file *file = &past->image.files[i];
        segment_header header;
        segment_scan scan;
        scan_item item;
        uint64_t id;

        if (!segment_name_parse(file->name, &id)) {
            continue;
        }
        assert_int_equal(
            segment_header_decode(file->data, file->name, &header, NULL),
            CASK_OK);
        scan_begin(&scan, file->data, file->size, header.nonce,
                   SEGMENT_HEADER_SIZE);
        while (scan_next(&scan, &item) == SCAN_RECORD) {
            step *s = &past->steps[found];

            if (record_kind(&item.header) == RECORD_MARK) {
                continue;
            }
            assert_true(found < past->count);
            assert_true(s->more == ((item.header.type & RECORD_MEMBER) != 0));
            (void)snprintf(s->file, sizeof(s->file), "%s", file->name);
            s->start = item.offset;
            s->end = item.offset + item.size;
            found++;
        }
    }
    assert_int_equal(found, past->count);
}

static void load_manifest(os *kernel, image *all, manifest_state *ret_manifest)
{
    store_identity identity;
    os_file *dir;

    assert_int_equal(identity_decode(image_find(all, "CASKADE")->data,
                                     "CASKADE", &identity, NULL),
                     CASK_OK);
    assert_int_equal(kernel->ops->open_dir(kernel, HISTORY_PATH, &dir), 0);
    assert_int_equal(manifest_load(dir, identity.uuid, ret_manifest, NULL),
                     CASK_OK);
    kernel->ops->close(dir);
}

static void find_tail(os *kernel, history *past)
{
    manifest_state manifest;
    const manifest_segment *last;
    image_file *file;

    load_manifest(kernel, &past->image, &manifest);
    last = &manifest.segments[manifest.count - 1];
    if (!last->sealed) {
        segment_name_format(last->id, past->tail_file);
        file = image_find(&past->image, past->tail_file);
        past->tail_synced = last->synced;
        past->tail_trusted =
            scan_trusted_end(file->data, file->size, last->nonce);
        if (past->tail_trusted < past->tail_synced) {
            past->tail_trusted = past->tail_synced;
        }
    }
    manifest_free(&manifest);
}

/* ---- All together -------------------------------------------------------- */

static cask_db *open_store(os *kernel, const cask_options *options)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;

    if (db_open_on(kernel, HISTORY_PATH, options, &db, &err) != CASK_OK) {
        fail_msg("open: %s", err.message);
    }
    return db;
}

static void close_store(cask_db *db)
{
    assert_int_equal(cask_close(db, NULL), CASK_OK);
}

/*
 * A full segment ends with a record, not with the mark of a close: let it be
 * the deletion of key 10, which has the size and the sequence of the mark.
 */
static void end_with_a_record(image_file *file, history *past)
{
    cask_slice key = history_key(10);
    uint64_t offset = file->size - RECORD_MARK_SIZE;
    uint8_t *at = file->data + offset;
    record_header header;
    segment_header segment;

    assert_int_equal(
        segment_header_decode(file->data, file->name, &segment, NULL), CASK_OK);
    assert_true(record_decode_header(at, (record_seed){segment.nonce, offset},
                                     &header));
    assert_int_equal(header.type, RECORD_MARK);
    header.type = RECORD_DELETE;
    header.key_size = (uint16_t)key.size;
    header.value_size = 0;
    assert_int_equal(record_size(&header), RECORD_MARK_SIZE);
    memset(at, 0, RECORD_MARK_SIZE);
    memcpy(at + RECORD_HEADER_SIZE, key.data, key.size);
    record_encode_header(&header, crc32c(0, key.data, key.size),
                         (record_seed){segment.nonce, offset}, at);
    memmove(&past->steps[past->first_count + 1],
            &past->steps[past->first_count],
            (size_t)(past->count - past->first_count) * sizeof(step));
    past->steps[past->first_count] = (step){.kind = STEP_DELETE, .key = 10};
    past->count++;
}

/*
 * Take back the seals: no SEAL in MANIFEST, no footers, no hints. A segment
 * that another follows was synced before that took its first record; nothing
 * else says so here.
 */
static void unseal(os *kernel, history *past)
{
    image *all = &past->image;
    manifest_state manifest;
    os_file *dir;

    load_manifest(kernel, all, &manifest);
    for (size_t i = 0; i < manifest.count; i++) {
        char name[SEGMENT_NAME_SIZE];

        manifest.segments[i].sealed = false;
        segment_name_format(manifest.segments[i].id, name);
        image_find(all, name)->size = manifest.segments[i].length;
        if (i == 0) {
            end_with_a_record(image_find(all, name), past);
        }
        hint_name_format(manifest.segments[i].id, name);
        image_find(all, name)->missing = true;
    }
    image_restore(kernel, HISTORY_PATH, all);
    image_free(all);
    assert_int_equal(kernel->ops->open_dir(kernel, HISTORY_PATH, &dir), 0);
    assert_int_equal(manifest_rewrite(dir, &manifest, 0600, NULL), CASK_OK);
    manifest_free(&manifest);
    kernel->ops->close(dir);
    image_capture(kernel, HISTORY_PATH, all);
}

void history_make(history *ret_history, history_end end, uint64_t seed)
{
    os_sim_options sim_options = {.seed = seed,
                                  .max_file_bytes = (size_t)1 << 30};
    cask_options options = history_options();
    cask_db *db = NULL;
    os_sim *sim;
    os *kernel;

    memset(ret_history, 0, sizeof(*ret_history));
    assert_int_equal(os_sim_create(&sim_options, &sim), 0);
    kernel = os_sim_os(sim);
    os_sim_set_wall_ms(sim, HISTORY_NOW_MS);
    assert_int_equal(kernel->ops->make_dir(kernel, HISTORY_PATH, 0700), 0);
    options.create_if_missing = true;
    options.small_file_threshold_bytes = 0; /* close seals */
    db = open_store(kernel, &options);
    first_session(db, ret_history);
    close_store(db);
    db = open_store(kernel, &options);
    second_session(db, ret_history);
    close_store(db);
    options.small_file_threshold_bytes = 1 << 20;
    if (end >= HISTORY_CLOSED) {
        db = open_store(kernel, &options);
        third_session(db, ret_history);
        close_store(db);
    }
    if (end == HISTORY_KILLED) {
        db = open_store(kernel, &options);
        last_session(db, ret_history);
    }
    image_capture(kernel, HISTORY_PATH, &ret_history->image);
    if (end == HISTORY_ROTATED) {
        unseal(kernel, ret_history);
    }
    find_tail(kernel, ret_history);
    if (end == HISTORY_KILLED) {
        close_store(db);
    }
    os_sim_free(sim);
    locate_steps(ret_history);
}

void history_free(history *past)
{
    image_free(&past->image);
}
