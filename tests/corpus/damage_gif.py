"""Ways to damage a GIF; see damage.py."""

from containers import gif_images
from damage import SPAN_WAYS, WHOLE_WAYS, with_whole_span


def with_gif_image(which, way):
    """A way that changes the LZW data of the image number `which` (-1: the last one, only of an animation)."""

    def damage(data, random):
        images = gif_images(data)
        if not images or (which < 0 and len(images) < 2):
            return None
        image = images[which]
        return way(data, random, image) if image.end - image.data >= 16 else None

    return damage


def lzw_bytes_changed(data, random, image):
    """Eight bytes of the LZW data, never the length of a sub-block."""
    places = lzw_places(data, image)
    changed = bytearray(data)
    for at in random.sample(places, min(8, len(places))):
        changed[at] ^= random.randrange(1, 256)
    return bytes(changed)


def lzw_places(data, image):
    at, places = image.data, []
    while at < image.end and data[at]:
        places.extend(range(at + 1, min(at + 1 + data[at], image.end)))
        at += 1 + data[at]
    return places


def frame_cut(data, _random, image):
    """The image ends after the first half of its LZW data; the file goes on as it should."""
    places = lzw_places(data, image)
    half = bytes(data[at] for at in places[: len(places) // 2])
    blocks = b"".join(bytes([len(half[at : at + 255])]) + half[at : at + 255] for at in range(0, len(half), 255))
    return data[: image.data] + blocks + b"\x00" + data[image.end :]


def file_cut(data, random, image):
    return data[: random.randrange(image.data + 1, image.end - 2)]


def frame_zeroed(data, _random, image):
    changed = bytearray(data)
    for at in lzw_places(data, image)[4:]:
        changed[at] = 0
    return bytes(changed)


GIF_WAYS = {name: with_whole_span(way) for name, way in SPAN_WAYS.items()} | WHOLE_WAYS | {
    "LZW bytes changed": with_gif_image(0, lzw_bytes_changed),
    "first frame cut": with_gif_image(0, frame_cut),
    "first frame zeroed": with_gif_image(0, frame_zeroed),
    "file cut in the first frame": with_gif_image(0, file_cut),
    "LZW bytes changed, last frame": with_gif_image(-1, lzw_bytes_changed),
    "last frame cut": with_gif_image(-1, frame_cut),
    "file cut in the last frame": with_gif_image(-1, file_cut),
}
