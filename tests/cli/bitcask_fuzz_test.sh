#!/bin/bash
# Random directories of Bitcask with random damage: the importer never crashes,
# imports no wrong value, and recovers every undamaged record. The same beside so
# many keys that all is imported in order, with the same result.
files=$(cd "$(dirname "$0")" && pwd)/bitcask_files.py
. "$(dirname "$0")/cli.sh"

checks=$((checks + 1))
python3 "$files" fuzz "$caskade" "${1:-60}" || fail 'see above'
checks=$((checks + 1))
python3 "$files" fuzz-many "$caskade" "${2:-10}" || fail 'see above'

finish
