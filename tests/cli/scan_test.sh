#!/bin/bash
# scan: the records of a tree in the order of their keys, all or a part; list,
# dump and count of a tree; what the hash engine says.
. "$(dirname "$0")/cli.sh"

for ((i = 0; i < 3000; i++)); do
    printf 'key-%04d\tvalue %d\n' $i $((i * 7))
done >many.tsv
expect 0 create --engine tree store
sort -R --random-source=many.tsv many.tsv >mixed.tsv
expect 0 load store mixed.tsv

# All of it, in every format.
expect 0 scan store
same out many.tsv
for command in dump list; do
    expect 0 $command store
    cp out "$command.out"
done
same dump.out many.tsv
expect 0 scan --keys store
same out list.out
expect 0 count store
output_is '3000\n'
for format in jsonl hex; do
    expect 0 scan -f $format store
    cp out "all.$format"
    expect 0 create --engine tree "copy-$format"
    expect 0 load -f $format "copy-$format" "all.$format"
    expect 0 scan "copy-$format"
    same out many.tsv
done
expect 0 scan --reverse store
tac many.tsv >reverse.tsv
same out reverse.tsv

# Parts of it.
lines() {
    expect 0 scan "$@" store
    cut -f 1 out | paste -sd ' ' >joined
}
parts_of scan

# Keys of any bytes, the empty one too; they are ordered as bytes.
expect 0 create --engine tree bytes
expect 0 put -e bytes '\xff' last
expect 0 put bytes '' empty
expect 0 put -e bytes 'a\x00' nul
expect 0 put bytes a one
expect 0 put bytes é two
expect 0 scan bytes
output_is '\tempty\na\tone\na\\x00\tnul\n\xc3\xa9\ttwo\n\\xff\tlast\n'
expect 0 scan -e --from 'a\x00' --to '\xff' --keys bytes
output_is 'a\\x00\n\xc3\xa9\n'
expect 0 scan -e --prefix '\xff' --keys bytes
output_is '\\xff\n'
expect 0 scan --to '' bytes
output_is ''
expect 0 scan --from '' --limit 1 --keys bytes
output_is '\n'

# What was deleted or has expired is not there.
expect 0 delete bytes a
expect 0 expire --at 1 bytes é
expect 0 scan --keys bytes
output_is '\na\\x00\n\\xff\n'
expect 0 count bytes
output_is '3\n'

# Usage, and what has no order.
expect 2 scan
expect 2 scan --limit 0 store
error_says "--limit: '0' is no number of 1 or more"
expect 2 scan -e --from '\x' store
expect 1 scan missing
expect 0 create hash
expect 0 put hash a 1
expect 2 scan hash
error_says "hash: its engine, hash, has no order of keys; make .*'caskade create --engine tree DIR', or 'caskade convert --engine tree SRC DST'"
finish
