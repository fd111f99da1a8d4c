#!/bin/bash
# With sync=commit every answer comes after a sync of the segment that took the
# record, and the first answer of a new file after a sync of its directory:
# proven by the order of system calls.
#
#   commit_test.sh <program>    see commit_program.c
set -u
program=$1
if ! command -v strace >/dev/null || ! strace -o /dev/null true 2>/dev/null; then
    echo "SKIPPED: no strace, or it is not allowed here"
    exit 77
fi
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
status=0
# A leak check cannot run under strace.
export ASAN_OPTIONS=detect_leaks=0
for append in pwrite map; do
    strace -f -y -s 16 -o "$directory/trace" \
        -e trace=write,pwrite64,pwritev,fsync,fdatasync,openat \
        "$program" "$directory/store-$append" "$append" >/dev/null || exit 1
    python3 - "$directory/trace" "$append" <<'PYTHON' || status=1
import re
import sys

trace, append = sys.argv[1:]
call = re.compile(r"^\d+\s+(\w+)\((.*)$")
unsynced = set()   # files with writes that no sync followed
unnamed = set()    # files created and their directory not synced
used = set()       # files that took a record: a prepared one took none
answers = 0
created = 0
last_synced = None
problems = []
pending = {}

for line in open(trace, errors="replace"):
    # Put the two halves of an interrupted line together.
    pid = line.split(None, 1)[0]
    if line.rstrip().endswith("<unfinished ...>"):
        pending[pid] = line.rstrip()[: -len("<unfinished ...>")]
        continue
    resumed = re.match(r"^\d+\s+<\.\.\. \w+ resumed>(.*)$", line)
    if resumed:
        line = pending.pop(pid, pid + " ") + resumed.group(1)
    found = call.match(line)
    if not found:
        continue
    name, rest = found.groups()
    if name == "openat" and "O_CREAT" in rest:
        path = re.search(r"= \d+<(.*)>$", rest)
        if path and path.group(1).endswith(".log"):
            unnamed.add(path.group(1))
            created += 1
        continue
    path = re.match(r"\d+<([^>]*)>", rest)
    path = path.group(1) if path else ""
    if name in ("pwrite64", "pwritev") and path.endswith(".log"):
        # The footer of a full segment is information: nobody waits for it.
        # The header of the next one is written in the background, ahead of
        # its use.
        if '"CASKEND' not in rest and '"CASKSEG' not in rest:
            unsynced.add(path)
            used.add(path)
    elif name in ("fsync", "fdatasync") and rest.rstrip().endswith("= 0"):
        if path.endswith(".log"):
            if path not in unnamed:
                used.add(path)  # mapped records show by their sync only
            unsynced.discard(path)
            last_synced = path
        unnamed = {f for f in unnamed if f.rsplit("/", 1)[0] != path}
    elif name == "write" and '"answer-' in rest:
        answers += 1
        if unsynced:
            problems.append(f"answer {answers} before a sync of {unsynced}")
        if unnamed & used:
            problems.append(f"answer {answers} before {unnamed} had a name")
        if last_synced is None:
            problems.append(f"answer {answers} without a sync")
        last_synced = None
for problem in problems[:5]:
    print(f"{append}: {problem}")
print(f"{append}: {answers} answers, {created} new segments")
sys.exit(0 if not problems and answers == 40 and created > 4 else 1)
PYTHON
done
exit $status
