# The functions that every CMakeLists.txt of the project uses. Sources are
# always listed, never globbed; paths are relative to the calling directory.
# Includes are written relative to src/ and include/ and, for tests, tests/.
#
#   cask_layer(<name> SOURCES <file.c>... [DEPENDS <layer>...] [TEST_ONLY])
#       A layer of the library: the static library cask_<name>, hidden
#       visibility, position independent, all warnings. DEPENDS names other
#       layers (base, os, ...) or CMake targets, and is transitive. All layers
#       become part of libcaskade unless TEST_ONLY is given (simulators).
#
#   cask_test(<name> SOURCES <file.c>... [DEPENDS <layer>...] [TIMEOUT <s>]
#             [LABELS <label>...] [DEFINES <NAME=VALUE>...] [ARGS <arg>...]
#             [ENVIRONMENT <NAME=VALUE>...] [SERIAL])
#       ENVIRONMENT overrides the user's: no CASK_TEST_* in it.
#       A cmocka test program, one process, killed after TIMEOUT seconds
#       (default 60). DEPENDS as above, or `caskade` for the public library.
#       Its name in ctest is <kind>.<module>.<name> by the directory under
#       tests/; kind and module are labels as well. SERIAL: runs alone.
#       Those with the longest TIMEOUT begin first, so that no long one is left
#       alone at the end. C++ sources (*.cc) are fine too. The label `long` keeps a test out of
#       CI's sanitizer runs, `threads` takes it into that of ThreadSanitizer
#       (with unit and format).
#
#       "cask_test.h" (tests/) is cmocka and what it needs. tests/cmocka keeps
#       cmocka's fail() and that of base/error.h apart.
#
#   cask_test_program(<name> SOURCES ... [DEPENDS ...] [DEFINES ...])
#       A program that a test starts. Built beside the tests, not registered;
#       give its path to the test by DEFINES "HELPER=\"$<TARGET_FILE:<name>>\"".
#
#   cask_script_test(<name> SCRIPT <file> [TIMEOUT <s>] [LABELS <label>...]
#                    [ARGS <arg>...] [ENVIRONMENT <NAME=VALUE>...] [SERIAL])
#       A script as a test; exit status 0 passes, 77 is skipped. It finds
#       CASK_BIN (the caskade program), CASK_BUILD_DIR, CASK_SOURCE_DIR, CC and
#       CXX in its environment.
#
#   cask_program(<name> SOURCES ... [DEPENDS ...] [NO_INSTALL])
#       A program in build/bin, linked with what DEPENDS names: `caskade` is
#       the static public library (cli: nothing else), a layer name that layer.
#
#   cask_fuzz(<name> SOURCES <file.c>... REPLAY <main.c> [DEPENDS <layer>...]
#             [CORPUS <directory>] [TIMEOUT <s>])
#       A libFuzzer target. With -DCASK_FUZZ=ON (clang) the real fuzzer, else
#       a plain test in which REPLAY's main() feeds every file of CORPUS to
#       LLVMFuzzerTestOneInput().
#
# The language is C11 with -D_POSIX_C_SOURCE=200809L. A file that needs more
# says `#define _GNU_SOURCE` before its first include (in src/ only os_posix*).

include_guard(GLOBAL)
include(CheckCCompilerFlag)

set(CASK_LAYER_NAMES base os log run region store iter maintain hash tree db)

set(CASK_WARNINGS
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wvla
    -Wcast-qual -Wswitch-enum -Wundef -Wwrite-strings -Wformat=2
    -Wnull-dereference)
set(CASK_WARNINGS_C -Wstrict-prototypes -Wmissing-prototypes
    -Werror=implicit-function-declaration)

add_library(cask_flags INTERFACE)
target_compile_features(cask_flags INTERFACE c_std_11)
target_compile_definitions(cask_flags INTERFACE
    $<$<COMPILE_LANGUAGE:C>:_POSIX_C_SOURCE=200809L>)
target_compile_options(cask_flags INTERFACE
    $<$<COMPILE_LANGUAGE:C>:${CASK_WARNINGS};${CASK_WARNINGS_C}>
    $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra>
    -fvisibility=hidden
    -fstack-protector-strong)
target_include_directories(cask_flags INTERFACE
    ${PROJECT_SOURCE_DIR}/include)
target_link_options(cask_flags INTERFACE -Wl,-z,relro,-z,now)

if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    target_compile_options(cask_flags INTERFACE
        $<$<COMPILE_LANGUAGE:C>:-Wthread-safety>)
