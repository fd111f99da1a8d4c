#!/bin/bash
# What the system refuses is told in one line that says what to do.
. "$(dirname "$0")/cli.sh"
regions=$work/regions
mkdir "$regions"

# A file larger than 'ulimit -f' allows: an error, no signal. What was loaded
# before is there.
seq 200000 | awk '{ print $1 "\t" $1 $1 $1 $1 $1 $1 $1 $1 $1 $1 }' >many.tsv
limited() (
    ulimit -f "$1"
    shift
    expect 5 "$@"
    exit "$failures"
)
expect 0 put --region-dir "$regions" limited first value
limited 3000 load --region-dir "$regions" limited many.tsv ||
    failures=$((failures + 1))
error_says 'File too large'
expect 0 get --region-dir "$regions" limited first
output_is value
expect 0 verify limited

# The demo's client ignores the signal as well.
client=${CASK_BUILD_DIR:?give the build directory}/bin/caskade-demo
expect 0 load demo-store many.tsv
(
    ulimit -f 10000
    timeout 60 "$client" write demo-store many.tsv journal 1 >out 2>err
)
is $? 1 'status of the demo client at the limit'
error_says 'File too large'

# A directory above it is missing.
expect 5 put none/x/y key value
error_says 'none/x/y; make the one above it first: No such file or directory$'

# Something else is in the place of a file of the store. Its name is in the
# message, although "sy" is also in "symbolic".
for file in CASKADE LOCK MANIFEST; do
    expect 0 put --region-dir "$regions" sy key value
    mv "sy/$file" moved
    ln -s ../moved "sy/$file"
    expect 5 put --region-dir "$regions" sy key value
    error_says "^caskade: .*sy.*: Too many levels of symbolic links; move the "
    error_says "$file: Too many"
    rm "sy/$file"
    mkfifo "sy/$file"
    expect 5 put --region-dir "$regions" sy key value
    error_says "^caskade: .*sy.*$file: it is no plain file; move it away$"
    rm -r sy
done
ln -s circle circle
expect 5 get circle key
error_says 'symbolic links; move'

# What may not be read; root may read all.
if [ "$(id -u)" -ne 0 ]; then
    expect 0 put --region-dir "$regions" closed key value
    chmod 0 closed/CASKADE
    expect 5 get --region-dir "$regions" closed key
    error_says 'closed/CASKADE: Permission denied; check the permissions'
fi

expect 1 region drop "$regions/none"
error_says 'none: no such region; caskade region list shows them$'

finish
