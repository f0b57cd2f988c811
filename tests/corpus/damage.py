"""Ways to damage a sound file. Each takes its bytes and a seeded random source and returns the damaged bytes, or None
where the way does not fit the file. A way whose name begins with "flip" is reported and held to no threshold: one bit
may lie where nothing that is shown depends on it."""

BLOCK = 4096


def hole(length):
    """4 KiB, or a quarter of what is there when that is less than 16 KiB; nothing of almost nothing."""
    return min(BLOCK, length // 4) if length >= 64 else 0


def in_span(change):
    """A way that exchanges a 4 KiB hole in the coded data for what `change(hole, random)` makes of it."""

    def way(data, random, span):
        start, end = span
        size = hole(end - start)
        if not size:
            return None
        at = random.randrange(start + size // 2, end - size)
        return data[:at] + change(data[at : at + size], random) + data[at + size :]

    return way


def with_whole_span(way):
    def damage(data, random):
        return way(data, random, (64, len(data))) if len(data) >= 256 else None

    return damage


def zeros_to_the_end(data, random, span):
    at = random.randrange(span[0] + 16, span[1] - 16)
    return data[:at] + bytes(len(data) - at)


def cut(data, random, span):
    return data[: random.randrange(span[0] + 16, span[1] - 16)]


def blocks_swapped(data, random, span):
    size = hole(span[1] - span[0])
    at = random.randrange(span[0], span[1] - 2 * size)
    return data[:at] + data[at + size : at + 2 * size] + data[at : at + size] + data[at + 2 * size :]


def flip_bit(data, random, span):
    changed = bytearray(data)
    changed[random.randrange(*span)] ^= 1 << random.randrange(8)
    return bytes(changed)


def to_crlf(data, _random):
    return data.replace(b"\n", b"\r\n")


def to_lf(data, _random):
    return data.replace(b"\r\n", b"\n") if b"\r\n" in data else None


def seven_bits(data, _random):
    return bytes(byte & 0x7F for byte in data)


def through_utf8(data, _random):
    return data.decode("utf-8", "replace").encode()


def first_half_only_zeros(data, _random):
    return bytes(len(data) // 2) + data[len(data) // 2 :]


SPAN_WAYS = {
    "4 KiB zeroed": in_span(lambda old, random: bytes(len(old))),
    "4 KiB missing": in_span(lambda old, random: b""),
    "4 KiB random": in_span(lambda old, random: random.randbytes(len(old))),
    "4 KiB of FF": in_span(lambda old, random: b"\xff" * len(old)),
    "4 KiB twice": in_span(lambda old, random: old + old),
    "two 4 KiB swapped": blocks_swapped,
    "zeros to the end": zeros_to_the_end,
    "cut": cut,
    "flip of a bit": flip_bit,
}
WHOLE_WAYS = {
    "text mode, LF to CRLF": to_crlf,
    "text mode, CRLF to LF": to_lf,
    "seven bits": seven_bits,
    "through UTF-8": through_utf8,
    "first half zeroed": first_half_only_zeros,
}
