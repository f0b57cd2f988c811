"""The cases: the files as they were found, damaged ones, and unusual ones that are sound. A seed makes them the same
every time."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random

from containers import PICTURES, frame_segment, gif_images, jpeg_segments, longest_scan, png_chunks
from damage_gif import GIF_WAYS
from damage_jpeg import JPEG_WAYS
from damage_png import PNG_WAYS
from variants import VARIANTS

WAYS = {"jpeg": JPEG_WAYS, "png": PNG_WAYS, "gif": GIF_WAYS}
# A JPEG with less coded data than this is a thumbnail of a test of metadata.
SMALLEST_SCAN = 2048
LARGEST_BASE = 1 << 20
# Variants that are damaged like files that were found: few of those are progressive or have restart markers.
DAMAGED_TOO = ("progressive", "restart of every 3 units", "progressive, restart of every 5 units", "scans apart",
               "spectral scans", "sampling 3x1", "grey")
AS_FOUND, DAMAGED, VARIANT, OTHER = "as found", "damaged", "variant", "other kind"


@dataclass(frozen=True)
class Case:
    path: Path
    name: str
    format: str
    role: str  # AS_FOUND, DAMAGED, VARIANT or OTHER
    way: str


@dataclass(frozen=True)
class Plan:
    seed: str
    bases: int  # how many files of a format are damaged
    variant_bases: int  # how many are written anew in every variant
    folder: Path


def as_found(originals):
    """One case a file of the archives."""
    return [Case(original.path, original.name, original.format, OTHER if original.format == "other" else AS_FOUND,
                 coding(original)) for original in originals]


def coding(original):
    """How a JPEG is coded, as far as the allowances need it."""
    if original.format != "jpeg":
        return ""
    data = original.path.read_bytes()
    frame = frame_segment(jpeg_segments(data))
    if frame is None or frame.end > len(data):
        return "no frame"
    if frame.marker in (0xC9, 0xCA):
        return "arithmetic"
    if frame.marker not in (0xC0, 0xC1, 0xC2):
        return "lossless or hierarchical"
    return "Huffman" if data[frame.start + 4] == 8 else "12 bits"


def variants(clean, plan):
    """The variants of some of the cases that every reference reads without a warning."""
    shutil.rmtree(plan.folder, ignore_errors=True)
    plan.folder.mkdir(parents=True)
    return [case for kind in WAYS for case in make_variants(some(clean, kind, plan.variant_bases, plan), plan)]


def some(clean, kind, count, plan):
    """A seeded choice of bases of one format, none with the picture data of another: `count` of them, and half as many
    of the animated ones."""
    distinct = {}
    for case in clean:
        if case.format == kind and case.path.stat().st_size <= LARGEST_BASE and case.way in ("", "Huffman"):
            key = picture_data(case)
            if key:
                distinct.setdefault(key, case)
    bases = sorted(distinct.values(), key=lambda case: case.name)
    random = Random(f"{plan.seed} {kind}")
    chosen = random.sample(bases, min(count, len(bases)))
    animated = [case for case in bases if case not in chosen and is_animated(case)]
    return chosen + random.sample(animated, min(count // 2, len(animated)))


def is_animated(case):
    if case.format == "jpeg":
        return False
    data = case.path.read_bytes()
    return len(gif_images(data)) > 1 if case.format == "gif" else any(kind == b"fdAT" for kind, _ in png_chunks(data))


def picture_data(case):
    data = case.path.read_bytes()
    if case.format == "jpeg":
        start, end = longest_scan(data) or (0, 0)
        data = data[start:end] if end - start >= SMALLEST_SCAN else b""
    return hashlib.sha256(data).hexdigest() if data else None


def make_variants(bases, plan):
    for base in bases:
        data = base.path.read_bytes()
        for way, make in VARIANTS[base.format].items():
            changed = make(data, plan.folder)
            if changed and changed != data:
                yield written(base, VARIANT, way, changed, plan)


def damage(clean, variants, plan):
    """Every way of damage, once a base, on files as found and on some variants. `variants` are those read cleanly."""
    bases = [case for kind in WAYS for case in some(clean, kind, plan.bases, plan)]
    bases += [case for case in variants if case.way in DAMAGED_TOO and case.format == "jpeg"]
    return [case for base in bases for case in damage_one(base, plan)]


def damage_one(base, plan):
    data = base.path.read_bytes()
    for way, change in WAYS[base.format].items():
        changed = change(data, Random(f"{plan.seed} {base.name} {base.way} {way}"))
        if changed and changed != data:
            yield written(base, DAMAGED, way, changed, plan)


def written(base, role, way, data, plan):
    """The case of a made file; its name says what was done to which base."""
    origin = base.name if base.role == AS_FOUND else f"{base.name} ({base.way})"
    digest = hashlib.sha256(f"{origin}/{way}".encode()).hexdigest()[:10]
    readable = "".join(letter if letter.isalnum() else "-" for letter in f"{way}-{Path(base.name).stem}")[:80]
    path = plan.folder / f"{role}-{digest}-{readable}{PICTURES[base.format]}"
    path.write_bytes(data)
    os.utime(path, (946684800, 946684800))
    return Case(path, origin, base.format, role, way)
