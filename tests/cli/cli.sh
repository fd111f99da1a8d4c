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
# Not the history of the person who runs the tests.
export CASKADE_HISTORY=$work/history
export LC_ALL=C.UTF-8

clean_up() {
    local pids
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
    echo "$checks checks, $failures failed"
    [ "$failures" -eq 0 ]
    exit
}
