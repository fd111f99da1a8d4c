#!/bin/sh
# The golden bytes against an encoder that shares no code with the library.
command -v python3 >/dev/null || {
    echo "skipped: needs python3"
    exit 77
}
here=$CASK_SOURCE_DIR/tests/format
exec python3 -B "$here/golden.py" check "$here/golden_bytes.h" \
    "$here/golden_lost.h" "$here/golden_run.h"
