"""What RTL runs must keep to beside their values: memory, the AXI protocol, tokens and counters."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.isa.header import HEADER, INSTRUCTION_BYTES, Engine, Op
from hw.spec.registers import Error, Status
from qnn.runtime.handshake import Outcome
from sim.cycles.array import finish, span
from sim.dram import DramImage
from sim.trace import Trace

ENDED = Status.BUSY | Status.DONE | Status.FAILED  # the bits that say how a run ended
VIOLATION = re.compile(r"qnn_memory: cycle (\d+): *(.*)")  # as memory.sv prints it


def violations(count: int, log: str) -> Iterator[str]:
    """One line where the AXI protocol was broken ``count`` times, with the first in the log."""
    if count:
        first = VIOLATION.search(log)
        where = f", the first in cycle {first[1]}: {first[2]}" if first else ""
        yield f"{count} violations of the AXI4 protocol{where}"


def disturbances(
    memory: DramImage, after: np.ndarray, traces: Sequence[Trace], config: SvpeConfig
) -> Iterator[str]:
    """One line where the memory changed outside of what runs may write.

    Parameters
    ----------
    after : the content behind the runs
    traces : of all runs, which say what the accelerators wrote
    """
    stores = [
        (int(address), int(beats) * config.bus_bytes)
        for trace in traces
        for address, beats in zip(trace.store_address, trace.store_beats, strict=True)
    ]
    line = memory.disturbance(after, stores)
    if line:
        yield line


def misread(outcome: Outcome, trace: Trace, image: Image, base: int) -> Iterator[str]:
    """One line for all that registers and tokens tell wrongly after a run.

    Parameters
    ----------
    base : the address of the image in memory
    """
    yield from misreports(outcome, trace, image, base)
    # A run that failed was stopped between two instructions.
    if not outcome.status & Status.FAILED:
        yield from misgiven(trace, image)
        yield from mistimed(trace, image)
    yield from miscounts(outcome, trace)


def misgiven(trace: Trace, image: Image) -> Iterator[str]:
    """One line for each instruction that did not end, or gave other tokens than it says.

    A token too many, or too few, lets an engine begin too early, or wait for ever: but only where
    the memory is as slow as it takes, and behind as many instructions as the counters hold.
    """
    for engine in Engine:
        given = [signals for _, number, signals in trace.given if number == engine]
        own = [n for n, each in enumerate(image.program) if each.engine is engine]
        for index, signals in zip(own, given, strict=False):
            right = image.program[index].signals
            got = {other for other in Engine if signals >> other & 1 and other != engine}
            if got != right:
                yield f"{_named(index, image)} gave tokens to {_words(got)}, not to {_words(right)}"
        if len(given) != len(own):
            yield f"the {engine.word} engine ended {len(given)} instructions, but has {len(own)}"


def mistimed(trace: Trace, image: Image) -> Iterator[str]:
    """One line for each computation that took other cycles than its steps and writes do.

    Steps that compute nothing change no value, and nothing else holds up a computation.
    """
    ended = [cycle for cycle, number, _ in trace.given if number == Engine.COMPUTE]
    own = [(n, each) for n, each in enumerate(image.program) if each.engine is Engine.COMPUTE]
    earliest = 0  # cycle for the next tile's last step
    for (index, tiles), first, end in zip(own, trace.issue_cycle.tolist(), ended, strict=False):
        _, last = span(tiles, first, earliest)
        right = finish(tiles, image.config, last)
        if end != right:
            late = f"{abs(end - right):,} cycles {'late' if end > right else 'early'}"
            yield f"{_named(index, image)} ended {late}"
        earliest = last + tiles.interval


def _named(index, image):
    tag = image.program[index].tag
    whose = f" of layer '{image.layers[tag].name}'" if tag < len(image.layers) else ""
    return f"instruction {index}{whose}"


def _words(engines):
    return " and ".join(engine.word for engine in sorted(engines)) or "none"


def misreports(outcome: Outcome, trace: Trace, image: Image, base: int) -> Iterator[str]:
    """One line for each register after a run that does not tell how it ended.

    Parameters
    ----------
    base : the address of the image in memory
    """
    error, address = trace.error or (Error.NONE, 0)
    # Of what is no instruction only the image knows where it is; a failed burst comes before it.
    if not trace.error and outcome.error == Error.INSTRUCTION:
        error, address = Error.INSTRUCTION, base + _no_instruction(image)
    status = Status.DONE | (Status.FAILED if error else 0)
    for name, got, right in (
        ("STATUS", outcome.status & ENDED, status),
        ("ERROR", outcome.error, error),
        ("ERROR_ADDRESS", outcome.error_address, address),
    ):
        if got != right:
            yield f"register {name} reads {int(got):#x} after a run, but {int(right):#x} is right"


def _no_instruction(image):
    """Where in the image the first instruction is that does not exist, in bytes."""
    for start in range(0, image.program_bytes, INSTRUCTION_BYTES):
        code = image.payload[start] & (1 << HEADER[0].bits) - 1
        if code not in tuple(Op):
            return start
        if code == Op.END:
            break
    # A program without END ends in one that does not exist.
    return image.program_bytes


def miscounts(outcome: Outcome, trace: Trace) -> Iterator[str]:
    """One line for each register after a run that does not say what happened in it."""
    registers = {**outcome.counters, "cycles": outcome.cycles}
    counted = dict(zip(registers, trace.counted, strict=True))
    # In a run that failed the newest instruction may be one that has not begun.
    if len(trace.issue_tag) and not outcome.status & Status.FAILED:
        registers["tag"], counted["tag"] = outcome.tag, int(trace.issue_tag[-1])
    for name, got in registers.items():
        if got != counted[name]:
            yield f"register {name.upper()} reads {got} after a run, but {counted[name]} is right"
