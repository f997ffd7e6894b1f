"""Convolutions, linear layers and normalisations, with the clamps that join them."""

from types import MappingProxyType

from hypothesis import strategies as st
from torch import Tensor, nn

from tests.blocks.parts import Called, conv, norm, of_rank, same, shape_after

MOST_STEPS = 6  # of a recurrent cell, each some layers of its own


def _activation(draw):
    clamps = (
        nn.ReLU(),
        nn.ReLU6(),
        nn.Hardtanh(-0.5, 0.75),
        Called(lambda x: x.clamp(0.25, None)),
        Called(lambda x: x.clamp(None, 1.0)),
    )
    return draw(st.sampled_from(clamps))


def _block(draw, shape):
    layers = [conv(draw, shape, padding=draw(st.sampled_from((None, "same"))))]
    if draw(st.booleans()):
        layers.append(norm(shape, layers[0].out_channels))
    if draw(st.booleans()):
        layers.append(_activation(draw))
    return nn.Sequential(*layers)


def _depthwise(draw, shape):
    outputs = shape[0] * draw(st.integers(1, 2))
    return nn.Sequential(conv(draw, shape, outputs, groups=shape[0]), _activation(draw))


def _padded(draw, shape):
    pads = tuple(draw(st.integers(0, 2)) for _ in range(2 * len(shape[1:])))
    pad = of_rank(shape, nn.ConstantPad1d, nn.ConstantPad2d)(pads, 0.0)
    return nn.Sequential(pad, conv(draw, shape_after(pad, shape)))


def _separable(draw, shape):
    """Depthwise and pointwise, as MobileNets have them."""
    deep = same(draw, shape, shape[0])
    return nn.Sequential(deep, nn.ReLU6(), same(draw, shape, draw(st.sampled_from((3, 8, 10)))))


class OfPixels(nn.Module):
    """A linear layer of each pixel's channels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.movedim(1, -1)).movedim(-1, 1)


def _of_pixels(draw, shape):
    return OfPixels(shape[0], draw(st.sampled_from((1, 5, 11))))


def _norm(draw, shape):
    return nn.Sequential(norm(shape), *[nn.ReLU()] * draw(st.booleans()))


class Recurrent(nn.Module):
    """A cell along a sequence, whose steps are unrolled."""

    def __init__(self, cell: nn.Module):
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x.mT)[0].mT


def _recurrent(draw, shape):
    if len(shape) != 2 or shape[1] > MOST_STEPS:
        return None
    kind = draw(st.sampled_from((nn.GRU, nn.LSTM)))
    return Recurrent(kind(shape[0], draw(st.integers(1, 4)), batch_first=True))


KINDS = MappingProxyType(
    {
        "block": _block,
        "another block": _block,
        "depthwise": _depthwise,
        "padded": _padded,
        "separable": _separable,
        "linear of pixels": _of_pixels,
        "normalisation": _norm,
        "recurrent": _recurrent,
        "clamp": lambda draw, shape: _activation(draw),
        "nothing": lambda draw, shape: draw(st.sampled_from((nn.Identity(), nn.Dropout()))),
    }
)
