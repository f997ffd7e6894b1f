"""Whether two machines compute the same: a digest of our code and of the packages that compute."""

import hashlib
import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

OURS = ("qnn", "hw", "sim", "boards")
SUFFIXES = (".py", ".json", ".sv", ".tcl", ".in")  # of what we compute and build from
COMPUTING = ("numpy", "torch")  # whose sums may differ from version to version


@lru_cache(maxsize=1)
def code_of_machine() -> str:
    """Versions of Python and of what computes, and a digest of our sources, in one line."""
    digest = hashlib.sha256()
    for package in OURS:
        (folder,) = find_spec(package).submodule_search_locations
        files = (path for path in Path(folder).rglob("*") if path.suffix in SUFFIXES)
        for path in sorted(files):
            data = path.read_bytes()
            # Name and size first, so that no file runs into the next one.
            digest.update(f"{package}/{path.relative_to(folder)} {len(data)}\n".encode() + data)
    python = ".".join(platform.python_version_tuple()[:2])
    packages = ", ".join(f"{name} {_version(name)}" for name in COMPUTING)
    # Twelve digits tell any two states of the sources apart.
    return f"qnn {digest.hexdigest()[:12]}, Python {python}, {packages}"


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
