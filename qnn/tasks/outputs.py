"""The tasks of all outputs of a network, and the numbers of each: labels may be of some alone."""

from collections.abc import Sequence

import numpy as np

from qnn.errors import ModelError
from qnn.tasks.kinds import TaskKind, find_task, fits, is_of_its_own, labels_for
from qnn.tasks.measures import measures, tally

Asked = str | Sequence[str | None] | None  # a task's name, or one for each output
Labels = np.ndarray | Sequence[np.ndarray | None] | None  # of one output, or of each
Numbers = dict[str, float | None]  # of ``qnn.tasks.measures``, by name


def find_tasks(
    shapes: Sequence[Sequence[int]],
    labels: Labels = None,
    asked: Asked = None,
    given: Sequence[int] | None = None,
) -> tuple[TaskKind, ...]:
    """The task of each output, in order, as ``find_task`` has it.

    Maps of several sizes, of which nothing is known, are a detector's: boxes, scores and classes
    side by side, which do not compete, and so are values.

    Parameters
    ----------
    shapes : of a sample's outputs
    labels : of a network of one output, or one entry for each of several
    given : the shape of a sample's input, where there is one input

    Raises
    ------
    ModelError
        There is not one name or entry for each output, or a task does not fit its output.
    ValueError
        No task has that name.
    """
    known = for_each("labels", labels, len(shapes))
    names = for_each("a task", asked, len(shapes))
    # One name is for all outputs.
    if isinstance(asked, str):
        names = (asked,) * len(shapes)
    if all(y is None for y in known) and asked is None and _of_several_sizes(shapes):
        return (TaskKind.REGRESSION,) * len(shapes)
    each = zip(shapes, known, names, strict=True)
    return tuple(find_task(shape, y, name, given) for shape, y, name in each)


def _of_several_sizes(shapes):
    """Whether all outputs are maps (channels, height, width), and not of one height and width."""
    sizes = {tuple(shape[1:]) for shape in shapes}
    return len(sizes) > 1 and all(len(shape) == 3 and shape[1] * shape[2] > 1 for shape in shapes)


def for_each(what: str, entries, outputs: int) -> tuple:
    """One entry for each output, None where nothing was given.

    Raises
    ------
    ModelError
        There are more or fewer.
    """
    if entries is None:
        return (None,) * outputs
    alone = isinstance(entries, str | np.ndarray)
    found = (entries,) if alone else tuple(entries)
    if alone and outputs > 1:
        # Which of several outputs labels without a number are for, nobody said.
        return (None,) * outputs
    if len(found) != outputs:
        raise ModelError(
            f"the network needs {what} for each of its {outputs} outputs, not {len(found)}; give "
            f"None where there is none"
        )
    return found


def fitting(shapes: Sequence[Sequence[int]], labels: Labels) -> tuple[np.ndarray | None, ...]:
    """Labels of each output, without those whose shape fits none of its values.

    So a network that only looks at images, such as one without its last layer, is measured by
    what it gives, whatever a data set's labels are. Labels without a number are for all outputs if
    these have one shape, as the main and the auxiliary result of a segmentation network have.
    """
    if isinstance(labels, np.ndarray) and len({tuple(shape) for shape in shapes}) == 1:
        labels = (labels,) * len(shapes)
    known = for_each("labels", labels, len(shapes))
    return tuple(
        y if y is not None and fits(shape, y) else None
        for shape, y in zip(shapes, known, strict=True)
    )


def checked_labels(
    kinds: Sequence[TaskKind], shapes: Sequence[Sequence[int]], labels: Labels
) -> tuple[np.ndarray | None, ...]:
    """Labels of each output in the form of its task; raises as ``labels_for`` does.

    Those that say nothing of an output's values are left out.
    """
    return tuple(
        None
        if given is None or is_of_its_own(kind, shape, given)
        else labels_for(kind, shape, given)
        for kind, shape, given in zip(
            kinds, shapes, for_each("labels", labels, len(kinds)), strict=True
        )
    )


def scores(
    kinds: Sequence[TaskKind],
    outputs: Sequence[np.ndarray],
    labels: Labels,
    own: np.ndarray | None = None,
) -> tuple[Numbers, ...]:
    """The numbers of each output, (samples, ...) reals; none where there are no labels.

    Parameters
    ----------
    own : the samples' inputs as reals, which a reconstruction is compared with
    """
    found = []
    known = for_each("labels", labels, len(outputs))
    for kind, values, given in zip(kinds, outputs, known, strict=True):
        wanted = own if kind is TaskKind.RECONSTRUCTION else given
        if wanted is None:
            found.append({})
            continue
        # Labels of a whole set may come with the outputs of its first samples.
        wanted, shape = wanted[: len(values)], values.shape[1:]
        # An image may come back as a vector.
        if kind is TaskKind.RECONSTRUCTION:
            wanted = np.asarray(wanted).reshape(len(wanted), *shape)
        found.append(measures(kind, tally(kind, values, labels_for(kind, shape, wanted))))
    return tuple(found)


def by_name(names: Sequence[str], entries: Sequence):
    """The one entry of a network of one output, or the entries of several by their names."""
    return entries[0] if len(entries) == 1 else dict(zip(names, entries, strict=True))
