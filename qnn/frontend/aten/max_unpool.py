"""ATen's maximum unpooling: each value goes back to where the maximum of its window was.

Where the maximum is, a comparison of each place of the windows with their maxima says. Of places
that are equal PyTorch takes the first, so that each place leaves out what an earlier one took. Of
windows that share a pixel the last one that has its maximum there gives the value.
"""

from dataclasses import dataclass
from itertools import product

from torch import fx

from qnn.frontend.aten.call import Call
from qnn.frontend.faults import target_of
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.affine import affine_of
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.ops.multiply import FloatMultiply
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.pad import Pad
from qnn.frontend.ops.slice import Slice
from qnn.functions.elementwise import IDENTITY, applied_to
from qnn.ir.window import Pair

UNPOOLS = ("aten.max_unpool2d",)
IS_MAXIMUM = applied_to("ge.Scalar", [IDENTITY, 0])  # of a value less the maximum


@dataclass(frozen=True, eq=False)
class MaximumPlaces:
    """Where the maxima of a pooling were, which unpooling alone can read."""

    pool: FloatMaxPool


def places_of(node: fx.Node, found: FloatOperator) -> MaximumPlaces | None:
    """The places that ``node`` takes out of a pooling's results; None where others read them."""
    unpools = all(user.op == "call_function" and target_of(user) in UNPOOLS for user in node.users)
    pools = isinstance(found, FloatMaxPool)
    return MaximumPlaces(found) if pools and unpools and node.args[1] == 1 else None


def max_unpool2d(call: Call) -> FloatInterleave:
    """Each value at the place of its window's maximum, and zeros elsewhere."""
    source, places, size = call.source(), call["indices"], tuple(call["output_size"])
    if not isinstance(places, MaximumPlaces):
        do = "pass it what nn.MaxPool2d(..., return_indices=True) gives"
        raise call.refuse("places that a maximum pooling gives", "other numbers", do)
    whole = call.nodes[places.pool.inputs[0]]
    if whole.shape[1:] != size or source.shape != places.pool.shape:
        raise call.refuse(
            f"values of shape {places.pool.shape} and a result of {_by(whole.shape[1:])}",
            f"{source.shape} and {_by(size)}",
            "unpool to the size that was pooled, with output_size",
        )
    window = places.pool.window
    if any(s > k for s, k in zip(window.stride, window.kernel, strict=True)):
        got = f"a stride of {_by(window.stride)} and a kernel of {_by(window.kernel)}"
        raise call.refuse("windows without gaps between them", got, "use a stride of the kernel's")
    return _Unpooling(call, source, whole, places.pool).result()


def _by(size: Pair) -> str:
    return f"{size[0]}x{size[1]}"


@dataclass(frozen=True)
class _Unpooling:
    """One call, and the operators for it.

    Members
    -------
    values : that go back
    whole : the image that ``pool`` took the maxima of
    """

    call: Call
    values: FloatOperator
    whole: FloatOperator
    pool: FloatMaxPool

    def result(self):
        window = self.pool.window
        taken = self._first_maxima()
        # Pixels at one place among the windows' steps are one part of the result.
        offsets = tuple(product(*(range(n) for n in window.stride)))
        parts = [self._part(offset, taken) for offset in offsets]
        return FloatInterleave(
            name=self.call.name,
            inputs=tuple(part.name for part in parts),
            shape=self.call.shape,
            step=window.stride,
            offsets=offsets,
        )

    def _first_maxima(self):
        """By the tap of the windows: 1 for each window whose maximum it is the first to be."""
        # ``before`` says whether an earlier tap was it; equal ones are common behind a ReLU.
        found, before = {}, None
        for tap in product(*map(range, self.pool.window.kernel)):
            equal = self._equal(tap)
            if equal is None:
                continue
            if before is None:
                found[tap] = before = equal
                continue
            more = self._add("more", Add, (equal, before), alpha=-1.0)
            found[tap] = self._add("taken", Clamp, (more,), low=0.0, high=None)
            before = self._add("until", Add, (before, found[tap]))
        return found

    def _equal(self, tap):
        """1 for each window whose maximum is the tap's value; None where all of it is padding."""
        window, size = self.pool.window, self.pool.shape[1:]
        spans = []
        for axis, before in enumerate((window.padding[0], window.padding[2])):
            first = tap[axis] * window.dilation[axis] - before
            rows = range(first, first + size[axis] * window.stride[axis], window.stride[axis])
            inside = [n for n, row in enumerate(rows) if 0 <= row < self.whole.shape[1 + axis]]
            if not inside:
                return None
            spans.append((inside[0], len(inside), rows[inside[0]]))
        (top, height, row), (left, width, column) = spans
        inside = (height, width)
        values = self._sliced(self.whole, (row, column), window.stride, inside)
        # The border is left out and not compared with zeros, which a maximum may equal.
        maxima = self._sliced(self.pool, (top, left), (1, 1), inside)
        below = self._add("below", Add, (values, maxima), alpha=-1.0)
        equal = self._add("equal", FloatFunction, (below,), function=IS_MAXIMUM)
        return self._padded(equal, (top, left), size)

    def _part(self, offset, taken):
        """The pixels at ``offset`` of all steps, of windows that reach there in their order."""
        window, size = self.pool.window, self.whole.shape[1:]
        count = tuple(-(-(size[a] - offset[a]) // window.stride[a]) for a in (0, 1))
        reaching = {}
        for tap, first in taken.items():
            places = [
                offset[a] + window.padding[2 * a] - tap[a] * window.dilation[a] for a in (0, 1)
            ]
            if not any(places[a] % window.stride[a] for a in (0, 1)):
                window_of = tuple(places[a] // window.stride[a] for a in (0, 1))
                reaching[window_of] = first
        part = None
        # In PyTorch's order, by rows of windows.
        for window_of, first in sorted(reaching.items()):
            value = self._add("value", FloatMultiply, (self.values, first))
            value = self._moved(value, window_of, count)
            if part is not None:
                # What a later window gives stands in place of it.
                left = self._moved(first, window_of, count)
                left = self.call.make.add(affine_of(f"{self.call.name}.left", left, -1.0, 1.0))
                part = self._add("kept", FloatMultiply, (part, left))
                value = self._add("sum", Add, (part, value))
            part = value
        return part

    def _moved(self, node, start, size):
        """``size`` rows and columns of ``node`` from ``start``, with zeros where it has none."""
        first = tuple(max(n, 0) for n in start)
        behind = tuple(max(-n, 0) for n in start)
        held = tuple(min(node.shape[1 + a] - first[a], size[a] - behind[a]) for a in (0, 1))
        return self._padded(self._sliced(node, first, (1, 1), held), behind, size)

    def _sliced(self, node, start, stride, size):
        if node.shape[1:] == size:
            return node
        members = {"start": start, "stride": stride, "size": size}
        return self._add("slice", Slice, (node,), (node.shape[0], *size), **members)

    def _padded(self, node, before, size):
        if node.shape[1:] == size:
            return node
        behind = [size[a] - before[a] - node.shape[1 + a] for a in (0, 1)]
        padding = (before[0], behind[0], before[1], behind[1])
        return self._add("pad", Pad, (node,), (node.shape[0], *size), padding=padding)

    def _add(self, what, kind, operands, shape=None, **members):
        return self.call.make.add(
            kind(
                name=f"{self.call.name}.{what}",
                inputs=tuple(each.name for each in operands),
                shape=shape or operands[0].shape,
                **members,
            )
        )


OPERATORS = dict.fromkeys(UNPOOLS, max_unpool2d)
