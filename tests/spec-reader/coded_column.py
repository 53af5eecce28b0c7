"""Decodes coded columns: nulls and a tree of nodes, of integers (int64 arrays), doubles or strings (lists)."""

import struct

import numpy
import xxhash
import zstandard

import ans
import ans32
from cursor import Cursor, must

INTEGERS, DOUBLES, STRINGS = "integers", "doubles", "strings"
CLASSES = {1: INTEGERS, 2: INTEGERS, 3: INTEGERS, 4: DOUBLES, 5: DOUBLES, 6: STRINGS, 7: STRINGS, 8: STRINGS,
           9: INTEGERS, 10: INTEGERS}
RANGES = {1: (0, 1), 2: (-(1 << 31), (1 << 31) - 1), 9: (-(1 << 31), (1 << 31) - 1)}
DEPTH = 4
LIMIT = 1 << 30  # bytes that a column's decoding may take


def coded(raw, kind, what, rows=None):
    """The values of a coded column that is all of `raw`."""
    cursor = Cursor(raw, what)
    values, _ = read_column(cursor, kind, rows)
    cursor.end()
    return values


def content_hash(columns):
    """The content hash of rows, of [(type, values)]: 32 hex digits, a colon, and how many."""
    total, count = 0, len(columns[0][1])
    for row in range(count):
        total += xxhash.xxh3_128_intdigest(b"".join(hashed(kind, values[row]) for kind, values in columns))
    return f"{total % (1 << 128):032x}:{count}"


def hashed(kind, value):
    if value is None:
        return b"\0"
    if CLASSES[kind] == STRINGS:
        return b"\1" + struct.pack("<Q", len(value)) + value
    return b"\1" + struct.pack("<d" if CLASSES[kind] == DOUBLES else "<q", value)


def read_column(cursor, kind, rows=None):
    """(values, present) of a coded column of the type; `present` is a list of booleans."""
    count = cursor.varint()
    must(rows is None or count == rows, f"{cursor.what}: {count} rows where {rows} are due")
    must(count <= 1 << 22, f"{cursor.what}: {count} rows")
    if count == 0:
        return [], []
    nulls = cursor.u8()
    must(nulls <= 2, f"{cursor.what}: nulls of kind {nulls}")
    if nulls == 1:
        return [None] * count, [False] * count
    present = [True] * count
    if nulls == 2:
        flags = read_node(cursor, INTEGERS, count)
        must(((flags == 0) | (flags == 1)).all(), f"{cursor.what}: a null flag that is neither 0 nor 1")
        present = flags.astype(bool).tolist()
    values = read_node(cursor, CLASSES[kind], count)
    values = values if isinstance(values, list) else values.tolist()
    low, high = RANGES.get(kind, (None, None))
    if low is not None:
        fits = all(low <= value <= high for value, there in zip(values, present) if there)
        must(fits, f"{cursor.what}: a value outside its type's range")
    return [value if there else None for value, there in zip(values, present)], present


def read_node(cursor, of, count, depth=1):
    must(depth <= DEPTH, f"{cursor.what}: nodes nest too deep")
    encoding = cursor.u8()
    must((of, encoding) in NODES, f"{cursor.what}: encoding {encoding} of {of}")
    return NODES[of, encoding](cursor, count, depth + 1)


def read_parts(cursor, depth, most):
    parts = cursor.varint()
    must(1 <= parts <= most, f"{cursor.what}: a count of {parts}, at most {most}")
    return parts


def read_constant(cursor, count, depth):
    return numpy.full(count, cursor.signed(), numpy.int64)


def read_run(cursor, count, depth):
    runs = read_parts(cursor, depth, count)
    lengths = read_node(cursor, INTEGERS, runs, depth)
    must(lengths.min() >= 0 and lengths.max() < count, f"{cursor.what}: a run's length")
    must(int(lengths.sum()) + runs == count, f"{cursor.what}: runs do not add up")
    return numpy.repeat(read_node(cursor, INTEGERS, runs, depth), lengths + 1)


def read_dict(of):
    def read(cursor, count, depth):
        size = read_parts(cursor, depth, count)
        entries = read_node(cursor, of, size, depth)
        codes = read_node(cursor, INTEGERS, count, depth)
        must(codes.min() >= 0 and codes.max() < size, f"{cursor.what}: a code without an entry")
        return entries[codes] if of == INTEGERS else [entries[code] for code in codes]

    return read


