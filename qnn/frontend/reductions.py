"""Means, sums and maxima over axes: pooling of rows and columns, and sums of channels."""

from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch

from qnn.frontend.faults import FaultyModel
from qnn.frontend.materialise import Materialise
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.extreme import Extreme
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.views import Held, View, in_order, is_view, known, whole
from qnn.ir.shape import Shape
from qnn.ir.window import Pair, Window

MEAN, SUM, MAXIMUM = "mean", "sum", "maximum"


@dataclass(frozen=True)
class Reduction:
    """One call of a mean, sum or maximum.

    Members
    -------
    kind : which of them
    make : gives blocks, and takes operators into the graph
    """

    kind: str
    make: Materialise

    def __call__(self, view: View, axes: tuple[int, ...], keep: bool) -> Held:
        """The reduction of ``view`` over ``axes`` of its image, which stay as 1 with ``keep``.

        Raises
        ------
        FaultyModel
            The values of a result lie in no rows, columns or channels of one tensor.
        """
        places = view.of_one_image(self.make.batch)
        shape = [1 if a in axes else n for a, n in enumerate(places.shape) if keep or a not in axes]
        kept = [a for a in range(places.dim()) if a not in axes]
        rows = places.permute(*kept, *axes).reshape(prod(places.shape[a] for a in kept), -1)
        # Of a single value nothing is left to reduce.
        if rows.shape[1] == 1:
            return known(replace(view, index=view.index.reshape(self.make.batch, *shape)))
        source = self.make.joined(view)
        found = None if source is None else self._of(view.name, source, rows)
        if found is None and view.instead is not None:
            # Rows below rows, or columns beside columns, are one tensor by then.
            return self(whole(view.instead(), tuple(view.index.shape)), axes, keep)
        if found is None and len(axes) > 1:
            # One after the other: all but the last axis, and then that.
            *first, last = axes
            part = self(view, tuple(first), True)
            if not is_view(part):
                ones = [1 if a in first else n for a, n in enumerate(places.shape)]
                part = whole(part, (self.make.batch, *ones))
            return self(part, (last,), keep)
        if found is None and not in_order(view):
            # What only slices or moves whole rows is an image of its own at the price of a copy.
            with suppress(FaultyModel):
                made = whole(self.make(view), tuple(view.index.shape))
                return self(made, axes, keep)
        if found is None:
            raise view.refuse(
                f"a {self.kind} over rows, columns or channels",
                f"over axes {', '.join(str(a + 1) for a in axes)} of {tuple(places.shape)}",
                "reduce before the axes are mixed",
            )
        result, index = found
        # Results of pixels that nobody asked for are computed too, and not read.
        images = torch.arange(self.make.batch)[:, None] * prod(result.shape)
        index = (images + index).reshape(self.make.batch, *shape)
        return known(View(result.name, view.site, (result,), index))

    def _of(self, name, source, rows):
        """The operator that has a result for each of ``rows``, and where those lie in it."""
        area = prod(source.shape[1:])
        channel, pixel = rows // area, rows % area
        if bool((channel == channel[:, :1]).all()):
            return self._of_space(name, source, channel[:, 0], pixel.sort(1)[0])
        sorted_ = rows.sort(1)[0]
        if area > 1 and not rows.shape[1] % area:
            # Whole maps of several channels: first over each of them, then over these.
            maps = sorted_.reshape(len(rows), -1, area)
            if bool((maps == maps[:, :, :1] // area * area + torch.arange(area)).all()):
                pooled = self._pooled(f"{name}.maps", source, tuple(source.shape[1:]))
                return self._of(name, pooled, maps[:, :, 0] // area)
        if bool((pixel == pixel[:, :1]).all()):
            of_channels = self._greatest if self.kind == MAXIMUM else self._of_channels
            return of_channels(name, source, channel.sort(1)[0], pixel[:, 0])
        return None

    def _of_space(self, name, source, channel, pixels):
        _, height, width = source.shape
        count = pixels.shape[1]
        steps = pixels - pixels[:, :1]
        # As many places of a map, in whatever order, are all of it.
        if count == height * width:
            return self._pooled(name, source, (height, width)), channel
        row, column = pixels[:, 0] // width, pixels[:, 0] % width
        if count == width and torch.equal(steps, torch.arange(width).expand_as(steps)):
            if not bool(column.any()):
                return self._pooled(name, source, (1, width)), channel * height + row
        if count == height and torch.equal(steps, (torch.arange(height) * width).expand_as(steps)):
            if not bool(row.any()):
                return self._pooled(name, source, (height, 1)), channel * width + column
        return None

    def _of_channels(self, name, source, channels, pixel):
        """Sums of channels at each pixel, which a convolution of equal weights gives."""
        sets, number = channels.unique(dim=0, return_inverse=True)
        share = 1.0 if self.kind == SUM else 1.0 / channels.shape[1]
        weight = torch.zeros(len(sets), source.shape[0])
        weight.scatter_add_(1, sets, torch.full(sets.shape, share))
        conv = FloatConv(
            name=name,
            inputs=(source.name,),
            shape=(len(sets), *source.shape[1:]),
            window=Window(kernel=(1, 1)),
            weight=weight[:, :, None, None],
            fixed=True,
        )
        return self.make.add(conv), number * prod(source.shape[1:]) + pixel

    def _greatest(self, name, source, channels, pixel):
        """The maxima of channels at each pixel, of one half of them and the other over and over."""
        sets, number = channels.unique(dim=0, return_inverse=True)
        places = number * prod(source.shape[1:]) + pixel
        # As many steps as the number of channels has bits.
        while sets.shape[1] > 1:
            half = (sets.shape[1] + 1) // 2
            # Of an odd number the one in the middle is in both halves.
            parts = [
                self.make.gathered(f"{name}.half", source, part.flatten())
                for part in (sets[:, :half], sets[:, -half:])
            ]
            source = self.make.add(
                Extreme(
                    name=name,
                    inputs=tuple(part.name for part in parts),
                    shape=parts[0].shape,
                    least=False,
                )
            )
            sets = torch.arange(source.shape[0]).reshape(len(sets), half)
        return source, places

    def _pooled(self, name, source, kernel: Pair):
        channels, height, width = source.shape
        shape: Shape = (channels, height // kernel[0], width // kernel[1])
        window = Window(kernel=kernel, stride=kernel)
        common: dict[str, Any] = {"name": name, "inputs": (source.name,), "shape": shape}
        if self.kind == MAXIMUM:
            return self.make.add(FloatMaxPool(**common, window=window))
        divisor = prod(kernel) if self.kind == MEAN else 1
        return self.make.add(AveragePool(**common, window=window, divisor=divisor))
