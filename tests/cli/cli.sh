#!/bin/bash
# What the script tests of the command line share; sourced by bash.
#
# Each script gets a directory of its own, $work, in which it runs; it is
# removed at the end, and what regions the stores in it had.
set -u

caskade=${CASK_BIN:?give the path of the program in CASK_BIN}
work=$(mktemp -d "${TMPDIR:-/tmp}/caskade-cli-XXXXXX")
place=$(cd "$work" && pwd -P)
failures=0
checks=0
finished=no
# Not the history of the person who runs the tests.
export CASKADE_HISTORY=$work/history
export LC_ALL=C.UTF-8

clean_up() {
    local status=$? pids
    # A script that never counts its failures would pass with any.
    if [ "$finished" = no ] && [ "$status" -eq 0 ]; then
        echo "$0 ends without 'finish'" >&2
        status=1
    fi
    pids=$(jobs -p)
    # shellcheck disable=SC2086 # several
    [ -z "$pids" ] || kill -KILL $pids 2>/dev/null
    wait 2>/dev/null
    cd /
    rm -rf "$work"
    # Those of our stores: an orphan of somebody else is none of our business.
    "$caskade" region list 2>/dev/null |
        awk -v below="  $place/" 'index($0, below) { print $NF }' |
        xargs -r "$caskade" region drop
    exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1

# A check failed: say what and where, go on.
fail() {
    failures=$((failures + 1))
    # The line of the script, however deep we are.
    echo "FAILED at line ${BASH_LINENO[${#BASH_LINENO[@]} - 2]}: $*" >&2
}

# flip FILE OFFSET: another byte than the one that is there.
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\x$(printf '%02x' $((byte ^ 0x55)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# expect STATUS COMMAND...: run `caskade COMMAND...`; standard output goes to
# the file out, standard error to err. With a status other than 0, there must
# be exactly one line on standard error, beginning "caskade: " - except 1,
# which may also be silent.
expect() {
    local want=$1 got lines
    shift
    checks=$((checks + 1))
    "$caskade" "$@" >out 2>err
    got=$?
    [ "$got" -eq "$want" ] ||
        fail "caskade $*: status $got instead of $want: $(cat err)"
    lines=$(wc -l <err)
    case $want in
    0) [ "$lines" -eq 0 ] || fail "caskade $*: said: $(cat err)" ;;
    1) [ "$lines" -le 1 ] || fail "caskade $*: $lines lines: $(cat err)" ;;
    *) [ "$lines" -eq 1 ] || fail "caskade $*: $lines lines: $(cat err)" ;;
    esac
    if [ "$lines" -gt 0 ] && ! grep -q '^caskade: ' err; then
        fail "caskade $*: no prefix: $(cat err)"
    fi
}

# The output of the last expect is exactly $1 (as printf prints it, with %b).
output_is() {
    checks=$((checks + 1))
    printf '%b' "$1" | cmp -s - out || fail "output is: $(od -c out | head)"
}

# Standard error (or output) of the last expect matches the expression $1.
error_says() {
    checks=$((checks + 1))
    grep -Eq -- "$1" err || fail "no '$1' in: $(cat err)"
}
output_says() {
    checks=$((checks + 1))
    grep -Eq -- "$1" out || fail "no '$1' in: $(head -20 out)"
}

# parts_of WHAT: the lines of a range of the keys key-0000 to key-2999, which
# lines() prints with the options that it gets, their keys in the file joined.
parts_of() {
    lines --from key-0005 --to key-0008
    is "$(cat joined)" 'key-0005 key-0006 key-0007' "$1 --from --to"
    lines --from key-0005 --to key-0008 --reverse
    is "$(cat joined)" 'key-0007 key-0006 key-0005' "$1 --from --to --reverse"
    lines --prefix key-299 --limit 3
    is "$(cat joined)" 'key-2990 key-2991 key-2992' "$1 --prefix --limit"
    lines --prefix key-299 --limit 3 --reverse
    is "$(cat joined)" 'key-2999 key-2998 key-2997' "$1 --prefix --reverse"
    lines --prefix key-29 --from key-2998x
    is "$(cat joined)" 'key-2999' "$1 --prefix --from"
    lines --prefix key-29 --to key-2901
    is "$(cat joined)" 'key-2900' "$1 --prefix --to"
    lines --from key-0008 --to key-0005
    is "$(cat joined)" '' "$1 of nothing"
    lines --from x
    is "$(cat joined)" '' "$1 behind the end"
    lines --to a --reverse
    is "$(cat joined)" '' "$1 before the start"
    lines --from key-0005x --to key-0007x --keys
    output_is 'key-0006\nkey-0007\n'
}

# same FILE FILE: equal contents.
same() {
    checks=$((checks + 1))
    cmp -s "$1" "$2" || fail "$1 and $2 differ: $(cmp "$1" "$2" 2>&1)"
}

# is GOT WANT WHAT
is() {
    checks=$((checks + 1))
    [ "$1" = "$2" ] || fail "$3 is '$1' instead of '$2'"
}

# At the end of every script.
finish() {
    finished=yes
    echo "$checks checks, $failures failed"
    [ "$failures" -eq 0 ]
    exit
}
