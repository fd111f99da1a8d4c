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

# What concerns its runs is set when it is made, and later.
expect 0 create --engine tree --memtable-bytes 128KiB --filter-prefix-bytes=4 set
expect 0 config set memtable_bytes
output_is '128KiB\n'
expect 0 config set filter_prefix_bytes
output_is '4\n'
seq 3000 | sed 's/.*/key &\t& & & & & & & & & & & & & & & & & & &/' >many
expect 0 load set many
expect 0 stat --json set
grep -q '"memtable_bytes":131072' out || fail 'memtable_bytes is not in force'
[ "$(find set -name '*.run' | wc -l)" -ge 1 ] || fail 'nothing was flushed'
expect 0 config set memtable_bytes=64MiB
expect 0 merge --all set
expect 0 scan --prefix 'key 29' --keys set
[ "$(wc -l <out)" = 111 ] || fail "a scan of a prefix: $(wc -l <out) keys"
expect 0 scan --prefix 'kez ' --keys set
output_is ''
expect 2 create --engine tree --memtable-bytes 1K wrong
error_says 'no size between 64KiB and 256MiB'
expect 2 create --engine tree --filter-prefix-bytes 65536 wrong
expect 2 create --memtable-bytes 64K wrong
error_says 'for --engine tree'
[ ! -e wrong ] || fail 'a wrong option makes a store'

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
    output_says '^merged [0-9]+ files? into [0-9]+: '
    expect 0 get store 'key 299'
    output_is 'value 299'
done
[ "$(find store -name '*.run' | wc -l)" = 1 ] ||
    fail "not one run: $(ls store)"
expect 0 merge --all --plan store
output_says '^nothing to merge: '
expect 0 merge --all store
output_says '^nothing to merge: '
expect 0 stat store

# All of it is verified.
expect 0 verify store
output_says '^[0-9]+ files, .* 302 keys; no problems$'

# A backup is a store of its own, of one moment; the next links what it has.
expect 0 backup store copy
output_says '^1 run, [01] segments?: '
expect 0 put store later value
expect 0 verify copy
expect 1 get copy later
expect 0 get copy 'key 299'
output_is 'value 299'
expect 0 backup --json -i copy store copy2
output_says '"runs":1,"linked_runs":1,'
expect 0 get copy2 later
output_is 'value'
expect 0 merge --all copy
expect 0 put copy 'key 1' changed
expect 0 get store 'key 1'
output_is 'value 1'
expect 0 verify store

# Damage is found, and where it is; what no run is told of is no problem.
run=$(basename "$(find copy2 -name '*.run')")
cp -r copy2 hurt
flip "hurt/$run" 90
expect 3 verify hurt
error_says "^caskade: hurt: 1 problem; save what can be read .* 'caskade repair'\$"
output_says "^$run: offset [0-9]+: no record verifies here"
expect 3 verify --json hurt
output_says '"problem_count":1,"harmless_count":0,'
expect 3 backup --damage serve hurt nowhere
error_says "$run: offset [0-9]+: "
expect 3 repair hurt saved
output_says "^$run: offset [0-9]+: no record verifies here; .* \\("
error_says '1 loss; what could be read is in saved'
expect 0 verify saved
expect 0 get saved 'key 299'
output_is 'value 299'
expect 0 stat --json saved
grep -q '"tree"' out || fail 'repair makes a store of another engine'
expect 0 repair store saved2
output_says '; nothing is lost$'
"$caskade" scan store >whole
"$caskade" scan saved2 | cmp -s - whole || fail 'repair changes a whole store'
expect 0 put saved2 more value
cp "copy2/$run" copy2/00000000000000ff.run
expect 0 verify copy2
output_says '; 1 file of runs left by a process that died'
rm "copy2/$run"
expect 3 verify copy2
output_says "^$run: offset 0: is missing, but MANIFEST lists it"

# What cannot be done yet is refused, and changes nothing.
expect 2 get --io pread store other
error_says 'by maps only'
expect 0 get store other
output_is 'second value'
expect 2 create --engine tree --io pread refused
error_says 'by maps only'
[ ! -e refused ] || fail 'a refused store is there'
mkdir empty
expect 2 create --engine tree --io pread empty
[ -z "$(ls -A empty)" ] || fail 'a refused store is there in part'
expect 0 create --io pread hashed
expect 0 put --io pread hashed key value
finish
