#!/bin/bash
# backup copies a store in use, shares what it can, and refuses what is in the
# way.
. "$(dirname "$0")/cli.sh"

seq 3000 | awk '{ printf "%s\t%04000d\n", $1, $1 }' >large.tsv
expect 0 load store large.tsv
expect 0 put store small value
expect 0 dump store
sort out >before

expect 0 backup store monday
output_says '^[0-9]+ segments?: [0-9.]+ MiB linked, [0-9.]+ [a-zA-Z]+ copied$'
expect 0 verify monday
expect 0 dump monday
sort out | cmp -s - before || fail 'the backup differs from the store'
is "$(stat -c %a monday monday/CASKADE | tr '\n' ' ')" '700 600 ' 'modes'

# Neither writes what they share.
sums=$(find store -type f -exec cksum {} + | sort)
expect 0 put monday other value
expect 0 delete monday 17
expect 0 merge --all monday
is "$(find store -type f -exec cksum {} + | sort)" "$sums" \
    'the store after its backup was written to'
expect 0 delete store 18
expect 0 merge --all store
expect 0 verify store
expect 0 get monday 18
expect 1 get monday 17

# Incremental, with a process that has the store open.
expect 0 backup store tuesday
sleep 60 | "$caskade" shell store >shell.out 2>&1 &
expect 0 put store wednesday value
expect 0 backup --json --incremental tuesday store wednesday
python3 -c '
import json
made = json.load(open("out"))
assert made["segments"] >= made["linked_segments"] >= 1, made
assert made["linked_bytes"] > made["copied_bytes"] >= 0, made
assert made["sequence"] > 3000, made
' || fail 'backup --json'
expect 0 get wednesday wednesday
expect 0 verify wednesday
rm -rf tuesday
expect 0 verify wednesday

# What it refuses: a directory with something in it, another store's backup.
expect 2 backup store wednesday
error_says 'is not empty \(it holds .*\); choose another directory'
expect 2 backup store large.tsv
expect 5 backup store no/such/place
expect 0 put other key value
expect 2 backup --incremental other store friday
error_says 'is not of this store'
expect 2 backup --incremental nothing store friday
expect 1 backup nothing friday
expect 2 backup store
[ ! -e friday ] || fail 'a refused backup made its directory'

# Nothing of a store is made in it, however deep and by whatever way.
mkdir -p store/below
ln -s store/below way
for out in store/below store/below/deep/er way way/deeper ./store/../store/new; do
    expect 2 backup store "$out"
    error_says "is in the store's own directory"
done
is "$(find store/below)" store/below 'what a refused backup leaves'
rmdir store/below
rm way

# Settings that are damaged stop no backup; it says that they are not in it.
cp -r store unset
echo junk >unset/CONFIG
"$caskade" backup unset weekly >out 2>err
is "$?" 0 'status of a backup without settings'
error_says '^caskade: note: unset: CONFIG is damaged'
expect 0 verify weekly
rm -r weekly unset/CONFIG
ln -s /etc/hostname unset/CONFIG
"$caskade" backup --json unset weekly >out 2>err
is "$?" 0 'status of a backup with a link for settings'
error_says '^caskade: note: unset: CONFIG is damaged, or no plain file'
output_says '"without_config":true}$'
[ ! -e weekly/CONFIG ] || fail 'a link was copied'

# Damage: no copy, unless it is asked for.
expect 0 create hurt
expect 0 load hurt large.tsv
log=$(find hurt -name '*.log' -size +0 | sort | head -n 1)
flip "$log" 100000
expect 3 backup hurt friday
error_says "^caskade: hurt: friday/$(basename "$log"): offset [0-9]+: "
is "$(find friday -type f)" '' 'what a failed backup leaves'
expect 0 backup --no-verify hurt friday
expect 3 verify friday

finish
