"""Reads the primitives of the formats from bytes: fixed integers, varints, slices, preambles; all lengths bounded."""

import struct

import xxhash


class Damaged(Exception):
    """The bytes are not what the documents say."""


class Unsupported(Damaged):
    """They are of a later version, or have a feature or a record that is not in the documents."""


def must(condition, message):
    if not condition:
        raise Damaged(message)


def checked(data, stored, what):
    must(xxhash.xxh3_64_intdigest(data) == stored, f"{what}: checksum")
    return data


def sealed(data, what):
    """A cursor over data whose last eight bytes are the checksum of the rest."""
    must(len(data) > 8, f"{what}: {len(data)} bytes")
    return Cursor(checked(data[:-8], int.from_bytes(data[-8:], "little"), what), what)


def preamble(cursor, magic, known=0):
    """The incompatible features, all of which must be known."""
    found, version, _, incompatible, zero = cursor.unpack("8sIIII")
    must(found == magic, f"{cursor.what}: {found} is not {magic}")
    must(version > 0 and zero == 0, f"{cursor.what}: version {version}")
    if version > 1 or incompatible & ~known:
        raise Unsupported(f"{cursor.what}: a version or feature unknown here")
    return incompatible


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
