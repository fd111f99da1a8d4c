#!/bin/bash
# run: what is built is what is dumped, in order and in parts; what is wrong
# makes nothing; damage is told.
. "$(dirname "$0")/cli.sh"
golden=${CASK_SOURCE_DIR:?give the source directory}/tests/fuzz/corpus/run/golden

# Sorted, of any bytes; every format gives the same.
for ((i = 0; i < 3000; i++)); do
    printf 'key-%04d\tvalue %d\n' $i $((i * 7))
done >many.tsv
expect 0 run build many.run many.tsv
output_is '3,000 records written to many.run\n'
expect 0 run dump many.run
same out many.tsv
for format in jsonl hex; do
    expect 0 run dump -f $format many.run
    cp out "many.$format"
    "$caskade" run build -f $format "$format.run" <"many.$format" >/dev/null ||
        fail "build of $format from standard input"
    expect 0 run dump "$format.run"
    same out many.tsv
done
printf 'a\\x00\t\\xff\na\\x00b\t\n\\xc3\\xa9\t\\t\n\\xff\\xff\tend\n' >bytes.tsv
expect 0 run build bytes.run bytes.tsv
expect 0 run dump bytes.run
output_is 'a\\x00\t\\xff\na\\x00b\t\n\xc3\xa9\t\\t\n\\xff\\xff\tend\n'
expect 0 run build empty.run /dev/null
output_is '0 records written to empty.run\n'
expect 0 run dump empty.run
output_is ''

# From a store, by way of sort.
expect 0 load store many.tsv
"$caskade" dump -f hex store | LC_ALL=C sort |
    "$caskade" run build -f hex store.run >/dev/null || fail 'build of a store'
expect 0 run dump store.run
same out many.tsv

# Parts of it.
lines() {
    expect 0 run dump "$@" many.run
    cut -f 1 out | paste -sd ' ' >joined
}
parts_of dump
expect 0 run dump --reverse many.run
tac many.tsv >reversed
same out reversed
expect 0 run dump -e --prefix '\xff' bytes.run
output_is '\\xff\\xff\tend\n'
expect 0 run dump -e --prefix '\xff' --reverse bytes.run
output_is '\\xff\\xff\tend\n'
expect 0 run dump -e --from 'a\x00' --to 'a\x00b' bytes.run
output_is 'a\\x00\t\\xff\n'

# Deletes, versions, ranges, pointers.
expect 0 run info "$golden"
output_says '^kind +run$'
output_says '^records +5$'
output_says '^keys +3$'
output_says '^sequences +1000 to 1004$'
output_says '^written +2023-11-14T22:13:21Z to 2023-11-14T22:13:21Z$'
output_says '^expiring +1$'
output_says '^ +2027-01-15T08:00:00Z to 2027-01-15T08:00:00Z$'
output_says '^points into +000000000000002a.run, 40 B$'
expect 0 run info --json "$golden"
python3 - <<'END' || fail 'run info --json'
import json
info = json.load(open("out"))
assert info["kind"] == "run", info
assert info["records"] == 5 and info["keys"] == 3, info
assert info["tombstones"] == info["ranges"] == info["pointers"] == 1, info
assert info["smallest_key"] == "apple" and info["largest_key"] == "fig", info
assert info["largest_end"] == "date" and info["file_bytes"] == 960, info
assert info["expiring"] == 1, info
assert info["first_expiry_s"] == info["last_expiry_s"] == 1800000000, info
assert info["first_time_s"] == info["last_time_s"] == 1700000001, info
assert info["segments"] == [{"id": 42, "bytes": 40}], info
END
"$caskade" run dump "$golden" >out 2>err || fail 'dump of the golden run'
output_is 'apple\tred\n'
error_says 'note: .*golden: 1 value is in runs of values, left out; --records'
expect 0 run dump --keys "$golden"
output_is 'apple\nfig\n'
expect 0 run dump --records "$golden"
python3 - <<'END' || fail 'run dump --records'
import json
rows = [json.loads(line) for line in open("out")]
assert [row["kind"] for row in rows] == \
    ["put", "put", "delete", "delete-range", "pointer"], rows
