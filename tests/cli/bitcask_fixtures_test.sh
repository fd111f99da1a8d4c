#!/bin/bash
# Directories as Riak's Bitcask leaves them, from bitcask_fixtures.py; and, if
# they are there, those that it wrote itself, against what it reads from them.
maker=$(cd "$(dirname "$0")" && pwd)/bitcask_fixtures.py
. "$(dirname "$0")/cli.sh"

hex_lines() {
    python3 -c 'import sys
for line in sys.stdin:
    print(line.rstrip("\n").encode().hex())'
}

# try NAME DIR EXPECTED: import DIR, which holds the lines of EXPECTED.
try() {
    checks=$((checks + 1))
    rm -rf source store
    cp -r "$2" source
    chmod -R u+rwX,go-x source
    if [ "$1" = pending_delete ]; then
        chmod 0645 source/1.bitcask.data
    fi
    "$caskade" import bitcask source store >out 2>err ||
        fail "$1: $(cat err)"
    "$caskade" dump --format hex store | LC_ALL=C sort >got
    LC_ALL=C sort "$3" >want
    case $1 in
    torn_* | flip_* | crc_limit_*) error_says 'bytes are damaged' ;;
    *) output_says '; no damage$' ;;
    esac
    cmp -s want got || fail "$1: $(diff want got | head -n 5)"
}

checks=$((checks + 1))
python3 -B "$maker" make made || fail 'see above'
for fixture in made/*/; do
    name=$(basename "$fixture")
    try "$name" "$fixture/db" "$fixture/expected.tsv"
done
is "$(ls made | wc -l)" 21 'fixtures made'

fixtures=$CASK_SOURCE_DIR/../shared/fixtures/bitcask
[ -d "$fixtures" ] || fixtures=
for fixture in ${fixtures:+"$fixtures"/*/}; do
    name=$(basename "$fixture")
    expected=$fixture/expected.tsv
    case $name in
    flip_keysize_nohint | crc_limit_nohint)
        # Bitcask gave up before the end, and missed a deletion there. What it
        # would have read is base1 without the damaged records.
        case $name in
        flip*) damaged=100 ;;
        *) damaged=$(seq 20 44) ;;
        esac
        # shellcheck disable=SC2086 # several
        printf 'key%05d\n' $damaged | hex_lines >keys
        grep -v -F -f keys "$fixtures/base1/expected.tsv" >expected
        expected=expected
        ;;
    base1 | plain | merged | multi_file | overwritten_deleted)
        # What is made here is as Bitcask writes it.
        checks=$((checks + 1))
        python3 -B "$maker" same "$fixture/db" || fail "$name is not the same"
        ;;
    esac
    try "$name" "$fixture/db" "$expected"
done
[ -n "$fixtures" ] || echo 'none of Bitcask itself are there'

finish
