"""Measurements in fresh processes: what one measures there, and its peak of memory."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from qnn.errors import ToolError
from qnn.farm.interpreter import python_environment

STATUS = Path("/proc/self/status")


def measured(
    what: str, module: str, *arguments: str, settings: Mapping[str, str] | None = None
) -> dict:
    """What ``python -m module`` prints as JSON in its last line.

    Parameters
    ----------
    what : the command of qnn that measures, for a text
    settings : more of the environment

    Raises
    ------
    ToolError
        The process fails.
    """
    command = (sys.executable, "-m", module, *arguments)
    environment = python_environment(settings or {})
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if run.returncode:
        lines = run.stderr.strip().splitlines() or ["no message"]
        raise ToolError(f"{what}: measuring '{' '.join(arguments)}' failed: {lines[-1]}")
    return json.loads(run.stdout.splitlines()[-1])


def peak_mebibytes() -> float:
    """Greatest resident memory of this process so far.

    Linux hands ``ru_maxrss`` down from the parent, so the kernel's own mark comes first.
    """
    if STATUS.is_file():
        lines = STATUS.read_text().splitlines()
        (mark,) = (line for line in lines if line.startswith("VmHWM:"))
        return int(mark.split()[1]) / 1024
    import resource

    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
