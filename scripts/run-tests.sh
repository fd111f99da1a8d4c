#!/bin/bash
# Run the tests of a build directory and end with "N passed, N failed".
#
#   scripts/run-tests.sh <build directory> [argument of ctest]...
#
# Counts what cmocka counts; any other program is one test. A program that
# crashes or takes too long is one more failure. Skipped tests are listed.
set -u
cd "$(dirname "$0")/.."

build=$1
shift
launch=()
if grep -qs '^CASK_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
    # gcc 12's sanitizers cannot live with much address randomisation.
    if setarch -R true 2>/dev/null; then
        launch=(setarch -R)
    fi
    # A failed allocation is NULL, as without a sanitizer: tests ask for it.
    export ASAN_OPTIONS="allocator_may_return_null=1:${ASAN_OPTIONS:-}"
    export TSAN_OPTIONS="allocator_may_return_null=1:die_after_fork=0:${TSAN_OPTIONS:-}"
    export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
fi

results=$(mktemp)
trap 'rm -f "$results"' EXIT
set -o pipefail
"${launch[@]}" ctest --test-dir "$build" --output-on-failure \
    --no-tests=error --test-output-size-passed 1048576 \
    --test-output-size-failed 1048576 "$@" </dev/null 2>&1 | tee "$results"
status=$?

# First what cmocka counted, by the name of the test, from ctest's own log;
# then how each program ended, from what it printed.
awk '
    FNR == 1 { file++ }
    file == 1 && / Testing: / { name = $3 }
    file == 1 && /^\[  PASSED  \] [0-9]+ test/ { ok[name] += $4 }
    file == 1 && /^\[  FAILED  \] [0-9]+ test/ { bad[name] += $4 }
    file == 2 && / Test +#[0-9]+: / {
        sub(/^.* Test +#[0-9]+: /, "")
        if (/ Passed +[0-9]/) {
            passed += ($1 in ok) ? ok[$1] : 1
        } else if (/\*\*\*(Skipped|Not Run \(Disabled\))/) {
            skipped = skipped " " $1
        } else if (/\*\*\*/) {
            passed += ok[$1]
            failed += bad[$1] > 0 ? bad[$1] : 1
        }
    }
    END {
        if (skipped != "") {
            print "SKIPPED:" skipped
        }
        printf "%d passed, %d failed\n", passed, failed
    }
' "$build/Testing/Temporary/LastTest.log" "$results"
exit $status