def read_bitpack(cursor, count, depth):
    vectors = []
    for begin in range(0, count, 1024):
        size = min(1024, count - begin)
        reference, width = cursor.signed(), cursor.u8()
        must(width <= 64, f"{cursor.what}: a width of {width}")
        packed = numpy.frombuffer(cursor.take((size * width + 7) // 8), numpy.uint8)
        bits = numpy.unpackbits(packed, bitorder="little")
        must(not bits[size * width :].any(), f"{cursor.what}: bits behind the last value")
        weights = numpy.left_shift(numpy.uint64(1), numpy.arange(width, dtype=numpy.uint64))
        distances = bits[: size * width].reshape(size, width).astype(numpy.uint64) @ weights
        vectors.append(distances + numpy.uint64(reference % (1 << 64)))
    return numpy.concatenate(vectors).view(numpy.int64)


def read_delta(cursor, count, depth):
    must(count >= 2, f"{cursor.what}: deltas of one value")
    first = numpy.array([cursor.signed()], numpy.int64)
    return numpy.cumsum(numpy.concatenate([first, read_node(cursor, INTEGERS, count - 1, depth)]), dtype=numpy.int64)


def read_mode(cursor):
    mode = cursor.u8()
    must(mode <= 1, f"{cursor.what}: words of mode {mode}")
    return mode, cursor.signed() if mode == 0 else 0


def integers(words, mode, base):
    if mode == 0:
        return (words + numpy.uint64(base % (1 << 64))).view(numpy.int64)
    return (words >> numpy.uint64(1)).view(numpy.int64) ^ -(words & numpy.uint64(1)).view(numpy.int64)


def read_byteplane(cursor, count, depth):
    mode, base = read_mode(cursor)
    planes = cursor.u8()
    must(1 <= planes <= 8, f"{cursor.what}: {planes} planes")
    words = numpy.zeros(count, numpy.uint64)
    for plane in range(planes):
        block = numpy.frombuffer(read_block(cursor, count), numpy.uint8).astype(numpy.uint64)
        words |= block << numpy.uint64(8 * plane)
    return integers(words, mode, base)


def read_ans(cursor, count, depth):
    mode, base = read_mode(cursor)
    return integers(numpy.array(ans.decode(cursor, count), numpy.uint64), mode, base)


def read_ans32(cursor, count, depth):
    mode, base = read_mode(cursor)
    return integers(numpy.array(ans32.decode(cursor, count), numpy.uint64), mode, base)


def read_repeat(cursor, count, depth):
    must(not getattr(cursor, "repeating", False), "repeat: in another")
    cursor.repeating = True
    copies = cursor.varint()
    must(1 <= copies <= count, "repeat: the number of copies")
    gaps, lengths, distances = (read_node(cursor, INTEGERS, copies, depth - 1).tolist() for _ in range(3))
    others = count - sum(lengths) - copies
    must(others >= sum(gaps) and min(gaps) >= 0 and min(lengths) >= 0, "repeat: copies of more values than there are")
    rest = read_node(cursor, INTEGERS, others, depth - 1).tolist() if others else []
    cursor.repeating = False
    values, used = [], 0
    for gap, length, distance in zip(gaps, lengths, distances):
        values += rest[used : used + gap]
        used += gap
        must(0 <= distance < len(values), "repeat: a copy of what is not there")
        for _ in range(length + 1):
            values.append(values[-1 - distance])
    return numpy.array(values + rest[used:], numpy.int64)


def read_multiple(cursor, count, depth):
    must(not getattr(cursor, "multiplying", False), "multiple: in another")
    multiple, base = cursor.varint(), cursor.signed()
    must(2 <= multiple < 1 << 63, f"{cursor.what}: a multiple of {multiple}")
    cursor.multiplying = True
    numbers = read_node(cursor, INTEGERS, count, depth - 1)
    cursor.multiplying = False
    return numbers * numpy.int64(multiple) + numpy.int64(base)


def read_decimal(cursor, count, depth):
    scales = []
    for _ in range(read_parts(cursor, depth, count)):
        values, exponent, multiple = cursor.varint(), cursor.u8(), cursor.varint()
        must(1 <= values <= count and exponent <= 22 and 1 <= multiple < 1 << 64, f"{cursor.what}: a decimal's scale")
        scales.append((values, exponent, multiple))
    must(sum(values for values, _, _ in scales) == count, f"{cursor.what}: decimals do not add up")
    patches = cursor.varint()
    must(patches <= count, f"{cursor.what}: {patches} patches")
    if patches:
        rows = read_node(cursor, INTEGERS, patches, depth)
        must(rows[0] >= 0 and rows[-1] < count and (rows[1:] > rows[:-1]).all(), f"{cursor.what}: a patch's row")
        bits = read_node(cursor, INTEGERS, patches, depth)
    numbers = read_node(cursor, INTEGERS, count, depth)
    lengths = [values for values, _, _ in scales]
    multiples = numpy.repeat(numpy.array([multiple for _, _, multiple in scales], numpy.uint64).view(numpy.int64), lengths)
    powers = numpy.repeat(numpy.array([float(10**exponent) for _, exponent, _ in scales]), lengths)
    doubles = (numbers * multiples).astype(numpy.float64) / powers
    if patches:
        doubles[rows] = bits.view(numpy.float64)
    return doubles


def read_bits(cursor, count, depth):
    return read_node(cursor, INTEGERS, count, depth).view(numpy.float64)


def read_text(cursor, count, depth):
    lengths = read_node(cursor, INTEGERS, count, depth)
    must(lengths.min() >= 0 and lengths.max() <= LIMIT, f"{cursor.what}: a string's length")
    ends = numpy.cumsum(lengths).tolist()
    joined = read_block(cursor, ends[-1])
    return [joined[begin:end] for begin, end in zip([0, *ends], ends)]


def read_block(cursor, size):
    must(size <= LIMIT, f"{cursor.what}: a block of {size} bytes")
    method = cursor.u8()
    must(method <= 1, f"{cursor.what}: a block's method {method}")
    if method == 0:
        return cursor.take(size)
    frame = cursor.slice()
    try:
        plain = zstandard.ZstdDecompressor().decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        must(False, f"{cursor.what}: zstd: {error}")
    must(len(plain) == size, f"{cursor.what}: a block has {len(plain)} bytes, not {size}")
    return plain


NODES = {
    (INTEGERS, 1): read_constant,
    (INTEGERS, 2): read_run,
    (INTEGERS, 3): read_dict(INTEGERS),
    (INTEGERS, 4): read_bitpack,
    (INTEGERS, 5): read_delta,
    (INTEGERS, 6): read_byteplane,
    (INTEGERS, 7): read_ans,
    (INTEGERS, 8): read_ans32,
    (INTEGERS, 9): read_repeat,
    (INTEGERS, 10): read_multiple,
    (DOUBLES, 16): read_decimal,
    (DOUBLES, 17): read_bits,
    (STRINGS, 32): read_text,
    (STRINGS, 33): read_dict(STRINGS),
}
