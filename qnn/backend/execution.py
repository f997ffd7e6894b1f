"""What a device computed for a design: outputs, and each tensor by its place in the network."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class LayerCycles:
    """When a layer's first step issued and its last write happened; None if it never did."""

    issue: int | None
    last_write: int | None

    def union(self, other: "LayerCycles") -> "LayerCycles":
        """The cycles from the first step to the last write of either."""
        issues = [c for c in (self.issue, other.issue) if c is not None]
        writes = [c for c in (self.last_write, other.last_write) if c is not None]
        # Of a layer that hung, one of both may be missing; the other still says something.
        return LayerCycles(min(issues, default=None), max(writes, default=None))


@dataclass(frozen=True, eq=False, kw_only=True)
class TensorPart:
    """The tensor of a layer for one image, or a part of it, such as a strip of its rows.

    Members
    -------
    name, op : of the node of the lowered graph
    image : which of the inputs
    values : (channels, height, width) integers
    channels : of the tensor, those that the part has, in its order; None: all from the first one
    row : of the tensor, where the part begins
    present : of the shape of ``values``, whether each was written; None if all were
    cycle : of the shape of ``values``, when each was written; None where the device has no clock
    problem : what is wrong beyond values, in one line
    """

    name: str
    op: str
    image: int
    values: np.ndarray
    channels: tuple[int, ...] | None = None
    row: int = 0
    present: np.ndarray | None = None
    cycle: np.ndarray | None = None
    problem: str | None = None
    cycles: LayerCycles | None = None

    @property
    def place(self) -> tuple[list[int], slice]:
        """Channels and rows of the whole tensor that this part is."""
        count, height = self.values.shape[:2]
        channels = range(count) if self.channels is None else self.channels
        # The width is never cut: strips are of rows, and parts of channels.
        return list(channels), slice(self.row, self.row + height)


@dataclass(frozen=True, eq=False, kw_only=True)
class Execution:
    """What all runs of an artifact gave.

    Members
    -------
    outputs : (images, channels, height, width) integers of each output of the graph, in its order
    parts : every tensor that was computed, in the order of the layers, if it was asked for
    failure : why a run did not end well, in one line; ``outputs`` may then be short
    stopped : the layer that the failing step belongs to, where the device knows
    broken : a rule that the device broke and that belongs to no layer, in one line; everything was
        computed
    cycles : of each run, from start to done; None where the device has no clock
    layer_cycles : of each layer for one image, which add up to ``cycles``; empty without a clock
    cycles_per_second, build_seconds : of the simulator, where it has a clock
    """

    outputs: tuple[np.ndarray, ...]
    parts: tuple[TensorPart, ...] = ()
    # A text and no exception: what was computed before it is worth comparing.
    failure: str | None = None
    # Beside the text, as layers that did nothing wrong may be as incomplete as this one.
    stopped: str | None = None
    broken: str | None = None
    # None and not 0, so that nobody takes it for a measurement.
    cycles: tuple[int, ...] | None = None
    layer_cycles: Mapping[str, float] = field(default_factory=dict)
    cycles_per_second: float | None = None
    build_seconds: float | None = None
