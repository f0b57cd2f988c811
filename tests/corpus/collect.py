"""Gathers the test files of the unpacked archives into one folder, each content once."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from containers import PICTURES, picture_format

LARGEST = 24 << 20
# Kinds that people drop by mistake, beside the three that are pictures here.
OTHER_ENDINGS = frozenset(
    "ai apng avif avifs bmp blp bufr cdr cr2 cr3 crw cur dcm dcx dds dib djvu dng doc docx emf eps exr fit fits fli flc"
    " fpx ftc ftu gbr grib h5 heic heif hdr ico icns ics iff im j2c j2k jp2 jpc jpf jpx jls jxl jxr lnk m4a mac mic mng"
    " mov mp3 mp4 mrw mpeg mpg mpo msp nef odt ogg orf pbm pcd pcx pdf pef pfm pgf pgm pict pct pnm ppm ps psb psd pxr"
    " qoi raf raw rw2 rtf ras sgi rgb rgba bw sr2 srw svg svgz swf tga tif tiff testfile tim ttf vicar viff wal wav webm"
    " webp wbmp wmf wpg xbm xcf xls xlsx xpm xwd zip 7z rar gz bz2 xz tar exe html htm txt".split()
)
TEXT_FROM = ("pillow/Tests/images/",)  # elsewhere .txt and .html are documentation


@dataclass(frozen=True)
class Original:
    """One file of the archives, as it was found."""

    path: Path
    name: str
    format: str  # "jpeg", "png", "gif", or "other"


def gather(unpacked, into):
    """Copies what is of interest below `unpacked` to the folder `into`; the same content is kept once."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    seen, originals = set(), []
    for source in sorted(path for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink()):
        name = source.relative_to(unpacked).as_posix()
        size = source.stat().st_size
        if not 0 < size <= LARGEST:
            continue
        with source.open("rb") as file:
            kind = picture_format(file.read(8))
        if kind is None and not is_other(name):
            continue
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        originals.append(keep(source, name, kind or "other", into))
    return originals


def is_other(name):
    ending = name.rsplit(".", 1)[-1].lower()
    if ending in ("txt", "html", "htm", "gz", "xz", "bz2", "tar"):
        return name.startswith(TEXT_FROM)
    return ending in OTHER_ENDINGS


def keep(source, name, kind, into):
    """A copy whose name ends as its content is; other kinds end in .jpg, as if somebody had renamed them."""
    ending = PICTURES.get(kind, ".jpg")
    flat = name.replace("/", "_")
    target = into / (flat if flat.lower().endswith(ending) else flat + ending)
    shutil.copyfile(source, target)
    os.utime(target, (946684800, 946684800))  # long ago: nobody writes to it any more
    return Original(target, name, kind)
