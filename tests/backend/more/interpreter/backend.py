"""A back end that computes the reference: it shows that a folder alone adds one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from qnn.backend.claims import graph_claims
from qnn.backend.costs import Costs, Estimate, LayerCost
from qnn.backend.execution import Execution, LayerCycles, TensorPart
from qnn.backend.memory import MemoryUse, Section
from qnn.backend.protocol import ArtifactSize
from qnn.errors import CompileError
from qnn.ir import serialize
from qnn.ir.graph import Graph
from qnn.ir.reference import reference
from qnn.ir.text import text

MAGIC = b"INTERPRETED"


@dataclass(frozen=True)
class Speed:
    """What it compiles for: products of a cycle."""

    macs: int

    def __str__(self) -> str:
        return f"{self.macs} products a cycle"


@dataclass(frozen=True, eq=False)
class Interpreted:
    """The graph itself."""

    graph: Graph
    config: Speed
    batch: int

    def to_bytes(self) -> bytes:
        head = json.dumps({"macs": self.config.macs, "batch": self.batch}).encode()
        return b"\n".join((MAGIC, head, serialize.to_bytes(self.graph)))

    def cycles(self) -> dict[str, int]:
        nodes = (node for node in self.graph.nodes if node.is_computed)
        return {node.name: -(-node.macs // self.config.macs) for node in nodes}


@dataclass(frozen=True)
class InterpreterBackend:
    """``wrong``, where given, is a (layer, image, channel, row, column) that it gets wrong."""

    wrong: tuple[str, int, int, int, int] | None = None
    name: str = "interpreter"
    devices: tuple[str, ...] = ("interpreter",)

    @property
    def parameters(self) -> Mapping[str, tuple[str, ...]]:
        return {"macs": ()}

    def configure(self, graph, name, changes) -> Speed:
        if name not in (None, "slow"):
            raise CompileError(f"config must be slow, not '{name}'")
        return Speed(**{"macs": 1} | changes)

    def compile(self, graph, config, batch, **options) -> Interpreted:
        return Interpreted(graph, config, batch)

    def read(self, data, name) -> Interpreted:
        magic, head, graph = data.split(b"\n", 2)
        if magic != MAGIC:
            raise CompileError(f"{name}: not interpreted")
        facts = json.loads(head)
        return Interpreted(serialize.from_bytes(graph, name), Speed(facts["macs"]), facts["batch"])

    def lower(self, graph):
        return graph

    def run(self, artifact, inputs, device, *, tensors=False, built=None, **options) -> Execution:
        graph, found = artifact.graph, reference(artifact.graph, inputs)
        if self.wrong:
            name, *place = self.wrong
            found[name][tuple(place)] += 1
        images = len(found[graph.outputs[0].name])
        total = sum(artifact.cycles().values())
        parts = [
            TensorPart(
                name=node.name,
                op=node.kind,
                image=image,
                values=found[node.name][image],
                cycles=LayerCycles(0, artifact.cycles()[node.name]),
            )
            for image in range(images)
            for node in graph.nodes
            if node.is_computed
        ]
        return Execution(
            outputs=tuple(found[output.name] for output in graph.outputs),
            parts=tuple(parts) if tensors else (),
            cycles=(total,) * images,
        )

    def estimate(self, artifact) -> Estimate:
        cycles = artifact.cycles()
        return Estimate(cycles, {"cycles_per_image": sum(cycles.values())}, {"lut": 0})

    def advice(self, graph, config):
        return ()

    def costs(self, artifact) -> Costs:
        layers = tuple(
            LayerCost(name, artifact.graph[name].kind, cycles, cycles, cycles, {}, cycles, 1.0)
            for name, cycles in artifact.cycles().items()
        )
        return Costs(layers, sum(layer.cycles for layer in layers), 1.0)

    def trials(self, graph, artifact, inputs, device, built):
        return iter(())

    def claims(self, artifact):
        return tuple(graph_claims(artifact.graph, artifact.graph).values())

    def memory(self, artifact) -> MemoryUse:
        return MemoryUse((Section("graph", len(artifact.to_bytes()), in_image=True),), (), ())

    def size(self, artifact) -> ArtifactSize:
        layers = len(artifact.cycles())
        return ArtifactSize(layers=layers, program_bytes=0, image_bytes=len(artifact.to_bytes()))

    def facts(self, artifact) -> dict[str, object]:
        return {"config": {"macs": artifact.config.macs}, "fingerprint": "none"}

    def files(self, artifact) -> dict[str, bytes]:
        return {"rtl/none.v": b"module none; endmodule\n"}

    def testbench(self, artifact, inputs, outputs, built) -> dict[str, bytes]:
        return {}

    def listing(self, artifact) -> str:
        return text(artifact.graph)


BACKEND = InterpreterBackend()
