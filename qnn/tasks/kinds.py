"""What a network's outputs are for: known from outputs and labels by one rule, or asked for."""

from collections.abc import Sequence
from enum import Enum
from math import prod

import numpy as np

from qnn.errors import ModelError

# Data sets of segmentation mark pixels of no class with the greatest byte, and training leaves them
# out: the usual ``ignore_index=255`` of PyTorch's losses.
VOID = 255


class TaskKind(Enum):
    """What the outputs of a network are.

    Members
    -------
    CLASSES : the greatest of several values is the class
    BINARY : one logit, of a class that is there above 0; also one for each pixel. Where no output
        of a set lies outside of 0 to 1 they are probabilities, of a class that is there above 1/2
    MULTILABEL : several of these, each of a class of its own
    PIXELS : the greatest of several values at each position is the class of that position; label
        255 marks a position of no class, which counts nowhere
    REGRESSION : values that the labels give
    RECONSTRUCTION : the network's own input
    """

    CLASSES = "classes"
    BINARY = "binary"
    MULTILABEL = "multilabel"
    PIXELS = "pixels"
    REGRESSION = "regression"
    RECONSTRUCTION = "reconstruction"

    @property
    def classifies(self) -> bool:
        """Whether it is measured by the share of right answers."""
        return self not in (TaskKind.REGRESSION, TaskKind.RECONSTRUCTION)

    @property
    def competes(self) -> bool:
        """Whether values compete along dimension 1, so that a softmax makes them probabilities."""
        return self in (TaskKind.CLASSES, TaskKind.PIXELS)


TASKS = tuple(kind.value for kind in TaskKind)


def find_task(
    output: Sequence[int],
    labels: np.ndarray | None = None,
    asked: str | None = None,
    given: Sequence[int] | None = None,
) -> TaskKind:
    """The task of a network by the one rule that all commands follow.

    Labels decide where there are some: fractions are a regression; whole numbers are classes if
    there is one for each sample (or each position) and several outputs; zeros and ones are logits'
    if there is one for each output. Labels of less than half of as many classes as there are
    inputs may be of anomalies: then the task must be asked for. Without labels an output of the
    input's size is a reconstruction, one value is a regression, and several are classes.

    Parameters
    ----------
    output, given : the shape of a sample's output, and of its input where it is known
    labels : (samples, ...)
    asked : the task's name, which then counts

    Raises
    ------
    ValueError
        No task has that name.
    ModelError
        Outputs and labels leave the task open, or fit none.
    """
    output = _squeezed(output)
    if asked is not None:
        return _asked(asked, output)
    if labels is None:
        return _unlabelled(output, given)
    labels = np.asarray(labels)
    _check_some(labels, "the task needs")
    kind = _labelled(output, labels)
    if kind is TaskKind.CLASSES and _gives_back(output, given):
        _check_all_classes(output[0], labels)
    return kind


def labels_for(
    kind: TaskKind, output: Sequence[int], labels: np.ndarray, who: str = "the task needs"
) -> np.ndarray:
    """``labels`` in the form of ``kind``, checked.

    Parameters
    ----------
    output : the shape of a sample's output
    who : who needs the labels, as the start of a sentence

    Returns
    -------
    (samples,) of classes, (samples, *positions) of pixels, both int64, else (samples, *output)
    float32

    Raises
    ------
    ModelError
        They have another shape, or values that mean nothing.
    """
    output, values = _squeezed(output), np.asarray(labels)
    _check_some(values, who)
    count = len(values)
    if kind.competes:
        wanted = (count, *(output[1:] if kind is TaskKind.PIXELS else ()))
        return _classes(kind, output[0], _shaped(kind, values, wanted, who), who)
    values = _shaped(kind, values, (count, *output), who)
    if kind.classifies and not is_zero_one(values):
        raise ModelError(
            f"{who} labels 0 and 1 for the task '{kind.value}', not {_range(values)}; give those, "
            f"or task='regression' if they are values"
        )
    if not np.isfinite(values).all():
        raise ModelError(
            f"{who} finite labels, not NaN or infinity (sample {_first_not_finite(values)}); "
            f"remove those samples"
        )
    return values.astype(np.float32)


def fits(output: Sequence[int], labels: np.ndarray) -> bool:
    """Whether labels of such a shape can be of an output: of each value, or of each sample."""
    output, rest = _squeezed(output), _long(labels.shape[1:])
    # No axis is left where there is one label for each sample, which needs one vector of outputs.
    return rest == _long(output) or (rest == _long(output[1:]) and len(rest) == len(output) - 1)


def is_of_its_own(kind: TaskKind, output: Sequence[int], labels: np.ndarray) -> bool:
    """Whether labels (samples, ...) say nothing of what is given back, as those of anomalies."""
    return kind is TaskKind.RECONSTRUCTION and labels[0].size != prod(output)


