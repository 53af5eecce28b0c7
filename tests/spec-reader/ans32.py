"""Decodes the `ans32` encoding's words: 32 lanes, whose raw bits are in the states, too; contexts share tables."""

from cursor import must

LANES, SCALE, LOW, TABLES_MAX = 32, 1024, 65536, 16


def context_none(last, before):
    return 0


def context_size(last, before):
    size = 2 * min(last, 8191) + min(before, 8191) + 1
    high = size.bit_length() - 1
    half = size >> (high - 1) & 1 if high > 0 else 0
    return 2 * (2 * high + half) + last % 2


def context_last(last, before):
    return min(last, 63)


KINDS = {0: (1, context_none), 1: (64, context_size), 2: (64, context_last)}


def read_table(cursor):
    """For each of 1024 remainders: (token, frequency, remainder less the stretch's begin)."""
    first, listed = cursor.u8(), cursor.u8()
    must(first + listed <= 72, "ans32: a token above 71")
    slots = []
    for token in range(first, first + listed):
        frequency = cursor.varint()
        must(frequency < SCALE, "ans32: a frequency above 1023")
        slots += [(token, frequency, place) for place in range(frequency)]
    must(len(slots) == SCALE, "ans32: frequencies do not add up to 1024")
    return slots


def read_tables(cursor, contexts):
    """The table of each context."""
    of_context, tables = [], 0
    while len(of_context) < contexts:
        sharing, tables = cursor.u8(), tables + 1
        must(tables <= TABLES_MAX and 0 < sharing <= contexts - len(of_context), "ans32: tables of too few or too many contexts")
        of_context += [read_table(cursor)] * sharing
    return of_context


class Lane:
    def __init__(self, state, numbers):
        must(state >= LOW, "ans32: a state below 65536")
        self.state, self.numbers, self.word, self.before = state, numbers, 0, 0

    def settle(self, state):
        if state < LOW:
            number = next(self.numbers, None)
            must(number is not None, "ans32: the stream is too short")
            state = state * LOW + number
        self.state = state

    def take(self, state, most):
        """The next raw bits of those that are missing."""
        width = min(self.missing, most)
        self.word |= state % (1 << width) << self.taken
        self.missing, self.taken = self.missing - width, self.taken + width
        self.settle(state >> width)

    def begin(self, tables, context):
        token, frequency, place = tables[context(self.word, self.before)][self.state % SCALE]
        high = 4 + (token - 16) // 2
        self.before, self.taken = self.word, 0
        self.missing = 0 if token < 16 else high - 1
        self.word = token if token < 16 else 2 + token % 2 << high - 1
        self.take(frequency * (self.state // SCALE) + place, 6)


def decode(cursor, count):
    """The words of the body behind mode and base, as a list."""
    kind = cursor.u8()
    must(kind in KINDS, f"ans32: kind {kind}")
    contexts, context = KINDS[kind]
    tables = read_tables(cursor, contexts)
    states = cursor.unpack(f"{LANES}I")
    stream = cursor.slice()
    must(len(stream) % 2 == 0, "ans32: half a number in the stream")
    numbers = iter(memoryview(stream).cast("H"))
    lanes = [Lane(state, numbers) for state in states]
    size, longer = divmod(count, LANES)
    words = [[] for _ in lanes]
    for step in range(size + (longer > 0)):
        taking = lanes if step < size else lanes[:longer]
        for lane in taking:
            lane.begin(tables, context)
        while any(lane.missing for lane in taking):
            for lane in taking:
                lane.take(lane.state, 16)
        for lane, own in zip(taking, words):
            own.append(lane.word)
    must(all(lane.state == LOW for lane in lanes), "ans32: a lane's last state is not 65536")
    must(next(numbers, None) is None, "ans32: numbers are left over")
    return sum(words, [])
