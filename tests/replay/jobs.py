"""The work of a replay in independent jobs; each gives artifacts by name.

Verilog, the C header and the projects of most boards depend on the configuration alone, so each
configuration gives them once; all else is of a network, or of a network and a configuration.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product as pairs
from pathlib import Path

import qnn
from tests.replay import product
from tests.replay.artifact import Artifact, of_bytes, of_image, of_refusal
from tests.replay.networks import networks

Artifacts = dict[str, Artifact]
STRIPS = {"feature_words": 128, "weight_words": 128, "parameter_words": 16}
MULTIPLY = {"pe": "multiply", "weight_bits": 8}
# files of a build that are of the configuration alone, or copies of the product's sources
ELSEWHERE = ("rtl/", "vivado/", "driver/")
SMALLEST = {"lanes": 4, "rows": 2, "columns": 1, "feature_words": 256, "weight_words": 64}


@dataclass(frozen=True)
class Variant:
    """How a network is compiled: for a named configuration with changes, and for a board."""

    config: str
    changes: tuple[tuple[str, int | str], ...] = ()
    batch: int = 1
    board: str | None = None

    def design(self, graph) -> "qnn.Design":
        config = self.config
        if self.changes:
            config = product.config_for(config, graph, **dict(self.changes))
        return qnn.compile(graph, config, self.batch)


def _variant(config, changes=None, **fields):
    return Variant(config, tuple((changes or {}).items()), **fields)


NAMED = {
    "test": _variant("test"),
    "small": _variant("small"),
    "reference": _variant("reference"),
    product.REFERENCE: _variant(product.board(product.REFERENCE).config, board=product.REFERENCE),
    "test-multiply": _variant("test", MULTIPLY),
    "reference-multiply": _variant("reference", MULTIPLY),
}
OF_SMALL_NETWORKS = {
    "test-strips": _variant("test", STRIPS),
    "test-batch3": _variant("test", batch=3),
}
# most of these fit; one is refused
IN_MEMORY = (
    *("zoo/digits_cnn", "zoo/dscnn", "zoo/resnet8", "zoo/resnet20"),
    *("made/tiny_graph", "made/network", "drawn/model0"),
)
# networks that take minutes to compile, for which some configurations suffice
LARGE, OF_LARGE = ("zoo/resnet18", "zoo/mobilenetv1"), ("test", "small", product.REFERENCE)
CONFIGS = {
    **{name: (name, {}) for name in product.CONFIGS},
    **{f"{name}-multiply": (name, MULTIPLY) for name in ("test", "small", "reference")},
    "test-multiply_lut": ("test", {"pe": "multiply_lut", "weight_bits": 8}),
    **{f"test-weights{bits}": ("test", {"weight_bits": bits}) for bits in (2, 4, 5)},
    **{f"test-activations{bits}": ("test", {"activation_bits": bits}) for bits in (4, 16)},
    "test-wide": ("test", {"accumulator_bits": 48, "result_bits": 48}),
    "test-strips": ("test", STRIPS),
    "smallest": ("test", SMALLEST),
}
QUICK_CONFIGS = ("test", "test-multiply", "smallest")
QUICK_VARIANTS = ("test", product.REFERENCE, "test-multiply", "test-strips")


def network_jobs(quick: bool) -> dict[str, Callable[[Path], Artifacts]]:
    """Jobs that keep each network's graph in a folder; those of ``build_jobs`` read it."""
    return {f"networks/{name}": partial(network, name, quick) for name in networks(quick)}


def build_jobs(quick: bool) -> dict[str, Callable[[Path], Artifacts]]:
    """Jobs that need the graphs, in an order in which long ones start early."""
    builds, configs = {}, {}
    for name in networks(quick):
        for label, variant in _variants(name, quick).items():
            builds[f"builds/{name}/{label}"] = partial(build, name, variant)
        if name in IN_MEMORY and (not quick or name == "made/tiny_graph"):
            builds[f"boards/{product.SERIAL}/{name}"] = partial(in_memory, name)
    for label in QUICK_CONFIGS if quick else CONFIGS:
        configs[f"configs/{label}"] = partial(config, label)
    long = {name: job for name, job in builds.items() if "/zoo/" in name}
    return long | configs | builds


