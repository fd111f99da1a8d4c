#!/bin/bash
# import bitcask: every kind of directory, whole and damaged; the failures of
# Bitcask itself are not repeated; the source is never changed.
files=$(cd "$(dirname "$0")" && pwd)/bitcask_files.py
. "$(dirname "$0")/cli.sh"

state() {
    find "$1" -type f -exec cksum {} + | sort
    ls -l "$1"
}

# make KIND: the directory source, what is in it, and where it is damaged.
make() {
    rm -rf source store
    python3 "$files" "$1" source expected >damage || fail "no kind $1"
    before=$(state source)
}

# import STATUS OPTION...: of source to store, from nothing.
import() {
    local want=$1
    shift
    checks=$((checks + 1))
    rm -rf store
    "$caskade" import "$@" bitcask source store >out 2>err
    is "$?" "$want" "status of import $*; it said: $(cat err)"
    is "$(grep -cv '^caskade: ' err)" 0 'lines without a prefix'
}

# The store holds what was expected, and the source what it did.
content_is_expected() {
    "$caskade" dump --format hex store | LC_ALL=C sort >got
    LC_ALL=C sort expected >want
    same want got
    is "$(state source)" "$before" 'the source'
}

# Each damaged place is told, and no other.
damage_is_told() {
    local count line
    count=$(wc -l <damage)
    is "$(grep -c 'bytes are damaged' err)" "$count" 'places told'
    while read -r line; do
        error_says "^caskade: note: source/[0-9]+\.bitcask\.data: $line are \
damaged"
    done <damage
    if [ "$count" -eq 0 ]; then
        output_says '; no damage$'
    else
        line=places
        [ "$count" -gt 1 ] || line=place
        output_says "; $count damaged $line, [0-9.]+ "
    fi
}

# Without damage; hints that are not used are told.
for kind in plain many_files tombstones value_like_tombstone no_hint \
    unfinished_hint damaged_hint foreign_hint \
    failure_1_deleted_key failure_9_only_tombstones; do
    make "$kind"
    import 0
    content_is_expected
    damage_is_told
    case $kind in
    unfinished_hint | failure_1*) said='has no trailer' ;;
    damaged_hint) said='checksum is wrong' ;;
    foreign_hint) said='is of other data' ;;
    *) said='' ;;
    esac
    is "$(wc -l <err)" "$([ -z "$said" ] && echo 0 || echo 1)" "notes of $kind"
    [ -z "$said" ] ||
        error_says "^caskade: note: source/1\.bitcask\.hint: .*$said"
    import 0 --strict
    expect 0 verify store
done
# Tombstones alone leave nothing behind.
make failure_9_only_tombstones
import 0
output_says '^0 keys imported .* 1,000 records \(1,000 tombstones\)'
expect 0 verify store
output_says ', 0 records, '

# With damage: everything else is imported; --strict only changes the status.
for kind in failure_2_torn_in_the_middle failure_3_size failure_3_many \
    torn_tail torn_header; do
    make "$kind"
    import 0
    content_is_expected
    damage_is_told
    import 3 --strict
    error_says '^caskade: source: 1 damaged place of [0-9]+ bytes in all;'
    content_is_expected
done
# Hints know what has been cut off behind the last record, too.
make cut_between_records
import 0
content_is_expected
damage_is_told
error_says 'bytes are damaged, a value of key00007$'
error_says 'bytes are damaged, the deletion of key00008$'
expect 1 get store key00008
import 3 --strict
error_says '^caskade: source: 3 damaged places of [0-9]+ bytes in all;'
make cut_to_nothing
import 3 --strict
content_is_expected
damage_is_told
# A hint that is sound tells which keys are concerned, and of deletions.
make failure_12_newest
import 3 --strict
content_is_expected
output_says '; 3 damaged places, '
error_says 'offset 0: 22 bytes are damaged, a value of older$'
error_says 'offset 22: 19 bytes are damaged, a value of only$'
error_says 'offset 41: 43 bytes are damaged, the deletion of deleted$'
error_says 'of 2 keys the newest value is damaged; an older one'
is "$("$caskade" get store older)" old 'the older value'
expect 1 get store deleted

