#!/bin/bash
# Caskade at work on real data: every file path that this machine's package
# manager knows, with the package that owns it. Loads them, looks all of them
# up, edits them from two processes while a third reads, kills one writer in
# the middle, and checks that nothing acknowledged is missing.
#
#   demo/demo.sh [SECONDS]      length of the part with many processes (5)
#
# Needs build/bin (make). Exit status 0 only if nothing is missing. Everything
# is in a temporary directory, which is removed at the end, whatever happens.
set -u
export LC_ALL=C

cd "$(dirname "$0")/.." || exit 1
caskade=${CASK_BIN:-$PWD/build/bin/caskade}
client=${CASK_DEMO:-$PWD/build/bin/caskade-demo}
seconds=${1:-5}
for program in "$caskade" "$client"; do
    if [ ! -x "$program" ]; then
        echo "caskade: $program is missing; run: make" >&2
        exit 1
    fi
done
work=$(mktemp -d "${TMPDIR:-/tmp}/caskade-demo-XXXXXX") || exit 1
place=$(cd "$work" && pwd -P)
store=$work/store
pids=()

clean_up() {
    if [ ${#pids[@]} -gt 0 ]; then
        kill -KILL "${pids[@]}" 2>/dev/null
        wait "${pids[@]}" 2>/dev/null
    fi
    rm -rf "$work"
    # If processes were killed, the region of the store is still there; those
    # of other stores are none of our business.
    "$caskade" region list 2>/dev/null |
        awk -v store="  $place/store  " 'index($0, store) { print $NF }' |
        xargs -r "$caskade" region drop
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

die() {
    echo "caskade-demo: $*" >&2
    exit 1
}

# ---- Numbers ----------------------------------------------------------------

now_us() {
    echo "${EPOCHREALTIME/./}"
}

# 1234567 -> 1,234,567
group() {
    echo "$1" | sed -E ':a; s/([0-9])([0-9]{3})($|,)/\1,\2\3/; ta'
}

# rate COUNT MICROSECONDS -> "1,234,567/s"
rate() {
    echo "$(group "$(awk -v n="$1" -v us="$2" \
        'BEGIN { printf "%.0f", n * 1e6 / (us > 0 ? us : 1) }')")/s"
}

# MICROSECONDS -> "1.23 s" or "4.5 ms"
duration() {
    awk -v us="$1" 'BEGIN {
        if (us >= 1e6) printf "%.2f s", us / 1e6
        else printf "%.1f ms", us / 1e3
    }'
}

# value NAME FILE: what follows NAME= in the file
value() {
    sed -n "s/^$1=//p" "$2"
}

# How many acknowledged writes a journal has: two entries of 16 bytes each.
acknowledged() {
    echo $(($(stat -c %s "$1" 2>/dev/null || echo 0) / 32))
}

# <journal> <count>: waits until more than that are acknowledged. On a busy
# machine the first can take seconds.
wait_for_more() {
    local second
    for ((second = 0; second < 60; second++)); do
        [ "$(acknowledged "$1")" -gt "$2" ] && return
        sleep 1
    done
    die "a writer acknowledges nothing more: $1"
}

step() {
    printf '\n%s\n' "$*"
}

# ---- The data ---------------------------------------------------------------

# Lines of path TAB package, with \ and TAB in a path written \\ and \t.
list_paths() {
    if compgen -G '/var/lib/dpkg/info/*.list' >/dev/null; then
        source='every path that dpkg knows, with its package'
        awk 'FNR == 1 {
                package = FILENAME
                sub(/.*\//, "", package)
                sub(/\.list$/, "", package)
                sub(/:.*/, "", package)
            }
            { gsub(/\\/, "&&"); gsub(/\t/, "\\t"); print $0 "\t" package }' \
            /var/lib/dpkg/info/*.list
    else
        source='every path below /usr, with its directory (there is no dpkg)'
        find /usr ! -name '*
*' 2>/dev/null |
            awk '{ path = $0; gsub(/\\/, "&&", path); gsub(/\t/, "\\t", path)
                split($0, part, "/"); print path "\t" part[3] }'
    fi
}

echo "Caskade $("$caskade" --version | cut -d ' ' -f 2) at work"
list_paths >"$work/paths.tsv" || die 'cannot list the paths of this machine'
lines=$(wc -l <"$work/paths.tsv")
[ "$lines" -gt 100 ] || die "only $lines paths on this machine"

# ---- 1: load ----------------------------------------------------------------

step "1. Load $source: $(group "$lines") lines"
start=$(now_us)
"$caskade" load "$store" "$work/paths.tsv" || die 'cannot load the paths'
load_us=$(($(now_us) - start))
loaded=$("$caskade" count "$store") || die 'cannot count the keys'
echo "   $(duration "$load_us"), $(rate "$lines" "$load_us");" \
    "$(group "$loaded") different paths (of several packages that share"
echo '   a directory, the last one stays)'

# ---- 2: look up -------------------------------------------------------------

step '2. Look paths up'
for path in /bin/sh /usr/bin/env /usr/share/doc /no/such/file; do
    printf '   caskade get store %-16s -> ' "$path"
    "$caskade" get "$store" "$path" 2>/dev/null || printf '(not found)'
    echo
done
"$client" lookup "$store" "$work/paths.tsv" >"$work/lookup" ||
    die "$(value wrong "$work/lookup") paths have the wrong package"
paths=$(value paths "$work/lookup")
lookup_us=$(value lookup_us "$work/lookup")
[ "$paths" = "$loaded" ] || die "$loaded keys in the store, $paths in the list"
echo "   all $(group "$paths") in random order: $(duration "$lookup_us")" \
    "($(rate "$paths" "$lookup_us")), every package right"

# ---- 3: many processes ------------------------------------------------------

step '3. Two processes overwrite and delete, a third reads, one is killed'
"$client" read "$store" "$work/paths.tsv" >"$work/read" &
reader=$!
"$client" write "$store" "$work/paths.tsv" "$work/journal1" 1 &
writer1=$!
"$client" write "$store" "$work/paths.tsv" "$work/journal2" 2 &
writer2=$!
pids=("$reader" "$writer1" "$writer2")

# Show every half second what the writers have done.
show() {
    printf '   %4s s   writer 1: %10s acknowledged   writer 2: %10s   %s\n' \
        "$(awk -v us=$(($(now_us) - start)) 'BEGIN { printf "%.1f", us/1e6 }')" \
        "$(group "$(acknowledged "$work/journal1")")" \
        "$(group "$(acknowledged "$work/journal2")")" "$1"
}
start=$(now_us)
half=$((seconds > 1 ? seconds / 2 : 1))
for ((i = 0; i < half; i++)); do
    sleep 1
    show ''
done
wait_for_more "$work/journal1" 0
wait_for_more "$work/journal2" 0
for pid in "${pids[@]}"; do
    kill -0 "$pid" 2>/dev/null || die 'one of the processes has failed'
done
kill -KILL "$writer1"
wait "$writer1" 2>/dev/null
at_kill=$(acknowledged "$work/journal2")
show '<- writer 1 got SIGKILL'
for ((i = half; i < seconds || i == half; i++)); do
    sleep 1
    show ''
done
wait_for_more "$work/journal2" "$at_kill"
after_kill=$(($(acknowledged "$work/journal2") - at_kill))
echo "   writer 2 went on: $(group "$after_kill") more writes acknowledged"

step '4. The store, while it is in use'
"$caskade" stat "$store" | sed 's/^./   &/' || die 'cannot show the store'

kill -TERM "$writer2"
wait "$writer2" || die 'writer 2 failed'
pids=("$reader")
run_us=$(($(now_us) - start))

# ---- 5: check ---------------------------------------------------------------

step '5. Compare the store with what the writers noted outside it'
check() {
    "$client" check "$store" "$work/paths.tsv" "$work/journal1" \
        "$work/journal2" >"$work/check"
    local status=$?
    [ -s "$work/check" ] || die 'the check could not be made'
    written=$(value acknowledged "$work/check")
    missing=$(value missing "$work/check")
    open_us=$(value open_us "$work/check")
    keys=$(value keys "$work/check")
    printf '   %-31s %s\n' "$1:" "opened in $(duration "$open_us"),\
 $(group "$written") acknowledged writes, $missing missing"
    return $status
}
check 'while the reader has it open'
failed=$?
first_missing=$missing
first_open_us=$open_us
kill -TERM "$reader"
wait "$reader"
reader_status=$?
pids=()
reads=$(value reads "$work/read")
check 'closed by all, opened again'
failed=$((failed + $?))
missing=$((missing + first_missing))
start=$(now_us)
"$caskade" verify "$store" >"$work/verify" || failed=$((failed + 1))
echo "   every checksum: $(cat "$work/verify")"

# ---- Summary ----------------------------------------------------------------

size=$(du -sk "$store" | cut -f 1)
step 'Summary'
cat <<END
   loaded         $(group "$lines") lines, $(rate "$lines" "$load_us")
   looked up      $(group "$paths") paths, $(rate "$paths" "$lookup_us") by one process
   written        $(group "$written") times, $(rate "$written" "$run_us"), by two processes, one killed
   read           $(group "$reads") times meanwhile, $(value wrong "$work/read") wrong; the longest of 16 took $(duration "$(value longest_us "$work/read")")
   opened         in $(duration "$first_open_us") while in use, in $(duration "$open_us") after all had closed it
   now holds      $(group "$keys") paths, $((size / 1024)) MiB on disk
   lost           $missing acknowledged writes missing
END
if [ "$failed" -ne 0 ] || [ "$reader_status" -ne 0 ] || [ "$missing" -ne 0 ]
then
    echo 'caskade-demo: FAILED, see above' >&2
    exit 1
fi
