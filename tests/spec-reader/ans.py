"""Decodes the `ans` encoding's words: four interleaved lanes, a table of frequencies for each context."""

from cursor import must

LANES, SCALE, LOW = 4, 4096, 65536


def context_none(last, before):
    return 0


def context_sum(last, before):
    return min((min(last, 8191) + min(before, 8191)).bit_length(), 13)


def context_last(last, before):
    return min(last, 16)


KINDS = {0: (1, context_none), 1: (14, context_sum), 2: (17, context_last)}


def read_table(cursor):
    """For each of 4096 remainders: (token, frequency, remainder less the stretch's begin); None if empty."""
    listed = cursor.u8()
    if listed == 0:
        return None
    first = cursor.u8()
    must(first + listed <= 136, "ans: a token above 135")
    slots = []
    for token in range(first, first + listed):
        frequency = cursor.varint()
        must(frequency <= SCALE, "ans: a frequency above 4096")
        slots += [(token, frequency, place) for place in range(frequency)]
    must(len(slots) == SCALE, "ans: frequencies do not add up to 4096")
    return slots


class Streams:
    """The 16-bit numbers of the tokens and the raw bits."""

    def __init__(self, numbers, raw):
        must(len(numbers) % 2 == 0, "ans: half a number in the stream")
        self.numbers = iter(memoryview(numbers).cast("H"))
        self.raw, self.bits, self.left = iter(raw), 0, 0

    def number(self):
        value = next(self.numbers, None)
        must(value is not None, "ans: the stream is too short")
        return value

    def take(self, width):
        while self.left < width:
            byte = next(self.raw, None)
            must(byte is not None, "ans: raw bits are too few")
            self.bits |= byte << self.left
            self.left += 8
        value = self.bits & ((1 << width) - 1)
        self.bits >>= width
        self.left -= width
        return value

    def end(self):
        used = next(self.numbers, None) is None and next(self.raw, None) is None
        must(used and self.left < 8 and self.bits == 0, "ans: a stream is left over")


def decode(cursor, count):
    """The words of the body behind mode and base, as a list."""
    kind = cursor.u8()
    must(kind in KINDS, f"ans: kind {kind}")
    contexts, context = KINDS[kind]
    tables = [read_table(cursor) for _ in range(contexts)]
    states = list(cursor.unpack(f"{LANES}I"))
    streams = Streams(cursor.slice(), cursor.slice())
    size = -(-count // LANES)
    begins = [min(lane * size, count) for lane in range(LANES + 1)]
    words, history = [0] * count, [(0, 0)] * LANES
    for step in range(size):
        for lane in range(LANES):
            at = begins[lane] + step
            if at < begins[lane + 1]:
                last, before = history[lane]
                table = tables[context(last, before)]
                must(table is not None, "ans: a context without a table")
                token, states[lane] = next_token(table, states[lane], streams)
                words[at] = word = token if token < 16 else large(token, streams)
                history[lane] = word, last
    must(all(state == LOW for state in states), "ans: a lane's last state is not 65536")
    streams.end()
    return words


def next_token(table, state, streams):
    token, frequency, place = table[state % SCALE]
    state = frequency * (state // SCALE) + place
    return token, state if state >= LOW else state * LOW + streams.number()


def large(token, streams):
    high = 4 + (token - 16) // 2
    return (2 + token % 2 << high - 1) | streams.take(high - 1)
