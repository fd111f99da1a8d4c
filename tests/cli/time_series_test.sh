#!/bin/bash
# A series of measurements in a tree: one process loads it, three others look at
# the newest, at prefixes and at ranges, and see what was loaded at once; the
# loader is killed and goes on; what is old goes, and gives its space back; what
# was built offline comes in. What the hash engine says to all that.
. "$(dirname "$0")/cli.sh"

SENSORS=20
ROWS=2000 # of a chunk: 100 points in time
CHUNKS=30

# chunk N: its lines; keys are ordered by time, then by sensor.
chunk() {
    awk -v first=$(($1 * ROWS)) -v rows=$ROWS -v sensors=$SENSORS 'BEGIN {
        for (i = first; i < first + rows; i++)
            printf "t%07d/s%02d\t%0100d\n", i / sensors, i % sensors, i
    }'
}

# load_from N: the chunks from N on, each noted when it was acknowledged.
load_from() {
    local n
    for ((n = $1; n < CHUNKS; n++)); do
        chunk "$n" >chunk.tsv
        "$caskade" load store chunk.tsv >/dev/null || return
        echo "$n" >>acknowledged
    done
}

acknowledged() {
    tail -n 1 acknowledged
}

# watch_it NAME OPTION...: scan until the loader has ended. Each scan has all
# that was acknowledged before it, and is in order.
watch_it() {
    local name=$1 want last
    shift
    while [ ! -e ended ]; do
        want=$((($(acknowledged) + 1) * ROWS / SENSORS - 1))
        "$caskade" scan --keys "$@" store >"$name.out" || return
        sort -c "$name.out" || return
        last=$(tail -n 1 "$name.out")
        [[ ! "$last" < "$(printf 't%07d/s%02d' $want $((SENSORS - 1)))" ]] ||
            return
        echo >>"$name.scans"
    done
}

expect 0 create --engine tree store
expect 0 config store memtable_bytes=1MiB
load_from 0 &
loader=$!
while [ ! -s acknowledged ]; do sleep 0.01; done
watch_it newest --from t0000050 &
watchers=$!
watch_it prefix --prefix t &
watchers="$watchers $!"
watch_it range --from t0000010 --to u &
watchers="$watchers $!"

# The loader and what it runs are killed in the middle of a chunk, and it goes on
# behind what was acknowledged.
while [ "$(acknowledged)" -lt 8 ]; do sleep 0.01; done
kill -STOP $loader
pkill -KILL -P $loader
kill -KILL $loader
wait $loader 2>/dev/null
load_from $(($(acknowledged) + 1))
touch ended
for pid in $watchers; do
    wait "$pid" || fail "a scan missed what was acknowledged, or its order"
    checks=$((checks + 1))
done
for name in newest prefix range; do
    [ -s $name.scans ] || fail "$name: no scan"
done
for ((n = 0; n < CHUNKS; n++)); do chunk $n; done >all.tsv
expect 0 scan store
same out all.tsv

# The first five sixths go by one record, and their space comes back; the newest
# segment of the log stays.
runs() {
    cat store/*.run | wc -c
}
expect 0 merge --all --wait store
full=$(runs)
expect 0 delete-range --to t0002500 store
expect 0 scan --to t0002500 store
output_is ''
expect 0 count store
output_is "$((ROWS * CHUNKS / 6))\n"
expect 0 merge --all --wait store
left=$(runs)
checks=$((checks + 1))
[ $((left * 5)) -lt "$full" ] || fail "$full bytes before, $left afterwards"
awk '$1 >= "t0002500"' all.tsv >rest.tsv
expect 0 scan store
same out rest.tsv

# Built elsewhere, taken in while the store is open.
chunk 40 >new.tsv
expect 0 run build new.run new.tsv
expect 0 ingest store new.run
cat rest.tsv new.tsv >with.tsv
expect 0 scan store
same out with.tsv
expect 0 verify store

# The same on the hash engine: it says what it cannot do, and which can.
expect 0 create plain
expect 0 load plain rest.tsv
for command in 'scan plain' 'delete-range --to t0002500 plain' \
    'ingest plain new.run'; do
    # shellcheck disable=SC2086 # words
    expect 2 $command
    error_says 'tree'
done
expect 0 count plain
output_is "$((ROWS * CHUNKS / 6))\n"
expect 0 convert --engine tree plain ordered
expect 0 scan ordered
same out rest.tsv
finish
