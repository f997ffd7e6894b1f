"""Pictures of shapes on textures, with the class of every pixel and a box around each shape."""

from dataclasses import dataclass

import numpy as np

SIDE = 64  # pixels of a picture
CLASSES = ("disc", "square", "triangle")
MOST_SHAPES = 3  # in one picture
RADII = (7, 14)  # pixels from a shape's centre to its border, least and greatest
NOISE = 18  # standard deviation of each pixel, of 255


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures with what is on them.

    Members
    -------
    images : (count, 3, SIDE, SIDE) uint8
    pixels : (count, SIDE, SIDE) int64: 0 for the texture, else 1 + the class
    boxes : of each picture (shapes, 5) float32: class, and centre x, centre y, width and height in
        pixels
    """

    images: np.ndarray
    pixels: np.ndarray
    boxes: tuple[np.ndarray, ...]


def draw(count: int, seed: int) -> Pictures:
    """``count`` pictures, the same for the same seed."""
    random = np.random.default_rng(seed)
    images = np.empty((count, 3, SIDE, SIDE), np.uint8)
    pixels = np.zeros((count, SIDE, SIDE), np.int64)
    boxes = []
    for image, labels in zip(images, pixels, strict=True):
        picture, found = _texture(random), []
        for _ in range(random.integers(1, MOST_SHAPES + 1)):
            # Later shapes would cover earlier ones, whose boxes were then wrong.
            for _ in range(8):
                kind, mask, box = _shape(random)
                if not (labels[mask] > 0).any():
                    break
            else:
                continue
            labels[mask] = 1 + kind
            found.append((kind, *box))
            picture[:, mask] = _colour(random)[:, None] + random.normal(0, 8, (3, mask.sum()))
        # Over all, so that no edge is told by a change of noise.
        picture += random.normal(0, NOISE, picture.shape)
        image[:] = picture.clip(0, 255)
        boxes.append(np.array(found, np.float32).reshape(-1, 5))
    return Pictures(images, pixels, tuple(boxes))


def _texture(random):
    """Stripes of a random direction and width, between two colours."""
    y, x = np.mgrid[:SIDE, :SIDE]
    angle, width = random.uniform(0, np.pi), random.uniform(3, 16)
    wave = np.sin(
        (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / width + random.uniform(0, 6)
    )
    one, other = _colour(random), _colour(random)
    share = 0.5 + 0.25 * wave
    return one[:, None, None] * share + other[:, None, None] * (1 - share)


def _colour(random):
    return random.uniform(30, 225, 3)


def _shape(random):
    """Class, mask and box of a shape at a random place, whole within the picture."""
    kind, radius = int(random.integers(len(CLASSES))), random.integers(*RADII, endpoint=True)
    centre_x, centre_y = random.integers(radius, SIDE - radius, 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    right, down = x - centre_x, y - centre_y
    inside = (abs(right) <= radius) & (abs(down) <= radius)
    mask = {
        "disc": right**2 + down**2 <= radius**2,
        "square": inside,
        # From its tip at the top to its base at the bottom.
        "triangle": inside & (2 * abs(right) <= down + radius),
    }[CLASSES[kind]]
    return kind, mask, (centre_x, centre_y, 2 * radius + 1, 2 * radius + 1)
