"""The version of what computes figures: a digest of its code, so that no older figure is reused."""

import hashlib
from functools import cache
from pathlib import Path

from qnn.farm.same_code import SUFFIXES

ROOT = Path(__file__).resolve().parents[2]
# What figures come from. Methods of search, pages and commands change no figure of a point.
COMPUTES = (
    *("hw", "sim", "boards"),
    *(f"qnn/{name}" for name in ("backend", "compiler", "frontend", "functions", "host", "ir")),
    *(f"qnn/{name}" for name in ("nn", "ptq", "quant", "tasks", "design.py", "cycles.py")),
    *(f"qnn/bench/{name}" for name in ("core_clock.json", "core_clock.py", "energy.py")),
    "qnn/bench/throughput_cases.py",
    *(f"qnn/explore/{name}.py" for name in ("accuracy", "energy", "evaluate", "evaluation")),
    *(f"qnn/explore/{name}.py" for name in ("hardware", "network", "profile", "point")),
    "qnn/explore/toggles.json",
)


@cache
def version() -> str:
    """The digest, and the versions of the libraries that round floats as they do."""
    import numpy
    import torch

    digest = hashlib.sha256()
    for path in sources():
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()[:16]}, torch {torch.__version__}, numpy {numpy.__version__}"


def sources() -> list[Path]:
    """The files that figures depend on, in one order everywhere."""
    found: list[Path] = []
    for name in COMPUTES:
        place = ROOT / name
        found += [place] if place.is_file() else place.rglob("*")
    return sorted(path for path in found if path.is_file() and path.suffix in SUFFIXES)
