/*
 * Segments that MANIFEST does not list. A private index meets them while those
 * who write the store change and remove them; an open store removes those that
 * are nobody's, and no other file.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/crc32c.h"
#include "db/db.h"
#include "log/segment.h"
#include "store/store_recover.h"
#include "store/store_write.h"

/* The disk, on which something happens to one file when it is opened for the
 * second time since it was armed. */
typedef struct meddler {
    const os_ops *usual;
    os_ops ops;
    char name[SEGMENT_NAME_SIZE];
    uint64_t cut_to; /* bytes; 0: it is removed */
    int opened;
    _Atomic bool is_full; /* for a new MANIFEST; other threads open, too */
} meddler;

static meddler disk; /* one test at a time */

static void meddle(os_file *dir, const char *name)
{
    os_file *file;

    if (disk.cut_to == 0) {
        assert_int_equal(disk.usual->remove(dir, name), 0);
        return;
    }
    assert_int_equal(disk.usual->open(dir, name, OS_READ | OS_WRITE, 0, &file),
                     0);
    assert_int_equal(disk.usual->truncate(file, disk.cut_to), 0);
    disk.usual->close(file);
}

static int open_meddled(os_file *dir, const char *name, uint32_t flags,
                        uint32_t mode, os_file **ret_file)
{
    if (strcmp(name, disk.name) == 0 && ++disk.opened == 2) {
        meddle(dir, name);
    }
    return disk.usual->open(dir, name, flags, mode, ret_file);
}

/* A put of this sequence, behind the segment's header. */
static void write_record(os_file *file, uint64_t nonce, uint64_t sequence)
{
    static const uint8_t body[] = {'k', 'v'};
    record_header header = {.sequence = sequence,
                            .value_size = 1,
                            .key_size = 1,
                            .type = RECORD_PUT};
    uint8_t bytes[RECORD_HEADER_SIZE + sizeof(body)];
    const os_span span = {bytes, sizeof(bytes)};

    record_encode_header(&header, crc32c(0, body, sizeof(body)),
                         (record_seed){nonce, SEGMENT_HEADER_SIZE}, bytes);
    memcpy(bytes + RECORD_HEADER_SIZE, body, sizeof(body));
    assert_int_equal(
        file->os->ops->write_at(file, &span, 1, SEGMENT_HEADER_SIZE), 0);
}

/* A segment that is whole and not listed, as a merge begins one: empty, or with
 * a record of this sequence. */
static void make_unlisted(handle *h, uint64_t sequence)
{
    segment_header header = {
        .kind = SEGMENT_MERGE, .id = 1000, .nonce = 77, .born = 1};
    os_file *file;
    os_file *dir;

    memcpy(header.uuid, h->db->store->identity.uuid, sizeof(header.uuid));
    segment_name_format(header.id, disk.name);
    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(segment_create(dir, &header, 65536, 0600, &file, NULL),
                     CASK_OK);
    if (sequence != 0) {
        write_record(file, header.nonce, sequence);
    }
    h->kernel->ops->close(file);
    h->kernel->ops->close(dir);
}

/* A private index is made while the unlisted segment is removed or cut. */
static void open_while_it_goes(handle *h, uint64_t cut_to)
{
    put_text(h, "key", "value");
    make_unlisted(h, 0);
    handle_close(h);
    disk.usual = h->kernel->ops;
    disk.ops = *disk.usual;
    disk.ops.open = open_meddled;
    disk.cut_to = cut_to;
    disk.opened = 0;
    h->kernel->ops = &disk.ops;
    h->options.read_only = true;
    assert_int_equal(
        db_open_on(h->kernel, HANDLE_PATH, &h->options, &h->db, NULL), CASK_OK);
    assert_true(disk.opened >= 2);
    h->kernel->ops = disk.usual;
    check_text(h, "key", "value");
}

static void test_one_that_goes_while_it_is_looked_at_is_nothing(void **state)
{
    open_while_it_goes(*state, 0);
}

static void test_nor_is_one_that_is_cut(void **state)
{
    open_while_it_goes(*state, 32);
}

/* ---- What an open store sweeps ---- */

