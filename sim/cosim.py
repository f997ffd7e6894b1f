"""The RTL simulation as a device that a driver reaches by registers and memory, while it lives."""

import json
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hw.spec.axi import PAGE_BYTES
from hw.spec.config import SvpeConfig
from qnn.errors import DeviceError
from qnn.runtime.remote import RemoteTransport, Request
from sim import dram, rtl, runner
from sim.rtl import MemoryTiming

BENCH = "sim.bench.server"
HOST = "127.0.0.1"
MEMORY_BYTES = 1 << 20  # that an image's regions have, as in every small simulation
POLL_SECONDS = 0.02  # while the simulator starts
NEVER = 1 << 62  # cycles: a driver says itself how long it waits


@contextmanager
def rtl_transport(config: SvpeConfig, **options) -> Iterator[RemoteTransport]:
    """A ``Transport`` to a simulation that starts here and ends with the block.

    Parameters
    ----------
    options : of ``serve``
    """
    with serve(config, **options) as port:
        transport = RemoteTransport(HOST, port)
        try:
            yield transport
        finally:
            transport.close()


@contextmanager
def serve(
    config: SvpeConfig,
    *,
    cores: int = 1,
    paths: int = 1,
    verilog: Mapping[str, str] | None = None,
    timing: MemoryTiming | None = None,
    memory_bytes: int = MEMORY_BYTES,
    work: Path | None = None,
) -> Iterator[int]:
    """The port, on this machine, of a simulation that serves ``RemoteTransport``s one by one.

    Parameters
    ----------
    cores, paths, timing, verilog : as in ``sim.rtl.execute``
    memory_bytes : for an image's regions
    work : folder that keeps the log; None throws it away

    Raises
    ------
    DeviceError
        At the end: the AXI protocol was broken.
    """
    # Before a model is compiled, which takes a minute.
    rtl.check_cores(cores, paths)
    if work is None:
        with tempfile.TemporaryDirectory(prefix="qnn-cosim-") as folder:
            options = {"cores": cores, "paths": paths, "timing": timing, "verilog": verilog}
            with serve(config, **options, memory_bytes=memory_bytes, work=Path(folder)) as port:
                yield port
        return
    # A power of two, so that simulations of similar sizes share a compiled model.
    words = 1 << (-(-memory_bytes // config.bus_bytes) - 1).bit_length()
    words = max(rtl.LEAST_WORDS, words)
    model = rtl.build(config, verilog=verilog, words=words, cores=cores)
    files = {name: str(work / f"{name}.mem") for name in ("load", "dump")}
    job = {
        "base": dram.BASE,
        "bytes": -(-memory_bytes // PAGE_BYTES) * PAGE_BYTES,
        "word_bytes": config.bus_bytes,
        "cores": cores,
        "port": str(work / "port"),
        **files,
    }
    (work / "job.json").write_text(json.dumps(job))
    plusargs = [f"{name}={file}" for name, file in files.items()]
    plusargs += [f"limit={NEVER}", f"base={job['base']:x}", f"paths={paths}"]
    plusargs += [f"words={job['bytes'] // config.bus_bytes}"]
    plusargs += (timing or MemoryTiming()).plusargs()
    simulation = _Simulation(model, plusargs, work)
    port = simulation.start()
    try:
        yield port
    finally:
        state = simulation.stop(port)
    # Looked at when all is over, since a driver would not notice.
    if state["violations"]:
        raise DeviceError(
            f"rtl: {state['violations']} violations of the AXI4 protocol; the simulation's log "
            f"names them"
        )


class _Simulation:
    """A simulator process, and the thread that waits for its end."""

    def __init__(self, model, plusargs, work):
        self._port, self._error = work / "port", None
        options = {"environment": {"QNN_JOB": str(work / "job.json")}, "work": work}
        options["plusargs"] = plusargs
        # A daemon, so that a broken driver does not keep the process alive.
        self._thread = threading.Thread(target=self._run, args=(model, options), daemon=True)

    def _run(self, model, options):
        try:
            runner.run(model, BENCH, **options)
        except Exception as error:  # any: the thread that started us raises it
            self._error = error

    def start(self) -> int:
        """The port, once the simulation serves."""
        self._thread.start()
        # The simulator writes the file when it listens, whole or not at all.
        while not self._port.exists():
            if not self._thread.is_alive():
                raise DeviceError(f"rtl: the simulation did not start: {self._error}")
            time.sleep(POLL_SECONDS)
        return int(self._port.read_text())

    def stop(self, port: int) -> dict:
        """End the simulation; return its last state."""
        state = {"violations": 0}
        if self._thread.is_alive():
            last = RemoteTransport(HOST, port)
            state = last.state()
            last.ask(Request.STOP, 0)
            last.close()
        self._thread.join()
        if self._error:
            raise self._error
        return state
