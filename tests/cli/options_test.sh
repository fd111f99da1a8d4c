#!/bin/bash
# Each option of opening a store has its effect.
. "$(dirname "$0")/cli.sh"

# hold COMMAND...: run caskade in the background, reading a pipe that stays
# open, and wait until the store `held` has what it wrote.
mkfifo pipe
hold() {
    "$caskade" "$@" <pipe &
    holder=$!
    exec 3<>pipe
    printf 'held\t%s\n' "$*" >&3
    for ((i = 0; i < 100; i++)); do
        [ "$("$caskade" get "$store" held 2>/dev/null)" = "$*" ] && return
        sleep 0.05
    done
    fail "$* does not write"
}
release() {
    exec 3>&-
    wait "$holder"
    is $? 0 'status of the holder'
}

# --linger keeps the region, --region-dir says where; without, nothing stays.
mkdir regions
expect 0 put --region-dir regions store key value
is "$(find regions -type f | wc -l)" 0 'regions after a close'
expect 0 put --region-dir regions --linger store key value
is "$(find regions -type f | wc -l)" 1 'regions after --linger'
expect 0 get --region-dir regions --linger store key
output_is 'value'
expect 0 region list --region-dir regions
output_says '^kept '
expect 0 put --region-dir regions store key other
is "$(find regions -type f | wc -l)" 0 'regions after a close without linger'
expect 0 get store key
output_is 'other'

# Commands that read change nothing in the directory, not even times.
tree_of() {
    find "$1" -printf '%P %s %T@ %C@ %m\n' | sort
}
before=$(tree_of store)
for command in 'get store key' 'exists store key' 'count store' 'list store' \
    'dump store' 'stat store' 'verify store'; do
    # shellcheck disable=SC2086 # a command and its arguments
    expect 0 $command
done
expect 0 list --read-only store
is "$(tree_of store)" "$before" 'directory after reading'

# A directory that cannot be written can be read.
if [ "$(id -u)" -ne 0 ]; then
    chmod -R a-w store
    expect 0 get store key
    expect 5 put store key value
    chmod -R u+w store
fi

# --exclusive: one writer; others are told at once, readers are not disturbed.
store=alone
hold load --exclusive alone
expect 4 put --timeout 200ms alone key value
expect 4 put --exclusive --timeout 200ms alone key value
expect 0 get alone held
release
expect 0 put alone key value

# What system calls `caskade COMMAND...` makes, in the file trace: those of $1.
# (The leak sanitizer and strace exclude each other.)
trace_calls() {
    local calls=$1
    shift
    ASAN_OPTIONS=detect_leaks=0 strace -qq -f -o trace -e trace="$calls" \
        "$caskade" "$@"
}
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
    # --sync commit: data are on the device before the command answers. Open
    # and close sync, too, whatever the policy.
    expect 0 create synced
    seq 50 | sed 's/$/\tv/' >fifty.tsv
    for policy in none commit; do
        trace_calls fsync,fdatasync,msync load --sync "$policy" synced \
            fifty.tsv || fail "load --sync $policy"
        eval "$policy=$(grep -c sync trace)"
    done
    # shellcheck disable=SC2154 # set by eval
    if [ "$none" -gt 20 ] || [ "$commit" -lt 50 ]; then
        fail "$commit syncs of 50 lines with commit, $none with none"
    fi
    trace_calls fsync,fdatasync,msync load --sync commit --batch 50 synced \
        fifty.tsv || fail 'load --batch --sync commit'
    batch=$(grep -c sync trace)
    [ "$batch" -lt "$commit" ] || fail "$batch syncs for one batch"

    # --io pread reads by system calls.
    head -c 5000000 /dev/urandom | base64 -w 0 | "$caskade" put store large
    trace_calls pread64 get --io pread store large >/dev/null ||
        fail 'get --io pread'
    grep -q 'pread64' trace || fail '--io pread does not use pread'
fi

# --verbose tells what happens.
"$caskade" put --verbose fresh key value 2>err || fail 'put --verbose'
"$caskade" load fresh <pipe &
holder=$!
exec 3<>pipe
printf 'a\tb\n' >&3
for ((i = 0; i < 100; i++)); do
    "$caskade" exists fresh a && break
    sleep 0.05
done
kill -KILL $holder
{ wait $holder; } 2>/dev/null
exec 3>&-
"$caskade" put --verbose fresh key value 2>err || fail 'put after a kill'
error_says '^caskade: note: '
expect 0 get fresh a
output_is 'b'

finish
