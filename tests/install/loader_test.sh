#!/bin/bash
# The loader is told of a library that was installed where it looks, and only
# then. Not the machine's own: ldconfig and id are scripts of this test.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
update=$CASK_SOURCE_DIR/scripts/update-loader.sh
mkdir -p "$work/bin" "$work/build" "$work/prefix/lib" "$work/other/lib"
ln -s prefix "$work/link"
echo 'CMAKE_INSTALL_LIBDIR:PATH=lib' >"$work/build/CMakeCache.txt"
cat >"$work/bin/ldconfig" <<END
#!/bin/sh
if [ \$# -gt 0 ]; then
    echo "/usr/no/such: (from x:1)"
    echo "$work/prefix/lib: (from x:2)"
    echo "	libcaskade.so.0 -> libcaskade.so.0.1.0"
    exit
fi
echo updated >>"$work/calls"
END
# shellcheck disable=SC2016 # expanded when it runs
printf '#!/bin/sh\necho "${ID:-0}"\n' >"$work/bin/id"
chmod +x "$work/bin/ldconfig" "$work/bin/id"
export PATH=$work/bin:$PATH

# expect <calls> <what> <command>...: ldconfig runs so often.
expect() {
    local want=$1 what=$2 output calls
    shift 2
    : >"$work/calls"
    output=$("$@" 2>&1) || {
        echo "FAILED: $what: status $?" >&2
        exit 1
    }
    calls=$(wc -l <"$work/calls")
    if [ "$calls" -ne "$want" ] || [ -n "$output" ]; then
        echo "FAILED: $what: $calls calls, output: $output" >&2
        exit 1
    fi
    echo "ok: $what"
}

unset DESTDIR
expect 1 'a directory of the loader' "$update" "$work/build" "$work/prefix"
expect 1 'the same, through a link' "$update" "$work/build" "$work/link"
expect 0 'another directory' "$update" "$work/build" "$work/other"
expect 0 'one that is not there' "$update" "$work/build" "$work/none"
expect 0 'without root' env ID=1000 "$update" "$work/build" "$work/prefix"
expect 0 'staged' env DESTDIR=/stage "$update" "$work/build" "$work/prefix"
expect 1 'not staged, as make says it' env DESTDIR= \
    "$update" "$work/build" "$work/prefix"
echo "CMAKE_INSTALL_LIBDIR:PATH=$work/prefix/lib" >"$work/build/CMakeCache.txt"
expect 1 'an absolute directory' "$update" "$work/build" "$work/other"

# make install ends with it.
make -n -C "$CASK_SOURCE_DIR" install PREFIX=/a/prefix |
    grep -q 'update-loader.sh .*build.* .*/a/prefix' || {
    echo 'FAILED: make install does not update the loader' >&2
    exit 1
}
echo 'ok: make install'