# Of many keys with few old versions all are written, in order; of those with
# many the newest only. The result is the same.
dead_bytes() {
    "$caskade" stat --json store |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["dead_bytes"])'
}

make many_lean
import 0
content_is_expected
output_says "^$(wc -l <expected | sed 's/...$/,&/') keys imported from 2 files"
output_says ', 47,003 records \(1,000 tombstones\); no damage$'
is "$([ "$(dead_bytes)" -gt 100000 ] && echo yes)" yes 'whether old ones are there'
expect 0 verify store
rm -rf store
# Batches are as small as segments need.
expect 0 create --segment-max-bytes 64KiB store
expect 0 import bitcask source store
content_is_expected
rm -rf store
"$caskade" create store
"$caskade" put store 'many 1' 'of the store'
expect 0 import --into-existing bitcask source store
is "$("$caskade" get store 'many 1')" 'of the store' 'what SRC has deleted'
make many_damaged
import 3 --strict
content_is_expected
output_says '; 5 damaged places, '
error_says 'of 2 keys the newest value is damaged; an older one'
expect 1 get store 'many 1'
is "$("$caskade" get store 'many 2')" 'put again' 'what follows a damaged one'
expect 1 get store 'many 3'
make many_foreign
import 0
content_is_expected
error_says 'the deletion of many 7$'
error_says 'source/101\.bitcask\.hint: it is of other data'
make many_old
import 0
content_is_expected
output_says '^5,000 keys imported from 1 file.* 50,000 records '
is "$([ "$(dead_bytes)" -lt 1000 ] && echo no)" no 'whether old ones are there'

# What the device cannot read is damage too, and the rest is not. (The leak
# sanitizer and strace exclude each other.)
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
    make many_files
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 \
        strace -qq -o trace -P source/1.bitcask.data -P source/2.bitcask.data \
        -e trace=pread64 -e inject=pread64:error=EIO \
        "$caskade" import --strict bitcask source store >out 2>err
    is "$?" 3 'status with a device that fails'
    content_is_expected
    output_says '; 4 damaged places, '
else
    echo 'no strace: devices that fail are not tried'
fi

# A file with many damaged places does not fill the screen.
make no_hint
python3 - <<'END'
data = bytearray(open("source/1.bitcask.data", "rb").read())
for i in range(1, 100, 2):
    data[data.find(b"key%05d" % i)] ^= 1
open("source/1.bitcask.data", "wb").write(data)
END
import 3 --strict
is "$(grep -c 'bytes are damaged' err)" 20 'places told'
error_says 'more damage in this file is only counted$'
output_says '; 50 damaged places'

# ---- Marks of files to be deleted (failure 6) --------------------------------

make many_files
chmod 0645 source/13.bitcask.data
chmod 4644 source/12.bitcask.data
# Of what Bitcask made nobody may execute anything, and it adds one bit: what
# bears more has it from somebody else, and hides nothing.
number=3
for mode in 777 755 711 655 715; do
    chmod "$mode" source/$number.bitcask.data
    number=$((number + 1))
