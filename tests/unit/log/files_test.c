/*
 * MANIFEST and segment files on a simulated disk: what is loaded is what was
 * written; the last edit may be torn, no other; every call that fails leaves
 * the old content or the new one.
 */
#include "cask_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/manifest.h"
#include "log/segment.h"
#include "os/os_fault.h"
#include "os/os_sim.h"

static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t other_uuid[16] = {9};

typedef struct disk {
    os_sim *sim;
    os_fault fault;
    os_file *dir; /* through the fault injector */
} disk;

static int setup(void **state)
{
    static disk d;
    const os_sim_options options = {.seed = 3};

    assert_int_equal(os_sim_create(&options, &d.sim), 0);
    os_fault_init(&d.fault, os_sim_os(d.sim));
    assert_int_equal(d.fault.base.ops->make_dir(&d.fault.base, "/d", 0700), 0);
    assert_int_equal(d.fault.base.ops->open_dir(&d.fault.base, "/d", &d.dir),
                     0);
    *state = &d;
    return 0;
}

static int teardown(void **state)
{
    disk *d = *state;

    d->dir->os->ops->close(d->dir);
    os_sim_free(d->sim);
    return 0;
}

static size_t read_file(disk *d, const char *name, uint8_t *bytes,
                        size_t capacity)
{
    const os_ops *ops = d->dir->os->ops;
    os_file *file;
    size_t got = 0;

    assert_int_equal(ops->open(d->dir, name, OS_READ, 0, &file), 0);
    assert_int_equal(ops->read_at(file, bytes, capacity, 0, &got), 0);
    ops->close(file);
    return got;
}

static void write_file(disk *d, const char *name, const uint8_t *bytes,
                       size_t size)
{
    const os_ops *ops = d->dir->os->ops;
    const os_span span = {bytes, size};
    os_file *file;

    assert_int_equal(
        ops->open(d->dir, name, OS_READ | OS_WRITE | OS_CREATE, 0600, &file),
        0);
    assert_int_equal(ops->truncate(file, 0), 0);
    assert_int_equal(ops->write_at(file, &span, 1, 0), 0);
    ops->close(file);
}

static bool exists(disk *d, const char *name)
{
    os_stat stat;

    return d->dir->os->ops->stat_name(d->dir, name, &stat) == 0;
}

/* ---- MANIFEST ------------------------------------------------------------ */

static void make_manifest(disk *d, manifest_state *manifest)
{
    const manifest_segment segments[] = {
        {.id = 3,
         .nonce = 33,
         .kind = SEGMENT_LOG,
         .sealed = true,
         .length = 4096,
         .last_sequence = 70,
         .damaged_bytes = 8},
        {.id = 7, .nonce = 77, .kind = SEGMENT_LOG}};

    *manifest = (manifest_state){.next_id = 64, .next_sequence = 100};
    manifest->header.engine = CASK_ENGINE_HASH;
    memcpy(manifest->header.uuid, uuid, 16);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(manifest_add(manifest, &segments[i], NULL), CASK_OK);
    }
    assert_int_equal(manifest_rewrite(d->dir, manifest, 0600, NULL), CASK_OK);
}

static cask_status append_open(disk *d, manifest_state *manifest, uint64_t id)
{
    manifest_edit edit = {.type = MANIFEST_OPEN};

    edit.open.segment_id = id;
    edit.open.nonce = id * 11;
    edit.open.kind = SEGMENT_LOG;
    return manifest_append(d->dir, &manifest->tail, &manifest->number, &edit,
                           NULL);
}

static cask_status load(disk *d, manifest_state *manifest, cask_error *err)
{
    return manifest_load(d->dir, uuid, manifest, err);
}

