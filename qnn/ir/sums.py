"""How large a convolution's sums can get, whatever the image, from weights and operands' types."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hw.spec.isa.codes import integer, magnitude, term_shift
from qnn.ir.epilogue import Epilogue
from qnn.quant.qtype import QType

# Weights that are looked at together: a layer's millions, as integers, would take eight times their
# codes' memory; channel by channel, a depthwise layer would take a call for each 9 weights.
TOGETHER = 1 << 16


@dataclass(frozen=True)
class Bounds:
    """What one convolution can reach on the array, where unsigned tensors are stored offset.

    Members
    -------
    name : the node
    accumulator : least and greatest partial sum of products, term by term, else in any order
    result : least and greatest value of the epilogue's sum, at each of its steps
    shift : most places of a shift
    """

    name: str
    accumulator: tuple[int, int]
    result: tuple[int, int]
    shift: int

    @property
    def accumulator_bits(self) -> int:
        """The bits of the two's complement that holds every partial sum."""
        return max(map(_bits, self.accumulator))

    @property
    def result_bits(self) -> int:
        """The bits that hold the epilogue's sums, with places for each shift."""
        return max(self.shift + 1, *map(_bits, self.result))


@dataclass(frozen=True, eq=False, kw_only=True)
class Sums:
    """The sums of one convolution: products of codes with an operand, and its epilogue.

    Members
    -------
    codes : signed indices, (terms, outputs, inputs / groups, kernel height, kernel width)
    weight_bits : the width of a code
    result, operand, skip : types of the result and of the operands; None where no skip is added
    """

    codes: np.ndarray
    weight_bits: int
    epilogue: Epilogue[np.ndarray]
    result: QType
    operand: QType
    skip: QType | None

    def bounds(self, name: str) -> Bounds:
        """The least and greatest sums over values as the array stores them."""
        skip = (0, 0) if self.skip is None else _stored_range(self.skip)
        epilogue, partial, whole = (
            self.epilogue,
            self._partial_sums(),
            self._ranges(self._weight_sums),
        )
        sums, results = [], []
        for channel, bias in enumerate(self.stored_bias()):
            sums += partial[channel]
            least, most = whole[channel]
            left = int(epilogue.left[channel])
            skip_left = 0 if self.skip is None else int(epilogue.skip_left[channel])
            # The epilogue adds bias, then skip: each step is a value that must fit.
            for step in (0, bias):
                results += [(least << left) + step, (most << left) + step]
            results += [(least << left) + bias + (skip[0] << skip_left)]
            results += [(most << left) + bias + (skip[1] << skip_left)]
        shifts = [epilogue.left, epilogue.right]
        shifts += [] if self.skip is None else [epilogue.skip_left]
        return Bounds(
            name,
            (min(sums), max(sums)),
            (min(results), max(results)),  # a stored bias lies between two
            max(int(places.max()) for places in shifts),
        )

    def plain_bounds(self) -> tuple[int, int]:
        """Greatest magnitude of a partial sum of products, and of the sum with everything added.

        Integers are those of the graph, without storage offsets: what the reference computes with.
        """
        reach = _reach(self.operand)
        sums = [(positive - negative) * reach for positive, negative in self._weight_sums]
        skip = 0 if self.skip is None else _reach(self.skip)
        epilogue, results = self.epilogue, []
        for channel, total in enumerate(sums):
            result = (total << int(epilogue.left[channel])) + abs(int(epilogue.bias[channel]))
            # The half that rounding adds is of the last place that is shifted out.
            result += 1 << int(epilogue.right[channel]) >> 1
            if self.skip is not None:
                result += skip << int(epilogue.skip_left[channel])
            results.append(result)
        return max(sums), max(results)

    def stored_bias(self) -> list[int]:
        """Each channel's bias as the accelerator keeps it: rounding and storage offsets folded in.

        With operands stored as ``q - offset`` (padding too), the result stored likewise is
        ``((acc << left) + stored_bias + (skip << skip_left)) >> right``, then clamped.
        """
        epilogue, folded = self.epilogue, []
        offset = epilogue.offset(self.result)
        for channel, (positive, negative) in enumerate(self._weight_sums):
            total = positive + negative
            left, right = int(epilogue.left[channel]), int(epilogue.right[channel])
            bias = int(epilogue.bias[channel]) + (self.operand.offset * total << left)
            if self.skip is not None:
                bias += self.skip.offset << int(epilogue.skip_left[channel])
            # The result is stored less its offset, in units before the right shift.
            if epilogue.rounded:
                bias += (1 << right >> 1) - (offset << right)
            folded.append(bias)
        return folded

    @cached_property
    def _weight_sums(self):
        """For each output channel: the sum of its positive weights, and of its negative ones."""
        sums, each = [], max(1, self.codes[:1, :1].size)
        count = max(1, TOGETHER // each)
        for first in range(0, self.codes.shape[1], count):
            codes = self.codes[:, first : first + count]
            weights = integer_weights(codes, self.weight_bits).reshape(codes.shape[1], -1)
            positive = np.maximum(weights, 0).sum(axis=1)
            sums += zip(positive.tolist(), (weights.sum(axis=1) - positive).tolist(), strict=True)
        return sums

    def _partial_sums(self):
        """For each output channel: the least and the greatest sum on the array, term by term."""
        places, ranges = term_shift(self.weight_bits), [(0, 0)] * self.codes.shape[1]
        # Terms count one by one: sums that cancel at the end pass through their extremes. These
        # never shrink, as zero lies within what each term adds.
        for own in map(_code_sums, self.codes):
            ranges = [
                ((least << places) + low, (most << places) + high)
                for (least, most), (low, high) in zip(ranges, self._ranges(own), strict=True)
            ]
        return ranges

    def _ranges(self, sums):
        """The least and the greatest sum of products, in any order, by sums of weights."""
        low, high = _stored_range(self.operand)
        # Any order of the products stays within: each sums at its own extreme.
        return [(plus * low + minus * high, plus * high + minus * low) for plus, minus in sums]


def _code_sums(codes):
    """For each output channel: the sum of one term's positive integers, and of its negative."""
    rows = codes.reshape(len(codes), -1)
    most = int(np.abs(rows).max(initial=0))
    # By how many codes there are of each index, as millions of weights would take eight times their
    # memory as integers.
    positive, negative = (
        sum(np.count_nonzero(rows == index, axis=1) * integer(index) for index in indices)
        for indices in (range(most + 1), range(-most, 1))
    )
    return list(zip(positive.tolist(), negative.tolist(), strict=True))


def integer_weights(codes: np.ndarray, weight_bits: int) -> np.ndarray:
    """Weights as the array multiplies by them: int64, the shape of ``codes[0]``.

    Each term weighs ``2**term_shift(weight_bits)`` times the next one.
    """
    total = np.zeros(codes.shape[1:], np.int64)
    for term in magnitudes(codes):
        total = (total << term_shift(weight_bits)) + term
    return total


def magnitudes(codes: np.ndarray) -> np.ndarray:
    """The signed power of two of each code, 0 for code 0: int64 of the same shape."""
    most = int(np.abs(codes).max(initial=0))
    positive = [magnitude(index) for index in range(most + 1)]
    # Those below zero stand at the end, where negative places count from.
    return np.array([*positive, *(-value for value in positive[:0:-1])], np.int64)[codes]


def _reach(type: QType) -> int:
    return max(-type.low, type.high)


def _stored_range(type: QType) -> tuple[int, int]:
    return type.low - type.offset, type.high - type.offset


def _bits(value: int) -> int:
    """The bits of the two's complement that holds ``value``."""
    return (value if value >= 0 else ~value).bit_length() + 1
