"""``qnn serve``: a build folder in, an accelerator that drivers reach over TCP."""

from typing import Annotated

import typer

from qnn.cli.output import Json, flush, note, print_json
from qnn.cli.simulators import check_served, verilog_of
from qnn.cli.sources import Build, read_array_design

MEBIBYTE = 1 << 20
MOST_MIB = 4 << 10  # of a simulated memory: what a board has, and most machines can spare


def serve(
    build: Build,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port of this machine; 0 takes a free one.")
    ] = 0,
    cores: Annotated[int, typer.Option(min=1, max=4, help="Accelerators, on one memory.")] = 1,
    memory_mib: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_MIB,
            help="Memory in MiB, for larger networks than that of BUILD.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate the Verilog in BUILD for drivers that open rtl://127.0.0.1:PORT, one at a time.

    Ctrl-C ends it with exit code 0. Any network may be loaded that was compiled for the
    configuration of BUILD ('qnn compile --config BUILD').
    """
    from qnn.runtime.driver import memory_bytes
    from sim.cosim import HOST, simulation
    from sim.rtl import LEAST_WORDS

    design = read_array_design(build, "serve")
    needed = memory_bytes(design.artifact, cores)
    # What every simulation has, so that all share one executable.
    usual = max(needed, LEAST_WORDS * design.config.bus_bytes)
    memory = usual if memory_mib is None else memory_mib * MEBIBYTE
    if memory < needed:
        raise typer.BadParameter(
            f"--memory-mib must be at least {-(-needed // MEBIBYTE)} for {build} on {cores} "
            f"core{'s' * (cores > 1)}, not {memory_mib}"
        )
    options = {"listen": port, "cores": cores, "paths": cores, "memory_bytes": memory}
    # Before the note below, which promises a compilation.
    check_served(design, memory, cores)
    note(f"{build}: starting the simulation; its first start compiles the Verilog")
    with simulation(design.config, **options, verilog=verilog_of(design)) as running:
        uri = f"rtl://{HOST}:{running.port}"
        if as_json:
            print_json({"uri": uri, "cores": cores, "memory_bytes": memory})
        else:
            print(f"{build}: serving {uri}; Ctrl-C ends it")
        # Who waits for this line may read it through a pipe.
        flush()
        try:
            running.wait()
        # The way to end a server is no failure of it.
        except KeyboardInterrupt:
            note(f"{build}: stopped")
