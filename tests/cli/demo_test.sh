#!/bin/bash
# The demo finds nothing missing, would find it if something were, and leaves
# nothing behind, whatever happens.
. "$(dirname "$0")/cli.sh"
source_dir=${CASK_SOURCE_DIR:?give the source directory}
client=${CASK_BUILD_DIR:?give the build directory}/bin/caskade-demo
export CASK_DEMO=$client
export TMPDIR=$work/tmp
mkdir tmp

# The demo runs the program through a script that notes how.
program=$caskade
cat >noting <<END
#!/bin/bash
echo "\$*" >>"$work/calls"
exec "$program" "\$@"
END
chmod +x noting
export CASK_BIN=$work/noting

"$source_dir/demo/demo.sh" 2 >out 2>err
is $? 0 'status of the demo'
is "$(cat err)" '' 'what the demo says on standard error'
output_says '^   lost +0 acknowledged writes missing$'
output_says 'got SIGKILL'
is "$(ls tmp)" '' 'files that the demo leaves behind'
region=$(sed -nE 's/^ *region +(\/.*)/\1/p' out)
[ -n "$region" ] || fail 'no region in the output'
[ ! -e "$region" ] || fail "the demo leaves $region behind"

# Interrupted in the middle of the part with many processes.
env --default-signal=INT "$source_dir/demo/demo.sh" 60 >shown 2>said &
pid=$!
for ((i = 0; i < 300; i++)); do
    grep -q ' 1\.[0-9] s ' shown && break
    sleep 0.1
done
expect 0 stat --json tmp/caskade-demo-*/store
region=$(sed -nE 's/.*"region_path":"([^"]*)".*/\1/p' out)
[ -e "$region" ] || fail "no region at '$region' in the middle of the demo"
kill -INT $pid
wait $pid
is $? 130 'status of the interrupted demo'
is "$(ls tmp)" '' 'files that the interrupted demo leaves behind'
[ ! -e "$region" ] || fail "the interrupted demo leaves $region behind"
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' >processes
is "$(grep -c "$TMPDIR" processes)" 0 'processes of the interrupted demo'

# It has removed the region of its own store, by its name, and no other.
grep -q '^region drop /' calls || fail 'the demo has dropped no region'
is "$(grep -c -- --orphans calls)" 0 'calls of the demo that drop any orphan'

# The check finds a write that was acknowledged and is missing.
seq 100 | sed 's/.*/\/path\/&\tpackage/' >paths
expect 0 load store paths
: >journal
"$client" check store paths journal >out || fail 'check of what was loaded'
output_says '^missing=0$'
entry() {
    # index 7, edit 1, a put, acknowledged or not: four little-endian words
    # shellcheck disable=SC2059 # an octal digit
    printf "\\7\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\$1\\0\\0\\0"
}
entry 0 >journal
"$client" check store paths journal >out || fail 'check of an edit begun'
output_says '^missing=0$'
entry 1 >>journal
"$client" check store paths journal >out && fail 'a missing write is not seen'
output_says '^missing=1$'
output_says '^acknowledged=1$'

# A value that nobody wrote, and one that came back, are found as well.
expect 0 put store /path/50 foreign
: >journal
"$client" check store paths journal >out && fail 'a wrong value is not seen'
expect 0 put store /path/50 package
expect 0 put store /path/foreign package
"$client" check store paths journal >out && fail 'a foreign key is not seen'
expect 0 delete store /path/foreign
expect 0 delete store /path/60
"$client" check store paths journal >out && fail 'a lost key is not seen'

finish
