"""Means, sums and extremes over axes: pooling of rows and columns, and arithmetic of channels."""

from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch

from qnn.frontend.faults import FaultyModel
from qnn.frontend.materialise import Materialise
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.affine import affine_of
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.conv import pointwise
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.views import Held, View, in_order, is_view, known, whole
from qnn.ir.shape import Shape
from qnn.ir.window import Pair, Window

MEAN, SUM, MAXIMUM, MINIMUM = "mean", "sum", "maximum", "minimum"
EXTREMES = (MAXIMUM, MINIMUM)


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
            part = self(part, (last,), True)
            part = part if is_view(part) else whole(part, (self.make.batch, *part.shape))
            # The axes before the last one are there no more, either.
            return known(replace(part, index=part.index.reshape(self.make.batch, *shape)))
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
        found = self._of_maps(name, source, rows.sort(1)[0])
        if found is not None:
            return found
        if bool((pixel == pixel[:, :1]).all()):
            sets, number = channel.sort(1)[0].unique(dim=0, return_inverse=True)
            of_sets = self._extreme_of if self.kind in EXTREMES else self._sum_of
            result = of_sets(name, source, sets)
            return result, number * area + pixel[:, 0]
        return None

    def _of_maps(self, name, source, rows):
        """The same windows of several channels: first over each of them, then over these."""
        area = prod(source.shape[1:])
        count = int((rows[0] // area == rows[0, 0] // area).sum())
        if count == 1 or rows.shape[1] % count:
            return None
        channel, pixel = (
            part.reshape(len(rows), -1, count) for part in (rows // area, rows % area)
        )
        alike = bool((channel == channel[:, :, :1]).all() and (pixel == pixel[:, :1]).all())
        maps = channel[:, :, 0].flatten(), pixel.flatten(0, 1)
        found = self._of_space(f"{name}.maps", source, *maps) if alike else None
        if found is None:
            return None
        pooled, place = found
        return self._of(name, pooled, place.reshape(len(rows), -1))

    def _of_space(self, name, source, channel, pixels):
        """Windows of a map side by side, of whatever size, that divide it."""
        _, height, width = source.shape
        rows, columns = pixels // width, pixels % width
        top, left = rows.amin(1), columns.amin(1)
        inner = (rows - top[:, None]) * width + columns - left[:, None]
        high, wide = (int((x.amax(1) - x.amin(1)).amax()) + 1 for x in (rows, columns))
        window = torch.arange(high)[:, None] * width + torch.arange(wide)
        same = inner.shape[1] == window.numel() and bool((inner == window.flatten()).all())
        if not same or height % high or width % wide or bool((top % high + left % wide).any()):
            return None
        down, across = height // high, width // wide
        place = (channel * down + top // high) * across + left // wide
        return self._pooled(name, source, (high, wide)), place

    def _sum_of(self, name, source, sets):
        """Sums of channels at each pixel, which a convolution of equal weights gives."""
        share = 1.0 if self.kind == SUM else 1.0 / sets.shape[1]
        weight = torch.zeros(len(sets), source.shape[0])
        weight.scatter_add_(1, sets, torch.full(sets.shape, share))
        return self.make.add(pointwise(name, source, weight, fixed=True))

    def _extreme_of(self, name, source, sets):
        """The greatest or least of channels at each pixel, by halves: a + relu(b - a)."""
        while sets.shape[1] > 1:
            half = (sets.shape[1] + 1) // 2
            # Of an odd number the middle one is in both halves, which changes no extreme.
            one, other = sets[:, :half].flatten(), sets[:, -half:].flatten()
            last = half == 1
            label = name if last else f"{name}.{half}"
            first = self.make.gathered(f"{label}.first", source, one)
            weight = torch.zeros(len(one), source.shape[0])
            # Where both are one channel, nothing is left over it.
            weight[torch.arange(len(one)), other] += 1
            weight[torch.arange(len(one)), one] -= 1
            bound = {"low": 0.0} if self.kind == MAXIMUM else {"high": 0.0}
            excess = pointwise(f"{label}.excess", source, weight, fixed=True)
            excess = replace(excess, **bound)
            names = (first.name, self.make.add(excess).name)
            source = self.make.add(Add(name=label, inputs=names, shape=excess.shape))
            sets = torch.arange(len(one)).reshape(len(sets), half)
        return source

    def _pooled(self, name, source, kernel: Pair):
        channels, height, width = source.shape
        shape: Shape = (channels, height // kernel[0], width // kernel[1])
        window = Window(kernel=kernel, stride=kernel)
        common: dict[str, Any] = {"name": name, "inputs": (source.name,), "shape": shape}
        if self.kind == MAXIMUM:
            return self.make.add(FloatMaxPool(**common, window=window))
        if self.kind == MINIMUM:
            # The least is the greatest of the negatives, less than nothing.
            below = self.make.add(affine_of(f"{name}.negative", source, -1.0, 0.0))
            common = {**common, "name": f"{name}.greatest", "inputs": (below.name,)}
            greatest = self.make.add(FloatMaxPool(**common, window=window))
            return self.make.add(affine_of(name, greatest, -1.0, 0.0))
        divisor = prod(kernel) if self.kind == MEAN else 1
        return self.make.add(AveragePool(**common, window=window, divisor=divisor))
