"""Formats of weights on the command line: one number, or one by name or pattern of layers."""

from math import prod
from typing import TYPE_CHECKING

import typer

from qnn.cli.output import print_table

if TYPE_CHECKING:
    from qnn.nn.plan import Plan
    from qnn.ptq.formats import Choice
    from qnn.ptq.sensitivity import Fit


def choice(option: str, text: str, least: int, most: int) -> "Choice":
    """The formats that a text such as ``3`` or ``conv1=4,*=3`` names."""
    # From the right: a layer's name may have an equals sign in it, a number has none.
    pairs = [part.rpartition("=")[::2] for part in text.split(",")]
    names = [name.strip() for name, _ in pairs]
    whole = all(number.strip().isdecimal() for _, number in pairs)
    numbers = [int(number) for _, number in pairs] if whole else []
    # `*=3` is a pattern, and not the same as 3: it may match no layer, which is then told.
    one = len(pairs) == 1 and "=" not in text
    named = all(names) and len(set(names)) == len(names)
    if not numbers or not (one or named) or not all(least <= n <= most for n in numbers):
        raise typer.BadParameter(
            f"{option} needs a number from {least} to {most}, or LAYER=NUMBER with commas, each "
            f"layer or pattern once, not '{text}'"
        )
    return numbers[0] if one else dict(zip(names, numbers, strict=True))


def layer_bits(plan: "Plan") -> dict[str, int]:
    """The bits of each layer whose weights are learned, by its name."""
    return {layer.name: layer.weight_bits for layer in _learned(plan)}


def mean_weight_bits(plan: "Plan") -> float | None:
    """The mean bits of all codes; None where no weights are learned."""
    # Of two terms, both are stored: a weight has the bits of both.
    codes = {layer.name: layer.terms * prod(layer.weight_shape) for layer in _learned(plan)}
    spent = sum(codes[name] * bits for name, bits in layer_bits(plan).items())
    return spent / sum(codes.values()) if codes else None


def described(plan: "Plan") -> str:
    """``3-bit weights``, or the range and the mean of the bits."""
    # A network whose weights are all given by its architecture has none that are learned.
    bits = set(layer_bits(plan).values()) or {plan.weight_bits}
    if len(bits) == 1:
        return f"{bits.pop()}-bit weights"
    return f"{min(bits)}- to {max(bits)}-bit weights, {mean_weight_bits(plan):.2f} bits on average"


def print_fit(fit: "Fit") -> None:
    """Print what a budget came to, layer by layer."""
    options = sorted(next(iter(fit.losses.values())))
    print_table(
        f"weight bits of least loss: {fit.mean_bits:.2f} on average",
        ["layer", "codes", "bits", "loss", *(f"loss at {bits}" for bits in options)],
        (
            [name, str(fit.sizes[name]), str(bits), f"{found[bits]:.2g}"]
            + [f"{found[option]:.2g}" for option in options]
            for name, bits in fit.bits.items()
            for found in [fit.losses[name]]
        ),
    )


def _learned(plan):
    return [layer for layer in plan.layers if hasattr(layer, "weight_bits") and not layer.fixed]
