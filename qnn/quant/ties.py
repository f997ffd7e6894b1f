"""What becomes of halves that a quantized network of another tool rounds otherwise than up."""

TIES = ("even", "up")


def check_ties(ties: str) -> None:
    """Return if ``ties`` is "even", halves as the network rounds them, or "up".

    Raises
    ------
    ValueError
        It is neither.
    """
    if ties not in TIES:
        raise ValueError(f"ties must be one of {', '.join(TIES)}, not '{ties}'")
