// caskade.h from C++: it compiles, links, and works.
#include "caskade.h"

#include <cstdio>
#include <cstdlib>
#include <string>

static void require(bool condition, const char *what)
{
    if (!condition) {
        std::fprintf(stderr, "not true: %s\n", what);
        std::exit(1);
    }
}

int main()
{
    cask_options options;
    cask_error err = {};
    cask_db *db = nullptr;

    cask_options_init(&options);
    require(options.struct_size == sizeof(options), "struct_size");
    require(cask_open("/nowhere/at/all", &options, &db, &err) == CASK_NOT_FOUND,
            "CASK_NOT_FOUND");
    require(db == nullptr, "ret_db is written on success only");
    require(std::string(err.message).find("/nowhere/at/all") !=
                std::string::npos,
            "the message names the path");
    cask_run *run = nullptr;
    require(cask_run_open("/nowhere.run", &run, &err) == CASK_NOT_FOUND,
            "cask_run_open");
    require(run == nullptr, "ret_run is written on success only");
    cask_run_writer *writer = nullptr;
    cask_run_options run_options = {};
    require(cask_run_writer_create("/no/where.run", &run_options, &writer,
                                   &err) == CASK_INVALID,
            "cask_run_writer_create");
    require(cask_slice_of("abc").size == 3, "cask_slice_of");
    require(std::string(cask_status_name(CASK_CORRUPT)) == "CASK_CORRUPT",
            "cask_status_name");
    return 0;
}
