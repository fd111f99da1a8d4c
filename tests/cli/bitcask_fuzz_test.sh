#!/bin/bash
# Random directories of Bitcask with random damage: the importer never crashes,
# imports no wrong value, and recovers every undamaged record.
files=$(cd "$(dirname "$0")" && pwd)/bitcask_files.py
. "$(dirname "$0")/cli.sh"

checks=$((checks + 1))
python3 "$files" fuzz "$caskade" "${1:-200}" || fail 'see above'

finish
