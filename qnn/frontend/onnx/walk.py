"""One walk over an ONNX graph without values: all shapes, what is constant, and what is not taken.

PyTorch's own rules of shapes are the rules: each node is run on tensors that have no values, and
on real ones where no input decides them.
"""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qnn.errors import first_line
from qnn.frontend.faults import Fault, FaultyModel
from qnn.frontend.onnx.call import OnnxCall, site_of
from qnn.frontend.onnx.constants import OF_VALUES, VALUED
from qnn.frontend.onnx.graph import OnnxGraph, OnnxNode
from qnn.frontend.onnx.table import TABLE, cure_of
from qnn.frontend.onnx.tensors import MOST_VALUES

# Of a constant that are held as numbers too: sizes, places and axes, or scales and bounds.
MOST_NUMBERS, MOST_REALS = 1 << 16, 64
MOST_MADE = 1 << 27  # values of all constants that nodes make, 512 MiB of reals


@dataclass(frozen=True)
class OnnxValue:
    """What a name stands for.

    Members
    -------
    tensor : real of a constant, else without values
    varies : whether a constant depends on the shapes of inputs
    """

    tensor: Tensor
    varies: bool = False

    @property
    def constant(self) -> bool:
        return self.tensor.device.type != "meta"

    @property
    def numbers(self) -> list | None:
        """Its values as nested lists where they are constant and few."""
        most = MOST_REALS if self.tensor.is_floating_point() else MOST_NUMBERS
        if not self.constant or self.tensor.numel() > most:
            return None
        return self.tensor.tolist()


@dataclass
class ShapeWalk:
    """One walk, which goes on behind what it cannot take.

    Members
    -------
    values : what each name stands for; names that are missing are results of nodes with faults
    steps : the nodes that depend on the inputs, in order
    computed : how many values constants have that nodes make
    """

    graph: OnnxGraph
    values: MutableMapping[str, OnnxValue] = field(default_factory=dict)
    steps: list[OnnxNode] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    computed: int = 0

    @staticmethod
    def of(
        graph: OnnxGraph, shapes: Sequence[tuple[int, ...]], before: "ShapeWalk | None" = None
    ) -> "ShapeWalk":
        """The walk for inputs of these shapes.

        Parameters
        ----------
        before : another walk over the graph, whose constants are taken where shapes do not matter

        Raises
        ------
        FaultyModel
            Nodes cannot be taken; it has the faults of all of them.
        """
        walk = ShapeWalk(graph, {name: OnnxValue(each) for name, each in graph.constants.items()})
        for given, shape in zip(graph.inputs, shapes, strict=True):
            kind = torch.float32 if given.real else torch.int64
            walk.values[given.name] = OnnxValue(torch.empty(shape, dtype=kind, device="meta"))
        known = before.values if before else {}
        with torch.no_grad():
            walk._run(graph.nodes, known)
        if walk.faults:
            raise FaultyModel(walk.faults)
        return walk

    def _run(self, nodes: Iterable[OnnxNode], known: Mapping[str, OnnxValue]) -> None:
        for node in nodes:
            # Nothing is known of what stands behind a fault but its name.
            if not all(name in self.values for name in node.inputs if name):
                self.faults += [] if node.kind in (*TABLE, "If") else [_unsupported(node)]
                continue
            try:
                self._node(node, known)
            except FaultyModel as error:
                self.faults += error.faults
            except Exception as error:  # any: PyTorch raises many kinds for what does not fit
                problem = f"needs operands that fit, but: {first_line(error)}"
                self.faults.append(Fault(site_of(node), problem, "export the model again"))

    def _node(self, node, known):
        operands = [self.values[name] if name else None for name in node.inputs]
        if node.kind == "If" and operands[0].constant:
            self._branch(node, bool(operands[0].tensor.reshape(-1)[0]), known)
            return
        if node.kind not in TABLE:
            raise FaultyModel([_unsupported(node)])
        given = [each for each in operands if each is not None]
        valued = [operands[n] for n in VALUED.get(node.kind, ())]
        constant = all(each.constant for each in (valued if node.kind in VALUED else given))
        varies = any(each.varies for each in given) or any(not each.constant for each in given)
        # Computed once, and not for each number of images.
        held = known.get(node.outputs[0])
        if constant and not varies and held is not None and held.constant:
            self._keep(node, [known[name].tensor for name in node.outputs if name], varies=False)
            return
        # Without values first, also where they are there: so nothing large is made by a small file.
        found = self._shapes(node, operands)
        count = sum(each.numel() for each in found)
        # All constants together: each alone may be small, and they are many.
        before, most = (self.computed, MOST_MADE) if constant else (0, MOST_VALUES)
        if before + count > most:
            problem = f"needs at most {most:,} values, but gives more"
            raise FaultyModel([Fault(site_of(node), problem, "give it smaller inputs")])
        self.computed += count if constant else 0
        if not constant:
            self.steps.append(node)
            self._keep(node, [each.to("meta") for each in found], varies=False)
            return
        tensors = [each.tensor if each else None for each in operands]
        self._keep(node, _results(node, operands, tensors), varies)

    def _shapes(self, node, operands) -> list[Tensor]:
        """What a node gives, without values."""
        if node.kind in OF_VALUES and operands[0].constant:
            return []
        # Also what a node makes without a tensor to make it of.
        with torch.device("meta"):
            return _results(node, operands, [_without_values(each) for each in operands])

    def _keep(self, node, found, varies):
        names = [name for name in node.outputs if name]
        for name, tensor in zip(names, found, strict=False):
            self.values[name] = OnnxValue(tensor, varies)

    def _branch(self, node, holds, known):
        """The nodes of the branch that is taken, and its results by the names of the node."""
        inner = node.attributes["then_branch" if holds else "else_branch"]
        for name, each in inner.constants.items():
            self.values[name] = OnnxValue(each)
        self._run(inner.nodes, known)
        for name, source in zip(node.outputs, inner.outputs, strict=True):
            if source in self.values:
                same = replace(
                    node,
                    name=f"{node.name}_{len(self.steps)}",
                    kind="Identity",
                    inputs=(source,),
                    outputs=(name,),
                    attributes={},
                )
                self._node(same, known)


def _unsupported(node):
    return Fault(site_of(node), "is not supported", cure_of(node.kind))


def _without_values(value):
    return None if value is None else value.tensor.to("meta")


def _results(node, operands, tensors) -> list[Tensor]:
    """What a node gives, one tensor for each result that has a name."""
    numbers = [each and each.numbers for each in operands]
    constants = [each is not None and each.constant for each in operands]
    return results(OnnxCall(node, tensors, numbers, constants))


def results(call: OnnxCall) -> list[Tensor]:
    """What a node gives, one tensor for each result that has a name.

    Raises
    ------
    FaultyModel
        It has a form that is not read.
    """
    found = TABLE[call.node.kind](call)
    found = list(found) if isinstance(found, tuple | list) else [found]
    wanted = [n for n, name in enumerate(call.node.outputs) if name]
    call.require(
        max(wanted, default=0) < len(found),
        f"its first {len(found)} results alone to be used",
        f"result {max(wanted, default=0)}",
        "leave the others out",
    )
    return [found[n] for n in wanted]