static void test_what_is_loaded_is_what_was_written(void **state)
{
    disk *d = *state;
    manifest_state written;
    manifest_state loaded;

    make_manifest(d, &written);
    assert_int_equal(load(d, &loaded, NULL), CASK_OK);
    assert_int_equal(loaded.count, 2);
    assert_int_equal(loaded.segments[0].id, 3);
    assert_int_equal(loaded.segments[0].nonce, 33);
    assert_true(loaded.segments[0].sealed);
    assert_int_equal(loaded.segments[0].length, 4096);
    assert_int_equal(loaded.segments[0].last_sequence, 70);
    assert_int_equal(loaded.segments[0].damaged_bytes, 8);
    assert_int_equal(loaded.segments[1].id, 7);
    assert_false(loaded.segments[1].sealed);
    assert_int_equal(loaded.next_id, 64);
    assert_int_equal(loaded.next_sequence, 100);
    assert_int_equal(loaded.tail, written.tail);
    assert_int_equal(loaded.number, written.number);
    assert_false(loaded.torn);
    manifest_free(&loaded);
    manifest_free(&written);
}

static void test_edits_that_are_appended_are_loaded(void **state)
{
    disk *d = *state;
    manifest_state manifest;
    manifest_state loaded;
    manifest_edit edits[4] = {{.type = MANIFEST_SEAL},
                              {.type = MANIFEST_DROP},
                              {.type = MANIFEST_NEXT},
                              {.type = MANIFEST_SYNCED}};

    make_manifest(d, &manifest);
    assert_int_equal(append_open(d, &manifest, 64), CASK_OK);
    edits[0].seal.segment_id = 7;
    edits[0].seal.length = 128;
    edits[0].seal.last_sequence = 99;
    edits[1].drop.segment_id = 3;
    edits[2].next.segment_id = 128;
    edits[2].next.sequence = 1000;
    edits[3].seal.segment_id = 64;
    edits[3].seal.length = 256;
    edits[3].seal.last_sequence = 100;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        assert_int_equal(manifest_append(d->dir, &manifest.tail,
                                         &manifest.number, &edits[i], NULL),
                         CASK_OK);
    }
    assert_int_equal(load(d, &loaded, NULL), CASK_OK);
    assert_int_equal(loaded.count, 2);
    assert_int_equal(loaded.segments[0].id, 7);
    assert_true(loaded.segments[0].sealed);
    assert_int_equal(loaded.segments[0].length, 128);
    assert_int_equal(loaded.segments[1].id, 64);
    assert_int_equal(loaded.segments[1].nonce, 64 * 11);
    assert_int_equal(loaded.segments[1].synced, 256);
    assert_int_equal(loaded.next_id, 128);
    assert_int_equal(loaded.next_sequence, 1000);
    assert_int_equal(loaded.tail, manifest.tail);
    assert_int_equal(loaded.number, manifest.number);
    manifest_free(&loaded);
    manifest_free(&manifest);
}

static void test_ids_of_opened_segments_are_taken(void **state)
{
    disk *d = *state;
    manifest_state manifest;

    make_manifest(d, &manifest);
    assert_int_equal(append_open(d, &manifest, 500), CASK_OK);
    manifest_free(&manifest);
    assert_int_equal(load(d, &manifest, NULL), CASK_OK);
    assert_int_equal(manifest.next_id, 501);
    manifest_free(&manifest);
}

/* The last edit, cut or changed anywhere, is as if it had not begun. */
static void test_a_torn_last_edit_is_left_out(void **state)
{
    disk *d = *state;
    uint8_t bytes[4096];
    manifest_state manifest;
    uint64_t before;
    size_t size;

    make_manifest(d, &manifest);
    before = manifest.tail;
    assert_int_equal(append_open(d, &manifest, 64), CASK_OK);
    manifest_free(&manifest);
    size = read_file(d, MANIFEST_NAME, bytes, sizeof(bytes));
    assert_int_equal(size, before + MANIFEST_EDIT_SIZE);
    for (size_t at = before; at < size; at++) {
        bytes[at] ^= 0x04;
        write_file(d, MANIFEST_NAME, bytes, size);
        assert_int_equal(load(d, &manifest, NULL), CASK_OK);
        assert_int_equal(manifest.count, 2);
        assert_int_equal(manifest.tail, before);
        assert_true(manifest.torn);
        manifest_free(&manifest);
        bytes[at] ^= 0x04;
        write_file(d, MANIFEST_NAME, bytes, at);
        assert_int_equal(load(d, &manifest, NULL), CASK_OK);
        assert_int_equal(manifest.count, 2);
        assert_int_equal(manifest.torn, at > before);
        manifest_free(&manifest);
    }
}

