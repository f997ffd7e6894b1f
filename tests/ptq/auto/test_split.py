"""Images by what they are for, as a search of any number of them has them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.ptq.auto import split as splitting
from qnn.ptq.auto.split import Split, taken, to_calibrate


def numbered(count, height=1, width=1):
    """Images that are told apart by their value, from 1 on."""
    return (torch.arange(1.0, count + 1)[:, None, None, None].expand(count, 1, height, width),)


def numbers(images):
    return set(images[0][:, 0, 0, 0].tolist())


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12_000))
def test_what_judges_is_fitted_to_nothing(count):
    images = numbered(count)
    chosen = to_calibrate(count)
    calibrated, split = taken(images, chosen), Split.of(images, chosen)
    held, fitted, lessons = (numbers(each) for each in (split.held, split.fitted, split.lessons))
    assert len(calibrated[0]) == min(count, splitting.CALIBRATED)
    assert fitted <= lessons
    assert torch.equal(images[0][split.judges], split.held[0])
    if count == 1:
        assert held == fitted == lessons
        return
    assert held.isdisjoint(lessons)
    # Of images that types were chosen on a half, and of further ones a quarter.
    further = len(held | lessons) - len(calibrated[0])
    assert len(held) == len(calibrated[0]) // 2 + further // 4
    assert len(held & numbers(calibrated)) == len(calibrated[0]) // 2
    assert len(fitted) == min(splitting.FITTED, len(lessons))
    # Where all fit, all are used in the end.
    few = count <= splitting.FITTED
    assert split.has_more == (few or len(split.whole[0]) > len(fitted))
    assert not few or numbers(split.whole) == numbers(images)


def test_no_image_that_reaches_further_is_learnt_from():
    images = numbered(4000)
    chosen = to_calibrate(4000)
    calibrated, used = taken(images, chosen), Split.of(images, chosen)
    plain = numbers(used.lessons) | numbers(used.held)
    spoilt = min(numbers(used.lessons) - numbers(calibrated))
    reaching = (torch.where(images[0] == spoilt, -9000.0, images[0]),)
    without = Split.of(reaching, chosen)
    assert numbers(without.lessons) | numbers(without.held) == plain - {spoilt}


@pytest.mark.parametrize(
    ("side", "most"), [(1, splitting.FITTED), (128, 512), (4096, splitting.FEWEST)]
)
def test_large_images_are_fewer(side, most):
    images = torch.empty(5000, 3, side, side, device="meta")
    assert splitting._most_fitted((images,)) == most


def test_so_many_values_are_learnt_from(monkeypatch):
    images = numbered(4000)
    monkeypatch.setattr(splitting, "LESSON_VALUES", 2000)
    assert len(Split.of(images, to_calibrate(4000)).lessons[0]) <= 2000 - 1536 + 768


def test_a_split_says_whether_it_can_judge():
    few = ", too few to judge by: give some hundred"
    for count, text in [
        (1, f"1 image to fit, 1 held out{few}"),
        (63, f"32 images to fit, 31 held out{few}"),
        (64, "32 images to fit, 32 held out"),
    ]:
        images = (torch.randn(count, 2, 4, 4),)
        assert str(Split.of(images, to_calibrate(count))) == text


@pytest.mark.parametrize(("side", "judges"), [(1, 1250), (128, 256), (4096, 0)])
def test_of_large_images_fewer_judge(side, judges):
    images = (torch.empty(5000, 1, side, side, device="meta"),)
    assert splitting._judging(images, 5000) == judges
