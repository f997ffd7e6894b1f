"""Formats of weights on the command line: one number, or one by name or pattern of layers."""

from typing import TYPE_CHECKING, Annotated

import typer

from hw.spec.isa.codes import LEAST_BITS, MOST_BITS
from qnn.cli.checks import taken_data, valid
from qnn.cli.output import print_table
from qnn.errors import ModelError
from qnn.nn.names import ZOO_NAMES

MOST_ACTIVATION_BITS = 16  # more are an unrounded result's alone
MOST_TERMS = 7  # as a graph may have; three hold what a multiplier of 8 bits does

if TYPE_CHECKING:
    from torch import Tensor

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


def bits_choice(option: str, text: str) -> "Choice":
    """The bits of weights that a text names."""
    return choice(option, text, LEAST_BITS, MOST_BITS)


def terms_choice(option: str, text: str) -> "Choice | str":
    """The terms of weights that a text names, or "auto"."""
    if text == "auto":
        return text
    return choice(option, text, 1, MOST_TERMS)


def activation_choice(option: str, text: str) -> "int | str":
    """The bits of activations that a text names, or "auto"."""
    if text == "auto":
        return text
    if not text.isdecimal() or not 2 <= int(text) <= MOST_ACTIVATION_BITS:
        raise typer.BadParameter(
            f"{option} needs a number from 2 to {MOST_ACTIVATION_BITS}, or auto, not '{text}'"
        )
    return int(text)


def numbers(option: str, text: str | None) -> float | tuple[float, ...] | None:
    """The number in ``text``, or the numbers that commas separate."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{option} needs numbers with commas, not '{text}'") from None
    return values if len(values) > 1 else values[0]


Mean = Annotated[
    str | None,
    typer.Option(
        help="Mean of pixels / 255: one number, or one per channel.", callback=valid(numbers)
    ),
]
Std = Annotated[
    str | None,
    typer.Option(help="Standard deviation, as --mean: 0.229,0.224,0.225.", callback=valid(numbers)),
]


def check_pixels(model: str, mean: str | None, std: str | None) -> None:
    """Raise where a float model, of none that the zoo knows, is given only one of the two."""
    # One of them alone would be taken for data that need no preprocessing.
    if (mean is None) != (std is None) and model not in ZOO_NAMES:
        raise typer.BadParameter("--mean and --std belong together; give both")


def pixel_numbers(model: str, mean: str | None, std: str | None) -> tuple:
    """Mean and std of a float model's pixels: each as it is given, or else as the zoo has it."""
    from qnn.nn.zoo import ZOO

    given = numbers("--mean", mean), numbers("--std", std)
    entry = ZOO.get(model)
    known = (None, None) if entry is None else (entry.mean, entry.std)
    # Compared with None: a mean of 0 is given, too.
    return tuple(k if g is None else g for g, k in zip(given, known, strict=True))


def layer_bits(plan: "Plan") -> dict[str, int]:
    """The bits of each layer whose weights are learned, by its name."""
    return {layer.name: layer.weight_bits for layer in plan.learned}


def described(plan: "Plan") -> str:
    """``3-bit weights of 2 terms``, or the ranges and the mean of the terms."""
    # A network whose weights are all given by its architecture has none that are learned.
    bits = set(layer_bits(plan).values()) or {plan.weight_bits}
    width = f"{bits.pop()}-bit" if len(bits) == 1 else f"{min(bits)}- to {max(bits)}-bit"
    mean, most = plan.mean_terms, max(plan.layer_terms.values(), default=1)
    if mean is None or mean == most == 1:
        return f"{width} weights"
    if mean == most:
        return f"{width} weights of {most} terms"
    return f"{width} weights of up to {most} terms, {mean:.2f} on average"


def print_fit(fit: "Fit") -> None:
    """Print what a budget came to, layer by layer."""
    options = sorted({terms for found in fit.losses.values() for terms in found})
    print_table(
        f"terms of least loss: {fit.mean_terms:.2f} on average",
        ["layer", "products", "terms", "loss", *(f"loss with {terms}" for terms in options)],
        (
            [name, str(fit.products[name]), str(terms), f"{found[terms]:.2g}"]
            + [f"{found[option]:.2g}" if option in found else "" for option in options]
            for name, terms in fit.terms.items()
            for found in [fit.losses[name]]
        ),
    )


def check_known(
    data: str, images: "Tensor | tuple[Tensor, ...]", values: float | tuple[float, ...] | None
) -> None:
    """Raise where ``data`` have 8-bit pixels whose mean, or std, is not known."""
    import torch

    each = images if isinstance(images, tuple) else (images,)
    if values is None and any(x.dtype == torch.uint8 for x in each):
        raise ModelError(
            f"data {taken_data(data)} have 8-bit pixels; give --mean and --std of pixels / 255, as "
            f"the model takes them, or floats with --data"
        )


def for_pixels(
    values: float | tuple[float, ...] | None, images: "Tensor | tuple[Tensor, ...]"
) -> float | tuple | None:
    """``values`` for each of several inputs that has 8-bit pixels; of one, as they are."""
    import torch

    if not isinstance(images, tuple):
        return values
    return tuple(values if x.dtype == torch.uint8 else None for x in images)
