#!/usr/bin/env python3
"""Directories as Riak's Bitcask writes them, whole and damaged.

It shares no code with the program: records, hints and trailers are made from
the description of the format. Used by the tests of import and export.

    bitcask_files.py KIND DIR EXPECTED   make a directory of a kind below, and
                                         what is to be read from it: lines of
                                         hexadecimal key TAB value
    bitcask_files.py check DIR           check every byte of an exported
                                         directory and print what it holds
    bitcask_files.py fuzz PROGRAM COUNT  import COUNT random directories with
                                         random damage (CASK_TEST_SEED)
"""

import os
import random
import re
import shutil
import struct
import subprocess
import sys
import time
import zlib

MARK = b"bitcask_tombstone"
TRAILER_OFFSET = (1 << 63) - 1
T0 = 0x6B00D891


def record(key, value, when=T0):
    rest = struct.pack(">IHI", when, len(key), len(value)) + key + value
    return struct.pack(">I", zlib.crc32(rest)) + rest


assert record(b"k1", b"v1").hex() == "e574fa8c6b00d891000200000002" \
    "6b317631"


def tombstone(style, file_id=1):
    """The value of a tombstone of that style."""
    if style == 0:
        return MARK
    return MARK + str(style).encode() + struct.pack(">I", file_id)


def hint(key, when, size, offset, dead):
    return struct.pack(">IHIQ", when, len(key), size, offset |
                       (1 << 63 if dead else 0)) + key


def trailer(hints):
    return struct.pack(">IHIQ", 0, 0, zlib.crc32(hints), TRAILER_OFFSET)


