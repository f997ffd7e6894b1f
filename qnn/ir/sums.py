"""How large a convolution's sums can get, whatever the image, from weights and operands' types."""

from dataclasses import dataclass

import numpy as np

from hw.spec.isa.codes import magnitude
from qnn.ir.epilogue import Epilogue
from qnn.quant.qtype import QType


@dataclass(frozen=True)
class Bounds:
    """What one convolution can reach on the array, where unsigned tensors are stored offset.

    Members
    -------
    name : the node
    accumulator : least and greatest partial sum of products, in any order
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
    result, operand, skip : types of the result and of the operands; None where no skip is added
    """

    codes: np.ndarray
    epilogue: Epilogue[np.ndarray]
    result: QType
    operand: QType
    skip: QType | None

    def bounds(self, name: str) -> Bounds:
        """The least and greatest sums over values as the array stores them."""
        positive, negative = self._term_sums()
        low, high = _stored_range(self.operand)
        skip = (0, 0) if self.skip is None else _stored_range(self.skip)
        epilogue = self.epilogue
        sums, results = [], []
        for channel, bias in enumerate(self.stored_bias()):
            plus, minus = positive[channel], negative[channel]
            # Any order of the products stays within: each sums at its own extreme.
            least, most = plus * low - minus * high, plus * high - minus * low
            sums += [least, most]
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
        weights = np.abs(integer_weights(self.codes))
        reach = _reach(self.operand)
        sums = [int(total) * reach for total in weights.reshape(len(weights), -1).sum(1)]
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
        for channel, (positive, negative) in enumerate(zip(*self._term_sums(), strict=True)):
            total = positive - negative
            left, right = int(epilogue.left[channel]), int(epilogue.right[channel])
            bias = int(epilogue.bias[channel]) + (self.operand.offset * total << left)
            if self.skip is not None:
                bias += self.skip.offset << int(epilogue.skip_left[channel])
            # The result is stored less its offset, in units before the right shift.
            if epilogue.rounded:
                bias += (1 << right >> 1) - (self.result.offset << right)
            folded.append(bias)
        return folded

    def _term_sums(self):
        """For each output channel: the sum of its positive terms, and less its negative ones."""
        # Terms count one by one: sums that cancel at the end pass through their extremes.
        codes = self.codes.swapaxes(0, 1).reshape(self.codes.shape[1], -1)
        # By how many codes there are of each index, as millions of weights would take eight times
        # their memory as integers.
        indices = range(1, int(np.abs(codes).max(initial=0)) + 1)
        return tuple(
            [sum(each) for each in zip(*counts, strict=True)]
            for counts in (
                [[0] * len(codes), *(_counted(codes, sign * index) for index in indices)]
                for sign in (1, -1)
            )
        )


def _counted(codes, index):
    """What all codes of a signed index sum up to, without its sign, for each row."""
    counts = np.count_nonzero(codes == index, axis=1)
    return [magnitude(abs(index)) * count for count in counts.tolist()]


def integer_weights(codes: np.ndarray) -> np.ndarray:
    """Weights as the array multiplies by them, terms summed: int64, the shape of ``codes[0]``."""
    return magnitudes(codes).sum(0)


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
