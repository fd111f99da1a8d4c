#!/bin/bash
# delete-range: the keys of a range go, now and after an open, and their space
# with a merge; what the hash engine says, and what is refused.
. "$(dirname "$0")/cli.sh"

for ((i = 0; i < 3000; i++)); do
    printf 'key-%04d\tvalue %d\n' $i $((i * 7))
done >many.tsv
expect 0 create --engine tree store
expect 0 load store many.tsv

counts() {
    expect 0 count store
    output_is "$1\n"
}
expect 0 delete-range --from key-1000 --to key-2000 store
output_is 'deleted by one record: keys from key-1000 to before key-2000\n'
counts 2000
expect 1 get store key-1500
expect 0 get store key-0999
expect 0 get store key-2000
expect 0 delete-range --prefix key-29 store
output_is 'deleted by one record: keys from key-29 to before key-2:\n'
counts 1900
expect 0 put store key-1500 again
expect 0 delete-range --to key-0010 store
output_is 'deleted by one record: keys to before key-0010\n'
expect 0 delete-range --from key-2890 store
output_is 'deleted by one record: keys from key-2890\n'
counts 1881
grep -Ev 'key-(1...|29..|000.|289.)' many.tsv >left.tsv
expect 0 scan --to key-1 store
grep key-0 left.tsv >part.tsv
same out part.tsv
expect 0 scan --from key-2 store
grep key-2 left.tsv >part.tsv
same out part.tsv
expect 0 scan --prefix key-1 store
output_is 'key-1500\tagain\n'

# Nothing is no error, and changes nothing.
expect 0 delete-range --from key-2 --to key-1 store
expect 0 delete-range --from x --to y store
counts 1881

# A repair keeps them deleted, in the log and in runs.
expect 0 repair store repaired
expect 0 scan repaired
mv out repaired.tsv
expect 0 scan store
same out repaired.tsv

# A merge gives the space back, and nothing comes to life.
expect 0 verify store
expect 0 merge --all store
counts 1881
expect 0 verify store
expect 0 delete-range --everything store
output_is 'deleted by one record: all keys\n'
counts 0
expect 0 merge --all store
counts 0
bytes=$(cat store/*.run 2>/dev/null | wc -c)
is "$bytes" 0 'bytes of runs when all is deleted'

# Any bytes.
expect 0 create --engine tree bytes
expect 0 put -e bytes '\xff\xff' 1
expect 0 put -e bytes '\xff\xff\x00' 2
expect 0 put -e bytes 'a\x00' 3
expect 0 delete-range -e --prefix '\xff\xff' bytes
expect 0 scan --keys bytes
output_is 'a\\x00\n'

# For programs.
expect 0 delete-range --json --from b --to c bytes
output_is '{"written":true,"from":"b","to":"c"}\n'
expect 0 delete-range --json --from c --to c bytes
output_is '{"written":false,"from":"c","to":"c"}\n'
expect 0 delete-range -j -e --prefix '\xff\xfe' bytes
output_is '{"written":true,"from64":"//4=","to64":"//8="}\n'
expect 0 delete-range --json --from=b bytes
output_is '{"written":true,"from":"b"}\n'

# What would be everything has to be said; and what has no order.
for option in --from= --prefix=; do
    expect 2 delete-range $option bytes
    error_says 'these are all keys of the store; say so by --everything'
done
expect 2 delete-range bytes
error_says 'say which keys'
expect 2 delete-range --everything --to a bytes
expect 2 delete-range --prefix a --to a bytes
expect 2 delete-range
expect 1 delete-range --to a missing
expect 0 scan --keys bytes
output_is 'a\\x00\n'
expect 0 create hash
expect 0 put hash a 1
expect 2 delete-range --to b hash
error_says "hash: its engine, hash, has no order of keys; make .*'caskade create --engine tree DIR', or 'caskade convert --engine tree SRC DST'"
expect 0 get hash a
finish
