"""Hostile files of torch.export: what a program says is changed, and the archive stays an archive.

Most changes are of the program's JSON and of its graph, as names of operators, arguments and sizes
decide what is done with a file; the rest of it is where it came from.
"""

import io
import json
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn

from qnn.bench.fuzz.formats import archived
from qnn.bench.fuzz.mutate import HOSTILE, mutated

FILE = "exported.pt2"
PROGRAM = ("models/model.json", "serialized_exported_program.json")  # by release
OPERATORS = (
    *("relu", "conv2d", "view", "expand", "cat", "linear", "max_pool2d", "repeat", "permute"),
    *("from_file", "set_", "resize_", "_fused_adam_", "empty.memory_format", "full", "arange"),
    *("upsample_nearest2d.vec", "pad", "slice.Tensor", "index.Tensor", "lstm.input", "einsum"),
)


def make_pt2(path: Path, network: nn.Module, image: torch.Tensor) -> None:
    """Write a network's program of any number of images, as PyTorch saves it."""
    images = torch.export.Dim("images", max=1 << 10)
    given = torch.cat([image] * 2)
    program = torch.export.export(network, (given,), dynamic_shapes=({0: images},), strict=False)
    torch.export.save(program, path)


def altered_pt2(rng: Random, data: bytes) -> bytes:
    """The file, changed."""
    if rng.random() < 0.3:
        return archived(rng, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {each.filename: archive.read(each) for each in archive.infolist()}
    names = [name for name in members if name.endswith(".json")]
    program = next(name for name in names if name.endswith(PROGRAM))
    # Lists of weights, where there are some, say where each lies and which sizes it has.
    name = program if rng.random() < 0.7 else rng.choice(names)
    held = json.loads(members[name])
    members[name] = json.dumps(_altered(rng, held) if name == program else mutated(rng, held))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return buffer.getvalue()


def _altered(rng: Random, program: dict[str, Any]) -> Any:
    """Another program: of its graph most often."""
    if rng.random() < 0.2:
        return mutated(rng, program)
    module = program["graph_module"]
    part = rng.choice(("graph", "graph", "graph", "signature", "module_call_graph"))
    match rng.randrange(4):
        case 0:
            node = rng.choice(module["graph"]["nodes"])
            node["target"] = f"torch.ops.aten.{_overload(rng.choice(OPERATORS))}"
        case 1:
            node = rng.choice(module["graph"]["nodes"])
            node["inputs"] = mutated(rng, node["inputs"])
        case 2:
            _sizes(rng, module["graph"]["tensor_values"])
        case _:
            module[part] = mutated(rng, module[part])
    return program


def _overload(name):
    return name if "." in name else f"{name}.default"


def _sizes(rng, values):
    """Another size of what a call gives or takes, of which inputs are made."""
    value = values[rng.choice(sorted(values))]
    if value["sizes"]:
        value["sizes"][rng.randrange(len(value["sizes"]))] = {"as_int": rng.choice(HOSTILE)}
