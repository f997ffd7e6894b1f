"""Images are computed as many at a time as fit in memory."""

import pytest
import torch

from qnn.ptq.chunks import chunks, concatenated


@pytest.mark.parametrize(
    ("shapes", "sizes"),
    [
        ([(300, 7)], [128, 128, 44]),
        ([(130, 3, 32, 32)], [128, 2]),
        ([(90, 3, 224, 224)], [41, 41, 8]),
        ([(3, 3, 1449, 1449)], [1, 1, 1]),
        ([(50, 4), (50, 1, 300, 300)], [23, 23, 4]),
        ([(0, 7)], [0]),
    ],
)
def test_of_large_images_there_are_fewer_at_a_time(shapes, sizes):
    images = tuple(torch.empty(shape, device="meta") for shape in shapes)
    parts = list(chunks([images, images]))
    assert [[len(each) for each in part] for part in parts] == [
        [size] * len(shapes) for size in 2 * sizes
    ]


def test_parts_are_all_images_in_order():
    images = torch.arange(300).reshape(300, 1), torch.arange(300, 600).reshape(300, 1, 1, 1)
    vectors, maps = concatenated(chunks([images]))
    assert torch.equal(vectors[:, :, 0, 0], images[0])
    assert torch.equal(maps, images[1])
