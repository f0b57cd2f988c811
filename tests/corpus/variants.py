"""Unusual files that are sound all the same: whatever a reference says of them, they must be accepted.

JPEGs are written anew without loss by jpegtran, or coded by cjpeg; the rest is done to the bytes by hand."""

import subprocess

from containers import (frame_segment, gif_images, jpeg_segments, png_chunk, png_chunks, png_of,
                        PNG_SIGNATURE)

SECONDS = 60
SPECTRAL_SCANS = "0,1,2: 0-0, 0, 1; 0: 1-5, 0, 2; 2: 1-63, 0, 1; 1: 1-63, 0, 1; 0: 6-63, 0, 2; 0: 1-63, 2, 1;" \
    " 0,1,2: 0-0, 1, 0; 2: 1-63, 1, 0; 1: 1-63, 1, 0; 0: 1-63, 1, 0;\n"


def tool(*command):
    """A variant that a tool makes of the file on its standard input."""

    def make(data, _scratch):
        try:
            done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode == 0 and done.stdout else None

    return make


def jpegtran(*arguments):
    return tool("jpegtran", "-copy", "all", *arguments)


def cjpeg(*arguments):
    """Decoded and coded anew, for what cannot be had without loss."""

    def make(data, scratch):
        pixels = tool("djpeg", "-pnm")(data, scratch)
        return tool("cjpeg", *arguments)(pixels, scratch) if pixels else None

    return make


def with_scans(script):
    """Progressive or sequential scans in the order of a script; only for three components."""

    def make(data, scratch):
        path = scratch / "scans.txt"
        path.write_text(script)
        return jpegtran("-scans", path)(data, scratch)

    return make


def by_hand(change):
    return lambda data, _scratch: change(data)


# JPEG -----------------------------------------------------------------------------------------------------------------

SAMSUNG_TRAILER = bytes.fromhex("0000010a0e000000") + b"Image_UTC_Data1700000000000" + b"SEFHk\0\0\0\1\0\0\0" \
    + bytes.fromhex("0000010a2b0000002b000000") + b"\x18\0\0\0SEFT"
VIDEO_TRAILER = b"MotionPhoto_Data" + b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" \
    + b"\xff\xc3\0\x11\x08\x7c\x48\x30\x41\x03" + bytes(range(256)) * 8 + SAMSUNG_TRAILER


def without_eoi(data):
    end = longest_end(data)
    return data[:end] if end else None


def longest_end(data):
    """Where the last scan ends, when the end marker follows at once."""
    segments = jpeg_segments(data)
    if segments[-1].marker != 0xD9:
        return None
    return segments[-1].start


def before_first(marker, what):
    def change(data):
        spot = next((segment.start for segment in jpeg_segments(data) if segment.marker == marker), None)
        return data[:spot] + what + data[spot:] if spot else None

    return by_hand(change)


def before_end(what):
    def change(data):
        end = longest_end(data)
        return data[:end] + what + data[end:] if end else None

    return by_hand(change)


def ending_without_eoi(what):
    def change(data):
        bare = without_eoi(data)
        return bare + what if bare else None

    return by_hand(change)


def zero_scan_parameters(data):
    """Ss, Se and AhAl of a sequential scan all zero, as some cameras write them."""
    segments = jpeg_segments(data)
    frame = frame_segment(segments)
    if not frame or frame.marker not in (0xC0, 0xC1):
        return None
    changed = bytearray(data)
    for segment in segments:
        if segment.marker == 0xDA:
            changed[segment.end - 3 : segment.end] = bytes(3)
    return bytes(changed)


def height_said_again(data):
    """DNL after the first scan, with the height that the frame header has."""
    segments = jpeg_segments(data)
    frame = frame_segment(segments)
    scans = [segment for segment in segments if segment.marker == 0xDA]
    if not frame or len(scans) != 1:
        return None
    height = data[frame.start + 5 : frame.start + 7]
    return data[: scans[0].scan_end] + b"\xff\xdc\x00\x04" + height + data[scans[0].scan_end :]


