#!/bin/bash
# dump and load: any bytes come back in every format; bad lines are named; the
# lines before them are stored.
. "$(dirname "$0")/cli.sh"

# A store with every kind of bytes.
for byte in 00 01 09 0a 0d 1b 20 22 27 5c 7f 80 9b c3 ff; do
    expect 0 put -e store "key \\x$byte" "\\x$byte\\x$byte value"
done
expect 0 put store 'café' 'naïve ☃'
expect 0 put store '' ''
expect 0 put store 'empty value' ''
head -c 100000 /dev/urandom >bytes
"$caskade" put store bytes <bytes || fail 'put of random bytes'

expect 0 dump -f hex store
sort out >reference
is "$(wc -l <reference)" 19 'number of records'
for format in tsv jsonl hex; do
    expect 0 dump --format "$format" store
    cp out "dump.$format"
    is "$(wc -l <out)" 19 "number of lines of $format"
    for way in file input batch; do
        case $way in
        file) expect 0 load -f "$format" "$format.$way" "dump.$format" ;;
        input)
            "$caskade" load -f "$format" "$format.$way" <"dump.$format" ||
                fail "load of $format from standard input"
            ;;
        batch)
            expect 0 load --batch 7 -f "$format" "$format.$way" - \
                <"dump.$format"
            ;;
        esac
        expect 0 dump -f hex "$format.$way"
        sort out >got
        same got reference
    done
done

# tsv is text: no control characters, valid UTF-8.
if LC_ALL=C grep -q "$(printf '[\001-\010\013-\037\177]')" dump.tsv; then
    fail 'control characters in tsv'
fi
iconv -f UTF-8 -t UTF-8 dump.tsv >/dev/null || fail 'tsv is not UTF-8'
grep -q "$(printf '^café\tnaïve ☃$')" dump.tsv || fail 'tsv escapes letters'
python3 -c '
import base64, json, sys
for line in open("dump.jsonl", encoding="utf-8"):
    record = json.loads(line)
    assert ("key" in record) != ("key64" in record)
    assert ("value" in record) != ("value64" in record)
    if record.get("key") == "bytes":
        data = base64.b64decode(record["value64"], validate=True)
        assert data == open("bytes", "rb").read()
' || fail 'jsonl is not what it should be'

# list: the keys, in the same spelling.
expect 0 list -f hex store
cut -f 1 reference >want
sort out >got
same got want
expect 0 list store
output_says '^key \\x00$'

# Only jsonl carries the expiry.
expect 0 put --ttl 1h expiring key value
expect 0 dump -f jsonl expiring
cp out expiring.jsonl
output_says '"expires_at_ms":[0-9]{13}\}$'
for batch in 1 10; do
    expect 0 load --batch "$batch" -f jsonl "expiring.$batch" expiring.jsonl
    expect 0 dump -f jsonl "expiring.$batch"
    same out expiring.jsonl
done
expect 0 dump -f tsv expiring
output_is 'key\tvalue\n'

# Bad lines: which, why, and what is stored.
printf 'a\t1\nb\t2\nno tab here\nd\t4\n' >bad.tsv
for batch in 1 2 100; do
    expect 2 load --batch "$batch" "bad.$batch" bad.tsv
    error_says 'bad.tsv: line 3: not tsv: no TAB.*lines before it are stored'
    expect 0 dump "bad.$batch"
    output_is 'a\t1\nb\t2\n'
done
printf 'a\t1\n' >good.tsv
expect 2 load bad.more good.tsv bad.tsv
error_says 'bad.tsv: line 3'
printf '{"key":"a","value":"1"}\n{"key":"b","valeu":"2"}\n' >bad.jsonl
expect 2 load -f jsonl bad.json bad.jsonl
error_says 'bad.jsonl: line 2: not jsonl: a member other than'
printf 'a\tb\\q\n' | "$caskade" load bad.input 2>err
is $? 2 'status of a bad line on standard input'
error_says 'standard input: line 1'
{ head -c 65536 /dev/zero | tr '\0' k && printf '\tv\n'; } >long.tsv
for batch in 1 10; do
    cat good.tsv long.tsv >long
    expect 2 load --batch "$batch" "long.$batch" long
    error_says 'long: line 2'
    expect 0 count "long.$batch"
    output_is '1\n'
done

# Files that cannot be read, before the store is touched.
expect 5 load untouched good.tsv missing.tsv
error_says 'missing.tsv: cannot read it: No such file'
mkdir directory
expect 2 load untouched directory
[ ! -e untouched ] || fail 'a load of missing files made a store'

# No line feed at the end; nothing at all; lines longer than any buffer.
printf 'k\tv' | "$caskade" load last || fail 'load without line feed'
expect 0 get last k
output_is 'v'
expect 0 load nothing /dev/null
expect 0 count nothing
output_is '0\n'
{ printf 'big\t' && head -c 40000000 /dev/zero | tr '\0' v && echo; } >big.tsv
for batch in 1 10; do
    expect 0 load --batch "$batch" "big.$batch" big.tsv
    expect 0 dump "big.$batch"
    same out big.tsv
done

# Silent in a pipe, on both sides.
seq 200000 | sed 's/$/\tvalue/' >many.tsv
expect 0 load --batch 1000 many many.tsv
output_is ''
expect 0 dump many
is "$(sort out | cksum)" "$(sort many.tsv | cksum)" 'dump of many'

finish
