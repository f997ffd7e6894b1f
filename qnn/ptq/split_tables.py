"""A table of what tensors are divided by becomes two where one is too coarse for small divisors.

A table has even steps. The root of a variance that is a hundred times smaller in one image than in
another lies within a few of them, and scales all that the image has. So one table has the divisors
up to a bound in fine steps, a second one has what is left over beyond it, and their sum is exact:
``f(v) = f(min(v, bound)) + (f(max(v, bound)) - f(bound))``.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv, identity
from qnn.frontend.ops.operator import FloatOperator, sum_of
from qnn.frontend.rewrite import Rewrite
from qnn.functions.elementwise import IDENTITY, Elementwise, applied_to
from qnn.functions.table import INDEX_BITS
from qnn.ptq.norms import weighed
from qnn.quant.histogram import Histogram

# Mean squared relative error of one table: below 40 dB, its products would lose what others leave.
COARSE = 1e-4
GAIN = 4.0  # at least, in squared error: two more layers are no price for less
OCTAVES = range(1, 13)  # below the greatest divisor, where the bound may lie


def split_tables(
    graph: FloatGraph, seen: Mapping[str, Histogram], activation_bits: int
) -> tuple[FloatGraph, dict[str, Histogram]]:
    """The fused ``graph`` with two tables for each divisor that needs them, and what they hold.

    Parameters
    ----------
    seen : what each tensor held on the calibration data, and each sum before a table
    activation_bits : of the indices, as far as a table has so many
    """
    rewrite, found = Rewrite(graph), dict(seen)
    for conv in graph.convs:
        sums = seen.get(sum_of(conv.name))
        # A layer that learns has one set of weights.
        if not conv.fixed or conv.function is None or sums is None or not divides(graph, conv):
            continue
        counting = weighed(graph, conv, sums)
        if counting is not sums:
            found[conv.name] = counting.mapped(conv.function)
        bound = _bound(conv.function, sums, min(activation_bits, INDEX_BITS))
        if bound is None:
            continue
        fine, wide = _parts(conv, bound)
        # Never negative: it takes no bit for a sign.
        whole = replace(identity(conv.name, fine), inputs=(fine.name, wide.name), low=0.0)
        rewrite.exchange(conv.name, fine, wide, whole)
        for part in (fine, wide):
            found |= {sum_of(part.name): sums, part.name: counting.mapped(part.function)}
    return rewrite.graph(), found


def divides(graph: FloatGraph, node: FloatOperator) -> bool:
    """Whether ``node`` gives reciprocals, with which nothing is done but to multiply."""
    function = node.unfused()[-1].as_function
    return function is not None and function.inverts and _only_multiplied(graph, node.name)


def _only_multiplied(graph, name):
    readers = graph.users(name)
    # Copies lay a factor over what it is multiplied with.
    return bool(readers) and all(
        node.multiplies or (node.shares_type and _only_multiplied(graph, node.name))
        for node in readers
    )


def _bound(function: Elementwise, sums: Histogram, bits: int) -> float | None:
    """The greatest divisor of the fine table that loses least; None: one table will do."""
    if sums.least < 0 or not sums.most:
        return None
    used = sums.counts.nonzero().flatten()
    x, counts = sums.centres[used].clamp(sums.least, sums.most), sums.counts[used].double()
    errors = {
        bound: _relative(function, x, bound, bits)
        for bound in (sums.most / 2.0**k for k in OCTAVES)
    }
    coarse = _relative(function, x, sums.most, bits)
    losses = {
        bound: _mean(torch.where(x <= bound, error, coarse), counts)
        for bound, error in errors.items()
    }
    best, whole = min(losses, key=losses.__getitem__), _mean(coarse, counts)
    return best if whole > COARSE and losses[best] * GAIN < whole else None


def _relative(function: Elementwise, x: Tensor, most: float, bits: int) -> Tensor:
    """Squared relative errors of a table whose greatest index stands for ``most``."""
    step = most / (1 << (bits - 1))
    # Below the first step a function may have no value.
    rounded = (x / step).round().clamp(min=0.5) * step
    wanted, got = (function(each[None, None, None])[0, 0, 0] for each in (x, rounded))
    return ((got - wanted) / wanted).square()


def _mean(errors, counts):
    return float((errors * counts).sum() / counts.sum())


def _parts(conv: FloatConv, bound: float) -> tuple[FloatConv, FloatConv]:
    """Both tables, each behind the same sums."""
    below = applied_to("clamp.default", [IDENTITY, None, bound])
    above = applied_to("clamp.default", [IDENTITY, bound, None])
    at_bound = float(conv.function(torch.full((1, 1, 1, 1), bound, dtype=torch.float64)))
    rest = applied_to("sub.Tensor", [conv.function.of(above), at_bound, 1])
    return (
        replace(conv, name=f"{conv.name}.fine", function=conv.function.of(below)),
        replace(conv, name=f"{conv.name}.wide", function=rest),
    )
