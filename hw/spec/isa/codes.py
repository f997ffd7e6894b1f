"""Weight codes: a sign above an index m; m = 0 is zero, else the product is ``±(a << (m - 1))``.

A weight of k terms is a sum of k codes, of which each weighs 2**term_shift times the next one.
"""

from typing import TypeVar

Index = TypeVar("Index")  # an integer, or an array or tensor of integers

# With 6 bits a product is shifted by up to 30 places, and the sum of LONGEST_SUM of them needs 51
# bits; accumulators have at most 48.
LEAST_BITS, MOST_BITS = 2, 5
BITS = range(LEAST_BITS, MOST_BITS + 1)
BITS_RANGE = f"from {LEAST_BITS} to {MOST_BITS}"  # as errors and help name it
# Of two activations that are multiplied, as a row's table of squares has room for.
MOST_FACTOR_BITS = 10
# By the bits of a code, chosen by the signal to noise of weights rounded to nearest, each channel
# with its best power-of-two scale. Of Gaussian weights in two, three and four terms, 3-bit codes
# reach 23.9, 34.9 and 46.9 dB with 2 (22.3, 28.6 and 34.5 with 1; 23.9, 30.4 and 31.5 with 3);
# 4-bit codes 28.7, 43.1 and 57.6 with 2 (28.6, 42.6 and 54.6 with 1). 2-bit codes reach 22.8 in
# four terms with 1 and 18.1 with 2, which gains 0.8 and 0.1 in two and three. Codes of 5 bits
# reach 57.6 with any from 0 to 3, and 0.1 to 0.2 more than with 0 where weights have long tails.
_TERM_SHIFTS = {2: 1, 3: 2, 4: 2, 5: 1}


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


def term_shift(weight_bits: int) -> int:
    """r: places by which a term of ``weight_bits``-bit codes weighs more than the next one."""
    return _TERM_SHIFTS[weight_bits]