/* Any other byte: refused, and the message says where. */
static void test_damage_before_the_last_edit_is_refused(void **state)
{
    disk *d = *state;
    uint8_t bytes[4096];
    manifest_state manifest;
    size_t size;

    make_manifest(d, &manifest);
    manifest_free(&manifest);
    size = read_file(d, MANIFEST_NAME, bytes, sizeof(bytes));
    for (size_t at = 0; at < size - MANIFEST_EDIT_SIZE; at++) {
        cask_error err = {CASK_OK, 0, ""};
        cask_status status;

        bytes[at] ^= 0x04;
        write_file(d, MANIFEST_NAME, bytes, size);
        status = load(d, &manifest, &err);
        assert_true(status == CASK_CORRUPT || status == CASK_UNSUPPORTED);
        assert_int_equal(err.status, status);
        assert_non_null(strstr(err.message, "MANIFEST: offset"));
        manifest_free(&manifest);
        bytes[at] ^= 0x04;
    }
    write_file(d, MANIFEST_NAME, bytes, size);
    assert_int_equal(load(d, &manifest, NULL), CASK_OK);
    manifest_free(&manifest);
}

static void test_a_manifest_that_is_none_is_refused(void **state)
{
    disk *d = *state;
    uint8_t bytes[4096];
    manifest_state manifest;
    size_t size;

    assert_int_equal(load(d, &manifest, NULL), CASK_NOT_FOUND);
    make_manifest(d, &manifest);
    manifest_free(&manifest);
    assert_int_equal(manifest_load(d->dir, other_uuid, &manifest, NULL),
                     CASK_CORRUPT);
    manifest_free(&manifest);
    size = read_file(d, MANIFEST_NAME, bytes, sizeof(bytes));
    assert_true(size > MANIFEST_HEADER_SIZE);
    for (size_t cut = 0; cut < MANIFEST_HEADER_SIZE; cut++) {
        write_file(d, MANIFEST_NAME, bytes, cut);
        assert_int_equal(load(d, &manifest, NULL), CASK_CORRUPT);
        manifest_free(&manifest);
    }
}

/* Edits that verify and make no sense: none is believed. */
static void test_edits_about_unknown_segments_are_refused(void **state)
{
    /* A DROP may be repeated: its writer cannot know that it was written. */
    static const manifest_edit_type types[] = {MANIFEST_SEAL, MANIFEST_SYNCED,
                                               MANIFEST_OPEN};
    disk *d = *state;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        manifest_state manifest;
        manifest_edit edit = {.type = types[i]};

        make_manifest(d, &manifest);
        if (types[i] == MANIFEST_OPEN) {
            edit.open.segment_id = 5; /* older than the last */
            edit.open.nonce = 1;
            edit.open.kind = SEGMENT_LOG;
        } else {
            edit.seal.segment_id = 12345;
            edit.seal.length = SEGMENT_HEADER_SIZE;
        }
        assert_int_equal(manifest_append(d->dir, &manifest.tail,
                                         &manifest.number, &edit, NULL),
                         CASK_OK);
        manifest_free(&manifest);
        assert_int_equal(load(d, &manifest, NULL), CASK_CORRUPT);
        manifest_free(&manifest);
    }
}

/* They were durable before the file had its name: none can be torn. */
static void test_a_cut_of_what_it_was_made_with_is_refused(void **state)
{
    disk *d = *state;
    manifest_state manifest;
    os_file *file;
    uint64_t tail;

    make_manifest(d, &manifest);
    tail = manifest.tail;
    manifest_free(&manifest);
    assert_int_equal(load(d, &manifest, NULL), CASK_OK);
    assert_int_equal(manifest.number, manifest.header.edits);
    manifest_free(&manifest);
    assert_int_equal(d->dir->os->ops->open(d->dir, MANIFEST_NAME,
                                           OS_READ | OS_WRITE, 0, &file),
                     0);
    for (uint64_t size = tail - 1; size >= MANIFEST_HEADER_SIZE; size--) {
        assert_int_equal(d->dir->os->ops->truncate(file, size), 0);
        assert_int_equal(load(d, &manifest, NULL), CASK_CORRUPT);
        manifest_free(&manifest);
    }
    d->dir->os->ops->close(file);
}