class File:
    """One data file with its hints, in memory."""

    def __init__(self, file_id):
        self.id = file_id
        self.data = bytearray()
        self.hints = bytearray()
        self.rows = []  # (offset, size, key, value, when)
        self.hint_kind = "sound"

    def add(self, key, value, when=T0):
        bytes_ = record(key, value, when)
        self.rows.append((len(self.data), len(bytes_), key, value, when))
        self.hints += hint(key, when, len(bytes_), len(self.data),
                           value.startswith(MARK))
        self.data += bytes_

    def hint_bytes(self):
        if self.hint_kind == "sound":
            return self.hints + trailer(self.hints)
        if self.hint_kind == "unfinished":
            return self.hints
        if self.hint_kind == "damaged":
            broken = bytearray(self.hints + trailer(self.hints))
            broken[len(broken) // 2] ^= 4
            return bytes(broken)
        return None

    def write(self, directory, mode=0o644):
        names = {"data": bytes(self.data), "hint": self.hint_bytes()}
        for name, content in names.items():
            if content is None:
                continue
            path = os.path.join(directory, "%d.bitcask.%s" % (self.id, name))
            with open(path, "wb") as out:
                out.write(content)
            os.chmod(path, mode)


def newest(files, is_whole=lambda file, row: True,
           knows_deletion=lambda file, row: False):
    """The content: {key: value} of the newest whole version of each key."""
    content = {}
    for file in sorted(files, key=lambda file: file.id):
        for row in file.rows:
            _, _, key, value, _ = row
            if is_whole(file, row) or (value.startswith(MARK) and
                                       knows_deletion(file, row)):
                if value.startswith(MARK):
                    content.pop(key, None)
                else:
                    content[key] = value
    return content


def write_expected(path, content):
    with open(path, "w") as out:
        for key in sorted(content):
            out.write("%s\t%s\n" % (key.hex(), content[key].hex()))


# ---- Kinds -----------------------------------------------------------------

def numbered(file_id=1, count=200):
    """Records of a few sizes, one key overwritten, one deleted."""
    file = File(file_id)
    for i in range(count):
        file.add(b"key%05d" % i, b"value %d " % i * (1 + i % 7), T0 + i)
    file.add(b"key00007", b"newer", T0 - 100)
    file.add(b"key00008", tombstone(2), T0)
    return file


def damaged(file, offset, size):
    """A test whether a record lies outside of the damage."""
    def is_whole(of, row):
        return of is not file or row[0] + row[1] <= offset or \
            row[0] >= offset + size
    return is_whole


def plain():
    file = numbered()
    file.add(b"", b"value of the empty key")
    file.add(b"empty value", b"")
    file.add(bytes(range(256)), bytes(range(255, -1, -1)))
    file.add(b"k" * 65535, b"long key")
    file.add(b"large", b"0123456789" * 40000)
    file.add(b"no time", b"v", 0)
    return [file], {}


def no_hint():
    file = numbered()
    file.hint_kind = "none"
    return [file], {}


def unfinished_hint():
    file = numbered()
    file.hint_kind = "unfinished"
    return [file], {}


def damaged_hint():
    file = numbered()
    file.hint_kind = "damaged"
    return [file], {}


def foreign_hint():
    """A sound hint file that tells of other keys at the same places."""
    file, other = numbered(), File(1)
    for _, size, key, value, when in file.rows:
        other.add(b"x" + key[1:], value, when)
    file.hints = other.hints
    return [file], {}


def many_files():
    """Ids beyond 9; the order is not that of the names, nor of the times."""
    files = []
    for i in range(1, 14):
        file = File(i)
        file.add(b"all", b"of file %d" % i, T0 - i)
        file.add(b"in %d" % (i % 5), b"of file %d" % i, T0 + i % 3)
        files.append(file)
    files[12].hint_kind = "none"
    return files, {}


def tombstones():
    first, second = File(1), File(2)
    for style in (0, 1, 2):
        first.add(b"dies %d" % style, b"v")
        first.add(b"returns %d" % style, b"v")
        second.add(b"dies %d" % style, tombstone(style), T0 - 1000)
        second.add(b"returns %d" % style, tombstone(style))
        second.add(b"returns %d" % style, b"new")
    first.hint_kind = second.hint_kind = "none"
    return [first, second], {}


def value_like_tombstone():
    file = File(1)
    file.add(b"a", b"1")
    file.add(b"lost", MARK + b" is how this value begins")
    file.add(b"b", b"2")
    return [file], {}


# The failures of bitcask.md, by number.

def failure_1_deleted_key():
    """The value's file has no sound hint, the tombstone's has."""
    first, second = numbered(1), File(2)
    first.hint_kind = "unfinished"
    for i in range(0, 200, 3):
        second.add(b"key%05d" % i, tombstone(2, 1))
    return [first, second], {}


def failure_2_torn_in_the_middle():
    """A torn record, and tombstones that were appended behind it."""
    file = numbered()
    torn = record(b"key00100", b"x" * 300)[:200]
    offset = len(file.data)
    file.data += torn
    for i in range(20, 30):
        file.add(b"key%05d" % i, tombstone(2))
    file.hint_kind = "none"
    return [file], {"damage": [(offset, len(torn))]}


def failure_3_size():
    """A bit of a size is flipped, so that it reaches the next record's end."""
    file = File(1)
    for i in range(200):
        file.add(b"key%05d" % i, b"v" * (128 - 14 - 8))
    file.data[128 * 100 + 13] ^= 0x80
    file.hint_kind = "none"
    return [file], {"damage": [(128 * 100, 128)],
                    "is_whole": damaged(file, 128 * 100, 128)}


def failure_3_many():
    """More than 20 damaged records in a row."""
    file = numbered()
    begin = file.rows[20][0]
    for offset, *_ in file.rows[20:60]:
        file.data[offset + 16] ^= 1
    end = file.rows[60][0]
    file.hint_kind = "none"
    return [file], {"damage": [(begin, end - begin)],
                    "is_whole": damaged(file, begin, end - begin)}


def failure_9_only_tombstones():
    file = File(1)
    for i in range(1000):
        file.add(b"key%05d" % i, tombstone(2, 1))
    return [file], {}


def failure_12_newest():
    """The newest version is damaged, as a sound hint shows; one older is not,
    another does not exist, and the deletion of a third key is damaged too."""
    first, second = File(1), File(2)
    first.add(b"older", b"old")
    first.add(b"deleted", b"old")
    second.add(b"older", b"new")
    second.add(b"only", b"v")
    second.add(b"deleted", tombstone(2, 1))
    second.add(b"whole", b"v")
    for offset, size, *_ in second.rows[:3]:
        second.data[offset + size - 1] ^= 1
    bad = second.rows[:3]
    return [first, second], {
        "is_whole": lambda file, row: row not in bad,
        "knows_deletion": lambda file, row: True}


def torn_tail():
    """Of the last record, which its hint knows, an end is missing."""
    file = numbered()
    offset, size, *_ = file.rows[-1]
    del file.data[offset + size - 5:]
    return [file], {"damage": [(offset, size)],
                    "is_whole": damaged(file, offset, size),
                    "knows_deletion": lambda file, row: True}


def cut_between_records():
    """Whole records are missing at the end, which the hints know."""
    file = numbered()
    gone = file.rows[-3:]
    del file.data[gone[0][0]:]
    return [file], {"damage": [row[:2] for row in gone],
                    "is_whole": lambda file, row: row not in gone,
                    "knows_deletion": lambda file, row: True}


def cut_to_nothing():
    """Nothing is left but the hints."""
    file = File(1)
    file.add(b"gone", b"v")
    file.data.clear()
    return [file], {"damage": [file.rows[0][:2]],
                    "is_whole": lambda file, row: False}


def torn_header():
    file = numbered()
    offset, size, *_ = file.rows[-1]
    del file.data[offset + 9:]
    file.hint_kind = "none"
    return [file], {"damage": [(offset, 9)],
                    "is_whole": damaged(file, offset, size)}


def many_keys():
    """So many that few versions of all are old, whatever is beside them: then
    they are imported in order."""
    file = File(100)
    for i in range(45000):
        file.add(b"many %d" % i, b"value %d " % i * 8)
    return file


def many_lean():
    """Few old versions, few tombstones: imported in order."""
    first, second = many_keys(), File(101)
    for i in range(1000):
        second.add(b"many %d" % (i * 3), b"newer")
    for i in range(1000):
        second.add(b"many %d" % (i * 5 + 1), tombstone(2, 100))
    second.add(b"many 6", b"newest")
    second.add(b"", b"value of the empty key")
    second.add(b"large", b"0123456789" * 100000)
    return [first, second], {}


def many_damaged():
    """The same, with damaged tombstones: the hints know of them, and of what
    follows them, damaged or not."""
    first, second = many_keys(), File(101)
    second.add(b"many 1", tombstone(2, 100))
    second.add(b"many 2", tombstone(2, 100))
    second.add(b"many 3", tombstone(2, 100))
    second.add(b"many 4", b"newer")
    second.add(b"many 2", b"put again")
    second.add(b"many 3", b"put again, damaged")
    bad = [second.rows[i] for i in (0, 1, 2, 3, 5)]
    for offset, size, *_ in bad:
        second.data[offset + size - 1] ^= 1
    second.add(b"last", b"v")
    return [first, second], {
        "is_whole": lambda file, row: row not in bad,
        "knows_deletion": lambda file, row: True}


def many_foreign():
    """A damaged record, of which hints of other data say that it deletes a key;
    that they are wrong shows later."""
    first, second, other = many_keys(), File(101), File(102)
    other.add(b"many 7", tombstone(2, 100))
    other.add(b"x", b"v")
    second.add(b"gone 7", b"0" * len(tombstone(2, 100)))
    second.add(b"y", b"v")
    bad = second.rows[0]
    second.data[bad[1] - 1] ^= 1
    second.hints = other.hints
    return [first, second], {"is_whole": lambda file, row: row != bad}


def many_old():
    """Nine of ten versions are old: only the newest are written."""
    file = File(1)
    for i in range(50000):
        file.add(b"many %d" % (i % 5000), b"value %d" % i)
    return [file], {}


def make(kind, directory, expected):
    files, what = globals()[kind]()
    os.makedirs(directory)
    for file in files:
        file.write(directory)
    write_expected(expected, newest(
        files, what.get("is_whole", lambda file, row: True),
        what.get("knows_deletion", lambda file, row: False)))
    for offset, size in what.get("damage", []):
        print("offset %d: %d bytes" % (offset, size))


# ---- Checking what was exported ----------------------------------------------

def check(directory):
    """Everything that Bitcask would, and that nothing else is there."""
    names = set(os.listdir(directory))
    content = {}
    for i in range(1, len(names) // 2 + 1):
        data_name, hint_name = ("%d.bitcask.%s" % (i, kind)
                                for kind in ("data", "hint"))
        names -= {data_name, hint_name}
        with open(os.path.join(directory, data_name), "rb") as file:
            data = file.read()
        with open(os.path.join(directory, hint_name), "rb") as file:
            hints = file.read()
        mode = os.stat(os.path.join(directory, data_name)).st_mode & 0o7777
        assert mode & 0o4001 == 0, "marked for deletion"
        offset, expected = 0, b""
        while offset < len(data):
            crc, when, key_size, value_size = \
                struct.unpack_from(">IIHI", data, offset)
            end = offset + 14 + key_size + value_size
            assert end <= len(data), "torn"
            assert crc == zlib.crc32(data[offset + 4:end]), "crc"
            key = data[offset + 14:offset + 14 + key_size]
            value = data[offset + 14 + key_size:end]
            assert key not in content and not value.startswith(MARK)
            content[key] = (value, when)
            expected += hint(key, when, end - offset, offset, False)
            offset = end
        assert hints == expected + trailer(expected), "hints"
    assert not names, names
    for key in sorted(content):
        print("%s\t%s\t%d" % (key.hex(), content[key][0].hex(),
                              content[key][1]))


# ---- Random directories ------------------------------------------------------

def random_files(rng):
    files = []
    keys = [rng.randbytes(rng.choice((0, 1, 3, 8, 16, 40)))
            for _ in range(rng.randint(1, 60))]
    same_size = rng.random() < 0.3
    for file_id in sorted(rng.sample(range(1, 30), rng.randint(1, 4))):
        file = File(file_id)
        for _ in range(rng.randint(0, 80)):
            size = 50 if same_size else \
                rng.choice((0, 1, 10, 50, 200, 1000, 3000))
            value = rng.randbytes(size) if rng.random() < 0.8 else \
                tombstone(rng.randint(0, 2), rng.randint(1, 5))
            file.add(rng.choice(keys), value, rng.randint(1, 2 ** 32 - 1))
        file.hint_kind = rng.choice(("sound", "sound", "none", "unfinished",
                                     "damaged"))
        files.append(file)
    return files


def damage(rng, file):
    """Change the data in place; returns the ranges that are not whole."""
    ranges = []
    for _ in range(rng.choice((0, 1, 1, 2, 5, 20))):
        size = len(file.data)
        if size == 0:
            break
        at = rng.randrange(size)
        kind = rng.random()
        if kind < 0.6 and file.rows:
            # Headers are where it hurts.
            row = rng.choice(file.rows)
            at = min(size - 1, row[0] + rng.randrange(14)) \
                if rng.random() < 0.5 else at
            file.data[at] ^= 1 << rng.randrange(8)
            ranges.append((at, at + 1))
        elif kind < 0.85:
            end = min(size, at + rng.choice((1, 20, 100, 2000)))
            before = bytes(file.data[at:end])
            fill = bytes([rng.choice((0, 255, rng.randrange(256)))])
            file.data[at:end] = fill * (end - at)
            # What happens to be the same is not damaged.
            ranges += [(at + i, at + i + 1) for i in range(end - at)
                       if before[i] != file.data[at + i]]
        else:
            del file.data[at:]
            ranges.append((at, 1 << 60))
    return ranges


def import_directory(program, work, source):
    store = os.path.join(work, "store")
    shutil.rmtree(store, ignore_errors=True)
    done = subprocess.run([program, "import", "--sync", "none", "bitcask",
                           source, store], capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr)
    dump = subprocess.run([program, "dump", "--format", "hex", store],
                          capture_output=True, text=True, check=True)
    got = {}
    for line in dump.stdout.splitlines():
        key, value = line.split("\t")
        got[bytes.fromhex(key)] = bytes.fromhex(value)
    return got, done.stdout, done.stderr


def check_content(got, want):
    assert got == want, {
        "lost": [key.hex() for key in want if key not in got][:5],
        "wrong": [key.hex() for key in got if key in want and
                  got[key] != want[key]][:5],
        "returned": [key.hex() for key in got if key not in want][:5]}


def stale_keys(notes):
    """Of how many keys the newest value is said to be damaged."""
    told = re.search(r"of (\d+) keys the newest value", notes)
    return int(told.group(1)) if told else 0


def fuzz_once(rng, program, work, beside=None):
    source = os.path.join(work, "source")
    shutil.rmtree(source, ignore_errors=True)
    os.makedirs(source)
    files = random_files(rng)
    ranges = {}
    for file in files:
        pristine = bytes(file.data)
        ranges[file.id] = damage(rng, file)
        # Two flips of a bit undo each other.
        ranges[file.id] = [r for r in ranges[file.id] if r[1] == 1 << 60 or
                           r[0] >= len(file.data) or
                           pristine[r[0]] != file.data[r[0]]]
        file.write(source)

    def is_whole(file, row):
        return all(row[0] + row[1] <= begin or row[0] >= end
                   for begin, end in ranges[file.id])

    def knows_deletion(file, row):
        return file.hint_kind == "sound"

    want = newest(files, is_whole, knows_deletion)
    got, said, notes = import_directory(program, work, source)
    check_content(got, want)
    # Of records that were cut off wholly only hints can tell.
    undamaged = all(is_whole(file, row) for file in files
                    for row in file.rows if row[0] < len(file.data) or
                    file.hint_kind == "sound")
    assert said.endswith("; no damage\n") == undamaged, said
    if beside is not None:
        beside.write(source)
        want.update((row[2], row[3]) for row in beside.rows)
        got, said, other_notes = import_directory(program, work, source)
        check_content(got, want)
        assert said.startswith("%s key" % format(len(want), ",")), said
        assert said.endswith("; no damage\n") == undamaged, said
        assert stale_keys(other_notes) == stale_keys(notes), \
            (notes, other_notes)


def fuzz(program, count, beside=None):
    seed = int(os.environ.get("CASK_TEST_SEED") or time.time_ns() % 2 ** 32)
    print("CASK_TEST_SEED=%d" % seed)
    for i in range(count):
        work = os.path.join(os.getcwd(), "fuzz")
        try:
            fuzz_once(random.Random(seed + i), program, work, beside)
        except Exception:
            print("round %d; alone: CASK_TEST_SEED=%d ... 1" % (i, seed + i))
            raise
    print("%d directories" % count)


def main():
    if sys.argv[1] == "check":
        check(sys.argv[2])
    elif sys.argv[1] == "fuzz":
        fuzz(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "fuzz-many":
        fuzz(sys.argv[2], int(sys.argv[3]), many_keys())
    else:
        make(*sys.argv[1:4])


if __name__ == "__main__":
    main()
