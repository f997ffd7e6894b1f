"""What a campaign attacks: each reader of a user's files, with what makes a hostile file for it."""

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from qnn.bench.fuzz import formats, onnx_files, pt2_files, readers, verilog_files
from qnn.bench.fuzz.target import FuzzTarget
from qnn.manifest import digest


def altered_file(name: str, change: Callable, rng: Random, corpus: Path, place: Path) -> Path:
    """One valid file, changed."""
    path = place / Path(name).name
    path.write_bytes(change(rng, (corpus / name).read_bytes()))
    return path


def altered_build(rng: Random, corpus: Path, place: Path) -> Path:
    """A build folder with another manifest, or another file whose hash the manifest has."""
    build = Path(shutil.copytree(corpus / "build", place / "build"))
    manifest = build / "manifest.json"
    # The manifest most often, as it alone decides which files are opened.
    kind = rng.random()
    if kind < 0.4:
        manifest.write_bytes(formats.plain_json(rng, manifest.read_bytes()))
    elif kind < 0.6:
        path = rng.choice(sorted((build / "report").glob("*.json")))
        path.write_bytes(formats.plain_json(rng, path.read_bytes()))
        _rehash(build, manifest)
    elif kind < 0.9:
        path = build / rng.choice(("graph.qgraph", "image.bin"))
        path.write_bytes(formats.framed(rng, path.read_bytes()))
        _rehash(build, manifest)
    else:
        _replaced(rng, build, sorted(path for path in build.rglob("*") if path.is_file()))
    return build


def _rehash(build, manifest):
    # As somebody would who has altered a file on purpose.
    held = json.loads(manifest.read_bytes())
    for name in held["files"]:
        held["files"][name] = digest((build / name).read_bytes())
    manifest.write_text(json.dumps(held))


def altered_images(rng: Random, corpus: Path, place: Path) -> Path:
    """A folder of images, of which one is another, or no file."""
    folder = Path(shutil.copytree(corpus / "images", place / "images"))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if rng.random() < 0.1:
        _replaced(rng, folder, files)
    else:
        path = rng.choice(files)
        path.write_bytes(formats.picture(rng, path.read_bytes()))
    return folder


def _replaced(rng, folder, files):
    """Make one of the files something else: nothing, a pipe, a folder, or a link."""
    # Whoever opens one of these without looking waits, reads for ever, or leaves the folder.
    path = rng.choice(files)
    path.unlink()
    match rng.randrange(5):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to("/dev/zero")
        case 3:
            path.symlink_to(path)
        case 4:
            path.symlink_to(folder)


def _of_file(name: str, file: str, change: Callable, read: Callable) -> FuzzTarget:
    return FuzzTarget(name, file, partial(altered_file, file, change), read)


TARGETS = (
    _of_file("graph", "graph.qgraph", formats.framed, readers.read_graph),
    _of_file("text", "graph.txt", formats.plain_text, readers.read_text),
    _of_file("model", "model.safetensors", formats.sealed, readers.read_model),
    _of_file("image", "build/image.bin", formats.framed, readers.read_image),
    FuzzTarget("build", "build", altered_build, readers.read_build),
    FuzzTarget("verilog", "build", verilog_files.altered_verilog, readers.read_verilog),
    _of_file("data", "data.npz", formats.archived, readers.read_data),
    _of_file("named data", "named.npz", formats.archived, readers.read_named_data),
    FuzzTarget("images", "images", altered_images, readers.read_images),
    _of_file("weights", "weights.pt", formats.archived, readers.read_weights),
    _of_file("training", "training.safetensors", formats.sealed, readers.read_training),
    _of_file("rounding", "rounding.safetensors", formats.sealed, readers.read_rounding),
    _of_file("designs", "designs.sqlite", formats.stored, readers.read_designs),
    _of_file("results", "results.jsonl", formats.lines, readers.read_results),
    _of_file("metrics", "metrics.jsonl", formats.lines, readers.read_metrics),
    FuzzTarget("onnx", onnx_files.FOLDER, onnx_files.altered_onnx, readers.read_onnx),
    _of_file("qonnx", "quantized.onnx", onnx_files.altered_model, readers.read_qonnx),
    _of_file("pt2", pt2_files.FILE, pt2_files.altered_pt2, readers.read_pt2),
)
