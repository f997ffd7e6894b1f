"""Which values of its tensor a layer's instructions write, whatever the input, and where else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.tensors import Layer
from qnn.runtime.tensors import places

Write = tuple[np.ndarray, slice]  # words of the feature buffer, and the lanes of each


@dataclass(frozen=True, eq=False)
class Footprint:
    """The words that one tag's instructions write.

    Members
    -------
    present : (channels, height, width) of the layer's tensor, whether each value is written
    stray : words that are written outside the tensor
    """

    present: np.ndarray
    stray: int


def footprint(writes: Sequence[Write], layer: Layer, config: SvpeConfig) -> Footprint:
    """The footprint of ``layer``, whose instructions make ``writes``."""
    layout, count = layer.output, layer.output.words(config.lanes)
    written, stray = np.zeros((count, config.lanes), bool), 0
    for words, lanes in writes:
        address = words.reshape(-1) - layout.address
        inside = (address >= 0) & (address < count)
        stray += int((~inside).sum())
        written[address[inside], lanes] = True
    word, lane = places(layout, config.lanes)
    # An unrounded value is there when all of its slices are.
    steps = np.arange(layout.passes)[:, None, None, None] * layout.pass_step
    return Footprint(written[word + steps, lane].all(0), stray)
