import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from qnn.nn.augment import augment

FORMATS = (torch.contiguous_format, torch.channels_last)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def pixels(shape, seed=0):
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=generator(seed))


def crops(image, pad):
    """Every crop of one image by (top, left, mirrored)."""
    height, width = image.shape[1:]
    padded = F.pad(image, (pad,) * 4)
    for top in range(2 * pad + 1):
        for left in range(2 * pad + 1):
            crop = padded[:, top : top + height, left : left + width]
            yield (top, left, False), crop
            yield (top, left, True), crop.flip(2)


def places(image, result, pad):
    return [place for place, crop in crops(image, pad) if torch.equal(crop, result)]


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from(FORMATS),
    st.integers(0, 1 << 32),
)
def test_each_result_is_a_crop_of_its_own_image(shape, pad, flip, memory_format, seed):
    images = pixels(shape, seed).contiguous(memory_format=memory_format)
    results = augment(images, generator(seed), pad, flip)
    assert results.dtype == torch.uint8
    assert results.shape == images.shape
    assert results.is_contiguous(memory_format=memory_format)
    for image, result in zip(images, results, strict=True):
        found = places(image, result, pad)
        assert found
        assert flip or any(not mirrored for _, _, mirrored in found)


def test_every_offset_and_mirroring_is_equally_likely():
    image = pixels((1, 2, 5, 4))
    results = augment(image.expand(9000, -1, -1, -1), generator(1), pad=1)
    seen = torch.stack([(results == crop).flatten(1).all(1) for _, crop in crops(image[0], 1)])
    assert seen.sum(0).eq(1).all()
    assert 400 < seen.sum(1).min() <= seen.sum(1).max() < 600


def test_without_flip_no_image_is_mirrored():
    image = pixels((1, 1, 3, 3))
    results = augment(image.expand(500, -1, -1, -1), generator(2), pad=0, flip=False)
    assert torch.equal(results, image.expand_as(results))


def test_flips_do_not_change_the_offsets():
    images = pixels((50, 1, 6, 6))
    plain, flipped = (augment(images, generator(3), 2, flip) for flip in (False, True))
    same = (plain == flipped).flatten(1).all(1)
    mirrored = (plain.flip(3) == flipped).flatten(1).all(1)
    assert (same | mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_the_generator_alone_determines_the_result():
    images = pixels((64, 3, 8, 8))
    first = augment(images, generator(4))
    torch.rand(3)
    assert torch.equal(augment(images, generator(4)), first)
    assert torch.equal(augment(images.contiguous(memory_format=FORMATS[1]), generator(4)), first)
    assert not torch.equal(augment(images, generator(5)), first)
    used = generator(4)
    augment(images, used)
    assert not torch.equal(augment(images, used), first)


def test_images_are_left_as_they_were():
    images = pixels((8, 3, 8, 8))
    kept = images.clone()
    results = augment(images, generator(6), pad=0, flip=False)
    results.zero_()
    assert torch.equal(images, kept)


@pytest.mark.parametrize(("shape", "pad"), [((3, 8, 8), 4), ((2, 3, 8, 8), -1)])
def test_other_shapes_and_negative_pads_are_refused(shape, pad):
    with pytest.raises(ValueError, match="augment") as raised:
        augment(torch.zeros(shape, dtype=torch.uint8), generator(0), pad)
    assert str(raised.value) == (
        f"augment needs images (count, channels, height, width) and a pad of at least 0, not "
        f"{shape} and {pad}"
    )
