/*
 * The file CASKADE: golden bytes, damage, crafted fields.
 */
#include "base/bytes.h"
#include "format/golden_store.h"
#include "format/sweep.h"
#include "cask_test.h"

enum { ROUNDS = 1000 };

static const store_identity golden = {
    .engine = CASK_ENGINE_HASH,
    .uuid = GOLDEN_UUID,
    .hash_key = {{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}},
    .created_ms = 1700000000000};

static cask_status decode(const uint8_t *bytes, cask_error *err)
{
    store_identity identity;
    store_identity before;
    cask_status status;

    memset(&identity, 0xa5, sizeof(identity));
    memcpy(&before, &identity, sizeof(before));
    status = identity_decode(bytes, "CASKADE", &identity, err);
    if (status != CASK_OK) {
        assert_memory_equal(&identity, &before, sizeof(before));
    }
    return status;
}

static const sweep_target target = {.name = "CASKADE",
                                    .golden = golden_identity,
                                    .size = sizeof(golden_identity),
                                    .decode = decode};

static void assert_identity_equal(const store_identity *a,
                                  const store_identity *b)
{
    assert_int_equal(a->engine, b->engine);
    assert_memory_equal(a->uuid, b->uuid, sizeof(a->uuid));
    assert_true(a->hash_key.word[0] == b->hash_key.word[0]);
    assert_true(a->hash_key.word[1] == b->hash_key.word[1]);
    assert_true(a->created_ms == b->created_ms);
}

static void test_golden_bytes_are_written(void **state)
{
    uint8_t bytes[IDENTITY_SIZE];

    (void)state;
    memset(bytes, 0xee, sizeof(bytes));
    identity_encode(&golden, bytes);
    assert_int_equal(sizeof(golden_identity), sizeof(bytes));
    assert_memory_equal(bytes, golden_identity, sizeof(bytes));
}

static void test_golden_bytes_are_read(void **state)
{
    store_identity identity;
    cask_error err;

    (void)state;
    assert_int_equal(
        identity_decode(golden_identity, "CASKADE", &identity, &err), CASK_OK);
    assert_identity_equal(&identity, &golden);
}

static void test_any_value_survives_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        store_identity in = {.engine = CASK_ENGINE_HASH,
                             .created_ms = sweep_random()};
        store_identity out;
        uint8_t bytes[IDENTITY_SIZE];

        sweep_random_bytes(in.uuid, sizeof(in.uuid));
        sweep_random_bytes(&in.hash_key, sizeof(in.hash_key));
        identity_encode(&in, bytes);
        assert_int_equal(identity_decode(bytes, "CASKADE", &out, NULL),
                         CASK_OK);
        assert_identity_equal(&in, &out);
    }
}

static void test_every_flipped_byte_is_refused(void **state)
{
    (void)state;
    sweep_flips(&target);
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    sweep_cuts(&target);
}

static void test_foreign_file_is_said_to_be_one(void **state)
{
    uint8_t bytes[IDENTITY_SIZE] = "#!/bin/sh\n";

    (void)state;
    sweep_refused(&target, bytes, CASK_CORRUPT,
                  "CASKADE: offset 0: is not a Caskade store identity file: "
                  "magic is 23212f62696e2f73, expected 4341534b4144450a");
}

/* Of a newer version only magic, checksum and version are looked at. */
static void test_newer_version_is_unsupported_whatever_it_holds(void **state)
{
    uint8_t bytes[IDENTITY_SIZE];

    (void)state;
    sweep_random_bytes(bytes, sizeof(bytes));
    memcpy(bytes, IDENTITY_MAGIC, FORMAT_MAGIC_SIZE);
    store_u32(bytes + 8, IDENTITY_VERSION + 1);
    sweep_reseal(bytes, sizeof(bytes));
    sweep_refused(&target, bytes, CASK_UNSUPPORTED,
                  "CASKADE: offset 8: version of the Caskade store identity "
                  "file is 2, this program knows versions up to 1");
    store_u32(bytes + 8, UINT32_MAX);
    sweep_reseal(bytes, sizeof(bytes));
    sweep_refused(&target, bytes, CASK_UNSUPPORTED, "is 4294967295");
}

static void test_version_0_is_corrupt_even_if_sealed(void **state)
{
    uint8_t bytes[IDENTITY_SIZE];

    (void)state;
    memcpy(bytes, golden_identity, sizeof(bytes));
    store_u32(bytes + 8, 0);
    sweep_reseal(bytes, sizeof(bytes));
    sweep_refused(&target, bytes, CASK_CORRUPT, "is 0, expected 1 to 1");
}

static void test_checksum_message_names_both(void **state)
{
    uint8_t bytes[IDENTITY_SIZE];

    (void)state;
    memcpy(bytes, golden_identity, sizeof(bytes));
    store_u32(bytes + 124, 0x01020304);
    sweep_refused(&target, bytes, CASK_CORRUPT,
                  "CASKADE: offset 124: crc32c of the Caskade store identity "
                  "file is 6edae5bb, stored 01020304");
}

static void test_unknown_engine_is_unsupported(void **state)
{
    static const uint32_t unknown[] = {0, 3, 4, UINT32_MAX};
    uint8_t bytes[IDENTITY_SIZE];

    (void)state;
    memcpy(bytes, golden_identity, sizeof(bytes));
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        store_u32(bytes + 12, unknown[i]);
        sweep_reseal(bytes, sizeof(bytes));
        sweep_refused(&target, bytes, CASK_UNSUPPORTED,
                      "CASKADE: offset 12: engine is ");
    }
}

static void test_reserved_bytes_are_ignored_when_sealed(void **state)
{
    uint8_t bytes[IDENTITY_SIZE];
    store_identity identity;

    (void)state;
    memcpy(bytes, golden_identity, sizeof(bytes));
    memset(bytes + 56, 0xff, 68);
    sweep_reseal(bytes, sizeof(bytes));
    assert_int_equal(identity_decode(bytes, "CASKADE", &identity, NULL),
                     CASK_OK);
    assert_identity_equal(&identity, &golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_bytes_are_written),
        cmocka_unit_test(test_golden_bytes_are_read),
        cmocka_unit_test(test_any_value_survives_a_round_trip),
        cmocka_unit_test(test_every_flipped_byte_is_refused),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_foreign_file_is_said_to_be_one),
        cmocka_unit_test(test_newer_version_is_unsupported_whatever_it_holds),
        cmocka_unit_test(test_version_0_is_corrupt_even_if_sealed),
        cmocka_unit_test(test_checksum_message_names_both),
        cmocka_unit_test(test_unknown_engine_is_unsupported),
        cmocka_unit_test(test_reserved_bytes_are_ignored_when_sealed),
    };

    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
