#!/bin/bash
# A program in C and one in C++ build against an installed Caskade, by
# pkg-config and by CMake, shared and static, and run.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
version=$(sed -n 's/^#define CASK_VERSION_STRING "\(.*\)"/\1/p' \
    "$CASK_SOURCE_DIR/include/caskade.h")

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Runs the command, shows its output only if it fails.
quietly() {
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "$*"
    }
}

# <program> <argument>...: runs it on a new store, expects the version.
check_run() {
    rm -rf "$work/store"
    output=$("$@" "$work/store") || fail "$* ended with $?"
    [ "$output" = "caskade $version" ] || fail "$* printed: $output"
    echo "ok: ${1#"$work"/}"
}

quietly cmake --install "$CASK_BUILD_DIR" --prefix "$prefix"

# Everything is where it belongs, and nothing else.
library_dir=$(dirname "$(find "$prefix" -name libcaskade.a)")
for file in include/caskade.h include/caskade/backup.h \
    include/caskade/config.h include/caskade/convert.h \
    include/caskade/expiry.h \
    include/caskade/ingest.h include/caskade/iterator.h \
    include/caskade/merge.h include/caskade/run.h \
    include/caskade/snapshot.h include/caskade/tree.h \
    include/caskade/verify.h bin/caskade; do
    [ -s "$prefix/$file" ] || fail "$file is not installed"
done
for file in libcaskade.so libcaskade.so.0 "libcaskade.so.$version" \
    pkgconfig/caskade.pc cmake/caskade/caskade-config.cmake; do
    [ -e "$library_dir/$file" ] || fail "$file is not installed"
done
find "$prefix" -name LICENSE | grep -q . || fail "LICENSE is not installed"
"$prefix/bin/caskade" --version | grep -qF "$version" ||
    fail "bin/caskade --version does not say $version"
find "$prefix/include" -type f | grep -vE '/(caskade|caskade/[a-z]+)\.h$' &&
    fail "more than caskade.h and its parts in include/"

# Nothing tells where it was built, debug information included.
found=$(grep -rlF -e "$CASK_SOURCE_DIR" -e "$CASK_BUILD_DIR" "$prefix" || true)
[ -z "$found" ] || fail "a path of this machine is in: $found"

# DESTDIR is put before the prefix.
DESTDIR=$work/stage quietly cmake --install "$CASK_BUILD_DIR" --prefix /usr
[ -e "$work/stage/usr/include/caskade.h" ] || fail "DESTDIR is ignored"

export PKG_CONFIG_PATH=$library_dir/pkgconfig
[ "$(pkg-config --modversion caskade)" = "$version" ] ||
    fail "pkg-config says another version"
# shellcheck disable=SC2046
flags() {
    pkg-config --cflags --libs "$@" caskade
}

for language in c cc; do
    compiler=("$CC" -std=c11)
    if [ $language = cc ]; then
        compiler=("$CXX" -std=c++11)
    fi
    compiler+=(-Wall -Wextra -Wpedantic -Werror)
    source=$here/consumer.$language

    read -ra words <<<"$(flags)"
    quietly "${compiler[@]}" "$source" -o "$work/pc-shared-$language" \
        "${words[@]}" -Wl,-rpath,"$library_dir"
    check_run "$work/pc-shared-$language"
    ldd "$work/pc-shared-$language" | grep -q libcaskade ||
        fail "not linked with the shared library"

    # The archive by its name: the linker would prefer the shared library.
    read -ra words <<<"$(flags --static)"
    words=("${words[@]/#-lcaskade/-l:libcaskade.a}")
    quietly "${compiler[@]}" "$source" -o "$work/pc-static-$language" \
        "${words[@]}"
    check_run "$work/pc-static-$language"
    if ldd "$work/pc-static-$language" | grep -q libcaskade; then
        fail "not linked with the static library"
    fi
done

quietly cmake -S "$here/consumer" -B "$work/cmake" -G Ninja \
    -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" \
    -DCMAKE_PREFIX_PATH="$prefix" -DCONSUMER_DIR="$here"
quietly cmake --build "$work/cmake"
for program in c-shared c-static cc-shared cc-static; do
    check_run "$work/cmake/$program"
done
