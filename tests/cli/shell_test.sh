#!/bin/bash
# The shell: from a pipe, and on a terminal with history and completion.
. "$(dirname "$0")/cli.sh"

run_shell() {
    "$caskade" shell "$@" >out 2>err
    status=$?
}

run_shell store <<'END'
# a comment
put greeting hello
put "two words" 'and "quotes"'
put a\x00b\t "\xff\n"
put "" ""
put -- --ttl x
get greeting
get "two words"
get a\x00b\t
get ""
exists greeting
count
delete greeting
list
list two
END
is $status 0 'status of the shell'
is "$(cat err)" '' 'errors of the shell'
cat >want <<'END'
hello
and "quotes"
\xff\n

yes
5
1 of 1 deleted
two words
a\x00b\t

--ttl
two words
END
same out want
expect 0 get -e store 'a\x00b\t'
output_is '\0377\n'

# Errors name the line; the shell goes on and exits with the first status.
run_shell store <<'END'
get nothing
frobnicate
put x
put "x
put --if-absent "" y
put --ttl never x y
exists nothing
count
quit
count
END
is $status 1 'status after errors'
cat >want <<'END'
no
4
END
same out want
is "$(wc -l <err)" 6 'number of errors'
for line in 1 2 3 4 5 6; do
    error_says "^caskade: store: line $line: "
done

# Options of the shell's put.
run_shell store <<'END'
put --ttl 200ms brief x
put --if-absent --ttl 1h lasting y
exists brief
END
is $status 0 'status of put with options'
sleep 0.3
expect 1 exists store brief
expect 0 exists store lasting

# Read-only.
run_shell --read-only store <<'END'
get ""
put a b
refresh
END
is $status 5 'status of a put in a read-only shell'
error_says 'line 2: .*read-only'
run_shell --read-only nowhere </dev/null
is $status 1 'status of a read-only shell without a store'

# ttl, expire, persist.
run_shell store <<'END'
put lasting x
ttl lasting
expire lasting 1d
ttl lasting
persist lasting
ttl lasting
END
is $status 0 'status of times of expiry'
is "$(head -n 1 out) $(tail -n 1 out)" 'never never' 'ttl without expiry'
output_says '^(1d|23h 59m)$'
run_shell store <<'END'
expire lasting never
END
is $status 2 'status of no duration'
run_shell store <<'END'
ttl nothing
END
is $status 1 'status of no key'

# Commands of the program, on the store that is open, also if nobody else may
# write: what they print, their help and their errors are of the shell.
expect 0 create --engine tree ordered
printf 'k3\tnew\nk7\t7\n' >lines
expect 0 run build some.run lines
run_shell --exclusive ordered <<'END'
put k1 1
put k2 2
put k3 3
scan --from k2 --keys
delete-range --to k2
ingest some.run
config memtable_bytes=1MiB
config memtable_bytes
dump
count
sync
END
is $status 0 'status of commands of the program'
is "$(cat err)" '' 'errors of commands of the program'
cat >want <<'END'
k2
k3
deleted by one record: keys to before k2
took 1 run in: 2 records, 576 B
1MiB
k2	2
k3	new
k7	7
3
END
same out want
run_shell ordered <<'END'
scan --limit 0
scan more
scan --sync none
delete-range
ingest
ingest none.run
scan --prefix a\x00
config nonsense
END
is $status 2 'status after wrong commands of the program'
is "$(wc -l <err)" 8 'number of errors of commands of the program'
for line in 1 2 3 4 5 6 7 8; do
    error_says "^caskade: ordered: line $line: "
done
error_says '^caskade: ordered: line 8: no setting is called'
error_says "line 2: scan: too many words .*; usage: scan \\[OPTION...\\] $"
error_says "line 3: scan: option '--sync' is unknown.*; see 'scan --help'$"
error_says "line 5: ingest: something is missing; usage: ingest \\[OPTION...\\] FILE...$"
run_shell ordered <<'END'
help scan
scan --escapes --prefix '\x6b7'
END
is $status 0 'status of help for a command of the program'
output_says '^Usage: scan \[OPTION...\]'
output_says '^k7'
[ "$(grep -c -- '--sync\|--region-dir' out)" = 0 ] ||
    fail 'options of opening in the shell'
run_shell store <<'END'
scan
END
is $status 2 'status of a scan without order'
error_says 'line 1: .* has no order of keys; .*convert'

# help, stat, sync; every command is explained.
run_shell store <<'END'
help
help put
stat
sync
END
is $status 0 'status of help'
for command in put get delete exists ttl expire persist list count stat sync \
    scan delete-range ingest dump config merge backup refresh help quit; do
    output_says "^$command  *"
done
output_says '^keys  *[0-9]+$'

# On a terminal: prompt, completion, history of mode 0600.
cat >terminal.py <<'END'
import os, pty, re, select, signal, sys, time

signal.alarm(60)
# Behind a line feed: libedit may draw a prompt again while a line is typed.
PROMPT = rb"\n[^\n]*caskade> "
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "vt100"
    os.execv(sys.argv[1], [sys.argv[1], "shell", "store"])
seen = b""

def read_until(pattern):
    global seen
    end = time.monotonic() + 20
    while not re.search(pattern, seen):
        left = end - time.monotonic()
        assert left > 0, (pattern, seen)
        if select.select([fd], [], [], left)[0]:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                break
    match = re.search(pattern, seen)
    assert match, (pattern, seen)
    seen = seen[match.end():]

def type_keys(keys):
    os.write(fd, keys)

read_until(rb"(?s)'help' lists the commands.*?caskade> ")
type_keys(b"pu\tword typed\r")
read_until(rb"t word typed")
read_until(PROMPT)
type_keys(b"get nothing\r")
read_until(rb"caskade: store: no such key")
read_until(PROMPT)
type_keys(b"half a li\x03")      # Ctrl-C drops the line, not the shell
read_until(PROMPT)
type_keys(b"get word\r")
read_until(rb"typed")
read_until(PROMPT)
type_keys(b"\x10\x10\x10")       # Ctrl-P three times: back to the put
read_until(rb"put word typed")
type_keys(b"\x15")               # Ctrl-U clears the line
type_keys(b"exi\t\t")
read_until(rb"sts ")
type_keys(b"word\r")
read_until(rb"yes")
read_until(PROMPT)
type_keys(b" put secret x\r")    # begins with a blank: not remembered
read_until(PROMPT)
type_keys(b"\x04")
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
END
# libedit itself loses the name of an added function, 144 bytes.
ASAN_OPTIONS=detect_leaks=0 python3 terminal.py "$caskade" || fail 'the shell on a terminal'
is "$(stat -c %a history)" 600 'mode of the history file'
grep -q 'exists' history || fail 'the history is not saved'
grep -q 'secret' history && fail 'a line with a blank first is remembered'
expect 0 get store word
output_is 'typed'

finish