static void make_file(handle *h, const char *name)
{
    const os_ops *ops = h->kernel->ops;
    os_file *file;
    os_file *dir;

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(
        ops->open(dir, name, OS_WRITE | OS_CREATE | OS_EXCL, 0600, &file), 0);
    ops->close(file);
    ops->close(dir);
}

static bool is_there(handle *h, const char *name)
{
    const os_ops *ops = h->kernel->ops;
    os_file *file = NULL;
    os_file *dir;
    int os_errno;

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    os_errno = ops->open(dir, name, OS_READ, 0, &file);
    ops->close(file);
    ops->close(dir);
    return os_errno == 0;
}

/* As after the death of a process that writes. */
static void sweep(handle *h)
{
    store_handle *store = h->db->store;

    atomic_store(&store->region.header->merger.sweep, 1);
    store_sweep(store);
    /* If the background thread came first, it has this lock until it is done.
     */
    assert_int_equal(store_maintain_begin(store, NULL), CASK_OK);
    assert_int_equal(atomic_load(&store->region.header->merger.sweep), 0);
    store_maintain_end(store);
}

static void test_a_sweep_leaves_what_is_newer_than_manifest(void **state)
{
    handle *h = *state;

    put_text(h, "key", "value");
    make_unlisted(h, UINT64_C(1) << 40);
    sweep(h);
    assert_true(is_there(h, disk.name));
}

static void test_a_sweep_leaves_files_of_others(void **state)
{
    handle *h = *state;

    put_text(h, "key", "value");
    make_unlisted(h, 0);
    make_file(h, "0000000000000ff1.hint.new");
    make_file(h, "notes.hint.new");
    sweep(h);
    assert_false(is_there(h, disk.name));
    assert_false(is_there(h, "0000000000000ff1.hint.new"));
    assert_true(is_there(h, "notes.hint.new"));
}

/* ---- A MANIFEST that finds no room ---- */

static int open_without_room(os_file *dir, const char *name, uint32_t flags,
                             uint32_t mode, os_file **ret_file)
{
    if (atomic_load(&disk.is_full) && strcmp(name, MANIFEST_NAME ".new") == 0) {
        return ENOSPC;
    }
    return disk.usual->open(dir, name, flags, mode, ret_file);
}

static void test_a_manifest_is_tried_again_as_often_as_it_takes(void **state)
{
    handle *h = *state;
    store_handle *store;
    manifest_state manifest;

    handle_close(h);
    disk.usual = h->kernel->ops;
    disk.ops = *disk.usual;
    disk.ops.open = open_without_room;
    atomic_store(&disk.is_full, false);
    h->kernel->ops = &disk.ops;
    handle_open(h);
    put_text(h, "key", "value");
    store = h->db->store;
    assert_int_equal(store_maintain_begin(store, NULL), CASK_OK);
    assert_int_equal(
        manifest_load(store->dir, store->identity.uuid, &manifest, NULL),
        CASK_OK);
    atomic_store(&disk.is_full, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_rewrite_manifest(store, &manifest, NULL),
                         CASK_NO_SPACE);
    }
    atomic_store(&disk.is_full, false);
    assert_int_equal(store_rewrite_manifest(store, &manifest, NULL), CASK_OK);
    manifest_free(&manifest);
    store_maintain_end(store);
    put_text(h, "key", "other");
    handle_close(h);
    h->kernel->ops = disk.usual;
    handle_open(h);
    check_text(h, "key", "other");
}

int main(void)
{
#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, handle_setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_a_sweep_leaves_what_is_newer_than_manifest),
        WITH_STORE(test_a_sweep_leaves_files_of_others),
        WITH_STORE(test_a_manifest_is_tried_again_as_often_as_it_takes),
        cmocka_unit_test_setup_teardown(
            test_one_that_goes_while_it_is_looked_at_is_nothing, handle_setup,
            handle_teardown),
        cmocka_unit_test_setup_teardown(test_nor_is_one_that_is_cut,
                                        handle_setup, handle_teardown),
    };

    return cmocka_run_group_tests_name("leftovers", tests, NULL, NULL);
}
