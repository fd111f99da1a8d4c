#!/bin/bash
# merge gives the space of dead records back, loses nothing, and says what it
# does; --plan says it before, and changes nothing.
. "$(dirname "$0")/cli.sh"

sums() {
    find "$1" -type f -exec cksum {} + | sort
}
bytes() {
    cat "$1"/*.log | wc -c
}

# Large enough to be sealed by the close. Two thirds are overwritten: too little
# to be merged in the first minute of the load.
seq 3000 | awk '{ printf "%s\t%04000d\n", $1, $1 }' >large.tsv
expect 0 load store large.tsv
head -n 2000 large.tsv >part.tsv
expect 0 load store part.tsv
sort large.tsv >want
cp -r store whole
before=$(bytes store)

# ---- The plan ----

sum=$(sums store)
expect 0 merge --plan store
output_says '^segment  *size  *live  *gain  *reason$'
output_says '^[0-9a-f]{16}  .* MiB  .* above max_space_amplification$'
output_says '^to merge: [0-9]+ segments?; .* MiB would be given back$'
expect 0 merge --plan --all store
output_says 'everything was asked for$'
expect 0 merge --plan --json store
python3 -c '
import json
plan = json.load(open("out"))
rows = plan["segments"]
assert rows and plan["left"] == 0, plan
assert plan["reason"] == "the store is above max_space_amplification", plan
assert plan["freed_bytes"] == sum(row["gain_bytes"] for row in rows), plan
assert plan["read_bytes"] == sum(row["total_bytes"] for row in rows), plan
assert plan["freed_bytes"] > 7 << 20, plan
assert plan["write_bytes"] <= plan["read_bytes"], plan
for row in rows:
    assert row["id"] > 0 and row["reason"], row
    assert row["live_bytes"] <= row["total_bytes"], row
' || fail 'merge --plan --json'
is "$(sums store)" "$sum" 'the store after merge --plan'
for option in --linger --exclusive; do
    expect 2 merge --plan "$option" store
    error_says '--plan excludes --linger and --exclusive'
done

# ---- Merging ----

expect 0 merge store
output_says '^merged [0-9]+ segments? into [0-9]+: .* MiB read, .* written; .* MiB given back$'
after=$(bytes store)
[ "$after" -lt "$((before - (7 << 20)))" ] ||
    fail "$before bytes before the merge, $after after it"
"$caskade" dump store | sort >got
same got want
expect 0 verify store
expect 0 merge store
output_is 'nothing to merge: a merge would free next to nothing\n'
expect 0 merge --plan store
output_is 'nothing to merge: a merge would free next to nothing\n'
expect 0 merge --json store
python3 -c '
import json
merged = json.load(open("out"))
assert merged["inputs"] == merged["outputs"] == 0, merged
assert merged["reason"] == "a merge would free next to nothing", merged
' || fail 'merge --json of nothing'

# All: what is dead in the segment that is being written goes, too.
expect 0 delete store $(seq 2 3000)
expect 0 merge --all --json store
python3 -c '
import json
merged = json.load(open("out"))
assert merged["inputs"] > merged["outputs"], merged
assert merged["records"] == 1, merged
assert merged["tombstones_dropped"] == 2999, merged
assert "reason" not in merged, merged
freed = merged["bytes_read"] - merged["bytes_written"]
assert merged["gain_bytes"] >= freed > 8 << 20, merged
assert merged["bytes_freed"] >= merged["bytes_read"], merged
given_back = merged["bytes_freed"] - merged["bytes_written"]
assert merged["gain_bytes"] == given_back, merged
' || fail 'merge --all --json'
expect 0 list store
output_is '1\n'
expect 0 stat --json store
output_says '"tombstones": ?0'
expect 0 verify store

# What has expired as a whole is given back, and not read for that.
seq 2000 | awk '{
    printf "{\"key\":\"%s\",\"value\":\"%0500d\",\"expires_at_ms\":1}\n", $1, $1
}' >expired.jsonl
expect 0 load --format jsonl expired expired.jsonl
expect 0 merge --all --json expired
python3 -c '
import json
merged = json.load(open("out"))
assert merged["inputs"] > merged["outputs"] == 0, merged
assert merged["bytes_freed"] == merged["gain_bytes"] > 1 << 20, merged
' || fail 'merge --all --json of what has expired'

# ---- Damage ----

# In a segment that nobody needs any more it is told, and the segment goes.
expect 0 load damaged large.tsv
expect 0 load damaged large.tsv
log=$(find damaged -name '*.log' | sort | head -n 1)
flip "$log" 5000
expect 3 merge --all damaged
error_says '0001.log: offset [0-9]+: [0-9]+ bytes are damaged; nothing there was needed any more: the segment is merged and gone, and no key of it is lost$'
[ ! -e "$log" ] || fail "$log is not gone"
expect 0 verify damaged
expect 0 merge --all damaged
output_is 'nothing to merge: a merge would free next to nothing\n'
"$caskade" dump damaged | sort >got
same got want

# ---- stat ----

expect 0 stat whole
output_says '^next merge  *due: the store is above max_space_amplification$'
expect 0 stat --json whole
python3 -c '
import json
stat = json.load(open("out"))
assert stat["merge"]["phase"] == "none" and stat["merge"]["due"], stat
assert stat["merges"] == stat["merge_bytes_freed"] == 0, stat
' || fail 'stat --json before a merge'
# Counters live as long as the shared index.
expect 0 merge --linger whole
expect 0 stat --linger whole
output_says '^merges  *1$'
output_says '^merged, read  .* MiB$'
output_says '^merged, freed  .* MiB$'
output_says '^next merge  *waits: a merge would free next to nothing$'

# ---- Another merge is under way ----

# A lock as that of a process that merges: byte 3 of LOCK.
cat >hold.py <<'END'
import fcntl, time
lock = open("store/LOCK", "r+b")
fcntl.lockf(lock, fcntl.LOCK_EX, 1, 3)
open("held", "w").close()
time.sleep(600)
END
expect 0 put store 1 again
"$caskade" delete store 1 || fail 'delete'
python3 hold.py &
holder=$!
for ((i = 0; i < 100; i++)); do
    [ ! -e held ] || break
    sleep 0.1
done
expect 4 merge --all --timeout 200ms store
error_says 'a merge is under way; wait for it, or cancel it$'
# It says so, and dies of the signal; nothing else has become of the store.
"$caskade" merge --all --timeout 1h store >out 2>err &
merger=$!
sleep 1
kill -TERM "$merger"
wait "$merger"
is "$?" 143 'status of an interrupted merge'
error_says '^caskade: merge: interrupted; 0 segments merged into 0, merge again'
output_is ''
kill -KILL "$holder"
wait "$holder" 2>/dev/null
expect 0 merge --all --timeout 200ms store
output_says '^merged '
expect 0 count store
output_is '0\n'

# ---- Where others have it open that merge ----

expect 0 load there large.tsv
expect 0 load there part.tsv
mkfifo there.lines
"$caskade" shell there <there.lines >/dev/null &
shell=$!
exec 4>there.lines
merging() {
    expect 0 stat --json there
    python3 -c '
import json, sys
sys.exit(json.load(open("out"))["merge"]["threads"] != 1)'
}
wait_until() {
    for ((i = 0; i < 100; i++)); do
        "$@" && return
        sleep 0.1
    done
    fail "never: $*"
}
wait_until merging
expect 0 merge --all there
output_is 'started: a process that has the store open merges; watch it with: caskade stat --watch there\n'
is_done() {
    expect 0 stat --json there
    python3 -c '
import json, sys
merge = json.load(open("out"))["merge"]
if merge["asked"]:
    sys.exit(1)
assert merge["started"] == "CASK_OK" and merge["pid"] == 0, merge
past = merge["past"][0]
assert past["pid"] == int(sys.argv[1]) and past["result"] == "CASK_OK", past
assert past["inputs"] > 0 and past["bytes_freed"] > 0, past
assert past["reason"] == "everything was asked for", past
' "$shell"
}
wait_until is_done
expect 0 stat there
output_says '^merging  *1 handle$'
output_says '^merged ago  *took  *segments'
output_says 'everything was asked for$'
expect 0 delete there 7
expect 0 merge --all --json there
python3 -c '
import json
assert json.load(open("out")) == {"started": True, "threads": 1}
' || fail 'merge --json that is started'
expect 0 put there 8 value
expect 0 merge --all --wait there
output_says '^merged |^nothing to merge: '
expect 0 merge --cancel there
output_says '^(no merge is under way|cancelled the merge.*); none begins by itself for a minute$'
expect 0 stat --json there
python3 -c '
import json
merge = json.load(open("out"))["merge"]
assert 50000 < merge["paused_ms"] <= 60000 and not merge["due"], merge
' || fail 'stat after merge --cancel'
for options in '--cancel --all' '--cancel --plan' '--cancel --wait' '--plan --wait'; do
    expect 2 merge $options there
    error_says 'exclude each other'
done
exec 4>&-
wait "$shell"
expect 0 verify there

# Whoever was to do it is gone, and others that have it open do not merge.
expect 0 load left large.tsv
expect 0 load left part.tsv
expect 0 config left merge_rate_bytes=64KiB
mkfifo left.lines
"$caskade" shell left <left.lines >/dev/null &
shell=$!
exec 4>left.lines
has_thread() {
    expect 0 stat --json left
    python3 -c '
import json, sys
sys.exit(json.load(open("out"))["merge"]["threads"] != 1)'
}
wait_until has_thread
"$caskade" stat --watch=100ms --json left >watched &
watcher=$!
wait_until [ -s watched ]
expect 0 merge --all left
kill -KILL "$shell"
wait "$shell" 2>/dev/null
exec 4>&-
expect 0 stat left
output_says '^next merge  *waits: it was asked for, but no open handle has auto_merge$'
output_says "a merge was asked for, and nobody does it; merge with 'caskade merge'$"
expect 0 config left --reset=merge_rate_bytes
expect 0 merge --all left
output_says '^merged '
expect 0 stat left
grep -q 'a merge was asked for' out && fail 'it is still asked for'
kill "$watcher"
wait "$watcher" 2>/dev/null

# ---- Who merges in the background ----

# Not those that are short, however much is dead; those that last.
expect 0 load dead large.tsv
log=$(find dead -name '*.log' -size +8M)
[ -e "$log" ] || fail 'no segment was sealed'
expect 0 delete dead $(seq 2 3000)
expect 0 stat dead
output_says '^next merge  *due: '
expect 0 put dead 1 value
expect 0 sync dead
expect 0 get dead --linger 1
[ -e "$log" ] || fail "$log was merged by a short command"
mkfifo lines
"$caskade" shell dead <lines >/dev/null &
exec 3>lines
for ((i = 0; i < 100; i++)); do
    [ -e "$log" ] || break
    sleep 0.1
done
[ ! -e "$log" ] || fail "$log was not merged by a shell that stays open"
exec 3>&-
wait
expect 0 list dead
output_is '1\n'

# ---- Wrong ----

expect 1 merge nowhere
error_says 'no store here'
expect 1 merge --plan nowhere
expect 2 merge
expect 2 merge store extra
expect 2 merge --what store

finish
