#!/bin/bash
# convert: a store of another engine with the same content, or nothing.
. "$(dirname "$0")/cli.sh"

for ((i = 0; i < 3000; i++)); do
    printf 'key %05d\tvalue %d\n' $i $((i * 7))
done >lines
expect 0 load hash lines
expect 0 put --ttl 1h hash temporary x
expect 0 delete hash 'key 00007'
expect 0 config hash frag_threshold=33
"$caskade" dump -f jsonl hash | sort >content

# There and back again.
expect 0 convert hash tree
output_says 'engine tree, 3,000 keys, .* keys, values and times are the same'
expect 0 stat --json tree
output_says '"engine":"tree"'
"$caskade" dump -f jsonl tree >out
same out content
expect 0 config tree frag_threshold
output_says '33'
expect 0 convert --json --engine hash tree back
output_says '"engine":"hash","sequence":[0-9]+,"keys":3000,"bytes":[0-9]+,"expiring":1,"verified":true'
"$caskade" dump -f jsonl back | sort >again
same again content
expect 0 verify back
expect 0 scan --from 'key 00006' --to 'key 00009' --keys tree
output_is 'key 00006\nkey 00008\n'
expect 0 put tree another 1
expect 0 get tree another

# Into what is not there only.
expect 2 convert hash tree
error_says 'tree: is there already'
mkdir other.new
echo x >other.new/mine
expect 2 convert hash other
error_says 'other.new: is not empty .it holds mine.'
[ -e other.new/mine ] || fail 'a file of somebody was removed'
[ ! -e other ] || fail 'half a store'
expect 2 convert hash hash/inside
error_says "hash/inside: is in the store's own directory"
[ ! -e hash/inside.new ] || fail 'a refused conversion made its directory'
expect 2 convert --engine btree hash third
expect 1 convert nowhere third
expect 2 convert hash missing/third

# Damage is told, and nothing is left.
log=$(find hash -name '*.log' | head -n 1)
flip "$log" 5000
expect 3 convert hash fourth
error_says 'offset 4992: 48 bytes are damaged'
[ ! -e fourth ] && [ ! -e fourth.new ] || fail 'something is left'
finish