def network(name: str, quick: bool, folder: Path) -> Artifacts:
    """The graph as bytes and as text."""
    try:
        graph = networks(quick)[name]()
    except product.QnnError as error:
        return {f"networks/{name}": of_refusal(str(error))}
    data = product.to_bytes(graph)
    path = _graph_file(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {
        f"networks/{name}.qgraph": of_bytes(data),
        f"networks/{name}.txt": of_bytes(product.graph_text(graph).encode()),
    }


def build(name: str, variant: Variant, folder: Path) -> Artifacts:
    """The build folder of a network, but for what depends on the configuration alone."""
    product.leave_out_verilog()
    own = f"builds/{name}/{_label(variant)}"
    graph = _graph(folder, name)
    if graph is None:
        return {}
    try:
        design = variant.design(graph)
        with tempfile.TemporaryDirectory() as made:
            out = design.write(Path(made) / "build", _extra(variant, design.config))
            return {f"{own}/{path}": made for path, made in _files(design, out).items()}
    except product.QnnError as error:
        return {own: of_refusal(str(error))}


def config(label: str, folder: Path) -> Artifacts:
    """Both bodies of the Verilog, the C header and the projects of boards without a network."""
    name, changes = CONFIGS[label]
    sizes = product.named_config(name, **changes)
    files = product.verilog(sizes)
    artifacts = {f"configs/{label}/{path}": of_bytes(data) for path, data in files.items()}
    header = product.c_header(sizes).encode()
    artifacts[f"configs/{label}/qnn_accelerator.h"] = of_bytes(header)
    for board, (cores, clock_mhz) in pairs(product.PROJECTS, ((1, None), (4, 187.5))):
        own = f"configs/{label}/{board}-{cores}"
        try:
            target = product.board(board)
            target.check_fits(sizes, cores, clock_mhz)
            texts = target.files(sizes, files, cores, clock_mhz)
        except product.QnnError as error:
            artifacts[own] = of_refusal(str(error))
            continue
        artifacts |= {f"{own}/{path}": of_bytes(data) for path, data in texts.items()}
    return artifacts


def in_memory(name: str, folder: Path) -> Artifacts:
    """The project of a board that has the network in its memory."""
    graph = _graph(folder, name)
    if graph is None:
        return {}
    own = f"boards/{product.SERIAL}/{name}"
    try:
        target = product.board(product.SERIAL)
        design = qnn.compile(graph, target.config)
        target.check_fits(design.config, 1)
        files = target.files(design.config, {"image.bin": design.artifact.to_bytes()}, 1)
    except product.QnnError as error:
        return {own: of_refusal(str(error))}
    return {f"{own}/{path.partition('/')[2]}": of_bytes(data) for path, data in files.items()}


def _variants(name, quick):
    every = NAMED if name.startswith("zoo/") else NAMED | OF_SMALL_NETWORKS
    labels = OF_LARGE if name in LARGE else every
    return {n: every[n] for n in labels if not quick or n in QUICK_VARIANTS}


def _label(variant):
    return next(key for key, value in (NAMED | OF_SMALL_NETWORKS).items() if value == variant)


def _graph_file(folder, name):
    return folder / f"{name}.qgraph"


def _graph(folder, name):
    path = _graph_file(folder, name)
    return product.from_bytes(path.read_bytes(), name) if path.exists() else None


def _extra(variant, sizes):
    if variant.board is None:
        return None
    target = product.board(variant.board)
    target.check_fits(sizes, 1)
    return lambda built: target.files(sizes, built, 1)


def _files(design, out):
    artifacts = {
        "report/index.html": of_bytes(product.report_page(design, out).encode()),
        "driver": of_bytes(_driver(out)),
    }
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name, data = path.relative_to(out).as_posix(), path.read_bytes()
        if name == "manifest.json":
            artifacts[name] = of_bytes(_manifest(data))
        elif name == "image.bin":
            artifacts[name] = of_image(data)
        elif not name.startswith(ELSEWHERE) and name != "graph.qgraph":
            artifacts[name] = of_bytes(data)
    return artifacts


def _driver(out):
    """The driver's own files, one after the other; the rest are the product's sources."""
    names = ("driver.py", "__main__.py", "qnn_accelerator.h")
    return b"\n".join((out / "driver" / name).read_bytes() for name in names)


def _manifest(data):
    """Without what depends on this machine, and without digests of files that are here anyway."""
    facts = {key: value for key, value in json.loads(data).items() if key != "tools"}
    facts["files"] = [name for name in facts["files"] if not name.startswith("driver/")]
    return json.dumps(facts, indent=1, sort_keys=True).encode()
