"""Constants that differ from place to place: maps that a convolution of a single 1 spreads out.

A kernel as large as the map, over one pixel in a border as wide, gives each place its own weight.
"""

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.materialise import Materialise
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.pixel_shuffle import PixelShuffle
from qnn.ir.window import Window

# Products of weights and places, nearly all of them with zeros of the border: a tenth of those of
# a small network for phones, some 100,000 cycles of an array of 16 by 16.
MOST_PRODUCTS = 1 << 25
# Places that a kernel sums over. Four terms of 128 weights fill the weight memory of the smallest
# configuration; with up to 256 the proof against overflow, which knows no border, holds for 8 bits.
MOST_PLACES = (128, 256)
# Rows and columns of a block, whose pixels are computed apart and shuffled: each is a layer.
BLOCKS = (1, 2, 4, 7, 8)


def block_for(shape: torch.Size) -> int | None:
    """The smallest block for a map of (channels, height, width); None: it is too large."""
    channels, height, width = shape
    for most, block in product(MOST_PLACES, BLOCKS):
        places = height * width // block**2
        fits = places <= most and channels * height * width * places <= MOST_PRODUCTS
        if fits and height % block == width % block == 0:
            return block
    return None


def constant_map(
    name: str, value: Tensor, source: FloatOperator, make: Materialise
) -> FloatOperator:
    """The operator that gives ``value`` for every image, whatever ``source`` holds.

    Parameters
    ----------
    value : (channels, height, width), of which ``block_for`` has a block
    make : takes operators into the graph
    """
    block = block_for(value.shape)
    # Each window sees the one pixel, through the weight that lies on it: the last for the first.
    one = make.add(_one(f"{name}.one", source))
    weight = F.pixel_unshuffle(value.float(), block).flip(1, 2)[:, None]
    channels, _, height, width = weight.shape
    spread = FloatConv(
        name=f"{name}.map",
        inputs=(one.name,),
        shape=(channels, height, width),
        window=Window(
            kernel=(height, width), padding=(height - 1, height - 1, width - 1, width - 1)
        ),
        weight=weight.contiguous(),
        fixed=True,
    )
    # Without blocks each channel is a map already.
    if block == 1:
        return make.add(spread)
    inputs = (make.add(spread).name,)
    shuffled = PixelShuffle(
        name=f"{name}.map", inputs=inputs, shape=tuple(value.shape), factor=block
    )
    return make.add(shuffled)


def _one(name, source):
    """A pixel that is 1, by weights of 0 and a bias."""
    return FloatConv(
        name=name,
        inputs=(source.name,),
        shape=(1, 1, 1),
        window=Window(kernel=(1, 1), stride=source.shape[1:]),
        weight=torch.zeros(1, source.shape[0], 1, 1),
        bias=torch.ones(1),
        fixed=True,
    )