/* Ids and sequences only grow. */
static void test_an_edit_that_takes_ids_back_is_refused(void **state)
{
    disk *d = *state;

    for (int i = 0; i < 2; i++) {
        manifest_state manifest;
        manifest_edit edit = {.type = MANIFEST_NEXT};

        make_manifest(d, &manifest);
        edit.next.segment_id = manifest.next_id - (i == 0 ? 1 : 0);
        edit.next.sequence = manifest.next_sequence - (i == 0 ? 0 : 1);
        assert_int_equal(manifest_append(d->dir, &manifest.tail,
                                         &manifest.number, &edit, NULL),
                         CASK_OK);
        manifest_free(&manifest);
        assert_int_equal(load(d, &manifest, NULL), CASK_CORRUPT);
        manifest_free(&manifest);
    }
}

/* Every call of a rewrite fails once: the old MANIFEST is there, or the new. */
static void test_a_rewrite_that_fails_leaves_old_or_new(void **state)
{
    disk *d = *state;

    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = OS_FAULT_NOTHING;
        manifest_state manifest;
        manifest_state loaded;
        cask_status status;
        uint64_t fired;

        make_manifest(d, &manifest);
        manifest.next_id = 4711;
        plan.fail_at = n;
        plan.error = EIO;
        os_fault_arm(&d->fault, &plan);
        status = manifest_rewrite(d->dir, &manifest, 0600, NULL);
        fired = os_fault_fired(&d->fault);
        os_fault_arm(&d->fault, &OS_FAULT_NOTHING);
        assert_int_equal(load(d, &loaded, NULL), CASK_OK);
        assert_true(loaded.next_id == 64 || loaded.next_id == 4711);
        assert_true(status != CASK_OK || loaded.next_id == 4711);
        assert_false(exists(d, MANIFEST_NAME ".new"));
        manifest_free(&loaded);
        manifest_free(&manifest);
        if (fired == 0) {
            assert_int_equal(status, CASK_OK);
            assert_true(n >= 6); /* random remove open write sync rename dir */
            return;
        }
    }
}

static void test_an_append_that_fails_does_not_count(void **state)
{
    disk *d = *state;

    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = OS_FAULT_NOTHING;
        manifest_state manifest;
        uint64_t tail;
        uint64_t number;
        cask_status status;

        make_manifest(d, &manifest);
        tail = manifest.tail;
        number = manifest.number;
        plan.fail_at = n;
        plan.error = ENOSPC;
        plan.short_write = true;
        os_fault_arm(&d->fault, &plan);
        status = append_open(d, &manifest, 64);
        if (os_fault_fired(&d->fault) == 0) {
            assert_int_equal(status, CASK_OK);
            manifest_free(&manifest);
            return;
        }
        os_fault_arm(&d->fault, &OS_FAULT_NOTHING);
        assert_int_not_equal(status, CASK_OK);
        assert_int_equal(manifest.tail, tail);
        assert_int_equal(manifest.number, number);
        manifest_free(&manifest);
        assert_int_equal(load(d, &manifest, NULL), CASK_OK);
        manifest_free(&manifest);
    }
}

/* ---- Segments ------------------------------------------------------------ */

static segment_header header_of(uint64_t id)
{
    segment_header header = {.kind = SEGMENT_LOG, .id = id, .nonce = id + 1};

    memcpy(header.uuid, uuid, 16);
    return header;
}

static void test_a_segment_that_is_created_can_be_opened(void **state)
{
    disk *d = *state;
    segment_header header = header_of(0x2a);
    segment_header found;
    os_file *file;
    os_stat stat;

    assert_int_equal(segment_create(d->dir, &header, 65536, 0600, &file, NULL),
                     CASK_OK);
    d->dir->os->ops->close(file);
    assert_true(exists(d, "000000000000002a.log"));
    assert_int_equal(
        segment_open(d->dir, &header, OS_READ, &file, &found, &stat, NULL),
        CASK_OK);
    d->dir->os->ops->close(file);
    assert_int_equal(stat.size, 65536);
    assert_true(stat.allocated >= 65536);
    assert_memory_equal(found.uuid, uuid, 16);
    assert_int_equal(found.nonce, header.nonce);
    header.nonce = 0; /* any */
    assert_int_equal(segment_open(d->dir, &header, OS_READ | OS_WRITE, &file,
                                  NULL, &stat, NULL),
                     CASK_OK);
    d->dir->os->ops->close(file);
}

