"""Simulated memory: where an image's regions lie in it, guard bytes around each, and its rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hw.spec.axi import PAGE_BYTES
from hw.spec.image import Image
from qnn.runtime.handshake import Bases

BASE = 0x12_3400_0000  # over 4 GiB, so that a lost upper address bit shows
# Every upper bit is another one than in BASE, and up to a MiB from there none is carried into.
OTHER_BASE = 0xED_CBF0_0000
# Any seed: the guard bytes must only be known and not all equal.
GUARD_SEED = 0x5EED


class Channel:
    """When the beats of one direction go: what ``memory.sv`` does, for the cycle model.

    A direction moves ``rate`` bytes per cycle on average. A beat goes at most a fraction of a cycle
    early, so that 12 bytes per cycle on a bus of 16 are three beats in four cycles.

    Parameters
    ----------
    beat_bytes : int
        Width of the bus.
    rate : int
        From 1 to ``beat_bytes``.
    """

    def __init__(self, beat_bytes: int, rate: int):
        if not 1 <= rate <= beat_bytes:
            raise ValueError(
                f"a memory with beats of {beat_bytes} bytes needs a rate of 1 to {beat_bytes} "
                f"bytes a cycle, not {rate}"
            )
        self._beat_bytes, self._rate = beat_bytes, rate
        self._moved = 0  # bytes that the rate allows up to the cycle in which it is made up for

    @property
    def free(self) -> int:
        """The first cycle in which another beat can go."""
        return self._moved // self._rate

    def send(self, start: int, beats: int) -> list[int]:
        """Move ``beats`` beats, the first not before cycle ``start``; gives the cycle of each."""
        # Counted in bytes: a rate that does not divide a beat needs no fractions.
        begin = max(start * self._rate, self._moved)
        self._moved = begin + beats * self._beat_bytes
        return [(begin + n * self._beat_bytes) // self._rate for n in range(beats)]


@dataclass(frozen=True)
class DramRegion:
    """``size`` bytes from ``start``, counted from the memory's first byte, which is at ``base``."""

    name: str
    start: int
    size: int
    writable: bool
    base: int = BASE

    @property
    def end(self) -> int:
        """The place after the last byte."""
        return self.start + self.size

    @property
    def address(self) -> int:
        """The address that the accelerator has for the first byte."""
        return self.base + self.start


@dataclass(frozen=True)
class DramImage:
    """Content before a run, and its regions: image, scratch, then each run's input and output.

    The first byte has the address ``base``.
    """

    content: np.ndarray
    regions: tuple[DramRegion, ...]
    runs: int
    base: int = BASE

    def bases(self, run: int, below: int = 0) -> Bases:
        """Addresses for a run; those of all regions but the image's are so many bytes lower."""
        image, scratch, *rest = self.regions
        data, output = rest[2 * run : 2 * run + 2]
        lower = (region.address - below for region in (data, output, scratch))
        return Bases(image.address, *lower)

    def output(self, after: np.ndarray, run: int) -> np.ndarray:
        """The output region's bytes of a run."""
        region = self.regions[3 + 2 * run]
        return after[region.start : region.end]

    def disturbance(
        self, after: np.ndarray, stores: Sequence[tuple[int, int]] | None = None
    ) -> str | None:
        """What changed outside the writable regions, by its nearest region; None if nothing did.

        Parameters
        ----------
        after : the content behind the runs
        stores : address and size in bytes of each burst that an accelerator wrote, where known
        """
        kept = np.ones(len(after), bool)
        for region in self.regions:
            if region.writable:
                kept[region.start : region.end] = False
        changed = np.flatnonzero(kept & (after != self.content))
        if len(changed):
            first = int(changed[0])
            # The region that a wrong address most probably meant.
            near = min(self.regions, key=lambda r: max(r.start - first, first - r.end + 1, 0))
            address = self.base + first
            return (
                f"{len(changed)} bytes outside the writable regions changed, the first at address "
                f"{address:#x}, {first - near.start} bytes from the start of '{near.name}' "
                f"({near.size} bytes); {_culprit(address, stores)}"
            )
        return None


def _culprit(address, stores):
    if stores is None:
        return "a store instruction is wrong, or something else changed the memory"
    if any(start <= address < start + size for start, size in stores):
        return "the accelerator wrote there: a store instruction is wrong"
    return "the accelerator did not write there: something else changed the memory"


def place(
    image: Image, inputs: Sequence[np.ndarray], payload: bytes | None = None, base: int = BASE
) -> DramImage:
    """Memory for one run of ``image`` on each of ``inputs`` (INPUT regions, as bytes)."""
    # Tests plant faults in the payload that is placed.
    payload = image.payload if payload is None else payload
    wanted = [("image", len(payload), False), ("scratch", image.scratch_bytes, True)]
    for run in range(len(inputs)):
        wanted.append((f"input {run}", image.input_bytes, False))
        wanted.append((f"output {run}", image.output_bytes, True))
    # A page of guard bytes comes first, and one after the last region.
    regions, start = [], PAGE_BYTES
    for name, size, writable in wanted:
        regions.append(DramRegion(name, start, size, writable, base))
        start += _guarded(size)
    rng = np.random.default_rng(GUARD_SEED)
    content = rng.integers(0, 256, start + PAGE_BYTES, np.uint8)
    _put(content, regions[0], np.frombuffer(payload, np.uint8))
    for run, data in enumerate(inputs):
        _put(content, regions[2 + 2 * run], data)
    return DramImage(content, tuple(regions), len(inputs), base)


def placed_bytes(image: Image, runs: int) -> int:
    """Bytes of the memory that ``place`` makes for as many runs, without making it."""
    once = (PAGE_BYTES, _guarded(len(image.payload)), _guarded(image.scratch_bytes), PAGE_BYTES)
    return sum(once) + runs * (_guarded(image.input_bytes) + _guarded(image.output_bytes))


def _guarded(size):
    """Bytes in whole pages of a region with a guard byte at least behind it."""
    return -(-(size + 1) // PAGE_BYTES) * PAGE_BYTES


def _put(content, region, data):
    content[region.start : region.start + len(data)] = data
