"""The clock of the programmable logic: the I/O PLL's, divided by two whole numbers in turn."""

from boards.zynqmp.facts import PL_CLOCK_DIVISORS, Facts
from qnn.errors import CompileError


def divisor(facts: Facts, clock_mhz: float) -> int | None:
    """The divisor from the I/O PLL to ``clock_mhz``; None if it is no product of two divisors."""
    pll_mhz = facts.iopll_mhz.value
    number = round(pll_mhz / clock_mhz) if clock_mhz > 0 else 0
    # 1e-5 is what a clock's text of six digits loses.
    exact = number in divisors() and abs(pll_mhz / number / clock_mhz - 1) < 1e-5
    return number if exact else None


def near_clocks(facts: Facts, clock_mhz: float) -> list[float]:
    """The nearest below and above that the PLL gives, in MHz."""
    clocks = [facts.iopll_mhz.value / number for number in divisors()]
    below = [mhz for mhz in clocks if mhz < clock_mhz]
    above = [mhz for mhz in clocks if clock_mhz < mhz <= facts.most_mhz.value]
    return [*sorted(below)[-1:], *sorted(above)[:1]]


def divisors() -> set[int]:
    """Products of the two divisors of PL0's clock."""
    each = range(1, PL_CLOCK_DIVISORS.value + 1)
    # Two dividers in turn, of 6 bits each: not every number up to 63 * 63.
    return {one * other for one in each for other in each}


def check_clock(facts: Facts, clock_mhz: float) -> None:
    """Refuse a clock that the board cannot make.

    Raises
    ------
    CompileError
        The text has the nearest clocks that it can make.
    """
    most_mhz = facts.most_mhz.value
    if not 0 < clock_mhz <= most_mhz:
        raise CompileError(
            f"{facts.name}: the clock must be above 0 and at most {most_mhz} MHz, which is what "
            f"a clock tree of the device can have, not {clock_mhz:g}"
        )
    if divisor(facts, clock_mhz) is None:
        near = " or ".join(f"{mhz:.6g}" for mhz in near_clocks(facts, clock_mhz))
        raise CompileError(
            f"{facts.name}: the clock comes from {facts.iopll_mhz.value} MHz by two divisors of at "
            f"most {PL_CLOCK_DIVISORS.value}, which do not give {clock_mhz:g} MHz; take {near}"
        )
