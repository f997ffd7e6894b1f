"""What RTL runs must keep to beside their values: memory, the AXI protocol, and the counters."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.registers import Status
from qnn.runtime.handshake import Outcome
from sim.dram import DramImage
from sim.trace import Trace

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
