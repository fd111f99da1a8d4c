#!/bin/bash
# stat tells what is in the store, and agrees with itself.
. "$(dirname "$0")/cli.sh"

seq 1000 | sed 's/$/\tvalue/' >first.tsv
seq 500 | sed 's/$/\tnew value/' >second.tsv
expect 0 load store first.tsv
expect 0 load store second.tsv
"$caskade" delete store $(seq 901 1000) || fail 'delete'

expect 0 stat --json store
cat >check.py <<'END'
import json, os

stat = json.load(open("out"))
segments = stat["segments"]
assert stat["engine"] == "hash", stat
assert len(stat["uuid"]) == 36, stat
assert stat["key_count"] == 900, stat
assert stat["sequence"] >= 1600, stat
assert stat["durable_sequence"] <= stat["sequence"], stat
assert stat["segment_count"] == len(segments) >= 1, stat
for name in "live_bytes", "dead_bytes", "damaged_bytes":
    assert stat[name] == sum(row[name] for row in segments), (name, stat)
assert stat["data_bytes"] == sum(row["total_bytes"] for row in segments), stat
assert stat["data_bytes"] == stat["live_bytes"] + stat["dead_bytes"], stat
assert stat["damaged_bytes"] == 0, stat
assert stat["log_bytes"] == stat["data_bytes"], stat
assert stat["merge_bytes"] == 0 and stat["write_amplification"] == 1, stat
space = stat["data_bytes"] / stat["live_bytes"]
assert abs(stat["space_amplification"] - space) < 1e-6, stat
assert sum(row["live_records"] for row in segments) == 900, stat
assert stat["poisoned"] is False, stat
files = [os.stat(os.path.join("store", name)) for name in os.listdir("store")]
allocated = sum(file.st_blocks * 512 for file in files)
assert abs(stat["disk_bytes"] - allocated) <= 65536, (stat, allocated)
for name in "sync_ns", "lock_wait_ns":
    waits = stat[name]
    assert len(waits["buckets"]) == 40, waits
    assert waits["count"] == sum(waits["buckets"]), waits
    assert waits["p50_below_ns"] <= waits["p99_below_ns"], waits
    assert waits["p99_below_ns"] <= waits["max_below_ns"], waits
END
python3 check.py || fail 'stat --json'

expect 0 stat store
# Nobody has it open: nobody has counted, and there are no handles.
output_says '^region  *none'
grep -qE 'since the region|open handles' out &&
    fail 'counters of a region that is not there'
output_says 'in 1 segment: '
output_says '^store  *store$'
output_says '^keys  *900$'
output_says 'live, .* dead'
output_says '^state  *ready$'
grep -q '^segment  *records' out && fail 'segments without --segments'
expect 0 stat --segments store
output_says '^segment  *records'
output_says '^[0-9a-f]{16} .* [0-9]+ %'

# While another process has it open, its counters are shown, with rates.
mkfifo pipe
"$caskade" load store pipe &
exec 3<>pipe
cat first.tsv >&3
for ((i = 0; i < 100; i++)); do
    expect 0 stat --json store
    puts=$(python3 -c 'import json; print(json.load(open("out"))["puts"])')
    [ "$puts" -lt 900 ] || break
    sleep 0.1
done
[ "$puts" -ge 900 ] || fail "stat shows $puts puts of another process"
python3 -c '
import json
stat = json.load(open("out"))
assert stat["private_index"] is False and stat["handle_count"] >= 1, stat
assert stat["region_path"] != "" and stat["region_bytes"] > 0, stat
assert 0 < stat["index_bytes"] <= stat["region_bytes"], stat
' || fail 'stat of a store in use'
expect 0 stat store
output_says '^region  */'
output_says '^open handles  *[1-9]'
output_says '^since the region was made:'
output_says '^time of a sync '

# A fold that does not go on, because nobody reads what it prints, is shown, and
# falls behind. When it is killed it is gone.
mkfifo stuck
seq 10000 20000 | sed 's/$/\tvalue/' >&3
for ((i = 0; i < 100; i++)); do
    expect 0 count store
    [ "$(cat out)" -lt 10901 ] || break
    sleep 0.1
done
exec 4<>stuck
"$caskade" dump store >stuck &
fold=$!
for ((i = 0; i < 100; i++)); do
    expect 0 stat --json store
    grep -q '"is_fold": *true' out && break
    sleep 0.1
done
output_says '"is_fold": *true'
seq 10000 10099 | sed 's/$/\tnew/' >&3
for ((i = 0; i < 100; i++)); do
    expect 0 stat --json store
    python3 -c '
import json, sys
stat = json.load(open("out"))
row = stat["snapshots"][0]
assert stat["snapshot_count"] == len(stat["snapshots"]) == 1, stat
assert row["pid"] == int(sys.argv[1]) and row["age_ms"] >= 0, row
assert row["sequence"] + row["lag"] == stat["sequence"], stat
sys.exit(row["lag"] < 100 or stat["undo_bytes"] == 0)
' $fold && break
    sleep 0.1
