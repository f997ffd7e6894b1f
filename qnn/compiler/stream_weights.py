"""Pass: which weights are on chip together, where, and the loads of them before they are needed."""

from dataclasses import dataclass, replace
from itertools import groupby

from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from hw.spec.isa.transfer import Transfer
from qnn.compiler.compilation import Compilation
from qnn.compiler.network import load_bound
from qnn.compiler.task import Key
from qnn.errors import CompileError

# Loads of a full buffer, at most twice as many: each may give a token that waits. Measured by the
# cycle model: with 4, 8 and 16, ResNet-20 in 1,024 feature words takes 30,703, 30,199 and 29,361
# cycles; ResNet-18 differs by 0.3 %.
PIECES = 16
# The first loads of a program are small, so that work begins soon; each is this much larger than
# the one before, so that few instructions are fetched for them.
GROWTH = 2


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Tasks ``first`` to before ``stop``, whose weights are on chip together."""

    first: int
    stop: int
    keys: tuple[Key, ...]  # in the order of their first use


class _Ring:
    """Addresses one after the other; at the end of the buffer it starts again."""

    def __init__(self, size: int):
        self.size = size
        self.next = 0

    def place(self, words: int) -> int:
        """The first of the next ``words``."""
        # A chunk is never cut in two: its instructions count addresses upwards.
        start = self.next if self.next + words <= self.size else 0
        self.next = start + words
        return start


def stream_weights(state: Compilation) -> Compilation:
    """The state with a program: every instruction, and loads of weights before the first that needs
    them.

    Raises
    ------
    CompileError
        One instruction's weights do not fit.
    """
    tasks, data, config = state.tasks, state.data, state.config
    bound = load_bound([part.network for part in state.parts])
    for (name, _), words in data.words.items():
        _check_group(name, words, config)
    rings = _Ring(config.weight_words), _Ring(config.parameter_words)
    program = []
    for chunk in _chunks(tasks, data.words, config):
        program += _chunk_program(chunk, tasks, data, rings, config, bound)
    return replace(state, program=tuple(program))


def _check_group(name, words, config):
    if words > config.weight_words:
        raise CompileError(
            f"conv '{name}' needs {words} weight words for {config.rows} output channels, but the "
            f"configuration has {config.weight_words} (SvpeConfig.weight_words); raise it, or use "
            f"a smaller kernel or fewer channels"
        )


def _chunks(tasks, words, config):
    """Tasks in chunks that fill half of the buffers, so that two fit; more only where they must."""
    whole = (config.weight_words, config.parameter_words)
    used = dict.fromkeys(task.weights for task in tasks if task.weights)
    if _fits(used, words, whole):
        return [_Chunk(0, len(tasks), tuple(used))]
    # One half is loaded while the other is computed with.
    half = tuple(size // 2 for size in whole)
    chunks, first, keys = [], 0, {}
    for start, own in _atoms(tasks):
        joined = keys | own
        # Only new weights can make a chunk too large.
        if keys and len(joined) > len(keys) and not _fits(joined, words, half):
            chunks.append(_Chunk(first, start, tuple(keys)))
            first, joined = start, own
        keys = joined
    return [*chunks, _Chunk(first, len(tasks), tuple(keys))]


def _fits(keys, words, sizes):
    return sum(words[key] for key in keys) <= sizes[0] and len(keys) <= sizes[1]


def _atoms(tasks):
    """What must not be cut: tasks that hold the same weights, else each by itself."""
    start = 0
    # A task without a hold has its number as key, which no neighbour has.
    for _, group in groupby(enumerate(tasks), lambda item: item[1].hold or item[0]):
        members = [task for _, task in group]
        yield start, {t.weights: None for t in members if t.weights}
        start += len(members)


def _chunk_program(chunk, tasks, data, rings, config, load_bound):
    weights, parameters = {}, {}
    address = rings[0].place(sum(data.words[key] for key in chunk.keys))
    parameter = rings[1].place(len(chunk.keys))
    for number, key in enumerate(chunk.keys):
        weights[key] = address
        parameters[key] = parameter + number
        address += data.words[key]
    pieces = _pieces(chunk, data, config, load_bound)
    program, loaded, known = [], set(), set()
    most = _most(config)
    for task in tasks[chunk.first : chunk.stop]:
        key, tag = task.weights, task.instruction.tag
        if key and key not in loaded:
            piece = pieces[key]
            loaded.update(piece)
            # Parameters are one word per group: the small loads of the beginning bring their own,
            # the first large one brings all others.
            is_small = chunk.first == 0 and sum(data.words[k] for k in piece) < most
            keys = [k for k in (piece if is_small else chunk.keys) if k not in known]
            known.update(keys)
            loads = [
                _load_parameters(run, parameters, data, tag) for run in _adjacent(keys, data.order)
            ]
            loads.append(_load_weights(piece, weights, data, tag))
            place = _before_loads(program)
            program[place:place] = loads
        program.append(_placed(task, weights, parameters))
    return program


def _before_loads(program):
    """The place before the loads that end a program: weights are few beside what they wait for."""
    place = len(program)
    while place and program[place - 1].op is Op.LOAD:
        place -= 1
    return place


def _adjacent(keys, order):
    """Runs of keys whose data follow each other in memory."""
    runs = []
    for key in keys:
        if runs and order[runs[-1][-1]] + 1 == order[key]:
            runs[-1].append(key)
        else:
            runs.append([key])
    return runs


def _most(config):
    """The weight words of a load that is not small."""
    return config.weight_words // PIECES


def _pieces(chunk, data, config, load_bound):
    """The keys that are loaded with each key.

    One at first, so that work can begin, then more. Where work waits for loads all the time, whole
    layers: each load costs the memory port some cycles.
    """
    most = _most(config)
    least = most if chunk.first else 1
    # Of very many layers, several at a time: whole layers are then no more loads than pieces are.
    many = len({name for name, _ in chunk.keys}) > 2 * PIECES
    share = sum(data.words[key] for key in chunk.keys) // (2 * PIECES) if many else 1
    pieces = {}
    for run in _adjacent(chunk.keys, data.order):
        piece, words = [], 0
        for key in run:
            full = words >= least
            if load_bound:
                full = words >= share and key[0] != piece[-1][0]
            if full:
                piece, words, least = [], 0, min(GROWTH * least, most)
            piece.append(key)
            words += data.words[key]
            pieces[key] = piece
    return pieces


def _load_parameters(keys, addresses, data, tag):
    offset = data.parameter_offsets[data.order[keys[0]]]
    return _load(Buffer.PARAMETERS, addresses[keys[0]], len(keys), offset, tag)


def _load_weights(keys, addresses, data, tag):
    words = sum(data.words[key] for key in keys)
    offset = data.weight_offsets[data.order[keys[0]]]
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
    """The task's instruction, told where its weights are."""
    if task.weights is None:
        return task.instruction
    return task.instruction.having(
        weight_address=weights[task.weights],
        parameter_address=parameters[task.weights],
    )
