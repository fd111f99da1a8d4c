/*
 * Segments that MANIFEST does not list, as a private index meets them: those
 * who write the store change and remove them meanwhile.
 */
#include "unit/db/handle.h"

#include <string.h>

#include "db/db.h"
#include "log/segment.h"

/* The disk, on which something happens to one file when it is opened for the
 * second time since it was armed. */
typedef struct meddler {
    const os_ops *usual;
    os_ops ops;
    char name[SEGMENT_NAME_SIZE];
    uint64_t cut_to; /* bytes; 0: it is removed */
    int opened;
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

/* A segment that is whole, empty and not listed, as a merge begins one. */
static void make_unlisted(handle *h)
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
    h->kernel->ops->close(file);
    h->kernel->ops->close(dir);
}

/* A private index is made while the unlisted segment is removed or cut. */
static void open_while_it_goes(handle *h, uint64_t cut_to)
{
    put_text(h, "key", "value");
    make_unlisted(h);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_one_that_goes_while_it_is_looked_at_is_nothing, handle_setup,
            handle_teardown),
        cmocka_unit_test_setup_teardown(test_nor_is_one_that_is_cut,
                                        handle_setup, handle_teardown),
    };

    return cmocka_run_group_tests_name("leftovers", tests, NULL, NULL);
}
