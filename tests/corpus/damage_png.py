"""Ways to damage a PNG or an APNG; see damage.py."""

import zlib

from containers import PNG_SIGNATURE, png_chunk, png_chunks, png_of
from damage import SPAN_WAYS, WHOLE_WAYS, with_whole_span


def with_png_data(kind, way):
    """A way that changes the compressed data of the chunks of `kind`, all of it as one, and mends the CRC."""

    def damage(data, random):
        chunks = png_chunks(data)
        spots = [index for index, (name, _) in enumerate(chunks) if name == kind]
        if not spots or chunks[-1][0] != b"IEND":
            return None
        index = random.choice(spots)
        body = chunks[index][1]
        skip = 4 if kind == b"fdAT" else 0
        if len(body) < skip + 16:
            return None
        changed = way(body[skip:], random)
        if changed is None:
            return None
        return png_of(chunks[:index] + [(kind, body[:skip] + changed)] + chunks[index + 1 :])

    return damage


def byte_changed(body, random):
    at = random.randrange(2, len(body))
    return body[:at] + bytes([body[at] ^ random.randrange(1, 256)]) + body[at + 1 :]


def second_half_lost(body, _random):
    return body[: len(body) // 2]


def replaced(body, random):
    return random.randbytes(len(body))


def idat_byte_and_crc(data, random):
    """A byte of an IDAT changed, its CRC left as it was."""
    chunks = [(index, body) for index, (kind, body) in enumerate(png_chunks(data)) if kind == b"IDAT" and body]
    if not chunks:
        return None
    at = data.find(random.choice(chunks)[1])
    body_at = at + random.randrange(min(len(chunks[0][1]), 64))
    return data[:body_at] + bytes([data[body_at] ^ 0x10]) + data[body_at + 1 :]


def wrong_idat_crc(data, _random):
    """Only the CRC of the first IDAT is wrong."""
    chunks = png_chunks(data)
    spots = [index for index, (kind, _) in enumerate(chunks) if kind == b"IDAT"]
    if not spots:
        return None
    parts = [png_chunk(kind, body, crc_off_by=index == spots[0]) for index, (kind, body) in enumerate(chunks)]
    return PNG_SIGNATURE + b"".join(parts)


def rows_missing(data, _random):
    """Deflated anew with the last tenth of the rows missing, every checksum right."""
    chunks = png_chunks(data)
    try:
        pixels = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    except zlib.error:
        return None
    short = (b"IDAT", zlib.compress(pixels[: len(pixels) * 9 // 10]))
    before = [chunk for chunk in chunks[: first_index(chunks, b"IDAT")]]
    after = [chunk for chunk in chunks[len(before) :] if chunk[0] != b"IDAT"]
    return png_of([*before, short, *after])


def first_index(chunks, kind):
    return next((index for index, chunk in enumerate(chunks) if chunk[0] == kind), len(chunks))


def chunk_lost(wanted):
    def damage(data, _random):
        chunks = png_chunks(data)
        kept = [chunk for chunk in chunks if chunk[0] != wanted]
        return png_of(kept) if len(kept) < len(chunks) else None

    return damage


def one_idat_lost(data, random):
    chunks = png_chunks(data)
    spots = [index for index, (kind, _) in enumerate(chunks) if kind == b"IDAT"]
    if len(spots) < 2:
        return None
    lost = random.choice(spots)
    return png_of(chunks[:lost] + chunks[lost + 1 :])


def apng_frame_cut(data, _random):
    """The last fdAT without its second half, CRC mended."""
    chunks = png_chunks(data)
    spots = [index for index, (kind, body) in enumerate(chunks) if kind == b"fdAT" and len(body) > 24]
    if not spots:
        return None
    last = spots[-1]
    body = chunks[last][1]
    return png_of(chunks[:last] + [(b"fdAT", body[: len(body) // 2])] + chunks[last + 1 :])


PNG_WAYS = {name: with_whole_span(way) for name, way in SPAN_WAYS.items()} | WHOLE_WAYS | {
    "byte of IDAT, CRC mended": with_png_data(b"IDAT", byte_changed),
    "byte of IDAT, CRC wrong": idat_byte_and_crc,
    "CRC of IDAT wrong": wrong_idat_crc,
    "half of an IDAT lost": with_png_data(b"IDAT", second_half_lost),
    "IDAT random": with_png_data(b"IDAT", replaced),
    "an IDAT lost": one_idat_lost,
    "rows missing": rows_missing,
    "IDAT lost": chunk_lost(b"IDAT"),
    "IEND lost": chunk_lost(b"IEND"),
    "PLTE lost": chunk_lost(b"PLTE"),
    "byte of fdAT, CRC mended": with_png_data(b"fdAT", byte_changed),
    "fdAT random": with_png_data(b"fdAT", replaced),
    "last frame cut": apng_frame_cut,
}
