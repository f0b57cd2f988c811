"""Ways to damage a JPEG; see damage.py."""

from containers import frame_segment, jpeg_segments, longest_scan
from damage import SPAN_WAYS, WHOLE_WAYS, cut


def with_jpeg_scan(way):
    def damage(data, random):
        span = longest_scan(data)
        return way(data, random, span) if span and span[1] - span[0] >= 64 else None

    return damage


def cut_with_eoi(data, random, span):
    return cut(data, random, span).rstrip(b"\xff") + b"\xff\xd9"


def restart_lost(data, random):
    """One restart marker taken away."""
    spot = some_restart(data, random)
    return data[:spot] + data[spot + 2 :] if spot else None


def restart_wrong(data, random):
    """One restart marker with another number."""
    spot = some_restart(data, random)
    if not spot:
        return None
    number = 0xD0 + (data[spot + 1] - 0xD0 + random.randrange(1, 8)) % 8
    return data[: spot + 1] + bytes([number]) + data[spot + 2 :]


def interval_lost(data, random):
    """Everything between two restart markers, and one of them, taken away."""
    first = some_restart(data, random)
    if not first:
        return None
    start, end = longest_scan(data)
    after = [at for at in restarts(data, start, end) if at > first]
    return data[:first] + data[after[0] :] if after else None


def some_restart(data, random):
    span = longest_scan(data)
    found = restarts(data, *span) if span else []
    return random.choice(found) if found else None


def restarts(data, start, end):
    return [at for at in range(start, end - 1) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]


def more_rows(data, _random):
    """The frame header claims twice the height."""
    segment = frame_segment(jpeg_segments(data))
    height = segment and int.from_bytes(data[segment.start + 5 : segment.start + 7], "big")
    if not height or not 16 <= height < 10_000:
        return None
    return data[: segment.start + 5] + (2 * height).to_bytes(2, "big") + data[segment.start + 7 :]


def no_scan_data(data, _random):
    """The headers, no coded data, and the end marker."""
    span = longest_scan(data)
    return data[: span[0]] + b"\xff\xd9" if span else None


def marker_in_scan(data, random, span):
    """Two bytes of the coded data become a marker that has no length (EOI)."""
    at = random.randrange(span[0] + 8, span[1] - 8)
    return data[:at] + b"\xff\xd9" + data[at + 2 :]


def tables_lost(data, _random):
    """Without its Huffman tables; a picture with the standard ones stays sound."""
    lost = [segment for segment in jpeg_segments(data) if segment.marker == 0xC4]
    for segment in reversed(lost):
        data = data[: segment.start] + data[segment.end :]
    return data if lost else None


JPEG_WAYS = {name: with_jpeg_scan(way) for name, way in SPAN_WAYS.items()} | WHOLE_WAYS | {
    "cut, end marker added": with_jpeg_scan(cut_with_eoi),
    "end marker in the scan": with_jpeg_scan(marker_in_scan),
    "no coded data": no_scan_data,
    "restart marker lost": restart_lost,
    "restart marker wrong": restart_wrong,
    "restart interval lost": interval_lost,
    "twice the rows claimed": more_rows,
    "Huffman tables lost": tables_lost,
}
# The ways in which transfers and disks damage files. For these also libjpeg's mildest warning counts, that bytes are left
# after the last unit; for the others it may as well come from a camera that pads.
COMMON_WAYS = {"4 KiB zeroed", "4 KiB missing", "4 KiB random", "zeros to the end", "cut", "cut, end marker added",
               "text mode, LF to CRLF", "text mode, CRLF to LF"}
