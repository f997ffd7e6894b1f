"""Which steps of a host program give what is true or false, with which nothing is computed."""

from collections.abc import Sequence

from qnn.host.operations import OF_ANY
from qnn.host.step import HostStep


def check_kinds(steps: Sequence[HostStep], tensors: int) -> None:
    """Return if only numbers are computed with, in steps on the results of so many tensors.

    Raises
    ------
    ValueError
        A step computes with what is true or false; the text says which.
    """
    truths = set()
    for number, step in enumerate(steps, tensors):
        reads = not truths.isdisjoint(step.operands)
        if reads and step.name not in OF_ANY:
            raise ValueError(f"'{step.text(False)}' needs numbers, not what is true or false")
        # These two make numbers of it; whatever else reads it passes it on.
        if step.name == "bool" or (reads and step.name not in ("long", "float")):
            truths.add(number)
