#!/bin/bash
# Configure (if need be) and build one preset of CMakePresets.json.
#
#   scripts/build.sh <preset> [-D<option>=<value>]... [target]...
set -eu
cd "$(dirname "$0")/.."

preset=$1
shift
options=()
while [[ ${1:-} == -D* ]]; do
    options+=("$1")
    shift
done
directory=build
if [ "$preset" != default ]; then
    directory=build/$preset
fi
for tool in cmake ninja cc; do
    if ! command -v "$tool" >/dev/null; then
        echo "caskade: $tool is missing; run: scripts/setup.sh build" >&2
        exit 1
    fi
done

# Whether the cache has all the options. (If a CMake file changed, Ninja
# configures again by itself.)
is_configured() {
    local flag
    [ -e "$directory/build.ninja" ] || return 1
    for flag in "$@"; do
        flag=${flag#-D}
        grep -q "^${flag%%=*}:[A-Z]*=${flag#*=}\$" \
            "$directory/CMakeCache.txt" || return 1
    done
}

if ! is_configured "${options[@]}"; then
    log=$(mktemp)
    if ! cmake --preset "$preset" "${options[@]}" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
fi
exec cmake --build "$directory" ${1:+--target "$@"}