assert [row["sequence"] for row in rows] == [1003, 1000, 1001, 1004, 1002]
assert rows[0]["expires_at_ms"] == 1800000000000, rows
assert rows[3]["key"] == "cherry" and rows[3]["to"] == "date", rows
assert (rows[4]["segment"], rows[4]["offset"], rows[4]["size_bytes"]) == \
    (42, 64, 40), rows
END

# Sorted here: in any order, the last line of a key counts, in memory or by way
# of pieces, of which none is left.
no_piece() {
    [ -z "$(find . -name '*.piece*')" ] || fail "$1 left a piece"
}
printf 'b\t1\na\t1\nb\t2\n\t0\na\t\n' >mixed.tsv
expect 0 run build --sort mixed.run mixed.tsv
output_is '3 records of 5 lines written to mixed.run\n'
expect 0 run dump mixed.run
output_is '\t0\na\t\nb\t2\n'
expect 0 run build --sort none.run /dev/null
output_is '0 records of 0 lines written to none.run\n'
rm none.run
python3 - <<'END'
import random
seed = random.randrange(10**9)
print("seed", seed)
draw = random.Random(seed)
newest = {}
with open("large.tsv", "w") as lines:
    for number in range(60000):
        key = f"{draw.randrange(40000):x}"
        newest[key] = f"{number:0{draw.randrange(5, 500)}}"
        lines.write(f"{key}\t{newest[key]}\n")
with open("large.sorted", "w") as lines:
    for key in sorted(newest):
        lines.write(f"{key}\t{newest[key]}\n")
END
mkdir watch
expect 0 run build --sort --memory 16MiB watch/large.run large.tsv
output_says ' of 60,000 lines written to watch/large.run$'
expect 0 run dump watch/large.run
same out large.sorted
no_piece 'a sorted build'
is "$(ls watch)" large.run 'files of a sorted build'
expect 0 run build --sort large.run large.tsv
cmp -s <("$caskade" run dump large.run) large.sorted || fail 'sorted in memory'
# A wrong line behind many: no piece is left; nor what a killed one left.
: >large2.run.piece
printf 'no tab\n' | cat large.tsv - >wrong.tsv
expect 2 run build --sort --memory 16MiB large2.run wrong.tsv
error_says 'wrong.tsv: line 60001: not tsv: no TAB'
no_piece 'a failed build'
[ ! -e large2.run ] && [ ! -e large2.run.new ] || fail 'a failed build left a run'
rm -r watch large.run
expect 2 run build --sort --memory 15MiB x.run large.tsv
error_says "no size from 16MiB on"
expect 2 run dump --sort many.run
error_says "run: --sort does not go with 'dump'"

# Wrong lines and wrong order: named, and nothing is made.
nothing_made() {
    [ ! -e wrong.run ] && [ ! -e wrong.run.new ] || fail "$1 left a file"
}
printf 'b\t1\na\t2\n' >wrong.tsv
expect 2 run build wrong.run wrong.tsv
error_says '^caskade: wrong.tsv: line 2: the key of record 2 sorts before that of record 1; give each key once, sorted'
error_says 'sorted by its bytes, or --sort\. wrong.run was not made$'
nothing_made 'a line out of order'
printf 'a\t1\na\t2\n' >wrong.tsv
expect 2 run build wrong.run wrong.tsv
error_says 'line 2: .* has the key of record 1'
nothing_made 'a key that comes twice'
printf 'a\t1\nb\n' >wrong.tsv
expect 2 run build wrong.run wrong.tsv
error_says 'wrong.tsv: line 2: not tsv: no TAB .*; wrong.run was not made'
nothing_made 'a line without TAB'
printf '%070000d\t1\n' 0 >wrong.tsv
expect 2 run build wrong.run wrong.tsv
error_says '^caskade: wrong.tsv: line 1: key .*70000.*\. wrong.run was not made$'
nothing_made 'a key that is too long'
expect 2 run build many.run many.tsv
error_says 'many.run: exists already; give another name, or remove it'
expect 5 run build wrong.run none.tsv
expect 2 run build none/wrong.run many.tsv
error_says 'cannot open the directory none/'

