"""Reads the nodes of a QONNX file one by one, into operators of the integer graph."""

from dataclasses import dataclass, field
from typing import Any

from qnn.interchange.qonnx_lines import rounded_operator
from qnn.interchange.qonnx_values import (
    MadeAt,
    RoundedLine,
    Settled,
    refuse,
)
from qnn.ir.ops import Input, Operator

DO = "quantize the file anew with 'qnn quantize FILE --requantize'"
INT64, REALS = 7, (1, 11)  # of TensorProto's types; float32 and float64


@dataclass(frozen=True)
class ReadNode:
    """A node of the file: where it is, what it does, and its attributes."""

    place: MadeAt
    op: str
    attributes: dict[str, Any]

    def get(self, name: str, default: Any) -> Any:
        """An attribute, or what stands for it where there is none."""
        return self.attributes.get(name, default)


@dataclass(eq=False)
class QonnxReader:
    """What has been read so far.

    Members
    -------
    axes : of the inputs whose axes the file says
    ties : "even", or "up", with which halves may round up where the file rounds them otherwise
    quantized : the number of the node that gives the codes of each input, by the input's name
    made : operators with the number of the node that each was made of
    """

    axes: dict[str, str] = field(default_factory=dict)
    ties: str = "even"
    inputs: list[Input] = field(default_factory=list)
    quantized: dict[str, int] = field(default_factory=dict)
    made: dict[str, tuple[int, Operator]] = field(default_factory=dict)
    _whole: dict[int, Settled] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)  # so that no id is given twice

    # Lines become operators where they are read, which may be behind others of the file.
    def nodes(self) -> tuple[Operator, ...]:
        """Inputs, then the operators in the order of the file."""
        ordered = sorted(self.made.values(), key=lambda each: each[0])
        return (*self.inputs, *(node for _, node in ordered))

    def tensor(self, value: Any, place: MadeAt) -> Operator:
        """The operator of a value that is read as a tensor.

        Raises
        ------
        ModelError
            It is none, as nothing quantizes it.
        """
        if isinstance(value, Settled):
            return value.node
        if not isinstance(value, RoundedLine):
            refuse(place, "an operand behind a quantizer", type(value).__name__, "quantize it")
        # The same value again is the same operator.
        if id(value) not in self._whole:
            self._kept.append(value)
            made = self.add(value.place, rounded_operator(value, ties=self.ties))
            self._whole[id(value)] = made
        return self._whole[id(value)].node

    def add(self, place: MadeAt, node: Operator) -> Settled:
        """Keep an operator, of a name of its own."""
        if node.name in self.made or node.name in {each.name for each in self.inputs}:
            refuse(place, "a name of its own", "that of an earlier node", "rename one")
        self.made[node.name] = (place.number, node)
        return Settled(node)
