/*
 * A whole store from any bytes: opened in several ways, read, folded, verified,
 * written to, opened again. No answer is wrong here as long as it is one of
 * those that the header documents; memory and time are bounded.
 */
#include "fuzz/directory.h"

#include "db/db.h"
#include "fuzz/fuzz.h"
#include "log/hint_format.h"
#include "log/manifest_format.h"
#include "log/record_format.h"
#include "os/os_sim.h"

#define STORE "/store"

enum { CAPACITY = 32 << 20, KIB = 1024, ZEROS_MOST = 64, NEW_KEYS = 3 };

/* As tests/crash/history.c makes them. */
const uint64_t directory_ids[DIRECTORY_SEGMENTS] = {0x01, 0x41, 0x81, 0xc1};

/* ---- Checksums ----------------------------------------------------------- */

static void reseal_manifest(uint8_t *bytes, size_t size)
{
    uint64_t nonce;

    if (size < MANIFEST_HEADER_SIZE) {
        return;
    }
    fuzz_reseal(bytes, MANIFEST_HEADER_SIZE);
    nonce = load_u64(bytes + 32);
    for (size_t at = MANIFEST_HEADER_SIZE; size - at >= MANIFEST_EDIT_SIZE;
         at += MANIFEST_EDIT_SIZE) {
        uint8_t place[16];
        uint32_t crc = crc32c(0, bytes + at + 4, MANIFEST_EDIT_SIZE - 4);

        store_u64(place, nonce);
        store_u64(place + 8, at);
        store_u32(bytes + at, crc32c(crc, place, sizeof(place)));
    }
}

/* The record at `at`, of the fields and the body that are there; its size. */
static uint64_t reseal_record(uint8_t *bytes, size_t size, size_t at,
                              uint64_t nonce)
{
    record_seed seed = {nonce, at};
    uint8_t *record = bytes + at;
    record_header header = {.sequence =
                                load_u64(record + 8) & RECORD_SEQUENCE_MAX,
                            .time_s = load_u32(record + 4),
                            .value_size = load_u32(record + 16),
                            .key_size = load_u16(record + 20),
                            .type = record[15]};
    uint64_t whole = record_size(&header);

    if (whole > size - at) {
        record_encode_header(&header, 0, seed, record);
        return size - at;
    }
    record_encode_header(
        &header,
        crc32c(0, record + RECORD_HEADER_SIZE, record_body_size(&header)), seed,
        record);
    return whole;
}

static void reseal_log(uint8_t *bytes, size_t size)
{
    uint64_t at = SEGMENT_HEADER_SIZE;
    uint64_t nonce;

    if (size < SEGMENT_HEADER_SIZE) {
        return;
    }
    fuzz_reseal(bytes, SEGMENT_HEADER_SIZE);
    nonce = load_u64(bytes + 40);
    while (at < size && size - at >= RECORD_HEADER_SIZE) {
        if (load_u64(bytes + at) == 0) {
            return;
        }
        at += reseal_record(bytes, size, at, nonce);
    }
}

static void reseal_hint(uint8_t *bytes, size_t size)
{
    if (size < HINT_HEADER_SIZE) {
        return;
    }
    store_u32(bytes + HINT_HEADER_SIZE - 8,
              crc32c(0, bytes + HINT_HEADER_SIZE, size - HINT_HEADER_SIZE));
    fuzz_reseal(bytes, HINT_HEADER_SIZE);
}

static void reseal(directory_kind kind, uint8_t *bytes, size_t size)
{
    switch (kind) {
    case DIRECTORY_IDENTITY:
        if (size >= IDENTITY_SIZE) {
            fuzz_reseal(bytes, IDENTITY_SIZE);
        }
        return;
    case DIRECTORY_MANIFEST:
        reseal_manifest(bytes, size);
        return;
    case DIRECTORY_LOG:
        reseal_log(bytes, size);
        return;
    case DIRECTORY_HINT:
        reseal_hint(bytes, size);
        return;
    case DIRECTORY_KINDS:
        return;
    }
}

/* ---- Files --------------------------------------------------------------- */

