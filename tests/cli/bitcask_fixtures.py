#!/usr/bin/env python3
"""Directories as Riak's Bitcask leaves them, and what is to be read from each.

Unlike the kinds of bitcask_files.py, which are made record by record, most of
these come from a writer that does what Bitcask's does: it rolls files over,
puts a tombstone before a put whose old version is in an older file, and knows
what it has deleted. Then one thing happens to the files, which the name tells.
All bytes are the same each time.

    bitcask_fixtures.py make DIR    make DIR/NAME/db and DIR/NAME/expected.tsv
                                    of each: lines of hexadecimal key TAB value
    bitcask_fixtures.py same DIR    write again what Bitcask itself wrote into
                                    DIR, and compare every byte
"""

import os
import random
import struct
import sys

from bitcask_files import MARK, File, T0, damaged, hint, newest, record, \
    tombstone, trailer, write_expected


class Writer:
    """Sessions of Bitcask, each with a file of its own or several."""

    def __init__(self, seed, first_id=1, max_file_size=1 << 31):
        self.rng = random.Random(seed)
        self.max_file_size = max_file_size
        self.next_id = first_id
        self.files = []
        self.home = {}  # key: id of the file with its value
        self.now = T0

    def session(self):
        self.files.append(File(self.next_id))
        self.next_id += 1

    def append(self, key, value):
        size = len(record(key, value))
        if len(self.files[-1].data) + size > self.max_file_size:
            self.session()
        self.now += len(self.files[-1].rows) % 3 == 0
        self.files[-1].add(key, value, self.now)

    def put(self, key, value=None):
        if value is None:
            value = self.rng.randbytes(self.rng.randint(1, 80))
        if self.home.get(key, self.files[-1].id) < self.files[-1].id:
            self.append(key, tombstone(2, self.home[key]))
        self.append(key, value)
        self.home[key] = self.files[-1].id

    def delete(self, key):
        if key in self.home:  # else nothing is written
            self.append(key, tombstone(2, self.home.pop(key)))


def key(number):
    return b"key%05d" % number


def base():
    """One file; most of what follows is done to it."""
    writer = Writer(1)
    writer.session()
    for i in range(200):
        writer.put(key(i))
    writer.delete(key(10))
    writer.put(key(199), b"the last record of the file")
    return writer.files[0]


def three_sessions():
    writer = Writer(2)
    writer.session()
    for i in range(300):
        writer.put(key(i))
    writer.session()
    for i in range(100):
        writer.put(key(i), b"second-%d" % i)
    for i in range(100, 150):
        writer.delete(key(i))
    writer.session()
    writer.delete(b"absent")
    for i in range(50, 75):
        writer.put(key(i), b"third-%d" % i)
    writer.delete(key(299))
    writer.put(key(299), b"back")
    writer.delete(key(298))
    return writer.files


# ---- Fixtures: each returns its files, and what is not to be read from them --

def base1():
    return [base()], {}


def missing_hint():
    file = base()
    file.hint_kind = "none"
    return [file], {}


def hint_no_trailer():
    file = base()
    file.hint_kind = "unfinished"
    return [file], {}


def corrupt_hint():
    file = base()
    file.hint_kind = "damaged"
    return [file], {}


def truncated_hint():
    return [base()], {"after": cut_hint}


def cut_hint(directory):
    path = os.path.join(directory, "1.bitcask.hint")
    os.truncate(path, os.path.getsize(path) - 30)


def crash_kill9():
    """The writer was killed: no trailer, and its lock stays."""
    writer = Writer(3)
    writer.session()
    for i in range(100):
        writer.put(key(i))
    writer.delete(key(50))
    writer.files[0].hint_kind = "unfinished"
    return writer.files, {"after": leave_lock}


def stale_lock():
    return [base()], {"after": leave_lock}


def leave_lock(directory):
    """Of a process that is dead: no process has this number."""
    path = os.path.join(directory, "bitcask.write.lock")
    with open(path, "w") as out:
        out.write("4999999 /nowhere/1.bitcask.data\n")
    os.chmod(path, 0o600)


def flipped(file, number, place):
    """One bit of the record of a key; place: from its begin, or its end."""
    offset, size, *_ = file.rows[number]
    file.data[offset + place % size] ^= 0x40
    return {"is_whole": damaged(file, offset, size)}


def flip_value():
    file = base()
    return [file], flipped(file, 100, -5)


def flip_value_nohint():
    file = base()
    file.hint_kind = "none"
    return [file], flipped(file, 100, -5)


def flip_keysize_nohint():
    """Bitcask skips what the size claims, and loses half of the file."""
    file = base()
    file.hint_kind = "none"
    return [file], flipped(file, 100, 9)


