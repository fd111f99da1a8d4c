/*
 * A C++ program that uses an installed Caskade: the header is valid C++11, and
 * the same store can be written and read.
 */
#include <caskade.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace {

std::string get(cask_db *db, const char *key)
{
    cask_buffer value = cask_buffer();
    std::string text;

    if (cask_get(db, cask_slice_of(key), &value, nullptr) == CASK_OK) {
        text.assign(static_cast<const char *>(value.data), value.size);
    }
    cask_buffer_free(&value);
    return text;
}

} // namespace

int main(int argc, char **argv)
{
    cask_options options;
    cask_error err;
    cask_db *db = nullptr;

    if (argc != 2 || std::strcmp(cask_version(), CASK_VERSION_STRING) != 0) {
        return 2;
    }
    cask_options_init(&options);
    options.create_if_missing = true;
    if (cask_open(argv[1], &options, &db, &err) != CASK_OK ||
        cask_put(db, cask_slice_of("key"), cask_slice_of("value"), &err) !=
            CASK_OK) {
        std::fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (get(db, "key") != "value" || cask_close(db, &err) != CASK_OK) {
        return 1;
    }
    std::printf("caskade %s\n", cask_version());
    return 0;
}
