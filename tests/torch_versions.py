"""Run the tests that touch PyTorch on other releases of it: ``python -m tests.torch_versions``.

Each release, by default the oldest and the newest that ``pyproject.toml`` takes, gets a virtual
environment of its own in ``--venvs``, which is made where it is not there yet: PyTorch, from the
index of builds without CUDA if that has it, and then the project with its extra ``dev``. The tests
are those that read networks and learn; ``--all`` runs every quick one. What fails is shown, and the
exit status is 1 if anything did.
"""

import argparse
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("2.6.0", "2.15.0")
# Builds without CUDA; PyPI's take several GB on Linux.
INDEX = "https://download.pytorch.org/whl/cpu"
CHOSEN = (
    "tests/end_to_end/test_torch_releases.py",
    "tests/frontend",
    "tests/nn",
    "tests/quant",
    "tests/ptq",
    "tests/interchange",
    "tests/cli/test_pt2_in.py",
    "tests/cli/test_check_model.py",
)
# Packages whose versions each release of PyTorch sets itself.
OF_TORCH = ("torch==", "sympy==", "setuptools==")


def main() -> int:
    """The exit status: 0 if all tests passed on all releases, 1 if not."""
    options = _options()
    failed = []
    for version in options.versions:
        start = time.monotonic()
        python = _environment(version, options)
        installed = time.monotonic()
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_tests(options)]
        # Of this tree, whose modules are installed as well.
        status = subprocess.run(command, cwd=ROOT).returncode
        print(
            f"torch {version}: {'failed' if status else 'passed'}; "
            f"{installed - start:.0f} s to install, {time.monotonic() - installed:.0f} s of tests",
            flush=True,
        )
        failed += [version] * bool(status)
    return 1 if failed else 0


def _tests(options):
    return options.tests or (() if options.all else CHOSEN)


def _environment(version, options) -> Path:
    """The Python of the release's environment, which is made if there is none."""
    folder = options.venvs / version
    python, done = folder / "bin" / "python", folder / "installed"
    if done.exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    limits = folder / "constraints.txt"
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    limits.write_text("\n".join(line for line in lines if not line.startswith(OF_TORCH)))
    install = [python, "-m", "pip", "install", "--quiet"]
    # Alone and first, as what follows would take PyPI's; an index that cannot be reached is left.
    torch = f"torch=={version}"
    if subprocess.run([*install, "--index-url", options.index, torch]).returncode:
        subprocess.run([*install, torch], check=True)
    subprocess.run([*install, "-c", limits, torch, "-e", f"{ROOT}[dev]"], check=True)
    done.touch()
    return python


def _options():
    parser = argparse.ArgumentParser(prog="python -m tests.torch_versions", description=__doc__)
    parser.add_argument("versions", nargs="*", default=VERSIONS, help="releases of PyTorch")
    parser.add_argument("--venvs", type=Path, default=_cache(), help="folder of environments")
    parser.add_argument("--index", default=INDEX, help="index of builds without CUDA")
    parser.add_argument("--all", action="store_true", help="every quick test")
    parser.add_argument("--tests", nargs="+", help="tests to run instead")
    return parser.parse_args()


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "qnn-torch-versions"


if __name__ == "__main__":
    sys.exit(main())
