#!/usr/bin/env python3
"""A second, independent encoder of Caskade's files.

It shares no code with the library: CRC-32C bit by bit, SipHash from the paper,
layouts as docs/format/ says. It builds one small store and a run, and compares
them with the literal bytes in golden_bytes.h and golden_run.h, which the C
tests compare with the codecs.

    golden.py check FILE...  compare them (golden_*.h); exit status 1: differs
    golden.py print          print the arrays of golden_*.h
    golden.py dump NAME      print one file as the documents show it
"""

import re
import struct
import sys

MASK = (1 << 64) - 1


def crc32c(data, crc=0):
    """CRC-32C (Castagnoli), reflected, one bit at a time."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def rotate(value, bits):
    return ((value << bits) | (value >> (64 - bits))) & MASK


def siphash128(key, data, c_rounds, d_rounds):
    """SipHash-c-d with 128 bits of output, as two words."""
    k0, k1 = key
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D ^ 0xEE,
         k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[2] = (v[2] + v[3]) & MASK
            v[1] = rotate(v[1], 13) ^ v[0]
            v[3] = rotate(v[3], 16) ^ v[2]
            v[0] = rotate(v[0], 32)
            v[2] = (v[2] + v[1]) & MASK
            v[0] = (v[0] + v[3]) & MASK
            v[1] = rotate(v[1], 17) ^ v[2]
            v[3] = rotate(v[3], 21) ^ v[0]
            v[2] = rotate(v[2], 32)

    whole = len(data) // 8 * 8
    tail = data[whole:].ljust(7, b"\0") + bytes([len(data) & 0xFF])
    for at in range(0, whole + 8, 8):
        word = int.from_bytes((data[:whole] + tail)[at:at + 8], "little")
        v[3] ^= word
        rounds(c_rounds)
        v[0] ^= word
    v[2] ^= 0xEE
    rounds(d_rounds)
    first = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    rounds(d_rounds)
    return first, v[0] ^ v[1] ^ v[2] ^ v[3]


def prove_primitives():
    """Published vectors: RFC 3720 B.4, and vectors.h of the SipHash authors."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    key = struct.unpack("<2Q", bytes(range(16)))
    assert struct.pack("<2Q", *siphash128(key, b"", 2, 4)).hex() == \
        "a3817f04ba25a8e66df67214c7550293"
    assert struct.pack("<2Q", *siphash128(key, b"\0", 2, 4)).hex() == \
        "da87c1d86b99af44347659119b22fc45"


# ---- The store --------------------------------------------------------------

UUID = bytes.fromhex("00112233445566778899aabbccddeeff")
HASH_KEY = struct.unpack("<2Q", bytes(range(16)))
CREATED_MS = 1700000000000
TIME_S = 1700000001
SEGMENT_ID = 0x2A
SEGMENT_NONCE = 0xA1A2A3A4A5A6A7A8
MANIFEST_NONCE = 0xB1B2B3B4B5B6B7B8
NEXT_NONCE = 0xC1C2C3C4C5C6C7C8
EXPIRES_MS = 1800000000000

PUT, DELETE, MARK, EXPIRES, MEMBER = 1, 2, 3, 0x40, 0x80
RANGE_DELETE, POINTER = 4, 5
RUN_NONCE = 0xD1D2D3D4D5D6D7D8
RUN_PREFIX_BYTES = 2


def sealed(covered):
    """A header or footer: what it covers, then the checksum."""
    return covered + struct.pack("<I", crc32c(covered))


def identity():
    return sealed(struct.pack("<8sII16s2QQ68x", b"CASKADE\n", 1, 1, UUID,
                              *HASH_KEY, CREATED_MS))


