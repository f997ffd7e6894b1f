"""Options of ``qnn quantize`` for what it chooses itself, and what is told of its choice."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qnn.cli.checks import positive
from qnn.cli.output import note

if TYPE_CHECKING:
    from qnn.ptq.auto.options import Auto, AutoResult

AUTO = "auto"
# Of 500 keywords training learnt its own by heart, of 1,437 digits it reached the target.
FEW = 1000  # images to train on
# With 2-bit activations, a dense network lost three times its target; after the usual steps twice,
# and after four times as many one and a half times.
LONGEST = 4  # times the usual steps, of advised training
Target = Annotated[
    float | None,
    typer.Option(
        help="Points of accuracy, or percent of squared error, that auto may lose; by default 0.5 "
        "or 2.",
        callback=positive,
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        help="After which auto tries no further design; by default 300, more for large networks.",
        callback=positive,
    ),
]


def check_automatic(
    chooses: bool,
    rounding: str,
    target: float | None,
    seconds: float | None,
    config: str | None,
) -> None:
    """Raise where an option is given that nothing automatic reads; ``chooses``: terms are."""
    if config is not None and not chooses:
        raise typer.BadParameter("--config is of --terms auto, not of terms that are given")
    # Of terms that are given, a rounding "auto" judges the result, and learns for so long.
    for name, value in (("--target", target), ("--seconds", seconds)):
        if value is not None and not chooses and rounding != AUTO:
            raise typer.BadParameter(
                f"{name} is of --terms auto or --rounding auto, not of terms that are given with "
                f"--rounding {rounding}"
            )
    if target is not None and target > 100:
        raise typer.BadParameter(f"--target needs at most 100, not {target:g}")


@dataclass(eq=False)
class Automatic:
    """A search of the command line.

    Members
    -------
    config : whose cycles are saved; None: products are
    rounding : by which the network is rounded in the end
    chooses_bits : whether activations get the bits that the target needs
    outcome : what was chosen; None before
    """

    config: str | None
    rounding: str
    chooses_bits: bool = False
    outcome: "AutoResult | None" = field(default=None, init=False)

    @property
    def options(self) -> "Auto":
        """What ``quantize`` takes."""
        from qnn.cycles import cycles_on
        from qnn.ptq.auto.options import Auto

        return Auto(
            costs=None if self.config is None else cycles_on(self.config),
            report=note,
            outcome=self._take,
        )

    @property
    def target(self) -> float | None:
        """By which terms were chosen; None before."""
        return None if self.outcome is None else self.outcome.target

    def _take(self, outcome):
        self.outcome = outcome

    def found(self) -> dict[str, Any]:
        """What was chosen, for JSON; nothing where nothing was searched for."""
        # What a search expects is not what a rounding that learns then gives.
        if self.outcome is None or self.rounding not in (AUTO, "nearest"):
            return {}
        loss = self.outcome.loss
        return {
            "expected_loss": loss.lost,
            "expected_loss_error": loss.error,
            "target": self.outcome.target,
            "relative_cost": self.outcome.cost,
            "cost_of": "products" if self.config is None else "cycles",
        }

    def advice(
        self,
        out: Path,
        inputs: int,
        images: int,
        chooses: bool,
        options: Mapping[str, str | None],
    ) -> str | None:
        """What reaches a target that was missed; None where it was not.

        Parameters
        ----------
        out : the quantized model
        inputs : of the network
        images : that there are to train on
        chooses : whether terms were chosen; where they were given, more of them are the surest way
        options : of the command that training takes too, by name; None where they were not given
        """
        if not self.found() or self.outcome.reached:
            return None
        target, activations = self.outcome.target, self.outcome.activations
        missed = f"the target of {target:g} is missed: {self.outcome.loss} is lost"
        if activations is not None and not activations.suffice(target):
            alone = activations.losses[activations.bits]
            missed += f", {alone} by {activations.bits}-bit activations"
            # Where bits were chosen, no more of them would do, or the array has no more.
            missed += "" if self.chooses_bits else " (--activation-bits auto)"
        if not chooses:
            missed += "; let it choose the terms (--terms auto)"
        if inputs > 1:
            return (
                f"{missed}; qnn train takes networks of one input, and this one has {inputs}: give "
                f"{'a larger --target' if self.chooses_bits else 'more --activation-bits'}"
            )
        more = None if images < FEW else self._steps(images)
        options = {**options, "--steps": more and str(more)}
        given = [part for option in options.items() if option[1] is not None for part in option]
        trained = out.with_stem(f"{out.stem}_trained")
        given += ["--target", f"{target:g}", "-o", str(trained)]
        command = shlex.join(["qnn", "train", str(out), *given])
        few = f", though {images} images may be too few to learn from" if images < FEW else ""
        return (
            f"{missed}; {'' if chooses else 'or '}train on the grid{few}, which says what is lost "
            f"then: {command}"
        )

    def _steps(self, images) -> int | None:
        """Of training that has far to go; None: the usual ones."""
        from qnn.nn.training import Recipe

        times = min(LONGEST, round(self.outcome.loss.lost / self.outcome.target))
        return times * Recipe().steps_for(images) if times > 1 else None
