"""Weight codes: a sign above an index m; m = 0 is zero, else the product is ``±(a << (m - 1))``.

Multipliers take the same weights as integers in two's complement.
"""

from hw.spec.config import SvpeConfig


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


def integer(index: int) -> int:
    """What a signed index multiplies by on the array: 0, or ±2**(abs(index) - 1)."""
    return 0 if index == 0 else (1 if index > 0 else -1) << (abs(index) - 1)


def code(index: int, config: SvpeConfig) -> int:
    """The code that the array of ``config`` takes for a signed index.

    Raises
    ------
    ValueError
        Its codes are too narrow.
    """
    if config.pe == "shift":
        return encode(index, config.weight_bits)
    value, half = integer(index), 1 << (config.weight_bits - 1)
    if not -half <= value < half:
        raise ValueError(
            f"a {config.weight_bits}-bit multiplier needs a weight from {-half} to {half - 1}, "
            f"not {value}"
        )
    return value % (2 * half)


def multiplier(code: int, config: SvpeConfig) -> int:
    """What a code multiplies by on the array of ``config``."""
    if config.pe == "shift":
        return integer(decode(code, config.weight_bits))
    sign = 1 << (config.weight_bits - 1)
    return (code ^ sign) - sign
