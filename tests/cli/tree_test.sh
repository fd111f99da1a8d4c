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

# What cannot be done yet is refused, and changes nothing.
for command in verify; do
    "$caskade" "$command" store >out 2>err && fail "$command succeeds"
    grep -q 'not there yet for a store of the tree engine' err ||
        fail "$command: $(cat err)"
done
expect 2 merge store
error_says 'tree engine'
expect 2 get --io pread store other
error_says 'by maps only'
expect 0 get store other
output_is 'second value'
finish
