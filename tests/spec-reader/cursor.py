"""Reads the primitives of the format from bytes: fixed integers, varints, slices; all lengths bounded."""

import struct


class Damaged(Exception):
    """The bytes are not what docs/archive-format.md says."""


def must(condition, message):
    if not condition:
        raise Damaged(message)


def zigzag(code):
    return (code >> 1) ^ -(code & 1)


class Cursor:
    def __init__(self, data, what):
        self.data, self.at, self.what = bytes(data), 0, what

    def take(self, size):
        must(size <= len(self.data) - self.at, f"{self.what}: {size} bytes at {self.at} go beyond the end")
        self.at += size
        return self.data[self.at - size : self.at]

    def unpack(self, layout):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def u8(self):
        return self.unpack("B")[0]

    def u32(self):
        return self.unpack("I")[0]

    def u64(self):
        return self.unpack("Q")[0]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.u8()
            value |= (byte & 127) << shift
            if byte < 128:
                must(byte or not shift, f"{self.what}: a varint is longer than it need be")
                must(value < 1 << 64, f"{self.what}: a varint exceeds 64 bits")
                return value
        raise Damaged(f"{self.what}: a varint has more than ten bytes")

    def signed(self):
        return zigzag(self.varint())

    def slice(self):
        return self.take(self.varint())

    def at_end(self):
        return self.at == len(self.data)

    def end(self):
        must(self.at == len(self.data), f"{self.what}: {len(self.data) - self.at} bytes are left over")

    def padding(self, limit=64):
        rest = self.take(len(self.data) - self.at)
        must(len(rest) < limit and not any(rest), f"{self.what}: its end is not zeros, fewer than {limit}")
