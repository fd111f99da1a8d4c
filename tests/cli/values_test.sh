#!/bin/bash
# Large values of trees are apart from the runs: backup, convert, verify and
# repair follow the pointers to them.
. "$(dirname "$0")/cli.sh"

# The files of values in a store: kind 4.
values_of() {
    for file in "$1"/*.run; do
        [ -e "$file" ] || continue
        [ "$(od -An -tu4 -j 12 -N 4 "$file" | tr -d ' ')" != 4 ] || echo "$file"
    done
}

expect 0 create --engine tree store
expect 0 config store value_separation_bytes
output_is '1KiB\n'
expect 0 config store value_separation_bytes=64 filter_prefix_bytes=4
long=$(printf 'x%.0s' {1..120})
for ((i = 0; i < 500; i++)); do
    printf 'key %05d\tvalue %d %s\n' $i $i "$([ $((i % 5)) = 0 ] || echo "$long")"
done >lines
expect 0 load store lines
expect 0 put --ttl 1h store temporary "$long"
expect 0 merge store
[ "$(values_of store | wc -l)" = 1 ] || fail "not one file of values: $(ls store)"
expect 0 stat store
output_says 'values +.* apart in 1 file, [0-9]+ % live'
expect 0 stat --json store
output_says '"values_files":1,'
expect 0 scan --keys --limit 1 store
output_is 'key 00000\n'
"$caskade" dump -f jsonl store >content
[ "$(wc -l <content)" = 501 ] || fail 'not all keys are there'

expect 0 verify store
output_says 'no problems'
expect 0 backup store saved
expect 0 verify saved
"$caskade" dump -f jsonl saved >out
same out content
expect 0 convert --engine hash store hash
"$caskade" dump -f jsonl hash | sort >out
same out content
expect 0 convert hash again
"$caskade" dump -f jsonl again >out
same out content
[ "$(values_of again | wc -l)" = 1 ] || fail "values apart: $(ls again)"
expect 0 repair store whole
"$caskade" dump -f jsonl whole >out
same out content
[ "$(values_of whole | wc -l)" = 1 ] || fail "values apart: $(ls whole)"
expect 0 stat store
grep -E '^values|apart' out >apart
expect 0 stat whole
grep -E '^values|apart' out >out.apart
same out.apart apart
expect 0 verify whole
for made in store again whole; do
    for file in "$made"/*.run; do
        if ! values_of "$made" | grep -q "$file"; then
            expect 0 run info "$file"
            output_says '^prefixes +of 4 bytes$'
        fi
    done
done

# The first value is damaged: that of key 00001.
file=$(values_of store)
# Such a file says what it is.
expect 0 run info "$file"
output_says '^kind +values of a store, apart from the runs that name them$'
expect 0 run info --json "$file"
output_says '^{"kind":"values",'
"$caskade" run dump --keys --limit 1 "$file" >out 2>err || fail 'dump of values'
output_is 'key 00001\n'
error_says 'note: .*: values of a store, apart from the runs that name them'
cp -r store damaged
flip "damaged/${file##*/}" 120
expect 0 get damaged 'key 00002'
expect 3 get damaged 'key 00001'
error_says "${file##*/}: offset 64: "
expect 0 scan --keys damaged
expect 3 scan -f jsonl damaged
error_says 'all else was read'
grep -v '"key 00001"' content >rest
same out rest
expect 3 verify damaged
output_says "${file##*/}"
expect 3 backup damaged never
expect 3 repair damaged mended
"$caskade" dump -f jsonl mended >out
same out rest

# It is missing: what is not apart is there.
rm "damaged/${file##*/}"
expect 3 verify damaged
output_says 'is missing, but MANIFEST lists it'
expect 3 repair damaged short
expect 0 get short 'key 00005'
expect 1 get short 'key 00002'
expect 3 get damaged 'key 00005'
error_says 'is missing'
"$caskade" get --damage serve damaged 'key 00005' >out 2>err ||
    fail "a value that is not apart: $(cat err)"
"$caskade" get --damage serve damaged 'key 00002' >out 2>err &&
    fail 'a value whose file is missing was read'
grep -q 'the value of the key is there, and is not returned' err ||
    fail "a value whose file is missing: $(cat err)"

# All that is dead goes with its file.
expect 0 delete-range --everything store
expect 0 merge --all store
[ -z "$(values_of store)" ] || fail 'a file of values stayed'
expect 0 verify store

finish
