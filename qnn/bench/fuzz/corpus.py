"""Small valid files of every format, which a campaign changes: the same ones each time."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import boards
from qnn.bench.fuzz.onnx_files import FOLDER, make_onnx
from qnn.bench.fuzz.pt2_files import FILE, make_pt2
from qnn.bench.fuzz.verilog_files import FILE as VERILOG
from qnn.bench.fuzz.verilog_files import VALID
from qnn.bench.results import Result, append
from qnn.design import TOOLS, Design, compile
from qnn.explore.evaluation import Evaluated, Fidelity, Figure, Mark, RoundedNetwork
from qnn.explore.goals import METRICS, Constraint
from qnn.explore.point import Point
from qnn.explore.store import MADE, store_at
from qnn.explore.told import Asked, begin
from qnn.interchange.qonnx_model import qonnx_model
from qnn.ir.graph import Graph
from qnn.ir.serialize import to_bytes
from qnn.ir.text import text
from qnn.manifest import FORMAT, digest
from qnn.nn import artifact
from qnn.nn.training import checkpoint
from qnn.nn.training.recipe import Recipe
from qnn.nn.training.watch import Tally
from qnn.ptq.export import export
from qnn.ptq.quantize import quantize
from qnn.quant.rounding.checkpoint import PARTS, Checkpoint

SHAPE = (2, 6, 6)  # channels, height, width of the network's input
IDENTITY = dict.fromkeys(PARTS, "fuzz")  # of the rounding run
FINGERPRINT = "training.json"  # of the training run, beside its checkpoint
SUFFIXES = ("png", "jpg", "bmp", "gif", "tif", "ppm", "webp")


class FuzzNetwork(nn.Module):
    """Every operator of an integer graph: convolution, skip, maximum, concatenation, linear."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(72, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Three scores of each image."""
        x = torch.relu(self.norm(self.first(x)))
        y = torch.relu(self.second(x) + x)
        return self.head(torch.cat([self.pool(x), self.pool(y)], 1).flatten(1))


