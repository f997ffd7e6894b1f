"""The accelerator and its test bench as a core of FuseSoC, in its file format CAPI 2."""

import json
from collections.abc import Iterable

from hw.spec.config import SvpeConfig
from hw.spec.licence import SPDX
from hw.spec.verilog_files import TOP, simulation_files, synthesis_files
from qnn.backend.array.ip_xact import IDENTITY
from sim.portable.folder import DATA, INCLUDED, SOURCES

BENCH = "testbench"  # folder, and top module


def core(config: SvpeConfig, built: Iterable[str]) -> bytes:
    """The text of ``qnn_accelerator.core``; the same bytes for the same build.

    Parameters
    ----------
    built : paths of the files of the build
    """
    paths = list(built)
    inner = [f"      - {BENCH}/{name}" for name in SOURCES]
    inner.append(f"      - {BENCH}/{INCLUDED}: {{is_include_file: true}}")
    # The bench reads them from where it is started.
    inner += [f"      - {BENCH}/{name}: {{file_type: user, copyto: {name}}}" for name in DATA]
    lines = [
        "CAPI=2:",
        f"# {SPDX}",
        f"name: {':'.join(IDENTITY)}",
        # A string of JSON is one of YAML, whatever is in it.
        f"description: {json.dumps(f'Accelerator without multipliers: {config}')}",
        "",
        "filesets:",
        *_fileset("simulation", simulation_files(paths)),
        *_fileset("synthesis", synthesis_files(paths)),
        f"  {BENCH}:",
        "    files:",
        *inner,
        "    file_type: systemVerilogSource",
        "",
        "targets:",
        "  default: &default",
        "    filesets: [simulation]",
        f"    toplevel: {TOP}",
        "  lint:",
        "    <<: *default",
        "    default_tool: verilator",
        "    tools:",
        "      verilator: {mode: lint-only, verilator_options: [-Wno-fatal, --timing]}",
        "  sim:",
        f"    filesets: [simulation, {BENCH}]",
        f"    toplevel: {BENCH}",
        "    default_tool: icarus",
        "    tools:",
        "      icarus: {iverilog_options: [-g2012]}",
        "      verilator: {mode: binary, verilator_options: [-Wno-fatal, --timing]}",
        "  synth:",
        "    filesets: [synthesis]",
        f"    toplevel: {TOP}",
        "",
    ]
    return "\n".join(lines).encode()


def _fileset(name, files):
    listed = [f"      - {path}" for path in files]
    return [f"  {name}:", "    files:", *listed, "    file_type: verilogSource"]
