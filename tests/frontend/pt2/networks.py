"""Networks whose programs are read back from files, and what changes such a file."""

import json
import re
import warnings
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
# Programs that releases of PyTorch wrote, each its own; see ``main``.
FOLDER = Path(__file__).parent / "files"
WRITTEN = sorted(FOLDER.glob("*.pt2"), key=lambda path: path.name)
Pair = namedtuple("Pair", "first second")
# Else PyTorch writes no program that gives one.
_pytree._register_namedtuple(Pair, serialized_type_name="tests.Pair")


class Residual(nn.Module):
    """A residual block, a layer that is shared, and a weight that is tied, with fixed numbers."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.shared = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.tensor([1.0, 0.5, 1.0, 0.25]).view(1, 4, 1, 1))
        # Made of whole numbers, so that they are the same wherever they are made.
        with torch.no_grad():
            for place, tensor in enumerate([*self.parameters(), *self.norm.buffers()]):
                if tensor.is_floating_point():
                    count = torch.arange(tensor.numel(), dtype=torch.float32)
                    tensor.copy_(((count * 37 + place * 11) % 64).view(tensor.shape) / 128 - 0.2)
            self.norm.running_var.abs_().add_(0.5)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, 8, 8) to (batch, 4)."""
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu(self.shared(F.relu(self.shared(x))) * self.scale + x)
        return self.second(F.relu(self.first(x.mean((2, 3)))))


class Made(nn.Module):
    """A convolution, and a forward that is a function of the test's."""

    def __init__(self, function: Callable, **parts: nn.Module | nn.Parameter):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 3, padding=1), function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor):
        """What the function gives."""
        return self.function(self, x)


def save(
    path: Path, model: nn.Module, images: Tensor = IMAGES, core: bool = False, **options
) -> Path:
    """``path``, to which ``model`` is exported and saved by the PyTorch that is installed.

    Parameters
    ----------
    core : whether calls are taken apart to those of core ATen
    options : of ``torch.export.export``
    """
    with warnings.catch_warnings():
        # Of PyTorch's own, which differ with its releases.
        warnings.simplefilter("ignore")
        program = torch.export.export(model.eval(), (images,), strict=False, **options)
        torch.export.save(program.run_decompositions() if core else program, path)
    return path


def members(path: Path) -> dict[str, bytes]:
    """The members of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, content: dict[str, bytes | str]) -> Path:
    """An archive of these members, each as it is."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def program_name(content: dict[str, bytes]) -> str:
    """The member that has the program."""
    ends = ("models/model.json", "serialized_exported_program.json")
    return next(name for name in content if name.endswith(ends))


def alter(path: Path, change: Callable[[dict], object]) -> Path:
    """The same file, after ``change`` of its program, which is given as JSON."""
    content = members(path)
    name = program_name(content)
    program = json.loads(content[name])
    change(program)
    return write(path, content | {name: json.dumps(program)})


def main() -> None:
    """Write the file of the installed release into ``files``, for releases to come."""
    release = torch.__version__.partition("+")[0]
    alter(save(FOLDER / f"residual_{release}.pt2", Residual()), _without_folders)


def _without_folders(program):
    # Of the machine that wrote it.
    for node in program["graph_module"]["graph"]["nodes"]:
        trace = node["metadata"]["stack_trace"]
        node["metadata"]["stack_trace"] = re.sub(r'"/[^"]*/(torch|tests)/', r'"\1/', trace)


if __name__ == "__main__":
    main()
