#!/bin/bash
# Every static check, one line each; ends with "N passed, N failed".
#
#   scripts/lint.sh [check]...
#
# Checks: format layers sizes banned paths docs-constants docs-tests planted
# selftest thread-safety symbols cppcheck tidy. Without arguments all but those in
# CASK_LINT_SKIP.
set -u
cd "$(dirname "$0")/.."

checks=("$@")
if [ $# -eq 0 ]; then
    for check in format layers sizes banned paths docs-constants \
        docs-tests planted selftest thread-safety symbols cppcheck tidy; do
        case " ${CASK_LINT_SKIP:-} " in
        *" $check "*) ;;
        *) checks+=("$check") ;;
        esac
    done
fi
jobs=$(nproc)

# Debian's names carry the version; the formatting depends on it.
newest() {
    if command -v "$1-14" >/dev/null; then
        echo "$1-14"
    else
        echo "$1"
    fi
}

check_format() {
    scripts/list-c-files | xargs "$(newest clang-format)" --dry-run -Werror
}

# A build by clang with its own warnings as errors; the compile commands that
# tidy needs come with it.
check_thread-safety() {
    scripts/build.sh clang -DCASK_BENCH=OFF -DCASK_TESTS=OFF
}

# The analyzer follows the paths through a function until it has seen so many
# states of it. Its own default, 225,000, takes several times as long.
check_tidy() {
    local states="max-nodes=${CASK_LINT_STATES:-20000}"

    if [ ! -e build/clang/compile_commands.json ]; then
        check_thread-safety || return
    fi
    scripts/list-c-files src cli | grep '\.c$' |
        xargs -P "$jobs" -n 1 "$(newest clang-tidy)" -p build/clang --quiet \
            --extra-arg=-Xclang --extra-arg=-analyzer-config \
            --extra-arg=-Xclang --extra-arg="$states" \
            2> >(grep -v ' warnings\? generated\.$' >&2)
}

# It takes any pointer that a function returns for one that it was given, hence
# returnDanglingLifetime; the compilers find the real ones. key_order.c is a table
# of 65,536 bytes, which takes it two minutes, and has no code.
check_cppcheck() {
    scripts/list-c-files src cli bench | grep '\.c$' |
        grep -v '^src/base/key_order\.c$' |
        xargs cppcheck --std=c11 --enable=warning,performance,portability \
            --inline-suppr --error-exitcode=1 --quiet -j "$jobs" \
            --suppress=missingIncludeSystem \
            --suppress=returnDanglingLifetime \
            -D_POSIX_C_SOURCE=200809L -D__BYTE_ORDER__=1234 \
            -D__ORDER_LITTLE_ENDIAN__=1234 -D__GNUC__=12 \
            -I include -I src
}

check_symbols() {
    scripts/build.sh default && scripts/check-symbols build
}

check_selftest() {
    scripts/check-selftest
}

check_layers() {
    scripts/check-layers
}

check_sizes() {
    scripts/check-sizes
}

check_banned() {
    scripts/check-banned
}

check_paths() {
    scripts/check-paths
}

check_docs-constants() {
    scripts/check-docs-constants
}

check_docs-tests() {
    scripts/check-docs-tests
}

# They are built and run seldom, since that takes long: whoever changes the lines
# of one learns it here.
check_planted() {
    tests/planted/run.sh --applies
}

passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for check in "${checks[@]}"; do
    if ! declare -F "check_$check" >/dev/null; then
        echo "caskade: no check is called $check; see scripts/lint.sh" >&2
        exit 2
    fi
    started=$SECONDS
    if "check_$check" >"$log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $check ($((SECONDS - started)) s)"
    else
        failed=$((failed + 1))
        cat "$log"
        echo "FAILED  $check ($((SECONDS - started)) s)"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
