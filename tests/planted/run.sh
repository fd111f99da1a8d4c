#!/bin/bash
# Plant known bugs into a copy of the tree, one at a time, and see whether the
# test that is there for it fails. A long run: not part of CI.
#
#   tests/planted/run.sh [name]...    names of patches; default: all
#   tests/planted/run.sh --applies    only look whether all apply: a second
#
# A patch begins with three lines: "Bug:" what is wrong; "Harness:" the program
# (or the script, see below) that must fail; "Environment:" what it needs.
# A patch that no longer applies or builds counts as missed. Exit status 0 if
# every bug was caught.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Longer than CI has time for, where a patch's environment says nothing.
export CASK_TEST_HISTORIES=8 CASK_TEST_SEQUENCES=20000 CASK_TEST_POINTS=60 \
    CASK_TEST_STRIDE=3

if [ "${1:-}" = --applies ]; then
    failed=0
    for patch in "$here"/*.patch; do
        patch -s -F 0 -p1 --dry-run -d "$root" <"$patch" >"$work/log" || {
            echo "$(basename "$patch" .patch): does not apply"
            failed=1
        }
    done
    exit "$failed"
fi

if [ $# -eq 0 ]; then
    for patch in "$here"/*.patch; do
        set -- "$@" "$(basename "$patch" .patch)"
    done
fi

mkdir "$work/tree"
(cd "$root" && git ls-files -z --cached --others --exclude-standard |
    xargs -0 tar c) | tar x -C "$work/tree" || exit 1
# Whoever works on the tree meanwhile changes nothing of this run.
here=$work/tree/tests/planted
cp -r "$work/tree/src" "$work/src" || exit 1
cmake -S "$work/tree" -B "$work/build" -G Ninja \
    -DCASK_BENCH=OFF >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}

field() {
    sed -n "s/^$1: *//p" "$2" | head -n 1
}

# <harness>: its exit status, or 200 if it does not build; output in $work/log.
run_harness() {
    local program=$1
    [ "$1" = commit_test ] && program=commit_program
    ninja -C "$work/build" "$program" >"$work/log" 2>&1 || return 200
    program=$(find "$work/build/tests" -name "$program" -type f)
    if [ "$1" = commit_test ]; then
        "$work/tree/tests/process/commit_test.sh" "$program"
    else
        timeout 900 "$program"
    fi >"$work/log" 2>&1
}

# A harness that fails without a planted bug proves nothing.
declare -A sound
check_sound() {
    local key="$1 ${2:-}"
    if [ -z "${sound[$key]:-}" ]; then
        (
            for assignment in ${2:-}; do
                export "${assignment?}"
            done
            run_harness "$1"
        )
        sound[$key]=$?
        if [ "${sound[$key]}" -ne 0 ]; then
            echo "$key: fails (${sound[$key]}) without a planted bug:"
            tail -n 5 "$work/log"
        fi
    fi
    [ "${sound[$key]}" -eq 0 ]
}

caught=0
missed=0
for name in "$@"; do
    patch=$here/$name.patch
    harness=$(field Harness "$patch")
    read -ra environment <<<"$(field Environment "$patch")"
    if ! check_sound "$harness" "${environment[*]:-}"; then
        echo "MISSED $name: see above"
        missed=$((missed + 1))
        continue
    fi
    # Not by fuzz: it could be another function that looks alike.
    if ! patch -s -F 0 -p1 -d "$work/tree" <"$patch" >"$work/log" 2>&1; then
        echo "MISSED $name: the patch does not apply"
        cat "$work/log"
        missed=$((missed + 1))
        cp -r "$work/src" "$work/tree/"
        continue
    fi
    started=$SECONDS
    (
        for assignment in "${environment[@]}"; do
            export "${assignment?}"
        done
        run_harness "$harness"
    )
    status=$?
    if [ "$status" -eq 200 ]; then
        echo "MISSED $name: it does not build"
        missed=$((missed + 1))
    elif [ "$status" -eq 0 ] || [ "$status" -eq 77 ]; then
        echo "MISSED $name: $harness passed in $((SECONDS - started)) s"
        missed=$((missed + 1))
    else
        echo "caught $name: by $harness in $((SECONDS - started)) s:" \
            "$(grep -m 1 -aE 'FAILED|ERROR|answer|signal|rror:' "$work/log" |
                cut -c 1-160)"
        caught=$((caught + 1))
    fi
    patch -s -R -p1 -d "$work/tree" <"$patch" >/dev/null
done
echo "$caught caught, $missed missed"
[ "$missed" -eq 0 ]