done
[ "$i" -lt 100 ] || fail 'the fold does not fall behind'
expect 0 stat store
output_says '^snapshots  *1, '
output_says "^  process $fold  *fold .*records behind"
kill -9 $fold
wait $fold 2>/dev/null
for ((i = 0; i < 100; i++)); do
    expect 0 stat store
    grep -q '^snapshots' out || break
    sleep 0.1
done
[ "$i" -lt 100 ] || fail 'the fold of a dead process is still shown'
exec 4>&-
exec 3>&-
wait

# ---- Damage that a merge found -----------------------------------------------

seq 3000 | sed 's/$/\tvalue/' >many.tsv
expect 0 load hurt many.tsv
expect 0 merge --all hurt # seals it, so that there is a hint
expect 0 stat hurt
output_says '^damage  *none found$'
grep -q QUARANTINED out && fail 'quarantined, and nothing is damaged'
cp -R hurt sound
python3 - hurt <<'END'
import glob, os, sys
logs = glob.glob(os.path.join(sys.argv[1], "*.log"))
path = next(log for log in logs if b"100value" in open(log, "rb").read())
data = bytearray(open(path, "rb").read())
at = data.find(b"100value")
data[at + 5] ^= 1
open(path, "r+b").write(data)
END
seq 1 2 3000 | xargs "$caskade" delete hurt || fail 'delete'
expect 3 merge --all hurt
expect 0 stat hurt
grep -q '^damage  *none found' out && fail 'no damage beside a quarantined segment'
output_says '^QUARANTINED  *1 segment, [0-9.]+ KiB, in which a merge found damage$'
output_says "'caskade verify' tells where, 'caskade repair' which keys are lost"
expect 0 stat --json hurt
python3 -c '
import json
stat = json.load(open("out"))
rows = [row for row in stat["segments"] if row["quarantined"]]
assert stat["quarantined_count"] == len(rows) == 1, stat
assert stat["quarantined_bytes"] == rows[0]["total_bytes"] > 0, stat
' || fail 'stat --json of a quarantined segment'
timeout 1 "$caskade" stat --watch=500ms hurt >out 2>err
output_says '^QUARANTINED  *1 segment'
expect 0 stat --segments hurt
output_says '^[0-9a-f]{16} .*, QUARANTINED$'
# When its file is restored it is merged like any other.
cp -R hurt restored
for log in restored/*.log; do
    [ ! -e "sound/${log##*/}" ] || cp "sound/${log##*/}" "$log"
done
expect 0 get restored 100
expect 0 stat restored
output_says '^QUARANTINED  *1 segment'
expect 0 merge --all restored
expect 0 stat restored
output_says '^damage  *none found$'
grep -q QUARANTINED out && fail 'quarantined, and its file is restored'
expect 0 get restored 100
expect 0 verify restored
# When its keys are written again it goes.
expect 0 put hurt 100 new
seq 3000 | sed 's/$/\tagain/' >again.tsv
expect 0 load hurt again.tsv
expect 0 merge --all hurt
expect 0 stat hurt
output_says '^damage  *none found$'
expect 0 verify hurt

# Expired keys: the count says what it counts.
expect 0 stat hurt
grep -q 'that have expired' out && fail 'nothing expires here'
expect 0 expire --ttl=1ms hurt 7
expect 0 stat hurt
output_says 'that have expired, until they are merged'
expect 0 stat --json hurt
output_says '"may_expire": *true'

# A tree tells its levels and memtables, and what was written in its life.
expect 0 create --engine tree tree
expect 0 load tree first.tsv
expect 0 merge --all tree
expect 0 load tree second.tsv
expect 0 stat --json tree
cat >check.py <<'END'
import json, os

stat = json.load(open("out"))
tree = stat["tree"]
runs = [name for name in os.listdir("tree") if name.endswith(".run")]
assert stat["engine"] == "tree", stat
assert sum(level["parts"] for level in tree["level"]) == len(runs) == 1, tree
written = sum(os.path.getsize(os.path.join("tree", name)) for name in runs)
assert sum(level["bytes"] for level in tree["level"]) == written, tree
assert tree["level"][7]["records"] == 1000, tree
assert tree["memtable"][0]["records"] == 500, tree
assert not tree["memtable"][0]["frozen"], tree
assert stat["merge_bytes"] > 0, stat
writes = (stat["log_bytes"] + stat["merge_bytes"]) / stat["log_bytes"]
assert abs(stat["write_amplification"] - writes) < 1e-6, stat
assert 800 <= tree["live_keys"] <= 1200, tree
assert stat["space_amplification"] == tree["space_amplification"] > 1, stat
assert tree["space_amplification"] < 5, tree
assert "flushes" in stat and "past" in tree, stat
END
python3 check.py || fail 'stat --json of a tree'
expect 0 stat tree
output_says '^keys, about  *[89]?[0-9]{2}|^keys, about  *1,[01]'
output_says '^amplification  *space about .*by flushes and compactions'
output_says '^memtables  *1 of 64\.0 MiB of log'
output_says '^runs  *1 in 1 file, .* mapped: indexes .*filters'
output_says '^writers  *do not wait$'
output_says '^7  *1  *1  .*1,000  *0$'
output_says '^memtable .* 500  $'
grep -qE '^records|segment .* live' out && fail 'a tree shows dead records'

finish
