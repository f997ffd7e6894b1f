"""``HostProgram``: what the host computes of a network's results in float64, as named steps.

The network gives tensors; the steps decode them, as boxes of a detector or probabilities; and the
user gets some of the values in the nesting of the user's model. PyTorch, reference and driver all
run the same steps by the same code.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from qnn.host.named import Structure, check_structure, leaves_of, nested, paths_of
from qnn.host.operations import BATCH, ENDS, KINDS, OPERATIONS, Numbers
from qnn.host.step import CONSTANT, HostStep, step_of
from qnn.host.truths import check_kinds

MOST_STEPS = 2000  # the largest decoder that was seen has some two hundred
# Of all steps for one image, 1 GiB in float64: a file must not ask for any amount of memory. The
# boxes of YOLOv8 at 1280 x 1280 are decoded by way of some 50 million values.
MOST_VALUES = 1 << 27
MOST_AXES = 16  # NumPy has 32 at least, PyTorch's fast kernels 16
SEVERAL = 7  # images; any other number than one would do
RETURN = "return "


@dataclass(frozen=True)
class HostProgram:
    """Steps on the tensors that a network gives, and which values the user gets.

    Members
    -------
    tensors : how many tensors the network gives, which are values 0, 1, ...
    steps : each gives the next value
    structure : what the user gets: numbers of values in dictionaries, lists and nothing (None)
    """

    tensors: int
    steps: tuple[HostStep, ...]
    structure: Structure

    def __str__(self) -> str:
        return self.text()

    def text(self, *, full: bool = False) -> str:
        """One line for each step and a last one for the results; constants whole if ``full``."""
        lines = [f"%{self.tensors + n} = {each.text(full)}" for n, each in enumerate(self.steps)]
        return "\n".join([*lines, f"{RETURN}{json.dumps(self.structure)}"])

    @staticmethod
    def parse(text: str, tensors: int) -> "HostProgram":
        """The program of a full text, for a network of so many tensors.

        Raises
        ------
        ValueError
            The text is not one of a program.
        """
        *lines, last = text.split("\n")
        steps = tuple(step_of(line, tensors + n) for n, line in enumerate(lines))
        check_kinds(steps, tensors)
        if len(steps) > MOST_STEPS or not last.startswith(RETURN):
            raise ValueError(f"a host program has at most {MOST_STEPS} steps and ends in a return")
        try:
            structure = json.loads(last.removeprefix(RETURN))
        except (ValueError, RecursionError):
            raise ValueError(f"a host program returns a structure, not {last[:40]!r}") from None
        check_structure(structure, tensors + len(steps))
        return HostProgram(tensors, steps, structure)

    @property
    def results(self) -> tuple[int, ...]:
        """Numbers of the values that the user gets, in order."""
        return leaves_of(self.structure)

    @property
    def scores(self) -> tuple[int, ...]:
        """The values that losses and measures see: of ``results``, before what ends them.

        That is a softmax, log-softmax or argmax, and a move of the images from the first axis.
        """
        return tuple(next(reversed([*self._back(number)]))[0] for number in self.results)

    @property
    def is_named(self) -> bool:
        """Whether the user's model gives a dictionary, or any other thing with keys."""
        return any(isinstance(key, str) for path in paths_of(self.structure) for key in path)

    @property
    def labels(self) -> tuple[str, ...]:
        """Where each result stands in what the user's model gives: its keys and places, dotted."""
        return tuple(".".join(map(str, path)) for path in paths_of(self.structure))

    def names(self, tensors: Sequence[str]) -> tuple[str, ...]:
        """A name of each result: its keys with dots, or that of the tensor that its scores are.

        No two are the same.

        Parameters
        ----------
        tensors : names of the network's
        """
        labels = self.labels
        if self.is_named:
            return tuple(f"output_{text}" if text.isdecimal() else text for text in labels)
        alone, scores = len(labels) == 1, self.scores
        # Two results may have the scores of one tensor, whose name then tells neither.
        return tuple(
            tensors[score]
            if score < self.tensors and scores.count(score) == 1
            else "output"
            if alone
            else f"output_{number}"
            for number, score in enumerate(scores)
        )

    def end_of(self, result: int) -> tuple[str | None, int]:
        """What ends a result, None or one of ``ENDS``, and which axis of its scores it takes."""
        name, axis = None, 0
        for _, step in self._back(self.results[result]):
            if step is not None and step.name in ENDS:
                name, axis = step.name, step.numbers[0]
            elif step is not None and step.name == "permute":
                axis = step.numbers[axis]
        return name, axis

    def batch_axis(self, result: int) -> int:
        """The axis of a result that the images lie along."""
        axis = 0
        for _, step in reversed([*self._back(self.results[result])]):
            if step is not None and step.name == "permute":
                axis = step.numbers.index(axis)
            elif step is not None and step.name == "argmax":
                axis -= step.numbers[0] < axis
            elif step is not None and step.name == "reshape":
                axis = step.numbers.index(BATCH)
        return axis

    def as_scores(self, result: int, value: Any, shape: tuple[int, ...], xp: Any = np) -> Any:
        """A result that another network gives, with the axes of the scores: (images, *shape).

        What ends it stays: probabilities are no logits by it, and of an argmax the axis of the
        scores has one place, for the class.

        Parameters
        ----------
        value : an array or a tensor, as the user's model gives it
        shape : of the scores of one image
        """
        steps = [step for _, step in self._back(self.results[result]) if step is not None][::-1]
        images = value.shape[self.batch_axis(result)]
        shapes: list[Numbers] = [(images, *shape)]
        for step in steps:
            shapes.append(OPERATIONS[step.name].shape([shapes[-1]], step.numbers, images))
        for step, before in zip(reversed(steps), reversed(shapes[:-1]), strict=True):
            if step.name == "permute":
                back = tuple(sorted(range(len(before)), key=step.numbers.__getitem__))
                value = OPERATIONS["permute"].compute(xp, [value], back, images)
            elif step.name == "argmax":
                axis = step.numbers[0]
                value = value.reshape((*before[:axis], 1, *before[axis + 1 :]))
            elif step.name == "reshape":
                value = value.reshape(before)
        return value

    def _back(self, number: int) -> Iterator[tuple[int, HostStep | None]]:
        """A value and those before it as long as these are scores, each with the step behind it."""
        step, moved = None, False
        while True:
            yield number, step
            if number < self.tensors:
                return
            step = self.steps[number - self.tensors]
            # Only once: what is before a move has images first.
            moves = step.name == "permute" and step.numbers[0] != 0 and not moved
            moved |= moves
            # An argmax that keeps its axis has got it back behind it.
            keeps = step.name == "reshape" and self._name(step.operands[0]) == "argmax"
            if not (step.name in (*ENDS, *KINDS) or moves or keeps):
                return
            (number,) = step.operands

    def _name(self, number):
        return self.steps[number - self.tensors].name if number >= self.tensors else None

    def values(self, tensors: Sequence[Any], wanted: Sequence[int], xp: Any = np) -> list[Any]:
        """Those values, of the network's ``tensors``, (images, ...).

        Parameters
        ----------
        xp : ``numpy``, for arrays of float64, or ``torch``, for tensors that may have gradients
        """
        # Scores alone need no more than what leads to them.
        needed = self._needed(wanted)
        steps = {n: step for n, step in enumerate(self.steps, self.tensors) if n in needed}
        # The last reader of each value, behind which it can go.
        last = {operand: n for n, step in steps.items() for operand in step.operands}
        found: dict[int, Any] = dict(enumerate(tensors))
        # A logarithm of 0 is an infinity, as in PyTorch, and no reason to warn.
        with np.errstate(all="ignore"):
            for number, step in steps.items():
                found[number] = self._computed(step, found, tensors[0], xp)
                for operand in set(step.operands).difference(wanted):
                    if last[operand] == number:
                        del found[operand]
        return [found[number] for number in wanted]

    def _computed(self, step, found, like, xp):
        if step.name == CONSTANT:
            return _constant(step.array, like, xp)
        operands = [found[each] for each in step.operands]
        return OPERATIONS[step.name].compute(xp, operands, step.numbers, len(like))

    def results_of(self, tensor: int) -> tuple[int, ...]:
        """Which results, counted in order, are computed of a tensor of the network's."""
        each = enumerate(self.results)
        return tuple(place for place, number in each if tensor in self._needed([number]))

    def _needed(self, wanted):
        needed = set(wanted)
        for number in range(self.tensors + len(self.steps) - 1, self.tensors - 1, -1):
            if number in needed:
                needed.update(self.steps[number - self.tensors].operands)
        return needed

    def nested(self, results: Sequence[Any]) -> Any:
        """One thing for each of ``results``, in the nesting of the user's model."""
        return nested(self.structure, results)

    def shapes(self, tensors: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """The shape of every value for one image, which the first axis is of the network's tensors.

        Parameters
        ----------
        tensors : shapes of the network's, without the images

        Raises
        ------
        ValueError
            A step cannot be computed; the text names it.
        """
        if len(tensors) != self.tensors:
            raise ValueError(f"a host program of {self.tensors} tensors, not of {len(tensors)}")
        found = self._shapes(tensors, 1)
        # With more images, results must differ in nothing but their count.
        more = self._shapes(tensors, SEVERAL)
        for place, (number, score) in enumerate(zip(self.results, self.scores, strict=True)):
            try:
                axes = (score, 0), (number, self.batch_axis(place))
            except (ValueError, IndexError):  # a reshape that knows no images
                axes = ((number, MOST_AXES),)
            if any(_of_more(found[n], axis) != more[n] for n, axis in axes):
                raise ValueError(
                    f"result {place} of its host program needs an entry for each image"
                )
        return found

    def _shapes(self, tensors, images) -> list[Numbers]:
        found: list[Numbers] = [(images, *shape) for shape in tensors]
        total = 0
        for number, step in enumerate(self.steps, self.tensors):
            told = f"step %{number} of its host program"
            shapes = [found[each] for each in step.operands]
            try:
                found.append(_shape_of(step, shapes, images))
            except (ValueError, IndexError):
                fits = f"{step.text(False)} does not fit operands of shapes {shapes}"
                raise ValueError(f"{told}: {fits}") from None
            total += prod(found[-1])
            if total > MOST_VALUES * images:
                raise ValueError(f"{told}: more than {MOST_VALUES} values for an image")
        return found


def _constant(array, like, xp):
    # NumPy's are of float64 already.
    if xp is np:
        return array
    return xp.as_tensor(array, dtype=like.dtype, device=like.device)


def _shape_of(step, shapes, images):
    if step.name == CONSTANT:
        return step.numbers
    shape = OPERATIONS[step.name].shape(shapes, step.numbers, images)
    if len(shape) > MOST_AXES:
        raise ValueError("too many axes")
    return shape


def _of_more(shape, axis):
    """The shape of one image with those of several along ``axis``."""
    return (*shape[:axis], SEVERAL, *shape[axis + 1 :])
