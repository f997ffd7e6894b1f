"""What ``qnn train`` tells of a run that ended."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from qnn.cli.output import note, print_json
from qnn.cli.tasks import spoken

if TYPE_CHECKING:
    from qnn.nn.training import TrainingReport
    from qnn.nn.training.held_out import Judged


def say(
    out: Path, teacher: str | None, report: "TrainingReport", target: float | None, as_json: bool
) -> None:
    """Print what came of a run; ``target`` is what may be lost against ``teacher``."""
    if as_json:
        print_json(
            {
                "model": str(out),
                "teacher": teacher,
                "steps": report.steps,
                "seconds": report.seconds,
                "loss": report.loss,
                "task": report.task if isinstance(report.task, str) else dict(report.task),
                "test_accuracy": report.test_accuracy,
                "test": dict(report.test),
                "held_out": _judged(report.held_out),
                "target": target,
            }
        )
        return
    # Data without labels have no numbers.
    said = spoken(dict(report.test)).removesuffix(" right")
    said = f", test {said}" if said else ""
    alone = "its inputs" if report.task == "reconstruction" else "labels"
    taught = alone if teacher is None else f"answers of {teacher}"
    as_it_was = "" if report.held_out is None or report.held_out.kept else ", kept as it was"
    print(f"{out}: {report.steps} steps on {taught} in {report.seconds:.1f} s{as_it_was}{said}")
    for line in _lost(report.held_out, target):
        note(line)


def _lost(held_out: "Judged | None", target: float | None) -> Iterator[str]:
    """What is lost against the teacher, and whether it is within the target, in words."""
    if held_out is None or held_out.lost is None:
        why = "too few images are held out" if held_out is None else "no teacher tells what is lost"
        if target is not None:
            yield f"whether the target of {target:g} is reached is not known, as {why}"
        return
    lost, before, unit = held_out.lost, held_out.lost_before, held_out.unit
    was = f", {before} before training" if held_out.kept else ""
    yield f"on {held_out.images} images held out {lost} {unit} are lost against the teacher{was}"
    if target is None:
        return
    if lost.lost <= target:
        yield f"the target of {target:g} is reached"
        return
    yield (
        f"the target of {target:g} is missed; more steps (--steps) and images may bring some of "
        f"it, more terms or activation bits ('qnn quantize') bring it surely"
    )


def _judged(held_out):
    """Fields of JSON for how the result was judged; None where it was not."""
    return held_out and asdict(held_out) | {"kept": held_out.kept}
