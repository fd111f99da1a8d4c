#!/bin/bash
# Each command does what its manual page says, with the exit status it says.
. "$(dirname "$0")/cli.sh"

# put makes the store; get gives the bytes and nothing else.
expect 0 put store key value
output_is ''
expect 0 get store key
output_is 'value'
expect 0 put store key 'new value'
expect 0 get store key
output_is 'new value'
expect 1 get store other
output_is ''
error_says 'no such key'

# Empty key, empty value, words that look like options.
expect 0 put store '' ''
expect 0 get store ''
output_is ''
expect 0 put store -- -k -v
expect 0 get store -- -k
output_is '-v'

# The value from standard input, byte by byte.
head -c 300000 /dev/urandom >bytes
"$caskade" put store blob <bytes || fail 'put from standard input'
expect 0 get store blob
same out bytes
printf '' | "$caskade" put store nothing || fail 'put of nothing'
expect 0 get store nothing
output_is ''

# Keys and values with escapes.
expect 0 put --escapes store 'a\x00b\t' 'NUL \x00\n'
expect 0 get -e store 'a\x00\x62\t'
output_is 'NUL \0\n'
expect 2 get -e store 'a\q'
error_says 'backslash'

# exists, count, delete.
expect 0 exists store key
output_is ''
expect 1 exists store other
expect 1 exists store key other
expect 0 exists store key ''
expect 0 count store
output_is '6\n'
expect 0 delete store key
expect 1 delete store key
error_says 'no such key'
expect 1 delete store '' other blob
expect 0 count store
output_is '3\n'
expect 1 exists store blob

# Conditions and expiry.
expect 0 put --if-absent store lock 1
expect 1 put --if-absent store lock 2
error_says 'nothing was written'
expect 0 get store lock
output_is '1'
expect 0 put --ttl 300ms store brief x
expect 0 put --ttl 1h store lasting x
sleep 0.4
expect 1 get store brief
expect 0 get store lasting
expect 0 put --if-absent store brief again

# ttl, expire, persist.
expect 0 ttl store lasting
output_says '^59m 5[0-9]s$'
expect 0 ttl --ms store lasting
output_says '^35[0-9]{5}$'
expect 0 ttl store lock
output_is 'never\n'
expect 0 expire --ttl 2d store lock
expect 0 ttl store lock
output_says '^(2d|1d 23h)$'
expect 0 get store lock
output_is '1'
expect 0 persist store lock
output_is ''
expect 0 ttl -e store 'l\x6fck'
output_is 'never\n'
expect 0 expire --at 2100-03-01T00:00:00Z store lock
expect 0 dump --format jsonl store
output_says '"lock".*"expires_at_ms":4107542400000[,}]'
expect 0 expire --at 1000 store lock
for command in ttl persist 'expire --ttl 1h'; do
    # shellcheck disable=SC2086
    expect 1 $command store lock
    error_says "no such key; 'caskade list store' shows the keys"
done
expect 2 expire store lasting
error_says 'either --ttl DURATION or --at TIME'
expect 2 expire --ttl 1h --at 1 store lasting
expect 2 expire --ttl 0 store lasting
for at in 0 2100-02-29T00:00:00Z 2030-1-1T00:00:00Z 2030-01-01 tomorrow; do
    expect 2 expire --at "$at" store lasting
    error_says 'is no time; give one like 2030-01-31T23:59:00Z'
done

# create.
expect 0 create --engine hash made
expect 0 count made
output_is '0\n'
expect 2 create made
error_says 'made'
expect 0 create --mode 640 shared
is "$(find shared -name '*.log' -perm 640 | grep -c .)" \
    "$(find shared -name '*.log' | grep -c .)" 'number of segments of mode 640'
(umask 077 && "$caskade" create --mode 660 group) || fail 'create --mode 660'
is "$(find group ! -type d ! -perm 660 | wc -l)" 0 'files not of mode 660'
is "$(stat -c %a group)" 770 'mode of the directory'
expect 2 create --engine btree other
expect 2 create --mode 9 other
for mode in 0 400 066 ''; do
    expect 2 create --mode "$mode" other
    error_says 'the owner.*use 600 to 777'
done
[ ! -e other ] || fail 'a refused create made a directory'

# sync.
expect 0 sync store
output_is ''

# Commands that read do not make a store.
for command in get exists delete ttl persist; do
    expect 1 "$command" nowhere key
    error_says "no store here; make one with 'caskade create nowhere', if nothing else is there"
done
for command in count dump list stat sync verify; do
    expect 1 "$command" nowhere
done
[ ! -e nowhere ] || fail 'a command that reads made a directory'

finish