def make_corpus(folder: Path) -> None:
    """Write all files into ``folder``, which is empty or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    # Seeded, so that an input of a campaign is the same on every machine.
    rng = np.random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = FuzzNetwork().eval()
    pixels = torch.from_numpy(rng.integers(0, 256, (8, *SHAPE)).astype(np.uint8))
    quantized = quantize(network, pixels, rounding="nearest", terms=1, mean=0.5, std=(0.25, 0.3))
    artifact.save(quantized, folder / "model.safetensors", artifact.ModelSource("a:b", "c.pt"))
    graph = export(quantized)
    (folder / "graph.qgraph").write_bytes(to_bytes(graph))
    (folder / "graph.txt").write_text(text(graph, full=True))
    (folder / "quantized.onnx").write_bytes(qonnx_model(graph).SerializeToString())
    make_onnx(folder / FOLDER)
    make_pt2(folder / FILE, network, torch.zeros(1, *SHAPE))
    _build(folder / "build", compile(graph, "test"))
    _data(folder, rng)
    _images(folder / "images", rng)
    _checkpoints(folder, network)
    _results(folder)
    _designs(folder / "designs.sqlite", graph)


def _designs(path, graph: Graph) -> None:
    """A store of one design that can be picked."""
    names = [node.name for node in graph.convs]
    point = Point(terms=dict.fromkeys(names, 1), array={"lanes": 8, "rows": 8, "columns": 2})
    figures = {name: Figure.about(1.0, 0.5, Mark.ESTIMATED) for name in METRICS}
    asked = Asked(
        title="a",
        objectives=("accuracy", "fps", "lut"),
        constraints=(Constraint("lut", True, 9.0),),
        options=("a:b",),
        board=boards.reference().name,
    )
    with store_at(path) as store:
        begin(store, asked, "digest")
        rounded = RoundedNetwork({"lost": figures["lost"]}, to_bytes(graph))
        store.keep("f" * 64, Evaluated(point, Fidelity.FULL, figures, rounded=rounded), "r" * 64)
        store.keep_fact(MADE, ["f" * 64])


def _build(folder, design: Design) -> None:
    """A build with a few lines of Verilog in place of its own, which are a megabyte."""
    artifact, backend = design.artifact, design.backend
    cells = {"cores": 1, "given_clock_mhz": 99.5, "all_cores": {"estimated_lut": 9}}
    cells["device"] = {"name": "a", "lut": 99}
    files = {
        "graph.qgraph": to_bytes(design.graph),
        "image.bin": artifact.to_bytes(),
        "report/estimate_board_resources.json": json.dumps(cells).encode(),
        VERILOG: VALID.encode(),
    }
    manifest = {
        "format": FORMAT,
        "backend": backend.name,
        **backend.facts(artifact),
        "batch": artifact.batch,
        "tools": dict.fromkeys(TOOLS, "1.0"),
        "files": {name: digest(data) for name, data in files.items()},
    }
    for part in ("report", "rtl"):
        (folder / part).mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    image = {"image_sha256": manifest["files"]["image.bin"]}
    for name, values in _RECORDS.items():
        (folder / f"report/{name}.json").write_text(json.dumps(image | values))


_RECORDS = {
    "verify_rtl": {
        "passed": False,
        "failure": "late",
        "simulated_mismatches": 1,
        "simulated_values_compared": 7,
        "simulated_cycles_per_image": 9.5,
    },
    "simulate_reference": {
        "device": "reference",
        "given_images": 3,
        "measured_accuracy_percent": 50.0,
    },
    "synth_array": {"measured_cells": {"lut": 3}, "given_available_cells": {"lut": 9}},
    "timing_2": {
        "device": "xczu9eg",
        "speed_grade": "-2",
        "estimated_low_mhz": 301.5,
        "estimated_high_mhz": 380.0,
        "slack": {"estimated_bounds_ns": [0, 1.5], "estimated_ends": [4]},
        "paths": [
            {
                "begin": "a",
                "end": "b D",
                "estimated_ns": 2.5,
                "estimated_cells_ns": 1,
                "estimated_nets_ns": 1.25,
                "estimated_levels": 3,
                "estimated_alike": 0,
            }
        ],
    },
    "vivado": {"estimated_fmax_mhz": 99.5, "given_clock_mhz": 100, "timing_met": True},
}


def _data(folder, rng):
    arrays = {}
    for part, count in (("train", 6), ("test", 4)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (count, 6, 6, 2)).astype(np.uint8)
        arrays[f"y_{part}"] = np.arange(count) % 3
    np.savez(folder / "data.npz", **arrays)
    named = {f"x_{part}_a": arrays[f"x_{part}"] for part in ("train", "test")}
    named |= {f"x_{part}_b": arrays[f"x_{part}"].mean((1, 2)) for part in ("train", "test")}
    np.savez_compressed(folder / "named.npz", **named, y_test=arrays["y_test"])


def _images(folder, rng):
    for part in ("train", "test"):
        for number, suffix in enumerate(SUFFIXES):
            path = folder / part / "ab"[number % 2] / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(rng.integers(0, 256, (5, 4, 3)).astype(np.uint8))
            # With a palette, which has readers of its own.
            image = image.convert("P") if suffix in ("png", "gif") else image
            image.save(path)


def _checkpoints(folder, network):
    state = network.state_dict()
    torch.save({"state_dict": state, "epoch": 3}, folder / "weights.pt")
    shapes = {name: list(tensor.shape) for name, tensor in state.items()}
    fingerprint = {
        "shapes": shapes,
        "grid": [],
        **dict.fromkeys(("start", "teacher", "data", "augment", "preprocessing", "task"), "fuzz"),
        "recipe": Recipe().to_fields(),
    }
    (folder / FINGERPRINT).write_text(json.dumps(fingerprint))
    tensors = {f"model/{name}": tensor for name, tensor in state.items()}
    saved = checkpoint.Saved(3, tensors, fingerprint, Tally(start=1.5).to_fields())
    checkpoint.save(saved, folder / "training.safetensors")
    Checkpoint(folder / "rounding.safetensors").save(IDENTITY, {"anchor": torch.zeros(9)})


def _results(folder):
    for accuracy, perplexity in ((50.0, None), (None, 4.5)):
        result = Result(
            **dict.fromkeys(("name", "group", "model", "method", "torch_version"), "fuzz"),
            **{"weight_bits": 3, "activation_bits": 8, "terms": 1, "seed": 0, "steps": 9},
            **{"seconds": 1.0, "codes_before": [1, 2, 3], "codes_after": [1, 2, 3], "threads": 1},
            float_accuracy=accuracy,
            test_accuracy=accuracy,
            float_perplexity=perplexity,
            test_perplexity=perplexity,
            machine={"cpu": "fuzz", "gpu": None},
            commit=None,
            definition={"name": "fuzz", "settings": {"seed": 0}},
        )
        append(folder / "results.jsonl", result)
    # Three steps, of which a run that goes on behind the first drops the last.
    lines = ({"step": step, "loss": 1.0, "epoch": 0} for step in range(3))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
