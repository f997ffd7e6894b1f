"""Runs a build's ``driver`` folder where only NumPy and the standard library can be imported."""

import subprocess
import sys

ALONE = """
import sys
from pathlib import Path

class Only:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is not on this machine")

BLOCKED = {"torch", "amaranth", "cocotb", "typer", "rich", "safetensors", "sim", "boards"}
sys.meta_path.insert(0, Only())
folder = sys.argv[1]
"""
CHECK = """
ours = [m for name, m in sys.modules.items() if name.partition(".")[0] in ("qnn", "hw", "driver")]
assert len(ours) > 10, sorted(sys.modules)
outside = [m.__file__ for m in ours if not Path(m.__file__).is_relative_to(Path(folder).resolve())]
assert not outside, outside
"""
COMMAND = """
import runpy
sys.argv = ["driver", *sys.argv[2:]]
code = 0
try:
    runpy.run_path(folder, run_name="__main__")
except SystemExit as left:
    code = left.code
"""
LEAVE = "sys.exit(code)\n"


def python(folder, code, *arguments, cwd=None):
    """Run ``code`` isolated, with ``folder`` for its driver."""
    command = [sys.executable, "-I", "-c", ALONE + code, str(folder), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def driver(folder, *arguments, cwd=None):
    """Exit code, standard output and standard error of ``python driver ARGUMENTS``."""
    done = python(folder, COMMAND + CHECK + LEAVE, *arguments, cwd=cwd)
    return done.returncode, done.stdout, done.stderr
