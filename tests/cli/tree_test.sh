#!/bin/bash
# A store of the tree engine: what works, and that the rest says so.
. "$(dirname "$0")/cli.sh"

expect 0 create --engine tree store
expect 2 create --engine btree other
expect 0 put store key value
expect 0 put store other 'second value'
expect 0 get store key
output_is 'value'
expect 0 delete store key
expect 1 get store key
error_says 'no such key'
expect 0 exists store other
expect 0 put --if-absent store lock 1
expect 1 put --if-absent store lock 2
expect 0 get store lock
output_is '1'

# It is the store that knows its engine.
expect 0 stat --json store
grep -q '"tree"' out || fail 'stat does not name the engine'

for i in {1..300}; do
    echo "key $i	value $i"
done >lines
expect 0 load store <lines
expect 0 get store 'key 299'
output_is 'value 299'

# Runs are merged, by any strategy, and nothing is lost.
expect 2 config store compaction=eager
error_says 'compaction: "eager" is not lazy, leveled or tiered'
for strategy in leveled tiered lazy; do
    expect 0 config store compaction=$strategy
    expect 0 config store compaction
    output_says "$strategy"
    expect 0 load store <lines
    expect 0 merge store
    expect 0 merge --all store
    output_says 'merged [0-9]+ run'
    expect 0 get store 'key 299'
    output_is 'value 299'
done
[ "$(find store -name '*.run' | wc -l)" = 1 ] ||
    fail "not one run: $(ls store)"
expect 0 merge --all --plan store
output_says 'all runs are to become one'
expect 0 stat store

# What cannot be done yet is refused, and changes nothing.
for command in verify; do
    "$caskade" "$command" store >out 2>err && fail "$command succeeds"
    grep -q 'not there yet for a store of the tree engine' err ||
        fail "$command: $(cat err)"
done
expect 2 get --io pread store other
error_says 'by maps only'
expect 0 get store other
output_is 'second value'
finish
