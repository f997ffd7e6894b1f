"""The least widths of sums that cannot overflow, before a network is known."""

from hw.spec.isa import codes

LONGEST_SUM = 8191  # products: more than a 3 x 3 window of 512 channels has


def accumulator_bits(pe: str, weight_bits: int, activation_bits: int, terms: int = 1) -> int:
    """Of 24, 32, 40 and 48 bits, the least in which ``LONGEST_SUM`` products cannot overflow.

    Shifts add the products of all ``terms`` of a weight; a multiplier's weight is one integer.
    """
    weight = 1 << (weight_bits - 1)
    if pe == "shift":
        greatest, shift = (
            codes.integer(codes.most_index(weight_bits)),
            codes.term_shift(weight_bits),
        )
        weight = sum(greatest << (shift * term) for term in range(terms))
    # One bit more is the sign.
    return least_width((LONGEST_SUM * weight << (activation_bits - 1)).bit_length() + 1)


def least_width(bits: int) -> int:
    """Of 24, 32, 40 and 48 bits, the least that has ``bits``; 48 if none has."""
    return next((width for width in (24, 32, 40) if width >= bits), 48)
