"""What the scripts named check-* share: files, C text without comments,
violations and exemptions.

An exemption is a line of scripts/exemptions.txt:

    <warning> <path>[:<item>] <reason>

It silences the warning for the whole file, or for one item in it (a function,
an included name, a symbol). One that silences nothing is itself an error, so
the list never outlives its reasons.
"""

import os
import re
import subprocess
import sys

EXEMPTIONS = "scripts/exemptions.txt"


def default_root():
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def parse_root(argv):
    """--root <directory> for the self-test; returns (root, other arguments)."""
    if len(argv) >= 2 and argv[0] == "--root":
        return argv[1], argv[2:]
    return default_root(), argv


def project_files(root):
    """Paths relative to root: what git knows or would take, else all."""
    # A file in a work tree of `git worktree`.
    if os.path.exists(os.path.join(root, ".git")):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"],
            cwd=root, check=True, capture_output=True).stdout.decode()
        paths = [path for path in listed.split("\0") if path]
    else:
        paths = [os.path.relpath(os.path.join(top, name), root)
                 for top, _, names in os.walk(root) for name in names]
    return sorted(path for path in set(paths)
                  if os.path.isfile(os.path.join(root, path)))


def c_files(root, *directories):
    return [path for path in project_files(root)
            if path.endswith((".c", ".h", ".cc"))
            and (not directories or path.split("/")[0] in directories)]


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8",
              errors="surrogateescape") as file:
        return file.read()


TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def blank_comment(match):
    return blank(match) if match.group().startswith("/") else match.group()


def code_of(text):
    """The text with comments, strings and characters blanked; same lines."""
    return TOKEN.sub(blank, text)


def without_comments(text):
    return TOKEN.sub(blank_comment, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class Report:
    """Collects violations, prints them, and knows the exemptions."""

    def __init__(self, root, *warnings):
        self.warnings = warnings
        self.found = 0
        self.exempt = {}
        path = os.path.join(root, EXEMPTIONS)
        if os.path.exists(path):
            self.load(read(root, EXEMPTIONS))

    def load(self, text):
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            words = line.split(None, 2)
            if words[0] not in self.warnings:
                continue
            if len(words) < 3:
                self.violation(words[0], EXEMPTIONS, number,
                               "an exemption needs a reason")
                continue
            self.exempt[(words[0], words[1])] = [number, False]

    def violation(self, warning, path, line, text, item=None):
        for place in (path, "%s:%s" % (path, item)):
            if (warning, place) in self.exempt:
                self.exempt[(warning, place)][1] = True
                return
        self.found += 1
        print("%s:%d: [%s] %s" % (path, line, warning, text))

    def finish(self):
        for (warning, place), (number, used) in sorted(self.exempt.items()):
            if not used:
                self.found += 1
                print("%s:%d: [%s] nothing to exempt at %s; remove the line"
                      % (EXEMPTIONS, number, warning, place))
        sys.exit(1 if self.found else 0)
