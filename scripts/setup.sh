#!/bin/bash
# Install the Debian packages that a task needs, and only those that are
# missing; does nothing at all if none is.
#
#   scripts/setup.sh build|demo|test|bench|check|lint
#
# Needs root or sudo if something is missing. On other systems than Debian:
# install the same things by hand and set CASK_SKIP_SETUP=1.
set -eu

build="gcc libc6-dev binutils cmake ninja-build"
build="$build libisal-dev libedit-dev libjansson-dev zlib1g-dev"
tests="g++ pkg-config libcmocka-dev strace python3"
bench="g++ pkg-config libtkrzw-dev libleveldb-dev librocksdb-dev liblmdb-dev"
check="gcc libc6-dev binutils python3"
lint="clang clang-format clang-tidy cppcheck patch"

case "${1:-}" in
build | demo) packages=$build ;;
test) packages="$build $tests" ;;
bench) packages="$build $bench" ;;
check) packages=$check ;;
lint) packages="$build $tests $check $lint" ;;
*)
    echo "usage: scripts/setup.sh build|demo|test|bench|check|lint" >&2
    exit 2
    ;;
esac

if [ "${CASK_SKIP_SETUP:-}" = 1 ]; then
    exit 0
fi
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "caskade: this is not Debian; install what these packages hold" \
        "($packages), then set CASK_SKIP_SETUP=1" >&2
    exit 1
fi

is_installed() {
    case "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" in
    ?i*) return 0 ;;
    *) return 1 ;;
    esac
}

missing=()
for package in $packages; do
    if ! is_installed "$package"; then
        missing+=("$package")
    fi
done
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "caskade: missing packages: ${missing[*]}; install them as root:" \
            "apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
    if [ "${CI:-}" = true ]; then
        as_root=(sudo -n)
    fi
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq \
        -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" </dev/null
}

echo "Installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The lists of a fresh machine are empty or old: fetch them only if need be.
if ! apt install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    if ! { apt update && apt install -y --no-install-recommends \
        "${missing[@]}"; } >"$log" 2>&1; then
        cat "$log" >&2
        echo "caskade: cannot install ${missing[*]}; see the lines above" >&2
        exit 1
    fi
fi
