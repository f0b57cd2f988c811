"""Just enough of the three formats to find the places where a file is to be damaged."""

import struct
import zlib
from dataclasses import dataclass

PICTURES = {"jpeg": ".jpg", "png": ".png", "gif": ".gif"}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PLAIN_SEGMENTS = {0x01, 0xD8, *range(0xD0, 0xD8)}  # TEM, SOI and RST have no length


def picture_format(head):
    """Which of the three formats the first eight bytes are of, or None."""
    if head[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if head[:8] == PNG_SIGNATURE:
        return "png"
    return "gif" if head[:6] in (b"GIF87a", b"GIF89a") else None


@dataclass(frozen=True)
class Segment:
    """A JPEG marker segment: data[start:end] begins with FF and the marker; coded data ends at `scan_end`."""

    marker: int
    start: int
    end: int
    scan_end: int


def jpeg_segments(data):
    """The segments up to EOI or to the first place where there is none. Coded data goes with its SOS."""
    at, segments = 2, [Segment(0xD8, 0, 2, 2)]
    while at + 2 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9 or marker in PLAIN_SEGMENTS:
            end = scan_end = at + 2
        else:
            if at + 4 > len(data):
                break
            end = scan_end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            scan_end = end_of_scan(data, end)
        segments.append(Segment(marker, at, end, scan_end))
        at = scan_end
        if marker == 0xD9:
            break
    return segments


def end_of_scan(data, at):
    """Where the coded data that begins at `at` ends: at the first marker that is no RST."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return len(data)
        if data[at + 1] == 0x00 or 0xD0 <= data[at + 1] <= 0xD7:
            at += 2
        elif data[at + 1] == 0xFF:
            at += 1
        else:
            return at


def frame_segment(segments):
    """The frame header (SOF), or None."""
    for segment in segments:
        if 0xC0 <= segment.marker <= 0xCF and segment.marker not in (0xC4, 0xC8, 0xCC):
            return segment
    return None


def longest_scan(data):
    """(start, end) of the coded data of the longest scan, or None."""
    scans = [(segment.end, segment.scan_end) for segment in jpeg_segments(data) if segment.marker == 0xDA]
    return max(scans, key=lambda scan: scan[1] - scan[0], default=None)


def png_chunks(data):
    """[(type, body)] up to the end of IEND or to the first chunk that is not whole."""
    at, chunks = 8, []
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if at + 12 + length > len(data):
            break
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
        if kind == b"IEND":
            break
    return chunks


def png_of(chunks):
    """A PNG of these chunks, each with its right CRC."""
    return PNG_SIGNATURE + b"".join(png_chunk(kind, body) for kind, body in chunks)


def png_chunk(kind, body, crc_off_by=0):
    crc = (zlib.crc32(kind + body) + crc_off_by) & 0xFFFFFFFF
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


@dataclass(frozen=True)
class GifImage:
    """One image of a GIF: its descriptor begins at `start`, its LZW data lies in the sub-blocks [data, end)."""

    start: int
    data: int
    end: int


def gif_images(data):
    """The images up to the trailer or to the first place where there is no block."""
    at, images = 13 + colour_table(data[10]), []
    while at < len(data):
        if data[at] == 0x21:
            at = end_of_sub_blocks(data, at + 2)
        elif data[at] == 0x2C and at + 10 < len(data):
            begin = at + 10 + colour_table(data[at + 9]) + 1
            end = end_of_sub_blocks(data, begin)
            images.append(GifImage(at, begin, end))
            at = end
        else:
            break
    return images


def colour_table(flags):
    return 3 * (2 << (flags & 7)) if flags & 0x80 else 0


def end_of_sub_blocks(data, at):
    while at < len(data) and data[at] != 0:
        at += 1 + data[at]
    return min(at + 1, len(data))
