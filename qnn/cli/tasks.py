"""What commands say of a network's task: the option that asks for it, and the numbers of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import valid

if TYPE_CHECKING:
    import numpy as np

    from qnn.ir.graph import Graph
    from qnn.runtime.given import Given
    from qnn.tasks.kinds import TaskKind
    from qnn.tasks.outputs import Labels, Numbers


def asked_task(text: str | None) -> str | tuple[str, ...] | None:
    """The tasks that ``--task`` names, checked before any work."""
    from qnn.tasks.kinds import TASKS

    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in TASKS:
            raise typer.BadParameter(f"--task must be one of {', '.join(TASKS)}, not '{name}'")
    # One name alone is every output's, where there is one.
    return names if len(names) > 1 else names[0]


Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="What the outputs are for: classes, binary, multilabel, pixels, regression or "
        "reconstruction; of several outputs one each, with commas. Without it, as the labels and "
        "the outputs' shapes tell.",
        show_default=False,
        callback=valid(lambda _option, text: asked_task(text)),
    ),
]


def design_tasks(
    graph: "Graph", labels: "Labels", asked: str | tuple[str, ...] | None
) -> "tuple[tuple[TaskKind, ...], Labels]":
    """The task of each output of a design, and the labels that fit it; before anything is run.

    Raises
    ------
    ModelError
        The labels leave the task open, or mean nothing to it.
    """
    from qnn.ir.graph import results_of
    from qnn.tasks.outputs import checked_labels, find_tasks, fitting

    # Labels may come for all outputs in one array, or for each in its own.
    shapes = [output.shape for output in results_of(graph.outputs, graph.host)]
    labels = fitting(shapes, labels)
    given = graph.inputs[0].shape if len(graph.inputs) == 1 else None
    kinds = find_tasks(shapes, labels, asked, given)
    return kinds, checked_labels(kinds, shapes, labels)


def outputs_measured(
    graph: "Graph",
    outputs: "Sequence[np.ndarray]",
    labels: "Labels",
    kinds: "Sequence[TaskKind]",
    x: "Given",
) -> dict:
    """``task``, ``accuracy`` and ``measures`` of integers that a design gave, for JSON.

    Of several outputs, ``task`` and ``measures`` are by the output's name; what has no labels has
    no measures. ``accuracy`` is percent, of one output of classes.

    Parameters
    ----------
    x : what the design was given, which a reconstruction is compared with
    """

    from qnn.host.results import host_scores
    from qnn.ir.encode import input_reals, output_reals
    from qnn.ir.graph import results_of
    from qnn.tasks.outputs import scores

    own = None if isinstance(x, tuple) else input_reals(graph, x)
    # Of what the user gets, as tasks are.
    reals = output_reals(graph, outputs)
    reals = host_scores(reals, [output.axes for output in graph.outputs], graph.host)
    names = [output.name for output in results_of(graph.outputs, graph.host)]
    return told(names, kinds, scores(kinds, reals, labels, own))


def told(names: Sequence[str], kinds: "Sequence[TaskKind]", numbers: "Sequence[Numbers]") -> dict:
    """The fields of JSON for the numbers of each output."""
    from qnn.tasks.outputs import by_name

    found = {
        "task": by_name(names, [kind.value for kind in kinds]),
        "accuracy": numbers[0].get("accuracy") if len(names) == 1 else None,
        "measures": by_name(names, numbers),
    }
    # Without labels a shape alone would name a task that nothing here was measured by.
    return found if any(numbers) else found | {"task": None}


def spoken(measures: dict) -> str:
    """``measures`` of JSON in words, each output's by its name; nothing without labels."""
    from qnn.tasks.measures import in_words

    # Several outputs have numbers each, by the output's name.
    if any(isinstance(each, dict) for each in measures.values()):
        return "; ".join(f"{name} {in_words(each)}" for name, each in measures.items() if each)
    if set(measures) == {"accuracy"}:
        return f"{in_words(measures)} right"
    return in_words(measures)