endif()
if(CASK_WERROR)
    target_compile_options(cask_flags INTERFACE -Werror)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    target_compile_options(cask_flags INTERFACE -fcf-protection)
endif()
if(CASK_SANITIZE)
    target_compile_options(cask_flags INTERFACE
        -fsanitize=${CASK_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    target_link_options(cask_flags INTERFACE -fsanitize=${CASK_SANITIZE})
else()
    # Fortification needs optimisation, and hides bugs from the sanitizers.
    target_compile_options(cask_flags INTERFACE
        $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
        $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()
if(CASK_COVERAGE)
    target_compile_options(cask_flags INTERFACE --coverage)
    target_link_options(cask_flags INTERFACE --coverage)
else()
    # What is shipped does not tell where it was built; gcov has to know. The
    # last one that matches counts: the build directory is within the sources.
    target_compile_options(cask_flags INTERFACE
        -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.
        -ffile-prefix-map=${PROJECT_BINARY_DIR}=.)
endif()

# Layers that are part of the library, in the order of their definition.
define_property(GLOBAL PROPERTY CASK_SHIPPED_LAYERS)

# Sets <ret> to the CMake targets that the names in ARGN stand for, and
# <ret>_MISSING to the layers among them that nobody has written; what needs one
# of those is left out with a message.
function(cask_resolve ret)
    set(targets)
    set(missing)
    foreach(name IN LISTS ARGN)
        if(name STREQUAL "caskade")
            list(APPEND targets caskade_static)
        elseif(TARGET cask_${name})
            list(APPEND targets cask_${name})
        elseif(EXISTS ${PROJECT_SOURCE_DIR}/src/${name}/CMakeLists.txt)
            message(FATAL_ERROR "layer ${name} is needed before it is defined")
        elseif(name IN_LIST CASK_LAYER_NAMES)
            list(APPEND missing ${name})
        else()
            list(APPEND targets ${name})
        endif()
    endforeach()
    set(${ret} ${targets} PARENT_SCOPE)
    set(${ret}_MISSING ${missing} PARENT_SCOPE)
endfunction()

function(cask_layer name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "TEST_ONLY" "" "SOURCES;DEPENDS")
    cask_resolve(targets ${arg_DEPENDS})
    if(targets_MISSING)
        message(STATUS "layer ${name}: no layer ${targets_MISSING} yet")
    endif()
    add_library(cask_${name} STATIC ${arg_SOURCES})
    target_include_directories(cask_${name} PUBLIC
        ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
    set_target_properties(cask_${name} PROPERTIES
        POSITION_INDEPENDENT_CODE ON
        ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/layers)
    target_link_libraries(cask_${name} PUBLIC ${targets} PRIVATE cask_flags)
    if(NOT arg_TEST_ONLY)
        set_property(GLOBAL APPEND PROPERTY CASK_SHIPPED_LAYERS cask_${name})
    endif()
endfunction()

function(cask_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "NO_INSTALL" "" "SOURCES;DEPENDS")
    cask_resolve(targets ${arg_DEPENDS})
    if(targets_MISSING)
        message(STATUS "program ${name}: no layer ${targets_MISSING} yet")
        return()
    endif()
    add_executable(${name} ${arg_SOURCES})
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin
        POSITION_INDEPENDENT_CODE ON)
    target_link_libraries(${name} PRIVATE cask_flags ${targets})
    target_link_options(${name} PRIVATE -pie)
    if(NOT arg_NO_INSTALL)
        install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    endif()
endfunction()

# "unit.base" for tests/unit/base, and the labels "unit;base".
function(cask_test_place ret_prefix ret_labels)
    file(RELATIVE_PATH place ${PROJECT_SOURCE_DIR}/tests
        ${CMAKE_CURRENT_SOURCE_DIR})
    string(REPLACE "/" ";" labels "${place}")
    string(REPLACE "/" "." prefix "${place}")
    set(${ret_prefix} ${prefix} PARENT_SCOPE)
    set(${ret_labels} ${labels} PARENT_SCOPE)
endfunction()

# The executable of a test; sets <ret_made> to false if a layer is missing.
function(cask_test_executable name ret_made sources depends defines)
    set(${ret_made} FALSE PARENT_SCOPE)
    cask_resolve(targets ${depends})
    if(targets_MISSING)
        message(STATUS "test ${name}: no layer ${targets_MISSING} yet")
        return()
    endif()
    add_executable(${name} ${sources})
    target_include_directories(${name} PRIVATE
        ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/src)
    target_include_directories(${name} SYSTEM BEFORE PRIVATE
        ${PROJECT_SOURCE_DIR}/tests/cmocka)
    target_compile_definitions(${name} PRIVATE ${defines})
    # What is tested is what is shipped; the test itself need not be as quick.
    target_compile_options(${name} PRIVATE
        $<$<CONFIG:RelWithDebInfo>:-O1;-g1>)
    target_link_libraries(${name} PRIVATE
        cask_flags ${targets} Cmocka::cmocka Threads::Threads)
    set(${ret_made} TRUE PARENT_SCOPE)
endfunction()

# What all kinds of tests have in common in ctest.
function(cask_test_properties test timeout serial labels environment)
    if("${environment}" MATCHES "CASK_TEST_")
        message(FATAL_ERROR "${test}: ${environment}: would take the place of "
            "what a user sets; write the default into the test")
    endif()
    if(NOT timeout)
        set(timeout 60)
    endif()
    math(EXPR timeout "${timeout} * ${CASK_TIMEOUT_FACTOR}")
    set_tests_properties(${test} PROPERTIES
        TIMEOUT ${timeout}
        COST ${timeout}
        SKIP_RETURN_CODE 77
        LABELS "${labels}"
        RUN_SERIAL ${serial}
        ENVIRONMENT "${environment}")
endfunction()

function(cask_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT"
        "SOURCES;DEPENDS;LABELS;DEFINES;ARGS;ENVIRONMENT")
    cask_test_executable(${name} made
        "${arg_SOURCES}" "${arg_DEPENDS}" "${arg_DEFINES}")
    if(NOT made)
        return()
    endif()
    cask_test_place(prefix labels)
    add_test(NAME ${prefix}.${name} COMMAND ${name} ${arg_ARGS})
    cask_test_properties(${prefix}.${name} "${arg_TIMEOUT}" ${arg_SERIAL}
        "${labels};${arg_LABELS}" "${arg_ENVIRONMENT}")
    # The target `threads` is the tests with that label, and nothing else.
    if("threads" IN_LIST arg_LABELS)
        add_dependencies(threads ${name})
    endif()
endfunction()

# Another run of a test's program, with other arguments.
function(cask_test_again name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "PROGRAM;TIMEOUT"
        "LABELS;ARGS")
    if(NOT TARGET ${arg_PROGRAM})
        return()
    endif()
    cask_test_place(prefix labels)
    add_test(NAME ${prefix}.${name} COMMAND ${arg_PROGRAM} ${arg_ARGS})
    cask_test_properties(${prefix}.${name} "${arg_TIMEOUT}" ${arg_SERIAL}
        "${labels};${arg_LABELS}" "")
endfunction()

function(cask_test_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;DEFINES")
    cask_test_executable(${name} made
        "${arg_SOURCES}" "${arg_DEPENDS}" "${arg_DEFINES}")
endfunction()

function(cask_script_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "SCRIPT;TIMEOUT"
        "LABELS;ARGS;ENVIRONMENT")
    cask_test_place(prefix labels)
    cmake_path(ABSOLUTE_PATH arg_SCRIPT)
    add_test(NAME ${prefix}.${name} COMMAND ${arg_SCRIPT} ${arg_ARGS})
    cask_test_properties(${prefix}.${name} "${arg_TIMEOUT}" ${arg_SERIAL}
        "${labels};${arg_LABELS}"
        "CASK_BIN=${PROJECT_BINARY_DIR}/bin/caskade;CASK_BUILD_DIR=${PROJECT_BINARY_DIR};CASK_SOURCE_DIR=${PROJECT_SOURCE_DIR};CC=${CMAKE_C_COMPILER};CXX=${CMAKE_CXX_COMPILER};${arg_ENVIRONMENT}")
endfunction()

function(cask_fuzz name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "REPLAY;CORPUS;TIMEOUT"
        "SOURCES;DEPENDS")
    if(CASK_FUZZ)
        cask_test_executable(${name} made
            "${arg_SOURCES}" "${arg_DEPENDS}" "")
        if(made)
            target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        endif()
        return()
    endif()
    cask_test_executable(${name} made
        "${arg_SOURCES};${arg_REPLAY}" "${arg_DEPENDS}" "")
    if(NOT made)
        return()
    endif()
    cask_test_place(prefix labels)
    if(arg_CORPUS)
        cmake_path(ABSOLUTE_PATH arg_CORPUS)
    endif()
    add_test(NAME ${prefix}.${name} COMMAND ${name} ${arg_CORPUS})
    cask_test_properties(${prefix}.${name} "${arg_TIMEOUT}" FALSE
        "${labels}" "")
endfunction()
