"""What a measurement ran on, and which code it ran: no names of hosts or people."""

import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, kw_only=True)
class BenchMachine:
    """The parts of a machine that decide how fast it is."""

    cpu: str
    cores: int
    gpu: str | None
    threads: int
    torch_version: str
    python_version: str

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def machine() -> BenchMachine:
    """The machine that this runs on, with the threads that torch uses now."""
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return BenchMachine(
        cpu=_cpu(),
        cores=_cores(),
        gpu=gpu,
        threads=torch.get_num_threads(),
        torch_version=torch.__version__,
        python_version=platform.python_version(),
    )


def commit() -> str | None:
    """The commit of this package's source, ``-dirty`` if files differ; None outside of git."""
    # Tags excluded: a commit has one name.
    command = ("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    try:
        run = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() or None


def _cpu() -> str:
    """The model of the CPU, or at least its architecture."""
    text = CPU_INFO.read_text() if CPU_INFO.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        # In a container the machine's cores are more than what one may use.
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
