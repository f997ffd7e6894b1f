"""What ``quantize`` is asked for, checked before it computes: options are read, or refused."""

from collections.abc import Mapping
from typing import Any

from hw.spec.isa.codes import LEAST_BITS, MOST_BITS
from qnn.ptq.formats import ChannelChoice, Choice, check_choice, check_number
from qnn.ptq.sensitivity import Budget
from qnn.quant import rounding as roundings
from qnn.quant.pow2 import TERMS


def check_formats(
    weight_bits: Choice, activation_bits: int | str, terms: ChannelChoice | Budget | str
) -> None:
    """Raise for a format that does not exist."""
    if isinstance(weight_bits, Budget):
        raise TypeError(
            "quantize needs weight_bits as a number, because an array has codes of one width, not "
            "a Budget; give it as terms"
        )
    check_choice("weight_bits", weight_bits, LEAST_BITS, MOST_BITS)
    if isinstance(terms, str):
        if terms != "auto":
            raise ValueError(f"quantize needs terms as numbers or 'auto', not '{terms}'")
    elif not isinstance(terms, Budget):
        check_choice("terms", terms, TERMS[0], TERMS[-1], by_channel=True)
    if not isinstance(activation_bits, str):
        # More than 16 bits are an unrounded result's alone.
        check_number("activation_bits", activation_bits, 2, 16)
    elif activation_bits != "auto":
        raise ValueError(
            f"quantize needs activation_bits from 2 to 16 or 'auto', not '{activation_bits}'"
        )


def check_searched(
    rounding: str,
    terms: ChannelChoice | Budget | str,
    bounds: Mapping[str, float | None],
) -> None:
    """Raise for what only a search reads, where nothing is searched for.

    Parameters
    ----------
    bounds : of the search, by the names of their options; None: not given
    """
    # A rounding "auto" judges the terms that are given, and learns for as long as it may.
    if "auto" in (rounding, terms if isinstance(terms, str) else None):
        return
    # What is silently left alone would be taken for granted.
    for name, value in bounds.items():
        if value is not None:
            raise ValueError(
                f"quantize needs terms='auto' or rounding='auto' with {name}, which bounds their "
                f"search, not rounding='{rounding}' with terms that are given; leave {name} out"
            )


def check_rounding(
    rounding: str, terms: ChannelChoice | Budget | str, learns_by: Mapping[str, Any]
) -> None:
    """Raise for a rounding that does not exist, or what it does not take.

    Parameters
    ----------
    learns_by : what other roundings take, by the names of the options; None: not given
    """
    if rounding != "auto":
        roundings.rounding(rounding, beside=("auto",)).choose(learns_by["rounding_options"])
        if rounding == "nearest" and terms == "auto" and learns_by["bias_correction"]:
            raise ValueError(
                "quantize needs no bias_correction with rounding='nearest' and terms='auto', which "
                "are chosen without one; give terms, or choose another rounding"
            )
        return
    for name, given in learns_by.items():
        if given is not None:
            raise ValueError(
                f"quantize needs no {name} with rounding='auto', which has biases and data of its "
                f"own, not {given if isinstance(given, bool) else 'some'}; choose another rounding"
            )
