#!/bin/bash
# Configure (if need be) and build one preset of CMakePresets.json.
#
#   scripts/build.sh <preset> [-D<option>=<value>]...
set -eu
cd "$(dirname "$0")/.."

preset=$1
shift
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
# Ninja configures again by itself when a CMake file changed.
if [ ! -e "$directory/build.ninja" ] || [ $# -gt 0 ]; then
    log=$(mktemp)
    if ! cmake --preset "$preset" "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
fi
exec cmake --build "$directory"