static void name_file(directory_kind kind, uint8_t segment,
                      char ret_name[SEGMENT_NAME_SIZE])
{
    uint64_t id = directory_ids[segment % DIRECTORY_SEGMENTS];

    switch (kind) {
    case DIRECTORY_IDENTITY:
        (void)snprintf(ret_name, SEGMENT_NAME_SIZE, IDENTITY_NAME);
        return;
    case DIRECTORY_MANIFEST:
        (void)snprintf(ret_name, SEGMENT_NAME_SIZE, MANIFEST_NAME);
        return;
    case DIRECTORY_LOG:
        segment_name_format(id, ret_name);
        return;
    case DIRECTORY_HINT:
    case DIRECTORY_KINDS:
        hint_name_format(id, ret_name);
        return;
    }
}

static void write_file(os_file *dir, const char *name, const uint8_t *bytes,
                       size_t size)
{
    const os_span span = {bytes, size};
    const os_ops *ops = dir->os->ops;
    os_file *file;

    FUZZ_REQUIRE(
        ops->open(dir, name, OS_READ | OS_WRITE | OS_CREATE, 0600, &file) == 0);
    FUZZ_REQUIRE(ops->truncate(file, 0) == 0);
    FUZZ_REQUIRE(ops->write_at(file, &span, 1, 0) == 0);
    ops->close(file);
}

/* One file of the input; returns the bytes that it took. */
static size_t unpack_file(os_file *dir, bool sealed, const uint8_t *data,
                          size_t size)
{
    directory_kind kind = (directory_kind)(data[0] % DIRECTORY_KINDS);
    size_t zeros = (size_t)(data[2] % (ZEROS_MOST + 1)) * KIB;
    size_t count = load_u16(data + 3);
    char name[SEGMENT_NAME_SIZE];
    uint8_t *bytes;

    if (count > size - DIRECTORY_HEADER) {
        count = size - DIRECTORY_HEADER;
    }
    bytes = calloc(1, count + zeros + 1);
    FUZZ_REQUIRE(bytes != NULL);
    memcpy(bytes, data + DIRECTORY_HEADER, count);
    if (sealed) {
        reseal(kind, bytes, count);
    }
    name_file(kind, data[1], name);
    write_file(dir, name, bytes, count + zeros);
    free(bytes);
    return DIRECTORY_HEADER + count;
}

static void unpack(os *kernel, const uint8_t *data, size_t size)
{
    size_t at = 1;
    os_file *dir;

    FUZZ_REQUIRE(kernel->ops->make_dir(kernel, STORE, 0700) == 0);
    FUZZ_REQUIRE(kernel->ops->open_dir(kernel, STORE, &dir) == 0);
    for (int i = 0;
         i < DIRECTORY_FILES && at < size && size - at >= DIRECTORY_HEADER;
         i++) {
        at += unpack_file(dir, (data[0] & DIRECTORY_RESEAL) != 0, data + at,
                          size - at);
    }
    kernel->ops->close(dir);
}

/* ---- Use ----------------------------------------------------------------- */

/* An error is one line, and says the same as the status. */
static void check_status(cask_status status, const cask_error *err)
{
    if (status == CASK_OK) {
        return;
    }
    if (status == CASK_IO || status == CASK_FORKED) {
        (void)fprintf(stderr, "%s\n", err->message);
    }
    FUZZ_REQUIRE(status != CASK_IO && status != CASK_FORKED);
    FUZZ_REQUIRE(err->status == status);
    FUZZ_REQUIRE(memchr(err->message, 0, sizeof(err->message)) != NULL);
    FUZZ_REQUIRE(strchr(err->message, '\n') == NULL);
    FUZZ_REQUIRE(err->message[0] != 0);
}

typedef struct reading {
    cask_db *db;
    bool crafted; /* checksums were made right */
} reading;

/* What was emitted is looked up again: both ways agree. A hint whose checksum
 * was made right may say anything about its keys, though. */
