#!/bin/bash
# stat --watch shows what happens now, whoever came first.
. "$(dirname "$0")/cli.sh"

# watched MEMBER: its values in all lines of the watch so far.
watched() {
    python3 - "$1" <<'END'
import json, sys
rows = [json.loads(line) for line in open("watched") if line.endswith("}\n")]
print(*[row[sys.argv[1]] for row in rows if sys.argv[1] in row])
END
}
# until CONDITION...: wait until it holds.
until_true() {
    for ((i = 0; i < 100; i++)); do
        "$@" && return
        sleep 0.1
    done
    fail "never: $*"
}
shows() {
    watched "$1" | tr ' ' '\n' | grep -qx -- "$2"
}

# The watch begins when nobody has the store open; then a writer comes.
expect 0 put store first value
"$caskade" stat --watch=100ms --json store >watched 2>err &
watcher=$!
until_true shows private_index True
mkfifo pipe
"$caskade" load store pipe &
exec 3<>pipe
seq 1000 | sed 's/$/\tvalue/' >&3
until_true shows puts 1000
until_true shows private_index False
shows handle_count 2 || fail "handles: $(watched handle_count | tail -c 60)"
# What was counted before the watch joined is not a rate.
python3 - <<'END' || fail 'rates against the counters of another index'
import json
rows = [json.loads(line) for line in open("watched") if line.endswith("}\n")]
joined = [row["private_index"] for row in rows].index(False)
assert "per_s" not in rows[0] and "per_s" not in rows[joined], rows[joined]
assert all("per_s" in row for row in rows[1:joined]), rows[:joined]
END

# It goes, and another one comes.
exec 3>&-
wait $!
expect 0 put store last value
until_true shows key_count 1002
kill -TERM $watcher
wait $watcher
is $? 0 'status of a watch that was interrupted'
is "$(cat err)" '' 'what the watch says on standard error'

finish
