"""How well outputs do their task, in the numbers of the field: sums that add up over batches."""

from collections.abc import Mapping

import numpy as np

from qnn.tasks.kinds import VOID, TaskKind, find_task, labels_for

# Above which a class is there: of logits, and of probabilities, as a sigmoid gives them.
LIMITS = (0.0, 0.5)
# What a person reads for each number, in the order in which they are said.
WORDS = {
    "accuracy": "{:.2f} %",
    "mean_iou": "mean IoU {:.2f} %",
    "ignored_pixels": "{:.0f} pixels of no class left out",
    "mse": "mean squared error {:.4g}",
    "r2": "R2 {:.4f}",
    "snr_db": "{:.1f} dB signal to noise",
}


def tally(kind: TaskKind, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sums of a batch, (...) float64, which may be added to those of other batches.

    Parameters
    ----------
    outputs : (samples, *output) reals; of classes, integers of one exponent will do
    labels : as ``labels_for`` gives them
    """
    if kind is TaskKind.PIXELS:
        return _pixels(outputs, labels)
    if kind is TaskKind.CLASSES:
        # Of equal outputs the first class counts, as in hardware's and PyTorch's argmax.
        answers = np.asarray(outputs).reshape(len(labels), -1).argmax(1)
        return np.array([(answers == labels).sum(), labels.size], np.float64)
    values = np.asarray(outputs, np.float64).reshape(labels.shape)
    if kind.classifies:
        there = labels > 0
        right = [((values > limit) == there).sum() for limit in LIMITS]
        others = ((values < 0) | (values > 1)).sum()  # that no probability is
        return np.array([right[0], labels.size, right[1], others], np.float64)
    # In float64, as the variance is a difference of two sums of squares.
    flat = labels.reshape(len(labels), -1).astype(np.float64)
    wrong = ((values.reshape(flat.shape) - flat) ** 2).sum()
    return np.concatenate([[wrong, len(flat)], flat.sum(0), (flat**2).sum(0)])


def _pixels(outputs, labels):
    classes = outputs.shape[1]
    answers = np.asarray(outputs).reshape(len(labels), classes, *labels.shape[1:]).argmax(1)
    known = labels != VOID
    # One number for each pair of label and answer: counting them gives the confusion matrix.
    pairs = labels[known] * classes + answers[known]
    table = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    right = np.diagonal(table)
    union = table.sum(0) + table.sum(1) - right
    counts = [right.sum(), known.sum(), (~known).sum()]
    return np.concatenate([counts, right, union]).astype(np.float64)


def measures(kind: TaskKind, sums: np.ndarray) -> dict[str, float | None]:
    """The numbers of ``kind`` by name, of what ``tally`` gave.

    Returns
    -------
    ``accuracy``, and ``mean_iou`` of pixels, in percent, with ``ignored_pixels``, how many labels
    are of no class; or ``mse``, the mean squared error, and ``r2``, the share of the labels'
    variance that is explained (None where they have none)
    """
    if kind.classifies:
        # Of the whole set: a few logits of a batch may all lie between 0 and 1.
        probable = not kind.competes and sums[3] == 0
        right = sums[2] if probable else sums[0]
        found: dict[str, float | None] = {"accuracy": 100 * float(right / max(sums[1], 1))}
        if kind is TaskKind.PIXELS:
            right, union = np.split(sums[3:], 2)
            # A class that is neither there nor answered has no union, and does not count.
            seen = union > 0
            found["mean_iou"] = (
                100 * float((right[seen] / union[seen]).mean()) if seen.any() else 0.0
            )
            found["ignored_pixels"] = float(sums[2])
        return found
    wrong, count = sums[0], sums[1]
    total, squares = np.split(sums[2:], 2)
    spread = float((squares - total**2 / count).sum())
    # What rounding leaves of a variance of 0 is no spread.
    r2 = 1 - float(wrong) / spread if spread > 1e-12 * float(squares.sum()) else None
    return {"mse": float(wrong) / (count * len(total)), "r2": r2}


def measured(
    outputs: np.ndarray,
    labels: np.ndarray,
    asked: str | None = None,
    who: str = "the task needs",
) -> tuple[TaskKind, dict[str, float | None]]:
    """The task of a whole set of outputs (samples, ...) with labels, and its numbers.

    Raises
    ------
    ModelError
        The labels fit no task of such outputs, or leave it open.
    ValueError
        No task has the name ``asked``.
    """
    kind = find_task(outputs.shape[1:], labels, asked)
    return kind, measures(
        kind, tally(kind, outputs, labels_for(kind, outputs.shape[1:], labels, who))
    )


def signal_to_noise(wanted: np.ndarray, got: np.ndarray) -> float | None:
    """How far below ``wanted`` the error of ``got`` lies, in dB; None where one of both is zero."""
    signal = float((np.asarray(wanted, np.float64) ** 2).sum())
    noise = float(((np.asarray(wanted, np.float64) - got) ** 2).sum())
    return 10 * float(np.log10(signal / noise)) if signal and noise else None


def in_words(found: Mapping[str, float | None]) -> str:
    """The numbers of ``measures`` as a person reads them."""
    told = {name: number for name, number in found.items() if number is not None}
    # Most data sets mark no pixels: that none was left out goes without saying.
    if not told.get("ignored_pixels"):
        told.pop("ignored_pixels", None)
    return ", ".join(text.format(told[name]) for name, text in WORDS.items() if name in told)
