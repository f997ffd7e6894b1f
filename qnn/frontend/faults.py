"""Faults: what a model has that cannot be taken, each with its place in the model and a cure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import fx

from qnn.errors import ModelError
from qnn.frontend.releases import plain_path

TORCH = str(Path(torch.__file__).parent)
OURS = str(Path(__file__).parent)  # what calls PyTorch for the user's model
FRAME = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+), in .+')
# What torch.export calls by names of its own.
USUAL_NAMES = {
    "aten._native_batch_norm_legit_no_training": "aten.batch_norm",
    "aten._native_batch_norm_legit": "aten.batch_norm",
    "aten._native_batch_norm_legit_functional": "aten.batch_norm",
    "aten._to_copy": "aten.to",
    "aten._unsafe_view": "aten.reshape",
}
NAMED = 3  # layers that a sentence about many of them names


@dataclass(frozen=True)
class Site:
    """Where in the user's model an operator is called.

    Members
    -------
    path : of the module, as in ``named_modules``; empty for the model itself
    operator : of PyTorch, ``aten.relu``; empty for what the model as a whole does
    file, line : of the model's source, 0 where torch.export recorded none
    """

    path: str
    operator: str
    file: str = ""
    line: int = 0

    @property
    def source(self) -> str:
        """The file's name and the line, or nothing."""
        return f"{Path(self.file).name}:{self.line}" if self.line else ""

    @property
    def called(self) -> str:
        """The operator and its line, as sentences name it."""
        return ", ".join(part for part in (self.operator, self.source) if part)

    def __str__(self) -> str:
        where = f"layer '{self.path}'" if self.path else "model"
        return f"{where} ({self.called})" if self.called else where


@dataclass(frozen=True)
class Fault:
    """One thing that a model needs changed: where, what is wrong, and what to do."""

    site: Site
    problem: str
    cure: str

    def __str__(self) -> str:
        return f"{self.site} {self.problem}; {self.cure}"


class FaultyModel(ModelError):
    """A model with faults, of which all are told."""

    def __init__(self, faults: Iterable[Fault]):
        self.faults = tuple(faults)
        super().__init__(_told(self.faults))

    def at(self, site: Site) -> "FaultyModel":
        """The same faults of the call at ``site``, of which what has them is a part."""
        return FaultyModel(replace(fault, site=site) for fault in self.faults)


def site_of(node: fx.Node) -> Site:
    """The place of one call of an exported program."""
    path, _ = module_of(node)
    file, line = _source(node.meta.get("stack_trace") or "")
    operator = USUAL_NAMES.get(target_of(node), target_of(node))
    return Site(path=path, operator=operator, file=file, line=line)


# What a name means for two tensors where for one it is a reduction.
OF_TWO = {"aten.max.other": "aten.maximum", "aten.min.other": "aten.minimum"}


def target_of(node: fx.Node) -> str:
    """The operator without its overload: ``aten.add``."""
    if str(node.target) in OF_TWO:
        return OF_TWO[str(node.target)]
    # Others than ATen's are Python functions, whose text is an address.
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return str(node.target).rsplit(".", 1)[0] if hasattr(node.target, "_schema") else name


def module_of(node: fx.Node) -> tuple[str, str]:
    """Path and class of the innermost module that calls ``node``."""
    stack = list((node.meta.get("nn_module_stack") or {"": ("", "")}).values())
    path, kind = stack[-1]
    # torch.export marks later calls of one module with @ and a number.
    return plain_path(path.split("@")[0]), str(kind).removeprefix("<class '")


def _source(trace):
    """File and line of the last frame that is neither PyTorch's own nor ours."""
    frames = [(match["file"], int(match["line"])) for match in FRAME.finditer(trace)]
    own = [frame for frame in frames if not frame[0].startswith((TORCH, OURS, "<"))]
    return own[-1] if own else ("", 0)


def _told(faults):
    """One line for one fault; else a numbered line for each kind of fault."""
    kinds: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in faults:
        kinds.setdefault((fault.site.operator, fault.problem, fault.cure), []).append(fault)
    lines = [_line(alike) for alike in kinds.values()]
    if len(lines) == 1:
        return lines[0]
    numbered = (f"({number}) {line}" for number, line in enumerate(lines, 1))
    return "\n".join([f"model needs {len(lines)} changes:", *numbered])


def _line(alike):
    """The sentence of faults that differ in their sites alone."""
    sites = list(dict.fromkeys(str(fault.site) for fault in alike))
    plural = alike[0].problem
    for one, many in (("is ", "are "), ("needs ", "need ")):
        if len(sites) > 1 and plural.startswith(one):
            plural = many + plural.removeprefix(one)
    return f"{listed(sites)} {plural}; {alike[0].cure}"


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    # A network may call one operator some hundred times.
    first, more = (names := list(names))[:NAMED], len(names) - NAMED
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def require(holds: bool, needs: str, got: str, do: str) -> None:
    """Return if a call has a form that its steps are known of; its place is told by who reads it.

    Raises
    ------
    FaultyModel
        It has not.
    """
    if not holds:
        raise FaultyModel([Fault(Site("", ""), f"needs {needs}, not {got}", do)])