static void refuse_open(disk *d, const segment_header *expected,
                        const char *part)
{
    cask_error err = {CASK_OK, 0, ""};
    os_file *file = NULL;
    os_stat stat;

    assert_int_equal(
        segment_open(d->dir, expected, OS_READ, &file, NULL, &stat, &err),
        CASK_CORRUPT);
    assert_non_null(strstr(err.message, ".log: "));
    assert_non_null(strstr(err.message, part));
    /* Without an error to fill it is refused all the same. */
    assert_int_equal(
        segment_open(d->dir, expected, OS_READ, &file, NULL, &stat, NULL),
        CASK_CORRUPT);
}

static void test_a_segment_that_is_another_is_refused(void **state)
{
    disk *d = *state;
    segment_header header = header_of(1);
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    os_file *file;

    refuse_open(d, &header, "missing");
    assert_int_equal(segment_create(d->dir, &header, 4096, 0600, &file, NULL),
                     CASK_OK);
    d->dir->os->ops->close(file);
    header.nonce++;
    refuse_open(d, &header, "nonce");
    header = header_of(1);
    header.uuid[0] ^= 1;
    refuse_open(d, &header, "another store");
    header = header_of(1);
    assert_int_equal(read_file(d, "0000000000000001.log", bytes, sizeof(bytes)),
                     SEGMENT_HEADER_SIZE);
    write_file(d, "0000000000000002.log", bytes, sizeof(bytes));
    header.id = 2;
    refuse_open(d, &header, "another store or file");
    header.id = 1;
    for (size_t cut = 0; cut < SEGMENT_HEADER_SIZE; cut++) {
        write_file(d, "0000000000000001.log", bytes, cut);
        refuse_open(d, &header, "header");
    }
    for (size_t at = 0; at < SEGMENT_HEADER_SIZE; at++) {
        bytes[at] ^= 0x40;
        write_file(d, "0000000000000001.log", bytes, sizeof(bytes));
        if (at < 8 || at >= 12) { /* the version may be a newer one's */
            refuse_open(d, &header, "offset");
        }
        bytes[at] ^= 0x40;
    }
}

/* Each call fails once with a full disk: the name is gone again. */
static void test_a_segment_that_cannot_be_created_leaves_nothing(void **state)
{
    disk *d = *state;
    segment_header header = header_of(9);

    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = OS_FAULT_NOTHING;
        cask_error err = {CASK_OK, 0, ""};
        os_file *file = NULL;
        cask_status status;

        plan.fail_at = n;
        plan.error = ENOSPC;
        os_fault_arm(&d->fault, &plan);
        status = segment_create(d->dir, &header, 65536, 0600, &file, &err);
        if (os_fault_fired(&d->fault) == 0) {
            assert_int_equal(status, CASK_OK);
            d->dir->os->ops->close(file);
            assert_true(n >= 5); /* open allocate write sync sync_dir */
            return;
        }
        os_fault_arm(&d->fault, &OS_FAULT_NOTHING);
        assert_int_not_equal(status, CASK_OK);
        assert_non_null(strstr(err.message, "0000000000000009.log"));
        assert_false(exists(d, "0000000000000009.log"));
    }
}

static void test_no_segment_is_created_over_another(void **state)
{
    disk *d = *state;
    segment_header header = header_of(9);
    cask_error err = {CASK_OK, 0, ""};
    os_file *file;

    write_file(d, "0000000000000009.log", (const uint8_t *)"precious", 8);
    assert_int_not_equal(
        segment_create(d->dir, &header, 65536, 0600, &file, &err), CASK_OK);
    assert_int_equal(err.os_errno, EEXIST);
    assert_non_null(
        strstr(err.message, ": File exists; it was not there before"));
    assert_true(exists(d, "0000000000000009.log"));
}