static bool look_up(void *context, const cask_entry *entry)
{
    const reading *r = context;
    cask_error err = {CASK_OK, 0, ""};
    cask_buffer value = {0};
    cask_status status = cask_get(r->db, entry->key, &value, &err);

    FUZZ_REQUIRE(status == CASK_OK || status == CASK_CORRUPT ||
                 (r->crafted && status == CASK_NOT_FOUND));
    if (status == CASK_OK && !r->crafted) {
        FUZZ_REQUIRE(value.size == entry->value.size);
        FUZZ_REQUIRE(value.size == 0 ||
                     memcmp(value.data, entry->value.data, value.size) == 0);
    }
    cask_buffer_free(&value);
    return true;
}

static void read_all(cask_db *db, bool crafted)
{
    reading r = {db, crafted};
    cask_error err = {CASK_OK, 0, ""};
    cask_segment_stats *segments = NULL;
    cask_stats stats;
    size_t count;

    check_status(cask_fold(db, NULL, look_up, &r, &err), &err);
    FUZZ_REQUIRE(cask_stat(db, &stats, NULL) == CASK_OK);
    FUZZ_REQUIRE(cask_segments(db, &segments, &count, NULL) == CASK_OK);
    cask_free(segments);
}

/* What is written now is there, and stays. */
static void write_some(cask_db *db, bool *ret_written)
{
    cask_error err = {CASK_OK, 0, ""};

    *ret_written = true;
    for (int i = 0; i < NEW_KEYS; i++) {
        char key[16];
        cask_status status;

        (void)snprintf(key, sizeof(key), "new %d", i);
        status = cask_put(db, cask_slice_of(key), cask_slice_of("value"), &err);
        check_status(status, &err);
        *ret_written = *ret_written && status == CASK_OK;
    }
}

static void check_written(cask_db *db)
{
    for (int i = 0; i < NEW_KEYS; i++) {
        cask_buffer value = {0};
        char key[16];

        (void)snprintf(key, sizeof(key), "new %d", i);
        FUZZ_REQUIRE(cask_get(db, cask_slice_of(key), &value, NULL) == CASK_OK);
        FUZZ_REQUIRE(value.size == 5 && memcmp(value.data, "value", 5) == 0);
        cask_buffer_free(&value);
    }
}

static cask_error last_error;

static bool open_store(os *kernel, cask_damage damage, bool read_only,
                       cask_db **ret_db)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_options options;
    cask_status status;

    cask_options_init(&options);
    options.damage = damage;
    options.read_only = read_only;
    options.io = read_only ? CASK_IO_PREAD : CASK_IO_MAP;
    options.segment_max_bytes = 64 << 10;
    status = db_open_on(kernel, STORE, &options, ret_db, &err);
    check_status(status, &err);
    last_error = err;
    return status == CASK_OK;
}

static void use(os *kernel, bool crafted)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_verify_report report;
    bool written = false;
    cask_db *db;

    check_status(db_verify_on(kernel, STORE, NULL, &report, &err), &err);
    if (open_store(kernel, CASK_DAMAGE_SERVE, true, &db)) {
        read_all(db, crafted);
        (void)cask_close(db, NULL);
    }
    if (open_store(kernel, CASK_DAMAGE_FAIL, false, &db)) {
        read_all(db, crafted);
        (void)cask_close(db, NULL);
    }
    if (open_store(kernel, CASK_DAMAGE_SERVE, false, &db)) {
        read_all(db, crafted);
        write_some(db, &written);
        if (written) {
            check_written(db);
        }
        check_status(cask_close(db, &err), &err);
    }
    if (written) {
        if (!open_store(kernel, CASK_DAMAGE_SERVE, false, &db)) {
            (void)fprintf(stderr, "reopen: %s\n", last_error.message);
            FUZZ_REQUIRE(false);
        }
        check_written(db);
        (void)cask_close(db, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    os_sim_options options = {.seed = 1,
                              .capacity_bytes = CAPACITY,
                              .max_file_bytes = (size_t)1 << 30};
    os_sim *sim;

    if (size == 0) {
        return 0;
    }
    FUZZ_REQUIRE(os_sim_create(&options, &sim) == 0);
    unpack(os_sim_os(sim), data, size);
    use(os_sim_os(sim), (data[0] & DIRECTORY_RESEAL) != 0);
    os_sim_free(sim);
    return 0;
}
