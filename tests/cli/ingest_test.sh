#!/bin/bash
# ingest: runs that were built offline come into a store, all or none.
. "$(dirname "$0")/cli.sh"

printf 'a\tfrom the run\nc\tfrom the run\n' | "$caskade" run build one.run \
    >/dev/null || fail 'build'
printf 'b\tsecond\nc\tsecond\n' | "$caskade" run build two.run >/dev/null ||
    fail 'build'
expect 0 create --engine tree store
expect 0 put store a old
expect 0 put store z old
expect 0 ingest store one.run two.run
output_is 'took 2 runs in: 4 records, 1.19 KiB\n'
expect 0 dump store
output_is 'a\tfrom the run\nb\tsecond\nc\tsecond\nz\told\n'
expect 0 put store c newer
expect 0 get store c
output_is 'newer'
[ -e one.run ] && [ -e two.run ] || fail 'a file has gone'
"$caskade" ingest -v store two.run >out 2>err || fail 'ingest -v'
error_says 'took 1 runs in: 2 records'
expect 0 ingest --json --move store one.run
output_says '"runs":1,"records":2,"keys":2,"bytes":[0-9]+,"sequence":[0-9]+'
[ ! -e one.run ] || fail 'the file was not moved'
expect 0 get store c
output_is 'from the run'
expect 0 merge --all store
expect 0 dump store
output_is 'a\tfrom the run\nb\tsecond\nc\tfrom the run\nz\told\n'

# Nothing comes if one of them is wrong, and nothing is left of the others.
runs() {
    find store -name '*.run*' | sort
}
runs >before
"$caskade" dump store >content
cp two.run bad.run
flip bad.run 100
expect 3 ingest store two.run bad.run
error_says 'bad.run: offset [0-9]+: '
expect 1 ingest store two.run missing.run
error_says 'missing.run: there is no such file'
head -c 100 two.run >cut.run
expect 3 ingest store two.run cut.run
error_says 'cut.run: offset 0: '
echo 'this is no run, but a file of a line that is longer than a header' >text
expect 3 ingest store text
error_says 'text: .*; make it again, or take a copy of it$'
expect 2 ingest store "$(runs | head -n 1)"
error_says 'a store made it for itself'
expect 2 ingest store .
runs >after
same after before
expect 0 dump store
same out content

# What can take none says so.
expect 2 ingest store
expect 1 ingest nowhere two.run
error_says "make one with 'caskade create --engine tree nowhere'"
expect 0 create plain
expect 2 ingest plain two.run
error_says "its engine, hash, has no runs; make .*'caskade create --engine tree DIR', or 'caskade convert --engine tree SRC DST'"
finish
