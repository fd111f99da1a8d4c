/*
 * Runs fuzz_directory over its corpus without libFuzzer: every file as it is
 * and resealed, then with random changes, resealed and not.
 *
 *     fuzz_directory FILE_OR_DIRECTORY...
 *     fuzz_directory --write DIRECTORY      make the corpus
 *
 * CASK_TEST_SEED repeats a run.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "crash/history.h"
#include "fuzz/directory.h"
#include "fuzz/fuzz.h"
#include "log/segment_format.h"

enum { INPUT_MAX = 1 << 20, VARIANTS = 400, CHANGES_MOST = 6 };

static uint8_t input[INPUT_MAX];
static size_t files;

/* ---- The corpus ---------------------------------------------------------- */

static void pack_file(FILE *to, const image_file *file)
{
    uint8_t head[DIRECTORY_HEADER] = {0};
    size_t used = file->size;
    uint64_t id = 0;

    while (used > 0 && file->data[used - 1] == 0) {
        used--;
    }
    head[0] = DIRECTORY_IDENTITY;
    if (strcmp(file->name, "MANIFEST") == 0) {
        head[0] = DIRECTORY_MANIFEST;
    } else if (segment_name_parse(file->name, &id)) {
        head[0] = DIRECTORY_LOG;
    } else if (hint_name_parse(file->name, &id)) {
        head[0] = DIRECTORY_HINT;
    }
    while (id != 0 && directory_ids[head[1]] != id) {
        head[1]++;
        FUZZ_REQUIRE(head[1] < DIRECTORY_SEGMENTS);
    }
    if (file->size - used < 1024) {
        used = file->size;
    }
    head[2] = (uint8_t)((file->size - used) / 1024);
    store_u16(head + 3, (uint16_t)used);
    FUZZ_REQUIRE(fwrite(head, sizeof(head), 1, to) == 1);
    FUZZ_REQUIRE(used == 0 || fwrite(file->data, used, 1, to) == 1);
}

static void write_corpus(const char *directory)
{
    static const char *const names[] = {"sealed", "rotated", "closed",
                                        "killed"};

    for (int end = HISTORY_SEALED; end <= HISTORY_KILLED; end++) {
        char path[512];
        history past;
        FILE *to;

        history_make(&past, (history_end)end, 1);
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[end]);
        to = fopen(path, "wb");
        FUZZ_REQUIRE(to != NULL);
        FUZZ_REQUIRE(fputc(0, to) == 0);
        for (size_t i = 0; i < past.image.count; i++) {
            pack_file(to, &past.image.files[i]);
        }
        FUZZ_REQUIRE(fclose(to) == 0);
        history_free(&past);
    }
}

/* ---- Replay -------------------------------------------------------------- */

/* The input in memory of its very size, so that a sanitizer sees its end. */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    FUZZ_REQUIRE(copy != NULL);
    memcpy(copy, bytes, size);
    FUZZ_REQUIRE(LLVMFuzzerTestOneInput(copy, size) == 0);
    free(copy);
}

/* Numbers that tend to be too large, too small, or nearly right. */
static void change(uint8_t *bytes, size_t size, uint64_t *random)
{
    static const uint64_t numbers[] = {0,
                                       1,
                                       7,
                                       8,
                                       0x7fffffff,
                                       0xffffffff,
                                       UINT64_MAX,
                                       UINT64_C(1) << 36,
                                       (UINT64_C(1) << 36) - 8,
                                       UINT64_C(1) << 30,
                                       64,
                                       65535};
    size_t at = 1 + crash_random(random) % (size - 1);
    uint64_t number =
        numbers[crash_random(random) % (sizeof(numbers) / sizeof(numbers[0]))];
    size_t width = (size_t)1 << crash_random(random) % 4;

    if (crash_random(random) % 2 == 0) {
        bytes[at] ^= (uint8_t)(1u << crash_random(random) % 8);
        return;
    }
    for (size_t i = 0; i < width && at + i < size; i++) {
        bytes[at + i] = (uint8_t)(number >> 8 * i);
    }
}

static void run_variants(size_t size, uint64_t seed)
{
    static uint8_t changed[INPUT_MAX];

    run(input, size);
    input[0] ^= DIRECTORY_RESEAL;
    run(input, size);
    for (int i = 0; i < VARIANTS; i++) {
        uint64_t random = seed + (uint64_t)i;
        uint64_t changes = 1 + crash_random(&random) % CHANGES_MOST;
        size_t length = size;

        memcpy(changed, input, size);
        changed[0] = crash_random(&random) % 4 != 0 ? DIRECTORY_RESEAL : 0;
        for (uint64_t j = 0; j < changes; j++) {
            change(changed, size, &random);
        }
        if (crash_random(&random) % 8 == 0) {
            length = 1 + crash_random(&random) % size;
        }
        run(changed, length);
    }
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t size;

    FUZZ_REQUIRE(file != NULL);
    size = fread(input, 1, sizeof(input), file);
    FUZZ_REQUIRE(size > 1 && size < sizeof(input));
    FUZZ_REQUIRE(fclose(file) == 0);
    run_variants(size, crash_seed() + files * VARIANTS);
    files++;
}

static void replay(const char *path)
{
    struct stat stat_of;
    struct dirent *entry;
    DIR *dir;

    FUZZ_REQUIRE(stat(path, &stat_of) == 0);
    if (!S_ISDIR(stat_of.st_mode)) {
        replay_file(path);
        return;
    }
    dir = opendir(path);
    FUZZ_REQUIRE(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        char below[1024];

        if (entry->d_name[0] != '.') {
            (void)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
            replay(below);
        }
    }
    (void)closedir(dir);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        write_corpus(argv[2]);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        replay(argv[i]);
    }
    FUZZ_REQUIRE(files > 0);
    return 0;
}
