"""The RTL simulation as a device that a driver reaches by registers and memory, while it lives."""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hw.spec.axi import PAGE_BYTES
from hw.spec.config import SvpeConfig
from qnn.errors import DeviceError
from qnn.files import scratch_folder
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
def serve(config: SvpeConfig, **options) -> Iterator[int]:
    """The port, on this machine, of a ``simulation``, which takes ``options``."""
    with simulation(config, **options) as running:
        yield running.port


@contextmanager
def simulation(
    config: SvpeConfig,
    *,
    listen: int = 0,
    cores: int = 1,
    paths: int = 1,
    verilog: Mapping[str, str] | None = None,
    timing: MemoryTiming | None = None,
    memory_bytes: int = MEMORY_BYTES,
    work: Path | None = None,
) -> Iterator["ServedSimulation"]:
    """A simulation on this machine that serves ``RemoteTransport``s one by one.

    Parameters
    ----------
    listen : the port to serve at; 0 for a free one
    cores, paths, timing, verilog : as in ``sim.rtl.execute``
    memory_bytes : for an image's regions
    work : folder that keeps the log; None throws it away

    Raises
    ------
    DeviceError
        The port is in use; or at the end: the AXI protocol was broken.
    """
    # Before a model is compiled, which takes a minute.
    rtl.check_cores(cores, paths)
    check_port(listen)
    if work is None:
        with scratch_folder("qnn-cosim-") as folder:
            options = {"cores": cores, "paths": paths, "timing": timing, "verilog": verilog}
            options |= {"listen": listen, "memory_bytes": memory_bytes, "work": Path(folder)}
            with simulation(config, **options) as running:
                yield running
        return
    words = served_words(config, memory_bytes)
    model = rtl.build(config, verilog=verilog, words=words, cores=cores)
    files = {name: str(work / f"{name}.mem") for name in ("load", "dump")}
    job = {
        "base": dram.BASE,
        "bytes": -(-memory_bytes // PAGE_BYTES) * PAGE_BYTES,
        "word_bytes": config.bus_bytes,
        "cores": cores,
        "listen": listen,
        "port": str(work / "port"),
        "stop": secrets.randbits(64),
        **files,
    }
    (work / "job.json").write_text(json.dumps(job))
    plusargs = [f"{name}={file}" for name, file in files.items()]
    plusargs += [f"limit={NEVER}", f"base={job['base']:x}", f"paths={paths}"]
    plusargs += [f"words={job['bytes'] // config.bus_bytes}"]
    plusargs += (timing or MemoryTiming()).plusargs()
    running = ServedSimulation(model, plusargs, work, job["stop"])
    running.start()
    try:
        yield running
    finally:
        violations = running.stop()
    # Looked at when all is over, since a driver would not notice.
    if violations:
        raise DeviceError(
            f"rtl: {violations} violations of the AXI4 protocol; the simulation's log names them"
        )


def served_words(config: SvpeConfig, memory_bytes: int) -> int:
    """Words of the simulated memory of a ``simulation`` with ``memory_bytes``."""
    # A power of two, so that simulations of similar sizes share a compiled model.
    return max(rtl.LEAST_WORDS, 1 << (-(-memory_bytes // config.bus_bytes) - 1).bit_length())


def check_port(port: int) -> None:
    """Refuse a port that another program has, before a model is compiled.

    Raises
    ------
    DeviceError
        It cannot be listened at.
    """
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise DeviceError(
            f"rtl: needs port {port} of this machine to serve at, but got "
            f"'{os.strerror(error.errno)}'; give another one, or 0 for a free one"
        ) from None


class ServedSimulation:
    """A simulator process that serves at ``port``, and the thread that waits for its end."""

    def __init__(self, model, plusargs, work, secret):
        self._file, self._error, self._secret = work / "port", None, secret
        options = {"environment": {"QNN_JOB": str(work / "job.json")}, "work": work}
        options["plusargs"] = plusargs
        # A daemon, so that a broken driver does not keep the process alive.
        self._thread = threading.Thread(target=self._run, args=(model, options), daemon=True)

    def _run(self, model, options):
        try:
            runner.run(model, BENCH, **options)
        except Exception as error:  # any: the thread that started us raises it
            self._error = error

    def start(self) -> None:
        """Start the process, and wait until it serves."""
        self._thread.start()
        # The simulator writes the file when it listens, whole or not at all.
        while not self._file.exists():
            if not self._thread.is_alive():
                raise DeviceError(f"rtl: the simulation did not start: {self._error}")
            time.sleep(POLL_SECONDS)
        self.port = int(self._file.read_text())

    def wait(self) -> None:
        """Return when the simulation has ended; Ctrl-C interrupts this."""
        while self._thread.is_alive():
            # A wait without end would not see Ctrl-C on every system.
            self._thread.join(1.0)

    def stop(self) -> int:
        """End the simulation; how often it broke the protocol of its memory bus."""
        violations = 0
        if self._thread.is_alive():
            last = RemoteTransport(HOST, self.port)
            violations = last.state().violations
            last.ask(Request.STOP, 0, self._secret)
            last.close()
        self._thread.join()
        if self._error:
            raise self._error
        return violations
