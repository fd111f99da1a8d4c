/*
 * The range of every option: what lies outside is refused by the option's name,
 * before anything is opened or made.
 */
#include "cask_test.h"

#include <string.h>

#include "caskade.h"

/* Refused; then the defaults again. */
static void refused(cask_options *options, const char *name)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;

    assert_int_equal(cask_open("/nonexistent/store", options, &db, &err),
                     CASK_INVALID);
    assert_null(db);
    assert_non_null(strstr(err.message, name));
    cask_options_init(options);
}

static void test_value_outside_its_range_is_refused_by_name(void **state)
{
    cask_options options;

    (void)state;
    cask_options_init(&options);
    options.struct_size = 0;
    refused(&options, "struct_size");
    options.file_mode = 01777;
    refused(&options, "file_mode");
    options.lock_timeout_ms = 0;
    refused(&options, "lock_timeout_ms");
    options.lock_timeout_ms = 3600001;
    refused(&options, "lock_timeout_ms");
    options.sync = (cask_sync_policy)3;
    refused(&options, "sync");
    options.sync_interval_ms = 0;
    refused(&options, "sync_interval_ms");
    options.append = (cask_append)-1;
    refused(&options, "append");
    options.io = (cask_io)2;
    refused(&options, "io");
    options.max_descriptors = 7;
    refused(&options, "max_descriptors");
    options.damage = (cask_damage)2;
    refused(&options, "damage");
    options.segment_max_bytes = 65535;
    refused(&options, "segment_max_bytes");
    options.segment_max_bytes = (1 << 30) + 1;
    refused(&options, "segment_max_bytes");
    options.small_file_threshold_bytes = (1 << 30) + 1;
    refused(&options, "small_file_threshold_bytes");
    options.expiry_seconds = UINT64_C(1) << 32;
    refused(&options, "expiry_seconds");
    options.exclusive = true;
    options.read_only = true;
    refused(&options, "exclusive");
}

static void test_defaults_are_in_range(void **state)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_options options;
    cask_db *db = NULL;

    (void)state;
    cask_options_init(&options);
    assert_int_equal(cask_open("/nonexistent/store", &options, &db, &err),
                     CASK_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_outside_its_range_is_refused_by_name),
        cmocka_unit_test(test_defaults_are_in_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