def is_zero_one(values: np.ndarray) -> bool:
    """Whether all values are 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def _squeezed(shape):
    """A shape without the axes of length 1 at its end, as a pooled map has them."""
    shape = tuple(shape)
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape or (1,)


def _long(shape):
    """A shape without its axes of length 1, which files have or leave out as they please."""
    return tuple(n for n in shape if n > 1)


def _asked(asked, output):
    if asked not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, not '{asked}'")
    kind = TaskKind(asked)
    needs = {TaskKind.CLASSES: len(output) == 1, TaskKind.PIXELS: len(output) > 1}
    if kind.competes and (output[0] < 2 or not needs[kind]):
        wanted = "(classes,)" if kind is TaskKind.CLASSES else "(classes, height, width)"
        raise ModelError(
            f"task '{asked}' needs outputs of shape {wanted} with two classes or more, not "
            f"{output}; choose another task"
        )
    return kind


def _unlabelled(output, given):
    # An autoencoder: a classifier with as many classes as inputs would have to be asked for.
    if _gives_back(output, given):
        return TaskKind.RECONSTRUCTION
    # A softmax over one value is 1, whatever the value is; a squared error suits a logit, too.
    if output[0] == 1:
        return TaskKind.REGRESSION
    return TaskKind.CLASSES if len(output) == 1 else TaskKind.PIXELS


def _gives_back(output, given):
    """Whether an output may be the input, given back."""
    return given is not None and prod(given) == prod(output) > 1


def _check_all_classes(outputs, labels):
    """Raise where labels that are few classes may be an autoencoder's, of what is an anomaly."""
    if 2 * (labels.max() + 1) <= outputs:
        raise ModelError(
            f"labels {_range(labels)} leave open whether {outputs} outputs of a network of as many "
            f"inputs are classes or the inputs, given back; give task='reconstruction' or "
            f"task='classes'"
        )


def _labelled(output, labels):
    rest = _long(labels.shape[1:])
    if not fits(output, labels):
        raise ModelError(
            f"labels of shape {tuple(labels.shape)} fit no task of a network whose outputs have "
            f"shape {output}; give one class for each sample, or one value for each output"
        )
    # Zeros and ones may be floats, as PyTorch's binary cross-entropy takes them.
    if labels.dtype.kind == "f" and not is_zero_one(labels):
        return TaskKind.REGRESSION
    if rest == _long(output):
        return _elementwise(output, labels)
    return TaskKind.PIXELS if rest else TaskKind.CLASSES


def _elementwise(output, labels):
    """The task of as many labels as outputs."""
    if not is_zero_one(labels):
        raise ModelError(
            f"labels {_range(labels)} of type {labels.dtype} may be classes or values to a network "
            f"of {_outputs(output)}; give task='regression' if they are values, or 0 and 1 for "
            f"logits"
        )
    if output[0] == 1:
        return TaskKind.BINARY
    # Exactly one in each row is what class numbers become by one-hot encoding.
    if len(output) == 1 and (labels.reshape(len(labels), -1).sum(1) == 1).all():
        raise ModelError(
            f"labels of shape {tuple(labels.shape)} are one-hot; give the number of each class "
            f"(labels.argmax(1)), or task='multilabel' if each output is a logit of its own"
        )
    return TaskKind.MULTILABEL


def _outputs(output):
    return "one output" if output == (1,) else f"outputs of shape {output}"


def _check_some(values, who):
    if not values.size or not values.ndim:
        raise ModelError(
            f"{who} labels of at least one sample, not an array of shape {values.shape}; give some"
        )


def _shaped(kind, values, wanted, who):
    """Labels in their shape, where axes of length 1 count for nothing."""
    if [n for n in values.shape[1:] if n > 1] != [n for n in wanted[1:] if n > 1]:
        advice = ""
        if kind is TaskKind.REGRESSION and values.ndim == 1:
            # Class numbers that were saved as floats look like values.
            advice = "; class numbers need an integer type: labels.astype(int)"
        raise ModelError(
            f"{who} labels of shape {wanted} for the task '{kind.value}', not "
            f"{tuple(values.shape)}{advice or '; reshape them or choose another task'}"
        )
    return values.reshape(wanted)


def _classes(kind, classes, values, who):
    # Whole numbers in floats are told, not converted: they may be values that look like classes.
    if values.dtype.kind not in "iub":
        raise ModelError(
            f"{who} labels of an integer type for the task '{kind.value}', not {values.dtype}; "
            f"convert them: labels.astype(int)"
        )
    known = values[values != VOID] if kind is TaskKind.PIXELS else values
    if known.size < values.size and classes > VOID:
        raise ModelError(
            f"{who} labels other than {VOID} for the task '{kind.value}' of {classes} classes, as "
            f"{VOID} marks pixels of no class and would be a class, too; renumber that class"
        )
    low, high = (int(known.min()), int(known.max())) if known.size else (0, 0)
    if low < 0 or high >= classes:
        from_one = low == 1 and high == classes
        raise ModelError(
            f"{who} labels from 0 to {classes - 1}, because the model has {classes} classes, not "
            f"{low if low < 0 else high}; "
            f"{'number the classes from 0' if from_one else 'correct the labels or the model'}"
        )
    return values.astype(np.int64)


def _range(values):
    return f"from {values.min():g} to {values.max():g}"


def _first_not_finite(values):
    return int(np.argwhere(~np.isfinite(values))[0][0])