def record(offset, sequence, kind, key=b"", value=b"", expires=None,
           nonce=SEGMENT_NONCE):
    seed = struct.pack("<QQ", nonce, offset)
    body = b"" if expires is None else struct.pack("<Q", expires)
    body += key + value
    fields = struct.pack("<I7sBIH", TIME_S, sequence.to_bytes(7, "little"),
                         kind, len(value), len(key))
    crc = struct.pack("<I", crc32c(body + fields + seed))
    check = crc32c(crc + fields + seed)
    check = (check ^ check >> 16) & 0xFFFF
    whole = crc + fields + struct.pack("<H", check) + body
    return whole + bytes(-len(whole) % 8)


def records():
    """The records one after the other, and the offset of each."""
    whole, offsets = b"", []
    for sequence, kind, key, value, expires in (
            (1000, PUT, b"fruit", b"apple", None),
            (1001, PUT | EXPIRES | MEMBER, b"k", b"", EXPIRES_MS),
            (1002, DELETE, b"fruit", b"", None)):
        offsets.append(64 + len(whole))
        whole += record(offsets[-1], sequence, kind, key, value, expires)
    at = 64 + len(whole)
    offsets.append(at)
    whole += record(at, 1003, MARK, b"", struct.pack("<Q", at))
    return whole, offsets


def segment():
    header = sealed(struct.pack("<8sII16sQQQ4x", b"CASKSEG\n", 1, 1, UUID,
                                SEGMENT_ID, SEGMENT_NONCE, 0))
    body = header + records()[0]
    footer = sealed(struct.pack("<8sQQQQQQ4x", b"CASKEND\n", 3, 1000, 1002,
                                len(body), 1, SEGMENT_NONCE))
    return body + footer


def hint_row(key, offset, size, live, sequence, kind):
    place = offset // 8 << 21 | size // 8 << 1 | live
    return struct.pack("<2QQ7sB", *siphash128(HASH_KEY, key, 1, 3), place,
                       sequence.to_bytes(7, "little"), kind)


