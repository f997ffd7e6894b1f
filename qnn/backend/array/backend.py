"""The array as a back end: an image of instructions and weights, for one accelerator of ``hw``."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields

from hw.spec import resources
from hw.spec.config import PES, SvpeConfig
from hw.spec.image import Image, ImageError
from hw.spec.verilog_files import CELLS, TOP, WORDS, simulation_files
from qnn.backend.array.configure import config_for
from qnn.backend.claims import Claim
from qnn.backend.costs import Costs, Estimate
from qnn.backend.execution import Execution
from qnn.backend.memory import MemoryUse
from qnn.backend.protocol import ArtifactSize
from qnn.backend.trial import Trial
from qnn.compiler import compile_graph, run_passes
from qnn.compiler.estimate import layer_cycles, performance
from qnn.compiler.listing import listing
from qnn.errors import CompileError
from qnn.ir.graph import Graph
from qnn.runtime.folder import driver_files


@dataclass(frozen=True)
class ArrayBackend:
    """One array of processing elements that runs a program; artifacts are ``Image``."""

    name: str = "array"
    # In the order in which they are asked for: the fast one finds most mistakes.
    devices: tuple[str, ...] = ("functional", "rtl")

    @property
    def parameters(self) -> Mapping[str, tuple[str, ...]]:
        return {field.name: PES if field.name == "pe" else () for field in fields(SvpeConfig)}

    def configure(self, graph: Graph, name: str | None, changes: Mapping) -> SvpeConfig:
        return config_for(name or "test", graph, **changes)

    def compile(self, graph: Graph, config: SvpeConfig, batch: int, **options) -> Image:
        return compile_graph(graph, config, batch, **options)

    def read(self, data: bytes, name: str) -> Image:
        try:
            # The errors of an image know nothing of commands, which is why they are translated
            # here.
            return Image.from_bytes(data, name)
        except ImageError as error:
            raise CompileError(str(error)) from None

    def lower(self, graph: Graph) -> Graph:
        return run_passes(graph)

    def run(
        self, artifact: Image, inputs, device: str, *, tensors: bool = False, built=None, **options
    ) -> Execution:
        from qnn.backend.array import execute  # the simulators; reading a design needs none

        if device == "functional":
            return execute.functional(artifact, inputs, tensors, **options)
        return execute.in_rtl(artifact, inputs, tensors, built, **options)

    def estimate(self, artifact: Image) -> Estimate:
        shifts = artifact.config.pe == "shift"  # the table of cells has no other
        cells = asdict(resources.total(artifact.config)) if shifts else {}
        return Estimate(layer_cycles(artifact), performance(artifact), cells)

    def advice(self, graph: Graph, config: SvpeConfig) -> tuple[str, ...]:
        from qnn.backend.array.advice import advice

        return advice(graph, config)

    def costs(self, artifact: Image) -> Costs:
        from qnn.backend.array.costs import costs

        return costs(artifact)

    def trials(self, graph: Graph, artifact: Image, inputs, device: str, built) -> Iterator[Trial]:
        from qnn.backend.array import trials

        if device == "functional":
            return trials.functional_trials(artifact)
        return trials.rtl_trials(graph, artifact, inputs, built)

    def claims(self, artifact: Image) -> tuple[Claim, ...]:
        from qnn.backend.array.claims import image_claims

        return image_claims(artifact)

    def memory(self, artifact: Image) -> MemoryUse:
        from qnn.backend.array.memory import memory

        return memory(artifact)

    def size(self, artifact: Image) -> ArtifactSize:
        return ArtifactSize(
            # By name: a layer in strips has an entry for each of them.
            layers=len({layer.name for layer in artifact.layers}),
            program_bytes=artifact.program_bytes,
            image_bytes=len(artifact.payload),
        )

    def facts(self, artifact: Image) -> dict[str, object]:
        config = artifact.config
        return {"config": config.fields, "fingerprint": f"{config.fingerprint:016x}"}

    def files(self, artifact: Image) -> dict[str, bytes]:
        # Elaboration needs amaranth; reading a design does not.
        from hw.verilog import mapped_files, verilog
        from qnn.backend.array.fusesoc import core
        from qnn.backend.array.ip_xact import component

        plain, mapped = verilog(artifact.config), mapped_files(artifact.config)
        files = {WORDS + name: text.encode() for name, text in plain.items()}
        files |= {CELLS + name: text.encode() for name, text in mapped.items()}
        files |= {f"driver/{name}": data for name, data in driver_files(artifact).items()}
        return files | {
            "component.xml": component(artifact.config, files),
            f"{TOP}.core": core(artifact.config, files),
        }

    def testbench(self, artifact: Image, inputs, outputs, built) -> dict[str, bytes]:
        from sim.portable.folder import bench_files

        return bench_files(artifact, inputs, outputs, [f"../{n}" for n in simulation_files(built)])

    def listing(self, artifact: Image) -> str:
        return listing(artifact)


BACKEND = ArrayBackend()
