"""What networks are given: an image, a sequence, tokens, or several of them that meet."""

from types import MappingProxyType

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.blocks.parts import Called, Shape, conv, evaluated, shape_after

CHANNELS = (1, 2, 3, 5, 8, 9)
Fed = tuple[tuple[Shape, ...], nn.Module, Shape]  # shapes of inputs, what joins them, its shape


class Meeting(nn.Module):
    """Joins what a layer of its own makes of each input."""

    def __init__(self, join, *stems: nn.Module):
        super().__init__()
        self.join, self.stems = join, nn.ModuleList(stems)

    def forward(self, *given: Tensor) -> Tensor:
        return self.join(*(stem(x) for stem, x in zip(self.stems, given, strict=True)))


def _sequence_shape(draw, most):
    return draw(st.sampled_from(CHANNELS)), draw(st.integers(3, 3 * most))


def _image_shape(draw, most):
    return draw(st.sampled_from(CHANNELS)), draw(st.integers(3, most)), draw(st.integers(3, most))


def _image(draw, most: int) -> Fed:
    shape = _image_shape(draw, most)
    return (shape,), nn.Identity(), shape


def _sequence(draw, most: int) -> Fed:
    shape = _sequence_shape(draw, most)
    # A layer of sequences says that the input is one, where tokens could be meant.
    stem = conv(draw, shape)
    return (shape,), stem, shape_after(stem, shape)


def _tokens(draw, most: int) -> Fed:
    """Linear layers of tokens, behind which the length is the last axis."""
    shape = draw(st.integers(3, 2 * most)), draw(st.sampled_from(CHANNELS[1:]))
    width = draw(st.sampled_from((3, 8, 10)))
    layers = [nn.Linear(shape[1], width), nn.ReLU()]
    layers += [nn.Linear(width, width)] * draw(st.booleans())
    stem = nn.Sequential(*layers, Called(lambda x: x.mT))
    return (shape,), stem, (width, shape[0])


def _two_images(draw, most: int) -> Fed:
    first = _image_shape(draw, most)
    second = draw(st.sampled_from(CHANNELS)), *first[1:]
    channels = draw(st.sampled_from((3, 8)))
    stems = (conv(draw, each, channels, "same") for each in (first, second))
    joins = (torch.add, torch.mul, torch.maximum, lambda a, b: torch.cat([a, b], 1))
    return _met((first, second), Meeting(draw(st.sampled_from(joins)), *stems))


def _image_and_vector(draw, most: int) -> Fed:
    """Values for the channels of a map, added to it or multiplied by."""
    image, vector = _image_shape(draw, most), (draw(st.integers(2, 9)),)
    channels = draw(st.sampled_from((3, 8)))
    joins = (
        lambda a, v: a * torch.sigmoid(v)[:, :, None, None],
        lambda a, v: a + v[:, :, None, None],
    )
    stems = conv(draw, image, channels), nn.Linear(vector[0], channels)
    return _met((image, vector), Meeting(draw(st.sampled_from(joins)), *stems))


def _two_sequences(draw, most: int) -> Fed:
    first = _sequence_shape(draw, most)
    second = draw(st.sampled_from(CHANNELS)), first[1]
    stems = (conv(draw, each, 4, "same") for each in (first, second))
    return _met((first, second), Meeting(torch.sub, *stems))


def _met(shapes, meeting):
    found = evaluated(meeting, *(torch.zeros(2, *shape) for shape in shapes))
    return shapes, meeting, tuple(found.shape[1:])


INPUTS = MappingProxyType(
    {
        "image": _image,
        "another image": _image,
        "a third image": _image,
        "sequence": _sequence,
        "tokens": _tokens,
        "two images": _two_images,
        "image and vector": _image_and_vector,
        "two sequences": _two_sequences,
    }
)
