#!/usr/bin/env python3
"""Print the table of siphash_test.c.

SipHash-c-d with 128 bits of output, written from the paper and not from
src/base/siphash.c. Before it prints SipHash-1-3 it must give the published
values of SipHash-2-4-128 (vectors.h of the authors' reference code).
"""

MASK = (1 << 64) - 1


def rotate(x, bits):
    return ((x << bits) | (x >> (64 - bits))) & MASK


def sip_round(v):
    a, b, c, d = v
    a = (a + b) & MASK
    b = rotate(b, 13) ^ a
    a = rotate(a, 32)
    c = (c + d) & MASK
    d = rotate(d, 16) ^ c
    a = (a + d) & MASK
    d = rotate(d, 21) ^ a
    c = (c + b) & MASK
    b = rotate(b, 17) ^ c
    c = rotate(c, 32)
    return [a, b, c, d]


def finish(v, rounds):
    for _ in range(rounds):
        v = sip_round(v)
    return v, v[0] ^ v[1] ^ v[2] ^ v[3]


def siphash128(c, d, key, data):
    k0 = int.from_bytes(key[:8], "little")
    k1 = int.from_bytes(key[8:], "little")
    start = b"somepseudorandomlygeneratedbytes"
    v = [int.from_bytes(start[i:i + 8], "big") for i in (0, 8, 16, 24)]
    v = [v[0] ^ k0, v[1] ^ k1 ^ 0xEE, v[2] ^ k0, v[3] ^ k1]
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for i in range(0, len(padded), 8):
        word = int.from_bytes(padded[i:i + 8], "little")
        v[3] ^= word
        for _ in range(c):
            v = sip_round(v)
        v[0] ^= word
    v[2] ^= 0xEE
    v, first = finish(v, d)
    v[1] ^= 0xDD
    v, second = finish(v, d)
    return first, second


def as_hex(words):
    return b"".join(w.to_bytes(8, "little") for w in words).hex()


KEY = bytes(range(16))
assert as_hex(siphash128(2, 4, KEY, b"")) == "a3817f04ba25a8e66df67214c7550293"
assert as_hex(siphash128(2, 4, KEY, b"\0")) == "da87c1d86b99af44347659119b22fc45"

for size in [*range(17), 63, 64, 255, 256, 1000]:
    message = bytes(i & 255 for i in range(size))
    first, second = siphash128(1, 3, KEY, message)
    print("    {%d, {{0x%016x, 0x%016x}}}," % (size, first, second))
