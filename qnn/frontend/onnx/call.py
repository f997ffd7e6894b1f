"""OnnxCall: one node of an ONNX graph, as those see it who say it in PyTorch's words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from qnn.frontend.faults import Fault, FaultyModel, Site
from qnn.frontend.onnx.graph import OnnxNode


@dataclass(frozen=True)
class OnnxCall:
    """One node and what it reads.

    Members
    -------
    node : with its attributes
    tensors : what it reads, None where it leaves an input out
    known : of each, its values as nested lists, where no input of the network decides them and
        they are few; else None
    constants : of each, whether no input of the network decides it
    exact : whether quantizers round, as in the file, and not in a float network
    """

    node: OnnxNode
    tensors: Sequence[Tensor | None]
    known: Sequence[Any]
    constants: Sequence[bool]
    exact: bool = False

    def __len__(self) -> int:
        return len(self.tensors)

    def __getitem__(self, place: int) -> Tensor:
        """The input at ``place``, which must be there."""
        found = self.tensor(place)
        if found is None:
            raise self.refuse(f"an input {place}", "none", "export the model again")
        return found

    def tensor(self, place: int) -> Tensor | None:
        """The input at ``place``, None where it is left out."""
        return self.tensors[place] if place < len(self.tensors) else None

    def attribute(self, name: str, default: Any = None) -> Any:
        """The attribute, or ``default`` where the node has none of that name."""
        return self.node.attributes.get(name, default)

    def numbers(self, place: int, name: str = "") -> list | None:
        """Numbers of the constant input at ``place``, or of the attribute; None where both lack.

        Older versions of many operators have as attributes what newer ones have as inputs.
        """
        if self.tensor(place) is None:
            found = self.attribute(name)
        else:
            found = self.known[place]
            if found is None:
                raise self.refuse(
                    f"a constant as input {place}",
                    "one that is computed from the network's inputs",
                    "let what decides sizes and places not depend on the data",
                )
        if found is None:
            return None
        # Whatever shape they have: of axes, sizes and scales the order alone matters.
        return _flat(found)

    def ints(self, place: int, name: str = "") -> list[int] | None:
        """The same, of whole numbers."""
        found = self.numbers(place, name)
        return None if found is None else [int(each) for each in found]

    def number(self, place: int, name: str = "", default: float | None = None) -> float | None:
        """The same, of one number; ``default`` where there is none."""
        found = self.numbers(place, name)
        return float(found[0]) if found else default

    def is_known(self, place: int) -> bool:
        """Whether the input at ``place`` is a constant whose numbers are few enough to hold."""
        return self.tensor(place) is not None and self.known[place] is not None

    def require(self, holds: bool, needs: str, got: str, do: str) -> None:
        """Return if the node has a form that is read; raises as ``refuse`` says."""
        if not holds:
            raise self.refuse(needs, got, do)

    def refuse(self, needs: str, got: str, do: str) -> FaultyModel:
        """The error that the node is not supported as it is."""
        return FaultyModel([Fault(site_of(self.node), f"needs {needs}, not {got}", do)])


def site_of(node: OnnxNode) -> Site:
    """The place of a node: its name, and the operator as ONNX calls it."""
    return Site(path=node.name, operator=f"onnx.{node.kind}")


def _flat(found: Any) -> list:
    if not isinstance(found, list | tuple):
        return [found]
    return [number for each in found for number in _flat(each)]


# Says a node in PyTorch's words: its results in order, or the only one.
Reader = Callable[[OnnxCall], Any]
