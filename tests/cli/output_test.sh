#!/bin/bash
# Standard output that ends early or fails, and signals.
. "$(dirname "$0")/cli.sh"

seq 200000 | sed 's/$/\tvalue of that number/' >many.tsv
expect 0 load --batch 1000 store many.tsv

# A reader that has enough ends the command, quietly.
for command in 'dump' 'list' 'dump -f jsonl'; do
    # shellcheck disable=SC2086 # a command and its options
    { "$caskade" $command store 2>err; echo $? >status; } | head -n 1 >out
    is "$(cat status)" 141 "status of $command | head"
    is "$(cat err)" '' "what $command | head says"
    is "$(wc -l <out)" 1 'lines that head got'
done

# A full device is an error, also if only the last flush fails.
for command in 'get store 1' 'dump store' 'count store' 'stat store' \
    'stat --json store' 'verify store' 'help' 'put --help' '--version'; do
    # shellcheck disable=SC2086
    "$caskade" $command >/dev/full 2>err
    is $? 5 "status of $command on a full device"
    is "$(wc -l <err)" 1 "lines of $command on a full device"
    error_says '^caskade: cannot write the output.*No space left'
done
"$caskade" count store >&- 2>err
is $? 5 'status without standard output'
"$caskade" put store key value >&- 2>err
is $? 0 'status of put without standard output'

# A limit of file sizes is an error, not a death; it says what to raise.
expect 0 create limited
(ulimit -f 64 && exec "$caskade" put limited key value) 2>err
is $? 5 'status of a put that may not make files'
error_says "^caskade: .*File too large; raise the limit with 'ulimit -f'"
expect 1 get limited key

# SIGINT: load keeps what it stored and dies of the signal.
# (bash starts background commands with SIGINT ignored.)
mkfifo pipe
env --default-signal=INT "$caskade" load loaded pipe 2>err &
pid=$!
exec 3<>pipe
printf 'a\t1\nb\t2\nc' >&3
for ((i = 0; i < 100; i++)); do
    "$caskade" exists loaded b 2>/dev/null && break
    sleep 0.1
done
kill -INT $pid
wait $pid
is $? 130 'status of an interrupted load'
exec 3>&-
error_says 'interrupted; 2 lines stored'
expect 0 count loaded
output_is '2\n'

# stat --watch shows rates of a store in use and ends with 0 when interrupted.
"$caskade" load store pipe &
user=$!
exec 3<>pipe
echo 'later	value' >&3
for ((i = 0; i < 100; i++)); do
    "$caskade" exists store later 2>/dev/null && break
    sleep 0.1
done
timeout -s INT 2 "$caskade" stat --watch=200ms store >out 2>err
is "$(cat err)" '' 'what stat --watch says'
output_says '/s$'
[ "$(grep -c '^keys' out)" -ge 3 ] || fail 'stat --watch does not repeat'
env --default-signal=INT "$caskade" stat store --json --watch 200ms >out &
pid=$!
sleep 1
kill -INT $pid
wait $pid
is $? 0 'status of an interrupted watch'
python3 -c '
import json
lines = [json.loads(line) for line in open("out")]
assert len(lines) >= 2 and "per_s" not in lines[0] and "per_s" in lines[1]
' || fail 'stat --watch --json'
exec 3>&-
wait $user

# Progress on a terminal, wiped at the end; an error does not tear it.
cat >progress.py <<'END'
import os, pty, subprocess, sys, time

def run(lines, **more):
    master, slave = pty.openpty()
    child = subprocess.Popen([sys.argv[1], "load", "shown"],
                             stdin=subprocess.PIPE, stderr=slave, **more)
    os.close(slave)
    for line in lines:
        child.stdin.write(line)
        child.stdin.flush()
        time.sleep(0.1)
    child.stdin.close()
    status = child.wait()
    seen = b""
    while True:
        try:
            seen += os.read(master, 4096)
        except OSError:
            break
        if not seen:
            break
    return status, seen

status, seen = run([b"%d\tvalue\n" % i for i in range(12)])
assert status == 0, (status, seen)
assert b"\rloading " in seen and b"/s\x1b[K" in seen, seen
assert seen.endswith(b"\r\x1b[K"), seen
status, seen = run([b"%d\tvalue\n" % i for i in range(12)] + [b"bad\n"])
assert status == 2, (status, seen)
assert b"\r\x1b[Kcaskade: standard input: line 13: " in seen, seen
END
python3 progress.py "$caskade" || fail 'progress on a terminal'

finish
