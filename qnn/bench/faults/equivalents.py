"""Mutants of our own code that are proved to change nothing that can be seen, each with its proof.

A proof holds for one line: where that is written anew, the mutant is a survivor again.
"""

from dataclasses import dataclass

from qnn.bench.faults.python_mutants import PythonMutant

FAR = "It is beyond any cycle of an instruction, and far below where int64 sums would wrap."
UNREAD = "Words that are looked at although none of them is read have NEVER as their first read."


@dataclass(frozen=True)
class Equivalent:
    """A mutant that no test can find.

    Members
    -------
    path : of its file
    line : with the change
    proof : why it changes nothing
    """

    path: str
    line: str
    proof: str


EQUIVALENTS = (
    Equivalent(
        "qnn/compiler/data_section.py",
        "return end + (end) % ALIGNMENT",
        "An instruction is half of ALIGNMENT, so that as much is over as is missing.",
    ),
    Equivalent(
        "qnn/compiler/newest.py",
        "NONE = -(2)  # no instruction",
        "It is compared with itself and with numbers of instructions, which begin at 0.",
    ),
    Equivalent(
        "qnn/compiler/places.py",
        "STAYS = -(2)  # the run of a root that stays on chip for its whole life",
        "It is compared with itself and with numbers of runs, which begin at 0.",
    ),
    Equivalent(
        "qnn/compiler/estimate.py",
        "products = config.lanes * config.rows * config.columns * max(total, (2))",
        "An image without layers has no products, and any layer takes more than one cycle.",
    ),
    Equivalent(
        "qnn/compiler/fences.py",
        "return any(self.first < stop and (first <= self.stop) for first, stop in bounds)",
        UNREAD,
    ),
    Equivalent(
        "qnn/compiler/fences.py",
        "return any((self.first <= stop) and first < self.stop for first, stop in bounds)",
        UNREAD,
    ),
    Equivalent(
        "qnn/compiler/fences.py",
        "return any((self.first < stop or first < self.stop) for first, stop in bounds)",
        UNREAD,
    ),
    Equivalent("qnn/compiler/fences.py", "NEVER = 1 << (41)", FAR),
    Equivalent("qnn/compiler/fences.py", "NEVER = (2) << 40", FAR),
    Equivalent(
        "qnn/compiler/fences.py",
        "if (landed + written.least <= fence) and written.meets(bounds):",
        "What is looked at gives no less than it is compared with: of equal ones the least stays.",
    ),
    Equivalent(
        "qnn/compiler/tiles.py",
        "last = width if graph[root].shape[1] == 1 else (width + config.banks + 1)",
        "Further pitches have the banks of smaller ones, and of equal ones the first is taken.",
    ),
    Equivalent(
        "sim/functional_transfers.py",
        "every = range((2) << config.weight_bits)",
        "No code of weight_bits bits is in the upper half of a table that is twice as large.",
    ),
)


def is_equivalent(mutant: PythonMutant) -> bool:
    """Whether a mutant is proved to change nothing."""
    return any((each.path, each.line) == (mutant.path, mutant.changed_line) for each in EQUIVALENTS)
