"""Runs images on accelerators, whatever lies between: a board or the RTL simulation.

Inputs of the next run are copied while runs are under way, and outputs of the last one after the
next has started: each core has two places in memory, which it uses in turn.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hw.spec.axi import PAGE_BYTES
from hw.spec.image import Image
from qnn.errors import DeviceError
from qnn.runtime.device import Run
from qnn.runtime.handshake import Bases, Outcome
from qnn.runtime.limit import cycle_limit
from qnn.runtime.proven import ProvenCore
from qnn.runtime.transport import Buffer, Transport

# While one is computed from, the other is filled: more would wait in memory for nothing.
PLACES = 2  # of each core
# Far more than any DRAM takes, also one that video or Linux shares.
LATENCY = 1024  # cycles of memory, where nobody says when a run counts as hung


@dataclass(frozen=True)
class Finished:
    """One run: its OUTPUT region, and the registers after it."""

    output: np.ndarray
    outcome: Outcome


@dataclass
class Spent:
    """Seconds of the host: copying, and waiting for accelerators."""

    copy_in: float = 0.0
    execute: float = 0.0
    copy_out: float = 0.0


@dataclass(frozen=True)
class _Place:
    """Regions of one run, and the core that works on them."""

    core: int
    input: Buffer
    output: Buffer
    bases: Bases


class Driver:
    """The accelerators behind ``transport`` as one ``Device``.

    Parameters
    ----------
    transport : Transport
    limit : int, optional
        Cycles after which a run counts as hung; far more than the image needs if not given.
    """

    def __init__(self, transport: Transport, limit: int | None = None):
        self.transport = transport
        self.spent = Spent()
        self._limit = limit
        self._cores = [ProvenCore(c, self._name(n)) for n, c in enumerate(transport.cores)]
        self._image: Image | None = None
        self._places: list[_Place] = []
        self._under_way: deque[tuple[int, _Place]] = deque()

    def run(self, image: Image, inputs: np.ndarray) -> Run:
        """Run ``image`` once for each row of ``inputs``, (runs, input_bytes) uint8.

        Raises
        ------
        DeviceError
            The device is for another configuration, its memory is too small, or a run failed.
        """
        finished = list(self.stream(image, inputs))
        outputs = [run.output for run in finished]
        shape = (len(outputs), image.output_bytes)
        cycles = tuple(run.outcome.cycles for run in finished)
        return Run(np.array(outputs, np.uint8).reshape(shape), cycles)

    def stream(self, image: Image, inputs: Iterable[np.ndarray]) -> Iterator[Finished]:
        """Run ``image`` on each INPUT region that ``inputs`` gives; the runs, in that order.

        Regions are asked for, and runs are given, while the accelerators work on others. If this
        is left before its end, the accelerators are reset.

        Raises
        ------
        DeviceError
            As for ``run``, or another stream is under way.
        """
        if self._under_way:
            raise DeviceError(
                f"{self.transport.name}: another stream of runs is under way; take all of its runs "
                f"or close it first"
            )
        self.load(image)
        under_way = self._under_way
        try:
            for number, data in enumerate(inputs):
                place = self._places[number % len(self._places)]
                # Another driver may have come meanwhile, whose memory it would be.
                self._cores[place.core].check_ours(number)
                self._copy_in(place, data)
                done = None
                if len(under_way) == len(self.transport.cores):
                    done = self._finish(*under_way.popleft())
                under_way.append((number, place))
                self._cores[place.core].start(number, image, place.bases)
                if done:
                    yield self._copy_out(*done)
            while under_way:
                yield self._copy_out(*self._finish(*under_way.popleft()))
        except BaseException as error:
            self._stop(error)
            raise

    def load(self, image: Image) -> None:
        """Put ``image`` in memory, if it is not there; accelerators that are at work are reset.

        It is not there any more when another driver has used the device in between.

        Raises
        ------
        DeviceError
            The device is for another configuration, does not stop, or its memory is too small.
        """
        if image is self._image and all(core.is_ours() for core in self._cores):
            return
        self._image, self._places = None, []
        for core in self._cores:
            core.check_identity(image)
            core.reset()
        self.transport.free()
        code = self._region(len(image.payload))
        code.write(np.frombuffer(image.payload, np.uint8))
        code.flush()
        cores = range(len(self.transport.cores))
        scratch = [self._region(image.scratch_bytes) for _ in cores]
        for core in [*cores] * PLACES:
            data, output = self._region(image.input_bytes), self._region(image.output_bytes)
            bases = Bases(code.address, data.address, output.address, scratch[core].address)
            self._places.append(_Place(core, data, output, bases))
        self._image = image

    def close(self) -> None:
        """Let go of the device; accelerators that are at work are reset."""
        try:
            if self._under_way:  # or they would write to memory that is another's by then
                self._reset()
        finally:
            self._image, self._places = None, []
            self.transport.close()

    def _name(self, core):
        alone = len(self.transport.cores) == 1
        return self.transport.name if alone else f"{self.transport.name} core {core}"

    def _region(self, size):
        # A region may be empty, and still needs an address to give to the accelerator.
        buffer = self.transport.allocate(max(size, 1))
        if buffer.address % PAGE_BYTES:
            raise DeviceError(
                f"{self.transport.name}: memory must start at a multiple of {PAGE_BYTES}, not at "
                f"{buffer.address:#x}; give it whole pages"
            )
        buffer.flush()  # no line of the cache may be written back over what accelerators write
        return buffer

    def _copy_in(self, place, data):
        if data.dtype != np.uint8 or data.shape != (place.input.size,):
            raise ValueError(
                f"a run needs an input of {place.input.size} bytes, not {data.dtype} {data.shape}; "
                f"pack images with pack_inputs"
            )
        started = time.perf_counter()
        place.input.write(data)
        place.input.flush()
        self.spent.copy_in += time.perf_counter() - started

    def _finish(self, number, place):
        """Wait for the end of a run; gives its place and its registers."""
        started = time.perf_counter()
        # Cores share the memory: each may wait for all the others.
        limit = self._limit or cycle_limit(self._image, LATENCY) * len(self.transport.cores)
        outcome = self._cores[place.core].finish(number, self._image, limit)
        self.spent.execute += time.perf_counter() - started
        return place, outcome

    def _copy_out(self, place, outcome):
        started = time.perf_counter()
        place.output.invalidate()
        output = place.output.read()
        self.spent.copy_out += time.perf_counter() - started
        return Finished(output, outcome)

    def _stop(self, error):
        """Leave no accelerator at work; what cannot be stopped joins the error."""
        if self._image is None:  # closed meanwhile: they are not ours any more
            return
        try:
            self._reset()
        except DeviceError as second:
            self._image = None
            raise DeviceError(f"{error}; then {second}" if str(error) else str(second)) from error

    def _reset(self):
        self._under_way.clear()
        for core in self._cores:
            # What another driver has taken is at work for it.
            if core.is_ours():
                core.reset()


def memory_bytes(image: Image, cores: int = 1) -> int:
    """The bytes that all regions of ``image`` take, each in whole pages."""
    data = [image.input_bytes, image.output_bytes] * PLACES
    regions = [len(image.payload), *[image.scratch_bytes, *data] * cores]
    return sum(-(-max(size, 1) // PAGE_BYTES) for size in regions) * PAGE_BYTES
