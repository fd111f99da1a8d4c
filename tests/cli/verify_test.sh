#!/bin/bash
# verify finds damage, says where, and changes nothing; --damage serve reads
# what is whole.
. "$(dirname "$0")/cli.sh"

seq 2000 | sed 's/$/\tvalue/' >many.tsv
expect 0 load store many.tsv
expect 0 verify store
output_says '^[0-9]+ files, 2,0[0-9]{2} records, .* 2,000 keys; no problems$'
expect 0 verify --json store
python3 -c '
import json
report = json.load(open("out"))
assert report["problems"] == [] and report["problem_count"] == 0, report
assert report["records"] >= 2000 and report["keys"] == 2000, report
assert report["files"] >= 2 and report["bytes"] > 0, report
' || fail 'verify --json'

# One byte of a value in the middle of a segment that is below a mark.
log=$(find store -name '*.log' -size +0 | sort | head -n 1)
python3 - "$log" <<'END'
import sys
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
at = data.find(b"1000value")
assert at > 0
data[at + 5] ^= 1
open(path, "r+b").write(data)
open("offset", "w").write(str(at))
END
sums=$(find store -type f -exec cksum {} + | sort)
expect 3 verify store
error_says "1 problem; read what is whole with 'caskade dump --damage serve"
output_says "^$(basename "$log"): offset [0-9]+: "
offset=$(sed -nE 's/^[0-9a-f]+\.log: offset ([0-9]+):.*/\1/p' out | head -n 1)
damaged=$(cat offset)
if [ "$offset" -gt "$damaged" ] || [ "$((offset + 64))" -le "$damaged" ]; then
    fail "offset $offset for damage at $damaged"
fi
output_says ' 1 problem$'
expect 3 verify --json store
python3 -c '
import json
report = json.load(open("out"))
assert report["problem_count"] == len(report["problems"]) == 1, report
problem = report["problems"][0]
assert problem["file"].endswith(".log") and problem["reason"], problem
assert problem["offset"] <= int(open("offset").read()), problem
' || fail 'verify --json of a damaged store'
is "$(find store -type f -exec cksum {} + | sort)" "$sums" \
    'the store after verify'

# Not silent when it is read, in one line (expect() looks); the other 1,999 are
# there.
expect 3 dump store
error_says 'CASK_DAMAGE_SERVE \(--damage serve\)'
expect 3 get store 1000
error_says "^caskade: .*: offset $offset: .* damaged"
"$caskade" dump --damage serve store >out 2>err
error_says '^caskade: note: .*damaged'
is "$(grep -v '^1000' many.tsv | sort | cksum)" "$(sort out | cksum)" \
    'what dump --damage serve gives'

# What is lost is told once, with what to do: a file that the store cannot do
# without is to be restored, of the others the rest can be read.
expect 0 load whole many.tsv
lose() {
    rm -rf lost
    cp -r whole lost
    rm "lost/$1"
    expect 3 verify lost
    output_says ' 1 problem$'
    output_says "^$1: .*missing"
}
for file in MANIFEST CASKADE; do
    lose "$file"
    error_says '1 problem, and it cannot be opened; restore the files'
    expect 3 verify --json lost
    output_says '"readable":false}$'
    expect 3 dump --damage serve lost
done
lose "$(cd whole && echo *.log)"
error_says '1 problem; read what is whole with'
expect 0 verify --json whole
output_says '"readable":true}$'

# What nothing is lost by is told as such, with what to do; names and offsets are
# said once.
# Large enough to be sealed by the close.
seq 3000 | awk '{ printf "%s\t%04000d\n", $1, $1 }' >large.tsv
expect 0 load hinted large.tsv
hint=$(find hinted -name '*.hint' | sort | head -n 1)
[ -n "$hint" ] || fail 'no hint was written'
flip "$hint" 40
expect 3 verify hinted
error_says '1 problem, but nothing is lost'
output_says "^$(basename "$hint"): offset [0-9]+: crc32c of .*; nothing is lost"
expect 3 verify --json hinted
output_says '"problem_count":1,"harmless_count":1,"readable":true}$'
cp -r hinted damaged
expect 0 put hinted later value
expect 0 verify hinted
flip hinted/MANIFEST 20
expect 3 verify hinted
output_says '^MANIFEST: offset [0-9]+: [^:]*$'

# Nor do they hide what was found before, or make it worse than it is: how many
# it takes until the open that counts the keys fails, or succeeds.
cut=0
for limit in $(seq 4 40); do
    # What this script was given is open as well: too few for the libraries.
    (ulimit -n "$limit" && exec "$caskade" --version) >out 2>&1 || continue
    (
        exec >out 2>err
        ulimit -n "$limit"
        exec "$caskade" verify --json damaged
    )
    result=$?
    python3 -c '
import json, sys
report = json.load(open("out"))
problems = len(report["problems"])
assert (problems > 0) == (int(sys.argv[1]) == 3), report
if problems > 0:
    assert report["problem_count"] == problems, report
    assert report["complete"] or "open files" in report["error"], report
    assert report["complete"] or "cannot be opened" not in open("err").read()
' "$result" || fail "verify --json of damage with $limit descriptors: $(cat out)"
    grep -q '"complete":true' out && break
    [ "$result" -ne 3 ] || cut=$((cut + 1))
done
[ "$cut" -gt 0 ] || fail 'no limit of descriptors comes after the damage'

# Too few descriptors are no damage. How many it needs depends on what it gets.
refused=0
for limit in $(seq 4 20); do
    (
        exec >out 2>err
        ulimit -n "$limit"
        exec "$caskade" verify whole
    )
    case $? in
    0) break ;;
    3) fail "verify with $limit descriptors: $(cat err)" ;;
    5) refused=$((refused + 1)) ;;
    esac
done
[ "$refused" -gt 0 ] || fail 'no limit of descriptors is too low'

# Not a store.
mkdir empty
expect 1 verify empty
expect 1 verify --json empty
python3 -c '
import json
report = json.load(open("out"))
assert report["problems"] == [] and report["error"], report
' || fail 'verify --json of no store'
expect 2 verify many.tsv

finish
