#!/bin/bash
# Tell the loader of programs about an installed library, if it looks where
# that is: `make install` ends with this. Best effort, and quiet.
#
#   scripts/update-loader.sh <build directory> <prefix>
#
# Nothing is done for a staged installation (DESTDIR) or without root.
set -u
PATH=$PATH:/usr/sbin:/sbin

if [ -n "${DESTDIR:-}" ] || [ "$(id -u)" -ne 0 ]; then
    exit 0
fi
library_dir=$(sed -n 's/^CMAKE_INSTALL_LIBDIR:[A-Z]*=//p' "$1/CMakeCache.txt")
case $library_dir in
/*) ;;
*) library_dir=$2/$library_dir ;;
esac
while read -r directory; do
    if [ "$directory" -ef "$library_dir" ]; then
        ldconfig >/dev/null 2>&1
        break
    fi
done < <(ldconfig -v -N -X 2>/dev/null | sed -n 's/^\(\/[^:]*\):.*/\1/p')
exit 0
