"""The codes that an array takes: those of powers of two, or a multiplier's integers.

Arrays of multipliers exist for comparison. They take the same weights as integers in two's
complement.
"""

from hw.spec.config import SvpeConfig
from hw.spec.isa import codes


def array_code(value: int, config: SvpeConfig) -> int:
    """What the array of ``config`` takes for a signed index, or for an integer if it multiplies.

    Raises
    ------
    ValueError
        Its codes are too narrow.
    """
    if config.pe == "shift":
        return codes.encode(value, config.weight_bits)
    half = 1 << (config.weight_bits - 1)
    if not -half <= value < half:
        raise ValueError(
            f"a {config.weight_bits}-bit multiplier needs a weight from {-half} to {half - 1}, "
            f"not {value}"
        )
    return value % (2 * half)


def array_integer(code: int, config: SvpeConfig) -> int:
    """What a code multiplies by on the array of ``config``."""
    if config.pe == "shift":
        return codes.integer(codes.decode(code, config.weight_bits))
    sign = 1 << (config.weight_bits - 1)
    # Flipping the sign bit and subtracting it extends the sign, whatever the width.
    return (code ^ sign) - sign
