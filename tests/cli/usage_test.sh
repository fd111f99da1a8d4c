#!/bin/bash
# Wrong usage: exit status 2, one line that says what to do.
. "$(dirname "$0")/cli.sh"

expect 2
error_says 'caskade help'
expect 2 frobnicate
error_says "no command 'frobnicate'"
expect 2 help frobnicate

for command in create put get delete exists count load dump list stat \
    verify sync shell; do
    expect 2 "$command"
    error_says "usage: caskade $command "
    expect 2 "$command" --no-such-option store
    error_says "'--no-such-option'.*caskade $command --help"
done
expect 2 verify --damage serve store
grep -q KEY err && fail 'verify has no KEY'
expect 2 get store -key
error_says 'put -- before a KEY'
expect 2 put store
expect 2 put store key value more
error_says 'too many words'
expect 2 get store
expect 2 get store a b
expect 2 count store b
expect 2 config
error_says "missing; usage: caskade config \\[OPTION...\\] DIR \\[KEY\\], or: caskade config \\[OPTION...\\] DIR KEY=VALUE...$"
expect 2 config --reset store
error_says 'usage: caskade config .*, or: caskade config '
expect 2 region
error_says 'region drop|drop PATH'
expect 2 region list more
expect 2 region drop
expect 2 region drop --orphans path
expect 2 region frobnicate

# Options with a wrong argument name what would be right.
expect 2 put --ttl soon store key value
error_says '500ms'
expect 2 put --ttl 0 store key value
expect 2 put --ttl
error_says "'--ttl'.*lacks its argument"
expect 2 put --sync always store key value
error_says 'none, interval or commit'
expect 2 put --io uring store key value
error_says 'map or pread'
expect 2 get --damage ignore store key
error_says 'fail or serve'
expect 2 put --timeout 2h store key value
error_says 'at most 1h'
expect 2 load --batch 0 store
expect 2 load --batch many store
expect 2 load --format csv store
error_says 'tsv, jsonl or hex'
expect 2 dump --format csv store
expect 2 stat --watch=0 store
expect 2 list --read-only --linger store
expect 2 put --read-only store key value
expect 2 shell --read-only --exclusive store

# A newline in an argument does not make two lines.
expect 1 get 'no
store' key
is "$(wc -l <err)" 1 'number of lines'

# Things that are no stores.
expect 2 put '' key value
error_says 'DIR is empty'
echo text >file
expect 2 put file key value
error_says 'file: is not a directory'
mkdir other
echo text >other/document
expect 2 put other key value
error_says 'other: .*choose another directory'
expect 1 get other key
expect 5 put missing/parent key value
error_says 'missing/parent'

# Nothing of all this made a store.
[ ! -e store ] || fail 'wrong usage made a store'

# Sizes that the library refuses.
head -c 65536 /dev/zero | tr '\0' k >long
expect 2 put store "$(cat long)" value
expect 0 put store "$(head -c 65535 long)" value
expect 0 get store "$(head -c 65535 long)"
output_is 'value'

finish