done
python3 - <<'END'
# Without files 12 and 13, all of whose keys are in others too.
rows = dict(line.rstrip("\n").split("\t") for line in open("expected"))
def hexed(text): return text.encode().hex()
rows[hexed("all")] = hexed("of file 11")
rows[hexed("in 2")] = hexed("of file 7")
rows[hexed("in 3")] = hexed("of file 8")
open("expected", "w").writelines("%s\t%s\n" % row for row in rows.items())
END
before=$(state source)
import 0
content_is_expected
is "$(grep -c "left out: it bears Bitcask's mark" err)" 2 'marks told'
error_says 'note: source: 5 data files are as chmod leaves them: owner or group may'
output_says '; 2 files left out; no damage$'
# All of the data alone, and hints as Bitcask leaves them.
make plain
chmod 777 source/1.bitcask.data
before=$(state source)
import 0
content_is_expected
error_says 'note: source: 1 data file is as chmod leaves it: owner or group may'
# Hints, which Bitcask does not mark, tell that all is chmod's.
for mode in 777 645; do
    make plain
    chmod "$mode" source/*
    touch source/notes.txt
    chmod 644 source/notes.txt
    before=$(state source)
    import 0
    content_is_expected
    error_says 'note: source: 1 data file is as chmod leaves it: others may execute hint'
done
# What bears Bitcask's own marks may be all of the data, which is then not taken
# for an empty store.
for mode in 645 601 4644; do
    make plain
    chmod "$mode" source/1.bitcask.data
    rm -rf store
    expect 2 import bitcask source store
    error_says 'all of its data files bear .* chmod o-x,u-s'
    [ ! -e store ] || fail 'a refused import made the store'
    rm source/*.hint
    expect 2 import bitcask source store
done

# ---- Locks (failure 7) -------------------------------------------------------

sleep 1000 &
live=$!
for lock in write merge create; do
    make plain
    echo "$live source/1.bitcask.data" >"source/bitcask.$lock.lock"
    expect 4 import bitcask source store
    error_says "^caskade: source/bitcask\.$lock\.lock: is held by process \
$live \(sleep\); .*--force"
    [ ! -e store ] || fail 'a refused import made the store'
    before=$(state source)
    import 0 --force
    content_is_expected
    error_says "held by process $live .*; read all the same"
done
make plain
lock=source/bitcask.write.lock
# Another user's process is not taken for dead.
echo "1 source/1.bitcask.data" >$lock
expect 4 import bitcask source store
# A process with the number of one that died: the lock is older than it.
echo "$live source/1.bitcask.data" >$lock
touch -d '2 days ago' $lock
import 0
is "$(wc -l <err)" 0 'notes about a number that was given again'
# An Erlang system is believed all the same: clocks are set.
cp "$(command -v sleep)" beam.smp
./beam.smp 1000 &
beam=$!
echo "$beam source/1.bitcask.data" >$lock
touch -d '2 days ago' $lock
expect 4 import bitcask source store
error_says "process $beam \(beam\.smp\)"
kill "$live" "$beam"
wait "$live" "$beam" 2>/dev/null
echo "$live source/1.bitcask.data" >$lock
import 0
is "$(wc -l <err)" 0 'notes about the lock of a dead process'
for content in '' ' ' 'nobody' '0 x' '99999999999 x' "$live"; do
    printf '%s' "$content" >$lock
    expect 4 import bitcask source store
    error_says 'does not say which process holds it; .*--force'
done
import 0 --force

# ---- Stores that are there ---------------------------------------------------

make plain
expect 0 put other key00001 mine
expect 0 put other mine too
expect 2 import bitcask source other
error_says '^caskade: other: has 2 keys already; .*--into-existing'
is "$("$caskade" count other)" 2 'keys after a refusal'
expect 0 import --into-existing bitcask source other
is "$("$caskade" get other mine)" too 'a key of the store alone'
is "$("$caskade" get other key00001)" 'value 1 value 1 ' 'a key of both'
is "$("$caskade" count other)" $(($(wc -l <expected) + 1)) 'keys of both'
# A deletion in the source takes nothing from the store.
for kind in failure_9_only_tombstones failure_1_deleted_key; do
    make "$kind"
    rm -rf kept
    expect 0 put kept key00003 mine
    "$caskade" import --into-existing bitcask source kept >/dev/null 2>&1
    is "$("$caskade" get kept key00003)" mine 'a key that the source deleted'
done
# A store without keys is as good as a new one.
expect 0 create empty
make plain
expect 0 import bitcask source empty

# A disk that gives no more leaves a part, and that is told.
python3 -c '
for i in range(500): print("key %d\t%s" % (i, "v" * 100000))' >large.tsv
expect 0 create large
expect 0 load large large.tsv
expect 0 export bitcask large large.source
checks=$((checks + 1))
(ulimit -f 24000; trap '' XFSZ; exec "$caskade" import bitcask large.source \
    part >out 2>err)
is "$?" 5 'status with a limit on file sizes'
error_says '^caskade: import: '
error_says '^caskade: note: part may hold a part; remove it and import again'
# Keys that were there before are nobody's to remove.
expect 0 create mixed
expect 0 put mixed mine 1
checks=$((checks + 1))
(ulimit -f 24000; trap '' XFSZ; exec "$caskade" import --into-existing \
    bitcask large.source mixed >out 2>err)
is "$?" 5 'status with a limit on file sizes'
error_says '^caskade: note: mixed may hold a part besides its own keys; import'

# ---- Times -------------------------------------------------------------------

PYTHONPATH=$(dirname "$files") PYTHONDONTWRITEBYTECODE=1 python3 - <<'END'
import os
import time
import bitcask_files
now = int(time.time())
file = bitcask_files.File(1)
file.add(b"old", b"v", now - 2000)
file.add(b"young", b"v", now - 500)
file.add(b"renewed", b"1", now - 2000)
file.add(b"renewed", b"2", now - 10)
file.add(b"outdated", b"1", now - 10)
file.add(b"outdated", b"2", now - 2000)
os.makedirs("timed")
file.write("timed")
open("until", "w").write(str((now - 500 + 1000) * 1000))
END
expect 0 import --expiry-seconds 1000 bitcask timed expiring
output_says '^2 keys imported .*; 2 keys had expired; no damage'
expect 0 dump --format jsonl expiring
output_says "\"key\":\"young\",\"value\":\"v\",\"expires_at_ms\":$(cat until)"
output_says '"key":"renewed","value":"2"'
expect 0 import bitcask timed lasting
is "$("$caskade" count lasting)" 4 'keys without --expiry-seconds'
for wrong in 0 -1 x 4294967296; do
    expect 2 import --expiry-seconds="$wrong" bitcask timed never
done

# ---- What is no directory of Bitcask -----------------------------------------

mkdir nothing
expect 2 import bitcask nothing store2
error_says 'nothing: is no directory of Bitcask: it holds no'
expect 2 import bitcask missing store2
error_says 'missing: is no directory'
expect 2 import bitcask until store2
error_says 'until: is no directory'
expect 2 import bitcask '' store2
expect 2 import bitcask timed ''
expect 2 import leveldb timed store2
error_says "format 'leveldb' is not known"
expect 2 import bitcask timed
expect 2 import bitcask timed timed
expect 2 import bitcask timed timed/store
error_says 'is SRC or inside it'
mkdir -p odd/2.bitcask.data
expect 2 import bitcask odd store2
error_says 'odd/2\.bitcask\.data: is no regular file'
rmdir odd/2.bitcask.data
mkfifo odd/2.bitcask.data
expect 2 import bitcask odd store2
rm odd/2.bitcask.data
ln -s missing odd/3.bitcask.data
expect 5 import bitcask odd store2
error_says 'odd/3\.bitcask\.data: cannot read it'
rm odd/3.bitcask.data
if [ "$(id -u)" -ne 0 ]; then
    cp timed/1.bitcask.data odd/4.bitcask.data
    chmod 0 odd/4.bitcask.data
    expect 5 import bitcask odd store2
    error_says 'odd/4\.bitcask\.data: cannot read it'
    rm -f odd/4.bitcask.data
fi
[ ! -e store2 ] || fail 'an import that was refused made the store'
cp timed/1.bitcask.data odd/01.bitcask.data
cp timed/1.bitcask.data odd/5.bitcask.data
"$caskade" import bitcask odd store3 >out 2>err || fail 'odd names'
error_says 'note: odd/01\.bitcask\.data: left out, since Bitcask gives no file'
output_says '^4 keys imported from 1 file,'
mkdir zero
: >zero/1.bitcask.data
expect 0 import bitcask zero none
output_says '^0 keys imported from 1 file, 0 B, 0 records'

finish