def crc_limit_nohint():
    """Bitcask gives up after 20 checksums that are wrong."""
    file = base()
    file.hint_kind = "none"
    for number in range(20, 45):
        flipped(file, number, 15)
    begin, end = file.rows[20][0], file.rows[45][0]
    return [file], {"is_whole": damaged(file, begin, end - begin)}


def torn(hint_kind, left):
    """`left` bytes of the last record are there."""
    file = base()
    file.hint_kind = hint_kind
    offset, size, *_ = file.rows[-1]
    del file.data[offset + left % size:]
    return [file], {"is_whole": damaged(file, offset, size)}


def torn_tail_hint():
    return torn("sound", -5)


def torn_tail_nohint():
    return torn("none", -5)


def torn_header_nohint():
    return torn("none", 9)


def overwritten_deleted():
    return three_sessions(), {}


def pending_delete():
    """The first file was merged, and waits to be unlinked."""
    files = three_sessions()
    return files, {"ignored": files[0],
                   "after": lambda directory: os.chmod(
                       os.path.join(directory, "1.bitcask.data"), 0o645)}


def merged():
    """A merge keeps the newest of each key, in a file with a new id."""
    files = three_sessions()
    content = newest(files)
    output = File(4)
    for file in files:
        for _, _, name, value, when in file.rows:
            if content.get(name) == value:
                output.add(name, value, when)
    return [output], {}


def multi_file():
    writer = Writer(4, max_file_size=2000)
    writer.session()
    for i in range(300):
        writer.put(key(i))
    for i in range(0, 300, 5):
        writer.put(key(i), b"new%d" % i)
    for i in range(1, 300, 9):
        writer.delete(key(i))
    return writer.files, {}


def plain():
    writer = Writer(5)
    writer.session()
    for i in range(1000):
        writer.put(key(i), b"" if i % 10 == 0 else None)
    for i in range(100):
        writer.put(writer.rng.randbytes(i % 9 + 1))
    writer.put(b"", b"value of the empty key")
    writer.put(b"k" * 65535, b"value of the longest key")
    writer.put(b"large", writer.rng.randbytes(200000))
    return writer.files, {}


def tombstones_v0_v1():
    first, second = File(1), File(2)
    for i in range(10):
        first.add(b"k%d" % i, b"v%d" % i)
    for i in range(3):
        second.add(b"k%d" % i, tombstone(i, 1))
    second.add(b"k3", MARK + b"Z")  # Bitcask takes it for one, too
    first.hint_kind = second.hint_kind = "none"
    return [first, second], {}


def value_like_tombstone():
    writer = Writer(6)
    writer.session()
    writer.put(b"x", MARK + b" is how it begins")
    writer.put(b"y", b"ok")
    writer.put(b"z", MARK[:-1])
    return writer.files, {}


FIXTURES = (
    base1, corrupt_hint, crash_kill9, crc_limit_nohint, flip_keysize_nohint,
    flip_value, flip_value_nohint, hint_no_trailer, merged, missing_hint,
    multi_file, overwritten_deleted, pending_delete, plain, stale_lock,
    tombstones_v0_v1, torn_header_nohint, torn_tail_hint, torn_tail_nohint,
    truncated_hint, value_like_tombstone)


def make(directory):
    for fixture in FIXTURES:
        files, what = fixture()
        place = os.path.join(directory, fixture.__name__)
        content = newest([file for file in files
                          if file is not what.get("ignored")],
                         what.get("is_whole", lambda file, row: True))
        os.makedirs(os.path.join(place, "db"))
        for file in files:
            file.write(os.path.join(place, "db"))
        what.get("after", lambda directory: None)(os.path.join(place, "db"))
        write_expected(os.path.join(place, "expected.tsv"), content)


# ---- Whether it writes as Bitcask does ---------------------------------------

def again(data):
    """The same records, and their hints, written anew."""
    records, hints, offset = b"", b"", 0
    while offset < len(data):
        _, when, key_size, value_size = struct.unpack_from(">IIHI", data,
                                                           offset)
        end = offset + 14 + key_size + value_size
        name = data[offset + 14:offset + 14 + key_size]
        value = data[offset + 14 + key_size:end]
        records += record(name, value, when)
        hints += hint(name, when, end - offset, offset, value.startswith(MARK))
        offset = end
    return records, hints + trailer(hints)


def same(directory):
    count = 0
    for name in sorted(os.listdir(directory)):
        if name.endswith(".data"):
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                data = file.read()
            with open(path[:-len("data")] + "hint", "rb") as file:
                hints = file.read()
            assert (data, hints) == again(data), path
            count += 1
    assert count > 0, directory


def main():
    {"make": make, "same": same}[sys.argv[1]](sys.argv[2])


if __name__ == "__main__":
    main()
