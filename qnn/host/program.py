"""``HostProgram``: what the host computes of a network's results in float64, as named steps.

The network gives tensors; the steps decode them, as boxes of a detector or probabilities; and the
user gets some of the values in the nesting of the user's model. PyTorch, reference and driver all
run the same steps by the same code.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qnn.errors import first_line
from qnn.host.named import Structure, leaves_of, nested, paths_of
from qnn.host.operations import ENDS, OPERATIONS, most_values
from qnn.host.step import CONSTANT, HostStep, step_of

MOST_STEPS = 2000  # the largest decoder that was seen has some two hundred
MOST_VALUES = 1 << 26  # of a tensor of one image: a file must not ask for any amount of memory
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
        if len(steps) > MOST_STEPS or not last.startswith(RETURN):
            raise ValueError(f"a host program has at most {MOST_STEPS} steps and ends in a return")
        try:
            structure = json.loads(last.removeprefix(RETURN))
        except (ValueError, RecursionError):
            raise ValueError(f"a host program returns a structure, not {last[:40]!r}") from None
        _check_structure(structure, tensors + len(steps))
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

        Parameters
        ----------
        tensors : names of the network's
        """
        labels = self.labels
        if self.is_named:
            return tuple(f"output_{text}" if text.isdecimal() else text for text in labels)
        alone = len(labels) == 1
        return tuple(
            tensors[score] if score < self.tensors else "output" if alone else f"output_{number}"
            for number, score in enumerate(self.scores)
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
        return axis

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
            if not (step.name in ENDS or moves or keeps):
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
        found: dict[int, Any] = dict(enumerate(tensors))
        images = len(tensors[0])
        # A logarithm of 0 is an infinity, as in PyTorch, and no reason to warn.
        with np.errstate(all="ignore"):
            for number, step in enumerate(self.steps, self.tensors):
                if number not in needed:
                    continue
                if step.name == CONSTANT:
                    found[number] = _constant(step.array, tensors[0], xp)
                    continue
                operands = [found[each] for each in step.operands]
                compute = OPERATIONS[step.name].compute
                found[number] = compute(xp, operands, step.numbers, images)
        return [found[number] for number in wanted]

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
        # Computed on zeros: the rules of shapes are those of the operations themselves.
        found: list[np.ndarray] = [np.zeros((1, *shape)) for shape in tensors]
        if len(tensors) != self.tensors:
            raise ValueError(f"a host program of {self.tensors} tensors, not of {len(tensors)}")
        for number, step in enumerate(self.steps, self.tensors):
            try:
                with np.errstate(all="ignore"):
                    found.append(_tried(step, [found[each] for each in step.operands]))
            except (ValueError, TypeError, IndexError) as error:
                told = f"step %{number} of its host program: {first_line(error)}"
                raise ValueError(told) from None
        return [each.shape for each in found]


def _constant(array, like, xp):
    # NumPy's are of float64 already.
    if xp is np:
        return array
    return xp.as_tensor(array, dtype=like.dtype, device=like.device)


def _tried(step, operands):
    if step.name == CONSTANT:
        return step.array
    shapes, operation = [each.shape for each in operands], OPERATIONS[step.name]
    fits = operation.takes(shapes, step.numbers)
    if not fits or most_values(step.name, shapes, step.numbers, 1) > MOST_VALUES:
        raise ValueError(f"{step.text(False)} does not fit operands of shapes {shapes}")
    return operation.compute(np, operands, step.numbers, 1)


def _check_structure(structure, values: int) -> None:
    kinds: dict[type, Callable] = {dict: dict.values, list: iter}
    # Not by recursion, as a file may nest as deep as it likes.
    open_ = [structure]
    while open_:
        each = open_.pop()
        if type(each) in kinds:
            open_ += kinds[type(each)](each)
        elif each is not None and not (type(each) is int and 0 <= each < values):
            raise ValueError(f"a host program returns values before it, not {str(each)[:40]!r}")
    if not leaves_of(structure):
        raise ValueError("a host program returns a value, not none")