/* A file that can be removed, which one who died has left, is none. */
static void test_what_is_in_the_way_of_a_new_file_is_to_be_moved(void **state)
{
    disk *d = *state;
    os *kernel = d->dir->os;
    cask_error err = {CASK_OK, 0, ""};

    write_file(d, "CONFIG.new", (const uint8_t *)"left", 4);
    assert_int_equal(file_publish(d->dir, "CONFIG", "x", 1, 0600, &err),
                     CASK_OK);
    assert_int_equal(kernel->ops->make_dir(kernel, "/d/CONFIG.new", 0700), 0);
    assert_int_equal(file_publish(d->dir, "CONFIG", "x", 1, 0600, &err),
                     CASK_IO);
    assert_int_equal(err.os_errno, EEXIST);
    assert_non_null(strstr(
        err.message, "cannot create CONFIG.new: File exists; move what is "
                     "in its place away"));
}

/* After a power cut at any moment of file_publish(): old or new, wholly. */
static void test_a_published_file_is_old_or_new_after_a_cut(void **state)
{
    static const char old_text[] = "old";
    static const char new_text[] = "a new and longer content";

    (void)state;
    for (uint64_t n = 0;; n++) {
        const os_sim_options options = {.seed = n, .torn_sectors = true};
        uint8_t bytes[64] = {0};
        os_sim *sim;
        os_file *dir;
        os_file *file;
        size_t got;
        bool whole;

        assert_int_equal(os_sim_create(&options, &sim), 0);
        assert_int_equal(
            os_sim_os(sim)->ops->make_dir(os_sim_os(sim), "/d", 0700), 0);
        assert_int_equal(
            os_sim_os(sim)->ops->open_dir(os_sim_os(sim), "/d", &dir), 0);
        assert_int_equal(file_publish(dir, "f", old_text, 3, 0600, NULL),
                         CASK_OK);
        assert_int_equal(os_sim_sync_all(sim), 0);
        os_sim_cut_at(sim, os_sim_operations(sim) + n);
        whole = file_publish(dir, "f", new_text, sizeof(new_text), 0600,
                             NULL) == CASK_OK;
        dir->os->ops->close(dir);
        assert_int_equal(os_sim_crash(sim, n), 0);
        assert_int_equal(
            os_sim_os(sim)->ops->open_dir(os_sim_os(sim), "/d", &dir), 0);
        assert_int_equal(dir->os->ops->open(dir, "f", OS_READ, 0, &file), 0);
        assert_int_equal(file->os->ops->read_at(file, bytes, 64, 0, &got), 0);
        assert_true((got == 3 && memcmp(bytes, old_text, 3) == 0 && !whole) ||
                    (got == sizeof(new_text) &&
                     memcmp(bytes, new_text, sizeof(new_text)) == 0));
        file->os->ops->close(file);
        dir->os->ops->close(dir);
        os_sim_free(sim);
        if (whole) {
            assert_true(n >= 5);
            return;
        }
    }
}

int main(void)
{
#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ON_DISK(test_what_is_loaded_is_what_was_written),
        ON_DISK(test_edits_that_are_appended_are_loaded),
        ON_DISK(test_ids_of_opened_segments_are_taken),
        ON_DISK(test_a_torn_last_edit_is_left_out),
        ON_DISK(test_damage_before_the_last_edit_is_refused),
        ON_DISK(test_a_manifest_that_is_none_is_refused),
        ON_DISK(test_edits_about_unknown_segments_are_refused),
        ON_DISK(test_a_cut_of_what_it_was_made_with_is_refused),
        ON_DISK(test_an_edit_that_takes_ids_back_is_refused),
        ON_DISK(test_a_rewrite_that_fails_leaves_old_or_new),
        ON_DISK(test_an_append_that_fails_does_not_count),
        ON_DISK(test_a_segment_that_is_created_can_be_opened),
        ON_DISK(test_a_segment_that_is_another_is_refused),
        ON_DISK(test_a_segment_that_cannot_be_created_leaves_nothing),
        ON_DISK(test_no_segment_is_created_over_another),
        ON_DISK(test_what_is_in_the_way_of_a_new_file_is_to_be_moved),
        cmocka_unit_test(test_a_published_file_is_old_or_new_after_a_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
