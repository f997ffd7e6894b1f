"""Every reader of a user's files, and what a command does next with what it read."""

import json
from functools import cache
from pathlib import Path

import boards
from hw.spec.image import Image
from qnn.backend.registry import DEFAULT, named
from qnn.bench import results
from qnn.bench.fuzz.corpus import FINGERPRINT, IDENTITY, FuzzNetwork
from qnn.bench.fuzz.onnx_files import NETWORK
from qnn.bench.fuzz.verilog_files import PLANTED
from qnn.bench.table import markdown
from qnn.design import Design, altered_files
from qnn.explore.store import store_at
from qnn.explore.told import picked
from qnn.frontend.capture import capture
from qnn.frontend.example import example_of
from qnn.frontend.fuse import fuse
from qnn.frontend.onnx.compare import check_equal
from qnn.frontend.onnx.read import from_onnx
from qnn.frontend.pt2.read import from_pt2
from qnn.interchange.from_qonnx import from_qonnx
from qnn.ir import serialize
from qnn.ir.bounds import bounds
from qnn.ir.check import check
from qnn.ir.text import parse, text
from qnn.nn import artifact
from qnn.nn.data import load_data
from qnn.nn.folder import read_folder
from qnn.nn.named_data import load_named, named_inputs
from qnn.nn.training import checkpoint
from qnn.nn.training.metrics import Metrics
from qnn.nn.weights.load import load_weights
from qnn.ptq.export import export
from qnn.quant.rounding.checkpoint import Checkpoint
from qnn.report import records
from qnn.report.page import write_page
from qnn.runtime.arrays import read_test_set
from qnn.runtime.values import as_results, decode, encode, example
from sim.functional import run


def read_graph(path: Path, _corpus: Path) -> None:
    """A graph, its text and the proof of its sums."""
    graph = serialize.load(path)
    text(graph)
    text(graph, full=True)
    bounds(graph)


def read_text(path: Path, _corpus: Path) -> None:
    """A graph's text."""
    text(parse(path.read_text(errors="replace")), full=True)


def read_model(path: Path, _corpus: Path) -> None:
    """A quantized model, and the graph that it is exported to."""
    # Both, as 'qnn train' asks for the source of what it continues.
    artifact.source(path)
    check(export(artifact.load(path)))


def read_image(path: Path, _corpus: Path) -> None:
    """An image: listed, estimated, and run on one input."""
    _use(Image.read(path))


def _use(image):
    # All that 'simulate', 'show' and 'report' ask of an image.
    backend = named(DEFAULT)
    found = run(image, encode(image, example(image, 1)))
    decode(image, as_results(image, found.outputs))
    backend.listing(image)
    backend.estimate(image)
    backend.memory(image)
    backend.costs(image)


def read_build(path: Path, _corpus: Path) -> None:
    """A build folder, the results in it, and its page."""
    altered_files(path)
    Design.read(path)
    boards.shown(path)
    records.read(path)
    write_page(path)


def read_verilog(path: Path, _corpus: Path) -> None:
    """A build folder's Verilog, none of which may be a call that was planted in it."""
    design = Design.read(path)
    taken = [name for name, data in (design.built or {}).items() if PLANTED in data]
    assert not taken, f"{taken[0]} is taken with what it calls"


def read_data(path: Path, corpus: Path) -> None:
    """A data set, by the commands that quantize and by a board's driver."""
    load_data(str(path), layout="nhwc")
    image = _image(corpus)
    encode(image, read_test_set(image, path)[0])


def read_named_data(path: Path, _corpus: Path) -> None:
    """A data set of several inputs."""
    named_inputs(str(path))
    load_named(str(path), {"a": ("CHW", None), "b": ("C", None)}, "nhwc")


def read_images(path: Path, _corpus: Path) -> None:
    """A folder of images."""
    read_folder(path)


def read_weights(path: Path, _corpus: Path) -> None:
    """A checkpoint of float weights."""
    load_weights(FuzzNetwork(), path)


def read_training(path: Path, corpus: Path) -> None:
    """A training run's checkpoint."""
    checkpoint.load(path, json.loads((corpus / FINGERPRINT).read_text()))


def read_rounding(path: Path, _corpus: Path) -> None:
    """A rounding run's checkpoint."""
    Checkpoint(path).load(IDENTITY)


def read_designs(path: Path, _corpus: Path) -> None:
    """A store of designs, and the graph and the board of one that is picked."""
    with store_at(path, writes=False) as store:
        asked, design = picked(store, "knee")
    graph = serialize.from_bytes(design.graph, str(path))
    config = design.point.config(graph)
    if asked.board:
        boards.named(asked.board).check_fits(config, design.point.cores)


def read_results(path: Path, _corpus: Path) -> None:
    """Results of runs, and their table."""
    markdown(results.read(path))


def read_metrics(path: Path, _corpus: Path) -> None:
    """The metrics of a run that goes on."""
    Metrics(path, None, 1)


def read_onnx(path: Path, _corpus: Path) -> None:
    """A float network in an ONNX file, as far as 'qnn check' goes with it."""
    network = path / NETWORK
    module = from_onnx(network)
    check_equal(network, module)
    fuse(capture(module, example_of(module)), checked=True)


def read_pt2(path: Path, _corpus: Path) -> None:
    """A program of torch.export, as far as 'qnn check' goes with it."""
    module = from_pt2(path)
    fuse(capture(module, example_of(module)), checked=True)


def read_qonnx(path: Path, _corpus: Path) -> None:
    """A quantized network in a QONNX file, and the proof of its sums."""
    bounds(from_qonnx(path))


@cache
def _image(corpus):
    return Image.read(corpus / "build/image.bin")