def fill_bytes(data):
    """Two FF before every marker of the header."""
    for segment in reversed(jpeg_segments(data)[1:]):
        if segment.marker != 0xD9:
            data = data[: segment.start] + b"\xff\xff" + data[segment.start :]
    return data


def without_tables(data, scratch):
    """A motion-JPEG frame: the standard Huffman tables, and no DHT that says so."""
    coded = cjpeg("-quality", "80")(data, scratch)
    for segment in reversed(jpeg_segments(coded or b"")[1:]):
        if segment.marker == 0xC4:
            coded = coded[: segment.start] + coded[segment.end :]
    return coded


ENTROPY_END = {"restart marker after the last unit": b"\xff\xd0", "junk before the end marker": b"\x12\x34\x56\x78" * 5}
JPEG_VARIANTS = {
    "progressive": jpegtran("-progressive"),
    "optimised": jpegtran("-optimize"),
    "restart of every row": jpegtran("-restart", "1"),
    "restart of every 3 units": jpegtran("-restart", "3B"),
    "progressive, restart of every 5 units": jpegtran("-progressive", "-restart", "5B"),
    "grey": jpegtran("-grayscale"),
    "grey, progressive": jpegtran("-grayscale", "-progressive"),
    "scans apart": with_scans("0;\n1;\n2;\n"),
    "scans apart, reversed": with_scans("2;\n1;\n0;\n"),
    "two scans": with_scans("0;\n1 2;\n"),
    "spectral scans": with_scans(SPECTRAL_SCANS),
    "cropped": jpegtran("-crop", "33x17+0+0"),
    "arithmetic": jpegtran("-arithmetic"),
    "arithmetic, progressive": jpegtran("-arithmetic", "-progressive"),
    "sampling 1x1": cjpeg("-sample", "1x1"),
    "sampling 3x1": cjpeg("-sample", "3x1"),
    "sampling 1x2": cjpeg("-sample", "1x2"),
    "sampling 2x2": cjpeg("-sample", "2x2"),
    "sampling 4x1": cjpeg("-sample", "4x1"),
    "sampling 1x4": cjpeg("-sample", "1x4"),
    "sampling 4x2": cjpeg("-sample", "4x2"),
    "sampling 3x1, progressive": cjpeg("-sample", "3x1", "-progressive"),
    "sampling 4x1, restarts": cjpeg("-sample", "4x1", "-restart", "2B"),
    "sampling 2x1 of chroma": cjpeg("-sample", "1x1,2x1,1x1"),
    "sampling 2x2 of chroma": cjpeg("-sample", "1x1,2x2,1x1"),
    "sampling 2x2,2x1,1x2": cjpeg("-sample", "2x2,2x1,1x2"),
    "no Huffman tables": without_tables,
    "RGB": cjpeg("-rgb"),
    "quality 1": cjpeg("-quality", "1"),
    "quality 100": cjpeg("-quality", "100", "-sample", "1x1"),
    "quality 100, progressive": cjpeg("-quality", "100", "-progressive"),
    "a byte after the end": by_hand(lambda data: data + b"\n"),
    "zeros after the end": by_hand(lambda data: data + bytes(BLOCK_OF_ZEROS)),
    "Samsung's trailer": by_hand(lambda data: data + SAMSUNG_TRAILER),
    "a second picture after the end": by_hand(lambda data: data + data),
    "no end marker": by_hand(without_eoi),
    "no end marker, Samsung's trailer": ending_without_eoi(SAMSUNG_TRAILER),
    "no end marker, video with markers": ending_without_eoi(VIDEO_TRAILER),
    "zero scan parameters": by_hand(zero_scan_parameters),
    "height said again": by_hand(height_said_again),
    "fill bytes": by_hand(fill_bytes),
    "short extended XMP": before_first(0xDB, b"\xff\xe1\x00\x26http://ns.adobe.com/xmp/extension/\x00\x41"),
    "broken Exif": before_first(0xDB, b"\xff\xe1\x00\x10Exif\0\0MM\0*\xff\xff\xff\xff"),
    "comment of 65,533 bytes": before_first(0xDB, b"\xff\xfe\xff\xff" + b"\xff\xd9" * 32766 + b"."),
    "junk between segments": before_first(0xDB, b"\x00\x01\x02\x03"),
} | {name: before_end(what) for name, what in ENTROPY_END.items()}
BLOCK_OF_ZEROS = 4096

