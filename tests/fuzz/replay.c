/*
 * Runs a fuzz target over its corpus without libFuzzer: every file as it is,
 * cut after every byte, and with every bit flipped.
 *
 *     <target> FILE_OR_DIRECTORY...
 */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

enum { INPUT_MAX = 1 << 20 };

static uint8_t input[INPUT_MAX];
static size_t files;

/* The input in memory of its very size, so that a sanitizer sees its end. */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    FUZZ_REQUIRE(copy != NULL);
    memcpy(copy, bytes, size);
    FUZZ_REQUIRE(LLVMFuzzerTestOneInput(copy, size) == 0);
    free(copy);
}

static void run_variants(size_t size)
{
    run(input, size);
    for (size_t cut = 0; cut < size; cut++) {
        run(input, cut);
    }
    for (size_t bit = 0; bit < size * 8; bit++) {
        input[bit / 8] ^= (uint8_t)(1u << bit % 8);
        run(input, size);
        input[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t size;

    if (file == NULL) {
        perror(path);
        exit(1);
    }
    size = fread(input, 1, sizeof(input), file);
    FUZZ_REQUIRE(ferror(file) == 0 && size < sizeof(input));
    (void)fclose(file);
    run_variants(size);
    files++;
}

static void replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;

    if (directory == NULL) {
        perror(path);
        exit(1);
    }
    while ((entry = readdir(directory)) != NULL) {
        char child[4096];
        int size;

        if (entry->d_name[0] == '.') {
            continue;
        }
        size = snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
        FUZZ_REQUIRE(size > 0 && (size_t)size < sizeof(child));
        replay_file(child);
    }
    (void)closedir(directory);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat info;

        if (stat(argv[i], &info) != 0) {
            perror(argv[i]);
            return 1;
        }
        if (S_ISDIR(info.st_mode)) {
            replay_directory(argv[i]);
        } else {
            replay_file(argv[i]);
        }
    }
    if (files == 0) {
        (void)fprintf(stderr, "usage: %s FILE_OR_DIRECTORY...: no input\n",
                      argv[0]);
        return 2;
    }
    printf("%zu files, each cut and flipped everywhere\n", files);
    return 0;
}
