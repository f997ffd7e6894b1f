"""One reader that a campaign attacks, and what makes a hostile file for it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

# All of ours, which a command names before it loads what they need.
READERS = (
    *("graph", "text", "model", "image", "build", "verilog", "data", "named data", "images"),
    *("weights", "training", "rounding", "designs", "results", "metrics", "onnx", "qonnx", "pt2"),
)
Make = Callable[[Random, Path, Path], Path]  # chance, the valid files, an empty place; the input


@dataclass(frozen=True)
class FuzzTarget:
    """One reader.

    Members
    -------
    valid : its file or folder among the valid ones
    make : writes a hostile input into a place, and says where it is
    read : takes it as a user's command would, and raises where it refuses it
    """

    name: str
    valid: str
    make: Make
    read: Callable[[Path, Path], object]  # the input, and the valid files
