#!/bin/bash
# repair saves what can be read, tells what is lost, and changes nothing.
. "$(dirname "$0")/cli.sh"

seq 3000 | awk '{ printf "%s\t%04000d\n", $1, $1 }' >large.tsv
expect 0 load store large.tsv
expect 0 delete store 17
expect 0 put store small value
sort <(grep -v '^17	' large.tsv) <(printf 'small\tvalue\n') >whole

# Nothing is damaged.
expect 0 repair store sound
output_says '^3,000 keys, [0-9.]+ MiB written; nothing is lost$'
expect 0 verify sound
expect 0 dump sound
sort out | cmp -s - whole || fail 'a repaired store differs'
expect 2 repair store sound
error_says 'is not empty'
expect 2 repair store store/inside
error_says "is in the store's own directory"
[ ! -e store/inside ] || fail 'a refused repair made its directory'

# A value, with a hint that tells its key.
log=$(find store -name '*.log' -size +1M | sort | head -n 1)
flip "$log" 1001000
sums=$(find store -type f -exec cksum {} + | sort)
expect 3 repair store hinted
error_says '^caskade: store: 1 loss; what could be read is in hinted$'
key=$(sed -nE 's/^.*: the value of this key cannot be read: ([0-9]+) .*/\1/p' out)
[ -n "$key" ] || fail "no key in: $(cat out)"
is "$(find store -type f -exec cksum {} + | sort)" "$sums" \
    'the store after repair'
expect 0 verify hinted
expect 0 dump hinted
sort out | cmp -s - <(grep -v "^$key	" whole) || fail 'all but one key'
expect 3 repair --json store json
KEY=$key python3 -c '
import json, os
report = json.load(open("out"))
assert report["lost_count"] - report["harmless_count"] == 1, report
assert report["lost_keys"] == 1 and report["keys"] == 2999, report
lost = [row for row in report["lost"] if not row["harmless"]]
assert lost[0]["key"] == os.environ["KEY"], lost
' || fail 'repair --json'

# MANIFEST: its offset stands once, and is its own.
cp -r store edits
flip edits/MANIFEST 70
expect 3 get edits small
error_says "MANIFEST: offset 64: .*; restore it from a backup, or see 'caskade repair'"
expect 3 repair edits edited
output_says '^MANIFEST: offset 64: edit 1 of [0-9]+ is damaged or cut off; all segments'
expect 0 verify edited
expect 3 repair --json edits edited.json
python3 -c '
import json
rows = [row for row in json.load(open("out"))["lost"] if row["file"] == "MANIFEST"]
assert len(rows) == 1 and rows[0]["offset"] == 64, rows
assert rows[0]["reason"].startswith("edit 1 of "), rows
' || fail 'repair --json of a damaged MANIFEST'

# Without MANIFEST and CASKADE.
rm -f store/MANIFEST store/CASKADE
expect 3 repair store bare
output_says '^MANIFEST: offset 0: '
output_says '^CASKADE: offset 0: '
expect 0 verify bare
expect 0 dump bare
sort out | cmp -s - <(grep -v "^$key	" whole) || fail 'all but one key, bare'

# Files that are large by holes only are not read to their end.
cp -r sound holes
for log in holes/*.log; do
    truncate -s 200G "$log"
done
truncate -s 200G holes/00000000000000ff.log holes/00000000000000ff.hint
expect 0 repair holes mended
expect 0 dump sound
sort out >whole.sound
expect 0 dump mended
sort out | cmp -s - whole.sound || fail 'dump of what was repaired with holes'
rm -r holes

# Nothing there; in use.
mkdir empty
expect 1 repair empty other
expect 1 repair nothing other
expect 2 repair large.tsv other
expect 2 repair store
[ ! -e other ] || fail 'a refused repair made its directory'
expect 1 repair --json empty other
python3 -c '
import json
report = json.load(open("out"))
assert report["lost"] == [] and "nothing of a store" in report["error"], report
' || fail 'repair --json of no store'
sleep 60 | "$caskade" shell sound >shell.out 2>&1 &
until "$caskade" stat --json sound | grep -q '"handle_count":2'; do
    sleep 0.1
done
expect 4 repair sound other
expect 4 repair --json sound other
python3 -c 'import json; assert json.load(open("out"))["error"]' ||
    fail 'repair --json of a store in use'

finish
