"""Weight codes: a sign above an index m; m = 0 is zero, else the product is ``±(a << (m - 1))``."""

from typing import TypeVar

Index = TypeVar("Index")  # an integer, or an array or tensor of integers

# With 6 bits a product is shifted by up to 30 places, and the sum of LONGEST_SUM of them needs 51
# bits; accumulators have at most 48.
LEAST_BITS, MOST_BITS = 2, 5
BITS = range(LEAST_BITS, MOST_BITS + 1)
BITS_RANGE = f"from {LEAST_BITS} to {MOST_BITS}"  # as errors and help name it


def most_index(weight_bits: int) -> int:
    """K, the largest index of a code of ``weight_bits`` bits."""
    return (1 << (weight_bits - 1)) - 1


def encode(index: int, weight_bits: int) -> int:
    """The code of a signed index from -K to K.

    Raises
    ------
    ValueError
        The index is outside that range.
    """
    most = most_index(weight_bits)
    if not -most <= index <= most:
        raise ValueError(
            f"a {weight_bits}-bit weight needs an index from {-most} to {most}, not {index}"
        )
    return abs(index) | (index < 0) << (weight_bits - 1)


def decode(code: int, weight_bits: int) -> int:
    """The signed index of a code. The one code without a weight, minus zero, decodes to 0."""
    index = code & most_index(weight_bits)
    return -index if code >> (weight_bits - 1) else index


def magnitude(index: Index) -> Index:
    """What an index of 0 or more multiplies by on the array: 0, 1, 2, 4 and so on."""
    return (1 << index) >> 1


def integer(index: int) -> int:
    """What a signed index multiplies by on the array: 0, or ±2**(abs(index) - 1)."""
    return magnitude(abs(index)) if index > 0 else -magnitude(abs(index))
