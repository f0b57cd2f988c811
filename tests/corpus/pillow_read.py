"""Reads pictures with Pillow, every frame of each, and tells what became of it.

Paths come one a line on standard input; one JSON object a line goes out.
Runs in the interpreter that has Pillow; the rest of the corpus test needs none.
"""

import json
import resource
import signal
import sys
import warnings

from PIL import Image, ImageFile, ImageSequence

SECONDS_A_FILE = 30
FRAMES_AT_MOST = 500
BYTES_AT_MOST = 3 << 30

ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = None  # the limit on pixels is not what is compared


def read(path):
    """The format, size and number of frames of a picture, with Pillow's error or warnings."""
    answer = {"path": path, "ok": False, "warnings": []}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            with Image.open(path) as picture:
                answer.update(format=picture.format, width=picture.width, height=picture.height)
                answer["frames"] = load_frames(picture)
            answer["ok"] = True
        except Exception as error:  # what Pillow raises is of many classes
            answer["error"] = f"{type(error).__name__}: {error}"
    answer["warnings"] = sorted({str(warning.message) for warning in heard})
    return answer


def load_frames(picture):
    """Loads every frame; those of an MPO are pictures of their own and are left."""
    picture.load()
    if picture.format == "MPO" or not getattr(picture, "is_animated", False):
        return 1
    count = 0
    for frame in ImageSequence.Iterator(picture):
        frame.load()
        count += 1
        if count == FRAMES_AT_MOST:
            break
    return count


def too_slow(_signal, _frame):
    raise TimeoutError(f"not read in {SECONDS_A_FILE} s")


def main():
    resource.setrlimit(resource.RLIMIT_AS, (BYTES_AT_MOST, BYTES_AT_MOST))
    signal.signal(signal.SIGALRM, too_slow)
    for line in sys.stdin:
        signal.alarm(SECONDS_A_FILE)
        try:
            answer = read(line.rstrip("\n"))
        finally:
            signal.alarm(0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