def hint():
    whole, offsets = records()
    rows = hint_row(b"fruit", offsets[0], 40, 1, 1000, PUT)
    rows += hint_row(b"k", offsets[1], 40, 1, 1001, PUT | EXPIRES | MEMBER)
    rows += hint_row(b"fruit", offsets[2], 32, 0, 1002, DELETE)
    key_check = siphash128(HASH_KEY, b"caskade hint", 1, 3)[0]
    # Of the lifetimes the longest: 5 units of 8 bytes.
    lifetimes = [0] * 22 + [-(-EXPIRES_MS // 1000), 5]
    header = struct.pack("<8sII16s5Q8Q24II12xI", b"CASKHINT", 1, TIME_S, UUID,
                         SEGMENT_ID, SEGMENT_NONCE, 64 + len(whole), 3,
                         key_check, 4, 1, len(whole), 1000, 1003, EXPIRES_MS,
                         EXPIRES_MS, 40, *lifetimes, TIME_S, crc32c(rows))
    return sealed(header) + rows


def edit(number, offset, kind, a=0, b=0, c=0, d=0):
    covered = struct.pack("<IQ4Q", kind, number, a, b, c, d)
    seed = struct.pack("<QQ", MANIFEST_NONCE, offset)
    return struct.pack("<I", crc32c(covered + seed)) + covered


def manifest():
    whole = sealed(struct.pack("<8sII16sQ20x", b"CASKMANI", 1, 1, UUID,
                               MANIFEST_NONCE))
    length = 64 + len(records()[0])
    for number, edited in enumerate((
            (1, SEGMENT_ID, SEGMENT_NONCE, 0, 1),
            (2, SEGMENT_ID, length, 1003, 0),
            (3, SEGMENT_ID + 1, 0, 1004),
            (4, SEGMENT_ID),
            (1, SEGMENT_ID + 1, NEXT_NONCE, 0, 1),
            (5, SEGMENT_ID + 1, 64 + 2 * 32, 1004)), 1):
        whole += edit(number, len(whole), *edited)
    return whole


def versions():
    """Edits that may follow that MANIFEST: two versions of a tree."""
    def operands(low, high):
        return high << 32 | low

    key = b"a key of 20 bytes..."
    whole, number, first = b"", 7, 0
    for change in (
            ((7, 0x2C, RUN_NONCE, 4096, operands(0, 1)),
             (10, 1003, 1)),
            ((9, 0x2C),
             (7, 0x2D, RUN_NONCE + 1, 8192, operands(7, 2)),
             (8, 0x2D, operands(20, 0), *struct.unpack("<2Q", key[:16])),
             (8, 0x2D, operands(20, 16),
              *struct.unpack("<2Q", key[16:].ljust(16, b"\0"))),
             (10, 1004, 2))):
        for edited in change:
            if edited[0] == 10:
                edited += ((len(whole) - first) // 48, crc32c(whole[first:]))
            whole += edit(number, 352 + len(whole), *edited)
            number += 1
        first = len(whole)
    return whole


def taken_in():
    """Edits that may follow these: a run that was built elsewhere comes."""
    begin = 352 + len(versions())
    whole = edit(14, begin, 7, 0x2E, RUN_NONCE + 2, 16384, 3 << 32)
    whole += edit(15, begin + len(whole), 11, 0x2E, 1003)
    return whole + edit(16, begin + len(whole), 10, 1006, 3, 2, crc32c(whole))


def lost():
    """Edits that may follow these: two records of segment 2b are lost."""
    begin, number = 352 + len(versions()) + len(taken_in()), 17
    key = b"a key of 30 bytes, all known.."
    whole = b""
    for edited in (
            (12, SEGMENT_ID + 1, 64, 1005, 31 << 32 | 30),
            (13, 0 << 32 | 30, *struct.unpack("<3Q", key[:24])),
            (13, 24 << 32 | 30,
             *struct.unpack("<3Q", key[24:].ljust(24, b"\0"))),
            (12, SEGMENT_ID + 1, 128, 1007)):
        whole += edit(number, begin + len(whole), *edited)
        number += 1
    return whole + edit(number, begin + len(whole), 10, 1007, 4,
                        len(whole) // 48, crc32c(whole))


RUN_RECORDS = (
    (1003, PUT | EXPIRES, b"apple", b"red", EXPIRES_MS),
    (1000, PUT, b"apple", b"green", None),
    (1001, DELETE, b"banana", b"", None),
    (1004, RANGE_DELETE, b"cherry", b"date", None),
    (1002, POINTER, b"fig", struct.pack("<3Q", SEGMENT_ID, 64, 40), None))


def filled(section):
    return section + bytes(-len(section) % 64)


def fold(a, b):
    return (a * b >> 64) ^ (a * b & MASK)


def run_hash(data):
    k0, k1 = HASH_KEY
    n, v = len(data), k1
    while len(data) > 16:
        w0, w1 = struct.unpack_from("<QQ", data)
        v = fold(w0 ^ k0, w1 ^ v)
        data = data[16:]
    part = 8 if len(data) >= 8 else 4
    if len(data) >= part:
        f = int.from_bytes(data[:part], "little")
        l = int.from_bytes(data[-part:], "little")
    elif data:
        f, l = data[0], data[-1] + 256 * data[len(data) // 2]
    else:
        f = l = 0
    v = fold(f ^ k0, l ^ v)
    return fold(v ^ k0, k1 ^ n)


def run_index(keys, length):
    """keys: (key, offset of its newest record)"""
    place_bits = (length // 8).bit_length()
    lines = -(-len(keys) * 5 // 64)
    entries = [0] * (lines * 16)
    for key, offset in keys:
        at = (run_hash(key) >> 32) * lines // 2 ** 32 * 16
        while entries[at] != 0:
            at = (at + 1) % len(entries)
        entries[at] = (run_hash(key) << place_bits & 0xFFFFFFFF) | offset // 8
    return lines, struct.pack(f"<{len(entries)}I", *entries)


def run_filter(words):
    lines = -(-len(words) * 10 // 512)
    bits = 0
    for word in words:
        line = (run_hash(word) >> 32) * lines // 2 ** 32
        mixed = run_hash(word) * 0x9E3779B97F4A7C15 & MASK
        for probe in range(6):
            bits |= 1 << line * 512 + (mixed >> 8 + 9 * probe) % 512
    return lines, bits.to_bytes(lines * 64, "little")


def run():
    whole = sealed(struct.pack("<8sII16sQQQ4x", b"CASKSEG\n", 1, 3, bytes(16),
                               0, RUN_NONCE, 0))
    newest, ranges = {}, []
    for sequence, kind, key, value, expires in RUN_RECORDS:
        if kind == RANGE_DELETE:
            ranges.append(len(whole) // 8)
        else:
            newest.setdefault(key, len(whole))
        whole += record(len(whole), sequence, kind, key, value, expires,
                        RUN_NONCE)
    length = len(whole)
    index_lines, index = run_index(list(newest.items()), length)
    filter_lines, filter_bits = run_filter(newest)
    prefix_lines, prefixes = run_filter(
        sorted({key[:RUN_PREFIX_BYTES] for key in newest}))
    # All records are of one fence; no byte is shared by apple and fig.
    sections = [filled(section) for section in (
        index, filter_bits, prefixes,
        struct.pack("<QI", int.from_bytes(b"apple\0\0\0", "big"), 64 // 8),
        struct.pack("<QQ", SEGMENT_ID, 40),
        struct.pack(f"<{len(ranges)}I", *ranges), b"apple" b"fig" b"date")]
    footer = struct.pack(
        "<8sIIQ2Q7Q7I3H2x7I7I", b"CASKRUN\n", 1, 0, RUN_NONCE, *HASH_KEY,
        length, 5, 3, 1, 1, 1000, 1004, index_lines, filter_lines, prefix_lines,
        RUN_PREFIX_BYTES, 1, 1, len(ranges), 5, 3, 4, *map(crc32c, sections),
        # apple expires, rounded up to seconds; three values, of one second
        1, *[-(-EXPIRES_MS // 1000)] * 3, *[TIME_S] * 3)
    return filled(whole) + b"".join(sections) + sealed(footer)


GOLDEN = {"identity": identity, "segment": segment, "hint": hint,
          "manifest": manifest,
          "versions": versions, "taken_in": taken_in, "lost": lost,
          "run": run}


def print_arrays():
    for name, build in GOLDEN.items():
        data = build()
        print(f"static const uint8_t golden_{name}[{len(data)}] = {{")
        for at in range(0, len(data), 8):
            row = ", ".join(f"0x{byte:02x}" for byte in data[at:at + 8])
            print(f"    {row}, /* {at:3d} */")
        print("};\n")


def print_dump(data):
    for at in range(0, len(data), 16):
        row = " ".join(f"{byte:02x}" for byte in data[at:at + 16])
        print(f"{at:08x}  {row}")


def check(paths):
    text = ""
    for path in paths:
        with open(path, encoding="ascii") as file:
            text += re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    wrong = 0
    for name, build in GOLDEN.items():
        found = re.search(rf"golden_{name}\[\d+\] = {{(.*?)}}", text, re.S)
        literal = bytes(int(byte, 16) for byte in
                        re.findall(r"0x[0-9a-f]{2}", found[1])) \
            if found else b""
        same = literal == build()
        wrong += not same
        print(f"{name}: {len(literal)} bytes, "
              f"{'the same' if same else 'DIFFERENT'}")
    return 1 if wrong else 0


def main(arguments):
    prove_primitives()
    if len(arguments) >= 2 and arguments[0] == "check":
        return check(arguments[1:])
    if arguments == ["print"]:
        print_arrays()
        return 0
    if len(arguments) == 2 and arguments[0] == "dump" \
            and arguments[1] in GOLDEN:
        print_dump(GOLDEN[arguments[1]]())
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