# PNG ------------------------------------------------------------------------------------------------------------------


def png_with(change):
    """A variant by the list of chunks."""

    def make(data):
        chunks = png_chunks(data)
        return change(chunks) if chunks and chunks[-1][0] == b"IEND" else None

    return by_hand(make)


def idat_in_pieces(size, empty=False):
    def change(chunks):
        out = []
        for kind, body in chunks:
            if kind != b"IDAT":
                out.append((kind, body))
                continue
            out += [(kind, body[at : at + size]) for at in range(0, len(body), size)]
            out += [(kind, b"")] if empty else []
        return png_of(out) if len(out) < 100_000 else None

    return png_with(change)


def before_iend(raw):
    return png_with(lambda chunks: png_of(chunks[:-1]) + raw + png_chunk(b"IEND", b""))


def wrong_crc_of_ancillary(chunks):
    extra = png_chunk(b"tEXt", b"Comment\0wrong checksum", crc_off_by=1)
    return PNG_SIGNATURE + png_chunk(*chunks[0]) + extra + b"".join(png_chunk(*chunk) for chunk in chunks[1:])


def interlaced(data, scratch):
    pixels = tool("pngtopnm")(data, scratch)
    return tool("pnmtopng", "-interlace")(pixels, scratch) if pixels else None


PNG_VARIANTS = {
    "IDAT of 7 bytes each": idat_in_pieces(7),
    "IDAT of a byte each": idat_in_pieces(1),
    "empty IDAT": idat_in_pieces(1 << 16, empty=True),
    "unknown chunk": before_iend(png_chunk(b"prVt", b"anything")),
    "wrong CRC of a text before the data": png_with(wrong_crc_of_ancillary),
    "wrong CRC of a text after the data": before_iend(png_chunk(b"tEXt", b"Comment\0late", crc_off_by=1)),
    "wrong CRC of Exif": before_iend(png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0", crc_off_by=1)),
    "bytes after the end": by_hand(lambda data: data + b"trailing" * 100),
    "interlaced": interlaced,
}

# GIF ------------------------------------------------------------------------------------------------------------------

COMMENT = b"\x21\xfe\x03abc\x00"


def gifsicle(*arguments):
    return tool("gifsicle", *arguments, "-")


def after_image(what, index=-1):
    def change(data):
        images = gif_images(data)
        return data[: images[index].end] + what + data[images[index].end :] if images else None

    return by_hand(change)


def before_image(what):
    def change(data):
        images = gif_images(data)
        return data[: images[0].start] + what + data[images[0].start :] if images else None

    return by_hand(change)


def without_trailer(data):
    """Ends with the last image."""
    images = gif_images(data)
    return data[: images[-1].end] if images else None


def zero_screen(data):
    """A logical screen of 0×0: the first image counts. Only for a picture of one image."""
    return data[:6] + bytes(4) + data[10:] if len(gif_images(data)) == 1 else None



GIF_VARIANTS = {
    "interlaced": gifsicle("--interlace"),
    "not interlaced": gifsicle("--no-interlace"),
    "optimised": gifsicle("-O3"),
    "careful": gifsicle("--careful"),
    "four colours": gifsicle("--colors", "4"),
    "two colours": gifsicle("--colors", "2"),
    "lossy": gifsicle("--lossy=40"),
    "comment after the images": after_image(COMMENT),
    "unknown extension": before_image(b"\x21\x7f\x02ab\x01c\x00"),
    "no trailer": by_hand(without_trailer),
    "junk after the last image": after_image(b"\x01\x02\x03\x04"),
    "zeros after the last image": after_image(bytes(3)),
    "bytes after the trailer": by_hand(lambda data: data + bytes(700)),
    "screen of 0×0": by_hand(zero_screen),
}

VARIANTS = {"jpeg": JPEG_VARIANTS, "png": PNG_VARIANTS, "gif": GIF_VARIANTS}
