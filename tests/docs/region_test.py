#!/usr/bin/env python3
"""The offsets in docs/format/region.md are those of the compiler.

Every table whose first heading is the name of a struct in region_layout.h, or
in memtable_layout.h, is compared: its first column with offsetof() of the field
that the row names.
"""

import os
import re
import subprocess
import sys

SOURCE = os.environ["CASK_SOURCE_DIR"]
TABLE = re.compile(r"^\| `((?:region_|memtable)\w*)` \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.M)
ROW = re.compile(r"^\| (\d+) \|[^`]*`([\w.]+)`")


def main():
    path = os.path.join(SOURCE, "docs", "format", "region.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    program = ['#include <stddef.h>', '#include "region/region_layout.h"',
               '#include "tree/memtable_layout.h"']
    fields = 0
    for struct, rows in TABLE.findall(text):
        for row in rows.splitlines():
            match = ROW.match(row)
            if not match:
                sys.exit("FAILED: no offset and field in: " + row)
            offset, field = match.groups()
            program.append(
                '_Static_assert(offsetof(%s, %s) == %s, "%s.%s");'
                % (struct, field, offset, struct, field))
            fields += 1
    if fields < 60:
        sys.exit("FAILED: only %d fields found" % fields)
    done = subprocess.run(
        [os.environ["CC"], "-std=c11", "-fsyntax-only", "-x", "c",
         "-I" + os.path.join(SOURCE, "src"),
         "-I" + os.path.join(SOURCE, "include"), "-"],
        input="\n".join(program) + "\n", capture_output=True, text=True)
    wrong = re.findall(r'static assertion failed: "(.*?)"', done.stderr)
    if done.returncode != 0:
        sys.exit("FAILED: " + (", ".join(wrong) or done.stderr))
    print("ok: %d offsets" % fields)


main()
