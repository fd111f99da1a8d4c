#!/bin/bash
# export bitcask: every byte is what Bitcask expects, there and back nothing
# changes, and what it cannot hold leaves nothing behind.
files=$(cd "$(dirname "$0")" && pwd)/bitcask_files.py
. "$(dirname "$0")/cli.sh"

check() {
    checks=$((checks + 1))
    python3 "$files" check "$1" >"$1.content" ||
        fail "$1 is not what Bitcask writes"
}

hex() {
    printf '%s' "$1" | od -An -tx1 | tr -d ' \n'
}

# ---- There and back ----------------------------------------------------------

python3 "$files" plain source expected >/dev/null
expect 0 import bitcask source store
expect 0 export bitcask store out1
output_says '^[0-9]+ keys exported to 1 file, '
check out1
cut -f 1,2 out1.content | cmp -s - expected || fail 'content of the export'
is "$(stat -c %a out1/1.bitcask.data)" 600 'mode of a file'
expect 0 import bitcask out1 again
for of in store again; do
    "$caskade" dump --format jsonl "$of" >"$of.dump"
done
same store.dump again.dump
# Byte by byte, and so with all times.
expect 0 export bitcask again out2
diff -r out1 out2 >differences ||
    fail "the second export differs: $(cat differences)"
grep -q "$(hex 'no time')	76	1$" out1.content ||
    fail 'the time 0 is not 1'
grep -q "$(hex key00005)	.*	$((0x6b00d896))$" out1.content ||
    fail 'a time was lost'

# ---- Sizes of files ----------------------------------------------------------

expect 0 export bitcask --max-file-size 1KiB store small
check small
same small.content out1.content
[ "$(find small -name '*.data' | wc -l)" -gt 5 ] || fail 'too few files'
for file in small/*.data; do
    size=$(stat -c %s "$file")
    [ "$size" -le 1024 ] || [ "$size" -gt 60000 ] ||
        fail "$file has $size bytes"
done
expect 0 import bitcask small back
"$caskade" dump --format jsonl back | cmp -s - store.dump ||
    fail 'many files there and back'
expect 0 export bitcask --max-file-size 1 store single
is "$(find single -name '*.data' | wc -l)" "$("$caskade" count store)" \
    'files of one record'
for wrong in 0 -1 x 1KB 1XiB 513GiB 99999999999999999999; do
    expect 2 export bitcask --max-file-size="$wrong" store never
    error_says '--max-file-size: .* is no size'
done

# ---- Nothing, damage, what Bitcask cannot hold -------------------------------

nothing_is_left() {
    is "$(find . -maxdepth 1 -name 'never*')" '' "what is left of $1"
}

expect 0 create empty
expect 0 export bitcask empty none
output_says '^0 keys exported to 1 file, 0 B$'
check none
is "$(wc -l <none.content)" 0 'keys of an empty store'
expect 0 import bitcask none empty2

expect 0 put odd fine value
expect 0 put odd "$(printf 'a\nkey')" 'bitcask_tombstone of a user'
expect 2 export bitcask odd never
error_says "^caskade: key 'a\\\\nkey': its value begins with 'bitcask_tomb"
nothing_is_left 'a tombstone'
expect 0 delete odd "$(printf 'a\nkey')"
expect 0 put odd near bitcask_tombston
expect 0 put --ttl 1h odd session token
expect 0 put --ttl 1ms odd gone token
expect 2 export bitcask odd never
error_says "^caskade: key 'session': it expires, .*--drop-expiry"
nothing_is_left 'a key that expires'
expect 0 export bitcask --drop-expiry odd dropped
check dropped
is "$(cut -f 1 dropped.content | tr '\n' ' ')" \
    "$(hex fine) $(hex near) $(hex session) " \
    'the keys without those that expired'
long=$(printf 'k%.0s' {1..200})
expect 0 put long "$long" bitcask_tombstone
expect 2 export bitcask long never
error_says "^caskade: key 'k{40}\.\.\.': "

# A store that is damaged: nothing, or what is whole.
seq 2000 | sed 's/$/\tvalue/' >many.tsv
expect 0 load hurt many.tsv
python3 - "$(find hurt -name '*.log' -size +0 | sort | head -n 1)" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[data.find(b"1000value") + 5] ^= 1
open(sys.argv[1], "r+b").write(data)
END
expect 3 export bitcask hurt never
nothing_is_left 'a damaged store'
"$caskade" export --damage serve bitcask hurt whole >out 2>err
is "$?" 3 'status of an export of what is whole'
check whole
is "$(wc -l <whole.content)" 1999 'keys of a damaged store'

# ---- Where it goes -----------------------------------------------------------

expect 2 export bitcask store out1
error_says 'out1: is not empty'
expect 2 export bitcask store many.tsv
error_says 'many\.tsv: is no directory'
expect 5 export bitcask store no/such/place
expect 2 export bitcask store ''
expect 2 export bitcask store store/inside
error_says 'is DIR or inside it'
expect 2 export leveldb store never
expect 1 export bitcask missing never
expect 2 export bitcask store
nothing_is_left 'a wrong command'
mkdir -m 750 ready
expect 0 export bitcask store ready/
is "$(stat -c %a ready)" 750 'the mode of a directory that was there'
diff -r out1 ready >/dev/null || fail 'into an empty directory'
(umask 027 && "$caskade" export bitcask store masked >/dev/null)
is "$(stat -c %a masked)" 750 'the mode of a new directory'
is "$(find . -name '*.caskade-*')" '' 'what exports left behind'

# A full disk, and a signal, leave nothing.
yes 'a value that is repeated' | head -n 400000 | nl -ba >large.tsv
expect 0 load large large.tsv
checks=$((checks + 1))
(ulimit -f 1000; trap '' XFSZ; "$caskade" export bitcask large never \
    >out 2>err)
is "$?" 5 'status with a limit on file sizes'
error_says 'never: cannot write it: File too large'
nothing_is_left 'a full disk'
# inject FAULT COMMAND...: (the leak sanitizer and strace exclude each other.)
inject() {
    local fault=$1
    shift
    checks=$((checks + 1))
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 \
        strace -qq -o trace -e "inject=$fault" "$caskade" "$@" >out 2>err
}
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
    inject fsync:error=EIO:when=1 export bitcask store never
    is "$?" 5 'status when the sync fails'
    error_says 'never: cannot write it: Input/output error'
    nothing_is_left 'a failed sync'
    inject write:signal=INT:when=5 export bitcask large never
    is "$?" 130 'status of an interrupted export'
    nothing_is_left 'an interrupted export'
else
    echo 'no strace: failing and interrupted exports are not tried'
fi

finish
