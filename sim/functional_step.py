"""One instruction of a program, with what of it is the same for every input."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from hw.spec.isa.buffers import Region
from hw.spec.isa.header import Op


@dataclass(frozen=True, eq=False, kw_only=True)
class FunctionalStep:
    """One instruction, ready to run; its operation decides which members it has.

    ``reads`` (pixels, taps) holds the last word of the feature buffer, which holds the padding
    value, for what lies outside; ``words`` is (pixels,), or (passes, pixels) where unrounded.
    """

    op: Op
    region: Region | None = None  # of a transfer
    finishes: int | None = None  # the tag whose last instruction this is
    bytes: np.ndarray | None = None
    words: np.ndarray | None = None
    unpack: partial | None = None
    pack: partial | None = None
    reads: np.ndarray | None = None
    pad_value: int | None = None
    weights: np.ndarray | None = None  # (taps * lanes, rows)
    bias: np.ndarray | None = None  # (rows,), like the next three
    left: np.ndarray | None = None
    skip_left: np.ndarray | None = None
    right: np.ndarray | None = None
    skips: np.ndarray | None = None  # (pixels,)
    offsets: tuple[int, int] | None = None  # of a product's factors, as they are stored
    factor: partial | None = None  # the activation in a sum
    skip_lanes: slice | None = None
    output_lanes: slice | None = None
    low: int | None = None
    high: int | None = None
    table: np.ndarray | None = None  # (entries, rows), by index; those below zero at the end
    cut_sum: partial | None = None
    cut: partial | None = None
    slice: partial | None = None
