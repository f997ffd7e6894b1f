"""``HostStep``: one operation of a host program, as a value and as a line of text."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qnn.host.operations import OPERATIONS, HostOperation, Numbers

CONSTANT = "constant"
STEP = re.compile(r"%(\d+) = (\w+)\(((?:%\d+)?(?:, %\d+)*)(?:(?:; )?([\d,]+))?\)(?: (\S+))?")


@dataclass(frozen=True)
class HostStep:
    """One operation on values that are there; the network's tensors have the first numbers.

    Members
    -------
    name : of one of ``OPERATIONS``, or ``constant``
    operands : numbers of the values that it is computed of
    numbers : axes and sizes, as the operation takes them; of a constant its sizes
    values : of a constant, in order
    """

    name: str
    operands: tuple[int, ...] = ()
    numbers: Numbers = ()
    values: tuple[float, ...] = ()

    @cached_property
    def array(self) -> np.ndarray:
        """The constant, float64."""
        return np.array(self.values, np.float64).reshape(self.numbers)

    def text(self, full: bool) -> str:
        """The step as ``HostProgram`` prints it, without its number."""
        operands = ", ".join(f"%{number}" for number in self.operands)
        numbers = f"; {','.join(map(str, self.numbers))}" if self.numbers else ""
        if self.name != CONSTANT:
            return f"{self.name}({operands}{numbers})"
        shown = f"{min(self.values):g}..{max(self.values):g}"
        if full or len(self.values) == 1:
            # The shortest text that reads back as the same float64.
            shown = ",".join(map(repr, self.values))
        return f"{self.name}({numbers.removeprefix('; ')}) {shown}"


def step_of(line: str, number: int) -> HostStep:
    """The step of a line of text, which gives the value ``number``.

    Raises
    ------
    ValueError
        The line is none of a step, or of one that reads values behind it.
    """
    found = STEP.fullmatch(line)
    if found is None or int(found[1]) != number:
        raise ValueError(f"a host program needs '%{number} = operation(...)', not '{line[:40]}'")
    _, name, operands, numbers, values = found.groups()
    operands = tuple(int(each[1:]) for each in operands.split(", ") if each)
    numbers = tuple(map(int, numbers.split(","))) if numbers else ()
    if name == CONSTANT:
        return _constant_step(line, operands, numbers, values)
    operation: HostOperation | None = OPERATIONS.get(name)
    if operation is None or values is not None:
        raise ValueError(f"a host program has operations {', '.join(OPERATIONS)}, not '{name}'")
    right = _counts(operation.operands, operands) and _counts(operation.numbers, numbers)
    if not right or any(each >= number for each in operands):
        raise ValueError(f"'{line[:40]}' needs operands before it, and its own count of numbers")
    return HostStep(name, operands, numbers)


def _counts(wanted, given):
    return bool(given) if wanted is None else len(given) == wanted


def _constant_step(line, operands, numbers, values):
    try:
        values = tuple(map(float, (values or "").split(",")))
    except ValueError:
        values = ()
    step = HostStep(CONSTANT, (), numbers, values)
    if operands or not values or len(values) != int(np.prod(numbers, dtype=object)):
        raise ValueError(f"'{line[:40]}' needs as many numbers as its sizes say")
    if not np.isfinite(step.array).all():
        raise ValueError(f"'{line[:40]}' needs finite numbers")
    return step
