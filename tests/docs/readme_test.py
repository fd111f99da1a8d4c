#!/usr/bin/env python3
"""The README keeps its word.

    readme_test.py commands | example

commands: every command of its ```console blocks is run, in one shell, and must
print what stands below it; "..." stands for any text within a line.
example: its C program is examples/hello.c, letter by letter, and compiles and
runs by the commands below it, with what the README says about a library that
is installed in an unusual place; so does examples/series.c.

Stores are made in a temporary directory; /tmp/store means one in there.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ["CASK_SOURCE_DIR"]
END = "--end of the command--"


def fail(text):
    print("FAILED:", text)
    sys.exit(1)


def blocks(language):
    with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
        return re.findall(r"^```%s\n(.*?)^```$" % language, file.read(),
                          re.M | re.S)


def steps(block):
    """Pairs of a command and the lines that it must print."""
    result = []
    for line in block.splitlines():
        if line.startswith("$ "):
            result.append((line[2:], []))
        else:
            result[-1][1].append(line)
    return result


def agrees(expected, printed):
    pattern = "\n".join(".*".join(map(re.escape, line.split("...")))
                        for line in expected)
    return re.fullmatch(pattern, "\n".join(printed)) is not None


class Shell:
    """One bash, so that $! and wait work from one command to the next."""

    def __init__(self, directory):
        environment = dict(os.environ, LC_ALL="C", PATH="%s:%s" % (
            os.path.dirname(os.environ["CASK_BIN"]), os.environ["PATH"]))
        self.bash = subprocess.Popen(
            ["bash", "--norc"], stdin=subprocess.PIPE, cwd=directory,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=environment, start_new_session=True)

    def run(self, command):
        self.bash.stdin.write("%s\necho '%s'\n" % (command, END))
        self.bash.stdin.flush()
        printed = []
        for line in self.bash.stdout:
            if line.rstrip("\n") == END:
                return printed
            printed.append(line.rstrip("\n"))
        fail("the shell ended at: " + command)

    def close(self):
        self.bash.stdin.write("kill -9 $(jobs -p) 2>/dev/null\n")
        self.bash.stdin.close()
        self.bash.stdout.read()
        self.bash.wait()


def test_commands(directory):
    """What the README shows is what happens."""
    store = os.path.join(directory, "store")
    shell = Shell(directory)
    count = 0
    try:
        for block in blocks("console"):
            for command, expected in steps(block):
                printed = shell.run(command.replace("/tmp/store", store))
                printed = [line.replace(store, "/tmp/store")
                           for line in printed]
                if not agrees(expected, printed):
                    fail("%s\nexpected:\n%s\nprinted:\n%s" % (
                        command, "\n".join(expected), "\n".join(printed)))
                count += 1
    finally:
        shell.close()
    status = os.stat(store)
    region = "/dev/shm/caskade-%x-%x-" % (status.st_dev, status.st_ino)
    if glob.glob(region + "*"):
        fail("shared memory of the store is left")
    if count < 10:
        fail("only %d commands found in README.md" % count)
    print("ok: %d commands" % count)


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        fail("%s\n%s%s" % (" ".join(command), done.stdout, done.stderr))
    return done.stdout


def example_commands():
    """The indented lines behind the C program: compile it, run it."""
    with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
        behind = file.read().split("```c\n")[1].split("```\n")[1]
    commands = re.match(r"\n((?:    .*\n)+)", behind)[1].split("\n")[:-1]
    if len(commands) != 2:
        fail("not two commands behind the C program: %s" % commands)
    return [command.strip() for command in commands]


def test_example(directory):
    """The C program in the README is a file that builds and runs."""
    source = os.path.join(SOURCE, "examples", "hello.c")
    with open(source, encoding="utf-8") as file:
        if blocks("c") != [file.read()]:
            fail("the C program in README.md is not examples/hello.c")
    prefix = os.path.join(directory, "prefix")
    run("cmake", "--install", os.environ["CASK_BUILD_DIR"],
        "--prefix", prefix)
    libraries = [top for top, _, names in os.walk(prefix)
                 if "libcaskade.so" in names]
    tools = os.path.join(directory, "tools")
    os.mkdir(tools)
    os.symlink(shutil.which(os.environ["CC"]), os.path.join(tools, "cc"))
    shutil.copy(source, directory)
    environment = dict(
        os.environ, PATH=tools + ":" + os.environ["PATH"],
        PKG_CONFIG_PATH=os.path.join(libraries[0], "pkgconfig"),
        LD_LIBRARY_PATH=libraries[0])
    commands = example_commands()
    for command in [*commands, commands[-1]]:
        printed = run("sh", "-c", command, cwd=directory, env=environment)
        if printed != ("hello\n" if command == commands[-1] else ""):
            fail("%s\nprinted: %s" % (command, printed))
    flags = run("pkg-config", "--cflags", "caskade", env=environment).split()
    run(os.environ["CC"], "-std=c11", "-Wall", "-Wextra", "-Wpedantic",
        "-Werror", "-fsyntax-only", source, *flags)
    series = os.path.join(SOURCE, "examples", "series.c")
    flags = run("pkg-config", "--cflags", "--libs", "caskade",
                env=environment).split()
    run(os.environ["CC"], "-std=c11", "-Wall", "-Wextra", "-Wpedantic",
        "-Werror", series, "-o", "series", *flags, cwd=directory)
    printed = run("./series", cwd=directory, env=environment)
    if printed != "01:57 13689\n01:58 13924\n01:59 14161\n60 left\n":
        fail("series.c printed: %s" % printed)
    print("ok: the examples")


def main():
    test = {"commands": test_commands, "example": test_example}[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix="caskade-readme-") as directory:
        test(directory)


main()
