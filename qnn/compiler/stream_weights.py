"""Weights for tasks in their order: which are on chip together, where, and the loads of them."""

from dataclasses import dataclass, replace
from itertools import groupby

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.header import Op
from hw.spec.isa.transfer import Transfer
from qnn.compiler.lower import GroupData
from qnn.compiler.residency import Ring, check_group
from qnn.compiler.schedule import Memory
from qnn.compiler.strips import Key, Task

PIECES = 16  # loads of a full buffer, at most twice as many: each may give a token that waits


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Tasks ``first`` to before ``stop``, whose weights are on chip together."""

    first: int
    stop: int
    keys: tuple[Key, ...]  # in the order of their first use


def stream_weights(
    tasks: list[Task],
    data: dict[Key, GroupData],
    memory: Memory,
    config: SvpeConfig,
) -> list[Instruction]:
    """Every instruction, each load of weights before the first that needs it.

    ``memory`` has offsets in the order of ``data``.

    Raises
    ------
    CompileError
        One instruction's weights do not fit.
    """
    for (name, _), group in data.items():
        check_group(name, group.words, config)
    order = {key: number for number, key in enumerate(data)}
    rings = Ring(config.weight_words), Ring(config.parameter_words)
    program = []
    for chunk in _chunks(tasks, data, config):
        program += _chunk_program(chunk, tasks, data, memory, order, rings, config)
    return program


def _chunks(tasks, data, config):
    """As much as half of the buffers holds, so that two meet; more only for what stays together."""
    whole = (config.weight_words, config.parameter_words)
    used = dict.fromkeys(task.weights for task in tasks if task.weights)
    if _fits(used, data, whole):
        return [_Chunk(0, len(tasks), tuple(used))]
    half = tuple(size // 2 for size in whole)
    chunks, first, keys = [], 0, {}
    for start, own in _atoms(tasks):
        joined = keys | own
        if keys and len(joined) > len(keys) and not _fits(joined, data, half):
            chunks.append(_Chunk(first, start, tuple(keys)))
            first, joined = start, own
        keys = joined
    return [*chunks, _Chunk(first, len(tasks), tuple(keys))]


def _fits(keys, data, sizes):
    return sum(data[key].words for key in keys) <= sizes[0] and len(keys) <= sizes[1]


def _atoms(tasks):
    """What must not be cut: tasks that hold the same weights, else each by itself."""
    start = 0
    for _, group in groupby(enumerate(tasks), lambda item: item[1].hold or item[0]):
        members = [task for _, task in group]
        yield start, {t.weights: None for t in members if t.weights}
        start += len(members)


def _chunk_program(chunk, tasks, data, memory, order, rings, config):
    weights, parameters = {}, {}
    address = rings[0].place(sum(data[key].words for key in chunk.keys))
    parameter = rings[1].place(len(chunk.keys))
    for number, key in enumerate(chunk.keys):
        weights[key] = address
        parameters[key] = parameter + number
        address += data[key].words
    pieces = _pieces(chunk.keys, data, order, config)
    program, loaded = [], set()
    for task in tasks[chunk.first : chunk.stop]:
        key, tag = task.weights, task.instruction.tag
        if key and not loaded:
            for run in _adjacent(chunk.keys, order):
                program.append(_load_parameters(run, parameters, memory, order, tag))
        if key and key not in loaded:
            piece = pieces[key]
            loaded.update(piece)
            program.append(_load_weights(piece, weights, data, memory, order, tag))
        program.append(_placed(task, weights, parameters))
    return program


def _adjacent(keys, order):
    """Runs of keys whose data follow each other in memory."""
    runs = []
    for key in keys:
        if runs and order[runs[-1][-1]] + 1 == order[key]:
            runs[-1].append(key)
        else:
            runs.append([key])
    return runs


def _pieces(keys, data, order, config):
    """The keys that are loaded with each key: so few that work can begin soon."""
    least = config.weight_words // PIECES
    pieces = {}
    for run in _adjacent(keys, order):
        piece = []
        for key in run:
            piece.append(key)
            pieces[key] = piece
            if sum(data[k].words for k in piece) >= least:
                piece = []
    return pieces


def _load_parameters(keys, addresses, memory, order, tag):
    offset = memory.parameter_offsets[order[keys[0]]]
    return _load(Buffer.PARAMETERS, addresses[keys[0]], len(keys), offset, tag)


def _load_weights(keys, addresses, data, memory, order, tag):
    words = sum(data[key].words for key in keys)
    offset = memory.weight_offsets[order[keys[0]]]
    return _load(Buffer.WEIGHTS, addresses[keys[0]], words, offset, tag)


def _load(buffer, address, words, offset, tag):
    return Transfer(
        op=Op.LOAD,
        region=Region.IMAGE,
        buffer=buffer,
        address=address,
        words=words,
        offset=offset,
        tag=tag,
    )


def _placed(task, weights, parameters):
    if task.weights is None:
        return task.instruction
    return replace(
        task.instruction,
        weight_address=weights[task.weights],
        parameter_address=parameters[task.weights],
    )
