#!/bin/bash
# config shows settings and changes them, all or none; processes that have the
# store open go by the new ones; a damaged file is told of and left alone.
. "$(dirname "$0")/cli.sh"
source_dir=${CASK_SOURCE_DIR:?give the source directory}

expect 0 create store

# ---- Showing ----

expect 0 config store
output_says '^setting +value +default +engine +meaning$'
output_says '^merge_window +always +always +both +local times '
output_says '^compaction +lazy +lazy +tree +how '
output_says '^max_space_amplification +1.5 +1.5 +both +merge when '
# A long value has a column as wide.
expect 0 create wide
expect 0 config wide 'merge_window=mon 01:00-02:00, tue 03:00-04:00'
expect 0 config wide
output_says '^merge_window +mon .*, tue 03:00-04:00 always +both +local times '
is "$(awk 'NR == 1 { at = index($0, "default") }
    /^merge_window/ { print substr($0, at, 6) }' out)" always \
    'the column of defaults'
expect 0 config store merge_window
output_is 'always\n'
expect 0 config --json store
python3 -c '
import json
rows = json.load(open("out"))
assert len(rows) == 19, rows
assert rows["dead_bytes_threshold"]["value"] == "128MiB", rows
for row in rows.values():
    assert row["value"] == row["default"] and row["meaning"], row
print("\n".join(sorted(rows)))
' >names || fail 'config --json'
[ ! -e store/CONFIG ] || fail 'showing made CONFIG'

# The completion knows every name.
# shellcheck source=/dev/null
. "$source_dir/cli/completion/caskade.bash"
# shellcheck disable=SC2154,SC2086
is "$(printf '%s\n' $_caskade_settings)" "$(cat names)" 'completed settings'
while read -r name; do
    grep -q "^\.It Cm $name\$" "$source_dir/docs/man/caskade-config.1" ||
        fail "caskade-config.1 does not explain $name"
done <names

# ---- Changing ----

expect 0 config store 'merge_window=mon-fri 22:00-06:00' merge_rate_bytes=20M
output_is ''
expect 0 config store merge_window
output_is 'mon-fri 22:00-06:00\n'
expect 0 config store merge_rate_bytes
output_is '20MiB\n'
expect 0 config --json store merge_rate_bytes
output_is '{"merge_rate_bytes":{"value":"20MiB","default":"0","meaning":"what merges read and write per second, over all processes; 0: no limit","engine":"both"}}\n'
grep -qx 'merge_rate_bytes=20MiB' store/CONFIG || fail 'CONFIG says otherwise'
expect 0 config --reset merge_rate_bytes store expiry_seconds=1d
expect 0 config store merge_rate_bytes
output_is '0\n'
expect 0 config store expiry_seconds
output_is '86400\n'

# Names of Bitcask.
expect 0 config store expiry_secs
output_is '86400\n'
expect 0 config store expiry_secs=-1 max_file_size=64KiB
expect 0 config store expiry_seconds
output_is '0\n'
expect 0 config --json store max_file_size
output_says '^{"segment_max_bytes":{"value":"64KiB",.*"engine":"both","bitcask_name":"max_file_size"}}$'
expect 0 config --reset max_file_size store
expect 2 config store max_fold_age=5
error_says 'max_fold_age of Bitcask is no setting here: a fold sees the store as it is when it begins'

# What only the other engine has is not taken, but can be reset.
expect 0 create --engine tree ordered
expect 2 config store memtable_bytes=1MiB
error_says 'memtable_bytes is a setting of the engine tree, and has no effect in this store of the engine hash; leave it out'
expect 0 config --reset memtable_bytes store
expect 2 config ordered memtable_bytes=1MiB frag_threshold=1
error_says 'frag_threshold is a setting of the engine hash, and has no effect in this store of the engine tree; leave it out'
expect 0 config ordered memtable_bytes
output_is '64MiB\n'
expect 0 config --reset frag_threshold ordered memtable_bytes=1MiB

# The size of segments.
expect 2 create --segment-max-bytes 1K small
error_says "segment-max-bytes: '1K' is no size between 64KiB and 1GiB"
expect 0 create --segment-max-bytes 64KiB small
head -c 30000 /dev/zero >value
for key in 1 2 3 4 5; do
    expect 0 put small $key <value
done
expect 0 stat --json small
output_says '"segment_count":[3-9]'

# All or none.
cp store/CONFIG before
expect 2 config store frag_threshold=1 max_segments=1
error_says 'max_segments: "1" is not a whole number, 0 or 2 .. 60000'
expect 2 config store frag_threshold=1 nonsense=1
error_says 'no setting is called "nonsense"; caskade config lists them'
expect 2 config --reset nonsense store
error_says 'no setting is called "nonsense"'
expect 2 config store nonsense
error_says 'no setting is called "nonsense"'
expect 2 config store 'merge_window=tomorrow'
error_says 'merge_window: "tomorrow": days are sun mon'
same store/CONFIG before

# ---- Usage ----

expect 2 config store max_segments frag_threshold
error_says 'give one KEY to show it'
expect 2 config store max_segments frag_threshold=1
error_says 'give one KEY to show it'
expect 2 config --reset-all store max_segments
error_says '--reset-all stands alone'
expect 2 config --json store max_segments=5
error_says '--json is for showing'
expect 2 config --exclusive store
error_says 'are for changing'
expect 1 config nowhere
same store/CONFIG before

# ---- Another process has it open ----

expect 0 config --reset-all store
expect 0 put store key value
mkfifo input
"$caskade" shell store <input >answers 2>&1 &
shell=$!
exec 5>input
echo 'get key' >&5
for _ in $(seq 1000); do
    [ "$(wc -l <answers)" -ge 1 ] && break
    sleep 0.01
done
expect 0 config store expiry_seconds=1
sleep 2.1
echo 'get key' >&5
exec 5>&-
wait "$shell" || true
[ "$(grep -c '^value$' answers)" = 1 ] || fail "the shell said: $(cat answers)"
expect 0 config --reset expiry_seconds store
expect 0 get store key
output_is 'value'

# ---- Damage ----

expect 0 config store max_segments=50
sed -i s/50/51/ store/CONFIG
cp store/CONFIG before
expect 3 config store
output_says '^max_segments +8192 +8192 '
error_says 'CONFIG: offset 33: line 3: crc32c is [0-9a-f]{8}, stored [0-9a-f]{8}; .*--reset-all'
expect 3 config store max_segments=52
error_says 'CONFIG: offset 33: line 3'
expect 3 verify store
output_says 'CONFIG'
expect 0 get store key
same store/CONFIG before
expect 0 config --reset-all store
expect 0 config store max_segments=52
expect 0 verify store

finish
