"""What the epilogue wrote in an RTL run, and from it every layer's tensor."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.isa.packing import unpack
from hw.spec.tensors import Layer
from qnn.backend.execution import LayerCycles
from qnn.runtime.tensors import from_words, places


@dataclass(frozen=True, eq=False)
class Trace:
    """The trace of one run. Every array has one entry per event, in order of time."""

    issue_cycle: np.ndarray
    issue_tag: np.ndarray
    write_cycle: np.ndarray
    write_tag: np.ndarray
    write_address: np.ndarray
    write_part: np.ndarray
    write_all: np.ndarray
    write_data: np.ndarray  # (writes, bytes of a feature word)
    store_address: np.ndarray  # in memory, of each burst that was written
    store_beats: np.ndarray
    # Of each instruction that ended: when, its engine, and a bit for each that it gave a token.
    given: tuple[tuple[int, int, int], ...]
    # Cycles that load, compute and store engine worked and waited for a token, and of the run; none
    # of a run that timed out.
    counted: tuple[int, ...]
    error: tuple[int, int] | None  # code and address of the first burst that failed
    end_cycle: int
    timed_out: bool

    @cached_property
    def _by_tag(self) -> tuple[np.ndarray, np.ndarray]:
        """The writes in the order of their tags, and the tag of each."""
        order = np.argsort(self.write_tag, kind="stable")
        return order, self.write_tag[order]

    def writes_of(self, tag: int) -> np.ndarray:
        """The writes of the layer with this tag, in order of time."""
        order, tags = self._by_tag
        first, end = np.searchsorted(tags, [tag, tag + 1])
        return order[first:end]


@dataclass(frozen=True, eq=False)
class Written:
    """A layer's tensor as (channels, height, width) arrays: values, whether and when written."""

    values: np.ndarray
    present: np.ndarray
    cycle: np.ndarray


def read_traces(path: Path, config: SvpeConfig) -> list[Trace]:
    """The runs in a trace file that ``trace.sv`` wrote, the last one perhaps cut short."""
    runs, lines = [], []
    for line in path.read_text().splitlines():
        # What came before a start belongs to a run that was reset, and is no run of the job.
        if line[0] == "S":
            lines = []
            continue
        lines.append(line)
        # Done, or timed out: the last line of a run.
        if line[0] in "DT":
            runs.append(_trace(lines, config))
            lines = []
    return runs


def layer_cycles(trace: Trace, tag: int) -> LayerCycles:
    """The first step and the last write of the layer with this tag."""
    issues = trace.issue_cycle[trace.issue_tag == tag]
    writes = trace.write_cycle[trace.writes_of(tag)]
    return LayerCycles(
        int(issues[0]) if len(issues) else None, int(writes[-1]) if len(writes) else None
    )


def cycles_by_tag(trace: Trace, cycles: int) -> dict[int | None, int]:
    """The cycles of a run, by the tag of the instruction that the array was at or waited behind.

    An instruction has the cycles from its first step to that of the next one, or to the end.

    Parameters
    ----------
    cycles : of the run, from start to done; what comes before the first step has the tag None
    """
    ends = np.append(trace.issue_cycle, trace.end_cycle)
    spans: dict[int | None, int] = {None: int(ends[0]) - (trace.end_cycle - cycles)}
    for tag, span in zip(trace.issue_tag.tolist(), np.diff(ends).tolist(), strict=True):
        spans[tag] = spans.get(tag, 0) + span
    return spans


def layer_tensor(trace: Trace, layer: Layer, config: SvpeConfig) -> Written:
    """What ``layer`` wrote, read through its layout; the newest write of a lane counts."""
    layout, count = layer.output, layer.output.words(config.lanes)
    # A write elsewhere with this tag is not the layer's tensor; stray_writes counts it.
    own = trace.writes_of(layer.tag)
    address = trace.write_address[own] - layout.address
    inside = (address >= 0) & (address < count)
    mine, address = own[inside], address[inside]
    group = np.arange(config.lanes) // config.rows
    # A maximum is written to all lanes, a result to those of its part.
    covered = trace.write_all[mine, None] | (trace.write_part[mine, None] == group)
    data = unpack(trace.write_data[mine], config.activation_bits, config.lanes, signed=True)

    values = np.zeros((count, config.lanes), np.int64)
    cycles = np.full((count, config.lanes), -1, np.int64)
    write, lane = np.nonzero(covered)
    word = address[write]
    values[word, lane] = data[write, lane]  # of equal places, NumPy keeps the last
    cycles[word, lane] = trace.write_cycle[mine][write]

    word, lane = places(layout, config.lanes)
    steps = np.arange(layout.passes)[:, None, None, None] * layout.pass_step
    when = cycles[word + steps, lane]
    return Written(
        from_words(values, layout, config.activation_bits), (when >= 0).all(0), when.max(0)
    )


def stray_writes(trace: Trace, layer: Layer, config: SvpeConfig) -> int:
    """Writes of ``layer`` that are outside its tensor's words."""
    address = trace.write_address[trace.writes_of(layer.tag)] - layer.output.address
    return int(((address < 0) | (address >= layer.output.words(config.lanes))).sum())


def _trace(lines, config):
    issues, stores = _numbers(lines, "I", 2), _numbers(lines, "A", 3)
    given, counted, errors = (
        [tuple(map(int, line.split()[1:])) for line in lines if line[0] == kind] for kind in "FCE"
    )
    writes = [line.rpartition(" ") for line in lines if line[0] == "W"]
    numbers = _numbers([numbers for numbers, _, _ in writes], "W", 6)
    size = -(-config.feature_bits // 8)
    # The simulator leaves out leading zeros.
    text = "".join(data.zfill(2 * size) for _, _, data in writes)
    # Verilog prints the highest digit first; lane 0 is the lowest.
    data = np.frombuffer(bytes.fromhex(text), np.uint8).reshape(-1, size)[:, ::-1]
    return Trace(
        issue_cycle=issues[:, 0],
        issue_tag=issues[:, 1],
        write_cycle=numbers[:, 0],
        write_tag=numbers[:, 1],
        write_address=numbers[:, 2],
        write_part=numbers[:, 3],
        write_all=numbers[:, 4].astype(bool),
        write_data=data,
        store_address=stores[:, 1],
        store_beats=stores[:, 2],
        given=tuple(given),
        counted=counted[0] if counted else (),
        error=errors[0] if errors else None,
        end_cycle=int(lines[-1].split()[1]),
        timed_out=lines[-1][0] == "T",
    )


def _numbers(lines, kind, count):
    """The numbers of each line of a kind: (lines, count). A verification has hundred thousands."""
    text = " ".join(line[2:] for line in lines if line[0] == kind)
    return np.fromstring(text, np.int64, sep=" ").reshape(-1, count)
