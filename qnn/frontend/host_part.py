"""The host's part of a program: the tensors that it needs of the network, and its steps on them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from qnn.frontend.host_cut import HostCut
from qnn.frontend.host_values import HostValue, program_of
from qnn.frontend.signature import results, structure
from qnn.host.named import Structure
from qnn.host.operations import ENDS, KINDS
from qnn.host.program import HostProgram
from qnn.host.step import HostStep


@dataclass(frozen=True, eq=False)
class HostPart:
    """What the host needs and computes.

    Members
    -------
    needed : the network's tensors
    wanted : what the user gets, in order
    nesting : of what the user gets, by its place in ``wanted``
    constants : how many results depend on no input
    """

    needed: tuple[HostValue, ...]
    wanted: tuple[HostValue, ...]
    nesting: Structure
    constants: int
    batch: int

    @property
    def tensors(self) -> tuple[tuple[fx.Node, int], ...]:
        """The nodes that give the network's tensors, each with the axis of its images."""
        return tuple((value.node, value.axis) for value in self.needed)

    def program(self, values: Mapping[fx.Node, Any]) -> HostProgram | None:
        """The steps, with constants of ``values``; None: the user gets the tensors as they are.

        Raises
        ------
        FaultyModel
            A constant is not finite, or not the same for all images.
        """
        # As without a host: one tensor, or a tuple of all in their order.
        plain = list(range(len(self.needed)))
        is_plain = self.nesting == (plain if len(plain) > 1 else 0)
        if is_plain and self.wanted == self.needed and not any(v.axis for v in self.needed):
            return None

        def nest(numbers):
            return _renumbered(self.nesting, numbers)

        return program_of(self.needed, self.wanted, nest, values, self.batch)


def host_part(program: ExportedProgram, cut: HostCut) -> HostPart:
    """What the user gets of ``program``, of which the host computes the calls of ``cut``."""
    value_of = cut.steps()
    found = [_of_kind(value_of(i), i) if _is_tensor(i) else None for i in results(program)]
    wanted = tuple(
        _led_by_images(value) for value in found if value is not None and value.axis is not None
    )
    # Each tensor once, in the order in which the results need them.
    needed = dict.fromkeys(tensor for value in wanted for tensor in _tensors(value))
    return HostPart(tuple(needed), wanted, structure(program), len(found) - len(wanted), cut.batch)


def _led_by_images(value: HostValue) -> HostValue:
    """The value as a move of one whose images come first, which losses and measures see."""
    if _has_such_scores(value):
        return value
    if value.step.name in (*ENDS, *KINDS):
        return replace(value, operands=(_led_by_images(value.operands[0]),))
    others = [n for n in range(len(value.shape)) if n != value.axis]
    if not value.axis:
        # Behind several moves: a step that moves nothing lets scores begin here.
        return _permuted(value, (0, *others), 0)
    first = _permuted(value, (value.axis, *others), 0)
    back = list(range(1, len(value.shape)))
    back.insert(value.axis, 0)
    return _permuted(first, tuple(back), value.axis)


def _of_kind(value, node):
    """What is true or false is 1 or 0 in the network, and true or false for the user."""
    if value.axis is None or node.meta["val"].dtype != torch.bool:
        return value
    return HostValue(value.shape, value.axis, None, HostStep("bool"), (value,))


def _has_such_scores(value):
    """Whether ``HostProgram.scores`` finds a value whose images come first."""
    moved = False
    while value.step is not None:
        moves = value.step.name == "permute" and value.step.numbers[0] != 0 and not moved
        moved |= moves
        before = value.operands[0].step
        keeps = value.step.name == "reshape" and before is not None and before.name == "argmax"
        if not (value.step.name in (*ENDS, *KINDS) or moves or keeps):
            break
        value = value.operands[0]
    # Tensors of the network's have images first: their own move is one, where it is the only one.
    return value.axis == 0 or (value.step is None and not moved)


def _permuted(value, axes, axis):
    shape = tuple(value.shape[each] for each in axes)
    return HostValue(shape, axis, None, HostStep("permute", (), axes), (value,))


def _is_tensor(item):
    return isinstance(item, fx.Node) and isinstance(item.meta.get("val"), Tensor)


def _tensors(value: HostValue) -> Iterator[HostValue]:
    if value.step is None and value.axis is not None:
        yield value
    for operand in value.operands:
        yield from _tensors(operand)


def _renumbered(nesting, numbers):
    if isinstance(nesting, dict):
        return {key: _renumbered(each, numbers) for key, each in nesting.items()}
    if isinstance(nesting, list):
        return [_renumbered(each, numbers) for each in nesting]
    return None if nesting is None else numbers[nesting]
