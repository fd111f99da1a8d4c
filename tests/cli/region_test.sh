#!/bin/bash
# region lists and drops shared memory; nothing is lost by it.
. "$(dirname "$0")/cli.sh"

mkdir regions
expect 0 region list --region-dir regions
output_is ''
expect 0 region drop --orphans --region-dir regions

# In use: listed, cannot be dropped.
mkfifo pipe
"$caskade" load --region-dir regions store <pipe &
exec 3<>pipe
printf 'a\tb\n' >&3
for ((i = 0; i < 100; i++)); do
    "$caskade" exists --region-dir regions store a 2>/dev/null && break
    sleep 0.05
done
expect 0 region list --region-dir regions
output_says '^in use  .* regions/'
path=$(awk '{ print $NF }' out)
uuid=$("$caskade" stat --json --region-dir regions store | sed -nE 's/.*"uuid":"([^"]*)".*/\1/p')
here=$(pwd -P)
output_says " $uuid  $here/store  $path\$"
expect 0 region list --json --region-dir regions
python3 - "$path" "$uuid" "$here/store" <<'END' || fail 'region list --json'
import json, sys
rows = [json.loads(line) for line in open("out")]
assert len(rows) == 1, rows
row = rows[0]
assert row["path"] == sys.argv[1] and row["store_uuid"] == sys.argv[2], row
assert row["directory"] == sys.argv[3], row
assert row["in_use"] is True and row["orphan"] is False, row
assert row["size_bytes"] > 0, row
END
expect 4 region drop "$path"
expect 0 region drop --orphans --region-dir regions
[ -e "$path" ] || fail 'a region in use was dropped'
exec 3>&-
wait
[ ! -e "$path" ] || fail 'the last close left the region'

# Kept: dropped by name, and nothing is lost.
expect 0 put --linger --region-dir regions store c d
expect 0 region list --region-dir regions
output_says '^kept  '
path=$(awk '{ print $NF }' out)
expect 0 region drop "$path"
[ ! -e "$path" ] || fail 'the region is still there'
expect 1 region drop "$path"
expect 0 dump --region-dir regions store
output_is 'a\tb\nc\td\n'

# An orphan, left by a process that was killed; also if the store is gone.
"$caskade" load --region-dir regions store <pipe &
pid=$!
exec 3<>pipe
printf 'e\tf\n' >&3
for ((i = 0; i < 100; i++)); do
    "$caskade" exists --region-dir regions store e && break
    sleep 0.05
done
kill -KILL $pid
{ wait $pid; } 2>/dev/null
exec 3>&-
expect 0 region list --region-dir regions
output_says '^orphan  '
rm -rf store
expect 0 region drop --orphans --region-dir regions
is "$(find regions -type f | wc -l)" 0 'regions after drop --orphans'

# Kept for a store that is not there any more: an orphan. One that comes back
# has its region still.
state_is() {
    expect 0 region list --region-dir regions
    output_says "^$1  .*  $here/$2  regions/"
}
expect 0 put --linger --region-dir regions store key value
state_is kept store
mv store elsewhere
state_is orphan store
mkdir store
state_is orphan store
rmdir store
mv elsewhere store
state_is kept store
mv store elsewhere
expect 0 get --linger --region-dir regions elsewhere key
state_is kept elsewhere
rm elsewhere/*
expect 0 put --linger --region-dir regions elsewhere key value
expect 0 region list --region-dir regions
is "$(cut -d ' ' -f 1 out | sort | paste -sd ' ')" 'kept orphan' \
    'regions of two stores that followed each other in a directory'
rm -rf elsewhere
expect 0 region drop --orphans --region-dir regions
expect 0 region list --region-dir regions
output_is ''

# These scripts remove what their own stores left, and nothing else: neither
# an orphan of somebody else, nor one in the directory of another script.
cat >noting <<END
#!/bin/bash
echo "\$*" >>"$work/calls"
exec "$caskade" "\$@"
END
chmod +x noting
CASK_BIN=$work/noting bash -c '. "$1"; "$caskade" put --linger store key value
    "$caskade" region list | grep -F "  $place/store  " && finished=yes' \
    cli.sh "$(dirname "$0")/cli.sh" >out || fail 'a script that keeps a region'
path=$(awk '{ print $NF }' out)
[ ! -e "$path" ] || fail "a script leaves $path behind"
is "$(grep -c -- --orphans calls)" 0 'calls of a script that drop any orphan'

# No name of a directory reaches a terminal as it is.
name=$'a\nb\e[1m'
expect 0 put --linger --region-dir regions "$name" key value
state_is kept 'a\\nb\\x1b\[1m'
is "$(wc -l <out)" 1 'lines for one region'
rm -rf "$name"
expect 0 region drop --orphans --region-dir regions

# Something in its place: named, with what to do.
expect 0 put --linger --region-dir regions store key value
path=$(echo regions/*)
expect 0 region drop "$path"
mkdir "$path"
expect 2 put --region-dir regions store key value
error_says "$path: is in the way .*; remove it or set region_dir \(--region-dir"
rmdir "$path"
expect 0 put --region-dir regions store key value

# Not a region: left alone.
echo text >regions/caskade-file
expect 2 region drop regions/caskade-file
[ -e regions/caskade-file ] || fail 'a file that is no region was dropped'
expect 5 region list --region-dir nowhere

# One that cannot be dropped does not keep those behind it; the exit status is
# that of the first.
for name in one two; do
    expect 0 put --linger --region-dir regions $name key value
done
paths=$("$caskade" region list --region-dir regions | awk '{ print $NF }')
# shellcheck disable=SC2086 # two paths
"$caskade" region drop regions/caskade-file $paths regions/caskade-none 2>err
is $? 2 'status of drop with two that cannot be dropped'
is "$(wc -l <err)" 2 'lines of drop with two that cannot be dropped'
expect 0 region list --region-dir regions
output_is ''

finish