# A path is named once, as it was given, and what to do fits what is done.
mkdir some some/full.run.new
: >some/empty.run
expect 3 run info some/empty.run
error_says '^caskade: some/empty.run: offset 0: '
expect 2 run info some
error_says '^caskade: some: is no plain file; give the path of a run$'
expect 2 run dump "$PWD/some"
error_says '/some: is no plain file; give the path of a run$'
expect 1 run info some/none.run
error_says '^caskade: some/none.run: there is no such file'
expect 2 run build some/empty.run many.tsv
error_says '^caskade: some/empty.run: exists already; '
expect 2 run info some/empty.run/x.run
error_says '^caskade: some/empty.run/x.run: cannot open the directory some/emp'
expect 5 run build some/full.run many.tsv
error_says 'cannot create full.run.new: what is there is no plain file; move it'

# Interrupted: nothing is left. Two at once: one is refused.
mkfifo pipe
"$caskade" run build wrong.run <pipe 2>/dev/null &
pid=$!
exec 3<>pipe
printf 'a\tb\n' >&3
for ((i = 0; i < 100; i++)); do
    [ -e wrong.run.new ] && break
    sleep 0.05
done
expect 4 run build wrong.run many.tsv
error_says 'wrong.run.new: another writer is writing it; wait for it'
kill -TERM $pid
{ wait $pid; } 2>/dev/null
exec 3>&-
nothing_made 'an interrupted build'
# Killed: the next one writes over what it left.
"$caskade" run build wrong.run <pipe 2>/dev/null &
pid=$!
exec 3<>pipe
for ((i = 0; i < 100; i++)); do
    [ -e wrong.run.new ] && break
    sleep 0.05
done
kill -KILL $pid
{ wait $pid; } 2>/dev/null
exec 3>&-
[ -e wrong.run.new ] || fail 'the killed build left nothing'
expect 0 run build wrong.run many.tsv
expect 0 run dump wrong.run
same out many.tsv
[ ! -e wrong.run.new ] || fail 'wrong.run.new is still there'

# Damage in a record: what is before it is printed. In the footer: nothing.
cp many.run damaged.run
flip damaged.run 50000
expect 0 run info damaged.run
expect 3 run dump damaged.run
error_says 'damaged.run: offset [0-9]*: the record does not verify: .*; make it'
[ "$(wc -l <out)" -gt 100 ] || fail 'nothing before the damage'
head -n "$(wc -l <out)" many.tsv | cmp -s - out || fail 'a wrong line'
cp many.run cut.run
truncate -s -8 cut.run
expect 3 run info cut.run
expect 3 run dump cut.run
error_says 'is not a footer of a Caskade run'
expect 3 run dump many.tsv
expect 1 run info none.run
error_says 'none.run: there is no such file'

# Wrong usage.
for words in '' 'info' 'dump' 'build' 'show many.run' 'info a b' \
    'build a b c'; do
    # shellcheck disable=SC2086 # words
    expect 2 run $words
    error_says "give 'build OUT \[FILE\]', 'info RUN' or 'dump RUN'"
done
expect 2 run info --limit 3 many.run
error_says "run: --limit does not go with 'info'"
expect 2 run build --json x.run many.tsv
expect 2 run dump --no-filter many.run
expect 2 run dump --limit 0 many.run
expect 2 run dump --records --format hex many.run
expect 2 run build --prefix-bytes 70000 x.run many.tsv
expect 0 run build --prefix-bytes 4 --no-filter x.run many.tsv
expect 0 run info x.run
output_says '^prefixes +of 4 bytes$'
output_says '^filter +0 B$'

finish
