"""Pictures of shapes: the same for a seed, and boxes are where the pixels are."""

import numpy as np

from qnn.bench.applications.shapes import CLASSES, SIDE, draw


def test_the_same_seed_draws_the_same_pictures():
    one, same, other = draw(4, 3), draw(4, 3), draw(4, 4)
    np.testing.assert_array_equal(one.images, same.images)
    np.testing.assert_array_equal(one.pixels, same.pixels)
    assert (one.images != other.images).any()


def test_each_box_is_filled_by_pixels_of_its_class_alone():
    pictures = draw(40, 0)
    assert {int(kind) for boxes in pictures.boxes for kind in boxes[:, 0]} == set(
        range(len(CLASSES))
    )
    for pixels, boxes in zip(pictures.pixels, pictures.boxes, strict=True):
        left = pixels.copy()
        for kind, x, y, width, height in boxes:
            rows = slice(int(y - height // 2), int(y + height // 2) + 1)
            columns = slice(int(x - width // 2), int(x + width // 2) + 1)
            inside = pixels[rows, columns]
            assert inside.shape == (height, width)
            mine = inside == 1 + kind
            # A shape reaches every side of its box.
            assert mine.any(0).all()
            assert mine.any(1).all()
            left[rows, columns][mine] = 0
        assert not left.any()
    assert pictures.pixels.shape[1:] == (SIDE, SIDE)
